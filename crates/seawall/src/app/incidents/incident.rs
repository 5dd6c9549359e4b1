//! One incident: requests that detection stopped and that belong together.

use std::collections::{BTreeMap, HashSet};

use hashbrown::DefaultHashBuilder;
use seawall_core::detect::{Asked, Family, KeyKind};
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::detection::happened::{Cause, Judgement, Said, Seen};
use super::super::detection::recent::{Recent, Sent, client};
use super::top::Top;

/// How an attack shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Vector {
    /// Blocks of numbers: more numbers than usual, or none that confirm.
    NumberRanges,
    /// A client: an address, a network, a fingerprint.
    Client,
    /// Confirmations of a whole operator or country are missing.
    Outcome,
    /// Many codes to the same people.
    Flooding,
    /// Wrong codes.
    Guessing,
    /// A sender behaves unlike itself: a stolen key or account.
    Sender,
    /// Too much unconfirmed money is out.
    Exposure,
}

/// What holds an incident together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Group {
    /// Where the messages go.
    Country(String),
    /// Who asks for them.
    Client(KeyKind, String),
    /// Whose key sends them.
    Sender(String),
}

/// Numbers whose price was counted as avoided; beyond that nothing more is counted.
const NUMBERS: usize = 65_536;
/// Keys of a kind that are told apart while an incident is open, and afterwards.
pub const KEYS: usize = 128;
const KEYS_AFTER: usize = 20;
/// Messages of a client that were sent so long before its first stop are counted as let through (seconds).
const BEFORE: i64 = 7_200;
/// Slots of the timeline; when they are full, two become one.
const SLOTS: usize = 144;

/// One stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// When it begins, in seconds.
    pub at: i64,
    /// Requests that were stopped.
    pub stopped: u32,
    /// Messages that were sent.
    pub sent: u32,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Refused.
    pub blocked: u64,
    /// Redirected to another channel, or refused because there is none.
    pub redirected: u64,
    /// Asked to prove something.
    pub challenged: u64,
    /// Would have been stopped if detection decided.
    pub shadowed: u64,
    /// Let through to see whether they are confirmed.
    pub canaries: u64,
    /// Messages that were sent.
    pub sent: u64,
    /// What they cost, in micro-units.
    pub sent_cost: i64,
    /// Those among them that were confirmed.
    pub confirmed: u64,
    /// What these cost, in micro-units.
    pub confirmed_cost: i64,
    /// Sent before the first one was stopped.
    pub sent_before: u64,
    /// Prices of messages that were stopped: each number once.
    pub avoided: i64,
    /// Numbers that were counted there.
    pub numbers: u64,
    /// Those whose price is not known.
    pub unpriced: u64,
    /// Numbers that were stopped and confirmed a code later, which takes their price back.
    pub recovered: u64,
}

/// One incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its number, from 1.
    pub serial: u64,
    /// What holds it together.
    pub group: Group,
    /// The first message that belongs to it.
    pub started: Timestamp,
    /// The first request that was stopped.
    pub detected: Timestamp,
    /// The last one.
    pub last: Timestamp,
    /// Whether so many were stopped that it counts as an attack.
    pub opened: Option<Timestamp>,
    /// Whether the operator was told.
    pub announced: bool,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// What somebody says it is, who and why.
    pub judged: Option<(Judgement, String, Option<String>, Timestamp)>,
    /// What its requests were stopped for, and how many for each.
    pub vectors: BTreeMap<Vector, u64>,
    /// What was counted.
    pub tally: Tally,
    /// Countries of the recipients.
    pub countries: Top,
    /// Operators of the recipients.
    pub operators: Top,
    /// Ranges of the recipients, see [`range`].
    pub ranges: Top,
    /// Addresses of the clients.
    pub addresses: Top,
    /// Networks of the clients.
    pub networks: Top,
    /// Autonomous systems of the clients.
    pub asns: Top,
    /// Fingerprints, or user agents, of the clients.
    pub prints: Top,
    /// Subaccounts.
    pub subaccounts: Top,
    /// The latest words about each key, at most three.
    pub words: Vec<(String, String)>,
    /// What happened when.
    pub timeline: Vec<Slot>,
    slot_seconds: i64,
    /// What was suspended by itself: scope, id, until when.
    pub suspended: Vec<((String, String), String, Timestamp)>,
    /// Numbers whose price was counted, with it. Gone when the incident ends.
    counted: HashSet<u64, DefaultHashBuilder>,
}

