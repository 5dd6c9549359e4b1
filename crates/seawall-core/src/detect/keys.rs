//! The keys of a request: hashes under which evidence is kept.

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use super::asked::Asked;
use super::booking::low_bits;
use super::evidence::KeyKind;
use super::seen::From;
use crate::client_ip::ClientIp;

/// Who asks, as far as wide keys are concerned: one group must not pay for another. The trusted cohort is the
/// control group and feeds no evidence at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Cohort {
    /// A number verified before, on the device of that time.
    Trusted,
    /// A number verified before, on another device, from the network of its last confirmation.
    Home,
    /// A number verified before, on another device, from elsewhere.
    Known,
    /// An unknown number from an address that is a server's, a VPN's or a proxy's.
    Hosted,
    /// An unknown number of a block of ten thousand whose codes have been confirmed before.
    Settled,
    /// An unknown number of another block, from a network whose codes have been confirmed before.
    Established,
    /// An unknown number from a network nobody knows.
    Fresh,
    /// An unknown number from an address in another country: travellers, and rented addresses that no list knows.
    Abroad,
}

impl Cohort {
    /// Cohorts that share the sequential tests of wide keys: where an attack shows soonest.
    pub(super) fn tested_with(self) -> Cohort {
        match self {
            Cohort::Settled | Cohort::Established => Cohort::Fresh,
            other => other,
        }
    }

    /// Whether the number was never verified.
    pub(super) fn unknown(self) -> bool {
        !matches!(self, Cohort::Trusted | Cohort::Home | Cohort::Known)
    }
}

/// One key of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub kind: KeyKind,
    pub hash: u64,
}

/// The keys of a request that do not depend on its cohort, hashed once.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// The number itself.
    pub number: u64,
    /// Its digits as an integer.
    pub digits: u64,
    pub blocks: [Key; 3],
    pub operator: Key,
    pub country: Key,
    pub ip: Option<Key>,
    pub network: Option<Key>,
    /// ASN, fingerprint, user agent and their crossings with the country.
    pub wide_client: [Option<Key>; 6],
    /// The fingerprint, or the user agent where there is none; nothing has a hash, too.
    pub print: u64,
    pub subaccount: u64,
    /// The API key, within its subaccount.
    pub api_key: u64,
}

/// Digits that a block leaves open.
pub(super) const OPEN_DIGITS: [(KeyKind, u32); 3] =
    [(KeyKind::Block10k, 4), (KeyKind::Block100k, 5), (KeyKind::Block1k, 3)];

impl Keys {
    pub(super) fn of(asked: &Asked) -> Self {
        let digits = asked.msisdn.as_u64();
        let country = text(KeyKind::Country, asked.country.as_str());
        let operator = match &asked.operator {
            Some(name) => crossed(KeyKind::Operator, country.hash, hash(KeyKind::Operator, name.as_bytes())),
            None => Key { kind: KeyKind::Operator, hash: mix(country.hash, 77) },
        };
        let subaccount = hash(KeyKind::Subaccount, asked.subaccount.as_bytes());
        let print = asked.fingerprint.as_deref().or(asked.user_agent.as_deref());
        let print_hash = hash(KeyKind::Fingerprint, print.unwrap_or_default().as_bytes());
        Keys {
            number: hash(KeyKind::Number, &digits.to_le_bytes()),
            digits,
            blocks: OPEN_DIGITS.map(|(kind, open)| block(kind, digits, open)),
            operator,
            country,
            ip: asked.ip.map(|ip| Key { kind: KeyKind::Ip, hash: hash(KeyKind::Ip, &ip.bucket_bytes()) }),
            network: asked.ip.map(network),
            wide_client: wide_client(asked, country.hash, print.map(|_| print_hash)),
            print: print_hash,
            subaccount,
            api_key: mix(subaccount, hash(KeyKind::ApiKey, asked.api_key.as_bytes())),
        }
    }
}

impl Keys {
    /// Where it is asked for from.
    pub(super) fn from(&self) -> From {
        let bits = |key: Option<Key>| key.map_or(0, |k| low_bits(k.hash));
        From { network: bits(self.network), address: bits(self.ip) }
    }
}

