//! `/admin/v1/consents`: opt-ins as a table, and answers that a person has to look at.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use seawall_core::id::{Id, IdKind};
use seawall_store::records::Page;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Admin;
use super::lists::text;
use super::page::{List, PageQuery, cursor, row, size};
use crate::app::App;
use crate::app::collections::Wrong;
use crate::app::consent::reviews::{self, ReviewView, Ruling};
use crate::app::consent::table;
use crate::http::extract::{Json, Path, Query};
use crate::http::native::answers::Refused;
use crate::http::native::whole;

const REVIEWS: &str = "consent-reviews";
/// Bytes of an imported table at most.
pub const TABLE_AT_MOST: usize = super::lists::TABLE_AT_MOST;

/// Answers that may ask for no more messages and that nobody is sure about, newest first.
#[utoipa::path(
    get,
    path = "/admin/v1/consents/reviews",
    operation_id = "listConsentReviews",
    tag = "consents",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = List<ReviewView>)),
    security(("admin_token" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<List<ReviewView>>, Refused> {
    let limit = size(query.limit)?;
    let before = row(&app, REVIEWS, query.cursor.as_deref())?;
    let mut found = reviews::list(&app, Page { before, limit: limit + 1 }).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more).map(|(row, _)| row.to_string());
    let next_cursor = last.map(|row| cursor(&app, REVIEWS, &row));
    Ok(axum::Json(List { data: found.into_iter().map(|(_, view)| view).collect(), next_cursor }))
}

/// What a person decides about an answer.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RulingInput {
    /// What it means.
    pub ruling: Ruling,
}

/// Decide about an answer: an opt-out in force at once, or something else.
#[utoipa::path(
    post,
    path = "/admin/v1/consents/reviews/{id}",
    operation_id = "decideConsentReview",
    tag = "consents",
    params(("id" = String, Path, description = "`rev_…`")),
    request_body = RulingInput,
    responses((status = 204, description = "It is decided and no longer on the list.")),
    security(("admin_token" = []))
)]
pub async fn decide(
    State(app): State<Arc<App>>,
    admin: Admin,
    Path(id): Path<String>,
    Json(input): Json<RulingInput>,
) -> Result<StatusCode, Refused> {
    let missing = || Wrong::Missing("there is no such answer to look at".to_owned());
    let id = Id::parse(IdKind::Review, &id).ok_or_else(missing)?;
    let work = async move { reviews::decide(&app, &admin.actor, id, input.ruling).await };
    whole(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All opt-ins with their proof, as a table that no spreadsheet runs.
#[utoipa::path(
    get,
    path = "/admin/v1/consents.csv",
    operation_id = "exportConsents",
    tag = "consents",
    responses((status = 200, description = "The table.", body = String, content_type = "text/csv")),
    security(("admin_token" = []))
)]
pub async fn export(State(app): State<Arc<App>>, _admin: Admin) -> Result<Response, Refused> {
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"consents.csv\""),
    ];
    Ok((headers, table::export(&app).await?).into_response())
}

/// What an import did.
#[derive(Serialize, ToSchema)]
pub struct ConsentsImported {
    /// Rows that are opt-ins now.
    pub imported: usize,
}

/// Record every row of a table as an opt-in, or none. The first row names the columns: `to`, `subaccount_id`, `source`,
/// and perhaps `category`, `proof`, `ip`, `at`; those of an export are fine. At most 100,000 rows.
#[utoipa::path(
    post,
    path = "/admin/v1/consents/import",
    operation_id = "importConsents",
    tag = "consents",
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, description = "All rows are recorded.", body = ConsentsImported)),
    security(("admin_token" = []))
)]
pub async fn import(
    State(app): State<Arc<App>>,
    admin: Admin,
    request: Request,
) -> Result<axum::Json<ConsentsImported>, Refused> {
    let table = text(request).await?;
    let work = async move { self::table::import(&app, &admin.actor, table).await };
    Ok(axum::Json(ConsentsImported { imported: whole(work).await? }))
}
