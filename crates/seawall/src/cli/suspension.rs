//! `seawall suspension …`: suspensions from a shell.

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::admin::{Admin, Common, encoded};
use super::{Failure, output};

#[derive(Args, Debug)]
pub(super) struct SuspensionArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Suspensions, newest first, those that ended included.
    List {
        /// Only those in this state.
        #[arg(long, value_enum)]
        state: Option<State>,
        #[command(flatten)]
        common: Common,
    },
    /// Suspend an operator, a country, a number range, an address, a network or an autonomous system.
    Create {
        #[command(flatten)]
        scope: Scope,
        /// Only for this subaccount.
        #[arg(long, value_name = "ID")]
        subaccount: Option<String>,
        /// Until when (RFC 3339), at most 90 days ahead.
        #[arg(long, value_name = "TIME")]
        expires_at: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Only record what it would refuse.
        #[arg(long)]
        shadow: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Change until when it holds.
    Extend {
        #[command(flatten)]
        which: Which,
        /// Until when (RFC 3339), at most 90 days ahead.
        #[arg(long, value_name = "TIME")]
        expires_at: String,
    },
    /// End one early. It stays in the history.
    Lift {
        #[command(flatten)]
        which: Which,
        /// Why.
        #[arg(long)]
        note: Option<String>,
    },
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Scope {
    /// MCC and MNC together, such as 52501.
    #[arg(long, value_name = "MCCMNC")]
    operator: Option<String>,
    /// Two letters.
    #[arg(long, value_name = "COUNTRY")]
    country: Option<String>,
    /// The first digits in E.164, such as +99893412.
    #[arg(long, value_name = "DIGITS")]
    number_range: Option<String>,
    /// Address or network.
    #[arg(long, value_name = "CIDR")]
    ip: Option<String>,
    /// Number of an autonomous system.
    #[arg(long, value_name = "NUMBER")]
    asn: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Active,
    Expired,
    Lifted,
}

#[derive(Args, Debug)]
struct Which {
    /// Id, sus_…
    id: String,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(args: SuspensionArgs) -> Result<(), Failure> {
    let common = args.what.common();
    let answer = common.through(async |admin| args.what.ask(admin).await).await?;
    let shown = if common.json { output::json(&answer) } else { show(&args.what, &answer) };
    Ok(shown?)
}

impl Scope {
    fn named(&self) -> Value {
        let all = [
            ("operator", &self.operator),
            ("country", &self.country),
            ("number_range", &self.number_range),
            ("ip", &self.ip),
            ("asn", &self.asn),
        ];
        let said =
            all.into_iter().filter_map(|(word, value)| Some((word.to_owned(), json!(value.as_ref()?))));
        Value::Object(said.collect())
    }
}

impl What {
    fn common(&self) -> &Common {
        match self {
            What::List { common, .. } | What::Create { common, .. } => common,
            What::Extend { which, .. } | What::Lift { which, .. } => &which.common,
        }
    }

    async fn ask(&self, admin: &Admin) -> Result<Value, String> {
        let answer = match self {
            What::List { state, .. } => {
                let state = state.map(|state| format!("state={}", format!("{state:?}").to_lowercase()));
                let all = admin.all(&format!("suspensions?{}", state.unwrap_or_default())).await?;
                Some(json!({ "data": all, "next_cursor": null }))
            }
            What::Create { .. } => admin.call(Method::POST, "suspensions", Some(self.wanted())).await?,
            What::Extend { which, expires_at } => {
                let change = json!({ "expires_at": expires_at });
                admin.call(Method::PATCH, &path(which), Some(change)).await?
            }
            What::Lift { which, note } => {
                let note = note.iter().map(|note| ("note".to_owned(), json!(note)));
                let body = Value::Object(note.collect());
                admin.call(Method::POST, &format!("{}/lift", path(which)), Some(body)).await?
            }
        };
        Ok(answer.unwrap_or_else(|| json!({})))
    }

    fn wanted(&self) -> Value {
        let What::Create { scope, subaccount, expires_at, reason, shadow, .. } = self else {
            return Value::Null;
        };
        let mut body = Map::from_iter([
            ("scope".to_owned(), scope.named()),
            ("expires_at".to_owned(), json!(expires_at)),
            ("reason".to_owned(), json!(reason)),
        ]);
        if let Some(subaccount) = subaccount {
            body.insert("subaccount_id".to_owned(), json!(subaccount));
        }
        if *shadow {
            body.insert("mode".to_owned(), json!("shadow"));
        }
        Value::Object(body)
    }
}

fn path(which: &Which) -> String {
    format!("suspensions/{}", encoded(&which.id))
}

fn show(what: &What, answer: &Value) -> Result<(), String> {
    let text = |field: &str| answer.get(field).and_then(Value::as_str).unwrap_or_default();
    match what {
        What::List { .. } => {
            let data = answer.get("data").and_then(Value::as_array).into_iter().flatten();
            output::objects(&["id", "state", "scope", "mode", "expires_at", "blocked", "reason"], data)
        }
        What::Create { .. } | What::Extend { .. } => {
            output::line(&format!("{} is in force until {}.", text("id"), text("expires_at")))
        }
        What::Lift { which, .. } => output::line(&format!("{} is lifted.", which.id)),
    }
}
