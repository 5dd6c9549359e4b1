//! Codes, long messages, receipts and STOP with an SMSC that we did not write (npm `smpp`).

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::Gateway;

struct Smsc {
    child: Child,
    orders: ChildStdin,
    says: Receiver<Value>,
    port: u64,
}

impl Drop for Smsc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Smsc {
    /// `None`, said loudly, when the peer's packages are not there.
    fn start() -> Option<Self> {
        let Ok(dir) = std::env::var("SEAWALL_TEST_NODE_DIR") else {
            assert!(std::env::var("CI").is_err(), "with CI set, nothing may be skipped");
            eprintln!("SKIPPED: no SMPP peer; `cargo xtask test` installs it");
            return None;
        };
        let mut child = Command::new("node")
            .arg("smsc.js")
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, says) = channel::<Value>();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if tell.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        let orders = child.stdin.take().unwrap();
        let port = says.recv_timeout(Duration::from_secs(10)).unwrap()["port"].as_u64().unwrap();
        Some(Smsc { child, orders, says, port })
    }

    fn order(&mut self, order: &Value) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// The next thing it says that has this key.
    async fn next(&self, key: &str) -> Value {
        for _ in 0..400 {
            match self.says.try_recv() {
                Ok(said) if said.get(key).is_some() => return said,
                Ok(_) => {}
                Err(_) => tokio::time::sleep(Duration::from_millis(25)).await,
            }
        }
        panic!("the SMSC said nothing with `{key}`");
    }
}

async fn route_to(gateway: &Gateway, smsc: &Smsc, settings: Value) {
    let mut all =
        json!({"host": "127.0.0.1", "port": smsc.port, "system_id": "seawall", "password": "secret"});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let provider = json!({"name": "peer", "kind": "smpp", "enabled": true, "settings": all});
    gateway.admin("POST", "/admin/v1/providers", Some(provider)).await.expect(201);
    let route = json!({"match": {"country": "SG"}, "providers": ["peer"]});
    gateway.admin("POST", "/admin/v1/routes", Some(route)).await.expect(201);
    let bound = smsc.next("bind").await;
    assert_eq!((bound["bind"].as_str(), bound["good"].as_bool()), (Some("transceiver"), Some(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_receipts_long_messages_and_stop() {
    let Some(mut smsc) = Smsc::start() else { return };
    let gateway = Gateway::new().await;
    route_to(&gateway, &smsc, json!({})).await;

    // A code arrives, its receipt makes the message delivered, and the code verifies.
    let started =
        gateway.api("POST", "/v1/verifications", Some(json!({"to": "+6591234567"}))).await.expect(201);
    let submit = smsc.next("submit").await;
    assert_eq!(submit["to"], "6591234567");
    let code = submit["text"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(code.len(), 6);
    gateway.message_in(started["message_id"].as_str().unwrap(), "delivered").await;
    let check = format!("/v1/verifications/{}/check", started["id"].as_str().unwrap());
    let checked = gateway.api("POST", &check, Some(json!({"code": code}))).await.expect(200);
    assert_eq!(checked["status"], "verified");

    // A long message goes in parts that the peer can put together again.
    let text = "Seawall explains every decision it takes. ".repeat(6);
    let long = json!({"to": "+6598765432", "text": text});
    let sent = gateway.api("POST", "/v1/messages", Some(long)).await.expect(201);
    assert_eq!(sent["segments"], 2);
    let (first, second) = (smsc.next("submit").await, smsc.next("submit").await);
    assert_eq!(format!("{}{}", first["text"].as_str().unwrap(), second["text"].as_str().unwrap()), text);
    assert!(first["udh"].is_array() && second["udh"].is_array());
    gateway.message_in(sent["id"].as_str().unwrap(), "delivered").await;

    // STOP ends messages at once, START begins them again.
    smsc.order(&json!({"mo": {"from": "6598765432", "to": "12345", "text": "Stop."}}));
    assert_eq!(smsc.next("answered").await["answered"], 0);
    let again = json!({"to": "+6598765432", "text": "hello"});
    let refused = loop {
        let answer = gateway.api("POST", "/v1/messages", Some(again.clone())).await;
        if answer.status != 201 {
            break answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(refused.expect(403)["code"], "opt-out");
    smsc.order(&json!({"mo": {"from": "6598765432", "to": "12345", "text": "START"}}));
    smsc.next("answered").await;
    for _ in 0..100 {
        if gateway.api("POST", "/v1/messages", Some(again.clone())).await.status == 201 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("START did not opt in again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_is_made_again() {
    let Some(mut smsc) = Smsc::start() else { return };
    let gateway = Gateway::new().await;
    route_to(&gateway, &smsc, json!({"reconnect_seconds": 1, "long_messages": "payload"})).await;
    smsc.order(&json!({"drop": true}));
    smsc.next("bind").await;
    let text = "x".repeat(400);
    let sent = gateway
        .api("POST", "/v1/messages", Some(json!({"to": "+6591234567", "text": text})))
        .await
        .expect(201);
    let submit = smsc.next("submit").await;
    assert_eq!((submit["payload"].as_bool(), submit["text"].as_str().unwrap().len()), (Some(true), 400));
    gateway.message_in(sent["id"].as_str().unwrap(), "delivered").await;
}
