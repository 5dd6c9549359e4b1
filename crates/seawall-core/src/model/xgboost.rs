//! Models as XGBoost writes them (`save_model("model.json")`), and their check. What cannot be evaluated exactly
//! here is refused, with what it is: several classes, categories, weighted trees (DART), linear models.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::calibrate::Calibration;
use super::feature::Feature;
use super::opinion::Model;
use super::tree::{DEEPEST, Ensemble, Tree};
use crate::detect::math::ln;

/// Nodes of all trees together, at most.
const MOST_NODES: usize = 200_000;
/// Trees, at most: each costs a walk for every request.
const MOST_TREES: usize = 2_000;

/// Why a model cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// Another kind of model.
    #[error("the model's {what} is `{found}`; only {wanted} can be evaluated here")]
    Kind {
        /// Which property.
        what: &'static str,
        /// As it is.
        found: String,
        /// As it would have to be.
        wanted: &'static str,
    },
    /// A feature that nobody records.
    #[error(
        "the model's feature `{name}` is not one that is recorded; map it to one of them with `features`, see /docs/learning"
    )]
    Feature {
        /// Its name in the model, or its number.
        name: String,
    },
    /// A feature is mapped to what does not exist.
    #[error("`features` maps `{name}` to `{to}`, which is not recorded; see /docs/learning for what is")]
    Mapped {
        /// Its name in the model.
        name: String,
        /// What it is mapped to.
        to: String,
    },
    /// A tree that contradicts itself.
    #[error("tree {tree} of the model is damaged: {why}")]
    Tree {
        /// Which, from 0.
        tree: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// More than can be asked for every request.
    #[error("the model has {found} {what}; {most} are the most")]
    Size {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many may be.
        most: usize,
    },
    /// The starting value is no probability.
    #[error("the model's base_score `{0}` is not a probability between 0 and 1")]
    Start(String),
    /// The calibration cannot be used.
    #[error("the calibration {0}")]
    Calibration(&'static str),
}

/// A model as it is written. What is not named here is not needed to evaluate it.
#[derive(Clone, Debug, Deserialize)]
pub struct Document {
    learner: Learner,
}

#[derive(Clone, Debug, Deserialize)]
struct Learner {
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    feature_names: Vec<String>,
    gradient_booster: Booster,
    learner_model_param: Params,
    objective: Named,
}

#[derive(Clone, Debug, Deserialize)]
struct Named {
    name: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Booster {
    name: String,
    #[serde(default)]
    model: Trees,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Trees {
    #[serde(default)]
    trees: Vec<Wire>,
}

#[derive(Clone, Debug, Deserialize)]
struct Params {
    base_score: Loose,
    num_feature: Loose,
    #[serde(default)]
    num_class: Option<Loose>,
    #[serde(default)]
    num_target: Option<Loose>,
}

/// A number, or the text of one: versions differ.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(f64),
    Text(String),
}

impl Loose {
    fn text(&self) -> String {
        match self {
            Loose::Number(number) => number.to_string(),
            // Later versions write a list of one.
            Loose::Text(text) => text.trim_matches(['[', ']', ' ']).to_owned(),
        }
    }

    fn number(&self) -> Option<f64> {
        self.text().parse().ok()
    }
}

#[derive(Clone, Debug, Deserialize)]
struct Wire {
    left_children: Vec<i32>,
    right_children: Vec<i32>,
    split_indices: Vec<u32>,
    split_conditions: Vec<f32>,
    #[serde(deserialize_with = "flags")]
    default_left: Vec<bool>,
    #[serde(default)]
    sum_hessian: Vec<f32>,
    #[serde(default)]
    split_type: Vec<u8>,
}

/// 0 and 1, or false and true.
fn flags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<bool>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Flag {
        Bool(bool),
        Number(u8),
    }
    let read = Vec::<Flag>::deserialize(deserializer)?;
    let yes = |flag| match flag {
        Flag::Bool(yes) => yes,
        Flag::Number(n) => n != 0,
    };
    Ok(read.into_iter().map(yes).collect())
}

impl Document {
    /// A text that was attached to the model under a name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.learner.attributes.get(name).map(String::as_str)
    }

    /// The model that it describes. `names` maps features of the model to recorded ones; what it does not name
    /// must be called as the recorded one.
    pub fn model(
        &self,
        names: &BTreeMap<String, String>,
        calibration: Calibration,
    ) -> Result<Model, ModelError> {
        if let Some(problem) = calibration.problem() {
            return Err(ModelError::Calibration(problem));
        }
        let learner = &self.learner;
        self.check_kind()?;
        let count = learner.learner_model_param.num_feature.number().unwrap_or(0.0);
        let count =
            (0..=Feature::ALL.len()).rev().find(|n| f64::from(u8::try_from(*n).unwrap_or(0)) <= count);
        let count = count.unwrap_or(0).max(learner.feature_names.len());
        let wires = &learner.gradient_booster.model.trees;
        most("trees", wires.len(), MOST_TREES)?;
        most("nodes", wires.iter().map(|w| w.left_children.len()).sum(), MOST_NODES)?;
        let trees =
            wires.iter().enumerate().map(|(at, wire)| tree(at, wire)).collect::<Result<Vec<_>, _>>()?;
        let used = trees.iter().flat_map(splits).max().map_or(0, |most| most + 1);
        let width = count.max(used);
        most("features", width, 4 * Feature::ALL.len())?;
        let features = (0..width).map(|at| self.feature(at, names)).collect::<Result<Vec<_>, _>>()?;
        Ok(Model { sum: Ensemble::new(trees, self.start()?, width), features, calibration })
    }

    fn feature(&self, at: usize, names: &BTreeMap<String, String>) -> Result<Feature, ModelError> {
        let name = self.learner.feature_names.get(at).cloned().unwrap_or_else(|| format!("f{at}"));
        match names.get(&name) {
            Some(to) => Feature::parse(to).ok_or_else(|| ModelError::Mapped { name, to: to.clone() }),
            None => Feature::parse(&name).ok_or(ModelError::Feature { name }),
        }
    }

    fn check_kind(&self) -> Result<(), ModelError> {
        let Learner { objective, gradient_booster, learner_model_param, .. } = &self.learner;
        let kind = |what, found: &str, wanted| ModelError::Kind { what, found: found.to_owned(), wanted };
        if !["binary:logistic", "reg:logistic"].contains(&objective.name.as_str()) {
            return Err(kind("objective", &objective.name, "`binary:logistic` or `reg:logistic`"));
        }
        if gradient_booster.name != "gbtree" {
            return Err(kind("booster", &gradient_booster.name, "`gbtree`"));
        }
        let several = |n: &Option<Loose>| n.as_ref().and_then(Loose::number).is_some_and(|n| n > 1.0);
        if several(&learner_model_param.num_class) || several(&learner_model_param.num_target) {
            return Err(kind("number of classes", "more than one", "one probability"));
        }
        Ok(())
    }

    /// XGBoost keeps the starting value as a probability.
    #[allow(clippy::cast_possible_truncation, reason = "sums are 32-bit floats")]
    fn start(&self) -> Result<f32, ModelError> {
        let score = &self.learner.learner_model_param.base_score;
        let fits = |p: &f64| *p > 0.0 && *p < 1.0;
        let p = score.number().filter(fits).ok_or_else(|| ModelError::Start(score.text()))?;
        Ok(ln(p / (1.0 - p)) as f32)
    }
}

