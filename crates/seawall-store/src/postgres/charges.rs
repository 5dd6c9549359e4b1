//! What windows are refilled from: sends, allows, and checkpoints of windows that count requests.

use hashbrown::{HashMap, HashSet};
use seawall_core::id::Id;
use seawall_core::time::Timestamp;
use tokio_postgres::Row;

use super::conn::{Conn, Db};
use crate::records::{AllowBatch, Allowed};
use crate::sealed::charges::{
    Confirmed, LONGEST_VERIFICATION, Send, of_allow, pack_checkpoint, unpack_allows, unpack_checkpoint,
};
use crate::sealed::dims;
use crate::{PastCharge, Result};

/// Messages read at once.
const CHUNK: i64 = 20_000;
/// Batches of allows read at once; each holds the allows of about a second.
const BATCHES: i64 = 16;

const COLUMNS: &str = "key, sub, number, dims, state, verification, \
     CASE WHEN state IN (5, 6, 9) THEN progress END FROM messages";

fn charge(row: &Row, confirmed: &Confirmed) -> Result<PastCharge> {
    let send = Send {
        row: row.try_get(0)?,
        subaccount: row.try_get::<_, &str>(1)?.into(),
        number: row.try_get(2)?,
        dims: row.try_get(3)?,
        state: row.try_get(4)?,
        verification: row.try_get(5)?,
        progress: row.try_get(6)?,
    };
    send.charge(confirmed)
}