fn wide_client(asked: &Asked, country: u64, print: Option<u64>) -> [Option<Key>; 6] {
    let asn = asked.ip_facts.asn.map(|asn| hash(KeyKind::Asn, &asn.to_le_bytes()));
    let agent = asked.user_agent.as_deref().filter(|_| asked.fingerprint.is_some());
    let agent = agent.map(|agent| hash(KeyKind::UserAgent, agent.as_bytes()));
    let own = |kind, hash: Option<u64>| hash.map(|hash| Key { kind, hash });
    let within = |kind, hash: Option<u64>| hash.map(|hash| crossed(kind, country, hash));
    [
        own(KeyKind::Asn, asn),
        within(KeyKind::CountryAsn, asn),
        own(KeyKind::Fingerprint, print),
        within(KeyKind::CountryFingerprint, print),
        own(KeyKind::UserAgent, agent),
        within(KeyKind::CountryUserAgent, agent),
    ]
}

/// An IPv4 /24 or an IPv6 /48.
pub(super) fn network(ip: ClientIp) -> Key {
    Key { kind: KeyKind::Network, hash: hash(KeyKind::Network, &ip.network_bytes()) }
}

#[inline]
pub(super) fn block(kind: KeyKind, digits: u64, open: u32) -> Key {
    Key { kind, hash: hash(kind, &(digits / 10u64.pow(open)).to_le_bytes()) }
}

fn text(kind: KeyKind, text: &str) -> Key {
    Key { kind, hash: hash(kind, text.as_bytes()) }
}

fn crossed(kind: KeyKind, country: u64, other: u64) -> Key {
    Key { kind, hash: mix(country, other ^ (kind as u64)) }
}

impl Key {
    /// The key of one cohort.
    #[inline]
    pub(super) fn in_cohort(self, cohort: Cohort) -> Key {
        Key { hash: mix(self.hash, 0xc0 + cohort as u64), ..self }
    }
}

impl Key {
    /// The key under which tallies of one cohort are kept, beside the test that it shares with others.
    #[inline]
    pub(super) fn of_class(self, cohort: Cohort) -> Key {
        Key { hash: mix(self.hash, 0xc1a5 + cohort as u64), ..self }
    }
}

/// Two hashes into one; never 0, which marks free rows.
#[inline]
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0xd1b5_4a32_d192_ed03);
    let folded = u64::try_from(product >> 64).unwrap_or(0)
        ^ u64::try_from(product & u128::from(u64::MAX)).unwrap_or(0);
    (folded ^ (folded >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9).max(1)
}

/// The same on every node and after every restart, so the key is fixed: what is kept under it is sealed.
pub(super) fn hash(kind: KeyKind, bytes: &[u8]) -> u64 {
    SipHasher13::new_with_keys(0x5ea0_a11d_e7ec_7000, kind as u64).hash(bytes).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_24_and_48_bits() {
        let net = |ip: &str| network(ClientIp::parse(ip).unwrap()).hash;
        assert_eq!(net("203.0.113.9"), net("203.0.113.200"));
        assert_ne!(net("203.0.113.9"), net("203.0.114.9"));
        assert_eq!(net("2001:db8:1:1::1"), net("2001:db8:1:ffff::1"));
        assert_ne!(net("2001:db8:1:1::1"), net("2001:db8:2:1::1"));
    }

    #[test]
    fn blocks_of_different_sizes_and_cohorts_differ() {
        let of = |kind, open| block(kind, 998_934_123_456, open).hash;
        assert_ne!(of(KeyKind::Block10k, 4), of(KeyKind::Block1k, 3));
        assert_eq!(of(KeyKind::Block10k, 4), block(KeyKind::Block10k, 998_934_129_999, 4).hash);
        let key = block(KeyKind::Block10k, 998_934_123_456, 4);
        assert_ne!(key.in_cohort(Cohort::Known), key.in_cohort(Cohort::Fresh));
    }
}
