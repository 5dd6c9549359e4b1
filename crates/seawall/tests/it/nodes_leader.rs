//! What one node does for all, caught in the middle; and nodes whose machines' clocks are set.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use seawall_store::conformance::server::Server;
use serde_json::json;

use crate::cluster::{Shared, Sink, eventually};
use crate::common::Gateway;
use crate::nodes_hung::leaders;
use crate::nodes_killed::Fleet;

const NUMBER: &str = "6591234567";

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_in_the_middle_of_an_erasure_leaves_it_to_another_that_finishes_it() {
    let Some(shared) = Shared::new().await else { return };
    let mut fleet = Fleet::start(&shared, 3).await;
    let (_sink, provider) = Sink::open().await;
    fleet.access.bare(&fleet.nodes[0].base, provider).await;
    fleet.in_force().await;
    for n in 0..6 {
        let body = json!({"to": format!("+{NUMBER}"), "text": format!("parcel {n}")});
        assert_eq!(fleet.post(n % 3, "/v1/messages", body).await.0, 201);
    }
    let mut leads = Vec::new();
    eventually("one node leads", async || {
        leads = leaders(&fleet, 0..3).await;
        leads.len() == 1
    })
    .await;
    let (old, other) = (leads[0], (leads[0] + 1) % 3);
    // Messages are erased first, and then notes: there it stands for a while.
    let database = shared.database.clone();
    let wall = tokio::spawn(async move {
        let lock = "BEGIN; LOCK TABLE notes IN EXCLUSIVE MODE; SELECT pg_sleep(9); COMMIT";
        Server::run(&database, lock).await.unwrap();
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let base = fleet.nodes[other].base.clone();
    let access = fleet.access.clone();
    let call = async |method: &str, path: &str| {
        access.call(&access.key, method, &format!("{base}{path}"), None).await.unwrap().1
    };
    let job = call("DELETE", &format!("/v1/numbers/{NUMBER}/data")).await;
    let url = job["url"].as_str().unwrap_or_else(|| panic!("{job}")).to_owned();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_ne!(call("GET", &url).await["status"], "done");
    fleet.nodes[old].kill();
    wall.await.unwrap();
    let mut done = json!(null);
    eventually("another node finishes the erasure", async || {
        done = call("GET", &url).await;
        done["status"] == "done"
    })
    .await;
    let text = done.to_string();
    assert!(!text.contains(NUMBER), "the number is forgotten: {text}");
    let payload = done["receipt"].as_str().unwrap().split('.').nth(1).unwrap();
    let payload: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    assert_eq!(payload["erased"]["messages"], 6, "each is counted once: {payload}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clock_is_set_admits_no_more_and_knows_the_same_time() {
    let Some(shared) = Shared::new().await else { return };
    let nodes = shared.nodes(3).await;
    let off = json!({"detection": {"mode": "off"}, "verification_backoff": {"mode": "off"}});
    nodes[0].admin("PATCH", "/admin/v1/settings", Some(off)).await.expect(200);
    let limit =
        json!({"name": "few", "per": "msisdn", "applies_to": ["sms.send"], "quota": 9, "window": "2h"});
    nodes[0].admin("POST", "/admin/v1/limits", Some(limit)).await.expect(201);
    let has = |node: &Gateway| node.running.app.snapshot.load().policy.limits.iter().any(|l| l.name == "few");
    eventually("all nodes have it", async || nodes.iter().all(has)).await;
    let send = async |n: usize| {
        let ask = json!({"to": "+6591234567", "text": "hi"});
        nodes[n % 3].api("POST", "/v1/messages", Some(ask)).await.status
    };
    const HOUR: i64 = 3_600_000;
    let mut admitted = 0;
    for step in [-HOUR, HOUR, 72 * HOUR] {
        nodes[1].running.app.clock.set_machine(step);
        // The clock is looked at each second.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let all = join_all((0..18).map(send)).await;
        admitted += all.iter().filter(|status| **status == 201).count();
        assert!(admitted <= 9, "{admitted} of 9 after {step} ms");
        let times: Vec<i64> = nodes.iter().map(|node| node.running.app.now().as_millis()).collect();
        assert!(times.iter().all(|time| time.abs_diff(times[0]) < 1_000), "{times:?}");
    }
    assert_eq!(admitted, 9);
    // A code that it sends ends when it says, on every node.
    let ask = json!({"to": "+6598765432"});
    let begun = nodes[1].api("POST", "/v1/verifications", Some(ask)).await.expect(201);
    let path = format!("/v1/verifications/{}", begun["id"].as_str().unwrap());
    for node in &nodes {
        let seen = node.api("GET", &path, None).await.expect(200);
        assert_eq!(seen["expires_at"], begun["expires_at"]);
        let ends: seawall_core::time::Timestamp = serde_json::from_value(seen["expires_at"].clone()).unwrap();
        let left = ends.since(node.running.app.now());
        assert!(left <= Duration::from_secs(601) && left > Duration::from_secs(60), "{left:?}");
    }
}
