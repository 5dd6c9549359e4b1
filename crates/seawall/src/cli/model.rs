//! `seawall model …`: trained models from a shell.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use reqwest::Method;
use seawall_core::model::Feature;
use serde_json::{Value, json};

use super::admin::{Admin, AdminArgs, Common, encoded};
use super::{Failure, output};

#[derive(Args, Debug)]
pub(super) struct ModelArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// All models.
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Add a model that `seawall train` or XGBoost wrote (JSON). It begins in shadow.
    Import {
        /// The model.
        file: PathBuf,
        /// Its name; that of the file when absent.
        #[arg(long)]
        name: Option<String>,
        /// What its features are here: JSON, an object of names, or a list in the order of the model's columns.
        #[arg(long, value_name = "MAP")]
        features: Option<PathBuf>,
        /// For people.
        #[arg(long)]
        note: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Show one, and how it compares with the engine.
    Show(Which),
    /// Let one decide, if it has proved better than the engine.
    Enforce(Which),
    /// Put one back into shadow.
    Shadow(Which),
    /// Delete one.
    Delete(Which),
    /// What models may look at.
    Features,
    /// Write the labelled requests that a model is trained on (JSON), to train elsewhere.
    Samples {
        /// Over the last so long.
        #[arg(long, value_name = "SPAN", default_value = "30d")]
        since: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
}

#[derive(Args, Debug)]
struct Which {
    /// Id or name.
    model: String,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(args: ModelArgs) -> Result<(), Failure> {
    let common = match &args.what {
        What::Features => return Ok(features()?),
        What::Samples { since, admin } => return samples(since, admin).await,
        What::List { common } | What::Import { common, .. } => common,
        What::Show(which) | What::Enforce(which) | What::Shadow(which) | What::Delete(which) => &which.common,
    };
    let body = args.what.body()?;
    let answer = common.through(async |admin| args.what.ask(admin, body).await).await?;
    let shown = if common.json { output::json(&answer) } else { show(&args.what, &answer) };
    Ok(shown?)
}

fn features() -> Result<(), String> {
    let all: Vec<(&str, &str)> = Feature::ALL.iter().map(|f| (f.as_str(), f.meaning())).collect();
    output::pairs(&all)
}

async fn samples(since: &str, admin: &AdminArgs) -> Result<(), Failure> {
    let admin = Admin::open(admin).await?;
    let answer = gathered(&admin, since).await;
    admin.close().await;
    Ok(output::text(&answer?)?)
}

/// Labelled requests of the last time, as JSON.
pub(super) async fn gathered(admin: &Admin, since: &str) -> Result<String, String> {
    admin.patient("models/samples", &json!({ "since": since }), "application/json").await
}

impl What {
    /// What an import sends.
    fn body(&self) -> Result<Option<Value>, Failure> {
        let What::Import { file, name, features, note, .. } = self else { return Ok(None) };
        let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let mut body = json!({ "name": name.clone().unwrap_or(stem), "model": read(file)? });
        if let Some(object) = body.as_object_mut() {
            if let Some(map) = features {
                object.insert("features".to_owned(), json!(names(map, &read(map)?)?));
            }
            if let Some(note) = note {
                object.insert("note".to_owned(), json!(note));
            }
        }
        Ok(Some(body))
    }

    async fn ask(&self, admin: &Admin, body: Option<Value>) -> Result<Value, String> {
        let path = |which: &Which| format!("models/{}", encoded(&which.model));
        let state = |state: &str| Some(json!({ "state": state }));
        let answer = match self {
            What::Import { .. } => admin.call(Method::POST, "models", body).await?,
            What::Show(which) => admin.call(Method::GET, &path(which), None).await?,
            What::Enforce(which) => admin.call(Method::PATCH, &path(which), state("enforce")).await?,
            What::Shadow(which) => admin.call(Method::PATCH, &path(which), state("shadow")).await?,
            What::Delete(which) => admin.call(Method::DELETE, &path(which), None).await?,
            _ => admin.call(Method::GET, "models", None).await?,
        };
        Ok(answer.unwrap_or_else(|| json!({})))
    }
}

fn read(path: &Path) -> Result<Value, Failure> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| Failure::Wrong(format!("{name}: {error}")))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::Wrong(format!(
            "{name} is not JSON: {error}; models are written by save_model(\"model.json\")"
        ))
    })
}

/// Names by names; columns without names are called f0, f1, …
fn names(path: &Path, map: &Value) -> Result<BTreeMap<String, String>, Failure> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let read = match map {
        Value::Object(names) => names.iter().map(|(name, to)| Some((name.clone(), text(to)?))).collect(),
        Value::Array(names) => {
            names.iter().enumerate().map(|(at, to)| Some((format!("f{at}"), text(to)?))).collect()
        }
        _ => None,
    };
    let wrong = || Failure::Wrong(format!("{} is neither an object nor a list of names", path.display()));
    read.ok_or_else(wrong)
}

fn show(what: &What, answer: &Value) -> Result<(), String> {
    let text = |field: &str| answer.get(field).and_then(Value::as_str).unwrap_or_default();
    let name = text("name");
    match what {
        What::List { .. } => {
            let all = answer.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
            output::objects(&["id", "name", "state", "trees", "created_at"], all.iter())
        }
        What::Import { .. } => {
            output::line(&format!("Model {name} is added, in shadow: it changes nothing yet."))
        }
        What::Enforce(_) => output::line(&format!("Model {name} decides from now on.")),
        What::Shadow(_) => output::line(&format!("Model {name} is in shadow, and changes nothing.")),
        What::Delete(which) => output::line(&format!("Model {} is deleted.", which.model)),
        _ => {
            let objection = answer.get("objection").and_then(Value::as_str);
            output::pairs(&[("name", name), ("state", text("state")), ("added", text("created_at"))])?;
            output::objects(
                &["way", "stopped", "leaked", "leaked_micros", "false_blocks"],
                ways(answer).iter(),
            )?;
            output::line(&match objection {
                Some(why) => format!("It may not decide: {why}."),
                None => "It has proved better than the engine, and may decide.".to_owned(),
            })
        }
    }
}

/// The ways of deciding that are compared, each with its name.
fn ways(answer: &Value) -> Vec<Value> {
    let named = ["engine", "model", "both"].into_iter().filter_map(|way| {
        let mut tally = answer.get("comparison")?.get(way)?.clone();
        tally.as_object_mut()?.insert("way".to_owned(), json!(way));
        Some(tally)
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_mapped_by_name_or_by_place() {
        let map = |value: Value| names(Path::new("map.json"), &value);
        assert_eq!(map(json!({"a": "client.vpn"})).unwrap()["a"], "client.vpn");
        assert_eq!(map(json!(["client.vpn", "client.tor"])).unwrap()["f1"], "client.tor");
        assert!(map(json!("x")).is_err() && map(json!({"a": 1})).is_err());
    }
}
