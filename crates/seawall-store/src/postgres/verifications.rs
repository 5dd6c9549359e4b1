//! Reading verifications, and who may write one.

use hashbrown::HashMap;
use seawall_core::id::Id;
use seawall_core::time::Timestamp;
use seawall_core::verification::VerificationState;
use tokio_postgres::Row;

use super::conn::{Conn, Db};
use super::query::Conditions;
use super::reader::Question;
use crate::Result;
use crate::records::{Page, VerificationFilter, VerificationRecord};
use crate::sealed::number_hash;
use crate::sealed::verifications::{VerificationRow, seal_verification};
use crate::vault::Vault;

const CHANGED: &str = "key, sub, revision, body, true FROM verifications v";
const BEGUN: &str = "key, sub, 1::bigint, body, false FROM messages m";
const IS_BEGUN: &str =
    "verification = key AND NOT EXISTS (SELECT 1 FROM verifications v WHERE v.key = m.key)";

fn read(vault: &Vault, row: &Row) -> Result<Option<VerificationRecord>> {
    let found = VerificationRow {
        row: row.try_get(0)?,
        subaccount: row.try_get(1)?,
        revision: row.try_get(2)?,
        body: row.try_get(3)?,
        changed: row.try_get(4)?,
    };
    found.open(vault)
}

/// As it was changed last, or else as its message began it.
pub(super) async fn by_key(conn: &mut Conn, vault: &Vault, key: i64) -> Result<Option<VerificationRecord>> {
    let sql = format!(
        "SELECT {CHANGED} WHERE key = $1 UNION ALL SELECT {BEGUN} WHERE key = $1 AND {IS_BEGUN} LIMIT 1"
    );
    let row = conn.row(&sql, &[&key]).await?;
    Ok(row.map(|row| read(vault, &row)).transpose()?.flatten())
}

/// One verification; nothing if the unguessable half of the id or the subaccount is wrong.
pub(super) async fn get(
    conn: &mut Conn,
    vault: &Vault,
    subaccount: Option<&str>,
    id: Id,
) -> Result<Option<VerificationRecord>> {
    let found = by_key(conn, vault, id.row()).await?;
    Ok(found.filter(|v| v.id == id && subaccount.is_none_or(|s| s == v.subaccount)))
}

/// The one of a number, by its keyed hash, that is pending at `now`.
pub(super) struct Open {
    pub(super) subaccount: String,
    pub(super) number: i64,
    pub(super) now: Timestamp,
}

impl Question for Open {
    type Answer = Option<VerificationRecord>;

    async fn ask(all: &[Self], conn: &Conn, vault: &Vault) -> Result<Vec<Result<Self::Answer>>> {
        let subs: Vec<&str> = all.iter().map(|question| &*question.subaccount).collect();
        let numbers: Vec<i64> = all.iter().map(|question| question.number).collect();
        let sql = "SELECT o.sub, o.number, o.key, o.expires FROM unnest($1::text[], $2::bigint[]) AS q (sub, number) \
             JOIN open_verifications o ON o.sub = q.sub AND o.number = q.number";
        let rows = conn.rows(sql, &[&subs, &numbers]).await?;
        let mut open: HashMap<(&str, i64), (i64, i64)> = HashMap::new();
        for row in &rows {
            open.insert((row.try_get(0)?, row.try_get(1)?), (row.try_get(2)?, row.try_get(3)?));
        }
        let keys: Vec<i64> = open.values().map(|(key, _)| *key).collect();
        let found = by_keys(conn, &keys).await?;
        let answer = |question: &Self| {
            let (key, expires) = open.get(&(&*question.subaccount, question.number))?;
            let row = found.get(key).filter(|_| *expires > question.now.as_millis())?;
            let pending = |v: &VerificationRecord| v.lifecycle.at(question.now) == VerificationState::Pending;
            read(vault, row).map(|found| found.filter(pending)).transpose()
        };
        Ok(all.iter().map(|question| answer(question).transpose()).collect())
    }
}

/// Their rows, as they were changed last, or else as their messages began them.
async fn by_keys(conn: &Conn, keys: &[i64]) -> Result<HashMap<i64, Row>> {
    let (Some(first), Some(last)) = (keys.iter().min(), keys.iter().max()) else {
        return Ok(HashMap::new());
    };
    // The bounds leave most partitions out; an array of keys does not.
    let sql = format!(
        "SELECT {CHANGED} WHERE key = ANY($1) UNION ALL \
         SELECT {BEGUN} WHERE key = ANY($1) AND key BETWEEN $2 AND $3 AND {IS_BEGUN}"
    );
    let rows = conn.rows(&sql, &[&keys, first, last]).await?;
    rows.into_iter().map(|row| Ok((row.try_get(0)?, row))).collect()
}

