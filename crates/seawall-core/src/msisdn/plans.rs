//! The numbering plans of all countries as one automaton: what a valid international number is, in a step a digit.
//!
//! The library answers the same from thousands of patterns that it compiles as it meets them. `cargo xtask data`
//! folds these patterns into this table; what the table does not know (invalid numbers, and those that the library
//! might rewrite) is asked of the library.
//!
//! ```text
//! header   "SWP1", classes (u16), shapes (u16), the place of the first state (u16), zero (u16)
//! classes  a country's two letters, the index of a kind of line in KINDS, zero
//! shapes   for each digit, the target of a state that it leads to (from 1 on); 16 bytes each
//! words    u16 each; for a state: one more than its class (zero: no number ends here), its shape, its targets
//! ```
//!
//! A state's place is that of its shape among the words; place 1 is the state that leads nowhere. Integers are
//! little-endian.

use crate::country::Country;

use super::NumberKind;

/// What the table begins with.
pub const MAGIC: &[u8; 4] = b"SWP1";
const HEADER: usize = 12;
/// Bytes of a class.
pub const CLASS: usize = 4;
/// Bytes of a shape: a power of two, so that it is found by a shift.
pub const SHAPE: usize = 16;
/// E.164 allows fifteen.
const MAX_DIGITS: usize = 15;
/// The state that leads nowhere.
const DEAD: u16 = 1;
/// Kinds of line in the order of their indexes in the table.
pub const KINDS: [NumberKind; 11] = [
    NumberKind::FixedLine,
    NumberKind::Mobile,
    NumberKind::FixedLineOrMobile,
    NumberKind::TollFree,
    NumberKind::PremiumRate,
    NumberKind::SharedCost,
    NumberKind::Voip,
    NumberKind::PersonalNumber,
    NumberKind::Pager,
    NumberKind::Uan,
    NumberKind::Voicemail,
];

/// What a valid number is: its country and its kind of line.
pub type Class = (Country, NumberKind);

/// The tracked table.
pub static PLANS: Plans<'static> = match Plans::new(include_bytes!("../../../../data/number_plans.bin")) {
    Some(plans) => plans,
    None => Plans { classes: &[], shapes: &[], words: &[], first: DEAD },
};

/// The table over its bytes. Damaged bytes give wrong answers or none, never a panic.
#[derive(Clone, Copy, Debug)]
pub struct Plans<'a> {
    classes: &'a [[u8; CLASS]],
    shapes: &'a [[u8; SHAPE]],
    words: &'a [[u8; 2]],
    first: u16,
}

impl<'a> Plans<'a> {
    /// Reads the header. `None` if these bytes are no table.
    pub const fn new(bytes: &'a [u8]) -> Option<Self> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return None };
        let [m, a, g, i, c0, c1, s0, s1, f0, f1, _, _] = *header;
        if u32::from_le_bytes([m, a, g, i]) != u32::from_le_bytes(*MAGIC) {
            return None;
        }
        let classes = u16::from_le_bytes([c0, c1]) as usize * CLASS;
        let shapes = u16::from_le_bytes([s0, s1]) as usize * SHAPE;
        let Some((classes, rest)) = rest.split_at_checked(classes) else { return None };
        let Some((shapes, words)) = rest.split_at_checked(shapes) else { return None };
        Some(Plans {
            classes: classes.as_chunks().0,
            shapes: shapes.as_chunks().0,
            words: words.as_chunks().0,
            first: u16::from_le_bytes([f0, f1]),
        })
    }

