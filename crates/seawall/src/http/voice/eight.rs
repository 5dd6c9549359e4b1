//! 8x8, or whoever speaks as it does, asks by its call action webhook and is answered with a call flow. Its status,
//! summary and recording webhooks may go to the same address. The webhook's `httpAuthHeader` is `Bearer` and an API key
//! with the scope `voice`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use seawall_core::masking::call::{CallResult, Progress};
use seawall_core::time::Timestamp;
use seawall_store::masking::Recording;
use serde_json::{Value, json};

use super::number;
use crate::app::entities::Scope;
use crate::app::masking::progress;
use crate::app::masking::route::{Answer, Incoming, NotAnswered, route};
use crate::app::who::{Caller, enter};
use crate::app::{App, Refusal};
use crate::http::native::answers::Refused;
use crate::http::native::caller::{Known, Posted};
use crate::http::native::{read, whole};

const VIA: &str = "8x8";

/// Take a voice webhook of 8x8's: answer a call action (VCA) with a call flow; note a status (VCS), a summary (VSS) or
/// a recording (VRU).
#[utoipa::path(
    post,
    path = "/v1/masking/calls/8x8",
    operation_id = "takeEightVoiceWebhook",
    tag = "masking",
    request_body(content = Object, description = "8x8's webhook."),
    responses((status = 200, description = "Of a call action: the call flow. Else an empty object.")),
    security(("api_key" = []))
)]
pub async fn take(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    posted: Posted<Value>,
) -> Result<Json<Value>, Refused> {
    let hook = posted.value;
    let payload = hook.get("payload").cloned().unwrap_or_default();
    let reference = text(&payload, "sessionId").filter(|id| (1..=255).contains(&id.len()));
    let reference =
        reference.ok_or_else(|| read::invalid("payload.sessionId", "`sessionId` is missing"))?.to_owned();
    match hook.get("eventType").and_then(Value::as_str) {
        Some("CALL_ACTION") => whole(async move { action(&app, &caller, reference, &payload).await }).await,
        Some(event @ ("CALL_STATUS" | "SESSION_SUMMARY" | "CALL_RECORDING_STATUS")) => {
            let event = event.to_owned();
            whole(async move { noted(&app, &caller, &event, reference, &payload).await }).await
        }
        _ => Ok(Json(json!({}))),
    }
}

fn text<'a>(payload: &'a Value, name: &str) -> Option<&'a str> {
    payload.get(name).and_then(Value::as_str)
}

async fn action(
    app: &App,
    caller: &Caller,
    reference: String,
    payload: &Value,
) -> Result<Json<Value>, Refused> {
    let said = |name| text(payload, name).and_then(number);
    let (from, to) = (said("source"), said("destination"));
    let incoming = Incoming { caller: Some(caller), via: VIA, reference, from, to };
    match route(app, incoming).await {
        Ok(answer) => Ok(Json(flow(answer))),
        Err(NotAnswered::Stranger(stranger)) => Err(stranger.into()),
        Err(NotAnswered::Refused(refusal)) => Err(refusal.into()),
    }
}

fn say(text: &str, language: &str) -> Value {
    json!({"action": "say", "params": {"text": text, "voiceProfile": language, "repetition": 1, "speed": 1}})
}

/// 8x8's call flow.
fn flow(answer: Answer) -> Value {
    match answer {
        Answer::Connect { call, to, shown, record, say: first } => {
            let params =
                json!({"source": shown.to_e164(), "destination": to.to_e164(), "callRecording": record});
            let mut steps: Vec<Value> = first.iter().map(|(text, language)| say(text, language)).collect();
            steps.push(json!({"action": "makeCall", "params": params}));
            json!({"clientActionId": call.to_uuid(), "callflow": steps})
        }
        Answer::Refuse { call, say: (text, language), .. } => {
            let steps = [say(&text, &language), json!({"action": "hangup"})];
            json!({"clientActionId": call.map(seawall_core::id::Id::to_uuid), "callflow": steps})
        }
    }
}

async fn noted(
    app: &App,
    caller: &Caller,
    event: &str,
    reference: String,
    payload: &Value,
) -> Result<Json<Value>, Refused> {
    let Some(call) = app.store.directory.call_named(VIA, &reference).await? else {
        return Err(Refusal::NotFound.into());
    };
    enter(app, caller, &call.subaccount, Scope::Voice, app.now()).await?;
    if event == "CALL_RECORDING_STATUS" {
        if let Some(recording) = recording(payload) {
            progress::recorded(app, VIA, &reference, recording).await?;
        }
    } else if let Some(progress) = understood(event, payload) {
        progress::note(app, VIA, &reference, progress).await?;
    }
    Ok(Json(json!({})))
}

/// What a status or a summary says of a call. The second leg tells whether it was answered; the summary, how it ended.
fn understood(event: &str, payload: &Value) -> Option<Progress> {
    let outbound = text(payload, "callDirection") == Some("OUTBOUND");
    match (event, text(payload, "callStatus"), text(payload, "sessionStatus")) {
        ("CALL_STATUS", Some("CALL_CONNECTED"), _) if outbound => Some(Progress::Answered),
        ("SESSION_SUMMARY", _, Some(status)) => Some(Progress::Ended(Some(match status {
            "COMPLETED" => CallResult::Completed,
            "NO_ANSWER" => CallResult::NoAnswer,
            "BUSY" => CallResult::Busy,
            "CANCELED" => CallResult::Canceled,
            _ => CallResult::Failed,
        }))),
        _ => None,
    }
}

fn recording(payload: &Value) -> Option<Recording> {
    let bounded = |name| text(payload, name).filter(|text| text.len() <= 2048).map(str::to_owned);
    let status = match text(payload, "status")? {
        "UPLOAD_COMPLETED" | "CALLBACK_COMPLETED" => "ready",
        "PROCESSING" => "processing",
        _ => "failed",
    };
    Some(Recording {
        id: bounded("recordingId")?,
        status: status.to_owned(),
        url: bounded("externalFileUrl"),
        seconds: payload.get("duration").and_then(Value::as_u64),
        started_at: text(payload, "startRecordingTime").and_then(Timestamp::parse),
    })
}
