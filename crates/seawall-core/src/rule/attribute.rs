//! What a rule may look at: the one table that the checker, the evaluation and docs/attributes.md are made of.

use crate::velocity::{Metric, Span, VelocityKey};

/// Of what type an attribute is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A number with a fraction.
    Double,
    /// A text.
    String,
    /// One of a few words.
    Words(&'static [&'static str]),
    /// ISO 3166-1 alpha-2 in capitals.
    Country,
    /// An address.
    Ip,
    /// An IPv4 /24 or an IPv6 /48.
    Network,
    /// Texts.
    Strings,
}

impl Kind {
    /// Its name in messages and in the reference.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Double => "double",
            Kind::String | Kind::Words(_) | Kind::Country => "string",
            Kind::Ip => "ip",
            Kind::Network => "network",
            Kind::Strings => "list of strings",
        }
    }
}

macro_rules! attributes {
    ($( $(#[doc = $doc:literal])+ $name:ident = $path:literal, $kind:expr, $example:literal, $missing:literal; )+) => {
        /// An attribute with a name of its own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Plain { $( $(#[doc = $doc])+ $name, )+ }

        impl Plain {
            /// Every one of them, in the order of the reference.
            pub const ALL: &'static [Plain] = &[ $( Plain::$name, )+ ];

            /// Its name in rules.
            pub fn name(self) -> &'static str { match self { $( Self::$name => $path, )+ } }

            /// Its type.
            pub fn kind(self) -> Kind { match self { $( Self::$name => $kind, )+ } }

            /// What it means.
            pub fn meaning(self) -> &'static str { match self { $( Self::$name => concat!($($doc),+), )+ } }

            /// A condition that uses it.
            pub fn example(self) -> &'static str { match self { $( Self::$name => $example, )+ } }

            /// When a request does not have it.
            pub fn missing(self) -> &'static str { match self { $( Self::$name => $missing, )+ } }

            /// The attribute of a name.
            pub fn parse(name: &str) -> Option<Self> { match name { $( $path => Some(Self::$name), )+ _ => None } }
        }
    };
}

const OPERATIONS: &[&str] =
    &["verify.start", "verify.check", "sms.send", "sms.batch", "lookup", "voice.call"];
const CHANNELS: &[&str] = &["sms", "call"];
const CONTINENTS: &[&str] =
    &["africa", "antarctica", "asia", "europe", "north_america", "oceania", "south_america"];
const TYPES: &[&str] = &[
    "fixed_line",
    "mobile",
    "fixed_line_or_mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
    "unknown",
];

attributes! {
    /// What is asked for.
    RequestOperation = "request.operation", Kind::Words(OPERATIONS), r#"request.operation == "verify.start""#, "never";
    /// Over which channel the message is to travel.
    RequestChannel = "request.channel", Kind::Words(CHANNELS), r#"request.channel == "call""#, "never";
    /// What the message is for, in the caller's words.
    RequestPurpose = "request.purpose", Kind::String, r#"request.purpose == "signup""#, "the caller did not say";
    /// The subaccount.
    RequestSubaccount = "request.subaccount", Kind::String, r#"request.subaccount.startsWith("test_")"#, "never";
    /// Id of the API key.
    RequestApiKey = "request.api_key", Kind::String, r#"request.api_key == "key_01K9…""#, "never";
    /// In how many segments the message travels.
    RequestSegments = "request.segments", Kind::Int, "request.segments > 3", "never";
    /// What the message costs, in micro-units: 1000000 is one unit of the currency.
    RequestPrice = "request.price", Kind::Int, "request.price > 200000", "no price is entered for the country";
    /// Whether the request only asks and sends nothing.
    RequestDryRun = "request.dry_run", Kind::Bool, "!request.dry_run", "never";
    /// The hour of the day, UTC, 0 to 23.
    RequestHour = "request.hour", Kind::Int, "request.hour < 6", "never";
    /// The day of the week, UTC, 1 (Monday) to 7.
    RequestWeekday = "request.weekday", Kind::Int, "request.weekday > 5", "never";
    /// The recipient's country.
    NumberCountry = "number.country", Kind::Country, r#"number.country in ["UZ", "TJ"]"#, "never; `ZZ` for numbers of no country";
    /// The recipient's continent.
    NumberContinent = "number.continent", Kind::Words(CONTINENTS), r#"number.continent == "africa""#, "the number belongs to no country";
    /// The recipient's number type.
    NumberType = "number.type", Kind::Words(TYPES), r#"number.type == "voip""#, "never";
    /// Whether the number lies in its country's numbering plan, as far as is known.
    NumberValid = "number.valid", Kind::Bool, "!number.valid", "never";
    /// The number's range: the number without its last four digits. Whole numbers belong on lists.
    NumberRange = "number.range", Kind::String, r#"number.range.startsWith("+99893412")"#, "never";
    /// The operator that the number's range was given to.
    NumberOperator = "number.operator", Kind::String, r#"number.operator == "Beeline""#, "the range's operator is not known";
    /// That operator's MCC and MNC together.
    NumberMccmnc = "number.mccmnc", Kind::String, r#"number.mccmnc == "43404""#, "the operator's code is not known";
    /// Whether numbers of this country can be ported, so that the operator may have changed.
    NumberPortable = "number.portable", Kind::Bool, "number.portable", "the number was not looked up";
    /// Whether the number belongs to a public receive-SMS site.
    NumberDisposable = "number.disposable", Kind::Bool, "number.disposable", "the number was not looked up";
    /// Whether a code sent to the number was confirmed before.
    NumberKnown = "number.known", Kind::Bool, "!number.known", "the number's past was not asked for";
    /// Whether the request carries the device token of that confirmation.
    NumberTrusted = "number.trusted", Kind::Bool, "number.trusted", "the number's past was not asked for";
    /// Whole hours since a code sent to the number was last confirmed.
    NumberLastConfirmedHours = "number.last_confirmed_hours", Kind::Int, "number.last_confirmed_hours < 24", "none ever was";
    /// Whether the number was taken to another operator. This and the next five are what lookups say (lookup.md#facts-for-rules).
    NumberPorted = "number.ported", Kind::Bool, "number.ported", "no lookup, file or correction tells";
    /// Whether the number's phone is in a foreign network.
    NumberRoaming = "number.roaming", Kind::Bool, "number.roaming", "no lookup or correction tells";
    /// Whether the number's phone can be reached.
    NumberReachable = "number.reachable", Kind::Bool, "!number.reachable", "no lookup or correction tells";
    /// Whether the number's calls are forwarded.
    NumberCallForwarding = "number.call_forwarding", Kind::Bool, "number.call_forwarding", "no lookup or correction tells";
    /// Whole hours since the number's SIM card was last replaced.
    NumberSimSwappedHours = "number.sim_swapped_hours", Kind::Int, "number.sim_swapped_hours < 72", "no lookup or correction tells";
    /// Whole hours since the number was last given to another owner.
    NumberReassignedHours = "number.reassigned_hours", Kind::Int, "number.reassigned_hours < 720", "no lookup or correction tells";
    /// The hour of the day where the number is, 0 to 23.
    NumberLocalHour = "number.local_hour", Kind::Int, "number.local_hour < 7", "its country has several hours and the number does not tell, or it belongs to no country";
    /// The end user's address. It can be compared with `==` and `in`, and given to `ip_in`.
    ClientIp = "client.ip", Kind::Ip, r#"ip_in(client.ip, "198.51.100.0/24")"#, "the request does not say";
    /// The end user's network: IPv4 /24, IPv6 /48.
    ClientNetwork = "client.network", Kind::Network, r#"client.network == "198.51.100.0/24""#, "the request has no client address";
    /// Where the end user's address is registered or announced.
    ClientCountry = "client.country", Kind::Country, "client.country != number.country", "no address, or no table knows it";
    /// The autonomous system of the end user's address.
    ClientAsn = "client.asn", Kind::Int, "client.asn in [16509, 14061]", "no address, or no table knows it";
    /// Whether the end user's address is a data centre's.
    ClientHosting = "client.hosting", Kind::Bool, "client.hosting", "the request has no client address";
    /// Whether it is the exit of a VPN.
    ClientVpn = "client.vpn", Kind::Bool, "client.vpn", "the request has no client address";
    /// Whether it is a Tor exit. Known only with a file of the operator's own.
    ClientTor = "client.tor", Kind::Bool, "client.tor", "the request has no client address";
    /// Whether it is the exit of a privacy relay, with many real users behind it.
    ClientRelay = "client.relay", Kind::Bool, "!client.relay", "the request has no client address";
    /// Whether it is a public or residential proxy. Known only with a file of the operator's own.
    ClientProxy = "client.proxy", Kind::Bool, "client.proxy", "the request has no client address";
    /// The app's name for its user.
    ClientUser = "client.user", Kind::String, "has(client.user)", "the request does not say";
    /// The app's fingerprint of the device.
    ClientFingerprint = "client.fingerprint", Kind::String, r#"client.fingerprint == "fp12""#, "the request does not say";
    /// The end user's browser or app.
    ClientUserAgent = "client.user_agent", Kind::String, r#"client.user_agent.matches("(?i)python|curl")"#, "the request does not say";
    /// The TLS fingerprint (JA4) of the end user's client, as a trusted proxy saw it.
    ClientJa4 = "client.ja4", Kind::String, r#"client.ja4.startsWith("t13d")"#, "no trusted proxy sent it";
    /// The address that calls the API: the app's server, after trusted proxies.
    CallerIp = "caller.ip", Kind::Ip, r#"!ip_in(caller.ip, "192.0.2.0/24")"#, "never";
    /// Sender ID.
    MessageSource = "message.source", Kind::String, r#"message.source == "Acme""#, "the request names none";
    /// Name of the registered template that the text follows.
    MessageTemplate = "message.template", Kind::String, "!has(message.template)", "it follows none";
    /// Hosts of the URLs in the text, in lower case.
    MessageUrlHosts = "message.url_hosts", Kind::Strings, r#"message.url_hosts.exists(h, h.endsWith(".top"))"#, "never; empty without URLs";
    /// Whether the text needs UCS-2, and so more segments.
    MessageUnicode = "message.unicode", Kind::Bool, "message.unicode && request.segments > 1", "never";
    /// Detection's probability of a campaign in percent, 0 to 100.
    EvidenceRisk = "evidence.risk", Kind::Int, "evidence.risk >= 80", "detection is off or was not asked";
    /// The same as a fraction, 0 to 1.
    EvidenceProbability = "evidence.probability", Kind::Double, "evidence.probability > 0.95", "detection is off or was not asked";
    /// Which kinds of observation speak: outcome, concentration, velocity, prior, guessing, sender, model.
    EvidenceFamilies = "evidence.families", Kind::Strings, r#""concentration" in evidence.families"#, "detection is off or was not asked";
    /// The lists with an entry that names a part of the request; `in_list("vip")` says the same.
    Lists = "lists", Kind::Strings, r#"lists.contains("vip")"#, "the lists did not answer";
}

/// One attribute that a rule looks at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attribute {
    /// One with a name of its own.
    Plain(Plain),
    /// `velocity.KEY.METRIC_SPAN`
    Velocity(VelocityKey, Metric, Span),
    /// `client.headers["name"]`, the name in lower case.
    Header(Box<str>),
    /// `limit_keys["name"]`
    LimitKey(Box<str>),
}

/// The paths that are looked into with `["…"]`.
pub(super) const HEADERS: &str = "client.headers";
pub(super) const LIMIT_KEYS: &str = "limit_keys";

impl Attribute {
    /// The attribute of a path such as `number.country`.
    pub(super) fn parse(path: &str) -> Option<Self> {
        Plain::parse(path).map(Attribute::Plain).or_else(|| velocity(path.strip_prefix("velocity.")?))
    }

    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Attribute::Plain(plain) => plain.kind(),
            Attribute::Velocity(..) => Kind::Int,
            Attribute::Header(_) | Attribute::LimitKey(_) => Kind::String,
        }
    }

    /// As rules spell it.
    pub fn name(&self) -> String {
        match self {
            Attribute::Plain(plain) => plain.name().to_owned(),
            Attribute::Velocity(key, metric, span) => velocity_name(*key, *metric, *span),
            Attribute::Header(name) => format!("{HEADERS}[\"{name}\"]"),
            Attribute::LimitKey(name) => format!("{LIMIT_KEYS}[\"{name}\"]"),
        }
    }

    /// The closed set of words that metrics count it under.
    pub fn family(&self) -> &'static str {
        match self {
            Attribute::Plain(plain) => plain.name(),
            Attribute::Velocity(..) => "velocity",
            Attribute::Header(_) => HEADERS,
            Attribute::LimitKey(_) => LIMIT_KEYS,
        }
    }

    /// Whether verdicts move it: what is stopped is not sent and cannot be confirmed, and detection learns from
    /// both. A rule that looks at it would have changed what it looks at.
    pub fn follows_verdicts(&self) -> bool {
        match self {
            Attribute::Velocity(_, metric, _) => matches!(metric, Metric::Sends | Metric::Confirmations),
            Attribute::Plain(plain) => matches!(
                plain,
                Plain::NumberKnown
                    | Plain::NumberTrusted
                    | Plain::NumberLastConfirmedHours
                    | Plain::EvidenceRisk
                    | Plain::EvidenceProbability
                    | Plain::EvidenceFamilies
            ),
            Attribute::Header(_) | Attribute::LimitKey(_) => false,
        }
    }

    /// Every attribute without a name in `["…"]`.
    pub fn all() -> impl Iterator<Item = Attribute> {
        let plain = Plain::ALL.iter().map(|plain| Attribute::Plain(*plain));
        plain.chain(velocities().map(|(key, metric, span)| Attribute::Velocity(key, metric, span)))
    }

    /// Their names, for suggestions.
    pub(super) fn paths() -> impl Iterator<Item = String> {
        Attribute::all().map(|attribute| attribute.name())
    }
}

