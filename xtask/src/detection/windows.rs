//! What the baselines count: sends in sliding windows, and conversion by minute.

use std::collections::VecDeque;

use hashbrown::HashMap;

/// A minute, milliseconds.
const MINUTE: i64 = 60_000;
/// A day, milliseconds.
pub(crate) const DAY: i64 = 86_400_000;

/// When messages were sent, by key, for a day.
#[derive(Default)]
pub(crate) struct Sends(HashMap<u64, VecDeque<i64>>);

impl Sends {
    /// Whether fewer than `most` were sent in the last `window` milliseconds.
    pub fn fits(&self, key: u64, window: i64, most: usize, now: i64) -> bool {
        let times = self.0.get(&key);
        times.is_none_or(|times| times.iter().rev().take_while(|at| **at > now - window).count() < most)
    }

    /// One more was sent.
    pub fn add(&mut self, key: u64, now: i64) {
        let times = self.0.entry(key).or_default();
        while times.front().is_some_and(|at| *at <= now - DAY) {
            times.pop_front();
        }
        times.push_back(now);
    }
}

/// A minute of one key.
#[derive(Clone, Copy)]
struct Cell {
    minute: i64,
    sent: u32,
    confirmed: u32,
}

/// Messages and confirmations by key, over a few hours.
#[derive(Default)]
pub(crate) struct Conversion(HashMap<u64, VecDeque<Cell>>);

impl Conversion {
    /// Messages between `window` and `wait` ago, and how many of them were confirmed since.
    pub fn lately(&self, key: u64, window: i64, wait: i64, now: i64) -> (u32, u32) {
        let Some(cells) = self.0.get(&key) else { return (0, 0) };
        let (from, until) = ((now - window) / MINUTE, (now - wait) / MINUTE);
        let within = cells.iter().filter(|cell| cell.minute > from && cell.minute <= until);
        within.fold((0, 0), |(sent, confirmed), cell| (sent + cell.sent, confirmed + cell.confirmed))
    }

    /// One more was sent.
    pub fn sent(&mut self, key: u64, window: i64, now: i64) {
        let cells = self.0.entry(key).or_default();
        let minute = now / MINUTE;
        while cells.front().is_some_and(|cell| cell.minute <= (now - window) / MINUTE) {
            cells.pop_front();
        }
        match cells.back_mut().filter(|cell| cell.minute == minute) {
            Some(cell) => cell.sent += 1,
            None => cells.push_back(Cell { minute, sent: 1, confirmed: 0 }),
        }
    }

    /// One that was sent at `at` was confirmed.
    pub fn confirmed(&mut self, key: u64, at: i64) {
        let Some(cells) = self.0.get_mut(&key) else { return };
        let minute = at / MINUTE;
        if let Some(cell) = cells.iter_mut().rev().find(|cell| cell.minute == minute) {
            cell.confirmed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_slide() {
        let mut sends = Sends::default();
        sends.add(1, 0);
        sends.add(1, 10);
        assert!(!sends.fits(1, 100, 2, 50) && sends.fits(1, 100, 2, 105) && sends.fits(2, 100, 1, 50));
    }

    #[test]
    fn conversion_waits_for_answers() {
        let mut conversion = Conversion::default();
        let hour = 60 * MINUTE;
        for n in 0..10 {
            conversion.sent(1, 4 * hour, n * 1000);
        }
        conversion.confirmed(1, 3_000);
        assert_eq!(conversion.lately(1, 4 * hour, 2 * MINUTE, 30_000), (0, 0));
        assert_eq!(conversion.lately(1, 4 * hour, 2 * MINUTE, 3 * MINUTE), (10, 1));
        assert_eq!(conversion.lately(1, 4 * hour, 2 * MINUTE, 5 * hour), (0, 0));
    }
}
