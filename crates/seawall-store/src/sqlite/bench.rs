//! What things cost: `cargo test --release -p seawall-store bench -- --ignored --nocapture --test-threads 1`.
//! Times are of the processor, all threads together, because that is what a machine runs out of.

use std::sync::Arc;
use std::time::{Duration, Instant};

use seawall_core::message::MessageState;
use seawall_core::time::Timestamp;

use super::SqliteStore;
use crate::conformance::{acceptance, at, change, id, message, verification};
use crate::records::{Acceptance, Attempt, MessageRecord, Page, VerificationRecord};
use crate::vault::Vault;
use crate::{Directory, Ledger};

/// Processor time of this process so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

struct Meter(Duration, Instant);

impl Meter {
    fn start() -> Self {
        Meter(cpu(), Instant::now())
    }

    fn show(&self, what: &str, count: u32) -> f64 {
        let (cpu, wall) = (cpu() - self.0, self.1.elapsed());
        let each = cpu.as_secs_f64() * 1e6 / f64::from(count);
        println!(
            "{what}: {each:.1} µs of processor each, {:.1} µs on the clock",
            wall.as_secs_f64() * 1e6 / f64::from(count)
        );
        each
    }
}

fn open() -> (tempfile::TempDir, Arc<SqliteStore>) {
    let dir = tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or("/tmp".to_owned())).unwrap();
    let store = SqliteStore::open(dir.path(), Arc::new(Vault::ephemeral().unwrap())).unwrap();
    (dir, Arc::new(store))
}

fn sent(id: seawall_core::id::Id, ms: i64) -> crate::records::Change {
    let mut sent = change(id, MessageState::Sent, ms);
    let (provider, outcome, reference) = ("sandbox".to_owned(), "accepted".to_owned(), Some(id.to_uuid()));
    sent.attempt = Some(Attempt { provider, at: at(ms), outcome, reference, detail: None });
    sent
}

async fn life(store: &SqliteStore, v: VerificationRecord, m: MessageRecord, ms: i64) {
    let id = m.id;
    store.accept(acceptance(v, m)).await.unwrap();
    store.claim(at(ms), 1).await.unwrap();
    store.settle(vec![sent(id, ms), change(id, MessageState::Delivered, ms)]).await.unwrap();
}

