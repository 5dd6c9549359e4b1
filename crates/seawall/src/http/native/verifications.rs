//! `/v1/verifications`: send a code, check it, look at it, take it back.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use seawall_core::code::CodeShape;
use seawall_core::id::IdKind;
use seawall_core::message::Channel;
use seawall_core::reason::ReasonCode;
use seawall_core::segments::EncodingChoice;
use seawall_core::verification::{Checked, VerificationState};
use seawall_store::records::{VerificationRecord, VoiceWish};

use super::answers::{self, Refused};
use super::caller::{Known, Posted, enter_chosen};
use super::once::{Turn, answer, rendered, turn, with_room};
use super::read;
use super::requests::{ApproveRequest, CheckRequest, VerificationRequest};
use super::template::{Wanted, choose};
use super::views::{CheckView, VerificationView, attempts_left};
use super::whole::whole;
use crate::app::approve;
use crate::app::audit::Actor;
use crate::app::cancel_verification::cancel_verification;
use crate::app::check_code::{CodeChecked, Presented, check_code};
use crate::app::entities::{Scope, Subaccount};
use crate::app::plans::allow_terms;
use crate::app::start_verification::{StartVerification, Started, start_verification};
use crate::app::who::{Caller, enter};
use crate::app::{App, Refusal};
use crate::http::extract::Path;
use crate::http::openapi::ProblemBody;
use crate::http::problem::Problem;
use crate::http::rate_limit::RateLimit;

const CODE_LENGTH: u8 = 6;
const TTL_LEAST: Duration = Duration::from_secs(10);
const TTL_MOST: Duration = Duration::from_secs(24 * 3600);
const RESEND_LEAST: Duration = Duration::from_secs(10);
const RESEND_MOST: Duration = Duration::from_secs(2 * 3600);

/// Send a one-time code. While a verification of the number is pending, its code is sent again.
#[utoipa::path(
    post,
    path = "/v1/verifications",
    operation_id = "startVerification",
    tag = "verifications",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters.")),
    request_body = VerificationRequest,
    responses((status = 201, description = "A code is on its way.", body = VerificationView)),
    security(("api_key" = []))
)]
pub async fn start(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    headers: HeaderMap,
    posted: Posted<VerificationRequest>,
) -> Result<Response, Refused> {
    let named = posted.value.subaccount_id.as_deref();
    let subaccount = enter_chosen(&app, &caller, named, Scope::Verify, app.now()).await?;
    let ask = asked(&app, &subaccount, posted.value)?;
    allow_terms(&app, &caller, &subaccount, &ask.terms)?;
    let scope = format!("{} POST /v1/verifications", subaccount.id);
    let wish = match turn(&app, &headers, &scope, &posted.bytes, Box::new(created)).await? {
        Turn::Do(wish) => wish,
        Turn::Done(response) => return Ok(response),
    };
    let started = whole(async move { start_verification(&app, &caller, ask, wish).await }).await?;
    Ok(with_room(answer(created(&started)), RateLimit::of(&started.screened)))
}

fn created(started: &Started) -> (u16, String) {
    let now = started.screened.at;
    rendered(StatusCode::CREATED, &VerificationView::new(&started.verification, now))
}

