//! Answers kept under idempotency keys.

use seawall_core::msisdn::Msisdn;

use super::erasing::names;
use crate::Result;
use crate::records::Idempotent;
use crate::vault::{Place, Vault};

const PLACE: [u8; 2] = *b"ik";

/// The keyed hash of a key.
pub(crate) fn hash(vault: &Vault, key: &str) -> i64 {
    vault.index().text(b'q', key).cast_signed()
}

/// An answer ready to be written.
pub(crate) struct SealedKey {
    /// When it was given, in milliseconds.
    pub(crate) at: i64,
    pub(crate) hash: i64,
    pub(crate) body: Vec<u8>,
}

impl SealedKey {
    /// Seals an answer.
    pub(crate) fn new(vault: &Vault, answer: &Idempotent) -> Result<Self> {
        let hash = hash(vault, &answer.key);
        let body = vault.seal(Place::new(PLACE, hash), &serde_json::to_vec(answer)?)?;
        Ok(SealedKey { at: answer.at.as_millis(), hash, body })
    }
}

/// An answer from its columns.
pub(crate) fn open(vault: &Vault, hash: i64, body: &[u8]) -> Result<Idempotent> {
    Ok(serde_json::from_slice(&vault.open_sealed(Place::new(PLACE, hash), body)?)?)
}

/// The answer with a number in it masked; `None` if it names it nowhere. It stays under its key: without it the
/// same request would send a second time.
pub(crate) fn mask(vault: &Vault, hash: i64, body: &[u8], number: Msisdn) -> Result<Option<Vec<u8>>> {
    let plain = vault.open_sealed(Place::new(PLACE, hash), body)?;
    if !names(&plain, number) {
        return Ok(None);
    }
    let mut answer: Idempotent = serde_json::from_slice(&plain)?;
    answer.body = answer.body.replace(&number.digits(), number.masked().trim_start_matches('+'));
    answer.key = String::new();
    vault.seal(Place::new(PLACE, hash), &serde_json::to_vec(&answer)?).map(Some)
}
