//! Webhook bodies, in 8x8's words: receipts, inbound messages, and how a verification stands.
//!
//! Of a message's states, the ones that tell a receiver something new are reported: `sent`, `delivered`,
//! `undelivered` (failed; expired with error 36) and `rejected` (error 99, after an opt-out 15). `unknown`
//! is not reported until a later receipt makes it one of those, a cancellation not at all: its caller knows.
//! No receipt is reported more than 48 hours after the message was sent or due.

use std::time::Duration;

use seawall_connect::Inbound;
use seawall_core::id::{Id, IdKind};
use seawall_core::message::MessageState;
use seawall_core::msisdn::Msisdn;
use seawall_core::reason::ReasonCode;
use seawall_core::segments::{Encoding, EncodingChoice, segment};
use seawall_core::time::Timestamp;
use seawall_core::verification::{Checked, VerificationState};
use seawall_store::StoreError;
use seawall_store::records::{Details, HookDelivery, MessageRecord, Price, VerificationRecord};
use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::masking::inventory::VoiceEvent;
use super::screen::Screened;

/// Receipts that come later than this are not passed on.
const REPORTED_FOR: Duration = Duration::from_secs(48 * 3600);
/// Error code of a message that our own decision stopped.
pub const BLOCKED: u16 = 99;
/// Error code of a message to a number that opted out.
pub const OPTED_OUT: u16 = 15;

/// A verification as 8x8 shows it, in answers and in webhooks.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    /// 32 hexadecimal digits.
    pub session_id: String,
    /// Where to ask for it.
    pub verify_uri: String,
    /// E.164 with `+`.
    pub destination: String,
    /// `WAITING`, `VERIFIED`, `FAILED` or `EXPIRED`.
    pub status: &'static str,
    /// Wrong codes.
    pub attempt: u8,
    /// From then on no code is accepted.
    pub expires_at: String,
    /// From then on it may be sent again.
    pub retry_after: String,
}

impl SessionView {
    /// How a verification stands at `now`. One that its owner took back reads as expired.
    pub fn of(v: &VerificationRecord, now: Timestamp) -> Self {
        let session_id = v.id.to_hex();
        SessionView {
            verify_uri: format!("/api/v2/subaccounts/{}/sessions/{session_id}", v.subaccount),
            session_id,
            destination: v.to.shown(v.veiled),
            status: match v.lifecycle.at(now) {
                VerificationState::Pending => "WAITING",
                VerificationState::Verified => "VERIFIED",
                VerificationState::Failed => "FAILED",
                VerificationState::Expired | VerificationState::Canceled => "EXPIRED",
            },
            attempt: v.lifecycle.failed_checks,
            expires_at: v.lifecycle.expires_at.to_rfc3339(),
            retry_after: v.lifecycle.retry_at.to_rfc3339(),
        }
    }
}

/// A code was presented: tells the `callbackUrl` of its verification, if it has one.
pub async fn verification_changed(app: &App, v: &VerificationRecord, checked: Checked) {
    let Some(url) = v.callback_url.clone() else { return };
    if !matches!(checked, Checked::Right | Checked::Wrong) {
        return;
    }
    let now = app.now();
    let mut payload = serde_json::to_value(SessionView::of(v, now)).unwrap_or_default();
    if let Value::Object(fields) = &mut payload {
        fields.insert("subAccountId".to_owned(), v.subaccount.clone().into());
        fields.insert("timestamp".to_owned(), now.to_rfc3339().into());
    }
    let body = json!({
        "namespace": "VERIFICATION",
        "eventType": "verification_status_changed",
        "description": "Status of a verification after a code was presented",
        "payload": payload,
    });
    let done = match delivery(app, &v.subaccount, Listener { url, webhook: None }, &body, now) {
        Ok(hook) => app.store.ledger.add_hooks(vec![hook]).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => app.hook_work.notify_one(),
        Err(error) => tracing::error!(%error, "a verification's webhook could not be stored"),
    }
}

