//! Masking sessions, pairs and calls. The primary key of `mask_pairs` is what makes a pair name one session.

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Row, params, params_from_iter};
use seawall_core::id::Id;
use seawall_core::masking::call::CallResult;
use seawall_core::masking::select::select;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;

use super::codec::number_hash;
use super::db::View;
use super::writer::Turn;
use super::{SqliteStore, idempotency};
use crate::masking::{CallFilter, CallRecord, KeepAnswer, MaskFilter, MaskRecord, Masks};
use crate::records::Page;
use crate::sealed::answers::{self, SealedKey};
use crate::sealed::masking::{self as sealed, Columns};
use crate::{Result, StoreError};

const SESSIONS: &str = "SELECT row, tail, sub, revision, over, body FROM mask_sessions";
const CALLS: &str = "SELECT row, tail, sub, revision, body FROM mask_calls";

fn columns(r: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok(Columns { row: r.get(0)?, tail: r.get(1)?, sub: r.get(2)?, revision: r.get(3)? })
}

fn sessions(view: View<'_>, rest: &str, values: Vec<Value>) -> Result<Vec<MaskRecord>> {
    let mut select = view.conn.prepare_cached(&format!("{SESSIONS} {rest}"))?;
    let mut rows = select.query(params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        found.push(sealed::open_mask(view.vault(), columns(r)?, r.get(4)?, &r.get::<_, Vec<u8>>(5)?)?);
    }
    Ok(found)
}

fn calls(view: View<'_>, rest: &str, values: Vec<Value>) -> Result<Vec<CallRecord>> {
    let mut select = view.conn.prepare_cached(&format!("{CALLS} {rest}"))?;
    let mut rows = select.query(params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        found.push(sealed::open_call(view.vault(), columns(r)?, &r.get::<_, Vec<u8>>(4)?)?);
    }
    Ok(found)
}

/// The conditions of a list, newest first. Only those that are asked for stand in it, so that their indexes serve.
struct Newest {
    rest: String,
    values: Vec<Value>,
}

impl Newest {
    fn before(page: Page) -> Self {
        let values = vec![page.before.unwrap_or(i64::MAX).into()];
        Newest { rest: "WHERE row < ?1".to_owned(), values }
    }

    /// One more condition, if there is a value for its `?`.
    fn and(&mut self, condition: &str, value: Option<Value>) {
        let Some(value) = value else { return };
        self.values.push(value);
        self.rest.push_str(&format!(" AND {}", condition.replace('?', &format!("?{}", self.values.len()))));
    }

    fn limited(mut self, page: Page) -> (String, Vec<Value>) {
        self.values.push(limit(page).into());
        self.rest.push_str(&format!(" ORDER BY row DESC LIMIT ?{}", self.values.len()));
        (self.rest, self.values)
    }
}

