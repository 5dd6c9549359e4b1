//! Keys of what is kept: a new data key, a new key-encryption key, and what is said when one is missing.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use seawall::serve::start;
use serde_json::{Value, json};

use crate::common::{Gateway, config, seawall};

const TO: &str = "+6591234567";

async fn keys(gateway: &Gateway) -> Value {
    gateway.admin("GET", "/admin/v1/keys", None).await.expect(200)
}

/// Ids of data keys by their state.
fn ids(keys: &Value, state: &str) -> Vec<u64> {
    let all = keys["keys"].as_array().unwrap().iter().filter(|key| key["id"] != 0 && key["state"] == state);
    all.map(|key| key["id"].as_u64().unwrap()).collect()
}

async fn idle(gateway: &Gateway) -> Value {
    let begun = Instant::now();
    loop {
        let now = keys(gateway).await;
        if now["reseal"]["state"] == "idle" {
            return now;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{now}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn plant(gateway: &Gateway, n: u32) -> String {
    let to = format!("+659123{n:04}");
    let body = json!({"to": to, "text": format!("text {n}"), "source": "Acme"});
    let sent = gateway.api("POST", "/v1/messages", Some(body)).await.expect(201);
    let consent = json!({"to": to, "source": "till", "proof": format!("proof {n}")});
    gateway.api("POST", "/v1/consents", Some(consent)).await.expect(201);
    sent["id"].as_str().unwrap().to_owned()
}

/// Everything that was planted is readable.
async fn check(gateway: &Gateway, n: u32) {
    assert_eq!(gateway.phone(&format!("+659123{n:04}"), 1).await[0]["text"], format!("text {n}"));
    let consents = gateway.api("GET", &format!("/v1/consents?to=%2B659123{n:04}"), None).await.expect(200);
    assert_eq!(consents["data"][0]["proof"], format!("proof {n}"));
}

fn key_file(dir: &Path) -> std::path::PathBuf {
    dir.join("installation.key")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_data_key_seals_and_the_old_one_goes_when_nothing_names_it() {
    let gateway = Gateway::without_detection().await;
    for n in 0..20 {
        plant(&gateway, n * 37).await;
    }
    let code = gateway.api("POST", "/v1/verifications", Some(json!({"to": TO}))).await.expect(201);
    assert_eq!(ids(&keys(&gateway).await, "current"), [1]);
    let rotated = gateway.admin("POST", "/admin/v1/keys/rotate", Some(json!({}))).await.expect(200);
    assert_eq!((ids(&rotated, "current"), ids(&rotated, "old")), (vec![2], vec![1]));
    let again = gateway.admin("POST", "/admin/v1/keys/rotate", Some(json!({}))).await;
    assert_eq!(again.status, 409, "{}", again.text);
    plant(&gateway, 9999).await;
    // Half-way, a restart: the background work goes on.
    let gateway = gateway.restart().await;
    let now = idle(&gateway).await;
    assert_eq!((ids(&now, "current"), ids(&now, "old")), (vec![2], vec![]), "{now}");
    assert!(now["reseal"]["done"].as_u64().unwrap() > 0, "{now}");
    for n in 0..20 {
        check(&gateway, n * 37).await;
    }
    check(&gateway, 9999).await;
    // A code that was out is still right, and numbers are still found by their keyed hash.
    let path = format!("/v1/verifications/{}/check", code["id"].as_str().unwrap());
    let typed = gateway.code(TO, 1).await;
    let checked = gateway.api("POST", &path, Some(json!({"code": typed}))).await.expect(200);
    assert_eq!(checked["status"], "verified");
    let gateway = gateway.restart().await;
    check(&gateway, 37).await;
    let (shown, _, exit) = seawall(&gateway, &["vault", "show"]).await;
    assert!(shown.contains("installation.key") && shown.contains("current") && exit == Some(0), "{shown}");
    let (done, told, exit) = seawall(&gateway, &["vault", "rotate", "--wait", "--json"]).await;
    assert_eq!(exit, Some(0), "{told}");
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!((ids(&done, "current"), ids(&done, "old")), (vec![3], vec![]), "{done}");
    check(&gateway, 37).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_encryption_key_wraps_everything_at_once() {
    let gateway = Gateway::without_detection().await;
    plant(&gateway, 1).await;
    let before = keys(&gateway).await;
    let after = gateway.admin("POST", "/admin/v1/keys/rewrap", Some(json!({"new": true}))).await.expect(200);
    assert_eq!(after["kek_keys"].as_array().unwrap().len(), 2);
    let wraps = |keys: &Value| keys["keys"][1]["wrapped_by"].clone();
    assert_ne!(wraps(&before), wraps(&after));
    assert!(after["keys"].as_array().unwrap().iter().all(|key| key["wrapped_by"] == after["kek_keys"][1]));
    let (dir, first) = (gateway.dir, gateway.first);
    gateway.running.stop().await;
    // The old line is no longer needed; the new one is.
    let path = key_file(dir.path());
    let whole = std::fs::read_to_string(&path).unwrap();
    let only = |id: &str| {
        whole.lines().filter(|line| line.starts_with(id)).map(|line| format!("{line}\n")).collect::<String>()
    };
    std::fs::write(&path, only("2:")).unwrap();
    start(config(dir.path(), &[])).await.unwrap().stop().await;
    std::fs::write(&path, only("1:")).unwrap();
    let refused = start(config(dir.path(), &[])).await.err().unwrap();
    let named = after["kek_keys"][1].as_str().unwrap();
    assert!(refused.contains(named) && refused.contains("restore that line"), "{refused}");
    std::fs::remove_file(&path).unwrap();
    let refused = start(config(dir.path(), &[])).await.err().unwrap();
    assert!(
        refused.contains("installation.key") && refused.contains("restore it from its backup"),
        "{refused}"
    );
    drop(first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_may_hold_the_key_encryption_key() {
    let beside = tempfile::tempdir().unwrap();
    let program = beside.path().join("kms");
    // It stands in for a service: what it gives back is not what it was given, and it can be taken back.
    let script = "#!/bin/sh\necho \"$1\" >> \"$0.log\"\nbase64 -d | LC_ALL=C tr '\\000-\\377' '\\200-\\377\\000-\\177' | base64 -w0\n";
    std::fs::write(&program, script).unwrap();
    Command::new("chmod").arg("700").arg(&program).status().unwrap();
    let words = program.display().to_string();
    let settings = [("SEAWALL_KEYS__COMMAND", words.as_str())];
    let gateway = Gateway::with(&settings).await;
    plant(&gateway, 1).await;
    assert_eq!(keys(&gateway).await["keys"][0]["wrapped_by"], "program");
    let refused = gateway.admin("POST", "/admin/v1/keys/rewrap", Some(json!({"new": true}))).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    gateway.admin("POST", "/admin/v1/keys/rewrap", Some(json!({}))).await.expect(200);
    let dir = gateway.dir;
    gateway.running.stop().await;
    assert!(!key_file(dir.path()).exists());
    let asked = std::fs::read_to_string(beside.path().join("kms.log")).unwrap();
    assert!(asked.contains("unwrap") && asked.lines().filter(|line| *line == "wrap").count() >= 4, "{asked}");
    start(config(dir.path(), &settings)).await.unwrap().stop().await;
    std::fs::write(&program, "#!/bin/sh\necho access denied >&2\nexit 7\n").unwrap();
    let refused = start(config(dir.path(), &settings)).await.err().unwrap();
    assert!(refused.contains("unwrap") && refused.contains("access denied"), "{refused}");
    let refused = start(config(dir.path(), &[])).await.err().unwrap();
    assert!(refused.contains("installation.key"), "{refused}");
}

#[test]
fn the_key_encryption_key_may_be_in_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let run = |key: Option<&str>, words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        command.args(words).arg("--data-dir").arg(dir.path()).env("SEAWALL_KEYS__ENV", "TEST_KEK");
        key.iter().for_each(|key| {
            command.env("TEST_KEK", key);
        });
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (right, wrong) = (format!("1:{}", "ab".repeat(32)), format!("1:{}", "cd".repeat(32)));
    let (done, said) = run(Some(&right), &["init"]);
    assert!(done && !key_file(dir.path()).exists(), "{said}");
    assert!(run(Some(&format!("{right},2:{}", "ef".repeat(32))), &["migrate"]).0);
    for (key, says) in [
        (Some(wrong.as_str()), "the root key is wrapped by key-encryption key"),
        (None, "TEST_KEK is not set"),
        (Some("secret"), "is not `id:64 hex digits`"),
    ] {
        let (done, said) = run(key, &["migrate"]);
        assert!(!done && said.contains(says), "{said}");
        assert!(!said.contains(&"cd".repeat(8)), "no key is printed");
    }
}
