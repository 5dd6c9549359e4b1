//! What a model says of a request: a probability, and what contributed most to it.

use serde::{Deserialize, Serialize};

use super::calibrate::Calibration;
use super::feature::{Feature, Subject};
use super::shap::contributions;
use super::tree::Ensemble;

/// A model that can be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub(super) sum: Ensemble,
    /// What each value of a row is.
    pub(super) features: Vec<Feature>,
    /// From the sum to a probability.
    pub calibration: Calibration,
}

/// One contribution, in words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// The feature.
    pub feature: String,
    /// Its value and, where it has one, its key: `block 99893412xxxx confirmed 0`. Never a full number.
    pub detail: String,
    /// What it adds to the log-odds, before calibration.
    pub adds: f32,
}

/// What one model says of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opinion {
    /// The model's name.
    pub model: String,
    /// Whether it may decide, or only shows what it would.
    pub enforced: bool,
    /// Probability of belonging to a campaign, 0 to 1.
    pub probability: f32,
    /// What spoke most for a campaign, the strongest first, at most [`SHOWN`]. Empty where nobody asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contributions: Vec<Contribution>,
}

/// Contributions that are shown.
pub const SHOWN: usize = 3;

impl Model {
    /// The values of its features.
    pub fn row(&self, subject: &Subject<'_>) -> Vec<f32> {
        self.features.iter().map(|feature| feature.value(subject)).collect()
    }

    /// The sum of its trees, as log-odds before calibration.
    pub fn margin(&self, row: &[f32]) -> f32 {
        self.sum.margin(row)
    }

    /// The probability of a campaign for these values.
    pub fn probability(&self, row: &[f32]) -> f64 {
        self.calibration.probability(f64::from(self.margin(row)))
    }

    /// What it looks at, in the order of a row.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The trees.
    pub fn ensemble(&self) -> &Ensemble {
        &self.sum
    }

    /// What spoke most for a campaign. Costs some hundred times as much as the probability: asked only where it
    /// is shown.
    pub fn explain(&self, row: &[f32], subject: &Subject<'_>) -> Vec<Contribution> {
        let all = contributions(&self.sum, row);
        let mut ranked: Vec<(f64, Feature, f32)> = all
            .into_iter()
            .zip(&self.features)
            .zip(row)
            .map(|((adds, f), value)| (adds, *f, *value))
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        let shown = ranked.into_iter().filter(|(adds, ..)| *adds > 0.0).take(SHOWN);
        shown
            .map(|(adds, feature, value)| Contribution {
                feature: feature.as_str().to_owned(),
                detail: feature.said(value, subject),
                adds: single(adds),
            })
            .collect()
    }
}

#[allow(clippy::cast_possible_truncation, reason = "shown with one decimal")]
fn single(x: f64) -> f32 {
    x as f32
}

impl Opinion {
    /// In words: `model fraud: 0.93; block 99893412xxxx confirmed 0 +1.2, data centre yes +0.8`.
    pub fn detail(&self) -> String {
        let why: Vec<String> =
            self.contributions.iter().map(|c| format!("{} {:+.1}", c.detail, c.adds)).collect();
        let because = if why.is_empty() { String::new() } else { format!("; {}", why.join(", ")) };
        format!("model {}: {:.2}{because}", self.model, self.probability)
    }
}
