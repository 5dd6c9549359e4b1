//! `/admin/v1/incidents`: what detection stops, grouped into attacks.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::auth::Admin;
use super::page::{List, cursor, place, size};
use crate::app::App;
use crate::app::incidents::judge::{self, JudgeInput};
use crate::app::incidents::view::{IncidentDetail, IncidentStatus, IncidentView};
use crate::http::extract::{Json, Path, Query};
use crate::http::native::answers::Refused;
use crate::http::native::whole;

const LIST: &str = "incidents";

/// Which incidents.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct IncidentQuery {
    /// Only those that stand so.
    pub status: Option<IncidentStatus>,
    /// Entries at most, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Attacks, newest first.
#[utoipa::path(
    get,
    path = "/admin/v1/incidents",
    operation_id = "listIncidents",
    tag = "history",
    params(IncidentQuery),
    responses((status = 200, description = "A page.", body = List<IncidentView>)),
    security(("admin_token" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Query(query): Query<IncidentQuery>,
) -> Result<axum::Json<List<IncidentView>>, Refused> {
    let limit = size(query.limit)?;
    let below = place(&app, LIST, query.cursor.as_deref())?.and_then(|serial| serial.parse().ok());
    let (data, next) = judge::list(&app, query.status, below, limit);
    let next_cursor = next.map(|serial: u64| cursor(&app, LIST, &serial.to_string()));
    Ok(axum::Json(List { data, next_cursor }))
}

/// One in full: ranges, clients, timeline, and what could be done about it.
#[utoipa::path(
    get,
    path = "/admin/v1/incidents/{id}",
    operation_id = "getIncident",
    tag = "history",
    params(("id" = String, Path, description = "`inc_…`")),
    responses((status = 200, description = "As it is.", body = IncidentDetail)),
    security(("admin_token" = []))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Path(id): Path<String>,
) -> Result<axum::Json<IncidentDetail>, Refused> {
    Ok(axum::Json(judge::detail(&app, &id)?))
}

/// Close one, or say that it was a false alarm.
#[utoipa::path(
    patch,
    path = "/admin/v1/incidents/{id}",
    operation_id = "judgeIncident",
    tag = "history",
    params(("id" = String, Path, description = "`inc_…`")),
    request_body = JudgeInput,
    responses((status = 200, description = "As it is now.", body = IncidentDetail)),
    security(("admin_token" = []))
)]
pub async fn patch(
    State(app): State<Arc<App>>,
    admin: Admin,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Result<axum::Json<IncidentDetail>, Refused> {
    let work = async move { judge::judge(&app, &admin.actor, &id, body).await };
    Ok(axum::Json(whole(work).await?))
}
