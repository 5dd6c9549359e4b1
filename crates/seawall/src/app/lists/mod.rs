//! Lists in force: the compiled index that requests read, and the use cases that change it.
//!
//! A change is written to the store first and then made on a copy of the index, which shares all that did
//! not change and takes its place at once: one entry costs no more among a hundred thousand.

pub mod csv;
pub mod entries;
pub mod export;
pub mod import;
pub mod workbook;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use seawall_core::blind::BlindIndex;
use seawall_core::facts::Facts;
use seawall_core::list::{List, ListHit, ListIndex, Part, Subject};
use seawall_core::request::Request;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::lists::ListEntry;
use seawall_store::records::{Document, Page};

use super::App;
use super::collections::Wrong;
use super::collections::lists::StoredList;

/// Entries of one list at most.
pub const ENTRIES_OF_A_LIST: usize = 100_000;
/// Entries of all lists at most; all of them are known in memory.
const ENTRIES_IN_ALL: usize = 1_000_000;
/// Entries that are read at once.
const PAGE: usize = 5_000;
/// Steps of sweeping in one go; the rest waits for the next second.
const SWEEPS: usize = 20;

/// What requests match against.
#[derive(Default)]
pub struct Lists {
    index: ArcSwap<ListIndex>,
    /// One change of the index at a time; held for no longer than that takes.
    changing: Mutex<()>,
    /// One change of entries in the store at a time, so that a value is not added twice.
    writing: tokio::sync::Mutex<()>,
    /// Entries may be there that no list holds any more.
    litter: AtomicBool,
}

impl Lists {
    /// As they are now.
    pub fn index(&self) -> Arc<ListIndex> {
        self.index.load_full()
    }

    /// Entries that name a part of a request.
    pub fn hits(&self, blind: &BlindIndex, request: &Request, facts: &Facts, now: Timestamp) -> Vec<ListHit> {
        let subject = Subject::of(request, facts.ip.as_ref(), facts.number.as_ref());
        self.index.load().hits(&subject.hashed(blind), now)
    }

    /// Changes a copy and puts it in force.
    fn change<T>(&self, change: impl FnOnce(&mut ListIndex) -> T) -> T {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = ListIndex::clone(&self.index.load());
        let result = change(&mut next);
        self.index.store(Arc::new(next));
        result
    }

    /// Takes over which lists there are; entries of those that are gone are without effect from now on.
    pub fn define(&self, lists: Vec<StoredList>) {
        let lists: Vec<List> = lists.into_iter().map(StoredList::into_index).collect();
        let fewer = self.index().lists().any(|old| lists.iter().all(|list| list.id != old.id));
        self.change(|index| index.define(lists));
        if fewer {
            self.litter.store(true, Ordering::Relaxed);
        }
    }

    /// A list by its id or name. Built-in lists are found with `-` for `_` too.
    pub fn find(&self, name: &str) -> Result<List, Wrong> {
        let index = self.index();
        let found = index.list(name).or_else(|| index.lists().find(|list| list.name == name));
        let found =
            found.or_else(|| index.lists().find(|list| Some(&list.name) == built_in_alias(name).as_ref()));
        found.cloned().ok_or_else(|| Wrong::missing("lists", name))
    }
}

/// `deny-number-range` for `deny-number_range`: whoever types a name need not remember which it is.
pub fn built_in_alias(name: &str) -> Option<String> {
    let (effect, kind) = name.split_once('-')?;
    kind.contains('-').then(|| format!("{effect}-{}", kind.replace('-', "_")))
}

/// Reads all entries, once, before the first request.
pub async fn load(app: &App) -> Result<(), StoreError> {
    let (mut before, mut read) = (None, 0_usize);
    loop {
        let page = app.store.directory.entries(None, Page { before, limit: PAGE }).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.id.row());
        read += page.len();
        app.lists.change(|index| page.iter().try_for_each(|entry| enter(index, entry)))?;
    }
    app.lists.litter.store(true, Ordering::Relaxed);
    if read > 0 {
        tracing::info!(entries = read, "lists are in force");
    }
    Ok(())
}

/// Reads all entries anew, beside those in force, and puts them in their place: another node changed some.
pub async fn load_again(app: &App) -> Result<(), StoreError> {
    let _writing = app.lists.writing.lock().await;
    let mut fresh = ListIndex::default();
    fresh.define(app.lists.index().lists().cloned());
    let mut before = None;
    loop {
        let page = app.store.directory.entries(None, Page { before, limit: PAGE }).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.id.row());
        page.iter().try_for_each(|entry| enter(&mut fresh, entry))?;
    }
    app.lists.change(|index| {
        // Which lists there are may have changed meanwhile.
        fresh.define(index.lists().cloned());
        *index = fresh;
    });
    Ok(())
}

/// Entries of a list that is gone are litter, not an error.
fn enter(index: &mut ListIndex, entry: &ListEntry) -> Result<(), StoreError> {
    let Some(list) = index.list(&entry.list) else { return Ok(()) };
    let damaged = |_| StoreError::Corrupt(format!("a value in list {}", entry.list));
    let part = Part::parse(list.kind, &entry.body.value).map_err(damaged)?;
    index.add(&entry.list, &part, entry.id, entry.body.expires_at);
    Ok(())
}

/// Erases what no list holds any more, a bounded stretch of it.
pub async fn sweep(app: &App) {
    if !app.lists.litter.swap(false, Ordering::Relaxed) {
        return;
    }
    let live: Vec<String> = app.lists.index().lists().map(|list| list.id.clone()).collect();
    for _ in 0..SWEEPS {
        match app.store.directory.sweep_entries(live.clone()).await {
            Ok(true) => tokio::task::yield_now().await,
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%error, "entries of lists that are gone could not be erased");
                break;
            }
        }
    }
    app.lists.litter.store(true, Ordering::Relaxed);
}

/// The lists of some documents, those that every installation has included.
pub fn with_built_in(stored: Vec<Document>) -> Vec<Document> {
    let mut all = super::collections::lists::built_in();
    all.extend(stored);
    all
}
