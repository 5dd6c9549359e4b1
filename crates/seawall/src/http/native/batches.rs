//! `POST /v1/messages/batch`: many messages, each accepted or not for itself.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use seawall_core::id::Id;

use super::answers::Refused;
use super::caller::{Known, Posted, enter_chosen};
use super::once::{Turn, answer, rendered, turn, with_room};
use super::requests::BatchRequest;
use super::sent::{BatchAnswer, BatchEntry, Prepared, misunderstood};
use super::whole::whole;
use super::{messages, read};
use crate::app::entities::{Scope, Subaccount};
use crate::app::plans::allow_terms;
use crate::app::send_messages::{SendMessage, Sent, send_messages};
use crate::app::{App, Refusal, number_keys};
use crate::http::rate_limit::RateLimit;

const MESSAGES_AT_MOST: usize = 10_000;

/// Send many messages. One that is refused does not refuse the others.
#[utoipa::path(
    post,
    path = "/v1/messages/batch",
    operation_id = "sendBatch",
    tag = "messages",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters.")),
    request_body = BatchRequest,
    responses((status = 201, description = "Each message, in the order of the request.", body = BatchAnswer)),
    security(("api_key" = []))
)]
pub async fn send(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    headers: HeaderMap,
    posted: Posted<BatchRequest>,
) -> Result<Response, Refused> {
    let named = posted.value.subaccount_id.as_deref();
    let subaccount = enter_chosen(&app, &caller, named, Scope::Sms, app.now()).await?;
    let batch = app.ids.next(app.now())?;
    let many = posted.value.messages.len();
    let (asks, rows) = number_keys::aside(many, || understood(&app, &subaccount, posted.value))?;
    for ask in &asks {
        allow_terms(&app, &caller, &subaccount, &ask.terms)?;
    }
    let rows = Arc::new(rows);
    let kept = rows.clone();
    let scope = format!("{} POST /v1/messages/batch", subaccount.id);
    let render = move |sent: &Vec<Sent>| created(batch, &kept, sent);
    let wish = match turn(&app, &headers, &scope, &posted.bytes, Box::new(render)).await? {
        Turn::Do(wish) => wish,
        Turn::Done(response) => return Ok(response),
    };
    let work = async move { send_messages(&app, &caller, &subaccount.id, asks, Some(batch), wish).await };
    let sent = whole(work).await?;
    Ok(with_room(answer(created(batch, &rows, &sent)), RateLimit::of_all(&sent)))
}

/// One row of the request: a message on its way, or why it could not be understood.
type Row = Result<Prepared, BatchEntry>;

fn understood(
    app: &App,
    subaccount: &Subaccount,
    batch: BatchRequest,
) -> Result<(Vec<SendMessage>, Vec<Row>), Refusal> {
    if batch.messages.is_empty() || batch.messages.len() > MESSAGES_AT_MOST {
        return Err(read::invalid("messages", "a batch has 1 to 10,000 messages; split it"));
    }
    if batch.defaults.to.is_some() {
        return Err(read::invalid("defaults.to", "`to` has no default; name it in each message"));
    }
    let client_batch_id = read::bounded("client_batch_id", batch.client_batch_id, 255)?;
    let mut asks = Vec::with_capacity(batch.messages.len());
    let mut rows = Vec::with_capacity(batch.messages.len());
    for message in batch.messages {
        rows.push(match messages::asked(app, subaccount, message.over(&batch.defaults)) {
            Ok(mut ask) => {
                ask.details.client_batch_id.clone_from(&client_batch_id);
                let prepared = Prepared::new(app, &ask);
                asks.push(ask);
                Ok(prepared)
            }
            Err(refusal) => Err(misunderstood(refusal)),
        });
    }
    Ok((asks, rows))
}

/// Puts what was decided back into the order of the request.
fn created(batch: Id, rows: &[Row], sent: &[Sent]) -> (u16, String) {
    let mut sent = sent.iter();
    let entries = rows.iter().filter_map(|row| match row {
        Ok(prepared) => sent.next().map(|sent| prepared.entry(sent)),
        Err(entry) => Some(entry.clone()),
    });
    rendered(StatusCode::CREATED, &BatchAnswer::new(batch, entries.collect()))
}
