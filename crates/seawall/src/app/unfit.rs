//! What a reader of JSON or of a query says of a value that does not fit, without the value: it may be a number or a
//! secret in the wrong place.

/// A digit more would be a number that somebody can be called by.
const DIGITS: usize = 6;
/// The longest word that is shown where another one was expected.
const WORD: usize = 20;

/// Serde's words without the value that they quote. A plain word that is none of those expected is named.
pub fn without_values(error: &str) -> String {
    let error = ["invalid type: ", "invalid value: "]
        .iter()
        .fold(error.to_owned(), |error, lead| quoted(&error, lead));
    without_digits(&variant(&error))
}

/// `invalid type: string "x", expected y`: the value goes, its kind stays.
fn quoted(error: &str, lead: &str) -> String {
    let parts = error.split_once(lead).and_then(|(before, rest)| {
        let (value, expected) = rest.rsplit_once(", expected ")?;
        let kind = value.get(..value.find(['"', '`'])?)?;
        Some(format!("{before}{lead}{}, expected {expected}", kind.trim_end()))
    });
    parts.unwrap_or_else(|| error.to_owned())
}

fn variant(error: &str) -> String {
    let parts = error.split_once("unknown variant `").and_then(|(before, rest)| {
        let (value, expected) = rest.rsplit_once("`, expected ")?;
        let plain =
            value.len() <= WORD && value.bytes().all(|b| b.is_ascii_alphabetic() || b"-_".contains(&b));
        (!plain).then(|| format!("{before}unknown variant, expected {expected}"))
    });
    parts.unwrap_or_else(|| error.to_owned())
}

/// A text in which no run of digits is long enough to be a number.
pub fn without_digits(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, run) = rest.split_at(begin);
        let end = run.find(|c: char| !c.is_ascii_digit()).unwrap_or(run.len());
        let (run, after) = run.split_at(end);
        shown.push_str(before);
        shown.push_str(if run.len() > DIGITS { "…" } else { run });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_not_repeated() {
        for (said, shown) in [
            (
                "invalid type: string \"hunter2\", expected u16 at line 1",
                "invalid type: string, expected u16 at line 1",
            ),
            ("invalid type: string \"a, expected b\", expected u16", "invalid type: string, expected u16"),
            (
                "invalid type: integer `4915112345678`, expected a string",
                "invalid type: integer, expected a string",
            ),
            ("invalid value: integer `-1`, expected u32", "invalid value: integer, expected u32"),
            ("invalid type: map, expected a string", "invalid type: map, expected a string"),
            (
                "unknown variant `fax`, expected `sms` or `call`",
                "unknown variant `fax`, expected `sms` or `call`",
            ),
            (
                "unknown variant `s3cret`, expected `sms` or `call`",
                "unknown variant, expected `sms` or `call`",
            ),
            ("q: unknown variant `a`b1`, expected one of `a`", "q: unknown variant, expected one of `a`"),
            ("unknown field `+4915112345678`, expected `to`", "unknown field `+…`, expected `to`"),
            ("missing field `to` at line 1 column 123456", "missing field `to` at line 1 column 123456"),
        ] {
            assert_eq!(without_values(said), shown);
        }
    }
}
