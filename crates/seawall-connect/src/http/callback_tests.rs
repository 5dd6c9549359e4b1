//! Callbacks of described providers: receipts and inbound messages.

use serde_json::{Value, json};

use super::build;
use super::tests::{merged, minimal};
use crate::testing::surroundings;
use crate::{Callback, Echo, ErrorClass, ReceiptState};

pub(super) fn receipts() -> Value {
    merged(
        minimal("https://sms.example/send"),
        json!({
            "receipts": {
                "reference": "/id", "state": "/status", "code": "/error", "at": "/when",
                "states": {"delivered": ["DELIVRD", "delivered"], "failed": ["failed"], "sent": "buffered"},
                "codes": {"15": "invalid-destination"},
            },
            "inbound": {"from": "/msisdn", "to": "/to", "text": "/text"},
            "secret": "hook",
        }),
    )
}

fn callback(
    settings: &Value,
    query: &[(&str, &str)],
    content_type: &str,
    body: &str,
) -> Result<Vec<Echo>, String> {
    let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let callback = Callback { query, body: body.as_bytes().to_vec(), content_type: content_type.to_owned() };
    build(settings, surroundings().0).unwrap().callback(&callback)
}

#[tokio::test]
async fn json_callbacks_become_echoes() {
    let body = json!([
        {"id": 7, "status": "Delivered", "when": "2026-01-05T10:00:00Z"},
        {"id": "8", "status": "failed", "error": 15},
        {"id": "9", "status": "no such state"},
        {"msisdn": "6591234567", "to": "74000", "text": "STOP"},
    ]);
    let genuine = [("secret", "hook")];
    let echoes = callback(&receipts(), &genuine, "application/json", &body.to_string()).unwrap();
    let [Echo::Receipt(first), Echo::Receipt(second), Echo::Inbound(inbound)] = echoes.as_slice() else {
        panic!("{echoes:?}")
    };
    assert_eq!((first.reference.as_str(), first.state, first.class), ("7", ReceiptState::Delivered, None));
    assert_eq!(first.at.unwrap().to_string(), "2026-01-05T10:00:00.000Z");
    assert_eq!(second.class, Some(ErrorClass::InvalidDestination));
    assert_eq!((inbound.from.reveal(), inbound.text.reveal()), ("6591234567", "STOP"));
    for bad in ["", "{", "{}", "[1]", "null"] {
        assert!(callback(&receipts(), &genuine, "application/json", bad).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn a_wrong_secret_is_refused() {
    let body = r#"{"id": "7", "status": "failed"}"#;
    for query in [&[][..], &[("secret", "hooked")], &[("secret", "")]] {
        assert!(callback(&receipts(), query, "application/json", body).unwrap_err().contains("secret"));
    }
}

#[tokio::test]
async fn forms_queries_and_lists_work_too() {
    let named = merged(
        minimal("https://sms.example/send"),
        json!({"receipts": {"reference": "msg", "state": "st", "states": {"delivered": "OK +1"}}}),
    );
    let form = "application/x-www-form-urlencoded";
    for (query, content_type, body) in
        [(&[][..], form, "msg=a%26b&st=OK+%2B1"), (&[("msg", "a&b"), ("st", "ok +1")][..], "", "")]
    {
        let echoes = callback(&named, query, content_type, body).unwrap();
        let [Echo::Receipt(receipt)] = echoes.as_slice() else { panic!("{echoes:?}") };
        assert_eq!((receipt.reference.as_str(), receipt.state), ("a&b", ReceiptState::Delivered));
    }
    let mut listed = receipts();
    listed["receipts"]["list"] = json!("/results");
    let body = r#"{"results": [{"id": "1", "status": "buffered"}]}"#;
    assert_eq!(callback(&listed, &[("secret", "hook")], "application/json", body).unwrap().len(), 1);
}
