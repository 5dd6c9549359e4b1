//! A bounded map from hashed keys to rows whose places never move, so that outstanding messages can name
//! rows by place instead of hashing again.
//!
//! Eviction: with every new row the hand looks at the next rows. Rows that are past their use go at once.
//! When the table is full, the least worthy of the rows it looks at makes room: order of [`Row::worth`],
//! ties to the first. Rows that are in use are never evicted; while all looked at are, the table grows
//! beyond its bound (by at most the number of outstanding messages).

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

/// Rows looked at for every new one while there is room.
const SWEPT: usize = 4;
/// Rows looked at for every new one when there is none.
const SAMPLED: usize = 24;

/// What a [`Table`] holds.
pub(super) trait Row: Default {
    /// The hashed key; 0 marks a free place.
    fn key(&self) -> u64;
    /// Whether it has to stay: something refers to its place.
    fn in_use(&self) -> bool;
    /// Whether it can be forgotten at `now` (seconds) without anybody noticing.
    fn past_use(&self, now: u32) -> bool;
    /// How much would be lost with it; the lowest goes first.
    fn worth(&self) -> u64;
    /// Bytes that the row holds beside itself.
    fn beside(&self) -> usize {
        0
    }
}

/// See the module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Table<T> {
    rows: Vec<T>,
    free: Vec<u32>,
    hand: u32,
    max: u32,
    /// Rows that were evicted although they were of use.
    evicted: u64,
    #[serde(skip)]
    index: HashTable<u32>,
}

impl<T: Row> Table<T> {
    pub(super) fn new(max: u32) -> Self {
        Table { rows: Vec::new(), free: Vec::new(), hand: 0, max, evicted: 0, index: HashTable::new() }
    }

