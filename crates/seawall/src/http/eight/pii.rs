//! What a message says of a person is removed: number, text, sender number, addresses, the caller's own ids. State,
//! country, segments and price stay.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use seawall_core::id::{Id, IdKind};
use serde_json::json;

use super::call::{Entered, enter, stored};
use super::error::{Answer, Refusals, Refused, refusal};
use crate::app::App;
use crate::app::audit::Actor;
use crate::app::cancel::cancel_message;
use crate::app::entities::Scope;

/// How often a message that is with a provider is tried again, and how long between.
const TRIES: usize = 300;
const PAUSE: Duration = Duration::from_millis(200);

/// Removes personal data from one message, shortly after. A second time there is nothing to remove.
#[utoipa::path(
    delete,
    path = "/api/v1/subaccounts/{subAccountId}/messages/{umid}/pii",
    tag = "8x8 SMS",
    operation_id = "eight_sms_delete_pii",
    params(("subAccountId" = String, Path), ("umid" = String, Path)),
    responses((status = 202, description = "It will be done shortly"), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn delete(State(app): State<Arc<App>>, request: Request) -> Response {
    remove(app, request).await.into_response()
}

async fn remove(app: Arc<App>, request: Request) -> Answer<Response> {
    let Entered { call, subaccount } = enter(&app, request, Scope::Sms).await?;
    let id = call.id("umid")?;
    let erased = stored(app.store.ledger.erase_message(&subaccount.id, id).await)?;
    let erased = erased.ok_or_else(Refused::message_not_found)?;
    let actor = Actor { name: call.caller.key.id.clone(), ip: Some(call.caller.ip.to_string()) };
    let entry = actor.entry(app.now(), "messages.erase", &id.show(IdKind::Message), json!({}));
    stored(app.store.directory.note_audit(entry).await)?;
    if !erased {
        // What waits is taken back; what is with a provider is waited for.
        cancel_message(&app, &subaccount.id, id).await.map_err(refusal)?;
        tokio::spawn(later(app, subaccount.id.clone(), id));
    }
    Ok(StatusCode::ACCEPTED.into_response())
}

async fn later(app: Arc<App>, subaccount: String, id: Id) {
    for _ in 0..TRIES {
        match app.store.ledger.erase_message(&subaccount, id).await {
            Ok(Some(false)) => tokio::time::sleep(PAUSE).await,
            Ok(_) => return,
            Err(error) => {
                tracing::error!(%error, "personal data of a message could not be removed");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    tracing::error!("personal data of a message could not be removed: it never settled");
}
