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

async fn budget(gateway: &Gateway, amount: u64) {
    let body =
        json!({"name": "few", "unit": "messages", "amount": amount, "window": "24h", "on_exceed": "block"});
    gateway.admin("POST", "/admin/v1/budgets", Some(body)).await.expect(201);
}

fn of(n: usize) -> Value {
    json!({"to": format!("+659123{n:04}"), "purpose": "message"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgives_no_decision() {
    let gateway = Gateway::without_detection().await;
    budget(&gateway, 13).await;
    let same = json!({"to": "+6591234567", "purpose": "message"});
    for _ in 0..10 {
        assert_eq!(decide(&gateway, same.clone()).await["verdict"], "allow");
    }
    let gateway = gateway.restart().await;
    let full = decide(&gateway, same).await;
    assert_eq!(full["reasons"][0]["code"], "limit-exceeded", "ten of ten are used up: {full}");
    for n in 0..3 {
        assert_eq!(decide(&gateway, of(n)).await["verdict"], "allow", "{n}");
    }
    let gateway = gateway.restart().await;
    let spent = decide(&gateway, of(9)).await;
    assert_eq!(
        (&spent["verdict"], &spent["reasons"][0]["code"]),
        (&json!("block"), &json!("budget-exceeded"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allow_is_redeemed_once_also_across_restarts_and_charged_once() {
    let gateway = Gateway::without_detection().await;
    budget(&gateway, 3).await;
    let first = decide(&gateway, of(1)).await["id"].clone();
    let second = decide(&gateway, of(2)).await["id"].clone();
    let send =
        |n: usize, id: &Value| json!({"to": format!("+659123{n:04}"), "text": "hi", "decision_id": id});
    gateway.api("POST", "/v1/messages", Some(send(1, &first))).await.expect(201);

    let gateway = gateway.restart().await;
    let used = gateway.api("POST", "/v1/messages", Some(send(1, &first))).await.expect(400);
    assert_eq!(used["field"], "decision_id", "redeemed before the restart");
    let sent = gateway.api("POST", "/v1/messages", Some(send(2, &second))).await.expect(201);
    gateway.api("POST", "/v1/messages", Some(send(2, &second))).await.expect(400);
    let path = format!("/admin/v1/decisions/{}", sent["id"].as_str().unwrap().replacen("msg_", "dec_", 1));
    assert_eq!(gateway.admin("GET", &path, None).await.expect(200)["facts"]["redeems"], second);

    // Two of three are spent, however often it is started.
    let gateway = gateway.restart().await;
    assert_eq!(decide(&gateway, of(3)).await["verdict"], "allow");
    assert_eq!(decide(&gateway, of(4)).await["reasons"][0]["code"], "budget-exceeded");
}
