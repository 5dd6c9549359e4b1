//! `/admin/v1/messages`: what was accepted, and how it travelled.

use std::sync::Arc;

use axum::extract::State;
use seawall_core::callflow;
use seawall_core::id::{Id, IdKind};
use seawall_core::message::MessageState;
use seawall_core::segments::Encoding;
use seawall_core::time::Timestamp;
use seawall_store::records::{Attempt, Content, MessageFilter, MessageRecord, Page, Price};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Admin;
use super::decisions::{time, word};
use super::errors::missing;
use super::page::{List, row, rows, size};
use crate::app::App;
use crate::app::collections::opt_outs::number;
use crate::http::extract::{Path, Query};
use crate::http::native::answers::Refused;
use crate::http::problem::Problem;

const LIST: &str = "messages";

/// Which messages.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct MessageQuery {
    /// Only those of this subaccount.
    pub subaccount_id: Option<String>,
    /// Only those to this number, E.164 with `+`.
    pub msisdn: Option<String>,
    /// Only those in this state.
    #[param(
        pattern = "^(queued|scheduled|submitting|sent|delivered|failed|expired|unknown|canceled|rejected)$"
    )]
    pub state: Option<String>,
    /// Only those of this batch, `bat_…`.
    pub batch_id: Option<String>,
    /// Only those of this verification, `ver_…`.
    pub verification_id: Option<String>,
    /// Not older than this time.
    #[param(format = DateTime)]
    pub from: Option<String>,
    /// Older than this time.
    #[param(format = DateTime)]
    pub to: Option<String>,
    /// Entries at most, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A message with everything that is kept about it, apart from codes.
