//! One-time codes: their shapes, how one is made from key material, and how one is compared.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// How long a code may be, its dash included.
const LENGTHS: RangeInclusive<u8> = 3..=10;
/// Room for any code; presented texts that are longer match nothing.
const COMPARED: usize = 16;
/// One block nearly always suffices; a stream that rejects this many is not random at all.
const MAX_BLOCKS: u32 = 16;

const DIGITS: &[u8] = b"0123456789";
const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CAPITALS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Capitals and digits without the letters that are easily taken for a digit.
const EASY: &[u8] = b"0123456789ABCDEFGHJKLMNPRTUVWXY";

/// What a code is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CodeType {
    /// Digits.
    #[default]
    Numeric,
    /// Digits with a dash in the middle, which counts in the length.
    NumericWithDash,
    /// Digits, capitals and small letters; case matters.
    Alphanumeric,
    /// Digits and capitals.
    AlphanumericCapitals,
    /// Digits and capitals without I, O, Q, S and Z.
    AlphanumericEasy,
}

/// A kind and a length that go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CodeShape {
    kind: CodeType,
    length: u8,
}

/// Why a code or its shape is refused. No message repeats the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// The length asked for is out of bounds.
    #[error("a code has 3 to 10 characters; {0} were asked for")]
    Length(u8),
    /// The code that was given is out of bounds.
    #[error("a code has 3 to 10 characters, at least 3 of them letters or digits")]
    GivenLength,
    /// The code that was given has a character that nobody could type back.
    #[error("a code has letters A-Z, digits and dashes only")]
    GivenCharacter,
}

/// A one-time code. Neither `Debug` nor `Display` shows it, and it has no `==`: use [`Code::matches`].
#[derive(Clone)]
pub struct Code {
    text: String,
    case_matters: bool,
}

impl CodeType {
    fn alphabet(self) -> &'static [u8] {
        match self {
            CodeType::Numeric | CodeType::NumericWithDash => DIGITS,
            CodeType::Alphanumeric => LETTERS,
            CodeType::AlphanumericCapitals => CAPITALS,
            CodeType::AlphanumericEasy => EASY,
        }
    }
}

impl CodeShape {
    /// Checks the length: 3 to 10.
    pub fn new(kind: CodeType, length: u8) -> Result<Self, CodeError> {
        if LENGTHS.contains(&length) {
            Ok(CodeShape { kind, length })
        } else {
            Err(CodeError::Length(length))
        }
    }

    /// What the code is made of.
    pub fn kind(self) -> CodeType {
        self.kind
    }

    /// How many characters it has, its dash included.
    pub fn length(self) -> u8 {
        self.length
    }

    /// How many random characters precede the dash, if this shape has one: half of them, rounded down.
    fn dash_after(self) -> Option<usize> {
        let dashed = self.kind == CodeType::NumericWithDash && self.length > *LENGTHS.start();
        dashed.then(|| usize::from(self.length.saturating_sub(1) / 2))
    }

    /// How many characters carry randomness.
    fn symbols(self) -> usize {
        usize::from(self.length).saturating_sub(usize::from(self.dash_after().is_some()))
    }
}

impl Code {
    /// Makes a code from key material: `key_stream` gives block 0, 1, … of the output of a keyed function.
    /// The same stream and shape always give the same code.
    pub fn derive(key_stream: &mut dyn FnMut(u32) -> [u8; 32], shape: CodeShape) -> Code {
        let alphabet = shape.kind.alphabet();
        let mut text: String = (0..MAX_BLOCKS)
            .flat_map(key_stream)
            .filter_map(|byte| unbiased(byte, alphabet))
            .take(shape.symbols())
            .collect();
        // Only a broken stream leaves a gap: the code is worthless then, but it has its shape and we do
        // not hang.
        text.extend(std::iter::repeat_n('0', shape.symbols().saturating_sub(text.len())));
        if let Some(at) = shape.dash_after() {
            text.insert(at.min(text.len()), '-');
        }
        Code { text, case_matters: shape.kind == CodeType::Alphanumeric }
    }

