//! The hashed values by which limits and budgets count a request; kept with every send, so that windows can
//! be refilled without reading who it was for.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{DEFAULT_RANGE_DIGITS, Limit, Per, WIDE_FACTOR};
use crate::blind::BlindIndex;
use crate::client_ip::ClientIp;
use crate::id::Id;
use crate::money::Cost;
use crate::request::Request;
use crate::time::Timestamp;

/// What a request is counted by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dimensions {
    /// Operation, by [`crate::request::Operation::as_u8`].
    pub op: u8,
    /// The number.
    pub to: u64,
    /// The number's range by the default digits.
    pub range: u64,
    /// The end user's /32 or /64.
    pub ip: Option<u64>,
    /// The end user's /48.
    pub ip48: Option<u64>,
    /// The end user's /24, of IPv4.
    pub ip24: Option<u64>,
    /// The caller's /32 or /64.
    pub caller: u64,
    /// The caller's /48.
    pub caller48: Option<u64>,
    /// The API key.
    pub key: u64,
    /// The subaccount.
    pub sub: u64,
    /// The country.
    pub country: u64,
    /// The user.
    pub user: Option<u64>,
    /// The fingerprint.
    pub print: Option<u64>,
    /// The route.
    pub route: Option<u64>,
    /// What the message costs, when a price is known.
    pub cost: Option<Cost>,
    /// Ranges by other numbers of digits, as `(digits, hash)`.
    pub ranges: Vec<(u8, u64)>,
    /// The caller's own keys, as `(name, value)`.
    pub keys: Vec<(u64, u64)>,
    /// The row of the decision that it redeems, with which it was charged.
    pub redeems: Option<u64>,
}

impl Dimensions {
    /// Hashes everything a limit may count. `digits`: the range lengths that limits ask for beside the default.
    pub fn of(request: &Request, index: &BlindIndex, digits: &[u8]) -> Self {
        let range = |d: u8| index.hash(b'r', &request.to.range(d).to_le_bytes());
        let keys = request.terms.limit_keys.iter();
        Dimensions {
            op: request.operation.as_u8(),
            to: index.msisdn(request.to),
            range: range(DEFAULT_RANGE_DIGITS),
            ip: request.client.ip.map(|ip| index.client(ip)),
            ip48: request.client.ip.and_then(|ip| index.client_wide(ip)),
            ip24: request.client.ip.and_then(|ip| network(ip, index)),
            caller: index.client(request.caller_ip),
            caller48: index.client_wide(request.caller_ip),
            key: index.text(b'k', &request.key),
            sub: index.text(b's', &request.subaccount),
            country: index.text(b'y', request.country.as_str()),
            user: request.client.user.as_deref().map(|user| index.text(b'u', user)),
            print: request.client.fingerprint.as_deref().map(|print| index.text(b'f', print)),
            route: request.route.as_deref().map(|route| index.text(b'o', route)),
            cost: request.cost(),
            ranges: digits.iter().map(|&d| (d, range(d))).collect(),
            keys: keys.map(|(name, value)| (index.text(b'm', name), index.text(b'v', value))).collect(),
            redeems: request.terms.redeems.map(|id| id.row().cast_unsigned()),
        }
    }

    /// When its windows were charged, of a send that was accepted at `at`.
    pub fn charged_at(&self, at: Timestamp) -> Timestamp {
        self.redeems.map_or(at, |row| Id::new(row.cast_signed(), 0).at())
    }

    /// The subjects of a limit: the narrow one, and for addresses of IPv6 the network around it with how many
    /// times the quota it may use. Nothing when the request lacks a part.
    pub(super) fn subjects(&self, limit: &Limit, index: &BlindIndex) -> [Option<(u64, u32)>; 2] {
        let (mut narrow, mut wide) = (None, None);
        for (place, per) in limit.per.parts().iter().enumerate() {
            let Some((part, around)) = self.part(*per, limit, index) else { return [None, None] };
            // One part stands for itself; several are hashed together.
            let with = |known: Option<u64>, part: u64| known.map_or(part, |known| index.counter(known, part));
            wide = match (wide, around) {
                (None, None) => None,
                (None, Some(around)) if place == 0 => Some(around),
                (before, around) => Some(with(before.or(narrow), around.unwrap_or(part))),
            };
            narrow = Some(with(narrow, part));
        }
        [narrow.map(|s| (s, 1)), wide.map(|s| (s, WIDE_FACTOR))]
    }

    fn part(&self, per: Per, limit: &Limit, index: &BlindIndex) -> Option<(u64, Option<u64>)> {
        let one = match per {
            Per::ClientIp => return self.ip.map(|ip| (ip, self.ip48)),
            Per::CallerIp => return Some((self.caller, self.caller48)),
            Per::Network => self.ip24.or(self.ip48),
            Per::Msisdn => Some(self.to),
            Per::NumberRange => match limit.digits {
                None | Some(DEFAULT_RANGE_DIGITS) => Some(self.range),
                Some(d) => self.ranges.iter().find(|(digits, _)| *digits == d).map(|&(_, hash)| hash),
            },
            Per::ApiKey => Some(self.key),
            Per::Subaccount => Some(self.sub),
            Per::Account => Some(0),
            Per::Country => Some(self.country),
            Per::User => self.user,
            Per::Fingerprint => self.print,
            Per::Route => self.route,
            Per::Custom => {
                let name = limit.key.as_deref().map(|name| index.text(b'm', name))?;
                self.keys.iter().find(|(known, _)| *known == name).map(|&(_, value)| value)
            }
        };
        one.map(|one| (one, None))
    }
}

/// Hash of an IPv4 address' /24.
fn network(ip: ClientIp, index: &BlindIndex) -> Option<u64> {
    match ip.ip() {
        IpAddr::V4(v4) => v4.octets().first_chunk::<3>().map(|net| index.hash(b'g', net)),
        IpAddr::V6(_) => None,
    }
}