/// The receipt of a message that changes its state now; empty when nobody listens.
pub fn message_changed(
    app: &App,
    record: &MessageRecord,
    state: MessageState,
    error: Option<&(u16, String)>,
    at: Timestamp,
) -> Vec<HookDelivery> {
    // The callback URL of a verification is told about checks, not about its messages.
    let own = record.details.callback_url.as_ref().filter(|_| record.verification.is_none());
    let Some(listener) = listener(app, &record.subaccount, own) else {
        return Vec::new();
    };
    let Some((state, detail)) = report(record, state) else {
        return Vec::new();
    };
    if at.since(record.due.unwrap_or(record.id.at())) > REPORTED_FOR {
        return Vec::new();
    }
    let status = Status { state, detail, at, error };
    let about = About {
        id: record.id,
        batch: record.batch,
        subaccount: &record.subaccount,
        to: record.to,
        details: &record.details,
        price: record.price.as_ref(),
        segments: record.segments,
    };
    kept(delivery(app, &record.subaccount, listener, &receipt(&about, &status), at)).into_iter().collect()
}

/// The receipt of a message that a decision stopped before it was one.
pub fn rejected(
    app: &App,
    screened: &Screened,
    details: &Details,
    batch: Option<Id>,
) -> Option<HookDelivery> {
    let listener = listener(app, &screened.request.subaccount, details.callback_url.as_ref())?;
    let error = rejection(screened.leading_reason().map(ReasonCode::as_str));
    let status = Status { state: "rejected", detail: None, at: screened.at, error: Some(&error) };
    let about = About {
        id: screened.id,
        batch,
        subaccount: &screened.request.subaccount,
        to: screened.request.to,
        details,
        price: None,
        segments: screened.request.segments,
    };
    kept(delivery(app, &screened.request.subaccount, listener, &receipt(&about, &status), screened.at))
}

/// Error code and words of a message that a decision stopped.
pub fn rejection(reason: Option<&str>) -> (u16, String) {
    match reason {
        Some("opt-out") => (OPTED_OUT, "Invalid destination: opt-out".to_owned()),
        reason => (BLOCKED, format!("Rejected by policy: {}", reason.unwrap_or("refused"))),
    }
}

/// An inbound message for the webhook of its subaccount.
pub fn inbound(
    app: &App,
    subaccount: &str,
    from: Msisdn,
    inbound: &Inbound,
    now: Timestamp,
) -> Result<Vec<HookDelivery>, StoreError> {
    let Some(listener) = listener(app, subaccount, None) else {
        return Ok(Vec::new());
    };
    let text = inbound.text.reveal();
    let sized = segment(text, EncodingChoice::Auto).ok();
    let body = json!({
        "namespace": "SMS",
        "eventType": "inbound_message_received",
        "description": "Inbound SMS message received",
        "payload": {
            "umid": app.ids.next(now)?.to_uuid(),
            "subAccountId": subaccount,
            "timestamp": now.to_rfc3339(),
            "source": from.to_e164(),
            "destination": inbound.to,
            "body": text,
            "encoding": sized.map_or("GSM7", |s| encoding(s.encoding)),
            "smsCount": sized.map_or(1, |s| s.segments),
            "price": {"total": 0.0, "perSms": 0.0, "currency": currency(app)},
        },
    });
    Ok(vec![delivery(app, subaccount, listener, &body, now)?])
}

/// Any other event for the webhook of a subaccount.
pub fn event(
    app: &App,
    subaccount: &str,
    body: &Value,
    now: Timestamp,
) -> Result<Vec<HookDelivery>, StoreError> {
    let Some(listener) = listener(app, subaccount, None) else { return Ok(Vec::new()) };
    Ok(vec![delivery(app, subaccount, listener, body, now)?])
}

/// A voice event for the webhook that a subaccount set up for its kind, in 8x8's words.
pub fn voice(
    app: &App,
    subaccount: &str,
    event: VoiceEvent,
    body: &Value,
    now: Timestamp,
) -> Result<Option<HookDelivery>, StoreError> {
    let found = app.snapshot.load().voice_webhook(subaccount, event).map(|w| (w.url.clone(), w.id.clone()));
    let Some((url, id)) = found else { return Ok(None) };
    delivery(app, subaccount, Listener { url, webhook: Some(id) }, body, now).map(Some)
}

fn currency(app: &App) -> String {
    app.snapshot.load().account.as_ref().map_or_else(|| "USD".to_owned(), |a| a.currency.clone())
}

/// 8x8's word.
pub fn encoding(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Gsm7 => "GSM7",
        Encoding::Ucs2 => "UCS2",
    }
}

