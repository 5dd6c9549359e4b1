//! The pairs of keys that callers encrypt numbers to: which of them is published, which still open, and which are over.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use ring::digest;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::vault::Vault;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Unread, hpke, jwe};

/// Longer texts are not looked at: a number of fifteen digits with every part that may be there has half of it.
const LONGEST: usize = 1024;
/// Of several nodes every one knows a new pair before it is published.
const READ_BY_ALL: Duration = Duration::from_secs(5);

/// A pair of keys as it is kept, sealed like everything that is set up.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredPair {
    /// 1 for the first one; no two have the same.
    pub generation: u64,
    /// When it was made.
    pub made_at: Timestamp,
    /// For so long from then on older ones still open.
    pub grace_seconds: u64,
    /// The P-256 key, base64url.
    ec: String,
    /// The X25519 key, base64url.
    okp: String,
}

impl StoredPair {
    /// A new one.
    pub fn make(
        vault: &Vault,
        generation: u64,
        made_at: Timestamp,
        grace: Duration,
    ) -> Result<Self, StoreError> {
        let mut okp = [0u8; 32];
        vault.random(&mut okp)?;
        let ec = loop {
            let mut bytes = [0u8; 32];
            vault.random(&mut bytes)?;
            // All but one of 2^32 draws are below the order of the curve.
            if let Ok(key) = p256::SecretKey::from_slice(&bytes) {
                break BASE64.encode(key.to_bytes());
            }
        };
        Ok(StoredPair { generation, made_at, grace_seconds: grace.as_secs(), ec, okp: BASE64.encode(okp) })
    }

    fn pair(&self) -> Option<Pair> {
        let ec = p256::SecretKey::from_slice(&BASE64.decode(&self.ec).ok()?).ok()?;
        let (okp, okp_public) = hpke::pair(&BASE64.decode(&self.okp).ok()?)?;
        let ec_kid = kid(ec.public_key().to_encoded_point(false).as_bytes());
        let grace = Duration::from_secs(self.grace_seconds);
        Some(Pair {
            generation: self.generation,
            made_at: self.made_at,
            others_until: self.made_at.plus(grace),
            retires_at: None,
            ec,
            ec_kid,
            okp_kid: kid(&okp_public),
            okp,
            okp_public,
        })
    }
}

/// Names a key by itself, so that no installation and no restored backup has two of one name.
fn kid(public: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, public);
    BASE64.encode(hash.as_ref().get(..9).unwrap_or_default())
}

/// A pair of keys.
pub struct Pair {
    /// Grows.
    pub generation: u64,
    /// When it was made.
    pub made_at: Timestamp,
    /// Until when older ones open.
    others_until: Timestamp,
    /// From when on it opens nothing; `None` for the newest.
    pub retires_at: Option<Timestamp>,
    ec: p256::SecretKey,
    /// Name of the P-256 key.
    pub ec_kid: String,
    okp: hpke::PrivateKey,
    okp_public: Vec<u8>,
    /// Name of the X25519 key.
    pub okp_kid: String,
}

impl Pair {
    /// Whether it still opens.
    pub fn opens(&self, now: Timestamp) -> bool {
        self.retires_at.is_none_or(|end| now < end)
    }

    fn jwks(&self) -> Value {
        let point = self.ec.public_key().to_encoded_point(false);
        let part = |bytes: Option<&p256::FieldBytes>| BASE64.encode(bytes.map_or(&[][..], |bytes| bytes));
        json!({"keys": [
            {"kty": "EC", "crv": "P-256", "use": "enc", "alg": "ECDH-ES", "kid": self.ec_kid,
                "x": part(point.x()), "y": part(point.y())},
            {"kty": "OKP", "crv": "X25519", "use": "enc", "alg": "HPKE-3-X25519-A256GCM", "kid": self.okp_kid,
                "x": BASE64.encode(&self.okp_public), "info": hpke::INFO},
        ]})
    }
}

