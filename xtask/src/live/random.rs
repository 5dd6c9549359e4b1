//! Randomness that a seed repeats, and the numbers and addresses that loads are made of.

use std::net::Ipv4Addr;

/// SplitMix64.
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

/// Indonesian mobile prefixes, each with eight more digits.
const INDONESIA: [u64; 7] = [62_811, 62_812, 62_813, 62_821, 62_822, 62_852, 62_853];
/// Uzbek mobile prefixes, each with seven more digits.
const UZBEKISTAN: [u64; 8] = [99_890, 99_891, 99_893, 99_894, 99_895, 99_897, 99_898, 99_899];

/// The `index`th of 700 million valid mobile numbers, as digits. No index below that repeats a number, and
/// neighbours are far apart: multiplication by a number without common factors is a permutation.
pub fn mobile(index: u64) -> u64 {
    match index % 4 {
        0 => spread(&UZBEKISTAN, 10_000_000, index / 4),
        _ => spread(&INDONESIA, 100_000_000, index),
    }
}

fn spread(stems: &[u64], each: u64, index: u64) -> u64 {
    let all = each.wrapping_mul(stems.len() as u64).max(1);
    let place = index.wrapping_mul(387_420_489).wrapping_add(12_345_678) % all;
    let stem = usize::try_from(place / each).ok().and_then(|at| stems.get(at)).copied().unwrap_or(62_811);
    stem * each + place % each
}

/// A public IPv4 address.
pub fn address(random: &mut Random) -> Ipv4Addr {
    const FIRST: [u8; 8] = [41, 62, 77, 84, 91, 103, 178, 212];
    let [a, b, c, d, ..] = random.next().to_le_bytes();
    let first = FIRST.get(usize::from(a) % FIRST.len()).copied().unwrap_or(84);
    Ipv4Addr::new(first, b, c, d.clamp(1, 254))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_do_not_repeat() {
        let mut seen: Vec<u64> = (0..200_000).map(mobile).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 200_000);
    }

    #[test]
    fn a_seed_repeats_itself() {
        let draw = |seed| (0..5).map(|_| Random(seed).next()).collect::<Vec<_>>();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
