//! Counters in memory: exact, one lock, bounded.

mod addresses;
mod table;

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use seawall_core::address::AddressHistory;
use seawall_core::limit::{Charge, Charged};
use seawall_core::time::Timestamp;

use self::addresses::Addresses;
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
    addresses: Addresses,
}

impl Default for MemoryCounters {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_KEYS)
    }
}

impl MemoryCounters {
    /// Holds at most `max_keys` keys.
    pub fn new(max_keys: usize) -> Self {
        MemoryCounters { table: Mutex::new(Table::new(max_keys)), addresses: Addresses::default() }
    }

    /// How many keys it holds.
    pub fn len(&self) -> usize {
        self.table().len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn make(&self, charges: &[Charge], weight: u32, now: Timestamp, sends: bool) -> Result<Charged> {
        let mut table = self.table();
        let charged = Charged::assess(charges, |key| table.get(key), weight, now);
        let made = sends && !charged.refused();
        let due = || charges.iter().filter(|charge| charge.always || made);
        if !table.has_room(due().map(|charge| charge.key), now) {
            return Err(StoreError::Unavailable("the counters are full".to_owned()));
        }
        due().for_each(|charge| {
            let amount = charge.taken(weight);
            table.change(charge.key, &charge.rule, now, |rule, times| rule.charge(times, amount, now))
        });
        Ok(if made { charged } else { charged.unmade() })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Counters for MemoryCounters {
    async fn charge(&self, charges: &[Charge], weight: u32, now: Timestamp) -> Result<Charged> {
        self.make(charges, weight, now, true)
    }

    async fn note(&self, charges: &[Charge], weight: u32, now: Timestamp) -> Result<Charged> {
        self.make(charges, weight, now, false)
    }

    async fn peek(&self, charges: &[Charge], weight: u32, now: Timestamp) -> Result<Charged> {
        let table = self.table();
        Ok(Charged::assess(charges, |key| table.get(key), weight, now).unmade())
    }

    async fn held(&self, charges: &[Charge], now: Timestamp) -> Result<Vec<(u64, Option<Timestamp>)>> {
        let table = self.table();
        Ok(charges.iter().map(|charge| charge.rule.held(table.get(charge.key), now)).collect())
    }

    async fn refund(&self, charges: &[Charge], weight: u32, at: Timestamp, _: Option<u64>) -> Result<()> {
        let mut table = self.table();
        for charge in charges.iter().filter(|charge| !charge.always) {
            let amount = charge.taken(weight);
            table.change(charge.key, &charge.rule, at, |rule, times| rule.refund(times, amount, at));
        }
        Ok(())
    }

    async fn clear(&self, keys: &[u64]) -> Result<()> {
        let mut table = self.table();
        keys.iter().for_each(|&key| table.remove(key));
        Ok(())
    }

    fn fill(&self, charge: &Charge, at: Timestamp, now: Timestamp) -> Result<()> {
        if charge.rule.end(at) <= now {
            return Ok(());
        }
        let mut table = self.table();
        if !table.has_room(std::iter::once(charge.key), now) {
            return Err(StoreError::Unavailable("the counters are full".to_owned()));
        }
        table.change(charge.key, &charge.rule, at, |rule, times| rule.charge(times, charge.amount, at));
        Ok(())
    }

    async fn address(&self, ip: u64, now: Timestamp) -> Result<AddressHistory> {
        Ok(self.addresses.history(ip, now))
    }

    async fn note_number(&self, ip: u64, number: u64, confirmed: bool, at: Timestamp) -> Result<()> {
        self.addresses.note(ip, number, confirmed, at);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
