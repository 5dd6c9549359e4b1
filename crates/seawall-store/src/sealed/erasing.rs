//! Erasures: what of a message stays, and the jobs themselves.

use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;

use super::decisions;
use crate::Result;
use crate::records::{Details, ErasureJob, MessageRecord};
use crate::vault::{Place, Vault};

const PLACE: [u8; 2] = *b"er";

/// What of a message stays: its country, state, segments, price, and how the decision went.
pub(crate) fn emptied(record: MessageRecord) -> MessageRecord {
    let sender = record.details.source.filter(|source| source.bytes().any(|b| b.is_ascii_alphabetic()));
    let decision = record.decision.map(|mut decision| {
        decisions::strip(&mut decision);
        decision
    });
    MessageRecord {
        to: Msisdn::ERASED,
        verification: None,
        content: None,
        details: Details { source: sender, ..Details::default() },
        decision,
        ..record
    }
}

/// Whether a text names a number, in any of the spellings that we write.
pub(crate) fn names(text: &[u8], number: Msisdn) -> bool {
    let digits = number.digits();
    text.windows(digits.len()).any(|window| window == digits.as_bytes())
}

/// Seals an erasure as it stands.
pub(crate) fn seal(vault: &Vault, job: &ErasureJob) -> Result<Vec<u8>> {
    vault.seal(Place::new(PLACE, job.id.row()), &serde_json::to_vec(job)?)
}

/// An erasure from its columns.
pub(crate) fn open(vault: &Vault, row: i64, tail: i64, body: &[u8]) -> Result<ErasureJob> {
    let plain = vault.open_sealed(Place::new(PLACE, row), body)?;
    Ok(ErasureJob { id: Id::new(row, tail.cast_unsigned()), ..serde_json::from_slice(&plain)? })
}
