//! Records as they stand in rows, the same in every database: what is sealed, packed or hashed, and back again.
//! Nothing here knows SQL.

pub(crate) mod acceptance;
pub(crate) mod answers;
pub(crate) mod chain;
pub(crate) mod charges;
pub(crate) mod decisions;
pub(crate) mod dims;
pub(crate) mod erasing;
pub(crate) mod hooks;
pub(crate) mod marks;
pub(crate) mod masking;
pub(crate) mod messages;
pub(crate) mod scan;
pub(crate) mod setup;
pub(crate) mod verifications;
pub(crate) mod way;

use seawall_core::message::MessageState;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;

use crate::vault::Vault;
use crate::{Result, StoreError};

/// The keyed hash of a number, as a column.
pub(crate) fn number_hash(vault: &Vault, msisdn: Msisdn) -> i64 {
    vault.index().msisdn(msisdn).cast_signed()
}

/// The error for stored values that make no sense.
pub(crate) fn damaged(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} in the database is damaged"))
}

/// A message's state from its column.
pub(crate) fn state(column: i64) -> Result<MessageState> {
    u8::try_from(column).ok().and_then(MessageState::from_u8).ok_or_else(|| damaged("a state"))
}

/// A time from its column.
pub(crate) fn time(column: Option<i64>) -> Option<Timestamp> {
    column.map(Timestamp::from_millis)
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        // The words of serde_json may quote the value.
        StoreError::Corrupt(format!("a stored value has an unknown form ({:?})", error.classify()))
    }
}
