//! Real processes that stop for longer than their lease lasts and then go on where they stood, as a machine that was
//! suspended does; and nodes that serve while the schema of the next version comes in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use seawall_store::conformance::server::Server;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::cluster::{Access, Process, Shared, Sink, eventually, insist};
use crate::nodes_killed::{Fleet, assert_settled};

/// A lease lasts three seconds, and is doubted for one more.
const LONGER_THAN_A_LEASE: Duration = Duration::from_secs(6);

/// Callers of all nodes, until they are told to stop.
struct Callers {
    over: Arc<AtomicBool>,
    all: Vec<JoinHandle<Vec<String>>>,
}

impl Callers {
    fn start(access: &Access, bases: &[String]) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let one = |worker| tokio::spawn(insist(access.clone(), bases.to_vec(), worker, over.clone()));
        Callers { all: (0..12).map(one).collect(), over }
    }

    fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    async fn taken(self) -> Vec<String> {
        self.end();
        join_all(self.all).await.into_iter().flat_map(Result::unwrap).collect()
    }
}

/// The nodes that say they lead, of some.
pub async fn leaders(fleet: &Fleet, of: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut all = Vec::new();
    for node in of {
        if fleet.metric(&fleet.nodes[node].base, "seawall_leads").await == "1" {
            all.push(node);
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hung_for_longer_than_its_lease_sends_nothing_twice() {
    let Some(shared) = Shared::new().await else { return };
    let fleet = Fleet::start(&shared, 3).await;
    let (sink, provider) = Sink::open().await;
    fleet.access.bare(&fleet.nodes[1].base, provider).await;
    fleet.in_force().await;
    let callers = Callers::start(&fleet.access, &fleet.bases());
    tokio::time::sleep(Duration::from_secs(2)).await;
    fleet.nodes[0].hang();
    tokio::time::sleep(LONGER_THAN_A_LEASE).await;
    callers.end();
    eventually("others took the work of the node that hangs", async || {
        let census = fleet.access.census(&fleet.nodes[1].base).await;
        ["queued", "submitting"].iter().filter_map(|state| census.get(*state)).sum::<u64>() == 0
    })
    .await;
    fleet.nodes[0].go_on();
    let taken = callers.taken().await;
    // What it was about to do when it was stopped it does now, or leaves.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_settled(&fleet.access, &fleet.nodes[1].base, &taken, &sink).await;
    eventually("it takes messages again", async || {
        fleet.post(0, "/v1/messages", json!({"to": "+6591234567", "text": "hi"})).await.0 == 201
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_hung_leads_no_more_and_another_does_its_work() {
    let Some(shared) = Shared::new().await else { return };
    let fleet = Fleet::start(&shared, 3).await;
    let mut first = Vec::new();
    eventually("one node leads", async || {
        first = leaders(&fleet, 0..3).await;
        first.len() == 1
    })
    .await;
    let old = first[0];
    fleet.nodes[old].hang();
    let others: Vec<usize> = (0..3).filter(|node| *node != old).collect();
    let mut new = Vec::new();
    eventually("another node leads", async || {
        new = leaders(&fleet, others.iter().copied()).await;
        new.len() == 1
    })
    .await;
    // Only the node that leads erases.
    let base = &fleet.nodes[new[0]].base;
    let call = async |method: &str, path: &str| {
        let answer = fleet.access.call(&fleet.access.key, method, &format!("{base}{path}"), None).await;
        answer.unwrap().1
    };
    let job = call("DELETE", "/v1/numbers/6591234567/data").await;
    let url = job["url"].as_str().unwrap_or_else(|| panic!("{job}"));
    fleet.nodes[old].go_on();
    for _ in 0..20 {
        let all = leaders(&fleet, 0..3).await;
        assert!(all.len() <= 1 && !all.contains(&old), "{all:?} lead at once, after {old} had hung");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eventually("the number is erased", async || call("GET", url).await["status"] == "done").await;
}

/// What a next version's `migrate` does, as far as it is known today: it adds.
const NEXT: [&str; 4] = [
    "ALTER TABLE messages ADD COLUMN later bigint",
    "ALTER TABLE verifications ADD COLUMN later text NOT NULL DEFAULT 'x'",
    "CREATE TABLE later (id bigint PRIMARY KEY)",
    "UPDATE meta SET value = value + 1 WHERE name = 'schema'",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_node_serves_while_the_schema_of_the_next_version_comes_in() {
    let Some(shared) = Shared::new().await else { return };
    let fleet = Fleet::start(&shared, 2).await;
    let (sink, provider) = Sink::open().await;
    fleet.access.bare(&fleet.nodes[0].base, provider).await;
    fleet.in_force().await;
    let callers = Callers::start(&fleet.access, &fleet.bases());
    tokio::time::sleep(Duration::from_secs(1)).await;
    for step in NEXT {
        Server::run(&shared.database, step).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let before = sink.count();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(sink.count() > before, "the nodes of this version go on");
    let taken = callers.taken().await;
    assert_settled(&fleet.access, &fleet.nodes[0].base, &taken, &sink).await;
    // This version does not begin on a schema that it does not know.
    let dir = shared.data_dir();
    let refused = Process::refused(dir.path(), &shared.settings());
    assert!(refused.contains("newer"), "{refused}");
}
