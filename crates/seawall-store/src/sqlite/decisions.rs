//! Decisions: those of messages stand in their bodies, all others in packed batches.

use rusqlite::params;
use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;

use super::codec::number_hash;
use super::codec::{self, MESSAGE_COLUMNS};
use super::db::View;
use super::messages::{self, Conditions};
use super::writer::Turn;
use crate::Result;
use crate::records::{Cursor, DecisionFilter, DecisionRecord, Erasing, Page};
use crate::sealed::decisions::{SealedBatch, matches, of_message, oldest, strip_batch, unpack};
use crate::sealed::marks;

/// Batches written at the same time may overlap; so many neighbours are looked at.
const NEIGHBOURS: u8 = 16;
/// Rows of messages read at once while merging.
const CHUNK: usize = 256;

/// Writes batches.
pub(super) fn record(turn: &Turn<'_>, batches: Vec<SealedBatch>) -> Result<()> {
    let sql = "INSERT INTO decision_batches (first, last, body) VALUES (?1, ?2, ?3)";
    let mut insert = turn.view.conn.prepare_cached(sql)?;
    for batch in batches {
        insert.execute(params![batch.first, batch.last, batch.body])?;
    }
    Ok(())
}

/// Strips decisions about a number in the next batches; sets the cursor behind them.
pub(super) fn erase(
    turn: &mut Turn<'_>,
    number: Msisdn,
    from: i64,
    limit: i64,
    next: &mut Erasing,
) -> Result<()> {
    let hash = number_hash(turn.view.vault(), number).cast_unsigned();
    let sql = "SELECT first, body FROM decision_batches WHERE first >= ?1 ORDER BY first LIMIT ?2";
    let mut select = turn.view.conn.prepare_cached(sql)?;
    let rows = select.query_map([from, limit], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, Vec<u8>>(1)?)))?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    for (first, sealed) in &rows {
        if let Some((body, changed)) = strip_batch(turn.view.vault(), *first, sealed, hash)? {
            let sql = "UPDATE decision_batches SET body = ?2 WHERE first = ?1";
            turn.view.conn.prepare_cached(sql)?.execute(params![first, body])?;
            next.erased.decisions += changed;
        }
    }
    next.cursor = match rows.last() {
        Some((last, _)) => Cursor::Decisions(last + 1),
        None => Cursor::Answers(i64::MIN, i64::MIN),
    };
    Ok(())
}

/// One decision.
pub(super) fn get(view: View<'_>, id: Id) -> Result<Option<DecisionRecord>> {
    if let Some(message) = messages::get(view, None, id)? {
        return Ok(Some(of_message(message)?));
    }
    let mut select = view.conn.prepare_cached(
        "SELECT first, last, body FROM decision_batches WHERE first <= ?1 ORDER BY first DESC LIMIT ?2",
    )?;
    let mut rows = select.query(params![id.row(), NEIGHBOURS])?;
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(1)? < id.row() {
            continue;
        }
        let batch = unpack(view.vault(), row.get(0)?, &row.get::<_, Vec<u8>>(2)?)?;
        if let Some(found) = batch.into_iter().find(|d| d.id == id) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Decisions of both kinds, newest first.
pub(super) fn list(view: View<'_>, filter: &DecisionFilter, page: Page) -> Result<Vec<DecisionRecord>> {
    let mut found = of_messages(view, filter, page)?;
    // Once the page is full of messages, batches matter only above the oldest of them.
    let floor =
        if found.len() < page.limit { i64::MIN } else { found.last().map_or(i64::MIN, |d| d.id.row()) };
    found.extend(of_batches(view, filter, page, floor)?);
    found.sort_unstable_by_key(|d| std::cmp::Reverse(d.id));
    found.truncate(page.limit);
    Ok(found)
}

fn of_messages(view: View<'_>, filter: &DecisionFilter, page: Page) -> Result<Vec<DecisionRecord>> {
    let (mut found, mut before) = (Vec::new(), page.before);
    let wanted = marks::wanted(view.vault(), filter);
    loop {
        let mut conditions = Conditions::default();
        conditions.rows("m.row", before, filter.from, filter.to_time);
        if !conditions.subaccount(view, "m.sub", filter.subaccount.as_deref()) {
            return Ok(found);
        }
        if wanted != 0 {
            conditions.raw(&format!("m.marks & {wanted} = {wanted}"));
        }
        let mut read = 0;
        messages::run(view, &conditions, filter.to, CHUNK, MESSAGE_COLUMNS, &mut |r| {
            read += 1;
            let message = codec::message(view, r)?;
            before = Some(message.id.row());
            let erased = filter.to.is_some() && message.to == Msisdn::ERASED;
            let decision = of_message(message)?;
            // The column was compared already, so the hash in the body need not be.
            if found.len() < page.limit && !erased && matches(filter, page, None, &decision) {
                found.push(decision);
            }
            Ok(())
        })?;
        if read < CHUNK || found.len() >= page.limit {
            return Ok(found);
        }
    }
}

fn of_batches(
    view: View<'_>,
    filter: &DecisionFilter,
    page: Page,
    floor: i64,
) -> Result<Vec<DecisionRecord>> {
    let from = filter.from.map_or(floor, |from| floor.max(Id::first_row(from)));
    let until = filter.to_time.map_or(i64::MAX, Id::first_row).min(page.before.unwrap_or(i64::MAX));
    let to_hash = filter.to.map(|to| number_hash(view.vault(), to).cast_unsigned());
    let mut select = view.conn.prepare_cached(
        "SELECT first, last, body FROM decision_batches WHERE first < ?1 ORDER BY first DESC",
    )?;
    let mut rows = select.query([until])?;
    let (mut found, mut beyond): (Vec<DecisionRecord>, u8) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let oldest_needed =
            if found.len() < page.limit { from } else { oldest(&mut found, page.limit).max(from) };
        if row.get::<_, i64>(1)? < oldest_needed {
            beyond += 1;
            if beyond > NEIGHBOURS {
                break;
            }
            continue;
        }
        let batch = unpack(view.vault(), row.get(0)?, &row.get::<_, Vec<u8>>(2)?)?;
        found.extend(batch.into_iter().filter(|d| matches(filter, page, to_hash, d)));
    }
    Ok(found)
}
