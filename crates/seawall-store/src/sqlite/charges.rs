//! What windows are refilled from: sends with their dimensions, and checkpoints of windows that count requests.

use std::sync::Arc;

use rusqlite::{Row, params};
use seawall_core::id::Id;
use seawall_core::time::Timestamp;

use super::codec::{damaged, subaccount};
use super::db::View;
use super::writer::Turn;
use crate::sealed::charges::{Confirmed, LONGEST_VERIFICATION, Send, pack_checkpoint, unpack_checkpoint};
use crate::{PastCharge, Result};

/// Rows read at once.
const CHUNK: u16 = 2_000;

/// Confirmations since an instant.
pub(super) fn confirmed(view: View<'_>, since: Timestamp) -> Result<Confirmed> {
    let begun = Timestamp::from_millis((since.as_millis() - LONGEST_VERIFICATION).max(0));
    let mut select = view.conn.prepare_cached(
        "SELECT number, verified, row FROM verifications WHERE row >= ?1 AND verified IS NOT NULL",
    )?;
    let mut rows = select.query([Id::first_row(begun)])?;
    let mut confirmed = Confirmed::default();
    while let Some(row) = rows.next()? {
        let (number, at): (i64, i64) = (row.get(0)?, row.get(1)?);
        confirmed.note(row.get(2)?, number, at);
    }
    Ok(confirmed)
}

/// The next sends from `row` on, and where the ones after them begin.
pub(super) fn sends(
    view: View<'_>,
    confirmed: &Confirmed,
    row: i64,
) -> Result<(Vec<PastCharge>, Option<i64>)> {
    let mut select = view.conn.prepare_cached(
        "SELECT row, sub, number, dims, state, verification, CASE WHEN state IN (5, 6, 9) THEN progress END \
         FROM messages WHERE row >= ?1 ORDER BY row LIMIT ?2",
    )?;
    let mut rows = select.query(params![row, CHUNK])?;
    let (mut sends, mut next) = (Vec::with_capacity(usize::from(CHUNK)), row);
    let mut last_sub: Option<(i64, Arc<str>)> = None;
    while let Some(r) = rows.next()? {
        sends.push(send(view, r, confirmed, &mut last_sub)?);
        next = r.get::<_, i64>(0)? + 1;
    }
    let more = sends.len() == usize::from(CHUNK);
    Ok((sends, more.then_some(next)))
}

fn send(
    view: View<'_>,
    r: &Row<'_>,
    confirmed: &Confirmed,
    last_sub: &mut Option<(i64, Arc<str>)>,
) -> Result<PastCharge> {
    let sub: i64 = r.get(1)?;
    let name = match &last_sub {
        Some((id, name)) if *id == sub => name.clone(),
        _ => last_sub.insert((sub, subaccount(view, sub)?.into())).1.clone(),
    };
    let blob = |at: usize| r.get_ref(at)?.as_blob_or_null().map_err(|_| damaged("a message"));
    let send = Send {
        row: r.get(0)?,
        subaccount: name,
        number: r.get(2)?,
        dims: blob(3)?.unwrap_or_default(),
        state: r.get(4)?,
        verification: r.get(5)?,
        progress: blob(6)?,
    };
    send.charge(confirmed)
}

/// What was accepted and has neither left nor ended. Below `settled_below` nothing waits but what is scheduled.
pub(super) fn waiting(view: View<'_>) -> Result<Vec<PastCharge>> {
    let sql = "SELECT row, sub, number, dims, state, verification, NULL FROM messages NOT INDEXED \
         WHERE row >= (SELECT coalesce(max(value), 0) FROM meta WHERE key = 'settled_below') AND state IN (0, 2) \
         UNION ALL SELECT row, sub, number, dims, state, verification, NULL FROM messages \
         WHERE row IN (SELECT row FROM scheduled) \
         ORDER BY row";
    let mut select = view.conn.prepare_cached(sql)?;
    let mut rows = select.query([])?;
    let (mut found, mut last_sub) = (Vec::new(), None);
    while let Some(r) = rows.next()? {
        found.push(send(view, r, &Confirmed::default(), &mut last_sub)?);
    }
    Ok(found)
}

/// Writes which windows were charged; forgets what is older than any window.
pub(super) fn checkpoint(
    turn: &Turn<'_>,
    charged: &[(u64, Timestamp)],
    forget_before: Timestamp,
) -> Result<()> {
    let conn = turn.view.conn;
    if let Some(newest) = charged.iter().map(|(_, at)| *at).max() {
        let body = pack_checkpoint(charged);
        let sql = "INSERT INTO checkpoints (row, body) VALUES \
             (max(?1, (SELECT coalesce(max(row), 0) + 1 FROM checkpoints)), ?2)";
        conn.prepare_cached(sql)?.execute(params![Id::first_row(newest), body])?;
    }
    let sql = "DELETE FROM checkpoints WHERE row < ?1";
    conn.prepare_cached(sql)?.execute([Id::first_row(forget_before)])?;
    Ok(())
}

/// Everything that was checkpointed since an instant.
pub(super) fn past_checkpoints(view: View<'_>, since: Timestamp) -> Result<Vec<(u64, Timestamp)>> {
    let mut select = view.conn.prepare_cached("SELECT body FROM checkpoints WHERE row >= ?1 ORDER BY row")?;
    let mut rows = select.query([Id::first_row(since)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let body = row.get_ref(0)?.as_blob().map_err(|_| damaged("a checkpoint"))?;
        found.extend(unpack_checkpoint(body).filter(|(_, at)| *at >= since));
    }
    Ok(found)
}
