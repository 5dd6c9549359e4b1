//! The charges that a request makes against its limits and budgets, and what counters answer to them.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::Dimensions;
use crate::blind::BlindIndex;
use crate::time::Timestamp;
use crate::window::{Full, Rule, Times};

/// What a charge is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChargeKind {
    /// A limit, by its position in [`crate::policy::Policy::limits`].
    Limit(usize),
    /// A budget, by its position in [`crate::policy::Policy::budgets`].
    Budget(usize),
    /// The growing delay between unconfirmed codes to one number.
    BackOff,
    /// An API rate.
    ApiRate,
}

/// One charge of a request against one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Whose window, see [`BlindIndex::counter`].
    pub key: u64,
    /// The window.
    pub rule: Rule,
    /// Charged whatever the verdict, and never refunded.
    pub always: bool,
    /// Whether being full refuses the request.
    pub enforced: bool,
    /// What it is for.
    pub kind: ChargeKind,
    /// How much: 1, or for a budget of money micro-units.
    pub amount: u64,
}

impl Charge {
    /// A charge against an API rate.
    pub fn rate(key: u64, quota: u32, window: Duration) -> Self {
        let rule = Rule::Rate { quota, window };
        Charge { key, rule, always: false, enforced: true, kind: ChargeKind::ApiRate, amount: 1 }
    }

    /// How much it takes when it is made `weight` times.
    pub fn taken(&self, weight: u32) -> u64 {
        self.amount.saturating_mul(u64::from(weight))
    }
}

/// A limit or budget that a request would exceed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exceeded {
    /// Which one.
    #[serde(skip)]
    pub kind: ChargeKind,
    /// What the window holds: charges, or micro-units.
    pub count: u64,
    /// What it admits.
    pub quota: u64,
    /// When there will be room.
    pub retry_at: Timestamp,
    /// The quota is used up, as opposed to a delay that is not over.
    pub quota_used_up: bool,
    /// Whether this refuses.
    pub enforced: bool,
}

impl Exceeded {
    /// What a window answered to a charge.
    pub fn new(charge: &Charge, full: Full) -> Self {
        Exceeded {
            kind: charge.kind,
            count: full.count,
            quota: charge.rule.quota(),
            retry_at: full.retry_at,
            quota_used_up: full.quota_used_up,
            enforced: charge.enforced,
        }
    }
}

/// How much room the tightest limit of a request has left: what the headers `RateLimit` say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Position in [`crate::policy::Policy::limits`].
    pub limit: usize,
    /// What it admits in its window.
    pub quota: u64,
    /// How many more fit now.
    pub remaining: u64,
    /// When there will be more room; `None` when nothing is counted.
    pub more_at: Option<Timestamp>,
}

/// What a charge did to a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Position in [`crate::policy::Policy::budgets`].
    pub budget: usize,
    /// What was spent before.
    pub before: u64,
    /// What is spent now.
    pub after: u64,
    /// Whether the budget had no room for it.
    pub exceeded: bool,
}

/// What counters answer to the charges of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charged {
    /// Windows without room, shadow ones included. If none of them is enforced, everything was charged.
    pub exceeded: Vec<Exceeded>,
    /// The enforced limit with the least room, after this request.
    pub tightest: Option<Room>,
    /// What budgets hold.
    pub spent: Vec<Spent>,
    /// When it was charged by the clock of counters that have one of their own: what a refund names.
    pub at: Option<Timestamp>,
}

