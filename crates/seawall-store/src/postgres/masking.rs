//! Masking sessions, pairs and calls. The primary key of `mask_pairs` is what makes a pair name one session on all
//! nodes; the lock of each party's number lets one of them choose at a time.

use async_trait::async_trait;
use seawall_core::id::Id;
use seawall_core::masking::call::CallResult;
use seawall_core::masking::select::select;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use tokio_postgres::Row;

use super::PostgresStore;
use super::conn::{Conn, Db, Values};
use crate::masking::{CallFilter, CallRecord, KeepAnswer, MaskFilter, MaskRecord, Masks};
use crate::records::Page;
use crate::sealed::answers::SealedKey;
use crate::sealed::masking::{self as sealed, Columns};
use crate::sealed::number_hash;
use crate::{Result, StoreError};

const SESSIONS: &str = "SELECT key, tail, sub, revision, over, body FROM mask_sessions";
const CALLS: &str = "SELECT key, tail, sub, revision, body FROM mask_calls";

fn columns(row: &Row) -> Result<Columns> {
    Ok(Columns {
        row: row.try_get(0)?,
        tail: row.try_get(1)?,
        sub: row.try_get(2)?,
        revision: row.try_get(3)?,
    })
}

async fn sessions(db: &Db, rest: &str, values: Values<'_>) -> Result<Vec<MaskRecord>> {
    let rows = db.soon().await?.rows(&format!("{SESSIONS} {rest}"), values).await?;
    let open = |row: &Row| sealed::open_mask(&db.vault, columns(row)?, row.try_get(4)?, row.try_get(5)?);
    rows.iter().map(open).collect()
}

async fn calls(db: &Db, conn: &mut Conn, rest: &str, values: Values<'_>) -> Result<Vec<CallRecord>> {
    let rows = conn.rows(&format!("{CALLS} {rest}"), values).await?;
    rows.iter().map(|row| sealed::open_call(&db.vault, columns(row)?, row.try_get(4)?)).collect()
}

async fn open(
    db: &Db,
    conn: &mut Conn,
    mut record: MaskRecord,
    candidates: &[Msisdn],
    now: Timestamp,
) -> Result<Option<MaskRecord>> {
    let (a, b) = (number_hash(&db.vault, record.session.a), number_hash(&db.vault, record.session.b));
    // In one order on all nodes, so that none waits for the other in a circle.
    conn.lock_number(a.min(b)).await?;
    conn.lock_number(a.max(b)).await?;
    let sql = "DELETE FROM mask_pairs WHERE caller IN ($1, $2) AND free <= $3";
    conn.run(sql, &[&a, &b, &now.as_millis()]).await?;
    let rows = conn.rows("SELECT mask FROM mask_pairs WHERE caller IN ($1, $2)", &[&a, &b]).await?;
    let taken = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<Vec<i64>>>()?;
    let hashes: Vec<i64> = candidates.iter().map(|n| number_hash(&db.vault, *n)).collect();
    let chosen = select((a, b), &hashes, &taken);
    let Some((mask, number)) = chosen.and_then(|hash| {
        let at = hashes.iter().position(|h| *h == hash)?;
        Some((hash, *candidates.get(at)?))
    }) else {
        return Ok(None);
    };
    record.session.mask = number;
    record.revision = 1;
    let (key, tail, free) = (record.id.row(), record.id.tail().cast_signed(), record.free_at().as_millis());
    let sql =
        "INSERT INTO mask_pairs (mask, caller, session, free) VALUES ($1, $2, $4, $5), ($1, $3, $4, $5)";
    conn.run(sql, &[&mask, &a, &b, &key, &free]).await?;
    let body = sealed::seal_mask(&db.vault, &record)?;
    let sql = "INSERT INTO mask_sessions (key, tail, sub, a, b, ends, over, revision, body) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8)";
    let values: Values<'_> = &[&key, &tail, &record.subaccount, &a, &b, &ends(&record), &record.over, &body];
    conn.run(sql, values).await?;
    Ok(Some(record))
}

/// Takes an idempotency key; `Conflict` when somebody has it. What the transaction wrote goes back with it.
async fn keep(db: &Db, conn: &mut Conn, answer: &KeepAnswer, record: &MaskRecord) -> Result<()> {
    let key = SealedKey::new(&db.vault, &(answer.render)(record))?;
    let sql = "INSERT INTO idempotency (hash, at, body) VALUES ($1, $2, $3) ON CONFLICT (hash) DO NOTHING";
    match conn.run(sql, &[&key.hash, &key.at, &key.body]).await? {
        0 => Err(StoreError::Conflict),
        _ => Ok(()),
    }
}

fn ends(record: &MaskRecord) -> i64 {
    record.ends().unwrap_or(Timestamp::MAX).as_millis()
}