/// A path below `velocity.`.
fn velocity(path: &str) -> Option<Attribute> {
    let (key, rest) = path.split_once('.')?;
    let (metric, span) = rest.rsplit_once('_')?;
    let found = |(k, m, s): &(VelocityKey, Metric, Span)| {
        k.as_str() == key && m.as_str() == metric && s.as_str() == span
    };
    velocities().find(found).map(|(key, metric, span)| Attribute::Velocity(key, metric, span))
}

fn velocity_name(key: VelocityKey, metric: Metric, span: Span) -> String {
    format!("velocity.{}.{}_{}", key.as_str(), metric.as_str(), span.as_str())
}

/// Every velocity. One number has no distinct numbers.
pub(super) fn velocities() -> impl Iterator<Item = (VelocityKey, Metric, Span)> {
    let sensible = |key, metric| key != VelocityKey::Number || metric != Metric::DistinctNumbers;
    VelocityKey::ALL.into_iter().flat_map(move |key| {
        let metrics = Metric::ALL.into_iter().filter(move |metric| sensible(key, *metric));
        metrics.flat_map(move |metric| Span::ALL.into_iter().map(move |span| (key, metric, span)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intel::Continent;
    use crate::message::Channel;
    use crate::msisdn::NumberKind;
    use crate::request::Operation;

    #[test]
    fn every_attribute_reads_as_it_is_written() {
        for path in Attribute::paths() {
            assert_eq!(Attribute::parse(&path).unwrap().name(), path);
        }
        assert_eq!(Attribute::paths().count(), Plain::ALL.len() + 117);
        for path in
            ["velocity.ip.sends", "velocity.ip.sends_2h", "velocity.number.distinct_numbers_1h", "", "number"]
        {
            assert_eq!(Attribute::parse(path), None, "{path}");
        }
    }

    #[test]
    fn what_verdicts_move_is_told_apart() {
        let moved = |path: &str| Attribute::parse(path).unwrap().follows_verdicts();
        for path in
            ["velocity.ip.sends_1h", "velocity.user.confirmations_24h", "number.known", "evidence.risk"]
        {
            assert!(moved(path), "{path}");
        }
        for path in
            ["velocity.ip.requests_1h", "velocity.range.distinct_numbers_10m", "number.country", "lists"]
        {
            assert!(!moved(path), "{path}");
        }
    }

    #[test]
    fn closed_sets_are_those_of_their_types() {
        let operations: Vec<_> = Operation::ALL.iter().map(|o| o.as_str()).collect();
        assert_eq!(OPERATIONS, operations);
        for kind in TYPES {
            let kind: NumberKind = serde_json::from_value((*kind).into()).unwrap();
            assert!(TYPES.contains(&kind.as_str()));
        }
        for continent in CONTINENTS {
            let read: Continent = serde_json::from_value((*continent).into()).unwrap();
            assert_eq!(read.as_str(), *continent);
        }
        assert_eq!(CHANNELS, [Channel::Sms.as_str(), Channel::Call.as_str()]);
    }
}
