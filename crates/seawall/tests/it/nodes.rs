//! Several nodes are one gateway: what one learns, sets up or is told the others know.

use std::time::Duration;

use seawall::app::detection::{self, Forget, Watch};
use serde_json::json;

use crate::cluster::{Shared, eventually};
use crate::common::{Answer, Gateway};
use crate::proxy::{Fault, Proxy};

/// Asks for a code to one of a block of numbers, from an address of its own.
async fn pump(gateway: &Gateway, n: usize) -> Answer {
    let to = format!("+99893412{:04}", 1000 + n);
    let ip = format!("84.54.{}.{}", n % 200, 1 + n % 250);
    let ask = json!({"to": to, "client": {"ip": ip, "user_agent": format!("agent {n}")}});
    gateway.api("POST", "/v1/verifications", Some(ask)).await
}

/// A change that comes while a node reads the one before is not lost on it: it reads slowly here, and the second change
/// comes at ever later moments of that.
#[tokio::test(flavor = "multi_thread")]
async fn however_changes_follow_one_another_the_last_is_in_force() {
    let Some(shared) = Shared::new().await else { return };
    let node = &shared.nodes(1).await[0];
    let limit =
        json!({"name": "few", "per": "msisdn", "applies_to": ["sms.send"], "quota": 1, "window": "2h"});
    let made = node.admin("POST", "/admin/v1/limits", Some(limit)).await.expect(201);
    let path = format!("/admin/v1/limits/{}", made["id"].as_str().unwrap());
    let (proxy, url, _sockets) = Proxy::postgres(&shared.database).await;
    let slow = shared.join_at(&url, node).await;
    proxy.set(Fault::Delay(Duration::from_millis(10)));
    for round in 0..20 {
        let set =
            async |quota: u32| node.admin("PATCH", &path, Some(json!({"quota": quota}))).await.expect(200);
        set(1_000 + round).await;
        tokio::time::sleep(Duration::from_millis(u64::from(round) * 8)).await;
        set(2_000 + round).await;
        let is_so = || {
            let limits = &slow.running.app.snapshot.load().policy.limits;
            limits.iter().any(|limit| limit.name == "few" && limit.quota == 2_000 + round)
        };
        eventually("the last change is in force", async || is_so()).await;
    }
}

/// Waits until all nodes have folded all that all of them wrote, and looks at them then.
async fn level(nodes: &[Gateway], mut look: impl FnMut()) {
    eventually("all nodes are level", async || {
        // While these are held nobody writes or folds.
        let mut held = Vec::new();
        for node in nodes {
            held.push(node.running.app.detection.hold().await);
        }
        let lags: Vec<_> = nodes.iter().map(|node| node.running.app.detection.lag()).collect();
        let is_so = lags.iter().all(|lag| lag.waiting == 0 && lag.folded == lags[0].folded);
        if is_so {
            look();
        }
        is_so
    })
    .await;
}

/// Nodes that are level know the same, to the bit.
async fn assert_same(nodes: &[Gateway]) {
    let detection = |n: usize| &nodes[n].running.app.detection;
    let engine = |n: usize| detection(n).with(|engine| engine.snapshot());
    level(nodes, || {
        // Scratch memory is part of neither snapshot nor comparison.
        let watch = |n: usize| Watch::restore(&detection(n).watch(|watch| watch.snapshot())).unwrap();
        let (first, seen) = (engine(0), watch(0));
        for n in 1..nodes.len() {
            assert!(first == engine(n), "the evidence of node {n} is another");
            assert!(watch(n) == seen, "signals and incidents of node {n} are others");
        }
    })
    .await;
}

