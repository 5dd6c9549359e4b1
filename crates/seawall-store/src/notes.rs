//! What is kept about numbers beside messages: consents, contacts, what waits for an answer. Many small rows,
//! found by number, by kind, or by an instant.

use async_trait::async_trait;
use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;

use crate::Result;
use crate::records::Page;

/// Something that is kept about a number. There is one of each kind, number and scope.
#[derive(Clone, PartialEq, Eq)]
pub struct Note {
    /// Also says when it was first made.
    pub id: Id,
    /// Which kind: a short word of whoever keeps it.
    pub kind: String,
    /// About which number; [`Msisdn::ERASED`] when it is about none. Sealed.
    pub number: Msisdn,
    /// What tells notes of one kind and number apart. Stands in clear: never a number, never a person's words.
    pub scope: String,
    /// An instant to find it by: when it is due, when it ends.
    pub when: Timestamp,
    /// JSON of whoever keeps it. Sealed.
    pub body: String,
}

/// Without the number and what is said of it.
impl std::fmt::Debug for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Note").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Notes about numbers. Every method is one whole, atomic, durable step.
#[async_trait]
pub trait Notes: Send + Sync {
    /// Writes notes, all or none. One of the same kind, number and scope is replaced and keeps its id.
    /// Returns them as they are kept.
    async fn keep_notes(&self, notes: Vec<Note>) -> Result<Vec<Note>>;

    /// Replaces a note if it still stands as `before`; false when somebody changed or deleted it. Both have the same
    /// id, kind, number and scope.
    async fn swap_note(&self, before: Note, after: Note) -> Result<bool>;

    /// One note.
    async fn note(&self, kind: &str, id: Id) -> Result<Option<Note>>;

    /// Notes of one kind about a number, oldest first.
    async fn notes_of(&self, kind: &str, number: Msisdn) -> Result<Vec<Note>>;

    /// Notes of one kind, newest first.
    async fn notes(&self, kind: &str, page: Page) -> Result<Vec<Note>>;

    /// Notes of one kind whose instant is not after `until`, the earliest instant first.
    async fn notes_until(&self, kind: &str, until: Timestamp, limit: usize) -> Result<Vec<Note>>;

    /// Deletes a note; false when there was none.
    async fn drop_note(&self, kind: &str, id: Id) -> Result<bool>;

    /// Deletes notes of one kind, all in one step. Returns how many there were.
    async fn drop_notes(&self, kind: &str, ids: Vec<Id>) -> Result<u64>;
}
