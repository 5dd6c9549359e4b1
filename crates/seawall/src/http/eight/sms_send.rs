//! One message is sent.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use seawall_core::decision::Verdict;
use seawall_core::reason::ReasonCode;
use seawall_core::segments::Encoding;
use seawall_store::records::Details;

use super::call::{Entered, enter, idempotency_key};
use super::client;
use super::error::{Answer, Refused, SendRefusals, decided, leading, note_decision, refusal, stranger, wait};
use super::fields::Fields;
use super::once::{self, Asked, Once};
use super::sms_request::{self, Around, Shared};
use super::terms;
use super::wire::{SmsRequest, SmsResponse, SmsStatus};
use crate::app::App;
use crate::app::entities::Scope;
use crate::app::hooks::{self, rejection};
use crate::app::plans::allow_terms;
use crate::app::screen::Screened;
use crate::app::send_messages::{Sent, send_messages};
use crate::http::native::whole;
use crate::http::rate_limit::RateLimit;
use crate::jobs::egress::Rules;

/// Sends a message, now or later.
#[utoipa::path(
    post,
    path = "/api/v1/subaccounts/{subAccountId}/messages",
    tag = "8x8 SMS",
    operation_id = "eight_sms_send",
    params(("subAccountId" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = SmsRequest,
    responses((status = 200, body = SmsResponse), SendRefusals),
    security(("api_key" = []))
)]
pub(super) async fn send(State(app): State<Arc<App>>, request: Request) -> Response {
    whole(async move { one(&app, request).await }).await.into_response()
}

async fn one(app: &App, request: Request) -> Answer<Response> {
    let Entered { mut call, subaccount } = enter(app, request, Scope::Sms).await?;
    let key = idempotency_key(&call.headers)?;
    let (body, raw) = call.json(app.config.server.max_body).await?;
    let (client, terms) = (client::read(&call.headers, None)?, terms::read(&call.headers)?);
    allow_terms(app, &call.caller, &subaccount, &terms).map_err(|e| stranger(app, e))?;
    let (rules, now) = (Rules::of(&app.config), app.now());
    let around = Around { app, subaccount: &subaccount, rules, now, client: &client, terms: &terms };
    let ask = sms_request::read(around, &Fields::of(&body, "")?, &Shared::default())?;
    let (details, encoding) = (ask.details.clone(), ask.sized.encoding);
    let kept = details.clone();
    let render = Box::new(move |sent: &Vec<Sent>| {
        let one = sent.first().map(|s| respond(&s.screened, &kept, encoding));
        (200, serde_json::to_string(&one).unwrap_or_default())
    });
    let (operation, key) = ("sms.send", key.as_deref());
    let asked =
        Asked { subaccount: &subaccount, operation, key, raw: &raw, body: &body, client: &ask.client };
    let wish = match once::begin(app, asked, render).await? {
        Once::Replay(kept) => return Ok(once::replay(kept)),
        Once::New(wish) => wish,
    };
    let sent = send_messages(app, &call.caller, &subaccount.id, vec![ask], None, wish).await;
    let sent = sent.map_err(refusal)?.into_iter().next();
    let screened = sent.ok_or_else(Refused::unavailable)?.screened;
    if !screened.allowed() {
        refuse_or_report(app, &screened, &details).await?;
    }
    let mut response = axum::Json(respond(&screened, &details, encoding)).into_response();
    note_decision(response.headers_mut(), screened.id);
    RateLimit::note(RateLimit::of(&screened), response.headers_mut());
    Ok(response)
}

/// Throttles are errors; what is blocked is accepted as rejected, with a receipt that says so (C8).
async fn refuse_or_report(app: &App, screened: &Screened, details: &Details) -> Answer<()> {
    let reason = leading(screened);
    let malformed = reason == Some(ReasonCode::ClientIpRequired);
    if screened.decision.verdict == Verdict::Throttle || malformed {
        return Err(decided(screened));
    }
    report(app, hooks::rejected(app, screened, details, None).into_iter().collect()).await;
    Ok(())
}

/// Hands receipts of rejected messages to the deliverer. The answer does not wait for more than the store.
pub(super) async fn report(app: &App, receipts: Vec<seawall_store::records::HookDelivery>) {
    if receipts.is_empty() {
        return;
    }
    match app.store.ledger.add_hooks(receipts).await {
        Ok(()) => app.hook_work.notify_one(),
        Err(error) => tracing::error!(%error, "receipts of rejected messages could not be stored"),
    }
}

/// What 8x8 says about a message that was screened.
pub(super) fn respond(screened: &Screened, details: &Details, encoding: Encoding) -> SmsResponse {
    let status = if screened.allowed() {
        SmsStatus { code: "QUEUED", description: "SMS is accepted and queued for processing".to_owned() }
    } else {
        SmsStatus { code: "REJECTED", description: why(screened) }
    };
    SmsResponse {
        umid: screened.id.to_uuid(),
        client_message_id: details.client_message_id.clone(),
        destination: shown_digits(screened),
        encoding: hooks::encoding(encoding),
        status,
    }
}

fn shown_digits(screened: &Screened) -> String {
    screened.request.to.shown(screened.request.veiled).trim_start_matches('+').to_owned()
}

fn why(screened: &Screened) -> String {
    match leading(screened) {
        Some(ReasonCode::ClientIpRequired) => {
            "Invalid IP address: this subaccount requires clientIp".to_owned()
        }
        Some(ReasonCode::StoreUnavailable) => "Internal server error".to_owned(),
        _ if screened.decision.verdict == Verdict::Throttle => {
            let seconds = screened.decision.retry_at.map_or(1, |at| wait(at, screened.at));
            format!("Quota exceeded. Please try again in {seconds} second(s).")
        }
        reason => rejection(reason.map(ReasonCode::as_str)).1,
    }
}
