//! Many messages are sent with one request. What is wrong with one of them rejects that one.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use seawall_core::id::Id;
use seawall_core::segments::Encoding;
use seawall_store::records::Details;
use serde_json::Value;

use super::call::{Entered, enter, idempotency_key, stored};
use super::client;
use super::error::{Answer, Refused, SendRefusals, refusal, stranger};
use super::fields::{Bad, Fields};
use super::once::{self, Asked, Once};
use super::sms_request::{self, Around, Shared};
use super::sms_send::{report, respond};
use super::terms;
use super::wire::{BatchRequest, BatchResponse, SmsResponse, SmsStatus};
use crate::app::entities::Scope;
use crate::app::plans::allow_terms;
use crate::app::send_messages::{SendMessage, Sent, send_messages};
use crate::app::{App, hooks, number_keys};
use crate::http::native::whole;
use crate::http::rate_limit::RateLimit;
use crate::jobs::egress::Rules;

/// Messages in one request.
const AT_MOST: usize = 10_000;
/// Characters of a rejected destination that are shown again.
const ECHO: usize = 32;

/// Sends up to 10,000 messages.
#[utoipa::path(
    post,
    path = "/api/v1/subaccounts/{subAccountId}/messages/batch",
    tag = "8x8 SMS",
    operation_id = "eight_sms_batch",
    params(("subAccountId" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = BatchRequest,
    responses((status = 200, body = BatchResponse), SendRefusals),
    security(("api_key" = []))
)]
pub(super) async fn send(State(app): State<Arc<App>>, request: Request) -> Response {
    whole(async move { send_many(&app, request).await }).await.into_response()
}

async fn send_many(app: &App, request: Request) -> Answer<Response> {
    let Entered { mut call, subaccount } = enter(app, request, Scope::Sms).await?;
    let key = idempotency_key(&call.headers)?;
    let (body, raw) = call.json(app.config.server.max_batch_body).await?;
    let (client, terms) = (client::read(&call.headers, None)?, terms::read(&call.headers)?);
    allow_terms(app, &call.caller, &subaccount, &terms).map_err(|e| stranger(app, e))?;
    let (rules, now) = (Rules::of(&app.config), app.now());
    let around = Around { app, subaccount: &subaccount, rules, now, client: &client, terms: &terms };
    let batch = number_keys::aside(many(&body), || read(app, around, &body))?;
    let (asks, plan) = batch.split();
    let plan = Arc::new(plan);
    let kept = plan.clone();
    let render = Box::new(move |sent: &Vec<Sent>| {
        (200, serde_json::to_string(&kept.answer(sent)).unwrap_or_default())
    });
    let (operation, key) = ("sms.batch", key.as_deref());
    let asked = Asked { subaccount: &subaccount, operation, key, raw: &raw, body: &body, client: &client };
    let wish = match once::begin(app, asked, render).await? {
        Once::Replay(kept) => return Ok(once::replay(kept)),
        Once::New(wish) => wish,
    };
    drop(body);
    let sent = send_messages(app, &call.caller, &subaccount.id, asks, Some(plan.id), wish).await;
    let sent = sent.map_err(refusal)?;
    report(app, plan.receipts(app, &sent)).await;
    let mut response = axum::Json(plan.answer(&sent)).into_response();
    RateLimit::note(RateLimit::of_all(&sent), response.headers_mut());
    Ok(response)
}

/// How many messages a request has.
fn many(body: &Value) -> usize {
    let list = body.get("messages").or_else(|| body.get("destinations")).and_then(Value::as_array);
    list.map_or(0, Vec::len)
}

/// A request that was read.
struct Batch {
    id: Id,
    client_batch_id: Option<String>,
    show: bool,
    messages: Vec<Result<SendMessage, SmsResponse>>,
}

/// How the answer is put together: places of rejected messages, and what is said about the others.
struct Plan {
    id: Id,
    client_batch_id: Option<String>,
    show: bool,
    rejected: HashMap<usize, SmsResponse>,
    asked: Vec<(Details, Encoding)>,
}

fn read(app: &App, around: Around<'_>, body: &Value) -> Answer<Batch> {
    let fields = Fields::of(body, "")?;
    let show = fields.flag("includeMessagesInResponse")?.unwrap_or(false);
    let client_batch_id = fields.label("clientBatchId", 20, 3014)?;
    let mut shared = shared(around, &fields)?;
    shared.client_batch_id.clone_from(&client_batch_id);
    shared.client_ip = fields.client_ip()?;
    let messages = match (fields.list("messages")?, fields.list("destinations")?) {
        (Some(messages), _) => each(app, around, counted(messages)?, &shared)?,
        (None, Some(destinations)) => to_each(app, around, counted(destinations)?, &shared)?,
        (None, None) => {
            return Err(Refused::bad(
                3012,
                "Messages missing: send messages, or destinations with a template",
            ));
        }
    };
    Ok(Batch { id: stored(app.ids.next(around.now))?, client_batch_id, show, messages })
}

