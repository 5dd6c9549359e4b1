//! The JSON of types that live in the core, for the API description only.

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// What a limit counts by.
#[derive(ToSchema)]
#[schema(as = LimitSubject)]
#[serde(rename_all = "snake_case")]
pub enum PerShape {
    /// The end user's address; IPv6 by its /64, with 8 times the quota by its /48.
    ClientIp,
    /// The recipient.
    Msisdn,
    /// The recipient's number without its last digits.
    NumberRange,
    /// The API key.
    ApiKey,
    /// The subaccount.
    Subaccount,
    /// The whole account.
    Account,
    /// The recipient's country.
    Country,
    /// The address that calls the API.
    CallerIp,
    /// The app's user.
    User,
    /// The app's fingerprint of a device.
    Fingerprint,
    /// The end user's network: the /24 of an IPv4 address, the /48 of an IPv6 address.
    Network,
    /// The route that would carry the message.
    Route,
    /// A value that requests give in `limit_keys`; `key` says under which name.
    Custom,
}

/// One thing that a limit counts by, or several that it counts together.
#[derive(ToSchema)]
#[schema(as = LimitSubjects)]
#[serde(untagged)]
pub enum SubjectShape {
    /// One.
    One(PerShape),
    /// Two to four different ones.
    Together(Vec<PerShape>),
}

/// Which requests a limit looks at.
#[derive(ToSchema)]
#[schema(as = LimitedOperation)]
pub enum OperationShape {
    /// A one-time code is to be sent.
    #[serde(rename = "verify.start")]
    VerifyStart,
    /// A one-time code is presented.
    #[serde(rename = "verify.check")]
    VerifyCheck,
    /// One message is to be sent.
    #[serde(rename = "sms.send")]
    SmsSend,
    /// One message of a batch is to be sent.
    #[serde(rename = "sms.batch")]
    SmsBatch,
    /// Facts about a number are asked for.
    #[serde(rename = "lookup")]
    Lookup,
    /// A call is to be put through a mask.
    #[serde(rename = "voice.call")]
    VoiceCall,
}

/// When a limit is charged.
#[derive(ToSchema)]
#[schema(as = LimitCounts)]
#[serde(rename_all = "snake_case")]
pub enum CountsShape {
    /// By requests that send.
    Sends,
    /// By every well-formed, authenticated request.
    Requests,
    /// By checks whose code was wrong.
    Failures,
}

/// Whether it decides, is only recorded, or is not asked.
#[derive(ToSchema)]
#[schema(as = Mode)]
#[serde(rename_all = "snake_case")]
pub enum ModeShape {
    /// It decides.
    Enforce,
    /// It is recorded and changes nothing.
    Shadow,
    /// It is not asked.
    Off,
}

/// Whether a rule has its effect or is only recorded.
#[derive(ToSchema)]
#[schema(as = RuleMode)]
#[serde(rename_all = "snake_case")]
pub enum RuleModeShape {
    /// It has its effect.
    Enforce,
    /// It is recorded and changes nothing.
    Shadow,
}

/// What a rule does with the requests that it matches.
#[derive(ToSchema)]
#[schema(as = RuleAction)]
#[serde(rename_all = "snake_case")]
pub enum ActionShape {
    /// Lifts other rules and detection.
    Allow,
    /// The client has to prove something first.
    Challenge,
    /// Sent over another channel.
    Alternative,
    /// Refused for now.
    Throttle,
    /// Refused.
    Block,
}

/// What a key may be used for.
#[derive(ToSchema)]
#[schema(as = KeyScope)]
pub enum ScopeShape {
    /// Start and check verifications.
    #[serde(rename = "verify")]
    Verify,
    /// Send without operator rules and detection.
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
    /// Read the admin API.
    #[serde(rename = "admin:read")]
    AdminRead,
    /// Use all of the admin API.
    #[serde(rename = "admin:write")]
    AdminWrite,
}

/// Whether messages to a country are sent.
#[derive(Default, ToSchema)]
#[schema(as = CountryState)]
#[serde(rename_all = "snake_case")]
pub enum CountryStateShape {
    /// Refused.
    Off,
    /// Sent, within an exposure budget once budgets exist.
    #[default]
    Protected,
    /// Sent.
    Open,
}

/// Which countries a subaccount sends to.
#[derive(ToSchema)]
#[schema(as = CountryPolicy)]
#[serde(deny_unknown_fields)]
pub struct CountryPolicyShape {
    /// For countries that are not listed; `protected` when absent.
    #[serde(default)]
    pub default: CountryStateShape,
    /// By ISO 3166-1 alpha-2.
    #[serde(default)]
    pub countries: BTreeMap<String, CountryStateShape>,
    /// For countries not listed: `africa`, `antarctica`, `asia`, `europe`, `north_america`, `oceania`, `south_america`.
    #[serde(default)]
    pub continents: BTreeMap<String, CountryStateShape>,
}

