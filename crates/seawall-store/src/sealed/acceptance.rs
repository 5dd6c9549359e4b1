//! What is accepted, ready for whatever writes it.

use seawall_core::verification::VerificationState;

use super::answers::SealedKey;
use super::messages::{SealedMessage, seal_message};
use super::number_hash;
use super::verifications::seal_verification;
use crate::Result;
use crate::records::{Acceptance, MessageRecord, VerificationRecord, VerificationWrite};
use crate::vault::Vault;

/// Everything sealed, ready for the writer.
pub(crate) struct Sealed {
    pub(crate) messages: Vec<SealedMessage>,
    pub(crate) verification: Option<Box<SealedVerification>>,
    pub(crate) key: Option<SealedKey>,
}

/// The verification of an acceptance.
pub(crate) struct SealedVerification {
    pub(crate) record: VerificationRecord,
    /// Whether it is new, and not a change of a stored one.
    pub(crate) new: bool,
    pub(crate) number: i64,
    /// Empty when its first message holds it.
    pub(crate) body: Vec<u8>,
}

impl Sealed {
    /// Seals an acceptance.
    pub(crate) fn new(vault: &Vault, acceptance: Acceptance) -> Result<Self> {
        let Acceptance { messages, verification, idempotent } = acceptance;
        let (mut record, new) = match verification {
            Some(VerificationWrite::Begin(record)) => (Some(record), true),
            Some(VerificationWrite::Update(record)) => (Some(record), false),
            None => (None, false),
        };
        let begun = record.as_ref().filter(|v| new && is_begun_by(v, &messages));
        let messages = messages.into_iter().map(|m| seal_message(vault, m, begun)).collect::<Result<_>>()?;
        let held = begun.is_some();
        let seal = |record: &mut VerificationRecord| {
            if held { Ok(Vec::new()) } else { seal_verification(vault, record) }
        };
        let body = record.as_mut().map(seal).transpose()?.unwrap_or_default();
        let verification = record.map(|record| {
            let number = number_hash(vault, record.to);
            Box::new(SealedVerification { record, new, number, body })
        });
        let key = idempotent.map(|answer| SealedKey::new(vault, &answer)).transpose()?;
        Ok(Sealed { messages, verification, key })
    }

    /// About how many rows it writes.
    pub(crate) fn weight(&self) -> usize {
        self.messages.len() + 1
    }
}

/// Whether a new verification can stand in the row of its first message. One with a given code cannot: the
/// code has to be erased, and the row is never written again.
fn is_begun_by(v: &VerificationRecord, messages: &[MessageRecord]) -> bool {
    let [m] = messages else { return false };
    let same = m.id.row() == v.id.row() && m.verification == Some(v.id) && m.to == v.to;
    let pending = v.lifecycle.state == VerificationState::Pending && v.given_code.is_none();
    same && pending && m.subaccount == v.subaccount && m.expires_at == Some(v.lifecycle.expires_at)
}