async fn change(db: &Db, conn: &mut Conn, mut record: MaskRecord) -> Result<MaskRecord> {
    let (key, tail, before) =
        (record.id.row(), record.id.tail().cast_signed(), record.revision.cast_signed());
    record.revision = record.revision.saturating_add(1);
    let (after, body) = (record.revision.cast_signed(), sealed::seal_mask(&db.vault, &record)?);
    let sql = "UPDATE mask_sessions SET ends = $4, over = $5, revision = $6, body = $7 \
         WHERE key = $1 AND tail = $2 AND revision = $3";
    let values: Values<'_> = &[&key, &tail, &before, &ends(&record), &record.over, &after, &body];
    if conn.run(sql, values).await? == 0 {
        return Err(StoreError::Conflict);
    }
    let sql = "UPDATE mask_pairs SET free = $2 WHERE session = $1";
    conn.run(sql, &[&key, &record.free_at().as_millis()]).await?;
    Ok(record)
}

/// False when a call with this reference is there already.
async fn insert_call(db: &Db, conn: &mut Conn, record: &CallRecord) -> Result<bool> {
    let vault = &db.vault;
    let (key, tail) = (record.id.row(), record.id.tail().cast_signed());
    let (mask, caller) = (number_hash(vault, record.mask), number_hash(vault, record.from));
    let callee = record.to.map(|to| number_hash(vault, to));
    let reference = sealed::reference_hash(vault, &record.via, &record.reference);
    let (session, result) = (record.session.map(Id::row), sealed::result_column(&record.call));
    let (revision, body) = (record.revision.cast_signed(), sealed::seal_call(vault, record)?);
    let sql = "INSERT INTO mask_calls \
         (key, tail, sub, session, mask, caller, callee, reference, result, revision, body) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (reference) DO NOTHING";
    let values: Values<'_> = &[
        &key,
        &tail,
        &record.subaccount,
        &session,
        &mask,
        &caller,
        &callee,
        &reference,
        &result,
        &revision,
        &body,
    ];
    Ok(conn.run(sql, values).await? > 0)
}

async fn named(db: &Db, conn: &mut Conn, via: &str, reference: &str) -> Result<Option<CallRecord>> {
    let hash = sealed::reference_hash(&db.vault, via, reference);
    Ok(calls(db, conn, "WHERE reference = $1", &[&hash]).await?.into_iter().next())
}

/// Deletes what is known of a number; see the same in SQLite.
pub(super) async fn erase(conn: &mut Conn, number: i64) -> Result<u64> {
    let mut count = conn.run("DELETE FROM mask_sessions WHERE a = $1 OR b = $1", &[&number]).await?;
    count += conn.run("DELETE FROM mask_calls WHERE caller = $1 OR callee = $1", &[&number]).await?;
    conn.run("DELETE FROM mask_pairs WHERE caller = $1", &[&number]).await?;
    Ok(count)
}

#[async_trait]
impl Masks for PostgresStore {
    async fn open_mask(
        &self,
        record: MaskRecord,
        candidates: Vec<Msisdn>,
        now: Timestamp,
        answer: Option<KeepAnswer>,
    ) -> Result<Option<MaskRecord>> {
        let mut conn = self.db.soon().await?;
        conn.begin().await?;
        let opened = open(&self.db, &mut conn, record, &candidates, now).await?;
        if let (Some(opened), Some(answer)) = (&opened, &answer) {
            keep(&self.db, &mut conn, answer, opened).await?;
        }
        conn.commit().await?;
        Ok(opened)
    }

    async fn mask(&self, id: Id) -> Result<Option<MaskRecord>> {
        let found = sessions(&self.db, "WHERE key = $1", &[&id.row()]).await?;
        Ok(found.into_iter().find(|record| record.id == id))
    }

    async fn mask_of(&self, caller: Msisdn, mask: Msisdn) -> Result<Option<MaskRecord>> {
        let vault = &self.db.vault;
        let pair: Values<'_> = &[&number_hash(vault, mask), &number_hash(vault, caller)];
        let rest = "WHERE key = (SELECT session FROM mask_pairs WHERE mask = $1 AND caller = $2)";
        let found = sessions(&self.db, rest, pair).await?;
        Ok(found.into_iter().find(|r| r.session.mask == mask && r.session.party(caller).is_some()))
    }

    async fn change_mask(&self, record: MaskRecord) -> Result<MaskRecord> {
        let mut conn = self.db.soon().await?;
        conn.begin().await?;
        let changed = change(&self.db, &mut conn, record).await?;
        conn.commit().await?;
        Ok(changed)
    }

    async fn masks(&self, filter: MaskFilter, page: Page) -> Result<Vec<MaskRecord>> {
        let party = filter.party.map(|party| number_hash(&self.db.vault, party));
        let over = filter.open.map(|open| !open);
        let (before, limit) =
            (page.before.unwrap_or(i64::MAX), i64::try_from(page.limit).unwrap_or(i64::MAX));
        let rest = "WHERE key < $1 AND ($2::text IS NULL OR sub = $2) AND ($3::bigint IS NULL OR a = $3 OR b = $3) \
             AND ($4::boolean IS NULL OR over = $4) ORDER BY key DESC LIMIT $5";
        sessions(&self.db, rest, &[&before, &filter.subaccount, &party, &over, &limit]).await
    }

