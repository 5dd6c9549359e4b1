//! The installation's keys: sealing, look-up hashes and codes. They live in a file of their own (0600),
//! never in the database; whoever steals the database alone reads no number and no code.

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use seawall_core::blind::BlindIndex;
use seawall_core::code::{Code, CodeShape};
use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use subtle::ConstantTimeEq;

use crate::{Result, StoreError, device};

/// Name of the key file in the data directory.
pub const KEY_FILE: &str = "installation.key";

/// One generation of keys, all derived from 32 random bytes.
struct Keys {
    id: u8,
    seal: LessSafeKey,
    codes: hmac::Key,
    devices: hmac::Key,
    links: hmac::Key,
    receipts: Ed25519KeyPair,
}

/// Seals, opens, hashes and derives. The last key seals; all of them open.
pub struct Vault {
    keys: Vec<Keys>,
    index: BlindIndex,
    random: Mutex<Pool>,
}

/// Bytes of the system's generator, fetched many at a time: a call for each nonce would cost more than the
/// sealing. What was given out is erased.
struct Pool {
    source: SystemRandom,
    bytes: Box<[u8; POOL]>,
    left: usize,
}

const POOL: usize = 4096;
/// Room for most sealed values.
const SEALED: usize = 768;

impl Pool {
    fn new() -> Self {
        Pool { source: SystemRandom::new(), bytes: Box::new([0; POOL]), left: 0 }
    }

    fn take(&mut self, out: &mut [u8]) -> Result<()> {
        if out.len() > self.left {
            fill(&self.source, self.bytes.as_mut_slice())?;
            self.left = POOL;
        }
        let until = self.left;
        let from = until.checked_sub(out.len());
        let Some(given) = from.and_then(|from| self.bytes.get_mut(from..until)) else {
            return fill(&self.source, out);
        };
        out.copy_from_slice(given);
        given.fill(0);
        self.left = until - out.len();
        Ok(())
    }
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
        .map_err(|_| StoreError::Corrupt("a key could not be derived".to_owned()))?;
    Ok(out)
}

impl Vault {
    /// From master keys, oldest first. Look-up hashes always come from the first one, so that they stay
    /// stable when a newer key begins to seal.
    pub fn from_keys(masters: &[(u8, [u8; 32])]) -> Result<Self> {
        let no_key = || StoreError::Corrupt(format!("{KEY_FILE} holds no key"));
        let (_, first) = masters.first().ok_or_else(no_key)?;
        let index = BlindIndex::new(derive(first, b"index")?);
        let keys = masters
            .iter()
            .map(|(id, master)| {
                let seal =
                    UnboundKey::new(&AES_256_GCM, &derive::<32>(master, b"seal")?).map_err(|_| no_key())?;
                let codes = hmac::Key::new(hmac::HMAC_SHA256, &derive::<32>(master, b"codes")?);
                let devices = hmac::Key::new(hmac::HMAC_SHA256, &derive::<32>(master, b"devices")?);
                let links = hmac::Key::new(hmac::HMAC_SHA256, &derive::<32>(master, b"links")?);
                let seed = derive::<32>(master, b"receipts")?;
                let receipts = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| no_key())?;
                Ok(Keys { id: *id, seal: LessSafeKey::new(seal), codes, devices, links, receipts })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Vault { keys, index, random: Mutex::new(Pool::new()) })
    }

    /// Reads the key file of a data directory, or makes one if there is neither key nor database yet.
    pub fn open(dir: &Path, may_create: bool) -> Result<Self> {
        let path = dir.join(KEY_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && may_create => create(&path)?,
            Err(e) => {
                let fix = "without it nothing that is stored can be read; restore it from its backup";
                return Err(StoreError::Unavailable(format!("cannot read {}: {e}; {fix}", path.display())));
            }
        };
        Self::from_keys(&parse(&text)?)
    }

