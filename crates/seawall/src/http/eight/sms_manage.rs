//! What can be done with a message afterwards: looked at, taken back, and told how it fared.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use seawall_core::id::Id;
use seawall_core::limit::Charge;
use seawall_core::message::MessageState;
use seawall_core::reason::ReasonCode;
use seawall_store::records::{Change, DecisionRecord, MessageRecord};
use serde_json::Value;

use super::call::{Entered, enter, stored};
use super::error::{Answer, Refusals, Refused, refusal};
use super::fields::Fields;
use super::wire::{Canceled, Feedback, MessageDetails, MessagePrice, MessageStatus};
use crate::app::cancel::{cancel_batch, cancel_message};
use crate::app::entities::Scope;
use crate::app::{App, Refusal, hooks};

/// A decision that sends nothing is written within a second; a fresh id is worth that wait.
const FRESH: Duration = Duration::from_secs(3);

/// How a message stands; its text and full number are not shown. Once a second per subaccount.
#[utoipa::path(
    get,
    path = "/api/v1/subaccounts/{subAccountId}/messages/{umid}",
    tag = "8x8 SMS",
    operation_id = "eight_sms_details",
    params(("subAccountId" = String, Path), ("umid" = String, Path)),
    responses((status = 200, body = MessageDetails), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn details(State(app): State<Arc<App>>, request: Request) -> Response {
    show(&app, request).await.into_response()
}

async fn show(app: &App, request: Request) -> Answer<Response> {
    let Entered { call, subaccount } = enter(app, request, Scope::Sms).await?;
    let id = call.id("umid")?;
    once_a_second(app, &subaccount.id).await?;
    if let Some(record) = stored(app.store.ledger.message(Some(&subaccount.id), id).await)? {
        return Ok(axum::Json(of_message(app, &record)).into_response());
    }
    let rejected = rejection_of(app, &subaccount.id, id).await?.ok_or_else(Refused::message_not_found)?;
    Ok(axum::Json(of_rejection(app, &rejected)).into_response())
}

async fn once_a_second(app: &App, subaccount: &str) -> Answer<()> {
    let (index, now) = (app.store.vault.index(), app.now());
    let key = index.counter(index.text(b'8', "message details"), index.text(b's', subaccount));
    let charge = Charge::rate(key, 1, Duration::from_secs(1));
    let full = stored(app.store.counters.charge(&[charge], 1, now).await)?;
    full.exceeded.first().map_or(Ok(()), |full| Err(Refused::quota(Some(full.retry_at), now)))
}

/// The decision of a message that was rejected, if the id names one of this subaccount.
async fn rejection_of(app: &App, subaccount: &str, id: Id) -> Answer<Option<DecisionRecord>> {
    for _ in 0..15 {
        if let Some(found) = stored(app.store.ledger.decision(id).await)? {
            let ours =
                found.body.subaccount_id == subaccount && found.body.operation.as_str().starts_with("sms.");
            return Ok(Some(found).filter(|d| ours && !d.body.sent && !d.body.dry_run));
        }
        // Ids that lie ahead are made up.
        let now = app.now();
        if id.at() > now || now.since(id.at()) > FRESH {
            return Ok(None);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(None)
}

fn of_message(app: &App, record: &MessageRecord) -> MessageDetails {
    let currency = currency(app);
    let price =
        record.price.as_ref().map_or(MessagePrice { total: 0.0, per_sms: 0.0, currency }, |p| MessagePrice {
            total: hooks::money(p.total),
            per_sms: hooks::money(p.per_segment),
            currency: p.currency.clone(),
        });
    MessageDetails {
        umid: record.id.to_uuid(),
        sub_account_id: record.subaccount.clone(),
        direction: "outbound",
        country: Some(record.country.to_string()),
        status: status(record),
        msisdn: record.to.masked_or(record.details.veiled),
        source: record.details.source.clone().unwrap_or_default(),
        body: "**MASKED**",
        encoding: hooks::encoding(record.encoding),
        created_at: record.id.at().to_rfc3339(),
        sms_count: record.segments,
        price,
        client_message_id: record.details.client_message_id.clone(),
        client_batch_id: record.details.client_batch_id.clone(),
        batch_id: record.batch.map(Id::to_uuid),
    }
}

/// A rejected message as far as its decision knows it.
fn of_rejection(app: &App, decision: &DecisionRecord) -> MessageDetails {
    let facts = decision.body.facts.value();
    let reasons = || decision.body.reasons.iter().filter(|r| r.in_force()).map(|r| r.code);
    let opt_out = reasons().find(|code| *code == ReasonCode::OptOut);
    let (error_code, message) =
        hooks::rejection(opt_out.or_else(|| reasons().next()).map(ReasonCode::as_str));
    MessageDetails {
        umid: decision.id.to_uuid(),
        sub_account_id: decision.body.subaccount_id.clone(),
        direction: "outbound",
        country: facts.get("country").and_then(Value::as_str).map(str::to_owned),
        status: MessageStatus {
            state: "failed",
            detail: None,
            error_code: Some(error_code),
            error_message: Some(message),
            timestamp: decision.id.at().to_rfc3339(),
        },
        msisdn: decision.body.to(),
        source: String::new(),
        body: "**MASKED**",
        // The text of a rejected message is not kept, nor is how it would have been encoded.
        encoding: "GSM7",
        created_at: decision.id.at().to_rfc3339(),
        sms_count: facts
            .get("segments")
            .and_then(Value::as_u64)
            .and_then(|n| u8::try_from(n).ok())
            .unwrap_or(1),
        price: MessagePrice { total: 0.0, per_sms: 0.0, currency: currency(app) },
        client_message_id: None,
        client_batch_id: None,
        batch_id: None,
    }
}

fn currency(app: &App) -> String {
    app.snapshot.load().account.as_ref().map_or_else(|| "USD".to_owned(), |a| a.currency.clone())
}

/// 8x8's words for where a message stands. What its owner took back was canceled locally (20).
pub(super) fn status(record: &MessageRecord) -> MessageStatus {
    let progress = &record.progress;
    let (state, detail, fallback) = match record.state {
        MessageState::Queued | MessageState::Scheduled | MessageState::Submitting => ("queued", None, None),
        MessageState::Sent => ("sent", None, None),
        MessageState::Delivered => ("delivered", Some("delivered_to_recipient"), None),
        MessageState::Failed => {
            ("undelivered", Some(hooks::undelivered(record)), Some((57, "Unknown error")))
        }
        MessageState::Expired => ("undelivered", None, Some((36, "Expired"))),
        MessageState::Unknown => ("unknown", None, None),
        MessageState::Canceled => ("undelivered", None, Some((20, "Local cancel"))),
        MessageState::Rejected => ("failed", None, Some((hooks::BLOCKED, "Rejected by policy"))),
    };
    MessageStatus {
        state,
        detail,
        error_code: progress.error_code.or(fallback.map(|f| f.0)),
        error_message: progress.error_message.clone().or(fallback.map(|f| f.1.to_owned())),
        timestamp: progress.changed_at.unwrap_or(record.id.at()).to_rfc3339(),
    }
}

/// Takes a scheduled message back.
#[utoipa::path(
    delete,
    path = "/api/v1/subaccounts/{subAccountId}/messages/{umid}",
    tag = "8x8 SMS",
    operation_id = "eight_sms_cancel",
    params(("subAccountId" = String, Path), ("umid" = String, Path)),
    responses((status = 200, body = Canceled), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn cancel(State(app): State<Arc<App>>, request: Request) -> Response {
    take_back(&app, request).await.into_response()
}

async fn take_back(app: &App, request: Request) -> Answer<Response> {
    let Entered { call, subaccount } = enter(app, request, Scope::Sms).await?;
    let id = call.id("umid")?;
    let canceled = cancel_message(app, &subaccount.id, id).await.map_err(refusal)?;
    Ok(axum::Json(Canceled { cancelled_count: usize::from(canceled) }).into_response())
}

/// Takes back what of a batch has not been sent yet. An unknown batch has nothing to take back.
#[utoipa::path(
    delete,
    path = "/api/v1/subaccounts/{subAccountId}/messages/batch/{batchId}",
    tag = "8x8 SMS",
    operation_id = "eight_sms_cancel_batch",
    params(("subAccountId" = String, Path), ("batchId" = String, Path)),
    responses((status = 200, body = Canceled), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn cancel_all(State(app): State<Arc<App>>, request: Request) -> Response {
    take_batch_back(&app, request).await.into_response()
}

async fn take_batch_back(app: &App, request: Request) -> Answer<Response> {
    let Entered { call, subaccount } = enter(app, request, Scope::Sms).await?;
    let batch = call.id("batchId")?;
    let canceled = match cancel_batch(app, &subaccount.id, batch).await {
        Ok(count) => count,
        Err(Refusal::NotFound) => 0,
        Err(error) => return Err(refusal(error)),
    };
    Ok(axum::Json(Canceled { cancelled_count: canceled }).into_response())
}

/// Tells whether a message had its effect.
#[utoipa::path(
    post,
    path = "/api/v1/subaccounts/{subAccountId}/messages/{umid}/feedback",
    tag = "8x8 SMS",
    operation_id = "eight_sms_feedback",
    params(("subAccountId" = String, Path), ("umid" = String, Path)),
    request_body = Feedback,
    responses((status = 200, description = "Noted"), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn feedback(State(app): State<Arc<App>>, request: Request) -> Response {
    note(&app, request).await.into_response()
}

async fn note(app: &App, request: Request) -> Answer<Response> {
    let Entered { mut call, subaccount } = enter(app, request, Scope::Sms).await?;
    let id = call.id("umid")?;
    let (body, _) = call.json(app.config.server.max_body).await?;
    let fields = Fields::of(&body, "")?;
    let outcome = fields.choice("outcome", &[("success", "success"), ("failure", "failure")], 1000)?;
    let outcome =
        outcome.ok_or_else(|| Refused::bad(1000, "Invalid outcome: success or failure is needed"))?;
    fields.time("timestamp", 1000)?;
    if stored(app.store.ledger.message(Some(&subaccount.id), id).await)?.is_none() {
        return Err(Refused::message_not_found());
    }
    let change = Change {
        id,
        state: None,
        attempt: None,
        error: None,
        outcome: Some(outcome.to_owned()),
        at: app.now(),
        hooks: Vec::new(),
        again: None,
    };
    stored(app.settle(vec![change]).await)?;
    Ok(StatusCode::OK.into_response())
}
