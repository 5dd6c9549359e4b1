//! The keys of all counters and their instants.

use std::time::Duration;

use hashbrown::HashMap;
use seawall_core::time::Timestamp;
use seawall_core::window::{Rule, Times};

/// Maps that the keys are spread over. A map doubles when it is full; because the shares of keys differ by up
/// to two, the maps double one after the other: neither memory nor time ever jumps.
const SHARDS: usize = 64;
/// Equal parts of the keys of which each shard has some.
const PARTS: usize = 4096;
/// Keys looked at for every charge, to find those whose window has passed.
const SWEPT_PER_CHARGE: usize = 4;

/// The instants of one key, and when the last of them stops to matter.
struct Entry {
    times: Times,
    expires: i64,
}

/// Keys are keyed hashes already, as random as a hash can make them.
#[derive(Clone, Copy, Default)]
struct AsIs;

impl std::hash::BuildHasher for AsIs {
    type Hasher = Key;
    fn build_hasher(&self) -> Key {
        Key(0)
    }
}

struct Key(u64);

impl std::hash::Hasher for Key {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// Requests under way may ask a little after younger ones what a window held.
const GRACE: Duration = Duration::from_secs(60);

type Shard = HashMap<u64, Entry, AsIs>;

/// All keys.
pub(super) struct Table {
    shards: Vec<Shard>,
    /// Which shard holds a part of the keys, by twelve of the keys' middle bits.
    parts: Vec<u8>,
    max_keys: usize,
    len: usize,
    next_swept: usize,
    credit: usize,
}

impl Table {
    pub(super) fn new(max_keys: usize) -> Self {
        let mut share = 1.0f64;
        let ends: Vec<f64> = (0..SHARDS)
            .scan(0.0, |end, _| {
                share *= 2f64.powf(1.0 / 64.0);
                *end += share;
                Some(*end)
            })
            .collect();
        let all = ends.last().copied().unwrap_or(1.0);
        let ends: Vec<usize> = ends.iter().map(|end| scaled(end / all)).collect();
        let shard = |part| ends.partition_point(|&end| end <= part).min(SHARDS - 1);
        let parts = (0..PARTS).map(|part| u8::try_from(shard(part)).unwrap_or(0)).collect();
        let shards = (0..SHARDS).map(|_| Shard::default()).collect();
        Table { shards, parts, max_keys, len: 0, next_swept: 0, credit: 0 }
    }

    /// The middle bits choose the shard: the map inside uses the outer ones.
    fn place(&self, key: u64) -> usize {
        let middle = (key >> 24) as usize % PARTS;
        self.parts.get(middle).map_or(0, |shard| usize::from(*shard))
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, key: u64) -> Option<&Times> {
        self.shards.get(self.place(key))?.get(&key).map(|entry| &entry.times)
    }

    /// Whether the keys that are not there yet fit. Sweeps a little, and a whole map when there is no room.
    pub(super) fn has_room(&mut self, keys: impl Iterator<Item = u64> + Clone, now: Timestamp) -> bool {
        let charges = keys.clone().count();
        // Looked for only when it matters: keys are far apart in memory.
        let tight = self.len + charges > self.max_keys;
        let new = if tight { keys.filter(|key| self.get(*key).is_none()).count() } else { 0 };
        self.credit += charges * SWEPT_PER_CHARGE;
        let next = self.shards.get(self.next_swept).map_or(0, Shard::len);
        let full = self.len + new > self.max_keys;
        if self.credit > next || full {
            self.credit = self.credit.saturating_sub(next);
            self.sweep(now.as_millis());
        }
        self.len + new <= self.max_keys
    }

    fn sweep(&mut self, now: i64) {
        let Some(shard) = self.shards.get_mut(self.next_swept) else {
            return;
        };
        let before = shard.len();
        shard.retain(|_, entry| entry.expires > now);
        self.len -= before - shard.len();
        if shard.capacity() > 4 * shard.len() + 64 {
            shard.shrink_to(2 * shard.len());
        }
        self.next_swept = (self.next_swept + 1) % SHARDS;
    }

    /// Lets a rule change the instants of a key.
    pub(super) fn change(
        &mut self,
        key: u64,
        rule: &Rule,
        now: Timestamp,
        change: impl FnOnce(&Rule, &mut Option<Times>),
    ) {
        let place = self.place(key);
        let Some(shard) = self.shards.get_mut(place) else {
            return;
        };
        let before = shard.len();
        match shard.entry(key) {
            hashbrown::hash_map::Entry::Occupied(mut entry) => {
                let old = entry.get().expires;
                let mut times = Some(std::mem::replace(&mut entry.get_mut().times, Times::One(0)));
                change(rule, &mut times);
                match times {
                    Some(times) => *entry.get_mut() = Entry { expires: old.max(expiry(rule, now)), times },
                    None => drop(entry.remove()),
                }
            }
            hashbrown::hash_map::Entry::Vacant(entry) => {
                let mut times = None;
                change(rule, &mut times);
                if let Some(times) = times {
                    entry.insert(Entry { times, expires: expiry(rule, now) });
                }
            }
        }
        self.len = self.len + shard.len() - before;
    }

    pub(super) fn remove(&mut self, key: u64) {
        let place = self.place(key);
        if self.shards.get_mut(place).and_then(|shard| shard.remove(&key)).is_some() {
            self.len -= 1;
        }
    }
}

/// When a charge of now stops to matter.
fn expiry(rule: &Rule, now: Timestamp) -> i64 {
    rule.end(now).plus(GRACE).as_millis()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 4,096")]
fn scaled(part: f64) -> usize {
    (part * PARTS as f64).round() as usize
}
