//! A path that a proxy in front, a firewall and the router cannot read differently.

use super::Fault;

/// Checks a path as it was sent. Encoded slashes are for the admin API only, where a path may hold the name
/// of a thing (`203.0.113.0%2F24 …`); routes are chosen before anything is decoded.
pub(super) fn path(path: &str) -> Result<(), Fault> {
    let bytes = path.as_bytes();
    if bytes.iter().zip(bytes.iter().skip(1)).all(is_plain) {
        return Ok(());
    }
    if let Some(at) = path.find("//") {
        return Err(fault("has two slashes in a row", at));
    }
    let slashes = path.starts_with("/admin/");
    let mut at = 0;
    for segment in path.split('/') {
        segment_of(segment, slashes).map_err(|(wrong, within)| fault(wrong, at + within))?;
        at += segment.len() + 1;
    }
    Ok(())
}

/// Most paths are letters, digits and single slashes, with no dot behind a slash.
fn is_plain((one, next): (&u8, &u8)) -> bool {
    let known =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b'~' | b':' | b'@');
    known(one) && known(next) && !(*one == b'/' && matches!(next, b'/' | b'.'))
}

fn fault(wrong: &str, at: usize) -> Fault {
    Fault::bad("invalid-path", format!("The path {wrong} at byte {at}; spell it plainly."))
}

type Wrong = (&'static str, usize);

fn segment_of(segment: &str, slashes: bool) -> Result<(), Wrong> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let at = segment.len() - rest.len();
        let (byte, after) = match (byte, after) {
            (b'%', [high, low, after @ ..]) => (encoded(*high, *low, after, slashes, at)?, after),
            (b'%', _) => return Err(("has a broken percent-encoding", at)),
            (byte, _) if !(b'!'..=b'~').contains(byte) => return Err(("has an unencoded character", at)),
            (b'\\', _) => return Err(("has a backslash", at)),
            (byte, after) => (*byte, after),
        };
        decoded.push(byte);
        rest = after;
    }
    match std::str::from_utf8(&decoded) {
        Ok("." | "..") => Err(("has a dot segment", 0)),
        Ok(_) => Ok(()),
        Err(_) => Err(("is not UTF-8", 0)),
    }
}

/// One encoded byte, and what follows it.
fn encoded(high: u8, low: u8, after: &[u8], slashes: bool, at: usize) -> Result<u8, Wrong> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (Some(high), Some(low)) = (digit(high), digit(low)) else {
        return Err(("has a broken percent-encoding", at));
    };
    match high * 16 + low {
        b'/' if !slashes => Err(("has an encoded slash", at)),
        b'\\' => Err(("has a backslash", at)),
        byte if byte.is_ascii_control() => Err(("has a control character", at)),
        b'%' if matches!(after, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()) => {
            Err(("is encoded twice", at))
        }
        byte => Ok(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_has_two_readings_is_refused_with_its_place() {
        let fine = [
            "/",
            "/v1/messages",
            "/api/v1/subaccounts/acme_hq/messages/0197-ab",
            "/docs/8x8.md",
            "/v1/x/",
            "/admin/v1/templates/caf%C3%A9%20100%25",
            "/admin/v1/ip-allowlist/203.0.113.0%2F24%20for%20all",
            "*",
            "",
        ];
        for text in fine {
            assert_eq!(path(text), Ok(()), "{text}");
        }
        let refused = [
            "//v1/messages",
            "/v1//messages",
            "/v1/messages//",
            "/v1/../admin",
            "/v1/.",
            "/v1/%2e%2E/x",
            "/v1/.%2e",
            "/v1/a%2fb",
            "/v1/a%5Cb",
            "/v1/a\\b",
            "/v1/%252e%252e",
            "/v1/a%00",
            "/v1/a%0d%0a",
            "/v1/%zz",
            "/v1/%2",
            "/v1/%",
            "/v1/%ff",
            "/v1/\u{e9}",
            "/v1/%c0%ae",
        ];
        insta::assert_snapshot!(refused.map(|text| path(text).unwrap_err().detail).join("\n"), @r#"
        The path has two slashes in a row at byte 0; spell it plainly.
        The path has two slashes in a row at byte 3; spell it plainly.
        The path has two slashes in a row at byte 12; spell it plainly.
        The path has a dot segment at byte 4; spell it plainly.
        The path has a dot segment at byte 4; spell it plainly.
        The path has a dot segment at byte 4; spell it plainly.
        The path has a dot segment at byte 4; spell it plainly.
        The path has an encoded slash at byte 5; spell it plainly.
        The path has a backslash at byte 5; spell it plainly.
        The path has a backslash at byte 5; spell it plainly.
        The path is encoded twice at byte 4; spell it plainly.
        The path has a control character at byte 5; spell it plainly.
        The path has a control character at byte 5; spell it plainly.
        The path has a broken percent-encoding at byte 4; spell it plainly.
        The path has a broken percent-encoding at byte 4; spell it plainly.
        The path has a broken percent-encoding at byte 4; spell it plainly.
        The path is not UTF-8 at byte 4; spell it plainly.
        The path has an unencoded character at byte 4; spell it plainly.
        The path is not UTF-8 at byte 4; spell it plainly.
        "#);
    }

    proptest! {
        #[test]
        fn what_passes_has_one_spelling(text in "/[a-c./%2eEfF5cC\\\\0]{0,24}") {
            if path(&text).is_ok() {
                prop_assert!(!text.contains("//") && !text.contains('\\'));
                prop_assert!(!text.to_lowercase().contains("%2f") && !text.contains("%00"));
                let dots = |s: &str| matches!(s.to_lowercase().replace("%2e", ".").as_str(), "." | "..");
                prop_assert!(!text.split('/').any(dots), "{}", text);
            }
        }
    }
}
