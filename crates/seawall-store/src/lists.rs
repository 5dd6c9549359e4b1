//! Entries of lists, and how often what is set up was met: many small rows, so they are kept apart from
//! documents.

use async_trait::async_trait;
use seawall_core::id::Id;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::records::{AuditEntry, Page};

/// An entry of a list. Sealed at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListEntry {
    /// `ent_…`; also says when it was made.
    pub id: Id,
    /// Id of the list, `lst_…`.
    pub list: String,
    /// What may change.
    pub body: EntryBody,
}

/// What an entry says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryBody {
    /// The value, canonical.
    #[serde(rename = "v")]
    pub value: String,
    /// For people.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who made it.
    #[serde(rename = "a")]
    pub author: String,
    /// Without effect from then on.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Without the value, which may be a number.
impl std::fmt::Debug for EntryBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EntryBody").field("author", &self.author).finish_non_exhaustive()
    }
}

/// How often something was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hits {
    /// Id of the entry, suspension or other thing, `ent_…`.
    pub id: String,
    /// By how many requests.
    pub hits: u64,
    /// By how many of them with effect: neither in shadow nor overruled.
    pub enforced: u64,
    /// By the last of them.
    pub last: Timestamp,
}

/// Entries of lists and counts. Every method is one whole, atomic, durable step.
#[async_trait]
pub trait Lists: Send + Sync {
    /// Entries of one list or (`None`) of all, newest first.
    async fn entries(&self, list: Option<&str>, page: Page) -> Result<Vec<ListEntry>>;

    /// One entry of a list.
    async fn entry(&self, list: &str, id: Id) -> Result<Option<ListEntry>>;

    /// Adds an entry. Whether its value is new in the list is for the caller to know.
    async fn add_entry(&self, entry: ListEntry, audit: AuditEntry) -> Result<()>;

    /// Replaces what an entry says; false when there is no such entry.
    async fn change_entry(&self, entry: ListEntry, audit: AuditEntry) -> Result<bool>;

    /// Removes an entry and its count; false when there was none.
    async fn remove_entry(&self, list: &str, id: Id, audit: AuditEntry) -> Result<bool>;

    /// Adds many entries to a list, all or none of them; with `replace`, all others of the list go in the
    /// same step. Other writers wait for no more than some of them at a time.
    async fn import_entries(
        &self,
        list: &str,
        replace: bool,
        entries: Vec<ListEntry>,
        audit: AuditEntry,
    ) -> Result<()>;

    /// Erases entries of lists that are not among these and what imports replaced, in bounded steps; true
    /// while there is more.
    async fn sweep_entries(&self, lists: Vec<String>) -> Result<bool>;

    /// Adds to counts.
    async fn note_hits(&self, hits: Vec<Hits>) -> Result<()>;

    /// Counts of ids between two, both included, by id.
    async fn hits(&self, from: &str, to: &str) -> Result<Vec<Hits>>;
}
