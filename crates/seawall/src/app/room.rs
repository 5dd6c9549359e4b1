//! How many requests may be under way at a time. What comes beyond is refused at once, so that those that were let in are
//! answered soon, and memory is bounded, however many callers there are.
//!
//! A subaccount is let in as long as it holds fewer places than are free (dynamic thresholds: A. Choudhury and E. Hahne,
//! "Dynamic queue length thresholds for shared-memory packet switches", 1998, with factor 1). Whoever floods the gateway
//! alone holds half of the places at most, two who do so a third each, and a subaccount that asks for little finds one.

use std::cell::RefCell;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;

tokio::task_local! {
    /// What the request of this task holds.
    static HELD: RefCell<Option<Place>>;
}

/// Places for requests.
pub struct Room {
    most: usize,
    held: Mutex<Held>,
    refused: AtomicU64,
}

#[derive(Default)]
struct Held {
    all: usize,
    /// By the hash of the name: names that should share one share places.
    by: HashMap<u64, usize>,
}

/// There is no room; nothing was done.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// A place; dropping it makes room.
struct Place {
    room: Arc<Room>,
    of: u64,
}

impl Room {
    /// Room for so many.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Room { most, held: Mutex::default(), refused: AtomicU64::new(0) })
    }

    /// Takes a place for the request of this task, until the work within [`Room::holding`] has ended. A request that
    /// enters twice holds one.
    pub fn enter(self: &Arc<Self>, subaccount: &str) -> Result<(), Full> {
        // Outside of a request there is nothing to bound.
        let Ok(before) = HELD.try_with(|held| held.take()) else { return Ok(()) };
        drop(before);
        let place = self.place(subaccount)?;
        let _ = HELD.try_with(|held| held.replace(Some(place)));
        Ok(())
    }

    /// Does what a request asks for, and gives its place back when that is over.
    pub async fn holding<T>(work: impl Future<Output = T>) -> T {
        HELD.scope(RefCell::default(), work).await
    }

    /// Requests under way, and those that were refused since the start.
    pub fn counts(&self) -> (u64, u64) {
        let all = self.held.lock().unwrap_or_else(PoisonError::into_inner).all;
        (u64::try_from(all).unwrap_or(u64::MAX), self.refused.load(Ordering::Relaxed))
    }

    fn place(self: &Arc<Self>, subaccount: &str) -> Result<Place, Full> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let of = held.by.hasher().hash_one(subaccount);
        let own = held.by.get(&of).copied().unwrap_or(0);
        if own >= self.most.saturating_sub(held.all) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Full);
        }
        held.all += 1;
        *held.by.entry(of).or_insert(0) += 1;
        Ok(Place { room: self.clone(), of })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.room.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.all = held.all.saturating_sub(1);
        if let Some(count) = held.by.get_mut(&self.of) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.by.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many places as somebody gets.
    fn flood(room: &Arc<Room>, of: &str) -> Vec<Place> {
        std::iter::from_fn(|| room.place(of).ok()).take(10_000).collect()
    }

    #[test]
    fn who_floods_holds_half_and_the_others_find_room() {
        let room = Room::new(100);
        let first = flood(&room, "a");
        assert_eq!(first.len(), 50);
        let others: Vec<_> = (0..20).map(|n| room.place(&format!("quiet {n}")).ok().unwrap()).collect();
        assert_eq!(flood(&room, "b").len(), 15, "half of what is left");
        drop((first, others));
        assert_eq!(room.held.lock().unwrap().by.len(), 0, "nothing is kept of those who left");
        assert_eq!(flood(&room, "c").len(), 50);
    }

    #[tokio::test]
    async fn a_request_holds_one_place_until_it_ends() {
        let room = Room::new(4);
        assert_eq!(room.enter("nobody's request"), Ok(()));
        let inner = room.clone();
        Room::holding(async move {
            assert_eq!((inner.enter("a"), inner.enter("a"), inner.counts().0), (Ok(()), Ok(()), 1));
            assert!(inner.place("a").is_ok());
            let (_two, _three) = (inner.place("a"), inner.place("b"));
            assert_eq!(Room::holding(async { inner.enter("a") }).await, Err(Full));
        })
        .await;
        assert_eq!(room.counts(), (0, 1));
    }
}
