//! The installation's keys: sealing, look-up hashes, codes and signatures.
//!
//! Envelope encryption: what is sealed names its *data key*; data keys and the *root key*, from which hashes, codes and
//! signatures are derived, stand in the database wrapped by a *key-encryption key* ([`KekSource`]), which is never there.
//! Whoever steals the database alone reads no number and no code. A new key-encryption key wraps the others anew at
//! once; a new data key seals from then on, and what older ones sealed is sealed again in the background.

mod command;
pub mod kek;
mod keyring;
mod random;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use keyring::{Root, Seals};
use ring::aead::{Aad, NONCE_LEN, Nonce};
use seawall_core::blind::BlindIndex;
use seawall_core::code::{Code, CodeShape};
use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;

pub use command::Command;
pub(crate) use kek::hex;
pub use kek::{KEY_FILE, KekSource};
pub use keyring::{KeyState, WrappedKey};
use random::{Pool, new_key};

use crate::{Result, StoreError, device};

/// Room for most sealed values.
const SEALED: usize = 768;

/// Seals, opens, hashes and derives.
pub struct Vault {
    kek: KekSource,
    root: OnceLock<Root>,
    seals: RwLock<Arc<Seals>>,
    random: Mutex<Pool>,
}

fn no_key() -> StoreError {
    StoreError::Corrupt("no key".to_owned())
}

impl Vault {
    /// Keys that are still wrapped: [`Vault::unlock`] or [`Vault::found`] comes next.
    pub fn new(kek: KekSource) -> Self {
        Vault {
            kek,
            root: OnceLock::new(),
            seals: RwLock::new(Arc::new(Seals::default())),
            random: Mutex::new(Pool::new()),
        }
    }

    /// From keys that nothing wraps, oldest first; for tests. The first one is the root key too, the last one seals.
    pub fn from_keys(keys: &[(u8, [u8; 32])]) -> Result<Self> {
        let (_, first) = keys.first().ok_or_else(no_key)?;
        Self::from_parts(first, keys)
    }

    /// The same, with a root key of its own.
    pub fn from_parts(root: &[u8; 32], keys: &[(u8, [u8; 32])]) -> Result<Self> {
        let vault = Self::new(KekSource::Env("SEAWALL_TEST_KEK".to_owned()));
        let (current, _) = keys.last().ok_or_else(no_key)?;
        vault.set_root(root)?;
        let mut seals = Seals { current: *current, ..Seals::default() };
        for (id, key) in keys {
            seals.add(*id, 0, key)?;
        }
        vault.set_seals(seals);
        Ok(vault)
    }

    /// Keys of a data directory: its key file wraps. The file is made if there is neither key nor database yet.
    pub fn open(dir: &Path, may_create: bool) -> Result<Self> {
        let path = dir.join(KEY_FILE);
        if may_create && !path.exists() {
            kek::create(&path)?;
        }
        let source = KekSource::File(path);
        source.names()?;
        Ok(Self::new(source))
    }

    /// Reads a key file, wherever it is and whatever its name.
    pub fn read(path: &Path) -> Result<Self> {
        let source = KekSource::File(path.to_owned());
        source.names()?;
        Ok(Self::new(source))
    }

    /// Keys for tests and for data that lives in memory only.
    pub fn ephemeral() -> Result<Self> {
        Self::from_keys(&[(1, new_key()?)])
    }

    /// What wraps data keys.
    pub fn kek(&self) -> &KekSource {
        &self.kek
    }

    /// Whether the keys are there.
    pub fn is_open(&self) -> bool {
        self.root.get().is_some() && !self.seals().keys.is_empty()
    }

