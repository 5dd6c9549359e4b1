//! Numbers that want no more messages, as the operator sees them. They live in the store's own table.

use seawall_core::consent::{Category, OptOutScope};
use seawall_core::id::{Id, IdKind};
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_store::records::{OptOut, Page};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::super::App;
use super::super::audit::Actor;
use super::around::Around;
use super::subaccounts::label;
use super::{Wrong, read};

/// Rows of one step when entries of one number are looked for.
const STEP: usize = 1000;

/// An opt-out as it is wished.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OptOutInput {
    /// E.164 with `+`.
    #[schema(example = "+6591234567")]
    pub msisdn: String,
    /// From which subaccount; absent: from all of them.
    pub subaccount_id: Option<String>,
    /// From messages of one category, `code`, `transactional` or `marketing`; absent: from all.
    #[schema(value_type = Option<String>, example = "marketing")]
    pub category: Option<Category>,
    /// From messages under one sender ID; absent: under any.
    #[schema(min_length = 1, max_length = 16)]
    pub sender: Option<String>,
    /// For people.
    #[schema(min_length = 1, max_length = 100)]
    pub note: Option<String>,
}

/// An opt-out as it is shown.
#[derive(Serialize, ToSchema)]
pub struct OptOutView {
    /// `opt_…`
    pub id: String,
    /// Whose, masked.
    pub msisdn: String,
    /// From which subaccount; `null`: from all of them.
    pub subaccount_id: Option<String>,
    /// From messages of which category; `null`: of any.
    #[schema(value_type = Option<String>)]
    pub category: Option<Category>,
    /// From messages under which sender ID; `null`: under any.
    pub sender: Option<String>,
    /// It ends then; `null`: never.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// `stop` (a keyword), `free-text`, `review`, `not-me`, `admin` or `api`.
    pub source: String,
    /// For people.
    pub note: Option<String>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

fn view(entry: &OptOut) -> OptOutView {
    OptOutView {
        id: entry.id.show(IdKind::OptOut),
        msisdn: entry.msisdn.masked(),
        subaccount_id: entry.scope.subaccount.clone(),
        category: entry.scope.category,
        sender: entry.scope.sender.clone(),
        until: entry.scope.until,
        source: entry.source.clone(),
        note: entry.note.clone(),
        created_at: entry.at,
    }
}

/// Reads a number in E.164. The error does not repeat it: it may be a person's.
pub fn number(field: &str, text: &str) -> Result<Msisdn, Wrong> {
    if !text.starts_with('+') {
        return Err(Wrong::field(field, "must be in E.164 with its `+`, such as \"+6591234567\""));
    }
    Msisdn::parse(text, None).map(|parsed| parsed.msisdn).map_err(|e| Wrong::field(field, e.to_string()))
}

/// Adds one; a number that opted out already keeps its entry.
pub async fn create(app: &App, actor: &Actor, body: Value) -> Result<OptOutView, Wrong> {
    let input = read::<OptOutInput>(body)?;
    label("note", input.note.as_deref())?;
    if input.category == Some(Category::Answer) {
        return Err(Wrong::field("category", "must be `code`, `transactional` or `marketing`"));
    }
    if input.sender.as_ref().is_some_and(|sender| !(1..=16).contains(&sender.chars().count())) {
        return Err(Wrong::field("sender", "must be 1 to 16 characters"));
    }
    let around = Around::load(app).await?;
    around.check_subaccount("subaccount_id", input.subaccount_id.as_deref())?;
    let now = around.now;
    let entry = OptOut {
        id: app.ids.next(now)?,
        msisdn: number("msisdn", &input.msisdn)?,
        scope: OptOutScope {
            subaccount: input.subaccount_id,
            category: input.category,
            sender: input.sender,
            until: None,
        },
        source: "admin".to_owned(),
        note: input.note,
        at: now,
    };
    let detail = json!({"msisdn": entry.msisdn.masked(), "scope": entry.scope});
    let audit = actor.entry(now, "opt-outs.create", &entry.id.show(IdKind::OptOut), detail);
    Ok(view(&app.store.directory.add_opt_out(entry, audit).await?))
}

/// A stretch, newest first, and the row where the next one begins.
pub async fn list(
    app: &App,
    before: Option<i64>,
    limit: usize,
) -> Result<(Vec<OptOutView>, Option<i64>), Wrong> {
    let page = app.store.directory.opt_outs(Page { before, limit: limit + 1 }).await?;
    let more = page.len() > limit;
    let shown: Vec<&OptOut> = page.iter().take(limit).collect();
    let next = shown.last().filter(|_| more).map(|last| last.id.row());
    Ok((shown.into_iter().map(view).collect(), next))
}

/// All entries of one number.
pub async fn of_number(app: &App, msisdn: Msisdn) -> Result<Vec<OptOutView>, Wrong> {
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let page = app.store.directory.opt_outs(Page { before, limit: STEP }).await?;
        found.extend(page.iter().filter(|entry| entry.msisdn == msisdn).map(view));
        match page.last() {
            Some(last) if page.len() == STEP => before = Some(last.id.row()),
            _ => return Ok(found),
        }
    }
}

async fn by_id(app: &App, id: Id) -> Result<Option<OptOut>, Wrong> {
    let page = Page { before: Some(id.row().saturating_add(1)), limit: 1 };
    Ok(app.store.directory.opt_outs(page).await?.into_iter().find(|entry| entry.id == id))
}

/// One, by id, or the newest of a number in E.164.
pub async fn get(app: &App, id: &str) -> Result<OptOutView, Wrong> {
    let missing =
        || Wrong::Missing("there is no such opt-out; give its id or the number in E.164".to_owned());
    if let Some(id) = Id::parse(IdKind::OptOut, id) {
        return by_id(app, id).await?.as_ref().map(view).ok_or_else(missing);
    }
    let Ok(msisdn) = number("id", id) else { return Err(missing()) };
    of_number(app, msisdn).await?.into_iter().next().ok_or_else(missing)
}

/// Removes the entry with an id, or every entry of a number in E.164.
pub async fn delete(app: &App, actor: &Actor, id: &str) -> Result<(), Wrong> {
    let missing =
        || Wrong::Missing("there is no such opt-out; give its id or the number in E.164".to_owned());
    let (msisdn, scope) = match Id::parse(IdKind::OptOut, id) {
        Some(id) => {
            let entry = by_id(app, id).await?.ok_or_else(missing)?;
            (entry.msisdn, Some(entry.scope))
        }
        None => (number("id", id).map_err(|_| missing())?, None),
    };
    let detail = json!({"msisdn": msisdn.masked(), "scope": scope});
    let audit = actor.entry(app.now(), "opt-outs.delete", &msisdn.masked(), detail);
    match app.store.directory.remove_opt_out(msisdn, scope.as_ref(), audit).await? {
        0 => Err(missing()),
        _ => Ok(()),
    }
}
