//! One simulated request, before it becomes a line of text.

use std::net::IpAddr;

use super::addresses::Address;
use super::clients;
use crate::time::Timestamp;
use crate::trace::{Caller, Check, Client, IfChallenged, IfSent, Line, Op, Sms, Start, Text, To, Truth};

/// One simulated request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// When it arrives, milliseconds since the Unix epoch.
    pub at: i64,
    /// Its number, unique in the trace; shown as `r7`.
    pub id: u64,
    /// Whose request it is.
    pub subaccount: &'static str,
    /// The end user's client.
    pub from: Option<Origin>,
    /// What is asked for.
    pub ask: Ask,
    /// The attack that it belongs to.
    pub campaign: Option<&'static str>,
    /// The legitimate event that it belongs to.
    pub event: Option<&'static str>,
}

/// The end user's client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its address.
    pub address: Address,
    /// Which client it is, see [`clients`].
    pub client: u8,
    /// The device token that it holds.
    pub token: Option<u64>,
    /// What it forged into a forwarding header.
    pub forwarded_for: Option<IpAddr>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// A code.
    Start {
        /// The number.
        to: u64,
        /// It was verified before the trace began.
        known: bool,
        /// Millionths of a US dollar.
        price_micros: u64,
        /// What follows if it is sent.
        if_sent: IfSent,
        /// Whether a challenge is solved.
        passes: bool,
    },
    /// A code presented.
    Check {
        /// The request that it answers.
        of: u64,
        /// Whether it is right.
        correct: bool,
    },
    /// A message.
    Send {
        /// The number.
        to: u64,
        /// It is a customer's from before the trace.
        known: bool,
        /// Millionths of a US dollar.
        price_micros: u64,
        /// The text.
        text: String,
        /// The server that sends it.
        caller: Address,
    },
}

impl Request {
    /// The number that a message would go to.
    pub fn to(&self) -> Option<u64> {
        match self.ask {
            Ask::Start { to, .. } | Ask::Send { to, .. } => Some(to),
            Ask::Check { .. } => None,
        }
    }

    /// The line of the trace.
    pub fn into_line(self) -> Line<'static> {
        let mut caller = None;
        let op = match self.ask {
            Ask::Start { to, known, price_micros, if_sent, passes } => Op::VerifyStart(Start {
                to: number(to),
                known_number: known,
                price_micros: Some(price_micros),
                if_sent,
                if_challenged: Some(IfChallenged { passes }),
            }),
            Ask::Check { of, correct } => Op::VerifyCheck(Check { of: name(of), correct }),
            Ask::Send { to, known, price_micros, text, caller: server } => {
                caller = Some(calling(server));
                Op::SmsSend(Sms {
                    to: number(to),
                    text: text.into(),
                    known_number: known,
                    price_micros: Some(price_micros),
                    if_sent: None,
                    if_challenged: None,
                })
            }
        };
        Line {
            t: Timestamp::from_millis(self.at),
            id: name(self.id),
            subaccount: Some(self.subaccount.into()),
            client: self.from.map(client).unwrap_or_default(),
            caller,
            op,
            truth: Some(Truth {
                attack: self.campaign.is_some(),
                campaign: self.campaign.map(Text::from),
                event: self.event.map(Text::from),
            }),
        }
    }
}

fn name(id: u64) -> Text<'static> {
    format!("r{id}").into()
}

fn number(to: u64) -> To<'static> {
    To(format!("+{to}").into())
}

fn client(from: Origin) -> Client<'static> {
    Client {
        ip: Some(from.address.ip.to_string().into()),
        user_agent: Some(clients::user_agent(from.client).into()),
        fingerprint: Some(clients::fingerprint(from.client).into()),
        device_token: from.token.map(|token| format!("dt{token:016x}").into()),
        asn: Some(from.address.asn),
        country: Some(from.address.country),
        hosting: Some(from.address.hosting),
        forwarded_for: from.forwarded_for.map(|ip| ip.to_string().into()),
    }
}

fn calling(server: Address) -> Caller<'static> {
    Caller { ip: Some(server.ip.to_string().into()), asn: Some(server.asn), country: Some(server.country) }
}
