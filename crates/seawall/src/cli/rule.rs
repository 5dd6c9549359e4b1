//! `seawall rule …`: operator rules from a shell.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::admin::{Admin, Common, encoded};
use super::{Failure, output};

#[derive(Args, Debug)]
pub(super) struct RuleArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// All rules, and how often they matched.
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Make a rule.
    Create {
        /// Unique name.
        #[arg(long)]
        name: String,
        /// allow, challenge, alternative, throttle or block.
        #[arg(long)]
        action: String,
        /// The condition, such as 'number.country == "UZ" && client.hosting'.
        #[arg(long, value_name = "CEL")]
        when: String,
        /// Record it only.
        #[arg(long)]
        shadow: bool,
        /// Without effect from then on (RFC 3339).
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        /// Only for requests of this subaccount.
        #[arg(long, value_name = "ID")]
        subaccount: Option<String>,
        /// For a throttle: how long to wait, such as 60s.
        #[arg(long, value_name = "SPAN")]
        retry_after: Option<String>,
        /// For people.
        #[arg(long)]
        note: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Show one rule in full.
    Show(Which),
    /// Let a rule have its effect.
    Enforce(Which),
    /// Let a rule be recorded only.
    Shadow(Which),
    /// Delete a rule.
    Delete(Which),
}

#[derive(Args, Debug)]
struct Which {
    /// Id or name.
    rule: String,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(args: RuleArgs) -> Result<(), Failure> {
    let common = args.what.common();
    let answer = common.through(async |admin| args.what.ask(admin).await).await?;
    let shown = if common.json { output::json(&answer) } else { show(&args.what, &answer) };
    Ok(shown?)
}

impl What {
    fn common(&self) -> &Common {
        match self {
            What::List { common } | What::Create { common, .. } => common,
            What::Show(which) | What::Enforce(which) | What::Shadow(which) | What::Delete(which) => {
                &which.common
            }
        }
    }

    async fn ask(&self, admin: &Admin) -> Result<Value, String> {
        let path = |which: &Which| format!("rules/{}", encoded(&which.rule));
        let mode = |mode: &str| Some(json!({ "mode": mode }));
        let answer = match self {
            What::List { .. } => {
                return Ok(json!({ "data": admin.all("rules?").await?, "next_cursor": null }));
            }
            What::Create { .. } => admin.call(Method::POST, "rules", Some(self.wanted())).await?,
            What::Show(which) => admin.call(Method::GET, &path(which), None).await?,
            What::Enforce(which) => admin.call(Method::PATCH, &path(which), mode("enforce")).await?,
            What::Shadow(which) => admin.call(Method::PATCH, &path(which), mode("shadow")).await?,
            What::Delete(which) => admin.call(Method::DELETE, &path(which), None).await?,
        };
        Ok(answer.unwrap_or_else(|| json!({})))
    }

    /// The body that makes a rule; what was not said is left to the gateway's defaults.
    fn wanted(&self) -> Value {
        let What::Create { name, action, when, shadow, expires_at, subaccount, retry_after, note, .. } = self
        else {
            return Value::Null;
        };
        let mode = if *shadow { "shadow" } else { "enforce" };
        let mut body = Map::new();
        for (field, value) in [("name", name), ("action", action), ("when", when)] {
            body.insert(field.to_owned(), json!(value));
        }
        body.insert("mode".to_owned(), json!(mode));
        let optional = [
            ("expires_at", expires_at),
            ("subaccount_id", subaccount),
            ("retry_after", retry_after),
            ("note", note),
        ];
        for (field, value) in optional {
            value.iter().for_each(|value| drop(body.insert(field.to_owned(), json!(value))));
        }
        Value::Object(body)
    }
}

fn show(what: &What, answer: &Value) -> Result<(), String> {
    let data = || answer.get("data").and_then(Value::as_array).into_iter().flatten();
    match what {
        What::List { .. } => {
            output::objects(&["name", "action", "mode", "matched", "enforced", "expires_at", "when"], data())
        }
        What::Show(_) => output::line(&serde_json::to_string_pretty(answer).unwrap_or_default()),
        What::Create { name, shadow: false, .. } => output::line(&format!("Rule {name} is in force.")),
        What::Create { name, .. } => output::line(&format!("Rule {name} is recorded, and changes nothing.")),
        What::Enforce(which) => output::line(&format!("Rule {} is in force.", which.rule)),
        What::Shadow(which) => {
            output::line(&format!("Rule {} is recorded, and changes nothing.", which.rule))
        }
        What::Delete(which) => output::line(&format!("Rule {} is deleted.", which.rule)),
    }
}
