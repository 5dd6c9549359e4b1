//! Replay: a recorded or simulated trace, decided again in virtual time.
//!
//! It is counterfactual: what the trace says would follow on a message happens only if this policy sends it.
//! The rules, the windows and the engine are those of the live gateway; what differs is where facts come from
//! and that nothing leaves. It never looks at the truth that a trace may carry: only [`Summary`] does.

mod addresses;
mod feedback;
mod reading;
mod summary;
mod velocities;
mod windows;

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use siphasher::sip::SipHasher13;

pub use summary::{Attack, Campaign, Legit, Summary, Unlabelled};

use crate::blind::BlindIndex;
use crate::country::Country;
use crate::decide::{charges, decide, needs};
use crate::decision::{Decision, Verdict};
use crate::detect::inspect::Inspected;
use crate::detect::{Asked, Engine, Event, Explained};
use crate::facts::{Fact, Facts, History};
use crate::intel::number;
use crate::limit::{BACK_OFF, Charge, ChargeKind, Counts, Dimensions};
use crate::list::{ListIndex, Subject};
use crate::msisdn::{Msisdn, MsisdnError, ParsedNumber};
use crate::policy::{Policy, SubaccountPolicy, built_in_limits};
use crate::request::{Operation, Request};
use crate::time::Timestamp;
use crate::trace::{Check, IfSent, Line, Op};
use addresses::Addresses;
use feedback::{Ahead, Follows, What};
use velocities::Counted;
use windows::Windows;

/// Not sent again before, as both dialects have it when a request does not say.
const RESEND_INTERVAL: Duration = Duration::from_secs(10);
/// How long a message can be checked.
const CHECKABLE: Duration = Duration::from_secs(24 * 3600);
/// Messages after which those that can no longer be checked are forgotten.
const SWEEP_AFTER: usize = 1 << 16;

/// What an operator sets up, as far as a replay knows it.
#[derive(Clone)]
pub struct Setting {
    /// What `decide` takes.
    pub policy: Policy,
    /// What holds for subaccounts that the policy does not name.
    pub others: SubaccountPolicy,
    /// Lists with their entries.
    pub lists: ListIndex,
    /// What a message costs whose line has no price, in micro-units.
    pub prices: BTreeMap<Country, i64>,
}

impl Default for Setting {
    /// A new installation.
    fn default() -> Self {
        let policy = Policy { limits: built_in_limits(), ..Policy::default() };
        let (lists, others) = (ListIndex::default(), SubaccountPolicy::default());
        Setting { policy, others, lists, prices: BTreeMap::new() }
    }
}

/// Why a line cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// Lines must be ordered by time.
    #[error("`t` is {t}, before the line above it ({before}); sort the trace by `t`")]
    Unsorted {
        /// This line's time.
        t: Timestamp,
        /// The time of the line above.
        before: Timestamp,
    },
    /// Names must be unique.
    #[error("the id `{0}` was used by an earlier line; ids must be unique")]
    Repeated(String),
    /// A number that cannot be read.
    #[error("`to`: {0}")]
    Number(#[from] MsisdnError),
    /// An address that cannot be read.
    #[error("`{field}` is `{value}`; one IPv4 or IPv6 address without port is needed")]
    Address {
        /// Which.
        field: &'static str,
        /// As written.
        value: String,
    },
}

/// What was decided of one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// The decision.
    pub decision: Decision,
    /// Whether a message was sent.
    pub sent: bool,
    /// What it costs, in micro-units.
    pub price: i64,
}

/// A replay in progress.
pub struct Replay {
    setting: Setting,
    range_digits: Vec<u8>,
    index: BlindIndex,
    windows: Windows,
    addresses: Addresses,
    velocities: Counted,
    engine: Engine,
    ahead: Ahead,
    names: HashSet<u64>,
    sent: HashMap<u64, Sent>,
    /// Unconfirmed codes by subaccount and number, and when they were sent.
    open: HashMap<(u64, Msisdn), Timestamp>,
    verified: HashMap<Msisdn, Timestamp>,
    last: Timestamp,
    ids: u64,
}

/// A message that was sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Timestamp,
    follows: Follows,
}

