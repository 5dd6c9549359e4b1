//! Windows that come in force while nodes run, with a new limit say: all nodes hear of it at about the same time, and
//! one of them fills the windows. What was filled last, and for which version of what is set up, stands in a hash.

use std::time::Instant;

use super::link::{Connected, Shared, reason};
use super::refill::{LOOK, take_lock};
use crate::{Result, StoreError};

/// How long a node may fill, in milliseconds. One that was killed meanwhile keeps the others waiting as long.
const TURN_MS: u64 = 20_000;
/// How long it is remembered what was filled: until all nodes have heard of it, and much longer.
const REMEMBERED_MS: u64 = 24 * 3_600_000;

fn connected(shared: &Shared) -> Result<std::sync::Arc<Connected>> {
    shared.connected.load_full().ok_or_else(|| StoreError::Unavailable("Redis: not connected".to_owned()))
}

fn lost(error: &redis::RedisError) -> StoreError {
    StoreError::Unavailable(format!("Redis: {}", reason(error)))
}

/// Waits for its turn; gives those of the sets that no node has filled since version `known`. Without any the turn is
/// over.
pub(super) async fn begin(shared: &Shared, sets: &[u64], known: u64) -> Result<Vec<u64>> {
    let begun = Instant::now();
    while !take_lock(shared, &*connected(shared)?, &shared.names.turn, TURN_MS).await? {
        if begun.elapsed().as_millis() > u128::from(2 * TURN_MS) {
            let why = "another node fills the windows of new limits, and does not come to an end";
            return Err(StoreError::Unavailable(why.to_owned()));
        }
        tokio::time::sleep(LOOK).await;
    }
    let mut read = redis::cmd("HMGET");
    read.arg(&shared.names.fresh).arg(sets);
    let filled: Vec<Option<u64>> =
        read.query_async(&mut connected(shared)?.connection.clone()).await.map_err(|error| lost(&error))?;
    let open = sets.iter().zip(filled).filter(|(_, version)| version.is_none_or(|version| version <= known));
    let open: Vec<u64> = open.map(|(set, _)| *set).collect();
    if open.is_empty() {
        end(shared, &[], 0).await?;
    }
    Ok(open)
}

/// Notes what was filled, and ends the turn.
pub(super) async fn end(shared: &Shared, sets: &[u64], version: u64) -> Result<()> {
    const END: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end redis.call('DEL', KEYS[1]) \
        for i = 4, #ARGV do redis.call('HSET', KEYS[2], ARGV[i], ARGV[2]) end \
        redis.call('PEXPIRE', KEYS[2], ARGV[3]) return 1";
    let mut call = redis::cmd("EVAL");
    call.arg(END).arg(2).arg(&shared.names.turn).arg(&shared.names.fresh);
    call.arg(&shared.node).arg(version).arg(REMEMBERED_MS).arg(sets);
    let ended: i64 =
        call.query_async(&mut connected(shared)?.connection.clone()).await.map_err(|error| lost(&error))?;
    if ended == 0 {
        tracing::warn!(
            "the windows of new limits were filled too slowly; another node may have filled them too"
        );
    }
    Ok(())
}
