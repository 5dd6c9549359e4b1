//! The end user behind a request, as far as this dialect's bodies have no field for it: headers of ours, all
//! optional, which its original ignores.

use axum::http::{HeaderMap, HeaderName};
use seawall_core::client_ip::ClientIp;
use seawall_core::request::Client;

use super::error::{Answer, Refused};

/// What a client keeps after its number was verified; answered with a right code, and read on sends.
pub(super) const DEVICE_TOKEN: HeaderName = HeaderName::from_static("seawall-device-token");
const USER: HeaderName = HeaderName::from_static("seawall-user");
const FINGERPRINT: HeaderName = HeaderName::from_static("seawall-fingerprint");
const USER_AGENT: HeaderName = HeaderName::from_static("seawall-user-agent");
const JA4: HeaderName = HeaderName::from_static("seawall-ja4");

/// Reads who stands behind a request.
pub(super) fn read(headers: &HeaderMap, ip: Option<ClientIp>) -> Answer<Client> {
    Ok(Client {
        ip,
        user: one(headers, &USER, 256)?,
        fingerprint: one(headers, &FINGERPRINT, 256)?,
        user_agent: one(headers, &USER_AGENT, 1024)?,
        device_token: one(headers, &DEVICE_TOKEN, 1024)?,
        ja4: one(headers, &JA4, 128)?,
        ..Client::default()
    })
}

/// A header of at most so many visible characters. Twice is a contradiction.
pub(super) fn one(headers: &HeaderMap, name: &HeaderName, most: usize) -> Answer<Option<String>> {
    let mut all = headers.get_all(name).iter();
    let Some(value) = all.next() else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes()).unwrap_or_default().trim();
    let fits = (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits && all.next().is_none() {
        return Ok(Some(text.to_owned()));
    }
    Err(Refused::bad(1000, format!("Invalid header {name}: one value of 1 to {most} characters is needed")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn headers_are_read_or_refused() {
        let mut headers = HeaderMap::new();
        assert_eq!(read(&headers, None).ok(), Some(Client::default()));
        headers.insert(USER, HeaderValue::from_static(" u-17 "));
        headers.insert(JA4, HeaderValue::from_static("t13d1516h2_8daaf6152771_02713d6af862"));
        let client = read(&headers, None).ok().unwrap();
        assert_eq!(client.user.as_deref(), Some("u-17"));
        assert!(client.ja4.is_some());
        headers.append(USER, HeaderValue::from_static("u-18"));
        assert!(read(&headers, None).is_err(), "two users");
        headers.insert(USER, HeaderValue::from_static(""));
        assert!(read(&headers, None).is_err(), "nobody");
    }
}
