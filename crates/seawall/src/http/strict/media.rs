//! What a body says it is: JSON, in UTF-8, not compressed.

use axum::http::{HeaderMap, header};

use super::Fault;

/// Whether the headers announce JSON, in whatever charset.
pub fn is_json(headers: &HeaderMap) -> bool {
    let media = announced(headers).split(';').next().unwrap_or_default().trim();
    let ends = |end: &str| media.len() > end.len() && tail(media, end.len()).eq_ignore_ascii_case(end);
    let begins = |begin: &str| media.get(..begin.len()).is_some_and(|b| b.eq_ignore_ascii_case(begin));
    media.eq_ignore_ascii_case("application/json") || (begins("application/") && ends("+json"))
}

/// Refuses what is announced as another charset than UTF-8, which is the only one of JSON (RFC 8259 §8.1).
/// Which media types are JSON, each dialect says.
pub fn is_utf8(headers: &HeaderMap) -> Result<(), Fault> {
    for parameter in announced(headers).split(';').skip(1) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"');
        if name.trim().eq_ignore_ascii_case("charset") && !is_known(value) {
            let detail = "JSON is UTF-8; send Content-Type: application/json without another charset.";
            return Err(Fault::unsupported(detail).about("content-type"));
        }
    }
    Ok(())
}

fn announced(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn tail(text: &str, length: usize) -> &str {
    text.get(text.len().saturating_sub(length)..).unwrap_or_default()
}

/// US-ASCII is a part of it.
fn is_known(charset: &str) -> bool {
    ["utf-8", "utf8", "us-ascii"].iter().any(|known| known.eq_ignore_ascii_case(charset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, text.parse().unwrap())])
    }

    #[test]
    fn media_types_of_json() {
        let json = |text: &str| is_json(&headers(text));
        assert!(json("application/json") && json("Application/JSON; charset=utf-8"));
        assert!(json("application/merge-patch+json") && json("application/problem+JSON"));
        assert!(!json("text/plain") && !json("application/jsonx") && !json("application/"));
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn charsets() {
        let fine = |text: &str| is_utf8(&headers(text)).is_ok();
        assert!(fine("application/json") && fine("application/json;charset=UTF-8"));
        assert!(
            fine("application/json; charset=\"utf-8\"; version=1") && fine("application/json; charset=utf8")
        );
        for bad in ["utf-16", "iso-8859-1", "utf-7", "", "utf-8; charset=utf-16", "ibm037"] {
            assert!(!fine(&format!("application/json; charset={bad}")), "{bad}");
        }
    }
}
