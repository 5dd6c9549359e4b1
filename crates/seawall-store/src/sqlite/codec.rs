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
use super::hot::Way;
use crate::packed::{self, Packed, pack_option, packed};
use crate::records::{Content, DecisionBody, Details, MessageRecord, Price, Progress, VerificationRecord};
use crate::vault::{Place, Vault};
use crate::{Result, StoreError};

pub(super) const MESSAGE_BODY: [u8; 2] = *b"mb";
const MESSAGE_TEXT: [u8; 2] = *b"mt";
const VERIFICATION: [u8; 2] = *b"ve";

/// Room for a message's progress: one delivery try of a provider, so that it is written over in place.
const PROGRESS_ROOM: usize = 80;

/// A message ready to be written; made by the caller's thread, not by the writer's.
pub(super) struct SealedMessage {
    pub(super) id: Id,
    pub(super) subaccount: String,
    pub(super) number: i64,
    pub(super) block: i64,
    pub(super) country: i64,
    pub(super) state: MessageState,
    pub(super) due: Option<i64>,
    pub(super) expires: Option<i64>,
    pub(super) verification: Option<i64>,
    pub(super) batch: Option<i64>,
    pub(super) marks: i64,
    pub(super) dims: Vec<u8>,
    pub(super) progress: Vec<u8>,
    pub(super) body: Vec<u8>,
    pub(super) text: Option<Vec<u8>>,
    /// The message itself when it waits to be claimed; without its decision, which sending needs not.
    pub(super) waits: Option<Box<MessageRecord>>,
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

/// Seals a message, with the verification that it begins.
pub(super) fn seal_message(
    vault: &Vault,
    mut record: MessageRecord,
    begins: Option<&VerificationRecord>,
) -> Result<SealedMessage> {
    let row = record.id.row();
    let text = match &record.content {
        Some(Content::Text { text }) => Some(vault.seal(Place::new(MESSAGE_TEXT, row), text.as_bytes())?),
        _ => None,
    };
    let body = vault.seal_with(Place::new(MESSAGE_BODY, row), |out| pack_body(&record, begins, out))?;
    let marks = record.decision.take().map_or(0, |decision| super::marks::of(vault, &decision));
    Ok(SealedMessage {
        id: record.id,
        number: number_hash(vault, record.to),
        block: (record.to.as_u64() / 10_000).cast_signed(),
        country: country_code(record.country),
        state: record.state,
        due: record.due.map(Timestamp::as_millis),
        expires: record.expires_at.map(Timestamp::as_millis),
        verification: record.verification.map(Id::row),
        batch: record.batch.map(Id::row),
        marks,
        dims: dims::encode(&record.dimensions),
        progress: pack_progress(&record.progress),
        body,
        text,
        subaccount: record.subaccount.clone(),
        waits: (record.state == MessageState::Queued).then(|| Box::new(record)),
    })
}

/// Seals the body of a message that begins no verification.
pub(super) fn seal_body(vault: &Vault, record: &MessageRecord) -> Result<Vec<u8>> {
    vault.seal_with(Place::new(MESSAGE_BODY, record.id.row()), |out| pack_body(record, None, out))
}

/// What never changes about a message. A text is kept apart, so that it can be erased.
fn pack_body(record: &MessageRecord, begins: Option<&VerificationRecord>, out: &mut Vec<u8>) {
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
    begins.is_some().pack(out);
    if let Some(verification) = begins {
        pack_verification(verification, out);
    }
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
    begins: Option<Verification>,
}

packed!(Body {
    to,
    channel,
    encoding,
    segments,
    verification,
    batch,
    content,
    details,
    price,
    decision,
    begins,
});

fn open_body(vault: &Vault, row: i64, sealed: &[u8]) -> Result<Body> {
    let plain = vault.open_sealed(Place::new(MESSAGE_BODY, row), sealed)?;
    packed::read::<Body>(&plain).ok_or_else(|| damaged("a message"))
}

/// What changes about a message, with room for more.
pub(super) fn pack_progress(progress: &Progress) -> Vec<u8> {
    let mut out = Vec::with_capacity(PROGRESS_ROOM);
    packed::whole(progress, &mut out);
    let room = out.len().next_multiple_of(PROGRESS_ROOM / 2).max(PROGRESS_ROOM);
    out.resize(room, 0);
    out
}

/// Back from [`pack_progress`].
pub(super) fn progress(bytes: &[u8]) -> Result<Progress> {
    let read = packed::begun(bytes).and_then(|mut from| Progress::unpack(&mut from));
    read.ok_or_else(|| damaged("a message"))
}

/// The columns that [`way`] reads.
pub(super) const WAY_COLUMNS: &str = "tail, state, due, progress FROM messages";

/// Reads what changes about a message from [`WAY_COLUMNS`].
pub(super) fn way(r: &Row<'_>) -> Result<Way> {
    Ok(Way {
        tail: r.get::<_, i64>(0)?.cast_unsigned(),
        state: state(r.get(1)?)?,
        due: r.get(2)?,
        progress: progress(r.get_ref(3)?.as_blob().map_err(|_| damaged("a message"))?)?,
    })
}

/// The columns that [`message`] reads.
pub(super) const MESSAGE_COLUMNS: &str = "m.row, m.tail, m.sub, m.number, m.country, m.state, m.due, \
     m.expires, m.dims, m.progress, m.body, m.text FROM messages m";

/// Reads a message from [`MESSAGE_COLUMNS`].
pub(super) fn message(view: View<'_>, r: &Row<'_>) -> Result<MessageRecord> {
    let row: i64 = r.get(0)?;
    let vault = view.vault();
    let blob = |at: usize| r.get_ref(at)?.as_blob().map_err(|_| damaged("a message"));
    let body = open_body(vault, row, blob(10)?)?;
    let content = match r.get_ref(11)?.as_blob_or_null().map_err(|_| damaged("a text"))? {
        None => body.content,
        Some(sealed) => {
            let text = String::from_utf8(vault.open_sealed(Place::new(MESSAGE_TEXT, row), sealed)?);
            Some(Content::Text { text: text.map_err(|_| damaged("a text"))? })
        }
    };
    Ok(MessageRecord {
        id: Id::new(row, r.get::<_, i64>(1)?.cast_unsigned()),
        subaccount: subaccount(view, r.get(2)?)?,
        to: body.to,
        country: country_of(r.get(4)?).ok_or_else(|| damaged("a country"))?,
        state: state(r.get(5)?)?,
        channel: body.channel,
        verification: body.verification,
        batch: body.batch,
        due: time(r.get(6)?),
        expires_at: time(r.get(7)?),
        encoding: body.encoding,
        segments: body.segments,
        content,
        details: body.details,
        price: body.price,
        progress: progress(blob(9)?)?,
        dimensions: dims::decode(blob(8)?, r.get(3)?).ok_or_else(|| damaged("a message"))?,
        decision: body.decision.map(Box::new),
    })
}

/// A verification's sealed part.
struct Verification {
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
    bind
});

