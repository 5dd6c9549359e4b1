//! A request as the baselines see it.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use seawall_core::country::Country;
use seawall_core::intel::number;
use seawall_core::msisdn::{Msisdn, ParsedNumber};
use seawall_core::trace::{IfSent, Line, Op};

/// The price of a message without one, as the engine takes it.
const UNKNOWN_PRICE: i64 = 50_000;

/// The number that a line asks for a message to.
pub(crate) fn number(line: &Line<'_>) -> Option<ParsedNumber> {
    let to = match &line.op {
        Op::VerifyStart(start) => &start.to,
        Op::SmsSend(sms) => &sms.to,
        Op::VerifyCheck(_) => return None,
    };
    Msisdn::parse(to, None).ok()
}

/// A request for a code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Milliseconds since the epoch.
    pub at: i64,
    /// The number.
    pub number: u64,
    /// Its country.
    pub country: Country,
    /// The address as an app sees it that believes the left-most one of a forwarding header.
    pub ip: Option<u64>,
    /// The keys of prefix velocity: blocks of 1,000, 10,000 and 100,000 numbers, operator, country.
    pub keys: [u64; 5],
    /// What the message costs, micro-units.
    pub price: i64,
    /// What follows if it is sent.
    pub if_sent: IfSent,
}

impl Seen {
    /// Of a line that asks for a code for that number.
    pub fn of(line: &Line<'_>, parsed: &ParsedNumber) -> Option<Self> {
        let Op::VerifyStart(start) = &line.op else { return None };
        let number = parsed.msisdn.as_u64();
        let client = &line.client;
        let ip = client.forwarded_for.as_ref().or(client.ip.as_ref()).map(|ip| hash(&**ip));
        let operator = number::operator(parsed).map_or("none", |operator| operator.name);
        let country = parsed.country;
        Some(Seen {
            at: line.t.as_millis(),
            number,
            country,
            ip,
            keys: [
                hash(&(3, number / 1_000)),
                hash(&(4, number / 10_000)),
                hash(&(5, number / 100_000)),
                hash(&(country, operator)),
                hash(&country),
            ],
            price: start.price_micros.and_then(|p| i64::try_from(p).ok()).unwrap_or(UNKNOWN_PRICE),
            if_sent: start.if_sent,
        })
    }
}

fn hash(of: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
