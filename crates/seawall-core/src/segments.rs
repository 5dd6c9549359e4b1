//! How many messages a text becomes on the air, and which text each of them carries.
//!
//! A message holds 160 GSM-7 septets or 70 UCS-2 units; a part of a longer one holds 153 or 67, because of
//! its header. One character outside GSM-7 turns 160 characters from one part into three, hence the offender.

use serde::{Deserialize, Serialize};

/// No text may become more parts than this.
pub const MAX_SEGMENTS: usize = 10;

/// The septet that announces a character of the extension table.
const ESCAPE: u8 = 0x1b;

/// The GSM 7-bit default alphabet (3GPP TS 23.038); the place of a character is its code.
const BASIC: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å', // 0x00
    'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\u{1b}', 'Æ', 'æ', 'ß', 'É', // 0x10
    ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/', // 0x20
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?', // 0x30
    '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', // 0x40
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§', // 0x50
    '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', // 0x60
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à', // 0x70
];

/// The extension table: these cost two septets, an escape and the code.
const EXTENSION: [(char, u8); 10] = [
    ('\u{c}', 0x0a),
    ('^', 0x14),
    ('{', 0x28),
    ('}', 0x29),
    ('\\', 0x2f),
    ('[', 0x3c),
    ('~', 0x3d),
    (']', 0x3e),
    ('|', 0x40),
    ('€', 0x65),
];

/// How a message is encoded on the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Encoding {
    /// Seven bits a character, Latin letters and a few Greek ones.
    Gsm7,
    /// Sixteen bits a unit, everything else.
    Ucs2,
}

/// What the caller asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EncodingChoice {
    /// GSM-7 if the text allows it, UCS-2 otherwise.
    #[default]
    Auto,
    /// GSM-7, or a refusal.
    Gsm7,
    /// UCS-2, even where GSM-7 would do.
    Ucs2,
}

/// The cost of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// How the text will be encoded.
    pub encoding: Encoding,
    /// The number of messages, which is what is billed.
    pub segments: u8,
    /// Septets (GSM-7) or 16-bit units (UCS-2) in the whole text.
    pub units: u16,
    /// The first character that forced UCS-2, if the choice was left to us.
    pub offender: Option<char>,
}

/// Why a text cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// Nothing to send.
    #[error("the text is empty")]
    Empty,
    /// More parts than we send.
    #[error(
        "the text needs {segments} parts ({units} units of {encoding:?}); at most 10 are sent, shorten it"
    )]
    TooLong {
        /// How the text would be encoded.
        encoding: Encoding,
        /// How many parts it would need.
        segments: usize,
        /// How many units it has.
        units: usize,
    },
    /// GSM-7 was asked for and the text has something else.
    #[error("the text contains {offender:?}, which GSM7 cannot carry; remove it, or ask for AUTO or UCS2")]
    NotGsm7 {
        /// The first such character.
        offender: char,
    },
}

impl Encoding {
    /// How many units a message that stands alone holds.
    pub fn single_capacity(self) -> usize {
        match self {
            Encoding::Gsm7 => 160,
            Encoding::Ucs2 => 70,
        }
    }

    /// How many units one part of a longer message holds.
    pub fn part_capacity(self) -> usize {
        match self {
            Encoding::Gsm7 => 153,
            Encoding::Ucs2 => 67,
        }
    }

    /// How many units a character takes. GSM-7 has no place for some: they count as one.
    fn width(self, c: char) -> usize {
        match self {
            Encoding::Gsm7 if extension_code(c).is_some() => 2,
            Encoding::Gsm7 => 1,
            Encoding::Ucs2 => c.len_utf16(),
        }
    }
}

