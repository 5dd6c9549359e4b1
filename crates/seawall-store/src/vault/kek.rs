//! The key-encryption key: what data keys are wrapped with. It comes from a file, from the environment, or stays in a key
//! management service that a program of the operator's asks. It is never in the database.

use std::path::{Path, PathBuf};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};

use super::command::Command;
use super::random::new_key;
use crate::{Result, StoreError};

/// Name of the key file in the data directory.
pub const KEY_FILE: &str = "installation.key";

/// First byte of what a key of ours wrapped; then the key's name (8 bytes), a nonce, the key and its tag.
const OURS: u8 = 1;
/// First byte of what the program wrapped; the rest is the program's.
const PROGRAMS: u8 = 2;
const NAME: usize = 8;

/// Where the key-encryption key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KekSource {
    /// In a file: `id:64 hex digits` a line. The last line wraps; all of them unwrap.
    File(PathBuf),
    /// In an environment variable: the same, divided by commas.
    Env(String),
    /// Nowhere here: a program wraps and unwraps.
    Command(Command),
}

impl KekSource {
    /// For people.
    pub fn describe(&self) -> String {
        match self {
            Self::File(path) => {
                path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
            }
            Self::Env(name) => format!("the environment variable {name}"),
            Self::Command(command) => format!("the program {}", command.name()),
        }
    }

    /// Wraps a key with the newest key-encryption key. `id` is bound into it.
    pub fn wrap(&self, id: u8, key: &[u8; 32]) -> Result<Vec<u8>> {
        if let Self::Command(command) = self {
            let wrapped = command.run("wrap", key)?;
            return Ok([&[PROGRAMS], wrapped.as_slice()].concat());
        }
        let all = self.keys()?;
        let newest =
            all.last().ok_or_else(|| StoreError::Corrupt(format!("{} holds no key", self.describe())))?;
        newest.wrap(id, key)
    }

    /// Back from [`KekSource::wrap`], with whichever key-encryption key it was.
    pub fn unwrap(&self, id: u8, wrapped: &[u8]) -> Result<[u8; 32]> {
        let say = |why: String| StoreError::Corrupt(format!("{} cannot be unwrapped: {why}", called(id)));
        let plain = match (self, wrapped.split_first()) {
            (Self::Command(command), Some((&PROGRAMS, rest))) => command.run("unwrap", rest)?,
            (Self::Command(_), _) => {
                return Err(say(
                    "it was not wrapped by a program; give the key file that wrapped it".to_owned()
                ));
            }
            (_, Some((&OURS, rest))) => self.unwrap_ours(id, rest)?,
            (_, Some((&PROGRAMS, _))) => {
                return Err(say("a program wrapped it; set keys.command".to_owned()));
            }
            _ => return Err(say("it is damaged".to_owned())),
        };
        plain.try_into().map_err(|other: Vec<u8>| say(format!("{} bytes came back and not 32", other.len())))
    }

    fn unwrap_ours(&self, id: u8, rest: &[u8]) -> Result<Vec<u8>> {
        let all = self.keys()?;
        let wanted = rest.get(..NAME).unwrap_or_default();
        let Some(key) = all.iter().find(|key| key.name() == wanted) else {
            let held: Vec<String> = all.iter().map(|key| hex(&key.name())).collect();
            return Err(StoreError::Corrupt(format!(
                "{} is wrapped by key-encryption key {}, and {} holds {}: restore that line from its backup",
                called(id),
                hex(wanted),
                self.describe(),
                if held.is_empty() { "none".to_owned() } else { held.join(", ") },
            )));
        };
        let damaged = || StoreError::Corrupt(format!("{} in the database is damaged", called(id)));
        key.unwrap(id, rest.get(NAME..).unwrap_or_default()).ok_or_else(damaged)
    }

    /// The keys that are held here, oldest first.
    fn keys(&self) -> Result<Vec<KekKey>> {
        let text = match self {
            Self::File(path) => std::fs::read_to_string(path).map_err(|e| {
                let fix = "without it nothing that is stored can be read; restore it from its backup";
                StoreError::Unavailable(format!("cannot read {}: {e}; {fix}", path.display()))
            })?,
            Self::Env(name) => std::env::var(name).map(|text| text.replace(',', "\n")).map_err(|_| {
                StoreError::Unavailable(format!(
                    "{name} is not set; it holds the key that opens the database"
                ))
            })?,
            Self::Command(_) => String::new(),
        };
        parse(&text, &self.describe())
    }

    /// Names of the keys that are held here, oldest first: the last one wraps.
    pub fn names(&self) -> Result<Vec<String>> {
        Ok(self.keys()?.iter().map(|key| hex(&key.name())).collect())
    }

