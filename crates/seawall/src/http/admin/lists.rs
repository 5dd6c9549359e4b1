//! `/admin/v1/lists/{list}/entries`: entries one at a time, and whole lists as tables.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::auth::Admin;
use super::page::{List, cursor, row, size};
use super::patch as merge;
use crate::app::App;
use crate::app::lists::entries::{self, EntryInput, EntryView};
use crate::app::lists::export;
use crate::app::lists::import::{self, ImportView, NotImported};
use crate::http::extract::{Json, Path, Query, body};
use crate::http::native::answers::Refused;
use crate::http::native::whole;
use crate::http::problem::Problem;

const LIST: &str = "entries";
/// Bytes of a table at most: a hundred thousand rows with notes.
pub const TABLE_AT_MOST: usize = 24 << 20;

/// A merge patch of an entry, for the description.
pub struct EntryChange;

impl PartialSchema for EntryChange {
    fn schema() -> RefOr<Schema> {
        merge::schema::<EntryInput>()
    }
}

impl ToSchema for EntryChange {
    fn name() -> std::borrow::Cow<'static, str> {
        merge::name::<EntryInput>()
    }
}

/// Which entries.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EntryQuery {
    /// Only the one with this value, in any spelling.
    pub value: Option<String>,
    /// Entries at most, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Add an entry.
#[utoipa::path(
    post,
    path = "/admin/v1/lists/{list}/entries",
    operation_id = "createListEntry",
    tag = "set-up",
    params(("list" = String, Path, description = "The list's id or name.")),
    request_body = EntryInput,
    responses((status = 201, description = "It is stored and in force.", body = EntryView)),
    security(("admin_token" = []))
)]
pub async fn create(
    State(app): State<Arc<App>>,
    admin: Admin,
    Path(list): Path<String>,
    Json(body): Json<Value>,
) -> Result<(StatusCode, axum::Json<EntryView>), Refused> {
    let work = async move { entries::create(&app, &admin.actor, &list, body).await };
    Ok((StatusCode::CREATED, axum::Json(whole(work).await?)))
}

/// The entries of a list, newest first.
#[utoipa::path(
    get,
    path = "/admin/v1/lists/{list}/entries",
    operation_id = "listListEntries",
    tag = "set-up",
    params(("list" = String, Path, description = "The list's id or name."), EntryQuery),
    responses((status = 200, description = "A page.", body = List<EntryView>)),
    security(("admin_token" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Path(list): Path<String>,
    Query(query): Query<EntryQuery>,
) -> Result<axum::Json<List<EntryView>>, Refused> {
    let limit = size(query.limit)?;
    let before = row(&app, LIST, query.cursor.as_deref())?;
    let (data, next) = match &query.value {
        Some(value) => (entries::of_value(&app, &list, value).await?, None),
        None => entries::list(&app, &list, before, limit).await?,
    };
    let next_cursor = next.map(|row| cursor(&app, LIST, &row.to_string()));
    Ok(axum::Json(List { data, next_cursor }))
}

/// One entry.
#[utoipa::path(
    get,
    path = "/admin/v1/lists/{list}/entries/{id}",
    operation_id = "getListEntry",
    tag = "set-up",
    params(
        ("list" = String, Path, description = "The list's id or name."),
        ("id" = String, Path, description = "`ent_…`")
    ),
    responses((status = 200, description = "As it is.", body = EntryView)),
    security(("admin_token" = []))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Path((list, id)): Path<(String, String)>,
) -> Result<axum::Json<EntryView>, Refused> {
    Ok(axum::Json(entries::get(&app, &list, &id).await?))
}

/// Change the note or the expiry of an entry: a JSON merge patch.
#[utoipa::path(
    patch,
    path = "/admin/v1/lists/{list}/entries/{id}",
    operation_id = "changeListEntry",
    tag = "set-up",
    params(
        ("list" = String, Path, description = "The list's id or name."),
        ("id" = String, Path, description = "`ent_…`")
    ),
    request_body = EntryChange,
    responses((status = 200, description = "As it is now, in force.", body = EntryView)),
    security(("admin_token" = []))
)]
pub async fn patch(
    State(app): State<Arc<App>>,
    admin: Admin,
    Path((list, id)): Path<(String, String)>,
    Json(body): Json<Value>,
) -> Result<axum::Json<EntryView>, Refused> {
    let work = async move { entries::patch(&app, &admin.actor, &list, &id, body).await };
    Ok(axum::Json(whole(work).await?))
}

