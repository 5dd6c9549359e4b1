//! The same request twice is done once.

use serde_json::{Value, json};

use crate::common::{Answer, Gateway};

async fn send(gateway: &Gateway, key: &str, text: &str) -> Answer {
    let body = json!({"to": "+6591234567", "text": text});
    gateway.api_with("POST", "/v1/messages", Some(body), &[("idempotency-key", key)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_gets_the_same_bytes_and_sends_nothing() {
    let gateway = Gateway::new().await;
    let first = send(&gateway, "order 17", "hi").await;
    assert_eq!(first.status, 201);
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let second = send(&gateway, "order 17", "hi").await;
    assert_eq!((second.status, &second.text), (201, &first.text));
    assert_eq!(second.headers["idempotent-replayed"], "true");
    assert_eq!(second.headers["content-type"], "application/json");
    assert_eq!(send(&gateway, "order 17", "other").await.expect(422)["code"], "idempotency-key-reused");
    let other = send(&gateway, "order 18", "hi").await.expect(201);
    assert_ne!(other["id"], first.json()["id"]);
    gateway.message_in(other["id"].as_str().unwrap(), "delivered").await;
    assert_eq!(gateway.phone("+6591234567", 2).await.len(), 2);
    let gateway = gateway.restart().await;
    assert_eq!(send(&gateway, "order 17", "hi").await.text, first.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_race_sends_once() {
    let gateway = Gateway::new().await;
    let all = futures_util::future::join_all((0..100).map(|_| send(&gateway, "race", "hi"))).await;
    let answered: Vec<&str> = all.iter().filter(|a| a.status == 201).map(|a| a.text.as_str()).collect();
    assert!(!answered.is_empty());
    assert!(answered.iter().all(|text| *text == answered[0]));
    let under_way = all.iter().filter(|a| a.status == 409).count();
    assert_eq!(answered.len() + under_way, 100);
    let id = serde_json::from_str::<Value>(answered[0]).unwrap();
    gateway.message_in(id["id"].as_str().unwrap(), "delivered").await;
    assert_eq!(gateway.phone("+6591234567", 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_decided_anew() {
    let gateway = Gateway::new().await;
    let start = || {
        let body = json!({"to": "+6591234567"});
        gateway.api_with("POST", "/v1/verifications", Some(body), &[("idempotency-key", "again")])
    };
    let other = json!({"to": "+6591234567"});
    gateway.api("POST", "/v1/verifications", Some(other)).await.expect(201);
    start().await.expect(429);
    gateway.advance("21s").await;
    let sent = start().await;
    assert_eq!(sent.status, 201);
    assert_eq!(start().await.text, sent.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masking_session_is_opened_once() {
    let gateway = crate::masking::gateway(2).await;
    let open = async |gateway: &Gateway, key: &str, to: &str| {
        let body = json!({"a": crate::masking::A, "b": to});
        gateway.api_with("POST", "/v1/masking/sessions", Some(body), &[("idempotency-key", key)]).await
    };
    let all = (0..40).map(|_| open(&gateway, "ride 7", crate::masking::B));
    let all = futures_util::future::join_all(all).await;
    let first = all.iter().find(|a| a.status == 201 && !a.headers.contains_key("idempotent-replayed"));
    let first = first.expect("one of them opened it");
    for other in &all {
        match other.status {
            201 => assert_eq!(other.text, first.text),
            status => assert_eq!((status, &other.json()["code"]), (409, &json!("idempotency-key-in-use"))),
        }
    }
    let again = open(&gateway, "ride 7", crate::masking::B).await;
    assert_eq!((again.status, &again.text), (201, &first.text));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let reused = open(&gateway, "ride 7", "+6598765433").await.expect(422);
    assert_eq!(reused["code"], "idempotency-key-reused");
    let open_now = gateway.api("GET", "/v1/masking/sessions", None).await.expect(200);
    assert_eq!(open_now["data"].as_array().unwrap().len(), 1, "one virtual number was given");
    let other = open(&gateway, "ride 8", crate::masking::B).await.expect(201);
    assert_ne!(other["number"], first.json()["number"]);
    // A refusal is not kept: what has room later is opened then.
    open(&gateway, "ride 9", crate::masking::B).await.expect(409);
    let gateway = gateway.restart().await;
    assert_eq!(open(&gateway, "ride 7", crate::masking::B).await.text, first.text);
    let path = format!("/v1/masking/sessions/{}", first.json()["id"].as_str().unwrap());
    gateway.api("DELETE", &path, None).await.expect(204);
    open(&gateway, "ride 9", crate::masking::B).await.expect(409);
    assert_eq!(open(&gateway, "ride 7", crate::masking::B).await.text, first.text, "as it was answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_repeated_whole() {
    let gateway = Gateway::new().await;
    let body = json!({"messages": [{"to": "+6591234567", "text": "a"}, {"to": "x", "text": "b"}]});
    let send =
        || gateway.api_with("POST", "/v1/messages/batch", Some(body.clone()), &[("idempotency-key", "b")]);
    let first = send().await;
    assert_eq!((first.status, &send().await.text), (201, &first.text));
}
