//! How long a model takes to answer, and to say why: `cargo run --release -p seawall-core --example model [FILE]`,
//! with a model as XGBoost writes it; without one, twenty copies of a small one's six trees. The features are
//! taken to be called as recorded ones, or `a`, `b` and `c`.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a tool for the command line")]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use seawall_core::model::shap::contributions;
use seawall_core::model::xgboost::Document;
use seawall_core::model::{Calibration, Model};
use serde_json::Value;

const ROWS: u16 = 2_000;

fn main() {
    let given =
        std::env::args().nth(1).map(|path| std::fs::read_to_string(path).expect("the model can be read"));
    let document = given.map_or_else(copies, |text| serde_json::from_str(&text).expect("the model is JSON"));
    let document: Document = serde_json::from_value(document).expect("the model is as XGBoost writes it");
    let names = [("a", "engine.probability"), ("b", "number.asks"), ("c", "client.hosting")];
    let names: BTreeMap<String, String> = names.map(|(from, to)| (from.to_owned(), to.to_owned())).into();
    let model = document.model(&names, Calibration::default()).expect("the model can be asked");
    let rows: Vec<Vec<f32>> = (0..ROWS).map(|n| row(&model, n)).collect();
    println!("{} trees over {} features", model.ensemble().trees(), model.features().len());
    let answer = per_row(&rows, |row| {
        black_box(model.probability(row));
    });
    let why = per_row(&rows, |row| {
        black_box(contributions(model.ensemble(), row));
    });
    println!("{answer:.1} µs to answer, {why:.0} µs to say why");
}

fn copies() -> Value {
    let text = include_str!("../tests/data/xgboost_3_2.json");
    let mut whole: Value = serde_json::from_str(text).expect("the fixture is JSON");
    let trees =
        whole.pointer_mut("/model/learner/gradient_booster/model/trees").and_then(Value::as_array_mut);
    let trees = trees.expect("the fixture has trees");
    *trees = std::iter::repeat_n(trees.clone(), 20).flatten().collect();
    whole.get_mut("model").expect("the fixture has a model").take()
}

fn row(model: &Model, n: u16) -> Vec<f32> {
    let value =
        |at: usize| f32::from(u8::try_from((usize::from(n) * 31 + at * 17) % 23).unwrap_or(0)) / 7.0 - 1.0;
    (0..model.features().len()).map(value).collect()
}

fn per_row(rows: &[Vec<f32>], ask: impl Fn(&[f32])) -> f64 {
    let begun = Instant::now();
    rows.iter().for_each(|row| ask(row));
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(ROWS)
}