impl Charged {
    /// What the windows say to the charges before any is made. `held`: what a key holds.
    pub fn assess<'a>(
        charges: &[Charge],
        held: impl Fn(u64) -> Option<&'a Times>,
        weight: u32,
        now: Timestamp,
    ) -> Self {
        // All are looked up before any is judged: keys are far apart in memory, and waits for it overlap then.
        let held: Vec<Option<&Times>> = charges.iter().map(|charge| held(charge.key)).collect();
        let mut charged = Charged::default();
        for (charge, times) in charges.iter().zip(held) {
            let amount = charge.taken(weight);
            let full = charge.rule.admits(times, amount, now).err();
            charged.tell(charge, amount, full, || charge.rule.held(times, now), now);
        }
        charged
    }

    /// Takes in what one window says to a charge of `amount`: why it does not fit, and what it holds, see
    /// [`Rule::held`].
    pub fn tell(
        &mut self,
        charge: &Charge,
        amount: u64,
        full: Option<Full>,
        held: impl FnOnce() -> (u64, Option<Timestamp>),
        now: Timestamp,
    ) {
        if let Some(full) = full {
            self.exceeded.push(Exceeded::new(charge, full));
        }
        match (charge.kind, &charge.rule) {
            (ChargeKind::Budget(budget), _) => {
                let before = held().0;
                let after = before.saturating_add(amount);
                self.spent.push(Spent { budget, before, after, exceeded: full.is_some() });
            }
            (ChargeKind::Limit(limit), Rule::Window { window, .. }) if charge.enforced => {
                let (count, oldest) = held();
                let quota = charge.rule.quota();
                let remaining = quota.saturating_sub(count.saturating_add(amount));
                let more_at = oldest.or(Some(now.plus(*window)));
                self.tighten(Room { limit, quota, remaining, more_at });
            }
            _ => {}
        }
    }

    /// The same when nothing is charged after all: because something refused, or because it was only asked.
    pub fn unmade(mut self) -> Self {
        self.spent.iter_mut().for_each(|spent| spent.after = spent.before);
        let full = self.exceeded.iter().filter(|e| e.enforced);
        let full = full.filter_map(|e| match e.kind {
            ChargeKind::Limit(limit) => {
                Some(Room { limit, quota: e.quota, remaining: 0, more_at: Some(e.retry_at) })
            }
            _ => None,
        });
        let again =
            self.tightest.map(|room| Room { remaining: (room.remaining + 1).min(room.quota), ..room });
        self.tightest = full.max_by_key(|room| room.more_at).or(again);
        self
    }

    /// Whether an enforced window has no room: then nothing but `always` is charged.
    pub fn refused(&self) -> bool {
        self.exceeded.iter().any(|e| e.enforced)
    }

    fn tighten(&mut self, room: Room) {
        let rank = |r: &Room| (r.remaining, std::cmp::Reverse(r.more_at));
        if self.tightest.as_ref().is_none_or(|known| rank(&room) < rank(known)) {
            self.tightest = Some(room);
        }
    }
}

/// The charge of the growing delay between unconfirmed codes to one number.
pub fn back_off_charge(
    dimensions: &Dimensions,
    index: &BlindIndex,
    delays: Arc<[Duration]>,
    quota: u32,
    window: Duration,
    enforced: bool,
) -> Charge {
    Charge {
        key: index.counter(BACK_OFF, dimensions.to),
        rule: Rule::BackOff { delays, quota, window },
        always: false,
        enforced,
        kind: ChargeKind::BackOff,
        amount: 1,
    }
}

/// The counter seed of back-off windows.
pub const BACK_OFF: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_767_600_000_000 + ms)
    }

    fn limit(limit: usize, quota: u32) -> Charge {
        let rule = Rule::window_of(quota, Duration::from_secs(60));
        let kind = ChargeKind::Limit(limit);
        Charge { key: limit as u64, rule, always: false, enforced: true, kind, amount: 1 }
    }

    #[test]
    fn the_tightest_limit_is_the_one_with_the_least_room() {
        let one = Times::One(at(0).as_millis());
        let charges = [limit(0, 10), limit(1, 3), limit(2, 2)];
        let charged = Charged::assess(&charges, |key| (key == 1).then_some(&one), 1, at(10));
        let room = charged.tightest.unwrap();
        assert_eq!((room.limit, room.remaining, room.quota), (2, 1, 2), "of two, the one that waits longer");
        assert_eq!(room.more_at, Some(at(60_010)));
        assert_eq!(charged.unmade().tightest.map(|room| room.remaining), Some(2));
        let shadow = Charge { enforced: false, ..limit(3, 1) };
        assert!(Charged::assess(&[shadow], |_| None, 1, at(0)).tightest.is_none());
    }

    #[test]
    fn a_refused_request_is_told_of_the_limit_that_refused_it() {
        let full = Times::One(at(0).as_millis());
        let charges = [limit(0, 1), limit(1, 1)];
        let charged = Charged::assess(&charges, |key| (key == 0).then_some(&full), 1, at(10)).unmade();
        let room = charged.tightest.unwrap();
        assert_eq!((room.limit, room.remaining, room.more_at), (0, 0, Some(at(60_000))));
    }
}