/// The same, as it is written.
fn pack_verification(record: &VerificationRecord, out: &mut Vec<u8>) {
    #[rustfmt::skip]
    let VerificationRecord {
        id, subaccount: _, to, lifecycle, shape, key_id, given_code, callback_url, message, revision: _, purpose, bind,
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
        }
    }
}

/// Seals what is not a column of a verification. A given code is erased with the end of its verification.
pub(super) fn seal_verification(vault: &Vault, record: &mut VerificationRecord) -> Result<Vec<u8>> {
    if record.lifecycle.state != VerificationState::Pending {
        record.given_code = None;
    }
    vault.seal_with(Place::new(VERIFICATION, record.id.row()), |out| {
        packed::begin(out);
        pack_verification(record, out);
    })
}

/// The columns that [`verification`] reads: of one that changed, and of one that its message began.
pub(super) const CHANGED_VERIFICATION: &str = "row, sub, revision, body, 1 FROM verifications v";
/// See [`CHANGED_VERIFICATION`].
pub(super) const BEGUN_VERIFICATION: &str = "row, sub, 1, body, 0 FROM messages m \
     WHERE verification = row AND NOT EXISTS (SELECT 1 FROM verifications v WHERE v.row = m.row)";

/// Reads a verification from [`CHANGED_VERIFICATION`] or [`BEGUN_VERIFICATION`].
pub(super) fn verification(view: View<'_>, r: &Row<'_>) -> Result<Option<VerificationRecord>> {
    let row: i64 = r.get(0)?;
    let sealed = r.get_ref(3)?.as_blob().map_err(|_| damaged("a verification"))?;
    let body = if r.get(4)? {
        let plain = view.vault().open_sealed(Place::new(VERIFICATION, row), sealed)?;
        Some(packed::read::<Verification>(&plain).ok_or_else(|| damaged("a verification"))?)
    } else {
        open_body(view.vault(), row, sealed)?.begins
    };
    let subaccount = subaccount(view, r.get(1)?)?;
    let revision = r.get(2)?;
    Ok(body.map(|body| body.record(row, subaccount, revision)))
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
