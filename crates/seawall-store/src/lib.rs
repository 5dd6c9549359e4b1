//! Where Seawall keeps what is set up ([`Directory`]), what happened ([`Ledger`]) and how often lately
//! ([`Counters`]). This is the only crate with SQL or Redis; every backend runs the same conformance suite.
//!
//! The ledger is the truth: an answer of 2xx to a send means that it is on disk. Counters are a cache over
//! it and are refilled at start. Numbers, texts and addresses are sealed ([`vault::Vault`]) before they
//! reach the database; look-up goes through keyed hashes.

pub mod audit;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod counters;
pub mod device;
pub mod import;
pub mod keys;
mod line;
pub mod lists;
pub mod masking;
pub mod memory;
pub mod notes;
mod packed;
pub mod postgres;
pub mod records;
pub mod redis;
mod sealed;
pub mod sqlite;
mod tables;
pub mod vault;

use std::sync::Arc;

use async_trait::async_trait;
use seawall_core::consent::OptOutScope;
use seawall_core::id::Id;
use seawall_core::limit::Dimensions;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_core::verification::{Checked, FailureBudget};
use tokio::sync::watch;

use crate::audit::AuditChain;
pub use crate::counters::Counters;
use crate::records::{
    Acceptance, Allowed, Allows, AuditEntry, Census, Change, DecisionFilter, DecisionRecord, Document,
    Erasing, ErasureJob, HookDelivery, Idempotent, KnownNumber, Looked, MessageFilter, MessageRecord, Moved,
    OptOut, Page, Recovery, Retention, VerificationFilter, VerificationRecord, Visit,
};

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full, the database does not answer, a commit failed. Nothing was changed.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Someone else changed the same thing first; gather again and retry.
    #[error("changed by someone else in the meantime")]
    Conflict,
    /// A unique name is taken; holds the name.
    #[error("`{0}` exists already")]
    Duplicate(String),
    /// A stored value cannot be read: damaged, or sealed with a key that is missing.
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
    /// The database was written by a newer version; it is left alone.
    #[error("the database has schema {found}, this version knows up to {known}: use a newer seawall")]
    Newer {
        /// Schema in the file.
        found: i64,
        /// Newest schema of this build.
        known: i64,
    },
    /// Another process holds the database.
    #[error("another seawall process uses this data directory")]
    Locked,
}

/// Result of a store operation.
pub type Result<T> = std::result::Result<T, StoreError>;

/// How often what is set up was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// [`Directory::version`].
    pub version: u64,
    /// Grows with every change of any entry of a list.
    pub entries: u64,
}

/// What is set up: accounts, keys, limits, providers and so on as named documents, and opt-outs.
#[async_trait]
pub trait Directory: lists::Lists + notes::Notes + masking::Masks + Send + Sync {
    /// All documents of a collection, oldest first.
    async fn documents(&self, collection: &str) -> Result<Vec<Document>>;

    /// Writes a new document. [`StoreError::Duplicate`] when id or name is taken in the collection.
    async fn create(&self, document: Document, audit: AuditEntry) -> Result<u64>;

    /// Replaces a document; `Conflict` unless its stored revision is `document.revision`. Returns the new
    /// policy version.
    async fn replace(&self, document: Document, audit: AuditEntry) -> Result<u64>;

    /// Deletes a document; false when there was none.
    async fn delete(&self, collection: &str, id: &str, audit: AuditEntry) -> Result<bool>;

    /// Grows with every change of any document; recorded with decisions.
    async fn version(&self) -> Result<u64>;

    /// What is set up, as it changes, by whatever process. A store of one process tells nothing: who changed
    /// something knows.
    fn changes(&self) -> watch::Receiver<Changes> {
        watch::channel(Changes::default()).1
    }

    /// How far each opt-out of a number reaches, ended ones included; empty for most numbers.
    async fn opted_out(&self, msisdn: Msisdn) -> Result<Vec<OptOutScope>>;

    /// Adds an opt-out. Where one reaches as far, that one is returned instead; only its end becomes the new
    /// one's, unless it has none.
    async fn add_opt_out(&self, entry: OptOut, audit: AuditEntry) -> Result<OptOut>;