/// What a message may cost, in micro-units.
#[derive(ToSchema)]
#[schema(as = MaxPrice)]
#[serde(deny_unknown_fields)]
pub struct MaxPriceShape {
    /// For countries that are not listed; absent: anything.
    pub default: Option<i64>,
    /// By ISO 3166-1 alpha-2.
    #[serde(default)]
    pub countries: BTreeMap<String, i64>,
}

/// What the entries of a list name.
#[derive(ToSchema)]
#[schema(as = ListKind)]
#[serde(rename_all = "snake_case")]
pub enum ListKindShape {
    /// A number, in any spelling.
    Msisdn,
    /// Numbers that begin alike: `+99893412`.
    NumberRange,
    /// A client address or network.
    Ip,
    /// An autonomous system of the client's address.
    Asn,
    /// The recipient's country, ISO 3166-1 alpha-2.
    Country,
    /// The country of the client's address, ISO 3166-1 alpha-2.
    IpCountry,
    /// A sender ID; upper and lower case are alike.
    SenderId,
    /// The app's user.
    User,
    /// The app's fingerprint of a device.
    Device,
}

/// What the entries of a list do.
#[derive(ToSchema)]
#[schema(as = ListEffect)]
#[serde(rename_all = "snake_case")]
pub enum ListEffectShape {
    /// They lift policy, rules and detection; limits, budgets, opt-outs and deny entries stand.
    Allow,
    /// They refuse.
    Deny,
    /// Nothing by themselves: rules look at them.
    Named,
}

/// In which state a suspension is.
#[derive(ToSchema)]
#[schema(as = SuspensionState)]
#[serde(rename_all = "snake_case")]
pub enum SuspensionStateShape {
    /// In force.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody ended it early.
    Lifted,
}

/// To which hosts texts may link.
#[derive(ToSchema)]
#[schema(as = UrlPolicy)]
#[serde(rename_all = "snake_case")]
pub enum UrlPolicyShape {
    /// Anywhere.
    Any,
    /// Nowhere.
    None,
    /// To these hosts and their subdomains.
    Listed(Vec<String>),
}

/// What the texts of a subaccount have to look like.
#[derive(ToSchema)]
#[schema(as = TextPolicy)]
#[serde(deny_unknown_fields)]
pub struct TextPolicyShape {
    /// Refuse what follows no registered template; false when absent.
    #[serde(default)]
    pub require_template: bool,
    /// Links: `"any"` (when absent), `"none"`, or `{"listed": ["acme.com"]}`, which includes subdomains.
    pub urls: Option<UrlPolicyShape>,
    /// Characters made to deceive: `shadow` when absent.
    pub look_alikes: Option<ModeShape>,
    /// Write a text plainly when only typographic characters keep it from being GSM-7; false when absent.
    #[serde(default)]
    pub transliterate: bool,
}

/// When an operator is told of unusual traffic.
#[derive(ToSchema)]
#[schema(as = Signals)]
pub struct SignalsShape {
    /// Whether anything is told; true when absent.
    pub alerts: Option<bool>,
    /// Requests or codes below which nothing is told.
    #[schema(minimum = 1, maximum = 1_000_000, example = 50)]
    pub least: Option<u32>,
    /// Told when the last sixty minutes have this percentage of the requests of the same hour of the week.
    #[schema(minimum = 101, maximum = 100_000, example = 400)]
    pub volume_percent: Option<u32>,
    /// Told when a key's share of all requests is so many percentage points above its usual one.
    #[schema(minimum = 1, maximum = 100, example = 25)]
    pub share_points: Option<u32>,
    /// Told when the conversion of the last three hours is below this percentage of the usual one.
    #[schema(minimum = 1, maximum = 100, example = 60)]
    pub conversion_percent: Option<u32>,
    /// The same is not told again before.
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", example = "6h")]
    pub again_after: Option<String>,
}

/// What is done about incidents by itself.
#[derive(ToSchema)]
#[schema(as = IncidentSettings)]
pub struct IncidentsShape {
    /// Without a stopped request for so long, an incident is over.
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", example = "2h")]
    pub quiet_after: Option<String>,
    /// Suspensions of number ranges and single addresses that are made without being asked for.
    pub auto_suspend: Option<AutoSuspendShape>,
}

/// Suspensions that are made without being asked for.
#[derive(ToSchema)]
#[schema(as = AutoSuspend)]
pub struct AutoSuspendShape {
    /// `off` on a new installation.
    pub mode: Option<ModeShape>,
    /// How many requests of a range or an address have to have been stopped.
    #[schema(minimum = 1, maximum = 1_000_000, example = 50)]
    pub after: Option<u32>,
    /// For how long it is suspended.
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", example = "6h")]
    pub r#for: Option<String>,
}

