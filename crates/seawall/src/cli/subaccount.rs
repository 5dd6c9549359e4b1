//! `seawall subaccount …`: subaccounts from a shell.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::admin::{Admin, Common, encoded};
use super::{Failure, output};

#[derive(Args, Debug)]
pub(super) struct SubaccountArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// All subaccounts.
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Make a subaccount.
    Create {
        #[command(flatten)]
        which: Which,
        /// For people; unique.
        #[arg(long)]
        name: Option<String>,
        /// Name of its plan.
        #[arg(long)]
        plan: Option<String>,
        /// Sender ID used when a request names none.
        #[arg(long, value_name = "SENDER")]
        source: Option<String>,
        /// A product that it may use, such as verify or sms; all when none is named.
        #[arg(long = "product", value_name = "PRODUCT")]
        products: Vec<String>,
        /// What applies to a country: off, protected or open, such as SG=open.
        #[arg(long = "country", value_name = "CC=STATE", value_parser = pair)]
        countries: Vec<(String, String)>,
    },
    /// Show one in full.
    Show(Which),
    /// Change settings: FIELD=VALUE as the admin API names them, such as dedup_window=30s or require_client_ip=true.
    Set {
        #[command(flatten)]
        which: Which,
        /// The value is JSON or, where it is none, a text; `null` takes a setting back.
        #[arg(required = true, value_name = "FIELD=VALUE", value_parser = pair)]
        changes: Vec<(String, String)>,
    },
    /// Delete one that nothing names any more.
    Delete(Which),
}

#[derive(Args, Debug)]
struct Which {
    /// Its id, as it stands in paths.
    id: String,
    #[command(flatten)]
    common: Common,
}

/// `name=value`
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("needs the form NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A value as it is meant: JSON, or a text.
fn meant(value: &str) -> Value {
    serde_json::from_str(value).unwrap_or_else(|_| json!(value))
}

pub(super) async fn run(args: SubaccountArgs) -> Result<(), Failure> {
    let common = args.what.common();
    let answer = common.through(async |admin| args.what.ask(admin).await).await?;
    let shown = if common.json { output::json(&answer) } else { show(&args.what, &answer) };
    Ok(shown?)
}

impl What {
    fn common(&self) -> &Common {
        match self {
            What::List { common } => common,
            What::Create { which, .. }
            | What::Set { which, .. }
            | What::Show(which)
            | What::Delete(which) => &which.common,
        }
    }

    async fn ask(&self, admin: &Admin) -> Result<Value, String> {
        let path = |which: &Which| format!("subaccounts/{}", encoded(&which.id));
        let answer = match self {
            What::List { .. } => {
                return Ok(json!({ "data": admin.all("subaccounts?").await?, "next_cursor": null }));
            }
            What::Create { .. } => admin.call(Method::POST, "subaccounts", Some(self.wanted())).await?,
            What::Show(which) => admin.call(Method::GET, &path(which), None).await?,
            What::Set { which, .. } => admin.call(Method::PATCH, &path(which), Some(self.wanted())).await?,
            What::Delete(which) => admin.call(Method::DELETE, &path(which), None).await?,
        };
        Ok(answer.unwrap_or_else(|| json!({})))
    }

    /// The body that makes or changes one; what was not said is left to the gateway's defaults.
    fn wanted(&self) -> Value {
        match self {
            What::Set { changes, .. } => {
                Value::Object(changes.iter().map(|(field, value)| (field.clone(), meant(value))).collect())
            }
            What::Create { which, name, plan, source, products, countries } => {
                let mut body = Map::from_iter([("id".to_owned(), json!(which.id))]);
                for (field, value) in [("name", name), ("plan", plan), ("default_source", source)] {
                    value.iter().for_each(|value| drop(body.insert(field.to_owned(), json!(value))));
                }
                if !products.is_empty() {
                    body.insert("products".to_owned(), json!(products));
                }
                if !countries.is_empty() {
                    let states: Map<String, Value> =
                        countries.iter().map(|(country, state)| (country.clone(), json!(state))).collect();
                    body.insert("country_policy".to_owned(), json!({ "countries": states }));
                }
                Value::Object(body)
            }
            _ => Value::Null,
        }
    }
}

fn show(what: &What, answer: &Value) -> Result<(), String> {
    let data = || answer.get("data").and_then(Value::as_array).into_iter().flatten();
    match what {
        What::List { .. } => output::objects(&["id", "name", "plan", "default_source", "created_at"], data()),
        What::Show(_) => output::line(&serde_json::to_string_pretty(answer).unwrap_or_default()),
        What::Create { which, .. } => output::line(&format!("Subaccount {} is made.", which.id)),
        What::Set { which, .. } => output::line(&format!("Subaccount {} is changed.", which.id)),
        What::Delete(which) => output::line(&format!("Subaccount {} is deleted.", which.id)),
    }
}
