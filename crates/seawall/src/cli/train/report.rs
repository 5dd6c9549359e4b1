//! From samples to a model with its report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use seawall_core::model::label::Excluded;
use seawall_core::model::report::{Evaluation, Sample, Split, evaluate, split};
use seawall_core::model::shap::contributions;
use seawall_core::model::{Calibration, Feature, Model};
use seawall_core::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::admin::Admin;
use super::super::model::gathered;
use super::super::{Failure, output};
use super::{Map, TrainArgs, fit};

/// Features that the report names, and test samples over which they are ranked.
const TOP: (usize, usize) = (12, 500);

#[derive(Deserialize)]
struct Samples {
    from: Timestamp,
    to: Timestamp,
    features: Vec<String>,
    excluded: BTreeMap<Excluded, u64>,
    samples: Vec<Sample>,
}

pub(in super::super) async fn run(args: TrainArgs) -> Result<(), Failure> {
    if args.out.exists() {
        return Err(Failure::Wrong(format!("{} exists already; choose another --out", args.out.display())));
    }
    let admin = Admin::open(&args.admin).await?;
    let text = gathered(&admin, &args.since).await;
    admin.close().await;
    let samples: Samples =
        serde_json::from_str(&text?).map_err(|error| format!("the samples cannot be read: {error}"))?;
    let ours = Feature::ALL.iter().map(|feature| feature.as_str());
    if !ours.eq(samples.features.iter().map(String::as_str)) {
        return Err(Failure::Failed("the gateway is of another version than this command".to_owned()));
    }
    let (document, report) = trained(&samples, args.calibration)?;
    let beside = beside(&args.out);
    write(&args.out, &document)?;
    write(&beside, &report)?;
    if args.json {
        return Ok(output::json(&report)?);
    }
    Ok(show(&report, &args.out, &beside)?)
}

fn beside(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".report.json");
    PathBuf::from(name)
}

