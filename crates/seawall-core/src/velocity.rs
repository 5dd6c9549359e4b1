//! How often lately: tallies of one request's keys over rolling windows that exclude the request itself.
//!
//! Rules see them as `velocity.KEY.METRIC_WINDOW`. A [`tracker::Tracker`] counts them; when
//! [`crate::facts::Needs`] asks for them they become a fact. A key that the request does not have (no client
//! address, say) stays unset, so that rules find it missing.

pub mod tracker;

use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VelocityKey {
    /// The recipient's number.
    Number,
    /// The end user's address; IPv6 by its /64.
    Ip,
    /// The end user's network: IPv4 /24, IPv6 /48.
    Network,
    /// The autonomous system of the end user's address.
    Asn,
    /// The number's range: the number without its last four digits.
    Range,
    /// The recipient's country.
    Country,
    /// The subaccount.
    Subaccount,
    /// The API key.
    ApiKey,
    /// The app's user.
    User,
    /// The app's fingerprint of a device.
    Fingerprint,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// Requests, whatever became of them.
    Requests,
    /// Messages that were sent.
    Sends,
    /// Distinct numbers that were asked for.
    DistinctNumbers,
    /// Codes that were confirmed.
    Confirmations,
}

/// Over how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Span {
    /// The last ten minutes.
    TenMinutes,
    /// The last hour.
    Hour,
    /// The last 24 hours.
    Day,
}

impl VelocityKey {
    /// Every key.
    pub const ALL: [VelocityKey; 10] = [
        Self::Number,
        Self::Ip,
        Self::Network,
        Self::Asn,
        Self::Range,
        Self::Country,
        Self::Subaccount,
        Self::ApiKey,
        Self::User,
        Self::Fingerprint,
    ];

    /// Its word in rules and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Ip => "ip",
            Self::Network => "network",
            Self::Asn => "asn",
            Self::Range => "range",
            Self::Country => "country",
            Self::Subaccount => "subaccount",
            Self::ApiKey => "api_key",
            Self::User => "user",
            Self::Fingerprint => "fingerprint",
        }
    }
}

impl Metric {
    /// Every metric.
    pub const ALL: [Metric; 4] = [Self::Requests, Self::Sends, Self::DistinctNumbers, Self::Confirmations];

    /// Its word in rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Sends => "sends",
            Self::DistinctNumbers => "distinct_numbers",
            Self::Confirmations => "confirmations",
        }
    }
}

impl Span {
    /// Every span, the shortest first.
    pub const ALL: [Span; 3] = [Self::TenMinutes, Self::Hour, Self::Day];

    /// Its word in rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TenMinutes => "10m",
            Self::Hour => "1h",
            Self::Day => "24h",
        }
    }
}

/// How many numbers one key has: each metric over each span.
const CELLS: usize = Metric::ALL.len() * Span::ALL.len();

/// The tallies of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallies([u32; CELLS]);

impl Tallies {
    /// One of them.
    pub fn get(&self, metric: Metric, span: Span) -> u32 {
        self.0.get(cell(metric, span)).copied().unwrap_or_default()
    }

    /// Sets one of them.
    pub fn set(&mut self, metric: Metric, span: Span, tally: u32) {
        if let Some(place) = self.0.get_mut(cell(metric, span)) {
            *place = tally;
        }
    }
}

fn cell(metric: Metric, span: Span) -> usize {
    metric as usize * Span::ALL.len() + span as usize
}

/// The tallies of every key of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Velocities([Option<Tallies>; VelocityKey::ALL.len()]);

impl Velocities {
    /// One tally; `None` when the request does not have the key.
    pub fn get(&self, key: VelocityKey, metric: Metric, span: Span) -> Option<u32> {
        self.tallies(key).map(|tallies| tallies.get(metric, span))
    }

    /// The tallies of a key.
    pub fn tallies(&self, key: VelocityKey) -> Option<&Tallies> {
        self.0.get(key as usize)?.as_ref()
    }

