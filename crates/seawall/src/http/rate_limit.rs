//! The headers `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers): how much room the
//! tightest limit of a request has left. They cost nothing: the charge itself knew.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::app::screen::{NamedRoom, Screened};
use crate::app::send_messages::Sent;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The two headers.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimit {
    policy: HeaderValue,
    limit: HeaderValue,
}

impl RateLimit {
    /// Of one request; none when no limit counts it.
    pub fn of(screened: &Screened) -> Option<Self> {
        let NamedRoom { limit, window, room } = screened.room.as_ref()?;
        let name = quoted(limit);
        let wait = room.more_at.map_or(0, |at| at.since(screened.at).as_millis().div_ceil(1000));
        let policy = format!("{name};q={};w={}", room.quota, window.as_secs().max(1));
        let limit = format!("{name};r={};t={wait}", room.remaining);
        Some(RateLimit { policy: policy.parse().ok()?, limit: limit.parse().ok()? })
    }

    /// Of many: of the one with the least room.
    pub fn of_all(sent: &[Sent]) -> Option<Self> {
        let least = |s: &&Sent| s.screened.room.as_ref().map_or(u64::MAX, |named| named.room.remaining);
        Self::of(&sent.iter().min_by_key(least)?.screened)
    }

    /// Puts them on an answer.
    pub fn note(limit: Option<Self>, headers: &mut HeaderMap) {
        if let Some(RateLimit { policy, limit }) = limit {
            headers.insert(POLICY, policy);
            headers.insert(LIMIT, limit);
        }
    }
}

/// A name as a string of structured fields (RFC 9651), which are ASCII.
fn quoted(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    out.push('"');
    for character in name.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            ' '..='~' => out.push(character),
            _ => out.push('_'),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_strings_of_structured_fields() {
        assert_eq!(quoted("built-in msisdn"), "\"built-in msisdn\"");
        assert_eq!(quoted("a \"b\" \\ ü"), "\"a \\\"b\\\" \\\\ _\"");
    }
}
