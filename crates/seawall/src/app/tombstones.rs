//! Which numbers were erased, for the day on which an older backup is restored: a line for each erasure in a file of
//! the data directory, with the keyed hash of the number and never the number. It is to be kept where backups are kept.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;

/// Name of the file in the data directory.
pub const TOMBSTONES_FILE: &str = "erased.log";

/// A number that was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tombstone {
    /// By its keyed hash, as it stands in [`TOMBSTONES_FILE`] and in receipts.
    Hash(u64),
    /// Itself, from whoever still knows it.
    Number(Msisdn),
}

impl Tombstone {
    /// The keyed hash, where that is what is known.
    pub fn hash(&self) -> Option<u64> {
        if let Tombstone::Hash(hash) = self { Some(*hash) } else { None }
    }

    /// The number, where that is known.
    pub fn number(&self) -> Option<Msisdn> {
        if let Tombstone::Number(number) = self { Some(*number) } else { None }
    }
}

/// Adds an erasure to the file, on disk when this returns.
pub fn append(dir: &Path, hash: u64, at: Timestamp) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.append(true).create(true).mode(0o600).open(dir.join(TOMBSTONES_FILE))?;
    writeln!(file, "{hash:016x} {at}")?;
    file.sync_all()
}

/// Reads a list, one erasure a line: a line of [`TOMBSTONES_FILE`], a signed receipt, or a number with its `+`.
/// Empty lines and lines that begin with `#` say nothing. An error names the line, not what it says.
pub fn read(text: &str) -> Result<Vec<Tombstone>, String> {
    let lines = text.lines().map(str::trim).enumerate();
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(at, line)| {
            one(line).ok_or_else(|| {
                format!("line {} is no line of {TOMBSTONES_FILE}, no receipt and no number with a +", at + 1)
            })
        })
        .collect()
}

fn one(line: &str) -> Option<Tombstone> {
    if line.starts_with('+') {
        return Some(Tombstone::Number(Msisdn::parse(line, None).ok()?.msisdn));
    }
    let word = line.split_whitespace().next()?;
    let hash = receipt(word);
    let hash = hash.as_deref().unwrap_or(word);
    (hash.len() == 16).then(|| u64::from_str_radix(hash, 16).ok()).flatten().map(Tombstone::Hash)
}

/// The hash in a receipt. Who could forge one could only erase.
fn receipt(jws: &str) -> Option<String> {
    let payload = BASE64.decode(jws.split('.').nth(1)?).ok()?;
    let payload: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    (payload.get("type")? == "erasure").then_some(payload.get("number_hash")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_read_back_and_so_are_receipts_and_numbers() {
        let dir = tempfile::tempdir().unwrap();
        append(dir.path(), 0xab, Timestamp::from_millis(0)).unwrap();
        append(dir.path(), u64::MAX, Timestamp::from_millis(0)).unwrap();
        let payload = BASE64.encode(r#"{"type":"erasure","number_hash":"00000000000000cd"}"#);
        let text = std::fs::read_to_string(dir.path().join(TOMBSTONES_FILE)).unwrap();
        let list = read(&format!("# erased\n\n{text}a.{payload}.c\n+6591234567\n")).unwrap();
        let number = Msisdn::parse("+6591234567", None).unwrap().msisdn;
        let hashes = [0xab, u64::MAX, 0xcd].map(Tombstone::Hash);
        assert_eq!(list, [&hashes[..], &[Tombstone::Number(number)]].concat());
        assert!(read("00ab\n").unwrap_err().contains("line 1"));
        assert!(read("+1\n").is_err() && read("a.b.c").is_err());
    }
}
