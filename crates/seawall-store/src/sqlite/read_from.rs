//! From which messages on a start reads what is kept in memory. Now and then it moves on, and it goes back when an older
//! message waits again: messages are not accepted quite in the order of their ids, and scheduled ones wait long.

use rusqlite::{Connection, OptionalExtension};

use super::hot::Hot;
use super::writer::Turn;
use crate::Result;

const WAITING: &str = "settled_below";
const OPEN: &str = "open_from";

/// As it stands in the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ReadFrom {
    /// Below it nothing is queued or being submitted; what is scheduled has a table.
    pub(super) waiting: i64,
    /// Below it every open verification has a row of its own.
    pub(super) open: i64,
}

impl ReadFrom {
    /// What a database says.
    pub(super) fn load(conn: &Connection) -> Result<Self> {
        let mut select = conn.prepare("SELECT value FROM meta WHERE key = ?1")?;
        let mut value = |key| select.query_row([key], |r| r.get(0)).optional().map(Option::unwrap_or_default);
        Ok(ReadFrom { waiting: value(WAITING)?, open: value(OPEN)? })
    }

    /// As far as it may move when the newest message has this row.
    fn of(hot: &Hot, newest: i64, now: i64) -> Self {
        let least = |first: Option<i64>| first.unwrap_or(newest).min(newest);
        ReadFrom { waiting: least(hot.queue.settled_below()), open: least(hot.open.oldest(now)) }
    }
}

/// Moves on, so far that everything that waits or is open is read still.
pub(super) fn advance(turn: &mut Turn<'_>, newest: i64) -> Result<()> {
    let now = turn.view.shared.latest();
    let from = ReadFrom::of(&turn.hot(), newest, now);
    set(turn, from)
}

/// Goes back to messages that were accepted or that wait again, where they would not be read.
pub(super) fn reach(turn: &mut Turn<'_>, rows: ReadFrom) -> Result<()> {
    let from = turn.hot().read_from;
    set(turn, ReadFrom { waiting: from.waiting.min(rows.waiting), open: from.open.min(rows.open) })
}

fn set(turn: &mut Turn<'_>, from: ReadFrom) -> Result<()> {
    let before = std::mem::replace(&mut turn.hot().read_from, from);
    if before == from {
        return Ok(());
    }
    turn.on_rollback(move |hot| hot.read_from = before);
    let mut write = turn.view.conn.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?;
    write.execute((WAITING, from.waiting))?;
    write.execute((OPEN, from.open))?;
    Ok(())
}
