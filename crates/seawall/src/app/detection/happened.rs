//! One entry of the stream: what detection folds, with what became of the request; and what an operator or the
//! gateway itself did about an incident.

use seawall_core::decision::{Decision, Verdict};
use seawall_core::detect::{Event, Family, KeyKind};
use seawall_core::facts::Facts;
use seawall_core::limit::Mode;
use seawall_core::msisdn::Msisdn;
use seawall_core::reason::{Class, Reason, ReasonCode};
use seawall_core::request::Request;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One entry of the stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Happened {
    /// Something that detection folds; of a request, with what became of it.
    Event(Event, Option<Box<Seen>>),
    /// A message that was decided to be sent was not sent after all.
    Unsent {
        /// The message.
        id: u64,
        /// When that was clear.
        at: Timestamp,
    },
    /// Something was done about an incident.
    Note(Note),
    /// A number is to be forgotten.
    Forget {
        /// Its digits.
        number: u64,
    },
    /// Nothing happened until then.
    Passed {
        /// When.
        at: Timestamp,
    },
}

impl Happened {
    /// The number that is to be forgotten.
    pub fn forgotten(&self) -> Option<Msisdn> {
        match self {
            Happened::Forget { number } => Msisdn::from_u64(*number),
            _ => None,
        }
    }
}

/// What became of a request, as far as its event does not say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Id of the route that it matches.
    pub route: Option<String>,
    /// What it costs in the account's currency, in micro-units, where that is known.
    pub price: Option<i64>,
    /// What detection said, if anything.
    pub said: Option<Said>,
    /// Whether something else refused it as well: then detection alone stopped nothing.
    pub others: bool,
    /// Sent although detection would have stopped it, to see whether it is confirmed.
    pub canary: bool,
}

/// What detection said of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// Challenge, another channel, or block.
    pub verdict: Verdict,
    /// Whether it counted. If not: shadow, or something that outranks it.
    pub in_force: bool,
    /// Whether the message went over another channel instead.
    pub redirected: bool,
    /// Causes, strongest first; at most three.
    pub causes: Vec<Cause>,
    /// The figures in words.
    pub detail: String,
}

/// One cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// Which kind of observation.
    pub family: Family,
    /// What it is about.
    pub kind: KeyKind,
    /// Which one, fit to be shown.
    pub key: String,
}

/// Something was done about an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Number of the incident.
    pub incident: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Done,
}

/// What was done about an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Done {
    /// The operator was told that it began.
    Announced,
    /// Nothing was stopped for a while: it is over.
    Ended,
    /// Somebody judged it.
    Judged {
        /// What they say it is.
        judgement: Judgement,
        /// Who.
        by: String,
        /// Why, for people.
        note: Option<String>,
    },
    /// A key of it was suspended.
    Suspended {
        /// Word and value of what is suspended.
        scope: (String, String),
        /// `sus_…`
        id: String,
        /// Until when.
        until: Timestamp,
    },
}

/// What an operator says an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// An attack, and dealt with.
    Closed,
    /// No attack: these were good users.
    FalseAlarm,
    /// Taken back: it goes on.
    Open,
}

/// Reasons by which detection speaks; of a trained model only what counts, since in shadow it is on trial.
fn speaks(reason: &&Reason) -> bool {
    if reason.code == ReasonCode::CampaignModel {
        return reason.in_force();
    }
    reason.code.class() == Class::Detection || reason.code == ReasonCode::ExposureBudget
}

impl Seen {
    /// What became of a request. `currency`: that of the account.
    pub fn of(request: &Request, facts: &Facts, decision: &Decision, currency: &str) -> Self {
        let said = decision.reasons.iter().filter(speaks).max_by_key(|r| (r.in_force(), r.code.verdict()));
        // What a suspension refuses is refused because of the attack, too.
        let other = |r: &&Reason| {
            r.in_force()
                && r.code.verdict() > Verdict::Challenge
                && !speaks(r)
                && r.code != ReasonCode::Suspended
        };
        Seen {
            route: request.route.clone(),
            price: request.price.filter(|_| request.currency.is_none_or(|own| own.as_str() == currency)),
            said: said.map(|reason| Said::of(reason, facts, decision)),
            others: decision.reasons.iter().any(|r| other(&r)),
            canary: decision.reasons.iter().any(|r| r.code == ReasonCode::Canary),
        }
    }
}

impl Said {
    fn of(reason: &Reason, facts: &Facts, decision: &Decision) -> Self {
        let signals = facts.evidence.known().map(|e| e.signals.as_slice()).unwrap_or_default();
        let cause =
            |s: &seawall_core::detect::Signal| Cause { family: s.family, kind: s.kind, key: s.key.clone() };
        Said {
            verdict: reason.code.verdict(),
            in_force: reason.in_force() && decision.enforced && reason.mode == Mode::Enforce,
            redirected: reason.code.verdict() == Verdict::Alternative && decision.send.is_some(),
            causes: signals.iter().take(3).map(cause).collect(),
            detail: reason.detail.clone(),
        }
    }
}