/// Virtual numbers that either party has; those whose time is over are freed.
fn taken(turn: &Turn<'_>, (a, b): (i64, i64), now: Timestamp) -> Result<Vec<i64>> {
    let conn = turn.view.conn;
    let sql = "DELETE FROM mask_pairs WHERE caller IN (?1, ?2) AND free <= ?3";
    conn.prepare_cached(sql)?.execute(params![a, b, now.as_millis()])?;
    let mut select = conn.prepare_cached("SELECT mask FROM mask_pairs WHERE caller IN (?1, ?2)")?;
    let found = select.query_map([a, b], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(found)
}

fn open(
    turn: &mut Turn<'_>,
    mut record: MaskRecord,
    candidates: &[Msisdn],
    now: Timestamp,
    answer: Option<KeepAnswer>,
) -> Result<Option<MaskRecord>> {
    let vault = turn.view.vault();
    // Before the first write: whoever fails here fails alone.
    if let Some(answer) = &answer
        && idempotency::is_taken(turn.view, answers::hash(vault, &answer.key))?
    {
        return Err(StoreError::Conflict);
    }
    let parties = (number_hash(vault, record.session.a), number_hash(vault, record.session.b));
    let hashes: Vec<i64> = candidates.iter().map(|n| number_hash(vault, *n)).collect();
    let chosen = select(parties, &hashes, &taken(turn, parties, now)?);
    let Some((mask, number)) = chosen.and_then(|hash| {
        let at = hashes.iter().position(|h| *h == hash)?;
        Some((hash, *candidates.get(at)?))
    }) else {
        return Ok(None);
    };
    record.session.mask = number;
    record.revision = 1;
    let conn = turn.view.conn;
    let sql = "INSERT INTO mask_pairs (mask, caller, session, free) VALUES (?1, ?2, ?3, ?4)";
    for caller in [parties.0, parties.1] {
        let values = params![mask, caller, record.id.row(), record.free_at().as_millis()];
        conn.prepare_cached(sql)?.execute(values)?;
    }
    let sql = "INSERT INTO mask_sessions (row, tail, sub, a, b, ends, over, revision, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8)";
    conn.prepare_cached(sql)?.execute(params![
        record.id.row(),
        record.id.tail().cast_signed(),
        record.subaccount,
        parties.0,
        parties.1,
        ends(&record),
        record.over,
        sealed::seal_mask(vault, &record)?,
    ])?;
    if let Some(answer) = answer {
        idempotency::insert(&SealedKey::new(vault, &(answer.render)(&record))?, turn)?;
    }
    Ok(Some(record))
}

fn ends(record: &MaskRecord) -> i64 {
    record.ends().unwrap_or(Timestamp::MAX).as_millis()
}

fn change(turn: &Turn<'_>, mut record: MaskRecord) -> Result<MaskRecord> {
    let (conn, row) = (turn.view.conn, record.id.row());
    let before = record.revision.cast_signed();
    record.revision = record.revision.saturating_add(1);
    let sql = "UPDATE mask_sessions SET ends = ?4, over = ?5, revision = ?6, body = ?7 \
         WHERE row = ?1 AND tail = ?2 AND revision = ?3";
    let changed = conn.prepare_cached(sql)?.execute(params![
        row,
        record.id.tail().cast_signed(),
        before,
        ends(&record),
        record.over,
        record.revision.cast_signed(),
        sealed::seal_mask(turn.view.vault(), &record)?,
    ])?;
    if changed == 0 {
        return Err(StoreError::Conflict);
    }
    let sql = "UPDATE mask_pairs SET free = ?2 WHERE session = ?1";
    conn.prepare_cached(sql)?.execute(params![row, record.free_at().as_millis()])?;
    Ok(record)
}

fn write_call(turn: &Turn<'_>, record: &CallRecord) -> Result<()> {
    let vault = turn.view.vault();
    let sql = "INSERT OR REPLACE INTO mask_calls \
         (row, tail, sub, session, mask, caller, callee, reference, result, revision, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    turn.view.conn.prepare_cached(sql)?.execute(params![
        record.id.row(),
        record.id.tail().cast_signed(),
        record.subaccount,
        record.session.map(Id::row),
        number_hash(vault, record.mask),
        number_hash(vault, record.from),
        record.to.map(|to| number_hash(vault, to)),
        sealed::reference_hash(vault, &record.via, &record.reference),
        sealed::result_column(&record.call),
        record.revision.cast_signed(),
        sealed::seal_call(vault, record)?,
    ])?;
    Ok(())
}

fn named(view: View<'_>, via: &str, reference: &str) -> Result<Option<CallRecord>> {
    let hash = sealed::reference_hash(view.vault(), via, reference);
    Ok(calls(view, "WHERE reference = ?1", vec![hash.into()])?.into_iter().next())
}

fn change_call(turn: &Turn<'_>, mut record: CallRecord) -> Result<CallRecord> {
    let there = calls(turn.view, "WHERE row = ?1", vec![record.id.row().into()])?;
    if !there.iter().any(|one| one.id == record.id && one.revision == record.revision) {
        return Err(StoreError::Conflict);
    }
    record.revision = record.revision.saturating_add(1);
    write_call(turn, &record)?;
    Ok(record)
}

/// Deletes what is known of a number: its sessions, its calls, its own pairs. The other party's pair stays until its
/// time is over, so that the virtual number leads nobody astray. Returns how many rows went.
pub(super) fn erase(turn: &Turn<'_>, number: i64) -> Result<u64> {
    let gone = |sql: &str| -> Result<u64> {
        Ok(u64::try_from(turn.view.conn.prepare_cached(sql)?.execute([number])?).unwrap_or(0))
    };
    let mut count = gone("DELETE FROM mask_sessions WHERE a = ?1")?;
    count += gone("DELETE FROM mask_sessions WHERE b = ?1")?;
    count += gone("DELETE FROM mask_calls WHERE caller = ?1")?;
    count += gone("DELETE FROM mask_calls WHERE callee = ?1")?;
    gone("DELETE FROM mask_pairs WHERE caller = ?1")?;
    Ok(count)
}

fn prune(turn: &Turn<'_>, over_before: Timestamp, now: Timestamp, limit: i64) -> Result<u64> {
    let conn = turn.view.conn;
    let (before, first) = (over_before.as_millis(), Id::first_row(over_before));
    let mut gone = conn
        .prepare_cached(
            "DELETE FROM mask_pairs WHERE rowid IN (SELECT rowid FROM mask_pairs WHERE free <= ?1 LIMIT ?2)",
        )?
        .execute([now.as_millis(), limit])?;
    gone += conn
        .prepare_cached(
            "DELETE FROM mask_sessions WHERE row IN \
             (SELECT row FROM mask_sessions WHERE over = 1 AND ends < ?1 ORDER BY ends LIMIT ?2)",
        )?
        .execute([before, limit])?;
    gone += conn
        .prepare_cached("DELETE FROM mask_calls WHERE row IN (SELECT row FROM mask_calls WHERE row < ?1 ORDER BY row LIMIT ?2)")?
        .execute([first, limit])?;
    Ok(u64::try_from(gone).unwrap_or(u64::MAX))
}

fn limit(page: Page) -> i64 {
    i64::try_from(page.limit).unwrap_or(i64::MAX)
}