    /// Reads a key file, wherever it is and whatever its name.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| StoreError::Unavailable(format!("cannot read {}: {e}", path.display())))?;
        Self::from_keys(&parse(&text)?)
    }

    /// Keys for tests and for data that lives in memory only.
    pub fn ephemeral() -> Result<Self> {
        let mut master = [0u8; 32];
        fill(&SystemRandom::new(), &mut master)?;
        Self::from_keys(&[(1, master)])
    }

    /// Look-up hashes.
    pub fn index(&self) -> &BlindIndex {
        &self.index
    }

    /// Id of the key that seals and derives now.
    pub fn key_id(&self) -> u8 {
        self.keys.last().map_or(0, |k| k.id)
    }

    /// Encrypts (AES-256-GCM, random nonce). `place` says where the value is stored and must be the same to
    /// open it, so that rows cannot be swapped. Layout: key id, nonce, ciphertext with tag.
    pub fn seal(&self, place: Place, plain: &[u8]) -> Result<Vec<u8>> {
        self.seal_with(place, |out| out.extend_from_slice(plain))
    }

    /// Encrypts what `write` appends, in the same bytes that it was written to.
    pub fn seal_with(&self, place: Place, write: impl FnOnce(&mut Vec<u8>)) -> Result<Vec<u8>> {
        let key = self.keys.last().ok_or_else(|| StoreError::Corrupt("no key".to_owned()))?;
        let mut nonce = [0u8; NONCE_LEN];
        self.random(&mut nonce)?;
        let mut out = Vec::with_capacity(SEALED);
        out.push(key.id);
        out.extend_from_slice(&nonce);
        write(&mut out);
        let failed = || StoreError::Corrupt("sealing failed".to_owned());
        let body = out.get_mut(1 + NONCE_LEN..).ok_or_else(failed)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key.seal.seal_in_place_separate_tag(nonce, Aad::from(place.bytes()), body);
        out.extend_from_slice(tag.map_err(|_| failed())?.as_ref());
        Ok(out)
    }

    /// Decrypts what [`Vault::seal`] made for the same place.
    pub fn open_sealed(&self, place: Place, sealed: &[u8]) -> Result<Vec<u8>> {
        let (id, rest) =
            sealed.split_first().ok_or_else(|| StoreError::Corrupt("an empty sealed value".to_owned()))?;
        let key = self.keys.iter().find(|k| k.id == *id).ok_or_else(|| {
            StoreError::Corrupt(format!("it is sealed with key {id}, which is not in {KEY_FILE}"))
        })?;
        let damaged = || StoreError::Corrupt(format!("a sealed value in {place:?} is damaged"));
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut body = body.to_vec();
        let plain =
            key.seal.open_in_place(nonce, Aad::from(place.bytes()), &mut body).map_err(|_| damaged())?;
        Ok(plain.to_vec())
    }

    /// The code of a verification: an HMAC over id and generation, mapped to the alphabet without bias.
    pub fn code(&self, key_id: u8, verification: Id, generation: u32, shape: CodeShape) -> Result<Code> {
        let missing = || StoreError::Corrupt(format!("codes of key {key_id} need {KEY_FILE} to hold it"));
        let key = self.keys.iter().find(|k| k.id == key_id).ok_or_else(missing)?;
        let mut blocks = |block: u32| {
            let mut input = Vec::with_capacity(24);
            input.extend_from_slice(&verification.row().to_be_bytes());
            input.extend_from_slice(&verification.tail().to_be_bytes());
            input.extend_from_slice(&generation.to_be_bytes());
            input.extend_from_slice(&block.to_be_bytes());
            let tag = hmac::sign(&key.codes, &input);
            let mut out = [0u8; 32];
            out.iter_mut().zip(tag.as_ref()).for_each(|(o, t)| *o = *t);
            out
        };
        Ok(Code::derive(&mut blocks, shape))
    }

    /// A token for the device on which a number was verified at `at`; see [`crate::device`].
    pub fn device_token(&self, to: Msisdn, at: Timestamp) -> Result<String> {
        let key = self.keys.last().ok_or_else(|| StoreError::Corrupt("no key".to_owned()))?;
        let mut salt = [0u8; 8];
        self.random(&mut salt)?;
        Ok(device::issue(key.id, &key.devices, to, at, salt))
    }

    /// Whether a token was issued by this installation when this very number was verified, within
    /// [`device::VALID_FOR`] of `now`.
    pub fn trusts_device(&self, token: &str, to: Msisdn, now: Timestamp) -> bool {
        let Some((id, issued, bytes)) = device::read(token) else { return false };
        let fresh = issued <= now && now.since(issued) <= device::VALID_FOR;
        let key = self.keys.iter().find(|k| k.id == id).filter(|_| fresh);
        key.is_some_and(|key| device::genuine(&key.devices, &bytes, to))
    }

    /// A mark (HMAC-SHA256, cut to 64 bits) that only this installation can make, for one purpose: what it is put on
    /// comes back unchanged.
    pub fn mark(&self, purpose: &str, message: &[u8]) -> [u8; 8] {
        self.keys.last().map_or([0; 8], |key| mark(&key.links, purpose, message))
    }

    /// Whether a mark was made here for this purpose and message, with whichever key.
    pub fn is_marked(&self, purpose: &str, message: &[u8], given: &[u8]) -> bool {
        self.keys.iter().any(|key| bool::from(mark(&key.links, purpose, message).ct_eq(given)))
    }

    /// Signs (Ed25519, RFC 8032) for readers who have only the public key. Gives the id of the key and the
    /// 64 bytes of the signature.
    pub fn sign(&self, message: &[u8]) -> Result<(u8, Vec<u8>)> {
        let key = self.keys.last().ok_or_else(|| StoreError::Corrupt("no key".to_owned()))?;
        Ok((key.id, key.receipts.sign(message).as_ref().to_vec()))
    }

    /// Public keys of signatures, all that ever signed, with their ids: 32 bytes each.
    pub fn signing_keys(&self) -> Vec<(u8, Vec<u8>)> {
        self.keys.iter().map(|k| (k.id, k.receipts.public_key().as_ref().to_vec())).collect()
    }

    /// Random bytes for ids and keys.
    pub fn random(&self, out: &mut [u8]) -> Result<()> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).take(out)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({} keys)", self.keys.len())
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

