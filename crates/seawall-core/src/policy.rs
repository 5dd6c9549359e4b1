//! The operator's policy: one value, swapped whole, numbered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::consent::Category;
use crate::country::Country;
use crate::detect::dial::DetectionPolicy;
use crate::intel::Continent;
use crate::limit::{Counts, DEFAULT_RANGE_DIGITS, Limit, Mode, Per, Subject};
use crate::message::Channel;
use crate::msisdn::NumberKind;
use crate::plan::{Holder, Plans};
use crate::request::Operation;
use crate::rule::RuleSet;
use crate::suspension::Suspensions;
use crate::time::{Timestamp, span};

/// Everything that `decide` takes from the operator.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Grows with every change; recorded with every decision.
    pub version: u64,
    /// All limits, built-in ones and those of plans included.
    pub limits: Vec<Limit>,
    /// Who has which plan.
    pub plans: Plans,
    /// How much may be spent.
    pub budgets: Vec<Budget>,
    /// Delays between unconfirmed codes.
    pub backoff: BackOff,
    /// Bounds of verifications.
    pub verification: VerificationBounds,
    /// How detection decides.
    pub detection: DetectionPolicy,
    /// The operator's rules.
    pub rules: RuleSet,
    /// What differs by subaccount.
    pub subaccounts: HashMap<String, SubaccountPolicy>,
    /// Until then only guardrails refuse; everything else is recorded in shadow.
    pub observe_until: Option<Timestamp>,
    /// What is suspended for the time being.
    pub suspensions: Suspensions,
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
    /// For countries not listed, by their continent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub continents: BTreeMap<Continent, CountryState>,
}

impl CountryPolicy {
    /// The state of one country: its own, else its continent's, else the default.
    pub fn state(&self, country: Country) -> CountryState {
        let of_continent = || match self.continents.is_empty() {
            true => None,
            false => self.continents.get(&country.continent()?),
        };
        self.countries.get(&country).or_else(of_continent).copied().unwrap_or(self.default)
    }
}

/// What a message may cost, in micro-units of the currency in which prices are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaxPrice {
    /// For countries not listed; absent: anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<i64>,
    /// Country by country.
    pub countries: BTreeMap<Country, i64>,
}

impl MaxPrice {
    /// The bound for one country, if there is one.
    pub fn of(&self, country: Country) -> Option<i64> {
        self.countries.get(&country).copied().or(self.default)
    }
}

/// Hours of a recipient's day in which messages go out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendingWindow {
    /// From, `"08:00"`.
    pub from: ClockTime,
    /// Until, `"21:00"`; before `from`, the window goes over midnight.
    pub until: ClockTime,
    /// Purposes that do not wait.
    #[serde(default)]
    pub except_purposes: Vec<String>,
    /// Categories that wait for it; codes and answers never do.
    #[serde(default = "not_urgent")]
    pub categories: Vec<Category>,
}

fn not_urgent() -> Vec<Category> {
    vec![Category::Transactional, Category::Marketing]
}

/// A time of day, `"08:00"`, to a quarter of an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockTime(u16);

impl ClockTime {
    /// Minutes since midnight.
    pub fn minutes(self) -> u16 {
        self.0
    }

    /// Reads `"08:00"`.
    pub fn parse(text: &str) -> Option<Self> {
        let (hours, minutes) = text.split_once(':')?;
        let two = |part: &str| (part.len() == 2).then(|| part.parse::<u16>().ok()).flatten();
        let (hours, minutes) = (two(hours)?, two(minutes)?);
        (hours < 24 && minutes < 60 && minutes % 15 == 0).then_some(ClockTime(hours * 60 + minutes))
    }
}

impl std::fmt::Display for ClockTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for ClockTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ClockTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong =
            || serde::de::Error::custom("a time of day is written \"08:00\", to a quarter of an hour");
        ClockTime::parse(&text).ok_or_else(wrong)
    }
}

