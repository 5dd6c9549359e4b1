//! `/admin/v1/suspensions`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use seawall_core::suspension::SuspensionState;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::auth::Admin;
use super::page::{List, cursor, place, size};
use super::patch as merge;
use crate::app::App;
use crate::app::collections::shapes::SuspensionStateShape;
use crate::app::collections::suspensions::{self, SuspensionInput, SuspensionView, Suspensions};
use crate::app::collections::{self, read};
use crate::http::extract::{Json, Path, Query, announced, body, parse};
use crate::http::native::answers::Refused;
use crate::http::native::whole;

const LIST: &str = "suspensions";

/// A merge patch of a suspension, for the description.
pub struct SuspensionChange;

impl PartialSchema for SuspensionChange {
    fn schema() -> RefOr<Schema> {
        merge::schema::<SuspensionInput>()
    }
}

impl ToSchema for SuspensionChange {
    fn name() -> std::borrow::Cow<'static, str> {
        merge::name::<SuspensionInput>()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        <SuspensionInput as ToSchema>::schemas(schemas);
    }
}

/// Which suspensions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SuspensionQuery {
    /// Only those in this state.
    #[param(value_type = Option<SuspensionStateShape>)]
    pub state: Option<SuspensionState>,
    /// Entries at most, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Why a suspension is ended early.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LiftInput {
    /// For people.
    #[schema(min_length = 1, max_length = 200)]
    pub note: Option<String>,
}

/// The same, in a query.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct LiftQuery {
    /// For people, up to 200 characters.
    pub note: Option<String>,
}

/// Suspend an operator, a country, a number range, an address, a network or an autonomous system for some time.
#[utoipa::path(
    post,
    path = "/admin/v1/suspensions",
    operation_id = "createSuspension",
    tag = "set-up",
    request_body = SuspensionInput,
    responses((status = 201, description = "It is stored and in force.", body = SuspensionView)),
    security(("admin_token" = []))
)]
pub async fn create(
    State(app): State<Arc<App>>,
    admin: Admin,
    Json(body): Json<Value>,
) -> Result<(StatusCode, axum::Json<SuspensionView>), Refused> {
    let work = async move { suspensions::create(&app, &admin.actor, body).await };
    Ok((StatusCode::CREATED, axum::Json(whole(work).await?)))
}

/// All of them, newest first, those that ended included.
#[utoipa::path(
    get,
    path = "/admin/v1/suspensions",
    operation_id = "listSuspensions",
    tag = "set-up",
    params(SuspensionQuery),
    responses((status = 200, description = "A page.", body = List<SuspensionView>)),
    security(("admin_token" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Query(query): Query<SuspensionQuery>,
) -> Result<axum::Json<List<SuspensionView>>, Refused> {
    let limit = size(query.limit)?;
    let before = place(&app, LIST, query.cursor.as_deref())?;
    let before = before.as_deref().and_then(|place| place.split_once(' '));
    let before = before.and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
    let (data, next) = suspensions::list(&app, query.state, before, limit).await?;
    let next_cursor = next.map(|(at, id)| cursor(&app, LIST, &format!("{at} {id}")));
    Ok(axum::Json(List { data, next_cursor }))
}

/// One.
#[utoipa::path(
    get,
    path = "/admin/v1/suspensions/{id}",
    operation_id = "getSuspension",
    tag = "set-up",
    params(("id" = String, Path, description = "`sus_…`")),
    responses((status = 200, description = "As it is.", body = SuspensionView)),
    security(("admin_token" = []))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Path(id): Path<String>,
) -> Result<axum::Json<SuspensionView>, Refused> {
    Ok(axum::Json(collections::get::<Suspensions>(&app, &id).await?))
}

/// Change expiry, reason or mode of one that is in force: a JSON merge patch.
#[utoipa::path(
    patch,
    path = "/admin/v1/suspensions/{id}",
    operation_id = "changeSuspension",
    tag = "set-up",
    params(("id" = String, Path, description = "`sus_…`")),
    request_body = SuspensionChange,
    responses((status = 200, description = "As it is now, in force.", body = SuspensionView)),
    security(("admin_token" = []))
)]
pub async fn patch(
    State(app): State<Arc<App>>,
    admin: Admin,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Result<axum::Json<SuspensionView>, Refused> {
    let work = async move { collections::patch::<Suspensions>(&app, &admin.actor, &id, body).await };
    Ok(axum::Json(whole(work).await?))
}

/// End one early. It stays in the history.
#[utoipa::path(
    delete,
    path = "/admin/v1/suspensions/{id}",
    operation_id = "deleteSuspension",
    tag = "set-up",
    params(("id" = String, Path, description = "`sus_…`"), LiftQuery),
    responses((status = 204, description = "It is lifted.")),
    security(("admin_token" = []))
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    admin: Admin,
    Path(id): Path<String>,
    Query(query): Query<LiftQuery>,
) -> Result<StatusCode, Refused> {
    let work = async move { suspensions::lift(&app, &admin.actor, &id, query.note).await };
    whole(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End one early, with a note, and see it.
#[utoipa::path(
    post,
    path = "/admin/v1/suspensions/{id}/lift",
    operation_id = "liftSuspension",
    tag = "set-up",
    params(("id" = String, Path, description = "`sus_…`")),
    request_body = Option<LiftInput>,
    responses((status = 200, description = "It is lifted.", body = SuspensionView)),
    security(("admin_token" = []))
)]
pub async fn lift(
    State(app): State<Arc<App>>,
    admin: Admin,
    Path(id): Path<String>,
    request: Request,
) -> Result<axum::Json<SuspensionView>, Refused> {
    let input = lift_input(request).await?;
    let work = async move { suspensions::lift(&app, &admin.actor, &id, input.note).await };
    Ok(axum::Json(whole(work).await?))
}

/// No body at all means no note.
async fn lift_input(request: Request) -> Result<LiftInput, Refused> {
    let announced = announced(request.headers());
    let bytes = body(request, &()).await?;
    if bytes.is_empty() {
        return Ok(LiftInput::default());
    }
    announced?;
    Ok(read::<LiftInput>(parse(&bytes)?)?)
}
