//! `--policy FILE`: what an operator sets up, in the admin API's own shapes, for a replay.
//!
//! The file is applied to a new installation in a temporary directory by the very use cases that the admin
//! API calls, so that it means there what it means here, errors included.

use std::path::{Path, PathBuf};

use seawall_core::id::Id;
use seawall_core::list::{ListIndex, Part};
use seawall_core::replay::Setting;
use seawall_core::suspension::Suspensions;
use seawall_store::records::Page;
use serde_json::{Map, Value};

use super::super::Failure;
use crate::app::App;
use crate::app::audit::Actor;
use crate::app::collections::budgets::Budgets;
use crate::app::collections::limits::Limits;
use crate::app::collections::lists::Lists;
use crate::app::collections::prices::Prices;
use crate::app::collections::rules::Rules;
use crate::app::collections::subaccounts::Subaccounts;
use crate::app::collections::suspensions::{StoredSuspension, Suspensions as AllSuspensions};
use crate::app::collections::{self, Collection, Wrong, settings};
use crate::app::entities::{Subaccount, collection};
use crate::app::lists::entries;
use crate::config::{Config, Overrides};
use crate::serve;

/// What a file may hold, in the order in which it is applied.
const SECTIONS: [&str; 8] =
    ["settings", "subaccounts", "limits", "lists", "rules", "suspensions", "budgets", "prices"];
/// A subaccount of this name stands for all that the file does not name.
const OTHERS: &str = "*";
/// Its name in the temporary installation.
const OTHERS_ID: &str = "all-others";
/// Entries that are read back at once.
const PAGE: usize = 5_000;

/// What the file sets up.
pub(super) async fn read(path: &Path) -> Result<Setting, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Wrong(format!("cannot read {}: {error}", path.display())))?;
    let wrong = |problem: String| Failure::Wrong(format!("{}: {problem}", path.display()));
    let sections = parse(&text, path.extension().is_some_and(|e| e == "json")).map_err(wrong)?;
    if let Some(unknown) = sections.keys().find(|name| !SECTIONS.contains(&name.as_str())) {
        return Err(wrong(format!("`{unknown}` is no section; there are {}", SECTIONS.join(", "))));
    }
    let scratch = Scratch::new()?;
    let flags = Overrides { data_dir: Some(scratch.0.clone()), listen: Some("127.0.0.1:0".to_owned()) };
    let config = Config::load(None, std::iter::empty(), flags).map_err(|errors| {
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::Failed(all.join("\n"))
    })?;
    let running = serve::start(config).await?;
    let set_up = async {
        apply(&running.app, &sections).await?;
        take(&running.app).await.map_err(|error| words("(file)", &error))
    };
    let setting = set_up.await;
    running.stop().await;
    setting.map_err(wrong)
}

fn parse(text: &str, json: bool) -> Result<Map<String, Value>, String> {
    let value: Value = if json {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        let table: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
        from_toml(toml::Value::Table(table))
    };
    match value {
        Value::Object(sections) => Ok(sections),
        _ => Err("a JSON object with the sections is needed".to_owned()),
    }
}

/// TOML has times of its own; the admin API takes them as text.
fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(yes) => yes.into(),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(all) => all.into_iter().map(from_toml).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(name, one)| (name, from_toml(one))).collect(),
    }
}

async fn apply(app: &App, sections: &Map<String, Value>) -> Result<(), String> {
    let actor = Actor::system();
    if let Some(patch) = sections.get("settings") {
        settings::patch(app, &actor, patch.clone()).await.map_err(|e| words("settings", &e))?;
    }
    for name in SECTIONS.iter().skip(1) {
        for (at, one) in items(sections, name)?.iter().enumerate() {
            let place = format!("{name}[{at}]");
            let done = match *name {
                "subaccounts" => subaccount(app, &actor, one).await,
                "limits" => put::<Limits>(app, &actor, "name", one).await,
                "lists" => list(app, &actor, one).await,
                "rules" => put::<Rules>(app, &actor, "name", one).await,
                "suspensions" => put::<AllSuspensions>(app, &actor, "", one).await,
                "budgets" => put::<Budgets>(app, &actor, "", one).await,
                _ => put::<Prices>(app, &actor, "", one).await,
            };
            done.map_err(|error| words(&place, &error))?;
        }
        if *name == "subaccounts" {
            challenge_everybody(app).await.map_err(|error| words(name, &error))?;
        }
    }
    Ok(())
}

fn items<'a>(sections: &'a Map<String, Value>, name: &str) -> Result<&'a [Value], String> {
    match sections.get(name) {
        None => Ok(&[]),
        Some(Value::Array(all)) => Ok(all),
        Some(_) => Err(format!("{name}: a list is needed, [[{name}]] in TOML")),
    }
}

/// Adds one, or changes the one that has its name already, such as a built-in limit.
async fn put<C: Collection>(app: &App, actor: &Actor, key: &str, one: &Value) -> Result<(), Wrong> {
    let name = one.get(key).and_then(Value::as_str);
    if let Some(name) = name
        && collections::get::<C>(app, name).await.is_ok()
    {
        return collections::patch::<C>(app, actor, name, one.clone()).await.map(|_| ());
    }
    collections::create::<C>(app, actor, one.clone()).await.map(|_| ())
}

