//! Delivery receipts: the text of SMPP 3.4 appendix B, as SMSCs really write it, and the two TLVs.

use seawall_core::time::Timestamp;

use super::deliver::Deliver;
use super::settings::ReceiptId;
use super::text::decode_receipt;
use crate::{ErrorClass, Receipt, ReceiptState};

/// The fields of the text. A longer name comes before a shorter one that ends it.
const FIELDS: [&str; 8] = ["submit date", "done date", "dlvrd", "stat", "text", "err", "sub", "id"];
const ID_AT_MOST: usize = 64;
const CODE_AT_MOST: usize = 16;

/// Understands a receipt. `None` when it names no message or no state.
pub(super) fn read(deliver: &Deliver, ids: ReceiptId) -> Option<Receipt> {
    let text = decode_receipt(&deliver.body, deliver.data_coding);
    let fields = Fields::find(&text);
    let id = deliver.receipted_message_id.as_deref().filter(|id| !id.is_empty()).or(fields.get("id"))?;
    let id: String = id.chars().take(ID_AT_MOST).collect();
    let by_text = fields.get("stat").and_then(state_of_text);
    let (state, class) = by_text.or_else(|| deliver.message_state.and_then(state_of_tlv))?;
    Some(Receipt {
        reference: reference_of_receipt(&id, ids),
        state,
        class,
        code: fields.get("err").map(|code| code.chars().take(CODE_AT_MOST).collect()),
        at: fields.get("done date").and_then(time),
    })
}

/// What a submission's id becomes as reference: canonical where receipts write it another way.
pub(super) fn reference_of_submission(id: &str, ids: ReceiptId) -> Option<String> {
    let converted = match ids {
        ReceiptId::AsGiven => None,
        ReceiptId::Hex => id.parse::<u128>().ok().map(|number| number.to_string()),
        ReceiptId::Decimal => u128::from_str_radix(id, 16).ok().map(|number| format!("{number:x}")),
    };
    Some(converted.unwrap_or_else(|| id.to_owned())).filter(|id| !id.is_empty())
}

fn reference_of_receipt(id: &str, ids: ReceiptId) -> String {
    let converted = match ids {
        ReceiptId::AsGiven => None,
        ReceiptId::Hex => u128::from_str_radix(id, 16).ok().map(|number| number.to_string()),
        ReceiptId::Decimal => id.parse::<u128>().ok().map(|number| format!("{number:x}")),
    };
    converted.unwrap_or_else(|| id.to_owned())
}

fn state_of_text(stat: &str) -> Option<(ReceiptState, Option<ErrorClass>)> {
    let stat = stat.to_ascii_uppercase();
    let failed = |class| (ReceiptState::Failed, Some(class));
    Some(match stat.as_str() {
        "DELIVRD" | "DELIVERED" | "DELIVERD" => (ReceiptState::Delivered, None),
        // ACCEPTD: the network has it; the handset may still not get it.
        "ENROUTE" | "ACCEPTD" | "ACCEPTED" | "SCHEDULED" | "BUFFERED" | "BUFFRED" | "SENT" => {
            (ReceiptState::Sent, None)
        }
        "EXPIRED" => (ReceiptState::Expired, Some(ErrorClass::Expired)),
        "REJECTD" | "REJECTED" | "DELETED" | "SKIPPED" => failed(ErrorClass::Rejected),
        "UNDELIV" | "UNDELIVERABLE" | "UNKNOWN" | "FAILED" => failed(ErrorClass::Unknown),
        _ => return None,
    })
}

fn state_of_tlv(state: u8) -> Option<(ReceiptState, Option<ErrorClass>)> {
    let name = match state {
        0 => "SCHEDULED",
        1 => "ENROUTE",
        2 => "DELIVRD",
        3 => "EXPIRED",
        4 => "DELETED",
        5 => "UNDELIV",
        6 => "ACCEPTD",
        7 => "UNKNOWN",
        8 => "REJECTD",
        9 => "SKIPPED",
        _ => return None,
    };
    state_of_text(name)
}

/// `YYMMDDhhmm[ss]`, taken as UTC.
fn time(text: &str) -> Option<Timestamp> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) || !matches!(text.len(), 10 | 12) {
        return None;
    }
    let pair = |at: usize| text.get(at..at + 2);
    let seconds = pair(10).unwrap_or("00");
    let (year, month, day, hour, minute) = (pair(0)?, pair(2)?, pair(4)?, pair(6)?, pair(8)?);
    Timestamp::parse(&format!("20{year}-{month}-{day}T{hour}:{minute}:{seconds}Z"))
}

/// Where the fields of a receipt's text stand: the first of each name, those before `text:` first.
struct Fields<'t> {
    found: Vec<(&'static str, &'t str)>,
}

impl<'t> Fields<'t> {
    fn find(text: &'t str) -> Self {
        let mut found: Vec<(&'static str, &'t str)> = Vec::new();
        let mut at_word_start = true;
        for (at, character) in text.char_indices() {
            if at_word_start && let Some((name, value)) = text.get(at..).and_then(field) {
                // What follows `text:` is the message itself, so it only fills gaps.
                if !found.iter().any(|(known, _)| *known == name) {
                    found.push((name, value));
                }
            }
            at_word_start = !character.is_alphanumeric() && character != '_';
        }
        Fields { found }
    }

    fn get(&self, name: &str) -> Option<&'t str> {
        self.found.iter().find(|(known, _)| *known == name).map(|(_, value)| *value).filter(|v| !v.is_empty())
    }
}

