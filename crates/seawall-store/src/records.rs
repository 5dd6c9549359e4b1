//! What the stores keep, in the types of the core. Serialised parts are sealed before they reach a database.

mod allowed;
mod decision;
mod erasing;
mod scan;

use std::collections::BTreeMap;
use std::time::Duration;

use seawall_core::callflow::Step;
use seawall_core::code::CodeShape;
use seawall_core::consent::{Category, OptOutScope};
use seawall_core::country::Country;
use seawall_core::id::Id;
use seawall_core::limit::Dimensions;
use seawall_core::message::{Channel, MessageState};
use seawall_core::msisdn::Msisdn;
use seawall_core::segments::Encoding;
use seawall_core::time::Timestamp;
use seawall_core::verification::{Lifecycle, VerificationState};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use allowed::{AllowBatch, Allowed, Allows};
pub use decision::{DecisionBody, DecisionFilter, DecisionRecord, Json};
pub use erasing::{Cursor, Erased, Erasing, ErasureJob};
pub use scan::{Later, Scanned, ScannedReason, Visit};

/// One thing that is set up, as JSON with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Which collection, e.g. `limits`.
    pub collection: String,
    /// Unique in its collection.
    pub id: String,
    /// Unique in its collection when present.
    pub name: Option<String>,
    /// The thing itself. Sealed at rest.
    pub body: Value,
    /// Grows with every change of this document; 1 when new.
    pub revision: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Who changed what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who: an admin token, a key id, a provider, the system.
    pub actor: String,
    /// What was done, e.g. `limits.create`.
    pub action: String,
    /// To what: an id or name.
    pub target: String,
    /// What changed, secrets masked.
    pub detail: Value,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
}

/// A number that wants no more messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptOut {
    /// `opt_…`
    pub id: Id,
    /// Whose.
    pub msisdn: Msisdn,
    /// From what.
    pub scope: OptOutScope,
    /// `stop`, `admin` or `api`.
    pub source: String,
    /// Note of whoever added it.
    pub note: Option<String>,
    /// Since when.
    pub at: Timestamp,
}

/// A stretch of a list, newest first.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Only rows below this key; `None` begins at the newest.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

/// What an accepted message says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// A text given by the caller. Sealed, erased by retention.
    Text {
        /// The text.
        text: String,
    },
    /// A code, rendered on its way out from a template with `{code}` and `{brand}`.
    Code {
        /// The template.
        template: String,
        /// What fills `{brand}`.
        brand: Option<String>,
        /// The code's generation.
        generation: u32,
        /// What the code looks like.
        shape: CodeShape,
        /// Id of the key that derives it.
        key_id: u8,
        /// Whether the caller gave the code; it is then read from the verification.
        given: bool,
    },
    /// What happens in a call, when that is more than a text.
    Flow {
        /// In this order.
        steps: Vec<Step>,
    },
}

/// How a call speaks, when the request said so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VoiceWish {
    /// BCP 47 tag.
    pub language: String,
    /// Name of a voice.
    pub profile: Option<String>,
    /// 0.5 to 2.
    pub speed: f64,
    /// 1 to 3.
    pub repetition: u8,
}

/// One delivery try on a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Name of the provider.
    pub provider: String,
    /// When it was submitted.
    pub at: Timestamp,
    /// `accepted`, `refused`, `throttled`, `unreachable`, `unknown`.
    pub outcome: String,
    /// The provider's reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The provider's words, shortened, without number or text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What a message costs, in micro-units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// For one segment.
    pub per_segment: i64,
    /// For the message.
    pub total: i64,
    /// ISO 4217.
    pub currency: String,
}

