//! `seawall vault …`: the keys of what is kept, from a shell.

use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::admin::{Admin, Common};
use super::{Failure, output};

/// How often `--wait` looks.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Args, Debug)]
pub(super) struct VaultArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The root key and the data keys, what wraps them, and how far sealing again is. No key is shown.
    Show {
        #[command(flatten)]
        common: Common,
    },
    /// Wrap all keys with the newest key-encryption key. Takes a moment, whatever the database holds.
    Rewrap {
        /// Make a new one in the key file first.
        #[arg(long)]
        new: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Make a new data key; what the old one sealed is sealed again in the background.
    Rotate {
        /// Return when the old key is gone.
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        common: Common,
    },
    /// The keys that apps encrypt numbers with, so that no proxy sees them; --rotate makes a new pair.
    NumberKeys {
        /// Publish a new pair; the one before opens until --grace is over.
        #[arg(long)]
        rotate: bool,
        /// For how long, such as 24h; 0s if the pair before is known to others.
        #[arg(long, requires = "rotate")]
        grace: Option<String>,
        #[command(flatten)]
        common: Common,
    },
}

pub(super) async fn run(args: VaultArgs) -> Result<(), Failure> {
    let common = match &args.what {
        What::Show { common }
        | What::Rewrap { common, .. }
        | What::Rotate { common, .. }
        | What::NumberKeys { common, .. } => common,
    };
    let answer = common.through(async |admin| ask(&args.what, admin).await).await?;
    let shown = if common.json { output::json(&answer) } else { show(&answer) };
    Ok(shown?)
}

async fn ask(what: &What, admin: &Admin) -> Result<Value, String> {
    let answer = match what {
        What::Show { .. } => admin.call(Method::GET, "keys", None).await?,
        What::Rewrap { new, .. } => {
            admin.call(Method::POST, "keys/rewrap", Some(json!({ "new": new }))).await?
        }
        What::NumberKeys { rotate: false, .. } => admin.call(Method::GET, "number-keys", None).await?,
        What::NumberKeys { grace, .. } => {
            let body = grace.as_ref().map_or_else(|| json!({}), |grace| json!({ "grace": grace }));
            admin.call(Method::POST, "number-keys/rotate", Some(body)).await?
        }
        What::Rotate { wait, .. } => {
            let mut answer = admin.call(Method::POST, "keys/rotate", Some(json!({}))).await?;
            let mut told = None;
            while *wait && answer.as_ref().is_some_and(is_running) {
                tokio::time::sleep(LOOK).await;
                answer = admin.call(Method::GET, "keys", None).await?;
                let now = answer.as_ref().map(progress);
                if now != told {
                    now.iter().for_each(|line| eprintln!("{line}"));
                    told = now;
                }
            }
            answer
        }
    };
    Ok(answer.unwrap_or_else(|| json!({})))
}

fn is_running(answer: &Value) -> bool {
    answer.pointer("/reseal/state").and_then(Value::as_str) == Some("running")
}

fn progress(answer: &Value) -> String {
    let number = |name: &str| answer.pointer(&format!("/reseal/{name}")).and_then(Value::as_u64);
    let of = number("of").map_or_else(String::new, |of| format!(" of {of}"));
    format!("{}{of} values sealed again", number("done").unwrap_or(0))
}

fn show(answer: &Value) -> Result<(), String> {
    if let Some(pairs) = answer.get("data").and_then(Value::as_array) {
        return output::objects(&["generation", "state", "made_at", "retires_at", "kids"], pairs.iter());
    }
    let names = answer.get("kek_keys").and_then(Value::as_array).into_iter().flatten();
    let names: Vec<&str> = names.filter_map(Value::as_str).collect();
    let kek = answer.get("kek").and_then(Value::as_str).unwrap_or_default();
    output::line(&format!("key-encryption keys in {kek}: {}", names.join(", ")))?;
    let keys = answer.get("keys").and_then(Value::as_array).into_iter().flatten();
    output::objects(&["id", "state", "made_at", "wrapped_by"], keys)?;
    if is_running(answer) { output::line(&progress(answer)) } else { Ok(()) }
}
