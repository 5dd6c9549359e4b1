//! Decisions: those of messages stand in their bodies, all others are packed many to a batch.

use seawall_core::id::{Id, SEQUENCE_BITS};

use super::damaged;
use crate::Result;
use crate::packed::{self, Packed};
use crate::records::{DecisionBody, DecisionFilter, DecisionRecord, Json, MessageRecord, Page};
use crate::vault::{Place, Vault};

pub(crate) const PLACE: [u8; 2] = *b"db";
/// Decisions of one row: few enough that one of them is found quickly, enough to make each cheap.
const BATCH: usize = 256;
/// Row keys that a batch spans at most: those of ten minutes. Whoever looks for one need not look further.
pub(crate) const SPAN: i64 = 600_000 << SEQUENCE_BITS;

/// A batch ready to be written.
pub(crate) struct SealedBatch {
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) body: Vec<u8>,
}

/// Packs and seals decisions.
pub(crate) fn seal(vault: &Vault, mut decisions: Vec<DecisionRecord>) -> Result<Vec<SealedBatch>> {
    decisions.sort_unstable_by_key(|d| d.id);
    let near = |a: &DecisionRecord, b: &DecisionRecord| a.id.row() / SPAN == b.id.row() / SPAN;
    let chunks = decisions.chunk_by(near).flat_map(|chunk| chunk.chunks(BATCH)).map(|chunk| {
        let row = |d: Option<&DecisionRecord>| d.map_or(0, |d| d.id.row());
        let (first, last) = (row(chunk.first()), row(chunk.last()));
        let body = vault.seal_with(Place::new(PLACE, first), |out| pack(chunk, out))?;
        Ok(SealedBatch { first, last, body })
    });
    chunks.collect()
}

fn pack(decisions: &[DecisionRecord], out: &mut Vec<u8>) {
    packed::begin(out);
    for decision in decisions {
        decision.id.pack(out);
        decision.body.pack(out);
    }
}

pub(crate) fn unpack(vault: &Vault, first: i64, sealed: &[u8]) -> Result<Vec<DecisionRecord>> {
    let plain = vault.open_sealed(Place::new(PLACE, first), sealed)?;
    let damaged = || damaged("a batch of decisions");
    let mut from = packed::begun(&plain).ok_or_else(damaged)?;
    let mut found = Vec::with_capacity(BATCH);
    while !from.is_empty() {
        let id = Id::unpack(&mut from).ok_or_else(damaged)?;
        let body = DecisionBody::unpack(&mut from).ok_or_else(damaged)?;
        found.push(DecisionRecord { id, body });
    }
    Ok(found)
}

pub(crate) fn of_message(message: MessageRecord) -> Result<DecisionRecord> {
    let body = message.decision.ok_or_else(|| damaged("a decision"))?;
    Ok(DecisionRecord { id: message.id, body: *body })
}

/// Facts that say nothing of the person.
const IMPERSONAL: [&str; 7] =
    ["country", "number_type", "number_in_plan", "channel", "segments", "price", "currency"];

/// What of a decision is about the person is taken out of it: verdict, reasons, block and impersonal facts stay.
pub(crate) fn strip(body: &mut DecisionBody) {
    body.to_hash = 0;
    body.client_ip = None;
    body.verification = None;
    let mut facts = body.facts.value();
    if let Some(facts) = facts.as_object_mut() {
        facts.retain(|name, _| IMPERSONAL.contains(&name.as_str()));
    }
    body.facts = Json::of(&facts);
}

/// A batch without what it says of a number, and how many decisions were about it; `None` if none was.
pub(crate) fn strip_batch(
    vault: &Vault,
    first: i64,
    sealed: &[u8],
    hash: u64,
) -> Result<Option<(Vec<u8>, u64)>> {
    let mut batch = unpack(vault, first, sealed)?;
    let about = batch.iter_mut().filter(|decision| decision.body.to_hash == hash);
    let changed = about.map(|decision| strip(&mut decision.body)).fold(0, |n, ()| n + 1);
    if changed == 0 {
        return Ok(None);
    }
    let body = vault.seal_with(Place::new(PLACE, first), |out| pack(&batch, out))?;
    Ok(Some((body, changed)))
}

pub(crate) fn matches(
    filter: &DecisionFilter,
    page: Page,
    to_hash: Option<u64>,
    decision: &DecisionRecord,
) -> bool {
    let (body, at) = (&decision.body, decision.id.at());
    page.before.is_none_or(|before| decision.id.row() < before)
        && filter.from.is_none_or(|from| at >= from)
        && filter.to_time.is_none_or(|to| at < to)
        && filter.subaccount.as_ref().is_none_or(|s| *s == body.subaccount_id)
        && filter.verdict.is_none_or(|verdict| verdict == body.verdict)
        && filter.reason.is_none_or(|wanted| body.reasons.iter().any(|reason| reason.code == wanted))
        && filter.ip.is_none_or(|ip| ip == body.caller_ip || body.client_ip == Some(ip))
        && to_hash.is_none_or(|hash| hash == body.to_hash)
}

/// Row of the oldest decision that still belongs on the page; what is older is dropped.
pub(crate) fn oldest(found: &mut Vec<DecisionRecord>, limit: usize) -> i64 {
    found.sort_unstable_by_key(|d| std::cmp::Reverse(d.id));
    found.truncate(limit);
    found.last().map_or(i64::MIN, |d| d.id.row())
}
