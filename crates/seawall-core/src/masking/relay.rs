//! Texts that go through a mask: a party's own number in its text would show what the mask hides.

use std::ops::Range;

use crate::msisdn::Msisdn;

/// Digits of a party's number that are enough to call it at home: fewer are left alone.
const FEWEST: usize = 7;
/// What stands for a number.
const HIDDEN: &str = "[hidden]";

/// Replaces the numbers of either party wherever a text spells them: international with `+` or `00`, or as people at
/// home write it, with any separators between the digits and in any script's digits.
pub fn hide(text: &str, numbers: &[Msisdn]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for run in runs(text) {
        let digits: String = text.get(run.clone()).unwrap_or_default().chars().filter_map(digit).collect();
        let named = |number: &Msisdn| spells(&digits, *number);
        if numbers.iter().any(named) {
            out.push_str(text.get(from..run.start).unwrap_or_default());
            out.push_str(HIDDEN);
            from = run.end;
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// Whether digits hold a number: all of it, or what stands behind its country code.
fn spells(digits: &str, number: Msisdn) -> bool {
    let (whole, national) = (number.digits(), number.national());
    let national: String = national.chars().filter(char::is_ascii_digit).collect();
    let short = national.trim_start_matches('0');
    digits.contains(&whole) || (short.len() >= FEWEST && digits.contains(short))
}

/// The digit, in ASCII, of the scripts that phones write numbers in.
fn digit(c: char) -> Option<char> {
    let zero = match u32::from(c) {
        n @ (0x30..=0x39) => n - 0x30,
        n @ (0x660..=0x669) => n - 0x660,
        n @ (0x6f0..=0x6f9) => n - 0x6f0,
        n @ (0x966..=0x96f) => n - 0x966,
        n @ (0x9e6..=0x9ef) => n - 0x9e6,
        n @ (0xe50..=0xe59) => n - 0xe50,
        n @ (0xff10..=0xff19) => n - 0xff10,
        _ => return None,
    };
    char::from_digit(zero, 10)
}

/// What may stand between the digits of one number.
fn joins(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '-' | '.' | '/' | '(' | ')' | '+' | '_' | ',' | '*' | '\u{2010}'..='\u{2015}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Stretches that begin and end with a digit and hold nothing but digits and what joins them.
fn runs(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut open: Option<Range<usize>> = None;
    for (at, c) in text.char_indices() {
        if digit(c).is_some() {
            let end = at + c.len_utf8();
            open = Some(open.map_or(at, |run| run.start)..end);
        } else if !joins(c) {
            found.extend(open.take());
        }
    }
    found.extend(open);
    // The plus sign belongs to what it stands before.
    found
        .into_iter()
        .map(|run| {
            let plus = text.get(..run.start).is_some_and(|before| before.ends_with('+'));
            run.start.saturating_sub(usize::from(plus))..run.end
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Msisdn {
        Msisdn::from_e164(text).unwrap()
    }

    #[test]
    fn a_number_is_hidden_however_it_is_spelled() {
        let own = [number("+6591234567"), number("+4915123456789")];
        for text in [
            "+6591234567",
            "6591234567",
            "+65 9123 4567",
            "0065-9123-4567",
            "9123 4567",
            "65 (91) 23.45.67",
            "9 1 2 3 4 5 6 7",
            "０１５１２３４５６７８９",
            "٩١٢٣٤٥٦٧",
            "0151/23456789",
            "9123\u{200b}4567",
        ] {
            let hidden = hide(&format!("call me on {text}!"), &own);
            assert_eq!(hidden, "call me on [hidden]!", "{text}");
        }
    }

    #[test]
    fn other_digits_stay() {
        let own = [number("+6591234567")];
        for text in ["see you at 18:30", "order 48812345", "+65 8000 1111", "9123", "", "+", "a+b"] {
            assert_eq!(hide(text, &own), text);
        }
        assert_eq!(hide("5 pm, not 6", &own), "5 pm, not 6");
    }

    proptest! {
        #[test]
        fn no_spelling_gets_through(
            before in "[a-z ]{0,9}", after in "[a-z !]{0,9}",
            gaps in prop::collection::vec(prop::sample::select(vec!["", " ", "-", ".", " - ", "/"]), 12),
        ) {
            let own = number("+6591234567");
            let spelled: String = own.digits().chars().zip(gaps).map(|(c, gap)| format!("{c}{gap}")).collect();
            let hidden = hide(&format!("{before}{spelled}{after}"), &[own]);
            let digits: String = hidden.chars().filter_map(digit).collect();
            prop_assert!(!digits.contains("91234567"), "{}", hidden);
        }

        #[test]
        fn any_text_is_taken(text in ".*") {
            let _ = hide(&text, &[number("+6591234567")]);
        }
    }
}
