//! What was seen from outside, and what must hold of it. The names are those of the invariants:
//!
//! I1 nothing acknowledged is forgotten · I2 nothing is submitted twice · I3 every accepted message is in one state ·
//! I4 limits · I5 budgets · I6 guesses · I7 one success · I8 opt-outs · I9 tenants · I10 nothing in clear · I11 the audit
//! log · I12 an error refuses.

use std::collections::{BTreeMap, BTreeSet};

use seawall_core::id::Id;

/// A limit: so many in any span of so many milliseconds.
pub const QUOTA: usize = 3;
pub const WINDOW: i64 = 20_000;
/// A budget of messages to Britain.
pub const BUDGET: usize = 6;
pub const BUDGET_WINDOW: i64 = 25_000;
/// A window is charged this much after the instant in a message's id at most: a call's time, and what clocks differ.
const SLACK: i64 = 2_600;

/// A message that was accepted, as the ledger wrote it.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub at: i64,
    pub number: u64,
    pub code: bool,
    pub counted: bool,
}

/// The finaliser of SplitMix64.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Everything that was seen.
pub struct Oracle {
    /// Written to the ledger.
    pub accepted: BTreeMap<Id, Accepted>,
    /// Acknowledged to a caller.
    pub acked: BTreeSet<Id>,
    /// Written, and their callers were told that they were not.
    pub refused: BTreeSet<Id>,
    /// How often a provider had them.
    pub arrived: BTreeMap<Id, u32>,
    /// The codes that arrived, by message.
    pub texts: BTreeMap<Id, String>,
    /// Idempotency keys and the messages that were acknowledged under them.
    pub keys: BTreeMap<String, BTreeSet<Id>>,
    /// Opt-outs that were acknowledged, and when.
    pub opted_out: BTreeMap<u64, i64>,
    /// Targets of changes that were acknowledged; each is in the audit log.
    pub audited: BTreeSet<String>,
    /// By verification: codes looked at, and successes.
    pub checks: BTreeMap<Id, (u32, u32)>,
    /// By number: wrong codes since the last right one.
    pub wrong: BTreeMap<u64, u32>,
    /// What does not hold.
    pub violations: Vec<String>,
    /// What happened, for whoever looks for the reason.
    pub lines: Vec<String>,
    /// The same as one number: equal for equal seeds.
    pub hash: u64,
}

impl Oracle {
    pub fn new(seed: u64) -> Self {
        Oracle {
            accepted: BTreeMap::new(),
            acked: BTreeSet::new(),
            refused: BTreeSet::new(),
            arrived: BTreeMap::new(),
            texts: BTreeMap::new(),
            keys: BTreeMap::new(),
            opted_out: BTreeMap::new(),
            audited: BTreeSet::new(),
            checks: BTreeMap::new(),
            wrong: BTreeMap::new(),
            violations: Vec::new(),
            lines: Vec::new(),
            hash: mix(seed),
        }
    }

    pub fn trace(&mut self, at: i64, what: String) {
        let line = format!("{at:>7} {what}");
        self.hash = line.bytes().fold(self.hash, |hash, byte| mix(hash ^ u64::from(byte)));
        self.lines.push(line);
    }

    fn broken(&mut self, at: i64, what: String) {
        self.trace(at, format!("VIOLATION {what}"));
        self.violations.push(what);
    }

    pub fn require(&mut self, holds: bool, at: i64, what: impl FnOnce() -> String) {
        if !holds {
            self.broken(at, what());
        }
    }

    /// I3.
    pub fn conserved(&mut self, at: i64, in_states: u64) {
        let accepted = self.accepted.len() as u64;
        self.require(in_states == accepted, at, || format!("I3: {accepted} accepted, {in_states} in states"));
    }

    /// I2, I4, I5, I8 and I12, whenever a provider has a message.
    pub fn arrives(&mut self, at: i64, id: Id, text: &str) {
        let times = self.arrived.entry(id).or_default();
        *times += 1;
        let times = *times;
        self.texts.insert(id, text.to_owned());
        self.require(times == 1, at, || format!("I2: {} was submitted {times} times", id.row()));
        let refused = self.refused.contains(&id);
        self.require(!refused, at, || {
            format!("I12: {} was submitted, and its caller was told it failed", id.row())
        });
        let Some(message) = self.accepted.get(&id).cloned() else {
            return self.broken(at, format!("I1: {} was submitted and is in no ledger", id.row()));
        };
        let since = self.opted_out.get(&message.number).copied();
        let late = since.is_some_and(|since| at - since > 1_000);
        self.require(message.code || !late, at, || format!("I8: {} went to an opted-out number", id.row()));
        self.limits(at, message.number);
    }

    fn limits(&mut self, at: i64, number: u64) {
        let times = |of: &dyn Fn(&Accepted) -> bool| -> Vec<i64> {
            let arrived = self.arrived.keys().filter_map(|id| self.accepted.get(id));
            let mut times: Vec<i64> = arrived.filter(|m| m.counted && of(m)).map(|m| m.at).collect();
            times.sort_unstable();
            times
        };
        let of_number = times(&|message| message.number == number);
        let of_budget = times(&|message| is_british(message.number));
        let crowded = |times: &[i64], quota: usize, window: i64| {
            times.windows(quota + 1).any(|some| some[quota] - some[0] < window - SLACK)
        };
        let (limit, budget) =
            (crowded(&of_number, QUOTA, WINDOW), crowded(&of_budget, BUDGET, BUDGET_WINDOW));
        self.require(!limit, at, || {
            format!("I4: more than {QUOTA} in {WINDOW} ms to one number: {of_number:?}")
        });
        self.require(!budget, at, || format!("I5: more than {BUDGET} in {BUDGET_WINDOW} ms: {of_budget:?}"));
    }

    /// I6 and I7.
    pub fn checked(&mut self, at: i64, verification: Id, number: u64, right: bool) {
        let (looked, rights) = {
            let (looked, rights) = self.checks.entry(verification).or_default();
            *looked += 1;
            *rights += u32::from(right);
            (*looked, *rights)
        };
        let wrong = self.wrong.entry(number).or_default();
        // A success begins the count anew.
        *wrong = if right { 0 } else { *wrong + 1 };
        let wrong = *wrong;
        self.require(looked <= 5, at, || format!("I6: {looked} codes looked at for one verification"));
        self.require(wrong <= 10, at, || format!("I6: {wrong} wrong codes for one number in an hour"));
        self.require(rights <= 1, at, || "I7: a verification succeeded twice".to_owned());
    }

    /// I7 of idempotency keys.
    pub fn acknowledged(&mut self, at: i64, key: &str, id: Id) {
        self.acked.insert(id);
        let all = self.keys.entry(key.to_owned()).or_default();
        all.insert(id);
        let effects = all.len();
        self.require(effects == 1, at, || format!("I7: {effects} effects of one idempotency key"));
    }
}

pub fn is_british(number: u64) -> bool {
    number / 10_000_000_000 == 44
}
