//! What a model may look at: a closed list, taken from what is recorded with a decision, so that what a model is
//! trained on and what it is asked about are the same by construction.
//!
//! Left out on purpose are identities (which country, which network) and the time of day: a model would hold the
//! few attacks it has seen against everybody there, or against an hour. The engine judges those, and forgets.

use crate::client_ip::ClientIp;
use crate::detect::{Family, Figure};
use crate::message::Channel;
use crate::msisdn::NumberKind;
use crate::recorded::{Cause, Recorded};

/// One request as a model sees it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What is recorded of it.
    pub facts: &'a Recorded<'a>,
    /// The recipient's digits without the last four.
    pub block: u64,
    /// The end user's address.
    pub client_ip: Option<ClientIp>,
}

macro_rules! features {
    ($( $name:ident = $word:literal, $meaning:literal, $says:literal, $value:expr; )+) => {
        /// One thing that a model may look at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "`meaning` documents each")]
        pub enum Feature { $( $name, )+ }

        impl Feature {
            /// Every feature, in the order of samples.
            pub const ALL: &'static [Feature] = &[ $( Feature::$name, )+ ];

            /// Its name in models.
            pub fn as_str(self) -> &'static str { match self { $( Self::$name => $word, )+ } }

            /// Back from [`Feature::as_str`].
            pub fn parse(word: &str) -> Option<Self> { match word { $( $word => Some(Self::$name), )+ _ => None } }

            /// What it is.
            pub fn meaning(self) -> &'static str { match self { $( Self::$name => $meaning, )+ } }

            fn says(self) -> &'static str { match self { $( Self::$name => $says, )+ } }

            /// Its value for a request; NaN when it is not known. Yes is 1, no is 0.
            pub fn value(self, subject: &Subject<'_>) -> f32 {
                let value: fn(&Subject<'_>) -> f32 = match self { $( Self::$name => $value, )+ };
                value(subject)
            }
        }
    };
}

features! {
    EngineProbability = "engine.probability", "the engine's probability of a campaign", "the engine's {value}", |s| engine(s);
    EngineOutcome = "engine.outcome", "the strongest evidence of missing confirmations alone, 0 to 1", "missing confirmations {value}", |s| alone(s, Family::Outcome);
    EngineOutcomeTrials = "engine.outcome_trials", "codes sent to the key of that evidence lately", "{value} codes to a suspicious key", |s| strongest(s, Family::Outcome, |c| c.seen);
    EngineConcentration = "engine.concentration", "the evidence of too many numbers in a block alone, 0 to 1", "concentration {value}", |s| alone(s, Family::Concentration);
    EngineConcentrationNumbers = "engine.concentration_numbers", "distinct numbers in that block", "{value} numbers in a block", |s| strongest(s, Family::Concentration, |c| c.seen);
    EngineConcentrationExcess = "engine.concentration_excess", "those numbers, in times what is expected", "{value} times the expected numbers in a block", |s| strongest(s, Family::Concentration, |c| c.seen / c.expected.max(0.01));
    EngineVelocity = "engine.velocity", "the evidence of too many numbers from a client alone, 0 to 1", "numbers from one client {value}", |s| alone(s, Family::Velocity);
    EngineVelocityNumbers = "engine.velocity_numbers", "distinct numbers from that client in an hour", "{value} numbers from one client", |s| strongest(s, Family::Velocity, |c| c.seen);
    EngineGuessing = "engine.guessing", "the evidence of guessing alone, 0 to 1", "guessing {value}", |s| alone(s, Family::Guessing);
    EngineSender = "engine.sender", "the evidence of a sender unlike itself alone, 0 to 1", "sender unlike itself {value}", |s| alone(s, Family::Sender);
    BlockTrials = "block.trials", "codes sent to the block of ten thousand numbers, half-life a week", "block {block} sent {value}", |s| figure(s, Figure::BlockTrials);
    BlockConfirmed = "block.confirmed", "codes confirmed there", "block {block} confirmed {value}", |s| figure(s, Figure::BlockConfirmed);
    BlockRate = "block.rate", "the share confirmed there; unknown without any", "block {block} confirms {value}", |s| rate(s, Figure::BlockTrials, Figure::BlockConfirmed);
    BlockLately = "block.lately", "codes sent there lately, half-life 3 hours", "block {block} sent {value} lately", |s| figure(s, Figure::BlockLately);
    BlockLatelyMissing = "block.lately_missing", "those that were not confirmed", "block {block} missing {value} lately", |s| missing(s, Figure::BlockLately, Figure::BlockLatelyConfirmed);
    NetworkTrials = "network.trials", "codes sent for the network (IPv4 /24, IPv6 /48), half-life a week", "network sent {value}", |s| client(s, Figure::NetworkTrials);
    NetworkConfirmed = "network.confirmed", "codes confirmed from there", "network confirmed {value}", |s| client(s, Figure::NetworkConfirmed);
    NetworkRate = "network.rate", "the share confirmed from there; unknown without any", "network confirms {value}", |s| rate(s, Figure::NetworkTrials, Figure::NetworkConfirmed);
    NetworkLately = "network.lately", "codes sent for it lately, half-life 3 hours", "network sent {value} lately", |s| client(s, Figure::NetworkLately);
    NetworkLatelyMissing = "network.lately_missing", "those that were not confirmed", "network missing {value} lately", |s| missing(s, Figure::NetworkLately, Figure::NetworkLatelyConfirmed);
    AddressTrials = "address.trials", "codes sent for the address (IPv6: its /64), half-life a week", "address sent {value}", |s| client(s, Figure::AddressTrials);
    AddressConfirmed = "address.confirmed", "codes confirmed from there", "address confirmed {value}", |s| client(s, Figure::AddressConfirmed);
    AddressLately = "address.lately", "codes sent for it lately, half-life 3 hours", "address sent {value} lately", |s| client(s, Figure::AddressLately);
    AddressLatelyMissing = "address.lately_missing", "those that were not confirmed", "address missing {value} lately", |s| missing(s, Figure::AddressLately, Figure::AddressLatelyConfirmed);
    NumberAsks = "number.asks", "requests for the number within a day, this one included", "number asked for {value} times", |s| figure(s, Figure::NumberAsks);
    NumberUnconfirmed = "number.unconfirmed", "codes to the number that nobody confirmed", "number left {value} unconfirmed", |s| figure(s, Figure::NumberUnconfirmed);
    NumberChanges = "number.changes", "changes of network between those requests", "number changed networks {value} times", |s| figure(s, Figure::NumberChanges);
    NumberKnown = "number.known", "a code to it was confirmed before", "known number {yes}", |s| past(s, |p| flag(p.known));
    NumberTrusted = "number.trusted", "on the device of that time", "trusted device {yes}", |s| past(s, |p| flag(p.trusted));
    NumberConfirmedHours = "number.confirmed_hours", "hours since its last confirmation; unknown without one", "confirmed {value} h ago", |s| past(s, |p| p.last_confirmed_hours.map_or(f32::NAN, count));
    NumberMobile = "number.mobile", "a mobile number", "mobile number {yes}", |s| flag(matches!(s.facts.number_type, NumberKind::Mobile | NumberKind::FixedLineOrMobile));
    NumberInPlan = "number.in_plan", "it lies in its country's numbering plan", "number in plan {yes}", |s| flag(s.facts.number_in_plan);
    NumberPortable = "number.portable", "numbers of its country can be ported", "portable number {yes}", |s| s.facts.number.as_ref().map_or(f32::NAN, |n| flag(n.portable));
    NumberDisposable = "number.disposable", "a number of a public receive-SMS site", "disposable number {yes}", |s| s.facts.number.as_ref().map_or(f32::NAN, |n| flag(n.disposable));
    ClientAddress = "client.address", "the request names the end user's address", "address given {yes}", |s| flag(s.client_ip.is_some());
    ClientIpv6 = "client.ipv6", "that address is IPv6", "IPv6 {yes}", |s| s.client_ip.map_or(f32::NAN, |ip| flag(ip.ip().is_ipv6()));
    ClientForeign = "client.foreign", "the address is in another country than the number", "foreign address {yes}", |s| s.facts.ip.as_ref().and_then(|ip| ip.country).map_or(f32::NAN, |c| flag(c != s.facts.country));
    ClientHosting = "client.hosting", "the address is in a data centre", "data centre {yes}", |s| address(s, |ip| ip.hosting);
    ClientVpn = "client.vpn", "the address is a VPN's exit", "VPN {yes}", |s| address(s, |ip| ip.vpn);
    ClientRelay = "client.relay", "the address is a privacy relay's exit", "privacy relay {yes}", |s| address(s, |ip| ip.relay);
    ClientTor = "client.tor", "the address is a Tor exit", "Tor {yes}", |s| address(s, |ip| ip.tor);
    ClientProxy = "client.proxy", "the address is a proxy", "proxy {yes}", |s| address(s, |ip| ip.proxy);
    ClientUser = "client.user", "the app names its user", "user named {yes}", |s| flag(s.facts.user.is_some());
    ClientFingerprint = "client.fingerprint", "the request has a fingerprint", "fingerprint given {yes}", |s| flag(s.facts.fingerprint.is_some() || s.facts.ja4.is_some());
    ClientUserAgent = "client.user_agent", "length of the user agent; 0 without one", "user agent of {value} characters", |s| s.facts.user_agent.as_ref().map_or(0.0, |text| length(text.as_str().len()));
    MessagePrice = "message.price", "what the message costs, in units of money", "price {value}", |s| s.facts.price.map_or(f32::NAN, money);
    MessageCall = "message.call", "it travels as a call", "call {yes}", |s| flag(s.facts.channel == Channel::Call);
}

impl Feature {
    /// Its value in words, for a reason: never a full number.
    pub fn said(self, value: f32, subject: &Subject<'_>) -> String {
        let yes = if value.is_nan() {
            "unknown"
        } else if value == 0.0 {
            "no"
        } else {
            "yes"
        };
        let number = if value.is_nan() { "unknown".to_owned() } else { shown(value) };
        let block = format!("{}xxxx", subject.block);
        self.says().replace("{yes}", yes).replace("{value}", &number).replace("{block}", &block)
    }
}

/// Two decimals where they matter.
fn shown(value: f32) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn flag(yes: bool) -> f32 {
    f32::from(u8::from(yes))
}

#[allow(clippy::cast_precision_loss, reason = "a model needs no more than seven digits")]
fn count(n: u32) -> f32 {
    n as f32
}

fn length(n: usize) -> f32 {
    count(u32::try_from(n).unwrap_or(u32::MAX))
}

#[allow(clippy::cast_precision_loss, reason = "a model needs no more than seven digits")]
fn money(micros: i64) -> f32 {
    micros as f32 / 1e6
}

fn engine(s: &Subject<'_>) -> f32 {
    s.facts.evidence.as_ref().map_or(f32::NAN, |e| e.probability)
}

/// A value of the strongest cause of a family; 0 without one.
fn strongest(s: &Subject<'_>, family: Family, value: impl Fn(&Cause<'_>) -> f32) -> f32 {
    let Some(evidence) = &s.facts.evidence else { return f32::NAN };
    let of_family = evidence.signals.iter().filter(|cause| cause.family == family);
    of_family.max_by(|a, b| a.probability.total_cmp(&b.probability)).map_or(0.0, |cause| value(&cause))
}

