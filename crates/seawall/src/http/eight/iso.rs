//! Times as 8x8's clients write them: any ISO 8601 spelling. Without an offset they are UTC.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use seawall_core::time::Timestamp;

const WITH_OFFSET: [&str; 3] = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z", "%Y%m%dT%H%M%S%.f%#z"];
const WITHOUT: [&str; 3] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y%m%dT%H%M%S"];

/// Reads a date and time; a date alone is its midnight.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    if text.len() > 40 || !text.is_ascii() {
        return None;
    }
    // The separator may be a space, and T and Z may be small.
    let text = text.trim().to_ascii_uppercase();
    let text = if text.contains('T') { text } else { text.replacen(' ', "T", 1) };
    let utc = text.strip_suffix('Z');
    let offset = || WITH_OFFSET.iter().find_map(|f| DateTime::parse_from_str(&text, f).ok());
    let local = utc.unwrap_or(&text);
    let plain = || WITHOUT.iter().find_map(|f| NaiveDateTime::parse_from_str(local, f).ok());
    let date = || date(&text).map(|d| d.and_time(NaiveTime::MIN));
    let millis = match utc {
        None => offset().map(|t| t.timestamp_millis()),
        Some(_) => None,
    };
    let millis = millis.or_else(|| plain().or_else(date).map(|t| t.and_utc().timestamp_millis()))?;
    (millis >= 0 && millis <= Timestamp::MAX.as_millis()).then(|| Timestamp::from_millis(millis))
}

/// Whether the text is a date without a time.
pub(super) fn is_date(text: &str) -> bool {
    date(text.trim()).is_some()
}

fn date(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spelling_is_read() {
        for text in [
            "2026-01-05T10:00:00Z",
            "2026-01-05T10:00:00.00Z",
            "2026-01-05T10:00:00.0000000+00:00",
            "2026-01-05T18:00:00+08:00",
            "2026-01-05T18:00:00+0800",
            "2026-01-05T18:00:00+08",
            "2026-01-05T18:00+08:00",
            "2026-01-05T10:00:00",
            "2026-01-05 10:00:00",
            "2026-01-05T10:00",
            "2026-01-05t10:00:00z",
            "20260105T100000Z",
        ] {
            assert_eq!(
                parse(text).map(|t| t.to_rfc3339()).as_deref(),
                Some("2026-01-05T10:00:00.000Z"),
                "{text}"
            );
        }
        assert_eq!(parse("2026-01-05").unwrap().to_rfc3339(), "2026-01-05T00:00:00.000Z");
        assert!(is_date("2026-01-05") && !is_date("2026-01-05T10:00:00Z"));
        for junk in
            ["", "now", "2026-13-01", "2026-01-05T25:00:00Z", "1767607200", "10000-01-01", "-1", "1900-01-01"]
        {
            assert_eq!(parse(junk), None, "{junk}");
        }
    }

    proptest! {
        #[test]
        fn junk_is_refused_and_never_panics(text in ".{0,50}") {
            let _ = parse(&text);
        }
    }
}