/// All pairs, oldest first.
#[derive(Default)]
pub struct NumberKeys {
    /// Oldest first.
    pub pairs: Vec<Pair>,
}

impl NumberKeys {
    /// From what is kept.
    pub fn of(mut stored: Vec<StoredPair>) -> Self {
        stored.sort_by_key(|pair| pair.generation);
        let mut pairs: Vec<Pair> = stored.iter().filter_map(StoredPair::pair).collect();
        // The shortest grace of all that came after it: what is retired at once takes older ones along.
        let mut end = None;
        for pair in pairs.iter_mut().rev() {
            pair.retires_at = end;
            end = Some(end.map_or(pair.others_until, |end: Timestamp| end.min(pair.others_until)));
        }
        NumberKeys { pairs }
    }

    /// What is published: the pair that callers are to use. `shared`: whether other nodes have to learn of it first.
    pub fn published(&self, now: Timestamp, shared: bool) -> Value {
        let current = self.current(now, shared);
        current.map_or_else(|| json!({"keys": []}), Pair::jwks)
    }

    /// The pair that callers are to use.
    pub fn current(&self, now: Timestamp, shared: bool) -> Option<&Pair> {
        let known = |pair: &&Pair| !shared || pair.made_at.plus(READ_BY_ALL) <= now;
        self.pairs.iter().rev().find(known).or(self.pairs.last())
    }

    /// What an encrypted number says. Every failure but one reads the same.
    pub fn open(&self, text: &str, now: Timestamp) -> Result<String, Unread> {
        let plain = if text.len() > LONGEST {
            None
        } else if let Some(sealed) = hpke::read(text) {
            let pair = self.pair(now, |pair| pair.okp_kid == sealed.kid)?;
            sealed.open(&pair.okp)
        } else if let Some(jwe) = jwe::read(text) {
            let pair = self.pair(now, |pair| pair.ec_kid == jwe.kid)?;
            jwe.open(&pair.ec)
        } else {
            None
        };
        plain.and_then(|plain| String::from_utf8(plain).ok()).ok_or(Unread::Unopened)
    }

    fn pair(&self, now: Timestamp, is: impl Fn(&Pair) -> bool) -> Result<&Pair, Unread> {
        let found = self.pairs.iter().rev().find(|pair| is(pair));
        found.filter(|pair| pair.opens(now)).ok_or(Unread::UnknownKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_opens_until_the_grace_of_a_newer_one_is_over() {
        let vault = Vault::ephemeral().unwrap();
        let (start, hour) = (Timestamp::parse("2026-01-05T10:00:00Z").unwrap(), Duration::from_secs(3600));
        let make = |generation: u64, hours: u32, grace: u32| {
            StoredPair::make(&vault, generation, start.plus(hour * hours), hour * grace).unwrap()
        };
        let two = NumberKeys::of(vec![make(2, 1, 24), make(1, 0, 0)]);
        assert_eq!(two.pairs[0].retires_at, Some(start.plus(hour * 25)));
        assert!(two.pairs[0].opens(start.plus(hour * 24)) && !two.pairs[0].opens(start.plus(hour * 25)));
        assert_eq!(two.pairs[1].retires_at, None);
        // A node that has just made it does not tell of it before the others know it.
        let made = start.plus(hour);
        assert_eq!(two.current(made, true).unwrap().generation, 1);
        assert_eq!(two.current(made.plus(READ_BY_ALL), true).unwrap().generation, 2);
        assert_eq!(two.current(made, false).unwrap().generation, 2);
        // One that is retired at once takes older ones along.
        let three = NumberKeys::of(vec![make(1, 0, 0), make(2, 1, 24), make(3, 2, 0)]);
        assert!(three.pairs[..2].iter().all(|pair| !pair.opens(start.plus(hour * 2))));
        assert_eq!(NumberKeys::default().published(made, false), json!({"keys": []}));
    }
}