fn asked(
    app: &App,
    subaccount: &Subaccount,
    request: VerificationRequest,
) -> Result<StartVerification, Refusal> {
    let channel = Channel::from(request.channel);
    let client = read::client(request.client)?;
    let brand = read::bounded("brand", request.brand, 64)?;
    let locale = locale(request.locale)?;
    let wanted = Wanted {
        text: request.template,
        key: request.template_key.as_deref(),
        locale: locale.as_deref(),
        channel,
        subaccount: &subaccount.id,
        branded: brand.is_some(),
    };
    let bounds = &app.config.verification;
    let length = request.code_length.unwrap_or(CODE_LENGTH.max(bounds.min_code_length));
    let shape = CodeShape::new(request.code_type.into(), length);
    Ok(StartVerification {
        subaccount: subaccount.id.clone(),
        to: read::number(app, "to", &request.to, request.country.as_deref())?,
        channel,
        shape: shape.map_err(|error| read::invalid("code_length", error.to_string()))?,
        free_length: request.code_length.is_none(),
        given_code: None,
        ttl: read::duration("ttl", request.ttl.as_deref(), TTL_LEAST..=TTL_MOST, bounds.default_ttl)?,
        resend_interval: read::duration(
            "resend_interval",
            request.resend_interval.as_deref(),
            RESEND_LEAST..=RESEND_MOST,
            RESEND_LEAST,
        )?,
        reset: false,
        lines: read::lines(request.app, request.bind, request.do_not_share, locale.as_deref())?,
        template: choose(wanted, &app.snapshot.load().templates)?,
        brand,
        source: read::source(request.source)?.or_else(|| subaccount.default_source.clone()),
        encoding: EncodingChoice::Auto,
        voice: locale.filter(|_| channel == Channel::Call).map(voice),
        callback_url: read::callback_url(app, request.callback_url)?,
        client,
        terms: read::terms(request.max_price, request.limit_keys, request.risk_check, request.decision_id)?,
        purpose: read::bounded("purpose", request.purpose, 64)?,
        binding: None,
    })
}

fn locale(text: Option<String>) -> Result<Option<String>, Refusal> {
    let text = read::bounded("locale", text, 35)?;
    let tag = |text: &str| {
        text.split('-').all(|p| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    match &text {
        Some(text) if !tag(text) => Err(read::invalid("locale", "`locale` is a BCP 47 tag such as en-SG")),
        _ => Ok(text),
    }
}

/// A call in the caller's language, slow enough to write along.
fn voice(language: String) -> VoiceWish {
    VoiceWish { language, profile: None, speed: 0.8, repetition: 2 }
}

/// A verification that the caller may see.
async fn found(app: &App, caller: &Caller, id: &str) -> Result<VerificationRecord, Refused> {
    let id = read::id(IdKind::Verification, id)?;
    let record = app.store.ledger.verification(None, id).await?.ok_or(Refusal::NotFound)?;
    enter(app, caller, &record.subaccount, Scope::Verify, app.now()).await?;
    Ok(record)
}

/// Look at a verification.
#[utoipa::path(
    get,
    path = "/v1/verifications/{id}",
    operation_id = "getVerification",
    tag = "verifications",
    params(("id" = String, Path, description = "`ver_…`")),
    responses((status = 200, description = "As it stands.", body = VerificationView)),
    security(("api_key" = []))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Result<Json<VerificationView>, Refused> {
    let record = found(&app, &caller, &id).await?;
    Ok(Json(VerificationView::new(&record, app.now())))
}

/// Take a verification back. Taking it back again changes nothing.
#[utoipa::path(
    delete,
    path = "/v1/verifications/{id}",
    operation_id = "cancelVerification",
    tag = "verifications",
    params(("id" = String, Path, description = "`ver_…`")),
    responses(
        (status = 200, description = "It is canceled; no code is accepted.", body = VerificationView),
        (
            status = 409, description = "It had ended otherwise.", body = ProblemBody,
            content_type = "application/problem+json"
        ),
    ),
    security(("api_key" = []))
)]
pub async fn cancel(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Result<Json<VerificationView>, Refused> {
    let record = found(&app, &caller, &id).await?;
    let (canceled, record) = cancel_verification(&app, &record.subaccount, record.id).await?;
    let now = app.now();
    if !canceled {
        return Err(ended(record.lifecycle.at(now)).into());
    }
    Ok(Json(VerificationView::new(&record, now)))
}

/// Present a code. A wrong one is an answer, not an error.
#[utoipa::path(
    post,
    path = "/v1/verifications/{id}/check",
    operation_id = "checkVerification",
    tag = "verifications",
    params(("id" = String, Path, description = "`ver_…`")),
    request_body = CheckRequest,
    responses(
        (status = 200, description = "The code was looked at.", body = CheckView),
        (
            status = 409, description = "The verification has ended.", body = ProblemBody,
            content_type = "application/problem+json"
        ),
        (
            status = 429, description = "Too many wrong codes; not looked at.", body = ProblemBody,
            content_type = "application/problem+json"
        ),
    ),
    security(("api_key" = []))
)]
pub async fn check(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
    posted: Posted<CheckRequest>,
) -> Result<Json<CheckView>, Refused> {
    let record = found(&app, &caller, &id).await?;
    let presented = presented(posted.value)?;
    let done =
        whole(async move { check_code(&app, &caller, &record.subaccount, record.id, presented).await })
            .await?;
    looked_at(&done)
}

