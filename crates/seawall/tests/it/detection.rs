//! Detection in the running gateway.

use serde_json::{Value, json};

use crate::common::Gateway;

/// Asks for a code to one of a block of numbers, from an address of its own.
async fn pump(gateway: &Gateway, n: usize) -> crate::common::Answer {
    let to = format!("+99893412{:04}", 1000 + n);
    let ip = format!("84.54.{}.{}", n % 200, 1 + n % 250);
    let ask = json!({"to": to, "client": {"ip": ip, "user_agent": format!("agent {n}")}});
    gateway.api("POST", "/v1/verifications", Some(ask)).await
}

async fn pump_until_stopped(gateway: &Gateway, from: usize) -> (usize, Value) {
    for n in from..from + 60 {
        let answer = pump(gateway, n).await;
        if answer.status != 201 {
            return (n - from, answer.json());
        }
        gateway.advance("5s").await;
    }
    panic!("60 messages to one block, none confirmed, and nothing stopped them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pumped_block_is_stopped_and_the_reason_says_why() {
    let gateway = Gateway::new().await;
    let (sent, refused) = pump_until_stopped(&gateway, 0).await;
    assert!(sent <= 20, "{sent} sent");
    let reason = &refused["reasons"][0];
    assert!(reason["code"].as_str().unwrap().starts_with("campaign"), "{refused}");
    let detail = reason["detail"].as_str().unwrap();
    assert!(detail.contains("block") && detail.contains("expected"), "{detail}");
    assert!(!refused.to_string().contains("998934121"), "no full number: {refused}");
    let elsewhere = json!({"to": "+6591234567", "client": {"ip": "203.0.113.9"}});
    gateway.api("POST", "/v1/verifications", Some(elsewhere)).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_outlives_a_restart() {
    let gateway = Gateway::new().await;
    let (sent, _) = pump_until_stopped(&gateway, 0).await;
    let gateway = gateway.restart().await;
    let answer = pump(&gateway, sent + 1).await;
    assert_eq!(answer.status, 403, "the block is still known: {}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_shadow_it_is_recorded_and_changes_nothing() {
    let gateway = Gateway::new().await;
    let shadow = json!({"detection": {"mode": "shadow"}});
    gateway.admin("PATCH", "/admin/v1/settings", Some(shadow)).await.expect(200);
    let mut last = Value::Null;
    for n in 0..25 {
        last = pump(&gateway, n).await.expect(201);
        gateway.advance("5s").await;
    }
    let path = format!("/admin/v1/decisions/{}", last["decision_id"].as_str().unwrap());
    let decision = gateway.admin("GET", &path, None).await.expect(200);
    let reasons = decision["reasons"].as_array().unwrap();
    let seen = reasons.iter().find(|r| r["code"].as_str().unwrap().starts_with("campaign"));
    assert_eq!(seen.unwrap_or_else(|| panic!("{decision}"))["mode"], "shadow");
    assert!(decision["risk"].as_u64().unwrap() > 50, "{decision}");
}