    /// The number that these ASCII digits are, and its class. `None` if the table does not know it, or if a byte is
    /// no digit.
    pub fn find(&self, digits: &[u8]) -> Option<(u64, Class)> {
        if digits.len() > MAX_DIGITS {
            return None;
        }
        let (mut value, mut state) = (0_u64, self.first);
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            state = self.next(state, digit)?;
        }
        Some((value, self.class(self.word(usize::from(state).checked_sub(1)?)?.checked_sub(1)?)?))
    }

    #[inline]
    fn next(&self, state: u16, digit: u8) -> Option<u16> {
        let shape = self.shapes.get(usize::from(self.word(usize::from(state))?))?;
        self.word(usize::from(state) + usize::from(*shape.get(usize::from(digit))?))
    }

    #[inline]
    fn word(&self, at: usize) -> Option<u16> {
        self.words.get(at).map(|word| u16::from_le_bytes(*word))
    }

    fn class(&self, index: u16) -> Option<Class> {
        let [first, second, kind, _] = *self.classes.get(usize::from(index))?;
        Some((Country::from_letters([first, second])?, *KINDS.get(usize::from(kind))?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Msisdn, MsisdnError, ParsedNumber, read, settle};
    use super::*;
    use proptest::prelude::*;
    use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType};

    /// Numbers that one case compares.
    const EACH: usize = 100;

    /// What the library says, without the table.
    fn library(number: &str) -> Result<ParsedNumber, MsisdnError> {
        settle(read(number, None)?)
    }

    fn same(digits: &str) -> bool {
        let number = format!("+{digits}");
        let (ours, theirs) = (Msisdn::parse(&number, None), library(&number));
        assert_eq!(ours, theirs, "{number}");
        assert_eq!(Msisdn::parse(digits, None), theirs, "{digits}");
        PLANS.find(digits.as_bytes()).is_some()
    }

    /// Numbers by a generator of its own, so that a case is one seed.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % end
        }

        fn digit(&mut self) -> char {
            char::from(b'0' + self.below(10) as u8)
        }

        /// A number that the table knows, by a random way through it: each state that a state leads to is taken
        /// as often as another, however few digits lead there.
        fn known(&mut self) -> String {
            let (mut state, mut digits) = (PLANS.first, String::new());
            loop {
                let ends = PLANS.word(usize::from(state) - 1) != Some(0);
                let mut ways: Vec<(u16, Vec<char>)> = Vec::new();
                for digit in 0..10 {
                    let next = PLANS.next(state, digit).unwrap();
                    let digit = char::from(b'0' + digit);
                    match ways.iter_mut().find(|way| way.0 == next) {
                        Some(way) => way.1.push(digit),
                        None if next != DEAD => ways.push((next, vec![digit])),
                        None => {}
                    }
                }
                if ends && (ways.is_empty() || self.below(3) == 0) {
                    return digits;
                }
                let (next, by) = &ways[self.below(ways.len())];
                digits.push(by[self.below(by.len())]);
                state = *next;
            }
        }

        /// Almost this number: a digit changed, left out or put in, the end missing, or more behind it. The first
        /// digit stays: what begins with a zero is not read as international.
        fn almost(&mut self, number: &str) -> String {
            let at = 1 + self.below(number.len() - 1);
            let (before, after) = number.split_at(at);
            let digit = self.digit();
            match self.below(5) {
                0 => format!("{before}{digit}{}", &after[1..]),
                1 => format!("{before}{}", &after[1..]),
                2 => format!("{before}{digit}{after}"),
                3 => before.to_owned(),
                _ => format!("{number}{digit}"),
            }
        }

        /// Any digits behind a calling code.
        fn anything(&mut self, codes: &[i32]) -> String {
            let mut digits = codes[self.below(codes.len())].to_string();
            for _ in 0..self.below(15) {
                digits.push(self.digit());
            }
            digits
        }
    }

    proptest! {
        /// `cargo xtask properties --cases=100000` compares ten million numbers.
        #[test]
        fn the_table_says_what_the_library_says(seed: u64) {
            let mut random = Random(seed);
            let mut codes: Vec<i32> = PHONE_NUMBER_UTIL.get_supported_calling_codes().collect();
            codes.sort_unstable();
            for turn in 0..EACH {
                let number = random.known();
                match turn % 4 {
                    0 => prop_assert!(same(&number)),
                    1 | 2 => drop(same(&random.almost(&number))),
                    _ => drop(same(&random.anything(&codes))),
                }
            }
        }

        #[test]
        fn damage_is_survived(
            junk in proptest::collection::vec(any::<u8>(), 0..300),
            digits in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let bytes = [b"SWP1\x02\0\x01\0\x01\0\0\0".to_vec(), junk].concat();
            let _ = Plans::new(&bytes).map(|plans| (plans.find(&digits), plans.find(b"6591234567")));
        }
    }

    #[test]
    fn example_numbers_of_every_region_and_kind_are_known() {
        use PhoneNumberType::*;
        let kinds = [
            FixedLine,
            Mobile,
            TollFree,
            PremiumRate,
            SharedCost,
            VoIP,
            PersonalNumber,
            Pager,
            UAN,
            VoiceMail,
        ];
        let (mut seen, mut asked) = (0, Vec::new());
        for region in PHONE_NUMBER_UTIL.get_supported_regions() {
            for kind in kinds {
                let example = PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, kind);
                let Ok(number) = example else { continue };
                let text = PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).into_owned();
                seen += 1;
                if !same(&text[1..]) {
                    asked.push(text);
                }
            }
        }
        assert!(
            seen > 1000 && asked.len() < seen / 50,
            "{seen} examples, of which the library is asked {asked:?}"
        );
    }

    #[test]
    fn nearly_every_valid_number_of_the_reference_is_known() {
        let rows = include_str!("../../tests/data/reference.tsv").lines().skip(1);
        let (mut seen, mut known) = (0, 0);
        for number in rows.filter_map(|row| row.split('\t').nth(3)) {
            if library(number).is_ok_and(|number| number.valid) {
                seen += 1;
                known += usize::from(same(&number[1..]));
            }
        }
        assert!(seen > 4_000 && known * 100 > seen * 98, "{known} of {seen}");
    }

    #[test]
    fn what_is_no_number_is_unknown() {
        let find = |text: &str| PLANS.find(text.as_bytes());
        for text in
            ["", "+6591234567", "65 91234567", "0", "999", "65912345678", "6591234567890123456789", "\u{663}"]
        {
            assert_eq!(find(text), None, "{text}");
        }
        assert_eq!(find("6591234567").map(|(value, _)| value), Some(6_591_234_567));
        assert!(Plans::new(b"SWP2\0\0\0\0\0\0\0\0").is_none() && Plans::new(b"").is_none());
    }
}
