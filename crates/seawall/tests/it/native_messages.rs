//! Messages and batches through the native API.

use serde_json::{Value, json};

use crate::common::Gateway;

async fn send(gateway: &Gateway, body: Value) -> Value {
    gateway.api("POST", "/v1/messages", Some(body)).await.expect(201)
}

fn path(message: &Value) -> String {
    format!("/v1/messages/{}", message["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_at_the_phone_at_once_finds_what_was_just_accepted() {
    let gateway = Gateway::new().await;
    for n in 0..5 {
        let to = format!("+659123450{n}");
        send(&gateway, json!({"to": to, "text": "hello"})).await;
        let path = format!("/admin/v1/sandbox/messages?to=%2B659123450{n}");
        let seen = gateway.admin("GET", &path, None).await.expect(200);
        assert_eq!(seen["data"][0]["to"], to.as_str(), "{seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_arrives_with_its_cost_said() {
    let gateway = Gateway::new().await;
    let price = json!({"country": "SG", "amount": 45_000, "currency": "USD"});
    gateway.admin("POST", "/admin/v1/prices", Some(price)).await.expect(201);
    let text = "x".repeat(200);
    let ask = json!({"to": "+6591234567", "text": text, "source": "Acme", "client_message_id": "order-17"});
    let sent = send(&gateway, ask).await;
    assert_eq!(
        (&sent["state"], &sent["segments"], &sent["encoding"]),
        (&json!("queued"), &json!(2), &json!("gsm7"))
    );
    assert_eq!(sent["price"], json!({"per_segment": 45_000, "total": 90_000, "currency": "USD"}));
    assert!(sent.get("warning").is_none());
    let phone = gateway.phone("+6591234567", 1).await;
    assert_eq!((&phone[0]["text"], &phone[0]["from"]), (&json!(text), &json!("Acme")));
    let id = sent["id"].as_str().unwrap();
    gateway.message_in(id, "delivered").await;
    let looked = gateway.api("GET", &path(&sent), None).await.expect(200);
    assert_eq!((&looked["state"], &looked["client_message_id"]), (&json!("delivered"), &json!("order-17")));
    assert_eq!(looked["attempts"][0]["outcome"], "accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stray_character_is_named() {
    let gateway = Gateway::new().await;
    let text = format!("It\u{2019}s here. {}", "x".repeat(100));
    let sent = send(&gateway, json!({"to": "+6591234567", "text": text})).await;
    assert_eq!((&sent["segments"], &sent["encoding"]), (&json!(2), &json!("ucs2")));
    let warning = sent["warning"].as_str().unwrap();
    assert!(warning.contains("U+2019") && warning.ends_with("without it: 1."), "{warning}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_scheduled_can_be_taken_back_and_what_is_sent_cannot() {
    let gateway = Gateway::new().await;
    let at = |hours: u64| {
        gateway.running.app.now().plus(std::time::Duration::from_secs(hours * 3600)).to_rfc3339()
    };
    let later = send(&gateway, json!({"to": "+6591234567", "text": "later", "scheduled_at": at(1)})).await;
    assert_eq!(later["state"], "scheduled");
    assert_eq!(gateway.api("DELETE", &path(&later), None).await.expect(200)["state"], "canceled");
    assert_eq!(
        gateway.api("DELETE", &path(&later), None).await.expect(409)["code"],
        "message-not-cancelable"
    );
    let due = send(&gateway, json!({"to": "+6591234567", "text": "due", "scheduled_at": at(2)})).await;
    gateway.advance("2h").await;
    gateway.message_in(due["id"].as_str().unwrap(), "delivered").await;
    assert_eq!(gateway.api("DELETE", &path(&due), None).await.expect(409)["message_state"], "delivered");
    assert_eq!(gateway.phone("+6591234567", 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_batch_each_message_stands_for_itself() {
    let gateway = Gateway::new().await;
    let messages = json!([
        {"to": "+6591234567"},
        {"to": "hello"},
        {"to": "+6591234568", "text": "own"},
        {"to": "+19005550123"},
    ]);
    let ask = json!({"messages": messages, "defaults": {"text": "shared", "source": "Acme"}});
    let batch = gateway.api("POST", "/v1/messages/batch", Some(ask)).await.expect(201);
    assert_eq!((&batch["accepted"], &batch["rejected"]), (&json!(2), &json!(2)));
    let rows = batch["messages"].as_array().unwrap();
    assert!(rows[0]["id"].is_string() && rows[2]["id"].is_string());
    assert_eq!(
        (&rows[1]["error"]["code"], &rows[1]["error"]["field"]),
        (&json!("invalid-request"), &json!("to"))
    );
    assert_eq!(rows[3]["error"]["code"], "number-type-refused");
    assert!(rows[3]["error"]["decision_id"].is_string());
    assert_eq!(gateway.phone("+6591234567", 1).await[0]["text"], "shared");
    assert_eq!(gateway.phone("+6591234568", 1).await[0]["text"], "own");
    let looked = gateway.api("GET", &path(&rows[0]), None).await.expect(200);
    assert_eq!(looked["batch_id"], batch["batch_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_counts_every_message() {
    let gateway = Gateway::new().await;
    let messages: Vec<Value> = (0..12).map(|_| json!({"to": "+6591234567"})).collect();
    let ask = json!({"messages": messages, "defaults": {"text": "hi"}});
    let batch = gateway.api("POST", "/v1/messages/batch", Some(ask)).await.expect(201);
    assert_eq!((&batch["accepted"], &batch["rejected"]), (&json!(10), &json!(2)));
    let last = &batch["messages"][11]["error"];
    assert_eq!(last["code"], "limit-exceeded");
    assert!(last["retry_after"].as_u64().unwrap() > 1700);
}
