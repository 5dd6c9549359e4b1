//! Which windows are to be filled from the ledger.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use seawall_core::address;
use seawall_core::blind::BlindIndex;
use seawall_core::limit::{Charge, ChargedTo, Counts, Limit, Mode, back_off_charge};
use seawall_core::policy::{BACK_OFF_WINDOW, Policy};
use seawall_core::request::Operation;
use seawall_store::PastCharge;

/// How long addresses are remembered.
const ADDRESSES: Duration = Duration::from_secs(address::REMEMBERED_HOURS as u64 * 3600);

/// How sets of windows are named: by keyed hashes of their own kinds, and this.
const LIMITS: u8 = b'L';
const HOLDERS: u8 = b'H';
const BACK_OFF: u64 = 0;

/// What of a policy is to be filled.
pub(super) struct Wanted {
    /// Ids of limits, as the policy has them.
    pub(super) limits: HashSet<String>,
    /// Subaccounts and keys that have another plan than before: their windows of its limits.
    holders: HashSet<String>,
    /// Counter keys of budgets.
    budgets: HashSet<u64>,
    pub(super) back_off: bool,
    /// What happened at addresses, which does not depend on the policy.
    addresses: bool,
    /// Keys that have a plan of their own, by their hash.
    keys: HashMap<u64, String>,
}

impl Wanted {
    /// All that counts sends.
    pub(super) fn all(policy: &Policy, index: &BlindIndex) -> Self {
        let limits = policy.limits.iter().filter(|l| counts_sends(l)).map(|l| l.id.clone());
        Wanted {
            limits: limits.collect(),
            holders: HashSet::new(),
            budgets: policy.budgets.iter().map(|budget| budget.key(index)).collect(),
            back_off: policy.backoff.mode != Mode::Off,
            addresses: true,
            keys: policy.plans.keys().map(|id| (index.text(b'k', id), id.to_owned())).collect(),
        }
    }

    /// What happened at addresses, and nothing else.
    pub(super) fn addresses_alone() -> Self {
        Wanted {
            limits: HashSet::new(),
            holders: HashSet::new(),
            budgets: HashSet::new(),
            back_off: false,
            addresses: true,
            keys: HashMap::new(),
        }
    }

    /// What counted nothing, or something else, until now.
    pub(super) fn fresh(old: &Policy, new: &Policy, index: &BlindIndex) -> Self {
        let (mut wanted, before) = (Self::all(new, index), Self::all(old, index));
        wanted.limits.retain(|id| !before.limits.contains(id));
        wanted.budgets.retain(|key| !before.budgets.contains(key));
        wanted.back_off &= old.backoff.mode == Mode::Off;
        wanted.addresses = false;
        if new.limits.iter().any(|l| l.plan.is_some() && counts_sends(l)) {
            wanted.holders = new.plans.changed_since(&old.plans);
        }
        wanted
    }

    /// Names of its sets of windows, the same on all nodes.
    pub(super) fn sets(&self, index: &BlindIndex) -> Vec<u64> {
        let limits = self.limits.iter().map(|id| index.text(LIMITS, id));
        let holders = self.holders.iter().map(|holder| index.text(HOLDERS, holder));
        limits
            .chain(holders)
            .chain(self.budgets.iter().copied())
            .chain(self.back_off.then_some(BACK_OFF))
            .collect()
    }

    /// Only these.
    pub(super) fn only(mut self, sets: &[u64], index: &BlindIndex) -> Self {
        self.limits.retain(|id| sets.contains(&index.text(LIMITS, id)));
        self.holders.retain(|holder| sets.contains(&index.text(HOLDERS, holder)));
        self.budgets.retain(|key| sets.contains(key));
        self.back_off &= sets.contains(&BACK_OFF);
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.limits.is_empty() && self.holders.is_empty() && self.budgets.is_empty() && !self.back_off
    }

    /// Whether addresses are to be learned again.
    pub(super) fn addresses(&self) -> bool {
        self.addresses
    }

    pub(super) fn longest(&self, policy: &Policy, index: &BlindIndex) -> Duration {
        let by_holder = !self.holders.is_empty();
        let limits = policy
            .limits
            .iter()
            .filter(|l| self.limits.contains(&l.id) || (by_holder && l.plan.is_some() && counts_sends(l)))
            .map(|l| l.window);
        let budgets = policy.budgets.iter().filter(|b| self.budgets.contains(&b.key(index)));
        limits
            .chain(budgets.map(|b| b.window.longest()))
            .chain(self.back_off.then_some(BACK_OFF_WINDOW))
            .chain(self.addresses.then_some(ADDRESSES))
            .max()
            .unwrap_or_default()
    }

    /// The windows that a past send belongs to. `widened`: how many times the quota its address may use.
    pub(super) fn charges(
        &self,
        policy: &Policy,
        past: &PastCharge,
        widened: u32,
        index: &BlindIndex,
    ) -> Vec<Charge> {
        let Some(operation) = Operation::from_u8(past.dimensions.op) else { return Vec::new() };
        let key = self.keys.get(&past.dimensions.key).map(String::as_str);
        let changed =
            self.holders.contains(&*past.subaccount) || key.is_some_and(|k| self.holders.contains(k));
        let mut charges = Vec::new();
        for (position, limit, holder) in policy.limits_for(operation, &past.subaccount, key) {
            let of_changed = changed && holder.is_some() && counts_sends(limit);
            if self.limits.contains(&limit.id) || of_changed {
                let holder = holder.map(|holder| holder.of(&past.dimensions));
                let to = ChargedTo { holder, widened, enforced: true };
                charges.extend(limit.charges(position, &past.dimensions, index, to));
            }
        }
        if self.back_off && !past.confirmed && operation == Operation::VerifyStart {
            charges.push(back_off(policy, past, index));
        }
        // What never left was given back.
        if !past.given_back && operation.may_cost() {
            let all = policy.budgets.iter().enumerate();
            let counted = all.filter(|(_, b)| {
                b.counts(&past.dimensions, &past.subaccount, index) && self.budgets.contains(&b.key(index))
            });
            charges.extend(counted.map(|(n, budget)| budget.charge(n, &past.dimensions, index)));
        }
        charges
    }
}

