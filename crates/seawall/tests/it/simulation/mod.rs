//! The way of a decision through three gateways, in one thread and in simulated time, from a seed. The gateways are the
//! real ones, from the use cases down to the windows and the SQL of the ledger; what is simulated is what lies between
//! them: links that lose calls and answers, nodes that are killed, stores that are out of reach, windows that are lost,
//! clocks that differ, a provider that answers late, twice or never.
//!
//! `SEAWALL_SIMULATION=FROM..TO` names the seeds, `SEAWALL_SIMULATION=SEED` one, told in full.

mod clocks;
mod counters;
mod link;
mod mend;
mod node;
mod oracle;
mod people;
mod provider;
mod secrets;
mod torn;
mod world;

use std::sync::Arc;
use std::time::Duration;

use seawall::config::{Config, Overrides};
use seawall_core::message::MessageState;
use seawall_core::sim::Rng;
use seawall_store::Ledger;
use tokio::time::sleep;

use node::Cluster;
use secrets::Log;
use world::{Bug, World, finish};

/// Seeds that once found something; they are tried first.
const KEPT: &str = include_str!("seeds.txt");
/// How long there are people and faults, in milliseconds.
const TROUBLE: u64 = 40_000;
/// Everything has come to rest so long after that at the latest.
const REST: u64 = 45;
/// Receipts come within this.
const RECEIPTS: Duration = Duration::from_secs(6);

/// What came of a seed.
struct Outcome {
    violations: Vec<String>,
    lines: Vec<String>,
    hash: u64,
    messages: usize,
}

fn config() -> Config {
    let flags = Overrides {
        data_dir: Some(std::env::temp_dir().join("seawall-simulation-has-no-files")),
        listen: Some("127.0.0.1:0".to_owned()),
    };
    Config::load(None, std::iter::empty(), flags).unwrap()
}

fn simulate(seed: u64, bug: Option<Bug>, config: &Config) -> Outcome {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let log = Log::default();
    let _kept = log.keep();
    runtime.block_on(async {
        let world = World::new(seed, bug, false);
        live(&world, seed, config, &log).await;
        let oracle = world.oracle();
        Outcome {
            violations: oracle.violations.clone(),
            lines: oracle.lines.clone(),
            hash: oracle.hash,
            messages: oracle.accepted.len(),
        }
    })
}

async fn live(world: &Arc<World>, seed: u64, config: &Config, log: &Log) {
    let cluster = Cluster::new(world.clone(), config.clone());
    let audited = secrets::audit_log(world);
    for node in 0..3 {
        let cluster = cluster.clone();
        tokio::spawn(async move { cluster.boot(node).await });
    }
    sleep(Duration::from_secs(3)).await;
    let mut rng = Rng::new(seed, "people");
    let people = people(&cluster, &mut rng);
    trouble(&cluster, &mut Rng::new(seed, "trouble"));
    clocks::disturb(&cluster, &mut Rng::new(seed, "clocks"));
    sleep(Duration::from_millis(TROUBLE)).await;
    world.calm();
    world.tell(|| "calm".to_owned());
    for node in 0..3 {
        cluster.boot(node).await;
    }
    for _ in 0..REST {
        sleep(Duration::from_secs(1)).await;
        if Arc::strong_count(&people) == 1 && !world.waits() {
            break;
        }
    }
    sleep(RECEIPTS).await;
    at_the_end(world);
    secrets::nothing_in_clear(world, log);
    secrets::audit_is_whole(world, &audited);
}

/// Held by everybody who still wants something.
type Busy = Arc<()>;

/// What people will do, and when.
fn people(cluster: &Arc<Cluster>, rng: &mut Rng) -> Busy {
    let busy = Busy::default();
    let numbers = 2 + rng.below(7);
    for n in 0..20 + rng.below(30) {
        let (cluster, at) = (cluster.clone(), Duration::from_millis(rng.below(TROUBLE - 2_000)));
        let (kind, which, key) = (rng.below(100), rng.below(numbers), format!("k{n}"));
        let batch: Vec<u64> = (0..2 + rng.below(3)).map(|_| rng.below(numbers)).collect();
        // Some come in crowds: several at one moment.
        let crowd = if rng.chance(0.15) { 6 } else { 1 };
        for one in 0..crowd {
            let (cluster, key, batch) = (cluster.clone(), format!("{key}.{one}"), batch.clone());
            let busy = busy.clone();
            tokio::spawn(async move {
                sleep(at).await;
                match kind {
                    0..45 => people::verify(cluster, key, which, busy).await,
                    45..80 => people::message(cluster, key, vec![which]).await,
                    80..92 => people::message(cluster, key, batch).await,
                    92..96 => people::answer_stop(cluster, which).await,
                    _ => people::stop(cluster, which).await,
                }
            });
        }
    }
    busy
}

/// What will happen to nodes and stores, and when.
fn trouble(cluster: &Arc<Cluster>, rng: &mut Rng) {
    for _ in 0..rng.below(7) {
        let (cluster, world) = (cluster.clone(), cluster.world.clone());
        let at = Duration::from_millis(rng.below(TROUBLE - 1_000));
        let (kind, node) = (rng.below(100), rng.index(3));
        let long = Duration::from_millis(200 + rng.below(9_000));
        tokio::spawn(async move {
            sleep(at).await;
            match kind {
                0..35 => {
                    cluster.kill(node);
                    sleep(long).await;
                    cluster.boot(node).await;
                }
                35..55 => {
                    world.nodes()[node].cut_off = true;
                    world.tell(|| format!("node {node} is cut off"));
                    sleep(long).await;
                    world.nodes()[node].cut_off = false;
                }
                55..65 => {
                    world.nodes()[node].without_counters = true;
                    sleep(long).await;
                    world.nodes()[node].without_counters = false;
                }
                65..72 => {
                    world.nodes().iter_mut().for_each(|node| node.cut_off = true);
                    sleep(long / 3).await;
                    world.nodes().iter_mut().for_each(|node| node.cut_off = false);
                }
                _ => world.flush(),
            }
        });
    }
}

