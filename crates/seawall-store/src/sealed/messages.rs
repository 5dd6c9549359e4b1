//! Messages: what never changes about one is packed and sealed as its body, a text beside it, and what changes
//! is packed with room for more.

use seawall_core::country::Country;
use seawall_core::id::Id;
use seawall_core::message::{Channel, MessageState};
use seawall_core::msisdn::Msisdn;
use seawall_core::segments::Encoding;
use seawall_core::time::Timestamp;

use super::verifications::{Verification, pack_verification};
use super::{damaged, dims, marks, number_hash, state, time};
use crate::Result;
use crate::packed::{self, Packed, pack_option, packed};
use crate::records::{Content, DecisionBody, Details, MessageRecord, Price, Progress, VerificationRecord};
use crate::vault::{Place, Vault};

pub(crate) const MESSAGE_BODY: [u8; 2] = *b"mb";
const MESSAGE_TEXT: [u8; 2] = *b"mt";

/// Room for a message's progress: one delivery try of a provider, so that it is written over in place.
const PROGRESS_ROOM: usize = 80;

/// A message ready to be written; made by the caller's thread, not by the writer's.
pub(crate) struct SealedMessage {
    pub(crate) id: Id,
    pub(crate) subaccount: String,
    pub(crate) number: i64,
    pub(crate) block: i64,
    pub(crate) country: i64,
    pub(crate) state: MessageState,
    pub(crate) due: Option<i64>,
    pub(crate) expires: Option<i64>,
    pub(crate) verification: Option<i64>,
    pub(crate) batch: Option<i64>,
    pub(crate) marks: i64,
    pub(crate) dims: Vec<u8>,
    pub(crate) progress: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) text: Option<Vec<u8>>,
    /// The message itself when it waits to be claimed; without its decision, which sending needs not.
    pub(crate) waits: Option<Box<MessageRecord>>,
}

/// A country as a column.
pub(crate) fn country_code(country: Country) -> i64 {
    country.as_str().bytes().fold(0, |code, letter| (code << 8) | i64::from(letter))
}

fn country_of(code: i64) -> Option<Country> {
    let letters = u16::try_from(code).ok()?.to_be_bytes();
    Country::parse(std::str::from_utf8(&letters).ok()?)
}

/// Seals a message, with the verification that it begins.
pub(crate) fn seal_message(
    vault: &Vault,
    mut record: MessageRecord,
    begins: Option<&VerificationRecord>,
) -> Result<SealedMessage> {
    let row = record.id.row();
    let text = match &record.content {
        Some(Content::Text { text }) => Some(vault.seal(Place::new(MESSAGE_TEXT, row), text.as_bytes())?),
        Some(Content::Flow { steps }) => {
            Some(vault.seal(Place::new(MESSAGE_TEXT, row), &serde_json::to_vec(steps)?)?)
        }
        _ => None,
    };
    let body = vault.seal_with(Place::new(MESSAGE_BODY, row), |out| pack_body(&record, begins, out))?;
    let marks = record.decision.take().map_or(0, |decision| marks::of(vault, &decision));
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
pub(crate) fn seal_body(vault: &Vault, record: &MessageRecord) -> Result<Vec<u8>> {
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
pub(super) struct Body {
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
    pub(super) begins: Option<Verification>,
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

pub(super) fn open_body(vault: &Vault, row: i64, sealed: &[u8]) -> Result<Body> {
    let plain = vault.open_sealed(Place::new(MESSAGE_BODY, row), sealed)?;
    packed::read::<Body>(&plain).ok_or_else(|| damaged("a message"))
}

/// What changes about a message, with room for more.
pub(crate) fn pack_progress(progress: &Progress) -> Vec<u8> {
    let mut out = Vec::with_capacity(PROGRESS_ROOM);
    packed::whole(progress, &mut out);
    let room = out.len().next_multiple_of(PROGRESS_ROOM / 2).max(PROGRESS_ROOM);
    out.resize(room, 0);
    out
}

/// Back from [`pack_progress`].
pub(crate) fn progress(bytes: &[u8]) -> Result<Progress> {
    let read = packed::begun(bytes).and_then(|mut from| Progress::unpack(&mut from));
    read.ok_or_else(|| damaged("a message"))
}

/// A message's columns, as every database has them.
pub(crate) struct MessageRow<'a> {
    pub(crate) row: i64,
    pub(crate) tail: i64,
    pub(crate) subaccount: String,
    pub(crate) number: i64,
    pub(crate) country: i64,
    pub(crate) state: i64,
    pub(crate) due: Option<i64>,
    pub(crate) expires: Option<i64>,
    pub(crate) dims: &'a [u8],
    pub(crate) progress: &'a [u8],
    pub(crate) body: &'a [u8],
    pub(crate) text: Option<&'a [u8]>,
}

impl MessageRow<'_> {
    /// The message.
    pub(crate) fn open(self, vault: &Vault) -> Result<MessageRecord> {
        let row = self.row;
        let body = open_body(vault, row, self.body)?;
        let content = match (self.text, body.content) {
            // Erased.
            (None, Some(Content::Flow { .. })) => None,
            (None, content) => content,
            (Some(sealed), Some(Content::Flow { .. })) => {
                let steps = vault.open_sealed(Place::new(MESSAGE_TEXT, row), sealed)?;
                Some(Content::Flow { steps: serde_json::from_slice(&steps)? })
            }
            (Some(sealed), _) => {
                let text = String::from_utf8(vault.open_sealed(Place::new(MESSAGE_TEXT, row), sealed)?);
                Some(Content::Text { text: text.map_err(|_| damaged("a text"))? })
            }
        };
        Ok(MessageRecord {
            id: Id::new(row, self.tail.cast_unsigned()),
            subaccount: self.subaccount,
            to: body.to,
            country: country_of(self.country).ok_or_else(|| damaged("a country"))?,
            state: state(self.state)?,
            channel: body.channel,
            verification: body.verification,
            batch: body.batch,
            due: time(self.due),
            expires_at: time(self.expires),
            encoding: body.encoding,
            segments: body.segments,
            content,
            details: body.details,
            price: body.price,
            progress: progress(self.progress)?,
            dimensions: dims::decode(self.dims, self.number).ok_or_else(|| damaged("a message"))?,
            decision: body.decision.map(Box::new),
        })
    }
}
