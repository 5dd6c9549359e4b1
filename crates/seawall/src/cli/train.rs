//! `seawall train`: a model of the operator's own traffic. Labels come from the ledger; the model is tried on later
//! attacks than those it was trained on, and written with its report beside it. What grows the trees is in a build
//! with the feature `train` only; what evaluates them is in every build.

#[cfg(feature = "train")]
mod fit;
#[cfg(feature = "train")]
mod report;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[cfg(not(feature = "train"))]
use super::Failure;
use super::admin::AdminArgs;

#[derive(Args, Debug)]
pub(super) struct TrainArgs {
    /// Over the last so long.
    #[arg(long, value_name = "SPAN", default_value = "30d")]
    since: String,
    /// Where to write the model; its report goes beside it, as FILE.report.json.
    #[arg(long, value_name = "FILE", default_value = "model.json")]
    out: PathBuf,
    /// How its sum becomes a probability.
    #[arg(long, value_enum, default_value = "platt")]
    calibration: Map,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Map {
    /// A logistic curve: two figures, for few labels.
    Platt,
    /// Steps: follows the data, for thousands of labels.
    Isotonic,
}

#[cfg(not(feature = "train"))]
#[expect(clippy::unused_async, reason = "the other build waits for the gateway")]
pub(super) async fn run(_: TrainArgs) -> Result<(), Failure> {
    let reason = "this build cannot train models: build it with `cargo build --release --features train`; or write the \
                  labelled requests with `seawall model samples`, train with XGBoost, and add the model with \
                  `seawall model import`";
    Err(Failure::Failed(reason.to_owned()))
}

#[cfg(feature = "train")]
pub(super) use report::run;