    /// Takes keys as they stand in the database. Asks for the key-encryption key only for those that are new.
    pub fn unlock(&self, rows: &[WrappedKey]) -> Result<()> {
        let root = rows.iter().find(|row| row.id == 0).ok_or_else(no_key)?;
        if self.root.get().is_none() {
            self.set_root(&self.kek.unwrap(0, &root.wrapped)?)?;
        }
        let before = self.seals();
        let mut seals = Seals::default();
        for row in rows.iter().filter(|row| row.id != 0) {
            if !seals.keep(&before, row) {
                seals.add(row.id, row.made_at, &self.kek.unwrap(row.id, &row.wrapped)?)?;
            }
            if row.state == KeyState::Current {
                seals.current = row.id;
            }
        }
        if seals.of(seals.current).is_none() {
            return Err(StoreError::Corrupt("the database names no data key that seals".to_owned()));
        }
        self.set_seals(seals);
        Ok(())
    }

    /// Makes the keys of a new database. They are to be stored before anything is sealed.
    pub fn found(&self) -> Result<Vec<WrappedKey>> {
        let root = self.make(0, KeyState::Current, 0)?;
        let rows = vec![root, self.make(1, KeyState::Current, 0)?];
        self.unlock(&rows)?;
        Ok(rows)
    }

    /// Makes a data key, wrapped.
    pub fn make(&self, id: u8, state: KeyState, made_at: i64) -> Result<WrappedKey> {
        Ok(WrappedKey { id, state, made_at, wrapped: self.kek.wrap(id, &new_key()?)? })
    }

    /// The same keys, wrapped by the newest key-encryption key.
    pub fn wrap_again(&self, rows: &[WrappedKey]) -> Result<Vec<WrappedKey>> {
        let again = |row: &WrappedKey| {
            let key = self.kek.unwrap(row.id, &row.wrapped)?;
            Ok(WrappedKey { wrapped: self.kek.wrap(row.id, &key)?, ..row.clone() })
        };
        rows.iter().map(again).collect()
    }

    fn set_root(&self, master: &[u8; 32]) -> Result<()> {
        let root = Root::new(master)?;
        self.root.set(root).map_err(|_| StoreError::Corrupt("the root key is there already".to_owned()))
    }

    fn set_seals(&self, seals: Seals) {
        *self.seals.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(seals);
    }

    fn seals(&self) -> Arc<Seals> {
        self.seals.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn root(&self) -> Result<&Root> {
        self.root.get().ok_or_else(no_key)
    }

    /// Look-up hashes. Before the keys are there, those of a random key: what is sealed cannot be opened then, either.
    pub fn index(&self) -> &BlindIndex {
        &self.root.get_or_init(Root::of_nobody).index
    }

    /// Id of the key that derives codes; verifications name it.
    pub fn key_id(&self) -> u8 {
        keyring::ROOT_ID
    }

    /// Id of the data key that seals now.
    pub fn sealing_key(&self) -> u8 {
        self.seals().current
    }

    /// A secret of this installation for one purpose, always the same.
    pub fn secret(&self, purpose: &str) -> Result<[u8; 32]> {
        self.root()?.secret(purpose)
    }

    /// Encrypts (AES-256-GCM, random nonce). `place` says where the value is stored and must be the same to
    /// open it, so that rows cannot be swapped. Layout: key id, nonce, ciphertext with tag.
    pub fn seal(&self, place: Place, plain: &[u8]) -> Result<Vec<u8>> {
        self.seal_with(place, |out| out.extend_from_slice(plain))
    }

    /// Encrypts what `write` appends, in the same bytes that it was written to.
    pub fn seal_with(&self, place: Place, write: impl FnOnce(&mut Vec<u8>)) -> Result<Vec<u8>> {
        let seals = self.seals();
        let key = seals.of(seals.current).ok_or_else(no_key)?;
        let mut nonce = [0u8; NONCE_LEN];
        self.random(&mut nonce)?;
        let mut out = Vec::with_capacity(SEALED);
        out.push(seals.current);
        out.extend_from_slice(&nonce);
        write(&mut out);
        let failed = || StoreError::Corrupt("sealing failed".to_owned());
        let body = out.get_mut(1 + NONCE_LEN..).ok_or_else(failed)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(place.bytes()), body);
        out.extend_from_slice(tag.map_err(|_| failed())?.as_ref());
        Ok(out)
    }