#[derive(Serialize, ToSchema)]
pub struct AdminMessage {
    /// `msg_…`
    pub id: String,
    /// The same id as a UUID, as the 8x8-compatible API spells it.
    pub umid: String,
    /// Where it stands.
    #[schema(value_type = String, example = "delivered")]
    pub state: &'static str,
    /// Whose.
    pub subaccount_id: String,
    /// The recipient, masked.
    pub to: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// `sms` or `call`.
    #[schema(value_type = String, example = "sms")]
    pub channel: &'static str,
    /// Sender ID.
    pub source: Option<String>,
    /// Delivery tries, oldest first.
    pub attempts: Vec<AdminAttempt>,
    /// How many messages it is on the air.
    pub segments: u8,
    /// `gsm7` or `ucs2`.
    #[schema(value_type = String, example = "gsm7")]
    pub encoding: &'static str,
    /// What it costs, when a price is known.
    pub price: Option<AdminCost>,
    /// Why it was not delivered.
    pub error: Option<AdminDeliveryError>,
    /// The caller's feedback.
    pub outcome: Option<String>,
    /// The caller's own id.
    pub client_message_id: Option<String>,
    /// `bat_…`
    pub batch_id: Option<String>,
    /// `ver_…`
    pub verification_id: Option<String>,
    /// The decision that allowed it.
    pub decision_id: String,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it is to be sent, if not at once.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub scheduled_at: Option<Timestamp>,
    /// Not sent from then on.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When its state last changed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub changed_at: Option<Timestamp>,
    /// What it says: only of one message, never of a code, and not after retention erased it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What a message costs, in micro-units.
#[derive(Serialize, ToSchema)]
pub struct AdminCost {
    /// For one segment.
    pub per_segment: i64,
    /// For the message.
    pub total: i64,
    /// ISO 4217.
    pub currency: String,
}

/// One delivery try.
#[derive(Serialize, ToSchema)]
pub struct AdminAttempt {
    /// Name of the provider.
    pub provider: String,
    /// When it was submitted.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `accepted`, `refused`, `throttled`, `unreachable` or `unknown`.
    pub outcome: String,
    /// The provider's reference.
    pub reference: Option<String>,
    /// The provider's words.
    pub detail: Option<String>,
}

/// Why a message was not delivered.
#[derive(Serialize, ToSchema)]
pub struct AdminDeliveryError {
    /// The code of the receipt table.
    pub code: u16,
    /// Words for it.
    pub message: String,
}

impl From<Attempt> for AdminAttempt {
    fn from(a: Attempt) -> Self {
        AdminAttempt {
            provider: a.provider,
            at: a.at,
            outcome: a.outcome,
            reference: a.reference,
            detail: a.detail,
        }
    }
}

impl From<Price> for AdminCost {
    fn from(price: Price) -> Self {
        AdminCost { per_segment: price.per_segment, total: price.total, currency: price.currency }
    }
}

impl From<MessageRecord> for AdminMessage {
    fn from(m: MessageRecord) -> Self {
        let progress = m.progress;
        let words = progress.error_message.unwrap_or_default();
        AdminMessage {
            id: m.id.show(IdKind::Message),
            umid: m.id.to_uuid(),
            state: m.state.as_str(),
            subaccount_id: m.subaccount,
            to: m.to.masked(),
            country: m.country.to_string(),
            channel: m.channel.as_str(),
            source: m.details.source,
            attempts: progress.attempts.into_iter().map(AdminAttempt::from).collect(),
            segments: m.segments,
            encoding: match m.encoding {
                Encoding::Gsm7 => "gsm7",
                Encoding::Ucs2 => "ucs2",
            },
            price: m.price.map(AdminCost::from),
            error: progress.error_code.map(|code| AdminDeliveryError { code, message: words }),
            outcome: progress.outcome,
            client_message_id: m.details.client_message_id,
            batch_id: m.batch.map(|id| id.show(IdKind::Batch)),
            verification_id: m.verification.map(|id| id.show(IdKind::Verification)),
            decision_id: m.id.show(IdKind::Decision),
            created_at: m.id.at(),
            scheduled_at: m.due,
            expires_at: m.expires_at,
            changed_at: progress.changed_at,
            text: None,
        }
    }
}

fn id(field: &str, kind: IdKind, text: Option<String>) -> Result<Option<Id>, Refused> {
    let read = |text: String| {
        let detail = format!("`{field}` is not an id that begins with {}.", kind.prefix());
        Id::parse(kind, &text).ok_or_else(|| Problem::field(field, detail).into())
    };
    text.map(read).transpose()
}

fn filter(query: MessageQuery) -> Result<MessageFilter, Refused> {
    let states = MessageState::ALL.map(MessageState::as_str);
    let state = word("state", query.state, &states)?;
    Ok(MessageFilter {
        subaccount: query.subaccount_id,
        to: query.msisdn.map(|text| number("msisdn", &text)).transpose()?,
        state: state.and_then(|word| MessageState::ALL.into_iter().find(|s| s.as_str() == word)),
        batch: id("batch_id", IdKind::Batch, query.batch_id)?,
        verification: id("verification_id", IdKind::Verification, query.verification_id)?,
        countries: Vec::new(),
        from: time("from", query.from.as_deref())?,
        to_time: time("to", query.to.as_deref())?,
    })
}

/// Messages, newest first, without what they say.
#[utoipa::path(
    get,
    path = "/admin/v1/messages",
    operation_id = "listMessages",
    tag = "history",
    params(MessageQuery),
    responses((status = 200, description = "A page.", body = List<AdminMessage>)),
    security(("admin_token" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Query(query): Query<MessageQuery>,
) -> Result<axum::Json<List<AdminMessage>>, Refused> {
    let limit = size(query.limit)?;
    let before = row(&app, LIST, query.cursor.as_deref())?;
    let found = app.store.ledger.messages(filter(query)?, Page { before, limit: limit + 1 }).await?;
    Ok(axum::Json(rows(&app, LIST, found, limit, |m| m.id.row(), AdminMessage::from)))
}

/// One message.
#[utoipa::path(
    get,
    path = "/admin/v1/messages/{id}",
    operation_id = "getMessageInFull",
    tag = "history",
    params(("id" = String, Path, description = "`msg_…`, or the same as a UUID.")),
    responses((status = 200, description = "As it stands.", body = AdminMessage)),
    security(("admin_token" = []))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Path(id): Path<String>,
) -> Result<axum::Json<AdminMessage>, Refused> {
    let id =
        Id::parse(IdKind::Message, &id).or_else(|| Id::parse_hex(&id)).ok_or_else(|| missing("message"))?;
    let record = app.store.ledger.message(None, id).await?.ok_or_else(|| missing("message"))?;
    let text = match &record.content {
        Some(Content::Text { text }) if record.verification.is_none() => Some(text.clone()),
        Some(Content::Flow { steps }) => Some(callflow::heard(steps)),
        _ => None,
    };
    Ok(axum::Json(AdminMessage { text, ..record.into() }))
}
