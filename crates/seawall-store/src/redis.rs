//! Counters in Redis or Valkey, shared by all nodes: exact, by the server's clock, one round trip a request.
//!
//! All windows of a request are looked at and charged by one script, so they lie in one hash slot: of a Cluster,
//! an installation uses one shard. What Redis holds is a cache over the ledger. A mark beside the windows names
//! their epoch and the run of the server that they were filled on; a flushed, restarted or failed-over server has
//! another mark or none, nothing is charged there, and one node refills the windows from the ledger.

mod asker;
mod fresh;
mod link;
mod names;
mod news;
mod refill;
mod refusals;
mod scripts;
mod tender;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use seawall_core::address::AddressHistory;
use seawall_core::limit::{Charge, ChargeKind, Charged};
use seawall_core::time::Timestamp;
use tokio::task::JoinHandle;

use self::asker::Asked;
use self::link::{Link, Shared, State};
pub use self::names::Target;
use self::refusals::Refusals;
use self::wire::{Answer, Deed};
use crate::memory::MemoryCounters;
use crate::{Counters, Result, StoreError};

/// How [`RedisCounters`] work.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the server is.
    pub target: Target,
    /// Tells installations apart that share a server: a keyed hash.
    pub installation: u64,
    /// After how long without an answer the server counts as lost.
    pub patience: Duration,
    /// Windows go by the caller's time instead of the server's: for the sandbox clock and for tests.
    pub callers_time: bool,
    /// Whether a refusal is remembered here until it can end. Only tests ask each time.
    pub remember: bool,
}

impl Options {
    /// As a gateway runs them.
    pub fn new(target: Target, installation: u64) -> Self {
        let patience = Duration::from_millis(500);
        Options { target, installation, patience, callers_time: false, remember: true }
    }
}

/// [`Counters`] in Redis.
///
/// API rates are counted by each node for itself: they protect a node, and would cost every request a second
/// round trip.
pub struct RedisCounters {
    shared: Arc<Shared>,
    refusals: Arc<Refusals>,
    asker: asker::Asker,
    /// API rates, and what is known of addresses.
    local: Arc<MemoryCounters>,
    /// Windows on their way from the ledger.
    staging: Mutex<refill::Staging>,
    tender: JoinHandle<()>,
}

impl Drop for RedisCounters {
    fn drop(&mut self) {
        self.tender.abort();
    }
}

impl RedisCounters {
    /// Connects. An error says what is wrong with the server: it does not answer, is a replica, or may evict
    /// keys.
    pub async fn connect(options: Options) -> Result<Self> {
        let shared = Arc::new(Shared::new(options));
        let (refusals, local) = (Arc::new(Refusals::default()), Arc::new(MemoryCounters::default()));
        let connected =
            link::connect(&shared.options, &shared.names).await.map_err(StoreError::Unavailable)?;
        shared.read_time(link::time(&connected).await.map_err(StoreError::Unavailable)?);
        let tender = tender::Tender::new(shared.clone(), refusals.clone(), local.clone());
        let tender = tokio::spawn(tender.run(connected));
        let asker = asker::start(&shared);
        Ok(RedisCounters { shared, refusals, asker, local, staging: Mutex::default(), tender })
    }

    fn staging(&self) -> std::sync::MutexGuard<'_, refill::Staging> {
        self.staging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make(&self, charges: &[Charge], weight: u32, now: Timestamp, deed: Deed) -> Result<Charged> {
        if charges.iter().all(|charge| charge.kind == ChargeKind::ApiRate) {
            return match deed {
                // What asks about nothing asks whether windows can be charged.
                Deed::Peek if charges.is_empty() => self.shared.link().map(|_| Charged::default()),
                Deed::Charge => self.local.charge(charges, weight, now).await,
                Deed::Note => self.local.note(charges, weight, now).await,
                Deed::Peek => self.local.peek(charges, weight, now).await,
            };
        }
        self.shared.link()?;
        if let Some(refused) = self.remembered(charges, weight, now, deed) {
            return Ok(refused);
        }
        let begun = Instant::now();
        let (link, answer) = self.ask(charges, weight, now, deed).await?;
        self.shared.stands(&link, begun)?;
        let mut charged = answer.charged(charges, weight, now);
        if self.shared.options.remember {
            self.refusals.learn(charges, weight, &answer, begun);
        }
        if deed != Deed::Charge || charged.refused() {
            charged = charged.unmade();
        }
        charged.at = (!self.shared.options.callers_time).then_some(answer.at);
        Ok(charged)
    }

    /// What is known to be full until later costs the server nothing. What is charged all the same is charged
    /// a little later, together.
    fn remembered(&self, charges: &[Charge], weight: u32, now: Timestamp, deed: Deed) -> Option<Charged> {
        if deed == Deed::Peek || !self.shared.options.remember {
            return None;
        }
        let clock = self.shared.options.callers_time.then_some(now);
        let known = self.refusals.recall(charges, weight, clock, now);
        if !known.refused() {
            return None;
        }
        for charge in charges.iter().filter(|charge| charge.always) {
            if !self.refusals.charge_later(charge, weight) {
                return None;
            }
        }
        Some(known.unmade())
    }

