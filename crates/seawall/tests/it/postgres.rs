//! The gateway on PostgreSQL. Needs the server's programs: `SEAWALL_TEST_POSTGRES`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use seawall::serve::start;
use seawall_store::conformance::server::{Server, own_server, server};
use serde_json::{Value, json};

use crate::cluster::Process;
use crate::common::{Gateway, client, config};

async fn here() -> Option<&'static Server> {
    let server = server().await.unwrap();
    if server.is_none() {
        eprintln!("SKIPPED: PostgreSQL (set SEAWALL_TEST_POSTGRES to the directory of its programs)");
    }
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_sent_and_checked_and_a_restart_knows_it() {
    let Some(server) = here().await else { return };
    let url = server.database().await.unwrap();
    let gateway = Gateway::with(&[("SEAWALL_STORE__URL", &url)]).await;
    let ask = json!({"to": "+6591234567"});
    let begun = gateway.api("POST", "/v1/verifications", Some(ask)).await.expect(201);
    let code = gateway.code("+6591234567", 1).await;
    let Gateway { running, first, http, dir, .. } = gateway;
    running.stop().await;
    assert!(!dir.path().join("seawall.db").exists(), "nothing is kept in SQLite");
    let running = start(config(dir.path(), &[("SEAWALL_STORE__URL", &url)])).await.unwrap();
    let base = format!("http://{}", running.addr);
    let gateway = Gateway { running, first, base, http, dir };
    let path = format!("/v1/verifications/{}/check", begun["id"].as_str().unwrap());
    let wrong = gateway.api("POST", &path, Some(json!({"code": "000000"}))).await.expect(200);
    assert_eq!(wrong["attempts_left"], 4);
    let right = gateway.api("POST", &path, Some(json!({"code": code}))).await.expect(200);
    assert_eq!(right["status"], "verified");
    let limit =
        json!({"name": "few", "per": "msisdn", "applies_to": ["sms.send"], "quota": 1, "window": "1h"});
    gateway.admin("POST", "/admin/v1/limits", Some(limit)).await.expect(201);
    gateway.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_that_counts_for_itself_does_not_start() {
    let Some(server) = here().await else { return };
    let url = server.database().await.unwrap();
    let first = Gateway::with(&[("SEAWALL_STORE__URL", &url)]).await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(first.dir.path().join("installation.key"), dir.path().join("installation.key")).unwrap();
    let error = start(config(dir.path(), &[("SEAWALL_STORE__URL", &url)])).await.err().unwrap();
    assert!(error.contains("another seawall uses this database"), "{error}");
    first.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_hangs_sends_are_refused_and_then_go_on() {
    let Some(server) = own_server().await.unwrap() else { return };
    let url = server.database().await.unwrap();
    let gateway = Gateway::with(&[("SEAWALL_STORE__URL", &url)]).await;
    let send =
        async |to: &str| gateway.api("POST", "/v1/verifications", Some(json!({"to": to}))).await.status;
    assert_eq!(send("+6591234567").await, 201);
    server.pause(true).unwrap();
    let begun = Instant::now();
    assert_eq!(send("+6591234568").await, 503);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    server.pause(false).unwrap();
    let begun = Instant::now();
    while send("+6591234569").await != 201 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not resume");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    gateway.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_nothing_that_was_acknowledged_is_lost() {
    let Some(server) = here().await else { return };
    let url = server.database().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut process = Process::start(dir.path(), &[("SEAWALL_STORE__URL", url.as_str())]).await;
    let first: Value =
        serde_json::from_str(&std::fs::read_to_string(dir.path().join("first-key.json")).unwrap()).unwrap();
    let (key, admin) = (first["api_key"].as_str().unwrap(), first["admin_token"].as_str().unwrap());
    let http = client();
    let off = http.patch(format!("{}/admin/v1/settings", process.base)).bearer_auth(admin);
    let off = off.json(&json!({"detection": {"mode": "off"}})).send().await.unwrap();
    assert_eq!(off.status(), 200);
    let ended = Arc::new(AtomicBool::new(false));
    let senders = (0..16u64).map(|sender| {
        let (http, base, key, ended) = (http.clone(), process.base.clone(), key.to_owned(), ended.clone());
        tokio::spawn(async move {
            let mut taken = Vec::new();
            for n in 0.. {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let body =
                    json!({"to": format!("+65{}", 80_000_000 + sender * 100_000 + n), "text": "hello"});
                let sent =
                    http.post(format!("{base}/v1/messages")).bearer_auth(&key).json(&body).send().await;
                let Ok(answer) = sent else { break };
                if answer.status() == 201
                    && let Ok(body) = answer.json::<Value>().await
                {
                    taken.push(body["id"].as_str().unwrap().to_owned());
                }
            }
            taken
        })
    });
    let senders: Vec<_> = senders.collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    process.kill();
    ended.store(true, Ordering::Relaxed);
    let mut taken = Vec::new();
    for sender in senders {
        taken.extend(sender.await.unwrap());
    }
    assert!(taken.len() > 20, "only {} messages", taken.len());
    let begun = Instant::now();
    let process = Process::start(dir.path(), &[("SEAWALL_STORE__URL", url.as_str())]).await;
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    for id in &taken {
        let get = http.get(format!("{}/v1/messages/{id}", process.base)).bearer_auth(key);
        let answer = get.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{id} is lost");
        let state = answer.json::<Value>().await.unwrap()["state"].as_str().unwrap().to_owned();
        assert_ne!(state, "submitting", "{id}: nobody sends it any more");
    }
}
