//! Backups of the embedded store: made while it serves, restored elsewhere, or taken to PostgreSQL.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use seawall::app::detection;
use seawall::serve::start;
use seawall_store::conformance::server::server;
use serde_json::{Value, json};

use crate::common::{Gateway, client, config};

/// The command line on a directory, with nothing of the tests' environment.
async fn run(words: &[&str], dir: &Path, env: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_seawall"));
    command.args(words).arg("--data-dir").arg(dir).envs(env.iter().copied());
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

async fn done(words: &[&str], dir: &Path) -> Value {
    let (code, out, err) = run(words, dir, &[]).await;
    assert_eq!(code, Some(0), "{err}");
    serde_json::from_str(&out).unwrap_or(Value::Null)
}

/// The same installation on other data.
async fn on(gateway: &Gateway, dir: tempfile::TempDir, settings: &[(&str, &str)]) -> Gateway {
    let running = start(config(dir.path(), settings)).await.unwrap();
    assert!(running.initialised.is_none());
    let base = format!("http://{}", running.addr);
    Gateway { running, first: gateway.first.clone(), base, http: client(), dir }
}

/// A provider that does not answer, so that messages wait.
async fn silence(gateway: &Gateway) {
    let settings = json!({"url": "http://127.0.0.1:9/", "method": "POST", "allow_http": true,
        "body": {"to": "{to}", "text": "{text}"}});
    let nobody = json!({"name": "nobody", "kind": "http", "enabled": true, "settings": settings});
    gateway.admin("POST", "/admin/v1/providers", Some(nobody)).await.expect(201);
    let routes = gateway.admin("GET", "/admin/v1/routes", None).await.expect(200);
    for route in routes["data"].as_array().unwrap() {
        let path = format!("/admin/v1/routes/{}", route["id"].as_str().unwrap());
        gateway.admin("DELETE", &path, None).await.expect(204);
    }
    let route = json!({"match": {}, "providers": ["nobody"]});
    gateway.admin("POST", "/admin/v1/routes", Some(route)).await.expect(201);
}

async fn state(gateway: &Gateway, message: &Value) -> String {
    let path = format!("/admin/v1/messages/{}", message["id"].as_str().unwrap());
    gateway.admin("GET", &path, None).await.expect(200)["state"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_backed_up_while_it_served_is_there_and_nothing_goes_on_twice() {
    let gateway = Gateway::without_detection().await;
    let text = |to: &str| json!({"to": to, "text": "hello"});
    let sent = gateway.api("POST", "/v1/messages", Some(text("+6591234567"))).await.expect(201);
    gateway.message_in(sent["id"].as_str().unwrap(), "delivered").await;
    let ask = json!({"to": "+6591234568"});
    let open = gateway.api("POST", "/v1/verifications", Some(ask)).await.expect(201);
    let code = gateway.code("+6591234568", 1).await;
    silence(&gateway).await;
    let waits = gateway.api("POST", "/v1/messages", Some(text("+6591234569"))).await.expect(201);
    gateway.message_in(waits["id"].as_str().unwrap(), "queued").await;
    let mut later = text("+6591234570");
    later["scheduled_at"] = json!(gateway.running.app.now().plus(Duration::from_secs(86_400)));
    let scheduled = gateway.api("POST", "/v1/messages", Some(later)).await.expect(201);
    let out = tempfile::tempdir().unwrap();
    let (file, key) = (out.path().join("a.backup"), out.path().join("a.key"));
    let (file, key) = (file.to_str().unwrap(), key.to_str().unwrap());
    let (code_of_run, said, _) = run(&["backup", file], gateway.dir.path(), &[]).await;
    assert_eq!(code_of_run, Some(0));
    assert!(said.contains("The key is not in it"), "{said}");
    let (_, _, again) = run(&["backup", file], gateway.dir.path(), &[]).await;
    assert!(again.contains("exists already"), "{again}");
    std::fs::remove_file(file).unwrap();
    done(&["backup", file, "--key", key, "--json"], gateway.dir.path()).await;
    assert!(!String::from_utf8_lossy(&std::fs::read(file).unwrap()).contains("6591234567"));

    let to = tempfile::tempdir().unwrap();
    let (_, _, keyless) = run(&["restore", file], to.path(), &[]).await;
    assert!(keyless.contains("--key FILE"), "{keyless}");
    let (_, _, foreign) = {
        let other = Gateway::new().await;
        let theirs = other.dir.path().join("installation.key");
        run(&["restore", file, "--key", theirs.to_str().unwrap()], to.path(), &[]).await
    };
    assert!(foreign.contains("sealed with another key"), "{foreign}");
    let (_, _, full) = run(&["restore", file, "--key", key], gateway.dir.path(), &[]).await;
    assert!(full.contains("restored into an empty directory"), "{full}");
    assert_eq!(std::fs::read_dir(to.path()).unwrap().count(), 0, "what is refused leaves nothing behind");

    // The gateway goes on after the backup: the code is used.
    let check = format!("/v1/verifications/{}/check", open["id"].as_str().unwrap());
    let used = gateway.api("POST", &check, Some(json!({"code": code}))).await.expect(200);
    assert_eq!(used["status"], "verified");

    let restored = done(&["restore", file, "--key", key, "--json"], to.path()).await;
    assert_eq!(restored["unknown"], 1, "{restored}");
    assert_eq!(restored["verifications"], 1, "{restored}");
    let copy = on(&gateway, to, &[]).await;
    assert_eq!(state(&copy, &sent).await, "delivered");
    assert_eq!(state(&copy, &waits).await, "unknown");
    assert_eq!(state(&copy, &scheduled).await, "scheduled");
    let again = copy.api("POST", &check, Some(json!({"code": code}))).await;
    assert_ne!(again.json()["status"], "verified", "{}", again.text);
    copy.advance("1m").await;
    let fresh = copy.api("POST", "/v1/verifications", Some(json!({"to": "+6591234568"}))).await;
    assert_eq!(fresh.status, 201, "{}", fresh.text);
    copy.running.stop().await;
    gateway.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_stop_what_waited_goes_on() {
    let gateway = Gateway::without_detection().await;
    silence(&gateway).await;
    let text = json!({"to": "+6591234569", "text": "hello"});
    let waits = gateway.api("POST", "/v1/messages", Some(text)).await.expect(201);
    gateway.message_in(waits["id"].as_str().unwrap(), "queued").await;
    let Gateway { running, first, base, http, dir } = gateway;
    running.stop().await;
    let out = tempfile::tempdir().unwrap();
    let (file, key) = (out.path().join("a"), out.path().join("k"));
    done(&["backup", file.to_str().unwrap(), "--key", key.to_str().unwrap()], dir.path()).await;
    let to = tempfile::tempdir().unwrap();
    std::fs::copy(&key, to.path().join("installation.key")).unwrap();
    done(&["restore", file.to_str().unwrap(), "--stopped"], to.path()).await;
    let running = start(config(to.path(), &[])).await.unwrap();
    let gateway = Gateway { base: format!("http://{}", running.addr), running, first, http, dir: to };
    let _ = base;
    assert_eq!(state(&gateway, &waits).await, "queued");
    gateway.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_erased_since_the_backup_is_erased_again() {
    let gateway = Gateway::without_detection().await;
    for to in ["+6591234567", "+6591234568"] {
        let text = json!({"to": to, "text": "hello"});
        let sent = gateway.api("POST", "/v1/messages", Some(text)).await.expect(201);
        gateway.message_in(sent["id"].as_str().unwrap(), "delivered").await;
    }
    let out = tempfile::tempdir().unwrap();
    let (file, key) = (out.path().join("a"), out.path().join("k"));
    let (file, key) = (file.to_str().unwrap(), key.to_str().unwrap());
    done(&["backup", file, "--key", key], gateway.dir.path()).await;
    gateway.api("DELETE", "/v1/numbers/6591234567/data", None).await.expect(202);
    let tombstones = gateway.dir.path().join("erased.log");
    for _ in 0..100 {
        if tombstones.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let text = std::fs::read_to_string(&tombstones).unwrap();
    assert!(!text.contains("91234567"), "{text}");
    let to = tempfile::tempdir().unwrap();
    let words = ["restore", file, "--key", key, "--erased", tombstones.to_str().unwrap(), "--json"];
    let restored = done(&words, to.path()).await;
    assert_eq!((&restored["erased_again"], &restored["not_found"]), (&json!(1), &json!(0)), "{restored}");
    let copy = on(&gateway, to, &[]).await;
    let messages = async |to: &str| {
        let path = format!("/admin/v1/messages?msisdn=%2B{to}");
        copy.admin("GET", &path, None).await.expect(200)["data"].as_array().unwrap().len()
    };
    for _ in 0..100 {
        if messages("6591234567").await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((messages("6591234567").await, messages("6591234568").await), (0, 1));
    copy.running.stop().await;
    gateway.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_takes_over_from_the_embedded_store() {
    let Some(server) = server().await.unwrap() else {
        eprintln!("SKIPPED: PostgreSQL (set SEAWALL_TEST_POSTGRES to the directory of its programs)");
        return;
    };
    let gateway = Gateway::without_detection().await;
    let text = |to: &str| json!({"to": to, "text": "hello"});
    let sent = gateway.api("POST", "/v1/messages", Some(text("+6591234567"))).await.expect(201);
    gateway.message_in(sent["id"].as_str().unwrap(), "delivered").await;
    let ask = json!({"to": "+6591234568"});
    let open = gateway.api("POST", "/v1/verifications", Some(ask)).await.expect(201);
    let code = gateway.code("+6591234568", 1).await;
    let check = format!("/v1/verifications/{}/check", open["id"].as_str().unwrap());
    gateway.api("POST", &check, Some(json!({"code": "000000"}))).await.expect(200);
    let begun =
        gateway.api("POST", "/v1/verifications", Some(json!({"to": "+6591234571"}))).await.expect(201);
    let limit =
        json!({"name": "two", "per": "msisdn", "applies_to": ["sms.send"], "quota": 2, "window": "1h"});
    gateway.admin("POST", "/admin/v1/limits", Some(limit)).await.expect(201);
    let out = json!({"msisdn": "+6591234572"});
    gateway.admin("POST", "/admin/v1/opt-outs", Some(out)).await.expect(201);
    let entry = json!({"value": "+6591234573"});
    gateway.admin("POST", "/admin/v1/lists/deny-msisdn/entries", Some(entry)).await.expect(201);
    silence(&gateway).await;
    let waits = gateway.api("POST", "/v1/messages", Some(text("+6591234569"))).await.expect(201);
    gateway.message_in(waits["id"].as_str().unwrap(), "queued").await;

    let url = server.database().await.unwrap();
    let env = [("SEAWALL_STORE__URL", url.as_str())];
    let (code_of_run, _, busy) = run(&["import"], gateway.dir.path(), &env).await;
    assert_eq!(code_of_run, Some(1));
    assert!(busy.contains("another seawall process"), "{busy}");
    let Gateway { running, first, http, dir, .. } = gateway;
    running.stop().await;
    let before = tempfile::tempdir().unwrap();
    for name in ["seawall.db", "installation.key"] {
        std::fs::copy(dir.path().join(name), before.path().join(name)).unwrap();
    }
    let (code_of_run, counts, err) = run(&["import", "--json"], dir.path(), &env).await;
    assert_eq!(code_of_run, Some(0), "{err}");
    let counts: Value = serde_json::from_str(&counts).unwrap();
    assert_eq!((&counts["messages"], &counts["open_verifications"]), (&json!(4), &json!(2)), "{counts}");
    assert!(!dir.path().join("seawall.db").exists() && dir.path().join("seawall.db.imported").exists());
    let (code_of_run, _, full) = run(&["import"], before.path(), &env).await;
    assert_eq!(code_of_run, Some(1));
    assert!(full.contains("import into an empty one"), "{full}");
    assert!(before.path().join("seawall.db").exists());

    let running = start(config(dir.path(), &[("SEAWALL_STORE__URL", &url)])).await.unwrap();
    assert!(running.initialised.is_none());
    let gateway = Gateway { base: format!("http://{}", running.addr), running, first, http, dir };
    assert_eq!(state(&gateway, &sent).await, "delivered");
    assert_eq!(state(&gateway, &waits).await, "queued");
    let refused = gateway.api("POST", "/v1/messages", Some(text("+6591234572"))).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    let denied = gateway.api("POST", "/v1/messages", Some(text("+6591234573"))).await;
    assert_eq!(denied.status, 403, "{}", denied.text);
    // Of two messages an hour to this number one was sent before.
    gateway.api("POST", "/v1/messages", Some(text("+6591234567"))).await.expect(201);
    let third = gateway.api("POST", "/v1/messages", Some(text("+6591234567"))).await;
    assert_eq!(third.status, 429, "{}", third.text);
    let right = gateway.api("POST", &check, Some(json!({"code": code}))).await.expect(200);
    assert_eq!(right["status"], "verified");
    // An open verification goes on, and is no second one.
    gateway.advance("2m").await;
    let again =
        gateway.api("POST", "/v1/verifications", Some(json!({"to": "+6591234571"}))).await.expect(201);
    assert_eq!(again["id"], begun["id"]);
    gateway.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_takes_what_detection_has_learned_and_the_chain_of_the_audit_log() {
    let Some(server) = server().await.unwrap() else {
        eprintln!("SKIPPED: PostgreSQL (set SEAWALL_TEST_POSTGRES to the directory of its programs)");
        return;
    };
    let gateway = Gateway::new().await;
    for n in 0..12 {
        let to = format!("+6591{:06}", n * 7_919);
        let ask = json!({"to": to, "client": {"ip": format!("203.0.113.{n}")}});
        // What is refused is evidence, too.
        let asked = gateway.api("POST", "/v1/verifications", Some(ask)).await.status;
        assert!(asked == 201 || asked == 403, "{asked}");
        if n == 5 {
            // Some of it stands in the snapshot, and the rest in the stream behind it.
            detection::snapshot(&gateway.running.app, detection::Forget::Old).await;
        }
    }
    let Gateway { running, first, http, dir, .. } = gateway;
    let before = running.app.clone();
    running.stop().await;
    let evidence = |app: &seawall::app::App| app.detection.with(|engine| engine.snapshot());
    let url = server.database().await.unwrap();
    let env = [("SEAWALL_STORE__URL", url.as_str())];
    let (code, _, err) = run(&["import"], dir.path(), &env).await;
    assert_eq!(code, Some(0), "{err}");
    let running = start(config(dir.path(), &env)).await.unwrap();
    assert!(evidence(&before) == evidence(&running.app), "the evidence is what it was, to the bit");
    assert!(running.app.detection.size().0.keys > 0, "and that is something");
    let gateway = Gateway { base: format!("http://{}", running.addr), running, first, http, dir };
    gateway.admin("POST", "/admin/v1/opt-outs", Some(json!({"msisdn": "+6591234572"}))).await.expect(201);
    let chain = gateway.admin("GET", "/admin/v1/audit/verify", None).await.expect(200);
    assert_eq!((&chain["status"], &chain["unlinked"]), (&json!("whole"), &json!(0)), "{chain}");
    // Another node, which has no file, has it from the database.
    let Gateway { running, dir, .. } = gateway;
    running.stop().await;
    std::fs::remove_file(dir.path().join("evidence.snapshot")).unwrap();
    let again = start(config(dir.path(), &env)).await.unwrap();
    assert_eq!(again.app.detection.size().0.keys, before.detection.size().0.keys);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_restored_does_nothing_twice_either() {
    let Some(server) = server().await.unwrap() else {
        eprintln!("SKIPPED: PostgreSQL (set SEAWALL_TEST_POSTGRES to the directory of its programs)");
        return;
    };
    let (url, copy) = (server.database().await.unwrap(), server.database().await.unwrap());
    let gateway = Gateway::with(&[("SEAWALL_STORE__URL", &url)]).await;
    let off = json!({"detection": {"mode": "off"}});
    gateway.admin("PATCH", "/admin/v1/settings", Some(off)).await.expect(200);
    let ask = json!({"to": "+6591234568"});
    let open = gateway.api("POST", "/v1/verifications", Some(ask)).await.expect(201);
    let code = gateway.code("+6591234568", 1).await;
    silence(&gateway).await;
    let text = json!({"to": "+6591234569", "text": "hello"});
    let waits = gateway.api("POST", "/v1/messages", Some(text)).await.expect(201);
    gateway.message_in(waits["id"].as_str().unwrap(), "queued").await;
    let programs = std::path::PathBuf::from(std::env::var_os("SEAWALL_TEST_POSTGRES").unwrap());
    let dump = gateway.dir.path().join("seawall.dump");
    let call = |program: &str, words: &[&str]| {
        let mut command = std::process::Command::new(programs.join(program));
        let output = command.args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    call("pg_dump", &["--format=custom", &format!("--file={}", dump.display()), &url]);
    let words = ["restore", "--json"];
    let env = [("SEAWALL_STORE__URL", url.as_str())];
    let (_, _, busy) = run(&words, gateway.dir.path(), &env).await;
    assert!(busy.contains("another seawall uses this database"), "{busy}");
    gateway.running.stop().await;
    call("pg_restore", &["--no-owner", "--dbname", &copy, dump.to_str().unwrap()]);
    let env = [("SEAWALL_STORE__URL", copy.as_str())];
    let (code_of_run, said, err) = run(&words, gateway.dir.path(), &env).await;
    assert_eq!(code_of_run, Some(0), "{err}");
    let done: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&done["unknown"], &done["verifications"]), (&json!(1), &json!(1)), "{done}");
    let running = start(config(gateway.dir.path(), &[("SEAWALL_STORE__URL", &copy)])).await.unwrap();
    let base = format!("http://{}", running.addr);
    let copy = Gateway { running, first: gateway.first, base, http: client(), dir: gateway.dir };
    assert_eq!(state(&copy, &waits).await, "unknown");
    let check = format!("/v1/verifications/{}/check", open["id"].as_str().unwrap());
    let late = copy.api("POST", &check, Some(json!({"code": code}))).await;
    assert_ne!(late.json()["status"], "verified", "{}", late.text);
    copy.running.stop().await;
}
