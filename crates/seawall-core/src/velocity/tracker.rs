//! The tallies behind [`Velocities`]: what each key did over the last 24 hours, in memory.
//!
//! Times are kept in cells that grow coarser with age: ten seconds within the last ten minutes, a minute within
//! the hour, ten minutes within the day. A window is therefore right to a sixtieth of its length (a day to ten
//! minutes). What is noted may be older than what was noted before, so that a tracker can be filled backwards.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::{Metric, Span, Tallies, Velocities, VelocityKey};
use crate::time::Timestamp;

/// Distinct numbers that one key remembers; beyond it the newest stand for all.
pub const MOST_NUMBERS: usize = 1024;
/// Cells that a row may have before older ones are joined, at least.
const FEW_CELLS: usize = 24;
const DAY: u32 = 86_400;
/// Up to which age cells have which length, in seconds.
const LENGTHS: [(u32, u32); 3] = [(600, 10), (3_600, 60), (DAY, 600)];

/// The keys of a request, hashed; one that it does not have is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// The recipient's number, also when it is not counted by.
    pub number: u64,
    by: [Option<u64>; VelocityKey::ALL.len()],
}

impl Keys {
    /// Of a number, by which nothing is counted yet.
    pub fn of(number: u64) -> Self {
        Keys { number, ..Keys::default() }
    }

    /// Sets one.
    pub fn set(&mut self, key: VelocityKey, hash: u64) {
        if let Some(place) = self.by.get_mut(key as usize) {
            *place = Some(hash);
        }
    }

    fn all(&self) -> impl Iterator<Item = (VelocityKey, u64)> {
        VelocityKey::ALL.into_iter().zip(self.by).filter_map(|(key, hash)| Some((key, hash?)))
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// A message was asked for.
    Request,
    /// It was sent.
    Send,
    /// Its code was confirmed.
    Confirmation,
}

/// Some seconds of one key.
#[derive(Clone, Copy, Debug)]
struct Cell {
    /// When it begins, in seconds.
    start: u32,
    counts: [u32; 3],
}

#[derive(Clone, Debug, Default)]
struct Row {
    /// Oldest first.
    cells: VecDeque<Cell>,
    /// When each number was last seen and its hash, as one integer; oldest first.
    numbers: VecDeque<u64>,
    /// At how many cells they are joined again.
    full: usize,
}

/// Tallies of all keys.
#[derive(Debug)]
pub struct Tracker {
    rows: HashMap<(VelocityKey, u64), Row>,
    most: usize,
}

impl Tracker {
    /// For at most so many keys; beyond it those that were quiet longest go.
    pub fn new(most: usize) -> Self {
        Tracker { rows: HashMap::new(), most }
    }

    /// How many keys it knows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Counts what happened for each key, `count` times.
    pub fn note(&mut self, keys: &Keys, noted: Noted, count: u32, at: Timestamp, now: Timestamp) {
        let (at, now) = (seconds(at), seconds(now));
        if at.saturating_add(DAY) <= now {
            return;
        }
        if self.rows.len() >= self.most {
            self.forget(now);
        }
        for (key, hash) in keys.all() {
            let row = self.rows.entry((key, hash)).or_default();
            row.count(noted, count, at, now);
            if noted == Noted::Request && key != VelocityKey::Number {
                row.see(keys.number, at);
            }
        }
    }

    /// What the keys of a request did until now.
    pub fn read(&self, keys: &Keys, now: Timestamp) -> Velocities {
        let now = seconds(now);
        let mut velocities = Velocities::default();
        for (key, hash) in keys.all() {
            let row = self.rows.get(&(key, hash));
            velocities.set(key, row.map(|row| row.tallies(now)).unwrap_or_default());
        }
        velocities
    }

    /// Drops what is over, and if that is little, the half that was quiet longest.
    fn forget(&mut self, now: u32) {
        self.rows.retain(|_, row| row.last().saturating_add(DAY) > now);
        if self.rows.len() * 4 < self.most * 3 {
            return;
        }
        let mut lasts: Vec<u32> = self.rows.values().map(Row::last).collect();
        let middle = lasts.len() / 2;
        let (_, middle, _) = lasts.select_nth_unstable(middle);
        let middle = *middle;
        self.rows.retain(|_, row| row.last() > middle);
    }
}

impl Row {
    fn last(&self) -> u32 {
        self.cells.back().map_or(0, |cell| cell.start)
    }

