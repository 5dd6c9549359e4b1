//! `/api/v1/subaccounts/{subAccountId}/callflows`: a call in which something is said, played or asked. It is screened and
//! sent like any message, by providers that carry calls; the gateway itself has no voice.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use seawall_core::callflow::{self, Step};
use seawall_core::decision::Verdict;
use seawall_core::id::IdKind;
use seawall_core::message::Channel;
use seawall_core::msisdn::ParsedNumber;
use seawall_core::segments::spoken;
use seawall_core::time::Timestamp;
use seawall_store::records::{Details, VoiceWish};
use serde_json::{Value, json};

use super::call::{Entered, enter};
use super::callflow_steps::{self, Unfit};
use super::client;
use super::error::{DECISION_ID, Refused, refusal};
use super::iso;
use super::terms;
use crate::app::App;
use crate::app::entities::Scope;
use crate::app::masking::inventory::VoiceEvent;
use crate::app::number_keys::{self, Unread};
use crate::app::send_messages::{SendMessage, Sent, send_messages};
use crate::http::door::RequestId;
use crate::http::native::whole;
use crate::jobs::egress::Rules;

/// Why there is no call, in 8x8's words.
struct NotCreated {
    status: StatusCode,
    code: i64,
    message: String,
    headers: Vec<(header::HeaderName, String)>,
}

impl NotCreated {
    fn new(status: StatusCode, code: i64, message: impl Into<String>) -> Self {
        NotCreated { status, code, message: message.into(), headers: Vec::new() }
    }

    /// 422: the flow does not fit.
    fn unfit(code: i64, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }
}

impl From<Refused> for NotCreated {
    fn from(refused: Refused) -> Self {
        // The voice product says 404 where the others say that the subaccount is somebody else's.
        let foreign = refused.code == 1001;
        let status = if foreign { StatusCode::NOT_FOUND } else { refused.status };
        let code = if status == StatusCode::BAD_REQUEST { -1001 } else { i64::from(status.as_u16()) };
        let again = refused.retry_after.map(|seconds| (header::RETRY_AFTER, seconds.to_string()));
        NotCreated { headers: again.into_iter().collect(), ..Self::new(status, code, refused.message) }
    }
}

fn request_id() -> Option<String> {
    RequestId::current().as_ref().map(|id| id.uuid().to_string())
}

impl IntoResponse for NotCreated {
    fn into_response(self) -> Response {
        let body = json!({
            "sessionStatus": "NOT_CREATED", "callFlowRequestId": request_id(), "statusCode": self.code,
            "statusMessage": self.message,
        });
        let mut response = (self.status, Json(body)).into_response();
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// Call a number and say something.
#[utoipa::path(
    post,
    path = "/api/v1/subaccounts/{subAccountId}/callflows",
    tag = "8x8 Voice",
    operation_id = "eight_callflow",
    params(("subAccountId" = String, Path)),
    request_body = Object,
    responses(
        (status = 200, description = "The call will be made.", body = Object),
        (status = "default", description = "Why there is no call, as 8x8's voice product says it.", body = Object)
    ),
    security(("api_key" = []))
)]
pub(super) async fn create(State(app): State<Arc<App>>, request: Request) -> Response {
    whole(async move { made(&app, request).await }).await.into_response()
}

async fn made(app: &App, request: Request) -> Result<Response, NotCreated> {
    let Entered { mut call, subaccount } = enter(app, request, Scope::Voice).await?;
    let (body, _) = call.json(app.config.server.max_body).await?;
    let (client, terms) = (client::read(&call.headers, None)?, terms::read(&call.headers)?);
    let flow = flow(app, &body, Rules::of(&app.config))?;
    feasible(app, &subaccount.id, &flow)?;
    let ask = SendMessage { client, terms, ..understood(&body, flow, app.now())? };
    let until = ask.expires_at;
    let sent = send_messages(app, &call.caller, &subaccount.id, vec![ask], None, None).await;
    let sent = sent.map_err(|error| NotCreated::from(refusal(error)))?;
    match sent.first() {
        Some(one) if one.screened.allowed() => {
            let mut answer = json!({
                "sessionId": one.screened.id.to_uuid(), "sessionStatus": "CREATED",
                "callFlowRequestId": request_id(), "statusCode": 1, "statusMessage": "Created",
            });
            if let (Value::Object(fields), Some(until)) = (&mut answer, until) {
                fields.insert("validUntil".to_owned(), until.to_rfc3339().into());
            }
            Ok(Json(answer).into_response())
        }
        Some(one) => Err(refused(one)),
        None => Err(NotCreated::unfit(-9999, "Nothing was to be done")),
    }
}

fn refused(one: &Sent) -> NotCreated {
    let screened = &one.screened;
    let (status, code) = match screened.decision.verdict {
        Verdict::Throttle => (StatusCode::TOO_MANY_REQUESTS, 429),
        _ => (StatusCode::FORBIDDEN, 1201),
    };
    let why = screened.leading_reason().map_or("refused", |reason| reason.as_str());
    let mut headers = vec![(DECISION_ID, screened.id.show(IdKind::Decision))];
    if let Some(at) = screened.decision.retry_at {
        let wait = at.since(screened.at).as_secs().max(1);
        headers.push((header::RETRY_AFTER, wait.to_string()));
    }
    NotCreated { headers, ..NotCreated::new(status, code, format!("The call was refused: {why}")) }
}

/// A flow that is understood: whom to call, and what happens then.
struct Flow {
    to: ParsedNumber,
    source: String,
    steps: Vec<Step>,
}

