//! A backup of the embedded store, made while the gateway runs: the database and the snapshot of the evidence,
//! as they stood at one instant.

use std::path::Path;

use seawall_store::StoreError;
use seawall_store::sqlite::backup::{Beside, Instant};

use super::detection::SNAPSHOT_FILE;

/// How often the files beside the database may change while its instant is taken.
const TRIES: usize = 20;

/// Writes a backup of a data directory; gives its size in bytes. `progress` is told how many pages are left, and of
/// how many.
pub fn backup(dir: &Path, to: &Path, progress: &mut dyn FnMut(i32, i32)) -> Result<u64, StoreError> {
    let (instant, beside) = one_instant(dir)?;
    instant.write(to, &beside, progress)
}

/// A snapshot names the batch of evidence up to which it has folded, and batches before it are forgotten: with
/// another instant of the database the two would overlap, or leave a gap.
fn one_instant(dir: &Path) -> Result<(Instant, Vec<Beside>), StoreError> {
    let mut before = beside(dir)?;
    for _ in 0..TRIES {
        let instant = Instant::of(dir)?;
        let after = beside(dir)?;
        if before == after {
            return Ok((instant, after));
        }
        before = after;
    }
    Err(StoreError::Unavailable(format!("{SNAPSHOT_FILE} changes again and again; try again")))
}

fn beside(dir: &Path) -> Result<Vec<Beside>, StoreError> {
    let path = dir.join(SNAPSHOT_FILE);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(vec![(SNAPSHOT_FILE.to_owned(), bytes)]),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(StoreError::Unavailable(format!("cannot read {}: {error}", path.display()))),
    }
}
