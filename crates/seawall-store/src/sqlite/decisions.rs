//! Decisions: those of messages stand in their bodies, all others in packed batches.

use rusqlite::params;
use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;

use super::codec::{self, MESSAGE_COLUMNS};
use super::db::View;
use super::messages::{self, Conditions};
use super::writer::Turn;
use super::{codec::number_hash, marks};
use crate::Result;
use crate::packed::{self, Packed};
use crate::records::{
    Cursor, DecisionBody, DecisionFilter, DecisionRecord, Erasing, Json, MessageRecord, Page,
};
use crate::vault::{Place, Vault};

pub(super) const PLACE: [u8; 2] = *b"db";
/// Decisions of one row: few enough that one of them is found quickly, enough to make each cheap.
const BATCH: usize = 256;
/// Batches written at the same time may overlap; so many neighbours are looked at.
const NEIGHBOURS: u8 = 16;
/// Rows of messages read at once while merging.
const CHUNK: usize = 256;

/// A batch ready to be written.
pub(super) struct SealedBatch {
    first: i64,
    last: i64,
    body: Vec<u8>,
}

/// Packs and seals decisions.
pub(super) fn seal(vault: &Vault, mut decisions: Vec<DecisionRecord>) -> Result<Vec<SealedBatch>> {
    decisions.sort_unstable_by_key(|d| d.id);
    let chunks = decisions.chunks(BATCH).map(|chunk| {
        let row = |d: Option<&DecisionRecord>| d.map_or(0, |d| d.id.row());
        let (first, last) = (row(chunk.first()), row(chunk.last()));
        let body = vault.seal_with(Place::new(PLACE, first), |out| pack(chunk, out))?;
        Ok(SealedBatch { first, last, body })
    });
    chunks.collect()
}

fn pack(decisions: &[DecisionRecord], out: &mut Vec<u8>) {
    packed::begin(out);
    for decision in decisions {
        decision.id.pack(out);
        decision.body.pack(out);
    }
}

/// Writes batches.
pub(super) fn record(turn: &Turn<'_>, batches: Vec<SealedBatch>) -> Result<()> {
    let sql = "INSERT INTO decision_batches (first, last, body) VALUES (?1, ?2, ?3)";
    let mut insert = turn.view.conn.prepare_cached(sql)?;
    for batch in batches {
        insert.execute(params![batch.first, batch.last, batch.body])?;
    }
    Ok(())
}

fn unpack(view: View<'_>, first: i64, sealed: &[u8]) -> Result<Vec<DecisionRecord>> {
    let plain = view.vault().open_sealed(Place::new(PLACE, first), sealed)?;
    let damaged = || codec::damaged("a batch of decisions");
    let mut from = packed::begun(&plain).ok_or_else(damaged)?;
    let mut found = Vec::with_capacity(BATCH);
    while !from.is_empty() {
        let id = Id::unpack(&mut from).ok_or_else(damaged)?;
        let body = DecisionBody::unpack(&mut from).ok_or_else(damaged)?;
        found.push(DecisionRecord { id, body });
    }
    Ok(found)
}

fn of_message(message: MessageRecord) -> Result<DecisionRecord> {
    let body = message.decision.ok_or_else(|| codec::damaged("a decision"))?;
    Ok(DecisionRecord { id: message.id, body: *body })
}

/// Facts that say nothing of the person.
const IMPERSONAL: [&str; 7] =
    ["country", "number_type", "number_in_plan", "channel", "segments", "price", "currency"];

/// What of a decision is about the person is taken out of it: verdict, reasons, block and impersonal facts stay.
pub(super) fn strip(body: &mut DecisionBody) {
    body.to_hash = 0;
    body.client_ip = None;
    body.verification = None;
    let mut facts = body.facts.value();
    if let Some(facts) = facts.as_object_mut() {
        facts.retain(|name, _| IMPERSONAL.contains(&name.as_str()));
    }
    body.facts = Json::of(&facts);
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
        let mut batch = unpack(turn.view, *first, sealed)?;
        let about = batch.iter_mut().filter(|decision| decision.body.to_hash == hash);
        let changed = about.map(|decision| strip(&mut decision.body)).count();
        if changed > 0 {
            let place = Place::new(PLACE, *first);
            let body = turn.view.vault().seal_with(place, |out| pack(&batch, out))?;
            let sql = "UPDATE decision_batches SET body = ?2 WHERE first = ?1";
            turn.view.conn.prepare_cached(sql)?.execute(params![first, body])?;
            next.erased.decisions += changed as u64;
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
        let batch = unpack(view, row.get(0)?, &row.get::<_, Vec<u8>>(2)?)?;
        if let Some(found) = batch.into_iter().find(|d| d.id == id) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn matches(filter: &DecisionFilter, page: Page, to_hash: Option<u64>, decision: &DecisionRecord) -> bool {
    let (body, at) = (&decision.body, decision.id.at());
    page.before.is_none_or(|before| decision.id.row() < before)
        && filter.from.is_none_or(|from| at >= from)
        && filter.to_time.is_none_or(|to| at < to)
        && filter.subaccount.as_ref().is_none_or(|s| *s == body.subaccount_id)
        && filter.verdict.is_none_or(|verdict| verdict == body.verdict)
        && filter.reason.is_none_or(|wanted| body.reasons.iter().any(|reason| reason.code == wanted))
        && filter.ip.is_none_or(|ip| ip == body.caller_ip || body.client_ip == Some(ip))
        && to_hash.is_none_or(|hash| hash == body.to_hash)
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
        let batch = unpack(view, row.get(0)?, &row.get::<_, Vec<u8>>(2)?)?;
        found.extend(batch.into_iter().filter(|d| matches(filter, page, to_hash, d)));
    }
    Ok(found)
}

/// Row of the oldest decision that still belongs on the page; what is older is dropped.
fn oldest(found: &mut Vec<DecisionRecord>, limit: usize) -> i64 {
    found.sort_unstable_by_key(|d| std::cmp::Reverse(d.id));
    found.truncate(limit);
    found.last().map_or(i64::MIN, |d| d.id.row())
}
