//! What is kept of a request and its facts with every decision: everything that a rule can see and that the
//! decision itself does not hold already. The same structure is lent from a request while it is decided and
//! read back from the record later, so that a rule sees then what it would have seen at the time.
//!
//! It is written with every send, so what is false, zero or absent is left out. It holds no number: of the
//! recipient only the country and what tables say; the range stands in the decision.

mod lent;

use serde::{Deserialize, Serialize};

pub use lent::{Cause, Clue, Clues, Names, Pairs, Text};

use crate::country::Country;
use crate::detect::{Background, Evidence};
use crate::facts::{Facts, History};
use crate::intel::{IpFacts, NumberFacts};
use crate::lookup::LineFacts;
use crate::message::Channel;
use crate::msisdn::NumberKind;
use crate::request::{MessageTraits, Request};
use crate::time::Timestamp;
use crate::velocity::Velocities;

/// The record, borrowed from what it was made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recorded<'a> {
    /// The recipient's country.
    pub country: Country,
    /// The recipient's number type.
    pub number_type: NumberKind,
    /// Whether the number lies in its country's plan.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub number_in_plan: bool,
    /// How the message was to travel.
    pub channel: Channel,
    /// In how many segments.
    pub segments: u8,
    /// What it costs, in micro-units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<i64>,
    /// What for.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Text<'a>>,
    /// The app's user.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Text<'a>>,
    /// The app's fingerprint of the device.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Text<'a>>,
    /// The end user's browser or app.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Text<'a>>,
    /// The TLS fingerprint of the end user's client.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub ja4: Option<Text<'a>>,
    /// Headers of the end user's request, by name in lower case.
    #[serde(borrow, default, skip_serializing_if = "Pairs::is_empty")]
    pub headers: Pairs<'a>,
    /// Values for limits per custom key.
    #[serde(borrow, default, skip_serializing_if = "Pairs::is_empty")]
    pub limit_keys: Pairs<'a>,
    /// What tables say of the end user's address; absent when the request has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<Address>,
    /// What tables say of the number.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Number<'a>>,
    /// What networks said of its line; absent when no rule looked at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<Line>,
    /// What is known of the number from its own past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Past>,
    /// What the message looks like.
    #[serde(borrow, default, skip_serializing_if = "Message::is_empty")]
    pub message: Message<'a>,
    /// Lists with an entry that names a part of the request; absent when they were not asked.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub lists: Option<Names<'a>>,
    /// How often lately; absent when nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub velocity: Option<Velocities>,
    /// What detection says; absent when it was not asked.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Suspicion<'a>>,
}

/// [`IpFacts`], without what is false.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// Where the address is registered or announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// Who announces it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// A data centre.
    #[serde(skip_serializing_if = "is_false")]
    pub hosting: bool,
    /// A VPN's exit.
    #[serde(skip_serializing_if = "is_false")]
    pub vpn: bool,
    /// A privacy relay's exit.
    #[serde(skip_serializing_if = "is_false")]
    pub relay: bool,
    /// A Tor exit.
    #[serde(skip_serializing_if = "is_false")]
    pub tor: bool,
    /// A proxy.
    #[serde(skip_serializing_if = "is_false")]
    pub proxy: bool,
}

/// [`NumberFacts`], without what is false.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Number<'a> {
    /// The operator's name.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<Text<'a>>,
    /// The operator's MCC and MNC.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub mccmnc: Option<Text<'a>>,
    /// Whether numbers of this country can be ported.
    #[serde(default, skip_serializing_if = "is_false")]
    pub portable: bool,
    /// A number of a public receive-SMS site.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disposable: bool,
}

/// [`LineFacts`], with hours instead of instants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Line {
    /// It was taken to another operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ported: Option<bool>,
    /// Its phone was in a foreign network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roaming: Option<bool>,
    /// Its phone could be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reachable: Option<bool>,
    /// Its calls were forwarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_forwarding: Option<bool>,
    /// Whole hours since its SIM card was last replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sim_swapped_hours: Option<u32>,
    /// Whole hours since it was last given to another owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reassigned_hours: Option<u32>,
    /// What asking for it cost, in micro-units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<i64>,
}

/// [`History`], without what is false.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Past {
    /// A code sent to it was confirmed before.
    #[serde(skip_serializing_if = "is_false")]
    pub known: bool,
    /// On the device of that time.
    #[serde(skip_serializing_if = "is_false")]
    pub trusted: bool,
    /// Whole hours since the last confirmation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_confirmed_hours: Option<u32>,
}

/// What a message looks like from outside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Message<'a> {
    /// Sender ID.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Text<'a>>,
    /// Name of the template that the text follows.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Text<'a>>,
    /// Hosts of the URLs in the text.
    #[serde(borrow, default, skip_serializing_if = "Names::is_empty")]
    pub url_hosts: Names<'a>,
    /// Whether the text needs UCS-2.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unicode: bool,
}

