//! Windows are filled from the ledger: by one node, under a lock, into keys that nobody looks at until they are
//! whole.

use std::time::{Duration, Instant};

use hashbrown::HashMap;
use redis::Value;
use seawall_core::limit::Charge;
use seawall_core::time::Timestamp;
use seawall_core::window::{Rule, Times};

use super::link::{Connected, Link, Shared, State, random, reason};
use super::{scripts, wire};
use crate::{Result, StoreError};

/// How long the lock holds without being renewed.
pub(super) const LOCK: Duration = Duration::from_millis(LOCK_MS);
const LOCK_MS: u64 = 10_000;
/// How long one waits for a server that does not answer.
const WAIT: Duration = Duration::from_secs(10);
/// How often one looks whether another node is done.
pub(super) const LOOK: Duration = Duration::from_millis(50);
/// Keys filled with one call.
const CHUNK: usize = 500;

/// Windows on their way.
#[derive(Default)]
pub(super) struct Staging(HashMap<u64, (Rule, Option<Times>)>);

impl Staging {
    /// Adds a past charge, unless it no longer matters.
    pub(super) fn add(&mut self, charge: &Charge, at: Timestamp, now: Timestamp) {
        if charge.rule.end(at) > now {
            let (rule, times) = self.0.entry(charge.key).or_insert_with(|| (charge.rule.clone(), None));
            rule.charge(times, charge.amount, at);
        }
    }
}

fn lost(why: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("Redis: {why}"))
}

/// Whether this node is to refill; see [`crate::Counters::refills`].
pub(super) async fn begin(shared: &Shared, settle: Duration) -> Result<bool> {
    let begun = Instant::now();
    let mut state = shared.state.subscribe();
    *shared.filling() = None;
    loop {
        let current = state.borrow_and_update().clone();
        match current {
            State::Up => return Ok(false),
            State::Gone => {
                if let Some(connected) = shared.connected.load_full()
                    && take_lock(shared, &connected, &shared.names.lock, LOCK_MS).await?
                {
                    *shared.filling() = Some(random(3));
                    tokio::time::sleep(settle).await;
                    return Ok(true);
                }
            }
            State::Down(why) if begun.elapsed() > WAIT => return Err(lost(why)),
            State::Down(_) => {}
        }
        let _ = tokio::time::timeout(LOOK, state.changed()).await;
    }
}

/// Takes a lock, unless another node has it.
pub(super) async fn take_lock(shared: &Shared, connected: &Connected, key: &[u8], ms: u64) -> Result<bool> {
    // It may be this node's own, of a filling that failed.
    const TAKE: &str = "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end \
        return redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0";
    let mut connection = connected.connection.clone();
    let taken: i64 = redis::cmd("EVAL")
        .arg(TAKE)
        .arg(1)
        .arg(key)
        .arg(&shared.node)
        .arg(ms)
        .query_async(&mut connection)
        .await
        .map_err(|error| lost(reason(&error)))?;
    Ok(taken == 1)
}

/// Makes what was staged count: as new windows when this node refills, else beside what is there.
pub(super) async fn upload(shared: &Shared, staging: Staging) -> Result<()> {
    let filling = shared.filling().clone();
    match filling {
        Some(epoch) => {
            let done = whole(shared, staging, &epoch).await;
            *shared.filling() = None;
            shared.trouble.notify_one();
            done
        }
        None if staging.0.is_empty() => Ok(()),
        None => {
            let link = shared.link()?;
            chunks(shared, staging, &link, &shared.names.mark, &link.mark).await
        }
    }
}

async fn whole(shared: &Shared, staging: Staging, epoch: &str) -> Result<()> {
    let connected = shared.connected.load_full().ok_or_else(|| lost("the connection broke"))?;
    let link = Link::new(&connected, &shared.names, epoch);
    let windows = staging.0.len();
    chunks(shared, staging, &link, &shared.names.lock, shared.node.as_bytes()).await?;
    const PUBLISH: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
        redis.call('SET', KEYS[2], ARGV[2]) redis.call('DEL', KEYS[1]) return 1";
    let published: i64 = redis::cmd("EVAL")
        .arg(PUBLISH)
        .arg(2)
        .arg(&shared.names.lock)
        .arg(&shared.names.mark)
        .arg(&shared.node)
        .arg(&link.mark)
        .query_async(&mut connected.connection.clone())
        .await
        .map_err(|error| lost(reason(&error)))?;
    if published != 1 {
        return Err(lost("it lost the windows again while they were refilled"));
    }
    tracing::info!(windows, "refilled the windows in Redis from the ledger");
    Ok(())
}

/// Sends windows, some hundred a call. `guard` has to hold `value`, else nothing is written.
async fn chunks(shared: &Shared, staging: Staging, link: &Link, guard: &[u8], value: &[u8]) -> Result<()> {
    let time = shared.time_argument(shared.time().unwrap_or_default());
    let mut windows = staging.0.into_iter().peekable();
    while windows.peek().is_some() {
        let (mut keys, mut blob) = (vec![guard.to_vec()], Vec::new());
        for (key, (rule, times)) in windows.by_ref().take(CHUNK) {
            if times.is_some_and(|times| wire::filling(&mut blob, &rule, &times)) {
                keys.push(link.key(key));
            }
        }
        let arguments: [&[u8]; 3] = [value, time.as_bytes(), &blob];
        let done = scripts::FILL.run(&mut link.connection.clone(), &keys, &arguments).await;
        match done.map_err(|error| lost(reason(&error)))? {
            Value::Nil => return Err(lost("it lost the windows again while they were refilled")),
            _ => continue,
        }
    }
    Ok(())
}
