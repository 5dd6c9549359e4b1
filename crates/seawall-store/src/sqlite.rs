//! The embedded store: one SQLite file, one writer that commits what waits in groups, readers beside it.
//!
//! Reading order: `schema` (what a send costs), `writer` (the group commit), `hot` (what is kept in memory),
//! then `accept` and `travel` for the way of a message.

mod accept;
mod allows;
mod audit;
pub mod backup;
mod charges;
mod codec;
#[cfg(feature = "conformance")]
mod contents;
mod db;
mod decisions;
mod directory;
mod documents;
mod erase;
mod evidence;
mod fault;
mod hooks;
mod hot;
mod idempotency;
mod keys;
mod known;
mod ledger;
mod lists;
mod lookups;
mod masking;
mod messages;
mod notes;
mod numbers;
mod opt_outs;
mod orders;
mod prepared;
mod prune;
mod read_from;
mod scan;
mod schema;
mod setup;
mod start;
mod travel;
mod verifications;
mod writer;

#[cfg(test)]
mod bench;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "conformance")]
pub use contents::Cell;
pub use setup::{DATABASE_FILE, LOCK_FILE};

use crate::Result;
use crate::vault::Vault;

/// The lock of a directory whose store nobody uses, and a connection that reads it.
pub(crate) fn held(dir: &Path) -> Result<(std::fs::File, rusqlite::Connection)> {
    Ok((setup::lock(dir)?, setup::open_reader(dir)?))
}

/// [`crate::Directory`] and [`crate::Ledger`] on one SQLite database.
pub struct SqliteStore {
    db: db::Db,
}

impl SqliteStore {
    /// Opens or makes the database of a data directory and locks the directory for this process. Starts the
    /// writer's thread. Refuses a file that is damaged, of another program, newer, or sealed with other keys.
    pub fn open(dir: &Path, vault: Arc<Vault>) -> Result<Self> {
        Ok(SqliteStore { db: db::Db::file(dir, vault)? })
    }

    /// The same on a database that lives in memory and ends with this value: nothing outlives the process.
    pub fn open_in_memory(vault: Arc<Vault>) -> Result<Self> {
        Ok(SqliteStore { db: db::Db::memory(vault)? })
    }
}