    /// A code that the caller chose. Case matters if it has small letters.
    pub fn given(text: &str) -> Result<Code, CodeError> {
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(CodeError::GivenCharacter);
        }
        let symbols = text.bytes().filter(|byte| *byte != b'-').count();
        let fits = u8::try_from(text.len()).is_ok_and(|length| LENGTHS.contains(&length));
        if !fits || symbols < usize::from(*LENGTHS.start()) {
            return Err(CodeError::GivenLength);
        }
        let case_matters = text.bytes().any(|byte| byte.is_ascii_lowercase());
        Ok(Code { text: text.to_owned(), case_matters })
    }

    /// The code itself, for the message that carries it.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Compares in a time that does not depend on where the texts differ. Dashes, and white space around
    /// the text, do not count; nor does case, unless the code has both.
    pub fn matches(&self, presented: &str) -> bool {
        let known = comparable(&self.text, self.case_matters);
        match (known, comparable(presented.trim(), self.case_matters)) {
            (Some(known), Some(presented)) => same(&known, &presented),
            _ => false,
        }
    }
}

/// The symbol that a byte stands for. Bytes past the last whole multiple of the alphabet would favour its
/// first symbols, so they stand for none.
fn unbiased(byte: u8, alphabet: &[u8]) -> Option<char> {
    let byte = usize::from(byte);
    let whole = 256_usize.checked_div(alphabet.len())?.saturating_mul(alphabet.len());
    let symbol = alphabet.get(byte.checked_rem(alphabet.len())?)?;
    (byte < whole).then_some(char::from(*symbol))
}

/// Letters and digits without dashes, padded with zero bytes, which no text can contain.
fn comparable(text: &str, case_matters: bool) -> Option<[u8; COMPARED]> {
    let mut out = [0; COMPARED];
    let mut places = out.iter_mut();
    for byte in text.bytes().filter(|byte| *byte != b'-') {
        if !byte.is_ascii_alphanumeric() {
            return None;
        }
        *places.next()? = if case_matters { byte } else { byte.to_ascii_uppercase() };
    }
    Some(out)
}

