//! Under which terms a caller wants something sent, as far as this dialect's bodies have no field for it:
//! headers of ours, all optional, which its original ignores.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName};
use seawall_core::request::{LIMIT_KEY_RULE, LONGEST_LIMIT_VALUE, MOST_LIMIT_KEYS, Terms, is_limit_key};

use super::client::one;
use super::error::{Answer, Refused};

const LIMIT_KEY: HeaderName = HeaderName::from_static("seawall-limit-key");
const RISK_CHECK: HeaderName = HeaderName::from_static("seawall-risk-check");

/// Reads the terms of a request.
pub(super) fn read(headers: &HeaderMap) -> Answer<Terms> {
    let risk_check = match one(headers, &RISK_CHECK, 8)?.as_deref() {
        None | Some("on") => true,
        Some("off") => false,
        Some(_) => return Err(Refused::bad(1000, "Invalid header seawall-risk-check: on or off is needed")),
    };
    Ok(Terms { limit_keys: limit_keys(headers)?, risk_check, ..Terms::default() })
}

/// `Seawall-Limit-Key: name=value`, once for each key.
fn limit_keys(headers: &HeaderMap) -> Answer<BTreeMap<String, String>> {
    let bad = |problem: &str| Refused::bad(1000, format!("Invalid header {LIMIT_KEY}: {problem}"));
    let mut keys = BTreeMap::new();
    for value in headers.get_all(&LIMIT_KEY) {
        let text = std::str::from_utf8(value.as_bytes()).unwrap_or_default().trim();
        let (name, value) = text.split_once('=').ok_or_else(|| bad("name=value is needed"))?;
        if !is_limit_key(name) {
            return Err(bad(&format!("the name has no such form: {LIMIT_KEY_RULE}")));
        }
        let length = value.chars().count();
        if !(1..=LONGEST_LIMIT_VALUE).contains(&length) || value.chars().any(char::is_control) {
            return Err(bad(&format!("the value of {name} has 1 to {LONGEST_LIMIT_VALUE} characters")));
        }
        if keys.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(bad(&format!("{name} is given twice")));
        }
    }
    if keys.len() > MOST_LIMIT_KEYS {
        return Err(bad(&format!("at most {MOST_LIMIT_KEYS} keys are counted")));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(all: &[(&HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn terms_are_read_or_refused() {
        assert_eq!(read(&HeaderMap::new()).ok(), Some(Terms::default()));
        let given = [(&LIMIT_KEY, "order_id=A=7"), (&LIMIT_KEY, "campaign=spring"), (&RISK_CHECK, "off")];
        let terms = read(&headers(&given)).ok().unwrap();
        assert_eq!((terms.limit_keys["order_id"].as_str(), terms.limit_keys.len()), ("A=7", 2));
        assert!(!terms.risk_check);
        for wrong in [
            &[(&LIMIT_KEY, "order")][..],
            &[(&LIMIT_KEY, "Order=1")],
            &[(&LIMIT_KEY, "order=")],
            &[(&LIMIT_KEY, "a=1"), (&LIMIT_KEY, "a=2")],
            &[(&RISK_CHECK, "maybe")],
        ] {
            assert!(read(&headers(wrong)).is_err(), "{wrong:?}");
        }
        let many = ["a=1", "b=1", "c=1", "d=1", "e=1", "f=1", "g=1", "h=1", "i=1"];
        let many: HeaderMap = many.iter().map(|key| (LIMIT_KEY, HeaderValue::from_static(key))).collect();
        assert!(read(&many).is_err());
    }
}
