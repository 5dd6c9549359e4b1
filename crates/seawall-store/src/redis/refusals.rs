//! Refusals, remembered until they can end: a full window stays full until its oldest charge leaves, whatever other
//! nodes do, so nobody needs to be asked. What makes room before that time is told on the stream of news.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use seawall_core::limit::{Charge, Charged};
use seawall_core::time::Timestamp;
use seawall_core::window::Full;

use super::wire::Answer;

/// Maps that the keys are spread over.
const SHARDS: usize = 16;
/// Refusals of one map, about a million in all. What finds no place is asked for each time.
const MOST: usize = 1 << 16;
/// Keys that wait to be charged.
const MOST_LATER: usize = 100_000;

struct Refused {
    /// What it holds, and when there is room by the caller's time.
    full: Full,
    /// The same by the time that passes here.
    until: Instant,
    quota: u64,
    amount: u64,
}

/// Windows that are known to be full.
#[derive(Default)]
pub(super) struct Refusals {
    shards: [Mutex<HashMap<u64, Refused>>; SHARDS],
    later: Mutex<HashMap<u64, (Charge, u32)>>,
}

impl Refusals {
    fn shard(&self, key: u64) -> Option<MutexGuard<'_, HashMap<u64, Refused>>> {
        let place = usize::try_from(key >> 20).unwrap_or(0) % SHARDS;
        Some(self.shards.get(place)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers what refused. `begun`: when the question was sent; the server's time was not earlier.
    pub(super) fn learn(&self, charges: &[Charge], weight: u32, answer: &Answer, begun: Instant) {
        for (charge, row) in charges.iter().zip(&answer.rows).filter(|(charge, _)| charge.enforced) {
            let Some(full) = row.full else { continue };
            let refused = Refused {
                full,
                until: begun + full.retry_at.since(answer.present),
                quota: charge.rule.quota(),
                amount: charge.taken(weight),
            };
            let Some(mut shard) = self.shard(charge.key) else { continue };
            if shard.len() >= MOST && !shard.contains_key(&charge.key) {
                shard.retain(|_, refused| refused.until > begun);
                if shard.len() >= MOST {
                    continue;
                }
            }
            shard.insert(charge.key, refused);
        }
    }

    /// Which of these are known to be full. `clock`: the caller's time, where windows go by it.
    pub(super) fn recall(
        &self,
        charges: &[Charge],
        weight: u32,
        clock: Option<Timestamp>,
        now: Timestamp,
    ) -> Charged {
        let (mut charged, here) = (Charged::default(), Instant::now());
        for charge in charges.iter().filter(|charge| charge.enforced) {
            let Some(mut shard) = self.shard(charge.key) else { continue };
            let Some(known) = shard.get(&charge.key) else { continue };
            let over = clock.map_or(known.until <= here, |now| known.full.retry_at <= now);
            if over {
                shard.remove(&charge.key);
            } else if charge.rule.quota() <= known.quota && charge.taken(weight) >= known.amount {
                let wait = clock.map_or(known.until - here, |now| known.full.retry_at.since(now));
                let retry_at = now.plus(wait.max(Duration::from_millis(1)));
                let full = Full { retry_at, ..known.full };
                charged.tell(charge, charge.taken(weight), Some(full), || (full.count, None), now);
            }
        }
        charged
    }

    /// Windows that have room after all.
    pub(super) fn forget(&self, keys: impl Iterator<Item = u64>) {
        keys.for_each(|key| {
            if let Some(mut shard) = self.shard(key) {
                shard.remove(&key);
            }
        });
    }

    /// Everything: the windows are others.
    pub(super) fn forget_all(&self) {
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// Notes a charge that is made whatever is decided. False when too many wait.
    pub(super) fn charge_later(&self, charge: &Charge, weight: u32) -> bool {
        let mut later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, times)) = later.get_mut(&charge.key) {
            *times = times.saturating_add(weight);
        } else if later.len() < MOST_LATER {
            later.insert(charge.key, (charge.clone(), weight));
        } else {
            return false;
        }
        true
    }

    /// Takes what waits to be charged.
    pub(super) fn take_later(&self) -> Vec<(Charge, u32)> {
        let mut later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
        later.drain().map(|(_, waiting)| waiting).collect()
    }
}