/// Counts what a text costs.
pub fn segment(text: &str, choice: EncodingChoice) -> Result<Segmentation, SegmentError> {
    if text.is_empty() {
        return Err(SegmentError::Empty);
    }
    let offender = match choice {
        EncodingChoice::Ucs2 => None,
        EncodingChoice::Auto | EncodingChoice::Gsm7 => text.chars().find(|c| !is_gsm7(*c)),
    };
    let encoding = match (choice, offender) {
        (EncodingChoice::Gsm7, Some(offender)) => return Err(SegmentError::NotGsm7 { offender }),
        (EncodingChoice::Ucs2, _) | (EncodingChoice::Auto, Some(_)) => Encoding::Ucs2,
        (EncodingChoice::Auto | EncodingChoice::Gsm7, None) => Encoding::Gsm7,
    };
    let units = units(text, encoding);
    let segments = cuts(text, encoding).len();
    match (u8::try_from(segments), u16::try_from(units)) {
        (Ok(count), Ok(total)) if segments <= MAX_SEGMENTS => {
            Ok(Segmentation { encoding, segments: count, units: total, offender })
        }
        _ => Err(SegmentError::TooLong { encoding, segments, units }),
    }
}

/// The size of a text that is spoken. It is not cut into parts, so none is too long: beyond [`MAX_SEGMENTS`] it counts
/// as so many. What is empty counts as one.
pub fn spoken(text: &str) -> Segmentation {
    let offender = text.chars().find(|c| !is_gsm7(*c));
    let encoding = if offender.is_some() { Encoding::Ucs2 } else { Encoding::Gsm7 };
    let segments = cuts(text, encoding).len().clamp(1, MAX_SEGMENTS);
    Segmentation {
        encoding,
        segments: u8::try_from(segments).unwrap_or(u8::MAX),
        units: u16::try_from(units(text, encoding)).unwrap_or(u16::MAX),
        offender,
    }
}

/// The text of each part. No character is ever cut in two. Whether a text is GSM-7 at all, [`segment`] says.
pub fn split(text: &str, encoding: Encoding) -> Vec<String> {
    let mut rest = text;
    let mut parts = Vec::new();
    for length in cuts(text, encoding) {
        let (part, tail) = rest.split_at_checked(length).unwrap_or((rest, ""));
        parts.push(part.to_owned());
        rest = tail;
    }
    parts
}

/// The GSM-7 septets of a text, one in each byte (not packed), or nothing if a character has no code.
pub fn gsm7_encode(text: &str) -> Option<Vec<u8>> {
    let mut septets = Vec::with_capacity(text.len());
    for c in text.chars() {
        match basic_code(c) {
            Some(code) => septets.push(code),
            None => septets.extend([ESCAPE, extension_code(c)?]),
        }
    }
    Some(septets)
}

/// The text of unpacked GSM-7 septets. As TS 23.038 says, an unknown extension code shows as the basic
/// character and a lone escape as a space; a byte that is no septet becomes U+FFFD.
pub fn gsm7_decode(septets: &[u8]) -> String {
    let mut text = String::with_capacity(septets.len());
    let mut bytes = septets.iter().copied();
    while let Some(byte) = bytes.next() {
        text.push(match byte {
            ESCAPE => bytes.next().map_or(' ', extension_char),
            _ => basic_char(byte),
        });
    }
    text
}

fn is_gsm7(c: char) -> bool {
    basic_code(c).is_some() || extension_code(c).is_some()
}

fn basic_code(c: char) -> Option<u8> {
    // Most text is of these, and their codes are their ASCII values.
    if c.is_ascii_alphanumeric() || c == ' ' {
        return u8::try_from(c).ok();
    }
    let place = BASIC.iter().position(|known| *known == c && c != char::from(ESCAPE))?;
    u8::try_from(place).ok()
}

fn extension_code(c: char) -> Option<u8> {
    EXTENSION.iter().find(|(known, _)| *known == c).map(|(_, code)| *code)
}