fn write(path: &Path, value: &Value) -> Result<(), String> {
    std::fs::write(path, format!("{value}\n"))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// A model and how good it is.
fn trained(samples: &Samples, map: Map) -> Result<(Value, Value), String> {
    let split = split(&samples.samples).map_err(|few| {
        let why = samples.excluded.iter().map(|(why, n)| format!("{n} requests: {}", why.reason()));
        let why: Vec<String> = std::iter::once(format!("no model: {few}")).chain(why).collect();
        why.join("\n")
    })?;
    let mut document = fit::grow(&split.train)?;
    let told = fit::unseen_margins(&split.train)?;
    let calibration = match map {
        Map::Platt => Calibration::platt(&told),
        Map::Isotonic => Calibration::isotonic(&told),
    };
    let model = fit::model(&document, calibration.clone())?;
    let probabilities: Vec<f64> = split.test.iter().map(|s| model.probability(&fit::row(s))).collect();
    let evaluation = evaluate(&split.test, &probabilities);
    let report = report(samples, &split, &evaluation, &model);
    let attached = json!({ "calibration": calibration, "report": report }).to_string();
    let place = document.pointer_mut("/learner/attributes").and_then(Value::as_object_mut);
    place.ok_or("the model has no place for attributes")?.insert("seawall".to_owned(), json!(attached));
    Ok((document, report))
}

fn report(samples: &Samples, split: &Split<'_>, evaluation: &Evaluation, model: &Model) -> Value {
    let count = |part: &[&Sample]| {
        let bad = part.iter().filter(|sample| sample.attack.is_some()).count();
        json!({ "good": part.len() - bad, "bad": bad })
    };
    let why = |(why, n): (&Excluded, &u64)| json!({ "requests": n, "why": why.reason() });
    json!({
        "from": samples.from,
        "to": samples.to,
        "tried_from": split.at,
        "train": count(&split.train),
        "test": count(&split.test),
        "same_attack": split.same_attack,
        "excluded": samples.excluded.iter().map(why).collect::<Vec<_>>(),
        "evaluation": evaluation,
        "features": ranked(&split.test, model),
        "parameters": fit::described(),
    })
}

/// The features that moved the sum most, on average over samples that the model was not trained on.
fn ranked(test: &[&Sample], model: &Model) -> Vec<Value> {
    let step = test.len().div_ceil(TOP.1).max(1);
    let mut sums = vec![0.0; model.features().len()];
    let mut rows = 0.0f64;
    for sample in test.iter().step_by(step) {
        let all = contributions(model.ensemble(), &fit::row(sample));
        sums.iter_mut().zip(all).for_each(|(sum, one)| *sum += one.abs());
        rows += 1.0;
    }
    let mut ranked: Vec<(f64, &Feature)> =
        sums.into_iter().zip(model.features()).filter(|(sum, _)| *sum > 0.0).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let shown = ranked.into_iter().take(TOP.0);
    shown.map(|(sum, feature)| json!({ "feature": feature.as_str(), "moves": sum / rows.max(1.0) })).collect()
}

fn show(report: &Value, out: &Path, beside: &Path) -> Result<(), String> {
    let at = |path: &str| report.pointer(path).cloned().unwrap_or_default();
    let text = |path: &str| match at(path) {
        Value::String(text) => text,
        Value::Number(n) if n.is_f64() => format!("{:.3}", n.as_f64().unwrap_or_default()),
        other => other.to_string(),
    };
    output::line(&format!(
        "Trained on {} real users and {} requests of campaigns, tried from {} on with {} and {} of {} later attacks.",
        text("/train/good"),
        text("/train/bad"),
        text("/tried_from"),
        text("/test/good"),
        text("/test/bad"),
        text("/evaluation/attacks"),
    ))?;
    output::line(&format!(
        "AUC {}, the engine's {}.",
        text("/evaluation/auc"),
        text("/evaluation/engine_auc")
    ))?;
    let ways = ["engine", "model", "both"].map(|way| {
        let mut tally = at(&format!("/evaluation/points/{way}"));
        if let Some(fields) = tally.as_object_mut() {
            fields.insert("way".to_owned(), json!(way));
        }
        tally
    });
    output::objects(&["way", "stopped", "leaked", "leaked_micros", "false_blocks"], ways.iter())?;
    let features = at("/features");
    let names = features.as_array().into_iter().flatten().take(5);
    let names: Vec<&str> = names.filter_map(|f| f.get("feature").and_then(Value::as_str)).collect();
    output::line(&format!("It looks most at {}.", names.join(", ")))?;
    output::line(&format!(
        "Model: {}; report: {}. Add it in shadow with `seawall model import {}`.",
        out.display(),
        beside.display(),
        out.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(samples: Vec<Sample>) -> Samples {
        let (from, to) = (Timestamp::from_millis(0), Timestamp::from_millis(1));
        let excluded = BTreeMap::from([(Excluded::Unconfirmed, 12)]);
        Samples { from, to, features: Vec::new(), excluded, samples }
    }

    #[test]
    fn a_model_finds_later_attacks_and_says_how_well() {
        for map in [Map::Platt, Map::Isotonic] {
            let (document, report) = trained(&samples(super::super::fit::tests::samples()), map).unwrap();
            let auc = report["evaluation"]["auc"].as_f64().unwrap();
            assert!(auc > 0.9, "{report}");
            assert!(report["evaluation"]["attacks"].as_u64().unwrap() >= 1);
            let top = report["features"].as_array().unwrap().iter().take(3);
            assert!(top.into_iter().any(|f| f["feature"] == "client.hosting"), "{report}");
            assert_eq!(report["excluded"][0]["requests"], 12);
            let attached = document.pointer("/learner/attributes/seawall").and_then(Value::as_str).unwrap();
            let attached: Value = serde_json::from_str(attached).unwrap();
            assert_eq!(attached["report"], report);
        }
    }

    #[test]
    fn too_few_labels_are_refused_with_the_reasons() {
        let few = super::super::fit::tests::samples().into_iter().take(100).collect();
        let refused = trained(&samples(few), Map::Platt).unwrap_err();
        assert!(
            refused.starts_with("no model: 9 labelled requests of campaigns are too few; 55 are needed"),
            "{refused}"
        );
        assert!(refused.contains("12 requests: nobody confirmed it"), "{refused}");
    }
}