    /// Appends a new key to the file. What it wraps from now on needs it; what was wrapped before needs the others.
    pub fn add_key(&self) -> Result<()> {
        let Self::File(path) = self else {
            let why = format!("{} is not a file; make the new key there", self.describe());
            return Err(StoreError::Unavailable(why));
        };
        let all = self.keys()?;
        let id = all.iter().map(|key| key.id).max().unwrap_or(0).saturating_add(1);
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let text = format!("{}\n{id}:{}\n", text.trim_end(), hex(&new_key()?));
        let beside = path.with_extension("new");
        write_private(&beside, &text)?;
        let failed = |e| StoreError::Unavailable(format!("cannot write {}: {e}", path.display()));
        std::fs::rename(&beside, path).map_err(failed)
    }
}

/// Makes the key file of a data directory.
pub(super) fn create(path: &Path) -> Result<()> {
    let text = format!(
        "# The key of this installation. Back this file up apart from the database.\n1:{}\n",
        hex(&new_key()?)
    );
    write_private(path, &text)
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let failed = |e: std::io::Error| StoreError::Unavailable(format!("cannot write {}: {e}", path.display()));
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

/// What a wrapped key is called in errors.
fn called(id: u8) -> String {
    if id == 0 { "the root key".to_owned() } else { format!("data key {id}") }
}

/// Which key-encryption key wrapped it.
pub fn wrapped_by(wrapped: &[u8]) -> String {
    match wrapped.split_first() {
        Some((&OURS, rest)) => hex(rest.get(..NAME).unwrap_or_default()),
        Some((&PROGRAMS, _)) => "program".to_owned(),
        _ => "unknown".to_owned(),
    }
}

struct KekKey {
    id: u8,
    key: [u8; 32],
}

impl KekKey {
    /// Tells keys apart without saying anything of them.
    fn name(&self) -> [u8; NAME] {
        let mut out = [0u8; NAME];
        let hash = digest(&SHA256, &[b"seawall key".as_slice(), &self.key].concat());
        out.iter_mut().zip(hash.as_ref()).for_each(|(o, h)| *o = *h);
        out
    }

    fn cipher(&self) -> Result<LessSafeKey> {
        let key = UnboundKey::new(&AES_256_GCM, &self.key);
        key.map(LessSafeKey::new).map_err(|_| StoreError::Corrupt("a key is not 32 bytes".to_owned()))
    }

    fn wrap(&self, id: u8, key: &[u8; 32]) -> Result<Vec<u8>> {
        let random = new_key()?;
        let (nonce, _) = random.split_first_chunk::<NONCE_LEN>().ok_or(StoreError::Conflict)?;
        let mut body = key.to_vec();
        let sealed = self.cipher()?.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from([b'k', id]),
            &mut body,
        );
        sealed.map_err(|_| StoreError::Corrupt("wrapping failed".to_owned()))?;
        Ok([&[OURS], self.name().as_slice(), nonce, &body].concat())
    }

    fn unwrap(&self, id: u8, rest: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>()?;
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        Some(self.cipher().ok()?.open_in_place(nonce, Aad::from([b'k', id]), &mut body).ok()?.to_vec())
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// `1:` and 64 hexadecimal digits a line; lines that begin with `#` are comments.
fn parse(text: &str, place: &str) -> Result<Vec<KekKey>> {
    let wrong =
        |line: usize| StoreError::Corrupt(format!("line {line} of {place} is not `id:64 hex digits`"));
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.trim().starts_with('#'))
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
            Ok(KekKey { id, key })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &Path) -> KekSource {
        let path = dir.join(KEY_FILE);
        create(&path).unwrap();
        KekSource::File(path)
    }

    #[test]
    fn a_new_key_wraps_and_the_old_one_still_unwraps() {
        let dir = tempfile::tempdir().unwrap();
        let source = file(dir.path());
        let old = source.wrap(3, &[7; 32]).unwrap();
        assert_eq!(source.unwrap(3, &old).unwrap(), [7; 32]);
        assert!(source.unwrap(4, &old).unwrap_err().to_string().contains("data key 4"), "bound to its id");
        source.add_key().unwrap();
        let new = source.wrap(3, &[7; 32]).unwrap();
        assert_ne!(wrapped_by(&old), wrapped_by(&new));
        assert_eq!((source.unwrap(3, &old).unwrap(), source.unwrap(3, &new).unwrap()), ([7; 32], [7; 32]));
        assert_eq!(source.names().unwrap(), [wrapped_by(&old), wrapped_by(&new)]);
        // The old line is taken out: what it wrapped is named, and the line to restore.
        let path = dir.path().join(KEY_FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        let kept: String =
            text.lines().filter(|line| !line.starts_with("1:")).map(|l| format!("{l}\n")).collect();
        std::fs::write(&path, kept).unwrap();
        let error = source.unwrap(3, &old).unwrap_err().to_string();
        assert!(error.contains(&wrapped_by(&old)) && error.contains("restore"), "{error}");
        std::fs::remove_file(&path).unwrap();
        assert!(source.unwrap(3, &new).unwrap_err().to_string().contains("restore it from its backup"));
    }

    #[test]
    fn what_is_no_key_file_is_refused_with_its_line() {
        for text in ["1:zz", "x", "1:", "300:00"] {
            assert!(parse(text, "f").is_err_and(|e| e.to_string().contains("line 1 of f")), "{text}");
        }
    }
}