fn basic_char(byte: u8) -> char {
    BASIC.get(usize::from(byte)).copied().unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn extension_char(byte: u8) -> char {
    let known = EXTENSION.iter().find(|(_, code)| *code == byte).map(|(c, _)| *c);
    // A second escape announces a table that does not exist yet: a space, says the standard.
    known.unwrap_or(if byte == ESCAPE { ' ' } else { basic_char(byte) })
}

fn units(text: &str, encoding: Encoding) -> usize {
    text.chars().map(|c| encoding.width(c)).sum()
}

/// The length in bytes of each part: full ones first, each cut before the character that does not fit.
fn cuts(text: &str, encoding: Encoding) -> Vec<usize> {
    if text.is_empty() {
        return Vec::new();
    }
    if units(text, encoding) <= encoding.single_capacity() {
        return vec![text.len()];
    }
    let mut parts = Vec::new();
    let (mut filled, mut length) = (0, 0);
    for c in text.chars() {
        let width = encoding.width(c);
        if filled + width > encoding.part_capacity() {
            parts.push(length);
            (filled, length) = (0, 0);
        }
        filled += width;
        length += c.len_utf8();
    }
    parts.push(length);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn count(text: &str) -> (Encoding, u8, u16) {
        let s = segment(text, EncodingChoice::Auto).unwrap();
        (s.encoding, s.segments, s.units)
    }

    #[test]
    fn the_boundaries() {
        use Encoding::*;
        let (a, u) = (|n| "a".repeat(n), |n| "я".repeat(n));
        assert_eq!(count(&a(1)), (Gsm7, 1, 1));
        assert_eq!(count(&a(160)), (Gsm7, 1, 160));
        assert_eq!(count(&a(161)), (Gsm7, 2, 161));
        assert_eq!(count(&a(306)), (Gsm7, 2, 306));
        assert_eq!(count(&a(307)), (Gsm7, 3, 307));
        assert_eq!(count(&a(1530)), (Gsm7, 10, 1530));
        assert_eq!(count(&u(70)), (Ucs2, 1, 70));
        assert_eq!(count(&u(71)), (Ucs2, 2, 71));
        assert_eq!(count(&u(134)), (Ucs2, 2, 134));
        assert_eq!(count(&u(135)), (Ucs2, 3, 135));
        assert_eq!(count(&u(670)), (Ucs2, 10, 670));
        assert_eq!(
            segment(&a(1531), EncodingChoice::Auto),
            Err(SegmentError::TooLong { encoding: Gsm7, segments: 11, units: 1531 })
        );
        assert_eq!(
            segment(&u(671), EncodingChoice::Auto),
            Err(SegmentError::TooLong { encoding: Ucs2, segments: 11, units: 671 })
        );
        assert!(segment(&a(200_000), EncodingChoice::Auto).is_err());
    }

    #[test]
    fn extension_characters_cost_two_and_stay_whole() {
        for (c, _) in EXTENSION {
            assert_eq!(count(&c.to_string()), (Encoding::Gsm7, 1, 2), "{c:?}");
        }
        assert_eq!(count(&"€".repeat(80)), (Encoding::Gsm7, 1, 160));
        // 306 septets, but 153 is odd: each part loses one, and a third is needed.
        assert_eq!(count(&"€".repeat(153)), (Encoding::Gsm7, 3, 306));
        let text = format!("{}€{}", "a".repeat(152), "b".repeat(10));
        assert_eq!(split(&text, Encoding::Gsm7).first().unwrap().len(), 152);
    }

    #[test]
    fn surrogate_pairs_stay_whole() {
        assert_eq!(count(&"😀".repeat(35)), (Encoding::Ucs2, 1, 70));
        assert_eq!(count(&"😀".repeat(67)), (Encoding::Ucs2, 3, 134));
    }

    #[test]
    fn one_stray_character_is_named() {
        let text = format!("{}\u{2019}s code", "a".repeat(150));
        let got = segment(&text, EncodingChoice::Auto).unwrap();
        assert_eq!((got.segments, got.offender), (3, Some('\u{2019}')));
        assert_eq!(segment(&text, EncodingChoice::Gsm7), Err(SegmentError::NotGsm7 { offender: '\u{2019}' }));
        for c in ['`', 'ç', '\t', '\u{1b}', '\0', '\u{200b}', '\u{2126}', 'α'] {
            let got = segment(&c.to_string(), EncodingChoice::Auto).unwrap();
            assert_eq!((got.encoding, got.offender), (Encoding::Ucs2, Some(c)), "{c:?}");
        }
    }

    #[test]
    fn ucs2_may_be_forced_and_nothing_is_refused() {
        let got = segment(&"a".repeat(71), EncodingChoice::Ucs2).unwrap();
        assert_eq!((got.encoding, got.segments, got.offender), (Encoding::Ucs2, 2, None));
        assert_eq!(segment("", EncodingChoice::Auto), Err(SegmentError::Empty));
        assert!(split("", Encoding::Gsm7).is_empty());
    }

    #[test]
    fn the_alphabet_is_whole() {
        let mut all: Vec<char> = BASIC.into_iter().chain(EXTENSION.map(|(c, _)| c)).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 138);
        let text: String = all.into_iter().filter(|c| *c != '\u{1b}').collect();
        assert_eq!(gsm7_decode(&gsm7_encode(&text).unwrap()), text);
        assert_eq!(gsm7_encode("@£€A").unwrap(), [0, 1, 0x1b, 0x65, 0x41]);
        assert_eq!(gsm7_encode("я"), None);
        assert_eq!(gsm7_decode(&[0x1b]), " ");
        assert_eq!(gsm7_decode(&[0x1b, 0x41, 0x1b, 0x1b, 0x80]), "A \u{fffd}");
    }

    #[test]
    fn names_are_those_of_the_api() {
        for name in ["AUTO", "GSM7", "UCS2"] {
            let choice: EncodingChoice = serde_json::from_value(name.into()).unwrap();
            assert_eq!(serde_json::to_value(choice).unwrap(), name);
        }
        assert_eq!(serde_json::to_value(Encoding::Gsm7).unwrap(), "GSM7");
    }

    proptest! {
        #[test]
        fn parts_are_the_text_and_each_fits(text in r"([a-z€\[]|[я😀a]){1,700}") {
            for choice in [EncodingChoice::Auto, EncodingChoice::Ucs2] {
                let (encoding, segments) = match segment(&text, choice) {
                    Ok(s) => (s.encoding, usize::from(s.segments)),
                    Err(SegmentError::TooLong { encoding, segments, .. }) => (encoding, segments),
                    Err(other) => return Err(TestCaseError::fail(other.to_string())),
                };
                let parts = split(&text, encoding);
                prop_assert_eq!(parts.concat(), text.clone());
                prop_assert_eq!(parts.len(), segments);
                let room = if segments == 1 { encoding.single_capacity() } else { encoding.part_capacity() };
                for part in parts {
                    prop_assert!((1..=room).contains(&units(&part, encoding)));
                }
            }
        }

        #[test]
        fn gsm7_texts_split_and_come_back(text in r"[a-zA-Z0-9 @£Ñ€{}\[\]~^|\\]{1,900}") {
            prop_assert_eq!(gsm7_decode(&gsm7_encode(&text).unwrap()), text.clone());
            let parts = split(&text, Encoding::Gsm7);
            let room = if parts.len() == 1 { 160 } else { 153 };
            prop_assert!(parts.iter().all(|part| gsm7_encode(part).unwrap().len() <= room));
            prop_assert_eq!(parts.concat(), text);
        }

        #[test]
        fn never_panics(text in ".{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = segment(&text, EncodingChoice::Auto);
            let _ = split(&text, Encoding::Gsm7);
            let _ = gsm7_decode(&bytes);
        }
    }
}
