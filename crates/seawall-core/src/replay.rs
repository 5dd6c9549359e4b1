//! Replay: a recorded or simulated trace, decided again in virtual time.
//!
//! It is counterfactual: what the trace says would follow on a message happens only if this policy sends it.
//! The rules, the windows and the engine are those of the live gateway; what differs is where facts come from
//! and that nothing leaves. It never looks at the truth that a trace may carry: only [`Summary`] does.

mod feedback;
mod summary;
mod windows;

use hashbrown::{HashMap, HashSet};
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

pub use summary::{Attack, Campaign, Legit, Summary};

use crate::blind::BlindIndex;
use crate::client_ip::ClientIp;
use crate::decide::{charges, decide, needs};
use crate::decision::{Decision, Verdict};
use crate::detect::inspect::Inspected;
use crate::detect::{Asked, Engine, Event, Evidence};
use crate::facts::{Fact, Facts, History};
use crate::intel::{IpFacts, ip, number};
use crate::limit::{BACK_OFF, Dimensions};
use crate::msisdn::{Msisdn, MsisdnError, ParsedNumber};
use crate::policy::{Policy, SubaccountPolicy};
use crate::request::{Operation, Request};
use crate::time::Timestamp;
use crate::trace::{Check, IfSent, Line, Op};
use feedback::{Ahead, What};
use windows::Windows;

/// The subaccount of a line that names none.
const SUBACCOUNT: &str = "default";
/// The API key of every line.
const KEY: &str = "key_replay";

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
    #[error("`client.ip` is `{0}`; one IPv4 or IPv6 address without port is needed")]
    Address(String),
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
    policy: Policy,
    range_digits: Vec<u8>,
    index: BlindIndex,
    windows: Windows,
    engine: Engine,
    ahead: Ahead,
    names: HashSet<u64>,
    sent: HashMap<u64, Sent>,
    /// By the engine's id.
    numbers: HashMap<u64, Msisdn>,
    verified: HashMap<Msisdn, Timestamp>,
    last: Timestamp,
    ids: u64,
}

/// A message that was sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    id: u64,
}

