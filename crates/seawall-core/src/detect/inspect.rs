//! Everything the engine holds about the keys of one request, for `explain` and for looking around.

use serde::Serialize;

use super::asked::Asked;
use super::booking::wide;
use super::engine::Engine;
use super::evidence::{Explained, KeyKind};
use super::keys::Keys;
use super::words;

/// One key as it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspected {
    /// What kind of key.
    pub kind: KeyKind,
    /// Which one, fit to be shown.
    pub key: String,
    /// Trials, confirmations and expected confirmations since suspicion was last at zero; half-life 3 h.
    pub trials: f64,
    /// See `trials`.
    pub confirmed: f64,
    /// See `trials`.
    pub expected: f64,
    /// The stronger sum of the sequential test.
    pub suspicion: f64,
    /// The sum from which on an attack is more likely than not.
    pub alarm: f64,
    /// Requests that nothing narrower explains; half-life 1 h. Wide keys only.
    pub asked: f64,
    /// Trials, confirmations and expected confirmations of the baseline; half-life 7 days.
    pub baseline: [f64; 3],
}

impl Engine {
    /// Every key of a request that something is known of.
    pub fn inspect(&self, asked: &Asked) -> Vec<Inspected> {
        let keys = Keys::of(asked);
        let cohort = self.cohort(asked, &keys);
        let narrow = keys.blocks.into_iter().chain(keys.ip).chain(keys.network);
        let wide = wide(&keys, Explained::No).map(|key| key.in_cohort(cohort.tested_with()));
        let pooled = self.pooled(&keys);
        let one = |key: super::keys::Key| {
            let row = self.keys.find(key.hash)?;
            let view = row.view(self.seconds());
            Some(Inspected {
                kind: key.kind,
                key: words::name(asked, key.kind),
                trials: view.trials,
                confirmed: view.confirmed,
                expected: view.expected,
                suspicion: view.suspicion,
                alarm: self.alarm_of(key.kind, row),
                asked: view.asked,
                baseline: [row.base_trials, row.base_confirmed, row.base_expected].map(f64::from),
            })
        };
        narrow.chain(wide).chain(pooled).filter_map(one).collect()
    }
}
