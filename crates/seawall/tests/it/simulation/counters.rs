//! A node's way to the windows. The windows are the real ones of `memory`; that they can be lost, who refills them, and
//! that nothing is charged until they are whole, is as Redis' have it.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use seawall_core::address::AddressHistory;
use seawall_core::limit::{Charge, Charged};
use seawall_core::time::Timestamp;
use seawall_store::memory::MemoryCounters;
use seawall_store::{Counters, Result};

use super::link::{Link, To};
use super::world::{Bug, World, finish, unavailable};

/// Windows as one node sees them.
pub struct Shared {
    link: Link,
    /// On their way from the ledger.
    staging: Mutex<Vec<(Charge, Timestamp)>>,
    /// The loss that is refilled.
    epoch: Mutex<u64>,
}

impl Shared {
    pub fn new(link: Link) -> Self {
        Shared { link, staging: Mutex::default(), epoch: Mutex::default() }
    }

    async fn ask<T>(&self, work: impl FnOnce(&World, &MemoryCounters) -> Result<T> + Send) -> Result<T> {
        let world = self.link.world.clone();
        self.link
            .call(To::Counters, move || {
                let (table, whole) = {
                    let windows = world.windows();
                    (windows.table.clone(), windows.whole)
                };
                if whole { work(&world, &table) } else { Err(unavailable("the windows are being refilled")) }
            })
            .await
    }

    /// Windows go by the clock that nodes share, and those of a node alone by its own.
    fn at(&self, asked: Timestamp) -> Timestamp {
        if self.link.world.alone { asked } else { self.link.world.time() }
    }

    async fn make(&self, charges: &[Charge], weight: u32, asked: Timestamp, sends: bool) -> Result<Charged> {
        if sends && self.link.world.is(Bug::ChargeNotAtomic) {
            let seen = self.ask(|world, table| finish(table.peek(charges, weight, world.time()))).await?;
            if seen.refused() {
                return Ok(seen);
            }
            return self
                .ask(|world, table| {
                    let now = world.time();
                    charges.iter().try_for_each(|charge| table.fill(charge, now, now))?;
                    Ok(Charged { at: Some(now), ..seen })
                })
                .await;
        }
        self.ask(|world, table| {
            let now = self.at(asked);
            let mut charged = if sends {
                finish(table.charge(charges, weight, now))?
            } else {
                finish(table.note(charges, weight, now))?
            };
            charged.at = Some(now);
            let (node, refused) = (self.link.node, charged.refused());
            world.tell(|| format!("node {node} charges {sends} at {}: refused {refused}", now.as_millis()));
            Ok(charged)
        })
        .await
    }
}

#[async_trait]
impl Counters for Shared {
    async fn charge(&self, charges: &[Charge], weight: u32, now: Timestamp) -> Result<Charged> {
        self.make(charges, weight, now, true).await
    }

    async fn note(&self, charges: &[Charge], weight: u32, now: Timestamp) -> Result<Charged> {
        self.make(charges, weight, now, false).await
    }

    async fn peek(&self, charges: &[Charge], weight: u32, now: Timestamp) -> Result<Charged> {
        self.ask(|_, table| finish(table.peek(charges, weight, self.at(now)))).await
    }

    async fn held(&self, charges: &[Charge], now: Timestamp) -> Result<Vec<(u64, Option<Timestamp>)>> {
        self.ask(|_, table| finish(table.held(charges, self.at(now)))).await
    }

    async fn refund(
        &self,
        charges: &[Charge],
        weight: u32,
        at: Timestamp,
        filling: Option<u64>,
    ) -> Result<()> {
        self.ask(|world, table| {
            if filling.is_some_and(|filling| filling != world.windows().epoch) {
                return Ok(());
            }
            world.tell(|| format!("node {} takes back the charge of {}", self.link.node, at.as_millis()));
            finish(table.refund(charges, weight, at, filling))
        })
        .await
    }

    async fn clear(&self, keys: &[u64]) -> Result<()> {
        self.ask(|_, table| finish(table.clear(keys))).await
    }

    fn fill(&self, charge: &Charge, at: Timestamp, _: Timestamp) -> Result<()> {
        self.staging.lock().unwrap().push((charge.clone(), at));
        Ok(())
    }

    async fn filled(&self) -> Result<()> {
        self.link.alive().await;
        let staged = std::mem::take(&mut *self.staging.lock().unwrap());
        let (world, epoch) = (&self.link.world, *self.epoch.lock().unwrap());
        let mut windows = world.windows();
        let ours = windows.filling == Some((self.link.node, self.link.life)) && windows.epoch == epoch;
        if windows.whole {
            // A limit that is new is filled beside the others.
            let now = world.time();
            return staged.iter().try_for_each(|(charge, at)| windows.table.fill(charge, *at, now));
        }
        if !ours {
            return Err(unavailable("the windows were lost again"));
        }
        let now = world.time();
        staged.iter().try_for_each(|(charge, at)| windows.table.fill(charge, *at, now))?;
        (windows.whole, windows.filling) = (true, None);
        drop(windows);
        world.tell(|| format!("node {} refilled {} charges", self.link.node, staged.len()));
        Ok(())
    }

    async fn refills(&self, settle: Duration) -> Result<bool> {
        let world = &self.link.world;
        loop {
            self.link.alive().await;
            let lives: Vec<u64> = world.nodes().iter().map(|node| node.life).collect();
            let mine = {
                let mut windows = world.windows();
                if windows.whole {
                    return Ok(false);
                }
                let free = windows.filling.is_none_or(|(node, life)| {
                    lives[node] != life || (node, life) == (self.link.node, self.link.life)
                });
                if free {
                    windows.filling = Some((self.link.node, self.link.life));
                    *self.epoch.lock().unwrap() = windows.epoch;
                }
                free
            };
            if mine {
                self.staging.lock().unwrap().clear();
                tokio::time::sleep(settle).await;
                self.link.alive().await;
                return Ok(true);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn lost(&self) {
        let world = &self.link.world;
        loop {
            self.link.alive().await;
            let lost = world.lost.notified();
            if !world.windows().whole {
                return;
            }
            lost.await;
        }
    }

    fn filling(&self) -> u64 {
        self.link.world.windows().epoch
    }

    async fn still(&self, filling: u64) -> Result<bool> {
        self.ask(|world, _| Ok(world.windows().epoch == filling)).await
    }

    fn nodes(&self) -> u32 {
        3
    }

    fn time(&self) -> Option<Timestamp> {
        (!self.link.world.alone).then(|| self.link.world.time())
    }

    async fn address(&self, _: u64, _: Timestamp) -> Result<AddressHistory> {
        Ok(AddressHistory::default())
    }

    async fn note_number(&self, _: u64, _: u64, _: bool, _: Timestamp) -> Result<()> {
        Ok(())
    }
}
