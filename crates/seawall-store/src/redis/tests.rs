//! Against a real server, started for each test. `SEAWALL_TEST_REDIS` is its program; without it these tests say
//! that they are skipped, with `CI=true` they fail.

mod exact;
mod loss;
mod places;
mod server;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use seawall_core::limit::{Charge, ChargeKind, Charged};
use seawall_core::period::Period;
use seawall_core::time::Timestamp;
use seawall_core::window::Rule;

use self::server::Server;
use super::*;

/// 2026-02-28, 23:57 UTC: an hour, a day and a month end soon.
fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_772_323_020_000 + ms)
}

fn limit(key: u64, quota: u32, ms: u64) -> Charge {
    let rule = Rule::window_of(quota, Duration::from_millis(ms));
    Charge { key, rule, always: false, enforced: true, kind: ChargeKind::Limit(0), amount: 1 }
}

fn budget(key: u64, quota: u64, period: Period, amount: u64) -> Charge {
    let rule = Rule::Sum { quota, period };
    Charge { key, rule, always: false, enforced: true, kind: ChargeKind::Budget(0), amount }
}

/// Counters whose windows are in force, and empty.
async fn ready(server: &Server, change: impl FnOnce(&mut Options)) -> Arc<RedisCounters> {
    let mut options = Options::new(server.target(), 7);
    // Many servers run on the machine of the tests.
    options.patience = Duration::from_secs(5);
    change(&mut options);
    let counters = Arc::new(RedisCounters::connect(options).await.unwrap());
    whole(&counters).await;
    counters
}

/// Windows refilled, from nothing.
async fn whole(counters: &RedisCounters) {
    if counters.refills(Duration::ZERO).await.unwrap() {
        counters.filled().await.unwrap();
    }
    up(counters).await;
}

async fn up(counters: &RedisCounters) {
    let mut state = counters.shared.state.subscribe();
    tokio::time::timeout(Duration::from_secs(20), state.wait_for(|state| *state == State::Up))
        .await
        .unwrap()
        .unwrap();
}

/// Windows of every kind, each under a key of its own.
fn windows() -> Vec<Charge> {
    let delays: Vec<Duration> = [200, 450, 1800].map(Duration::from_millis).into();
    let back_off = Rule::BackOff { delays: delays.into(), quota: 3, window: Duration::from_millis(9_000) };
    let wide = Rule::Window { quota: 2, window: Duration::from_millis(3_000), kept: 900 };
    vec![
        limit(1, 4, 2_000),
        Charge { kind: ChargeKind::Limit(1), always: true, ..limit(2, 5, 5_000) },
        Charge { kind: ChargeKind::Limit(2), enforced: false, ..limit(3, 1, 700) },
        Charge { kind: ChargeKind::Limit(3), ..limit(4, 0, 700) },
        Charge { kind: ChargeKind::Limit(4), rule: wide, ..limit(5, 2, 1) },
        Charge { kind: ChargeKind::BackOff, rule: back_off, ..limit(6, 3, 1) },
        budget(7, 900, Period::Rolling(Duration::from_secs(20)), 70),
        budget(8, 1_500, Period::Hour, 40),
        budget(9, 2_500, Period::Day, 0),
        budget(10, 3_000, Period::Month, 90),
        Charge { enforced: false, ..budget(11, 100, Period::Rolling(Duration::from_millis(300)), 60) },
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Charge(Vec<bool>, u32),
    Note(Vec<bool>),
    Peek(Vec<bool>),
    Refund(usize),
    Clear(usize),
}

fn steps() -> impl Strategy<Value = Vec<(u16, Step)>> {
    let some = || prop::collection::vec(prop::bool::weighted(0.6), windows().len());
    // Now and then a pause in which a minute, an hour, a day and a month end.
    let pause = prop_oneof![8 => 0u16..400, 1 => 0u16..9_000, 1 => 60_000u16..65_000];
    let step = prop_oneof![
        8 => (some(), 1u32..3).prop_map(|(of, weight)| Step::Charge(of, weight)),
        2 => some().prop_map(Step::Note),
        2 => some().prop_map(Step::Peek),
        2 => (0usize..50).prop_map(Step::Refund),
        1 => (0usize..11).prop_map(Step::Clear),
    ];
    prop::collection::vec((pause, step), 1..40)
}

fn chosen(of: &[bool]) -> Vec<Charge> {
    windows().into_iter().zip(of).filter(|(_, chosen)| **chosen).map(|(charge, _)| charge).collect()
}

/// Does the same to both, and compares every answer.
async fn same(redis: &RedisCounters, steps: &[(u16, Step)]) -> std::result::Result<(), TestCaseError> {
    let keys: Vec<u64> = windows().iter().map(|charge| charge.key).collect();
    redis.clear(&keys).await.unwrap();
    let memory = MemoryCounters::default();
    let (mut now, mut made) = (0i64, Vec::<(Vec<Charge>, u32, Timestamp)>::new());
    for (pause, step) in steps {
        now += i64::from(*pause);
        let now = at(now);
        let both: Option<(Charged, Charged)> = match step {
            Step::Charge(of, weight) => {
                let charges = chosen(of);
                let ours = redis.charge(&charges, *weight, now).await.unwrap();
                if !ours.refused() {
                    made.push((charges.clone(), *weight, now));
                }
                Some((ours, memory.charge(&charges, *weight, now).await.unwrap()))
            }
            Step::Note(of) => {
                let charges = chosen(of);
                Some((
                    redis.note(&charges, 1, now).await.unwrap(),
                    memory.note(&charges, 1, now).await.unwrap(),
                ))
            }
            Step::Peek(of) => {
                let charges = chosen(of);
                Some((
                    redis.peek(&charges, 1, now).await.unwrap(),
                    memory.peek(&charges, 1, now).await.unwrap(),
                ))
            }
            Step::Refund(which) => {
                if !made.is_empty() {
                    let (charges, weight, then) = made.swap_remove(which % made.len());
                    redis.refund(&charges, weight, then, None).await.unwrap();
                    memory.refund(&charges, weight, then, None).await.unwrap();
                }
                None
            }
            Step::Clear(which) => {
                redis.clear(&keys[*which..=*which]).await.unwrap();
                memory.clear(&keys[*which..=*which]).await.unwrap();
                None
            }
        };
        if let Some((ours, theirs)) = both {
            prop_assert_eq!(ours, theirs, "{:?}", step);
        }
        let held = (redis.held(&windows(), now).await.unwrap(), memory.held(&windows(), now).await.unwrap());
        prop_assert_eq!(held.0, held.1, "after {:?}", step);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_and_memory_give_the_same_answers() {
    let Some(server) = Server::start().await else { return };
    let redis = ready(&server, |options| (options.callers_time, options.remember) = (true, false)).await;
    tokio::task::block_in_place(|| {
        let runtime = tokio::runtime::Handle::current();
        let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
        TestRunner::new(config).run(&steps(), |steps| runtime.block_on(same(&redis, &steps))).unwrap();
    });
}
