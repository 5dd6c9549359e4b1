//! A message's way: claimed by one node for sending, then changed by what providers say.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use seawall_core::id::Id;
use seawall_core::message::MessageState;
use seawall_core::time::Timestamp;
use tokio_postgres::Row;

use super::conn::{Conn, Db, Values};
use super::{hooks, messages};
use crate::Result;
use crate::records::{Attempt, MessageRecord, Moved};
use crate::sealed::messages::{pack_progress, progress};
use crate::sealed::way::{SealedChange, Way, own_id, reference_hash};
use crate::sealed::{state, time};

/// Moves what may be sent now to `submitting`, under this node's lease, or to `expired`. A node whose lease is
/// lost claims nothing. What another node is claiming at this moment is passed over.
const CLAIM: &str = "WITH lease AS (SELECT lease FROM nodes WHERE lease = $3 FOR KEY SHARE), \
     ready AS (SELECT key FROM messages WHERE state = 0 AND due IS NULL AND EXISTS (SELECT 1 FROM lease) \
       ORDER BY key LIMIT $2 FOR UPDATE SKIP LOCKED), \
     later AS (SELECT key FROM messages WHERE state IN (0, 1) AND due IS NOT NULL AND due <= $1 \
       AND EXISTS (SELECT 1 FROM lease) ORDER BY due, key LIMIT $2 FOR UPDATE SKIP LOCKED), \
     picked AS (SELECT key FROM (SELECT key FROM ready UNION ALL SELECT key FROM later) a ORDER BY key LIMIT $2) \
     UPDATE messages m SET state = CASE WHEN m.expires <= $1 THEN 6 ELSE 2 END, changed = $1, \
       owner = CASE WHEN m.expires <= $1 THEN NULL ELSE $3 END \
     FROM picked WHERE m.key = picked.key RETURNING ";

const TAKE_BACK: &str = "UPDATE messages SET state = 0, owner = NULL \
     WHERE key = ANY($1) AND state = 2 AND owner = $2 AND changed = $3";

/// Claims up to `limit` messages. They are known here before the claim is committed: where the answer to that is lost,
/// nobody sends them, and they go back to the queue.
pub(super) async fn claim(db: &Arc<Db>, now: Timestamp, limit: usize) -> Result<Vec<MessageRecord>> {
    db.node.check()?;
    let columns: Vec<String> = messages::COLUMNS.split(", ").map(|column| format!("m.{column}")).collect();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (lease, now) = (db.node.lease(), now.as_millis());
    let mut conn = db.soon().await?;
    let rows = conn.begin_with(&format!("{CLAIM}{}", columns.join(", ")), &[&now, &limit, &lease]).await?;
    let read =
        |row: &Row| messages::read(&db.vault, row).map(|record| MessageRecord { decision: None, ..record });
    let mut claimed = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
    if let Err(error) = conn.commit().await {
        drop(conn);
        let keys = claimed.iter().map(|message| message.id.row()).collect();
        take_back(db, lease, now, keys);
        return Err(error);
    }
    claimed.sort_unstable_by_key(|message| message.id);
    Ok(claimed)
}

/// Puts what was claimed, perhaps, and is sent by nobody back into the queue. It is tried again where the answer is lost, and
/// this node may have claimed it anew meanwhile: only what was changed last by that claim goes back.
fn take_back(db: &Arc<Db>, lease: i64, claimed_at: i64, keys: Vec<i64>) {
    if keys.is_empty() {
        return;
    }
    let db = db.clone();
    tokio::spawn(async move {
        while !db.is_closed() {
            // The server may still be committing what it was asked to.
            tokio::time::sleep(Duration::from_millis(500)).await;
            match put_back(&db, lease, claimed_at, &keys).await {
                Ok(_) => return,
                Err(error) => tracing::warn!(%error, "messages that nobody sends wait for the database"),
            }
        }
    });
}

/// Gives how many went back.
pub(super) async fn put_back(db: &Db, lease: i64, claimed_at: i64, keys: &[i64]) -> Result<u64> {
    db.soon().await?.run(TAKE_BACK, &[&keys, &lease, &claimed_at]).await
}

fn way(row: &Row) -> Result<(i64, Way)> {
    let mut progress = progress(row.try_get(4)?)?;
    progress.changed_at = time(row.try_get(5)?).or(progress.changed_at);
    let tail = row.try_get::<_, i64>(1)?.cast_unsigned();
    Ok((row.try_get(0)?, Way { tail, state: state(row.try_get(2)?)?, due: row.try_get(3)?, progress }))
}