    /// Removes the opt-out of a number that reaches as far as `scope`, or (`None`) all of them. Returns how many.
    async fn remove_opt_out(
        &self,
        msisdn: Msisdn,
        scope: Option<&OptOutScope>,
        audit: AuditEntry,
    ) -> Result<usize>;

    /// Opt-outs, newest first.
    async fn opt_outs(&self, page: Page) -> Result<Vec<OptOut>>;

    /// Notes when and from where keys were last used; changes no version.
    async fn touch_keys(&self, used: Vec<(String, Timestamp, String)>) -> Result<()>;

    /// When and from where each key was last used.
    async fn key_uses(&self) -> Result<Vec<(String, Timestamp, String)>>;

    /// Writes an entry of the audit log that belongs to no change of the directory.
    async fn note_audit(&self, entry: AuditEntry) -> Result<()>;

    /// The audit log, newest first.
    async fn audit_log(&self, page: Page) -> Result<Vec<AuditEntry>>;

    /// Whether the audit log is the one that was written. `noted`: a head that an earlier look gave.
    async fn audit_chain(&self, noted: Option<String>) -> Result<AuditChain>;

    /// Waits until no other process makes an installation here, and keeps others waiting until it is dropped.
    async fn installing(&self) -> Result<Box<dyn Send>> {
        Ok(Box::new(()))
    }

    /// Whether the caller is the first of all nodes to claim something until an instant. What is claimed is named
    /// by a hash.
    async fn claim_once(&self, what: u64, now: Timestamp, until: Timestamp) -> Result<bool> {
        let _ = (what, now, until);
        Ok(true)
    }
}

/// A step on one verification and its number's failure budget, run inside the ledger's transaction.
pub type CheckStep = Box<dyn FnOnce(&mut VerificationRecord, &mut FailureBudget) -> Checked + Send>;

/// A dimension set and when it was charged: what windows are refilled from.
#[derive(Clone, Debug)]
pub struct PastCharge {
    /// When the send was accepted.
    pub at: Timestamp,
    /// By what limits count it.
    pub dimensions: Dimensions,
    /// The subaccount in clear, for limits of one subaccount; millions are read, of few subaccounts.
    pub subaccount: Arc<str>,
    /// Whether the verification it belongs to was confirmed after this send.
    pub confirmed: bool,
    /// Row key of the verification that it belongs to, and whether that one was verified.
    pub verification: Option<(i64, bool)>,
    /// Whether it ended without having left, see [`seawall_core::budget::gives_back`].
    pub given_back: bool,
}

/// What happened: messages, verifications, decisions, receipts. Every method is one whole, atomic, durable step.
#[async_trait]
pub trait Ledger: keys::DataKeys + Send + Sync {
    /// Makes accepted messages durable, with their verification, decision and idempotency key, in one
    /// transaction. [`StoreError::Conflict`] when the verification is not as the caller saw it.
    async fn accept(&self, acceptance: Acceptance) -> Result<()>;

    /// Writes decisions that send nothing as one packed batch.
    async fn record_decisions(&self, decisions: Vec<DecisionRecord>) -> Result<()>;

    /// Writes which windows that count requests were charged: `(counter key, instant)`. Kept until `forget_before`.
    async fn checkpoint(&self, charged: Vec<(u64, Timestamp)>, forget_before: Timestamp) -> Result<()>;

    /// Writes allows that were given without a send, and forgets those older than `forget_before`.
    async fn record_allows(&self, allows: Allows, forget_before: Timestamp) -> Result<()>;

    /// Allows given without a send since an instant that no message has redeemed.
    async fn past_allows(&self, since: Timestamp) -> Result<Vec<Allowed>>;

    /// Moves up to `limit` messages that are queued, or scheduled and due, to `submitting`, durably, oldest
    /// first, and returns them. A message is returned to one caller only. Expired ones are moved to
    /// `expired` and returned too, in that state. `decision` is left empty: sending needs none, and copying
    /// it would cost more than the claim.
    async fn claim(&self, now: Timestamp, limit: usize) -> Result<Vec<MessageRecord>>;

