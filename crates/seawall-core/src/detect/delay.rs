//! How long people take to confirm: learned, so that a message says something long before any time-out.

use serde::{Deserialize, Serialize};

/// Ages at which an unconfirmed message is looked at, in milliseconds.
pub(super) const CHECKPOINTS: [i64; CHECKS] = [20_000, 40_000, 75_000, 180_000, 600_000];
/// How many.
pub(super) const CHECKS: usize = 5;

/// What is assumed before anything was learned: a log-normal law with a median of 24 s and a sigma of 0.8.
const ASSUMED: [f64; CHECKS] = [0.41, 0.74, 0.92, 0.99, 1.0];
/// Confirmations that the assumption is worth.
const ASSUMED_WEIGHT: f64 = 200.0;
/// Half of everything is forgotten after so many confirmations.
const MEMORY: f64 = 20_000.0;

/// The share of confirmations that has come by each checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Delay {
    by: [f64; CHECKS],
    all: f64,
}

impl Default for Delay {
    fn default() -> Self {
        Delay { by: ASSUMED.map(|share| share * ASSUMED_WEIGHT), all: ASSUMED_WEIGHT }
    }
}

impl Delay {
    /// A confirmation came at this age.
    pub(super) fn learn(&mut self, age_ms: i64) {
        if self.all > MEMORY {
            self.by.iter_mut().for_each(|n| *n *= 0.5);
            self.all *= 0.5;
        }
        self.all += 1.0;
        for (n, at) in self.by.iter_mut().zip(CHECKPOINTS) {
            *n += f64::from(u8::from(age_ms <= at));
        }
    }

    /// The share that has come by checkpoint `stage`; never quite all of it.
    pub(super) fn by(&self, stage: usize) -> f64 {
        (self.by.get(stage).copied().unwrap_or(self.all) / self.all).min(0.995)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_what_it_sees() {
        let mut delay = Delay::default();
        (0..20_000).for_each(|_| delay.learn(100_000));
        assert!(delay.by(2) < 0.02 && delay.by(3) > 0.98, "{delay:?}");
    }
}
