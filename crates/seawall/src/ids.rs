//! New ids: a row key that grows with time, the number of the node in its lowest bits, and 64 random bits.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use seawall_core::id::Id;
use seawall_core::time::Timestamp;
use seawall_store::vault::Vault;
use seawall_store::{Ledger, Store};

/// Gives out ids, each row key larger than all before it, also across a restart.
pub struct IdSource {
    last_row: AtomicI64,
    ledger: Arc<dyn Ledger>,
    vault: Arc<Vault>,
}

/// Row keys of a node lie so far apart: those between are of other nodes that share the database.
const STEP: i64 = 1024;

impl IdSource {
    /// Goes on above the newest stored row key.
    pub fn new(newest_row: i64, store: &Store) -> Self {
        IdSource {
            last_row: AtomicI64::new(newest_row),
            ledger: store.ledger.clone(),
            vault: store.vault.clone(),
        }
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
        let (floor, node) = (Id::first_row(now), i64::from(self.ledger.node()) % STEP);
        let after = |last: i64| floor.max(last.saturating_add(STEP) & !(STEP - 1)) | node;
        let previous = self
            .last_row
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(after(last)))
            .unwrap_or(floor);
        Ok(Id::new(after(previous), u64::from_le_bytes(tail)))
    }
}
