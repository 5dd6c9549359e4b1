//! The operator's policy: one value, swapped whole, numbered.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::country::Country;
use crate::limit::{Counts, DEFAULT_RANGE_DIGITS, Limit, Mode, Per};
use crate::message::Channel;
use crate::msisdn::NumberKind;
use crate::request::{Operation, Request};
use crate::time::{Timestamp, span};

/// Everything that `decide` takes from the operator.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Grows with every change; recorded with every decision.
    pub version: u64,
    /// All limits, built-in ones included.
    pub limits: Vec<Limit>,
    /// Delays between unconfirmed codes.
    pub backoff: BackOff,
    /// Bounds of verifications.
    pub verification: VerificationBounds,
    /// What differs by subaccount.
    pub subaccounts: HashMap<String, SubaccountPolicy>,
    /// Until then only guardrails refuse; everything else is recorded in shadow.
    pub observe_until: Option<Timestamp>,
}

/// Growing delays between unconfirmed codes to one number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackOff {
    /// Whether it refuses.
    pub mode: Mode,
    /// After the first unconfirmed code, the second, …; the last one repeats.
    #[serde(with = "spans")]
    pub delays: Arc<[Duration]>,
    /// At most so many unconfirmed codes in [`BACK_OFF_WINDOW`].
    pub max_unconfirmed: u32,
}

/// How long an unconfirmed code is remembered.
pub const BACK_OFF_WINDOW: Duration = Duration::from_secs(24 * 3600);

impl Default for BackOff {
    fn default() -> Self {
        let delays: Vec<Duration> = [20, 45, 180, 900, 3600].map(Duration::from_secs).into();
        BackOff { mode: Mode::Enforce, delays: delays.into(), max_unconfirmed: 5 }
    }
}

mod spans {
    use super::{Arc, Deserialize, Duration, span};
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(delays: &Arc<[Duration]>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(delays.iter().map(|d| span::format(*d)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[Duration]>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        if texts.is_empty() || texts.len() > 32 {
            return Err(serde::de::Error::custom("1 to 32 delays are needed"));
        }
        let read = |t: &String| {
            span::parse(t)
                .ok_or_else(|| serde::de::Error::custom(format!("`{t}` is not a duration such as \"20s\"")))
        };
        texts.iter().map(read).collect::<Result<Vec<_>, _>>().map(Into::into)
    }
}

/// Bounds that every verification keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationBounds {
    /// Codes shorter than this are refused.
    pub min_code_length: u8,
    /// Wrong codes until a verification fails.
    pub max_checks: u8,
    /// How long a code is valid when the request does not say.
    pub default_ttl: Duration,
}

impl Default for VerificationBounds {
    fn default() -> Self {
        VerificationBounds { min_code_length: 4, max_checks: 5, default_ttl: Duration::from_secs(300) }
    }
}

/// Whether messages to a country are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountryState {
    /// Refused.
    Off,
    /// Sent, within an exposure budget once budgets exist.
    #[default]
    Protected,
    /// Sent.
    Open,
}

/// Which countries a subaccount sends to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CountryPolicy {
    /// For countries not listed.
    pub default: CountryState,
    /// Country by country.
    pub countries: BTreeMap<Country, CountryState>,
}

impl CountryPolicy {
    /// The state of one country.
    pub fn state(&self, country: Country) -> CountryState {
        self.countries.get(&country).copied().unwrap_or(self.default)
    }
}

/// To which hosts texts may link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UrlPolicy {
    /// Anywhere.
    #[default]
    Any,
    /// Nowhere.
    None,
    /// To these hosts and their subdomains.
    Listed(Vec<String>),
}

/// What the texts of a subaccount have to look like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextPolicy {
    /// Refuse what follows no registered template.
    pub require_template: bool,
    /// Links.
    pub urls: UrlPolicy,
    /// Characters made to deceive; recorded in shadow unless the operator says otherwise.
    pub look_alikes: Mode,
    /// Write a text plainly when only typographic characters keep it from being GSM-7.
    pub transliterate: bool,
}

impl Default for TextPolicy {
    fn default() -> Self {
        TextPolicy {
            require_template: false,
            urls: UrlPolicy::Any,
            look_alikes: Mode::Shadow,
            transliterate: false,
        }
    }
}

/// What a subaccount decides for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubaccountPolicy {
    /// Where it sends.
    pub country_policy: CountryPolicy,
    /// Refuse sends without the end user's address.
    pub require_client_ip: bool,
    /// Number types it does not send to.
    pub refused_number_types: Vec<NumberKind>,
    /// Send codes also to numbers that opted out of messages.
    pub codes_despite_opt_out: bool,
    /// Channels that take over, in this order, when a message should not go over the one asked for.
    pub workflow: Vec<Channel>,
    /// What its texts have to look like.
    pub text: TextPolicy,
    /// Whether a challenge can be asked for; else it is recorded and the message is sent.
    pub challenges: bool,
}

impl Default for SubaccountPolicy {
    fn default() -> Self {
        SubaccountPolicy {
            country_policy: CountryPolicy::default(),
            require_client_ip: false,
            refused_number_types: vec![
                NumberKind::PremiumRate,
                NumberKind::SharedCost,
                NumberKind::TollFree,
                NumberKind::Uan,
                NumberKind::Pager,
                NumberKind::Voicemail,
            ],
            codes_despite_opt_out: false,
            workflow: Vec::new(),
            text: TextPolicy::default(),
            challenges: false,
        }
    }
}

impl Policy {
    /// Limits that a request is charged to, with their positions.
    pub fn limits_for<'a>(&'a self, request: &'a Request) -> impl Iterator<Item = (usize, &'a Limit)> {
        self.limits.iter().enumerate().filter(|(_, l)| l.applies(request.operation, &request.subaccount))
    }

    /// Range lengths that limits ask for beside the default one.
    pub fn range_digits(&self) -> Vec<u8> {
        let mut digits: Vec<u8> =
            self.limits.iter().filter_map(|l| l.digits).filter(|&d| d != DEFAULT_RANGE_DIGITS).collect();
        digits.sort_unstable();
        digits.dedup();
        digits
    }
}

/// The limits of a new installation.
pub fn built_in_limits() -> Vec<Limit> {
    use Operation::{SmsBatch, SmsSend, VerifyStart};
    let limit = |name: &str, per, applies_to: &[Operation], quota, minutes: u64, mode| Limit {
        id: format!("lim_builtin-{name}"),
        name: format!("built-in {name}"),
        subaccount_id: None,
        per,
        digits: None,
        applies_to: applies_to.to_vec(),
        quota,
        window: Duration::from_secs(minutes * 60),
        counts: Counts::Sends,
        mode,
        built_in: true,
    };
    vec![
        limit("client-ip", Per::ClientIp, &[VerifyStart], 20, 60, Mode::Enforce),
        limit("msisdn", Per::Msisdn, &[VerifyStart, SmsSend, SmsBatch], 10, 30, Mode::Enforce),
        limit("number-range", Per::NumberRange, &[VerifyStart], 60, 60, Mode::Shadow),
    ]
}
