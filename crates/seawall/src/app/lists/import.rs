//! Many entries at once, from a table: all of them or none.

use std::collections::HashMap;

use seawall_core::id::IdKind;
use seawall_core::list::{List, ListIndex, Part};
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::lists::{EntryBody, ListEntry};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::super::App;
use super::super::audit::Actor;
use super::super::collections::Wrong;
use super::ENTRIES_OF_A_LIST;
use super::csv::{Broken, rows};
use super::entries::{check_note, expiry, room};
use std::sync::atomic::Ordering;

/// Wrong rows that an answer names.
const SHOWN: usize = 100;
/// Columns that an export has and an import does without.
const IGNORED: [&str; 5] = ["id", "author", "created_at", "hits", "last_hit_at"];

/// What became of an import.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportView {
    /// Name of the list.
    pub list: String,
    /// Entries that were added.
    pub imported: usize,
    /// Entries that went, with `replace=true`.
    pub removed: usize,
    /// Entries that the list has now.
    pub entries: usize,
}

/// A row that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RowError {
    /// Its number, the header being row 1.
    pub row: usize,
    /// Which column.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// Why nothing was imported.
#[derive(Debug)]
pub enum NotImported {
    /// Rows that do not fit: the first of them, and how many there are.
    Rows(Vec<RowError>, usize),
    /// Something else.
    Wrong(Wrong),
}

impl From<Wrong> for NotImported {
    fn from(wrong: Wrong) -> Self {
        NotImported::Wrong(wrong)
    }
}

impl From<StoreError> for NotImported {
    fn from(error: StoreError) -> Self {
        NotImported::Wrong(error.into())
    }
}

/// A row, understood.
struct Wanted {
    part: Part,
    note: Option<String>,
    expires_at: Option<Timestamp>,
}

/// Adds every row of a table to a list; with `replace`, instead of what it has.
pub async fn import(
    app: &App,
    actor: &Actor,
    list: &str,
    table: String,
    replace: bool,
) -> Result<ImportView, NotImported> {
    let _writing = app.lists.writing.lock().await;
    let list = app.lists.find(list)?;
    let now = app.now();
    let index = app.lists.index();
    let about = list.clone();
    // Numbers by the thousand take their time; the threads that answer requests do not spend it.
    let read = tokio::task::spawn_blocking(move || {
        let there = if replace { None } else { Some(&*index) };
        understood(&table, &about, there, now)
    });
    let wanted = read.await.map_err(|_| NotImported::Wrong(Wrong::Busy))??;
    room(app, &list, wanted.len(), replace)?;
    let entries =
        wanted.iter().map(|row| entry(app, actor, &list, row, now)).collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
    let detail = json!({"list": list.name, "rows": entries.len(), "replace": replace});
    let audit = actor.entry(now, "entries.import", &list.id, detail);
    app.store.directory.import_entries(&list.id, replace, entries, audit).await?;
    let before = app.lists.index().size(&list.id).entries;
    app.lists.change(|index| {
        if replace {
            index.clear(&list.id);
        }
        wanted.iter().zip(ids).for_each(|(row, id)| {
            index.add(&list.id, &row.part, id, row.expires_at);
        });
    });
    if replace {
        app.lists.litter.store(true, Ordering::Relaxed);
    }
    let removed = if replace { before } else { 0 };
    let entries = app.lists.index().size(&list.id).entries;
    Ok(ImportView { list: list.name, imported: wanted.len(), removed, entries })
}

fn entry(
    app: &App,
    actor: &Actor,
    list: &List,
    row: &Wanted,
    now: Timestamp,
) -> Result<ListEntry, StoreError> {
    let body = EntryBody {
        value: row.part.text(),
        note: row.note.clone(),
        author: actor.name.clone(),
        expires_at: row.expires_at,
    };
    Ok(ListEntry { id: app.ids.next(now)?, list: list.id.clone(), body })
}

/// Where the columns stand.
struct Columns {
    value: usize,
    note: Option<usize>,
    expires_at: Option<usize>,
}

fn columns(header: &[String]) -> Result<Columns, RowError> {
    let wrong = |problem: String| RowError { row: 1, field: "(header)", problem };
    let names: Vec<String> = header.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
    let known = |name: &&String| {
        ["value", "note", "expires_at"].contains(&name.as_str()) || IGNORED.contains(&name.as_str())
    };
    if let Some(strange) = names.iter().find(|name| !known(name)) {
        let shown: String = strange.chars().filter(|c| !c.is_control()).take(40).collect();
        return Err(wrong(format!(
            "`{shown}` is no column; the first row names them: value, note, expires_at"
        )));
    }
    let place = |name: &str| names.iter().position(|n| n == name);
    let value = place("value");
    let value =
        value.ok_or_else(|| wrong("the first row has to name the columns, `value` among them".to_owned()))?;
    Ok(Columns { value, note: place("note"), expires_at: place("expires_at") })
}

