//! Growing trees. The only place that knows the library that does it; what comes out is a model as XGBoost writes
//! it, read back by our own code.

use hessboost::prelude::{BoostedModel, DMatrix, ModelFormat, Objective, RegLoss, TrainingParams, train};
use seawall_core::model::calibrate::Told;
use seawall_core::model::report::{Sample, fold};
use seawall_core::model::xgboost::Document;
use seawall_core::model::{Calibration, Feature, Model};
use serde_json::Value;

/// Small trees, and few: labels are few, and each tree is walked for every request.
const ROUNDS: usize = 120;
const DEPTH: usize = 4;
/// Parts of the training set that calibrate a model of the others.
const FOLDS: usize = 3;

fn parameters() -> Result<TrainingParams, String> {
    let built = TrainingParams::builder()
        .objective(Objective::BinaryLogistic(RegLoss::default()))
        .max_depth(DEPTH)
        .eta(0.1)
        .lambda(2.0)
        .min_child_weight(2.0)
        .subsample(0.8)
        .colsample_bytree(0.6)
        .seed(1)
        .build();
    built.map_err(|error| error.to_string())
}

/// What was chosen beforehand, for the report.
pub(super) fn described() -> Value {
    serde_json::json!({
        "rounds": ROUNDS, "max_depth": DEPTH, "eta": 0.1, "lambda": 2.0, "min_child_weight": 2.0,
        "subsample": 0.8, "colsample_bytree": 0.6, "seed": 1
    })
}

/// A model as XGBoost writes it, with the names of its features.
pub(super) fn grow(samples: &[&Sample]) -> Result<Value, String> {
    let bytes = boosted(samples)?.encode(ModelFormat::XgboostJson).map_err(|error| error.to_string())?;
    let mut document: Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let names: Vec<&str> = Feature::ALL.iter().map(|feature| feature.as_str()).collect();
    let place = document.pointer_mut("/learner/feature_names").ok_or("the model has no place for names")?;
    *place = serde_json::json!(names);
    Ok(document)
}

pub(super) fn boosted(samples: &[&Sample]) -> Result<BoostedModel, String> {
    let failed = |error: hessboost::prelude::HessboostError| error.to_string();
    let labels: Vec<f32> = samples.iter().map(|s| f32::from(u8::from(s.attack.is_some()))).collect();
    let weights: Vec<f32> = samples.iter().map(|s| s.weight).collect();
    let data =
        matrix(samples)?.with_labels(&labels).map_err(failed)?.with_weights(&weights).map_err(failed)?;
    train(&parameters()?, &data, ROUNDS).map_err(failed)
}

pub(super) fn matrix(samples: &[&Sample]) -> Result<DMatrix, String> {
    let values = samples.iter().flat_map(|sample| row(sample)).collect();
    DMatrix::from_dense_vec(values, samples.len(), Feature::ALL.len()).map_err(|error| error.to_string())
}

/// A sample's values; what is not known is NaN.
pub(super) fn row(sample: &Sample) -> Vec<f32> {
    sample.values.iter().map(|value| value.unwrap_or(f32::NAN)).collect()
}

/// Read by the code that will ask it.
pub(super) fn model(document: &Value, calibration: Calibration) -> Result<Model, String> {
    let document: Document = serde_json::from_value(document.clone()).map_err(|error| error.to_string())?;
    document.model(&std::collections::BTreeMap::new(), calibration).map_err(|error| error.to_string())
}

/// Sums for each training sample, from a model that has not seen it.
pub(super) fn unseen_margins(samples: &[&Sample]) -> Result<Vec<Told>, String> {
    let folds: Vec<usize> = (0..samples.len()).map(|at| fold(samples, at)).collect();
    let mut told = Vec::with_capacity(samples.len());
    for part in 0..FOLDS {
        let side = |inside: bool| {
            let chosen = samples.iter().zip(&folds).filter(|(_, fold)| (**fold == part) == inside);
            chosen.map(|(sample, _)| *sample).collect::<Vec<_>>()
        };
        let (held, others) = (side(true), side(false));
        if held.is_empty() || !others.iter().any(|s| s.attack.is_some()) {
            continue;
        }
        let model = model(&grow(&others)?, Calibration::default())?;
        told.extend(held.iter().map(|sample| Told {
            margin: f64::from(model.margin(&row(sample))),
            bad: sample.attack.is_some(),
            weight: f64::from(sample.weight),
        }));
    }
    Ok(told)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use hessboost::prelude::Iterations;
    use seawall_core::time::Timestamp;

    /// Two kinds of attack against ordinary users, and some noise.
    pub fn samples() -> Vec<Sample> {
        let place = |feature: Feature| Feature::ALL.iter().position(|f| *f == feature).unwrap();
        let mut state = 7u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            f64::from(u32::try_from(state >> 33).unwrap()) / f64::from(1u32 << 31)
        };
        let single = |x: f64| format!("{x:.4}").parse::<f32>().unwrap();
        (0..2400)
            .map(|n| {
                let attack = (n % 12 == 0).then_some(n / 600 * 600);
                let mut values = vec![None; Feature::ALL.len()];
                let bad = f64::from(u8::from(attack.is_some()));
                values[place(Feature::ClientHosting)] =
                    Some(f32::from(u8::from(random() < 0.05 + 0.8 * bad)));
                values[place(Feature::BlockConfirmed)] = Some(single(20.0 * random() * (1.0 - 0.8 * bad)));
                values[place(Feature::EngineProbability)] =
                    Some(single(0.2 * random() + 0.3 * bad * random()));
                if random() < 0.3 {
                    values[place(Feature::NumberKnown)] =
                        Some(f32::from(u8::from(random() < 0.5 * (1.0 - bad))));
                }
                Sample {
                    at: Timestamp::from_millis(1_700_000_000_000 + i64::try_from(n).unwrap() * 60_000),
                    attack,
                    weight: if attack.is_some() { 0.5 } else { 1.0 },
                    price: 100_000,
                    engine_stops: false,
                    engine_probability: 0.1,
                    threshold: 0.86,
                    values,
                }
            })
            .collect()
    }

    #[test]
    fn our_evaluation_is_the_library_s() {
        let samples = samples();
        let samples: Vec<&Sample> = samples.iter().collect();
        let theirs = boosted(&samples).unwrap();
        let ours = model(&grow(&samples).unwrap(), Calibration::default()).unwrap();
        let data = matrix(&samples).unwrap();
        let margins = theirs.predict_margin(&data, Iterations::Best).unwrap();
        let contributions = theirs.predict_contribs(&data, Iterations::Best).unwrap();
        for (at, sample) in samples.iter().enumerate() {
            let row = row(sample);
            let margin = margins.get(at, 0).unwrap();
            assert!((ours.margin(&row) - margin).abs() < 1e-4, "{} {margin}", ours.margin(&row));
            if at % 50 == 0 {
                let theirs = contributions.get(at, 0).unwrap();
                let found = seawall_core::model::shap::contributions(ours.ensemble(), &row);
                for (found, theirs) in found.iter().zip(theirs) {
                    assert!((found - f64::from(*theirs)).abs() < 1e-3, "{found} {theirs}");
                }
            }
        }
    }

    #[test]
    fn the_same_samples_give_the_same_model() {
        let samples = samples();
        let samples: Vec<&Sample> = samples.iter().take(900).collect();
        assert_eq!(grow(&samples).unwrap(), grow(&samples).unwrap());
    }
}
