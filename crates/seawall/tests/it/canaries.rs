//! Canaries: numbers and secrets go in through every interface, and nobody finds them afterwards in clear: not in the
//! data directory, the log at its most talkative, the metrics, an error, or a dump of PostgreSQL.

mod needles;
mod plant;
mod world;

use std::process::Command;
use std::time::Duration;

use seawall_store::conformance::server::server;

use self::needles::Needles;
use self::world::{Said, World};

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

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_planted_is_found_in_clear() {
    planted(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_planted_is_found_in_a_dump_of_postgresql() {
    let Some(server) = server().await.unwrap() else { return eprintln!("SKIPPED: PostgreSQL") };
    let url = server.database().await.unwrap();
    let w = planted(&[("SEAWALL_STORE__URL", &url)]).await;
    let programs = std::env::var(seawall_store::conformance::server::VARIABLE).unwrap();
    let dump = Command::new(format!("{programs}/pg_dump")).arg(&url).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    assert!(
        String::from_utf8_lossy(&dump.stdout).contains("COPY public.messages_"),
        "messages are in the dump"
    );
    let found = Needles::of(&w.planted()).within(&dump.stdout);
    assert!(found.is_empty(), "{found:?}");
}