async fn confirmed(conn: &mut Conn, since: Timestamp) -> Result<Confirmed> {
    let begun = Timestamp::from_millis((since.as_millis() - LONGEST_VERIFICATION).max(0));
    let sql = "SELECT key, number, verified FROM verifications WHERE key >= $1 AND verified IS NOT NULL";
    let mut confirmed = Confirmed::default();
    for row in conn.rows(sql, &[&Id::first_row(begun)]).await? {
        confirmed.note(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    }
    Ok(confirmed)
}

/// Everything that sends charged since an instant, oldest first, and then what was charged by allows.
pub(super) async fn past(
    db: &Db,
    since: Timestamp,
    each: &mut (dyn FnMut(PastCharge) + std::marker::Send),
) -> Result<()> {
    let confirmed = confirmed(&mut db.patient().await?, since).await?;
    let (mut from, mut gone) = (Id::first_row(since), HashSet::new());
    loop {
        let sql = format!("SELECT {COLUMNS} WHERE key >= $1 ORDER BY key LIMIT $2");
        let rows = db.patient().await?.rows(&sql, &[&from, &CHUNK]).await?;
        let Some(last) = rows.last() else { break };
        from = last.try_get::<_, i64>(0)? + 1;
        for row in &rows {
            let charge = charge(row, &confirmed)?;
            gone.extend(charge.dimensions.redeems);
            each(charge);
        }
    }
    let allows = allows(db, since).await?;
    let numbers: Vec<i64> = allows.iter().map(|allow| allow.dimensions.to.cast_signed()).collect();
    let sql = "SELECT number, last FROM known_numbers WHERE number = ANY($1)";
    let rows = db.patient().await?.rows(sql, &[&numbers]).await?;
    let pair = |row: &Row| Ok::<_, tokio_postgres::Error>((row.try_get(0)?, row.try_get(1)?));
    let last = rows.iter().map(pair).collect::<std::result::Result<HashMap<i64, i64>, _>>()?;
    for allow in allows.into_iter().filter(|allow| !gone.contains(&allow.id.row().cast_unsigned())) {
        let confirmed = last.get(&allow.dimensions.to.cast_signed()).copied();
        each(of_allow(allow, confirmed));
    }
    Ok(())
}

/// What was accepted and has neither left nor ended, in the order of its acceptance.
pub(super) async fn waiting(db: &Db) -> Result<Vec<PastCharge>> {
    let sql = format!("SELECT {COLUMNS} WHERE state IN (0, 1, 2) ORDER BY key");
    let rows = db.patient().await?.rows(&sql, &[]).await?;
    rows.iter().map(|row| charge(row, &Confirmed::default())).collect()
}

/// Writes which windows were charged; forgets what is older than any window.
pub(super) async fn checkpoint(
    db: &Db,
    charged: &[(u64, Timestamp)],
    forget_before: Timestamp,
) -> Result<()> {
    let mut conn = db.soon().await?;
    conn.begin().await?;
    if let Some(newest) = charged.iter().map(|(_, at)| *at).max() {
        let values = (Id::first_row(newest), pack_checkpoint(charged));
        conn.run("INSERT INTO checkpoints (key, body) VALUES ($1, $2)", &[&values.0, &values.1]).await?;
    }
    conn.run("DELETE FROM checkpoints WHERE key < $1", &[&Id::first_row(forget_before)]).await?;
    conn.commit().await
}

/// Everything that was checkpointed since an instant.
pub(super) async fn past_checkpoints(db: &Db, since: Timestamp) -> Result<Vec<(u64, Timestamp)>> {
    let sql = "SELECT body FROM checkpoints WHERE key >= $1 ORDER BY key, seq";
    let mut found = Vec::new();
    for row in db.patient().await?.rows(sql, &[&Id::first_row(since)]).await? {
        found.extend(unpack_checkpoint(row.try_get(0)?).filter(|(_, at)| *at >= since));
    }
    Ok(found)
}

/// Writes batches, under the keys of their newest; forgets batches that are older than any window.
pub(super) async fn record_allows(db: &Db, batches: &[AllowBatch], forget_before: Timestamp) -> Result<()> {
    let mut conn = db.soon().await?;
    conn.begin().await?;
    let (keys, bodies): (Vec<i64>, Vec<&[u8]>) =
        batches.iter().map(|b| (b.newest, b.body.as_slice())).unzip();
    let sql = "INSERT INTO allows (key, body) SELECT * FROM unnest($1::bigint[], $2::bytea[])";
    conn.run(sql, &[&keys, &bodies]).await?;
    conn.run("DELETE FROM allows WHERE key < $1", &[&Id::first_row(forget_before)]).await?;
    conn.commit().await
}

/// All allows since an instant, in the order in which they were given.
async fn allows(db: &Db, since: Timestamp) -> Result<Vec<Allowed>> {
    let sql = "SELECT key, seq, body FROM allows WHERE (key, seq) > ($1, $2) ORDER BY key, seq LIMIT $3";
    let (mut found, mut after) = (Vec::new(), (Id::first_row(since) - 1, i64::MAX));
    loop {
        let rows = db.patient().await?.rows(sql, &[&after.0, &after.1, &BATCHES]).await?;
        let Some(last) = rows.last() else { return Ok(found) };
        after = (last.try_get(0)?, last.try_get(1)?);
        for row in &rows {
            found.extend(unpack_allows(row.try_get(2)?)?.into_iter().filter(|allow| allow.id.at() >= since));
        }
    }
}

/// Allows since an instant that no message has redeemed.
pub(super) async fn past_allows(db: &Db, since: Timestamp) -> Result<Vec<Allowed>> {
    let mut gone: HashSet<u64> = HashSet::new();
    let mut from = Id::first_row(since);
    loop {
        let sql = "SELECT key, number, dims FROM messages WHERE key >= $1 ORDER BY key LIMIT $2";
        let rows = db.patient().await?.rows(sql, &[&from, &CHUNK]).await?;
        let Some(last) = rows.last() else { break };
        from = last.try_get::<_, i64>(0)? + 1;
        for row in &rows {
            gone.extend(
                dims::decode(row.try_get(2)?, row.try_get(1)?).and_then(|dimensions| dimensions.redeems),
            );
        }
    }
    let all = allows(db, since).await?;
    Ok(all.into_iter().filter(|allow| !gone.contains(&allow.id.row().cast_unsigned())).collect())
}