    async fn ask(
        &self,
        charges: &[Charge],
        weight: u32,
        now: Timestamp,
        deed: Deed,
    ) -> Result<(Arc<Link>, Answer)> {
        let keys = charges.iter().map(|charge| charge.key).collect();
        let weighed = charges.iter().map(|charge| (charge, weight));
        let request = wire::request(deed, self.shared.by(now), weighed);
        let (link, bytes) = self.asker.bring(Asked { keys, request }).await?;
        let unreadable = || StoreError::Corrupt("Redis answered in a way that is not understood".to_owned());
        let answer = Answer::read(&bytes, charges.len(), now).ok_or_else(unreadable)?;
        Ok((link, answer))
    }
}

#[async_trait]
impl Counters for RedisCounters {
    async fn charge(&self, charges: &[Charge], weight: u32, now: Timestamp) -> Result<Charged> {
        self.make(charges, weight, now, Deed::Charge).await
    }

    async fn note(&self, charges: &[Charge], weight: u32, now: Timestamp) -> Result<Charged> {
        self.make(charges, weight, now, Deed::Note).await
    }

    async fn peek(&self, charges: &[Charge], weight: u32, now: Timestamp) -> Result<Charged> {
        self.make(charges, weight, now, Deed::Peek).await
    }

    async fn held(&self, charges: &[Charge], now: Timestamp) -> Result<Vec<(u64, Option<Timestamp>)>> {
        self.shared.link()?;
        let (_, answer) = self.ask(charges, 1, now, Deed::Peek).await?;
        Ok(answer.rows.iter().map(|row| (row.count, row.oldest)).collect())
    }

    async fn refund(
        &self,
        charges: &[Charge],
        weight: u32,
        at: Timestamp,
        filling: Option<u64>,
    ) -> Result<()> {
        let back: Vec<&Charge> = charges.iter().filter(|charge| !charge.always).collect();
        if back.is_empty() {
            return Ok(());
        }
        let link = self.shared.link()?;
        // The script looks whether these are still in force.
        if filling.is_some_and(|filling| filling != link.filling()) {
            return Ok(());
        }
        let keys = back.iter().map(|charge| link.key(charge.key));
        let keys = std::iter::once(self.shared.names.news.clone()).chain(keys);
        let named: Vec<u8> = back.iter().flat_map(|charge| charge.key.to_be_bytes()).collect();
        let (time, at) = (self.shared.time_argument(at), at.as_millis().to_string());
        let blob = wire::charges(back.iter().copied(), weight);
        let arguments: [&[u8]; 4] = [time.as_bytes(), at.as_bytes(), &blob, &named];
        self.shared.run(&link, &scripts::REFUND, keys, &arguments).await?;
        self.refusals.forget(back.iter().map(|charge| charge.key));
        Ok(())
    }

    async fn clear(&self, keys: &[u64]) -> Result<()> {
        self.refusals.forget(keys.iter().copied());
        if let Err(error) = self.shared.clear(keys).await {
            // A confirmed code is a confirmed code: its back-off ends when the server is back.
            tracing::warn!(%error, "windows are cleared later");
            self.shared.clear_later(keys);
        }
        Ok(())
    }

    fn fill(&self, charge: &Charge, at: Timestamp, now: Timestamp) -> Result<()> {
        let (at, now) = self.shared.filled_at(at, now);
        self.staging().add(charge, at, now);
        Ok(())
    }

    async fn filled(&self) -> Result<()> {
        let staging = std::mem::take(&mut *self.staging());
        refill::upload(&self.shared, staging).await
    }

    async fn refills(&self, settle: Duration) -> Result<bool> {
        *self.staging() = refill::Staging::default();
        refill::begin(&self.shared, settle).await
    }

    async fn fresh(&self, sets: &[u64], known: u64) -> Result<Vec<u64>> {
        fresh::begin(&self.shared, sets, known).await
    }

    async fn fresh_filled(&self, sets: &[u64], version: u64) -> Result<()> {
        fresh::end(&self.shared, sets, version).await
    }

    async fn lost(&self) {
        let mut state = self.shared.state.subscribe();
        let _ = state.wait_for(|state| matches!(state, State::Gone)).await;
    }

    fn filling(&self) -> u64 {
        self.shared.link().map_or(0, |link| link.filling())
    }

    async fn still(&self, filling: u64) -> Result<bool> {
        self.shared.link()?;
        // The script looks at the mark before it does anything.
        let (link, _) = self.ask(&[], 1, Timestamp::default(), Deed::Peek).await?;
        Ok(link.filling() == filling)
    }

    fn nodes(&self) -> u32 {
        self.shared.nodes()
    }

    fn bypassed(&self) {
        self.shared.bypassed();
    }

    fn time(&self) -> Option<Timestamp> {
        if self.shared.options.callers_time { None } else { self.shared.time() }
    }

    async fn address(&self, ip: u64, now: Timestamp) -> Result<AddressHistory> {
        self.local.address(ip, now).await
    }

    async fn note_number(&self, ip: u64, number: u64, confirmed: bool, at: Timestamp) -> Result<()> {
        self.shared.news.tell(ip, number, confirmed, at);
        self.local.note_number(ip, number, confirmed, at).await
    }
}

#[cfg(test)]
mod tests;
