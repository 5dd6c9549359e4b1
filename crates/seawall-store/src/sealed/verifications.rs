//! Verifications: what of one is no column is packed and sealed, in a row of its own or in the body of the message
//! that began it.

use seawall_core::code::CodeShape;
use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;
use seawall_core::verification::{Lifecycle, VerificationState};

use super::damaged;
use super::messages::open_body;
use crate::Result;
use crate::packed::{self, Packed, packed};
use crate::records::VerificationRecord;
use crate::vault::{Place, Vault};

const VERIFICATION: [u8; 2] = *b"ve";

/// A verification's sealed part.
pub(super) struct Verification {
    tail: u64,
    to: Msisdn,
    lifecycle: Lifecycle,
    shape: CodeShape,
    key_id: u8,
    given_code: Option<String>,
    callback_url: Option<String>,
    message: Id,
    purpose: Option<String>,
    bind: Option<String>,
    veiled: bool,
}

packed!(Verification {
    tail,
    to,
    lifecycle,
    shape,
    key_id,
    given_code,
    callback_url,
    message,
    purpose,
    bind,
    veiled
});

/// The same, as it is written.
pub(super) fn pack_verification(record: &VerificationRecord, out: &mut Vec<u8>) {
    #[rustfmt::skip]
    let VerificationRecord {
        id, subaccount: _, to, lifecycle, shape, key_id, given_code, callback_url, message, revision: _, purpose, bind, veiled,
    } = record;
    id.tail().pack(out);
    to.pack(out);
    lifecycle.pack(out);
    shape.pack(out);
    key_id.pack(out);
    given_code.pack(out);
    callback_url.pack(out);
    message.pack(out);
    purpose.pack(out);
    bind.pack(out);
    veiled.pack(out);
}

impl Verification {
    fn record(self, row: i64, subaccount: String, revision: i64) -> VerificationRecord {
        VerificationRecord {
            id: Id::new(row, self.tail),
            subaccount,
            to: self.to,
            lifecycle: self.lifecycle,
            shape: self.shape,
            key_id: self.key_id,
            given_code: self.given_code,
            callback_url: self.callback_url,
            message: self.message,
            revision: revision.cast_unsigned(),
            purpose: self.purpose,
            bind: self.bind,
            veiled: self.veiled,
        }
    }
}

/// Seals what is not a column of a verification. A given code is erased with the end of its verification.
pub(crate) fn seal_verification(vault: &Vault, record: &mut VerificationRecord) -> Result<Vec<u8>> {
    if record.lifecycle.state != VerificationState::Pending {
        record.given_code = None;
    }
    vault.seal_with(Place::new(VERIFICATION, record.id.row()), |out| {
        packed::begin(out);
        pack_verification(record, out);
    })
}

/// A verification's columns, as every database has them.
pub(crate) struct VerificationRow<'a> {
    pub(crate) row: i64,
    pub(crate) subaccount: String,
    pub(crate) revision: i64,
    /// Sealed: its own, or that of the message that began it.
    pub(crate) body: &'a [u8],
    /// Whether the body is its own.
    pub(crate) changed: bool,
}

impl VerificationRow<'_> {
    /// The verification; `None` when the message holds none any more.
    pub(crate) fn open(self, vault: &Vault) -> Result<Option<VerificationRecord>> {
        let body = if self.changed {
            let plain = vault.open_sealed(Place::new(VERIFICATION, self.row), self.body)?;
            Some(packed::read::<Verification>(&plain).ok_or_else(|| damaged("a verification"))?)
        } else {
            open_body(vault, self.row, self.body)?.begins
        };
        Ok(body.map(|body| body.record(self.row, self.subaccount, self.revision)))
    }
}
