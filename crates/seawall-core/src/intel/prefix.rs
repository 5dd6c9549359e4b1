//! Numbers by their first digits, as one sorted table.
//!
//! A number is read as fifteen digits to the base eleven, each digit one greater than it is, zeros behind its
//! end. So numbers sort like words: all that begin with `4915` lie together, and `4915` itself comes before
//! them. The longest prefix of a number is then the entry at or below it.

use super::table::Table;

/// E.164 allows fifteen digits.
const DIGITS: u32 = 15;
const BASE: u64 = 11;

/// Where a number or a prefix (its digits read as one integer) stands in the order.
pub fn key(digits: u64) -> u64 {
    // From the last digit on; what is found then moves to where the first digit belongs.
    let (mut rest, mut key, mut place, mut left) = (digits, 0_u64, 1_u64, DIGITS);
    loop {
        key = key.wrapping_add((rest % 10 + 1).wrapping_mul(place));
        (rest, place, left) = (rest / 10, place.wrapping_mul(BASE), left - 1);
        if rest == 0 || left == 0 {
            return key.wrapping_mul(BASE.pow(left));
        }
    }
}

/// The value of the longest prefix of these digits. In such a table, zero says that there is none.
pub fn longest(table: &Table<'_>, digits: u64) -> Option<u32> {
    let (_, value) = table.floor(key(digits))?;
    value.checked_sub(1)
}

/// The entries of such a table. Prefixes hide each other, so that where one ends, the one around it goes on.
pub fn entries(prefixes: &std::collections::BTreeMap<u64, u32>) -> Vec<(u64, u32)> {
    let ends = |prefix: &u64| {
        let length = prefix.checked_ilog10().map_or(1, |log| log + 1).min(DIGITS);
        key(*prefix) + BASE.pow(DIGITS - length)
    };
    let points: std::collections::BTreeSet<u64> =
        prefixes.keys().flat_map(|prefix| [key(*prefix), ends(prefix)]).collect();
    let mut entries: Vec<(u64, u32)> = Vec::new();
    for point in points {
        let value = value_at(prefixes, point);
        if entries.last().map_or(0, |entry| entry.1) != value {
            entries.push((point, value));
        }
    }
    entries
}

/// One more than the value of the longest prefix that covers a point of the order; zero without any.
fn value_at(prefixes: &std::collections::BTreeMap<u64, u32>, point: u64) -> u32 {
    let mut digits = 0_u64;
    let mut found = 0;
    for place in (0..DIGITS).rev() {
        let digit = point / BASE.pow(place) % BASE;
        if digit == 0 {
            break;
        }
        digits = digits * 10 + digit - 1;
        found = prefixes.get(&digits).map_or(found, |value| value + 1);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intel::table::{Shape, write};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const SHAPE: Shape = Shape { round_keys: false, values: true, block: 4 };

    #[test]
    fn digits_are_one_greater_to_the_base_eleven() {
        let digit = |digit: u64, place| (digit + 1) * BASE.pow(DIGITS - place);
        assert_eq!((key(0), key(7)), (digit(0, 1), digit(7, 1)));
        assert_eq!(key(4915), digit(4, 1) + digit(9, 2) + digit(1, 3) + digit(5, 4));
        let longest: u64 = (1..=15).map(|place| digit(9, place)).sum();
        assert_eq!(key(999_999_999_999_999), longest);
    }

    #[test]
    fn numbers_sort_like_words() {
        let sorted = [1, 10, 100, 1000, 11, 19, 1_999_999, 2, 2_000_000, 39, 399, 4, 999_999_999_999_999];
        assert!(sorted.windows(2).all(|pair| key(pair[0]) < key(pair[1])));
        assert_eq!(key(0), key(0));
    }

    #[test]
    fn the_longest_prefix_counts() {
        let prefixes = BTreeMap::from([(1, 10), (1242, 11), (124_299, 12), (399, 13), (4, 14)]);
        let bytes = write(SHAPE, &entries(&prefixes)).unwrap();
        let table = Table::new(&bytes).unwrap();
        for (number, want) in [
            (16_502_530_000, Some(10)),
            (12_422_980_000, Some(11)),
            (12_429_900_000, Some(12)),
            (124_299, Some(12)),
            (12_429, Some(11)),
            (1_243_000_000, Some(10)),
            (3_989_999_999, None),
            (3_999_999_999, Some(13)),
            (39, None),
            (4_000_000_000, Some(14)),
            (5_000_000_000, None),
        ] {
            assert_eq!(longest(&table, number), want, "{number}");
        }
    }

    proptest! {
        #[test]
        fn as_searching_each_length(
            prefixes in proptest::collection::btree_map(1_u64..9999, 0_u32..50, 0..80),
            numbers in proptest::collection::vec(1_u64..9_999_999, 0..50),
        ) {
            let bytes = write(SHAPE, &entries(&prefixes)).unwrap();
            let table = Table::new(&bytes).unwrap();
            for number in numbers {
                let text = number.to_string();
                let lengths = (1..=text.len()).rev();
                let want = lengths.filter_map(|n| prefixes.get(&text[..n].parse().unwrap())).next().copied();
                prop_assert_eq!(longest(&table, number), want, "{}", number);
            }
        }
    }
}