/// How detection decides.
#[derive(ToSchema)]
#[schema(as = Detection)]
#[serde(deny_unknown_fields)]
pub struct DetectionShape {
    /// `enforce` on a new installation.
    pub mode: Option<ModeShape>,
    /// What a good user is worth, in micro-units: the one dial from which thresholds follow. Higher: fewer good
    /// users meet friction, more fraud passes.
    #[schema(example = 1_000_000)]
    pub user_value: Option<i64>,
    /// Percent of good users that a challenge loses.
    #[schema(maximum = 100)]
    pub challenge_loss: Option<u8>,
    /// Percent of good users that another channel loses.
    #[schema(maximum = 100)]
    pub alternative_loss: Option<u8>,
    /// Unconfirmed messages of an hour in a `protected` country may cost so much, in micro-units.
    #[schema(example = 20_000_000)]
    pub exposure_budget: Option<i64>,
    /// The same for an operator; `null`: none.
    pub operator_exposure_budget: Option<i64>,
    /// The same for a subaccount; `null`: none.
    pub subaccount_exposure_budget: Option<i64>,
    /// Percent of the messages that detection would stop which are sent all the same, to see whether they are
    /// confirmed; 0 when absent. Never to a number that was stopped or has an unconfirmed message out.
    #[schema(maximum = 20, example = 0)]
    pub canary_percent: Option<u8>,
    /// No such message costs more than this, in micro-units.
    #[schema(example = 60_000)]
    pub canary_max_price: Option<i64>,
}

/// Hours of a recipient's day in which messages go out.
#[derive(ToSchema)]
#[schema(as = SendingWindow)]
#[serde(deny_unknown_fields)]
pub struct SendingWindowShape {
    /// From, by the recipient's clock, to a quarter of an hour.
    #[schema(pattern = "^[0-2][0-9]:(00|15|30|45)$", example = "08:00")]
    pub from: String,
    /// Until; before `from`, the window goes over midnight.
    #[schema(pattern = "^[0-2][0-9]:(00|15|30|45)$", example = "21:00")]
    pub until: String,
    /// Purposes that do not wait.
    #[serde(default)]
    pub except_purposes: Vec<String>,
    /// Categories that wait, `transactional` and `marketing` when absent.
    #[serde(default)]
    pub categories: Vec<String>,
}

/// What a template is for.
#[derive(ToSchema)]
#[schema(as = TemplateKind)]
#[serde(rename_all = "snake_case")]
pub enum TemplateKindShape {
    /// Texts of codes.
    Code,
    /// Texts of messages.
    Notification,
}

/// How a message travels.
#[derive(ToSchema)]
#[schema(as = ChannelOfRoute)]
#[serde(rename_all = "snake_case")]
pub enum ChannelShape {
    /// A text message.
    Sms,
    /// A voice call.
    Call,
}

/// Kind of a provider.
#[derive(ToSchema)]
#[schema(as = ProviderKind)]
#[serde(rename_all = "snake_case")]
pub enum KindShape {
    /// The phone that shows what would have been sent.
    Sandbox,
    /// SMPP 3.4.
    Smpp,
    /// A described HTTP provider.
    Http,
    /// Voice through an 8x8-style call flow.
    Callflow,
    /// A described HTTP provider of number lookups (HLR, MNP).
    HttpLookup,
}

/// Which messages a route takes; absent fields match everything.
#[derive(ToSchema)]
#[schema(as = RouteMatch)]
#[serde(deny_unknown_fields)]
pub struct MatchShape {
    /// The recipient's country, ISO 3166-1 alpha-2.
    #[schema(pattern = "^[A-Za-z]{2}$")]
    pub country: Option<String>,
    /// SMS or call.
    pub channel: Option<ChannelShape>,
    /// `verification` or `message`.
    #[schema(pattern = "^(verification|message)$")]
    pub purpose: Option<String>,
    /// The subaccount.
    pub subaccount_id: Option<String>,
}

/// Growing delays between unconfirmed codes to one number.
#[derive(ToSchema)]
#[schema(as = BackOff)]
pub struct BackOffShape {
    /// Whether it refuses.
    pub mode: ModeShape,
    /// After the first unconfirmed code, the second, …; the last one repeats. Durations such as `"20s"`.
    pub delays: Vec<String>,
    /// At most so many unconfirmed codes in 24 hours.
    pub max_unconfirmed: u32,
}

/// Requests a second.
#[derive(ToSchema)]
#[schema(as = ApiRates)]
pub struct ApiRatesShape {
    /// By one subaccount.
    pub per_subaccount: u32,
    /// From one calling address.
    pub per_caller_ip: u32,
}

/// Growing delays, changed in part.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackOffPatch {
    /// Whether it refuses.
    pub mode: Option<ModeShape>,
    /// Durations such as `"20s"`, 1 to 32 of them, each at most `"24h"`.
    #[schema(min_items = 1, max_items = 32)]
    pub delays: Option<Vec<String>>,
    /// At most so many unconfirmed codes in 24 hours.
    #[schema(minimum = 1, maximum = 1000)]
    pub max_unconfirmed: Option<u32>,
}

/// Requests a second, changed in part.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiRatesPatch {
    /// By one subaccount.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub per_subaccount: Option<u32>,
    /// From one calling address.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub per_caller_ip: Option<u32>,
}
