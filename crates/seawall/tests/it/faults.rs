//! Networks and disks that fail under a running gateway: nothing that was acknowledged is lost, nothing is sent twice, and
//! it goes on by itself.

use std::collections::HashMap;
use std::net::TcpListener as Ports;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use seawall_store::conformance::server::server;
use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::common::{Gateway, client};
use crate::proxy::{Fault, Proxy};
use crate::redis_server::Redis;

async fn send(gateway: &Gateway, to: &str) -> (u16, Value, Duration) {
    let begun = Instant::now();
    let body = json!({"to": to, "text": "hello"});
    let answer = gateway.api("POST", "/v1/messages", Some(body)).await;
    (answer.status, answer.json(), begun.elapsed())
}

fn number() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("+6581{:06}", NEXT.fetch_add(7, Ordering::Relaxed))
}

/// Waits until a send is accepted again; its id.
async fn resumes(gateway: &Gateway, fault: Fault) -> String {
    let begun = Instant::now();
    loop {
        let (status, body, _) = send(gateway, &number()).await;
        if status == 201 {
            return body["id"].as_str().unwrap().to_owned();
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{fault:?}: it does not resume: {body}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// While a fault lasts sends are accepted or refused with 503, soon; afterwards they are accepted. What was accepted is
/// there, and nothing of what was refused reached the phone.
async fn survives(gateway: &Gateway, proxy: &Proxy, faults: &[Fault]) {
    for fault in faults {
        let mut acked = vec![resumes(gateway, *fault).await];
        proxy.set(*fault);
        for _ in 0..2 {
            let (status, body, took) = send(gateway, &number()).await;
            // What is corrupted may say anything, also that a limit is full; but not that there is room.
            let garbled = *fault == Fault::Corrupt && status == 429;
            assert!(matches!(status, 201 | 503) || garbled, "{fault:?}: {status} {body}");
            assert!(took < Duration::from_secs(9), "{fault:?}: an answer took {took:?}");
            if status == 201 {
                acked.push(body["id"].as_str().unwrap().to_owned());
            }
        }
        proxy.set(Fault::None);
        acked.push(resumes(gateway, *fault).await);
        for id in &acked {
            let begun = Instant::now();
            loop {
                let answer = gateway.api("GET", &format!("/v1/messages/{id}"), None).await;
                if answer.status == 200 && answer.json()["state"] == "delivered" {
                    break;
                }
                let text = answer.text;
                assert!(begun.elapsed() < Duration::from_secs(20), "{fault:?}: {id}: {text}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn between_the_gateway_and_postgres() {
    let Some(server) = server().await.unwrap() else {
        return eprintln!("SKIPPED: PostgreSQL (set SEAWALL_TEST_POSTGRES to the directory of its programs)");
    };
    let (proxy, url, _sockets) = Proxy::postgres(&server.database().await.unwrap()).await;
    let gateway = Gateway::with(&[("SEAWALL_STORE__URL", &url)]).await;
    let off = json!({"detection": {"mode": "off"}});
    gateway.admin("PATCH", "/admin/v1/settings", Some(off)).await.expect(200);
    let slow = Fault::Delay(Duration::from_millis(20));
    let all = [slow, Fault::Throttle(200_000), Fault::Stall, Fault::Cut, Fault::HalfOpen, Fault::Corrupt];
    survives(&gateway, &proxy, &all).await;
    a_stop_is_acknowledged_when_it_is_kept(&gateway, &proxy).await;
    gateway.running.stop().await;
}

/// Whoever brings a STOP while the store is gone is asked to bring it again, and it holds then.
async fn a_stop_is_acknowledged_when_it_is_kept(gateway: &Gateway, proxy: &Proxy) {
    let to = number();
    let stop = json!({"from": to, "to": "Acme", "text": "STOP"});
    proxy.set(Fault::Cut);
    let refused = gateway.admin("POST", "/admin/v1/sandbox/messages", Some(stop.clone())).await.expect(503);
    assert_eq!(refused["code"], "echoes-not-kept");
    proxy.set(Fault::None);
    resumes(gateway, Fault::Cut).await;
    let (status, ..) = send(gateway, &to).await;
    assert_eq!(status, 201, "what was not acknowledged is not in force");
    gateway.admin("POST", "/admin/v1/sandbox/messages", Some(stop)).await.expect(201);
    let (status, body, _) = send(gateway, &to).await;
    assert_eq!((status, &body["reasons"][0]["code"]), (403, &json!("opt-out")), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn between_the_gateway_and_redis() {
    let Some(redis) = Redis::start() else { return };
    let target = redis.url().strip_prefix("redis://").unwrap().parse().unwrap();
    let proxy = Proxy::tcp(target).await;
    let url = format!("redis://{}", proxy.addr.unwrap());
    let gateway = Gateway::with(&[("SEAWALL_COUNTERS__URL", &url)]).await;
    let off = json!({"detection": {"mode": "off"}});
    gateway.admin("PATCH", "/admin/v1/settings", Some(off)).await.expect(200);
    let limit =
        json!({"name": "some", "per": "msisdn", "applies_to": ["sms.send"], "quota": 1, "window": "1h"});
    gateway.admin("POST", "/admin/v1/limits", Some(limit)).await.expect(201);
    let slow = Fault::Delay(Duration::from_millis(20));
    let all = [slow, Fault::Stall, Fault::Cut, Fault::HalfOpen, Fault::Duplicate, Fault::Corrupt];
    survives(&gateway, &proxy, &all).await;
    let to = number();
    assert_eq!(send(&gateway, &to).await.0, 201);
    assert_eq!(send(&gateway, &to).await.0, 429, "the limit holds after all that");
    gateway.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_the_gateway_and_a_provider() {
    let provider = MockServer::start().await;
    let taken = |request: &Request| {
        let body: Value = request.body_json().unwrap();
        ResponseTemplate::new(200).set_body_json(json!({"id": body["id"]}))
    };
    Mock::given(method("POST")).respond_with(taken).mount(&provider).await;
    let proxy = Proxy::tcp(*provider.address()).await;
    let gateway = Gateway::without_detection().await;
    let settings = json!({"url": format!("http://{}/send", proxy.addr.unwrap()), "method": "POST",
        "allow_http": true, "timeout_seconds": 2, "message_id": "/id",
        "body": {"id": "{id}", "to": "{to}", "text": "{text}"}});
    let one = json!({"name": "one", "kind": "http", "enabled": true, "settings": settings});
    let made = gateway.admin("POST", "/admin/v1/providers", Some(one)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let route = json!({"match": {}, "providers": ["one"], "position": 1});
    gateway.admin("POST", "/admin/v1/routes", Some(route)).await.expect(201);
    for (fault, states) in [
        (Fault::None, &["sent"][..]),
        (Fault::HalfOpen, &["unknown"][..]),
        (Fault::Cut, &["sent", "unknown"][..]),
        (Fault::Stall, &["unknown"][..]),
        (Fault::Duplicate, &["sent", "unknown"][..]),
        (Fault::Corrupt, &["sent", "unknown", "failed"][..]),
    ] {
        proxy.set(fault);
        let (status, body, _) = send(&gateway, &number()).await;
        assert_eq!(status, 201, "{fault:?}: a provider's trouble is not the caller's: {body}");
        let path = format!("/admin/v1/messages/{}", body["id"].as_str().unwrap());
        tokio::time::sleep(Duration::from_millis(500)).await;
        if fault == Fault::Cut {
            proxy.set(Fault::None);
        }
        let begun = Instant::now();
        loop {
            let state = gateway.admin("GET", &path, None).await.expect(200)["state"].clone();
            if states.iter().any(|expected| state == *expected) {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(45), "{fault:?}: {state}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        proxy.set(Fault::None);
        // The provider is left alone for a while after a failure.
        gateway.advance("2m").await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut times: HashMap<String, u32> = HashMap::new();
    for request in provider.received_requests().await.unwrap() {
        let body: Value = request.body_json().unwrap();
        *times.entry(body["id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert!(times.len() >= 4 && times.values().all(|times| *times == 1), "{times:?}");
    gateway.running.stop().await;
}

/// A small disk of one's own; `None`, said loudly, where none can be mounted.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of(megabytes: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"]).arg(dir.path());
        if mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            return Some(Disk(dir));
        }
        eprintln!("SKIPPED: no file system can be mounted here, so no disk can be full");
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// A gateway in a process of its own.
struct Process {
    child: Child,
    base: String,
    key: String,
}

impl Process {
    async fn start(dir: &Path) -> Self {
        let listen = Ports::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        command.args(["serve", "--data-dir"]).arg(dir).args(["--listen", &listen.to_string()]);
        command.env("SEAWALL_LOG__LEVEL", "error");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut process = Process { child, base: format!("http://{listen}"), key: String::new() };
        for _ in 0..400 {
            let ready = client().get(format!("{}/readyz", process.base)).send().await;
            if ready.is_ok_and(|answer| answer.status() == 200) {
                let first = std::fs::read_to_string(dir.join("first-key.json")).unwrap();
                let first: Value = serde_json::from_str(&first).unwrap();
                process.key = first["api_key"].as_str().unwrap().to_owned();
                return process;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the gateway does not get ready");
    }

    async fn send(&self) -> (u16, Value) {
        let body = json!({"to": number(), "text": "hello"});
        let request = client().post(format!("{}/v1/messages", self.base)).bearer_auth(&self.key).json(&body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn is_there(&self, id: &str) -> bool {
        let get = client().get(format!("{}/v1/messages/{id}", self.base)).bearer_auth(&self.key);
        get.send().await.unwrap().status() == 200
    }

    async fn accept(&self, many: usize) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..many {
            let (status, body) = self.send().await;
            assert_eq!(status, 201, "{body}");
            ids.push(body["id"].as_str().unwrap().to_owned());
        }
        ids
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let Some(disk) = Disk::of(24) else { return };
    let dir = disk.0.path().join("data");
    let process = Process::start(&dir).await;
    let mut acked = process.accept(3).await;
    let filler = disk.0.path().join("filler");
    let mut fill = Command::new("dd");
    fill.arg("if=/dev/zero").arg(format!("of={}", filler.display())).args(["bs=4k", "count=100000"]);
    assert!(!fill.stderr(Stdio::null()).status().unwrap().success(), "the disk is full by now");
    let begun = Instant::now();
    loop {
        let (status, body) = process.send().await;
        if status == 503 {
            assert_eq!(body["code"], "store-unavailable", "{body}");
            break;
        }
        // The log may have had room for some more.
        assert_eq!(status, 201, "{body}");
        acked.push(body["id"].as_str().unwrap().to_owned());
        assert!(begun.elapsed() < Duration::from_secs(30), "it never notices");
    }
    assert!(process.is_there(&acked[0]).await, "what is there can be read");
    std::fs::remove_file(&filler).unwrap();
    let begun = Instant::now();
    while process.send().await.0 != 201 {
        assert!(begun.elapsed() < Duration::from_secs(5), "it does not go on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    acked.extend(process.accept(2).await);
    drop(process);
    let process = Process::start(&dir).await;
    for id in &acked {
        assert!(process.is_there(id).await, "{id} was acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_sync_nothing_is_acknowledged_until_a_restart() {
    let traced = Command::new("strace").args(["-qq", "-e", "trace=none", "true"]).status();
    if !traced.is_ok_and(|status| status.success()) {
        return eprintln!("SKIPPED: strace cannot be used here, so no write can be made to fail");
    }
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path()).await;
    let mut acked = process.accept(3).await;
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync"]);
    strace.args(["-e", "inject=fdatasync,fsync:error=EIO", "-p", &process.child.id().to_string()]);
    let mut strace = strace.stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    loop {
        let (status, body) = process.send().await;
        if status == 503 {
            break;
        }
        acked.push(body["id"].as_str().unwrap().to_owned());
        assert!(begun.elapsed() < Duration::from_secs(20), "strace does not get hold of it");
    }
    // Let go of it: the disk is well again, and what it did with the pages before nobody knows.
    Command::new("kill").args(["-INT", &strace.id().to_string()]).status().unwrap();
    strace.wait().unwrap();
    let (status, body) = process.send().await;
    assert_eq!(status, 503, "{body}");
    drop(process);
    let process = Process::start(dir.path()).await;
    process.accept(1).await;
    for id in &acked {
        assert!(process.is_there(id).await, "{id} was acknowledged");
    }
}
