//! What the model leaves out, tried: arrivals by chance at a server that does one thing at a time, and accounts of very
//! different sizes that have to be placed.

use std::collections::VecDeque;

use super::{Costs, MILLION, MOST};
use crate::live::Random;

/// Arrivals that are simulated.
const ARRIVALS: usize = 200_000;
/// Parts that an account is cut into: a country's traffic is a part, and countries differ in size, too.
const COUNTRIES: usize = 30;

/// How trips to Redis went.
#[derive(Clone, Copy, Debug)]
pub struct Trips {
    /// Requests that shared one, on average.
    pub group: f64,
    /// Share of the time that Redis worked.
    pub busy: f64,
    /// Half of the requests had their answer after at most so many microseconds.
    pub median: f64,
    /// 99 of 100 after at most so many.
    pub p99: f64,
}

/// A number in (0, 1].
fn unit(random: &mut Random) -> f64 {
    (random.below(1 << 53) + 1) as f64 / (1u64 << 53) as f64
}

/// A node: what came and is not yet on its way, and when its last trip is over.
struct Node {
    next: f64,
    waits: VecDeque<f64>,
    free: f64,
}

impl Node {
    /// What has come until an instant waits.
    fn arrive(&mut self, until: f64, gap: f64, random: &mut Random) {
        while self.next <= until {
            self.waits.push_back(self.next);
            self.next -= unit(random).ln() * gap;
        }
    }

    /// When it sets out next: once it is back, and something has come.
    fn sets_out(&self) -> f64 {
        self.free.max(self.waits.front().copied().unwrap_or(self.next))
    }
}

/// Arrivals by chance at nodes that have one trip under way each, to a Redis that serves one after the other.
pub fn trips(per_second: f64, nodes: f64, costs: &Costs, seed: u64) -> Trips {
    let (mut random, cost) = (Random::new(seed), costs.mean(costs.redis));
    let gap = nodes * MILLION / per_second;
    let begin = |_| Node { next: -unit(&mut random).ln() * gap, waits: VecDeque::new(), free: 0.0 };
    let mut all: Vec<Node> = (0..nodes as usize).map(begin).collect();
    let (mut redis, mut worked, mut went, mut waited) = (0.0f64, 0.0, 0.0, Vec::with_capacity(ARRIVALS));
    while waited.len() < ARRIVALS {
        let earliest = |a: &&mut Node, b: &&mut Node| a.sets_out().total_cmp(&b.sets_out());
        let Some(node) = all.iter_mut().min_by(earliest) else { break };
        let out = node.sets_out();
        node.arrive(out, gap, &mut random);
        let group: Vec<f64> = node.waits.drain(..node.waits.len().min(MOST as usize)).collect();
        let work = cost.trip + cost.own * group.len() as f64;
        redis = redis.max(out + costs.round / 2.0) + work;
        node.free = redis + costs.round / 2.0;
        waited.extend(group.iter().map(|came| node.free - came));
        (worked, went) = (worked + work, went + 1.0);
    }
    waited.sort_by(f64::total_cmp);
    let at = |share: f64| waited.get((waited.len() as f64 * share) as usize).copied().unwrap_or(0.0);
    Trips { group: waited.len() as f64 / went, busy: worked / redis, median: at(0.5), p99: at(0.99) }
}

/// Sizes of which the n-th is a n-th of the first, as shares of one.
fn zipf(count: usize) -> Vec<f64> {
    let sizes: Vec<f64> = (1..=count).map(|n| 1.0 / n as f64).collect();
    let sum: f64 = sizes.iter().sum();
    sizes.into_iter().map(|size| size / sum).collect()
}

/// A country that is still too large is cut by number range, into parts of one size.
fn cut(load: f64, most: f64, parts: &mut Vec<f64>) {
    let pieces = (load / most).ceil().max(1.0);
    (0..pieces as usize).for_each(|_| parts.push(load / pieces));
}

/// Accounts are put where there is most room, the largest first; one that is larger than half a cell is cut by country.
/// Gives how full the fullest cell is, as a multiple of the average.
pub fn fullest(rate: f64, cells: f64, accounts: usize, seed: u64) -> f64 {
    let mut random = Random::new(seed);
    let each = rate / cells;
    let countries = zipf(COUNTRIES);
    let mut parts = Vec::new();
    for size in zipf(accounts) {
        // No operator's forecast is right: half to one and a half times what was expected.
        let load = size * rate * (0.5 + unit(&mut random));
        if load > each / 2.0 {
            countries.iter().for_each(|share| cut(load * share, each / 2.0, &mut parts));
        } else {
            parts.push(load);
        }
    }
    parts.sort_by(|a, b| b.total_cmp(a));
    let mut loads = vec![0.0f64; cells as usize];
    for part in &parts {
        if let Some(least) = loads.iter_mut().min_by(|a, b| a.total_cmp(b)) {
            *least += part;
        }
    }
    loads.iter().copied().fold(0.0, f64::max) / each
}
