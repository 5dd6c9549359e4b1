//! `/admin/v1/opt-outs`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::auth::Admin;
use super::page::{List, cursor, row, size};
use crate::app::App;
use crate::app::collections::opt_outs::{self, OptOutInput, OptOutView, number};
use crate::http::extract::{Json, Path, Query};
use crate::http::native::answers::Refused;
use crate::http::native::whole;

const LIST: &str = "opt-outs";

/// Which opt-outs.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct OptOutQuery {
    /// Only those of this number, E.164 with `+`; all of them in one page.
    pub msisdn: Option<String>,
    /// Entries at most, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Add one. A number that opted out already keeps its entry.
#[utoipa::path(
    post,
    path = "/admin/v1/opt-outs",
    operation_id = "createOptOut",
    tag = "set-up",
    request_body = OptOutInput,
    responses((status = 201, description = "It is stored and in force.", body = OptOutView)),
    security(("admin_token" = []))
)]
pub async fn create(
    State(app): State<Arc<App>>,
    admin: Admin,
    Json(body): Json<Value>,
) -> Result<(StatusCode, axum::Json<OptOutView>), Refused> {
    let work = async move { opt_outs::create(&app, &admin.actor, body).await };
    Ok((StatusCode::CREATED, axum::Json(whole(work).await?)))
}

/// All of them, newest first.
#[utoipa::path(
    get,
    path = "/admin/v1/opt-outs",
    operation_id = "listOptOuts",
    tag = "set-up",
    params(OptOutQuery),
    responses((status = 200, description = "A page.", body = List<OptOutView>)),
    security(("admin_token" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Query(query): Query<OptOutQuery>,
) -> Result<axum::Json<List<OptOutView>>, Refused> {
    let limit = size(query.limit)?;
    let before = row(&app, LIST, query.cursor.as_deref())?;
    let (data, next) = match &query.msisdn {
        Some(msisdn) => (opt_outs::of_number(&app, number("msisdn", msisdn)?).await?, None),
        None => opt_outs::list(&app, before, limit).await?,
    };
    let next_cursor = next.map(|row| cursor(&app, LIST, &row.to_string()));
    Ok(axum::Json(List { data, next_cursor }))
}

/// One.
#[utoipa::path(
    get,
    path = "/admin/v1/opt-outs/{id}",
    operation_id = "getOptOut",
    tag = "set-up",
    params(("id" = String, Path, description = "`opt_…`, or the number in E.164 with `+`.")),
    responses((status = 200, description = "As it is.", body = OptOutView)),
    security(("admin_token" = []))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Path(id): Path<String>,
) -> Result<axum::Json<OptOutView>, Refused> {
    Ok(axum::Json(opt_outs::get(&app, &id).await?))
}

/// Delete one, or all of a number.
#[utoipa::path(
    delete,
    path = "/admin/v1/opt-outs/{id}",
    operation_id = "deleteOptOut",
    tag = "set-up",
    params(("id" = String, Path, description = "`opt_…`, or the number in E.164 with `+`.")),
    responses((status = 204, description = "It is gone.")),
    security(("admin_token" = []))
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    admin: Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    let work = async move { opt_outs::delete(&app, &admin.actor, &id).await };
    whole(work).await?;
    Ok(StatusCode::NO_CONTENT)
}
