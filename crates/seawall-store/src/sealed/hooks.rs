//! Webhook deliveries that wait.

use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;

use super::erasing::names;
use crate::Result;
use crate::records::HookDelivery;
use crate::vault::{Place, Vault};

const PLACE: [u8; 2] = *b"wh";

/// A delivery ready to be written.
pub(crate) struct SealedHook {
    pub(crate) id: Id,
    pub(crate) due: i64,
    pub(crate) tries: u8,
    pub(crate) body: Vec<u8>,
}

/// Seals a delivery.
pub(crate) fn seal(vault: &Vault, hook: &HookDelivery) -> Result<SealedHook> {
    let body = vault.seal(Place::new(PLACE, hook.id.row()), &serde_json::to_vec(hook)?)?;
    Ok(SealedHook { id: hook.id, due: hook.due.as_millis(), tries: hook.tries, body })
}

/// A delivery from its columns.
pub(crate) fn open(
    vault: &Vault,
    row: i64,
    tail: i64,
    due: i64,
    tries: u8,
    body: &[u8],
) -> Result<HookDelivery> {
    let plain = vault.open_sealed(Place::new(PLACE, row), body)?;
    let hook: HookDelivery = serde_json::from_slice(&plain)?;
    let (id, due) = (Id::new(row, tail.cast_unsigned()), Timestamp::from_millis(due));
    Ok(HookDelivery { id, due, tries, ..hook })
}

/// Whether a delivery names a number.
pub(crate) fn about(vault: &Vault, row: i64, body: &[u8], number: Msisdn) -> Result<bool> {
    Ok(names(&vault.open_sealed(Place::new(PLACE, row), body)?, number))
}
