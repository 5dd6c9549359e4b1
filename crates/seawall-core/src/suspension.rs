//! Suspensions: nothing is sent to an operator, a country or a number range, or for an address or a network,
//! until a time that each of them names.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::country::Country;
use crate::intel::OperatorCode;
use crate::limit::Mode;
use crate::list::{ListKind, Matcher, NumberRange, Part, PartError, Subject};
use crate::time::Timestamp;

/// The longest time for which anything can be suspended at once.
pub const LONGEST: Duration = Duration::from_secs(90 * 86_400);

/// What is suspended.
#[derive(Clone, PartialEq, Eq)]
pub struct Scope(Part);

impl Scope {
    /// The words by which a scope can be named.
    pub const WORDS: [&'static str; 5] = ["operator", "country", "number_range", "ip", "asn"];

    /// Reads a scope's word and value. `None`: there is no such word.
    pub fn parse(word: &str, value: &str) -> Option<Result<Self, PartError>> {
        let part = match word {
            "operator" => Part::operator(value),
            "country" => Part::parse(ListKind::Country, value),
            "number_range" => Part::parse(ListKind::NumberRange, value),
            "ip" => Part::parse(ListKind::Ip, value),
            "asn" => Part::parse(ListKind::Asn, value),
            _ => return None,
        };
        Some(part.map(Scope))
    }

    /// Its word.
    pub fn word(&self) -> &'static str {
        match self.0 {
            Part::Operator(_) => "operator",
            Part::Country(_) => "country",
            Part::NumberRange(_) => "number_range",
            Part::Ip(_) => "ip",
            _ => "asn",
        }
    }

    /// Its value, canonical.
    pub fn value(&self) -> String {
        self.0.text()
    }

    /// Its value, fit for logs.
    pub fn masked(&self) -> String {
        self.0.masked()
    }

    /// An operator's whole network.
    pub fn operator(code: OperatorCode) -> Self {
        Scope(Part::Operator(code))
    }

    /// A whole country.
    pub fn country(country: Country) -> Self {
        Scope(Part::Country(country))
    }

    /// Numbers that begin alike.
    pub fn number_range(range: NumberRange) -> Self {
        Scope(Part::NumberRange(range))
    }
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.word(), self.masked())
    }
}

/// One suspension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// `sus_…`
    pub id: String,
    /// What is suspended.
    pub scope: Scope,
    /// Only for this subaccount.
    pub subaccount_id: Option<String>,
    /// Until when.
    pub expires_at: Timestamp,
    /// Whether it refuses or only shows whom it would.
    pub mode: Mode,
}

/// In which state a suspension is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuspensionState {
    /// In force.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody ended it early.
    Lifted,
}

/// All suspensions that may be in force, compiled.
#[derive(Clone, Default)]
pub struct Suspensions {
    all: Vec<Suspension>,
    matcher: Matcher<usize>,
}

impl Suspensions {
    /// Compiles them; those that are off are left out.
    pub fn new(all: impl IntoIterator<Item = Suspension>) -> Self {
        let all: Vec<Suspension> = all.into_iter().filter(|one| one.mode != Mode::Off).collect();
        let mut matcher = Matcher::default();
        for (at, one) in all.iter().enumerate() {
            matcher.insert(&one.scope.0, at);
        }
        Suspensions { all, matcher }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Those that a request of a subaccount meets at `now`, in the order in which they were given.
    pub fn met(&self, subject: &Subject<'_>, subaccount: &str, now: Timestamp) -> Vec<&Suspension> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut places = Vec::new();
        self.matcher.each(subject, &mut |at| places.push(*at));
        places.sort_unstable();
        let holds = |one: &&Suspension| {
            now < one.expires_at && one.subaccount_id.as_deref().is_none_or(|only| only == subaccount)
        };
        places.into_iter().filter_map(|at| self.all.get(at)).filter(holds).collect()
    }
}

impl std::fmt::Debug for Suspensions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.all).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_ip::ClientIp;
    use crate::intel::{IpFacts, NumberFacts};
    use crate::msisdn::Msisdn;
    use crate::request::{Operation, Request};

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000).plus(Duration::from_secs(seconds))
    }

    fn suspension(id: &str, word: &str, value: &str) -> Suspension {
        Suspension {
            id: id.to_owned(),
            scope: Scope::parse(word, value).unwrap().unwrap(),
            subaccount_id: None,
            expires_at: at(60),
            mode: Mode::Enforce,
        }
    }

    #[test]
    fn every_scope_is_met_until_it_expires() {
        let mut own = suspension("own", "country", "SG");
        own.subaccount_id = Some("shop".to_owned());
        let all = Suspensions::new([
            suspension("operator", "operator", "52501"),
            suspension("country", "country", "sg"),
            suspension("range", "number_range", "+6591"),
            suspension("ip", "ip", "203.0.113.0/24"),
            suspension("asn", "asn", "AS64496"),
            suspension("other", "country", "MY"),
            own,
            Suspension { mode: Mode::Off, ..suspension("off", "country", "SG") },
        ]);
        let caller = ClientIp::parse("198.51.100.1").unwrap();
        let to = Msisdn::parse("+6591234567", None).unwrap();
        let mut ask = Request::new(Operation::SmsSend, "acme_hq", "key_1", &to, caller);
        ask.client.ip = ClientIp::parse("203.0.113.9");
        let ip = IpFacts { asn: Some(64_496), ..IpFacts::default() };
        let number = NumberFacts { mccmnc: OperatorCode::parse("52501"), ..NumberFacts::default() };
        let met = |subaccount: &str, now| -> Vec<String> {
            let subject = Subject::of(&ask, Some(&ip), Some(&number));
            all.met(&subject, subaccount, now).into_iter().map(|s| s.id.clone()).collect()
        };
        assert_eq!(met("acme_hq", at(0)), ["operator", "country", "range", "ip", "asn"]);
        assert_eq!(met("shop", at(59)).last().map(String::as_str), Some("own"));
        assert!(met("shop", at(60)).is_empty());
        assert!(all.met(&Subject::of(&ask, None, None), "acme_hq", at(0)).len() == 3, "without tables");
    }

    #[test]
    fn scopes_are_read_by_their_words() {
        for word in Scope::WORDS {
            assert!(Scope::parse(word, "?").unwrap().is_err(), "{word}");
        }
        assert!(Scope::parse("continent", "asia").is_none());
        let range = Scope::parse("number_range", "998 93 412").unwrap().unwrap();
        assert_eq!((range.word(), range.value()), ("number_range", "+99893412".to_owned()));
    }
}
