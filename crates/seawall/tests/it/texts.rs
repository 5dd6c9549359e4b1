//! What a subaccount demands of its texts.

use serde_json::{Value, json};

use crate::common::Gateway;

async fn demand(gateway: &Gateway, text: Value) {
    let path = format!("/admin/v1/subaccounts/{}", gateway.sub());
    gateway.admin("PATCH", &path, Some(json!({"text": text}))).await.expect(200);
}

async fn say(gateway: &Gateway, text: &str) -> crate::common::Answer {
    gateway.api("POST", "/v1/messages", Some(json!({"to": "+6591234567", "text": text}))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_registered_texts_leave_where_that_is_demanded() {
    let gateway = Gateway::new().await;
    let template = json!({"name": "ships", "kind": "notification", "text": "Order {number} ships {day}."});
    gateway.admin("POST", "/admin/v1/templates", Some(template)).await.expect(201);
    demand(&gateway, json!({"require_template": true})).await;
    say(&gateway, "Order 17 ships on Monday.").await.expect(201);
    let refused = say(&gateway, "You won!").await.expect(403);
    assert_eq!(refused["reasons"][0]["code"], "text-off-template");
    say(&gateway, "Order evil.com/x ships now.").await.expect(403);

    let code = json!({"to": "+6591234567"});
    let refused = gateway.api("POST", "/v1/verifications", Some(code.clone())).await.expect(403);
    assert_eq!(refused["reasons"][0]["code"], "text-off-template");
    let template = json!({"name": "login", "text": "{code} is your code", "default": true});
    gateway.admin("POST", "/admin/v1/templates", Some(template)).await.expect(201);
    gateway.api("POST", "/v1/verifications", Some(code)).await.expect(201);

    let sms = format!("/api/v1/subaccounts/{}/messages", gateway.sub());
    let body = json!({"destination": "+6591234567", "text": "You won!"});
    let answer = gateway.api("POST", &sms, Some(body)).await.expect(200);
    assert_eq!(answer["status"]["code"], "REJECTED", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_go_to_known_hosts_only() {
    let gateway = Gateway::new().await;
    demand(&gateway, json!({"urls": {"listed": ["acme.com"]}})).await;
    say(&gateway, "See https://go.acme.com/1").await.expect(201);
    let refused = say(&gateway, "See https://acme.com.evil.example/1").await.expect(403);
    assert_eq!(refused["reasons"][0]["code"], "url-refused");
    assert_eq!(refused["reasons"][0]["key"], "acme.com.evil.example");
    demand(&gateway, json!({"urls": "none"})).await;
    say(&gateway, "See acme.com").await.expect(403);
    let path = format!("/admin/v1/subaccounts/{}", gateway.sub());
    let wrong = json!({"text": {"urls": {"listed": ["https://acme.com/x"]}}});
    let problem = gateway.admin("PATCH", &path, Some(wrong)).await.expect(400);
    assert!(problem["detail"].as_str().unwrap().contains("acme.com"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn look_alikes_are_shown_and_refused_on_demand() {
    let gateway = Gateway::new().await;
    let sent = say(&gateway, "Your P\u{430}ypal parcel").await.expect(201);
    let path = format!("/admin/v1/decisions/{}", sent["decision_id"].as_str().unwrap());
    let decision = gateway.admin("GET", &path, None).await.expect(200);
    assert_eq!(decision["reasons"][0]["code"], "look-alike-text");
    assert_eq!(decision["reasons"][0]["mode"], "shadow");
    demand(&gateway, json!({"look_alikes": "enforce"})).await;
    let refused = say(&gateway, "Your P\u{430}ypal parcel").await.expect(403);
    assert!(refused["reasons"][0]["detail"].as_str().unwrap().contains("U+0430"));
}

#[tokio::test(flavor = "multi_thread")]
async fn typography_is_written_plainly_on_demand() {
    let gateway = Gateway::new().await;
    demand(&gateway, json!({"transliterate": true})).await;
    let text = format!("It\u{2019}s here \u{2013} {}", "x".repeat(100));
    let sent = say(&gateway, &text).await.expect(201);
    assert_eq!((&sent["encoding"], &sent["segments"]), (&json!("gsm7"), &json!(1)));
    let phone = gateway.phone("+6591234567", 1).await;
    assert_eq!(phone[0]["text"], format!("It's here - {}", "x".repeat(100)));
}
