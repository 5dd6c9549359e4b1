//! Decisions are sealed, but lists filter by verdict, reason and address. Beside each message stands a word
//! of bits, set by keyed hashes of these values, so that a list opens only rows that may match.

use crate::records::{DecisionBody, DecisionFilter};
use crate::vault::Vault;

/// Bits of a value; the sign bit stays clear.
fn bits(vault: &Vault, kind: u8, value: &str, count: u32) -> i64 {
    let hash = vault.index().text(kind, value);
    (0..count).fold(0, |bits, i| bits | (1i64 << ((hash >> (i * 8)) % 63)))
}

/// All reason codes of a decision.
pub(super) fn reasons(body: &DecisionBody) -> impl Iterator<Item = &str> {
    body.reasons.iter().filter_map(|reason| reason.get("code")?.as_str())
}

/// The word of a decision.
pub(super) fn of(vault: &Vault, body: &DecisionBody) -> i64 {
    let addresses = std::iter::once(body.caller_ip.as_str()).chain(body.client_ip.as_deref());
    let addresses = addresses.fold(0, |word, ip| word | bits(vault, b'1', ip, 3));
    let reasons = reasons(body).fold(0, |word, code| word | bits(vault, b'2', code, 2));
    addresses | reasons | bits(vault, b'3', &body.verdict, 1)
}

/// The bits that a matching decision has at least.
pub(super) fn wanted(vault: &Vault, filter: &DecisionFilter) -> i64 {
    let ip = filter.ip.as_deref().map_or(0, |ip| bits(vault, b'1', ip, 3));
    let reason = filter.reason.as_deref().map_or(0, |code| bits(vault, b'2', code, 2));
    let verdict = filter.verdict.as_deref().map_or(0, |verdict| bits(vault, b'3', verdict, 1));
    ip | reason | verdict
}
