//! More than the gateway can take: what is beyond is refused at once and was not done, and whoever floods it leaves room
//! for the others.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use seawall_store::conformance::server::own_server;
use serde_json::{Value, json};

use crate::common::Gateway;

/// A second subaccount, and a key of its own.
async fn neighbour(gateway: &Gateway) -> String {
    gateway.admin("POST", "/admin/v1/subaccounts", Some(json!({"id": "acme_shop"}))).await.expect(201);
    let key = json!({"name": "shop", "subaccounts": ["acme_shop"]});
    let key = gateway.admin("POST", "/admin/v1/api-keys", Some(key)).await.expect(201);
    key["key"].as_str().unwrap().to_owned()
}

async fn send(gateway: &Gateway, key: &str, subaccount: &str, n: usize) -> (u16, Value) {
    let body = json!({"to": format!("+65912{n:05}"), "text": "hi", "subaccount_id": subaccount}).to_string();
    let answer = gateway.raw("POST", "/v1/messages", Some(key), Some(&body), &[]).await;
    (answer.status, answer.json())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_beyond_is_refused_at_once_and_not_done() {
    let Some(server) = own_server().await.unwrap() else { return };
    let url = server.database().await.unwrap();
    let gateway =
        Gateway::with(&[("SEAWALL_STORE__URL", &url), ("SEAWALL_LIMITS__MAX_REQUESTS", "16")]).await;
    let off = json!({"detection": {"mode": "off"}});
    gateway.admin("PATCH", "/admin/v1/settings", Some(off)).await.expect(200);
    let (shop, ours) = (neighbour(&gateway).await, gateway.first.api_key.clone());
    let flood = async |from: usize| {
        let all = join_all((from..from + 60).map(|n| send(&gateway, &ours, gateway.sub(), n))).await;
        let mut said: BTreeMap<String, usize> = BTreeMap::new();
        for (status, body) in all {
            assert!(matches!(status, 201 | 503), "{status} {body}");
            *said.entry(body["code"].as_str().unwrap_or("accepted").to_owned()).or_default() += 1;
        }
        said
    };
    // While the database hangs, requests stay.
    server.pause(true).unwrap();
    let (said, theirs) = tokio::join!(flood(0), async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        send(&gateway, &shop, "acme_shop", 900).await
    });
    assert!(said["overloaded"] >= 40, "{said:?}");
    assert_eq!(theirs.1["code"], "store-unavailable", "the other found a place: {theirs:?}");
    server.pause(false).unwrap();
    let mut accepted = 0;
    for round in 1..40 {
        let one = send(&gateway, &ours, gateway.sub(), 1_000 + round).await.0 == 201;
        let other = send(&gateway, &shop, "acme_shop", 2_000 + round).await.0 == 201;
        accepted += usize::from(one) + usize::from(other);
        if one && other {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    assert!(accepted >= 2, "it goes on by itself");
    assert_eq!(gateway.running.app.room.counts().0, 0, "every place was given back");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let by_state = gateway.admin("GET", "/admin/v1/stats/overview", None).await.expect(200);
    let by_state = by_state["messages"]["by_state"].as_object().unwrap().clone();
    // What was written although its caller was told otherwise is failed, and was not sent.
    let sent: u64 =
        ["sent", "delivered", "queued", "submitting"].iter().filter_map(|s| by_state.get(*s)?.as_u64()).sum();
    assert_eq!(sent, accepted as u64, "{by_state:?}");
    gateway.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_one_subaccount_leaves_room_for_another() {
    let gateway = Gateway::with(&[("SEAWALL_LIMITS__MAX_REQUESTS", "64")]).await;
    let settings = json!({"detection": {"mode": "off"}, "api_rates": {"per_subaccount": 200, "per_caller_ip": 1_000_000}});
    gateway.admin("PATCH", "/admin/v1/settings", Some(settings)).await.expect(200);
    let (shop, ours) = (neighbour(&gateway).await, gateway.first.api_key.clone());
    let attack = async |caller: usize| {
        let mut refused = 0;
        for n in 0..12 {
            let (status, body) = send(&gateway, &ours, gateway.sub(), caller * 100 + n).await;
            assert!(matches!(status, 201 | 429 | 503), "{status} {body}");
            refused += usize::from(status != 201);
        }
        refused
    };
    let quiet = async {
        let mut served = 0;
        for n in 0..60 {
            served += usize::from(send(&gateway, &shop, "acme_shop", 50_000 + n).await.0 == 201);
        }
        served
    };
    let (refused, served) = tokio::join!(join_all((0..160).map(attack)), quiet);
    assert!(refused.iter().sum::<usize>() > 0, "it was an attack");
    assert_eq!(served, 60, "the other is served");
    gateway.running.stop().await;
}
