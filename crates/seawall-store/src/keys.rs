//! Data keys in the database, and what they sealed being sealed again with a newer one.

use async_trait::async_trait;

use crate::Result;
use crate::vault::WrappedKey;

/// How far a pass over everything that is sealed has come. It begins at its default, and may begin there again at any
/// time: what the newest key sealed already is passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealing {
    /// Which table.
    pub table: usize,
    /// From which key on in that table; `None` from the first one.
    pub after: Option<i64>,
    /// What this pass sealed again so far.
    pub done: u64,
    /// Whether everything was gone through.
    pub finished: bool,
}

/// Data keys, and what names them.
#[async_trait]
pub trait DataKeys: Send + Sync {
    /// The keys as they are stored.
    async fn data_keys(&self) -> Result<Vec<WrappedKey>>;

    /// Replaces them. [`crate::StoreError::Conflict`] unless they are `before`.
    async fn replace_data_keys(&self, before: Vec<WrappedKey>, after: Vec<WrappedKey>) -> Result<()>;

    /// One bounded step: values that older keys sealed are sealed with the current one.
    async fn reseal(&self, from: Resealing) -> Result<Resealing>;

    /// How many values name other keys than the current one. Looks at everything.
    async fn sealed_before(&self) -> Result<u64>;
}