fn numbered(i: i64) -> (VerificationRecord, MessageRecord) {
    verification(i, i as u64 * 7919 % 10_000_000).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures time"]
async fn bench_verifications_in_groups() {
    let (_dir, store) = open();
    for round in 0..6i64 {
        let count = 5_000i64;
        let records: Vec<_> = (0..count).map(|i| numbered(round * count + i)).collect();
        let meter = Meter::start();
        let ids: Vec<_> = records.iter().map(|(_, m)| m.id).collect();
        in_parallel(
            &store,
            records,
            |store, (v, m)| async move { store.accept(acceptance(v, m)).await.unwrap() },
        )
        .await;
        let accept = meter.show("accept", count as u32);
        let meter = Meter::start();
        while !store.claim(at(10_000_000), 64).await.unwrap().is_empty() {}
        let claim = meter.show("claim by 64", count as u32);
        let meter = Meter::start();
        in_parallel(&store, ids, |store, id| async move {
            let n = store
                .settle(vec![sent(id, 10_000_000), change(id, MessageState::Delivered, 10_000_000)])
                .await;
            assert_eq!(n.unwrap().len(), 2);
        })
        .await;
        let settle = meter.show("settle sent and delivered", count as u32);
        println!("round {round}: {:.1} µs a verification in all", accept + claim + settle);
    }
    let meter = Meter::start();
    for i in 0..200 {
        let (v, m) = numbered(5_000_000 + i);
        life(&store, v, m, 20_000_000).await;
    }
    meter.show("a whole life, one at a time (3 commits)", 200);
}

async fn in_parallel<T: Send + 'static, F: Future<Output = ()> + Send>(
    store: &Arc<SqliteStore>,
    items: Vec<T>,
    work: impl Fn(Arc<SqliteStore>, T) -> F + Send + Clone + 'static,
) {
    let mut lanes: Vec<Vec<T>> = (0..128).map(|_| Vec::new()).collect();
    for (i, item) in items.into_iter().enumerate() {
        lanes[i % 128].push(item);
    }
    let tasks: Vec<_> = lanes
        .into_iter()
        .map(|lane| {
            let (store, work) = (store.clone(), work.clone());
            tokio::spawn(async move {
                for item in lane {
                    work(store.clone(), item).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures time"]
async fn bench_a_batch() {
    let (_dir, store) = open();
    for round in 0..5 {
        let batch = id(round * 20_000);
        let text = "Dear customer, your order has left our warehouse and will arrive tomorrow.";
        let messages: Vec<_> = (0..10_000i64)
            .map(|i| {
                let mut m = message(round * 20_000 + i / 10, (i * 7919 % 10_000_000) as u64, text).unwrap();
                m.batch = Some(batch);
                m
            })
            .collect();
        let meter = Meter::start();
        store.accept(Acceptance { messages, ..Acceptance::default() }).await.unwrap();
        let each = meter.show("a message of a batch of 10,000", 10_000);
        println!("{:.0} durable messages a second of processor", 1e6 / each);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures time"]
async fn bench_a_million() {
    let (dir, store) = open();
    let vault = store.db.shared.vault.clone();
    let meter = Meter::start();
    for chunk in 0..1000i64 {
        let mut messages = Vec::new();
        for i in 0..1000i64 {
            let n = chunk * 1000 + i;
            let (v, m) = verification(n, (n * 7919 % 10_000_000) as u64).unwrap();
            if i < 500 {
                let accepted =
                    Acceptance { messages: Vec::new(), ..acceptance(v, message(n, 1, "").unwrap()) };
                let store = store.clone();
                tokio::spawn(async move { store.accept(accepted).await.unwrap() });
            }
            messages.push(m);
        }
        store.accept(Acceptance { messages, ..Acceptance::default() }).await.unwrap();
        let claimed = store.claim(at(100_000_000), 1000).await.unwrap();
        let changes = claimed.iter().map(|m| sent(m.id, 1)).collect();
        store.settle(changes).await.unwrap();
    }
    meter.show("filling", 1_000_000);
    store.close().await;
    drop(store);
    let size = |name: &str| std::fs::metadata(dir.path().join(name)).map_or(0, |m| m.len());
    println!("{} bytes a message on disk", size("seawall.db") / 1_000_000);
    let meter = Meter::start();
    let store = SqliteStore::open(dir.path(), vault).unwrap();
    meter.show("open", 1);
    let meter = Meter::start();
    println!("{:?}", store.recover(at(200_000_000)).await.unwrap());
    meter.show("recover", 1);
    let meter = Meter::start();
    let mut count = 0u32;
    store.past_charges(Timestamp::from_millis(0), &mut |_| count += 1).await.unwrap();
    meter.show("past_charges", 1);
    assert_eq!(count, 1_000_000);
    let meter = Meter::start();
    store.census(None).await.unwrap();
    meter.show("census", 1);
    let meter = Meter::start();
    let filter =
        crate::records::MessageFilter { to: message(1, 7919, "").ok().map(|m| m.to), ..Default::default() };
    let found = store.messages(filter, Page { before: None, limit: 100 }).await.unwrap();
    meter.show(&format!("messages of one number ({})", found.len()), 1);
    let meter = Meter::start();
    let blocked = Some(seawall_core::decision::Verdict::Block);
    let filter = crate::records::DecisionFilter { verdict: blocked, ..Default::default() };
    store.decisions(filter, Page { before: None, limit: 100 }).await.unwrap();
    meter.show("decisions, none of which matches", 1);
    store.version().await.unwrap();
}

/// What sealing takes of accepting one message at a time, durably.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures time"]
async fn bench_sealing() {
    let (_dir, store) = open();
    let vault = Vault::ephemeral().unwrap();
    let count = 2_000u32;
    let records: Vec<_> = (0..i64::from(count)).map(numbered).collect();
    let body = vec![7u8; 450];
    let place = crate::vault::Place::new(*b"mb", 1);
    let sealing = Instant::now();
    for _ in 0..count {
        std::hint::black_box(vault.seal(place, &body).unwrap());
    }
    let sealing = sealing.elapsed();
    let sends = Instant::now();
    for (v, m) in records {
        store.accept(acceptance(v, m)).await.unwrap();
    }
    let sends = sends.elapsed();
    let each = |all: Duration| all.as_secs_f64() * 1e6 / f64::from(count);
    let share = 100.0 * sealing.as_secs_f64() / sends.as_secs_f64();
    println!(
        "sealing {:.2} µs of {:.1} µs that a durable send takes: {share:.2} %",
        each(sealing),
        each(sends)
    );
    assert!(share < 5.0);
}