/// [`Evidence`] as far as rules see it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Suspicion<'a> {
    /// Probability of belonging to a campaign, 0 to 1.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub probability: f32,
    /// The same from narrow keys alone, which only may block.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub narrow: f32,
    /// Whether the evidence was of a kind that may block at all.
    #[serde(default, skip_serializing_if = "is_false")]
    pub may_block: bool,
    /// Its causes, the strongest first.
    #[serde(borrow, default, skip_serializing_if = "Clues::is_empty")]
    pub signals: Clues<'a>,
    /// What is remembered of its narrow keys.
    #[serde(default, skip_serializing_if = "Background::is_empty")]
    pub background: Background,
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
fn is_true(flag: &bool) -> bool {
    *flag
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
fn is_zero(number: &f32) -> bool {
    *number == 0.0
}

impl<'a> Recorded<'a> {
    /// Lends everything; copies nothing but small values.
    pub fn of(request: &'a Request, facts: &'a Facts, now: Timestamp) -> Self {
        let client = &request.client;
        let text = |value: &'a Option<String>| value.as_deref().map(Text::from);
        Recorded {
            country: request.country,
            number_type: request.kind,
            number_in_plan: request.valid,
            channel: request.channel,
            segments: request.segments,
            price: request.price,
            purpose: text(&request.purpose),
            user: text(&client.user),
            fingerprint: text(&client.fingerprint),
            user_agent: text(&client.user_agent),
            ja4: text(&client.ja4),
            headers: Pairs::Lent(&client.headers),
            limit_keys: Pairs::Lent(&request.terms.limit_keys),
            ip: facts.ip.as_ref().map(Address::from),
            number: facts.number.as_ref().map(Number::from),
            line: facts.line.as_ref().map(|line| Line::at(line, now)),
            history: facts.history.known().map(|history| Past::at(history, now)),
            message: Message::from(&request.message),
            lists: facts.lists.known().map(|hits| Names::Hits(hits)),
            velocity: facts.velocities.known().copied(),
            evidence: facts.evidence.known().map(Suspicion::from),
        }
    }
}

impl From<&IpFacts> for Address {
    fn from(facts: &IpFacts) -> Self {
        let IpFacts { country, asn, hosting, vpn, relay, tor, proxy } = *facts;
        Address { country, asn, hosting, vpn, relay, tor, proxy }
    }
}

impl<'a> From<&'a NumberFacts> for Number<'a> {
    fn from(facts: &'a NumberFacts) -> Self {
        Number {
            operator: facts.operator.as_deref().map(Text::from),
            mccmnc: facts.mccmnc.as_ref().map(|code| Text::from(code.as_str())),
            portable: facts.portable,
            disposable: facts.disposable,
        }
    }
}

/// Whole hours since an instant.
fn hours(at: Timestamp, now: Timestamp) -> u32 {
    u32::try_from(now.since(at).as_secs() / 3600).unwrap_or(u32::MAX)
}

impl Line {
    fn at(line: &LineFacts, now: Timestamp) -> Self {
        Line {
            ported: line.ported,
            roaming: line.roaming,
            reachable: line.reachable,
            call_forwarding: line.call_forwarding,
            sim_swapped_hours: line.sim_swapped_at.map(|at| hours(at, now)),
            reassigned_hours: line.reassigned_at.map(|at| hours(at, now)),
            cost: line.cost,
        }
    }
}

impl Past {
    fn at(history: &History, now: Timestamp) -> Self {
        Past {
            known: history.known,
            trusted: history.trusted,
            last_confirmed_hours: history.last_confirmed_at.map(|at| hours(at, now)),
        }
    }
}

impl<'a> From<&'a MessageTraits> for Message<'a> {
    fn from(traits: &'a MessageTraits) -> Self {
        Message {
            source: traits.source.as_deref().map(Text::from),
            template: traits.template.as_deref().map(Text::from),
            url_hosts: Names::Lent(&traits.url_hosts),
            unicode: traits.unicode,
        }
    }
}

impl Message<'_> {
    fn is_empty(&self) -> bool {
        self.source.is_none() && self.template.is_none() && self.url_hosts.is_empty() && !self.unicode
    }
}

impl<'a> From<&'a Evidence> for Suspicion<'a> {
    fn from(evidence: &'a Evidence) -> Self {
        Suspicion {
            probability: evidence.probability,
            background: evidence.background,
            // What may block nothing need not be kept.
            narrow: if evidence.probability > 0.0 { evidence.narrow } else { 0.0 },
            may_block: evidence.ceiling >= crate::decision::Verdict::Block,
            signals: Clues::Lent(&evidence.signals),
        }
    }
}
