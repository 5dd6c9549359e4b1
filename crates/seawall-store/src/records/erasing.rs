//! The erasure of a number: how far it is, and what it found.

use seawall_core::id::Id;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::no_id;

/// Where an erasure goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cursor {
    /// With what an index finds: messages, verifications, lookups, opt-outs.
    #[default]
    Messages,
    /// With packed decisions from this key on.
    Decisions(i64),
    /// With kept answers behind this key.
    Answers(i64, i64),
    /// With waiting deliveries behind this key.
    Hooks(i64),
    /// Nowhere: the ledger holds nothing more.
    Done,
}

/// What an erasure found and erased so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Erased {
    /// Messages emptied, with their verifications and decisions.
    pub messages: u64,
    /// Messages that wait or are with a provider; erased once they are settled.
    pub under_way: u64,
    /// Decisions without a message, stripped.
    pub decisions: u64,
    /// Answers under idempotency keys, masked.
    pub answers: u64,
    /// Webhook deliveries deleted.
    pub hooks: u64,
    /// Answers of lookups deleted.
    pub lookups: u64,
    /// Notes that it was once verified, deleted.
    pub known: u64,
    /// Notes about it deleted: consents, contacts, answers to look at.
    pub notes: u64,
    /// Masking sessions and masked calls deleted.
    pub masking: u64,
    /// Opt-outs that stay as a keyed hash.
    pub opt_outs: u64,
    /// Allow entries of lists deleted.
    pub allow_entries: u64,
    /// Deny and other entries of lists that stay as a keyed hash.
    pub deny_entries: u64,
    /// Exports of its messages that were asked for, deleted.
    pub exports: u64,
    /// What the sandbox's lookup was told.
    pub sandbox: u64,
}

/// How far an erasure is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasing {
    /// Where it goes on.
    pub cursor: Cursor,
    /// What was erased so far.
    pub erased: Erased,
}

/// An erasure that was asked for. The number is kept, sealed, only until it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureJob {
    /// `era_…`
    #[serde(skip, default = "no_id")]
    pub id: Id,
    /// The number as an integer; `None` once it is done.
    pub number: Option<u64>,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// By whom.
    pub actor: String,
    /// How far it is.
    pub erasing: Erasing,
    /// The signed receipt, once it is done.
    pub receipt: Option<String>,
}