    /// Sets the tallies of a key.
    pub fn set(&mut self, key: VelocityKey, tallies: Tallies) {
        if let Some(place) = self.0.get_mut(key as usize) {
            *place = Some(tallies);
        }
    }
}

/// By key, each a list of requests, sends, distinct numbers and confirmations over 10 minutes, an hour and a
/// day, without the zeros at its end: this is written with every send.
impl Serialize for Velocities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for key in VelocityKey::ALL {
            if let Some(Tallies(cells)) = self.tallies(key) {
                let used = cells.iter().rposition(|tally| *tally != 0).map_or(0, |last| last + 1);
                map.serialize_entry(key.as_str(), cells.get(..used).unwrap_or_default())?;
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Velocities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ByKey)
    }
}

struct ByKey;

impl<'de> Visitor<'de> for ByKey {
    type Value = Velocities;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tallies by key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Velocities, A::Error> {
        let mut velocities = Velocities::default();
        while let Some(Word(key)) = map.next_key()? {
            let Some(key) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            velocities.set(key, map.next_value()?);
        }
        Ok(velocities)
    }
}

/// A key by its word, without copying it.
struct Word(Option<VelocityKey>);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Word;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Word, E> {
                Ok(Word(VelocityKey::ALL.into_iter().find(|key| key.as_str() == word)))
            }
        }
        deserializer.deserialize_str(Read)
    }
}

impl<'de> Deserialize<'de> for Tallies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Tallies;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {CELLS} tallies")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Tallies, A::Error> {
                let mut tallies = Tallies::default();
                let mut places = tallies.0.iter_mut();
                while let Some(tally) = seq.next_element()? {
                    let place = places.next().ok_or_else(|| A::Error::custom("too many tallies"))?;
                    *place = tally;
                }
                Ok(tallies)
            }
        }
        deserializer.deserialize_seq(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tallies_read_back(set in prop::collection::vec((0usize..10, 0usize..12, any::<u32>()), 0..30)) {
            let mut velocities = Velocities::default();
            for (key, cell, tally) in set {
                let key = VelocityKey::ALL[key];
                let mut tallies = velocities.tallies(key).copied().unwrap_or_default();
                tallies.set(Metric::ALL[cell / 3], Span::ALL[cell % 3], tally);
                velocities.set(key, tallies);
            }
            let json = serde_json::to_string(&velocities).unwrap();
            prop_assert_eq!(serde_json::from_str::<Velocities>(&json).unwrap(), velocities);
        }
    }

    #[test]
    fn only_what_was_counted_is_written() {
        let mut tallies = Tallies::default();
        tallies.set(Metric::Requests, Span::Hour, 3);
        let mut velocities = Velocities::default();
        velocities.set(VelocityKey::Ip, tallies);
        velocities.set(VelocityKey::User, Tallies::default());
        assert_eq!(serde_json::to_string(&velocities).unwrap(), r#"{"ip":[0,3],"user":[]}"#);
        assert_eq!(velocities.get(VelocityKey::Ip, Metric::Requests, Span::Hour), Some(3));
        assert_eq!(velocities.get(VelocityKey::User, Metric::Sends, Span::Day), Some(0));
        assert_eq!(velocities.get(VelocityKey::Asn, Metric::Sends, Span::Day), None);
        let newer: Velocities = serde_json::from_str(r#"{"moon":[1],"ip":[0,3],"user":[]}"#).unwrap();
        assert_eq!(newer, velocities, "keys of a newer version are skipped");
    }

    #[test]
    fn words_and_places_agree() {
        assert!(VelocityKey::ALL.iter().enumerate().all(|(at, key)| *key as usize == at));
        assert!(Metric::ALL.iter().enumerate().all(|(at, metric)| *metric as usize == at));
        assert!(Span::ALL.iter().enumerate().all(|(at, span)| *span as usize == at));
    }
}
