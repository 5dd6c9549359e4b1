//! `/v1/messages`: send one, look at it, take it back.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use seawall_core::id::IdKind;
use seawall_store::records::{Details, MessageRecord};

use super::answers::Refused;
use super::caller::{Known, Posted, enter_chosen};
use super::message_view::MessageView;
use super::once::{Turn, answer, rendered, turn, with_room};
use super::read;
use super::requests::MessageRequest;
use super::sent::{MessageAccepted, Prepared, sized};
use super::whole::whole;
use crate::app::cancel::cancel_message;
use crate::app::entities::{Scope, Subaccount};
use crate::app::plans::allow_terms;
use crate::app::send_messages::{SendMessage, Sent, send_messages};
use crate::app::who::{Caller, enter};
use crate::app::{App, Refusal, texts};
use crate::http::extract::Path;
use crate::http::openapi::ProblemBody;
use crate::http::problem::Problem;
use crate::http::rate_limit::RateLimit;

/// Send a message.
#[utoipa::path(
    post,
    path = "/v1/messages",
    operation_id = "sendMessage",
    tag = "messages",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters.")),
    request_body = MessageRequest,
    responses((status = 201, description = "It is accepted and on disk.", body = MessageAccepted)),
    security(("api_key" = []))
)]
pub async fn send(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    headers: HeaderMap,
    posted: Posted<MessageRequest>,
) -> Result<Response, Refused> {
    let named = posted.value.subaccount_id.as_deref();
    let subaccount = enter_chosen(&app, &caller, named, Scope::Sms, app.now()).await?;
    let ask = asked(&app, &subaccount, posted.value)?;
    allow_terms(&app, &caller, &subaccount, &ask.terms)?;
    let prepared = Prepared::new(&app, &ask);
    let scope = format!("{} POST /v1/messages", subaccount.id);
    let render = move |sent: &Vec<Sent>| match sent.as_slice() {
        [one] => rendered(StatusCode::CREATED, &prepared.accepted(one)),
        _ => rendered(StatusCode::INTERNAL_SERVER_ERROR, &()),
    };
    let wish = match turn(&app, &headers, &scope, &posted.bytes, Box::new(render.clone())).await? {
        Turn::Do(wish) => wish,
        Turn::Done(response) => return Ok(response),
    };
    let work = async move { send_messages(&app, &caller, &subaccount.id, vec![ask], None, wish).await };
    let sent = whole(work).await?;
    match sent.iter().any(|one| one.screened.allowed()) {
        true => Ok(with_room(answer(render(&sent)), RateLimit::of_all(&sent))),
        false => Err(refused(sent)),
    }
}

fn refused(sent: Vec<Sent>) -> Refused {
    match sent.into_iter().next() {
        Some(one) => Refusal::Decided(one.screened).into(),
        None => Refusal::NotFound.into(),
    }
}

/// A message in types.
pub(super) fn asked(
    app: &App,
    subaccount: &Subaccount,
    request: MessageRequest,
) -> Result<SendMessage, Refusal> {
    let client = read::client(request.client.unwrap_or_default())?;
    let (scheduled, expires) = (request.scheduled_at.as_deref(), request.expires_at.as_deref());
    let (due, expires_at) = read::schedule(scheduled, expires, app.now())?;
    let to = read::number(app, "to", &request.to, request.country.as_deref())?;
    let details = Details {
        veiled: to.veiled,
        source: read::source(request.source)?.or_else(|| subaccount.default_source.clone()),
        client_message_id: read::bounded("client_message_id", request.client_message_id, 255)?,
        callback_url: read::callback_url(app, request.callback_url)?,
        category: request.category.map(Into::into),
        ..Details::default()
    };
    let choice = request.encoding.unwrap_or_default().into();
    let text = texts::as_sent(&subaccount.policy.text, choice, request.text);
    Ok(SendMessage {
        steps: Vec::new(),
        to,
        sized: sized(&text, choice)?,
        text,
        details,
        due,
        expires_at,
        client,
        terms: read::terms(request.max_price, request.limit_keys, request.risk_check, request.decision_id)?,
        purpose: read::bounded("purpose", request.purpose, 64)?,
    })
}

/// A message that the caller may see.
async fn found(app: &App, caller: &Caller, id: &str) -> Result<MessageRecord, Refused> {
    let id = read::id(IdKind::Message, id)?;
    let record = app.store.ledger.message(None, id).await?.ok_or(Refusal::NotFound)?;
    // A key that starts verifications may follow the messages that carry their codes.
    let needed = if record.verification.is_some() { Scope::Verify } else { Scope::Sms };
    enter(app, caller, &record.subaccount, needed, app.now()).await?;
    Ok(record)
}

/// Look at a message.
#[utoipa::path(
    get,
    path = "/v1/messages/{id}",
    operation_id = "getMessage",
    tag = "messages",
    params(("id" = String, Path, description = "`msg_…`")),
    responses((status = 200, description = "As it stands.", body = MessageView)),
    security(("api_key" = []))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Result<Json<MessageView>, Refused> {
    Ok(Json(found(&app, &caller, &id).await?.into()))
}

/// Take a message back that has not been sent yet.
#[utoipa::path(
    delete,
    path = "/v1/messages/{id}",
    operation_id = "cancelMessage",
    tag = "messages",
    params(("id" = String, Path, description = "`msg_…`")),
    responses(
        (status = 200, description = "It will not be sent.", body = MessageView),
        (
            status = 409, description = "It has been sent already.", body = ProblemBody,
            content_type = "application/problem+json"
        ),
    ),
    security(("api_key" = []))
)]
pub async fn cancel(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Result<Json<MessageView>, Refused> {
    let before = found(&app, &caller, &id).await?;
    let taken_back = cancel_message(&app, &before.subaccount, before.id).await?;
    let after =
        app.store.ledger.message(Some(&before.subaccount), before.id).await?.ok_or(Refusal::NotFound)?;
    if taken_back {
        return Ok(Json(after.into()));
    }
    let state = after.state.as_str();
    let detail = format!("The message is {state}; only one that is queued or scheduled can be taken back.");
    Err(Problem::new(StatusCode::CONFLICT, "message-not-cancelable", detail)
        .with("message_state", state)
        .into())
}
