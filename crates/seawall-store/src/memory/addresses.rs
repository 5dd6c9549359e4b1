//! What happened at end users' addresses lately, for [`seawall_core::address`]. A cache: it starts empty and
//! is refilled from the ledger.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use seawall_core::address::{AddressHistory, Numbers};
use seawall_core::time::Timestamp;

/// Maps that the addresses are spread over, each swept when an hour has passed.
const SHARDS: usize = 64;
/// Addresses of one map, about a million in all. What finds no place is not learned: it keeps the plain quota.
const AT_MOST: usize = 1 << 14;

#[derive(Default)]
struct Shard {
    addresses: HashMap<u64, Numbers>,
    swept: u32,
}

/// All addresses.
pub(super) struct Addresses(Vec<Mutex<Shard>>);

impl Default for Addresses {
    fn default() -> Self {
        Addresses((0..SHARDS).map(|_| Mutex::default()).collect())
    }
}

fn hour(at: Timestamp) -> u32 {
    u32::try_from(at.as_secs() / 3600).unwrap_or(u32::MAX / 4)
}

impl Addresses {
    fn shard(&self, ip: u64) -> Option<MutexGuard<'_, Shard>> {
        let place = usize::try_from(ip % SHARDS as u64).unwrap_or(0);
        Some(self.0.get(place)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn history(&self, ip: u64, now: Timestamp) -> AddressHistory {
        let shard = self.shard(ip);
        let known = shard.as_ref().and_then(|shard| shard.addresses.get(&ip));
        known.map(|numbers| numbers.history(hour(now))).unwrap_or_default()
    }

    pub(super) fn note(&self, ip: u64, number: u64, confirmed: bool, at: Timestamp) {
        let hour = hour(at);
        let Some(mut shard) = self.shard(ip) else { return };
        if shard.swept < hour {
            shard.swept = hour;
            shard.addresses.retain(|_, numbers| numbers.forgotten_at() > hour);
        }
        let room = shard.addresses.len() < AT_MOST;
        match shard.addresses.get_mut(&ip) {
            Some(numbers) => numbers.note(number, hour, confirmed),
            None if room => {
                shard.addresses.insert(ip, Numbers::new(number, hour, confirmed));
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(hours: u64) -> Timestamp {
        Timestamp::from_millis(1_767_600_000_000).plus(Duration::from_secs(hours * 3600))
    }

    #[test]
    fn an_address_is_remembered_for_a_week() {
        let addresses = Addresses::default();
        (0..40).for_each(|number| addresses.note(7, number, true, at(0)));
        assert_eq!(addresses.history(7, at(1)).widened(), 5);
        assert_eq!(addresses.history(8, at(1)).widened(), 1);
        assert_eq!(addresses.history(7, at(168)).widened(), 1);
    }

    #[test]
    fn a_flood_of_addresses_takes_bounded_memory() {
        let addresses = Addresses::default();
        let one_shard = |n: u64| n * SHARDS as u64;
        (0..AT_MOST as u64 + 9).for_each(|n| addresses.note(one_shard(n), 1, false, at(0)));
        let held = || addresses.shard(0).unwrap().addresses.len();
        assert_eq!(held(), AT_MOST);
        addresses.note(0, 1, false, at(200));
        assert_eq!(held(), 1);
    }
}
