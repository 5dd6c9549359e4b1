//! Number masking: sessions, the pairs of caller and virtual number that name them, and calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use seawall_core::id::Id;
use seawall_core::masking::call::{Call, CallResult};
use seawall_core::masking::{Refusal, Session};
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::records::{Idempotent, Page};

/// A masking session. Everything but the subaccount is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskRecord {
    /// `mask_…`
    pub id: Id,
    /// Whose.
    pub subaccount: String,
    /// From which pool its virtual number is.
    pub pool: String,
    /// The parties and what is between them.
    pub session: Session,
    /// How long after its end no other session of either party gets its virtual number.
    pub hold: Duration,
    /// Whether calls are to be recorded.
    pub record: bool,
    /// The app's name for it.
    pub reference: Option<String>,
    /// What the app wants to find in it.
    pub metadata: BTreeMap<String, String>,
    /// Texts that went through.
    pub messages: u32,
    /// Whether its parties came encrypted, so that no answer to the app shows them.
    pub veiled: bool,
    /// Whether its end was noted and told.
    pub over: bool,
    /// Grows with every change.
    pub revision: u64,
}

impl MaskRecord {
    /// From when on its virtual number is free for its parties again.
    pub fn free_at(&self) -> Timestamp {
        self.ends().map_or(Timestamp::MAX, |end| end.plus(self.hold))
    }

    /// When it ended or will end, if that is known.
    pub fn ends(&self) -> Option<Timestamp> {
        let (closed, expires) = (self.session.closed_at, self.session.expires_at);
        closed.map_or(expires, |closed| Some(expires.map_or(closed, |expires| expires.min(closed))))
    }
}

/// What is known of the recording of a call; the recording itself is where the provider keeps it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// The provider's name for it.
    pub id: String,
    /// `processing`, `ready` or `failed`.
    pub status: String,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How long it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
}

/// Without its URL, which may be enough to listen to it.
impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording")
            .field("id", &self.id)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// A call that came for a virtual number.
#[derive(Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// `call_…`
    pub id: Id,
    /// The session that it belongs to.
    pub session: Option<Id>,
    /// Whose virtual number it came for.
    pub subaccount: String,
    /// Who called.
    pub from: Msisdn,
    /// Who was to be reached.
    pub to: Option<Msisdn>,
    /// The virtual number.
    pub mask: Msisdn,
    /// Over which network it came: `sip`, `8x8`, `twilio`.
    pub via: String,
    /// That network's name for it; unique with [`CallRecord::via`].
    pub reference: String,
    /// How it went.
    pub call: Call,
    /// Why it did not go through.
    pub refusal: Option<Refusal>,
    /// The decision about its destination.
    pub decision: Option<Id>,
    /// Its recordings.
    pub recordings: Vec<Recording>,
    /// Grows with every change.
    pub revision: u64,
}

/// Without the numbers.
impl std::fmt::Debug for CallRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallRecord").field("id", &self.id).field("call", &self.call).finish_non_exhaustive()
    }
}

/// The answer to a request that opens a session, to be kept under its idempotency key together with the session: which
/// virtual number it names is only known when it is chosen.
#[derive(Clone)]
pub struct KeepAnswer {
    /// Scope and key, as in [`Idempotent::key`].
    pub key: String,
    /// The answer that names the session as it was opened.
    pub render: Arc<dyn Fn(&MaskRecord) -> Idempotent + Send + Sync>,
}

/// Which sessions.
#[derive(Clone, Debug, Default)]
pub struct MaskFilter {
    /// Of one subaccount.
    pub subaccount: Option<String>,
    /// With this party.
    pub party: Option<Msisdn>,
    /// Only those whose end was not noted yet (true), or was (false).
    pub open: Option<bool>,
}

/// Which calls.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    /// Of one subaccount.
    pub subaccount: Option<String>,
    /// Of one session.
    pub session: Option<Id>,
    /// For one virtual number.
    pub mask: Option<Msisdn>,
    /// From or to this number.
    pub party: Option<Msisdn>,
}

/// Sessions and calls. Every method is one whole, atomic, durable step.
#[async_trait]
pub trait Masks: Send + Sync {
    /// Opens a session under the first of the candidates that neither party has at `now`
    /// ([`seawall_core::masking::select::select`]); its own virtual number is not looked at. `None`: none is free, and
    /// no answer is kept. `Conflict`: the key of the answer is taken.
    async fn open_mask(
        &self,
        record: MaskRecord,
        candidates: Vec<Msisdn>,
        now: Timestamp,
        answer: Option<KeepAnswer>,
    ) -> Result<Option<MaskRecord>>;

    /// One session.
    async fn mask(&self, id: Id) -> Result<Option<MaskRecord>>;

    /// The session that a caller and a virtual number name, over or not.
    async fn mask_of(&self, caller: Msisdn, mask: Msisdn) -> Result<Option<MaskRecord>>;

    /// Replaces a session; `Conflict` unless its stored revision is the record's. Gives it as it is kept. The parties and
    /// the virtual number never change.
    async fn change_mask(&self, record: MaskRecord) -> Result<MaskRecord>;

    /// Sessions, newest first.
    async fn masks(&self, filter: MaskFilter, page: Page) -> Result<Vec<MaskRecord>>;

    /// Sessions that ended by `now` and whose end was not noted, the earliest end first.
    async fn masks_due(&self, now: Timestamp, limit: usize) -> Result<Vec<MaskRecord>>;

    /// Writes a call that came. Where its network's name for it is known, that call is given back instead.
    async fn keep_call(&self, call: CallRecord) -> Result<CallRecord>;

    /// Replaces a call; `Conflict` unless its stored revision is the record's.
    async fn change_call(&self, call: CallRecord) -> Result<CallRecord>;

    /// One call.
    async fn call(&self, id: Id) -> Result<Option<CallRecord>>;

    /// The call that a network knows by this name.
    async fn call_named(&self, via: &str, reference: &str) -> Result<Option<CallRecord>>;

    /// Calls, newest first.
    async fn calls(&self, filter: CallFilter, page: Page) -> Result<Vec<CallRecord>>;

    /// When the last calls for a virtual number came that are over, and how they ended; newest first.
    async fn last_results(&self, mask: Msisdn, limit: usize) -> Result<Vec<(Timestamp, CallResult)>>;

    /// Forgets sessions and calls that were over before an instant, and frees pairs whose time is over. Returns how many
    /// rows went.
    async fn prune_masks(&self, over_before: Timestamp, now: Timestamp, limit: usize) -> Result<u64>;
}
