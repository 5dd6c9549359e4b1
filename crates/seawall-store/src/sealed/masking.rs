//! Masking sessions and calls as they stand in rows: numbers in columns are keyed hashes, the rest is sealed.

use std::collections::BTreeMap;
use std::time::Duration;

use seawall_core::id::Id;
use seawall_core::masking::call::{Call, CallResult};
use seawall_core::masking::{Direction, Refusal, Session};
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::damaged;
use crate::Result;
use crate::masking::{CallRecord, MaskRecord, Recording};
use crate::vault::{Place, Vault};

const MASK: [u8; 2] = *b"mk";
const CALL: [u8; 2] = *b"mc";

fn number(value: u64) -> Result<Msisdn> {
    Msisdn::from_u64(value).ok_or_else(|| damaged("a number"))
}

fn id(text: String) -> Result<Id> {
    Id::parse_hex(&text).ok_or_else(|| damaged("an id"))
}

#[derive(Serialize, Deserialize)]
struct MaskBody {
    a: u64,
    b: u64,
    m: u64,
    d: Direction,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    e: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    c: Option<Timestamp>,
    pool: String,
    hold: u64,
    record: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    messages: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    veiled: bool,
}

/// Seals a session.
pub(crate) fn seal_mask(vault: &Vault, record: &MaskRecord) -> Result<Vec<u8>> {
    let session = &record.session;
    let body = MaskBody {
        a: session.a.as_u64(),
        b: session.b.as_u64(),
        m: session.mask.as_u64(),
        d: session.direction,
        e: session.expires_at,
        c: session.closed_at,
        pool: record.pool.clone(),
        hold: record.hold.as_millis().try_into().unwrap_or(u64::MAX),
        record: record.record,
        reference: record.reference.clone(),
        metadata: record.metadata.clone(),
        messages: record.messages,
        veiled: record.veiled,
    };
    vault.seal(Place::new(MASK, record.id.row()), &serde_json::to_vec(&body)?)
}

/// The columns that stand in clear.
pub(crate) struct Columns {
    pub(crate) row: i64,
    pub(crate) tail: i64,
    pub(crate) sub: String,
    pub(crate) revision: i64,
}

/// A session from its columns.
pub(crate) fn open_mask(vault: &Vault, columns: Columns, over: bool, body: &[u8]) -> Result<MaskRecord> {
    let plain = vault.open_sealed(Place::new(MASK, columns.row), body)?;
    let body: MaskBody = serde_json::from_slice(&plain)?;
    Ok(MaskRecord {
        id: Id::new(columns.row, columns.tail.cast_unsigned()),
        subaccount: columns.sub,
        pool: body.pool,
        session: Session {
            a: number(body.a)?,
            b: number(body.b)?,
            mask: number(body.m)?,
            direction: body.d,
            expires_at: body.e,
            closed_at: body.c,
        },
        hold: Duration::from_millis(body.hold),
        record: body.record,
        reference: body.reference,
        metadata: body.metadata,
        messages: body.messages,
        veiled: body.veiled,
        over,
        revision: columns.revision.cast_unsigned(),
    })
}

#[derive(Serialize, Deserialize)]
struct CallBody {
    f: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    t: Option<u64>,
    m: u64,
    via: String,
    reference: String,
    call: Call,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusal: Option<Refusal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decision: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    recordings: Vec<Recording>,
}

/// Seals a call.
pub(crate) fn seal_call(vault: &Vault, record: &CallRecord) -> Result<Vec<u8>> {
    let body = CallBody {
        f: record.from.as_u64(),
        t: record.to.map(Msisdn::as_u64),
        m: record.mask.as_u64(),
        via: record.via.clone(),
        reference: record.reference.clone(),
        call: record.call,
        session: record.session.map(Id::to_hex),
        refusal: record.refusal,
        decision: record.decision.map(Id::to_hex),
        recordings: record.recordings.clone(),
    };
    vault.seal(Place::new(CALL, record.id.row()), &serde_json::to_vec(&body)?)
}

/// A call from its columns.
pub(crate) fn open_call(vault: &Vault, columns: Columns, body: &[u8]) -> Result<CallRecord> {
    let plain = vault.open_sealed(Place::new(CALL, columns.row), body)?;
    let body: CallBody = serde_json::from_slice(&plain)?;
    Ok(CallRecord {
        id: Id::new(columns.row, columns.tail.cast_unsigned()),
        session: body.session.map(id).transpose()?,
        subaccount: columns.sub,
        from: number(body.f)?,
        to: body.t.map(number).transpose()?,
        mask: number(body.m)?,
        via: body.via,
        reference: body.reference,
        call: body.call,
        refusal: body.refusal,
        decision: body.decision.map(id).transpose()?,
        recordings: body.recordings,
        revision: columns.revision.cast_unsigned(),
    })
}

/// The keyed hash of a network's name for a call.
pub(crate) fn reference_hash(vault: &Vault, via: &str, reference: &str) -> i64 {
    vault.index().text(b'm', &format!("{via} {reference}")).cast_signed()
}

/// How a call ended, as a column.
pub(crate) fn result_column(call: &Call) -> Option<i64> {
    call.result().map(|result| i64::from(result.as_u8()))
}

/// How a call ended, from its column.
pub(crate) fn result_of(column: i64) -> Result<CallResult> {
    u8::try_from(column).ok().and_then(CallResult::from_u8).ok_or_else(|| damaged("the result of a call"))
}