fn most(what: &'static str, found: usize, most: usize) -> Result<(), ModelError> {
    if found > most { Err(ModelError::Size { what, found, most }) } else { Ok(()) }
}

fn splits(tree: &Tree) -> impl Iterator<Item = usize> + '_ {
    let inner = tree.left.iter().zip(&tree.feature).filter(|(left, _)| **left != 0);
    inner.map(|(_, feature)| usize::try_from(*feature).unwrap_or(usize::MAX))
}

fn tree(at: usize, wire: &Wire) -> Result<Tree, ModelError> {
    let damaged = |why| ModelError::Tree { tree: at, why };
    let nodes = wire.left_children.len();
    let lengths = [
        wire.right_children.len(),
        wire.split_indices.len(),
        wire.split_conditions.len(),
        wire.default_left.len(),
    ];
    if nodes == 0 || lengths.iter().any(|length| *length != nodes) {
        return Err(damaged("its arrays are not of one length"));
    }
    if wire.split_type.iter().any(|kind| *kind != 0) {
        return Err(damaged("it splits by categories; train with numbers only"));
    }
    if wire.split_conditions.iter().chain(&wire.sum_hessian).any(|n| !n.is_finite()) {
        return Err(damaged("it has values that are no numbers"));
    }
    let child = |side: &[i32]| side.iter().map(|n| u32::try_from(*n).unwrap_or(0)).collect::<Vec<u32>>();
    let tree = Tree {
        feature: wire.split_indices.clone(),
        threshold: wire.split_conditions.clone(),
        left: child(&wire.left_children),
        right: child(&wire.right_children),
        missing_left: wire.default_left.clone(),
        cover: wire.sum_hessian.clone(),
    };
    if tree.left.iter().zip(&tree.right).any(|(left, right)| (*left == 0) != (*right == 0)) {
        return Err(damaged("a split has one child only"));
    }
    match tree.depth() {
        None => Err(damaged("its nodes do not form a tree")),
        Some(depth) if depth > DEEPEST => Err(damaged("it is deeper than 16 splits")),
        Some(_) => Ok(tree),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A small model that XGBoost 3.2 trained, with what it predicts (margin, probability, contributions).
    const FIXTURE: &str = include_str!("../../tests/data/xgboost_3_2.json");

    fn fixture() -> Value {
        serde_json::from_str(FIXTURE).unwrap()
    }

    fn model(document: Value, names: &BTreeMap<String, String>) -> Result<Model, ModelError> {
        let document: Document = serde_json::from_value(document).unwrap();
        document.model(names, Calibration::default())
    }

    fn names() -> BTreeMap<String, String> {
        let map = [("a", "engine.probability"), ("b", "number.asks"), ("c", "client.hosting")];
        map.map(|(theirs, ours)| (theirs.to_owned(), ours.to_owned())).into()
    }

    #[test]
    fn it_says_what_xgboost_says() {
        let all = fixture();
        let model = model(all["model"].clone(), &names()).unwrap();
        assert_eq!((model.ensemble().trees(), model.ensemble().features()), (6, 3));
        let rows = all["rows"].as_array().unwrap();
        assert!(rows.len() >= 20);
        for row in rows {
            let numbers = |name: &str| -> Vec<f64> {
                row[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect()
            };
            #[allow(clippy::cast_possible_truncation, reason = "they were 32-bit floats")]
            let x: Vec<f32> = numbers("x").into_iter().map(|v| v as f32).collect();
            assert!((f64::from(model.margin(&x)) - row["margin"].as_f64().unwrap()).abs() < 1e-5, "{row}");
            assert!((model.probability(&x) - row["probability"].as_f64().unwrap()).abs() < 1e-5);
            let (contributions, bias) = (numbers("contributions"), model.ensemble().average());
            let found = super::super::shap::contributions(model.ensemble(), &x);
            for (found, theirs) in found.iter().zip(&contributions) {
                assert!((found - theirs).abs() < 1e-4, "{found} {theirs} in {row}");
            }
            assert!((bias - contributions[3]).abs() < 1e-4);
        }
    }

    #[test]
    fn what_cannot_be_evaluated_is_refused() {
        let with = |path: &str, value: Value| {
            let mut document = fixture()["model"].clone();
            *document.pointer_mut(path).unwrap() = value;
            model(document, &names()).unwrap_err().to_string()
        };
        assert!(with("/learner/objective/name", json!("multi:softprob")).contains("multi:softprob"));
        assert!(with("/learner/gradient_booster/name", json!("dart")).contains("`gbtree`"));
        assert!(with("/learner/learner_model_param/base_score", json!("1.5")).contains("`1.5`"));
        let tree = "/learner/gradient_booster/model/trees/1";
        assert!(with(&format!("{tree}/left_children/0"), json!(-1)).contains("one child"));
        assert!(with(&format!("{tree}/left_children/0"), json!(99)).contains("form a tree"));
        assert!(with(&format!("{tree}/default_left"), json!([0])).contains("one length"));
        assert!(with(&format!("{tree}/split_type/0"), json!(1)).contains("categories"));
    }

    #[test]
    fn features_are_those_that_are_recorded() {
        let unmapped = model(fixture()["model"].clone(), &BTreeMap::new()).unwrap_err();
        assert_eq!(unmapped, ModelError::Feature { name: "a".to_owned() });
        let mut wrong = names();
        wrong.insert("c".to_owned(), "client.country".to_owned());
        let wrong = model(fixture()["model"].clone(), &wrong).unwrap_err();
        assert!(wrong.to_string().contains("client.country"));
    }
}
