//! `/api/v1/accounts/{accountId}/…/batches`: many contacts at once, in the background.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use seawall_core::id::Id;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::call::{Call, stored};
use super::contact_table::{MOST_ROWS, rows};
use super::contacts::{MOST_GROUPS, actor, counted, open, page};
use super::error::{Answer, Refusals, Refused};
use super::fields::Fields;
use crate::app::audit::Actor;
use crate::app::contacts;
use crate::app::contacts::batches::{self, Between, Job, MOST_OPEN, Row, Task, Upload};
use crate::app::contacts::groups::{self, Group};
use crate::app::lists::csv::{self, Broken, Line};
use crate::app::lists::workbook;
use crate::app::{App, number_keys};
use crate::http::multipart::{self, Part};

/// Bytes of an upload: 8x8's 30 MB, and what is around the file.
const MOST_BYTES: usize = (30 << 20) + (64 << 10);
/// Contacts or groups that one request names.
const MOST_NAMED: usize = 10_000;
/// Uploads that are read at a time; each is in memory as a whole.
static UPLOADS: Semaphore = Semaphore::const_new(2);

fn shown(job: &Job) -> Value {
    let mut view = json!({
        "id": job.id.to_uuid(), "type": job.task.as_str(), "status": job.status.as_str(),
        "createdAt": job.id.at().to_rfc3339(),
    });
    if let (Value::Object(fields), Task::CreateContacts(upload)) = (&mut view, &job.task) {
        if let Some(name) = &upload.file_name {
            fields.insert("fileName".to_owned(), name.clone().into());
        }
        let errors = upload.errors.iter().map(|(row, problem)| json!({"row": row, "problem": problem}));
        let errors: Vec<Value> = errors.collect();
        if let Value::Object(more) = json!({
            "fileType": if upload.workbook { "xls" } else { "csv" }, "totalRows": upload.total_rows, "errorRows": upload.error_rows,
            "duplicatedRows": upload.duplicated_rows, "insertedRows": upload.inserted_rows,
            "mergedRows": upload.merged_rows, "contactGroups": upload.contact_groups, "errors": errors,
        }) {
            fields.extend(more);
        }
    }
    view
}

async fn begin(app: &App, actor: &Actor, task: Task, rows: Vec<Row>) -> Answer<Response> {
    let Some(job) = stored(batches::begin(app, actor, task, rows).await)? else {
        let message = format!("Bulk limit reached: {MOST_OPEN} batches wait; try again when one is done");
        return Err(Refused::bad(1100, message));
    };
    Ok((StatusCode::ACCEPTED, axum::Json(shown(&job))).into_response())
}