    /// Applies changes that the state machine allows, ignores the others, and returns which messages changed
    /// and where they stand now. Hooks are written in the same transaction. A change to a message that is
    /// gone, or whose state refuses it, has no effect at all.
    async fn settle(&self, changes: Vec<Change>) -> Result<Vec<Moved>>;

    /// Presents a code: loads the verification and the number's budget, runs `step`, and writes both, with
    /// nothing in between. `None` when there is no such verification of this subaccount.
    async fn check(
        &self,
        subaccount: &str,
        id: Id,
        step: CheckStep,
    ) -> Result<Option<(Checked, VerificationRecord)>>;

    /// One verification.
    async fn verification(&self, subaccount: Option<&str>, id: Id) -> Result<Option<VerificationRecord>>;

    /// Whether codes to this number were confirmed before, and when.
    async fn known_number(&self, to: Msisdn) -> Result<Option<KnownNumber>>;

    /// Notes that a number was confirmed elsewhere, given by its keyed hash
    /// ([`seawall_core::blind::BlindIndex::msisdn`]).
    async fn note_known(&self, number: u64, at: Timestamp) -> Result<()>;

    /// Forgets that codes to a number were confirmed: it may have another owner. False when none were.
    async fn forget_known(&self, to: Msisdn) -> Result<bool>;

    /// The verification of a number that is pending at `now`, if any; the newest when there are several.
    async fn open_verification(
        &self,
        subaccount: &str,
        to: Msisdn,
        now: Timestamp,
    ) -> Result<Option<VerificationRecord>>;

    /// Verifications, newest first.
    async fn verifications(&self, filter: VerificationFilter, page: Page) -> Result<Vec<VerificationRecord>>;

    /// One message.
    async fn message(&self, subaccount: Option<&str>, id: Id) -> Result<Option<MessageRecord>>;

    /// Messages, newest first.
    async fn messages(&self, filter: MessageFilter, page: Page) -> Result<Vec<MessageRecord>>;

    /// The message that a provider knows by this reference.
    async fn by_reference(&self, provider: &str, reference: &str) -> Result<Option<Id>>;

    /// One decision: of a message, or from a packed batch.
    async fn decision(&self, id: Id) -> Result<Option<DecisionRecord>>;

    /// Decisions, newest first: those of messages and those in packed batches.
    async fn decisions(&self, filter: DecisionFilter, page: Page) -> Result<Vec<DecisionRecord>>;

    /// Lends every decision made from an instant on and before another to `each`, which may break off. Those
    /// of messages come first; each kind about newest first.
    async fn scan_decisions(&self, from: Timestamp, to: Timestamp, each: Visit) -> Result<()>;

    /// The answer that was given under an idempotency key, scoped by the caller; `None` if new or forgotten.
    async fn idempotent(&self, key: &str) -> Result<Option<Idempotent>>;