/// The leading cause as a vector. An exposure budget has none.
pub fn vector(causes: &[Cause]) -> Vector {
    let Some(first) = causes.first() else { return Vector::Exposure };
    match (first.family, first.kind) {
        (Family::Guessing, _) => Vector::Guessing,
        (Family::Sender, _) | (_, KeyKind::ApiKey | KeyKind::Subaccount) => Vector::Sender,
        (_, KeyKind::Number) => Vector::Flooding,
        (_, KeyKind::Block1k | KeyKind::Block10k | KeyKind::Block100k) => Vector::NumberRanges,
        (_, KeyKind::Operator | KeyKind::Country) => Vector::Outcome,
        _ => Vector::Client,
    }
}

/// What would hold an incident together that begins with this request.
pub fn group(asked: &Asked, causes: &[Cause]) -> Group {
    match (vector(causes), causes.first()) {
        (Vector::Client | Vector::Guessing, Some(cause)) => Group::Client(cause.kind, cause.key.clone()),
        (Vector::Sender, _) => Group::Sender(asked.api_key.clone()),
        _ => Group::Country(asked.country.as_str().to_owned()),
    }
}

/// A range as it is written in lists and suspensions.
pub fn range(asked: &Asked) -> String {
    format!("+{}", asked.msisdn.block(4))
}

impl Incident {
    pub(super) fn new(serial: u64, group: Group, at: Timestamp) -> Self {
        Incident {
            serial,
            group,
            started: at,
            detected: at,
            last: at,
            opened: None,
            announced: false,
            ended: None,
            judged: None,
            vectors: BTreeMap::new(),
            tally: Tally::default(),
            countries: Top::default(),
            operators: Top::default(),
            ranges: Top::default(),
            addresses: Top::default(),
            networks: Top::default(),
            asns: Top::default(),
            prints: Top::default(),
            subaccounts: Top::default(),
            words: Vec::new(),
            timeline: Vec::new(),
            slot_seconds: 300,
            suspended: Vec::new(),
            counted: HashSet::default(),
        }
    }

    /// Its vector: what most of its requests were stopped for.
    pub fn vector(&self) -> Vector {
        let most = self.vectors.iter().max_by_key(|(_, count)| **count);
        most.map_or(Vector::Exposure, |(vector, _)| *vector)
    }

    /// Requests that were stopped, or would have been.
    pub fn stops(&self) -> u64 {
        self.tally.blocked + self.tally.redirected + self.tally.shadowed
    }

    /// Messages that were sent and that nobody confirmed.
    pub fn leaked(&self) -> (u64, i64) {
        let t = &self.tally;
        (t.sent.saturating_sub(t.confirmed), (t.sent_cost - t.confirmed_cost).max(0))
    }

    /// Detection said something of a request that belongs here.
    pub(super) fn stop(&mut self, asked: &Asked, seen: &Seen, said: &Said, number: u64) {
        use seawall_core::decision::Verdict::{Alternative, Block, Challenge};
        self.last = self.last.max(asked.at);
        *self.vectors.entry(vector(&said.causes)).or_default() += 1;
        match (said.in_force, said.verdict) {
            _ if seen.canary => self.tally.canaries += 1,
            // Where nobody has set up a challenge it is recorded, and the message is sent.
            (_, Challenge) => self.tally.challenged += 1,
            (false, _) => self.tally.shadowed += 1,
            (true, Alternative) => self.tally.redirected += 1,
            (true, Block) | (true, _) => self.tally.blocked += 1,
        }
        self.note_keys(asked);
        self.note_words(said);
        let stopped = said.in_force && said.verdict > Challenge && !seen.canary;
        if stopped {
            self.at_slot(asked.at.as_secs(), |slot| slot.stopped += 1);
        }
        // Another refusal would have saved the same, and another channel costs money as well.
        if stopped && !seen.others && !said.redirected {
            self.avoid(number, seen.price);
        }
    }

    fn note_keys(&mut self, asked: &Asked) {
        self.countries.count(asked.country.as_str(), KEYS);
        if let Some(operator) = &asked.operator {
            self.operators.count(operator, KEYS);
        }
        self.ranges.count(&range(asked), KEYS);
        if let Some(ip) = asked.ip {
            self.addresses.count(&ip.to_string(), KEYS);
            self.networks.count(&ip.network(), KEYS);
        }
        if let Some(asn) = asked.ip_facts.asn {
            self.asns.count(&asn.to_string(), KEYS);
        }
        if let Some(print) = asked.fingerprint.as_deref().or(asked.user_agent.as_deref()) {
            self.prints.count(&print.chars().take(80).collect::<String>(), KEYS);
        }
        self.subaccounts.count(&asked.subaccount, KEYS);
    }

