//! What an operator sets up, as stored in the directory and shown by the admin API (secrets apart).

use std::time::Duration;

use ipnet::IpNet;
use seawall_connect::Kind;
use seawall_core::country::Country;
use seawall_core::detect::dial::DetectionPolicy;
use seawall_core::message::Channel;
use seawall_core::policy::{BackOff, SubaccountPolicy};
use seawall_core::time::{Timestamp, span};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::consent::settings::ConsentSettings;
use super::incidents::IncidentSettings;
use super::lookup::settings::LookupSettings;
use super::signals::alerts::SignalSettings;

/// Collections of the directory; the same words as in admin paths.
pub mod collection {
    /// The account itself: one document.
    pub const ACCOUNT: &str = "account";
    /// Subaccounts.
    pub const SUBACCOUNTS: &str = "subaccounts";
    /// API keys.
    pub const API_KEYS: &str = "api-keys";
    /// IP allow-list.
    pub const IP_ALLOWLIST: &str = "ip-allowlist";
    /// Limits.
    pub const LIMITS: &str = "limits";
    /// Providers.
    pub const PROVIDERS: &str = "providers";
    /// Routes.
    pub const ROUTES: &str = "routes";
    /// Prices.
    pub const PRICES: &str = "prices";
    /// Webhooks.
    pub const WEBHOOKS: &str = "webhooks";
    /// Webhooks of voice events.
    pub const VOICE_WEBHOOKS: &str = "voice-webhooks";
    /// Pools of virtual numbers.
    pub const NUMBER_POOLS: &str = "number-pools";
    /// Virtual numbers.
    pub const VIRTUAL_NUMBERS: &str = "virtual-numbers";
    /// Templates.
    pub const TEMPLATES: &str = "templates";
    /// Plans.
    pub const PLANS: &str = "plans";
    /// Budgets.
    pub const BUDGETS: &str = "budgets";
    /// Test numbers.
    pub const TEST_NUMBERS: &str = "test-numbers";
    /// Settings: one document.
    pub const SETTINGS: &str = "settings";
    /// Lists, without their entries.
    pub const LISTS: &str = "lists";
    /// Suspensions.
    pub const SUSPENSIONS: &str = "suspensions";
    /// Rules.
    pub const RULES: &str = "rules";
    /// Trained models.
    pub const MODELS: &str = "models";
    /// Pairs of keys that numbers in requests are encrypted with.
    pub const NUMBER_KEYS: &str = "number-keys";
    /// Export jobs.
    pub const EXPORTS: &str = "exports";
}

/// The account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// A GUID with dashes, as 8x8 spells it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// SHA-256 of the admin token, hexadecimal.
    pub admin_token_hash: String,
    /// Prepaid balance in micro-units, when the account is prepaid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<i64>,
    /// ISO 4217.
    #[serde(default = "usd")]
    pub currency: String,
}

fn usd() -> String {
    "USD".to_owned()
}

/// A subaccount.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subaccount {
    /// `^[A-Za-z0-9\-._&]{3,50}$`
    pub id: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Name of its plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Products it may use (`sms`, `verify`, …); absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub products: Option<Vec<String>>,
    /// Sender ID used when a request names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_source: Option<String>,
    /// Within so long an identical request of a dialect without idempotency keys gets the first one's answer.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "span::option")]
    pub dedup_window: Option<Duration>,
    /// Country policy, required fields, number types.
    #[serde(flatten)]
    pub policy: SubaccountPolicy,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Start and check verifications.
    #[serde(rename = "verify")]
    Verify,
    /// Approve verifications by hand, without a code. Never given by default.
    #[serde(rename = "approve")]
    Approve,
    /// Send without operator rules and detection, by `risk_check: "off"`. Never given by default.
    #[serde(rename = "risk_check_off")]
    RiskCheckOff,
    /// Send and read messages.
    #[serde(rename = "sms")]
    Sms,
    /// Look numbers up.
    #[serde(rename = "lookup")]
    Lookup,
    /// Mask numbers.
    #[serde(rename = "masking")]
    Masking,
    /// Voice calls.
    #[serde(rename = "voice")]
    Voice,
    /// Contacts and opt-outs.
    #[serde(rename = "contacts")]
    Contacts,
    /// Read everything in the admin API.
    #[serde(rename = "admin:read")]
    AdminRead,
    /// Change everything in the admin API.
    #[serde(rename = "admin:write")]
    AdminWrite,
}

impl Scope {
    /// The wire word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Approve => "approve",
            Self::RiskCheckOff => "risk_check_off",
            Self::Sms => "sms",
            Self::Lookup => "lookup",
            Self::Masking => "masking",
            Self::Voice => "voice",
            Self::Contacts => "contacts",
            Self::AdminRead => "admin:read",
            Self::AdminWrite => "admin:write",
        }
    }
}