/// Equality without an early exit; `black_box` keeps the compiler from adding one.
fn same(a: &[u8; COMPARED], b: &[u8; COMPARED]) -> bool {
    let difference = a.iter().zip(b).fold(0, |all, (x, y)| std::hint::black_box(all | (x ^ y)));
    difference == 0
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[code]")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[code]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KINDS: [CodeType; 5] = [
        CodeType::Numeric,
        CodeType::NumericWithDash,
        CodeType::Alphanumeric,
        CodeType::AlphanumericCapitals,
        CodeType::AlphanumericEasy,
    ];

    /// SplitMix64: plain, and even enough to stand in for HMAC.
    fn mix(value: u64) -> u64 {
        let z = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn block(seed: u64, index: u32) -> [u8; 32] {
        let mut out = [0; 32];
        for (word, chunk) in out.chunks_exact_mut(8).enumerate() {
            chunk.copy_from_slice(&mix(mix(seed) ^ u64::from(index) << 8 ^ (word as u64 + 1)).to_le_bytes());
        }
        out
    }

    fn derive(seed: u64, kind: CodeType, length: u8) -> String {
        let shape = CodeShape::new(kind, length).unwrap();
        Code::derive(&mut |index| block(seed, index), shape).reveal().to_owned()
    }

    fn given(text: &str) -> Code {
        Code::given(text).unwrap()
    }

    #[test]
    fn the_dash_is_in_the_middle_or_left_of_it() {
        for (length, left, right) in
            [(4, 1, 2), (5, 2, 2), (6, 2, 3), (7, 3, 3), (8, 3, 4), (9, 4, 4), (10, 4, 5)]
        {
            let code = derive(1, CodeType::NumericWithDash, length);
            let (a, b) = code.split_once('-').unwrap();
            assert_eq!((a.len(), b.len()), (left, right), "{length}");
        }
        assert!(!derive(1, CodeType::NumericWithDash, 3).contains('-'));
    }

    #[test]
    fn lengths_are_bounded() {
        for length in [0, 1, 2, 11, 255] {
            assert_eq!(CodeShape::new(CodeType::Numeric, length), Err(CodeError::Length(length)));
        }
        for text in ["", "12", "1-2", "---", "12345678901", "1234-567890"] {
            assert_eq!(Code::given(text).err(), Some(CodeError::GivenLength), "{text}");
        }
        for text in ["12 34", "1234\n", "１２３４", "12é4"] {
            assert_eq!(Code::given(text).err(), Some(CodeError::GivenCharacter), "{text}");
        }
    }

    /// 10^5 codes of each kind: every place is even (χ² below its 1-in-100,000 point), zeros in front too.
    #[test]
    fn codes_are_even_in_every_place() {
        for kind in KINDS {
            let alphabet = kind.alphabet();
            let mut counts = [[0_u32; 128]; 6];
            for seed in 0..100_000 {
                let length = if kind == CodeType::NumericWithDash { 7 } else { 6 };
                let code = derive(seed, kind, length);
                assert_eq!(code.len(), usize::from(length));
                for (place, byte) in code.bytes().filter(|byte| *byte != b'-').enumerate() {
                    counts[place][usize::from(byte)] += 1;
                }
            }
            let expected = 100_000.0 / alphabet.len() as f64;
            let freedom = alphabet.len() as f64 - 1.0;
            let bound = freedom + 4.3 * (2.0 * freedom).sqrt() + 12.2;
            for place in counts {
                assert_eq!(alphabet.iter().map(|b| place[usize::from(*b)]).sum::<u32>(), 100_000);
                let chi: f64 = alphabet
                    .iter()
                    .map(|b| (f64::from(place[usize::from(*b)]) - expected).powi(2) / expected)
                    .sum();
                assert!(chi < bound, "{kind:?}: {chi} of {bound}");
            }
        }
    }

    #[test]
    fn rejected_bytes_are_skipped_and_more_blocks_are_read() {
        let shape = CodeShape::new(CodeType::Numeric, 4).unwrap();
        let mut asked = Vec::new();
        let code = Code::derive(
            &mut |index| {
                asked.push(index);
                if index == 0 { [255; 32] } else { [17; 32] }
            },
            shape,
        );
        assert_eq!((code.reveal(), asked), ("7777", vec![0, 1]));
        assert_eq!(Code::derive(&mut |_| [255; 32], shape).reveal(), "0000");
    }

    #[test]
    fn matching_is_kind_but_not_loose() {
        assert!(given("231-461").matches("231461"));
        assert!(given("231461").matches(" 231-461\n"));
        assert!(given("AB12").matches("ab12"));
        assert!(!given("aB12").matches("AB12"));
        assert!(given("aB12").matches("aB12"));
        for wrong in
            ["", "-", "23146", "2314611", "231461\0", "2314\u{a0}61", "２３１４６１", "231462", "331461"]
        {
            assert!(!given("231461").matches(wrong), "{wrong:?}");
        }
        assert!(!given("231461").matches(&"2".repeat(10_000)));
    }

    #[test]
    fn case_matters_only_for_mixed_case() {
        let shape = CodeShape::new(CodeType::Alphanumeric, 10).unwrap();
        let code = Code::derive(&mut |_| [10; 32], shape);
        assert_eq!(code.reveal(), "AAAAAAAAAA");
        assert!(code.matches("AAAAAAAAAA") && !code.matches("aaaaaaaaaa"));
        let shape = CodeShape::new(CodeType::AlphanumericEasy, 10).unwrap();
        assert!(Code::derive(&mut |_| [10; 32], shape).matches("aaaaaaaaaa"));
    }

    #[test]
    fn a_code_is_never_printed() {
        assert_eq!(format!("{0} {0:?}", given("231461")), "[code] [code]");
        assert!(!CAPITALS.iter().any(u8::is_ascii_lowercase));
        assert!(!EASY.iter().any(|byte| b"IOQSZ".contains(byte)));
        assert_eq!((EASY.len(), LETTERS.len()), (31, 62));
    }

    #[test]
    fn names_are_those_of_the_api() {
        let names =
            ["NUMERIC", "NUMERIC_WITH_DASH", "ALPHANUMERIC", "ALPHANUMERIC_CAPITALS", "ALPHANUMERIC_EASY"];
        for (kind, name) in KINDS.into_iter().zip(names) {
            assert_eq!(serde_json::to_value(kind).unwrap(), name);
        }
    }

    proptest! {
        #[test]
        fn a_code_matches_itself_and_no_other(
            seed: u64,
            other: u64,
            kind in 0..5_usize,
            length in 3..=10_u8,
        ) {
            let shape = CodeShape::new(KINDS[kind], length).unwrap();
            let code = Code::derive(&mut |index| block(seed, index), shape);
            prop_assert!(code.matches(code.reveal()));
            let second = derive(other, KINDS[kind], length);
            prop_assert_eq!(code.matches(&second), code.reveal() == second);
            prop_assert!(given(code.reveal()).matches(code.reveal()));
        }

        #[test]
        fn never_panics(text in ".{0,30}") {
            if let Ok(code) = Code::given(&text) {
                prop_assert!(code.matches(&text));
            }
            prop_assert_eq!(given("1234").matches(&text), text.trim().replace('-', "") == "1234");
        }
    }
}