fn shared(around: Around<'_>, fields: &Fields<'_>) -> Result<Shared, Bad> {
    let Some(template) = fields.object("template", "template.")? else {
        return Ok(Shared::default());
    };
    Ok(Shared {
        text: template.text("text")?.map(str::to_owned),
        source: template.source()?,
        encoding: Some(template.encoding()?),
        scheduled: template.time("scheduled", 1011)?,
        expiry: template.time("expiry", 1006)?,
        callback_url: template.url("dlrCallbackUrl", around.rules)?,
        ..Shared::default()
    })
}

fn counted(list: &[Value]) -> Answer<&[Value]> {
    match list.len() {
        0 => Err(Refused::bad(3012, "Messages missing: the list is empty")),
        1..=AT_MOST => Ok(list),
        _ => Err(Refused::bad(3013, "Too many messages: at most 10000 in one request")),
    }
}

type Read = Vec<Result<SendMessage, SmsResponse>>;

fn each(app: &App, around: Around<'_>, list: &[Value], shared: &Shared) -> Answer<Read> {
    let one = |(n, value): (usize, &Value)| {
        let place = format!("messages[{n}].");
        let fields = Fields::of(value, &place)?;
        let shown = || {
            let destination = value.get("destination").and_then(Value::as_str).unwrap_or_default();
            let id = value.get("clientMessageId").and_then(Value::as_str).filter(|id| id.len() <= 350);
            (destination.to_owned(), id.map(str::to_owned))
        };
        settle(app, around, sms_request::read(around, &fields, shared), shown)
    };
    list.iter().enumerate().map(one).collect()
}

fn to_each(app: &App, around: Around<'_>, list: &[Value], shared: &Shared) -> Answer<Read> {
    if shared.text.as_deref().unwrap_or_default().is_empty() {
        return Err(Refused::bad(1004, "Text value is missing: destinations need template.text"));
    }
    let one = |(n, value): (usize, &Value)| {
        let wrong = || Refused::bad(1000, format!("Invalid parameter: destinations[{n}] has to be a string"));
        let destination = value.as_str().ok_or_else(wrong)?;
        let read = sms_request::shared_to(around, destination, shared);
        settle(app, around, read, || (destination.to_owned(), None))
    };
    list.iter().enumerate().map(one).collect()
}

/// A wrong value rejects its message; a wrong JSON type makes the whole request malformed.
fn settle(
    app: &App,
    around: Around<'_>,
    read: Result<SendMessage, Bad>,
    shown: impl FnOnce() -> (String, Option<String>),
) -> Answer<Result<SendMessage, SmsResponse>> {
    match read {
        Ok(message) => Ok(Ok(message)),
        Err(bad) if bad.shape => Err(bad.into()),
        Err(bad) => {
            let (destination, client_message_id) = shown();
            Ok(Err(SmsResponse {
                umid: stored(app.ids.next(around.now))?.to_uuid(),
                client_message_id,
                destination: destination.chars().take(ECHO).collect(),
                encoding: "AUTO",
                status: SmsStatus { code: "REJECTED", description: described(bad) },
            }))
        }
    }
}

/// The documented descriptions are the messages without the place.
fn described(bad: Bad) -> String {
    match bad.message.split_once("messages[") {
        Some((before, after)) => {
            let rest = after.split_once("].").map_or(after, |(_, rest)| rest);
            format!("{before}{rest}")
        }
        None => bad.message,
    }
}

impl Batch {
    fn split(self) -> (Vec<SendMessage>, Plan) {
        let mut plan = Plan {
            id: self.id,
            client_batch_id: self.client_batch_id,
            show: self.show,
            rejected: HashMap::new(),
            asked: Vec::new(),
        };
        let mut asks = Vec::new();
        for (place, message) in self.messages.into_iter().enumerate() {
            match message {
                Ok(ask) => {
                    plan.asked.push((ask.details.clone(), ask.sized.encoding));
                    asks.push(ask);
                }
                Err(response) => {
                    plan.rejected.insert(place, response);
                }
            }
        }
        (asks, plan)
    }
}

impl Plan {
    fn answer(&self, sent: &[Sent]) -> BatchResponse {
        let accepted = sent.iter().filter(|s| s.screened.allowed()).count();
        let total = sent.len() + self.rejected.len();
        BatchResponse {
            batch_id: self.id.to_uuid(),
            client_batch_id: self.client_batch_id.clone(),
            accepted_count: accepted,
            rejected_count: total - accepted,
            messages: self.show.then(|| self.responses(sent, total)),
        }
    }

    /// In the order of the request.
    fn responses(&self, sent: &[Sent], total: usize) -> Vec<SmsResponse> {
        let mut screened = sent.iter().zip(&self.asked);
        let one = |place: usize| match self.rejected.get(&place) {
            Some(response) => Some(response.clone()),
            None => screened.next().map(|(s, (details, encoding))| respond(&s.screened, details, *encoding)),
        };
        (0..total).filter_map(one).collect()
    }

    /// Receipts of what decisions rejected.
    fn receipts(&self, app: &App, sent: &[Sent]) -> Vec<seawall_store::records::HookDelivery> {
        let refused = sent.iter().zip(&self.asked).filter(|(s, _)| !s.screened.allowed());
        refused
            .filter_map(|(s, (details, _))| hooks::rejected(app, &s.screened, details, Some(self.id)))
            .collect()
    }
}