fn alone(s: &Subject<'_>, family: Family) -> f32 {
    strongest(s, family, |cause| cause.probability)
}

fn figure(s: &Subject<'_>, figure: Figure) -> f32 {
    s.facts.evidence.as_ref().map_or(f32::NAN, |e| count(e.background.get(figure)))
}

/// A figure of the end user's address, which a request may lack.
fn client(s: &Subject<'_>, of: Figure) -> f32 {
    if s.client_ip.is_some() { figure(s, of) } else { f32::NAN }
}

fn rate(s: &Subject<'_>, all: Figure, confirmed: Figure) -> f32 {
    let (all, confirmed) = (figure(s, all), figure(s, confirmed));
    if all > 0.0 { confirmed / all } else { f32::NAN }
}

fn missing(s: &Subject<'_>, all: Figure, confirmed: Figure) -> f32 {
    let missing = figure(s, all) - figure(s, confirmed);
    if missing.is_nan() { missing } else { missing.max(0.0) }
}

fn past(s: &Subject<'_>, value: impl Fn(&crate::recorded::Past) -> f32) -> f32 {
    s.facts.history.as_ref().map_or(f32::NAN, value)
}

fn address(s: &Subject<'_>, is: impl Fn(&crate::recorded::Address) -> bool) -> f32 {
    s.facts.ip.as_ref().map_or(f32::NAN, |ip| flag(is(ip)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        for feature in Feature::ALL {
            assert_eq!(Feature::parse(feature.as_str()), Some(*feature));
            assert!(!feature.meaning().is_empty());
        }
        assert_eq!(Feature::parse("client.country"), None);
        let page = include_str!("../../../../docs/learning.md");
        for feature in Feature::ALL {
            let line = format!("| `{}` | {} |", feature.as_str(), feature.meaning());
            assert!(page.contains(&line), "docs/learning.md lacks the line {line}");
        }
    }

    #[test]
    fn values_come_from_the_record_and_what_is_not_known_is_nan() {
        let json = r#"{"country":"UZ","number_type":"mobile","channel":"sms","segments":1,"price":141100,
            "ip":{"country":"DE","hosting":true},"history":{"known":true},
            "evidence":{"probability":0.5,"background":[10,4,6,1],"signals":[
              {"family":"concentration","kind":"block10k","key":"99893412xxxx","probability":0.4,"seen":14.0,"expected":0.5}]}}"#;
        let facts: Recorded<'_> = serde_json::from_str(json).unwrap();
        let client_ip = ClientIp::parse("203.0.113.9");
        let subject = Subject { facts: &facts, block: 99_893_412, client_ip };
        for (feature, value) in [
            (Feature::EngineProbability, 0.5),
            (Feature::EngineConcentration, 0.4),
            (Feature::EngineConcentrationExcess, 28.0),
            (Feature::EngineOutcome, 0.0),
            (Feature::BlockRate, 0.4),
            (Feature::BlockLatelyMissing, 5.0),
            (Feature::NetworkTrials, 0.0),
            (Feature::ClientForeign, 1.0),
            (Feature::ClientHosting, 1.0),
            (Feature::NumberKnown, 1.0),
            (Feature::MessagePrice, 0.1411),
        ] {
            assert!((feature.value(&subject) - value).abs() < 1e-6, "{}", feature.as_str());
        }
        assert!(Feature::NetworkRate.value(&subject).is_nan());
        assert!(Feature::NumberDisposable.value(&subject).is_nan());
        assert_eq!(Feature::BlockConfirmed.said(0.0, &subject), "block 99893412xxxx confirmed 0");
        assert_eq!(Feature::ClientHosting.said(1.0, &subject), "data centre yes");
        let nobody = Subject { client_ip: None, ..subject };
        assert!(Feature::AddressTrials.value(&nobody).is_nan());
    }
}
