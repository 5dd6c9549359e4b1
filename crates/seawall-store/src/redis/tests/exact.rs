//! Three nodes with 64 connections each: a limit admits exactly its quota, whatever their clocks say.

use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::*;

const NODES: usize = 3;
const EACH: usize = 64;

async fn nodes(server: &Server) -> Vec<Arc<RedisCounters>> {
    let mut nodes = Vec::new();
    for _ in 0..NODES {
        nodes.push(ready(server, |_| {}).await);
    }
    nodes
}

/// A clock that jumps by an hour and by days, in both directions.
fn jumping(n: usize) -> Timestamp {
    let hour = 3_600_000;
    at([0, -hour, hour, 72 * hour, -72 * hour][n % 5] + i64::try_from(n).unwrap())
}

/// Charges from all nodes at once, so many times each; gives the server's instants of what was admitted.
async fn race(nodes: &[Arc<RedisCounters>], charges: &[Charge], times: usize) -> Vec<i64> {
    let all =
        nodes.iter().enumerate().flat_map(|(n, node)| (0..EACH).map(move |m| (n * EACH + m, node.clone())));
    let tasks: Vec<_> = all
        .map(|(n, node)| {
            let charges = charges.to_vec();
            tokio::spawn(async move {
                let mut admitted = Vec::new();
                for time in 0..times {
                    let charged = node.charge(&charges, 1, jumping(n + time)).await.unwrap();
                    if !charged.refused() {
                        admitted.push(charged.at.unwrap().as_millis());
                    }
                }
                admitted
            })
        })
        .collect();
    let mut admitted = Vec::new();
    for task in tasks {
        admitted.extend(task.await.unwrap());
    }
    admitted
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_at_the_edge_admit_exactly_the_quota() {
    let Some(server) = Server::start().await else { return };
    let nodes = nodes(&server).await;
    for round in 0..5u64 {
        let (tight, wide) = (limit(round, 100, 60_000), limit(100 + round, 3_000, 60_000));
        let spent = budget(200 + round, 1_000_000, Period::Day, 10);
        let admitted = race(&nodes, &[tight, wide.clone(), spent.clone()], 2).await;
        assert_eq!(admitted.len(), 100);
        let held = nodes[0].held(&[wide, spent], at(0)).await.unwrap();
        assert_eq!((held[0].0, held[1].0), (100, 1_000), "who was refused used up nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_span_holds_more_than_the_quota_and_none_of_it_is_wasted() {
    let Some(server) = Server::start().await else { return };
    let nodes = nodes(&server).await;
    let (quota, span) = (20, 250);
    let charges = [limit(1, quota, span), limit(2, 100_000, 60_000)];
    let begun = Instant::now();
    let mut admitted = Vec::new();
    while begun.elapsed() < Duration::from_secs(3) {
        admitted.extend(race(&nodes, &charges, 5).await);
    }
    admitted.sort_unstable();
    for &start in &admitted {
        let inside = admitted.iter().filter(|&&t| t >= start && t < start + 250).count();
        assert!(inside <= 20, "{inside} within {span} ms");
    }
    assert!(admitted.len() > 100, "room that came again was used: {}", admitted.len());
}

/// How often scripts were called.
async fn calls(server: &Server) -> u64 {
    let redis::Value::BulkString(info) = server.call(&["INFO", "commandstats"]).await else { panic!() };
    let info = String::from_utf8(info).unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_costs_one_call_and_a_refused_caller_none() {
    let Some(server) = Server::start().await else { return };
    let node = ready(&server, |_| {}).await;
    let charges = [limit(1, 5, 5_000), limit(2, 1_000, 60_000), budget(3, 1_000_000, Period::Day, 7)];
    node.charge(&charges, 1, at(0)).await.unwrap();
    let before = calls(&server).await;
    for n in 0..4 {
        assert!(!node.charge(&charges, 1, at(n)).await.unwrap().refused());
        node.note_number(4, 5, false, at(n)).await.unwrap();
        node.address(4, at(n)).await.unwrap();
    }
    assert_eq!(calls(&server).await - before, 4);
    let refused = node.charge(&charges, 1, at(9)).await.unwrap();
    let before = calls(&server).await;
    let begun = Instant::now();
    for _ in 0..300 {
        let again = node.charge(&charges, 1, at(9)).await.unwrap();
        assert_eq!((again.exceeded.len(), again.exceeded[0].count), (1, 5));
        assert!(again.exceeded[0].retry_at <= refused.exceeded[0].retry_at);
    }
    assert_eq!(calls(&server).await, before, "what is refused from memory costs the server nothing");
    let wait = refused.exceeded[0].retry_at.since(at(9));
    assert!(begun.elapsed() < wait, "300 refusals took {:?}", begun.elapsed());
    tokio::time::sleep(wait.saturating_sub(begun.elapsed()) + Duration::from_millis(5)).await;
    assert!(!node.charge(&charges, 1, at(10)).await.unwrap().refused(), "and it ends when it said");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_wait_at_the_same_time_share_calls_and_each_is_charged_alone() {
    let Some(server) = Server::start().await else { return };
    let node = ready(&server, |_| {}).await;
    let before = calls(&server).await;
    let (sent, next) = (AtomicUsize::new(0), AtomicU64::new(10));
    futures_of(600, async || {
        // All share one limit, and each has one of its own.
        let own = next.fetch_add(1, Ordering::Relaxed);
        let charges = [limit(1, 100, 60_000), limit(own, 1, 60_000)];
        let refused = node.charge(&charges, 1, at(0)).await.unwrap().refused();
        sent.fetch_add(usize::from(!refused), Ordering::Relaxed);
    })
    .await;
    assert_eq!(sent.load(Ordering::Relaxed), 100);
    let calls = calls(&server).await - before;
    assert!(calls <= 60, "{calls} calls for 600 requests");
    let charges: Vec<_> = (10..610).map(|own| limit(own, 1, 60_000)).collect();
    let held = node.held(&charges, at(1)).await.unwrap();
    assert_eq!(held.iter().map(|(count, _)| count).sum::<u64>(), 100, "a refused request charged nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn room_that_comes_back_is_known_to_all_nodes_within_a_second() {
    let Some(server) = Server::start().await else { return };
    let nodes = nodes(&server).await;
    let charges = [limit(1, 1, 600_000)];
    let made = nodes[0].charge(&charges, 1, at(0)).await.unwrap();
    assert!(nodes[1].charge(&charges, 1, at(0)).await.unwrap().refused());
    nodes[2].refund(&charges, 1, made.at.unwrap(), None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!nodes[1].charge(&charges, 1, at(0)).await.unwrap().refused());
    assert!(nodes[0].charge(&charges, 1, at(0)).await.unwrap().refused());
    nodes[2].clear(&[1]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!nodes[0].charge(&charges, 1, at(0)).await.unwrap().refused());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_counts_requests_counts_those_that_are_refused_from_memory() {
    let Some(server) = Server::start().await else { return };
    let node = ready(&server, |_| {}).await;
    let requests = Charge { always: true, kind: ChargeKind::Limit(1), ..limit(2, 1_000, 60_000) };
    let charges = [limit(1, 1, 60_000), requests.clone()];
    for n in 0..50 {
        assert_eq!(node.charge(&charges, 1, at(n)).await.unwrap().refused(), n > 0);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(node.held(&[requests], at(0)).await.unwrap()[0].0, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_learn_of_addresses_from_each_other() {
    let Some(server) = Server::start().await else { return };
    let nodes = nodes(&server).await;
    for number in 0..40 {
        nodes[0].note_number(7, number, number % 10 != 0, at(0)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for node in &nodes {
        let known = node.address(7, at(0)).await.unwrap();
        assert_eq!((known.numbers, known.confirmed), (40, 36));
        assert_eq!(node.nodes(), 3);
    }
}

/// `cargo test --release -p seawall-store redis_bytes_per_key -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures memory"]
async fn redis_bytes_per_key() {
    let Some(server) = Server::start().await else { return };
    let node = ready(&server, |_| {}).await;
    const KEYS: u64 = 100_000;
    let before = server.figure("memory", "used_memory").await;
    for times in 1..=3u64 {
        let next = AtomicU32::new(0);
        let (next, node) = (&next, &node);
        futures_of(64, async move || {
            loop {
                let n = u64::from(next.fetch_add(1, Ordering::Relaxed));
                if n >= KEYS {
                    return;
                }
                node.charge(&[limit(n, 10, 86_400_000)], 1, at(0)).await.unwrap();
            }
        })
        .await;
        let used = server.figure("memory", "used_memory").await - before;
        println!("{} bytes a key with {times} instants", used / KEYS);
    }
}

/// Runs so many of the same at once, on this task.
async fn futures_of(count: usize, one: impl AsyncFn()) {
    let mut all: Vec<_> = (0..count).map(|_| Box::pin(one())).collect();
    std::future::poll_fn(|context| {
        all.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
