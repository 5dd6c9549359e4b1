//! Keyed hashes, so that stored rows and counters can be found by number or address without holding either.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::client_ip::ClientIp;
use crate::msisdn::Msisdn;

/// A pseudo-random function (SipHash-2-4 with a 128-bit secret key) from values to 64 bits.
/// The key lives outside the database: without it the ten billion numbers of a country cannot be tried.
#[derive(Clone)]
pub struct BlindIndex {
    k0: u64,
    k1: u64,
}

impl BlindIndex {
    /// From 16 secret bytes.
    pub fn new(key: [u8; 16]) -> Self {
        let v = u128::from_le_bytes(key);
        BlindIndex {
            k0: u64::try_from(v & u128::from(u64::MAX)).unwrap_or(0),
            k1: u64::try_from(v >> 64).unwrap_or(0),
        }
    }

    /// Hash of a value in a domain; the same bytes in two domains have unrelated hashes.
    pub fn hash(&self, domain: u8, bytes: &[u8]) -> u64 {
        let hasher = SipHasher24::new_with_keys(self.k0, self.k1);
        // In one piece it takes half the time; few values are longer.
        let mut whole = [domain; 64];
        match whole.get_mut(1..=bytes.len()) {
            Some(rest) => {
                rest.copy_from_slice(bytes);
                hasher.hash(whole.get(..=bytes.len()).unwrap_or_default())
            }
            None => {
                let mut hasher = hasher;
                hasher.write(&[domain]);
                hasher.write(bytes);
                hasher.finish()
            }
        }
    }

    /// Hash of a number.
    pub fn msisdn(&self, msisdn: Msisdn) -> u64 {
        self.hash(b'n', &msisdn.as_u64().to_le_bytes())
    }

    /// Hash of the block that a client's address belongs to: /32 of IPv4, /64 of IPv6.
    pub fn client(&self, ip: ClientIp) -> u64 {
        self.hash(b'i', &ip.bucket_bytes())
    }

    /// Hash of an IPv6 client's /48; `None` for IPv4.
    pub fn client_wide(&self, ip: ClientIp) -> Option<u64> {
        ip.wide_bucket_bytes().map(|bytes| self.hash(b'w', &bytes))
    }

    /// Hash of any other text, such as a user or a fingerprint.
    pub fn text(&self, domain: u8, text: &str) -> u64 {
        self.hash(domain, text.as_bytes())
    }

    /// The counter key of one limit for one subject. Subjects are hashes already, so it is enough to mix: no two
    /// subjects of a limit share a key.
    pub fn counter(&self, limit: u64, subject: u64) -> u64 {
        mixed((subject ^ self.k1).wrapping_add(mixed(limit ^ self.k0)))
    }
}

/// Spreads every bit over all of them, one to one (the finalizer of MurmurHash3).
pub(crate) fn mixed(mut x: u64) -> u64 {
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

impl std::fmt::Debug for BlindIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BlindIndex")
    }
}
