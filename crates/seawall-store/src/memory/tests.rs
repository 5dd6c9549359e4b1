use std::sync::Arc;
use std::time::Duration;

use seawall_core::limit::ChargeKind;
use seawall_core::period::Period;
use seawall_core::window::Rule;

use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_767_000_000_000 + ms)
}

fn limit(key: u64, quota: u32, secs: u64) -> Charge {
    let rule = Rule::window_of(quota, Duration::from_secs(secs));
    Charge { key, rule, always: false, enforced: true, kind: ChargeKind::Limit(0), amount: 1 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn at_the_edge_two_hundred_at_once_get_exactly_the_quota() {
    let counters = Arc::new(MemoryCounters::default());
    let tasks: Vec<_> = (0..200)
        .map(|i| {
            let counters = counters.clone();
            tokio::spawn(async move {
                let charges = [limit(1, 10, 60), limit(100 + i, 1, 60)];
                counters.charge(&charges, 1, at(0)).await.unwrap().exceeded.is_empty()
            })
        })
        .collect();
    let mut admitted = 0;
    for task in tasks {
        admitted += u32::from(task.await.unwrap());
    }
    assert_eq!(admitted, 10);
    assert_eq!(counters.len(), 11, "who was refused used up nothing");
}

#[tokio::test]
async fn all_or_nothing_but_always_and_shadow() {
    let counters = MemoryCounters::default();
    let (tight, wide) = (limit(1, 1, 60), limit(2, 5, 60));
    let always = Charge { always: true, ..limit(3, 9, 60) };
    let shadow = Charge { enforced: false, ..limit(4, 1, 60) };
    let all = [tight.clone(), wide.clone(), always.clone(), shadow.clone()];
    assert!(counters.charge(&all, 1, at(0)).await.unwrap().exceeded.is_empty());
    let exceeded = counters.charge(&all, 1, at(1)).await.unwrap().exceeded;
    assert_eq!(exceeded.iter().map(|e| e.enforced).collect::<Vec<_>>(), [true, false]);
    let count = async |charge: &Charge| {
        let full = Charge { rule: Rule::window_of(0, Duration::from_secs(60)), ..charge.clone() };
        counters.peek(&[full], 1, at(2)).await.unwrap().exceeded[0].count
    };
    assert_eq!((count(&wide).await, count(&always).await, count(&shadow).await), (1, 2, 1));
    let only_shadow = counters.charge(&[wide.clone(), shadow.clone()], 1, at(3)).await.unwrap().exceeded;
    assert!(only_shadow.len() == 1 && !only_shadow[0].enforced);
    assert_eq!(count(&wide).await, 2, "a full shadow refuses nothing");
    counters.refund(&all, 1, at(0), None).await.unwrap();
    assert_eq!((count(&wide).await, count(&always).await), (1, 2));
    counters.clear(&[2, 3]).await.unwrap();
    assert!(counters.charge(&[limit(2, 1, 60)], 1, at(4)).await.unwrap().exceeded.is_empty());
}

#[tokio::test]
async fn refilling_in_any_order_gives_the_same_window() {
    let counters = MemoryCounters::default();
    let charge = limit(1, 2, 60);
    for ms in [30_000, 10_000, -10_000] {
        counters.fill(&charge, at(ms), at(50_000)).unwrap();
    }
    let full = counters.peek(std::slice::from_ref(&charge), 1, at(50_000)).await.unwrap().exceeded;
    assert_eq!(full[0].retry_at, at(70_000));
}

#[tokio::test]
async fn full_it_refuses_and_swept_it_admits_again() {
    let counters = MemoryCounters::new(1000);
    for key in 0..1000u64 {
        let key = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        counters.charge(&[limit(key, 9, 60)], 1, at(0)).await.unwrap();
    }
    assert!(counters.charge(&[limit(7, 9, 60)], 1, at(1)).await.is_err());
    assert!(counters.charge(&[limit(0, 9, 60)], 1, at(1)).await.is_ok(), "known keys go on");
    assert!(counters.peek(&[limit(7, 9, 60)], 1, at(1)).await.is_ok());
    let mut tries = 0;
    while counters.charge(&[limit(7, 9, 60)], 1, at(120_001)).await.is_err() {
        tries += 1;
    }
    assert!(tries < 64 && counters.len() < 1000, "{tries}");
}

fn budget(key: u64, quota: u64, amount: u64) -> Charge {
    let rule = Rule::Sum { quota, period: Period::Rolling(Duration::from_secs(3600)) };
    Charge { key, rule, always: false, enforced: true, kind: ChargeKind::Budget(0), amount }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn two_hundred_at_once_never_overshoot_a_budget() {
    let counters = Arc::new(MemoryCounters::default());
    // Two budgets and a limit together: whoever is refused by one takes nothing of the others.
    let tasks: Vec<_> = (0..200u64)
        .map(|i| {
            let counters = counters.clone();
            tokio::spawn(async move {
                let amount = 40_000 + i * 7;
                let charges = [budget(1, 1_000_000, amount), budget(2, 900_000, amount), limit(3, 100, 60)];
                let charged = counters.charge(&charges, 1, at(0)).await.unwrap();
                (charged.exceeded.is_empty(), amount, charged.spent)
            })
        })
        .collect();
    let (mut spent, mut admitted) = (0, 0);
    for task in tasks {
        let (fits, amount, told) = task.await.unwrap();
        spent += if fits { amount } else { 0 };
        admitted += u64::from(fits);
        assert_eq!(told[0].after - told[0].before, if fits { amount } else { 0 });
    }
    assert!(spent <= 900_000 && spent > 800_000, "{spent}");
    let charges = [budget(1, 1, 1), budget(2, 1, 1), limit(3, 1, 60)];
    let held: Vec<u64> = counters.held(&charges, at(1)).await.unwrap().iter().map(|h| h.0).collect();
    assert_eq!(held, [spent, spent, admitted]);
}

#[tokio::test]
async fn what_comes_back_makes_room_again() {
    let counters = MemoryCounters::default();
    let charge = budget(1, 100, 60);
    assert!(counters.charge(std::slice::from_ref(&charge), 1, at(0)).await.unwrap().exceeded.is_empty());
    let full = counters.charge(std::slice::from_ref(&charge), 1, at(1)).await.unwrap();
    assert_eq!((full.exceeded[0].count, full.exceeded[0].quota), (60, 100));
    counters.refund(std::slice::from_ref(&charge), 1, at(0), None).await.unwrap();
    assert_eq!(counters.len(), 0, "an empty budget takes no memory");
    assert!(counters.charge(&[charge], 1, at(2)).await.unwrap().exceeded.is_empty());
}

/// `cargo test --release -p seawall-store bytes_per_key -- --ignored --nocapture`
#[tokio::test]
#[ignore = "measures memory"]
async fn bytes_per_key() {
    let rss = || {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    let counters = MemoryCounters::default();
    let (before, start) = (rss(), std::time::Instant::now());
    for i in 1..=1_000_000u64 {
        let key = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (i << 17);
        counters.charge(&[limit(key, 10, 86_400)], 1, at(0)).await.unwrap();
    }
    let one = (rss() - before) / counters.len();
    println!("{one} bytes a key with one instant, {:?} a charge", start.elapsed() / 1_000_000);
    for i in 1..=1_000_000u64 {
        let key = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (i << 17);
        counters.charge(&[limit(key, 10, 86_400)], 1, at(1)).await.unwrap();
    }
    let two = (rss() - before) / counters.len();
    println!("{two} bytes a key with two");
    assert!(one < 120 && two < 120);
}

/// `cargo test --release -p seawall-store what_a_charge_costs -- --ignored --nocapture`
#[tokio::test]
#[ignore = "measures time"]
async fn what_a_charge_costs() {
    let counters = MemoryCounters::default();
    let each = async |name: &str, charges: &dyn Fn(u64) -> Vec<Charge>| {
        let all: Vec<Vec<Charge>> = (0..100_000).map(charges).collect();
        let mut best = f64::MAX;
        for round in 0..5 {
            let start = std::time::Instant::now();
            for (n, charges) in all.iter().enumerate() {
                let now = at(round * 200_000 + n as i64);
                std::hint::black_box(counters.charge(charges, 1, now).await.unwrap());
            }
            best = best.min(start.elapsed().as_nanos() as f64 / all.len() as f64);
        }
        println!("{name}: {best:.0} ns a request");
        best
    };
    let key = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let limits = |n: u64| (0..4).map(|l| limit(key(n * 8 + l), 1000, 600)).collect::<Vec<_>>();
    // The same windows, as back-off would charge them: nothing is asked about their room.
    let bare = |n: u64| {
        let plain = limits(n + 2_000_000).into_iter().map(|c| Charge { kind: ChargeKind::BackOff, ..c });
        plain.collect::<Vec<_>>()
    };
    let with_budgets = |n: u64| {
        let mut all = limits(n + 1_000_000);
        all.extend([budget(1, u64::MAX, 40_000), budget(2, u64::MAX, 1)]);
        all
    };
    let without = each("four windows", &bare).await;
    let with = each("four limits, and which is the tightest", &limits).await;
    each("four limits and two budgets", &with_budgets).await;
    println!("the room of the tightest limit: {:.0} ns", with - without);
    let start = std::time::Instant::now();
    for n in 0..100_000 {
        counters.note_number(key(n), n, n % 2 == 0, at(0)).await.unwrap();
        std::hint::black_box(counters.address(key(n), at(0)).await.unwrap());
    }
    println!("an address looked up and learned: {} ns", start.elapsed().as_nanos() / 100_000);
}
