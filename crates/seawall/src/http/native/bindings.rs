//! `/v1/bindings`: a user gets a new number. It is proved by a code, and the number before it has to agree.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use seawall_core::binding::State as Stands;
use seawall_core::id::IdKind;

use super::answers::Refused;
use super::binding_views::{
    BindingCheck, BindingChecked, BindingRequest, BindingSend, BindingView, UserNumbers, UserQuery, refused,
};
use super::caller::{Known, Posted, enter_chosen};
use super::read;
use super::verifications::looked_at;
use super::whole::whole;
use crate::app::audit::Actor;
use crate::app::bindings::{self, Stored, check, start};
use crate::app::check_code::Presented;
use crate::app::entities::Scope;
use crate::app::who::{Caller, enter};
use crate::app::{App, Refusal};
use crate::http::extract::{Path, Query};

/// A binding that the caller may see.
async fn found(app: &App, caller: &Caller, id: &str) -> Result<Stored, Refused> {
    let id = read::id(IdKind::Binding, id)?;
    let one = bindings::get(app, id).await.map_err(Refusal::Unavailable)?.ok_or(Refusal::NotFound)?;
    enter(app, caller, one.subaccount(), Scope::Verify, app.now()).await?;
    Ok(one)
}

/// Begin to give a user a new number. A code goes to it; what the user had open before is canceled.
#[utoipa::path(
    post,
    path = "/v1/bindings",
    operation_id = "beginBinding",
    tag = "bindings",
    request_body = BindingRequest,
    responses((status = 201, description = "A code is on its way to the new number.", body = BindingView)),
    security(("api_key" = []))
)]
pub async fn begin(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    posted: Posted<BindingRequest>,
) -> Result<(StatusCode, Json<BindingView>), Refused> {
    let request = posted.value;
    let named = request.subaccount_id.as_deref();
    let subaccount = enter_chosen(&app, &caller, named, Scope::Verify, app.now()).await?;
    let user = read::bounded("user", Some(request.user), 256)?.unwrap_or_default();
    let old = request.old.as_deref().map(|old| read::written_out("old", old, None)).transpose();
    let wanted = start::Wanted {
        subaccount: subaccount.id.clone(),
        user,
        to: read::written_out("to", &request.to, request.country.as_deref())?,
        old: old.map_err(|_| read::invalid("old", "`old` is the number that the user has, in E.164"))?,
        client: read::client(request.client)?,
    };
    let held = app.clone();
    let one = whole(async move { start::begin(&held, &caller, wanted).await }).await;
    let one = one.map_err(|why| refused(why, app.now()))?;
    Ok((StatusCode::CREATED, Json(BindingView::of(&one, app.now()))))
}

/// The number that a user has, and what is on its way.
#[utoipa::path(
    get,
    path = "/v1/bindings",
    operation_id = "listBindings",
    tag = "bindings",
    params(UserQuery),
    responses((status = 200, description = "As it stands.", body = UserNumbers)),
    security(("api_key" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Query(query): Query<UserQuery>,
) -> Result<Json<UserNumbers>, Refused> {
    let now = app.now();
    let subaccount = enter_chosen(&app, &caller, query.subaccount_id.as_deref(), Scope::Verify, now).await?;
    let has = bindings::bound(&app, &subaccount.id, &query.user).await.map_err(Refusal::Unavailable)?;
    let all = bindings::of(&app, &subaccount.id, &query.user).await.map_err(Refusal::Unavailable)?;
    Ok(Json(UserNumbers {
        number: has.map(|(number, _)| number.to_e164()),
        since: has.map(|(_, since)| since),
        bindings: all.iter().map(|one| BindingView::of(one, now)).collect(),
    }))
}

/// Look at a binding.
#[utoipa::path(
    get,
    path = "/v1/bindings/{id}",
    operation_id = "getBinding",
    tag = "bindings",
    params(("id" = String, Path, description = "`bnd_…`")),
    responses((status = 200, description = "As it stands.", body = BindingView)),
    security(("api_key" = []))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Result<Json<BindingView>, Refused> {
    let one = found(&app, &caller, &id).await?;
    Ok(Json(BindingView::of(&one, app.now())))
}

/// Send a code to the new or to the old number, or send it again. The old one gets none before the new one was proved, and
/// three at most.
#[utoipa::path(
    post,
    path = "/v1/bindings/{id}/send",
    operation_id = "sendBindingCode",
    tag = "bindings",
    params(("id" = String, Path, description = "`bnd_…`")),
    request_body = BindingSend,
    responses((status = 200, description = "A code is on its way.", body = BindingView)),
    security(("api_key" = []))
)]
pub async fn send(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
    posted: Posted<BindingSend>,
) -> Result<Json<BindingView>, Refused> {
    let id = found(&app, &caller, &id).await?.shown(app.now()).id;
    let (side, client) = (posted.value.number.into(), read::client(posted.value.client)?);
    let held = app.clone();
    let one = whole(async move { start::send(&held, &caller, id, side, client).await }).await;
    let one = one.map_err(|why| refused(why, app.now()))?;
    Ok(Json(BindingView::of(&one, app.now())))
}