    async fn masks_due(&self, now: Timestamp, limit: usize) -> Result<Vec<MaskRecord>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rest = "WHERE NOT over AND ends <= $1 ORDER BY ends LIMIT $2";
        sessions(&self.db, rest, &[&now.as_millis(), &limit]).await
    }

    async fn keep_call(&self, mut record: CallRecord) -> Result<CallRecord> {
        let mut conn = self.db.soon().await?;
        record.revision = 1;
        if insert_call(&self.db, &mut conn, &record).await? {
            return Ok(record);
        }
        let there = named(&self.db, &mut conn, &record.via, &record.reference).await?;
        there.ok_or(StoreError::Conflict)
    }

    async fn change_call(&self, mut record: CallRecord) -> Result<CallRecord> {
        let (key, tail, before) =
            (record.id.row(), record.id.tail().cast_signed(), record.revision.cast_signed());
        record.revision = record.revision.saturating_add(1);
        let body = sealed::seal_call(&self.db.vault, &record)?;
        let sql = "UPDATE mask_calls SET result = $4, revision = $5, body = $6 WHERE key = $1 AND tail = $2 AND revision = $3";
        let (result, after) = (sealed::result_column(&record.call), record.revision.cast_signed());
        let changed = self.db.soon().await?.run(sql, &[&key, &tail, &before, &result, &after, &body]).await?;
        if changed == 0 { Err(StoreError::Conflict) } else { Ok(record) }
    }

    async fn call(&self, id: Id) -> Result<Option<CallRecord>> {
        let mut conn = self.db.soon().await?;
        let found = calls(&self.db, &mut conn, "WHERE key = $1", &[&id.row()]).await?;
        Ok(found.into_iter().find(|record| record.id == id))
    }

    async fn call_named(&self, via: &str, reference: &str) -> Result<Option<CallRecord>> {
        named(&self.db, &mut self.db.soon().await?, via, reference).await
    }

    async fn calls(&self, filter: CallFilter, page: Page) -> Result<Vec<CallRecord>> {
        let mask = filter.mask.map(|mask| number_hash(&self.db.vault, mask));
        let party = filter.party.map(|party| number_hash(&self.db.vault, party));
        let session = filter.session.map(Id::row);
        let (before, limit) =
            (page.before.unwrap_or(i64::MAX), i64::try_from(page.limit).unwrap_or(i64::MAX));
        let rest = "WHERE key < $1 AND ($2::text IS NULL OR sub = $2) AND ($3::bigint IS NULL OR session = $3) \
             AND ($4::bigint IS NULL OR mask = $4) AND ($5::bigint IS NULL OR caller = $5 OR callee = $5) \
             ORDER BY key DESC LIMIT $6";
        let mut conn = self.db.soon().await?;
        let values: Values<'_> = &[&before, &filter.subaccount, &session, &mask, &party, &limit];
        calls(&self.db, &mut conn, rest, values).await
    }

    async fn last_results(&self, mask: Msisdn, limit: usize) -> Result<Vec<(Timestamp, CallResult)>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = "SELECT key, result FROM mask_calls WHERE mask = $1 AND result IS NOT NULL ORDER BY key DESC LIMIT $2";
        let hash = number_hash(&self.db.vault, mask);
        let rows = self.db.soon().await?.rows(sql, &[&hash, &limit]).await?;
        let read = |row: &Row| Ok((Id::new(row.try_get(0)?, 0).at(), sealed::result_of(row.try_get(1)?)?));
        rows.iter().map(read).collect()
    }

    async fn prune_masks(&self, over_before: Timestamp, now: Timestamp, limit: usize) -> Result<u64> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let conn = self.db.soon().await?;
        let (before, first) = (over_before.as_millis(), Id::first_row(over_before));
        let sql = "DELETE FROM mask_pairs WHERE ctid = ANY(ARRAY(SELECT ctid FROM mask_pairs WHERE free <= $1 LIMIT $2))";
        let mut gone = conn.run(sql, &[&now.as_millis(), &limit]).await?;
        let sql = "DELETE FROM mask_sessions WHERE key IN \
             (SELECT key FROM mask_sessions WHERE over AND ends < $1 ORDER BY ends LIMIT $2)";
        gone += conn.run(sql, &[&before, &limit]).await?;
        let sql = "DELETE FROM mask_calls WHERE key IN (SELECT key FROM mask_calls WHERE key < $1 ORDER BY key LIMIT $2)";
        gone += conn.run(sql, &[&first, &limit]).await?;
        Ok(gone)
    }
}
