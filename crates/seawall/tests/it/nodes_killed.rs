//! Real processes over one PostgreSQL and one Redis, and what holds while they are killed.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use seawall_store::conformance::server::{Server, own_server};
use serde_json::{Value, json};

use crate::cluster::{Access, Process, Shared, Sink, eventually, insist};

/// Nodes that were started at once on an empty database.
pub struct Fleet {
    pub nodes: Vec<Process>,
    pub access: Access,
    _dirs: Vec<tempfile::TempDir>,
}

impl Fleet {
    /// Starts so many.
    pub async fn start(shared: &Shared, count: usize) -> Self {
        let dirs: Vec<_> = (0..count).map(|_| shared.data_dir()).collect();
        let settings = shared.settings();
        let nodes = join_all(dirs.iter().map(|dir| Process::start(dir.path(), &settings))).await;
        let mut made: Vec<_> = dirs.iter().filter_map(|dir| Access::read(dir.path())).collect();
        assert_eq!(made.len(), 1, "one node made the installation");
        Fleet { nodes, access: made.remove(0), _dirs: dirs }
    }

    /// Where they listen.
    pub fn bases(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.base.clone()).collect()
    }

    /// What a node says of itself under a name.
    pub async fn metric(&self, base: &str, name: &str) -> String {
        let text =
            self.access.http.get(format!("{base}/metrics")).send().await.unwrap().text().await.unwrap();
        let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(' ')?.to_owned());
        text.lines().find_map(value).unwrap()
    }

    /// Waits until what was set up last is in force on all nodes.
    pub async fn in_force(&self) {
        eventually("all nodes have the same set-up", async || {
            let versions =
                self.bases().into_iter().map(async |base| self.metric(&base, "seawall_policy_version").await);
            let all: Vec<String> = join_all(versions).await;
            all.iter().all(|one| *one == all[0])
        })
        .await;
    }

    /// A request to one of them.
    pub async fn post(&self, node: usize, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}{path}", self.nodes[node].base);
        self.access.call(&self.access.key, "POST", &url, Some(&body)).await.unwrap()
    }
}

