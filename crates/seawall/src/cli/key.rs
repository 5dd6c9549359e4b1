//! `seawall key …`: API keys from a shell.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::admin::{Admin, Common};
use super::{Failure, output};

/// Entries that one page of a list may hold.
const PAGE: usize = 200;

#[derive(Args, Debug)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a key. It is shown once.
    Create {
        /// Unique name.
        #[arg(long)]
        name: String,
        /// Only for this subaccount; may be repeated.
        #[arg(long = "subaccount", value_name = "ID")]
        subaccounts: Vec<String>,
        /// Only for this use (verify, sms, admin:read, …); may be repeated.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// Only from this network; may be repeated.
        #[arg(long = "ip", value_name = "CIDR")]
        networks: Vec<String>,
        /// Not valid from then on (RFC 3339).
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// List all keys.
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Switch a key off.
    Disable(Which),
    /// Switch a key on again.
    Enable(Which),
    /// Delete a key for good.
    Delete(Which),
    /// Replace a key's secret. The new one is shown once.
    Rotate {
        #[command(flatten)]
        which: Which,
        /// How long the old secret stays valid.
        #[arg(long, default_value = "24h")]
        overlap: String,
    },
}

#[derive(Args, Debug)]
struct Which {
    /// Id or name.
    key: String,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(args: KeyArgs) -> Result<(), Failure> {
    let common = args.what.common();
    let answer = common.through(async |admin| args.what.ask(admin).await).await?;
    if common.json {
        return Ok(output::json(&answer.unwrap_or_else(|| json!({})))?);
    }
    Ok(show(&args.what, &answer.unwrap_or_default())?)
}

impl What {
    fn common(&self) -> &Common {
        match self {
            What::Create { common, .. } | What::List { common } => common,
            What::Disable(which) | What::Enable(which) | What::Delete(which) | What::Rotate { which, .. } => {
                &which.common
            }
        }
    }

    async fn ask(&self, admin: &Admin) -> Result<Option<Value>, String> {
        match self {
            What::Create { .. } => admin.call(Method::POST, "api-keys", Some(self.wanted())).await,
            What::List { .. } => all(admin).await.map(Some),
            What::Disable(which) => switch(admin, which, false).await,
            What::Enable(which) => switch(admin, which, true).await,
            What::Delete(which) => admin.call(Method::DELETE, &path(which), None).await,
            What::Rotate { which, overlap } => {
                admin
                    .call(
                        Method::POST,
                        &format!("{}/rotate", path(which)),
                        Some(json!({ "overlap": overlap })),
                    )
                    .await
            }
        }
    }

    /// The body that makes a key; what was not said is left to the gateway's defaults.
    fn wanted(&self) -> Value {
        let What::Create { name, subaccounts, scopes, networks, expires_at, .. } = self else {
            return Value::Null;
        };
        let mut body = Map::from_iter([("name".to_owned(), json!(name))]);
        for (field, values) in [("subaccounts", subaccounts), ("scopes", scopes), ("ip_allowlist", networks)]
        {
            if !values.is_empty() {
                body.insert(field.to_owned(), json!(values));
            }
        }
        if let Some(time) = expires_at {
            body.insert("expires_at".to_owned(), json!(time));
        }
        Value::Object(body)
    }
}

async fn switch(admin: &Admin, which: &Which, on: bool) -> Result<Option<Value>, String> {
    admin.call(Method::PATCH, &path(which), Some(json!({ "enabled": on }))).await
}

/// The path of a key. A name may hold anything, so it is percent-encoded.
fn path(which: &Which) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    format!("api-keys/{}", which.key.bytes().map(encode).collect::<String>())
}

/// Every page of the list as one.
async fn all(admin: &Admin) -> Result<Value, String> {
    let mut keys = Vec::new();
    let mut next = Some(String::new());
    while let Some(cursor) = next {
        let after = if cursor.is_empty() { String::new() } else { format!("&cursor={cursor}") };
        let page = admin
            .call(Method::GET, &format!("api-keys?limit={PAGE}{after}"), None)
            .await?
            .unwrap_or_default();
        keys.extend(page.get("data").and_then(Value::as_array).cloned().unwrap_or_default());
        next = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
    }
    Ok(json!({ "data": keys, "next_cursor": null }))
}

fn show(what: &What, answer: &Value) -> Result<(), String> {
    let text = |value: &Value, field: &str| match value.get(field) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(value) => value.to_string(),
    };
    match what {
        What::List { .. } => {
            const COLUMNS: [&str; 5] = ["id", "name", "last6", "enabled", "last_used_at"];
            let head = COLUMNS.map(str::to_owned).to_vec();
            let row = |key: &Value| COLUMNS.map(|field| text(key, field)).to_vec();
            let keys = answer.get("data").and_then(Value::as_array).into_iter().flatten();
            output::table(&std::iter::once(head).chain(keys.map(row)).collect::<Vec<_>>())
        }
        What::Create { .. } | What::Rotate { .. } => {
            output::pairs(&[("id", &text(answer, "id")), ("key", &text(answer, "key"))])?;
            output::line("\nThe key is shown only now.")
        }
        What::Disable(which) => output::line(&format!("{} is switched off.", which.key)),
        What::Enable(which) => output::line(&format!("{} is switched on.", which.key)),
        What::Delete(which) => output::line(&format!("{} is deleted.", which.key)),
    }
}
