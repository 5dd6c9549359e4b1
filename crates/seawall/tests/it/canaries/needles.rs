//! What is planted, and where it turns up again: in clear, as hexadecimal digits, base64, UTF-16, or a whole number.

use std::collections::{BTreeSet, HashMap};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Something that nobody may find afterwards.
#[derive(Clone)]
pub struct Canary {
    /// Through which interface it came in.
    pub label: String,
    /// The text that is looked for: of a number its national digits, which every spelling holds.
    pub text: String,
    /// The number, if it is one.
    pub number: Option<u64>,
}

/// Every spelling of what was planted, by how it begins.
pub struct Needles(HashMap<[u8; START], Vec<(Vec<u8>, String)>>);

const START: usize = 5;

impl Needles {
    pub fn of(canaries: &[Canary]) -> Self {
        let mut all: HashMap<[u8; START], Vec<(Vec<u8>, String)>> = HashMap::new();
        for canary in canaries {
            for (how, bytes) in spellings(canary) {
                let start = bytes[..START].try_into().unwrap();
                all.entry(start).or_default().push((bytes, format!("{} ({how})", canary.label)));
            }
        }
        Needles(all)
    }

    /// What of it stands in some bytes.
    pub fn within(&self, bytes: &[u8]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for at in 0..bytes.len().saturating_sub(START - 1) {
            let start: [u8; START] = bytes[at..at + START].try_into().unwrap();
            for (needle, label) in self.0.get(&start).into_iter().flatten() {
                if bytes[at..].starts_with(needle) {
                    found.insert(label.clone());
                }
            }
        }
        found
    }
}

fn spellings(canary: &Canary) -> Vec<(&'static str, Vec<u8>)> {
    let text = canary.text.as_bytes();
    let hex: String = text.iter().map(|b| format!("{b:02x}")).collect();
    let mut all = vec![
        ("clear", text.to_vec()),
        ("hex", hex.clone().into_bytes()),
        ("hex", hex.to_uppercase().into_bytes()),
        ("UTF-16", canary.text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("UTF-16", canary.text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
    ];
    for shift in 0..3 {
        all.push(("base64", in_base64(&STANDARD, text, shift)));
        all.push(("base64url", in_base64(&URL_SAFE, text, shift)));
    }
    if let Some(number) = canary.number {
        // Without the zeros before them, as SQLite writes integers.
        let zeros = usize::try_from(number.leading_zeros() / 8).unwrap();
        let bytes = number.to_be_bytes()[zeros..].to_vec();
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        all.push(("integer", bytes));
        all.push(("integer in hex", hex.into_bytes()));
        all.push(("integer", number.to_le_bytes()[..8 - zeros].to_vec()));
        all.push(("varint", varint(number)));
    }
    all
}

/// The characters of base64 that depend on the text alone, when so many bytes stand before it.
fn in_base64(engine: &impl Engine, text: &[u8], shift: usize) -> Vec<u8> {
    let mut bytes = vec![0; shift];
    bytes.extend_from_slice(text);
    let whole = bytes.len() / 3 * 4;
    let encoded = engine.encode(&bytes).into_bytes();
    encoded[[0, 2, 3][shift]..whole].to_vec()
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while number > 0x7f {
        out.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap());
    out
}

#[test]
fn every_spelling_is_found() {
    let canary =
        Canary { label: "x".to_owned(), text: "15112345678".to_owned(), number: Some(4_915_112_345_678) };
    let needles = Needles::of(&[canary]);
    let number = 4_915_112_345_678_u64;
    let utf16: Vec<u8> = "+4915112345678".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let padded = |n: usize| STANDARD.encode(format!("{}+4915112345678 and more", "z".repeat(n))).into_bytes();
    for hidden in [
        b"to=+49 15112345678".to_vec(),
        b"\\x2b34393135313132333435363738".to_vec(),
        utf16,
        padded(0),
        padded(1),
        padded(2),
        number.to_be_bytes().to_vec(),
        number.to_le_bytes().to_vec(),
        [b"before".to_vec(), varint(number)].concat(),
    ] {
        assert!(!needles.within(&hidden).is_empty(), "{}", String::from_utf8_lossy(&hidden));
    }
    assert!(needles.within(b"+4915112345679 49151 1234 5678").is_empty());
}
