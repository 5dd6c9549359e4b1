//! Every decision of a stretch of time: sealed bodies in the order of their keys, read in place, a chunk at a time.

use std::ops::ControlFlow;

use seawall_core::id::Id;
use seawall_core::time::Timestamp;
use tokio_postgres::Row;

use super::conn::Db;
use crate::packed::{self, Packed};
use crate::records::{Later, Visit};
use crate::sealed::decisions::{PLACE, SPAN};
use crate::sealed::messages::{MESSAGE_BODY, progress};
use crate::sealed::scan::{Found, OfBatch, reported};
use crate::sealed::{damaged, time};
use crate::vault::Place;
use crate::{Result, StoreError};

/// Messages read at once.
const MESSAGES: i64 = 4_000;
/// Batches read at once; each holds up to 256 decisions.
const BATCHES: i64 = 32;

/// Lends every decision between two instants to `each`, those of messages before those of batches.
pub(super) async fn decisions(db: &Db, from: Timestamp, to: Timestamp, mut each: Visit) -> Result<()> {
    let (from, until) = (Id::first_row(from), Id::first_row(to));
    let mut below = until;
    loop {
        // Whether a code was confirmed is asked of few, but a scan cannot wait for the server in between.
        let sql = "SELECT m.key, m.tail, m.body, m.progress, m.changed, v.verified FROM messages m \
             LEFT JOIN verifications v ON v.key = m.verification \
             WHERE m.key >= $1 AND m.key < $2 ORDER BY m.key DESC LIMIT $3";
        let rows = db.patient().await?.rows(sql, &[&from, &below, &MESSAGES]).await?;
        let Some(last) = rows.last() else { break };
        below = last.try_get(0)?;
        for row in &rows {
            if lend_message(db, row, &mut each)?.is_break() {
                return Ok(());
            }
        }
    }
    below = until;
    loop {
        let sql = "SELECT first, body FROM decision_batches WHERE first < $1 AND first >= $2 AND last >= $3 \
             ORDER BY first DESC LIMIT $4";
        let rows =
            db.patient().await?.rows(sql, &[&below, &from.saturating_sub(SPAN), &from, &BATCHES]).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        below = last.try_get(0)?;
        for row in &rows {
            if lend_batch(db, row, from..until, &mut each)?.is_break() {
                return Ok(());
            }
        }
    }
}

fn lend_message(db: &Db, row: &Row, each: &mut Visit) -> Result<ControlFlow<()>> {
    let key: i64 = row.try_get(0)?;
    let plain = db.vault.open_sealed(Place::new(MESSAGE_BODY, key), row.try_get(2)?)?;
    let found = packed::begun(&plain).and_then(|mut from| Found::of_message(&mut from));
    let Some(found) = found.ok_or_else(|| damaged("a message"))? else {
        return Ok(ControlFlow::Continue(()));
    };
    Ok(found.lend(key, &OfMessage { row, key }, each))
}

fn lend_batch(db: &Db, row: &Row, within: std::ops::Range<i64>, each: &mut Visit) -> Result<ControlFlow<()>> {
    let damaged = || damaged("a batch of decisions");
    let plain = db.vault.open_sealed(Place::new(PLACE, row.try_get(0)?), row.try_get(1)?)?;
    let mut from = packed::begun(&plain).ok_or_else(damaged)?;
    while !from.is_empty() {
        let (id, found) = Id::unpack(&mut from).zip(Found::decision(&mut from)).ok_or_else(damaged)?;
        if within.contains(&id.row()) && found.lend(id.row(), &OfBatch(id), each).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The decision of a message.
struct OfMessage<'r> {
    row: &'r Row,
    key: i64,
}

impl Later for OfMessage<'_> {
    fn id(&self) -> Result<Id> {
        Ok(Id::new(self.key, self.row.try_get::<_, i64>(1).map_err(StoreError::from)?.cast_unsigned()))
    }

    fn confirmed_at(&self) -> Result<Option<Timestamp>> {
        let sent = Id::new(self.key, 0).at();
        if let Some(at) = time(self.row.try_get(5)?).filter(|at| *at >= sent) {
            return Ok(Some(at));
        }
        let mut progress = progress(self.row.try_get(3)?)?;
        progress.changed_at = time(self.row.try_get(4)?).or(progress.changed_at);
        Ok(reported(&progress, self.key))
    }
}
