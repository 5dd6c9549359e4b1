//! Every decision of a stretch of time, as fast as the disk and the cipher allow: sealed bodies in the order
//! of their rows, read in place. A chunk at a time, so that lists of others are served in between.

use std::ops::ControlFlow;

use rusqlite::{OptionalExtension, params};
use seawall_core::id::Id;
use seawall_core::time::Timestamp;

use super::codec::{self, MESSAGE_BODY};
use super::db::{Db, View};

use crate::Result;
use crate::packed::{self, Packed};
use crate::records::{Later, Visit};
use crate::sealed::decisions::PLACE;
use crate::sealed::scan::{Found, OfBatch, reported};
use crate::vault::Place;

/// Messages read at once.
const MESSAGES: u16 = 4_000;
/// Batches read at once; each holds up to 256 decisions.
const BATCHES: u16 = 32;

/// A stretch of rows.
#[derive(Clone, Copy)]
struct Stretch {
    from: i64,
    until: i64,
}

/// Where a chunk ended: the row to go on below, or that there is nothing more to read.
type Next = ControlFlow<(), Option<i64>>;

/// Lends every decision between two instants to `each`, newest first, those of messages before those of
/// batches.
pub(super) async fn decisions(db: &Db, from: Timestamp, to: Timestamp, mut each: Visit) -> Result<()> {
    let all = Stretch { from: Id::first_row(from), until: Id::first_row(to) };
    for chunk in [messages as Chunk, batches] {
        let mut next = Some(all.until);
        while let Some(row) = next {
            let read = move |view: View<'_>| chunk(view, all, row, &mut each).map(|end| (end, each));
            let (end, back) = db.list(read).await?;
            each = back;
            match end {
                ControlFlow::Continue(row) => next = row,
                ControlFlow::Break(()) => return Ok(()),
            }
        }
    }
    Ok(())
}

/// Reads some rows below one.
type Chunk = fn(View<'_>, Stretch, i64, &mut Visit) -> Result<Next>;

fn messages(view: View<'_>, all: Stretch, below: i64, each: &mut Visit) -> Result<Next> {
    let mut select = view.conn.prepare_cached(
        "SELECT row, body FROM messages WHERE row >= ?1 AND row < ?2 ORDER BY row DESC LIMIT ?3",
    )?;
    let mut rows = select.query(params![all.from, below, MESSAGES])?;
    let (mut read, mut last) = (0, below);
    while let Some(r) = rows.next()? {
        let row: i64 = r.get(0)?;
        (read, last) = (read + 1, row);
        let sealed = r.get_ref(1)?.as_blob().map_err(|_| codec::damaged("a message"))?;
        let plain = view.vault().open_sealed(Place::new(MESSAGE_BODY, row), sealed)?;
        let found = packed::begun(&plain).and_then(|mut from| Found::of_message(&mut from));
        let Some(found) = found.ok_or_else(|| codec::damaged("a message"))? else { continue };
        let later = OfMessage { view, row, verification: found.verification };
        if found.lend(row, &later, each).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue((read == MESSAGES).then_some(last)))
}

/// A batch may begin long before its last decision.
fn batches(view: View<'_>, all: Stretch, below: i64, each: &mut Visit) -> Result<Next> {
    let mut select = view.conn.prepare_cached(
        "SELECT first, body FROM decision_batches WHERE first < ?1 AND last >= ?2 ORDER BY first DESC LIMIT ?3",
    )?;
    let mut rows = select.query(params![below, all.from, BATCHES])?;
    let (mut read, mut last) = (0, below);
    while let Some(r) = rows.next()? {
        let first: i64 = r.get(0)?;
        (read, last) = (read + 1, first);
        let sealed = r.get_ref(1)?.as_blob().map_err(|_| codec::damaged("a batch of decisions"))?;
        let plain = view.vault().open_sealed(Place::new(PLACE, first), sealed)?;
        let mut from = packed::begun(&plain).ok_or_else(|| codec::damaged("a batch of decisions"))?;
        while !from.is_empty() {
            let read = Id::unpack(&mut from).zip(Found::decision(&mut from));
            let (id, found) = read.ok_or_else(|| codec::damaged("a batch of decisions"))?;
            let within = (all.from..all.until).contains(&id.row());
            if within && found.lend(id.row(), &OfBatch(id), each).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue((read == BATCHES).then_some(last)))
}

/// The decision of a message.
struct OfMessage<'v> {
    view: View<'v>,
    row: i64,
    verification: Option<Id>,
}

impl Later for OfMessage<'_> {
    fn id(&self) -> Result<Id> {
        let mut select = self.view.conn.prepare_cached("SELECT tail FROM messages WHERE row = ?1")?;
        let tail: Option<i64> = select.query_row([self.row], |r| r.get(0)).optional()?;
        Ok(Id::new(self.row, tail.unwrap_or_default().cast_unsigned()))
    }

    fn confirmed_at(&self) -> Result<Option<Timestamp>> {
        let conn = self.view.conn;
        if let Some(id) = self.verification {
            let mut select = conn.prepare_cached("SELECT verified FROM verifications WHERE row = ?1")?;
            let at: Option<Option<i64>> = select.query_row([id.row()], |r| r.get(0)).optional()?;
            let sent = Id::new(self.row, 0).at().as_millis();
            if let Some(at) = at.flatten().filter(|at| *at >= sent) {
                return Ok(Some(Timestamp::from_millis(at)));
            }
        }
        let mut select = conn.prepare_cached("SELECT progress FROM messages WHERE row = ?1")?;
        let bytes: Option<Vec<u8>> = select.query_row([self.row], |r| r.get(0)).optional()?;
        let Some(bytes) = bytes else { return Ok(None) };
        Ok(reported(&codec::progress(&bytes)?, self.row))
    }
}
