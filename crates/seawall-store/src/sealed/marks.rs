//! Decisions are sealed, but lists filter by verdict, reason and address. Beside each message stands a word
//! of bits, set by keyed hashes of these values, so that a list opens only rows that may match.

use seawall_core::client_ip::ClientIp;
use seawall_core::decision::Verdict;
use seawall_core::reason::ReasonCode;

use crate::records::{DecisionBody, DecisionFilter};
use crate::vault::Vault;

/// Bits of a value; the sign bit stays clear.
fn bits(vault: &Vault, kind: u8, value: &[u8], count: u32) -> i64 {
    let hash = vault.index().hash(kind, value);
    (0..count).fold(0, |bits, i| bits | (1i64 << ((hash >> (i * 8)) % 63)))
}

fn ip(vault: &Vault, ip: ClientIp) -> i64 {
    match ip.ip() {
        std::net::IpAddr::V4(ip) => bits(vault, b'1', &ip.octets(), 3),
        std::net::IpAddr::V6(ip) => bits(vault, b'1', &ip.octets(), 3),
    }
}

fn reason(vault: &Vault, code: ReasonCode) -> i64 {
    bits(vault, b'2', code.as_str().as_bytes(), 2)
}

fn verdict(vault: &Vault, verdict: Verdict) -> i64 {
    bits(vault, b'3', verdict.as_str().as_bytes(), 1)
}

/// The word of a decision.
pub(crate) fn of(vault: &Vault, body: &DecisionBody) -> i64 {
    let addresses = std::iter::once(body.caller_ip).chain(body.client_ip);
    let addresses = addresses.fold(0, |word, address| word | ip(vault, address));
    let reasons = body.reasons.iter().fold(0, |word, one| word | reason(vault, one.code));
    addresses | reasons | verdict(vault, body.verdict)
}

/// The bits that a matching decision has at least.
pub(crate) fn wanted(vault: &Vault, filter: &DecisionFilter) -> i64 {
    let wanted = [
        filter.ip.map(|address| ip(vault, address)),
        filter.reason.map(|code| reason(vault, code)),
        filter.verdict.map(|wanted| verdict(vault, wanted)),
    ];
    wanted.into_iter().flatten().fold(0, |word, bits| word | bits)
}