    fn note_words(&mut self, said: &Said) {
        let key = said.causes.first().map(|cause| cause.key.clone()).unwrap_or_default();
        self.words.retain(|(known, _)| *known != key);
        self.words.insert(0, (key, said.detail.clone()));
        self.words.truncate(3);
    }

    /// The price of a number that was stopped, counted once.
    fn avoid(&mut self, number: u64, price: Option<i64>) {
        if self.counted.len() >= NUMBERS || !self.counted.insert(number) {
            return;
        }
        self.tally.numbers += 1;
        match price {
            Some(price) => self.tally.avoided = self.tally.avoided.saturating_add(price.max(0)),
            None => self.tally.unpriced += 1,
        }
    }

    /// A number that was stopped confirmed a code after all: it was no attack's.
    pub(super) fn recover(&mut self, number: u64, price: i64) {
        if self.counted.remove(&number) {
            self.tally.recovered += 1;
            self.tally.avoided = (self.tally.avoided - price).max(0);
        }
    }

    /// Whether a message to a number was stopped here.
    pub(super) fn stopped(&self, number: u64) -> bool {
        self.counted.contains(&number)
    }

    /// A message that was sent belongs here; `late`: only now found to.
    pub(super) fn leak(&mut self, sent: &Sent, late: bool) {
        self.tally.sent += 1;
        self.tally.sent_cost += sent.price;
        if late {
            self.tally.sent_before += 1;
            self.started = self.started.min(Timestamp::from_millis(sent.at * 1000));
        }
        self.at_slot(sent.at, |slot| slot.sent += 1);
        if sent.confirmed {
            self.confirm(sent);
        }
    }

    /// What a client that is found to attack sent in the hours before.
    pub(super) fn look_back_at_client(&mut self, asked: &Asked, recent: &mut Recent) {
        // A common browser is no mark of an attack; an address or a network is.
        let part = match &self.group {
            Group::Client(KeyKind::Ip, _) => 0,
            Group::Client(KeyKind::Network, _) => 1,
            _ => return,
        };
        let own = client(asked).get(part).copied().unwrap_or(0);
        if own != 0 {
            let since = self.detected.as_secs() - BEFORE;
            let sent = recent.claim_client(part, own, since, self.serial);
            sent.iter().for_each(|sent| self.leak(sent, true));
        }
    }

    pub(super) fn confirm(&mut self, sent: &Sent) {
        self.tally.confirmed += 1;
        self.tally.confirmed_cost += sent.price;
    }

    pub(super) fn unleak(&mut self, sent: &Sent) {
        self.tally.sent = self.tally.sent.saturating_sub(1);
        self.tally.sent_cost -= sent.price;
    }

    fn at_slot(&mut self, at: i64, count: impl FnOnce(&mut Slot)) {
        let mut begins = at - at.rem_euclid(self.slot_seconds);
        if self.timeline.len() >= SLOTS && !self.timeline.iter().any(|slot| slot.at == begins) {
            self.slot_seconds *= 2;
            let mut wider: BTreeMap<i64, Slot> = BTreeMap::new();
            for slot in self.timeline.drain(..) {
                let at = slot.at - slot.at.rem_euclid(self.slot_seconds);
                let into = wider.entry(at).or_insert(Slot { at, ..Slot::default() });
                (into.stopped, into.sent) = (into.stopped + slot.stopped, into.sent + slot.sent);
            }
            self.timeline = wider.into_values().collect();
            begins = at - at.rem_euclid(self.slot_seconds);
        }
        let place = match self.timeline.binary_search_by_key(&begins, |slot| slot.at) {
            Ok(place) => place,
            Err(place) => {
                self.timeline.insert(place, Slot { at: begins, ..Slot::default() });
                place
            }
        };
        if let Some(slot) = self.timeline.get_mut(place) {
            count(slot);
        }
    }

    /// How long a slot of the timeline is, in seconds.
    pub fn slot_seconds(&self) -> i64 {
        self.slot_seconds
    }

    /// It is over: what only serves to count goes.
    pub(super) fn end(&mut self, at: Timestamp) {
        self.ended = Some(at);
        self.counted = HashSet::default();
        for top in [
            &mut self.countries,
            &mut self.operators,
            &mut self.ranges,
            &mut self.addresses,
            &mut self.networks,
            &mut self.asns,
            &mut self.prints,
            &mut self.subaccounts,
        ] {
            top.shorten(KEYS_AFTER);
        }
    }
}
