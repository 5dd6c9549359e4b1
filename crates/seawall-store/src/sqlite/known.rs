//! Numbers that were verified once. All of them are known in memory, so that a send asks no table: a number
//! costs about 40 bytes, and a verified number is a user, of which there are fewer than messages.

use rusqlite::{Connection, params};
use seawall_core::time::Timestamp;

use super::hot::Hot;
use super::writer::Turn;
use crate::Result;
use crate::records::KnownNumber;

/// Reads them at a start.
pub(super) fn load(conn: &Connection, hot: &mut Hot) -> Result<()> {
    let mut select = conn.prepare("SELECT number, first, last FROM known_numbers")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        hot.known.insert(row.get(0)?, (row.get(1)?, row.get(2)?));
    }
    Ok(())
}

/// Notes a confirmed code.
pub(super) fn note(turn: &mut Turn<'_>, number: i64, at: Timestamp) -> Result<()> {
    let sql = "INSERT INTO known_numbers (number, first, last) VALUES (?1, ?2, ?2)
               ON CONFLICT (number) DO UPDATE SET last = max(last, excluded.last)";
    turn.view.conn.prepare_cached(sql)?.execute(params![number, at.as_millis()])?;
    let before = {
        let mut hot = turn.hot();
        let before = hot.known.get(&number).copied();
        let (first, last) = before.unwrap_or((at.as_millis(), at.as_millis()));
        hot.known.insert(number, (first, last.max(at.as_millis())));
        before
    };
    turn.on_rollback(move |hot| {
        match before {
            Some(before) => hot.known.insert(number, before),
            None => hot.known.remove(&number),
        };
    });
    Ok(())
}

/// Forgets one; false when it was not known.
pub(super) fn forget(turn: &mut Turn<'_>, number: i64) -> Result<bool> {
    let sql = "DELETE FROM known_numbers WHERE number = ?1";
    let gone = turn.view.conn.prepare_cached(sql)?.execute([number])? > 0;
    let before = turn.hot().known.remove(&number);
    turn.on_rollback(move |hot| {
        if let Some(before) = before {
            hot.known.insert(number, before);
        }
    });
    Ok(gone)
}

/// What is known of a number.
pub(super) fn get(hot: &Hot, number: i64) -> Option<KnownNumber> {
    let (first, last) = hot.known.get(&number).copied()?;
    Some(KnownNumber { first_at: Timestamp::from_millis(first), last_at: Timestamp::from_millis(last) })
}