/// What changes about a message while it travels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Delivery tries, oldest first.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// Receipt error code of the 8x8 table, when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u16>,
    /// Words for that code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// When the state last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
    /// The caller's feedback: `success` or `failure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// What the caller said about a message beside its content; for answers, receipts and exports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// Sender ID.
    pub source: Option<String>,
    /// The caller's own id.
    pub client_message_id: Option<String>,
    /// The caller's own id of the batch.
    pub client_batch_id: Option<String>,
    /// Where its receipts go instead of the subaccount's webhook.
    pub callback_url: Option<String>,
    /// The voice of a call.
    pub voice: Option<VoiceWish>,
    /// Whether feedback is awaited.
    pub track: bool,
    /// What kind of message it is, when that was said.
    pub category: Option<Category>,
    /// Whether its number came encrypted: nothing that is told of it may show the number.
    pub veiled: bool,
}

/// An accepted message with everything about it.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageRecord {
    /// `msg_…`; the decision that allowed it is `dec_` with the same number.
    pub id: Id,
    /// Whose.
    pub subaccount: String,
    /// To whom. Sealed.
    pub to: Msisdn,
    /// The recipient's country.
    pub country: Country,
    /// Where it stands.
    pub state: MessageState,
    /// SMS or call.
    pub channel: Channel,
    /// Its verification.
    pub verification: Option<Id>,
    /// Its batch.
    pub batch: Option<Id>,
    /// When it is to be sent, if not at once.
    pub due: Option<Timestamp>,
    /// Not sent from then on.
    pub expires_at: Option<Timestamp>,
    /// How it is encoded.
    pub encoding: Encoding,
    /// In how many segments.
    pub segments: u8,
    /// What it says; `None` once retention erased it.
    pub content: Option<Content>,
    /// What the caller said beside it.
    pub details: Details,
    /// What it costs, when a price is known.
    pub price: Option<Price>,
    /// How it travels.
    pub progress: Progress,
    /// By what limits counted it.
    pub dimensions: Dimensions,
    /// Request, facts and decision, as shown by `GET decisions/{id}`. Sealed. `None` on its way, see
    /// [`crate::Ledger::claim`].
    pub decision: Option<Box<DecisionBody>>,
}

/// A verification with everything about it.
#[derive(Clone, Debug, PartialEq)]
pub struct VerificationRecord {
    /// `ver_…`
    pub id: Id,
    /// Whose.
    pub subaccount: String,
    /// Which number is verified. Sealed.
    pub to: Msisdn,
    /// Where it stands.
    pub lifecycle: Lifecycle,
    /// What its code looks like.
    pub shape: CodeShape,
    /// Id of the key that derives its code.
    pub key_id: u8,
    /// A code given by the caller; sealed, erased when the verification ends.
    pub given_code: Option<String>,
    /// Where its events go.
    pub callback_url: Option<String>,
    /// The newest message.
    pub message: Id,
    /// Grows with every change; guards against lost updates.
    pub revision: u64,
    /// Sub-state for the API: which operations made it, purpose and the like.
    pub purpose: Option<String>,
    /// The payment that its code confirms, see [`seawall_core::text::code::Payment::canonical`].
    pub bind: Option<String>,
    /// Whether its number came encrypted: nothing that is told of it may show the number.
    pub veiled: bool,
}

/// A number that was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownNumber {
    /// When a code was first confirmed.
    pub first_at: Timestamp,
    /// When a code was last confirmed.
    pub last_at: Timestamp,
}

/// What is kept of a number from lookups, as JSON of whoever keeps it. Sealed at rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Looked {
    /// Which operator carries it, and when that was said.
    pub operator: Option<(Timestamp, String)>,
    /// What its phone did, and when that was said.
    pub live: Option<(Timestamp, String)>,
    /// What the operator of the gateway knows better.
    pub corrected: Option<String>,
}

/// What an acceptance does to a verification.
#[derive(Clone, Debug)]
pub enum VerificationWrite {
    /// It is new, with the row key of its first message; `Conflict` if the number has an open one of this subaccount that the caller did not see.
    Begin(VerificationRecord),
    /// It goes on; `Conflict` unless the stored revision is `revision` of the record.
    Update(VerificationRecord),
}

