//! A SIP proxy asks for every call, and tells what became of it. Only it may learn whom a call goes to.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use seawall_core::id::IdKind;
use seawall_core::masking::call::{CallResult, Progress};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::number;
use crate::app::entities::Scope;
use crate::app::masking::progress;
use crate::app::masking::route::{self, Answer, Incoming, NotAnswered};
use crate::app::who::enter;
use crate::app::{App, Refusal};
use crate::http::native::answers::Refused;
use crate::http::native::caller::{Known, Posted};
use crate::http::native::{read, whole};

/// What calls of this kind are called.
const VIA: &str = "sip";

/// A call that came.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteRequest {
    /// The network's name for the call; asked again under it, the answer is the same.
    #[schema(min_length = 1, max_length = 255)]
    pub call_id: String,
    /// Who calls: the user part of the caller's address.
    #[schema(max_length = 64)]
    pub from: String,
    /// Which number was called.
    #[schema(max_length = 64)]
    pub to: String,
}

/// What to do with it.
#[derive(Serialize, ToSchema)]
#[schema(as = CallRoute)]
pub struct RouteView {
    /// `connect` or `refuse`.
    #[schema(value_type = String, example = "connect")]
    pub action: &'static str,
    /// The gateway's name for the call, `call_…`.
    pub call: Option<String>,
    /// Whom to call. For the network alone.
    pub to: Option<String>,
    /// What to show as the caller.
    pub caller_id: Option<String>,
    /// Whether to record it.
    pub record: bool,
    /// What the caller is to hear first, or why not.
    pub say: Option<String>,
    /// In which language.
    pub language: Option<String>,
    /// Why not: `no-session`, `ended`, `one-way`, `refused`.
    #[schema(value_type = Option<String>)]
    pub reason: Option<&'static str>,
    /// The SIP status for that.
    pub code: Option<u16>,
    /// The decision, `dec_…`.
    pub decision_id: Option<String>,
}

impl From<Answer> for RouteView {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Connect { call, to, shown, record, say } => {
                let (say, language) = say.unzip();
                RouteView {
                    action: "connect",
                    call: Some(call.show(IdKind::Call)),
                    to: Some(to.to_e164()),
                    caller_id: Some(shown.to_e164()),
                    record,
                    say,
                    language,
                    reason: None,
                    code: None,
                    decision_id: None,
                }
            }
            Answer::Refuse { call, why, say, decision } => RouteView {
                action: "refuse",
                call: call.map(|id| id.show(IdKind::Call)),
                to: None,
                caller_id: None,
                record: false,
                say: Some(say.0),
                language: Some(say.1),
                reason: Some(why.as_str()),
                code: Some(why.sip_code()),
                decision_id: decision.map(|id| id.show(IdKind::Decision)),
            },
        }
    }
}

fn not_answered(why: NotAnswered) -> Refused {
    match why {
        NotAnswered::Stranger(stranger) => stranger.into(),
        NotAnswered::Refused(refusal) => refusal.into(),
    }
}

fn named(text: &str) -> Result<String, Refusal> {
    let fits = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    let wrong = || read::invalid("call_id", "`call_id` is 1 to 255 visible ASCII characters");
    fits.then(|| text.to_owned()).ok_or_else(wrong)
}

/// Ask what to do with a call for a virtual number. Each call is a decision: country policy, deny lists, opt-outs,
/// limits and budgets hold for it. A key with the scope `voice` is needed.
#[utoipa::path(
    post,
    path = "/v1/masking/calls/route",
    operation_id = "routeMaskedCall",
    tag = "masking",
    request_body = RouteRequest,
    responses((status = 200, description = "What to do.", body = RouteView)),
    security(("api_key" = []))
)]
pub async fn route(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    posted: Posted<RouteRequest>,
) -> Result<Json<RouteView>, Refused> {
    let request = posted.value;
    let reference = named(&request.call_id)?;
    let work = async move {
        let (from, to) = (number(&request.from), number(&request.to));
        let incoming = Incoming { caller: Some(&caller), via: VIA, reference, from, to };
        route::route(&app, incoming).await
    };
    Ok(Json(whole(work).await.map_err(not_answered)?.into()))
}

/// How a call goes.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallEvent {
    /// The other phone rings.
    Ringing,
    /// It was answered.
    Answered,
    /// It is over.
    Ended,
}

/// What became of a call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallEventRequest {
    /// The network's name for the call.
    #[schema(min_length = 1, max_length = 255)]
    pub call_id: String,
    /// What happened.
    pub event: CallEvent,
    /// The final SIP status, of a call that nobody answered.
    #[schema(minimum = 200, maximum = 699)]
    pub code: Option<u16>,
}

/// Tell what became of a call that was asked about.
#[utoipa::path(
    post,
    path = "/v1/masking/calls/events",
    operation_id = "noteMaskedCall",
    tag = "masking",
    request_body = CallEventRequest,
    responses((status = 204, description = "It is on disk.")),
    security(("api_key" = []))
)]
pub async fn note(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    posted: Posted<CallEventRequest>,
) -> Result<StatusCode, Refused> {
    let request = posted.value;
    let reference = named(&request.call_id)?;
    let progress = match (request.event, request.code) {
        (CallEvent::Ringing, _) => Progress::Ringing,
        (CallEvent::Answered, _) => Progress::Answered,
        (CallEvent::Ended, code) => Progress::Ended(code.map(CallResult::of_sip)),
    };
    let call = app.store.directory.call_named(VIA, &reference).await?.ok_or(Refusal::NotFound)?;
    enter(&app, &caller, &call.subaccount, Scope::Voice, app.now()).await?;
    whole(async move { progress::note(&app, VIA, &reference, progress).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