impl Replay {
    /// Under a policy, with nothing else set up.
    pub fn new(policy: Policy, engine: Engine) -> Self {
        Self::under(Setting { policy, ..Setting::default() }, engine)
    }

    /// Under everything that is set up. A challenge is asked for, whatever the policy has set up: the trace says
    /// who passes.
    pub fn under(mut setting: Setting, engine: Engine) -> Self {
        setting.policy.subaccounts.values_mut().for_each(|own| own.challenges = true);
        setting.others.challenges = true;
        let range_digits = setting.policy.range_digits();
        let velocities = Counted::new(setting.policy.rules.needs().velocities);
        Replay {
            setting,
            range_digits,
            index: BlindIndex::new([7; 16]),
            windows: Windows::default(),
            addresses: Addresses::default(),
            velocities,
            engine,
            ahead: Ahead::default(),
            names: HashSet::new(),
            sent: HashMap::new(),
            open: HashMap::new(),
            verified: HashMap::new(),
            last: Timestamp::default(),
            ids: 0,
        }
    }

    /// The engine as it stands.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What the engine holds about the keys of a line that asks for a message.
    pub fn inspect(&self, line: &Line<'_>) -> Vec<Inspected> {
        let read = |to: &str| Msisdn::parse(to, None).map_err(ReplayError::Number);
        let asked = match &line.op {
            Op::VerifyStart(start) => read(&start.to).and_then(|to| reading::start(line, start, &to)),
            Op::SmsSend(sms) => read(&sms.to).and_then(|to| reading::sms(line, sms, &to)),
            Op::VerifyCheck(_) => return Vec::new(),
        };
        let Ok(request) = asked else { return Vec::new() };
        let facts = self.looked_up(line, &request, false);
        let history = facts.history.known().copied().unwrap_or_default();
        self.engine.inspect(&Asked::of(&request, facts.ip, facts.number.as_ref(), history, line.t))
    }

    /// Decides the next line. After an error the replay is over: what the line was to change is not known.
    pub fn step(&mut self, line: &Line<'_>) -> Result<Decided, ReplayError> {
        self.accept(line)?;
        while let Some(due) = self.ahead.due(line.t) {
            self.fold(due.follows, due.what, Timestamp::from_millis(due.due));
        }
        match &line.op {
            Op::VerifyCheck(check) => self.check(line, check),
            Op::VerifyStart(start) => {
                let request = self.read(&start.to, |to| reading::start(line, start, to))?;
                let passes = start.if_challenged.is_some_and(|if_challenged| if_challenged.passes);
                Ok(self.send(line, &request, start.known_number, start.if_sent, passes))
            }
            Op::SmsSend(sms) => {
                let request = self.read(&sms.to, |to| reading::sms(line, sms, to))?;
                let passes = sms.if_challenged.is_some_and(|if_challenged| if_challenged.passes);
                Ok(self.send(line, &request, sms.known_number, sms.if_sent.unwrap_or_default(), passes))
            }
        }
    }

    fn accept(&mut self, line: &Line<'_>) -> Result<(), ReplayError> {
        if line.t < self.last {
            return Err(ReplayError::Unsorted { t: line.t, before: self.last });
        }
        self.last = line.t;
        let new = self.names.insert(name_hash(&line.id));
        if new { Ok(()) } else { Err(ReplayError::Repeated(line.id.chars().take(80).collect())) }
    }

    /// A request to a number.
    fn read(
        &mut self,
        to: &str,
        make: impl FnOnce(&ParsedNumber) -> Result<Request, ReplayError>,
    ) -> Result<Request, ReplayError> {
        let number = Msisdn::parse(to, None)?;
        Ok(self.enter(make(&number)?))
    }

    /// Its subaccount is set up like all others unless it has a policy of its own, and its message costs what
    /// the price list says unless the line does.
    fn enter(&mut self, mut request: Request) -> Request {
        let subaccounts = &mut self.setting.policy.subaccounts;
        if !subaccounts.contains_key(&request.subaccount) {
            subaccounts.insert(request.subaccount.clone(), self.setting.others.clone());
        }
        request.price = request.price.or_else(|| self.setting.prices.get(&request.country).copied());
        request
    }