    /// Webhook deliveries that are due, oldest first; they are not returned again before `lease_until`.
    async fn due_hooks(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<HookDelivery>>;

    /// Adds webhook deliveries that belong to no message change.
    async fn add_hooks(&self, hooks: Vec<HookDelivery>) -> Result<()>;

    /// Ends a delivery (`None`) or sets when it is tried again.
    async fn settle_hook(&self, id: Id, again_at: Option<Timestamp>) -> Result<()>;

    /// After a start: every message left in `submitting` becomes `unknown`, because nobody can know. Where nodes
    /// share a database, what others are submitting stays theirs.
    async fn recover(&self, now: Timestamp) -> Result<Recovery>;

    /// The same for nodes that are gone since; called every second. Nothing where there are no others.
    async fn recover_gone(&self, now: Timestamp) -> Result<Vec<Moved>> {
        let _ = now;
        Ok(Vec::new())
    }

    /// This node's number among those that share the database, below 1,024: what its ids differ in from theirs.
    fn node(&self) -> u16 {
        0
    }

    /// Whether other nodes may use the same database.
    fn is_shared(&self) -> bool {
        false
    }

    /// Whether this node does what one node does for all of them. At most one node is told so at a time; when it is
    /// gone another one is, within five seconds.
    fn leads(&self) -> bool {
        true
    }

    /// Everything that sends charged since an instant, oldest first, and then what was charged by allows that
    /// were given without a send, handed to `each`. What redeemed an allow was charged when that was given.
    async fn past_charges(&self, since: Timestamp, each: &mut (dyn FnMut(PastCharge) + Send)) -> Result<()>;

    /// What was accepted and has neither left nor ended, in the order of its acceptance.
    async fn waiting_charges(&self) -> Result<Vec<PastCharge>>;

    /// Everything that was checkpointed since an instant.
    async fn past_checkpoints(&self, since: Timestamp) -> Result<Vec<(u64, Timestamp)>>;

    /// How many accepted messages are in each state, for one subaccount or all.
    async fn census(&self, subaccount: Option<&str>) -> Result<Census>;

    /// How many messages are queued. It looks at no others: it is asked each second.
    async fn queued(&self) -> Result<u64>;

    /// One bounded step of erasing a number, going on where `erasing` stands.
    async fn erase_step(&self, number: Msisdn, erasing: Erasing) -> Result<Erasing>;

    /// Erases what one message says of a person. `None`: no such message of this subaccount, or erased before;
    /// `Some(false)`: it is under way, and can be erased once it is settled.
    async fn erase_message(&self, subaccount: &str, id: Id) -> Result<Option<bool>>;

    /// Writes an erasure as it stands.
    async fn save_erasure(&self, job: ErasureJob) -> Result<()>;

    /// One erasure.
    async fn erasure(&self, id: Id) -> Result<Option<ErasureJob>>;

    /// Erasures that are not done, oldest first.
    async fn open_erasures(&self) -> Result<Vec<ErasureJob>>;

    /// What lookup providers said of a number to a subaccount; under the empty name, what the operator corrected.
    async fn looked(&self, number: Msisdn, subaccount: &str) -> Result<Option<Looked>>;

    /// Replaces that; an empty value forgets it.
    async fn keep_looked(
        &self,
        number: Msisdn,
        subaccount: &str,
        looked: Looked,
        at: Timestamp,
    ) -> Result<()>;

    /// Appends a batch of what detection folds, and gives its number: each is greater than the one before.
    async fn append_evidence(&self, batch: Vec<u8>) -> Result<u64>;

    /// The next batches after a number, oldest first; empty at the end of the stream.
    async fn evidence_after(&self, seq: u64) -> Result<Vec<(u64, Vec<u8>)>>;

    /// Forgets batches up to and including a number: a snapshot holds them.
    async fn forget_evidence(&self, up_to: u64) -> Result<()>;

    /// Up to which number batches are forgotten. Whoever has folded less has missed some, and begins anew with the
    /// snapshot. Asked where nodes share the stream.
    async fn evidence_forgotten(&self) -> Result<u64> {
        Ok(0)
    }

    /// Whether [`Ledger::keep_snapshot`] keeps anything. If not, the data directory does.
    fn keeps_snapshots(&self) -> bool {
        false
    }

    /// Keeps what the stream up to and including a number folds to, in place of older ones. One that is older than
    /// what is kept changes nothing; one of another stream, that came further than this one, is a `Conflict`.
    async fn keep_snapshot(&self, folded: u64, snapshot: Vec<u8>) -> Result<()> {
        let _ = (folded, snapshot);
        Ok(())
    }

    /// The newest of these.
    async fn snapshot(&self) -> Result<Option<(u64, Vec<u8>)>> {
        Ok(None)
    }

    /// Erases what is older than its retention, in bounded steps; true while there is more.
    async fn prune(&self, now: Timestamp, retention: &Retention) -> Result<bool>;

    /// The newest row key, so that time and ids never run behind what is stored.
    async fn newest_row(&self) -> Result<i64>;

    /// Whether a write would work right now (for `/readyz`).
    async fn ping(&self) -> Result<()>;

    /// Finishes what was asked for and closes.
    async fn close(&self);
}

/// The three roles and the vault, built once in main.
#[derive(Clone)]
pub struct Store {
    /// What is set up.
    pub directory: Arc<dyn Directory>,
    /// What happened.
    pub ledger: Arc<dyn Ledger>,
    /// How often lately.
    pub counters: Arc<dyn Counters>,
    /// Keys for sealing, look-up and codes.
    pub vault: Arc<vault::Vault>,
}
