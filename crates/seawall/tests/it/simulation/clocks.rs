//! Somebody sets clocks. A gateway alone, and one of several, go on by the time that passes: no limit lets more through,
//! and no code lives longer.

use std::sync::Arc;
use std::time::Duration;

use seawall::config::Config;
use seawall_core::sim::Rng;
use tokio::time::sleep;

use super::node::Cluster;
use super::secrets::Log;
use super::world::{Bug, World};
use super::{TROUBLE, at_the_end, config, people, wanted};

const HOUR: i64 = 3_600_000;
/// How far a clock is set.
const STEPS: [i64; 4] = [-HOUR, HOUR, 72 * HOUR, -72 * HOUR];

/// Sets the clock of one machine now and then. Which, and when, is by chance.
pub fn disturb(cluster: &Arc<Cluster>, rng: &mut Rng) {
    for _ in 0..rng.below(12) {
        let (cluster, at) = (cluster.clone(), Duration::from_millis(rng.below(TROUBLE)));
        let step = STEPS[rng.index(STEPS.len())];
        tokio::spawn(async move {
            sleep(at).await;
            let Some((node, running)) = cluster.any() else { return };
            cluster.world.tell(|| format!("the clock of node {node} is set by {step} ms"));
            running.app.clock.set_machine(step);
            if cluster.world.is(Bug::ClockBelieved) {
                running.app.clock.advance(Duration::from_millis(step.max(0).unsigned_abs()));
            }
        });
    }
}

async fn live(world: &Arc<World>, seed: u64, config: &Config) {
    let cluster = Cluster::new(world.clone(), config.clone());
    // Only clocks are wrong.
    world.calm();
    cluster.boot(0).await;
    sleep(Duration::from_secs(3)).await;
    let people = people(&cluster, &mut Rng::new(seed, "people"));
    disturb(&cluster, &mut Rng::new(seed, "clocks"));
    sleep(Duration::from_millis(TROUBLE)).await;
    for _ in 0..super::REST {
        sleep(Duration::from_secs(1)).await;
        if Arc::strong_count(&people) == 1 && !world.waits() {
            break;
        }
    }
    at_the_end(world);
}

/// What does not hold for a gateway alone, and how many messages it accepted.
fn alone(seed: u64, bug: Option<Bug>, config: &Config) -> (Vec<String>, usize) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let log = Log::default();
    let _kept = log.keep();
    runtime.block_on(async {
        let world = World::new(seed, bug, true);
        live(&world, seed, config).await;
        let oracle = world.oracle();
        (oracle.violations.clone(), oracle.accepted.len())
    })
}

#[test]
fn a_gateway_alone_goes_by_the_time_that_passes() {
    let (config, mut messages) = (config(), 0);
    for seed in wanted(150) {
        let (violations, accepted) = alone(seed, None, &config);
        assert_eq!(violations, Vec::<String>::new(), "seed {seed}");
        messages += accepted;
    }
    assert!(messages > 0);
}

/// The test can fail: with a gateway that believes its machine, it does.
#[test]
fn a_clock_that_is_believed_is_noticed() {
    let config = config();
    let found = (0..60).find_map(|seed| alone(seed, Some(Bug::ClockBelieved), &config).0.into_iter().next());
    assert!(found.is_some_and(|what| what.starts_with("I4") || what.starts_with("I5")));
}
