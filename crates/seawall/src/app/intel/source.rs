//! One file in MaxMind's format: read, checked, replaced when it changes, and kept when what follows is bad.

use std::marker::PhantomData;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use maxminddb::{Reader, WithinOptions};
use seawall_core::client_ip::ClientIp;

use super::record::Record;

/// A file of the right kind shows it within so many records.
const LOOKED_AT: usize = 1000;

/// A file and its content in force.
pub(super) struct Source<R> {
    key: &'static str,
    path: PathBuf,
    reader: ArcSwap<Reader<Vec<u8>>>,
    /// The content that was tried last, whether it was good or not.
    tried: Mutex<Option<Stamp>>,
    current: AtomicBool,
    record: PhantomData<fn() -> R>,
}

/// By what a change is noticed: time, length and identity of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(i64, i64, u64, u64);

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Stamp(metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.ino()))
    }
}

impl<R: Record> Source<R> {
    /// Reads a file for the first time.
    pub fn open(key: &'static str, path: PathBuf) -> Result<Self, String> {
        let stamp = Stamp::of(&path);
        let reader = read::<R>(&path).map_err(|problem| format!("{key}: {}: {problem}", path.display()))?;
        let reader = ArcSwap::from_pointee(reader);
        let (tried, current) = (Mutex::new(stamp), AtomicBool::new(true));
        Ok(Source { key, path, reader, tried, current, record: PhantomData })
    }

    /// The record of an address.
    pub fn find(&self, address: ClientIp) -> Option<R> {
        let reader = self.reader.load();
        // A file of IPv4 alone refuses an IPv6 address, which then is unknown.
        reader.lookup(address.ip()).ok()?.decode().ok()?
    }

    /// Reads the file again if it is another than the one tried last.
    pub fn refresh(&self) {
        let stamp = Stamp::of(&self.path);
        let mut tried = self.tried.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *tried == stamp {
            return;
        }
        let read = read::<R>(&self.path);
        // Still being written: what was read may be half of it.
        if Stamp::of(&self.path) != stamp {
            return;
        }
        *tried = stamp;
        self.current.store(read.is_ok(), Ordering::Relaxed);
        let (key, file) = (self.key, self.path.display());
        match read {
            Ok(reader) => {
                tracing::info!(key, %file, built = reader.metadata().build_epoch, "a changed file is in force");
                self.reader.store(std::sync::Arc::new(reader));
            }
            Err(problem) => {
                tracing::error!(key, %file, problem, "a changed file cannot be used; the one before stays in force");
            }
        }
    }

    /// The configuration key that names it.
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// Whether what lies on the disk is what is in force.
    pub fn is_current(&self) -> bool {
        self.current.load(Ordering::Relaxed)
    }
}

/// Reads and checks a file: its structure as a whole, and that it is of the right kind.
fn read<R: Record>(path: &Path) -> Result<Reader<Vec<u8>>, String> {
    let wrong = |error: maxminddb::MaxMindDbError| format!("is no file in MaxMind's format (.mmdb): {error}");
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let reader = Reader::from_source(bytes).map_err(wrong)?;
    reader.verify().map_err(wrong)?;
    let networks = reader.networks(WithinOptions::default()).map_err(wrong)?;
    let mut records = networks.take(LOOKED_AT).filter_map(|network| network.ok()?.decode::<R>().ok()?);
    let tells = records.any(|record| record.tells());
    drop(records);
    if tells { Ok(reader) } else { Err(format!("no record has {}; is it another kind of file?", R::HOLDS)) }
}
