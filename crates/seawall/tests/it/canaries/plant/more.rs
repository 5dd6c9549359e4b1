//! Canaries in Twilio's shape, encrypted, and as values of lists of other things than numbers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::world::{Said, World};
use crate::encrypted::making::{hpke, jwe};

/// Numbers where operators and apps like to put them: a user, a device, a sender ID, a range of one.
pub async fn listed(w: &World) {
    for kind in ["user", "device", "sender_id", "number_range"] {
        for effect in ["deny", "allow"] {
            let number = w.number(&format!("{effect} {kind}"));
            let value = match (kind, effect) {
                ("user", "deny") => format!("tel:{number}"),
                ("device", _) => format!("{} of a phone", &number[1..]),
                ("sender_id", "allow") => number[1..].to_owned(),
                _ => number,
            };
            let entry = json!({"value": value, "note": w.secret("entry's note"), "expires_at": "never"});
            let path = format!("lists/{effect}-{kind}/entries");
            w.admin(2, "POST", &path, entry.clone()).await;
            w.admin(4, "POST", &path, entry).await;
        }
    }
}

/// `GET /v2/PhoneNumbers/…`, with a key and without.
pub async fn twilio(w: &World) {
    let sid = format!("AC{}", w.account.replace('-', ""));
    let basic = |user: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")));
    let (right, wrong) = (basic(&sid, &w.key), basic(&sid, &w.secret("Twilio secret")));
    let stranger = basic(&w.secret("Twilio user"), &w.key);
    for (auth, label) in
        [(&right, "Twilio"), (&wrong, "Twilio, wrong secret"), (&stranger, "Twilio, wrong user")]
    {
        for fields in ["", "?Fields=line_type_intelligence,sms_pumping_risk", "?Fields=nothing"] {
            let number = w.number(label);
            for spelled in [
                number.clone(),
                number[1..].to_owned(),
                format!("{number}x"),
                format!("0{}?CountryCode=DE", &number[3..]),
            ] {
                let headers = [("authorization", auth.as_str())];
                let path = format!("/v2/PhoneNumbers/{spelled}{fields}");
                w.call("", "GET", &path, Said { text: None, headers: &headers }).await;
            }
        }
    }
}

/// Through a proxy that is not to see them: neither are files, logs and errors.
pub async fn encrypted(w: &World) {
    let set = w.call("", "GET", "/.well-known/number-keys.json", Said::default()).await.json();
    for n in 0..4 {
        let to = w.number("encrypted");
        let token = if n % 2 == 0 { jwe(&set, &to) } else { hpke(&set, &to) };
        let message = json!({"to": token, "text": w.secret("encrypted number's text")});
        let sent = w.api(2, "POST", "/v1/messages", message).await;
        assert_eq!(sent["to"], "+49xxxxxxxxxxx", "{sent}");
        let session = json!({"destination": token, "brand": w.secret("encrypted number's brand")});
        w.api(2, "POST", &format!("/api/v2/subaccounts/{}/sessions", w.sub), session).await;
        let contact = json!({"addresses": {"msisdn": token}, "firstName": w.secret("encrypted contact")});
        w.api(2, "POST", &format!("/api/v1/accounts/{}/contacts", w.account), contact).await;
        let mut broken = token.clone();
        broken.truncate(token.len() - 2);
        for token in [broken, jwe(&set, &format!("{to}x"))] {
            w.api(4, "POST", "/v1/messages", json!({"to": token, "text": "x"})).await;
        }
    }
    let rotate = json!({"grace": "1h"});
    w.admin(2, "POST", "number-keys/rotate", rotate).await;
    w.admin(2, "GET", "number-keys", Value::Null).await;
}
