//! Records as rows and back: what is sealed, and where.

use rusqlite::Row;
use seawall_core::code::CodeShape;
use seawall_core::country::Country;
use seawall_core::id::Id;
use seawall_core::message::{Channel, MessageState};
use seawall_core::msisdn::Msisdn;
use seawall_core::segments::Encoding;
use seawall_core::time::Timestamp;
use seawall_core::verification::{Lifecycle, VerificationState};

use super::db::View;
use super::dims;
use crate::packed::{self, Packed, pack_option, packed};
use crate::records::{Content, DecisionBody, Details, MessageRecord, Price, Progress, VerificationRecord};
use crate::vault::{Place, Vault};
use crate::{Result, StoreError};

pub(super) const MESSAGE_BODY: [u8; 2] = *b"mb";
const MESSAGE_TEXT: [u8; 2] = *b"mt";
const VERIFICATION: [u8; 2] = *b"ve";

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
    let text = match &record.content {
        Some(Content::Text { text }) => Some(vault.seal(Place::new(MESSAGE_TEXT, row), text.as_bytes())?),
        _ => None,
    };
    let body = vault.seal_with(Place::new(MESSAGE_BODY, row), |out| pack_body(&record, out))?;
    let marks = record.decision.as_deref().map_or(0, |decision| super::marks::of(vault, decision));
    record.decision = None;
    let (dims, progress) = (dims::encode(&record.dimensions), progress_text(&record.progress)?);
    Ok(SealedMessage { number: number_hash(vault, record.to), marks, dims, progress, body, text, record })
}

/// What never changes about a message. A text is kept apart, so that it can be erased.
fn pack_body(record: &MessageRecord, out: &mut Vec<u8>) {
    packed::begin(out);
    record.to.pack(out);
    record.channel.pack(out);
    record.encoding.pack(out);
    record.segments.pack(out);
    record.verification.pack(out);
    record.batch.pack(out);
    pack_option(record.content.as_ref().filter(|content| !matches!(content, Content::Text { .. })), out);
    record.details.pack(out);
    record.price.pack(out);
    pack_option(record.decision.as_deref(), out);
}

/// The same, as it is read.
struct Body {
    to: Msisdn,
    channel: Channel,
    encoding: Encoding,
    segments: u8,
    verification: Option<Id>,
    batch: Option<Id>,
    content: Option<Content>,
    details: Details,
    price: Option<Price>,
    decision: Option<DecisionBody>,
}

packed!(Body { to, channel, encoding, segments, verification, batch, content, details, price, decision });

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
    let plain = vault.open_sealed(Place::new(MESSAGE_BODY, row), sealed)?;
    let body = packed::read::<Body>(&plain).ok_or_else(|| damaged("a message"))?;
    let content = match r.get_ref(12)?.as_blob_or_null().map_err(|_| damaged("a text"))? {
        None => body.content,
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
        to: body.to,
        country: country_of(r.get(4)?).ok_or_else(|| damaged("a country"))?,
        state: state(r.get(5)?)?,
        channel: body.channel,
        verification: body.verification,
        batch: body.batch,
        due: time(r.get(7)?),
        expires_at: time(r.get(8)?),
        encoding: body.encoding,
        segments: body.segments,
        content,
        details: body.details,
        price: body.price,
        progress,
        dimensions: dims::decode(dims_bytes, r.get(3)?).ok_or_else(|| damaged("a message"))?,
        decision: body.decision.map(Box::new),
    })
}

/// A verification's sealed part.
struct Verification {
    to: Msisdn,
    lifecycle: Lifecycle,
    shape: CodeShape,
    key_id: u8,
    given_code: Option<String>,
    callback_url: Option<String>,
    message: Id,
    purpose: Option<String>,
    bind: Option<String>,
}

packed!(Verification { to, lifecycle, shape, key_id, given_code, callback_url, message, purpose, bind });

/// Seals what is not a column of a verification. A given code is erased with the end of its verification.
pub(super) fn seal_verification(vault: &Vault, record: &mut VerificationRecord) -> Result<Vec<u8>> {
    if record.lifecycle.state != VerificationState::Pending {
        record.given_code = None;
    }
    let body = Verification {
        to: record.to,
        lifecycle: record.lifecycle.clone(),
        shape: record.shape,
        key_id: record.key_id,
        given_code: record.given_code.clone(),
        callback_url: record.callback_url.clone(),
        message: record.message,
        purpose: record.purpose.clone(),
        bind: record.bind.clone(),
    };
    vault.seal_with(Place::new(VERIFICATION, record.id.row()), |out| packed::whole(&body, out))
}

/// The columns that [`verification`] reads.
pub(super) const VERIFICATION_COLUMNS: &str = "row, tail, sub, revision, body FROM verifications";

/// Reads a verification from [`VERIFICATION_COLUMNS`].
pub(super) fn verification(view: View<'_>, r: &Row<'_>) -> Result<VerificationRecord> {
    let row: i64 = r.get(0)?;
    let sealed = r.get_ref(4)?.as_blob().map_err(|_| damaged("a verification"))?;
    let plain = view.vault().open_sealed(Place::new(VERIFICATION, row), sealed)?;
    let body: Verification = packed::read(&plain).ok_or_else(|| damaged("a verification"))?;
    Ok(VerificationRecord {
        id: Id::new(row, r.get::<_, i64>(1)?.cast_unsigned()),
        subaccount: subaccount(view, r.get(2)?)?,
        to: body.to,
        lifecycle: body.lifecycle,
        shape: body.shape,
        key_id: body.key_id,
        given_code: body.given_code,
        callback_url: body.callback_url,
        message: body.message,
        revision: r.get::<_, i64>(3)?.cast_unsigned(),
        purpose: body.purpose,
        bind: body.bind,
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
