//! Which bad requests belong to one attack: those that share an alarmed key within a day, directly or through
//! others. A model has to be tried on attacks that it was not trained on, so they are kept whole.

use hashbrown::HashMap;

use super::label::Key;
use crate::time::Timestamp;

/// A key that was quiet for so long, in milliseconds, begins a new attack.
const QUIET: i64 = 24 * 3_600_000;

/// Groups bad requests. They are told in order of time.
#[derive(Clone, Debug, Default)]
pub struct Incidents {
    /// By key: the request that last had it, and when.
    last: HashMap<Key, (usize, i64)>,
    /// Each request's parent in its group; a root is its own.
    parents: Vec<usize>,
}

impl Incidents {
    /// One more bad request, with the keys at which it was bad; gives its number.
    pub fn tell(&mut self, keys: &[Key], at: Timestamp) -> usize {
        let (this, at) = (self.parents.len(), at.as_millis());
        self.parents.push(this);
        for key in keys {
            if let Some((other, last)) = self.last.insert(key.clone(), (this, at))
                && at - last <= QUIET
            {
                let (a, b) = (self.root(this), self.root(other));
                if let Some(parent) = self.parents.get_mut(a.max(b)) {
                    *parent = a.min(b);
                }
            }
        }
        this
    }

    /// The attack that a request belongs to: the number of its first request.
    pub fn root(&self, request: usize) -> usize {
        let mut at = request;
        while let Some(parent) = self.parents.get(at).filter(|parent| **parent != at) {
            at = *parent;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_keys_join_and_a_quiet_day_parts() {
        let hour = |h: i64| Timestamp::from_millis(1_700_000_000_000 + h * 3_600_000);
        let (a, b, c) = (Key::Block(1), Key::Block(2), Key::Client("x".to_owned()));
        let mut all = Incidents::default();
        let told = [
            (vec![a.clone()], 0),
            (vec![b.clone()], 1),
            (vec![b.clone(), c.clone()], 2),
            (vec![a.clone(), c.clone()], 3),
            (vec![a.clone()], 40),
            (vec![Key::Block(9)], 41),
        ];
        let numbers: Vec<usize> = told.iter().map(|(keys, at)| all.tell(keys, hour(*at))).collect();
        let groups: Vec<usize> = numbers.into_iter().map(|n| all.root(n)).collect();
        assert_eq!(groups, [0, 0, 0, 0, 4, 5]);
    }
}
