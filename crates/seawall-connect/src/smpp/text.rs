//! Reading text by its data coding.

use seawall_core::segments::gsm7_decode;

/// Text of an inbound message. Never fails: what is not valid becomes a replacement character.
pub(super) fn decode(body: &[u8], data_coding: u8) -> String {
    match alphabet(data_coding) {
        Alphabet::Gsm7 => gsm7_decode(body),
        Alphabet::Ucs2 => utf16(body),
        Alphabet::Latin1 => latin1(body),
    }
}

/// Text of a receipt. SMSCs write it in ASCII whatever they announce, and in GSM-7 an id's `_` would
/// become `§`.
pub(super) fn decode_receipt(body: &[u8], data_coding: u8) -> String {
    // Real UCS-2 of ASCII has a zero before each character.
    let wide = alphabet(data_coding) == Alphabet::Ucs2 && body.first() == Some(&0);
    if wide { utf16(body) } else { latin1(body) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    Gsm7,
    Ucs2,
    Latin1,
}

/// SMPP 3.4 §5.2.19 with GSM 03.38's message classes. Binary is read as Latin-1, which loses nothing.
fn alphabet(data_coding: u8) -> Alphabet {
    match data_coding {
        0x00 => Alphabet::Gsm7,
        0x08 | 0x18 | 0xE0..=0xEF => Alphabet::Ucs2,
        0x10..=0x17 | 0xC0..=0xDF => Alphabet::Gsm7,
        0xF0..=0xFF if data_coding & 0x04 == 0 => Alphabet::Gsm7,
        _ => Alphabet::Latin1,
    }
}

fn latin1(body: &[u8]) -> String {
    body.iter().map(|byte| char::from(*byte)).collect()
}

fn utf16(body: &[u8]) -> String {
    let units = body.chunks(2).map(|pair| match pair {
        [high, low] => u16::from_be_bytes([*high, *low]),
        // An odd last byte belongs to no character.
        _ => 0xFFFD,
    });
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decodes_by_data_coding() {
        assert_eq!(decode(b"\x00STOP", 0), "@STOP");
        assert_eq!(decode(b"Gr\xFC\xDFe", 3), "Grüße");
        assert_eq!(decode(&[0x78, 0x01, 0xD8, 0x3D, 0xDE, 0x00], 8), "码😀");
        assert_eq!(decode(&[0x78], 8), "\u{FFFD}");
    }

    #[test]
    fn receipts_are_ascii_whatever_they_announce() {
        assert_eq!(decode_receipt(b"id:a_b stat:DELIVRD", 0), "id:a_b stat:DELIVRD");
        assert_eq!(decode_receipt(b"id:1", 8), "id:1");
        assert_eq!(decode_receipt(b"\0i\0d\0:\x001", 8), "id:1");
    }

    proptest! {
        #[test]
        fn never_fails(body in proptest::collection::vec(any::<u8>(), 0..300), coding: u8) {
            let _ = decode(&body, coding);
            let _ = decode_receipt(&body, coding);
        }
    }
}
