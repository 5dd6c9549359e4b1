//! A message as the native API shows it.

use seawall_core::id::IdKind;
use seawall_core::segments::Encoding;
use seawall_core::time::Timestamp;
use seawall_store::records::{Attempt, MessageRecord, Price};
use serde::Serialize;
use utoipa::ToSchema;

/// What a message costs, in micro-units.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PriceView {
    /// For one segment.
    pub per_segment: i64,
    /// For the message.
    pub total: i64,
    /// ISO 4217.
    pub currency: String,
}

impl From<&Price> for PriceView {
    fn from(price: &Price) -> Self {
        PriceView { per_segment: price.per_segment, total: price.total, currency: price.currency.clone() }
    }
}

/// One delivery try.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptView {
    /// Name of the provider.
    pub provider: String,
    /// When it was submitted.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `accepted`, `refused`, `throttled`, `unreachable` or `unknown`.
    pub outcome: String,
    /// The provider's reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The provider's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl From<Attempt> for AttemptView {
    fn from(a: Attempt) -> Self {
        AttemptView {
            provider: a.provider,
            at: a.at,
            outcome: a.outcome,
            reference: a.reference,
            detail: a.detail,
        }
    }
}

/// Why a message was not delivered.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryError {
    /// The code of the receipt table.
    pub code: u16,
    /// Words for it.
    pub message: String,
}

/// A message on its way. What it says is not shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageView {
    /// `msg_…`
    pub id: String,
    /// The same id as a UUID, as the 8x8-compatible API spells it.
    pub umid: String,
    /// `queued`, `scheduled`, `submitting`, `sent`, `delivered`, `failed`, `expired`, `unknown` or
    /// `canceled`.
    #[schema(value_type = String, example = "queued")]
    pub state: &'static str,
    /// Whose.
    pub subaccount_id: String,
    /// The recipient, E.164.
    pub to: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// `sms` or `call`.
    #[schema(value_type = String, example = "sms")]
    pub channel: &'static str,
    /// Sender ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How many messages it is on the air.
    pub segments: u8,
    /// `gsm7` or `ucs2`.
    #[schema(value_type = String, example = "gsm7")]
    pub encoding: &'static str,
    /// What it costs, when a price is known.
    #[schema(inline = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceView>,
    /// The caller's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<String>,
    /// `bat_…`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<String>,
    /// `ver_…`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification_id: Option<String>,
    /// The decision that allowed it.
    pub decision_id: String,
    /// Delivery tries, oldest first.
    pub attempts: Vec<AttemptView>,
    /// Why it was not delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<DeliveryError>,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it is to be sent, if not at once.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<Timestamp>,
    /// Not sent from then on.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When its state last changed.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
}

impl From<MessageRecord> for MessageView {
    fn from(m: MessageRecord) -> Self {
        let message = m.progress.error_message.unwrap_or_default();
        MessageView {
            id: m.id.show(IdKind::Message),
            umid: m.id.to_uuid(),
            state: m.state.as_str(),
            subaccount_id: m.subaccount,
            to: m.to.shown(m.details.veiled),
            country: m.country.as_str().to_owned(),
            channel: m.channel.as_str(),
            source: m.details.source,
            segments: m.segments,
            encoding: encoding(m.encoding),
            price: m.price.as_ref().map(PriceView::from),
            client_message_id: m.details.client_message_id,
            batch_id: m.batch.map(|id| id.show(IdKind::Batch)),
            verification_id: m.verification.map(|id| id.show(IdKind::Verification)),
            decision_id: m.id.show(IdKind::Decision),
            attempts: m.progress.attempts.into_iter().map(AttemptView::from).collect(),
            error: m.progress.error_code.map(|code| DeliveryError { code, message }),
            created_at: m.id.at(),
            scheduled_at: m.due,
            expires_at: m.expires_at,
            changed_at: m.progress.changed_at,
        }
    }
}

/// The wire word of an encoding.
pub fn encoding(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Gsm7 => "gsm7",
        Encoding::Ucs2 => "ucs2",
    }
}
