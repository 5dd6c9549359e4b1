//! A request after the last room with strings: everything is a type.

use serde::{Deserialize, Serialize};

use crate::client_ip::ClientIp;
use crate::country::Country;
use crate::message::Channel;
use crate::msisdn::{Msisdn, NumberKind};

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
}

impl Operation {
    /// Every operation.
    pub const ALL: [Operation; 5] =
        [Self::VerifyStart, Self::VerifyCheck, Self::SmsSend, Self::SmsBatch, Self::Lookup];

    /// Whether something leaves for a phone.
    pub fn sends(self) -> bool {
        matches!(self, Self::VerifyStart | Self::SmsSend | Self::SmsBatch)
    }

    /// The wire word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VerifyStart => "verify.start",
            Self::VerifyCheck => "verify.check",
            Self::SmsSend => "sms.send",
            Self::SmsBatch => "sms.batch",
            Self::Lookup => "lookup",
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
        }
    }

    /// Back from [`Operation::as_u8`].
    pub fn from_u8(value: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|o| o.as_u8() == value)
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
    /// The end user's address, as the app reports it. It limits; it never authorises.
    pub client_ip: Option<ClientIp>,
    /// Where the request came from: the app's server, after trusted proxies.
    pub caller_ip: ClientIp,
    /// The app's name for its user.
    pub user: Option<String>,
    /// The app's fingerprint of the end user's device.
    pub fingerprint: Option<String>,
    /// What the message is for, as the caller names it.
    pub purpose: Option<String>,
    /// How many segments the message has.
    pub segments: u8,
    /// Decide and record, but send nothing and charge nothing.
    pub dry_run: bool,
}
