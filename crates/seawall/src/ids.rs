//! New ids: a row key that grows with time, and 64 random bits.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use seawall_core::id::Id;
use seawall_core::time::Timestamp;
use seawall_store::vault::Vault;

/// Gives out ids, each row key larger than all before it, also across a restart.
pub struct IdSource {
    last_row: AtomicI64,
    vault: Arc<Vault>,
}

impl IdSource {
    /// Goes on above the newest stored row key.
    pub fn new(newest_row: i64, vault: Arc<Vault>) -> Self {
        IdSource { last_row: AtomicI64::new(newest_row), vault }
    }

    /// The id of something that begins with another thing and stands in its row: the same point in time, with
    /// an unguessable half of its own.
    pub fn beside(&self, other: Id) -> Result<Id, seawall_store::StoreError> {
        let mut tail = [0u8; 8];
        self.vault.random(&mut tail)?;
        Ok(Id::new(other.row(), u64::from_le_bytes(tail)))
    }

    /// A new id. If the system gave no random bytes the id would be guessable, so that is an error.
    pub fn next(&self, now: Timestamp) -> Result<Id, seawall_store::StoreError> {
        let mut tail = [0u8; 8];
        self.vault.random(&mut tail)?;
        let floor = Id::first_row(now);
        let previous = self
            .last_row
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(floor.max(last.saturating_add(1)))
            })
            .unwrap_or(floor);
        Ok(Id::new(floor.max(previous.saturating_add(1)), u64::from_le_bytes(tail)))
    }
}
