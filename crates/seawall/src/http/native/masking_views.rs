//! How masking sessions and calls are shown.

use std::collections::BTreeMap;

use seawall_core::id::IdKind;
use seawall_core::masking::call::Summary;
use seawall_core::masking::{Direction, Party, SessionState};
use seawall_core::time::Timestamp;
use seawall_store::masking::{CallRecord, MaskRecord};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who may begin a call or write.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = MaskingDirection)]
#[serde(rename_all = "snake_case")]
pub enum DirectionWord {
    /// Both.
    TwoWay,
    /// Only `a`.
    OneWay,
}

impl From<DirectionWord> for Direction {
    fn from(word: DirectionWord) -> Self {
        match word {
            DirectionWord::TwoWay => Direction::TwoWay,
            DirectionWord::OneWay => Direction::OneWay,
        }
    }
}

/// Where a session stands.
#[derive(Serialize, ToSchema)]
#[schema(as = MaskingStatus)]
#[serde(rename_all = "snake_case")]
pub enum StatusWord {
    /// Calls and texts go through.
    Open,
    /// It was ended.
    Closed,
    /// Its time is over.
    Expired,
}

/// What went through a session.
#[derive(Serialize, ToSchema)]
#[schema(as = MaskingSummary)]
pub struct SummaryView {
    /// Calls that came.
    pub calls: u32,
    /// In which the two spoke.
    pub answered: u32,
    /// How long they spoke in all, each call rounded up.
    pub seconds: u64,
    /// When the first call came.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub first_at: Option<Timestamp>,
    /// When the last one came.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_at: Option<Timestamp>,
    /// How the last one that is over ended: `completed`, `no_answer`, `busy`, `canceled`, `failed`, `refused`.
    #[schema(value_type = Option<String>)]
    pub last_result: Option<&'static str>,
}

impl From<Summary> for SummaryView {
    fn from(sum: Summary) -> Self {
        SummaryView {
            calls: sum.calls,
            answered: sum.answered,
            seconds: sum.seconds,
            first_at: sum.first_at,
            last_at: sum.last_at,
            last_result: sum.last_result.map(|result| result.as_str()),
        }
    }
}

/// A session.
#[derive(Serialize, ToSchema)]
#[schema(as = MaskingSession)]
pub struct MaskView {
    /// `mask_…`
    pub id: String,
    /// Whose.
    pub subaccount_id: String,
    /// The virtual number: what both parties call, and what each sees of the other.
    pub number: String,
    /// Its pool.
    pub pool: String,
    /// The first party.
    pub a: String,
    /// The second party.
    pub b: String,
    /// Who may begin.
    pub direction: DirectionWord,
    /// Where it stands.
    pub status: StatusWord,
    /// Whether calls are recorded.
    pub record: bool,
    /// The caller's name for it.
    pub reference: Option<String>,
    /// What the caller keeps with it.
    pub metadata: BTreeMap<String, String>,
    /// Texts that went through.
    pub messages: u32,
    /// What went through it; only in the answer for one session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<SummaryView>,
    /// When it was opened.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Until when; `null`: until it is ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

impl MaskView {
    /// As it stands at `now`.
    pub fn of(record: &MaskRecord, summary: Option<Summary>, now: Timestamp) -> Self {
        let session = &record.session;
        MaskView {
            id: record.id.show(IdKind::Mask),
            subaccount_id: record.subaccount.clone(),
            number: session.mask.to_e164(),
            pool: record.pool.clone(),
            a: session.a.shown(record.veiled),
            b: session.b.shown(record.veiled),
            direction: match session.direction {
                Direction::TwoWay => DirectionWord::TwoWay,
                Direction::OneWay => DirectionWord::OneWay,
            },
            status: match session.state_at(now) {
                SessionState::Open => StatusWord::Open,
                SessionState::Closed => StatusWord::Closed,
                SessionState::Expired => StatusWord::Expired,
            },
            record: record.record,
            reference: record.reference.clone(),
            metadata: record.metadata.clone(),
            messages: record.messages,
            summary: summary.map(Into::into),
            created_at: record.id.at(),
            expires_at: session.expires_at,
            ended_at: session.ended_at(now),
        }
    }
}

/// The recording of a call: where its network keeps it.
#[derive(Serialize, ToSchema)]
#[schema(as = MaskedCallRecording)]
pub struct RecordingView {
    /// The network's name for it.
    pub id: String,
    /// `processing`, `ready` or `failed`.
    pub status: String,
    /// Where it is.
    pub url: Option<String>,
    /// How long it is.
    pub seconds: Option<u64>,
    /// When it began.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
}

/// A call for a virtual number. Names parties by their letter.
#[derive(Serialize, ToSchema)]
#[schema(as = MaskedCall)]
pub struct CallView {
    /// `call_…`
    pub id: String,
    /// Its session.
    pub session_id: Option<String>,
    /// The virtual number.
    pub number: String,
    /// Over which network: `sip`, `8x8`, `twilio`.
    pub via: String,
    /// Who called: `a` or `b`.
    #[schema(value_type = Option<String>)]
    pub from: Option<&'static str>,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    pub began_at: Timestamp,
    /// When it was answered.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub answered_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// How: `completed`, `no_answer`, `busy`, `canceled`, `failed`, `refused`.
    #[schema(value_type = Option<String>)]
    pub result: Option<&'static str>,
    /// Why it did not go through: `no-session`, `ended`, `one-way`, `refused`.
    #[schema(value_type = Option<String>)]
    pub refusal: Option<&'static str>,
    /// The decision about its destination, `dec_…`.
    pub decision_id: Option<String>,
    /// How long the two spoke.
    pub seconds: u64,
    /// Its recordings.
    pub recordings: Vec<RecordingView>,
}

impl From<CallRecord> for CallView {
    fn from(call: CallRecord) -> Self {
        let recordings = call.recordings.into_iter().map(|recording| RecordingView {
            id: recording.id,
            status: recording.status,
            url: recording.url,
            seconds: recording.seconds,
            started_at: recording.started_at,
        });
        CallView {
            id: call.id.show(IdKind::Call),
            session_id: call.session.map(|id| id.show(IdKind::Mask)),
            number: call.mask.to_e164(),
            via: call.via,
            from: call.call.from.map(Party::as_str),
            began_at: call.call.began_at,
            answered_at: call.call.answered_at,
            ended_at: call.call.ended.map(|(at, _)| at),
            result: call.call.result().map(|result| result.as_str()),
            refusal: call.refusal.map(|why| why.as_str()),
            decision_id: call.decision.map(|id| id.show(IdKind::Decision)),
            seconds: call.call.spoken().as_secs(),
            recordings: recordings.collect(),
        }
    }
}