/// The first and last of some keys: with them a statement leaves all other days' partitions alone.
fn bounds(keys: &[i64]) -> (i64, i64) {
    (keys.iter().copied().min().unwrap_or(0), keys.iter().copied().max().unwrap_or(0))
}

/// Applies what the state machine allows; returns what changed.
pub(super) async fn settle(db: &Db, changes: Vec<SealedChange>) -> Result<Vec<Moved>> {
    let mut keys: Vec<i64> = changes.iter().map(|sealed| sealed.change.id.row()).collect();
    keys.sort_unstable();
    keys.dedup();
    let (first, last) = bounds(&keys);
    let mut conn = db.soon().await?;
    // Locked in one order on all nodes.
    let sql = "SELECT key, tail, state, due, progress, changed FROM messages \
         WHERE key = ANY($1) AND key >= $2 AND key <= $3 ORDER BY key FOR UPDATE";
    let rows = conn.begin_with(sql, &[&keys, &first, &last]).await?;
    let mut ways = rows.iter().map(way).collect::<Result<HashMap<i64, Way>>>()?;
    let (mut moved, mut touched, mut references, mut sealed_hooks) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for SealedChange { change, hooks } in changes {
        let (id, key, tries) = (change.id, change.id.row(), change.attempt.is_some());
        let Some(way) = ways.get_mut(&key) else { continue };
        if id.tail() != way.tail || !way.apply(change) {
            continue;
        }
        references
            .extend(way.progress.attempts.last().filter(|_| tries).and_then(|last| reference(db, id, last)));
        sealed_hooks.extend(hooks);
        moved.push(Moved { id, state: way.state });
        touched.push(key);
    }
    touched.sort_unstable();
    touched.dedup();
    write_references(&mut conn, &references).await?;
    hooks::insert(&mut conn, &sealed_hooks).await?;
    write(&mut conn, &touched, &ways).await?;
    Ok(moved)
}

/// Writes how they travel now, and commits.
async fn write(conn: &mut Conn, keys: &[i64], ways: &HashMap<i64, Way>) -> Result<()> {
    if keys.is_empty() {
        return conn.commit().await;
    }
    let found: Vec<&Way> = keys.iter().filter_map(|key| ways.get(key)).collect();
    let states: Vec<i64> = found.iter().map(|way| i64::from(way.state.as_u8())).collect();
    let dues: Vec<Option<i64>> = found.iter().map(|way| way.due).collect();
    let changed: Vec<Option<i64>> =
        found.iter().map(|way| way.progress.changed_at.map(Timestamp::as_millis)).collect();
    let packed: Vec<Vec<u8>> = found.iter().map(|way| pack_progress(&way.progress)).collect();
    let (first, last) = bounds(keys);
    let submitting = i64::from(MessageState::Submitting.as_u8());
    let sql = "UPDATE messages m SET state = u.state, due = u.due, changed = u.changed, progress = u.progress, \
         owner = CASE WHEN u.state = $6 THEN m.owner END \
         FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[]) \
           AS u (key, state, due, changed, progress) \
         WHERE m.key = u.key AND m.key >= $7 AND m.key <= $8";
    let values: Values<'_> = &[&keys, &states, &dues, &changed, &packed, &submitting, &first, &last];
    conn.commit_with(sql, values).await.map(drop)
}

/// The provider's reference, unless it is the message's own id in some spelling.
fn reference(db: &Db, id: Id, attempt: &Attempt) -> Option<(i64, i64)> {
    let reference = attempt.reference.as_deref().filter(|r| own_id(r) != Some(id))?;
    Some((reference_hash(&db.vault, &attempt.provider, reference), id.row()))
}

async fn write_references(conn: &mut Conn, references: &[(i64, i64)]) -> Result<()> {
    if references.is_empty() {
        return Ok(());
    }
    let (hashes, keys): (Vec<i64>, Vec<i64>) = references.iter().copied().unzip();
    let sql = "INSERT INTO provider_refs (hash, key) SELECT h, k FROM unnest($1::bigint[], $2::bigint[]) AS u (h, k)";
    conn.run(sql, &[&hashes, &keys]).await.map(drop)
}
