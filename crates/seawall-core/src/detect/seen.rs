//! The distinct numbers lately seen at one key: a block of numbers, an address, a network.

use serde::{Deserialize, Serialize};

use super::table::Row;

/// Numbers remembered at one key. Beyond it the newest stand for all: the span they fill tells the rate.
const MOST: usize = 64;

/// A number with the network and the address it was asked for from, in 12 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// Seconds.
    at: u32,
    /// 20 bits of the number, 12 of the network.
    bits: u32,
    /// 12 bits of the address.
    address: u16,
}

/// Where a number is asked for from, as hashes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct From {
    pub network: u32,
    pub address: u32,
}

const NETWORK_BITS: u32 = 12;
const LOW: u32 = (1 << NETWORK_BITS) - 1;

impl Mark {
    fn new(at: u32, number: u32, from: From) -> Self {
        let address = u16::try_from(from.address & LOW).unwrap_or(0);
        Mark { at, bits: (number << NETWORK_BITS) | (from.network & LOW), address }
    }

    fn number(self) -> u32 {
        self.bits >> NETWORK_BITS
    }

    fn network(self) -> u32 {
        self.bits & LOW
    }
}

/// Marks of one key, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Seen {
    key: u64,
    last: u32,
    /// How long a mark matters, in seconds.
    window: u32,
    marks: Vec<Mark>,
    /// When the block was last found to be under attack.
    hot_at: u32,
    /// The day on which `booked` trials were counted.
    day: u16,
    pub booked: u16,
}

/// How many numbers a key has seen, the current one included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spread {
    /// Distinct numbers.
    pub numbers: u32,
    /// Distinct networks.
    pub networks: u32,
    /// Distinct addresses.
    pub addresses: u32,
    /// Numbers from another address than the current one.
    pub elsewhere: u32,
    /// Distance to the nearest other number; 0 when there is none.
    pub gap: u32,
    /// Over how many seconds: the window asked for, or less when only the newest are remembered.
    pub span: u32,
}

/// Distinct values of twelve bits.
struct Distinct {
    seen: [u64; 1 << (NETWORK_BITS - 6)],
    all: u32,
}

impl Default for Distinct {
    fn default() -> Self {
        Distinct { seen: [0; 1 << (NETWORK_BITS - 6)], all: 0 }
    }
}

impl Distinct {
    fn count(&mut self, value: u32) {
        let (word, bit) = (usize::try_from((value & LOW) >> 6).unwrap_or(0), 1u64 << (value & 63));
        if let Some(word) = self.seen.get_mut(word) {
            self.all += u32::from(*word & bit == 0);
            *word |= bit;
        }
    }
}

impl Seen {
    pub(super) fn new(key: u64, window: u32, now: u32) -> Self {
        Seen { key, last: now, window, ..Self::default() }
    }

    /// Remembers a number and the network it came from.
    pub(super) fn note(&mut self, now: u32, number: u32, from: From) {
        self.last = now;
        let oldest = now.saturating_sub(self.window);
        self.marks.retain(|m| m.at > oldest && m.number() != number & 0xf_ffff);
        if self.marks.len() >= MOST {
            self.marks.remove(0);
        }
        self.marks.push(Mark::new(now, number, from));
    }

    /// One of its numbers was never seen.
    pub(super) fn forget(&mut self, number: u32) {
        self.marks.retain(|mark| mark.number() != number & 0xf_ffff);
    }

    /// Numbers that are remembered; a spread has one more at most.
    pub(super) fn held(&self) -> usize {
        self.marks.len()
    }

    /// The spread over the last `span` seconds with the current number counted in. `divisor` keeps only
    /// numbers that share the current one's digits above it.
    pub(super) fn spread(&self, now: u32, span: u32, number: u32, from: From, divisor: u32) -> Spread {
        let full = self.marks.len() >= MOST;
        let oldest = self.marks.first().map_or(now, |m| m.at);
        let span = if full { span.min(now.saturating_sub(oldest).max(60)) } else { span };
        let since = now.saturating_sub(span);
        let (mut networks, mut addresses) = (Distinct::default(), Distinct::default());
        networks.count(from.network);
        addresses.count(from.address);
        let mut all = Spread { numbers: 1, span, ..Spread::default() };
        for mark in self.marks.iter().filter(|m| m.at >= since && m.number() / divisor == number / divisor) {
            networks.count(mark.network());
            addresses.count(u32::from(mark.address));
            if mark.number() != number {
                all.numbers += 1;
                all.elsewhere += u32::from(u32::from(mark.address) != from.address & LOW);
                let gap = mark.number().abs_diff(number);
                all.gap = if all.gap == 0 { gap } else { all.gap.min(gap) };
            }
        }
        Spread { networks: networks.all, addresses: addresses.all, ..all }
    }

    /// The block is under attack; the answer is whether that is news.
    pub(super) fn heat(&mut self, now: u32) -> bool {
        let news = self.hot_at == 0 || now.saturating_sub(self.hot_at) > 86_400;
        self.hot_at = now;
        news
    }

    /// Counts a trial of today; the answer is how many there were before.
    pub(super) fn book(&mut self, now: u32) -> u16 {
        let day = u16::try_from(now / 86_400 % 65_536).unwrap_or(0);
        if day != self.day {
            (self.day, self.booked) = (day, 0);
        }
        let before = self.booked;
        self.booked = self.booked.saturating_add(1);
        before
    }
}

impl Row for Seen {
    #[inline]
    fn key(&self) -> u64 {
        self.key
    }

    fn in_use(&self) -> bool {
        false
    }

    fn past_use(&self, now: u32) -> bool {
        now.saturating_sub(self.last) > self.window.max(86_400)
    }

    fn worth(&self) -> u64 {
        u64::from(self.last)
    }
    fn beside(&self) -> usize {
        self.marks.capacity() * size_of::<Mark>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_networks_are_counted_once() {
        let mut seen = Seen::new(1, 86_400, 0);
        for (at, number, network) in [(10, 100, 1), (20, 105, 2), (30, 100, 1), (40, 2000, 2)] {
            seen.note(at, number, From { network, address: network * 7 });
        }
        let from = From { network: 3, address: 7 };
        let spread = seen.spread(50, 86_400, 103, from, 1 << 20);
        assert_eq!(
            spread,
            Spread { numbers: 4, networks: 3, addresses: 2, elsewhere: 2, gap: 2, span: 86_400 }
        );
        let inside = seen.spread(50, 86_400, 103, from, 1000);
        assert_eq!((inside.numbers, inside.gap), (3, 2), "2000 is in another thousand");
        let later = seen.spread(86_400 + 25, 86_400, 103, from, 1 << 20);
        assert_eq!(later.numbers, 3, "what is older than a day is not counted");
    }

    #[test]
    fn a_full_key_tells_over_which_span_it_filled() {
        let mut seen = Seen::new(1, 86_400, 0);
        (0..200u32).for_each(|n| seen.note(1000 + n * 10, n, From { network: n, address: n }));
        let spread = seen.spread(3000, 86_400, 500, From::default(), 1 << 20);
        assert_eq!((spread.numbers, spread.span), (65, 640));
    }

    #[test]
    fn trials_are_counted_by_day() {
        let mut seen = Seen::new(1, 3600, 0);
        assert_eq!([seen.book(86_400), seen.book(86_500), seen.book(2 * 86_400)], [0, 1, 0]);
    }
}
