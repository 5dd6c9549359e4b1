//! Entries of lists, one at a time.

use seawall_core::id::{Id, IdKind};
use seawall_core::list::{List, ListEffect, Part};
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_store::lists::{EntryBody, Hits, ListEntry};
use seawall_store::records::Page;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::super::audit::Actor;
use super::super::collections::{Wrong, merge, read};
use super::super::{App, hits};
use super::{ENTRIES_IN_ALL, ENTRIES_OF_A_LIST};

/// What says that an entry is to stay until somebody removes it.
pub const NEVER: &str = "never";
/// Longest note, characters.
const NOTE: usize = 200;

/// An entry as it is wished.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryInput {
    /// A number, range, address or whatever the list's kind says, in any usual spelling. Cannot be changed. One
    /// that named an erased number is `hash:` and its keyed hash.
    #[serde(deserialize_with = "text")]
    #[schema(example = "+6591234567")]
    pub value: String,
    /// For people.
    #[schema(min_length = 1, max_length = 200)]
    pub note: Option<String>,
    /// Without effect from then on (RFC 3339), or `never`. An allow list needs one of the two; elsewhere absent
    /// means never.
    #[schema(example = "2030-01-05T10:00:00Z")]
    pub expires_at: Option<String>,
}

/// An entry as it is shown.
#[derive(Serialize, ToSchema)]
pub struct EntryView {
    /// `ent_…`
    pub id: String,
    /// Name of its list.
    pub list: String,
    /// The value, canonical.
    pub value: String,
    /// For people.
    pub note: Option<String>,
    /// Without effect from then on; `null`: never.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// Whether that time has come.
    pub expired: bool,
    /// Who made it.
    pub author: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// How many requests it named a part of.
    pub hits: u64,
    /// The last of them.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_hit_at: Option<Timestamp>,
}

/// A text; a number, as an autonomous system may be written, is taken for one.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        Value::Number(number) if number.is_u64() => Ok(number.to_string()),
        _ => Err(serde::de::Error::custom("has to be text, such as \"+6591234567\"")),
    }
}

/// An entry for people to read.
pub fn view(list: &List, entry: &ListEntry, hits: Option<&Hits>, now: Timestamp) -> EntryView {
    EntryView {
        id: entry.id.show(IdKind::Entry),
        list: list.name.clone(),
        value: entry.body.value.clone(),
        note: entry.body.note.clone(),
        expires_at: entry.body.expires_at,
        expired: entry.body.expires_at.is_some_and(|end| end <= now),
        author: entry.body.author.clone(),
        created_at: entry.id.at(),
        hits: hits.map_or(0, |h| h.hits),
        last_hit_at: hits.map(|h| h.last),
    }
}

/// Entries with their counts.
pub async fn views(app: &App, list: &List, entries: &[ListEntry]) -> Result<Vec<EntryView>, Wrong> {
    let ids = || entries.iter().map(|entry| entry.id);
    let (Some(first), Some(last)) = (ids().min(), ids().max()) else { return Ok(Vec::new()) };
    let counts = hits::between(app, &first.show(IdKind::Entry), &last.show(IdKind::Entry)).await?;
    let now = app.now();
    let show = |entry: &ListEntry| view(list, entry, counts.get(&entry.id.show(IdKind::Entry)), now);
    Ok(entries.iter().map(show).collect())
}

async fn one_view(app: &App, list: &List, entry: &ListEntry) -> Result<EntryView, Wrong> {
    let all = views(app, list, std::slice::from_ref(entry)).await?;
    all.into_iter().next().ok_or(Wrong::Busy)
}

