//! What lookups cost is charged to budgets of money: never more than there is, back when nobody answered, shown in the
//! answer and in the history, and not forgotten by a restart.

use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::common::{Answer, Gateway};

const COST: u64 = 4000;

async fn provider(gateway: &Gateway, name: &str, answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(answer).mount(&server).await;
    let settings = json!({
        "url": format!("{}/hlr/{{to_digits}}", server.uri()), "cost_micros": COST, "timeout_seconds": 2,
        "facts": {"ported": "/ported", "reachable": "/on"}, "depth": "live",
        "errors": {"pointer": "/status", "values": {"5": "sim-offline"}},
    });
    let provider = json!({"name": name, "kind": "http_lookup", "settings": settings});
    gateway.admin("POST", "/admin/v1/providers", Some(provider)).await.expect(201);
    server
}

async fn budget(gateway: &Gateway, change: Value) -> String {
    let mut body = json!({"amount": 2 * COST + 1, "currency": "USD", "window": "24h"});
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let made = gateway.admin("POST", "/admin/v1/budgets", Some(body)).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

async fn spent(gateway: &Gateway, budget: &str) -> u64 {
    let path = format!("/admin/v1/budgets/{budget}");
    gateway.admin("GET", &path, None).await.expect(200)["spent"].as_u64().unwrap()
}

async fn ask(gateway: &Gateway, digits: u64, kind: &str) -> Answer {
    gateway.api("GET", &format!("/v1/numbers/{digits}?type={kind}"), None).await
}

fn yes() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"ported": true, "on": true}))
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_never_ask_for_more_than_there_is() {
    let gateway = Gateway::new().await;
    let server = provider(&gateway, "hlr", yes()).await;
    let money = budget(&gateway, json!({"name": "numbers"})).await;
    let messages = json!({"unit": "messages", "amount": 1, "currency": null, "name": "messages"});
    let messages = budget(&gateway, messages).await;
    let asked = (0..20).map(|n| ask(&gateway, 6_591_230_000 + n * 97, "live"));
    let all = futures_util::future::join_all(asked).await;
    assert_eq!(all.iter().filter(|a| a.status == 200).count(), 2);
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
    let refused = all.iter().find(|a| a.status == 403).expect("refused").json();
    assert_eq!(refused["code"], "budget-exceeded");
    assert!(
        refused["reasons"][0]["detail"].as_str().unwrap().contains("0.008 USD of 0.008001 USD spent"),
        "{refused}"
    );
    assert_eq!((spent(&gateway, &money).await, spent(&gateway, &messages).await), (2 * COST, 0));
    ask(&gateway, 6_591_239_999, "format").await.expect(200);
    let done = all.iter().position(|a| a.status == 200).unwrap() as u64;
    let again = ask(&gateway, 6_591_230_000 + done * 97, "live").await.expect(200);
    assert_eq!((&again["cost"], &again["currency"]), (&json!(0), &json!("USD")), "from the cache");

    let gateway = gateway.restart().await;
    assert_eq!(spent(&gateway, &money).await, 2 * COST, "a restart forgives nothing");
    ask(&gateway, 6_591_238_888, "live").await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_answer_is_not_paid_and_history_tells_what_was() {
    let gateway = Gateway::new().await;
    let silent = provider(&gateway, "silent", ResponseTemplate::new(500)).await;
    let money = budget(&gateway, json!({})).await;
    // Only the failing one and the sandbox, which costs nothing.
    for n in 0..4 {
        let found = ask(&gateway, 6_591_230_000 + n * 97, "live").await.expect(200);
        assert_eq!(found["cost"], 0);
    }
    assert_eq!((silent.received_requests().await.unwrap().len(), spent(&gateway, &money).await), (4, 0));
    let off = ResponseTemplate::new(200).set_body_json(json!({"status": 5}));
    provider(&gateway, "second", off).await;
    let found = ask(&gateway, 6_591_238_888, "live").await.expect(200);
    assert_eq!(
        (&found["cost"], &found["error"]["code"]),
        (&json!(COST), &json!("sim-offline")),
        "an answer is paid"
    );
    assert_eq!(spent(&gateway, &money).await, COST);
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let path = format!("/admin/v1/decisions/{}", found["decision_id"].as_str().unwrap());
    let decision = gateway.admin("GET", &path, None).await.expect(200);
    assert_eq!((&decision["operation"], &decision["facts"]["price"]), (&json!("lookup"), &json!(COST)));
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_says_what_a_full_budget_does() {
    let gateway = Gateway::new().await;
    provider(&gateway, "hlr", yes()).await;
    let alert = budget(&gateway, json!({"amount": 1, "on_exceed": "alert"})).await;
    ask(&gateway, 6_591_234_567, "live").await.expect(200);
    assert_eq!(spent(&gateway, &alert).await, COST);
    let euros = json!({"amount": 1_000_000, "currency": "EUR", "name": "euros"});
    let euros = budget(&gateway, euros).await;
    let refused = ask(&gateway, 6_591_234_568, "live").await.expect(403);
    assert_eq!(refused["code"], "budget-unpriced");
    let detail = refused["detail"].as_str().unwrap();
    assert!(
        detail.contains("covers this lookup, and there is no price for SG in EUR, only one in USD"),
        "{detail}"
    );
    let path = format!("/admin/v1/budgets/{euros}");
    gateway.admin("PATCH", &path, Some(json!({"unpriced": "ignore"}))).await.expect(200);
    ask(&gateway, 6_591_234_568, "live").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_by_eight_tells_it_as_an_empty_account() {
    let gateway = Gateway::new().await;
    provider(&gateway, "hlr", yes()).await;
    budget(&gateway, json!({"amount": 1})).await;
    let path = format!("/api/v1/subaccounts/{}/phones/6591234567?type=operator", gateway.sub());
    let told = gateway.api("GET", &path, None).await.expect(200);
    assert_eq!((&told["status"]["state"], &told["status"]["errorCode"]), (&json!("error"), &json!(2007)));
    assert_eq!(told["phoneType"], "Mobile");
}