/// What a subaccount asks numbers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsentPolicy {
    /// Of which category messages are that do not say so.
    pub default_category: Category,
    /// Advertising goes only to numbers with an opt-in.
    pub marketing_needs_opt_in: bool,
}

impl Default for ConsentPolicy {
    fn default() -> Self {
        ConsentPolicy { default_category: Category::Transactional, marketing_needs_opt_in: false }
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
    /// Refuse numbers of public receive-SMS sites; else they are recorded in shadow.
    pub refuse_disposable: bool,
    /// What a message may cost.
    pub max_price: MaxPrice,
    /// Send codes also to numbers that opted out of messages.
    pub codes_despite_opt_out: bool,
    /// Channels that take over, in this order, when a message should not go over the one asked for.
    pub workflow: Vec<Channel>,
    /// What its texts have to look like.
    pub text: TextPolicy,
    /// What it asks numbers for.
    pub consent: ConsentPolicy,
    /// When messages other than codes go out, by the recipient's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sending_window: Option<SendingWindow>,
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
            refuse_disposable: false,
            max_price: MaxPrice::default(),
            codes_despite_opt_out: false,
            workflow: Vec::new(),
            text: TextPolicy::default(),
            consent: ConsentPolicy::default(),
            sending_window: None,
            challenges: false,
        }
    }
}

impl Policy {
    /// Limits that an operation of a subaccount and key is charged to, with their positions and, for those
    /// of a plan, through whom it goes.
    pub fn limits_for<'a>(
        &'a self,
        operation: Operation,
        subaccount: &'a str,
        key: Option<&'a str>,
    ) -> impl Iterator<Item = (usize, &'a Limit, Option<Holder>)> {
        let applying = self.limits.iter().enumerate().filter(move |(_, l)| l.applies(operation, subaccount));
        applying.filter_map(move |(position, limit)| {
            let holder = self.plans.holder(limit, position, operation, subaccount, key)?;
            Some((position, limit, holder))
        })
    }

    /// Whether the operator only observes at this time.
    pub fn observes(&self, now: Timestamp) -> bool {
        self.observe_until.is_some_and(|until| now < until)
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
    use Operation::{Lookup, SmsBatch, SmsSend, VerifyCheck, VerifyStart};
    let limit = |name: &str, per, applies_to: &[Operation], quota, minutes: u64, mode| Limit {
        id: format!("lim_builtin-{name}"),
        name: format!("built-in {name}"),
        subaccount_id: None,
        plan: None,
        per: Subject::from(per),
        key: None,
        digits: None,
        applies_to: applies_to.to_vec(),
        quota,
        window: Duration::from_secs(minutes * 60),
        counts: Counts::Sends,
        mode,
        built_in: true,
    };
    // One guess on each of a million verifications is a flood of wrong codes from somewhere, or at some range.
    let failures = |name: &str, per, quota| Limit {
        counts: Counts::Failures,
        ..limit(name, per, &[VerifyCheck], quota, 60, Mode::Enforce)
    };
    let lookups = |name: &str, per, quota| Limit {
        counts: Counts::Requests,
        ..limit(name, per, &[Lookup], quota, 60, Mode::Enforce)
    };
    vec![
        limit("client-ip", Per::ClientIp, &[VerifyStart], 20, 60, Mode::Enforce),
        limit("msisdn", Per::Msisdn, &[VerifyStart, SmsSend, SmsBatch], 10, 30, Mode::Enforce),
        limit("number-range", Per::NumberRange, &[VerifyStart], 60, 60, Mode::Shadow),
        failures("wrong-codes-client-ip", Per::ClientIp, 30),
        failures("wrong-codes-network", Per::Network, 100),
        failures("wrong-codes-number-range", Per::NumberRange, 50),
        lookups("lookups-api-key", Per::ApiKey, 10_000),
        lookups("lookups-caller-ip", Per::CallerIp, 10_000),
    ]
}