fn counts_sends(limit: &Limit) -> bool {
    limit.counts == Counts::Sends && limit.mode != Mode::Off
}

fn back_off(policy: &Policy, past: &PastCharge, index: &BlindIndex) -> Charge {
    let rule = &policy.backoff;
    let enforced = rule.mode == Mode::Enforce;
    back_off_charge(
        &past.dimensions,
        index,
        rule.delays.clone(),
        rule.max_unconfirmed,
        BACK_OFF_WINDOW,
        enforced,
    )
}

#[cfg(test)]
mod tests {
    use super::super::refill::named_by_shape;
    use super::*;
    use seawall_core::budget::Budget;
    use seawall_core::limit::Dimensions;
    use seawall_core::plan::Plans;
    use seawall_core::policy::built_in_limits;
    use seawall_core::time::Timestamp;

    fn index() -> BlindIndex {
        BlindIndex::new([7; 16])
    }

    fn policy(change: impl Fn(&mut Limit)) -> Policy {
        let changed = |mut limit: Limit| {
            change(&mut limit);
            named_by_shape(limit, &index())
        };
        let limits = built_in_limits().into_iter().filter(|l| l.counts == Counts::Sends).map(changed);
        Policy { limits: limits.collect(), ..Policy::default() }
    }

    fn fresh(old: &Policy, new: &Policy) -> Wanted {
        Wanted::fresh(old, new, &index())
    }

    #[test]
    fn only_what_counts_differently_is_fresh() {
        let old = policy(|_| {});
        let fresh_after = |change: &dyn Fn(&mut Limit)| fresh(&old, &policy(change)).limits.len();
        assert_eq!(fresh_after(&|_| {}), 0);
        assert_eq!(fresh_after(&|l| l.name.push('!')), 0);
        assert_eq!(fresh_after(&|l| l.mode = Mode::Shadow), 0);
        assert_eq!(fresh_after(&|l| l.mode = Mode::Off), 0);
        assert_eq!(fresh_after(&|l| l.quota += 1), 3);
        assert_eq!(fresh_after(&|l| l.window *= 2), 3);
        assert_eq!(fresh_after(&|l| l.counts = Counts::Requests), 0, "requests are not in the ledger");
        let off = policy(|l| l.mode = Mode::Off);
        assert_eq!(fresh(&off, &old).limits.len(), 3, "it counted nothing while it was off");
    }

    #[test]
    fn back_off_is_fresh_when_it_comes_on() {
        let on = policy(|_| {});
        let mut off = policy(|_| {});
        off.backoff.mode = Mode::Off;
        assert!(!fresh(&on, &on).back_off && !fresh(&on, &off).back_off);
        let wanted = fresh(&off, &on);
        assert!(wanted.back_off && !wanted.is_empty());
        assert_eq!(wanted.longest(&on, &index()), BACK_OFF_WINDOW);
    }

    fn past(subaccount: &str, given_back: bool) -> PastCharge {
        let dimensions =
            Dimensions { op: 2, to: 7, sub: index().text(b's', subaccount), ..Dimensions::default() };
        PastCharge {
            at: Timestamp::from_millis(0),
            dimensions,
            subaccount: subaccount.into(),
            confirmed: false,
            verification: None,
            given_back,
        }
    }

    #[test]
    fn a_new_plan_of_a_subaccount_fills_its_windows_and_nobody_elses() {
        let mut old = policy(|l| l.plan = Some("small".to_owned()));
        let holders = |names: &[&str]| names.iter().map(|n| ((*n).to_owned(), "small".to_owned())).collect();
        old.plans = Plans::new(holders(&["a"]), HashMap::new(), &old.limits);
        let mut new = old.clone();
        new.plans = Plans::new(holders(&["a", "b"]), HashMap::new(), &new.limits);
        let wanted = fresh(&old, &new);
        assert!(!wanted.is_empty() && wanted.limits.is_empty());
        let charges = |sub: &str| wanted.charges(&new, &past(sub, false), 1, &index()).len();
        assert_eq!((charges("a"), charges("b"), charges("c")), (0, 1, 0));
        assert!(fresh(&new, &new).is_empty());
    }

    #[test]
    fn a_budget_is_filled_once_and_not_by_what_was_given_back() {
        let written = serde_json::json!({"id": "bud_1", "unit": "messages", "amount": 3, "window": "day"});
        let budget: Budget = serde_json::from_value(written).unwrap();
        let old = policy(|l| l.mode = Mode::Off);
        let new = Policy { budgets: vec![budget.clone()], ..old.clone() };
        let wanted = fresh(&old, &new);
        assert_eq!(wanted.charges(&new, &past("a", false), 1, &index()).len(), 1);
        assert_eq!(wanted.charges(&new, &past("a", true), 1, &index()).len(), 0);
        let more = Policy { budgets: vec![Budget { amount: 9, ..budget }], ..new.clone() };
        assert!(fresh(&new, &more).is_empty(), "another amount keeps what is spent");
    }
}
