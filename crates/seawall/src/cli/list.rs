//! `seawall list …`: lists and their entries from a shell.

use std::io::Read;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use seawall_core::list::{ListKind, Part};
use serde_json::{Map, Value, json};

use super::admin::{Admin, Common, encoded};
use super::{Failure, output};

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// All lists, built-in ones included.
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Make a list.
    Create {
        /// Unique name.
        #[arg(long)]
        name: String,
        /// What its entries name: msisdn, number_range, ip, asn, country, ip_country, sender_id, user or device.
        #[arg(long)]
        kind: String,
        /// What its entries do.
        #[arg(long, value_enum, default_value = "named")]
        effect: Effect,
        /// For people.
        #[arg(long)]
        description: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Delete a list with its entries.
    Delete(Which),
    /// The entries of a list, newest first.
    Entries(Which),
    /// Add an entry.
    Add {
        #[command(flatten)]
        which: Which,
        /// A number, range, address or whatever the list's kind says.
        value: String,
        /// For people.
        #[arg(long)]
        note: Option<String>,
        /// Without effect from then on (RFC 3339), or `never`. An allow list needs one of the two.
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },
    /// Remove an entry.
    Remove {
        #[command(flatten)]
        which: Which,
        /// Its value or its id (ent_…).
        entry: String,
    },
    /// Add every row of a table (CSV), or none.
    Import {
        #[command(flatten)]
        which: Which,
        /// The table; `-` reads standard input. Its first row names the columns: value, note, expires_at.
        file: String,
        /// Instead of what the list has.
        #[arg(long)]
        replace: bool,
    },
    /// Print the entries as a table (CSV).
    Export(Which),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Effect {
    Allow,
    Deny,
    Named,
}

#[derive(Args, Debug)]
struct Which {
    /// Id or name of the list, such as deny-msisdn.
    list: String,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(args: ListArgs) -> Result<(), Failure> {
    let common = args.what.common();
    let answer = common.through(async |admin| args.what.ask(admin).await).await?;
    match (&args.what, &answer) {
        (What::Export(_), Value::String(table)) => output::text(table)?,
        _ if common.json => output::json(&answer)?,
        _ => show(&args.what, &answer)?,
    }
    Ok(())
}

impl What {
    fn common(&self) -> &Common {
        match self {
            What::List { common } | What::Create { common, .. } => common,
            What::Delete(which) | What::Entries(which) | What::Export(which) => &which.common,
            What::Add { which, .. } | What::Remove { which, .. } | What::Import { which, .. } => {
                &which.common
            }
        }
    }

    async fn ask(&self, admin: &Admin) -> Result<Value, String> {
        match self {
            What::List { .. } => Ok(json!({ "data": admin.all("lists?").await?, "next_cursor": null })),
            What::Create { .. } => done(admin.call(Method::POST, "lists", Some(self.wanted())).await),
            What::Delete(which) => done(admin.call(Method::DELETE, &path(which), None).await),
            What::Entries(which) => {
                let all = admin.all(&format!("{}/entries?", path(which))).await?;
                Ok(json!({ "data": all, "next_cursor": null }))
            }
            What::Add { which, .. } => {
                done(admin.call(Method::POST, &format!("{}/entries", path(which)), Some(self.wanted())).await)
            }
            What::Remove { which, entry } => {
                let id = find(admin, which, entry).await?;
                done(admin.call(Method::DELETE, &format!("{}/entries/{id}", path(which)), None).await)
            }
            What::Import { which, file, replace } => {
                let table = Some(("text/csv", read(file)?));
                let path = format!("{}/entries/import?replace={replace}", path(which));
                let said = admin.text(Method::POST, &path, table).await?;
                serde_json::from_str(&said).map_err(|error| error.to_string())
            }
            What::Export(which) => {
                let path = format!("{}/entries.csv", path(which));
                admin.text(Method::GET, &path, None).await.map(Value::String)
            }
        }
    }

    /// The body that makes a list or an entry; what was not said is left to the gateway's defaults.
    fn wanted(&self) -> Value {
        let mut body = Map::new();
        let mut say = |field: &str, value: Option<&String>| {
            value.map(|value| body.insert(field.to_owned(), json!(value)));
        };
        match self {
            What::Create { name, kind, effect, description, .. } => {
                say("name", Some(name));
                say("kind", Some(kind));
                say("effect", Some(&format!("{effect:?}").to_lowercase()));
                say("description", description.as_ref());
            }
            What::Add { value, note, expires_at, .. } => {
                say("value", Some(value));
                say("note", note.as_ref());
                say("expires_at", expires_at.as_ref());
            }
            _ => {}
        }
        Value::Object(body)
    }
}

fn done(answer: Result<Option<Value>, String>) -> Result<Value, String> {
    answer.map(|value| value.unwrap_or_else(|| json!({})))
}

fn path(which: &Which) -> String {
    format!("lists/{}", encoded(&which.list))
}

/// The id of an entry. A value is looked for on this side: numbers do not go into URLs.
async fn find(admin: &Admin, which: &Which, entry: &str) -> Result<String, String> {
    if entry.starts_with("ent_") {
        return Ok(encoded(entry));
    }
    let list = done(admin.call(Method::GET, &path(which), None).await)?;
    let kind = list.get("kind").and_then(Value::as_str).and_then(ListKind::from_word);
    let kind = kind.ok_or_else(|| format!("{} is of a kind that this program does not know", which.list))?;
    let wanted = Part::parse(kind, entry).map_err(|error| error.to_string())?.key();
    let is_it = |one: &Value| {
        let value = one.get("value").and_then(Value::as_str).unwrap_or_default();
        Part::parse(kind, value).is_ok_and(|part| part.key() == wanted)
    };
    let all = admin.all(&format!("{}/entries?", path(which))).await?;
    let found = all.iter().find(|one| is_it(one)).and_then(|one| one.get("id")).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| format!("{} has no such entry", which.list))
}

fn read(file: &str) -> Result<String, String> {
    let mut text = String::new();
    let read = match file {
        "-" => std::io::stdin().read_to_string(&mut text).map(|_| text),
        file => std::fs::read_to_string(file),
    };
    read.map_err(|error| format!("{file}: {error}"))
}

fn show(what: &What, answer: &Value) -> Result<(), String> {
    let data = || answer.get("data").and_then(Value::as_array).into_iter().flatten();
    match what {
        What::List { .. } => output::objects(&["name", "kind", "effect", "entries", "description"], data()),
        What::Entries(_) => {
            output::objects(&["id", "value", "expires_at", "hits", "last_hit_at", "note"], data())
        }
        What::Create { name, .. } => output::line(&format!("List {name} is made.")),
        What::Add { which, .. } => {
            let id = answer.get("id").and_then(Value::as_str).unwrap_or_default();
            output::line(&format!("{id} is in force on {}.", which.list))
        }
        What::Import { which, .. } => {
            let number = |field: &str| answer.get(field).and_then(Value::as_u64).unwrap_or_default();
            let (imported, removed) = (number("imported"), number("removed"));
            output::line(&format!("{imported} entries are in force on {}; {removed} went.", which.list))
        }
        What::Delete(which) => output::line(&format!("List {} is deleted.", which.list)),
        What::Remove { which, .. } => output::line(&format!("The entry is no longer on {}.", which.list)),
        What::Export(_) => Ok(()),
    }
}