/// A field's name and value, when `text` starts with one.
fn field(text: &str) -> Option<(&'static str, &str)> {
    FIELDS.into_iter().find_map(|name| {
        let rest = after_name(text, name)?;
        let value = rest.trim_start_matches(' ');
        Some((
            name,
            value.split(|c: char| c.is_whitespace() || c == ',' || c == ';').next().unwrap_or_default(),
        ))
    })
}

/// What follows `name:`; a space in the name may be `_`, several, or none.
fn after_name<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = text;
    for word in name.split(' ') {
        let head = rest.get(..word.len())?;
        if !head.eq_ignore_ascii_case(word) {
            return None;
        }
        rest = rest.get(word.len()..)?.trim_start_matches([' ', '_']);
    }
    rest.strip_prefix(':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio_util::bytes::Bytes;

    fn of_text(text: &str) -> Option<Receipt> {
        let body = Bytes::from(text.to_owned());
        read(&Deliver { body, esm_class: 4, ..Deliver::default() }, ReceiptId::AsGiven)
    }

    #[test]
    fn reads_the_text_of_the_standard() {
        let receipt = of_text(
            "id:0123456789 sub:001 dlvrd:001 submit date:2601051000 done date:2601051001 \
             stat:DELIVRD err:000 text:Hi",
        )
        .unwrap();
        assert_eq!((receipt.reference.as_str(), receipt.state), ("0123456789", ReceiptState::Delivered));
        assert_eq!((receipt.code.as_deref(), receipt.class), (Some("000"), None));
        assert_eq!(receipt.at.unwrap().to_string(), "2026-01-05T10:01:00.000Z");
    }

    #[test]
    fn is_tolerant_of_case_order_spaces_and_separators() {
        for text in [
            "STAT:UNDELIV ID:abc_1 ERR:0A5",
            "id: abc_1 stat: Undeliv err: 0A5 Text: stat:DELIVRD id:evil",
            "sub:1,err:0A5,stat:UNDELIV,id:abc_1",
            "text:hello stat:UNDELIV err:0A5 id:abc_1",
        ] {
            let receipt = of_text(text).unwrap();
            assert_eq!(
                (receipt.reference.as_str(), receipt.state),
                ("abc_1", ReceiptState::Failed),
                "{text}"
            );
            assert_eq!(receipt.code.as_deref(), Some("0A5"), "{text}");
        }
        for text in ["", "hello", "id:1", "stat:DELIVRD", "paid:1 stat:DELIVRD", "id:1 stat:WHATEVER"] {
            assert_eq!(of_text(text), None, "{text}");
        }
    }

    #[test]
    fn every_state_is_known() {
        for (stat, state, class) in [
            ("DELIVRD", ReceiptState::Delivered, None),
            ("ENROUTE", ReceiptState::Sent, None),
            ("ACCEPTD", ReceiptState::Sent, None),
            ("EXPIRED", ReceiptState::Expired, Some(ErrorClass::Expired)),
            ("REJECTD", ReceiptState::Failed, Some(ErrorClass::Rejected)),
            ("DELETED", ReceiptState::Failed, Some(ErrorClass::Rejected)),
            ("UNDELIV", ReceiptState::Failed, Some(ErrorClass::Unknown)),
            ("UNKNOWN", ReceiptState::Failed, Some(ErrorClass::Unknown)),
        ] {
            let receipt = of_text(&format!("id:1 stat:{stat}")).unwrap();
            assert_eq!((receipt.state, receipt.class), (state, class), "{stat}");
        }
    }

    #[test]
    fn tlvs_are_enough() {
        let deliver = Deliver {
            receipted_message_id: Some("77".to_owned()),
            message_state: Some(2),
            ..Deliver::default()
        };
        let receipt = read(&deliver, ReceiptId::AsGiven).unwrap();
        assert_eq!((receipt.reference.as_str(), receipt.state), ("77", ReceiptState::Delivered));
    }

    #[test]
    fn ids_of_receipt_and_submission_meet() {
        for (ids, submitted, receipted) in [
            (ReceiptId::AsGiven, "00AB", "00AB"),
            (ReceiptId::Hex, "171", "00AB"),
            (ReceiptId::Hex, "0171", "ab"),
            (ReceiptId::Decimal, "00AB", "0171"),
            (ReceiptId::Decimal, "not-a-number", "not-a-number"),
        ] {
            let reference = reference_of_submission(submitted, ids).unwrap();
            assert_eq!(reference, reference_of_receipt(receipted, ids), "{ids:?}");
        }
        assert_eq!(reference_of_submission("", ReceiptId::AsGiven), None);
    }

    #[test]
    fn impossible_times_are_left_out() {
        for text in ["2613011000", "260105", "26010510001", "abcdefghij", "²²²²²"] {
            assert_eq!(time(text), None, "{text}");
        }
        assert_eq!(time("260105100159").unwrap().to_string(), "2026-01-05T10:01:59.000Z");
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,200}", coding: u8) {
            let deliver = Deliver { body: Bytes::from(text), data_coding: coding, ..Deliver::default() };
            let _ = read(&deliver, ReceiptId::Hex);
        }

        #[test]
        fn never_panics_on_near_receipts(
            text in "(id|stat|err|done date|submit_date|text| |:|é|\u{0}|DELIVRD|2601051001){0,30}"
        ) {
            let _ = of_text(&text);
        }
    }
}
