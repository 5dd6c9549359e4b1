//! Secrets that the gateway makes: API keys, the admin token, signing secrets of webhooks.
//!
//! A key is its prefix, 30 random characters of base 62 (178 bits) and 6 characters of checksum, so that a
//! secret scanner can tell a key from a text that only looks like one, without asking anybody.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use seawall_store::StoreError;
use seawall_store::vault::Vault;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Random characters of a key.
const BODY: usize = 30;
/// Characters of the checksum: 62^6 is more than 2^32.
const CHECKSUM: usize = 6;

/// What a secret is for; the prefix by which people and scanners know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// An API key.
    Live,
    /// An API key of a test installation.
    Test,
    /// The admin token.
    Admin,
}

impl SecretKind {
    /// Every kind.
    pub const ALL: [SecretKind; 3] = [Self::Live, Self::Test, Self::Admin];

    /// What it begins with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Live => "sw_live_",
            Self::Test => "sw_test_",
            Self::Admin => "sw_admin_",
        }
    }
}

/// A new key or token.
pub fn new_secret(kind: SecretKind, vault: &Vault) -> Result<String, StoreError> {
    let body = random_base62(vault)?;
    let check = checksum(&body);
    Ok(format!("{}{body}{check}", kind.prefix()))
}

/// A new signing secret of a webhook: `whsec_` and 32 random bytes in base 64, as Standard Webhooks has it.
pub fn new_webhook_secret(vault: &Vault) -> Result<String, StoreError> {
    let mut bytes = [0u8; 32];
    vault.random(&mut bytes)?;
    Ok(format!("whsec_{}", STANDARD.encode(bytes)))
}

/// Whether a text has the form of one of our keys and its checksum is right. Says nothing about its validity.
pub fn checksum_ok(secret: &str) -> bool {
    let Some(rest) = SecretKind::ALL.iter().find_map(|kind| secret.strip_prefix(kind.prefix())) else {
        return false;
    };
    let plain = rest.len() == BODY + CHECKSUM && rest.bytes().all(|b| b.is_ascii_alphanumeric());
    plain && rest.split_at_checked(BODY).is_some_and(|(body, check)| checksum(body) == check)
}

/// The last six characters, by which people tell keys apart.
pub fn last6(secret: &str) -> String {
    secret.get(secret.len().saturating_sub(6)..).unwrap_or_default().to_owned()
}

/// Hexadecimal SHA-256 of a secret: all that is kept of it.
pub fn hash_hex(secret: &str) -> String {
    super::who::hex(&super::who::hash_secret(secret))
}

/// Characters without bias: bytes from 248 up are thrown away, because 248 is 4 times 62.
fn random_base62(vault: &Vault) -> Result<String, StoreError> {
    let mut out = String::with_capacity(BODY);
    let mut bytes = [0u8; 64];
    while out.len() < BODY {
        vault.random(&mut bytes)?;
        let fair = bytes.iter().filter(|&&b| b < 248);
        let characters = fair.filter_map(|&b| BASE62.get(usize::from(b) % 62)).map(|&c| char::from(c));
        out.extend(characters.take(BODY - out.len()));
    }
    Ok(out)
}

fn checksum(body: &str) -> String {
    let mut rest = crc32(body.as_bytes());
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = usize::try_from(rest % 62).ok().and_then(|i| BASE62.get(i)).copied().unwrap_or(b'0');
        rest /= 62;
    }
    digits.iter().map(|&d| char::from(d)).collect()
}

/// CRC-32 as in zip files (IEEE 802.3). Bit by bit: it runs over 30 bytes when a key is made.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0u32, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_zip_files() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(checksum("").len(), 6);
    }

    #[test]
    fn keys_carry_their_checksum_and_differ() {
        let vault = Vault::ephemeral().unwrap();
        for kind in SecretKind::ALL {
            let key = new_secret(kind, &vault).unwrap();
            assert_eq!(key.len(), kind.prefix().len() + 36);
            assert!(checksum_ok(&key), "{key}");
            assert_ne!(key, new_secret(kind, &vault).unwrap());
            let mut broken = key.clone();
            let first = broken.remove(kind.prefix().len());
            broken.insert(kind.prefix().len(), if first == 'a' { 'b' } else { 'a' });
            assert!(!checksum_ok(&broken), "{broken}");
            assert_eq!(last6(&key), key[key.len() - 6..]);
        }
        assert!(!checksum_ok("sw_live_") && !checksum_ok("") && !checksum_ok("sw_live_é"));
    }

    #[test]
    fn a_webhook_secret_is_32_bytes() {
        let secret = new_webhook_secret(&Vault::ephemeral().unwrap()).unwrap();
        assert_eq!(STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap().len(), 32);
    }
}
