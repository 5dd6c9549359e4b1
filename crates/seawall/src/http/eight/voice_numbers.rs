//! Virtual numbers and recordings of masked calls, as 8x8's voice product shows them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use seawall_core::id::Id;
use seawall_core::masking::health::Health;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use serde_json::{Value, json};

use super::call::{Entered, enter, stored};
use super::error::{Answer, Refusals};
use super::voice_error::{VoiceRefused, unsupported};
use crate::app::App;
use crate::app::entities::Scope;
use crate::app::masking::health;
use crate::app::masking::inventory::VirtualNumber;
use crate::app::masking::tell::{country, recording_status};

/// The virtual numbers that a subaccount may use, with their health.
#[utoipa::path(
    get,
    path = "/api/v1/subaccounts/{subAccountId}/numbers",
    tag = "8x8 Voice",
    operation_id = "eight_numbers_list",
    params(("subAccountId" = String, Path)),
    responses((status = 200, body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn list(State(app): State<Arc<App>>, request: Request) -> Response {
    listed(&app, request).await.into_response()
}

async fn listed(app: &App, request: Request) -> Answer<Json<Value>> {
    let Entered { subaccount, .. } = enter(app, request, Scope::Voice).await?;
    let all: Vec<(Msisdn, Arc<VirtualNumber>)> = {
        let snapshot = app.snapshot.load();
        snapshot
            .masking
            .numbers_for(&subaccount.id)
            .into_iter()
            .map(|(msisdn, n)| (msisdn, n.clone()))
            .collect()
    };
    let mut shown = Vec::with_capacity(all.len());
    for (msisdn, number) in &all {
        let health = stored(health::of(app, *msisdn).await)?;
        shown.push(view(&subaccount.id, *msisdn, number, &health, app.now()));
    }
    let newest = all.iter().map(|(_, number)| number.updated_at).max();
    Ok(Json(json!({
        "totalNumbers": all.len(),
        "lastUpdatedAt": newest.unwrap_or(app.now()),
        "numbers": shown,
        "statusCode": 0,
        "statusMessage": "ok",
    })))
}

fn view(subaccount: &str, msisdn: Msisdn, number: &VirtualNumber, health: &Health, now: Timestamp) -> Value {
    let status = match (number.enabled, health.failing) {
        (false, _) => "Inactive",
        (true, true) => "Unhealthy",
        (true, false) => "Active",
    };
    json!({
        "msisdn": number.msisdn,
        "dateCreated": number.created_at,
        "dateUpdated": number.updated_at,
        "countryCode": country(msisdn).unwrap_or_default(),
        "operationalStatus": status,
        "referenceId": number.pool,
        "uri": format!("/api/v1/subaccounts/{subaccount}/numbers/{}", msisdn.digits()),
        "numberHealthCheckEnabled": true,
        "numberHealth": {
            "isHealthy": !health.failing,
            "status": status,
            "lastCheckedTime": health.last_at.unwrap_or(now),
        },
    })
}

/// Whether a virtual number is one that the subaccount may use. Digits, with or without `+`.
#[utoipa::path(
    get,
    path = "/api/v1/subaccounts/{subAccountId}/numbers/{number}",
    tag = "8x8 Voice",
    operation_id = "eight_numbers_get",
    params(("subAccountId" = String, Path), ("number" = String, Path)),
    responses((status = 200, body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn get(State(app): State<Arc<App>>, request: Request) -> Response {
    got(&app, request).await.into_response()
}

async fn got(app: &App, request: Request) -> Answer<Response> {
    let Entered { call, subaccount } = enter(app, request, Scope::Voice).await?;
    let text = call.param("number").trim_start_matches('+');
    let wanted = Msisdn::parse(&format!("+{text}"), None).ok().map(|parsed| parsed.msisdn);
    let snapshot = app.snapshot.load();
    let found =
        snapshot.masking.numbers_for(&subaccount.id).into_iter().find(|(msisdn, _)| Some(*msisdn) == wanted);
    let now = app.now();
    Ok(match found {
        Some((msisdn, number)) => Json(json!({
            "statusCode": 0,
            "statusMessage": "ok",
            "timestamp": now,
            "payload": {
                "referenceId": number.pool,
                "msisdn": number.msisdn,
                "countryCode": country(msisdn).unwrap_or_default(),
            },
        }))
        .into_response(),
        None => {
            let body =
                json!({"statusCode": -1, "statusMessage": "Virtual Number not found", "timestamp": now});
            (StatusCode::NOT_FOUND, Json(body)).into_response()
        }
    })
}

/// What is known of the recordings of a call. Recordings stay where the network that carried the call keeps them.
#[utoipa::path(
    get,
    path = "/api/v1/subaccounts/{subAccountId}/recordings/{sessionId}",
    tag = "8x8 Voice",
    operation_id = "eight_recordings_get",
    params(("subAccountId" = String, Path), ("sessionId" = String, Path)),
    responses((status = 200, body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn recordings(State(app): State<Arc<App>>, request: Request) -> Response {
    recorded(&app, request).await
}

async fn recorded(app: &App, request: Request) -> Response {
    let entered = match enter(app, request, Scope::Voice).await {
        Ok(entered) => entered,
        Err(refused) => return refused.into_response(),
    };
    let id = Id::parse_hex(entered.call.param("sessionId"));
    let found = match id {
        Some(id) => stored(app.store.directory.call(id).await),
        None => Ok(None),
    };
    let call = match found {
        Ok(call) => call.filter(|call| call.subaccount == entered.subaccount.id),
        Err(refused) => return refused.into_response(),
    };
    let Some(call) = call else {
        return VoiceRefused::missing("Session not found").into_response();
    };
    let shown = call.recordings.iter().map(|recording| {
        json!({
            "recordingId": recording.id,
            "sessionid": call.id.to_uuid(),
            "subAccountId": call.subaccount,
            "status": recording_status(&recording.status),
            "externalFileUrl": recording.url.clone().unwrap_or_default(),
            "duration": recording.seconds.unwrap_or(0),
            "startRecordingTime": recording.started_at.unwrap_or(call.call.began_at),
        })
    });
    let shown: Vec<Value> = shown.collect();
    Json(json!({"recordings": shown, "statusCode": 0, "statusMessage": "ok"})).into_response()
}

/// There is no push of recordings: they stay with the network that made them.
#[utoipa::path(
    get,
    path = "/api/v1/subaccounts/{subAccountId}/recording-push-config",
    tag = "8x8 Voice",
    operation_id = "eight_recording_push_get",
    params(("subAccountId" = String, Path)),
    responses((status = 404, description = "None is set up"), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn push(State(app): State<Arc<App>>, request: Request) -> Response {
    match enter(&app, request, Scope::Voice).await {
        Ok(_) => VoiceRefused::missing("Recording push config not found").into_response(),
        Err(refused) => refused.into_response(),
    }
}

/// Refused: recordings are not pushed from here, and nothing is kept that would not be used.
#[utoipa::path(
    post,
    path = "/api/v1/subaccounts/{subAccountId}/recording-push-config",
    tag = "8x8 Voice",
    operation_id = "eight_recording_push_set",
    params(("subAccountId" = String, Path)),
    request_body = Object,
    responses((status = 422, description = "Not supported"), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn set_push(State(app): State<Arc<App>>, request: Request) -> Response {
    match enter(&app, request, Scope::Voice).await {
        Ok(_) => unsupported("Recordings stay with the network that made them; set the push up there")
            .into_response(),
        Err(refused) => refused.into_response(),
    }
}

/// There is none to delete.
#[utoipa::path(
    delete,
    path = "/api/v1/subaccounts/{subAccountId}/recording-push-config",
    tag = "8x8 Voice",
    operation_id = "eight_recording_push_delete",
    params(("subAccountId" = String, Path)),
    responses((status = 404, description = "None is set up"), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn delete_push(state: State<Arc<App>>, request: Request) -> Response {
    push(state, request).await
}