    /// Decrypts what [`Vault::seal`] made for the same place.
    pub fn open_sealed(&self, place: Place, sealed: &[u8]) -> Result<Vec<u8>> {
        let (id, rest) =
            sealed.split_first().ok_or_else(|| StoreError::Corrupt("an empty sealed value".to_owned()))?;
        let seals = self.seals();
        let key = seals.of(*id).ok_or_else(|| {
            StoreError::Corrupt(format!("it is sealed with data key {id}, which the database does not hold"))
        })?;
        let damaged = || StoreError::Corrupt(format!("a sealed value in {place:?} is damaged"));
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut body = body.to_vec();
        let plain = key.open_in_place(nonce, Aad::from(place.bytes()), &mut body).map_err(|_| damaged())?;
        Ok(plain.to_vec())
    }

    /// The code of a verification: an HMAC over id and generation, mapped to the alphabet without bias.
    pub fn code(&self, key_id: u8, verification: Id, generation: u32, shape: CodeShape) -> Result<Code> {
        let codes = &self.root()?.codes;
        if key_id != keyring::ROOT_ID {
            return Err(StoreError::Corrupt(format!(
                "codes of key {key_id} cannot be derived; there is no such key"
            )));
        }
        let mut blocks = |block: u32| {
            let mut input = Vec::with_capacity(24);
            input.extend_from_slice(&verification.row().to_be_bytes());
            input.extend_from_slice(&verification.tail().to_be_bytes());
            input.extend_from_slice(&generation.to_be_bytes());
            input.extend_from_slice(&block.to_be_bytes());
            let tag = ring::hmac::sign(codes, &input);
            let mut out = [0u8; 32];
            out.iter_mut().zip(tag.as_ref()).for_each(|(o, t)| *o = *t);
            out
        };
        Ok(Code::derive(&mut blocks, shape))
    }

    /// A token for the device on which a number was verified at `at`; see [`crate::device`].
    pub fn device_token(&self, to: Msisdn, at: Timestamp) -> Result<String> {
        let mut salt = [0u8; 8];
        self.random(&mut salt)?;
        Ok(device::issue(keyring::ROOT_ID, &self.root()?.devices, to, at, salt))
    }

    /// Whether a token was issued by this installation when this very number was verified, within
    /// [`device::VALID_FOR`] of `now`.
    pub fn trusts_device(&self, token: &str, to: Msisdn, now: Timestamp) -> bool {
        let Some((id, issued, bytes)) = device::read(token) else { return false };
        let fresh = issued <= now && now.since(issued) <= device::VALID_FOR;
        let root = self.root.get().filter(|_| fresh && id == keyring::ROOT_ID);
        root.is_some_and(|root| device::genuine(&root.devices, &bytes, to))
    }

    /// A mark (HMAC-SHA256, cut to 64 bits) that only this installation can make, for one purpose: what it is put on
    /// comes back unchanged.
    pub fn mark(&self, purpose: &str, message: &[u8]) -> [u8; 8] {
        self.root.get_or_init(Root::of_nobody).mark(purpose, message)
    }

    /// Whether a mark was made here for this purpose and message.
    pub fn is_marked(&self, purpose: &str, message: &[u8], given: &[u8]) -> bool {
        use subtle::ConstantTimeEq;
        bool::from(self.mark(purpose, message).ct_eq(given))
    }

    /// Signs (Ed25519, RFC 8032) for readers who have only the public key. Gives the id of the key and the
    /// 64 bytes of the signature.
    pub fn sign(&self, message: &[u8]) -> Result<(u8, Vec<u8>)> {
        Ok((keyring::ROOT_ID, self.root()?.sign(message)))
    }

    /// Public keys of signatures, all that ever signed, with their ids: 32 bytes each.
    pub fn signing_keys(&self) -> Vec<(u8, Vec<u8>)> {
        self.root.get().map(|root| (keyring::ROOT_ID, root.public_key())).into_iter().collect()
    }

    /// Random bytes for ids and keys.
    pub fn random(&self, out: &mut [u8]) -> Result<()> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).take(out)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({} data keys)", self.seals().keys.len())
    }
}

