//! Values as logs spell them: times, money, numbers, and whether a message arrived.

use chrono::{DateTime, NaiveDateTime};
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;

use super::record::{Learned, Passed, Record, Wrong};

/// Spellings without a zone, which is UTC then.
const PLAIN: [&str; 4] =
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y/%m/%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"];

/// A time, and whether it named its zone.
pub(super) fn time(record: &Record, names: &[&str], learned: &mut Learned) -> Result<Timestamp, Wrong> {
    let text = record.need(names)?;
    let zoned = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_rfc2822(text))
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f %z"));
    if let Ok(at) = zoned {
        return Ok(Timestamp::from_millis(at.timestamp_millis()));
    }
    let bare = text.strip_suffix("UTC").map(str::trim_end);
    let read =
        |text: &str| PLAIN.iter().find_map(|spelling| NaiveDateTime::parse_from_str(text, spelling).ok());
    learned.no_zone |= bare.is_none();
    match read(bare.unwrap_or(text)) {
        Some(at) => Ok(Timestamp::from_millis(at.and_utc().timestamp_millis())),
        None => Err(record.wrong(names, format!("`{text}` is no time such as 2026-01-05T10:00:00Z"))),
    }
}

/// A price in US dollars, as micro-units. Providers write what is charged below zero.
pub(super) fn price(
    record: &Record,
    names: &[&str],
    currency: &[&str],
    learned: &mut Learned,
) -> Result<Option<u64>, Wrong> {
    let Some(text) = record.get(names) else {
        learned.no_price = true;
        return Ok(None);
    };
    let micros =
        micros(text).ok_or_else(|| record.wrong(names, format!("`{text}` is no amount such as 0.0075")))?;
    learned.foreign_price = !record.get(currency).unwrap_or("USD").eq_ignore_ascii_case("USD");
    Ok((!learned.foreign_price).then_some(micros))
}

/// `-0.00750` is 7500.
fn micros(text: &str) -> Option<u64> {
    let text = text.trim_start_matches(['-', '+', '$']);
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && part.is_empty() || !digits(whole) || !digits(part) {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part: String = part.chars().chain(std::iter::repeat('0')).take(6).collect();
    whole.checked_mul(1_000_000)?.checked_add(part.parse().ok()?)
}

/// The recipient in E.164, or why the row is passed over.
pub(super) fn number(text: &str) -> Result<String, Passed> {
    let digits = text.trim_start_matches("00").trim_start_matches('+');
    if digits.contains(['x', 'X', '*']) {
        return Err(Passed::Masked);
    }
    match Msisdn::parse(&format!("+{digits}"), None) {
        Ok(number) => Ok(number.msisdn.to_e164()),
        Err(_) => Err(Passed::NoNumber),
    }
}

/// What a receipt said, where one came.
pub(super) fn delivered(status: Option<&str>) -> Option<bool> {
    match status?.to_ascii_lowercase().as_str() {
        "delivered" | "read" => Some(true),
        "undelivered" | "failed" | "rejected" | "canceled" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_providers_write_them() {
        for text in [
            "2026-01-05T10:00:00Z",
            "2026-01-05T18:00:00+08:00",
            "Mon, 05 Jan 2026 10:00:00 +0000",
            "2026-01-05 10:00:00 UTC",
            "2026-01-05 10:00:00 +0000",
            "2026-01-05 10:00:00",
            "2026-01-05T10:00:00.000",
        ] {
            let record = Record {
                place: "line 2".to_owned(),
                cells: vec![("at".to_owned(), text.to_owned())],
                table: true,
            };
            let mut learned = Learned::default();
            let read = time(&record, &["at"], &mut learned).unwrap();
            assert_eq!(read.to_rfc3339(), "2026-01-05T10:00:00.000Z", "{text}");
            assert_eq!(learned.no_zone, !text.contains(['Z', '+', 'U']), "{text}");
        }
        let record = Record {
            place: "line 2".to_owned(),
            cells: vec![("at".to_owned(), "5 January".to_owned())],
            table: true,
        };
        let wrong = time(&record, &["at"], &mut Learned::default()).unwrap_err().to_string();
        assert_eq!(wrong, "line 2, column 1 (`at`): `5 January` is no time such as 2026-01-05T10:00:00Z");
    }

    #[test]
    fn money_is_read_without_rounding() {
        for (text, want) in [
            ("-0.00750", Some(7500)),
            ("0.1411", Some(141_100)),
            (".5", Some(500_000)),
            ("2", Some(2_000_000)),
        ] {
            assert_eq!(micros(text), want, "{text}");
        }
        for text in ["", "-", ".", "1,5", "free", "99999999999999999999"] {
            assert_eq!(micros(text), None, "{text}");
        }
    }

    #[test]
    fn hidden_digits_are_told_from_no_number() {
        assert_eq!(number("6591234567"), Ok("+6591234567".to_owned()));
        assert_eq!(number("+63922110xxxx"), Err(Passed::Masked));
        assert_eq!(number("72345"), Err(Passed::NoNumber));
    }
}
