//! What is known afterwards of a request, and how surely: a confirmed code is good; one that nobody confirmed, in
//! time and place of an alarm, is softly bad; an operator's ruling on an attack is hard. Nothing else is a label:
//! not what was refused (nobody knows), and not a code that somebody simply forgot.

use std::time::Duration;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::client_ip::ClientIp;
use crate::detect::KeyKind;
use crate::recorded::Suspicion;
use crate::request::Operation;
use crate::time::Timestamp;

/// Nobody confirms a code that is older: the last age at which detection looks.
pub const SETTLED: Duration = Duration::from_secs(600);
/// An alarm speaks for what was sent so long before and after it: the first messages of an attack leave before
/// anything is known of it.
const AROUND: i64 = 6 * 3_600_000;
/// From this probability on, evidence about a key, or about a request, is an alarm.
const ALARM: f32 = 0.5;
/// Alarms of one key are remembered by stretches of so many milliseconds.
const STRETCH: i64 = 600_000;
/// Keys with alarms that are remembered; later ones are not.
const MOST_KEYS: usize = 200_000;
/// What a soft label counts, where a hard one counts 1.
pub const SOFT: f32 = 0.5;

/// A narrow key, as alarms and requests name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// The digits that a block of numbers has in common.
    Block(u64),
    /// An address or a network, as it is shown.
    Client(String),
}

impl Key {
    /// The key that a signal names; wide ones, which bystanders share, are none.
    pub fn of_signal(kind: KeyKind, key: &str) -> Option<Self> {
        let digits = || key.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().ok();
        match kind {
            // Records hold no more digits than a block of ten thousand has.
            KeyKind::Block1k => digits().map(|d| Key::Block(d / 10)),
            KeyKind::Block10k | KeyKind::Block100k => digits().map(Key::Block),
            KeyKind::Ip | KeyKind::Network => Some(Key::Client(key.to_owned())),
            _ => None,
        }
    }

    /// The keys of a request.
    pub fn of_request(block: u64, client_ip: Option<ClientIp>) -> Vec<Self> {
        let mut keys = vec![Key::Block(block), Key::Block(block / 10)];
        if let Some(ip) = client_ip {
            keys.extend([Key::Client(ip.to_string()), Key::Client(ip.network())]);
        }
        keys
    }
}

/// An operator's word on what happened at a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruling {
    /// Where.
    pub key: Key,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Whether it was an attack; else a false alarm.
    pub attack: bool,
}

/// Where and when there were alarms.
#[derive(Clone, Debug, Default)]
pub struct Alarms {
    at: HashMap<Key, Vec<i64>>,
    rulings: Vec<Ruling>,
}

/// What alarms say of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Alarmed {
    /// There was none around it.
    No,
    /// There was one, at these keys.
    At(Vec<Key>),
    /// An operator said that it was an attack, at these keys.
    Ruled(Vec<Key>),
    /// An operator said that it was none.
    FalseAlarm,
}

impl Alarms {
    /// With what operators said.
    pub fn new(rulings: Vec<Ruling>) -> Self {
        Alarms { at: HashMap::new(), rulings }
    }

    /// Notes the alarms in the evidence about a request.
    pub fn note(&mut self, evidence: &Suspicion<'_>, at: Timestamp) {
        for cause in evidence.signals.iter().filter(|cause| cause.probability >= ALARM) {
            let Some(key) = Key::of_signal(cause.kind, cause.key) else { continue };
            if self.at.len() >= MOST_KEYS && !self.at.contains_key(&key) {
                continue;
            }
            let (stretch, all) = (at.as_millis() / STRETCH, self.at.entry(key).or_default());
            if let Err(place) = all.binary_search(&stretch) {
                all.insert(place, stretch);
            }
        }
    }

    /// What alarms say of a request with these keys. `own`: what was thought of it itself.
    pub fn around(&self, keys: &[Key], own: f32, at: Timestamp) -> Alarmed {
        let said: Vec<&Ruling> = self
            .rulings
            .iter()
            .filter(|ruling| ruling.from <= at && at <= ruling.to && keys.contains(&ruling.key))
            .collect();
        if said.iter().any(|ruling| !ruling.attack) {
            return Alarmed::FalseAlarm;
        }
        if !said.is_empty() {
            return Alarmed::Ruled(said.into_iter().map(|ruling| ruling.key.clone()).collect());
        }
        let alarmed: Vec<Key> = keys.iter().filter(|key| self.was_alarmed(key, at)).cloned().collect();
        match (alarmed.is_empty(), own >= ALARM) {
            (false, _) => Alarmed::At(alarmed),
            (true, true) => Alarmed::At(keys.first().cloned().into_iter().collect()),
            (true, false) => Alarmed::No,
        }
    }

    fn was_alarmed(&self, key: &Key, at: Timestamp) -> bool {
        let Some(all) = self.at.get(key) else { return false };
        let from = (at.as_millis() - AROUND) / STRETCH;
        let next = all.partition_point(|stretch| *stretch < from);
        all.get(next).is_some_and(|stretch| *stretch <= (at.as_millis() + AROUND) / STRETCH)
    }
}

/// What a request is, for training.
#[derive(Clone, Debug, PartialEq)]
pub enum Label {
    /// A real user.
    Good,
    /// A campaign's, at these keys; what it counts.
    Bad(Vec<Key>, f32),
}