    fn count(&mut self, noted: Noted, count: u32, at: u32, now: u32) {
        let start = aligned(at, now);
        let place = self.cells.partition_point(|cell| cell.start < start);
        if self.cells.get(place).is_none_or(|cell| cell.start != start) {
            self.cells.insert(place, Cell { start, counts: [0; 3] });
            self.join(now);
        }
        let place = self.cells.partition_point(|cell| cell.start < start);
        let of = self.cells.get_mut(place).and_then(|cell| cell.counts.get_mut(noted as usize));
        if let Some(of) = of {
            *of = of.saturating_add(count);
        }
    }

    /// Joins cells that have grown old into longer ones, and drops what is over.
    fn join(&mut self, now: u32) {
        if self.cells.len() < self.full.max(FEW_CELLS) {
            return;
        }
        let mut joined: VecDeque<Cell> = VecDeque::with_capacity(self.cells.len());
        for cell in self.cells.drain(..).filter(|cell| cell.start.saturating_add(DAY) > now) {
            let start = aligned(cell.start, now);
            match joined.back_mut().filter(|last| last.start == start) {
                Some(last) => {
                    last.counts.iter_mut().zip(cell.counts).for_each(|(a, b)| *a = a.saturating_add(b))
                }
                None => joined.push_back(Cell { start, ..cell }),
            }
        }
        self.cells = joined;
        self.full = self.cells.len() * 2;
    }

    fn see(&mut self, number: u64, at: u32) {
        let hash = number >> 32;
        if let Some(place) = self.numbers.iter().position(|seen| seen & u64::from(u32::MAX) == hash) {
            if self.numbers.get(place).is_some_and(|seen| seen >> 32 >= u64::from(at)) {
                return;
            }
            self.numbers.remove(place);
        }
        let seen = u64::from(at) << 32 | hash;
        let place = self.numbers.partition_point(|other| *other < seen);
        if self.numbers.len() >= MOST_NUMBERS {
            // The oldest goes, which is this one if it is older than all.
            if place == 0 {
                return;
            }
            self.numbers.pop_front();
            self.numbers.insert(place - 1, seen);
        } else {
            self.numbers.insert(place, seen);
        }
    }

    fn tallies(&self, now: u32) -> Tallies {
        let mut tallies = Tallies::default();
        for (span, length) in Span::ALL.into_iter().zip(LENGTHS.map(|(age, _)| age)) {
            let from = now.saturating_sub(length);
            let first = self.cells.partition_point(|cell| cell.start <= from);
            let mut sums = [0u32; 3];
            for cell in self.cells.range(first..) {
                sums.iter_mut().zip(cell.counts).for_each(|(sum, count)| *sum = sum.saturating_add(count));
            }
            let [requests, sends, confirmations] = sums;
            tallies.set(Metric::Requests, span, requests);
            tallies.set(Metric::Sends, span, sends);
            tallies.set(Metric::Confirmations, span, confirmations);
            let seen = self.numbers.partition_point(|seen| seen >> 32 <= u64::from(from));
            let distinct = self.numbers.len() - seen;
            tallies.set(Metric::DistinctNumbers, span, u32::try_from(distinct).unwrap_or(u32::MAX));
        }
        tallies
    }
}

/// Where the cell begins that an instant falls into.
fn aligned(at: u32, now: u32) -> u32 {
    let age = now.saturating_sub(at);
    let length = LENGTHS.iter().find(|(up_to, _)| age < *up_to).map_or(600, |(_, length)| *length);
    at - at % length
}

fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    const START: i64 = 1_700_000_000_000;

    fn at(secs: u32) -> Timestamp {
        Timestamp::from_millis(START + i64::from(secs) * 1000)
    }

    fn keys(ip: u64, number: u64) -> Keys {
        let mut keys = Keys { number: number << 32, ..Keys::default() };
        keys.set(VelocityKey::Ip, ip);
        keys.set(VelocityKey::Number, number);
        keys
    }