async fn subaccount(app: &App, actor: &Actor, one: &Value) -> Result<(), Wrong> {
    let mut one = one.clone();
    if one.get("id").and_then(Value::as_str) == Some(OTHERS)
        && let Value::Object(fields) = &mut one
    {
        fields.insert("id".to_owned(), OTHERS_ID.into());
    }
    put::<Subaccounts>(app, actor, "id", &one).await
}

/// A list and its `entries`: values, or objects as the admin API takes them. A plain value of an allow list
/// holds for ever.
async fn list(app: &App, actor: &Actor, one: &Value) -> Result<(), Wrong> {
    let mut fields = match one {
        Value::Object(fields) => fields.clone(),
        _ => return Err(Wrong::field("(entry)", "must be an object with the list's `name`")),
    };
    let given = fields.remove("entries").unwrap_or_default();
    let name = fields.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    if app.lists.find(&name).is_err() {
        collections::create::<Lists>(app, actor, Value::Object(fields)).await?;
    }
    let given = match given {
        Value::Null => Vec::new(),
        Value::Array(all) => all,
        _ => return Err(Wrong::field("entries", "must be a list of values")),
    };
    for entry in given {
        let entry = match entry {
            Value::String(value) => serde_json::json!({"value": value, "expires_at": "never"}),
            other => other,
        };
        entries::create(app, actor, &name, entry).await?;
    }
    Ok(())
}

/// A trace says who passes a challenge, so every subaccount can set one.
async fn challenge_everybody(app: &App) -> Result<(), Wrong> {
    for document in app.store.directory.documents(collection::SUBACCOUNTS).await? {
        let mut changed = document.clone();
        let mut whole: Subaccount = read_back(document.body.clone())?;
        whole.policy.challenges = true;
        changed.body = serde_json::to_value(whole).unwrap_or_default();
        let audit = Actor::system().entry(app.now(), "subaccounts.update", &document.id, Value::Null);
        app.store.directory.replace(changed, audit).await?;
    }
    crate::app::reload::reload(app).await.map_err(Wrong::NotInForce)
}

/// What is in force now. Ids that were drawn at random get names by their order, so that the same file gives
/// the same reasons.
async fn take(app: &App) -> Result<Setting, Wrong> {
    let snapshot = app.snapshot.load_full();
    let mut policy = (*snapshot.policy).clone();
    let mut suspended = Vec::new();
    for document in app.store.directory.documents(collection::SUSPENSIONS).await? {
        let stored: StoredSuspension = read_back(document.body)?;
        suspended.extend(stored.in_force(app.now()));
    }
    for (nth, one) in suspended.iter_mut().enumerate() {
        one.id = format!("sus_{}", nth + 1);
    }
    policy.suspensions = Suspensions::new(suspended);
    let others = policy.subaccounts.remove(OTHERS_ID).unwrap_or_default();
    let dollars = snapshot.prices.iter().filter(|price| price.mcc.is_none() && price.currency == "USD");
    let prices = dollars.map(|price| (price.country, price.amount)).collect();
    Ok(Setting { policy, others, lists: lists(app).await?, prices })
}

fn read_back<T: serde::de::DeserializeOwned>(body: Value) -> Result<T, Wrong> {
    serde_json::from_value(body).map_err(|error| Wrong::field("(file)", error.to_string()))
}

async fn lists(app: &App) -> Result<ListIndex, Wrong> {
    let known = app.lists.index();
    let mut index = ListIndex::default();
    index.define(known.lists().cloned());
    let mut all = Vec::new();
    let mut before = None;
    loop {
        let page = app.store.directory.entries(None, Page { before, limit: PAGE }).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.id.row());
        all.extend(page);
    }
    // The oldest first: the order of the file.
    for (entry, nth) in all.into_iter().rev().zip(1..) {
        let Some(list) = index.list(&entry.list).cloned() else { continue };
        let part = Part::parse(list.kind, &entry.body.value);
        let part = part.map_err(|error| Wrong::field("value", error.to_string()))?;
        index.add(&list.id, &part, Id::new(nth, 0), entry.body.expires_at);
    }
    Ok(index)
}

/// An error with its place in the file.
fn words(place: &str, error: &Wrong) -> String {
    match error {
        Wrong::Field { field, problem } => format!("{place}: `{field}` {problem}"),
        Wrong::Expression { field, problem, line, column } => {
            format!("{place}: `{field}`, line {line}, character {column}: {problem}")
        }
        Wrong::Missing(problem) | Wrong::Present(problem) | Wrong::InUse(problem) => {
            format!("{place}: {problem}")
        }
        Wrong::Taken(name) => format!("{place}: the name `{name}` is taken already"),
        Wrong::NotInForce(problem) => format!("{place}: {problem}"),
        Wrong::Busy => format!("{place}: could not be written"),
        Wrong::Store(error) => format!("{place}: {error}"),
    }
}

/// A directory of this run alone, gone at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("seawall-replay-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
