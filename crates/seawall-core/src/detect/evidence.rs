//! What detection says about one request: a probability, and the few keys that caused it.

use serde::{Deserialize, Serialize};

use super::background::Background;
use crate::decision::Verdict;

/// Which independent kind of observation speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Fewer confirmations than usual.
    Outcome,
    /// More distinct unknown numbers in a block than its share of traffic explains.
    Concentration,
    /// More distinct numbers from a client than its history explains.
    Velocity,
    /// What is known of address and number beforehand: hosting, VPN, another country, disposable.
    Prior,
    /// Wrong codes: guessing and stuffing.
    Guessing,
    /// A sender behaves unlike itself: a stolen key or account.
    Sender,
    /// A model that was trained on the operator's own traffic.
    Model,
}

/// What a signal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// A block of a thousand numbers.
    Block1k,
    /// A block of ten thousand numbers.
    Block10k,
    /// A block of a hundred thousand numbers.
    Block100k,
    /// An operator.
    Operator,
    /// A country.
    Country,
    /// A client address (IPv6: its /64).
    Ip,
    /// A network: IPv4 /24, IPv6 /48.
    Network,
    /// An autonomous system.
    Asn,
    /// A client fingerprint: user agent and what else is known of the device.
    Fingerprint,
    /// A user agent, where there is a fingerprint as well.
    UserAgent,
    /// A fingerprint within a country.
    CountryFingerprint,
    /// A user agent within a country, where there is a fingerprint as well.
    CountryUserAgent,
    /// An autonomous system within a country.
    CountryAsn,
    /// A subaccount.
    Subaccount,
    /// An API key.
    ApiKey,
    /// The number itself.
    Number,
}

impl KeyKind {
    /// Whether tallies are kept apart for numbers and networks that are known and those that are not.
    pub(crate) fn has_classes(self) -> bool {
        matches!(self, KeyKind::Country | KeyKind::Operator)
    }

    /// Whether so many share such a key that bystanders are among them.
    #[inline]
    pub fn is_wide(self) -> bool {
        matches!(
            self,
            KeyKind::Operator
                | KeyKind::Country
                | KeyKind::Asn
                | KeyKind::Fingerprint
                | KeyKind::UserAgent
                | KeyKind::CountryFingerprint
                | KeyKind::CountryUserAgent
                | KeyKind::CountryAsn
        )
    }
}

/// One named cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// What kind of observation.
    pub family: Family,
    /// What it is about, e.g. a block of ten thousand numbers.
    pub kind: KeyKind,
    /// Which one, fit to be shown: `99893412x`, `UZ`, `84.54.71.0/24`. Never a full number.
    pub key: String,
    /// What this signal alone would make the probability, 0 to 1.
    pub probability: f32,
    /// How much was seen: distinct numbers, trials, or checks.
    pub seen: f32,
    /// How much was to be expected.
    pub expected: f32,
    /// One sentence with the figures, for a person.
    pub detail: String,
}

/// Money in messages of the last hour that nobody has confirmed, this request included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exposure {
    /// What it is about: a country (of one subaccount), an operator or a subaccount.
    pub kind: KeyKind,
    /// Which one.
    pub key: String,
    /// Unconfirmed, in micro-units.
    pub outstanding: i64,
    /// What an hour usually leaves unconfirmed there, in micro-units.
    pub usual: i64,
}

/// Which key already explains a request. What is explained is not held against other, wider keys, so that
/// bystanders do not pay for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Explained {
    /// None does.
    #[default]
    No,
    /// A block of numbers.
    Block,
    /// A client: its address, network or fingerprint.
    Client,
    /// The country or operator of the number: no narrow key, but no client is to blame either.
    Country,
}

/// What detection says about one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Probability of belonging to a campaign, 0 to 1.
    pub probability: f32,
    /// The same from narrow keys alone: blocks, addresses, networks, fingerprints. Only this may block.
    pub narrow: f32,
    /// The strictest verdict that this evidence may lead to: evidence about a whole country or operator, or a
    /// single family, does not block.
    pub ceiling: Verdict,
    /// Causes, strongest first; at most three.
    pub signals: Vec<Signal>,
    /// Which narrow key explains the request; goes back to the engine with the message if it is sent.
    pub explained: Explained,
    /// What is outstanding where this message would go, for budgets.
    pub exposure: Vec<Exposure>,
    /// What the message costs, in micro-units: the price side of the decision.
    pub price: i64,
    /// Codes should be longer than usual: guessing is under way.
    pub longer_code: bool,
    /// What is remembered of its narrow keys; decides nothing here.
    #[serde(default)]
    pub background: Background,
}

impl Default for Evidence {
    fn default() -> Self {
        Evidence {
            probability: 0.0,
            narrow: 0.0,
            ceiling: Verdict::Allow,
            signals: Vec::new(),
            explained: Explained::No,
            exposure: Vec::new(),
            price: 0,
            longer_code: false,
            background: Background::default(),
        }
    }
}
