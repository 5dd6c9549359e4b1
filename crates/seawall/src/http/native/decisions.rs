//! `/v1/decisions`: what would be done, without doing it; and why something was done.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use seawall_core::id::IdKind;
use seawall_core::request::Operation;
use seawall_core::segments::EncodingChoice;

use super::answers::{Refused, seconds, wait};
use super::caller::{Known, Posted, enter_chosen};
use super::read;
use super::requests::DecisionRequest;
use super::sent::sized;
use super::views::{DecisionAnswer, DecisionView};
use crate::app::decide_only::{DecideOnly, decide_only};
use crate::app::entities::Scope;
use crate::app::plans::allow_terms;
use crate::app::screen::Screened;
use crate::app::who::enter;
use crate::app::{App, Refusal};
use crate::http::extract::Path;

/// Ask for a decision, to send by other means. An allow is charged as a send unless `dry_run`.
#[utoipa::path(
    post,
    path = "/v1/decisions",
    operation_id = "decide",
    tag = "decisions",
    request_body = DecisionRequest,
    responses((status = 200, description = "The decision, whatever it is.", body = DecisionAnswer)),
    security(("api_key" = []))
)]
pub async fn decide(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    posted: Posted<DecisionRequest>,
) -> Result<Json<DecisionAnswer>, Refused> {
    let operation = operation(&posted.value);
    let named = posted.value.subaccount_id.as_deref();
    let subaccount = enter_chosen(&app, &caller, named, scope(operation), app.now()).await?;
    let ask = asked(subaccount.id.clone(), operation, posted.value)?;
    allow_terms(&app, &caller, &subaccount, &ask.terms)?;
    Ok(Json(shown(*decide_only(&app, &caller, ask).await?)))
}

fn operation(request: &DecisionRequest) -> Operation {
    match request.operation {
        Some(word) => word.into(),
        None if request.purpose == "message" => Operation::SmsSend,
        None => Operation::VerifyStart,
    }
}

fn scope(operation: Operation) -> Scope {
    match operation {
        Operation::VerifyStart | Operation::VerifyCheck => Scope::Verify,
        Operation::SmsSend | Operation::SmsBatch => Scope::Sms,
        Operation::Lookup => Scope::Lookup,
    }
}

fn asked(subaccount: String, operation: Operation, request: DecisionRequest) -> Result<DecideOnly, Refusal> {
    let client = read::client(request.client)?;
    let sized = request.text.as_deref().map(|text| sized(text, EncodingChoice::Auto)).transpose()?;
    Ok(DecideOnly {
        subaccount,
        operation,
        to: read::number(&request.to, None)?,
        channel: request.channel.into(),
        segments: sized.map_or(1, |sized| sized.segments),
        client,
        terms: read::terms(request.max_price, request.limit_keys, request.risk_check)?,
        purpose: read::bounded("purpose", Some(request.purpose), 64)?,
        dry_run: request.dry_run,
    })
}

fn shown(screened: Screened) -> DecisionAnswer {
    let retry_at = screened.decision.retry_at;
    DecisionAnswer {
        id: screened.id.show(IdKind::Decision),
        verdict: screened.decision.verdict.as_str(),
        risk: screened.decision.risk,
        retry_after: retry_at.map(|at| seconds(wait(at, screened.at))),
        reasons: screened.decision.reasons,
        mode: if screened.request.dry_run { "dry_run" } else { "enforce" },
    }
}

/// Look at a decision: what was known, and why. Refusals are there within a second.
#[utoipa::path(
    get,
    path = "/v1/decisions/{id}",
    operation_id = "getDecision",
    tag = "decisions",
    params(("id" = String, Path, description = "`dec_…`")),
    responses((status = 200, description = "As it was recorded.", body = DecisionView)),
    security(("api_key" = []))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Result<Json<DecisionView>, Refused> {
    let id = read::id(IdKind::Decision, &id)?;
    let record = app.store.ledger.decision(id).await?.ok_or(Refusal::NotFound)?;
    let needed = scope(record.body.operation);
    enter(&app, &caller, &record.body.subaccount_id, needed, app.now()).await?;
    Ok(Json(record.into()))
}