/// What must hold once everything has come to rest.
fn at_the_end(world: &Arc<World>) {
    world.step();
    let at = world.elapsed();
    let acked = world.oracle().acked.clone();
    let arrived = world.oracle().arrived.clone();
    for id in acked {
        let found = finish(world.store.message(None, id)).unwrap();
        world
            .oracle()
            .require(found.is_some(), at, || format!("I1: {} was acknowledged and is gone", id.row()));
    }
    let accepted: Vec<_> = world.oracle().accepted.keys().copied().collect();
    for id in accepted {
        let Some(message) = finish(world.store.message(None, id)).unwrap() else { continue };
        let (state, there) = (message.state, arrived.contains_key(&id));
        let waits = matches!(state, MessageState::Queued | MessageState::Submitting);
        world.oracle().require(!waits, at, || format!("{} still is {}", id.row(), state.as_str()));
        let claims = matches!(state, MessageState::Sent | MessageState::Delivered);
        let told = || format!("{} is {} and never reached the provider", id.row(), state.as_str());
        world.oracle().require(there || !claims, at, told);
        let denies = matches!(state, MessageState::Canceled | MessageState::Expired);
        let told = || format!("{} is {} and reached the provider", id.row(), state.as_str());
        world.oracle().require(!there || !denies, at, told);
    }
}

/// What came of many seeds.
struct Found {
    tried: u64,
    messages: usize,
    /// Seeds that broke something.
    broken: Vec<(u64, Outcome)>,
}

/// Tries seeds on two threads, until so many have broken something.
fn search(seeds: impl Iterator<Item = u64> + Send, bug: Option<Bug>, enough: usize) -> Found {
    let seeds = std::sync::Mutex::new(seeds);
    let found = std::sync::Mutex::new(Found { tried: 0, messages: 0, broken: Vec::new() });
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let config = config();
                while found.lock().unwrap().broken.len() < enough {
                    let Some(seed) = seeds.lock().unwrap().next() else { return };
                    let outcome = simulate(seed, bug, &config);
                    let mut found = found.lock().unwrap();
                    found.tried += 1;
                    found.messages += outcome.messages;
                    if !outcome.violations.is_empty() {
                        found.broken.push((seed, outcome));
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

/// The seeds to try: those that are kept, and those that were asked for.
fn wanted(most: u64) -> Box<dyn Iterator<Item = u64> + Send> {
    let asked = std::env::var("SEAWALL_SIMULATION").unwrap_or_else(|_| format!("0..{most}"));
    if let Ok(one) = asked.parse::<u64>() {
        return Box::new(std::iter::once(one));
    }
    let (from, to) = asked.split_once("..").expect("FROM..TO");
    let all = from.parse::<u64>().unwrap()..to.parse().unwrap();
    let kept: Vec<u64> =
        KEPT.lines().filter_map(|line| line.split('#').next()?.trim().parse().ok()).collect();
    Box::new(kept.into_iter().chain(all))
}

#[test]
fn whatever_happens_the_promises_hold() {
    let Found { tried, messages, broken } = search(wanted(SEEDS), None, 10);
    println!("{tried} seeds, {messages} messages");
    let Some((seed, first)) = broken.first() else { return };
    // One seed alone is told in full.
    let last = if tried == 1 { 0 } else { first.lines.len().saturating_sub(120) };
    println!("seed {seed}:");
    first.lines[last..].iter().for_each(|line| println!("{line}"));
    let all = broken.iter().map(|(seed, outcome)| format!("seed {seed}: {}", outcome.violations.join("; ")));
    let again = format!("SEAWALL_SIMULATION={seed} cargo test -p seawall --test it simulation::whatever");
    panic!("{}\nrun it again: {again}", all.collect::<Vec<_>>().join("\n"));
}

/// Seeds that the tests try.
const SEEDS: u64 = 2_000;

#[test]
fn the_same_seed_is_the_same_story() {
    let config = config();
    for seed in [3, 5] {
        let (one, two) = (simulate(seed, None, &config), simulate(seed, None, &config));
        let differs = one.lines.iter().zip(&two.lines).position(|(a, b)| a != b);
        let show = |lines: &[String]| differs.map(|at| lines[at].clone());
        assert_eq!((one.hash, show(&one.lines)), (two.hash, show(&two.lines)), "{differs:?}");
    }
}

#[test]
fn planted_mistakes_are_found() {
    for bug in [
        Bug::ChargeNotAtomic,
        Bug::ResendUnknown,
        Bug::RefillForgotten,
        Bug::AcknowledgedEarly,
        Bug::RefusedIsSent,
        Bug::ClaimForgotten,
        Bug::ChecksUncounted,
        Bug::NumberLogged,
        Bug::TextKept,
        Bug::AuditForgotten,
    ] {
        let Found { tried, broken, .. } = search(0..200, Some(bug), 1);
        let Some((seed, outcome)) = broken.first() else { panic!("{bug:?} is not found in {tried} seeds") };
        println!("{bug:?}: seed {seed}, after {tried}: {}", outcome.violations[0]);
    }
}