/// Reads the whole table, or says what is wrong with each row. `there`: what the list has already.
fn understood(
    table: &str,
    list: &List,
    there: Option<&ListIndex>,
    now: Timestamp,
) -> Result<Vec<Wanted>, NotImported> {
    let broken = |Broken { row, problem }| {
        let error = RowError { row, field: "(row)", problem: problem.to_owned() };
        NotImported::Rows(vec![error], 1)
    };
    let mut rows = rows(table).map_err(broken)?.into_iter();
    let header = rows.next().map(|(_, cells)| cells).unwrap_or_default();
    let columns = columns(&header).map_err(|error| NotImported::Rows(vec![error], 1))?;
    if rows.len() > ENTRIES_OF_A_LIST {
        let say = format!("the table has {} rows, and {ENTRIES_OF_A_LIST} is the most; split it", rows.len());
        return Err(Wrong::field("(body)", say).into());
    }
    let (mut wanted, mut errors, mut count) = (Vec::with_capacity(rows.len()), Vec::new(), 0);
    let mut seen: HashMap<String, usize> = HashMap::with_capacity(rows.len());
    for (number, cells) in rows {
        let result = row(&cells, &columns, list, now).and_then(|row| {
            fresh(&row.part, number, list, there, &mut seen)?;
            Ok(row)
        });
        match result {
            Ok(row) => wanted.push(row),
            Err((field, problem)) => {
                count += 1;
                if errors.len() < SHOWN {
                    errors.push(RowError { row: number, field, problem });
                }
            }
        }
    }
    if count > 0 { Err(NotImported::Rows(errors, count)) } else { Ok(wanted) }
}

type Misfit = (&'static str, String);

fn row(cells: &[String], columns: &Columns, list: &List, now: Timestamp) -> Result<Wanted, Misfit> {
    let cell = |place: usize| cells.get(place).map(|text| text.trim()).filter(|text| !text.is_empty());
    // As it stands: a user's name may begin or end with a space.
    let value = cells.get(columns.value).filter(|text| !text.trim().is_empty());
    let value = value.ok_or_else(|| ("value", "is missing".to_owned()))?;
    let note = columns.note.and_then(cell);
    check_note(note).map_err(|problem| ("note", problem))?;
    let expires_at = expiry(list.effect, columns.expires_at.and_then(cell), now);
    Ok(Wanted {
        part: Part::parse(list.kind, value).map_err(|error| ("value", error.to_string()))?,
        note: note.map(str::to_owned),
        expires_at: expires_at.map_err(|problem| ("expires_at", problem))?,
    })
}

/// A value stands once, in the table and in the list.
fn fresh(
    part: &Part,
    number: usize,
    list: &List,
    there: Option<&ListIndex>,
    seen: &mut HashMap<String, usize>,
) -> Result<(), Misfit> {
    if let Some(first) = seen.insert(part.key(), number) {
        return Err(("value", format!("is the same as in row {first}")));
    }
    match there.and_then(|index| index.find(&list.id, part)) {
        Some(id) => {
            let id = id.show(IdKind::Entry);
            Err((
                "value",
                format!("is in the list already, as entry {id}; leave it out, or import with replace=true"),
            ))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_core::id::Id;
    use seawall_core::list::{ListEffect, ListKind};

    fn list(effect: ListEffect) -> List {
        List { id: "lst_1".to_owned(), name: "vip".to_owned(), kind: ListKind::Msisdn, effect }
    }

    fn now() -> Timestamp {
        Timestamp::parse("2026-01-05T10:00:00Z").unwrap()
    }

    fn wrong(table: &str, effect: ListEffect) -> Vec<String> {
        let mut index = ListIndex::default();
        index.define([list(effect)]);
        let part = Part::parse(ListKind::Msisdn, "+6591230000").unwrap();
        index.add("lst_1", &part, Id::new(1, 2), None);
        match understood(table, &list(effect), Some(&index), now()) {
            Ok(wanted) => vec![format!("{} rows", wanted.len())],
            Err(NotImported::Rows(rows, _)) => {
                rows.into_iter().map(|e| format!("{} {}: {}", e.row, e.field, e.problem)).collect()
            }
            Err(NotImported::Wrong(wrong)) => vec![format!("{wrong:?}")],
        }
    }

    #[test]
    fn every_row_that_does_not_fit_is_named() {
        let table = "value,note,expires_at\n+6591234567,,never\nhello,,\n,,\n65 9123 4567,,\n+6591230000,,\n\
                     +6591234568,,yesterday\n+6591234569,,2026-01-05T09:00:00Z\n";
        let found = wrong(table, ListEffect::Deny);
        let begins: Vec<&str> = found.iter().map(|line| line.split(": ").next().unwrap()).collect();
        assert_eq!(begins, ["3 value", "4 value", "5 value", "6 value", "7 expires_at", "8 expires_at"]);
        assert!(found[2].contains("row 2") && found[3].contains("ent_"), "{found:?}");
        assert!(!found.concat().contains("6591234567"), "no number is repeated");
    }

    #[test]
    fn headers_are_needed_and_exports_can_be_imported() {
        assert!(wrong("", ListEffect::Deny)[0].starts_with("1 (header): "));
        assert!(wrong("+6591234567\n", ListEffect::Deny)[0].starts_with("1 (header): "));
        assert!(wrong("value,colour\n", ListEffect::Deny)[0].contains("`colour`"));
        let exported = "id,value,note,expires_at,author,created_at,hits,last_hit_at\nent_x,'+6591234567,a,never,me,,3,\n";
        assert_eq!(wrong(exported, ListEffect::Allow), ["1 rows"]);
        assert!(wrong("value\n+6591234567\n", ListEffect::Allow)[0].starts_with("2 expires_at: "));
        assert!(wrong("value\n\"+65", ListEffect::Deny)[0].starts_with("2 (row): "));
    }
}