/// Make or merge the contacts of a table: CSV in UTF-8 or the first sheet of a workbook (`.xlsx`), at most 30 MB and
/// 200,000 rows.
#[utoipa::path(
    post,
    path = "/api/v1/accounts/{accountId}/contacts/batches/createContacts",
    tag = "8x8 contacts",
    operation_id = "eight_contacts_upload",
    params(("accountId" = String, Path)),
    request_body(content = Object, content_type = "multipart/form-data"),
    responses((status = 202, description = "Begun", body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn upload(State(app): State<Arc<App>>, request: Request) -> Response {
    uploaded(&app, request).await.into_response()
}

async fn uploaded(app: &App, request: Request) -> Answer<Response> {
    let mut call = open(app, request).await?;
    let now = app.now();
    let soon = now.plus(std::time::Duration::from_secs(5));
    let _turn = UPLOADS.try_acquire().map_err(|_| Refused::quota(Some(soon), now))?;
    let media = call.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let boundary = multipart::boundary(media).ok_or_else(|| {
        let message = "The body has to be a form: Content-Type: multipart/form-data with its boundary";
        Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, 1000, message)
    })?;
    let body = call.body(MOST_BYTES).await?;
    let groups = counted(app).await?;
    // A large table takes its time; the threads that answer requests do not spend it.
    let read = tokio::task::spawn_blocking(move || table(&body, &boundary, &groups));
    let (rows, upload) = read.await.map_err(|_| Refused::bad(1000, "Invalid file"))??;
    begin(app, &actor(&call), Task::CreateContacts(upload), rows).await
}

fn table(body: &[u8], boundary: &str, all: &[(Group, usize)]) -> Answer<(Vec<Row>, Upload)> {
    let invalid = |why: &str| Refused::bad(1000, format!("Invalid form: {why}"));
    let parts = multipart::parts(body, boundary).map_err(invalid)?;
    let part = |name: &str| parts.iter().find(|part| part.name == name);
    let text = |name: &str| match part(name).map(|part| std::str::from_utf8(part.data)) {
        Some(Err(_)) => Err(invalid(&format!("{name} is no text"))),
        Some(Ok(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        None => Ok(None),
    };
    let file = part("file").ok_or_else(|| invalid("file is missing"))?;
    let into = group_ids(text("groups")?.unwrap_or_default(), all)?;
    let named = match text("fileHasHeader")? {
        None | Some("true" | "True" | "TRUE") => None,
        Some("false" | "False" | "FALSE") => {
            Some(text("fileColumns")?.ok_or_else(|| invalid("fileColumns is needed without a header"))?)
        }
        Some(_) => return Err(invalid("fileHasHeader is true or false")),
    };
    let (rows, mut upload) = rows(lines(file)?, named, &into, all)?;
    upload.workbook = workbook::is_workbook(file.data);
    let name = file.file_name.as_deref().and_then(|name| name.rsplit(['/', '\\']).next());
    let name = name.map(|name| name.chars().filter(|c| !c.is_control()).take(200).collect::<String>());
    upload.file_name = name.filter(|name| !name.is_empty());
    Ok((rows, upload))
}

/// The rows of a file, which says by itself what it is: its name and type are the client's words.
fn lines(file: &Part<'_>) -> Answer<Vec<Line>> {
    if workbook::is_workbook(file.data) {
        return workbook::rows(file.data, MOST_ROWS).map_err(|broken| match broken.row {
            0 => Refused::bad(3010, format!("Invalid file: it {}", broken.problem)),
            row => Refused::bad(1000, format!("Invalid file: row {row} {}", broken.problem)),
        });
    }
    let text = std::str::from_utf8(file.data);
    let text = text
        .map_err(|_| Refused::bad(1003, "Invalid file: it has to be CSV in UTF-8, or a workbook (.xlsx)"))?;
    let broken = |Broken { row, problem }| Refused::bad(1000, format!("Invalid file: row {row} {problem}"));
    csv::rows(text).map_err(broken)
}

fn group_ids(text: &str, all: &[(Group, usize)]) -> Answer<Vec<u64>> {
    let mut ids = Vec::new();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let id =
            word.parse().map_err(|_| Refused::bad(1000, "Invalid form: groups are ids, comma-separated"))?;
        if !all.iter().any(|(group, _)| group.id == id) {
            return Err(no_group(id));
        }
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if ids.len() > MOST_GROUPS {
        return Err(Refused::bad(1010, format!("Invalid form: at most {MOST_GROUPS} groups")));
    }
    Ok(ids)
}

fn no_group(id: u64) -> Refused {
    Refused::bad(1008, format!("Unable to find group with id {id}"))
}

/// Delete contacts by id, by number, or all of them, with the opt-outs that their groups stand for.
#[utoipa::path(
    post,
    path = "/api/v1/accounts/{accountId}/contacts/batches/deleteContacts",
    tag = "8x8 contacts",
    operation_id = "eight_contacts_delete_many",
    params(("accountId" = String, Path)),
    request_body = Object,
    responses((status = 202, description = "Begun", body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn delete_contacts(State(app): State<Arc<App>>, request: Request) -> Response {
    let work = async {
        let mut call = open(&app, request).await?;
        let (body, _) = call.json(app.config.server.max_batch_body).await?;
        let ids = unwanted(&app, &body).await?;
        begin(&app, &actor(&call), Task::DeleteContacts { ids }, Vec::new()).await
    };
    work.await.into_response()
}

/// Ids of the contacts that a request names; `None`: all. Those that are gone already are no mistake.
async fn unwanted(app: &App, body: &Value) -> Answer<Option<Vec<u64>>> {
    let fields = Fields::of(body, "")?;
    let (ids, msisdns) = (named(&fields, "ids")?, fields.list("msisdns")?.unwrap_or_default());
    let some = !ids.is_empty() || !msisdns.is_empty();
    if fields.flag("all")? == Some(true) {
        let message = "Invalid parameter: all deletes every contact, so ids and msisdns have to be left out";
        return if some { Err(Refused::bad(1000, message)) } else { Ok(None) };
    }
    if !some {
        return Err(Refused::bad(1000, "Invalid parameter: one of ids, msisdns and all is needed"));
    }
    if ids.len() + msisdns.len() > MOST_NAMED {
        return Err(Refused::bad(1010, format!("Invalid parameter: at most {MOST_NAMED} contacts")));
    }
    let mut all = ids;
    for (at, value) in msisdns.iter().enumerate() {
        let number = value.as_str().and_then(|text| number_keys::read(app, text, None).ok());
        let number =
            number.ok_or_else(|| Refused::bad(1002, format!("Invalid MSISDN format: msisdns[{at}]")))?;
        all.extend(stored(contacts::by_msisdn(app, number.msisdn).await)?.map(|contact| contact.number));
    }
    Ok(Some(all))
}

fn named(fields: &Fields<'_>, name: &str) -> Answer<Vec<u64>> {
    let ids: Option<Vec<u64>> = fields.list(name)?.unwrap_or_default().iter().map(Value::as_u64).collect();
    ids.ok_or_else(|| Refused::bad(1000, format!("Invalid parameter: {name} is an array of ids")))
}

/// Which groups a request names. `groups`: those that there are.
fn between(call: &Call, groups: &[Group]) -> Answer<Between> {
    let id = |name: &str| {
        let id = call.query(name)?.and_then(|text| text.parse::<u64>().ok());
        let id =
            id.ok_or_else(|| Refused::bad(1000, format!("Invalid parameter: {name} is the id of a group")))?;
        groups.iter().any(|group| group.id == id).then_some(id).ok_or_else(|| no_group(id))
    };
    let (from, to) = (id("from")?, id("to")?);
    if from == to {
        return Err(Refused::bad(1000, "Invalid parameter: from and to are the same group"));
    }
    Ok(Between { from, to, before: None })
}

/// Put the contacts of one group into another, too.
#[utoipa::path(
    post,
    path = "/api/v1/accounts/{accountId}/groups/batches/copyContacts",
    tag = "8x8 contacts",
    operation_id = "eight_groups_copy",
    params(("accountId" = String, Path), ("from" = u64, Query), ("to" = u64, Query)),
    responses((status = 202, description = "Begun", body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn copy(State(app): State<Arc<App>>, request: Request) -> Response {
    let work = async {
        let call = open(&app, request).await?;
        let groups = stored(groups::all(&app).await)?;
        let task = Task::CopyContacts(between(&call, &groups)?);
        begin(&app, &actor(&call), task, Vec::new()).await
    };
    work.await.into_response()
}

/// Put the contacts of one group into another instead.
#[utoipa::path(
    post,
    path = "/api/v1/accounts/{accountId}/groups/batches/moveContacts",
    tag = "8x8 contacts",
    operation_id = "eight_groups_move",
    params(("accountId" = String, Path), ("from" = u64, Query), ("to" = u64, Query)),
    responses((status = 202, description = "Begun", body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn relocate(State(app): State<Arc<App>>, request: Request) -> Response {
    let work = async {
        let call = open(&app, request).await?;
        let groups = stored(groups::all(&app).await)?;
        let task = Task::MoveContacts(between(&call, &groups)?);
        begin(&app, &actor(&call), task, Vec::new()).await
    };
    work.await.into_response()
}

/// Delete groups, and their contacts if that is wanted.
#[utoipa::path(
    post,
    path = "/api/v1/accounts/{accountId}/groups/batches/deleteGroups",
    tag = "8x8 contacts",
    operation_id = "eight_groups_delete_many",
    params(("accountId" = String, Path)),
    request_body = Object,
    responses((status = 202, description = "Begun", body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn delete_groups(State(app): State<Arc<App>>, request: Request) -> Response {
    let work = async {
        let mut call = open(&app, request).await?;
        let (body, _) = call.json(app.config.server.max_body).await?;
        let task = unwanted_groups(&app, &body).await?;
        begin(&app, &actor(&call), task, Vec::new()).await
    };
    work.await.into_response()
}

async fn unwanted_groups(app: &App, body: &Value) -> Answer<Task> {
    let fields = Fields::of(body, "")?;
    let ids = named(&fields, "ids")?;
    if ids.is_empty() || ids.len() > MOST_NAMED {
        return Err(Refused::bad(1000, format!("Invalid parameter: ids names 1 to {MOST_NAMED} groups")));
    }
    let all = stored(groups::all(app).await)?;
    if let Some(missing) = ids.iter().find(|id| !all.iter().any(|group| group.id == **id)) {
        return Err(no_group(*missing));
    }
    let contacts = fields.flag("deleteContacts")?;
    let contacts =
        contacts.ok_or_else(|| Refused::bad(1000, "Invalid parameter: deleteContacts is missing"))?;
    Ok(Task::DeleteGroups { ids, contacts })
}

/// One batch.
#[utoipa::path(
    get,
    path = "/api/v1/accounts/{accountId}/batches/{batchId}",
    tag = "8x8 contacts",
    operation_id = "eight_contact_batch",
    params(("accountId" = String, Path), ("batchId" = String, Path)),
    responses((status = 200, description = "How far it is", body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn get(State(app): State<Arc<App>>, request: Request) -> Response {
    let work = async {
        let call = open(&app, request).await?;
        let job = match Id::parse_hex(call.param("batchId")) {
            Some(id) => stored(batches::get(&app, id).await)?,
            None => None,
        };
        let job = job.ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, 4018, "Invalid jobId"))?;
        Ok::<_, Refused>(axum::Json(shown(&job)).into_response())
    };
    work.await.into_response()
}

/// Batches, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/accounts/{accountId}/batches",
    tag = "8x8 contacts",
    operation_id = "eight_contact_batches",
    params(
        ("accountId" = String, Path), ("limit" = Option<u32>, Query), ("offset" = Option<u32>, Query),
        ("type" = Option<String>, Query)
    ),
    responses((status = 200, description = "A page", body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn list(State(app): State<Arc<App>>, request: Request) -> Response {
    let work = async {
        const TYPES: [&str; 5] =
            ["createContacts", "deleteContacts", "copyContacts", "moveContacts", "deleteGroups"];
        let call = open(&app, request).await?;
        let kind = call.query("type")?;
        if kind.as_deref().is_some_and(|kind| !TYPES.contains(&kind)) {
            let message = format!("Invalid parameter: type is one of {}", TYPES.join(", "));
            return Err(Refused::bad(1000, message));
        }
        let all = stored(batches::list(&app).await)?;
        let total = all.len();
        let fits = |job: &&Job| kind.as_deref().is_none_or(|kind| job.task.as_str() == kind);
        let items = all.iter().filter(fits).map(shown).collect();
        Ok::<_, Refused>(axum::Json(page(&call, items, total)?).into_response())
    };
    work.await.into_response()
}
