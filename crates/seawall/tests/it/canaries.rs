//! Canaries: numbers and secrets go in through every interface, and nobody finds them afterwards in clear: not in the
//! data directory, the log at its most talkative, the metrics, an error, or a dump of PostgreSQL.

mod needles;
mod plant;
mod world;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use seawall_store::Ledger;
use seawall_store::conformance::Opened;
use seawall_store::conformance::server::server;
use seawall_store::postgres::{PostgresStore, Sharing};
use seawall_store::sqlite::SqliteStore;
use seawall_store::vault::{Place, Vault};
use serde_json::Value;

use self::needles::Needles;
use self::world::{Said, World};
use crate::cluster::eventually;
use crate::erasure::verified;

/// Every interface, and where nothing may be seen of it.
async fn planted(settings: &[(&str, &str)]) -> World {
    let mut w = World::start(settings).await;
    plant::everything(&w).await;
    // What is written each second, and what providers and webhooks fail with.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let unexpected = w.unexpected.lock().unwrap().join("\n");
    assert!(unexpected.is_empty(), "{unexpected}");
    let canaries = w.planted();
    assert!(canaries.len() >= 200, "{}", canaries.len());
    let needles = Needles::of(&canaries);
    assert!(w.logged() > 20_000, "the log says nothing");
    let mut leaks = w.found_on_disk(&needles);
    let metrics = w.call("", "GET", "/metrics", Said::default()).await;
    assert!(metrics.status == 200 && metrics.text.contains("seawall_"), "{}", metrics.text);
    leaks.extend(needles.within(metrics.text.as_bytes()).iter().map(|label| format!("/metrics: {label}")));
    for (what, answer) in w.errors() {
        let found = needles.within(answer.as_bytes());
        leaks.extend(found.iter().map(|label| format!("error of {what}: {label}: {answer}")));
    }
    w.stop();
    leaks.extend(w.found_on_disk(&needles));
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
    w
}

/// What an operator set up with a number stays until an operator deletes it; the receipt says so.
const KEPT: [&str; 3] = ["test number", "virtual number", "rule"];

/// Erases every number that was planted, and gives the last receipt.
async fn erase_all(w: &World) -> Value {
    let numbers = w.planted().into_iter().filter_map(|canary| canary.number);
    let paths: Vec<String> = numbers.map(|number| format!("/v1/numbers/{number}/data")).collect();
    let jobs = paths.iter().map(|path| w.call(&w.key, "DELETE", path, Said::default()));
    let keys = w.call("", "GET", "/.well-known/jwks.json", Said::default()).await.json();
    let mut receipt = Value::Null;
    for answer in futures_util::future::join_all(jobs).await {
        let mut job = answer.expect(202);
        eventually("the number is erased", async || {
            job = w.call(&w.key, "GET", job["url"].as_str().unwrap(), Said::default()).await.json();
            job["status"] == "done"
        })
        .await;
        receipt = verified(&keys, job["receipt"].as_str().unwrap());
        assert_eq!(receipt["id"], job["id"]);
    }
    receipt
}

/// Nothing that is sealed says a number that was erased, or what was said to it or by it.
fn assert_gone(w: &World, opened: Vec<Opened>) {
    assert!(opened.len() > 100, "{}", opened.len());
    let all = w.planted();
    let numbers =
        all.iter().filter(|canary| canary.number.is_some() && !KEPT.contains(&canary.label.as_str()));
    let needles = Needles::of(&numbers.cloned().collect::<Vec<_>>());
    let mut left: Vec<String> = Vec::new();
    for Opened { at, plain } in opened {
        left.extend(needles.within(&plain).into_iter().map(|label| format!("{at}: {label}")));
    }
    assert!(left.is_empty(), "{} are left:\n{}", left.len(), left.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_planted_is_found_in_clear() {
    let mut w = planted(&[]).await;
    w.run(&[]).await;
    let receipt = erase_all(&w).await;
    assert!(receipt["number_hash"].is_string(), "{receipt}");
    w.stop();
    assert!(w.found_on_disk(&Needles::of(&w.planted())).is_empty());
    let vault = Arc::new(Vault::open(w.dir.path(), false).unwrap());
    let store = SqliteStore::open(w.dir.path(), vault.clone()).unwrap();
    let mut opened = store.opened().await.unwrap();
    let snapshot = std::fs::read(w.dir.path().join("evidence.snapshot")).unwrap();
    let plain = vault.open_sealed(Place::new(*b"es", 0), &snapshot).unwrap();
    opened.push(Opened { at: "evidence.snapshot".to_owned(), plain });
    assert_gone(&w, opened);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_planted_is_found_in_a_dump_of_postgresql() {
    let Some(server) = server().await.unwrap() else { return eprintln!("SKIPPED: PostgreSQL") };
    let url = server.database().await.unwrap();
    let settings = [("SEAWALL_STORE__URL", url.as_str())];
    let mut w = planted(&settings).await;
    let programs = std::env::var(seawall_store::conformance::server::VARIABLE).unwrap();
    let dump = Command::new(format!("{programs}/pg_dump")).arg(&url).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    assert!(
        String::from_utf8_lossy(&dump.stdout).contains("COPY public.messages_"),
        "messages are in the dump"
    );
    let found = Needles::of(&w.planted()).within(&dump.stdout);
    assert!(found.is_empty(), "{found:?}");
    w.run(&settings).await;
    erase_all(&w).await;
    w.stop();
    let vault = Arc::new(Vault::open(w.dir.path(), false).unwrap());
    let store = PostgresStore::open(&url, vault, Sharing::Alone).await.unwrap();
    assert_gone(&w, store.opened().await.unwrap());
    store.close().await;
}
