//! Doors of the parsers for `cargo xtask fuzz`: each takes any bytes, and says what kind of thing they were or what does
//! not hold. Not part of a release.

use std::time::{Duration, Instant};

use seawall_core::message::Channel;
use seawall_core::segments::Encoding;
use serde_json::json;

use crate::http::fuzz_template;
use crate::smpp::{fuzz_deliver, fuzz_frames};
use crate::{Callback, Connector, Kind, Outgoing, Secret, Surroundings, Voice, build};

/// Bytes of an SMSC: framing, and what stands in a `deliver_sm`.
pub fn smpp_pdu(bytes: &[u8]) -> Result<u64, String> {
    fuzz_frames(bytes)
}

/// The body of a `deliver_sm`: a receipt or an inbound message. The first byte chooses how ids are written.
pub fn receipt(bytes: &[u8]) -> Result<u64, String> {
    fuzz_deliver(bytes, Instant::now())
}

/// A template of an HTTP provider, filled with a message.
pub fn template(bytes: &[u8]) -> Result<u64, String> {
    let text = String::from_utf8_lossy(bytes);
    fuzz_template(&text, &message())
}

fn message() -> Outgoing {
    Outgoing {
        id: "msg_1".to_owned(),
        to: Secret::new("+6591234567"),
        from: Some("Sea\"wall".to_owned()),
        text: Secret::new("482913 is your code & {to} \u{1f600}\n"),
        steps: Vec::new(),
        encoding: Encoding::Gsm7,
        channel: Channel::Sms,
        voice: Voice::default(),
        validity: Some(Duration::from_secs(60)),
    }
}

/// A described provider with receipts, for [`callback`].
pub fn provider() -> Result<std::sync::Arc<dyn Connector>, String> {
    let settings = json!({"url": "https://127.0.0.1/send", "method": "POST", "body": {"to": "{to}", "text": "{text}"},
        "message_id": "/id", "receipts": {"reference": "/id", "state": "/status",
            "states": {"delivered": ["ok"], "failed": ["bad"]}}});
    let (echoes, _) = tokio::sync::mpsc::channel(1);
    let around = Surroundings {
        name: "p".to_owned(),
        echoes,
        allow_insecure_smpp: false,
        known: std::sync::Arc::default(),
    };
    build(Kind::Http, &settings, around).map_err(|e| e.to_string())
}

/// A callback of an HTTP provider: the first byte chooses between JSON, a form and a query.
pub fn callback(provider: &dyn Connector, bytes: &[u8]) -> Result<u64, String> {
    let (kind, body) = bytes.split_first().unwrap_or((&0, &[]));
    let content_type = ["application/json", "application/x-www-form-urlencoded", "text/plain", ""];
    let content_type = content_type.get(usize::from(*kind) % 4).copied().unwrap_or_default().to_owned();
    let callback = Callback { query: Vec::new(), body: body.to_vec(), content_type };
    Ok(match provider.callback(&callback) {
        Ok(echoes) => 10 + echoes.len() as u64,
        Err(why) => 100 + why.len() as u64 % 50,
    })
}
