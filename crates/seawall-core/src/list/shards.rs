//! A multimap that is copied to be changed, and whose copy shares all that did not change: whoever reads the
//! old one is not disturbed, and one more entry among a hundred thousand costs microseconds.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Parts that are shared or copied as a whole.
const SHARDS: u64 = 64;
/// Bits of the hash that choose the part. The table within uses the lowest and the seven highest ones.
const SHARD_SHIFT: u32 = 40;

/// See the module. The order of values under one key is not defined.
#[derive(Clone)]
pub(super) struct Shards<K, V> {
    shards: Vec<Arc<HashTable<(K, V)>>>,
    hasher: DefaultHashBuilder,
    len: usize,
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        Shards { shards: Vec::new(), hasher: DefaultHashBuilder::default(), len: 0 }
    }
}

fn shard_of(hash: u64) -> usize {
    usize::try_from((hash >> SHARD_SHIFT) % SHARDS).unwrap_or(0)
}

impl<K: Hash + Eq + Clone, V: Clone> Shards<K, V> {
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All values under a key.
    pub(super) fn get<'a, Q>(&'a self, key: &'a Q) -> impl Iterator<Item = &'a V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let found = (!self.is_empty()).then(|| {
            let hash = self.hasher.hash_one(key);
            self.shards.get(shard_of(hash)).map(|shard| shard.iter_hash(hash))
        });
        let same = found.flatten().into_iter().flatten();
        same.filter(move |(k, _)| k.borrow() == key).map(|(_, value)| value)
    }

    /// Everything, in no defined order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shards.iter().flat_map(|shard| shard.iter().map(|(key, value)| (key, value)))
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.shards.is_empty() {
            self.shards.resize_with(usize::try_from(SHARDS).unwrap_or(1), Arc::default);
        }
        let hash = self.hasher.hash_one(&key);
        let hasher = &self.hasher;
        if let Some(shard) = self.shards.get_mut(shard_of(hash)) {
            Arc::make_mut(shard).insert_unique(hash, (key, value), |(k, _)| hasher.hash_one(k));
            self.len += 1;
        }
    }

    /// Removes one value under a key.
    pub(super) fn remove(&mut self, key: &K, is_it: impl Fn(&V) -> bool) -> bool {
        let hash = self.hasher.hash_one(key);
        let Some(shard) = self.shards.get_mut(shard_of(hash)) else { return false };
        // Nothing is copied for a value that is not there.
        if shard.find(hash, |(k, v)| k == key && is_it(v)).is_none() {
            return false;
        }
        let found = Arc::make_mut(shard).find_entry(hash, |(k, v)| k == key && is_it(v));
        found.map(|entry| entry.remove()).is_ok() && {
            self.len -= 1;
            true
        }
    }

    /// Removes every value that is not to be kept.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        for shard in &mut self.shards {
            if shard.iter().all(|(k, v)| keep(k, v)) {
                continue;
            }
            let shard = Arc::make_mut(shard);
            shard.retain(|(k, v)| keep(k, v));
        }
        self.len = self.shards.iter().map(|shard| shard.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn behaves_like_a_list_of_pairs(steps in prop::collection::vec((0u8..4, 0u8..20, 0u8..3), 0..200)) {
            let mut shards = Shards::<u8, u8>::default();
            let mut pairs: Vec<(u8, u8)> = Vec::new();
            for (step, key, value) in steps {
                let (before, old) = (shards.clone(), pairs.clone());
                match step {
                    0 | 1 => { shards.insert(key, value); pairs.push((key, value)); }
                    2 => {
                        let at = pairs.iter().position(|p| *p == (key, value));
                        prop_assert_eq!(shards.remove(&key, |v| *v == value), at.is_some());
                        at.map(|at| pairs.remove(at));
                    }
                    _ => { shards.retain(|_, v| *v != value); pairs.retain(|(_, v)| *v != value); }
                }
                for (shards, pairs) in [(&shards, &pairs), (&before, &old)] {
                    prop_assert_eq!(shards.len, pairs.len());
                    for key in 0..20u8 {
                        let mut found: Vec<u8> = shards.get(&key).copied().collect();
                        let mut wanted: Vec<u8> = pairs.iter().filter(|(k, _)| *k == key).map(|(_, v)| *v).collect();
                        found.sort_unstable();
                        wanted.sort_unstable();
                        prop_assert_eq!(found, wanted);
                    }
                }
            }
        }
    }

    #[test]
    fn a_copy_shares_what_did_not_change() {
        let mut shards = Shards::<u64, u64>::default();
        (0..10_000).for_each(|n| shards.insert(n, n));
        let before = shards.clone();
        shards.insert(10_000, 0);
        let shared = before.shards.iter().zip(&shards.shards).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert_eq!(shared, 63);
    }
}
