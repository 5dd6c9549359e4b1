//! A file in MaxMind's format.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use maxminddb::{Reader, WithinOptions};
use seawall_core::client_ip::ClientIp;

use super::file::File;
use super::record::Record;

/// A file of the right kind shows it within so many records.
const LOOKED_AT: usize = 1000;

/// Records of one kind by address.
pub(super) struct Source<R> {
    pub file: File<Reader<Vec<u8>>>,
    record: PhantomData<fn() -> R>,
}

impl<R: Record> Source<R> {
    /// Reads a file for the first time.
    pub fn open(key: &'static str, path: PathBuf) -> Result<Self, String> {
        Ok(Source { file: File::open(key, path, read::<R>)?, record: PhantomData })
    }

    /// The record of an address.
    pub fn find(&self, address: ClientIp) -> Option<R> {
        // A file of IPv4 alone refuses an IPv6 address, which then is unknown.
        self.file.content().lookup(address.ip()).ok()?.decode().ok()?
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
