//! What windows are refilled from: sends, allows, and checkpoints of windows that count requests.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use seawall_core::budget;
use seawall_core::id::Id;
use seawall_core::limit::Dimensions;
use seawall_core::time::Timestamp;

use super::{damaged, dims, messages, state};
use crate::packed::{self, Packed, pack_bytes, unpack_bytes};
use crate::records::{Allowed, Progress};
use crate::{PastCharge, Result};

/// A verification lives at most so long after its first message, in milliseconds.
pub(crate) const LONGEST_VERIFICATION: i64 = 2 * 86_400_000;

/// What was confirmed.
#[derive(Default)]
pub(crate) struct Confirmed {
    /// When each number was last confirmed. Every confirmation ends the back-off of its number, so it covers
    /// all earlier sends to that number.
    numbers: HashMap<i64, i64>,
    /// The verifications that ended well.
    verified: HashSet<i64>,
}

impl Confirmed {
    /// Notes the verification in a row, and when its number was confirmed.
    pub(crate) fn note(&mut self, row: i64, number: i64, at: i64) {
        let newest = self.numbers.entry(number).or_insert(at);
        *newest = at.max(*newest);
        self.verified.insert(row);
    }

    fn of(&self, number: i64) -> Option<i64> {
        self.numbers.get(&number).copied()
    }
}

/// What of a message says how it was charged. `progress` matters in states that may give a charge back.
pub(crate) struct Send<'a> {
    pub(crate) row: i64,
    pub(crate) subaccount: Arc<str>,
    pub(crate) number: i64,
    pub(crate) dims: &'a [u8],
    pub(crate) state: i64,
    pub(crate) verification: Option<i64>,
    pub(crate) progress: Option<&'a [u8]>,
}

impl Send<'_> {
    /// The charge that it was.
    pub(crate) fn charge(self, confirmed: &Confirmed) -> Result<PastCharge> {
        let dimensions = dims::decode(self.dims, self.number).ok_or_else(|| damaged("a message"))?;
        let at = dimensions.charged_at(Id::new(self.row, 0).at());
        let progress = self.progress.map_or_else(|| Ok(Progress::default()), messages::progress)?;
        let outcomes = progress.attempts.iter().map(|attempt| attempt.outcome.as_str());
        Ok(PastCharge {
            at,
            dimensions,
            subaccount: self.subaccount,
            confirmed: confirmed.of(self.number).is_some_and(|confirmed| confirmed >= at.as_millis()),
            verification: self.verification.map(|row| (row, confirmed.verified.contains(&row))),
            given_back: budget::gives_back(state(self.state)?, outcomes),
        })
    }
}

/// Begins packed allows; they hold keyed hashes and the subaccount's name, and so need no seal.
pub(crate) fn begin_allows(room: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(room);
    packed::begin(&mut out);
    out
}

/// Appends an allow to what [`begin_allows`] began.
pub(crate) fn pack_allow(id: Id, subaccount: &str, segments: u8, dimensions: &Dimensions, out: &mut Vec<u8>) {
    id.pack(out);
    pack_bytes(subaccount.as_bytes(), out);
    segments.pack(out);
    dimensions.to.pack(out);
    dims::size(dimensions).pack(out);
    dims::encode_to(dimensions, out);
}

fn unpack_allow(from: &mut &[u8]) -> Option<Allowed> {
    let (id, subaccount, segments) = (Id::unpack(from)?, String::unpack(from)?, u8::unpack(from)?);
    let number = u64::unpack(from)?;
    let dimensions = dims::decode(unpack_bytes(from)?, number.cast_signed())?;
    Some(Allowed { id, subaccount, segments, dimensions })
}

/// Back from [`pack_allow`].
pub(crate) fn unpack_allows(body: &[u8]) -> Result<Vec<Allowed>> {
    let mut from = packed::begun(body).ok_or_else(|| damaged("an allow"))?;
    let mut found = Vec::new();
    while !from.is_empty() {
        found.push(unpack_allow(&mut from).ok_or_else(|| damaged("an allow"))?);
    }
    Ok(found)
}

/// An allow as windows are filled from it. A confirmation that was reported for its number, at `last`, ended its
/// back-off.
pub(crate) fn of_allow(allow: Allowed, last: Option<i64>) -> PastCharge {
    let at = allow.id.at();
    PastCharge {
        at,
        dimensions: allow.dimensions,
        subaccount: allow.subaccount.into(),
        confirmed: last.is_some_and(|last| last >= at.as_millis()),
        verification: None,
        given_back: false,
    }
}

/// Which windows were charged, in 16 bytes each.
pub(crate) fn pack_checkpoint(charged: &[(u64, Timestamp)]) -> Vec<u8> {
    let entry = |(key, at): &(u64, Timestamp)| {
        key.to_le_bytes().into_iter().chain(at.as_millis().to_le_bytes()).collect::<Vec<u8>>()
    };
    charged.iter().flat_map(entry).collect()
}

/// Back from [`pack_checkpoint`].
pub(crate) fn unpack_checkpoint(body: &[u8]) -> impl Iterator<Item = (u64, Timestamp)> {
    body.chunks_exact(16).filter_map(|entry| {
        let (key, at) = entry.split_first_chunk::<8>()?;
        let at = i64::from_le_bytes(at.try_into().ok()?);
        Some((u64::from_le_bytes(*key), Timestamp::from_millis(at)))
    })
}