    /// Builds the index again after reading from bytes. False when the rows contradict each other.
    pub(super) fn reindex(&mut self) -> bool {
        self.index = HashTable::with_capacity(self.rows.len());
        let rows = &self.rows;
        for (place, row) in rows.iter().enumerate() {
            let (Ok(place), key) = (u32::try_from(place), row.key()) else { return false };
            if key != 0 {
                self.index.insert_unique(key, place, |&p| key_at(rows, p));
            }
        }
        self.free.iter().all(|&p| rows.get(to_usize(p)).is_some_and(|row| row.key() == 0))
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    /// Bytes of memory: rows, what they hold, free places and index (a place and a byte of control each).
    pub(super) fn bytes(&self) -> usize {
        let rows = self.rows.capacity() * size_of::<T>() + self.rows.iter().map(Row::beside).sum::<usize>();
        rows + self.free.capacity() * size_of::<u32>()
            + self.index.capacity() * (size_of::<u32>() + 1) * 8 / 7
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    #[inline]
    pub(super) fn place(&self, key: u64) -> Option<u32> {
        self.index.find(key, |&p| key_at(&self.rows, p) == key).copied()
    }

    /// Looks at many rows at once: memory answers together what it would else be asked for one after the other.
    pub(super) fn warm(&self, places: impl Iterator<Item = u32>) {
        let seen = places.fold(0, |seen, place| seen ^ key_at(&self.rows, place));
        std::hint::black_box(seen);
    }

    #[inline]
    pub(super) fn find(&self, key: u64) -> Option<&T> {
        self.at(self.place(key)?)
    }

    #[inline]
    pub(super) fn find_mut(&mut self, key: u64) -> Option<&mut T> {
        let place = self.place(key)?;
        self.at_mut(place)
    }

    #[inline]
    pub(super) fn at(&self, place: u32) -> Option<&T> {
        self.rows.get(to_usize(place))
    }

    #[inline]
    pub(super) fn at_mut(&mut self, place: u32) -> Option<&mut T> {
        self.rows.get_mut(to_usize(place))
    }

    /// The place of `key`; a new row is made by `make` when there is none.
    pub(super) fn enter(&mut self, key: u64, now: u32, make: impl FnOnce() -> T) -> u32 {
        if let Some(place) = self.place(key) {
            return place;
        }
        self.make_room(now);
        if self.len() > to_usize(self.max) {
            // It has grown while everything was in use: back to the bound, row by row.
            self.make_room(now);
        }
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                if self.rows.len() == self.rows.capacity() {
                    // Doubling would waste up to half of the memory.
                    self.rows.reserve_exact(self.rows.len() / 8 + 64);
                }
                self.rows.push(T::default());
                u32::try_from(self.rows.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(row) = self.rows.get_mut(to_usize(place)) {
            *row = make();
        }
        let rows = &self.rows;
        self.index.insert_unique(key, place, |&p| key_at(rows, p));
        place
    }

    fn make_room(&mut self, now: u32) {
        let full = self.len() >= to_usize(self.max);
        let mut least: Option<(u64, u32)> = None;
        for _ in 0..(if full { SAMPLED } else { SWEPT }).min(self.rows.len()) {
            let place = self.hand;
            self.hand = if to_usize(place) + 1 < self.rows.len() { place + 1 } else { 0 };
            let Some(row) = self.rows.get(to_usize(place)).filter(|r| r.key() != 0 && !r.in_use()) else {
                continue;
            };
            if row.past_use(now) {
                self.remove(place);
            } else if least.is_none_or(|(worth, _)| row.worth() < worth) {
                least = Some((row.worth(), place));
            }
        }
        if let (Some((_, place)), true) = (least, self.len() >= to_usize(self.max)) {
            self.remove(place);
            self.evicted += 1;
        }
    }

    /// Removes the row of a key, whose place nothing refers to.
    pub(super) fn forget(&mut self, key: u64) {
        if let Some(place) = self.place(key) {
            self.remove(place);
        }
    }

    fn remove(&mut self, place: u32) {
        let rows = &self.rows;
        let key = key_at(rows, place);
        if let Ok(found) = self.index.find_entry(key, |&p| p == place) {
            found.remove();
        }
        if let Some(row) = self.rows.get_mut(to_usize(place)) {
            *row = T::default();
            self.free.push(place);
        }
    }
}

#[inline]
fn key_at<T: Row>(rows: &[T], place: u32) -> u64 {
    rows.get(to_usize(place)).map_or(0, Row::key)
}

#[inline]
fn to_usize(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Thing {
        key: u64,
        at: u32,
        used: bool,
    }

    impl Row for Thing {
        fn key(&self) -> u64 {
            self.key
        }
        fn in_use(&self) -> bool {
            self.used
        }
        fn past_use(&self, now: u32) -> bool {
            now - self.at > 100
        }
        fn worth(&self) -> u64 {
            u64::from(self.at)
        }
    }

    fn enter(table: &mut Table<Thing>, key: u64, now: u32, used: bool) {
        table.enter(key, now, || Thing { key, at: now, used });
    }

    #[test]
    fn it_stays_within_its_bound_and_loses_the_oldest() {
        let mut table = Table::new(8);
        for n in 1..=8 {
            enter(&mut table, n * 7919, u32::try_from(n).unwrap(), false);
        }
        enter(&mut table, 1, 9, false);
        assert_eq!((table.len(), table.evicted()), (8, 1));
        assert!(table.find(7919).is_none() && table.find(2 * 7919).is_some() && table.find(1).is_some());
    }

    #[test]
    fn rows_past_use_go_and_rows_in_use_stay() {
        let mut table = Table::new(4);
        (1..=4).for_each(|n| enter(&mut table, n, 1, n == 1));
        enter(&mut table, 5, 500, false);
        assert_eq!((table.len(), table.evicted()), (2, 0));
        (6..=8).for_each(|n| enter(&mut table, n, 500, true));
        enter(&mut table, 9, 501, true);
        assert!(table.find(1).is_some() && table.find(9).is_some(), "it grows rather than lose one in use");
    }

    #[test]
    fn a_copy_read_from_bytes_goes_on_alike() {
        let mut table = Table::new(16);
        (1..=40).for_each(|n| enter(&mut table, n, u32::try_from(n).unwrap(), n % 5 == 0));
        let bytes = postcard::to_allocvec(&table).unwrap();
        let mut copy: Table<Thing> = postcard::from_bytes(&bytes).unwrap();
        assert!(copy.reindex());
        for n in 41..=90 {
            enter(&mut table, n, u32::try_from(n).unwrap(), n % 5 == 0);
            enter(&mut copy, n, u32::try_from(n).unwrap(), n % 5 == 0);
        }
        assert_eq!(postcard::to_allocvec(&table).unwrap(), postcard::to_allocvec(&copy).unwrap());
    }
}