/// How many of these were accepted.
async fn hammer(fleet: &Fleet, connections: usize, each: usize, body: &Value) -> usize {
    let one = async |n: usize| {
        let mut taken = 0;
        for _ in 0..each {
            let (status, answer) = fleet.post(n % fleet.nodes.len(), "/v1/messages", body.clone()).await;
            assert!(status == 201 || status == 429 || status == 403, "{status} {answer}");
            taken += usize::from(status == 201);
        }
        taken
    };
    join_all((0..connections).map(one)).await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_budgets_of_three_nodes_admit_exactly_what_they_say() {
    let Some(shared) = Shared::new().await else { return };
    let fleet = Fleet::start(&shared, 3).await;
    let (_sink, provider) = Sink::open().await;
    let first = fleet.nodes[0].base.clone();
    fleet.access.bare(&first, provider).await;
    let limit =
        json!({"name": "few", "per": "msisdn", "applies_to": ["sms.send"], "quota": 37, "window": "1h"});
    fleet.access.admin(&first, "POST", "limits", Some(limit)).await;
    let budget = json!({"unit": "messages", "amount": 64, "window": "day"});
    fleet.access.admin(&fleet.nodes[1].base, "POST", "budgets", Some(budget)).await;
    fleet.in_force().await;
    let text = |to: &str| json!({"to": to, "text": "hi"});
    assert_eq!(hammer(&fleet, 3 * 64, 2, &text("+6591234567")).await, 37);
    // The budget has room for 27 more, whoever gets them.
    assert_eq!(hammer(&fleet, 3 * 64, 1, &text("+6591234568")).await, 27);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_one_node_sent_another_checks() {
    let Some(shared) = Shared::new().await else { return };
    let fleet = Fleet::start(&shared, 2).await;
    let mut begun = json!(null);
    // On a busy machine counters may answer too late at first: then nothing is sent, and nothing counts.
    eventually("a code is sent", async || {
        let (status, answer) = fleet.post(0, "/v1/verifications", json!({"to": "+6591234567"})).await;
        assert!(status == 201 || status == 503, "{status}: {answer}");
        begun = answer;
        status == 201
    })
    .await;
    let path = "sandbox/messages?to=%2B6591234567";
    let mut code = String::new();
    eventually("the phone has the code", async || {
        let phone = fleet.access.admin(&fleet.nodes[1].base, "GET", path, None).await;
        let text = phone["data"][0]["text"].as_str().unwrap_or_default();
        code = text
            .split(|c: char| !c.is_ascii_digit())
            .rfind(|word| word.len() >= 4)
            .unwrap_or_default()
            .to_owned();
        !code.is_empty()
    })
    .await;
    let check = format!("/v1/verifications/{}/check", begun["id"].as_str().unwrap());
    let (_, wrong) = fleet.post(0, &check, json!({"code": "000000"})).await;
    assert_eq!(wrong["attempts_left"], 4);
    let (_, right) = fleet.post(1, &check, json!({"code": code})).await;
    assert_eq!(right["status"], "verified", "{right}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_under_load_loses_nothing_and_others_take_its_work() {
    let Some(shared) = Shared::new().await else { return };
    let mut fleet = Fleet::start(&shared, 3).await;
    let (sink, provider) = Sink::open().await;
    fleet.access.bare(&fleet.nodes[0].base, provider).await;
    fleet.in_force().await;
    let over = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..12)
        .map(|worker| tokio::spawn(insist(fleet.access.clone(), fleet.bases(), worker, over.clone())))
        .collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    fleet.nodes[0].kill();
    tokio::time::sleep(Duration::from_secs(2)).await;
    over.store(true, Ordering::Relaxed);
    let taken: Vec<String> = join_all(workers).await.into_iter().flat_map(Result::unwrap).collect();
    assert_settled(&fleet.access, &fleet.nodes[1].base, &taken, &sink).await;
}

/// What was acknowledged is known, once, and has left or says why not; nothing reached the provider twice.
pub async fn assert_settled(access: &Access, base: &str, taken: &[String], sink: &Sink) {
    assert!(taken.len() > 20, "only {} messages", taken.len());
    assert_eq!(taken.iter().collect::<HashSet<_>>().len(), taken.len(), "one id for each");
    eventually("nothing waits for a node that is gone", async || {
        let census = access.census(base).await;
        let waiting = ["queued", "scheduled", "submitting"].iter().filter_map(|state| census.get(*state));
        waiting.sum::<u64>() == 0
    })
    .await;
    let census = access.census(base).await;
    assert_eq!(census.values().sum::<u64>(), taken.len() as u64, "as many as were acknowledged: {census:?}");
    for id in taken {
        let url = format!("{base}/v1/messages/{id}");
        assert_eq!(access.call(&access.key, "GET", &url, None).await.unwrap().0, 200, "{id} is lost");
    }
    assert_eq!(sink.twice(), Vec::<String>::new());
    let excused = ["unknown", "failed"].iter().filter_map(|state| census.get(*state)).sum::<u64>();
    assert!(sink.count() as u64 + excused >= taken.len() as u64, "{census:?}, {} arrived", sink.count());
}

/// One node over a server of its own, under load while something is done to that.
async fn under_load(server: &Server, disturb: impl AsyncFnOnce(&str)) {
    let database = server.database().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let node = Process::start(dir.path(), &[("SEAWALL_STORE__URL", database.as_str())]).await;
    let access = Access::read(dir.path()).unwrap();
    let (sink, provider) = Sink::open().await;
    access.bare(&node.base, provider).await;
    let over = Arc::new(AtomicBool::new(false));
    let load = |worker| tokio::spawn(insist(access.clone(), vec![node.base.clone()], worker, over.clone()));
    let workers: Vec<_> = (0..8).map(load).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    disturb(&database).await;
    eventually("it goes on by itself", async || {
        let get = access.http.get(format!("{}/readyz", node.base)).send().await;
        get.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    over.store(true, Ordering::Relaxed);
    let taken: Vec<String> = join_all(workers).await.into_iter().flat_map(Result::unwrap).collect();
    assert_settled(&access, &node.base, &taken, &sink).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_killed_under_load_loses_and_doubles_nothing() {
    let Some(server) = own_server().await.unwrap() else { return };
    under_load(&server, async |_| {
        server.crash(2).unwrap();
        tokio::time::sleep(Duration::from_secs(3)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_used_up_refuses_and_goes_on() {
    let Some(server) = own_server().await.unwrap() else { return };
    under_load(&server, async |database| {
        // Every transaction that touches messages waits, and keeps its connection.
        let lock = "BEGIN; LOCK TABLE messages; SELECT pg_sleep(4); COMMIT";
        Server::run(database, lock).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_slow_money_codes_and_opt_outs_hold() {
    let Some(shared) = Shared::new().await else { return };
    let fleet = Fleet::start(&shared, 2).await;
    let (_sink, provider) = Sink::open().await;
    let first = fleet.nodes[0].base.clone();
    fleet.access.bare(&first, provider).await;
    let budget = json!({"unit": "messages", "amount": 9, "window": "day"});
    fleet.access.admin(&first, "POST", "budgets", Some(budget)).await;
    fleet.access.admin(&first, "POST", "opt-outs", Some(json!({"msisdn": "+6598765432"}))).await;
    fleet.in_force().await;
    let send =
        async |n: usize, to: &str| fleet.post(n % 2, "/v1/messages", json!({"to": to, "text": "hi"})).await.0;
    let mut admitted = 0;
    for n in 0..4 {
        admitted += usize::from(send(n, "+6591234567").await == 201);
    }
    assert_eq!(admitted, 4);
    for disturbance in ["CLIENT PAUSE 2000 ALL", "CONFIG SET maxmemory 1", "FLUSHALL"] {
        shared.redis.call(disturbance);
        let all = join_all((0..24).map(|n| send(n, "+6591234567"))).await;
        admitted += all.iter().filter(|status| **status == 201).count();
        assert!(admitted <= 9, "{admitted} messages of a budget of 9 after {disturbance}");
        assert_ne!(send(1, "+6598765432").await, 201, "an opt-out holds");
        tokio::time::sleep(Duration::from_secs(2)).await;
        shared.redis.call("CONFIG SET maxmemory 0");
    }
    eventually("it goes on by itself, up to the budget and not beyond", async || {
        admitted += usize::from(send(0, "+6591234567").await == 201);
        admitted >= 9
    })
    .await;
    let last = join_all((0..24).map(|n| send(n, "+6591234567"))).await;
    assert!(last.iter().all(|status| *status != 201), "{last:?}");
    assert_eq!(admitted, 9);
}
