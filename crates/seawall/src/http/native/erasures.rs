//! Everything about a number is erased, and the receipt of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use seawall_core::id::IdKind;
use seawall_core::time::Timestamp;
use seawall_store::records::ErasureJob;
use serde::Serialize;
use utoipa::ToSchema;

use super::answers::Refused;
use super::caller::Known;
use super::whole::whole;
use super::{numbers, read};
use crate::app::audit::Actor;
use crate::app::entities::Scope;
use crate::app::who::{Caller, enter};
use crate::app::{App, Refusal, erasure};
use crate::http::extract::Path;
use crate::http::problem::Problem;

/// An erasure.
#[derive(Serialize, ToSchema)]
pub struct ErasureView {
    /// `era_…`
    pub id: String,
    /// `running` or `done`.
    #[schema(value_type = String, example = "done")]
    pub status: &'static str,
    /// Once it is done: what was where and what stays, as a JWS (EdDSA) that the keys at
    /// `/.well-known/jwks.json` verify.
    pub receipt: Option<String>,
    /// Where to ask again.
    pub url: String,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub asked_at: Timestamp,
}

impl From<ErasureJob> for ErasureView {
    fn from(job: ErasureJob) -> Self {
        let id = job.id.show(IdKind::Erasure);
        ErasureView {
            url: format!("/v1/erasures/{id}"),
            id,
            status: if job.receipt.is_some() { "done" } else { "running" },
            receipt: job.receipt,
            asked_at: job.asked_at,
        }
    }
}

/// What is kept about a number lies in all subaccounts, so the key has to reach there, too.
pub(super) async fn whole_account(app: &App, caller: &Caller) -> Result<(), Refused> {
    if caller.key.subaccounts.is_some() {
        let detail = "This reaches into all subaccounts; use a key that is not restricted to some.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "scope-missing", detail).into());
    }
    let first = app.snapshot.load().subaccounts.keys().min().cloned().ok_or(Refusal::NotFound)?;
    enter(app, caller, &first, Scope::Contacts, app.now()).await?;
    Ok(())
}

/// Erase everything about a number: messages, verifications, decisions, lookups, kept answers, waiting webhooks,
/// evidence. Done within moments as a rule; the receipt says what was where and what stays as a keyed hash.
#[utoipa::path(
    delete,
    path = "/v1/numbers/{msisdn}/data",
    operation_id = "eraseNumber",
    tag = "numbers",
    params(("msisdn" = String, Path, description = "In international form, `+` written `%2B` or left out")),
    responses((status = 202, description = "It is on disk that this will be done.", body = ErasureView)),
    security(("api_key" = []))
)]
pub async fn erase(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(msisdn): Path<String>,
) -> Result<(StatusCode, Json<ErasureView>), Refused> {
    whole_account(&app, &caller).await?;
    let number = numbers::number(&msisdn, None)?.msisdn;
    let actor = Actor { name: caller.key.id.clone(), ip: Some(caller.ip.to_string()) };
    let job = whole(async move { erasure::ask(&app, &actor, number).await }).await?;
    Ok((StatusCode::ACCEPTED, Json(job.into())))
}

/// How an erasure stands, and its receipt.
#[utoipa::path(
    get,
    path = "/v1/erasures/{id}",
    operation_id = "getErasure",
    tag = "numbers",
    params(("id" = String, Path, description = "`era_…`")),
    responses((status = 200, description = "As it stands.", body = ErasureView)),
    security(("api_key" = []))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Result<Json<ErasureView>, Refused> {
    whole_account(&app, &caller).await?;
    let id = read::id(IdKind::Erasure, &id)?;
    Ok(Json(app.store.ledger.erasure(id).await?.ok_or(Refusal::NotFound)?.into()))
}
