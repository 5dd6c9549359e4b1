//! Decisions without a send.

use serde_json::{Value, json};

use crate::common::Gateway;

async fn decide(gateway: &Gateway, body: Value) -> Value {
    gateway.api("POST", "/v1/decisions", Some(body)).await.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allow_is_charged_and_a_dry_run_is_not() {
    let gateway = Gateway::new().await;
    let ask =
        |dry: bool| json!({"to": "+6591234567", "purpose": "message", "dry_run": dry, "metadata": {"a": 1}});
    for _ in 0..15 {
        let answer = decide(&gateway, ask(true)).await;
        assert_eq!((&answer["verdict"], &answer["mode"]), (&json!("allow"), &json!("dry_run")));
    }
    for _ in 0..10 {
        assert_eq!(decide(&gateway, ask(false)).await["verdict"], "allow");
    }
    let full = decide(&gateway, ask(false)).await;
    assert_eq!(
        (&full["verdict"], &full["reasons"][0]["code"]),
        (&json!("throttle"), &json!("limit-exceeded"))
    );
    assert!(full["retry_after"].as_u64().unwrap() > 1700);
    // Decisions and sends share their limits.
    gateway.api("POST", "/v1/messages", Some(json!({"to": "+6591234567", "text": "hi"}))).await.expect(429);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_can_be_looked_at_within_a_second() {
    let gateway = Gateway::new().await;
    let answer = decide(&gateway, json!({"to": "+19005550123", "purpose": "login"})).await;
    assert_eq!(answer["verdict"], "block");
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let path = format!("/v1/decisions/{}", answer["id"].as_str().unwrap());
    let looked = gateway.api("GET", &path, None).await.expect(200);
    assert_eq!((&looked["verdict"], &looked["operation"]), (&json!("block"), &json!("verify.start")));
    assert!(!looked.to_string().contains("9005550123"), "{looked}");
}
