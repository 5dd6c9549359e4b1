//! Device tokens: what a client keeps after its number was verified, and shows with the next request.
//!
//! A token is bound to the number by an HMAC-SHA-256 (RFC 2104, cut to 16 bytes), so that it proves nothing
//! about any other number and nobody can make one. It holds no personal data: `dt_`, and in base64url the id
//! of the key, when it was issued, eight random bytes and the tag.

use std::time::Duration;

use ring::hmac;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;

/// How long a token is worth something.
pub const VALID_FOR: Duration = Duration::from_secs(365 * 86_400);

const PREFIX: &str = "dt_";
const SALT: usize = 8;
const TAG: usize = 16;
const LEN: usize = 1 + 8 + SALT + TAG;

/// Makes a token.
pub(crate) fn issue(key_id: u8, key: &hmac::Key, to: Msisdn, at: Timestamp, salt: [u8; SALT]) -> String {
    let mut bytes = Vec::with_capacity(LEN);
    bytes.push(key_id);
    bytes.extend_from_slice(&at.as_millis().to_be_bytes());
    bytes.extend_from_slice(&salt);
    let tag = tag(key, &bytes, to);
    bytes.extend_from_slice(&tag);
    format!("{PREFIX}{}", encode(&bytes))
}

/// The key that a token names and when it says it was issued, if it is a token at all.
pub(crate) fn read(token: &str) -> Option<(u8, Timestamp, Vec<u8>)> {
    let bytes = decode(token.strip_prefix(PREFIX)?)?;
    let key = *bytes.first().filter(|_| bytes.len() == LEN)?;
    let at = bytes.get(1..9)?.try_into().ok().map(i64::from_be_bytes)?;
    Some((key, Timestamp::from_millis(at), bytes))
}

/// Whether the tag of a token was made for this number.
pub(crate) fn genuine(key: &hmac::Key, bytes: &[u8], to: Msisdn) -> bool {
    let Some((head, given)) = bytes.split_at_checked(LEN - TAG) else { return false };
    // Compared in constant time: a tag must not be guessable byte by byte.
    let right = tag(key, head, to);
    right.iter().zip(given).fold(right.len() ^ given.len(), |d, (a, b)| d | usize::from(a ^ b)) == 0
}

fn tag(key: &hmac::Key, head: &[u8], to: Msisdn) -> Vec<u8> {
    let mut context = hmac::Context::with_key(key);
    context.update(head);
    context.update(&to.as_u64().to_be_bytes());
    context.sign().as_ref().iter().copied().take(TAG).collect()
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encode(bytes: &[u8]) -> String {
    // 33 bytes are 44 letters without padding.
    bytes
        .chunks(3)
        .flat_map(|c| {
            let n = c.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - c.len()));
            (0..=c.len()).map(move |i| (n >> (18 - 6 * i) & 63) as usize)
        })
        .filter_map(|at| LETTERS.get(at).map(|l| char::from(*l)))
        .collect()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() != LEN / 3 * 4 {
        return None;
    }
    let mut bytes = Vec::with_capacity(LEN);
    for chunk in text.as_bytes().chunks(4) {
        let mut n = 0u32;
        for letter in chunk {
            n = n << 6 | u32::try_from(LETTERS.iter().position(|l| l == letter)?).ok()?;
        }
        bytes.extend(n.to_be_bytes().into_iter().skip(1));
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use crate::vault::Vault;
    use seawall_core::msisdn::Msisdn;
    use seawall_core::time::Timestamp;
    use std::time::Duration;

    fn number(digits: u64) -> Msisdn {
        Msisdn::from_u64(digits).unwrap()
    }

    #[test]
    fn a_token_is_worth_something_for_its_number_and_its_year_only() {
        let vault = Vault::from_keys(&[(1, [7; 32])]).unwrap();
        let now = Timestamp::from_millis(1_800_000_000_000);
        let token = vault.device_token(number(6_591_234_567), now).unwrap();
        assert!(vault.trusts_device(&token, number(6_591_234_567), now));
        assert!(!vault.trusts_device(&token, number(6_591_234_568), now), "another number");
        let year = Duration::from_secs(366 * 86_400);
        assert!(!vault.trusts_device(&token, number(6_591_234_567), now.plus(year)), "too old");
        assert!(!vault.trusts_device(&token, number(6_591_234_567), now.minus(year)), "from the future");
        let other = Vault::from_keys(&[(1, [8; 32])]).unwrap();
        assert!(!other.trusts_device(&token, number(6_591_234_567), now), "another installation");
        assert_ne!(token, vault.device_token(number(6_591_234_567), now).unwrap(), "a device each");
    }

    #[test]
    fn a_changed_token_is_worth_nothing() {
        let vault = Vault::from_keys(&[(1, [7; 32])]).unwrap();
        let now = Timestamp::from_millis(1_800_000_000_000);
        let token = vault.device_token(number(6_591_234_567), now).unwrap();
        for at in 0..token.len() {
            let mut letters: Vec<char> = token.chars().collect();
            letters[at] = if letters[at] == 'A' { 'B' } else { 'A' };
            let changed: String = letters.into_iter().collect();
            assert!(changed == token || !vault.trusts_device(&changed, number(6_591_234_567), now), "{at}");
        }
        for junk in ["", "dt_", "dt_%%%", "dev_1", &token[..10], &format!("{token}A")] {
            assert!(!vault.trusts_device(junk, number(6_591_234_567), now), "{junk}");
        }
    }
}