/// Until when an entry counts, or what is wrong with that.
pub fn expiry(effect: ListEffect, given: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, String> {
    match given {
        None if effect == ListEffect::Allow => Err("an entry of an allow list needs an end: give a time \
             (RFC 3339), or say \"never\" if it is to stay until somebody removes it"
            .to_owned()),
        None | Some(NEVER) => Ok(None),
        Some(text) => match Timestamp::parse(text) {
            None => {
                Err("must be a time by RFC 3339, such as \"2030-01-05T10:00:00Z\", or \"never\"".to_owned())
            }
            Some(at) if at <= now => {
                Err(format!("`{at}` has passed (it is {now}); give a time ahead, or \"never\""))
            }
            Some(at) => Ok(Some(at)),
        },
    }
}

/// A note fits in one line, also of a spreadsheet.
pub fn check_note(note: Option<&str>) -> Result<(), String> {
    let fits = |text: &str| {
        !text.trim().is_empty() && text.chars().nth(NOTE).is_none() && !text.chars().any(char::is_control)
    };
    if note.is_none_or(fits) { Ok(()) } else { Err(format!("must be 1 to {NOTE} characters in one line")) }
}

/// Adds an entry; in force when this returns.
pub async fn create(app: &App, actor: &Actor, list: &str, body: Value) -> Result<EntryView, Wrong> {
    let input = read::<EntryInput>(body)?;
    let _writing = app.lists.writing.lock().await;
    let list = app.lists.find(list)?;
    let now = app.now();
    let part = Part::parse(list.kind, &input.value).map_err(|e| Wrong::field("value", e.to_string()))?;
    check_note(input.note.as_deref()).map_err(|e| Wrong::field("note", e))?;
    let end = expiry(list.effect, input.expires_at.as_deref(), now);
    let expires_at = end.map_err(|e| Wrong::field("expires_at", e))?;
    new_value(app, &list, &part)?;
    let body = EntryBody { value: part.text(), note: input.note, author: actor.name.clone(), expires_at };
    let entry = ListEntry { id: app.ids.next(now)?, list: list.id.clone(), body };
    let audit =
        actor.entry(now, "entries.create", &entry.id.show(IdKind::Entry), audited(&list, &part, expires_at));
    app.store.directory.add_entry(entry.clone(), audit).await?;
    app.lists.change(|index| index.add(&list.id, &part, entry.id, expires_at));
    one_view(app, &list, &entry).await
}

fn new_value(app: &App, list: &List, part: &Part) -> Result<(), Wrong> {
    let index = app.lists.index();
    if let Some(there) = index.find(&list.id, part) {
        let (name, entry) = (&list.name, there.show(IdKind::Entry));
        return Err(Wrong::Present(format!(
            "list `{name}` has this value already, as entry {entry}; change that one"
        )));
    }
    room(app, list, 1, false)
}

/// Whether so many entries more, or instead, would still be bearable.
pub fn room(app: &App, list: &List, more: usize, replace: bool) -> Result<(), Wrong> {
    let index = app.lists.index();
    let own = index.size(&list.id).entries;
    let (own_after, gone) = if replace { (more, own) } else { (own + more, 0) };
    if own_after > ENTRIES_OF_A_LIST {
        let say = format!(
            "list `{}` would hold {own_after} entries, and {ENTRIES_OF_A_LIST} is the most",
            list.name
        );
        return Err(Wrong::InUse(format!("{say}; delete some first, or use ranges and networks")));
    }
    let all = index.entries() + more - gone;
    if all > ENTRIES_IN_ALL {
        let say = format!("all lists together would hold {all} entries, and {ENTRIES_IN_ALL} is the most");
        return Err(Wrong::InUse(format!("{say}; delete some first")));
    }
    Ok(())
}

fn audited(list: &List, part: &Part, expires_at: Option<Timestamp>) -> Value {
    json!({"list": list.name, "value": part.masked(), "expires_at": expires_at})
}

/// A stretch, newest first, and the row where the next one begins.
pub async fn list(
    app: &App,
    list: &str,
    before: Option<i64>,
    limit: usize,
) -> Result<(Vec<EntryView>, Option<i64>), Wrong> {
    let list = app.lists.find(list)?;
    let mut page = app.store.directory.entries(Some(&list.id), Page { before, limit: limit + 1 }).await?;
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|last| last.id.row());
    Ok((views(app, &list, &page).await?, next))
}

/// The entry of a value in any spelling, if there is one.
pub async fn of_value(app: &App, list: &str, value: &str) -> Result<Vec<EntryView>, Wrong> {
    let list = app.lists.find(list)?;
    let part = Part::parse(list.kind, value).map_err(|e| Wrong::field("value", e.to_string()))?;
    let index = app.lists.index();
    // What an erasure left of a number's entry is found by the number, too.
    let found =
        index.find(&list.id, &part).or_else(|| index.find(&list.id, &part.hashed(app.store.vault.index())?));
    let Some(id) = found else { return Ok(Vec::new()) };
    let found = app.store.directory.entry(&list.id, id).await?;
    views(app, &list, found.as_slice()).await
}

async fn found(app: &App, list: &List, id: &str) -> Result<ListEntry, Wrong> {
    let missing = || Wrong::Missing(format!("list `{}` has no such entry; give its id, `ent_…`", list.name));
    let id = Id::parse(IdKind::Entry, id).ok_or_else(missing)?;
    app.store.directory.entry(&list.id, id).await?.ok_or_else(missing)
}

/// One entry.
pub async fn get(app: &App, list: &str, id: &str) -> Result<EntryView, Wrong> {
    let list = app.lists.find(list)?;
    let entry = found(app, &list, id).await?;
    one_view(app, &list, &entry).await
}

