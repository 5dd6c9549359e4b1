//! Limits in virtual time: the windows of [`crate::window`] by key, all or nothing.

use hashbrown::HashMap;

use crate::limit::{Charge, Exceeded};
use crate::time::Timestamp;
use crate::window::Times;

/// Charges after which keys whose time has passed are dropped.
const SWEEP_AFTER: usize = 1 << 17;

/// Windows by counter key.
#[derive(Debug, Default)]
pub(super) struct Windows {
    keys: HashMap<u64, (Option<Times>, Timestamp)>,
    since_sweep: usize,
}

impl Windows {
    /// What a charge of all of these would exceed.
    pub fn peek(&self, charges: &[Charge], now: Timestamp) -> Vec<Exceeded> {
        let full = |charge: &Charge| {
            let held = self.keys.get(&charge.key).and_then(|(times, _)| times.as_ref());
            charge.rule.admits(held, charge.amount, now).err().map(|full| Exceeded::new(charge, full))
        };
        charges.iter().filter_map(full).collect()
    }

    /// Charges all of these, or only what counts in any case when one refuses.
    pub fn charge(&mut self, charges: &[Charge], now: Timestamp) -> Vec<Exceeded> {
        let exceeded = self.peek(charges, now);
        let refused = exceeded.iter().any(|e| e.enforced);
        for charge in charges.iter().filter(|charge| charge.always || !refused) {
            self.add(charge, now);
        }
        exceeded
    }

    /// Charges what counts in any case.
    pub fn charge_always(&mut self, charges: &[Charge], now: Timestamp) {
        charges.iter().filter(|charge| charge.always).for_each(|charge| self.add(charge, now));
    }

    /// Charges one, whatever it holds.
    pub fn add(&mut self, charge: &Charge, now: Timestamp) {
        self.sweep(now);
        let (held, end) = self.keys.entry(charge.key).or_insert((None, now));
        charge.rule.charge(held, charge.amount, now);
        *end = charge.rule.end(now).max(*end);
    }

    /// Forgets a key.
    pub fn clear(&mut self, key: u64) {
        self.keys.remove(&key);
    }

    fn sweep(&mut self, now: Timestamp) {
        self.since_sweep += 1;
        if self.since_sweep > SWEEP_AFTER {
            self.since_sweep = 0;
            self.keys.retain(|_, (_, end)| *end > now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Rule;
    use std::time::Duration;

    fn charge(key: u64, quota: u32, enforced: bool) -> Charge {
        let rule = Rule::window_of(quota, Duration::from_secs(60));
        let kind = crate::limit::ChargeKind::Limit(0);
        Charge { key, rule, always: false, enforced, kind, amount: 1 }
    }

    #[test]
    fn all_or_nothing() {
        let mut windows = Windows::default();
        let at = Timestamp::from_millis(1_000_000);
        let both = [charge(1, 1, true), charge(2, 9, true)];
        assert!(windows.charge(&both, at).is_empty());
        assert_eq!(windows.charge(&both, at).len(), 1);
        assert!(
            windows.charge(&[charge(2, 2, true)], at).is_empty(),
            "the refused charge left the other alone"
        );
        windows.clear(1);
        assert!(windows.peek(&[charge(1, 1, true)], at).is_empty());
    }
}
