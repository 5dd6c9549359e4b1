//! `/v1/decisions`: what would be done, without doing it; and why something was done.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use seawall_core::consent::Category;
use seawall_core::id::IdKind;
use seawall_core::request::Operation;
use seawall_core::segments::EncodingChoice;
use seawall_store::records::DecisionRecord;

use super::answers::{Refused, seconds, wait};
use super::caller::{Known, Posted, enter_chosen};
use super::read;
use super::requests::{DecisionRequest, NumberOutcomeRequest, OutcomeRequest};
use super::sent::sized;
use super::views::{DecisionAnswer, DecisionView};
use crate::app::decide_only::{DecideOnly, decide_only};
use crate::app::entities::Scope;
use crate::app::plans::allow_terms;
use crate::app::screen::Screened;
use crate::app::who::{Caller, enter};
use crate::app::{App, Refusal, outcome, receipts, recorder};
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
    let own = subaccount.policy.consent.default_category;
    let category = posted.value.category.map_or(own, Into::into);
    let ask = DecideOnly { category, ..asked(&app, subaccount.id.clone(), operation, posted.value)? };
    allow_terms(&app, &caller, &subaccount, &ask.terms)?;
    Ok(Json(shown(&*decide_only(&app, &caller, ask).await?)))
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
        Operation::VoiceCall => Scope::Voice,
    }
}

fn asked(
    app: &App,
    subaccount: String,
    operation: Operation,
    request: DecisionRequest,
) -> Result<DecideOnly, Refusal> {
    let client = read::client(request.client)?;
    let sized = request.text.as_deref().map(|text| sized(text, EncodingChoice::Auto)).transpose()?;
    Ok(DecideOnly {
        subaccount,
        operation,
        to: read::number(app, "to", &request.to, None)?,
        category: Category::Transactional,
        channel: request.channel.into(),
        segments: sized.map_or(1, |sized| sized.segments),
        client,
        terms: read::terms(request.max_price, request.limit_keys, request.risk_check, None)?,
        purpose: read::bounded("purpose", Some(request.purpose), 64)?,
        dry_run: request.dry_run,
    })
}

/// Takes the reasons along: what is screened is large, and was recorded already.
fn shown(screened: &Screened) -> DecisionAnswer {
    let retry_at = screened.decision.retry_at;
    DecisionAnswer {
        id: screened.id.show(IdKind::Decision),
        verdict: screened.decision.verdict.as_str(),
        risk: screened.decision.risk,
        retry_after: retry_at.map(|at| seconds(wait(at, screened.at))),
        reasons: screened.told_reasons(),
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

/// A decision that the caller may see.
async fn found(app: &App, caller: &Caller, id: &str) -> Result<DecisionRecord, Refused> {
    let id = read::id(IdKind::Decision, id)?;
    recorder::settled(app).await;
    let record = app.store.ledger.decision(id).await?.ok_or(Refusal::NotFound)?;
    enter(app, caller, &record.body.subaccount_id, scope(record.body.operation), app.now()).await?;
    Ok(record)
}

/// Tell what became of a decision whose message you sent yourself. A verified one makes the number known, ends
/// its back-off, and is what detection learns from.
#[utoipa::path(
    post,
    path = "/v1/decisions/{id}/outcome",
    operation_id = "reportOutcome",
    tag = "decisions",
    params(("id" = String, Path, description = "`dec_…`")),
    request_body = OutcomeRequest,
    responses((status = 204, description = "Noted.")),
    security(("api_key" = []))
)]
pub async fn outcome(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
    posted: Posted<OutcomeRequest>,
) -> Result<StatusCode, Refused> {
    let asked = posted.value;
    if asked.cost.is_some_and(|cost| cost < 0) {
        return Err(read::invalid("cost", "`cost` is micro-units of money, not below 0").into());
    }
    if read::instant("at", asked.at.as_deref())?.is_some_and(|at| at > app.now()) {
        return Err(read::invalid("at", "`at` lies ahead; leave it out for now").into());
    }
    let record = found(&app, &caller, &id).await?;
    outcome::note(&app, &record, asked.result.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tell what became of the newest allow for a number, when you kept no decision id.
#[utoipa::path(
    post,
    path = "/v1/outcomes",
    operation_id = "reportOutcomeOfNumber",
    tag = "decisions",
    request_body = NumberOutcomeRequest,
    responses((status = 204, description = "Noted.")),
    security(("api_key" = []))
)]
pub async fn outcome_of_number(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    posted: Posted<NumberOutcomeRequest>,
) -> Result<StatusCode, Refused> {
    let asked = posted.value;
    let named = asked.subaccount_id.as_deref();
    let subaccount = enter_chosen(&app, &caller, named, Scope::Verify, app.now()).await?;
    let to = read::number(&app, "to", &asked.to, None)?.msisdn;
    let bounds = Duration::from_secs(1)..=Duration::from_secs(86_400);
    let within = read::duration("within", Some(&asked.within), bounds, Duration::ZERO)?;
    let since = app.now().minus(within);
    let record = outcome::latest(&app, &subaccount.id, to, since).await?.ok_or(Refusal::NotFound)?;
    outcome::note(&app, &record, asked.result.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A decision as a signed receipt (JWS, EdDSA): anyone can verify it offline with the keys at
/// `/.well-known/jwks.json`.
#[utoipa::path(
    get,
    path = "/v1/decisions/{id}/receipt",
    operation_id = "decisionReceipt",
    tag = "decisions",
    params(("id" = String, Path, description = "`dec_…`")),
    responses((
        status = 200, description = "A JWS in compact form; its payload is the decision.", body = String,
        content_type = "application/jose"
    )),
    security(("api_key" = []))
)]
pub async fn receipt(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let record = found(&app, &caller, &id).await?;
    let jws = receipts::sign(&app, &DecisionView::from(record)).map_err(Refusal::Unavailable)?;
    Ok(([(header::CONTENT_TYPE, "application/jose")], jws).into_response())
}