/// An answer kept under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotent {
    /// Scope and key: subaccount, method, path and the caller's key.
    pub key: String,
    /// Hash of the request's body.
    pub fingerprint: u64,
    /// Status that was answered.
    pub status: u16,
    /// Body that was answered. Sealed.
    pub body: String,
    /// When.
    pub at: Timestamp,
}

/// What is written when messages are accepted.
#[derive(Clone, Debug, Default)]
pub struct Acceptance {
    /// The messages with their decisions.
    pub messages: Vec<MessageRecord>,
    /// Their verification.
    pub verification: Option<VerificationWrite>,
    /// The answer to repeat for the same key.
    pub idempotent: Option<Idempotent>,
}

/// A change to a message.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which message.
    pub id: Id,
    /// The new state; `None` keeps it.
    pub state: Option<MessageState>,
    /// A new delivery try, appended. Its reference becomes findable for its provider.
    pub attempt: Option<Attempt>,
    /// Receipt error code and words.
    pub error: Option<(u16, String)>,
    /// The caller's feedback.
    pub outcome: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Deliveries to write if the change is applied.
    pub hooks: Vec<HookDelivery>,
    /// Set when it goes back to the queue.
    pub again: Option<Again>,
}

/// A claimed message goes back to the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// Not before then; later than it was due when it was claimed.
    pub due: Timestamp,
    /// When it was due as it was claimed. Otherwise it went back already, and somebody else may be sending it: the
    /// change came twice, and nothing is changed.
    pub was: Option<Timestamp>,
}

/// A message that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Which message.
    pub id: Id,
    /// Where it stands now.
    pub state: MessageState,
}

/// A webhook delivery that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HookDelivery {
    /// `evt_…`, stable over retries.
    #[serde(skip, default = "no_id")]
    pub id: Id,
    /// Where to. May hold a secret in its query.
    pub url: String,
    /// The webhook's id, for its secrets; `None` for a URL given in a request.
    pub webhook: Option<String>,
    /// Whose.
    pub subaccount: String,
    /// The body.
    pub body: String,
    /// Tries so far.
    pub tries: u8,
    /// When it is due.
    pub due: Timestamp,
}

fn no_id() -> Id {
    Id::new(0, 0)
}

/// What a start found and mended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Messages that were being submitted and are now `unknown`.
    pub unknown: usize,
    /// Messages that wait to be sent.
    pub waiting: usize,
}

/// Messages by state. Accepted is their sum.
pub type Census = BTreeMap<&'static str, u64>;

/// Which messages to list.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    /// Whose.
    pub subaccount: Option<String>,
    /// To whom.
    pub to: Option<Msisdn>,
    /// In which state.
    pub state: Option<MessageState>,
    /// Of which batch.
    pub batch: Option<Id>,
    /// Of which verification.
    pub verification: Option<Id>,
    /// To which countries; empty: all.
    pub countries: Vec<Country>,
    /// Not older.
    pub from: Option<Timestamp>,
    /// Older.
    pub to_time: Option<Timestamp>,
}

/// Which verifications to list.
#[derive(Clone, Debug, Default)]
pub struct VerificationFilter {
    /// Whose.
    pub subaccount: Option<String>,
    /// Of which number.
    pub to: Option<Msisdn>,
    /// In which state.
    pub state: Option<VerificationState>,
}

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Texts of messages.
    pub texts: Duration,
    /// The rest of a message, its decision and its verification.
    pub messages: Duration,
    /// The audit log.
    pub audit: Duration,
    /// Idempotency keys.
    pub idempotency: Duration,
    /// Masking sessions that are over, and masked calls.
    pub masking: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |n: u64| Duration::from_secs(n * 86_400);
        Retention {
            texts: days(7),
            messages: days(90),
            audit: days(365),
            idempotency: days(1),
            masking: days(30),
        }
    }
}
