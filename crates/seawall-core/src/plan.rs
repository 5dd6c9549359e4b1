//! Plans: bundles of limits that go for the subaccounts and keys that have them.

use std::collections::{HashMap, HashSet};

use crate::limit::{Dimensions, Limit};
use crate::request::Operation;

/// Who has which plan. A key's own plan outranks the one of the subaccount that it is used for.
#[derive(Clone, Debug, Default)]
pub struct Plans {
    subaccounts: HashMap<String, String>,
    keys: HashMap<String, String>,
    /// By subaccount: which limits of plans its own limits replace, for which operations.
    replaced: HashMap<String, Vec<(usize, Operation)>>,
}

/// Through whom a plan goes for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The subaccount has it.
    Subaccount,
    /// The key has it.
    Key,
}

impl Holder {
    /// The hash that keeps this holder's windows apart from those of others with the same plan.
    pub fn of(self, dimensions: &Dimensions) -> u64 {
        match self {
            Holder::Subaccount => dimensions.sub,
            Holder::Key => dimensions.key,
        }
    }
}

impl Plans {
    /// From who has which plan, and all limits in the policy's order.
    pub fn new(
        subaccounts: HashMap<String, String>,
        keys: HashMap<String, String>,
        limits: &[Limit],
    ) -> Self {
        let mut replaced: HashMap<String, Vec<(usize, Operation)>> = HashMap::new();
        let of_plans = || limits.iter().enumerate().filter(|(_, l)| l.plan.is_some());
        for own in limits.iter().filter(|l| l.plan.is_none()) {
            let Some(subaccount) = &own.subaccount_id else { continue };
            for (position, theirs) in of_plans().filter(|(_, theirs)| own.replaces(theirs)) {
                let both = own.applies_to.iter().filter(|op| theirs.applies_to.contains(op));
                replaced.entry(subaccount.clone()).or_default().extend(both.map(|op| (position, *op)));
            }
        }
        Plans { subaccounts, keys, replaced }
    }

    /// The plan that goes for a subaccount and a key, and through which of them.
    pub fn of(&self, subaccount: &str, key: Option<&str>) -> Option<(&str, Holder)> {
        let by_key = key.and_then(|key| self.keys.get(key)).map(|plan| (plan.as_str(), Holder::Key));
        by_key.or_else(|| self.subaccounts.get(subaccount).map(|plan| (plan.as_str(), Holder::Subaccount)))
    }

    /// Through whom a limit goes for a request: `Some(None)` for one that belongs to no plan, `None` for one
    /// of another plan, or one that the subaccount's own limits replace.
    pub fn holder(
        &self,
        limit: &Limit,
        position: usize,
        operation: Operation,
        subaccount: &str,
        key: Option<&str>,
    ) -> Option<Option<Holder>> {
        let Some(plan) = &limit.plan else { return Some(None) };
        let (known, holder) = self.of(subaccount, key)?;
        let replaced = || {
            let all = self.replaced.get(subaccount);
            all.is_some_and(|all| all.contains(&(position, operation)))
        };
        (known == plan && !replaced()).then_some(Some(holder))
    }

    /// Subaccounts and keys for whom other limits of plans go than before.
    pub fn changed_since(&self, before: &Plans) -> HashSet<String> {
        let changed = |now: &HashMap<String, String>, then: &HashMap<String, String>| -> Vec<String> {
            now.iter()
                .filter(|(who, plan)| then.get(*who) != Some(plan))
                .map(|(who, _)| who.clone())
                .collect()
        };
        let mut all: HashSet<String> = changed(&self.subaccounts, &before.subaccounts).into_iter().collect();
        all.extend(changed(&self.keys, &before.keys));
        // A key that lost its plan falls back to those of its subaccounts.
        if before.keys.keys().any(|key| !self.keys.contains_key(key)) {
            all.extend(self.subaccounts.keys().cloned());
        }
        let replaced = before.replaced.iter().filter(|(who, theirs)| self.replaced.get(*who) != Some(theirs));
        all.extend(replaced.map(|(who, _)| who.clone()));
        all
    }

    /// Keys that have a plan of their own.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }
}

impl Limit {
    /// Whether a subaccount's own limit stands in for one of its plan: it counts the same subject in the same
    /// window. Another window is another promise, and both hold.
    fn replaces(&self, theirs: &Limit) -> bool {
        self.per == theirs.per
            && self.key == theirs.key
            && self.digits == theirs.digits
            && self.window == theirs.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Mode;
    use crate::policy::built_in_limits;
    use std::time::Duration;

    fn named(text: &str) -> HashMap<String, String> {
        text.split(' ').filter_map(|pair| pair.split_once('=')).map(|(a, b)| (a.into(), b.into())).collect()
    }

    fn limit(plan: Option<&str>, subaccount: Option<&str>) -> Limit {
        let plan = plan.map(str::to_owned);
        Limit { plan, subaccount_id: subaccount.map(str::to_owned), ..built_in_limits().remove(1) }
    }

    #[test]
    fn a_keys_plan_outranks_the_subaccounts() {
        let plans = Plans::new(named("a=small"), named("key_1=large"), &[]);
        assert_eq!(plans.of("a", Some("key_1")), Some(("large", Holder::Key)));
        assert_eq!(plans.of("a", Some("key_2")), Some(("small", Holder::Subaccount)));
        assert_eq!(plans.of("b", Some("key_2")), None);
    }

    #[test]
    fn own_limits_of_the_same_subject_and_window_replace_a_plans() {
        let longer = Limit { window: Duration::from_secs(86_400), ..limit(Some("small"), None) };
        let off = Limit { mode: Mode::Off, ..limit(None, Some("a")) };
        let limits = [limit(Some("small"), None), longer, off];
        let plans = Plans::new(named("a=small b=small"), HashMap::new(), &limits);
        let op = Operation::SmsSend;
        let goes = |position: usize, sub: &str| plans.holder(&limits[position], position, op, sub, None);
        assert_eq!(goes(0, "a"), None, "replaced, also by one that is off");
        assert_eq!(goes(1, "a"), Some(Some(Holder::Subaccount)), "another window is another promise");
        assert_eq!(goes(0, "b"), Some(Some(Holder::Subaccount)));
        assert_eq!(goes(0, "c"), None, "has no plan");
        assert_eq!(goes(2, "a"), Some(None));
    }
}
