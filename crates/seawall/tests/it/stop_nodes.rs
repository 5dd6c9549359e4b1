//! STOP holds on every node, for what waits, for what is planned, and for batches that are under way.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::cluster::{Shared, eventually};
use crate::common::Gateway;

/// No limits, and nothing takes this traffic for a campaign.
async fn bare(gateway: &Gateway) {
    let off = json!({"detection": {"mode": "off"}});
    gateway.admin("PATCH", "/admin/v1/settings", Some(off)).await.expect(200);
    let limits = gateway.admin("GET", "/admin/v1/limits", None).await.expect(200);
    for limit in limits["data"].as_array().unwrap() {
        let path = format!("/admin/v1/limits/{}", limit["id"].as_str().unwrap());
        gateway.admin("DELETE", &path, None).await.expect(204);
    }
}

async fn offer(gateway: &Gateway, to: &str, text: &str, at: Option<String>) -> u16 {
    let mut body = json!({"to": to, "text": text, "source": "Acme", "category": "marketing"});
    if let Some(at) = at {
        body["scheduled_at"] = at.into();
    }
    gateway.api("POST", "/v1/messages", Some(body)).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn no_node_sends_advertising_more_than_a_second_after_stop() {
    let Some(shared) = Shared::new().await else { return };
    let nodes = Arc::new(shared.nodes(3).await);
    bare(&nodes[0]).await;
    let has = |node: &Gateway| node.running.app.snapshot.load().policy.limits.is_empty();
    eventually("no node has limits", async || nodes.iter().all(has)).await;
    let numbers: Vec<String> = (0..12).map(|n| format!("+659123{:04}", n * 37)).collect();
    let now = nodes[0].running.app.now();
    let due = now.plus(Duration::from_secs(25));
    for (n, to) in numbers.iter().enumerate() {
        let node = &nodes[n % 3];
        eventually("it is accepted", async || offer(node, to, "now", None).await == 201).await;
        let planned = Some(due.to_rfc3339());
        eventually("it is planned", async || offer(node, to, "planned", planned.clone()).await == 201).await;
        nodes[0].phone(to, 1).await;
    }
    // On each node batches are under way, with every number in them again and again.
    let batches: Vec<_> = (0..3)
        .map(|n| {
            let (nodes, numbers) = (nodes.clone(), numbers.clone());
            tokio::spawn(async move {
                for round in 0..8 {
                    let message = |m: usize| {
                        json!({"to": numbers[m % 12], "text": format!("batch {n} {round} {m}"), "source": "Acme",
                               "category": "marketing"})
                    };
                    let body = json!({"messages": (0..96).map(message).collect::<Vec<_>>()});
                    nodes[n].api("POST", "/v1/messages/batch", Some(body)).await;
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    for (n, to) in numbers.iter().enumerate() {
        let stop = json!({"from": to, "to": "Acme", "text": "STOP"});
        nodes[(n + 1) % 3].admin("POST", "/admin/v1/sandbox/messages", Some(stop)).await.expect(201);
    }
    // A STOP holds from the moment at which it is kept, everywhere.
    let mut stopped = Vec::new();
    for (n, to) in numbers.iter().enumerate() {
        let path = format!("/admin/v1/opt-outs?msisdn={}", to.replace('+', "%2B"));
        let kept = async || nodes[n % 3].admin("GET", &path, None).await.expect(200)["data"][0].clone();
        eventually("the STOP is kept", async || kept().await.is_object()).await;
        stopped.push(nodes[0].running.app.now());
        for node in nodes.iter() {
            let refused = offer(node, to, "after", None).await;
            assert!(matches!(refused, 403 | 503), "{refused}");
        }
    }
    for batch in batches {
        batch.await.unwrap();
    }
    let until = due.plus(Duration::from_secs(4));
    eventually("what was planned is due", async || nodes[0].running.app.now() > until).await;
    for (to, at) in numbers.iter().zip(stopped) {
        let latest = at.plus(Duration::from_secs(1)).to_rfc3339();
        let received = nodes[0].phone(to, 1).await;
        let late: Vec<_> = received.iter().filter(|m| m["at"].as_str().unwrap() > latest.as_str()).collect();
        assert!(late.is_empty(), "{late:?} after {latest}");
        assert!(received.iter().all(|m| m["text"] != "planned" && m["text"] != "after"), "{received:?}");
    }
}