fn mark(key: &hmac::Key, purpose: &str, message: &[u8]) -> [u8; 8] {
    let tag = hmac::sign(key, &[purpose.as_bytes(), b"\0", message].concat());
    let mut out = [0u8; 8];
    out.iter_mut().zip(tag.as_ref()).for_each(|(o, t)| *o = *t);
    out
}

fn fill(random: &SystemRandom, out: &mut [u8]) -> Result<()> {
    random.fill(out).map_err(|_| StoreError::Unavailable("the system gives no random bytes".to_owned()))
}

/// `1:` and 64 hexadecimal digits a line; lines that begin with `#` are comments.
fn parse(text: &str) -> Result<Vec<(u8, [u8; 32])>> {
    let wrong =
        |line: usize| StoreError::Corrupt(format!("line {line} of {KEY_FILE} is not `id:64 hex digits`"));
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|(i, line)| {
            let (id, hex) = line.trim().split_once(':').ok_or_else(|| wrong(i + 1))?;
            let id: u8 = id.parse().map_err(|_| wrong(i + 1))?;
            if hex.len() != 64 || !hex.is_ascii() {
                return Err(wrong(i + 1));
            }
            let mut key = [0u8; 32];
            for (byte, pair) in key.iter_mut().zip(hex.as_bytes().chunks(2)) {
                let pair = std::str::from_utf8(pair).map_err(|_| wrong(i + 1))?;
                *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong(i + 1))?;
            }
            Ok((id, key))
        })
        .collect()
}

fn create(path: &Path) -> Result<String> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut master = [0u8; 32];
    fill(&SystemRandom::new(), &mut master)?;
    let hex: String = master.iter().map(|b| format!("{b:02x}")).collect();
    let text =
        format!("# The keys of this installation. Back this file up apart from the database.\n1:{hex}\n");
    let failed = |e: std::io::Error| StoreError::Unavailable(format!("cannot write {}: {e}", path.display()));
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(text)
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
        assert!(other.open_sealed(place, &sealed).unwrap_err().to_string().contains("sealed with key 1"));
    }

    #[test]
    fn the_key_file_is_private_and_reads_back() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(dir.path(), true).unwrap();
        let mode = std::fs::metadata(dir.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = Vault::open(dir.path(), false).unwrap();
        assert_eq!(again.index().hash(0, b"x"), vault.index().hash(0, b"x"));
        let empty = tempfile::tempdir().unwrap();
        assert!(Vault::open(empty.path(), false).is_err());
    }
}
