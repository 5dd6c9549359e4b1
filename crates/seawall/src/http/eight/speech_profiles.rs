//! `/api/v1/subaccounts/{subAccountId}/speech-profiles`: the voices of the providers that carry the subaccount's calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use seawall_connect::SpeechProfile;
use seawall_core::message::Channel;
use serde_json::{Value, json};

use super::call::{Entered, enter};
use super::error::{Answer, Refusals};
use super::voice_error::unreachable;
use crate::app::App;
use crate::app::entities::Scope;

/// The voices that a call may be spoken with.
#[utoipa::path(
    get,
    path = "/api/v1/subaccounts/{subAccountId}/speech-profiles",
    tag = "8x8 Voice",
    operation_id = "eight_speech_profiles",
    params(("subAccountId" = String, Path)),
    responses((status = 200, body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn list(State(app): State<Arc<App>>, request: Request) -> Response {
    listed(&app, request).await.into_response()
}

async fn listed(app: &App, request: Request) -> Answer<Response> {
    let Entered { subaccount, .. } = enter(app, request, Scope::Voice).await?;
    let carriers = app.snapshot.load().carriers(Channel::Call, &subaccount.id);
    let asked = carriers.iter().map(|running| async move {
        let voices = running.connector.voices().await?;
        Some(voices.inspect_err(|why| {
            tracing::warn!(provider = %running.provider.name, why, "a provider did not name its voices");
        }))
    });
    let answers: Vec<Result<Vec<SpeechProfile>, String>> =
        join_all(asked).await.into_iter().flatten().collect();
    // One that does not answer hides only its own; if none does, an empty list would be a lie.
    if !answers.is_empty() && answers.iter().all(Result::is_err) {
        return Ok(unreachable("No provider of calls says which voices it has; ask again").into_response());
    }
    Ok(Json(shown(answers.into_iter().flatten().flatten())).into_response())
}

fn shown(all: impl Iterator<Item = SpeechProfile>) -> Value {
    let by_code: BTreeMap<String, SpeechProfile> = all.map(|voice| (voice.code.clone(), voice)).collect();
    json!({
        "speechProfiles": by_code.into_values().collect::<Vec<_>>(),
        "statusCode": 0,
        "statusMessage": "ok",
    })
}