/// An API key. The secret itself is shown once and not kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiKey {
    /// `key_…`
    pub id: String,
    /// Unique, for people.
    pub name: String,
    /// Only these subaccounts; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subaccounts: Option<Vec<String>>,
    /// Only these uses; absent: verify, sms, lookup, masking, voice and contacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Scope>>,
    /// Name of its plan; absent: the plan of the subaccount that it is used for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Only from these addresses; empty: from anywhere the account allows.
    #[serde(default)]
    pub ip_allowlist: Vec<IpNet>,
    /// Not valid from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether it works.
    pub enabled: bool,
    /// Last six characters of the secret, to tell keys apart.
    pub last6: String,
    /// SHA-256 of the secret, hexadecimal. Never shown.
    pub hash: String,
    /// A secret that rotation replaced, valid for the overlap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousSecret>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A rotated secret during its overlap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousSecret {
    /// SHA-256, hexadecimal.
    pub hash: String,
    /// Not valid from then on.
    pub until: Timestamp,
}

/// An entry of the IP allow-list. Once there is one, the APIs answer only listed addresses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AllowedNet {
    /// `ial_…`
    pub id: String,
    /// An address or a network.
    pub cidr: IpNet,
    /// For this subaccount only; absent: for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subaccount_id: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provider {
    /// `prv_…`
    pub id: String,
    /// Unique; routes name it.
    pub name: String,
    /// Which connector.
    pub kind: Kind,
    /// Its settings; secrets may be references (`env:`, `file:`).
    #[serde(default)]
    pub settings: Value,
    /// Whether routes may use it.
    pub enabled: bool,
    /// Unguessable part of its callback path, `/callbacks/{name}/{token}`.
    pub callback_token: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Which messages a route takes; absent fields match everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouteMatch {
    /// The recipient's country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// SMS or call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// `verification` or `message`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The subaccount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subaccount_id: Option<String>,
}

/// A route: the first one that matches carries the message, over its providers in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// `rte_…`
    pub id: String,
    /// Unique when given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Lower goes first; then the order in which routes were made, more specific matches before general ones.
    #[serde(default)]
    pub position: i64,
    /// What it takes.
    #[serde(rename = "match", default)]
    pub matches: RouteMatch,
    /// Names of providers: the fail-over order.
    pub providers: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a segment costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PriceEntry {
    /// `prc_…`
    pub id: String,
    /// Where.
    pub country: Country,
    /// Mobile country code of one operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcc: Option<String>,
    /// Mobile network code of one operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mnc: Option<String>,
    /// Micro-units a segment.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Where receipts and inbound messages of a subaccount go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Webhook {
    /// `whk_…`
    pub id: String,
    /// A subaccount, or `*` for all that have none of their own.
    pub subaccount_id: String,
    /// Where to.
    pub url: String,
    /// Value of the `Authorization` header. Never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
    /// OAuth 2 client credentials instead. The client secret is never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth: Option<WebhookOauth>,
    /// Signing secrets, `whsec_…`, newest first; two during rotation. Shown once.
    pub secrets: Vec<String>,
    /// Whether it is used.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// OAuth 2 client credentials of a webhook, as 8x8 spells them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookOauth {
    /// Token endpoint.
    pub url: String,
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: String,
    /// `header` or `body`.
    pub credentials_location: String,
    /// Scope to ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// What a template is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateKind {
    /// Texts of codes: what is sent is made from it.
    #[default]
    Code,
    /// Texts of messages: what is sent has to follow it where the subaccount demands that.
    Notification,
}

/// A registered text: of codes, chosen by `templateKey`, or of notifications.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// `tpl_…`
    pub id: String,
    /// The key that requests name.
    pub name: String,
    /// For one subaccount; absent: for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subaccount_id: Option<String>,
    /// For one channel; absent: for both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// For one language (BCP 47); absent: for all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub kind: TemplateKind,
    /// A code's text has `{code}` and perhaps `{brand}`; a notification's any placeholders.
    pub text: String,
    /// Used when a request names none.
    #[serde(default)]
    pub default: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A number whose code is always the same, and to which nothing is sent: for tests of the caller's own, and for
/// the reviewers of app stores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestNumber {
    /// `tnr_…`
    pub id: String,
    /// The keyed hash of the number: documents are told apart by it, because their names are not sealed.
    pub key: String,
    /// E.164 with `+`.
    pub msisdn: String,
    /// The code.
    pub code: String,
    /// An ordinary number from then on.
    pub expires_at: Timestamp,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Settings of the installation that can change while it runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Delays between unconfirmed codes.
    pub verification_backoff: BackOff,
    /// How fast the API may be called.
    pub api_rates: ApiRates,
    /// Until then only guardrails refuse; everything else is recorded in shadow.
    pub observe_until: Option<Timestamp>,
    /// Fraud detection.
    pub detection: DetectionPolicy,
    /// Alerts on volume, share and conversion.
    pub signals: SignalSettings,
    /// What is done about incidents by itself.
    pub incidents: IncidentSettings,
    /// STOP, START, HELP, double opt-in and "not me".
    pub consent: ConsentSettings,
    /// What is asked of networks for rules.
    pub lookup: LookupSettings,
}

/// Requests a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiRates {
    /// By one subaccount.
    pub per_subaccount: u32,
    /// From one calling address.
    pub per_caller_ip: u32,
}

impl Default for ApiRates {
    fn default() -> Self {
        ApiRates { per_subaccount: 1800, per_caller_ip: 3000 }
    }
}