/// Where a sealed value stands: table and column as one letter each, and the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// What kind of value, e.g. `mt` for the text of a message.
    pub kind: [u8; 2],
    /// Which row; 0 where rows have no number.
    pub row: i64,
}

impl Place {
    /// A value in a row.
    pub fn new(kind: [u8; 2], row: i64) -> Self {
        Place { kind, row }
    }

    fn bytes(self) -> [u8; 10] {
        let mut out = [0u8; 10];
        out.iter_mut().zip(self.kind.into_iter().chain(self.row.to_be_bytes())).for_each(|(o, b)| *o = b);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_only_in_its_place_and_with_its_key() {
        let vault = Vault::from_keys(&[(1, [7; 32])]).unwrap();
        let place = Place::new(*b"mt", 5);
        let sealed = vault.seal(place, b"hello").unwrap();
        assert_eq!(vault.open_sealed(place, &sealed).unwrap(), b"hello");
        assert!(vault.open_sealed(Place::new(*b"mt", 6), &sealed).is_err());
        let newer = Vault::from_keys(&[(1, [7; 32]), (2, [8; 32])]).unwrap();
        assert_eq!(newer.open_sealed(place, &sealed).unwrap(), b"hello");
        assert_eq!(newer.index().hash(0, b"x"), vault.index().hash(0, b"x"));
        let other = Vault::from_keys(&[(2, [8; 32])]).unwrap();
        assert!(
            other.open_sealed(place, &sealed).unwrap_err().to_string().contains("sealed with data key 1")
        );
    }

    #[test]
    fn keys_are_wrapped_in_the_database_and_the_file_opens_them() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(dir.path(), true).unwrap();
        let mode = std::fs::metadata(dir.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let rows = vault.found().unwrap();
        let place = Place::new(*b"mt", 5);
        let sealed = vault.seal(place, b"hello").unwrap();
        let again = Vault::open(dir.path(), false).unwrap();
        assert!(!again.is_open() && again.seal(place, b"x").is_err());
        again.unlock(&rows).unwrap();
        assert_eq!(again.open_sealed(place, &sealed).unwrap(), b"hello");
        assert_eq!(again.index().hash(0, b"x"), vault.index().hash(0, b"x"));
        let empty = tempfile::tempdir().unwrap();
        assert!(Vault::open(empty.path(), false).is_err());
        let other = Vault::open(empty.path(), true).unwrap();
        assert!(other.unlock(&rows).unwrap_err().to_string().contains("the root key is wrapped by"));
    }

    #[test]
    fn a_new_data_key_seals_and_the_old_one_opens_until_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(dir.path(), true).unwrap();
        let mut rows = vault.found().unwrap();
        let (place, index) = (Place::new(*b"mt", 5), vault.index().hash(0, b"x"));
        let old = vault.seal(place, b"hello").unwrap();
        rows.iter_mut().filter(|row| row.id != 0).for_each(|row| row.state = KeyState::Old);
        rows.push(vault.make(2, KeyState::Current, 77).unwrap());
        vault.unlock(&rows).unwrap();
        let new = vault.seal(place, b"hello").unwrap();
        assert_eq!((old[0], new[0], vault.sealing_key()), (1, 2, 2));
        assert_eq!(vault.open_sealed(place, &old).unwrap(), b"hello");
        vault.kek().add_key().unwrap();
        let again = vault.wrap_again(&rows).unwrap();
        assert!(again.iter().zip(&rows).all(|(a, b)| a.wrapped != b.wrapped && a.id == b.id));
        let fresh = Vault::open(dir.path(), false).unwrap();
        fresh.unlock(&again).unwrap();
        assert_eq!(
            (fresh.open_sealed(place, &old).unwrap(), fresh.index().hash(0, b"x")),
            (b"hello".to_vec(), index)
        );
        rows.retain(|row| row.id != 1);
        vault.unlock(&rows).unwrap();
        assert!(vault.open_sealed(place, &old).unwrap_err().to_string().contains("data key 1"));
    }
}
