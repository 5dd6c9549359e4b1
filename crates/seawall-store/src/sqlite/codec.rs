//! Records as rows and back: what is sealed, and where.

use rusqlite::Row;
use seawall_core::code::{CodeShape, CodeType};
use seawall_core::country::Country;
use seawall_core::id::Id;
use seawall_core::message::{Channel, MessageState};
use seawall_core::msisdn::Msisdn;
use seawall_core::segments::Encoding;
use seawall_core::time::Timestamp;
use seawall_core::verification::{Lifecycle, VerificationState};
use serde::{Deserialize, Serialize};

use super::db::View;
use super::dims;
use crate::records::{Content, DecisionBody, Details, MessageRecord, Price, Progress, VerificationRecord};
use crate::vault::{Place, Vault};
use crate::{Result, StoreError};

const MESSAGE_BODY: [u8; 2] = *b"mb";
const MESSAGE_TEXT: [u8; 2] = *b"mt";
const VERIFICATION: [u8; 2] = *b"ve";

/// An id in a sealed body.
type Pair = (i64, u64);

fn pair(id: Id) -> Pair {
    (id.row(), id.tail())
}

fn id((row, tail): Pair) -> Id {
    Id::new(row, tail)
}

/// What never changes about a message, as it is sealed; borrowed for writing.
#[derive(Serialize)]
struct BodyRef<'a> {
    n: u64,
    h: Channel,
    e: Encoding,
    s: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    v: Option<Pair>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b: Option<Pair>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<&'a Content>,
    d: &'a Details,
    #[serde(skip_serializing_if = "Option::is_none")]
    p: Option<&'a Price>,
    x: &'a DecisionBody,
}

/// The same, for reading.
#[derive(Deserialize)]
struct Body {
    n: u64,
    h: Channel,
    e: Encoding,
    s: u8,
    v: Option<Pair>,
    b: Option<Pair>,
    k: Option<Content>,
    d: Details,
    p: Option<Price>,
    x: DecisionBody,
}

/// A message ready to be written; made by the caller's thread, not by the writer's.
pub(super) struct SealedMessage {
    pub(super) record: MessageRecord,
    pub(super) number: i64,
    pub(super) marks: i64,
    pub(super) dims: Vec<u8>,
    pub(super) progress: Option<String>,
    pub(super) body: Vec<u8>,
    pub(super) text: Option<Vec<u8>>,
}

/// The keyed hash of a number, as a column.
pub(super) fn number_hash(vault: &Vault, msisdn: Msisdn) -> i64 {
    vault.index().msisdn(msisdn).cast_signed()
}

/// A country as a column.
pub(super) fn country_code(country: Country) -> i64 {
    country.as_str().bytes().fold(0, |code, letter| (code << 8) | i64::from(letter))
}

fn country_of(code: i64) -> Option<Country> {
    let letters = u16::try_from(code).ok()?.to_be_bytes();
    Country::parse(std::str::from_utf8(&letters).ok()?)
}

/// Seals a message. What is kept of the record for its way leaves the decision behind: copying and freeing
/// it would cost more than writing it.
pub(super) fn seal_message(vault: &Vault, mut record: MessageRecord) -> Result<SealedMessage> {
    let row = record.id.row();
    let (text, kept) = match &record.content {
        Some(Content::Text { text }) => {
            (Some(vault.seal(Place::new(MESSAGE_TEXT, row), text.as_bytes())?), None)
        }
        other => (None, other.as_ref()),
    };
    let body = BodyRef {
        n: record.to.as_u64(),
        h: record.channel,
        e: record.encoding,
        s: record.segments,
        v: record.verification.map(pair),
        b: record.batch.map(pair),
        k: kept,
        d: &record.details,
        p: record.price.as_ref(),
        x: &record.decision,
    };
    let body = vault.seal(Place::new(MESSAGE_BODY, row), &serde_json::to_vec(&body)?)?;
    let marks = super::marks::of(vault, &record.decision);
    record.decision = DecisionBody::default();
    let (dims, progress) = (dims::encode(&record.dimensions), progress_text(&record.progress)?);
    Ok(SealedMessage { number: number_hash(vault, record.to), marks, dims, progress, body, text, record })
}

/// What changes about a message, as text; the time of the last change is a column of its own.
pub(super) fn progress_text(progress: &Progress) -> Result<Option<String>> {
    let kept = Progress { changed_at: None, ..progress.clone() };
    if kept == Progress::default() { Ok(None) } else { Ok(Some(serde_json::to_string(&kept)?)) }
}

/// The columns that [`message`] reads.
pub(super) const MESSAGE_COLUMNS: &str = "m.row, m.tail, m.sub, m.number, m.country, m.state, m.changed, m.due, \
     m.expires, m.dims, m.progress, b.body, b.text FROM messages m CROSS JOIN bodies b ON b.row = m.row";