    fn send(
        &mut self,
        line: &Line<'_>,
        request: &Request,
        known: bool,
        follows: IfSent,
        passes: bool,
    ) -> Decided {
        let dimensions = Dimensions::of(request, &self.index, &self.range_digits);
        let mut facts = self.gather(line, request, &dimensions, known);
        let keys = self.velocities.keys(&self.index, &dimensions, request, &facts);
        facts.velocities = self.velocities.look(keys.as_ref(), line.t);
        let history = facts.history.known().copied().unwrap_or_default();
        let asked = Asked::of(request, facts.ip, facts.number.as_ref(), history, line.t);
        if needs(&self.setting.policy, request).evidence {
            facts.evidence = Fact::Known(self.engine.assess(&asked));
        }
        let known = facts.evidence.known();
        let thought = known.map_or_else(Default::default, |known| (known.probability, known.explained));
        let decision = self.screen(request, facts, &dimensions, passes, line.t);
        let challenged = decision.verdict == Verdict::Challenge && decision.enforced;
        let sent = decision.verdict < Verdict::Alternative && (!challenged || passes);
        let price = asked.price;
        if sent {
            self.dispatch(line, asked, thought, &dimensions, follows);
            self.velocities.sent(keys, self.ids, line.t);
        } else if challenged {
            self.engine.observe(&Event::Challenged { asked: Box::new(asked) });
        } else {
            self.engine.observe(&Event::Refused { asked: Box::new(asked) });
        }
        Decided { decision, sent, price }
    }

    /// Room 4 of the live gateway, without evidence.
    fn gather(&self, line: &Line<'_>, request: &Request, dimensions: &Dimensions, known: bool) -> Facts {
        let needs = needs(&self.setting.policy, request);
        let mut facts = self.looked_up(line, request, known);
        if needs.lists {
            let subject = Subject::of(request, facts.ip.as_ref(), facts.number.as_ref());
            facts.lists = Fact::Known(self.setting.lists.hits(&subject, line.t));
        }
        if let Some(ip) = dimensions.ip.filter(|_| needs.address) {
            facts.address = Fact::Known(self.addresses.history(ip, line.t));
        }
        if needs.open_verification {
            let sent = self.open.get(&(dimensions.sub, request.to));
            facts.resend_after = Fact::Known(sent.map(|at| at.plus(RESEND_INTERVAL)));
        }
        facts
    }

    /// What is known without asking anybody.
    fn looked_up(&self, line: &Line<'_>, request: &Request, known: bool) -> Facts {
        Facts {
            history: Fact::Known(self.history(request, known)),
            ip: request.client.ip.map(|ip| reading::ip_facts(line, ip)),
            number: Some(number::facts(&request.number())),
            opt_out: Fact::Known(None),
            ..Facts::default()
        }
    }

    fn history(&self, request: &Request, known: bool) -> History {
        let verified = self.verified.get(&request.to).copied();
        History {
            known: known || verified.is_some(),
            trusted: verified.is_some() && request.client.device_token.is_some(),
            last_confirmed_at: verified,
        }
    }

    /// Room 5 of the live gateway: decide, charge in one step, decide again. A challenge that is passed charges
    /// when the request goes on, which here is at once.
    fn screen(
        &mut self,
        request: &Request,
        mut facts: Facts,
        dimensions: &Dimensions,
        passes: bool,
        now: Timestamp,
    ) -> Decision {
        let policy = &self.setting.policy;
        let first = decide(policy, request, &facts, now);
        let all = charges(policy, request, &facts, dimensions, &self.index, now);
        let challenged = first.verdict == Verdict::Challenge && first.enforced;
        let sends = first.verdict < Verdict::Alternative && (!challenged || passes);
        facts.limits = Fact::Known(if sends {
            self.windows.charge(&all, now)
        } else {
            let exceeded = self.windows.peek(&all, now);
            self.windows.charge_always(&all, now);
            exceeded
        });
        // Limits that all have room say nothing, so the decision stands.
        let room = facts.limits.known().is_some_and(Vec::is_empty);
        if room { first } else { decide(policy, request, &facts, now) }
    }