/// Codes to ordinary numbers from everywhere, some of them confirmed on another node.
async fn ordinary(nodes: &[Gateway], from: usize, count: usize) {
    for n in from..from + count {
        let (asked, checked) = (&nodes[n % nodes.len()], &nodes[(n + 1) % nodes.len()]);
        let to = format!("+6591{:06}", (n * 7919) % 1_000_000);
        let ask = json!({"to": to, "client": {"ip": format!("203.0.113.{}", 1 + n % 200)}});
        let answer = asked.api("POST", "/v1/verifications", Some(ask)).await;
        if answer.status == 201 && n % 3 > 0 {
            let id = answer.json()["id"].as_str().unwrap().to_owned();
            let code = checked.code(&to, 1).await;
            let path = format!("/v1/verifications/{id}/check");
            checked.api("POST", &path, Some(json!({"code": code}))).await.expect(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_have_the_same_evidence_of_the_same_stream() {
    let Some(shared) = Shared::new().await else { return };
    let mut nodes = shared.nodes(2).await;
    ordinary(&nodes, 0, 24).await;
    for n in 0..30 {
        pump(&nodes[n % 2], n).await;
    }
    assert_same(&nodes).await;
    // Whichever leads writes the snapshot, and a new node begins with it.
    let leads = |node: &Gateway| node.running.app.store.ledger.leads();
    eventually("a node leads", async || nodes.iter().any(leads)).await;
    for node in &nodes {
        detection::snapshot(&node.running.app, Forget::Old).await;
    }
    let kept = nodes[0].running.app.store.ledger.snapshot().await.unwrap();
    assert!(kept.is_some_and(|(folded, _)| folded > 0));
    ordinary(&nodes, 24, 6).await;
    let third = shared.join(&nodes[0]).await;
    nodes.push(third);
    ordinary(&nodes, 30, 9).await;
    assert_same(&nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_comes_in_force_counts_what_was_sent_once_and_not_once_for_each_node() {
    let Some(shared) = Shared::new().await else { return };
    let nodes = shared.nodes(3).await;
    let send = async |n: usize| {
        let ask = json!({"to": "+6591234567", "text": format!("parcel {n} is here")});
        nodes[n % 3].api("POST", "/v1/messages", Some(ask)).await.status
    };
    for n in 0..4 {
        assert_eq!(send(n).await, 201);
    }
    let limit = json!({"name": "six", "per": "msisdn", "applies_to": ["sms.send"], "quota": 6, "window": "1h", "counts": "sends"});
    nodes[0].admin("POST", "/admin/v1/limits", Some(limit)).await.expect(201);
    let has = |node: &Gateway| node.running.app.snapshot.load().policy.limits.iter().any(|l| l.name == "six");
    eventually("all nodes have it", async || nodes.iter().all(has)).await;
    let mut sent = 0;
    for n in 4..10 {
        sent += usize::from(send(n).await == 201);
    }
    assert_eq!(sent, 2, "four of six were sent before");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attack_that_one_node_saw_is_stopped_on_the_other() {
    let Some(shared) = Shared::new().await else { return };
    let nodes = shared.nodes(2).await;
    let mut sent = 0;
    eventually("the node that is attacked stops it", async || {
        sent += 1;
        pump(&nodes[0], sent).await.status == 403
    })
    .await;
    level(&nodes, || ()).await;
    let refused = pump(&nodes[1], sent + 1).await.expect(403);
    assert!(refused["reasons"][0]["code"].as_str().unwrap().starts_with("campaign"), "{refused}");
    // The incident is one, on both, and somebody's word on it counts on both.
    let list = async |node: &Gateway| node.admin("GET", "/admin/v1/incidents", None).await.expect(200);
    eventually("both show the incident", async || {
        sent += 1;
        pump(&nodes[1], sent + 1).await;
        level(&nodes, || ()).await;
        let (one, two) = (list(&nodes[0]).await, list(&nodes[1]).await);
        one["data"].as_array().unwrap().len() == 1 && one["data"][0]["id"] == two["data"][0]["id"]
    })
    .await;
    let id = list(&nodes[0]).await["data"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/admin/v1/incidents/{id}");
    let closed = nodes[1].admin("PATCH", &path, Some(json!({"status": "closed"}))).await;
    assert_eq!(closed.expect(200)["status"], "closed");
    eventually("the other node has heard of it", async || {
        nodes[0].admin("GET", &path, None).await.expect(200)["status"] == "closed"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_missed_a_part_of_the_stream_begins_with_the_snapshot() {
    let Some(shared) = Shared::new().await else { return };
    let nodes = shared.nodes(2).await;
    ordinary(&nodes, 0, 9).await;
    level(&nodes, || ()).await;
    let leads = |node: &&Gateway| node.running.app.store.ledger.leads();
    eventually("a node leads", async || nodes.iter().any(|node| leads(&node))).await;
    let leader = nodes.iter().find(leads).unwrap();
    let other = nodes.iter().find(|node| !leads(node)).unwrap();
    // The other folds nothing for a while, because somebody else has the turn.
    let pause = other.running.app.detection.hold().await;
    for n in 0..6 {
        let ask = json!({"to": format!("+65912345{n:02}"), "client": {"ip": "203.0.113.9"}});
        leader.api("POST", "/v1/verifications", Some(ask)).await;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    detection::snapshot(&leader.running.app, Forget::All).await;
    let ask = json!({"to": "+6598765432", "client": {"ip": "203.0.113.9"}});
    leader.api("POST", "/v1/verifications", Some(ask)).await.expect(201);
    drop(pause);
    assert_same(&nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_start_at_once_make_one_installation() {
    let Some(shared) = Shared::new().await else { return };
    let dirs: Vec<_> = (0..3).map(|_| shared.data_dir()).collect();
    let starts =
        dirs.iter().map(|dir| seawall::serve::start(crate::common::config(dir.path(), &shared.settings())));
    let running: Vec<_> =
        futures_util::future::join_all(starts).await.into_iter().map(Result::unwrap).collect();
    let made: Vec<_> = running.iter().filter_map(|one| one.initialised.clone()).collect();
    assert_eq!(made.len(), 1, "one of them made it");
    for one in &running {
        let url = format!("http://{}/admin/v1/subaccounts", one.addr);
        let answer = crate::common::client().get(url).bearer_auth(&made[0].admin_token).send().await.unwrap();
        assert_eq!(answer.status(), 200, "the others use it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_erased_from_what_every_node_knows() {
    let Some(shared) = Shared::new().await else { return };
    let nodes = shared.nodes(2).await;
    let to = "+6591234567";
    for node in &nodes {
        node.api("POST", "/v1/messages", Some(json!({"to": to, "text": "hi"}))).await.expect(201);
    }
    let asked = nodes[1].api("DELETE", "/v1/numbers/%2B6591234567/data", None).await.expect(202);
    let path = format!("/v1/erasures/{}", asked["id"].as_str().unwrap());
    for node in &nodes {
        eventually("the erasure is done", async || {
            node.api("GET", &path, None).await.expect(200)["status"] == "done"
        })
        .await;
    }
    assert_same(&nodes).await;
    let left = nodes[0].running.app.store.ledger.evidence_after(0).await.unwrap();
    let long = left.iter().any(|(_, batch)| batch.len() > 30);
    assert!(!long, "of the stream only the passing of time is left");
}
