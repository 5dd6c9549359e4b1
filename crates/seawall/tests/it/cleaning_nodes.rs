//! A cleaning outlives the node that took it: any node tells how it stands, another goes on with it, and nobody is
//! asked twice; an erasure reaches it.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::cluster::{Shared, eventually};
use crate::common::Gateway;

const COST: i64 = 4000;
const NUMBERS: usize = 40;
/// Questions at a time: those whose answers a node that ends never saw.
const UNDER_WAY: usize = 8;

fn number(n: usize) -> String {
    format!("+6591{:06}", 230_000 + n * 7919)
}

fn table() -> String {
    (0..NUMBERS).fold("phone\n".to_owned(), |table, n| table + &number(n) + "\n")
}

/// A provider that takes its time.
async fn provider(gateway: &Gateway) -> MockServer {
    let off = json!({"detection": {"mode": "off"}});
    gateway.admin("PATCH", "/admin/v1/settings", Some(off)).await.expect(200);
    let server = MockServer::start().await;
    let answer =
        ResponseTemplate::new(200).set_body_json(json!({"on": true})).set_delay(Duration::from_millis(400));
    Mock::given(method("GET")).respond_with(answer).mount(&server).await;
    let settings = json!({
        "url": format!("{}/{{to_digits}}", server.uri()), "cost_micros": COST, "timeout_seconds": 5,
        "facts": {"reachable": "/on"},
    });
    let provider = json!({"name": "hlr", "kind": "http_lookup", "settings": settings});
    gateway.admin("POST", "/admin/v1/providers", Some(provider)).await.expect(201);
    server
}

async fn asked(server: &MockServer) -> HashMap<String, usize> {
    let mut times = HashMap::new();
    for request in server.received_requests().await.unwrap() {
        *times.entry(format!("+{}", request.url.path().trim_start_matches('/'))).or_default() += 1;
    }
    times
}

async fn begun(gateway: &Gateway) -> String {
    let url = format!("{}/v1/numbers/cleanings?type=live", gateway.base);
    let request =
        gateway.http.post(url).bearer_auth(&gateway.first.api_key).header("content-type", "text/csv");
    let answer = request.body(table()).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
}

async fn view(gateway: &Gateway, id: &str) -> Value {
    gateway.api("GET", &format!("/v1/numbers/cleanings/{id}"), None).await.expect(200)
}

async fn reached(gateway: &Gateway, id: &str, status: &str) -> Value {
    eventually(status, async || view(gateway, id).await["status"] == status).await;
    view(gateway, id).await
}

async fn rows(gateway: &Gateway, id: &str) -> Vec<Value> {
    let path = format!("/v1/numbers/cleanings/{id}/result?format=json");
    gateway.api("GET", &path, None).await.expect(200)["data"].as_array().unwrap().clone()
}

async fn confirm(gateway: &Gateway, id: &str) {
    let body = json!({"cost_at_most": COST * NUMBERS as i64});
    gateway.api("POST", &format!("/v1/numbers/cleanings/{id}/confirm"), Some(body)).await.expect(202);
}

/// The numbers whose answers are kept.
async fn answered(gateway: &Gateway, id: &str) -> Vec<String> {
    let known = rows(gateway, id).await.into_iter().filter(|row| row["verdict"] == "ok");
    known.map(|row| row["number"].as_str().unwrap().to_owned()).collect()
}

/// It went on to its end: what was answered before was not asked again, and everything was paid once.
async fn assert_once(gateway: &Gateway, id: &str, server: &MockServer, before: &[String]) {
    let done = reached(gateway, id, "done").await;
    assert_eq!(done["verdicts"]["ok"], NUMBERS, "{done}");
    let times = asked(server).await;
    assert!(before.iter().all(|number| times[number] == 1), "{times:?}");
    assert!(times.values().sum::<usize>() <= NUMBERS + UNDER_WAY, "{times:?}");
    assert!(done["spent"].as_i64().unwrap() <= COST * NUMBERS as i64, "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cleaning_goes_on_after_a_restart() {
    let gateway = Gateway::new().await;
    let server = provider(&gateway).await;
    let id = begun(&gateway).await;
    reached(&gateway, &id, "quoted").await;
    let gateway = gateway.restart().await;
    assert_eq!(view(&gateway, &id).await["to_ask"], NUMBERS, "the quote is kept");
    confirm(&gateway, &id).await;
    eventually("some are answered", async || answered(&gateway, &id).await.len() > 10).await;
    let before = answered(&gateway, &id).await;
    let gateway = gateway.restart().await;
    assert_eq!(view(&gateway, &id).await["status"], "running");
    assert_once(&gateway, &id, &server, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_goes_on_where_one_ended() {
    let Some(shared) = Shared::new().await else { return };
    let mut nodes = shared.nodes(3).await;
    let server = provider(&nodes[0]).await;
    let has = |node: &Gateway| !node.running.app.snapshot.load().providers.is_empty();
    eventually("all know the provider", async || nodes.iter().all(has)).await;
    let leads = |node: &Gateway| node.running.app.store.ledger.leads();
    eventually("a node leads", async || nodes.iter().any(leads)).await;
    // Begun on one node, confirmed on the next, read on each.
    let id = begun(&nodes[0]).await;
    reached(&nodes[1], &id, "quoted").await;
    confirm(&nodes[1], &id).await;
    eventually("some are answered", async || answered(&nodes[2], &id).await.len() > 10).await;
    let leader = nodes.iter().position(leads).unwrap();
    let ended = nodes.remove(leader);
    ended.running.stop().await;
    let before = answered(&nodes[0], &id).await;
    assert_once(&nodes[0], &id, &server, &before).await;
    assert_eq!(rows(&nodes[0], &id).await, rows(&nodes[1], &id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_number_is_gone_from_it_and_nobody_is_asked_about_it() {
    let Some(shared) = Shared::new().await else { return };
    let nodes = shared.nodes(2).await;
    let server = provider(&nodes[0]).await;
    let has = |node: &Gateway| !node.running.app.snapshot.load().providers.is_empty();
    eventually("all know the provider", async || nodes.iter().all(has)).await;
    let id = begun(&nodes[0]).await;
    reached(&nodes[1], &id, "quoted").await;
    let path = format!("/v1/numbers/{}/data", number(3).trim_start_matches('+'));
    nodes[1].api("DELETE", &path, None).await.expect(202);
    let is_gone = async |node: &Gateway| rows(node, &id).await.iter().all(|row| row["number"] != number(3));
    eventually("it is gone", async || is_gone(&nodes[0]).await && is_gone(&nodes[1]).await).await;
    confirm(&nodes[1], &id).await;
    reached(&nodes[0], &id, "done").await;
    let late = format!("/v1/numbers/{}/data", number(5).trim_start_matches('+'));
    nodes[0].api("DELETE", &late, None).await.expect(202);
    eventually("what was answered goes, too", async || {
        rows(&nodes[1], &id).await.iter().all(|row| row["number"] != number(5))
    })
    .await;
    assert_eq!(rows(&nodes[0], &id).await.len(), NUMBERS - 2);
    assert!(!asked(&server).await.contains_key(&number(3)), "nobody is asked about it");
    nodes[1].api("DELETE", &format!("/v1/numbers/cleanings/{id}"), None).await.expect(204);
    nodes[0].api("GET", &format!("/v1/numbers/cleanings/{id}"), None).await.expect(404);
}