/// Micro-units as 8x8 shows money.
pub fn money(micros: i64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "an amount is far below 2^53 micro-units")]
    let units = micros as f64;
    units / 1_000_000.0
}

/// 8x8's price object.
pub fn price(price: &Price) -> Value {
    json!({"total": money(price.total), "perSms": money(price.per_segment), "currency": price.currency})
}

/// 8x8's state and detail; `None`: nothing to report.
fn report(record: &MessageRecord, state: MessageState) -> Option<(&'static str, Option<&'static str>)> {
    match state {
        MessageState::Sent => Some(("sent", None)),
        MessageState::Delivered => Some(("delivered", Some("delivered_to_recipient"))),
        MessageState::Failed => Some(("undelivered", Some(undelivered(record)))),
        MessageState::Expired => Some(("undelivered", None)),
        MessageState::Rejected => Some(("rejected", None)),
        _ => None,
    }
}

/// Who did not deliver: the operator refused it, or took it and failed.
pub fn undelivered(record: &MessageRecord) -> &'static str {
    let taken = record.progress.attempts.last().is_some_and(|a| a.outcome == "accepted");
    if taken { "undelivered_to_recipient" } else { "rejected_by_operator" }
}

struct About<'a> {
    id: Id,
    batch: Option<Id>,
    subaccount: &'a str,
    to: Msisdn,
    details: &'a Details,
    price: Option<&'a Price>,
    segments: u8,
}

struct Status<'a> {
    state: &'static str,
    detail: Option<&'static str>,
    at: Timestamp,
    error: Option<&'a (u16, String)>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptPayload<'a> {
    umid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_batch_id: Option<&'a str>,
    sub_account_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    destination: String,
    status: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<Value>,
    sms_count: u8,
}

fn receipt(about: &About<'_>, status: &Status<'_>) -> Value {
    let mut shown = json!({"state": status.state, "timestamp": status.at.to_rfc3339()});
    if let Value::Object(fields) = &mut shown {
        if let Some(detail) = status.detail {
            fields.insert("detail".to_owned(), detail.into());
        }
        let expired = status.state == "undelivered" && status.detail.is_none();
        let fallback = expired.then(|| (36, "Expired".to_owned()));
        if let Some((code, message)) = status.error.cloned().or(fallback) {
            fields.insert("errorCode".to_owned(), code.into());
            fields.insert("errorMessage".to_owned(), message.into());
        }
    }
    let payload = ReceiptPayload {
        umid: about.id.to_uuid(),
        batch_id: about.batch.map(Id::to_uuid),
        client_message_id: about.details.client_message_id.as_deref(),
        client_batch_id: about.details.client_batch_id.as_deref(),
        sub_account_id: about.subaccount,
        source: about.details.source.as_deref(),
        destination: about.to.shown(about.details.veiled),
        status: shown,
        price: about.price.map(price),
        sms_count: about.segments,
    };
    json!({
        "namespace": "SMS",
        "eventType": "outbound_message_status_changed",
        "description": "SMS outbound message delivery receipt",
        "payload": payload,
    })
}

/// Who is told.
struct Listener {
    url: String,
    webhook: Option<String>,
}

/// The URL of the request, else the subaccount's webhook, else the one for all.
fn listener(app: &App, subaccount: &str, given: Option<&String>) -> Option<Listener> {
    if let Some(url) = given {
        return Some(Listener { url: url.clone(), webhook: None });
    }
    let snapshot = app.snapshot.load();
    snapshot.webhook(subaccount).map(|w| Listener { url: w.url.clone(), webhook: Some(w.id.clone()) })
}

fn delivery(
    app: &App,
    subaccount: &str,
    listener: Listener,
    body: &Value,
    now: Timestamp,
) -> Result<HookDelivery, StoreError> {
    Ok(HookDelivery {
        id: app.ids.next(now)?,
        url: listener.url,
        webhook: listener.webhook,
        subaccount: subaccount.to_owned(),
        body: body.to_string(),
        tries: 0,
        due: now,
    })
}

/// A receipt that cannot get an id is lost, and said to be.
fn kept(delivery: Result<HookDelivery, StoreError>) -> Option<HookDelivery> {
    delivery.map_err(|error| tracing::error!(%error, "a receipt could not be made")).ok()
}

/// Name of an event in logs and in `webhook-id`.
pub fn event_id(id: Id) -> String {
    id.show(IdKind::Event)
}
