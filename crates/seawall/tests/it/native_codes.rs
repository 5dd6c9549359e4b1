//! What the text of a code may carry, and what its check then asks for.

use serde_json::{Value, json};

use crate::common::Gateway;

const TO: &str = "+6591234567";

async fn begin(gateway: &Gateway, more: Value) -> Value {
    let mut ask = json!({"to": TO});
    ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    gateway.api("POST", "/v1/verifications", Some(ask)).await.expect(201)
}

fn check(begun: &Value) -> String {
    format!("/v1/verifications/{}/check", begun["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_bound_to_its_site_and_warns() {
    let gateway = Gateway::new().await;
    let more = json!({"app": {"domain": "acme.com"}, "do_not_share": true, "locale": "de"});
    begin(&gateway, more).await;
    let text = gateway.phone(TO, 1).await[0]["text"].as_str().unwrap().to_owned();
    let code: String = text.chars().filter(char::is_ascii_digit).take(6).collect();
    assert!(text.contains("Gib ihn niemandem weiter."), "{text}");
    assert!(text.ends_with(&format!("\n\n@acme.com #{code}")), "{text}");
    for (app, field) in [
        (json!({"domain": "https://acme.com"}), "app.domain"),
        (json!({"android_hash": "short"}), "app.android_hash"),
        (json!({"domain": "acme.com", "android_hash": "FA+9qCX9VSu"}), "app"),
    ] {
        let ask = json!({"to": "+6591234568", "app": app});
        assert_eq!(gateway.api("POST", "/v1/verifications", Some(ask)).await.expect(400)["field"], field);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_confirms_its_payment_and_no_other() {
    let gateway = Gateway::new().await;
    let payment = |amount: &str| json!({"amount": amount, "currency": "EUR", "payee": "Acme"});
    let begun = begin(&gateway, json!({"bind": payment("12.50")})).await;
    let text = gateway.phone(TO, 1).await[0]["text"].as_str().unwrap().to_owned();
    assert!(text.contains("EUR 12.50") && text.contains("Acme"), "{text}");
    let code: String = text.chars().filter(char::is_ascii_digit).take(6).collect();
    for bind in [json!(null), payment("99.00")] {
        let presented = json!({"code": code, "bind": bind});
        let refused = gateway.api("POST", &check(&begun), Some(presented)).await.expect(400);
        assert_eq!(refused["field"], "bind");
    }
    let right = json!({"code": code, "bind": payment("12.50")});
    let checked = gateway.api("POST", &check(&begun), Some(right)).await.expect(200);
    assert_eq!((&checked["status"], &checked["attempts_left"]), (&json!("verified"), &json!(5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_payment_gets_another_code() {
    let gateway = Gateway::new().await;
    let payment = |amount: &str| json!({"bind": {"amount": amount, "currency": "EUR", "payee": "Acme"}});
    begin(&gateway, payment("12.50")).await;
    let first = gateway.phone(TO, 1).await[0]["text"].as_str().unwrap().to_owned();
    gateway.advance("60s").await;
    let begun = begin(&gateway, payment("99.00")).await;
    let second = gateway.phone(TO, 2).await[0]["text"].as_str().unwrap().to_owned();
    let code = |text: &str| text.chars().filter(char::is_ascii_digit).take(6).collect::<String>();
    assert_ne!(code(&first), code(&second));
    let old = json!({"code": code(&first), "bind": payment("99.00")["bind"]});
    assert_eq!(gateway.api("POST", &check(&begun), Some(old)).await.expect(200)["status"], "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn approval_by_hand_needs_its_right_and_leaves_a_trace() {
    let gateway = Gateway::new().await;
    let begun = begin(&gateway, json!({})).await;
    let path = format!("/v1/verifications/{}/approve", begun["id"].as_str().unwrap());
    let note = json!({"note": "passport seen, ticket 4711"});
    gateway.api("POST", &path, Some(note.clone())).await.expect(403);
    let key = json!({"name": "desk", "scopes": ["verify", "approve"]});
    let key = gateway.admin("POST", "/admin/v1/api-keys", Some(key)).await.expect(201);
    let secret = key["key"].as_str().unwrap();
    let approved = gateway.raw("POST", &path, Some(secret), Some(&note.to_string()), &[]).await.expect(200);
    assert_eq!(approved["status"], "verified");
    let audit = gateway.admin("GET", "/admin/v1/audit?limit=5", None).await.expect(200);
    let entry = audit["data"].as_array().unwrap().iter().find(|e| e["action"] == "verifications.approve");
    let entry = entry.unwrap_or_else(|| panic!("{audit}"));
    assert_eq!((&entry["actor"], &entry["detail"]["note"]), (&key["id"], &note["note"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_wait_for_the_morning_where_that_is_demanded() {
    let gateway = Gateway::new().await;
    gateway
        .admin("PUT", "/admin/v1/sandbox/clock", Some(json!({"now": "2030-01-05T13:30:00Z"})))
        .await
        .expect(200);
    let path = format!("/admin/v1/subaccounts/{}", gateway.sub());
    let window = json!({"sending_window": {"from": "08:00", "until": "21:00"}});
    gateway.admin("PATCH", &path, Some(window)).await.expect(200);
    let ask = json!({"to": TO, "text": "Sale!"});
    let answer = gateway.api("POST", "/v1/messages", Some(ask)).await;
    let wait: u64 = answer.headers["retry-after"].parse().unwrap();
    assert_eq!(answer.expect(429)["reasons"][0]["code"], "outside-sending-window");
    assert!((37_700..=37_800).contains(&wait), "10.5 hours until 08:00 in Singapore, not {wait} s");
    begin(&gateway, json!({})).await;
    let wrong = json!({"sending_window": {"from": "8", "until": "21:00"}});
    gateway.admin("PATCH", &path, Some(wrong)).await.expect(400);
}
