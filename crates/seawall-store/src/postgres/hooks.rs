//! Webhook deliveries that wait. `ready` is when one may be taken: when it is due, or when its lease ends.

use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use tokio_postgres::Row;

use super::conn::{Conn, Db};
use crate::records::{Cursor, Erasing, HookDelivery};
use crate::sealed::hooks::{SealedHook, about, open};
use crate::{Result, StoreError};

/// Writes deliveries; one that is there already stays.
pub(super) async fn insert(conn: &mut Conn, hooks: &[SealedHook]) -> Result<()> {
    if hooks.is_empty() {
        return Ok(());
    }
    let keys: Vec<i64> = hooks.iter().map(|hook| hook.id.row()).collect();
    let tails: Vec<i64> = hooks.iter().map(|hook| hook.id.tail().cast_signed()).collect();
    let dues: Vec<i64> = hooks.iter().map(|hook| hook.due).collect();
    let tries: Vec<i64> = hooks.iter().map(|hook| i64::from(hook.tries)).collect();
    let bodies: Vec<&[u8]> = hooks.iter().map(|hook| hook.body.as_slice()).collect();
    let sql = "INSERT INTO hooks (key, tail, due, ready, tries, body) SELECT k, t, d, d, n, b \
         FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[]) AS u (k, t, d, n, b) \
         ON CONFLICT (key) DO NOTHING";
    conn.run(sql, &[&keys, &tails, &dues, &tries, &bodies]).await.map(drop)
}

/// Takes those that are ready, and puts them off until `until`.
pub(super) async fn lease(db: &Db, now: i64, until: i64, limit: usize) -> Result<Vec<HookDelivery>> {
    let sql = "UPDATE hooks SET ready = $2 WHERE key IN (SELECT key FROM hooks WHERE ready <= $1 \
         ORDER BY ready, key LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING key, tail, due, tries, body";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = db.soon().await?.rows(sql, &[&now, &until, &limit]).await?;
    let read = |row: &Row| {
        let tries = u8::try_from(row.try_get::<_, i64>(3)?).unwrap_or(u8::MAX);
        open(&db.vault, row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, tries, row.try_get(4)?)
    };
    let mut found = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
    found.sort_by_key(|hook| (hook.due, hook.id));
    Ok(found)
}

/// Ends a delivery or puts it off.
pub(super) async fn settle(db: &Db, id: Id, again_at: Option<Timestamp>) -> Result<()> {
    let (key, tail) = (id.row(), id.tail().cast_signed());
    let conn = db.soon().await?;
    match again_at {
        None => conn.run("DELETE FROM hooks WHERE key = $1 AND tail = $2", &[&key, &tail]).await?,
        Some(at) => {
            let sql = "UPDATE hooks SET due = $3, ready = $3, tries = least(tries + 1, 255) WHERE key = $1 AND tail = $2";
            conn.run(sql, &[&key, &tail, &at.as_millis()]).await?
        }
    };
    Ok(())
}

/// Deletes deliveries about a number among the next ones; sets the cursor behind them.
pub(super) async fn erase(
    conn: &mut Conn,
    db: &Db,
    number: Msisdn,
    (from, limit): (i64, i64),
    next: &mut Erasing,
) -> Result<()> {
    let sql = "SELECT key, body FROM hooks WHERE key > $1 ORDER BY key LIMIT $2";
    let rows = conn.rows(sql, &[&from, &limit]).await?;
    let mut gone: Vec<i64> = Vec::new();
    for row in &rows {
        let key = row.try_get(0)?;
        if about(&db.vault, key, row.try_get(1)?, number)? {
            gone.push(key);
        }
    }
    next.erased.hooks += conn.run("DELETE FROM hooks WHERE key = ANY($1)", &[&gone]).await?;
    let last = rows.last().map(|row| row.try_get(0)).transpose().map_err(StoreError::from)?;
    next.cursor = last.map_or(Cursor::Done, Cursor::Hooks);
    Ok(())
}