fn unfit(unfit: Unfit) -> NotCreated {
    // An action that there is not is a malformed request; the others are well-formed and do not fit.
    let status = if unfit.code == -1007 { StatusCode::BAD_REQUEST } else { StatusCode::UNPROCESSABLE_ENTITY };
    NotCreated::new(status, unfit.code, unfit.message)
}

fn flow(app: &App, body: &Value, rules: Rules) -> Result<Flow, NotCreated> {
    let malformed = NotCreated::new(StatusCode::BAD_REQUEST, -1001, "$.callflow has to be an array");
    let all = body.get("callflow").and_then(Value::as_array).filter(|flow| !flow.is_empty());
    let (call, rest) = all.and_then(|all| all.split_first()).ok_or(malformed)?;
    if callflow_steps::action(call) != "makeCall" {
        return Err(NotCreated::unfit(-1013, "Invalid Callflow : First action should be a MakeCall action"));
    }
    if rest.iter().any(|step| callflow_steps::action(step) == "makeCall") {
        let why = "Multiple destination phone numbers found in the request; number masking joins two parties";
        return Err(NotCreated::unfit(-1011, why));
    }
    let to = number_keys::read(app, text(call, "destination").unwrap_or_default(), None);
    let to = to.map_err(|why| match why {
        Unread::Number(_) => NotCreated::unfit(-1017, "Invalid MSISDN format in Destination"),
        encrypted => NotCreated::unfit(-1017, format!("Invalid MSISDN in Destination: {encrypted}")),
    })?;
    let source = text(call, "source").map(|source| source.trim_start_matches('+'));
    let number =
        |source: &&str| (7..=15).contains(&source.len()) && source.bytes().all(|b| b.is_ascii_digit());
    let source = source.filter(number);
    let source = source.ok_or_else(|| NotCreated::unfit(-1014, "Invalid source: a number is needed"))?;
    let steps = callflow_steps::read(rest, 1, rules).map_err(unfit)?;
    Ok(Flow { to, source: source.to_owned(), steps })
}

fn text<'a>(step: &'a Value, name: &str) -> Option<&'a str> {
    step.get("params")?.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// Whether somebody can do what is asked: a provider that carries such calls, and an app that hears of pressed keys.
fn feasible(app: &App, subaccount: &str, flow: &Flow) -> Result<(), NotCreated> {
    let snapshot = app.snapshot.load();
    let keys = flow.steps.iter().any(|step| matches!(step, Step::Capture(_)));
    if keys && snapshot.voice_webhook(subaccount, VoiceEvent::Vca).is_none() {
        let why = "DTMF callback url not provided: set a VCA webhook up, which is told what is pressed";
        return Err(NotCreated::unfit(-1004, why));
    }
    let route = snapshot.route(flow.to.country, Channel::Call, "message", subaccount);
    if callflow::is_plain(&flow.steps) || route.iter().any(|running| running.connector.carries_steps()) {
        return Ok(());
    }
    let why =
        "Invalid action type was used: no provider of the route to this country carries more than one say";
    Err(NotCreated::unfit(-1007, why))
}

fn until(body: &Value, now: Timestamp) -> Result<Option<Timestamp>, NotCreated> {
    let Some(given) = body.get("validUntil").filter(|given| !given.is_null()) else { return Ok(None) };
    let until = given.as_str().and_then(iso::parse).filter(|until| *until > now);
    until.map(Some).ok_or_else(|| NotCreated::unfit(-1015, "validUntil has to be a time to come"))
}

/// The client's own name of a request or of a batch.
fn named(body: &Value, name: &str) -> Result<Option<String>, NotCreated> {
    let Some(given) = body.get(name).filter(|given| !given.is_null()) else { return Ok(None) };
    let fits = |text: &&str| (1..=50).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    let text = given.as_str().filter(fits);
    let why = format!("Invalid JSON request body: $.{name} is a text of 1 to 50 characters");
    text.map(|text| Some(text.to_owned())).ok_or_else(|| NotCreated::new(StatusCode::BAD_REQUEST, -1001, why))
}

/// A flow as a message that is spoken.
fn understood(body: &Value, flow: Flow, now: Timestamp) -> Result<SendMessage, NotCreated> {
    let said = callflow::said(&flow.steps);
    let plain = callflow::is_plain(&flow.steps);
    let details = Details {
        source: Some(flow.source),
        voice: Some(voice(&flow.steps)),
        client_message_id: named(body, "clientRequestId")?,
        client_batch_id: named(body, "clientBatchId")?,
        veiled: flow.to.veiled,
        ..Details::default()
    };
    Ok(SendMessage {
        to: flow.to,
        sized: spoken(&said),
        text: said,
        steps: if plain { Vec::new() } else { flow.steps },
        details,
        due: None,
        expires_at: until(body, now)?,
        client: seawall_core::request::Client::default(),
        terms: seawall_core::request::Terms::default(),
        purpose: None,
    })
}

/// How the first text is spoken.
fn voice(steps: &[Step]) -> VoiceWish {
    let spoken = steps.iter().find_map(|step| match step {
        Step::Say { speech, times, .. } => Some((speech, *times)),
        Step::Capture(capture) => Some((&capture.speech, 1)),
        Step::Play { .. } | Step::HangUp => None,
    });
    let Some((speech, repetition)) = spoken else {
        return VoiceWish { language: "en-US".to_owned(), profile: None, speed: 1.0, repetition: 1 };
    };
    // The language is what a profile begins with, such as en-GB of en-GB-Emma.
    let language = speech.profile.split('-').take(2).collect::<Vec<_>>().join("-");
    VoiceWish { language, profile: Some(speech.profile.clone()), speed: speech.speed, repetition }
}