    fn dispatch(
        &mut self,
        line: &Line<'_>,
        asked: Asked,
        (probability, explained): (f32, Explained),
        dimensions: &Dimensions,
        after: IfSent,
    ) {
        self.ids += 1;
        let follows = Follows { id: self.ids, to: asked.msisdn, sub: dimensions.sub, ip: dimensions.ip };
        if asked.operation == Operation::VerifyStart {
            self.remember(name_hash(&line.id), Sent { at: line.t, follows });
            if let Some(ip) = dimensions.ip {
                self.addresses.note(ip, dimensions.to, false, line.t);
            }
        }
        self.engine.observe(&Event::Sent { id: self.ids, asked: Box::new(asked), probability, explained });
        self.ahead.plan(line.t, &line.id, follows, after);
    }

    fn remember(&mut self, name: u64, sent: Sent) {
        if self.sent.len().is_multiple_of(SWEEP_AFTER) {
            self.sent.retain(|_, old| old.at.plus(CHECKABLE) > sent.at);
            self.open.retain(|_, at| at.plus(RESEND_INTERVAL) > sent.at);
        }
        self.sent.insert(name, sent);
        self.open.insert((sent.follows.sub, sent.follows.to), sent.at);
    }

    fn fold(&mut self, follows: Follows, what: What, at: Timestamp) {
        let id = follows.id;
        self.engine.observe(&match what {
            What::Failed => Event::Failed { id, at },
            What::WrongCheck => Event::WrongCheck { id, at },
            What::Confirmed => Event::Confirmed { id, at },
        });
        if what == What::Confirmed {
            let number = self.index.msisdn(follows.to);
            self.verified.insert(follows.to, at);
            self.open.remove(&(follows.sub, follows.to));
            self.windows.clear(self.index.counter(BACK_OFF, number));
            self.velocities.confirmed(id, at);
            if let Some(ip) = follows.ip {
                self.addresses.note(ip, number, true, at);
            }
        }
    }

    /// A code is presented. One of a request that was not sent, or a day ago, does nothing.
    fn check(&mut self, line: &Line<'_>, check: &Check<'_>) -> Result<Decided, ReplayError> {
        let version = self.setting.policy.version;
        let mut decision = Decision { policy_version: version, enforced: true, ..Decision::default() };
        let sent = self.sent.get(&name_hash(&check.of)).copied();
        if let Some(sent) = sent.filter(|sent| sent.at.plus(CHECKABLE) > line.t) {
            let request = self.read(&sent.follows.to.to_e164(), |to| reading::check(line, to))?;
            decision = self.screen_check(line, &request, check.correct);
            if decision.verdict == Verdict::Allow {
                let what = if check.correct { What::Confirmed } else { What::WrongCheck };
                self.fold(sent.follows, what, line.t);
            }
        }
        Ok(Decided { decision, sent: false, price: 0 })
    }

    /// A wrong code counts in the windows of wrong codes, a right one does not; neither is looked at when one of
    /// them is full.
    fn screen_check(&mut self, line: &Line<'_>, request: &Request, correct: bool) -> Decision {
        let dimensions = Dimensions::of(request, &self.index, &self.range_digits);
        let mut facts = self.gather(line, request, &dimensions, false);
        let policy = &self.setting.policy;
        let all = charges(policy, request, &facts, &dimensions, &self.index, line.t);
        let exceeded = self.windows.peek(&all, line.t);
        let refused = exceeded.iter().any(|e| e.enforced);
        for charge in &all {
            let takes = charge.always || !(refused || correct && counts_failures(policy, charge));
            if takes {
                self.windows.add(charge, line.t);
            }
        }
        facts.limits = Fact::Known(exceeded);
        decide(policy, request, &facts, line.t)
    }
}

fn counts_failures(policy: &Policy, charge: &Charge) -> bool {
    match charge.kind {
        ChargeKind::Limit(position) => {
            policy.limits.get(position).is_some_and(|l| l.counts == Counts::Failures)
        }
        _ => false,
    }
}

fn name_hash(name: &str) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(1, 2);
    hasher.write(name.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests;