/// Reads a message from [`MESSAGE_COLUMNS`].
pub(super) fn message(view: View<'_>, r: &Row<'_>) -> Result<MessageRecord> {
    let row: i64 = r.get(0)?;
    let vault = view.vault();
    let sealed = r.get_ref(11)?.as_blob().map_err(|_| damaged("a message"))?;
    let body: Body = serde_json::from_slice(&vault.open_sealed(Place::new(MESSAGE_BODY, row), sealed)?)?;
    let content = match r.get_ref(12)?.as_blob_or_null().map_err(|_| damaged("a text"))? {
        None => body.k,
        Some(sealed) => {
            let text = String::from_utf8(vault.open_sealed(Place::new(MESSAGE_TEXT, row), sealed)?);
            Some(Content::Text { text: text.map_err(|_| damaged("a text"))? })
        }
    };
    let dims_bytes = r.get_ref(9)?.as_blob().map_err(|_| damaged("a message"))?;
    let mut progress = match r.get_ref(10)?.as_str_or_null().map_err(|_| damaged("a message"))? {
        Some(text) => serde_json::from_str(text)?,
        None => Progress::default(),
    };
    progress.changed_at = time(r.get(6)?);
    Ok(MessageRecord {
        id: Id::new(row, r.get::<_, i64>(1)?.cast_unsigned()),
        subaccount: subaccount(view, r.get(2)?)?,
        to: Msisdn::from_u64(body.n).ok_or_else(|| damaged("a number"))?,
        country: country_of(r.get(4)?).ok_or_else(|| damaged("a country"))?,
        state: state(r.get(5)?)?,
        channel: body.h,
        verification: body.v.map(id),
        batch: body.b.map(id),
        due: time(r.get(7)?),
        expires_at: time(r.get(8)?),
        encoding: body.e,
        segments: body.s,
        content,
        details: body.d,
        price: body.p,
        progress,
        dimensions: dims::decode(dims_bytes, r.get(3)?).ok_or_else(|| damaged("a message"))?,
        decision: body.x,
    })
}

/// A verification's sealed part.
#[derive(Serialize, Deserialize)]
struct Verification {
    n: u64,
    l: Lifecycle,
    t: CodeType,
    c: u8,
    k: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    g: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    u: Option<String>,
    m: Pair,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p: Option<String>,
}

/// Seals what is not a column of a verification. A given code is erased with the end of its verification.
pub(super) fn seal_verification(vault: &Vault, record: &mut VerificationRecord) -> Result<Vec<u8>> {
    if record.lifecycle.state != VerificationState::Pending {
        record.given_code = None;
    }
    let body = Verification {
        n: record.to.as_u64(),
        l: record.lifecycle.clone(),
        t: record.shape.kind(),
        c: record.shape.length(),
        k: record.key_id,
        g: record.given_code.clone(),
        u: record.callback_url.clone(),
        m: pair(record.message),
        p: record.purpose.clone(),
    };
    vault.seal(Place::new(VERIFICATION, record.id.row()), &serde_json::to_vec(&body)?)
}

/// The columns that [`verification`] reads.
pub(super) const VERIFICATION_COLUMNS: &str = "row, tail, sub, revision, body FROM verifications";

/// Reads a verification from [`VERIFICATION_COLUMNS`].
pub(super) fn verification(view: View<'_>, r: &Row<'_>) -> Result<VerificationRecord> {
    let row: i64 = r.get(0)?;
    let sealed = r.get_ref(4)?.as_blob().map_err(|_| damaged("a verification"))?;
    let plain = view.vault().open_sealed(Place::new(VERIFICATION, row), sealed)?;
    let body: Verification = serde_json::from_slice(&plain)?;
    Ok(VerificationRecord {
        id: Id::new(row, r.get::<_, i64>(1)?.cast_unsigned()),
        subaccount: subaccount(view, r.get(2)?)?,
        to: Msisdn::from_u64(body.n).ok_or_else(|| damaged("a number"))?,
        lifecycle: body.l,
        shape: CodeShape::new(body.t, body.c).map_err(|_| damaged("a verification"))?,
        key_id: body.k,
        given_code: body.g,
        callback_url: body.u,
        message: id(body.m),
        revision: r.get::<_, i64>(3)?.cast_unsigned(),
        purpose: body.p,
    })
}

/// The error for stored values that make no sense.
pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} in the database is damaged"))
}

/// A message's state from its column.
pub(super) fn state(column: i64) -> Result<MessageState> {
    u8::try_from(column).ok().and_then(MessageState::from_u8).ok_or_else(|| damaged("a state"))
}

/// A time from its column.
pub(super) fn time(column: Option<i64>) -> Option<Timestamp> {
    column.map(Timestamp::from_millis)
}

/// The name of a subaccount from its column.
pub(super) fn subaccount(view: View<'_>, id: i64) -> Result<String> {
    let known = view.hot().subs.name(id);
    known.map(|name| name.to_string()).ok_or_else(|| damaged("a subaccount"))
}
