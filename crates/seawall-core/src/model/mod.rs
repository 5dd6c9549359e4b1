//! A model that was trained on the operator's own traffic: boosted trees over what is recorded with a decision,
//! and a map from their sum to a probability. Reading a model, asking it, and saying why it answered so are pure
//! arithmetic here; training it is not done here.
//!
//! Reading order: [`feature`] (what a model may look at), `tree` (a sum of trees), [`shap`] (why), [`calibrate`]
//! (from the sum to a probability), [`xgboost`] (how a model is written down), [`opinion`] (what it says of a
//! request); then, for training, [`label`] (what is known afterwards), [`incident`] (what belongs together) and
//! [`report`] (how good it is).

pub mod calibrate;
pub mod compare;
pub mod feature;
pub mod incident;
pub mod label;
pub mod opinion;
pub mod report;
pub mod shap;
mod tree;
pub mod xgboost;

pub use calibrate::Calibration;
pub use feature::{Feature, Subject};
pub use opinion::{Contribution, Model, Opinion};
pub use tree::{Ensemble, Tree};