/// Present a code that one of the numbers got. Once nothing is missing, the number is bound.
#[utoipa::path(
    post,
    path = "/v1/bindings/{id}/check",
    operation_id = "checkBindingCode",
    tag = "bindings",
    params(("id" = String, Path, description = "`bnd_…`")),
    request_body = BindingCheck,
    responses((status = 200, description = "The code was looked at.", body = BindingChecked)),
    security(("api_key" = []))
)]
pub async fn present(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
    posted: Posted<BindingCheck>,
) -> Result<Json<BindingChecked>, Refused> {
    let id = found(&app, &caller, &id).await?.shown(app.now()).id;
    let BindingCheck { number, code, client } = posted.value;
    if code.is_empty() || code.len() > 64 {
        return Err(read::invalid("code", "`code` is what the user typed, 1 to 64 characters").into());
    }
    let presented = Presented { code, bind: None, client: read::client(client)? };
    let held = app.clone();
    let work = async move { check::check(&held, &caller, id, number.into(), presented).await };
    let (done, one) = whole(work).await.map_err(|why| refused(why, app.now()))?;
    let Json(check) = looked_at(&done)?;
    Ok(Json(BindingChecked { check, binding: BindingView::of(&one, app.now()) }))
}

/// Say that the user lost the old number. It is told so; after the operator's waiting time a new code to the new number is
/// enough. Needs the new number to be proved within the last 30 minutes.
#[utoipa::path(
    post,
    path = "/v1/bindings/{id}/lost",
    operation_id = "loseOldNumber",
    tag = "bindings",
    params(("id" = String, Path, description = "`bnd_…`")),
    responses((status = 200, description = "The wait has begun.", body = BindingView)),
    security(("api_key" = []))
)]
pub async fn lost(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Result<Json<BindingView>, Refused> {
    let id = found(&app, &caller, &id).await?.shown(app.now()).id;
    let held = app.clone();
    let one = whole(async move { check::lose(&held, &caller, id).await }).await;
    let one = one.map_err(|why| refused(why, app.now()))?;
    Ok(Json(BindingView::of(&one, app.now())))
}

/// Take a binding back. One that is canceled stays so.
#[utoipa::path(
    delete,
    path = "/v1/bindings/{id}",
    operation_id = "cancelBinding",
    tag = "bindings",
    params(("id" = String, Path, description = "`bnd_…`")),
    responses((status = 200, description = "It is canceled.", body = BindingView)),
    security(("api_key" = []))
)]
pub async fn cancel(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Result<Json<BindingView>, Refused> {
    let one = found(&app, &caller, &id).await?;
    let now = app.now();
    let shown = one.shown(now);
    if shown.state == Stands::Canceled {
        return Ok(Json(BindingView::of(&one, now)));
    }
    let actor = Actor { name: caller.key.id.clone(), ip: Some(caller.ip.to_string()) };
    let one = bindings::cancel(&app, &actor, shown.id, "app").await.map_err(|why| refused(why, now))?;
    Ok(Json(BindingView::of(&one, now)))
}
