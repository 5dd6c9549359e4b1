//! Rules see what networks say of a number's line: from what is known, and where settings say so by asking, within a deadline
//! and budgets. What is not known is missing; it refuses nothing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::common::{Answer, Gateway};

const COST: u64 = 4000;

async fn provider(gateway: &Gateway, answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(answer).mount(&server).await;
    let settings = json!({
        "url": format!("{}/{{to_digits}}", server.uri()), "cost_micros": COST, "timeout_seconds": 5,
        "facts": {"roaming": "/roaming", "sim_swapped_at": "/swap"},
    });
    let provider = json!({"name": "hlr", "kind": "http_lookup", "settings": settings});
    gateway.admin("POST", "/admin/v1/providers", Some(provider)).await.expect(201);
    server
}

async fn rule(gateway: &Gateway, when: &str) {
    let rule = json!({"name": "line", "action": "block", "when": when});
    gateway.admin("POST", "/admin/v1/rules", Some(rule)).await.expect(201);
}

async fn ask(gateway: &Gateway, settings: Value) {
    gateway.admin("PATCH", "/admin/v1/settings", Some(json!({"lookup": settings}))).await.expect(200);
}

async fn send(gateway: &Gateway, to: &str) -> Answer {
    gateway.api("POST", "/v1/messages", Some(json!({"to": to, "text": "hi"}))).await
}

async fn facts(gateway: &Gateway, answer: &Value) -> Value {
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let path = format!("/admin/v1/decisions/{}", answer["decision_id"].as_str().unwrap());
    gateway.admin("GET", &path, None).await.expect(200)["facts"]["line"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_asks_when_settings_say_so_and_pays_out_of_budgets() {
    let gateway = Gateway::without_detection().await;
    let server = provider(&gateway, ResponseTemplate::new(200).set_body_json(json!({"roaming": true}))).await;
    rule(&gateway, "number.roaming").await;
    send(&gateway, "+6591234567").await.expect(201);
    assert!(server.received_requests().await.unwrap().is_empty(), "nobody is asked unless settings say so");

    ask(&gateway, json!({"ask_for_rules": "live"})).await;
    let price = json!({"country": "SG", "amount": 1, "currency": "USD"});
    gateway.admin("POST", "/admin/v1/prices", Some(price)).await.expect(201);
    let budget = json!({"amount": 2 * COST, "currency": "USD", "window": "24h"});
    let budget = gateway.admin("POST", "/admin/v1/budgets", Some(budget)).await.expect(201);
    let refused = send(&gateway, "+6591234567").await.expect(403);
    assert_eq!(refused["reasons"][0]["code"], "rule-block");
    assert_eq!(facts(&gateway, &refused).await, json!({"roaming": true, "cost": COST}));
    let again = send(&gateway, "+6591234567").await.expect(403);
    assert_eq!(facts(&gateway, &again).await, json!({"roaming": true}), "from the cache");
    send(&gateway, "+6591234568").await.expect(403);
    let sent = send(&gateway, "+6591234569").await;
    assert_eq!(sent.status, 403, "the budget is full for messages, too");
    let path = format!("/admin/v1/budgets/{}", budget["id"].as_str().unwrap());
    let shown = gateway.admin("GET", &path, None).await.expect(200);
    assert_eq!(shown["spent"], 2 * COST);
    gateway.admin("PATCH", &path, Some(json!({"amount": 2 * COST + 10}))).await.expect(200);
    let sent = send(&gateway, "+6591234569").await.expect(201);
    assert_eq!(
        facts(&gateway, &sent).await,
        json!({}),
        "no room to ask: the facts are missing, and it is sent"
    );
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
    let wrong =
        gateway.admin("PATCH", "/admin/v1/settings", Some(json!({"lookup": {"deadline": "1m"}}))).await;
    assert_eq!(wrong.expect(400)["field"], "lookup.deadline");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_answer_in_time_is_not_waited_for() {
    let gateway = Gateway::without_detection().await;
    let late =
        ResponseTemplate::new(200).set_body_json(json!({"roaming": true})).set_delay(Duration::from_secs(4));
    provider(&gateway, late).await;
    rule(&gateway, "number.roaming || number.sim_swapped_hours < 72").await;
    ask(&gateway, json!({"ask_for_rules": "live", "deadline": "200ms"})).await;
    let begun = Instant::now();
    send(&gateway, "+6591234567").await.expect(201);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_already_costs_nothing() {
    let gateway = Gateway::without_detection().await;
    rule(&gateway, "number.ported && number.sim_swapped_hours < 72").await;
    let now = gateway.running.app.now().to_rfc3339();
    let known = json!({"ported": true, "sim_swapped_at": now});
    gateway.admin("PUT", "/admin/v1/lookup-corrections/6591234567", Some(known)).await.expect(200);
    send(&gateway, "+6591234567").await.expect(403);
    send(&gateway, "+6591234568").await.expect(201);
}
