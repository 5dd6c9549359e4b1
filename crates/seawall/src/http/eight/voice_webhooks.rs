//! Where voice events of a subaccount go: one webhook for each kind, as 8x8's voice products set them up.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::call::{Call, Entered, enter};
use super::error::{Refusals, Refused};
use super::voice_error::VoiceRefused;
use crate::app::App;
use crate::app::audit::Actor;
use crate::app::collections::voice_webhooks::VoiceWebhooks;
use crate::app::collections::{self, Wrong};
use crate::app::entities::Scope;
use crate::app::masking::inventory::{VoiceEvent, VoiceWebhook};

/// The signing secret of a webhook that is new: the only time it is shown.
const SECRET: HeaderName = HeaderName::from_static("seawall-webhook-secret");

/// Either dialect's error.
enum Failed {
    Refused(Refused),
    Voice(VoiceRefused),
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        Failed::Refused(refused)
    }
}

impl From<VoiceRefused> for Failed {
    fn from(refused: VoiceRefused) -> Self {
        Failed::Voice(refused)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        match self {
            Failed::Refused(refused) => refused.into_response(),
            Failed::Voice(refused) => refused.into_response(),
        }
    }
}

fn shown(voice: &VoiceWebhook) -> Value {
    json!({
        "type": voice.event.as_str(),
        "url": voice.hook.url,
        "enabled": voice.hook.enabled,
        "httpAuthHeaderAvailable": voice.hook.authorization.is_some(),
    })
}

fn all(app: &App, subaccount: &str) -> Value {
    let snapshot = app.snapshot.load();
    let mine = snapshot.voice_webhooks.iter().filter(|voice| voice.hook.subaccount_id == subaccount);
    let hooks: Vec<Value> = mine.map(shown).collect();
    json!({"subAccountId": subaccount, "count": hooks.len(), "webhooks": hooks, "statusCode": 0, "statusMessage": "ok"})
}

/// Which voice webhooks there are. Secrets are not shown.
#[utoipa::path(
    get,
    path = "/api/v1/subaccounts/{subAccountId}/webhooks",
    tag = "8x8 Voice",
    operation_id = "eight_voice_webhooks_list",
    params(("subAccountId" = String, Path)),
    responses((status = 200, body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn list(State(app): State<Arc<App>>, request: Request) -> Response {
    match enter(&app, request, Scope::Voice).await {
        Ok(entered) => Json(all(&app, &entered.subaccount.id)).into_response(),
        Err(refused) => refused.into_response(),
    }
}

/// Makes or replaces the webhook of one kind.
#[utoipa::path(
    post,
    path = "/api/v1/subaccounts/{subAccountId}/webhooks",
    tag = "8x8 Voice",
    operation_id = "eight_voice_webhooks_set",
    params(("subAccountId" = String, Path)),
    request_body = Object,
    responses((status = 200, body = Object), (status = 422, description = "A field does not fit"), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn set(State(app): State<Arc<App>>, request: Request) -> Response {
    write(&app, request).await.into_response()
}

async fn write(app: &App, request: Request) -> Result<Response, Failed> {
    let Entered { mut call, subaccount } = enter(app, request, Scope::Voice).await?;
    let invalid = || VoiceRefused::invalid("Invalid JSON request body");
    let body = call.json(app.config.server.max_body).await.map_err(|_| invalid())?.0;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let words = || VoiceEvent::ALL.map(|(word, _)| word).join(", ");
    let event = VoiceEvent::ALL.into_iter().find(|(word, _)| Some(*word) == text("type"));
    let event =
        event.ok_or_else(|| VoiceRefused::invalid(format!("Invalid type: one of {} is needed", words())))?.0;
    let url = text("url").ok_or_else(|| VoiceRefused::invalid("Invalid url: it is missing"))?;
    let enabled = match body.get("enabled").or(body.get("active")) {
        None | Some(Value::Null) => true,
        Some(Value::Bool(enabled)) => *enabled,
        Some(_) => return Err(VoiceRefused::invalid("Invalid enabled: true or false is needed").into()),
    };
    let wish = json!({
        "subaccount_id": subaccount.id,
        "event": event,
        "url": url,
        "authorization": text("httpAuthHeader").filter(|text| !text.is_empty()),
        "enabled": enabled,
    });
    let secret = upsert(app, &actor(&call), &subaccount.id, event, wish).await?;
    let mut response = Json(all(app, &subaccount.id)).into_response();
    if let Some(mut secret) = secret.and_then(|secret| HeaderValue::from_str(&secret).ok()) {
        secret.set_sensitive(true);
        response.headers_mut().insert(SECRET, secret);
    }
    Ok(response)
}

fn actor(call: &Call) -> Actor {
    Actor { name: call.caller.key.id.clone(), ip: Some(call.caller.ip.to_string()) }
}

/// The new webhook's signing secret; `None` when it replaced one.
async fn upsert(
    app: &App,
    actor: &Actor,
    subaccount: &str,
    event: &str,
    wish: Value,
) -> Result<Option<String>, Failed> {
    let name = format!("{subaccount}/{event}");
    match collections::patch::<VoiceWebhooks>(app, actor, &name, wish.clone()).await {
        Ok(_) => Ok(None),
        Err(Wrong::Missing(_)) => {
            let fresh = match wish {
                Value::Object(fields) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
                other => other,
            };
            let made = collections::create::<VoiceWebhooks>(app, actor, fresh).await.map_err(wrong)?;
            Ok(made.secret)
        }
        Err(error) => Err(wrong(error)),
    }
}

fn wrong(error: Wrong) -> Failed {
    match error {
        Wrong::Field { field, problem } => {
            VoiceRefused::invalid(format!("Invalid {field}: {problem}")).into()
        }
        _ => Refused::unavailable().into(),
    }
}

/// Deletes the webhook of one kind.
#[utoipa::path(
    delete,
    path = "/api/v1/subaccounts/{subAccountId}/webhooks/{webhook-type}",
    tag = "8x8 Voice",
    operation_id = "eight_voice_webhooks_delete",
    params(("subAccountId" = String, Path), ("webhook-type" = String, Path)),
    responses((status = 200, body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn delete(State(app): State<Arc<App>>, request: Request) -> Response {
    remove(&app, request).await.into_response()
}

async fn remove(app: &App, request: Request) -> Result<Json<Value>, Failed> {
    let Entered { call, subaccount } = enter(app, request, Scope::Voice).await?;
    let kind = call.param("webhook-type").to_ascii_uppercase();
    let found = {
        let snapshot = app.snapshot.load();
        let of =
            |voice: &&VoiceWebhook| voice.event.as_str() == kind && voice.hook.subaccount_id == subaccount.id;
        snapshot.voice_webhooks.iter().find(of).map(|voice| (voice.hook.id.clone(), shown(voice)))
    };
    let missing = || VoiceRefused::missing("Webhook not found");
    let (id, mut gone) = found.ok_or_else(missing)?;
    match collections::delete::<VoiceWebhooks>(app, &actor(&call), &id).await {
        Ok(()) => {}
        Err(Wrong::Missing(_)) => return Err(missing().into()),
        Err(error) => return Err(wrong(error)),
    }
    if let Value::Object(fields) = &mut gone {
        fields.insert("subAccountId".to_owned(), subaccount.id.clone().into());
        fields.insert("statusCode".to_owned(), 0.into());
        fields.insert("statusMessage".to_owned(), "deleted".into());
    }
    Ok(Json(gone))
}