/// Writes a verification's own row, whether or not it had one; its caller holds the lock of the number.
pub(super) async fn write(
    conn: &mut Conn,
    vault: &Vault,
    number: i64,
    record: &mut VerificationRecord,
) -> Result<()> {
    let body = seal_verification(vault, record)?;
    let life = &record.lifecycle;
    let (expires, verified) = (life.expires_at.as_millis(), life.verified_at.map(Timestamp::as_millis));
    let (key, state) = (record.id.row(), i64::from(life.state.as_u8()));
    let (given, revision) = (record.given_code.as_ref().map(|_| expires), record.revision.cast_signed());
    let sql = "INSERT INTO verifications (key, sub, number, state, expires, verified, given_until, revision, body) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (key) DO UPDATE SET state = excluded.state, \
         expires = excluded.expires, verified = excluded.verified, given_until = excluded.given_until, \
         revision = excluded.revision, body = excluded.body";
    let sub = &record.subaccount;
    conn.run(sql, &[&key, sub, &number, &state, &expires, &verified, &given, &revision, &body]).await?;
    note_open(conn, number, record).await
}

/// Keeps the row of the open verification in step. A newer one of the number stays.
async fn note_open(conn: &mut Conn, number: i64, record: &VerificationRecord) -> Result<()> {
    let (sub, key) = (&record.subaccount, record.id.row());
    if record.lifecycle.state != VerificationState::Pending {
        let sql = "DELETE FROM open_verifications WHERE sub = $1 AND number = $2 AND key = $3";
        return conn.run(sql, &[sub, &number, &key]).await.map(drop);
    }
    let sql = "INSERT INTO open_verifications AS o (sub, number, key, begun, expires) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (sub, number) DO UPDATE SET key = excluded.key, expires = excluded.expires WHERE o.key <= excluded.key";
    let (begun, expires) = (record.lifecycle.sent_at.as_millis(), record.lifecycle.expires_at.as_millis());
    conn.run(sql, &[sub, &number, &key, &begun, &expires]).await.map(drop)
}

/// Verifications, newest first.
pub(super) async fn list(
    db: &Db,
    filter: &VerificationFilter,
    page: Page,
) -> Result<Vec<VerificationRecord>> {
    let now = db.latest();
    let conditions = || {
        let mut conditions = Conditions::default();
        conditions.keys(page.before, None, None);
        if let Some(subaccount) = &filter.subaccount {
            conditions.and("sub = ?", subaccount.clone());
        }
        if let Some(to) = filter.to {
            conditions.and("number = ?", number_hash(&db.vault, to));
        }
        conditions
    };
    let (mut changed, mut begun) = (conditions(), conditions());
    if let Some(state) = filter.state {
        in_state(&mut changed, state, now);
    }
    let mut conn = db.patient().await?;
    let mut rows = changed.newest(&mut conn, CHANGED, page.limit).await?;
    begun.raw(IS_BEGUN);
    let as_begun = match filter.state {
        None => true,
        Some(VerificationState::Pending) => {
            begun.and("expires > ?", now);
            true
        }
        Some(VerificationState::Expired) => {
            begun.and("expires <= ?", now);
            true
        }
        Some(_) => false,
    };
    if as_begun {
        rows.extend(begun.newest(&mut conn, BEGUN, page.limit).await?);
    }
    let found = rows.iter().map(|row| read(&db.vault, row)).collect::<Result<Vec<_>>>()?;
    let mut found: Vec<VerificationRecord> = found.into_iter().flatten().collect();
    found.sort_unstable_by_key(|v| std::cmp::Reverse(v.id));
    found.truncate(page.limit);
    Ok(found)
}

/// A pending one whose time is over counts as expired, though nobody has looked at it.
fn in_state(conditions: &mut Conditions, state: VerificationState, now: i64) {
    let pending = VerificationState::Pending.as_u8();
    match state {
        VerificationState::Pending => conditions.and(&format!("state = {pending} AND expires > ?"), now),
        VerificationState::Expired => {
            let expired = state.as_u8();
            conditions.and(&format!("(state = {expired} OR (state = {pending} AND expires <= ?))"), now);
        }
        _ => conditions.and("state = ?", i64::from(state.as_u8())),
    }
}

/// Erases given codes of verifications whose time is over; returns how many.
pub(super) async fn erase_given(conn: &mut Conn, vault: &Vault, now: i64, limit: i64) -> Result<u64> {
    let sql = format!("SELECT {CHANGED} WHERE given_until <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED");
    let rows = conn.rows(&sql, &[&now, &limit]).await?;
    for row in &rows {
        let Some(mut record) = read(vault, row)? else { continue };
        record.given_code = None;
        let body = seal_verification(vault, &mut record)?;
        let sql = "UPDATE verifications SET given_until = NULL, body = $2 WHERE key = $1";
        conn.run(sql, &[&record.id.row(), &body]).await?;
    }
    Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
}
