//! What the model leaves out, tried: arrivals by chance at a server that does one thing at a time, and accounts of very
//! different sizes that have to be placed.

use crate::live::Random;

/// Arrivals that are simulated.
const ARRIVALS: usize = 200_000;
/// Parts that an account is cut into: a country's traffic is a part, and countries differ in size, too.
const COUNTRIES: usize = 30;

/// How long scripts wait before they are run, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// Half of them at most so long.
    pub median: f64,
    /// 99 of 100 at most so long.
    pub p99: f64,
}

/// A number in (0, 1].
fn unit(random: &mut Random) -> f64 {
    (random.below(1 << 53) + 1) as f64 / (1u64 << 53) as f64
}

/// Arrivals without memory at a server that takes half to one and a half times `service` for each.
pub fn waits(per_second: f64, service: f64, seed: u64) -> Waits {
    let mut random = Random::new(seed);
    let (mut now, mut free, mut all) = (0.0f64, 0.0f64, Vec::with_capacity(ARRIVALS));
    for _ in 0..ARRIVALS {
        now += -unit(&mut random).ln() * 1e6 / per_second;
        let begins = free.max(now);
        all.push(begins - now);
        free = begins + service * (0.5 + unit(&mut random));
    }
    all.sort_by(f64::total_cmp);
    let at = |share: f64| all.get((ARRIVALS as f64 * share) as usize).copied().unwrap_or(0.0);
    Waits { median: at(0.5), p99: at(0.99) }
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
