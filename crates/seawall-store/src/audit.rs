//! What a look over the whole audit log found: whether it is the log that was written.

use seawall_core::time::Timestamp;

/// The audit log as a chain. Each entry names a keyed hash of the one before it, so that nobody without the keys of the
/// installation changes, removes, adds or reorders one and leaves it whole. Retention takes the oldest and notes where
/// the rest begins; the newest is noted beside the log, so that a missing end is seen, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditChain {
    /// Entries that were read.
    pub entries: u64,
    /// Those of them that name no entry before them: a version wrote them that made no chain.
    pub unlinked: u64,
    /// When the oldest was written.
    pub since: Option<Timestamp>,
    /// The hash of the newest, 64 hexadecimal digits. Noted elsewhere, it shows later that the log up to it is still there:
    /// whoever puts back an old copy of the whole database puts back its own end as well.
    pub head: Option<String>,
    /// The first thing that is wrong, and where; `None`: the log is whole.
    pub broken: Option<String>,
    /// Whether a head that was noted before is in the chain, or where retention ended it.
    pub noted: Option<bool>,
}
