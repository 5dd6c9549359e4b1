//! Allows that were charged and given without a send: what windows and grants are refilled from, where no
//! message tells of them.

use rusqlite::params;
use seawall_core::id::Id;
use seawall_core::time::Timestamp;

use super::codec::damaged;
use super::db::View;
use super::writer::Turn;
use crate::records::{AllowBatch, Allowed};
use crate::sealed::{charges, dims};
use crate::{PastCharge, Result};

/// Batches read at once.
const BATCHES: u16 = 16;

/// Writes batches, under the rows of their newest; forgets batches that are older than any window.
pub(super) fn record(turn: &Turn<'_>, batches: &[AllowBatch], forget_before: Timestamp) -> Result<()> {
    let conn = turn.view.conn;
    let sql =
        "INSERT INTO allows (row, body) VALUES (max(?1, (SELECT coalesce(max(row), 0) + 1 FROM allows)), ?2)";
    let mut insert = conn.prepare_cached(sql)?;
    for batch in batches {
        insert.execute(params![batch.newest, batch.body])?;
    }
    conn.prepare_cached("DELETE FROM allows WHERE row < ?1")?.execute([Id::first_row(forget_before)])?;
    Ok(())
}

/// The next of those given since an instant, in the order in which they were written, from the batch of a row
/// on, and where the batches after them begin.
pub(super) fn since(view: View<'_>, since: Timestamp, row: i64) -> Result<(Vec<Allowed>, Option<i64>)> {
    let sql = "SELECT row, body FROM allows WHERE row >= ?1 ORDER BY row LIMIT ?2";
    let mut select = view.conn.prepare_cached(sql)?;
    let mut rows = select.query(params![row, BATCHES])?;
    let mut found = Vec::new();
    let (mut read, mut next) = (0, row);
    while let Some(row) = rows.next()? {
        (read, next) = (read + 1, row.get::<_, i64>(0)? + 1);
        let body = row.get_ref(1)?.as_blob().map_err(|_| damaged("an allow"))?;
        found.extend(charges::unpack_allows(body)?.into_iter().filter(|allow| allow.id.at() >= since));
    }
    Ok((found, (read == BATCHES).then_some(next)))
}

/// An allow as windows are filled from it.
pub(super) fn charge(view: View<'_>, allow: Allowed) -> PastCharge {
    let last = view.hot().known.get(&allow.dimensions.to.cast_signed()).map(|(_, last)| *last);
    charges::of_allow(allow, last)
}

/// Rows of decisions that messages since an instant redeemed.
pub(super) fn redeemed(view: View<'_>, since: Timestamp) -> Result<Vec<u64>> {
    let mut select = view.conn.prepare_cached("SELECT number, dims FROM messages WHERE row >= ?1")?;
    let mut rows = select.query([Id::first_row(since)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(1)?.as_blob().map_err(|_| damaged("a message"))?;
        found.extend(dims::decode(bytes, row.get(0)?).and_then(|dimensions| dimensions.redeems));
    }
    Ok(found)
}