impl Replay {
    /// Under a policy. A challenge is asked for, whatever the policy has set up: the trace says who passes.
    pub fn new(mut policy: Policy, engine: Engine) -> Self {
        policy.subaccounts.values_mut().for_each(|own| own.challenges = true);
        let range_digits = policy.range_digits();
        Replay {
            policy,
            range_digits,
            index: BlindIndex::new([7; 16]),
            windows: Windows::default(),
            engine,
            ahead: Ahead::default(),
            names: HashSet::new(),
            sent: HashMap::new(),
            numbers: HashMap::new(),
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
        let to = match &line.op {
            Op::VerifyStart(start) => &start.to,
            Op::SmsSend(sms) => &sms.to,
            Op::VerifyCheck(_) => return Vec::new(),
        };
        let Ok(request) = self.as_request(line, Operation::VerifyStart, to) else { return Vec::new() };
        let ip = request.client.ip.map(|ip| ip_facts(line, ip));
        let number = Msisdn::parse(to, None).map(|n| number::facts(&n)).unwrap_or_default();
        let history = self.history(&request, false);
        self.engine.inspect(&Asked::of(&request, ip, Some(&number), history, line.t))
    }

    /// Decides the next line.
    pub fn step(&mut self, line: &Line<'_>) -> Result<Decided, ReplayError> {
        self.accept(line)?;
        while let Some(due) = self.ahead.due(line.t) {
            self.fold(due.id, due.what, Timestamp::from_millis(due.due));
        }
        match &line.op {
            Op::VerifyCheck(check) => Ok(self.check(check, line.t)),
            Op::VerifyStart(start) => {
                let mut request = self.request(line, Operation::VerifyStart, &start.to)?;
                request.price = start.price_micros.and_then(|p| i64::try_from(p).ok());
                let passes = start.if_challenged.is_some_and(|if_challenged| if_challenged.passes);
                Ok(self.send(line, request, start.known_number, start.if_sent, passes))
            }
            Op::SmsSend(sms) => {
                let mut request = self.request(line, Operation::SmsSend, &sms.to)?;
                request.price = sms.price_micros.and_then(|p| i64::try_from(p).ok());
                request.message.url_hosts = crate::text::urls::hosts(&sms.text);
                request.message.words = crate::text::words::hashes(&sms.text);
                let follows = sms.if_sent.unwrap_or_default();
                Ok(self.send(line, request, sms.known_number, follows, false))
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

    fn request(&mut self, line: &Line<'_>, op: Operation, to: &str) -> Result<Request, ReplayError> {
        let request = self.as_request(line, op, to)?;
        if !self.policy.subaccounts.contains_key(&request.subaccount) {
            let own = SubaccountPolicy { challenges: true, ..SubaccountPolicy::default() };
            self.policy.subaccounts.insert(request.subaccount.clone(), own);
        }
        Ok(request)
    }

    /// The line as the live gateway would see it.
    fn as_request(&self, line: &Line<'_>, op: Operation, to: &str) -> Result<Request, ReplayError> {
        let number = Msisdn::parse(to, None)?;
        let subaccount = line.subaccount.as_deref().unwrap_or(SUBACCOUNT);
        let address = |text: &str| ClientIp::parse(text).ok_or_else(|| ReplayError::Address(text.to_owned()));
        let caller = line.caller.as_ref().and_then(|c| c.ip.as_deref()).map(address).transpose()?;
        let caller = caller.unwrap_or_else(|| ClientIp::from_ip(std::net::Ipv4Addr::LOCALHOST.into()));
        let mut request = Request::new(op, subaccount, KEY, &number, caller);
        request.client.ip = line.client.ip.as_deref().map(address).transpose()?;
        let own = |text: &Option<crate::trace::Text<'_>>| text.as_deref().map(str::to_owned);
        request.client.user_agent = own(&line.client.user_agent);
        request.client.fingerprint = own(&line.client.fingerprint);
        request.client.device_token = own(&line.client.device_token);
        Ok(request)
    }

    fn send(
        &mut self,
        line: &Line<'_>,
        request: Request,
        known: bool,
        follows: IfSent,
        passes: bool,
    ) -> Decided {
        let (facts, asked) = self.gather(line, &request, known);
        let evidence = facts.evidence.known().cloned().unwrap_or_default();
        let decision = self.screen(&request, facts, passes, line.t);
        let challenged = decision.verdict == Verdict::Challenge && decision.enforced;
        let sent = decision.verdict < Verdict::Alternative && (!challenged || passes);
        let price = asked.price;
        if sent {
            self.dispatch(line, asked, &evidence, follows);
        } else if challenged {
            self.engine.observe(&Event::Challenged { asked: Box::new(asked) });
        } else {
            self.engine.observe(&Event::Refused { asked: Box::new(asked) });
        }
        Decided { decision, sent, price }
    }

    fn gather(&mut self, line: &Line<'_>, request: &Request, known: bool) -> (Facts, Asked) {
        let history = self.history(request, known);
        let ip = request.client.ip.map(|ip| ip_facts(line, ip));
        let parsed = ParsedNumber {
            msisdn: request.to,
            country: request.country,
            kind: request.kind,
            valid: request.valid,
        };
        let number = number::facts(&parsed);
        let asked = Asked::of(request, ip, Some(&number), history, line.t);
        let evidence = match needs(&self.policy, request).evidence {
            true => Fact::Known(self.engine.assess(&asked)),
            false => Fact::NotAsked,
        };
        let facts = Facts {
            lists: Fact::Known(Vec::new()),
            history: Fact::Known(history),
            ip,
            number: Some(number),
            opt_out: Fact::Known(false),
            resend_after: Fact::Known(None),
            evidence,
            ..Facts::default()
        };
        (facts, asked)
    }

    fn history(&self, request: &Request, known: bool) -> History {
        let verified = self.verified.get(&request.to).copied();
        History {
            known: known || verified.is_some(),
            trusted: verified.is_some() && request.client.device_token.is_some(),
            last_confirmed_at: verified,
        }
    }

    /// Rooms 4 and 5 of the live gateway: decide, charge in one step, decide again. A challenge that is passed
    /// charges when the request goes on, which here is at once.
    fn screen(&mut self, request: &Request, mut facts: Facts, passes: bool, now: Timestamp) -> Decision {
        let first = decide(&self.policy, request, &facts, now);
        let dimensions = Dimensions::of(request, &self.index, &self.range_digits);
        let all = charges(&self.policy, request, &facts, &dimensions, &self.index, now);
        let challenged = first.verdict == Verdict::Challenge && first.enforced;
        let sends = first.verdict < Verdict::Alternative && (!challenged || passes);
        facts.limits = Fact::Known(if sends {
            self.windows.charge(&all, now)
        } else {
            let exceeded = self.windows.peek(&all, now);
            self.windows.charge_always(&all, now);
            exceeded
        });
        decide(&self.policy, request, &facts, now)
    }

    fn dispatch(&mut self, line: &Line<'_>, asked: Asked, evidence: &Evidence, follows: IfSent) {
        self.ids += 1;
        let id = self.ids;
        self.sent.insert(name_hash(&line.id), Sent { id });
        self.numbers.insert(id, asked.msisdn);
        let (probability, explained) = (evidence.probability, evidence.explained);
        self.engine.observe(&Event::Sent { id, asked: Box::new(asked), probability, explained });
        self.ahead.plan(line.t, &line.id, id, follows);
    }

    fn fold(&mut self, id: u64, what: What, at: Timestamp) {
        let event = match what {
            What::Receipt(true) => Event::Delivered { id, at },
            What::Receipt(false) => Event::Failed { id, at },
            What::WrongCheck => Event::WrongCheck { id, at },
            What::Confirmed => Event::Confirmed { id, at },
        };
        self.engine.observe(&event);
        if let (What::Confirmed, Some(&number)) = (what, self.numbers.get(&id)) {
            self.verified.insert(number, at);
            self.windows.clear(self.index.counter(BACK_OFF, self.index.msisdn(number)));
        }
    }

    /// A code of a request that was not sent does nothing.
    fn check(&mut self, check: &Check<'_>, at: Timestamp) -> Decided {
        if let Some(&Sent { id }) = self.sent.get(&name_hash(&check.of)) {
            self.fold(id, if check.correct { What::Confirmed } else { What::WrongCheck }, at);
        }
        let decision =
            Decision { policy_version: self.policy.version, enforced: true, ..Decision::default() };
        Decided { decision, sent: false, price: 0 }
    }
}

fn name_hash(name: &str) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(1, 2);
    hasher.write(name.as_bytes());
    hasher.finish()
}

/// What the trace says of an address stands in for the tables.
fn ip_facts(line: &Line<'_>, address: ClientIp) -> IpFacts {
    let client = &line.client;
    let mut facts = match (client.asn, client.country, client.hosting) {
        (Some(_), Some(_), Some(_)) => IpFacts::default(),
        _ => ip::facts(address),
    };
    facts.asn = client.asn.or(facts.asn);
    facts.country = client.country.or(facts.country);
    if let Some(hosting) = client.hosting {
        (facts.hosting, facts.vpn) = (hosting, facts.vpn && hosting);
    }
    facts
}