/// Changes note or expiry by a JSON merge patch.
pub async fn patch(app: &App, actor: &Actor, list: &str, id: &str, patch: Value) -> Result<EntryView, Wrong> {
    if !patch.is_object() {
        return Err(Wrong::field("(body)", "must be a JSON object with the fields to change"));
    }
    let _writing = app.lists.writing.lock().await;
    let list = app.lists.find(list)?;
    let mut entry = found(app, &list, id).await?;
    let part = part(&list, &entry)?;
    let now = app.now();
    entry.body = patched(&list, &entry.body, &part, &patch, now)?;
    let detail = audited(&list, &part, entry.body.expires_at);
    let audit = actor.entry(now, "entries.update", &entry.id.show(IdKind::Entry), detail);
    if !app.store.directory.change_entry(entry.clone(), audit).await? {
        return Err(Wrong::Busy);
    }
    app.lists.change(|index| {
        index.remove(&list.id, &part);
        index.add(&list.id, &part, entry.id, entry.body.expires_at)
    });
    one_view(app, &list, &entry).await
}

fn patched(
    list: &List,
    body: &EntryBody,
    part: &Part,
    patch: &Value,
    now: Timestamp,
) -> Result<EntryBody, Wrong> {
    let shown_end = body.expires_at.map_or_else(|| NEVER.to_owned(), |end| end.to_string());
    let mut whole = json!({"value": body.value, "note": body.note, "expires_at": shown_end});
    merge(&mut whole, patch);
    let input = read::<EntryInput>(whole)?;
    if Part::parse(list.kind, &input.value).map(|p| p.key()) != Ok(part.key()) {
        return Err(Wrong::field("value", "cannot be changed; add another entry and delete this one"));
    }
    check_note(input.note.as_deref()).map_err(|e| Wrong::field("note", e))?;
    // A time that stays may have passed.
    let expires_at = match input.expires_at.as_deref() {
        Some(same) if same == shown_end => body.expires_at,
        given => expiry(list.effect, given, now).map_err(|e| Wrong::field("expires_at", e))?,
    };
    Ok(EntryBody { note: input.note, expires_at, ..body.clone() })
}

fn part(list: &List, entry: &ListEntry) -> Result<Part, Wrong> {
    let damaged = |_| seawall_store::StoreError::Corrupt(format!("a value in list {}", list.id));
    Ok(Part::parse(list.kind, &entry.body.value).map_err(damaged)?)
}

/// Removes an entry; without effect when this returns.
pub async fn delete(app: &App, actor: &Actor, list: &str, id: &str) -> Result<(), Wrong> {
    let _writing = app.lists.writing.lock().await;
    let list = app.lists.find(list)?;
    let entry = found(app, &list, id).await?;
    let part = part(&list, &entry)?;
    let detail = audited(&list, &part, entry.body.expires_at);
    let audit = actor.entry(app.now(), "entries.delete", &entry.id.show(IdKind::Entry), detail);
    if !app.store.directory.remove_entry(&list.id, entry.id, audit).await? {
        return Err(Wrong::Busy);
    }
    app.lists.change(|index| index.remove(&list.id, &part));
    Ok(())
}

/// Entries that name a number, expired ones included: the list and the entry.
pub fn of_number(app: &App, number: Msisdn) -> Vec<(List, Id)> {
    let index = app.lists.index();
    index.naming(number).into_iter().map(|(list, _, entry)| (list.clone(), entry)).collect()
}

/// An entry forgets its value and its note, and stays in force by a keyed hash.
pub async fn forget(app: &App, list: &List, id: Id) -> Result<(), Wrong> {
    let _writing = app.lists.writing.lock().await;
    let Some(mut entry) = app.store.directory.entry(&list.id, id).await? else { return Ok(()) };
    let part = part(list, &entry)?;
    let Some(hash) = part.hashed(app.store.vault.index()) else { return Ok(()) };
    entry.body = EntryBody { value: hash.text(), note: None, ..entry.body };
    let detail = audited(list, &part, entry.body.expires_at);
    let audit = Actor::system().entry(app.now(), "entries.erase", &id.show(IdKind::Entry), detail);
    app.store.directory.change_entry(entry.clone(), audit).await?;
    app.lists.change(|index| {
        index.remove(&list.id, &part);
        index.add(&list.id, &hash, id, entry.body.expires_at)
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allow_entry_says_when_it_ends() {
        let now = Timestamp::parse("2026-01-05T10:00:00Z").unwrap();
        let ends = |effect, given| expiry(effect, given, now);
        assert!(ends(ListEffect::Allow, None).unwrap_err().contains("\"never\""));
        assert_eq!(ends(ListEffect::Allow, Some("never")), Ok(None));
        assert_eq!(ends(ListEffect::Deny, None), Ok(None));
        assert!(ends(ListEffect::Named, Some("2026-01-05T11:00:00Z")).unwrap().is_some());
        assert!(ends(ListEffect::Deny, Some("2026-01-05T10:00:00Z")).unwrap_err().contains("has passed"));
        assert!(ends(ListEffect::Deny, Some("tomorrow")).is_err());
    }

    #[test]
    fn notes_are_short() {
        assert!(check_note(None).is_ok() && check_note(Some("by phone")).is_ok());
        for note in ["", "  ", "a\nb", &"x".repeat(201)] {
            assert!(check_note(Some(note)).is_err());
        }
    }
}
