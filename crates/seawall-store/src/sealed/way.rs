//! A message's way: what changes about it while it travels, and by what references providers know it.

use seawall_core::id::{Id, IdKind};
use seawall_core::message::MessageState;
use seawall_core::time::Timestamp;

use super::hooks::{self, SealedHook};
use crate::Result;
use crate::records::{Again, Change, Progress};
use crate::vault::Vault;

/// What changes about a message while it travels.
#[derive(Clone)]
pub(crate) struct Way {
    /// The unguessable half of its id.
    pub(crate) tail: u64,
    /// Where it stands.
    pub(crate) state: MessageState,
    /// When it is to be sent, if it waits.
    pub(crate) due: Option<i64>,
    /// How it travelled so far.
    pub(crate) progress: Progress,
}

impl Way {
    /// Applies a change. False when the state machine refuses it: a late or repeated receipt, or a message that
    /// went back to the queue already.
    pub(crate) fn apply(&mut self, change: Change) -> bool {
        if let Some(state) = change.state {
            let claimed = |again: Again| again.was.map(Timestamp::as_millis) == self.due;
            let back = state != MessageState::Queued || change.again.is_some_and(claimed);
            if !self.state.may_become(state) || !back {
                return false;
            }
            self.state = state;
            self.progress.changed_at = Some(change.at);
            self.due = change.again.map(|again| again.due.as_millis()).or(self.due);
        }
        self.progress.attempts.extend(change.attempt);
        if let Some((code, words)) = change.error {
            self.progress.error_code = Some(code);
            self.progress.error_message = Some(words);
        }
        if change.outcome.is_some() {
            self.progress.outcome = change.outcome;
        }
        true
    }
}

/// A change whose deliveries are sealed already.
pub(crate) struct SealedChange {
    /// The change, without its deliveries.
    pub(crate) change: Change,
    /// Its deliveries.
    pub(crate) hooks: Vec<SealedHook>,
}

impl SealedChange {
    /// Seals the deliveries of a change.
    pub(crate) fn new(vault: &Vault, mut change: Change) -> Result<Self> {
        let hooks = change.hooks.iter().map(|hook| hooks::seal(vault, hook)).collect::<Result<_>>()?;
        change.hooks.clear();
        Ok(SealedChange { change, hooks })
    }
}

/// Keyed hash of a provider's reference.
pub(crate) fn reference_hash(vault: &Vault, provider: &str, reference: &str) -> i64 {
    vault.index().text(b'p', &format!("{provider}\n{reference}")).cast_signed()
}

/// A reference read as one of our message ids.
pub(crate) fn own_id(reference: &str) -> Option<Id> {
    Id::parse(IdKind::Message, reference).or_else(|| Id::parse_hex(reference))
}

/// Whether a message was handed to a provider that knows it by this reference.
pub(crate) fn is_theirs(progress: &Progress, provider: &str, reference: &str) -> bool {
    progress.attempts.iter().any(|a| a.provider == provider && a.reference.as_deref() == Some(reference))
}
