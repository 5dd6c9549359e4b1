//! The role of counters: how often lately.

use std::time::Duration;

use async_trait::async_trait;
use seawall_core::address::AddressHistory;
use seawall_core::limit::{Charge, Charged};
use seawall_core::time::Timestamp;

use crate::Result;

/// How often lately: exact windows, charged all or nothing.
///
/// `now` is the caller's time. Counters that several nodes share go by a clock of their own and answer in the
/// caller's time; [`Counters::time`] tells theirs.
#[async_trait]
pub trait Counters: Send + Sync {
    /// Charges `weight` times its amount to every window, in one atomic step. If an enforced one has no room,
    /// only charges with `always` are made. Returns every window without room, shadow ones included: the
    /// request was charged in full if none of them is enforced.
    async fn charge(&self, charges: &[Charge], weight: u32, now: Timestamp) -> Result<Charged>;

    /// For a request that will not send: makes only charges with `always`, and answers whether all would fit.
    async fn note(&self, charges: &[Charge], weight: u32, now: Timestamp) -> Result<Charged>;

    /// Whether the charges would fit; changes nothing.
    async fn peek(&self, charges: &[Charge], weight: u32, now: Timestamp) -> Result<Charged>;

    /// What each window holds, and when the oldest of it leaves.
    async fn held(&self, charges: &[Charge], now: Timestamp) -> Result<Vec<(u64, Option<Timestamp>)>>;

    /// Takes a charge of exactly `at` back, except `always` ones: what it was for did not happen. `at` is
    /// [`Charged::at`], else the time of the charge. `filling`: the windows that were charged, as [`Counters::filling`]
    /// told them before. Where they are others by now, the charge went with those, and what they hold of that instant is
    /// somebody else's.
    async fn refund(
        &self,
        charges: &[Charge],
        weight: u32,
        at: Timestamp,
        filling: Option<u64>,
    ) -> Result<()>;

    /// Forgets keys: a confirmed code ends the back-off of its number.
    async fn clear(&self, keys: &[u64]) -> Result<()>;

    /// Adds one past charge while refilling. Ignored when it no longer matters at `now`. It counts after
    /// [`Counters::filled`] at the latest.
    fn fill(&self, charge: &Charge, at: Timestamp, now: Timestamp) -> Result<()>;

    /// Ends a refilling: everything that was filled counts.
    async fn filled(&self) -> Result<()> {
        Ok(())
    }

    /// Whether the caller is to refill all windows now. Waits while another node does; false when the windows
    /// are whole. `settle`: how long after the loss everything that was charged before is in the ledger.
    async fn refills(&self, settle: Duration) -> Result<bool> {
        let _ = settle;
        Ok(true)
    }

    /// Windows that come in force while nodes run are filled by one of them. Of some sets of windows, by names of the
    /// caller's choice, gives those that the caller is to fill: no node has since version `known` of what is set up.
    /// Waits while another node fills; unless none are given, ends with [`Counters::fresh_filled`].
    async fn fresh(&self, sets: &[u64], known: u64) -> Result<Vec<u64>> {
        let _ = known;
        Ok(sets.to_vec())
    }

    /// These sets were filled for a version, or none of them if that failed.
    async fn fresh_filled(&self, sets: &[u64], version: u64) -> Result<()> {
        let _ = (sets, version);
        Ok(())
    }

    /// Waits until the windows are gone and have to be refilled.
    async fn lost(&self) {
        std::future::pending().await
    }

    /// Which filling of the windows this node charges, as far as it knows: another one after each loss.
    fn filling(&self) -> u64 {
        0
    }

    /// Asks whether the windows are those of this filling now.
    async fn still(&self, filling: u64) -> Result<bool> {
        Ok(filling == self.filling())
    }

    /// How many nodes share the windows, as far as is known.
    fn nodes(&self) -> u32 {
        1
    }

    /// Something was sent without being charged, because the windows did not answer: they are to be refilled.
    fn bypassed(&self) {}

    /// The time by which windows go, where that is not the caller's.
    fn time(&self) -> Option<Timestamp> {
        None
    }

    /// What happened lately at an end user's address, given by its keyed hash.
    async fn address(&self, ip: u64, now: Timestamp) -> Result<AddressHistory>;

    /// A code went to a number for somebody at this address, or the number confirmed one. Both are keyed hashes.
    async fn note_number(&self, ip: u64, number: u64, confirmed: bool, at: Timestamp) -> Result<()>;
}
