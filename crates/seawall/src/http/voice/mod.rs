//! What networks that carry calls ask, and what they tell: [`sip`] (Kamailio and the like, in our own words),
//! [`eight`] (8x8's call action webhook), [`twilio`] (signed forms, answered in TwiML).

mod eight;
mod sip;
mod twilio;
mod twilio_signature;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use seawall_core::msisdn::Msisdn;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use crate::app::App;

/// Questions are small.
const BODY_AT_MOST: usize = 64 * 1024;

/// The routes.
pub fn router() -> OpenApiRouter<Arc<App>> {
    let small = || DefaultBodyLimit::max(BODY_AT_MOST);
    OpenApiRouter::default()
        .routes(routes!(sip::route).layer(small()))
        .routes(routes!(sip::note).layer(small()))
        .routes(routes!(eight::take).layer(small()))
        .routes(routes!(twilio::call).layer(small()))
        .routes(routes!(twilio::text).layer(small()))
}

/// A number as networks spell it: with or without its plus sign.
fn number(text: &str) -> Option<Msisdn> {
    let text = text.trim();
    let digits = text.strip_prefix('+').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !plain {
        return None;
    }
    Msisdn::parse(&format!("+{digits}"), None).ok().map(|parsed| parsed.msisdn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_with_and_without_a_plus() {
        let want = Msisdn::from_e164("+6591234567");
        assert!(want.is_some() && number("+6591234567") == want && number(" 6591234567") == want);
        for text in ["", "+", "anonymous", "+65 9123", "sip:x", "client:bob", "++65", "999"] {
            assert!(number(text).is_none(), "{text}");
        }
    }
}
