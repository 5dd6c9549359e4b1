//! `/api/v1/subaccounts/{subAccountId}/callflows`: a call that says something. What it says is sent like any message, by
//! providers that carry calls; the gateway itself has no voice, so only `makeCall`, `say` and `hangup` are done.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use seawall_core::decision::Verdict;
use seawall_core::id::IdKind;
use seawall_core::msisdn::Msisdn;
use seawall_core::segments::{EncodingChoice, segment};
use seawall_core::time::Timestamp;
use seawall_store::records::{Details, VoiceWish};
use serde_json::{Value, json};

use super::call::{Entered, enter};
use super::client;
use super::error::{DECISION_ID, Refused, refusal};
use super::iso;
use super::terms;
use crate::app::App;
use crate::app::entities::Scope;
use crate::app::send_messages::{SendMessage, Sent, send_messages};
use crate::http::door::RequestId;
use crate::http::native::whole;

/// Characters of what is said.
const MOST: usize = 3000;

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
    let ask = SendMessage { client, terms, ..understood(&body, app.now())? };
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

fn action(step: &Value) -> &str {
    step.get("action").and_then(Value::as_str).unwrap_or_default()
}

fn text<'a>(step: &'a Value, name: &str) -> Option<&'a str> {
    step.get("params")?.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// The call of a flow and what it says.
fn steps(body: &Value) -> Result<(&Value, &Value), NotCreated> {
    let malformed = NotCreated::new(StatusCode::BAD_REQUEST, -1001, "$.callflow has to be an array");
    let flow = body.get("callflow").and_then(Value::as_array).filter(|flow| !flow.is_empty());
    let flow = flow.ok_or(malformed)?;
    let unknown = flow.iter().position(|step| !["makeCall", "say", "hangup"].contains(&action(step)));
    if let Some(at) = unknown {
        let known = "makeCall,say,hangup; others are not done here";
        let message = format!("$.callflow[{at}].action should be one of: {known}");
        return Err(NotCreated::new(StatusCode::BAD_REQUEST, -1007, message));
    }
    let (code, why) = match flow.as_slice() {
        [call, ..] if action(call) != "makeCall" => (-1013, "First action should be a MakeCall action"),
        [_, second, ..] if action(second) == "makeCall" => {
            (-1011, "one destination; two parties are joined by number masking")
        }
        [call, say] if action(say) == "say" => return Ok((call, say)),
        [call, say, end] if action(say) == "say" && action(end) == "hangup" => return Ok((call, say)),
        [_, end, ..] if action(end) == "hangup" => (-1012, "hangup comes last, after something was said"),
        _ => (-1010, "it is makeCall, one say, and perhaps hangup"),
    };
    Err(NotCreated::unfit(code, format!("Invalid Callflow : {why}")))
}

fn until(body: &Value, now: Timestamp) -> Result<Option<Timestamp>, NotCreated> {
    let Some(given) = body.get("validUntil").filter(|given| !given.is_null()) else { return Ok(None) };
    let until = given.as_str().and_then(iso::parse).filter(|until| *until > now);
    until.map(Some).ok_or_else(|| NotCreated::unfit(-1015, "validUntil has to be a time to come"))
}

/// A flow as a message that is spoken.
fn understood(body: &Value, now: Timestamp) -> Result<SendMessage, NotCreated> {
    let (call, say) = steps(body)?;
    let to = text(call, "destination").and_then(|to| Msisdn::parse(to, None).ok());
    let to = to.ok_or_else(|| NotCreated::unfit(-1017, "Invalid destination MSISDN"))?;
    let source = text(call, "source").map(|source| source.trim_start_matches('+'));
    let number =
        |source: &&str| (7..=15).contains(&source.len()) && source.bytes().all(|b| b.is_ascii_digit());
    let source = source
        .filter(number)
        .ok_or_else(|| NotCreated::unfit(-1014, "Invalid source: a number is needed"))?;
    let said = text(say, "text").filter(|said| said.chars().count() <= MOST);
    let said = said
        .ok_or_else(|| NotCreated::unfit(-1009, format!("text is needed, of at most {MOST} characters")))?;
    let sized =
        segment(said, EncodingChoice::Auto).map_err(|e| NotCreated::unfit(-1009, format!("text: {e}")))?;
    let details = Details { source: Some(source.to_owned()), voice: Some(voice(say)?), ..Details::default() };
    let expires_at = until(body, now)?;
    Ok(SendMessage {
        to,
        text: said.to_owned(),
        sized,
        details,
        due: None,
        expires_at,
        client: seawall_core::request::Client::default(),
        terms: seawall_core::request::Terms::default(),
        purpose: None,
    })
}

fn voice(say: &Value) -> Result<VoiceWish, NotCreated> {
    let number = |name: &str, usual: f64, least: f64, most: f64| {
        let given = say.get("params").and_then(|params| params.get(name)).filter(|given| !given.is_null());
        let Some(given) = given else { return Ok(usual) };
        let found = given.as_f64().filter(|found| (least..=most).contains(found));
        found.ok_or_else(|| NotCreated::unfit(-1009, format!("{name} is from {least} to {most}")))
    };
    let profile = text(say, "voiceProfile").filter(|profile| profile.chars().count() <= 50);
    let profile = profile.ok_or_else(|| NotCreated::unfit(-1002, "voiceProfile is needed"))?;
    let repetition = match number("repetition", 1.0, 1.0, 3.0)? {
        times if times >= 3.0 => 3,
        times if times >= 2.0 => 2,
        _ => 1,
    };
    let speed = number("speed", 1.0, 0.5, 2.0)?;
    // The language is what a profile begins with, such as en-GB of en-GB-Emma.
    let language: Vec<&str> = profile.split('-').take(2).collect();
    Ok(VoiceWish { language: language.join("-"), profile: Some(profile.to_owned()), speed, repetition })
}
