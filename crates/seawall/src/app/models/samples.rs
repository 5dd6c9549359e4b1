//! Labelled requests for training: what a model may look at, whether it was good or bad, and nothing that names a
//! person or an address.

use std::collections::BTreeMap;
use std::time::Duration;

use seawall_core::model::Feature;
use seawall_core::model::incident::Incidents;
use seawall_core::model::label::{Excluded, Key, Label};
use seawall_core::model::report::Sample;
use seawall_core::time::{Timestamp, span};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::App;
use super::super::collections::Wrong;
use super::past::{self, Labelled, Take};

/// How far back it looks that does not say.
const USUAL: Duration = Duration::from_secs(30 * 86_400);
/// Good and bad samples, at most; the newest are taken.
const AT_MOST: [usize; 2] = [150_000, 50_000];

/// Over which traffic.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SamplesInput {
    /// Over the last so long; `"30d"` when absent.
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", example = "30d")]
    pub since: Option<String>,
}

/// Labelled requests, in order of time.
#[derive(Serialize, ToSchema)]
pub struct Samples {
    /// From when.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// What the values of a sample are.
    pub features: Vec<&'static str>,
    /// Requests without a label, by why they have none.
    #[schema(value_type = Object)]
    pub excluded: BTreeMap<Excluded, u64>,
    /// Each with `at`, `attack` (null: a real user's; else which attack), `weight`, `price`, `engine_stops`,
    /// `engine_probability`, `threshold`, `values`.
    #[schema(value_type = Vec<Object>)]
    pub samples: Vec<Sample>,
}

#[derive(Default)]
struct Gathered {
    samples: Vec<(Sample, Vec<Key>)>,
    /// Good and bad ones.
    taken: [usize; 2],
    excluded: BTreeMap<Excluded, u64>,
}

impl Take for Gathered {
    fn labelled(&mut self, one: &Labelled<'_>) {
        let (kind, keys, weight) = match &one.label {
            Label::Good => (0, Vec::new(), 1.0),
            Label::Bad(keys, weight) => (1, keys.clone(), *weight),
        };
        let full = self.taken.get(kind).zip(AT_MOST.get(kind)).is_none_or(|(taken, most)| taken >= most);
        if full {
            return self.excluded(Excluded::TooMany, one.count);
        }
        if let Some(taken) = self.taken.get_mut(kind) {
            *taken += 1;
        }
        let value = |feature: &Feature| Some(feature.value(&one.subject)).filter(|value| value.is_finite());
        let sample = Sample {
            at: one.at,
            // The number of its attack follows when all are in order.
            attack: (kind == 1).then_some(0),
            weight,
            price: one.price,
            engine_stops: one.engine_stops,
            engine_probability: one.engine_probability,
            threshold: super::single(one.threshold),
            values: Feature::ALL.iter().map(value).collect(),
        };
        self.samples.push((sample, keys));
    }

    fn excluded(&mut self, why: Excluded, count: u64) {
        *self.excluded.entry(why).or_default() += count;
    }
}

impl Gathered {
    /// In order of time, each bad one with its attack.
    fn ordered(mut self) -> (Vec<Sample>, BTreeMap<Excluded, u64>) {
        self.samples.sort_by_key(|(sample, _)| sample.at);
        let mut incidents = Incidents::default();
        for (sample, keys) in &mut self.samples {
            if sample.attack.is_some() {
                sample.attack = Some(incidents.tell(keys, sample.at));
            }
        }
        let named = self.samples.into_iter().map(|(sample, _)| {
            let attack = sample.attack.map(|request| incidents.root(request));
            Sample { attack, ..sample }
        });
        (named.collect(), self.excluded)
    }
}

/// Labelled requests of the last time.
pub async fn samples(app: &App, input: SamplesInput) -> Result<Samples, Wrong> {
    let to = app.now();
    let since = match &input.since {
        None => USUAL,
        Some(text) => span::parse(text)
            .filter(|span| !span.is_zero())
            .ok_or_else(|| Wrong::field("since", "is not a duration such as \"30d\""))?,
    };
    let from = to.minus(since);
    let gathered = past::read(app, from, to, Gathered::default()).await?;
    let (samples, excluded) = gathered.ordered();
    let features = Feature::ALL.iter().map(|feature| feature.as_str()).collect();
    Ok(Samples { from, to, features, excluded, samples })
}