    fn requests(tracker: &Tracker, keys: &Keys, now: u32, span: Span) -> u32 {
        tracker.read(keys, at(now)).get(VelocityKey::Ip, Metric::Requests, span).unwrap()
    }

    proptest! {
        /// Every window counts what happened within it, give or take a cell at its far end.
        #[test]
        fn windows_are_right_to_a_cell(times in prop::collection::vec(0u32..100_000, 0..400), backwards: bool) {
            let now = 100_000;
            let mut times = times;
            times.sort_unstable();
            if backwards {
                times.reverse();
            }
            let mut tracker = Tracker::new(1000);
            for time in &times {
                let noted = if backwards { at(now) } else { at(*time) };
                tracker.note(&keys(1, u64::from(*time)), Noted::Request, 1, at(*time), noted);
            }
            for (span, length, cell) in [(Span::TenMinutes, 600, 10), (Span::Hour, 3_600, 60), (Span::Day, 86_400, 600)] {
                let within = |length: u32| u32::try_from(times.iter().filter(|t| **t + length > now).count()).unwrap();
                let told = requests(&tracker, &keys(1, 0), now, span);
                prop_assert!((within(length - cell)..=within(length)).contains(&told), "{span:?} {told}");
            }
        }

        #[test]
        fn distinct_numbers_are_counted_once(numbers in prop::collection::vec(0u64..50, 0..200)) {
            let mut tracker = Tracker::new(1000);
            for (second, number) in (0..).zip(&numbers) {
                tracker.note(&keys(1, *number), Noted::Request, 1, at(second), at(second));
            }
            let distinct: std::collections::HashSet<_> = numbers.iter().collect();
            let told = tracker.read(&keys(1, 0), at(300));
            let told = told.get(VelocityKey::Ip, Metric::DistinctNumbers, Span::TenMinutes).unwrap();
            prop_assert_eq!(told as usize, distinct.len());
        }
    }

    #[test]
    fn a_request_does_not_see_itself_and_keys_do_not_mix() {
        let mut tracker = Tracker::new(10);
        assert_eq!(requests(&tracker, &keys(1, 5), 0, Span::Hour), 0);
        tracker.note(&keys(1, 5), Noted::Request, 1, at(0), at(0));
        tracker.note(&keys(1, 5), Noted::Send, 1, at(0), at(0));
        tracker.note(&keys(1, 5), Noted::Confirmation, 2, at(30), at(30));
        let told = tracker.read(&keys(1, 5), at(60));
        let of = |metric| told.get(VelocityKey::Ip, metric, Span::TenMinutes).unwrap();
        assert_eq!((of(Metric::Requests), of(Metric::Sends), of(Metric::Confirmations)), (1, 1, 2));
        assert_eq!(requests(&tracker, &keys(2, 5), 60, Span::Hour), 0);
        assert_eq!(told.get(VelocityKey::User, Metric::Sends, Span::Day), None, "it has no user");
        assert_eq!(requests(&tracker, &keys(1, 5), 700, Span::TenMinutes), 0);
        assert_eq!(requests(&tracker, &keys(1, 5), 700, Span::Hour), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut tracker = Tracker::new(1000);
        for n in 0..20_000u32 {
            tracker.note(&keys(u64::from(n), u64::from(n)), Noted::Request, 1, at(n / 10), at(n / 10));
        }
        assert!(tracker.len() <= 1001, "{}", tracker.len());
        assert_eq!(requests(&tracker, &keys(19_999, 0), 2_000, Span::Hour), 1, "the newest stay");
        let mut busy = Tracker::new(1000);
        for n in 0..30_000u32 {
            busy.note(&keys(1, u64::from(n)), Noted::Request, 1, at(n), at(n));
        }
        let row = &busy.rows[&(VelocityKey::Ip, 1)];
        assert!(row.cells.len() < 600 && row.numbers.len() == MOST_NUMBERS, "{}", row.cells.len());
        let told = requests(&busy, &keys(1, 0), 30_000, Span::TenMinutes);
        assert!((590..600).contains(&told), "{told}");
        let old = at(0).plus(Duration::from_secs(1));
        busy.note(&keys(7, 7), Noted::Request, 1, old, at(100_000));
        assert_eq!(requests(&busy, &keys(7, 7), 100_000, Span::Day), 0);
    }
}