#[async_trait]
impl Masks for SqliteStore {
    async fn open_mask(
        &self,
        record: MaskRecord,
        candidates: Vec<Msisdn>,
        now: Timestamp,
        answer: Option<KeepAnswer>,
    ) -> Result<Option<MaskRecord>> {
        self.db.write(4, move |turn| open(turn, record, &candidates, now, answer)).await
    }

    async fn mask(&self, id: Id) -> Result<Option<MaskRecord>> {
        let found =
            self.db.point(move |view| sessions(view, "WHERE row = ?1", vec![id.row().into()])).await?;
        Ok(found.into_iter().find(|record| record.id == id))
    }

    async fn mask_of(&self, caller: Msisdn, mask: Msisdn) -> Result<Option<MaskRecord>> {
        let of = move |view: View<'_>| {
            let pair = vec![number_hash(view.vault(), mask).into(), number_hash(view.vault(), caller).into()];
            let rest = "WHERE row = (SELECT session FROM mask_pairs WHERE mask = ?1 AND caller = ?2)";
            sessions(view, rest, pair)
        };
        let found = self.db.point(of).await?;
        Ok(found.into_iter().find(|r| r.session.mask == mask && r.session.party(caller).is_some()))
    }

    async fn change_mask(&self, record: MaskRecord) -> Result<MaskRecord> {
        self.db.write(3, move |turn| change(turn, record)).await
    }

    async fn masks(&self, filter: MaskFilter, page: Page) -> Result<Vec<MaskRecord>> {
        let of = move |view: View<'_>| {
            let mut newest = Newest::before(page);
            newest.and("sub = ?", filter.subaccount.map(Value::from));
            newest.and("(a = ? OR b = ?)", filter.party.map(|party| number_hash(view.vault(), party).into()));
            newest.and("over = ?", filter.open.map(|open| i64::from(!open).into()));
            let (rest, values) = newest.limited(page);
            sessions(view, &rest, values)
        };
        self.db.list(of).await
    }

    async fn masks_due(&self, now: Timestamp, limit: usize) -> Result<Vec<MaskRecord>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rest = "WHERE over = 0 AND ends <= ?1 ORDER BY ends LIMIT ?2";
        self.db.list(move |view| sessions(view, rest, vec![now.as_millis().into(), limit.into()])).await
    }

    async fn keep_call(&self, mut record: CallRecord) -> Result<CallRecord> {
        let keep = move |turn: &mut Turn<'_>| {
            if let Some(there) = named(turn.view, &record.via, &record.reference)? {
                return Ok(there);
            }
            record.revision = 1;
            write_call(turn, &record)?;
            Ok(record)
        };
        self.db.write(1, keep).await
    }

    async fn change_call(&self, record: CallRecord) -> Result<CallRecord> {
        self.db.write(1, move |turn| change_call(turn, record)).await
    }

    async fn call(&self, id: Id) -> Result<Option<CallRecord>> {
        let found = self.db.point(move |view| calls(view, "WHERE row = ?1", vec![id.row().into()])).await?;
        Ok(found.into_iter().find(|record| record.id == id))
    }

    async fn call_named(&self, via: &str, reference: &str) -> Result<Option<CallRecord>> {
        let (via, reference) = (via.to_owned(), reference.to_owned());
        self.db.point(move |view| named(view, &via, &reference)).await
    }

    async fn calls(&self, filter: CallFilter, page: Page) -> Result<Vec<CallRecord>> {
        let of = move |view: View<'_>| {
            let mut newest = Newest::before(page);
            newest.and("sub = ?", filter.subaccount.map(Value::from));
            newest.and("session = ?", filter.session.map(|session| session.row().into()));
            newest.and("mask = ?", filter.mask.map(|mask| number_hash(view.vault(), mask).into()));
            let party = filter.party.map(|party| number_hash(view.vault(), party).into());
            newest.and("(caller = ? OR callee = ?)", party);
            let (rest, values) = newest.limited(page);
            calls(view, &rest, values)
        };
        self.db.list(of).await
    }

    async fn last_results(&self, mask: Msisdn, limit: usize) -> Result<Vec<(Timestamp, CallResult)>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let of = move |view: View<'_>| {
            let sql = "SELECT row, result FROM mask_calls WHERE mask = ?1 AND result IS NOT NULL ORDER BY row DESC LIMIT ?2";
            let mut select = view.conn.prepare_cached(sql)?;
            let mut rows = select.query(params![number_hash(view.vault(), mask), limit])?;
            let mut found = Vec::new();
            while let Some(r) = rows.next()? {
                found.push((Id::new(r.get(0)?, 0).at(), sealed::result_of(r.get(1)?)?));
            }
            Ok(found)
        };
        self.db.point(of).await
    }

    async fn prune_masks(&self, over_before: Timestamp, now: Timestamp, limit: usize) -> Result<u64> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.db
            .write(limit.unsigned_abs().try_into().unwrap_or(1), move |turn| {
                prune(turn, over_before, now, limit)
            })
            .await
    }
}
