//! The busiest of many keys, counted in bounded memory.

use serde::{Deserialize, Serialize};

use super::super::detection::recent::hashed;

/// Keys with their counts. When there is no room, the least counted key makes place, and its count is kept
/// among the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Top {
    /// Compared before the keys, which is what most of the time goes into.
    hashes: Vec<u64>,
    counted: Vec<(String, u64)>,
    others: u64,
}

fn hash(key: &str) -> u64 {
    hashed(4, &key)
}

impl Top {
    /// One more of a key; at most `most` keys are told apart.
    pub fn count(&mut self, key: &str, most: usize) {
        let hash = hash(key);
        if let Some(at) = self.place(hash, key)
            && let Some((_, count)) = self.counted.get_mut(at)
        {
            *count += 1;
            return;
        }
        if self.counted.len() >= most
            && let Some(at) = self.least()
        {
            self.others += self.counted.swap_remove(at).1;
            self.hashes.swap_remove(at);
        }
        self.counted.push((key.to_owned(), 1));
        self.hashes.push(hash);
    }

    /// The first of the least counted keys. Nothing is counted less than once, so the first such ends the search.
    fn least(&self) -> Option<usize> {
        let once = self.counted.iter().position(|(_, count)| *count <= 1);
        let least = || self.counted.iter().enumerate().min_by_key(|(_, (_, count))| *count).map(|(at, _)| at);
        once.or_else(least)
    }

    fn place(&self, hash: u64, key: &str) -> Option<usize> {
        let at = self.hashes.iter().position(|known| *known == hash)?;
        self.counted.get(at).filter(|(known, _)| known == key).map(|_| at)
    }

    /// Whether a key is told apart.
    pub fn has(&self, key: &str) -> bool {
        self.place(hash(key), key).is_some()
    }

    /// The keys, most counted first.
    pub fn sorted(&self) -> Vec<(String, u64)> {
        let mut all = self.counted.clone();
        all.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
        all
    }

    /// How many keys are told apart.
    pub fn len(&self) -> usize {
        self.counted.len()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.counted.is_empty()
    }

    /// Counts of keys that are not told apart.
    pub fn others(&self) -> u64 {
        self.others
    }

    /// Only the most counted ones stay.
    pub fn shorten(&mut self, most: usize) {
        let mut all = self.sorted();
        self.others += all.iter().skip(most).map(|(_, count)| count).sum::<u64>();
        all.truncate(most);
        self.hashes = all.iter().map(|(key, _)| hash(key)).collect();
        self.counted = all;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busy_stay_and_nothing_is_lost() {
        let mut top = Top::default();
        for n in 0..1000 {
            top.count("busy", 10);
            top.count(&format!("rare {n}"), 10);
        }
        assert_eq!(top.len(), 10);
        assert_eq!(top.sorted().first(), Some(&("busy".to_owned(), 1000)));
        top.shorten(3);
        assert_eq!((top.len(), top.sorted().iter().map(|(_, n)| n).sum::<u64>() + top.others()), (3, 2000));
    }
}