fn presented(request: CheckRequest) -> Result<Presented, Refusal> {
    if request.code.is_empty() || request.code.len() > 64 {
        return Err(read::invalid("code", "`code` is what the user typed, 1 to 64 characters"));
    }
    Ok(Presented {
        code: request.code,
        bind: request.bind.map(read::payment).transpose()?.map(|payment| payment.canonical()),
        client: read::client(request.client)?,
    })
}

/// Approve a verification by hand, without a code. Needs the scope `approve`, and is written to the audit log.
#[utoipa::path(
    post,
    path = "/v1/verifications/{id}/approve",
    operation_id = "approveVerification",
    tag = "verifications",
    params(("id" = String, Path, description = "`ver_…`")),
    request_body = ApproveRequest,
    responses(
        (status = 200, description = "It is verified.", body = VerificationView),
        (
            status = 409, description = "It had ended otherwise.", body = ProblemBody,
            content_type = "application/problem+json"
        ),
    ),
    security(("api_key" = []))
)]
pub async fn approve(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
    posted: Posted<ApproveRequest>,
) -> Result<Json<VerificationView>, Refused> {
    let id = read::id(IdKind::Verification, &id)?;
    let record = app.store.ledger.verification(None, id).await?.ok_or(Refusal::NotFound)?;
    enter(&app, &caller, &record.subaccount, Scope::Approve, app.now()).await?;
    let note = read::bounded("note", Some(posted.value.note), 500)?.unwrap_or_default();
    let actor = Actor { name: caller.key.id.clone(), ip: Some(caller.ip.to_string()) };
    let (verified, record) = approve::approve(&app, &actor, &record.subaccount, id, &note).await?;
    let now = app.now();
    if !verified {
        return Err(ended(record.lifecycle.at(now)).into());
    }
    Ok(Json(VerificationView::new(&record, now)))
}

pub(super) fn looked_at(done: &CodeChecked) -> Result<Json<CheckView>, Refused> {
    let state = done.verification.lifecycle.at(done.at);
    match done.checked {
        Checked::Right | Checked::Wrong => Ok(Json(CheckView {
            status: state.as_str(),
            attempts_left: attempts_left(&done.verification),
            device_token: done.device_token.clone(),
        })),
        Checked::Final if state == VerificationState::Failed => {
            // A new verification is what helps; it may be begun once the resending interval is over.
            let wait = answers::wait(done.verification.lifecycle.resend_at(), done.at);
            let detail = "Too many wrong codes: this verification has failed. Start a new one.";
            Err(exhausted(detail).retry_after(wait).into())
        }
        Checked::Final => Err(ended(state).into()),
        Checked::Exhausted { retry_at } => {
            let problem = exhausted("Too many wrong codes for this number; the code was not looked at.");
            Err(match retry_at {
                Some(at) => problem.retry_after(answers::wait(at, done.at)).into(),
                None => problem.into(),
            })
        }
    }
}

fn exhausted(detail: &'static str) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, ReasonCode::CheckBudgetExhausted.as_str(), detail)
}

/// Never 200: an answer that says `verified` to any code would be taken for a check.
fn ended(state: VerificationState) -> Problem {
    let detail = format!("The verification has ended before: it is {}. Start a new one.", state.as_str());
    Problem::new(StatusCode::CONFLICT, "verification-ended", detail)
        .with("verification_status", state.as_str())
}
