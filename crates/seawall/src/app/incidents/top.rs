//! The busiest of many keys, counted in bounded memory.

use serde::{Deserialize, Serialize};

/// Keys with their counts. When there is no room, the least counted key makes place, and its count is kept
/// among the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Top {
    counted: Vec<(String, u64)>,
    others: u64,
}

impl Top {
    /// One more of a key; at most `most` keys are told apart.
    pub fn count(&mut self, key: &str, most: usize) {
        if let Some((_, count)) = self.counted.iter_mut().find(|(known, _)| known == key) {
            *count += 1;
            return;
        }
        if self.counted.len() >= most {
            let least =
                self.counted.iter().enumerate().min_by_key(|(_, (_, count))| *count).map(|(at, _)| at);
            if let Some(at) = least {
                self.others += self.counted.swap_remove(at).1;
            }
        }
        self.counted.push((key.to_owned(), 1));
    }

    /// Whether a key is told apart.
    pub fn has(&self, key: &str) -> bool {
        self.counted.iter().any(|(known, _)| known == key)
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