/// Why a request is no sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Excluded {
    /// It only asked.
    DryRun,
    /// Nothing was sent, or only asked for a decision: nobody knows what would have become of it.
    NotSent,
    /// A message without a code says nothing by staying unconfirmed.
    NoCode,
    /// Its code may still be confirmed.
    TooYoung,
    /// Nobody confirmed it, and nothing was suspicious: people forget codes.
    Unconfirmed,
    /// Detection was not asked, so most of what a model looks at is missing.
    NoEvidence,
    /// An operator ruled that there was an attack, and yet its code was confirmed: a bystander, or an attacker who
    /// confirms.
    Disputed,
    /// Its record cannot be read.
    Unreadable,
    /// There are more samples than are taken; the newest are.
    TooMany,
}

impl Excluded {
    /// Why, for a report.
    pub fn reason(self) -> &'static str {
        match self {
            Excluded::DryRun => "it only asked",
            Excluded::NotSent => "nothing was sent: nobody knows what would have become of it",
            Excluded::NoCode => "a message without a code says nothing by staying unconfirmed",
            Excluded::TooYoung => "its code may still be confirmed",
            Excluded::Unconfirmed => "nobody confirmed it, and nothing was suspicious: people forget codes",
            Excluded::NoEvidence => "detection was not asked",
            Excluded::Disputed => {
                "an operator ruled that there was an attack, and yet its code was confirmed"
            }
            Excluded::Unreadable => "its record cannot be read",
            Excluded::TooMany => "there are more samples than are taken; the newest are",
        }
    }
}

/// What happened to a request.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// When it was asked.
    pub at: Timestamp,
    /// What for.
    pub operation: Operation,
    /// Whether it only asked.
    pub dry_run: bool,
    /// Whether a message was made of it.
    pub sent: bool,
    /// Whether its code was confirmed.
    pub confirmed: bool,
    /// What detection thought of it then, 0 to 1.
    pub probability: f32,
}

/// Labels a request, or says why it has no label.
pub fn label(outcome: &Outcome, keys: &[Key], alarms: &Alarms, now: Timestamp) -> Result<Label, Excluded> {
    if outcome.dry_run {
        return Err(Excluded::DryRun);
    }
    if outcome.operation != Operation::VerifyStart {
        return Err(Excluded::NoCode);
    }
    if !outcome.sent {
        return Err(Excluded::NotSent);
    }
    let alarmed = alarms.around(keys, outcome.probability, outcome.at);
    match alarmed {
        Alarmed::Ruled(_) if outcome.confirmed => Err(Excluded::Disputed),
        Alarmed::Ruled(at) => Ok(Label::Bad(at, 1.0)),
        _ if outcome.confirmed => Ok(Label::Good),
        _ if now.since(outcome.at) < SETTLED => Err(Excluded::TooYoung),
        Alarmed::At(at) => Ok(Label::Bad(at, SOFT)),
        Alarmed::No | Alarmed::FalseAlarm => Err(Excluded::Unconfirmed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + minutes * 60_000)
    }

    fn alarms(rulings: Vec<Ruling>) -> Alarms {
        let mut alarms = Alarms::new(rulings);
        let evidence: Suspicion<'_> = serde_json::from_str(
            r#"{"probability":0.9,"signals":[
              {"family":"concentration","kind":"block1k","key":"998934123xxx","probability":0.8,"seen":9.0,"expected":0.1},
              {"family":"outcome","kind":"country","key":"UZ","probability":0.8,"seen":9.0,"expected":5.1},
              {"family":"velocity","kind":"network","key":"203.0.113.0/24","probability":0.3,"seen":9.0,"expected":5.1}]}"#,
        )
        .unwrap();
        alarms.note(&evidence, at(0));
        alarms
    }

    fn keys(block: u64) -> Vec<Key> {
        Key::of_request(block, ClientIp::parse("203.0.113.9"))
    }

    fn outcome(minutes: i64, confirmed: bool) -> Outcome {
        Outcome {
            at: at(minutes),
            operation: Operation::VerifyStart,
            dry_run: false,
            sent: true,
            confirmed,
            probability: 0.0,
        }
    }

    #[test]
    fn confirmed_is_good_and_unconfirmed_near_an_alarm_is_softly_bad() {
        let alarms = alarms(Vec::new());
        let of = |outcome: &Outcome, block| label(outcome, &keys(block), &alarms, at(600));
        assert_eq!(of(&outcome(-30, true), 99_893_412), Ok(Label::Good));
        let bad = Ok(Label::Bad(vec![Key::Block(99_893_412)], SOFT));
        assert_eq!(of(&outcome(-30, false), 99_893_412), bad, "it left before the alarm");
        assert_eq!(
            of(&outcome(-30, false), 99_893_555),
            Err(Excluded::Unconfirmed),
            "a weak signal is no alarm"
        );
        assert_eq!(of(&outcome(-500, false), 99_893_412), Err(Excluded::Unconfirmed), "long before");
        assert_eq!(of(&outcome(595, false), 99_893_412), Err(Excluded::TooYoung));
        assert_eq!(of(&Outcome { sent: false, ..outcome(0, false) }, 99_893_412), Err(Excluded::NotSent));
        let text = Outcome { operation: Operation::SmsSend, ..outcome(0, false) };
        assert_eq!(of(&text, 99_893_412), Err(Excluded::NoCode));
    }

    #[test]
    fn an_operator_has_the_last_word() {
        let ruling = |attack| Ruling { key: Key::Block(99_893_412), from: at(-60), to: at(60), attack };
        let of = |attack, confirmed| {
            label(&outcome(0, confirmed), &keys(99_893_412), &alarms(vec![ruling(attack)]), at(600))
        };
        assert_eq!(of(false, false), Err(Excluded::Unconfirmed));
        assert_eq!(of(true, false), Ok(Label::Bad(vec![Key::Block(99_893_412)], 1.0)));
        assert_eq!(of(true, true), Err(Excluded::Disputed));
    }
}
