//! What numbers want: STOP in any words, opt-ins with proof, double opt-in, categories, "not me".

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Answer, Gateway};

const TO: &str = "+6591234567";

async fn answer(gateway: &Gateway, text: &str) {
    let body = json!({"from": TO, "to": "Acme", "text": text});
    gateway.admin("POST", "/admin/v1/sandbox/messages", Some(body)).await.expect(201);
}

async fn send(gateway: &Gateway, more: Value) -> Answer {
    let mut body = json!({"to": TO, "text": "hello", "source": "Acme"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    gateway.api("POST", "/v1/messages", Some(body)).await
}

/// Waits until what is asked holds.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never became so");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn opt_outs(gateway: &Gateway) -> Vec<Value> {
    let path = "/admin/v1/opt-outs?msisdn=%2B6591234567";
    gateway.admin("GET", path, None).await.expect(200)["data"].as_array().unwrap().clone()
}

async fn consents(gateway: &Gateway) -> Value {
    gateway.api("GET", "/v1/consents?to=%2B6591234567", None).await.expect(200)
}

async fn settings(gateway: &Gateway, consent: Value) {
    gateway.admin("PATCH", "/admin/v1/settings", Some(json!({"consent": consent}))).await.expect(200);
}

async fn subaccount(gateway: &Gateway, change: Value) {
    let path = format!("/admin/v1/subaccounts/{}", gateway.sub());
    gateway.admin("PATCH", &path, Some(change)).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn free_text_stops_messages_at_once_and_says_why() {
    let gateway = Gateway::new().await;
    settings(&gateway, json!({"answers": {"stop": "You get no more messages.", "help": "Acme, 6123"}})).await;
    send(&gateway, json!({})).await.expect(201);
    gateway.phone(TO, 1).await;
    answer(&gateway, "Help!").await;
    assert_eq!(gateway.phone(TO, 2).await[0]["text"], "Acme, 6123");
    answer(&gateway, "please don't text me again").await;
    let begun = Instant::now();
    until(async || !opt_outs(&gateway).await.is_empty()).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let entry = opt_outs(&gateway).await.remove(0);
    assert_eq!(entry["source"], "free-text");
    assert!(entry["note"].as_str().unwrap().starts_with("free text, "), "{entry}");
    let refused = send(&gateway, json!({"category": "marketing"})).await.expect(403);
    assert_eq!(refused["reasons"][0]["code"], "opt-out");
    let phone = gateway.phone(TO, 3).await;
    assert_eq!(
        (phone.len(), &phone[0]["text"]),
        (3, &json!("You get no more messages.")),
        "the answer still goes"
    );
    answer(&gateway, "STOP").await;
    answer(&gateway, "start").await;
    until(async || opt_outs(&gateway).await.is_empty()).await;
    send(&gateway, json!({})).await.expect(201);
    assert_eq!(gateway.phone(TO, 4).await.len(), 4, "the same STOP is not answered twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unsure_waits_for_a_person() {
    let gateway = Gateway::new().await;
    let path = "/admin/v1/consents/reviews";
    let listed =
        async || gateway.admin("GET", path, None).await.expect(200)["data"].as_array().unwrap().clone();
    send(&gateway, json!({})).await.expect(201);
    let text = "You people have no right to message me. Last warning.";
    answer(&gateway, text).await;
    until(async || listed().await.len() == 1).await;
    assert!(opt_outs(&gateway).await.is_empty());
    let all = listed().await;
    let first = &all[0];
    assert_eq!((&first["text"], &first["msisdn"]), (&json!(text), &json!("+659123xxxx")));
    let id = first["id"].as_str().unwrap();
    let rule = async |ruling: &str| {
        gateway.admin("POST", &format!("{path}/{id}"), Some(json!({"ruling": ruling}))).await
    };
    assert_eq!(rule("perhaps").await.status, 400);
    rule("opt_out").await.expect(204);
    assert_eq!(rule("dismiss").await.status, 404, "decided already");
    assert!(opt_outs(&gateway).await.iter().any(|entry| entry["source"] == "review"));
    assert!(listed().await.iter().all(|review| review["id"] != id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_reaches_as_far_as_is_set() {
    let gateway = Gateway::new().await;
    for (scope, marketing, other_sender) in [("all", 403, 403), ("marketing", 403, 201), ("sender", 403, 201)]
    {
        settings(&gateway, json!({"stop_scope": scope})).await;
        answer(&gateway, "退订").await;
        until(async || !opt_outs(&gateway).await.is_empty()).await;
        assert_eq!(send(&gateway, json!({"category": "marketing"})).await.status, marketing, "{scope}");
        assert_eq!(send(&gateway, json!({"source": "Other"})).await.status, other_sender, "{scope}");
        answer(&gateway, "START").await;
        until(async || opt_outs(&gateway).await.is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn marketing_waits_for_an_opt_in_with_proof() {
    let gateway = Gateway::new().await;
    subaccount(&gateway, json!({"consent": {"marketing_needs_opt_in": true}})).await;
    send(&gateway, json!({})).await.expect(201);
    let refused = send(&gateway, json!({"category": "marketing"})).await.expect(403);
    assert_eq!(refused["reasons"][0]["code"], "no-opt-in", "{refused}");
    let proof = json!({"to": TO, "source": "web-form", "proof": "I agree to offers.", "ip": "203.0.113.77"});
    let given = gateway.api("POST", "/v1/consents", Some(proof)).await.expect(201);
    assert_eq!((&given["status"], &given["category"]), (&json!("given"), &json!("marketing")));
    send(&gateway, json!({"category": "marketing"})).await.expect(201);
    let id = given["id"].as_str().unwrap();
    let one = gateway.api("GET", &format!("/v1/consents/{id}"), None).await.expect(200);
    assert_eq!((&one["proof"], &one["ip"]), (&json!("I agree to offers."), &json!("203.0.113.77")));
    for (body, field) in [
        (json!({"to": "12", "source": "x"}), "to"),
        (json!({"to": TO, "source": " "}), "source"),
        (json!({"to": TO, "source": "x", "ip": "nowhere"}), "ip"),
        (json!({"to": TO, "source": "x", "at": "2999-01-01T00:00:00Z"}), "at"),
    ] {
        assert_eq!(gateway.api("POST", "/v1/consents", Some(body)).await.expect(400)["field"], field);
    }
    answer(&gateway, "unsubscribe").await;
    until(async || consents(&gateway).await["data"].as_array().unwrap().is_empty()).await;
    assert_eq!(consents(&gateway).await["opted_out"], true);
    assert_eq!(gateway.api("GET", &format!("/v1/consents/{id}"), None).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_opt_in_is_one_when_the_number_says_yes() {
    let gateway = Gateway::new().await;
    settings(&gateway, json!({"answers": {"confirmed": "Welcome."}})).await;
    let ask = json!({"to": TO, "source": "till", "double": true, "text": "Offers from Acme? Answer YES.", "sender": "Acme"});
    let asked = gateway.api("POST", "/v1/consents", Some(ask.clone())).await.expect(201);
    assert_eq!(asked["status"], "pending", "{asked}");
    assert_eq!(gateway.phone(TO, 1).await[0]["text"], "Offers from Acme? Answer YES.");
    answer(&gateway, "Sí, por favor").await;
    until(async || consents(&gateway).await["data"][0]["status"] == "given").await;
    let given = &consents(&gateway).await["data"][0];
    assert_eq!((&given["answer"], &given["source"]), (&json!("Sí, por favor"), &json!("till")));
    assert_eq!(given["proof"], "Offers from Acme? Answer YES.");
    assert_eq!(gateway.phone(TO, 2).await[0]["text"], "Welcome.");
    // Nobody answers in time.
    let id = given["id"].as_str().unwrap().to_owned();
    gateway.api("DELETE", &format!("/v1/consents/{id}"), None).await.expect(204);
    gateway.api("POST", "/v1/consents", Some(ask)).await.expect(201);
    gateway.advance("25h").await;
    answer(&gateway, "yes").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let left = consents(&gateway).await;
    assert!(left["data"].as_array().unwrap().iter().all(|one| one["status"] == "pending"), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_not_me_gets_no_codes_for_a_day() {
    let gateway = Gateway::new().await;
    subaccount(&gateway, json!({"codes_despite_opt_out": true})).await;
    let start = async || gateway.api("POST", "/v1/verifications", Some(json!({"to": TO}))).await;
    let first = start().await.expect(201);
    let code = gateway.code(TO, 1).await;
    answer(&gateway, "Das war ich nicht!").await;
    until(async || !opt_outs(&gateway).await.is_empty()).await;
    let entry = opt_outs(&gateway).await.remove(0);
    assert_eq!((&entry["source"], &entry["category"]), (&json!("not-me"), &json!("code")));
    let path = format!("/v1/verifications/{}/check", first["id"].as_str().unwrap());
    let checked = gateway.api("POST", &path, Some(json!({"code": code}))).await;
    assert!(checked.status != 200 || checked.json()["status"] != "verified", "{checked:?}");
    let refused = start().await.expect(403);
    assert_eq!(refused["reasons"][0]["code"], "opt-out", "{refused}");
    send(&gateway, json!({})).await.expect(201);
    gateway.advance("25h").await;
    start().await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn opt_ins_go_out_and_come_back_as_a_table() {
    let gateway = Gateway::new().await;
    let sub = gateway.sub();
    let import = async |text: &str| {
        let token = Some(gateway.first.admin_token.as_str());
        let csv = [("content-type", "text/csv")];
        gateway.raw("POST", "/admin/v1/consents/import", token, Some(text), &csv).await
    };
    let table = format!(
        "to,subaccount_id,source,proof\r\n{TO},{sub},till,\"=1+1, agreed\"\r\n+6591234568,{sub},till,x\r\n"
    );
    assert_eq!(import(&table).await.expect(200)["imported"], 2);
    let shown = gateway.admin("GET", "/admin/v1/consents.csv", None).await;
    assert_eq!(shown.status, 200);
    assert!(shown.text.contains("\"'=1+1, agreed\""), "{}", shown.text);
    assert_eq!(import(&shown.text).await.expect(200)["imported"], 2, "an export can be imported");
    assert_eq!(consents(&gateway).await["data"][0]["proof"], "=1+1, agreed");
    let broken = import(&format!("to,subaccount_id,source\n+6591234569,{sub},till\n12,{sub},till\n")).await;
    assert!(broken.expect(400)["detail"].as_str().unwrap().contains("row 3"));
    assert!(!gateway.admin("GET", "/admin/v1/consents.csv", None).await.text.contains("91234569"));
}
