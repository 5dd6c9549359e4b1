//! Verification v2: sessions are begun, sent again, looked at, and checked.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use seawall_core::client_ip::ClientIp;
use seawall_core::id::Id;
use seawall_core::verification::Checked;

use super::call::{Call, Entered, enter, idempotency_key, stored};
use super::client;
use super::error::{Answer, Refusals, Refused, SendRefusals, note_decision, refusal, stranger};
use super::once::{self, Asked, Once};
use super::session_request;
use super::terms;
use super::wire::{Session, VerifyRequest};
use crate::app::check_code::Presented;
use crate::app::entities::Scope;
use crate::app::hooks::SessionView;
use crate::app::plans::allow_terms;
use crate::app::start_verification::{Started, start_verification};
use crate::app::{App, Refusal, check_code};
use crate::http::native::whole;
use crate::http::rate_limit::RateLimit;

/// Sends a code, or sends it again.
#[utoipa::path(
    post,
    path = "/api/v2/subaccounts/{subAccountId}/sessions",
    tag = "8x8 Verification",
    operation_id = "eight_verify_start",
    params(("subAccountId" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = VerifyRequest,
    responses((status = 200, body = Session), SendRefusals),
    security(("api_key" = []))
)]
pub(super) async fn create(State(app): State<Arc<App>>, request: Request) -> Response {
    whole(async move { begin(&app, request).await }).await.into_response()
}

async fn begin(app: &App, request: Request) -> Answer<Response> {
    let Entered { mut call, subaccount } = enter(app, request, Scope::Verify).await?;
    let key = idempotency_key(&call.headers)?;
    let (body, raw) = call.json(app.config.server.max_body).await?;
    let mut ask = session_request::read(app, &subaccount, &body)?;
    ask.client = client::read(&call.headers, ask.client.ip)?;
    ask.terms = terms::read(&call.headers)?;
    allow_terms(app, &call.caller, &subaccount, &ask.terms).map_err(|e| stranger(app, e))?;
    // The answer is kept in the same transaction, so it is rendered from what is then written.
    let render = Box::new(|started: &Started| {
        let view = SessionView::of(&started.verification, started.screened.at);
        (200, serde_json::to_string(&view).unwrap_or_default())
    });
    let (operation, key) = ("verify.start", key.as_deref());
    let asked =
        Asked { subaccount: &subaccount, operation, key, raw: &raw, body: &body, client: &ask.client };
    let wish = match once::begin(app, asked, render).await? {
        Once::Replay(kept) => return Ok(once::replay(kept)),
        Once::New(wish) => wish,
    };
    let started = start_verification(app, &call.caller, ask, wish).await.map_err(refusal)?;
    let mut response = shown(app, &started.verification);
    note_decision(response.headers_mut(), started.screened.id);
    RateLimit::note(RateLimit::of(&started.screened), response.headers_mut());
    Ok(response)
}

/// How a session stands; with `code`, presents it.
#[utoipa::path(
    get,
    path = "/api/v2/subaccounts/{subAccountId}/sessions/{sessionId}",
    tag = "8x8 Verification",
    operation_id = "eight_verify_check",
    params(
        ("subAccountId" = String, Path),
        ("sessionId" = String, Path, description = "32 hexadecimal digits, dashes optional"),
        ("code" = Option<String>, Query, min_length = 3, max_length = 10),
        ("clientIp" = Option<String>, Query, description = "The end user who presents the code")
    ),
    responses((status = 200, body = Session), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn read(State(app): State<Arc<App>>, request: Request) -> Response {
    whole(async move { check(&app, request).await }).await.into_response()
}

async fn check(app: &App, request: Request) -> Answer<Response> {
    let Entered { call, subaccount } = enter(app, request, Scope::Verify).await?;
    let code = call.query("code")?;
    if code.as_ref().is_some_and(|code| !(3..=10).contains(&code.chars().count())) {
        return Err(Refused::bad(1000, "Invalid code: it has 3 to 10 characters"));
    }
    let id = Id::parse_hex(call.param("sessionId")).ok_or_else(not_found)?;
    let Some(code) = code else {
        let found = stored(app.store.ledger.verification(Some(&subaccount.id), id).await)?;
        return Ok(shown(app, &found.ok_or_else(not_found)?));
    };
    let client = client::read(&call.headers, client_ip(&call)?)?;
    let presented = Presented { code, bind: None, client };
    let done = check_code::check_code(app, &call.caller, &subaccount.id, id, presented).await;
    let done = done.map_err(|error| match error {
        Refusal::NotFound => not_found(),
        other => refusal(other),
    })?;
    if let Checked::Exhausted { retry_at } = done.checked {
        return Err(Refused::quota(retry_at, done.at));
    }
    let mut response = shown(app, &done.verification);
    if let Some(token) = done.device_token.and_then(|token| HeaderValue::from_str(&token).ok()) {
        response.headers_mut().insert(client::DEVICE_TOKEN, token);
    }
    Ok(response)
}

/// Who presents the code, in the query: this operation has no body.
fn client_ip(call: &Call) -> Answer<Option<ClientIp>> {
    let given = [call.query("clientIp")?, call.query("clientIP")?];
    let read = |text: &String| {
        ClientIp::parse(text).ok_or_else(|| Refused::bad(1012, "Invalid IP address: clientIp is one address"))
    };
    match given.iter().flatten().map(read).collect::<Result<Vec<_>, _>>()?.as_slice() {
        [one, other] if one != other => {
            Err(Refused::bad(1012, "Invalid IP address: clientIp and clientIP differ"))
        }
        all => Ok(all.first().copied()),
    }
}

fn not_found() -> Refused {
    Refused::new(StatusCode::NOT_FOUND, 1404, "Session not found")
}

fn shown(app: &App, verification: &seawall_store::records::VerificationRecord) -> Response {
    let view = SessionView::of(verification, app.now());
    let mut response = axum::Json(view).into_response();
    // The URL of a check holds the code.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
