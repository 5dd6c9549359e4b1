//! Which virtual number a session gets: one that neither party has with anybody else, so that the pair of caller
//! and virtual number names this session and no other.

/// What keeps a session from getting a virtual number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Both parties are the same number.
    SameParty,
    /// A party is itself a virtual number: a call would go round in a circle.
    Circle,
    /// Every virtual number of the pool that works is in use by one of the parties, or was a moment ago.
    Exhausted,
}

/// The first candidate that is free for both parties: neither has it, and it is neither of them. Works on numbers as
/// well as on their keyed hashes; `taken` are the virtual numbers that either party has, in any order.
pub fn select<N: Copy + PartialEq>(parties: (N, N), candidates: &[N], taken: &[N]) -> Option<N> {
    let fits = |n: &&N| **n != parties.0 && **n != parties.1 && !taken.contains(n);
    candidates.iter().find(fits).copied()
}

/// The candidates from another place on, so that not every session begins with the same virtual number.
pub fn rotated<N: Copy>(candidates: &[N], seed: u64) -> Vec<N> {
    let Ok(count) = u64::try_from(candidates.len()) else { return candidates.to_vec() };
    let Some(start) = seed.checked_rem(count).and_then(|start| usize::try_from(start).ok()) else {
        return Vec::new();
    };
    let (head, tail) = candidates.split_at_checked(start).unwrap_or((candidates, &[]));
    tail.iter().chain(head).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{HashMap, HashSet};

    proptest! {
        /// Any order of sessions that begin and end, over few parties and few virtual numbers.
        #[test]
        fn a_pair_names_one_session(
            steps in prop::collection::vec((0u8..12, 0u8..12, any::<u64>(), any::<bool>()), 1..200),
            pool in 1u8..8,
        ) {
            let candidates: Vec<u8> = (100..100 + pool).collect();
            let mut open: Vec<(u8, u8, u8)> = Vec::new();
            let mut keys: HashMap<(u8, u8), usize> = HashMap::new();
            for (a, b, seed, ends) in steps {
                if a == b { continue }
                if ends && !open.is_empty() {
                    let at = usize::try_from(seed).unwrap_or(0) % open.len();
                    let (a, b, mask) = open.swap_remove(at);
                    keys.remove(&(a, mask));
                    keys.remove(&(b, mask));
                    continue;
                }
                let taken: Vec<u8> = open.iter().filter(|(x, y, _)| [a, b].contains(x) || [a, b].contains(y)).map(|s| s.2).collect();
                let free: HashSet<u8> = candidates.iter().copied().filter(|n| !taken.contains(n)).collect();
                match select((a, b), &rotated(&candidates, seed), &taken) {
                    Some(mask) => {
                        prop_assert!(free.contains(&mask));
                        prop_assert!(keys.insert((a, mask), open.len()).is_none(), "A's key named a session");
                        prop_assert!(keys.insert((b, mask), open.len()).is_none(), "B's key named a session");
                        open.push((a, b, mask));
                    }
                    None => prop_assert!(free.is_empty(), "refused although one was free"),
                }
            }
        }

        #[test]
        fn turning_loses_nothing(candidates in prop::collection::vec(any::<u16>(), 0..20), seed: u64) {
            let mut turned = rotated(&candidates, seed);
            let mut all = candidates.clone();
            turned.sort_unstable();
            all.sort_unstable();
            prop_assert_eq!(turned, all);
        }
    }

    #[test]
    fn a_party_is_no_mask_of_its_own() {
        assert_eq!(select((1, 2), &[1, 2, 3], &[]), Some(3));
        assert_eq!(select((1, 2), &[1, 2, 3], &[3]), None);
    }
}
