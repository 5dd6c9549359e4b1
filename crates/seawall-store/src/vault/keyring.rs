//! Keys that are unwrapped: the root, from which everything but sealing is derived, and the data keys that seal.

use std::sync::Arc;

use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair};
use seawall_core::blind::BlindIndex;

use crate::{Result, StoreError};

/// What verifications, tokens and signatures name the root key by.
pub(super) const ROOT_ID: u8 = 1;

/// What a data key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Every node may know it before the first one seals with it.
    Next,
    /// It seals.
    Current,
    /// It opens what it sealed, until nothing names it.
    Old,
}

impl KeyState {
    /// As a column.
    pub fn as_i64(self) -> i64 {
        self as i64
    }

    /// Back from [`KeyState::as_i64`].
    pub fn from_i64(column: i64) -> Option<Self> {
        [Self::Next, Self::Current, Self::Old].into_iter().find(|state| state.as_i64() == column)
    }

    /// The wire word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Current => "current",
            Self::Old => "old",
        }
    }
}

/// A key as it stands in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// 0 for the root key; sealed values name the others.
    pub id: u8,
    /// What it is for.
    pub state: KeyState,
    /// When it was made, in milliseconds; 0 with the database. Tells keys of one id apart.
    pub made_at: i64,
    /// Wrapped by the key-encryption key.
    pub wrapped: Vec<u8>,
}

/// One data key.
#[derive(Clone)]
pub(super) struct Seal {
    id: u8,
    made_at: i64,
    key: Arc<LessSafeKey>,
}

/// The data keys.
#[derive(Clone, Default)]
pub(super) struct Seals {
    pub(super) keys: Vec<Seal>,
    /// The one that seals.
    pub(super) current: u8,
}

impl Seals {
    /// The key of an id.
    pub(super) fn of(&self, id: u8) -> Option<&LessSafeKey> {
        self.keys.iter().find(|seal| seal.id == id).map(|seal| seal.key.as_ref())
    }

    /// Adds a key.
    pub(super) fn add(&mut self, id: u8, made_at: i64, key: &[u8; 32]) -> Result<()> {
        let seal = UnboundKey::new(&AES_256_GCM, &derive::<32>(key, b"seal")?).map_err(|_| broken())?;
        self.keys.push(Seal { id, made_at, key: Arc::new(LessSafeKey::new(seal)) });
        Ok(())
    }

    /// Keeps a key that was there before; false if it was not.
    pub(super) fn keep(&mut self, before: &Seals, row: &WrappedKey) -> bool {
        let same = before.keys.iter().find(|seal| (seal.id, seal.made_at) == (row.id, row.made_at));
        self.keys.extend(same.cloned());
        same.is_some()
    }
}

/// What is derived from the root key. It is not rotated: look-up hashes would have to be made anew from numbers that
/// are gone by then, codes that are out would end, and receipts could no longer be verified.
pub(super) struct Root {
    master: [u8; 32],
    pub(super) index: BlindIndex,
    pub(super) codes: hmac::Key,
    pub(super) devices: hmac::Key,
    links: hmac::Key,
    receipts: Ed25519KeyPair,
}

impl Root {
    pub(super) fn new(master: &[u8; 32]) -> Result<Self> {
        let mac =
            |purpose| Ok::<_, StoreError>(hmac::Key::new(hmac::HMAC_SHA256, &derive::<32>(master, purpose)?));
        let seed = derive::<32>(master, b"receipts")?;
        Ok(Root {
            master: *master,
            index: BlindIndex::new(derive(master, b"index")?),
            codes: mac(b"codes")?,
            devices: mac(b"devices")?,
            links: mac(b"links")?,
            receipts: Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| broken())?,
        })
    }

    /// A random one: nothing that is stored fits it.
    pub(super) fn of_nobody() -> Self {
        loop {
            if let Ok(root) = super::random::new_key().and_then(|key| Self::new(&key)) {
                return root;
            }
        }
    }

    pub(super) fn mark(&self, purpose: &str, message: &[u8]) -> [u8; 8] {
        let tag = hmac::sign(&self.links, &[purpose.as_bytes(), b"\0", message].concat());
        let mut out = [0u8; 8];
        out.iter_mut().zip(tag.as_ref()).for_each(|(o, t)| *o = *t);
        out
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.receipts.sign(message).as_ref().to_vec()
    }

    pub(super) fn public_key(&self) -> Vec<u8> {
        self.receipts.public_key().as_ref().to_vec()
    }

    pub(super) fn secret(&self, purpose: &str) -> Result<[u8; 32]> {
        derive(&self.master, purpose.as_bytes())
    }
}

fn broken() -> StoreError {
    StoreError::Corrupt("a key could not be derived".to_owned())
}

struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive<const N: usize>(master: &[u8], purpose: &[u8]) -> Result<[u8; N]> {
    let mut out = [0u8; N];
    Salt::new(HKDF_SHA256, b"seawall")
        .extract(master)
        .expand(&[purpose], Len(N))
        .and_then(|okm| okm.fill(&mut out))
        .map_err(|_| broken())?;
    Ok(out)
}
