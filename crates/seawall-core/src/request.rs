//! A request after the last room with strings: everything is a type.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::client_ip::ClientIp;
use crate::consent::Category;
use crate::country::Country;
use crate::id::Id;
use crate::message::Channel;
use crate::money::{Cost, Currency};
use crate::msisdn::{Msisdn, NumberKind, ParsedNumber};
use crate::time::Timestamp;

/// What is asked for; limits apply to some of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation {
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
    /// A call between two parties is to be put through a mask.
    #[serde(rename = "voice.call")]
    VoiceCall,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Operation; 6] =
        [Self::VerifyStart, Self::VerifyCheck, Self::SmsSend, Self::SmsBatch, Self::Lookup, Self::VoiceCall];

    /// Whether something leaves for a phone.
    pub fn sends(self) -> bool {
        matches!(self, Self::VerifyStart | Self::SmsSend | Self::SmsBatch | Self::VoiceCall)
    }

    /// Whether it may cost money: it sends, or a provider is asked about a number.
    pub fn may_cost(self) -> bool {
        self.sends() || self == Self::Lookup
    }

    /// Whether it is a message of ours. A call between two people is none: it has no text, no route, and says nothing about
    /// campaigns.
    pub fn is_message(self) -> bool {
        self.sends() && self != Self::VoiceCall
    }

    /// The wire word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VerifyStart => "verify.start",
            Self::VerifyCheck => "verify.check",
            Self::SmsSend => "sms.send",
            Self::SmsBatch => "sms.batch",
            Self::Lookup => "lookup",
            Self::VoiceCall => "voice.call",
        }
    }

    /// A small number for storage; stable for ever.
    pub fn as_u8(self) -> u8 {
        match self {
            Self::VerifyStart => 0,
            Self::VerifyCheck => 1,
            Self::SmsSend => 2,
            Self::SmsBatch => 3,
            Self::Lookup => 4,
            Self::VoiceCall => 5,
        }
    }

    /// Back from [`Operation::as_u8`].
    pub fn from_u8(value: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|o| o.as_u8() == value)
    }
}

/// Who stands behind a request: the app's user, not the app's server. Everything here is what the app
/// reports: it limits and informs, it never authorises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// The end user's address.
    pub ip: Option<ClientIp>,
    /// The app's name for its user.
    pub user: Option<String>,
    /// The app's fingerprint of the end user's device.
    pub fingerprint: Option<String>,
    /// The end user's browser or app.
    pub user_agent: Option<String>,
    /// A token that was issued when a number was verified on this device.
    pub device_token: Option<String>,
    /// The TLS fingerprint of the end user's client, as a trusted proxy saw it.
    pub ja4: Option<String>,
    /// Other headers of the end user's request that the operator asked to be passed on, names in lower case.
    pub headers: BTreeMap<String, String>,
}

/// What a message looks like from outside; never its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageTraits {
    /// Sender ID.
    pub source: Option<String>,
    /// Name of the registered template that the text follows.
    pub template: Option<String>,
    /// Hosts of the URLs in the text, in lower case.
    pub url_hosts: Vec<String>,
    /// Its words, as small keyed hashes: see [`crate::text::words`]. Empty for codes.
    pub words: Vec<u16>,
    /// Whether the text needs UCS-2.
    pub unicode: bool,
    /// What in the text is made to deceive, in words.
    pub look_alike: Option<String>,
}

/// What the name of a caller's own limit key may look like, in words.
pub const LIMIT_KEY_RULE: &str = "1 to 32 small letters, digits or `_` are needed";
/// Limit keys of one request.
pub const MOST_LIMIT_KEYS: usize = 8;
/// Characters of a limit key's value.
pub const LONGEST_LIMIT_VALUE: usize = 128;

/// Whether a text can name a limit key.
pub fn is_limit_key(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Under which terms a caller wants something sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Values for limits per custom key, by the key's name.
    pub limit_keys: BTreeMap<String, String>,
    /// Not above this price, in micro-units a message.
    pub max_price: Option<i64>,
    /// Whether detection and operator rules are asked; switched off only by a key with that right.
    pub risk_check: bool,
    /// The allow that it redeems: limits were charged and detection was asked when that was given.
    pub redeems: Option<Id>,
}

impl Default for Terms {
    fn default() -> Self {
        Terms { limit_keys: BTreeMap::new(), max_price: None, risk_check: true, redeems: None }
    }
}

/// Who asks for what to be sent to whom.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is asked for.
    pub operation: Operation,
    /// The subaccount in the path or of the key.
    pub subaccount: String,
    /// Id of the API key, `key_…`.
    pub key: String,
    /// The recipient.
    pub to: Msisdn,
    /// The recipient's country.
    pub country: Country,
    /// The recipient's number type.
    pub kind: NumberKind,
    /// Whether the number is assigned by its country's plan, as far as is known.
    pub valid: bool,
    /// How the message is to travel.
    pub channel: Channel,
    /// The end user.
    pub client: Client,
    /// Where the request came from: the app's server, after trusted proxies.
    pub caller_ip: ClientIp,
    /// What kind of message it is.
    pub category: Category,
    /// What the message is for, as the caller names it.
    pub purpose: Option<String>,
    /// What the message looks like.
    pub message: MessageTraits,
    /// Under which terms the caller wants it sent.
    pub terms: Terms,
    /// How many segments the message has.
    pub segments: u8,
    /// What the message costs in micro-units, when a price is known.
    pub price: Option<i64>,
    /// In which currency.
    pub currency: Option<Currency>,
    /// Id of the route that would carry it, when one matches.
    pub route: Option<String>,
    /// When it is to be sent, if not at once.
    pub due: Option<Timestamp>,
    /// Decide and record, but send nothing and charge nothing.
    pub dry_run: bool,
    /// Whether the recipient came encrypted: no answer may show it.
    pub veiled: bool,
}

impl Request {
    /// A request with nothing but the necessary: one segment, by SMS, from an unknown end user.
    pub fn new(
        operation: Operation,
        subaccount: impl Into<String>,
        key: impl Into<String>,
        to: &ParsedNumber,
        caller_ip: ClientIp,
    ) -> Self {
        Request {
            operation,
            subaccount: subaccount.into(),
            key: key.into(),
            to: to.msisdn,
            country: to.country,
            kind: to.kind,
            valid: to.valid,
            channel: Channel::Sms,
            client: Client::default(),
            caller_ip,
            category: if operation == Operation::VerifyStart {
                Category::Code
            } else {
                Category::Transactional
            },
            purpose: None,
            message: MessageTraits::default(),
            terms: Terms::default(),
            segments: 1,
            price: None,
            currency: None,
            route: None,
            due: None,
            dry_run: false,
            veiled: to.veiled,
        }
    }

    /// The recipient with all that its digits say.
    pub fn number(&self) -> ParsedNumber {
        let Request { to: msisdn, country, kind, valid, veiled, .. } = *self;
        ParsedNumber { msisdn, country, kind, valid, veiled }
    }

    /// What it costs, when price and currency are known.
    pub fn cost(&self) -> Option<Cost> {
        let micros = u64::try_from(self.price?).ok()?;
        Some(Cost { micros, currency: self.currency? })
    }
}