/// Delete an entry.
#[utoipa::path(
    delete,
    path = "/admin/v1/lists/{list}/entries/{id}",
    operation_id = "deleteListEntry",
    tag = "set-up",
    params(
        ("list" = String, Path, description = "The list's id or name."),
        ("id" = String, Path, description = "`ent_…`")
    ),
    responses((status = 204, description = "It is gone.")),
    security(("admin_token" = []))
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    admin: Admin,
    Path((list, id)): Path<(String, String)>,
) -> Result<StatusCode, Refused> {
    let work = async move { entries::delete(&app, &admin.actor, &list, &id).await };
    whole(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The list as a table that no spreadsheet runs, what has expired left out.
#[utoipa::path(
    get,
    path = "/admin/v1/lists/{list}/entries.csv",
    operation_id = "exportListEntries",
    tag = "set-up",
    params(("list" = String, Path, description = "The list's id or name.")),
    responses((status = 200, description = "The table.", body = String, content_type = "text/csv")),
    security(("admin_token" = []))
)]
pub async fn table(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Path(list): Path<String>,
) -> Result<Response, Refused> {
    let list = app.lists.find(&list)?;
    let file = format!("attachment; filename=\"{}.csv\"", list.name);
    let headers =
        [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, file)];
    Ok((headers, Body::from_stream(export::table(app, list))).into_response())
}

/// How a table is taken.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ImportQuery {
    /// Instead of what the list has.
    #[serde(default)]
    pub replace: bool,
}

/// Add every row of a table, or none. The first row names the columns: `value`, `note`, `expires_at`; those of
/// an export are fine. At most 100,000 rows.
#[utoipa::path(
    post,
    path = "/admin/v1/lists/{list}/entries/import",
    operation_id = "importListEntries",
    tag = "set-up",
    params(("list" = String, Path, description = "The list's id or name."), ImportQuery),
    request_body(content = String, content_type = "text/csv"),
    responses(
        (status = 200, description = "All rows are stored and in force.", body = ImportView),
        (
            status = 400, description = "Rows do not fit; `errors` names them, and nothing was changed.",
            body = crate::http::openapi::ProblemBody, content_type = "application/problem+json"
        ),
    ),
    security(("admin_token" = []))
)]
pub async fn import(
    State(app): State<Arc<App>>,
    admin: Admin,
    Path(list): Path<String>,
    Query(query): Query<ImportQuery>,
    request: Request,
) -> Result<axum::Json<ImportView>, Refused> {
    let table = text(request).await?;
    let work = async move { import::import(&app, &admin.actor, &list, table, query.replace).await };
    whole(work).await.map(axum::Json).map_err(refused)
}

/// A table as it was sent.
pub async fn text(request: Request) -> Result<String, Refused> {
    let announced =
        request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let media = announced.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media != "text/csv" {
        let detail = "The body has to be a table; send the header Content-Type: text/csv.";
        let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail);
        return Err(problem.into());
    }
    let bytes = body(request, &()).await?;
    let broken =
        |_| Problem::field("(body)", "The table is not UTF-8; save it as \"CSV UTF-8\" and send it again.");
    Ok(String::from_utf8(bytes.to_vec()).map_err(broken)?)
}

fn refused(why: NotImported) -> Refused {
    match why {
        NotImported::Wrong(wrong) => wrong.into(),
        NotImported::Rows(errors, count) => {
            let rows = if count == 1 { "One row does".to_owned() } else { format!("{count} rows do") };
            let first = errors.first().map(|e| format!("row {}, {}: {}", e.row, e.field, e.problem));
            let detail = format!("{rows} not fit, and nothing was changed; {}.", first.unwrap_or_default());
            let errors = serde_json::to_value(&errors).unwrap_or_default();
            Problem::new(StatusCode::BAD_REQUEST, "invalid-rows", detail)
                .with("errors", errors)
                .with("error_count", count)
                .into()
        }
    }
}
