//! A model as it is stored, given and shown.

use std::collections::BTreeMap;

use seawall_core::model::compare::Comparison;
use seawall_core::model::xgboost::Document;
use seawall_core::model::{Calibration, Model};
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::super::collections::Wrong;

/// The attribute of a model's file under which its calibration, features and report stand.
pub const ATTRIBUTE: &str = "seawall";

/// What a model may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelState {
    /// What it would do is recorded, and changes nothing.
    #[default]
    Shadow,
    /// It refuses what it is sure of.
    Enforce,
}

/// A model as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredModel {
    /// `mdl_…`
    pub id: String,
    /// Unique.
    pub name: String,
    /// What it may do.
    pub state: ModelState,
    /// As XGBoost writes it.
    pub document: Value,
    /// What its features are here.
    pub features: BTreeMap<String, String>,
    /// From its sum to a probability.
    pub calibration: Calibration,
    /// How it was trained and tried, if that is known.
    pub report: Option<Value>,
    /// For people.
    pub note: Option<String>,
    /// Who added it.
    pub author: String,
    /// When; it is compared with the engine over what came later.
    pub created_at: Timestamp,
    /// Since when it may decide.
    pub enforced_at: Option<Timestamp>,
}

impl StoredModel {
    /// Ready to be asked.
    pub fn model(&self) -> Result<Model, String> {
        let document: Document = serde_json::from_value(self.document.clone())
            .map_err(|e| format!("not an XGBoost model: {e}"))?;
        document.model(&self.features, self.calibration.clone()).map_err(|e| e.to_string())
    }
}

/// A model that is added. It begins in shadow.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelInput {
    /// Unique among models; reasons name it.
    #[schema(min_length = 1, max_length = 40, pattern = "^[A-Za-z0-9._-]+$")]
    pub name: String,
    /// The model as XGBoost's `save_model("model.json")` writes it: `gbtree`, `binary:logistic`.
    #[schema(value_type = Object)]
    pub model: Value,
    /// What each of its features is here, by its name in the model; absent for features that have the names of
    /// /docs/learning already.
    pub features: Option<BTreeMap<String, String>>,
    /// From its sum to a probability: `{"kind": "platt", "slope", "offset"}` or `{"kind": "isotonic", "points"}`. Taken
    /// from the model's file when absent, if `seawall train` wrote it; else the sum counts as log-odds.
    #[schema(value_type = Option<Object>)]
    pub calibration: Option<Calibration>,
    /// For people.
    #[schema(max_length = 200)]
    pub note: Option<String>,
}

/// What can be changed about a model.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelPatch {
    /// `enforce` only where the model has proved better than the engine; `shadow` always.
    pub state: Option<ModelState>,
    /// For people.
    #[schema(max_length = 200)]
    pub note: Option<String>,
}

/// What `seawall train` writes into the file of a model.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Attached {
    /// From its sum to a probability.
    pub calibration: Option<Calibration>,
    /// How it was trained and tried.
    pub report: Option<Value>,
}

/// What is attached to a model's file; nothing when it comes from elsewhere.
pub fn attached(document: &Document) -> Result<Attached, Wrong> {
    let Some(text) = document.attribute(ATTRIBUTE) else { return Ok(Attached::default()) };
    serde_json::from_str(text).map_err(|error| {
        Wrong::field(format!("model.learner.attributes.{ATTRIBUTE}"), format!("cannot be read: {error}"))
    })
}

/// A model as it is shown, without its trees.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ModelView {
    /// `mdl_…`
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub state: ModelState,
    /// How many trees it has.
    pub trees: usize,
    /// What it looks at.
    pub features: Vec<String>,
    /// From its sum to a probability.
    #[schema(value_type = Object)]
    pub calibration: Calibration,
    /// How it was trained and tried, if that is known.
    #[schema(value_type = Option<Object>)]
    pub report: Option<Value>,
    /// For people.
    pub note: Option<String>,
    /// Who added it.
    pub author: String,
    /// When; it is compared with the engine over what came later.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Since when it may decide.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub enforced_at: Option<Timestamp>,
    /// Against the engine, over labelled requests since it was added; only where one model is asked for.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// Why it may not decide yet; absent when it may, and where there is no comparison.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objection: Option<String>,
}

impl ModelView {
    /// As it is shown in a list.
    pub fn of(stored: &StoredModel) -> Self {
        let model = stored.model().ok();
        let features = model.as_ref().map(|m| m.features().iter().map(|f| f.as_str().to_owned()).collect());
        ModelView {
            id: stored.id.clone(),
            name: stored.name.clone(),
            state: stored.state,
            trees: model.as_ref().map_or(0, |m| m.ensemble().trees()),
            features: features.unwrap_or_default(),
            calibration: stored.calibration.clone(),
            report: stored.report.clone(),
            note: stored.note.clone(),
            author: stored.author.clone(),
            created_at: stored.created_at,
            enforced_at: stored.enforced_at,
            comparison: None,
            objection: None,
        }
    }

    /// With what it has shown.
    pub fn compared(self, comparison: Comparison) -> Self {
        ModelView { comparison: Some(comparison), objection: comparison.objection(), ..self }
    }
}
