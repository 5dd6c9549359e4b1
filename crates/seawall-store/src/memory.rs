//! Counters in memory: exact, one lock, bounded.

mod table;

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use seawall_core::limit::{Charge, Exceeded};
use seawall_core::time::Timestamp;

use self::table::Table;
use crate::{Counters, Result, StoreError};

/// Keys held unless said otherwise: under a gigabyte.
pub const DEFAULT_MAX_KEYS: usize = 8_000_000;

/// [`Counters`] in this process's memory. They start empty and are refilled from the ledger.
///
/// Bounded: keys whose window has passed are swept a few at a time with every charge. When it holds
/// `max_keys` that still matter, charges of new keys answer [`StoreError::Unavailable`], so that a flood of
/// keys can make it refuse but never forget.
pub struct MemoryCounters {
    table: Mutex<Table>,
}

impl Default for MemoryCounters {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_KEYS)
    }
}

impl MemoryCounters {
    /// Holds at most `max_keys` keys.
    pub fn new(max_keys: usize) -> Self {
        MemoryCounters { table: Mutex::new(Table::new(max_keys)) }
    }

    /// How many keys it holds.
    pub fn len(&self) -> usize {
        self.table().len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn exceeded(table: &Table, charges: &[Charge], weight: u32, now: Timestamp) -> Vec<Exceeded> {
    let full = |charge: &Charge| {
        let answer = charge.rule.admits(table.get(charge.key), weight, now);
        answer.err().map(|full| Exceeded::new(charge, full))
    };
    charges.iter().filter_map(full).collect()
}

#[async_trait]
impl Counters for MemoryCounters {
    async fn charge(&self, charges: &[Charge], weight: u32, now: Timestamp) -> Result<Vec<Exceeded>> {
        let mut table = self.table();
        let exceeded = exceeded(&table, charges, weight, now);
        let refused = exceeded.iter().any(|e| e.enforced);
        let due = || charges.iter().filter(|charge| charge.always || !refused);
        if !table.has_room(due().map(|charge| charge.key), now) {
            return Err(StoreError::Unavailable("the counters are full".to_owned()));
        }
        due().for_each(|charge| {
            table.change(charge.key, &charge.rule, now, |rule, times| rule.charge(times, weight, now))
        });
        Ok(exceeded)
    }

    async fn peek(&self, charges: &[Charge], weight: u32, now: Timestamp) -> Result<Vec<Exceeded>> {
        Ok(exceeded(&self.table(), charges, weight, now))
    }

    async fn refund(&self, charges: &[Charge], weight: u32, at: Timestamp) -> Result<()> {
        let mut table = self.table();
        for charge in charges.iter().filter(|charge| !charge.always) {
            table.change(charge.key, &charge.rule, at, |rule, times| rule.refund(times, weight, at));
        }
        Ok(())
    }

    async fn clear(&self, keys: &[u64]) -> Result<()> {
        let mut table = self.table();
        keys.iter().for_each(|&key| table.remove(key));
        Ok(())
    }

    async fn fill(&self, charge: &Charge, at: Timestamp, now: Timestamp) -> Result<()> {
        if at.plus(charge.rule.window()) <= now {
            return Ok(());
        }
        let mut table = self.table();
        if !table.has_room(std::iter::once(charge.key), now) {
            return Err(StoreError::Unavailable("the counters are full".to_owned()));
        }
        table.change(charge.key, &charge.rule, at, |rule, times| rule.charge(times, 1, at));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
