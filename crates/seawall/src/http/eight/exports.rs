//! The log of messages as a file: a job is begun, asked for, and downloaded. The download needs the API
//! key, too; its path alone opens nothing.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use seawall_core::country::Country;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use serde_json::Value;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use super::call::{Call, Entered, enter, stored};
use super::error::{Answer, Refusals, Refused};
use super::export_csv;
use super::export_jobs::{self, Job, JobStatus};
use super::fields::{Bad, Fields};
use super::iso;
use super::session_request::NOT_A_NUMBER;
use super::voice_export_csv;
use super::wire::{ExportRequest, ExportStarted, ExportStatus};
use crate::app::App;
use crate::app::audit::Actor;
use crate::app::entities::Scope;

/// When the request does not say.
const SPAN: Duration = Duration::from_secs(7 * 24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Countries in one request.
const COUNTRIES: usize = 250;
/// Whose log it is. Both products have these paths: calls are below `/voice`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Product {
    Sms,
    Voice,
}

impl Product {
    fn scope(self) -> Scope {
        match self {
            Product::Sms => Scope::Sms,
            Product::Voice => Scope::Voice,
        }
    }

    /// What its paths begin with.
    fn prefix(self) -> &'static str {
        match self {
            Product::Sms => "",
            Product::Voice => "/voice",
        }
    }

    fn has(self, job: &Job) -> bool {
        job.voice == (self == Product::Voice)
    }
}

/// Downloads at a time.
static DOWNLOADS: Semaphore = Semaphore::const_new(4);

/// Begins an export.
#[utoipa::path(
    post,
    path = "/api/v1/subaccounts/{subAccountId}/messages/exports",
    tag = "8x8 SMS",
    operation_id = "eight_export_begin",
    params(("subAccountId" = String, Path)),
    request_body = Option<ExportRequest>,
    responses((status = 202, body = ExportStarted), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn create(State(app): State<Arc<App>>, request: Request) -> Response {
    begin(&app, request, Product::Sms).await.into_response()
}

pub(super) async fn begin(app: &Arc<App>, request: Request, product: Product) -> Answer<Response> {
    let Entered { mut call, subaccount } = enter(app, request, product.scope()).await?;
    let body = call.optional_json(app.config.server.max_body).await?;
    let job = Job { voice: product == Product::Voice, ..read(app, &subaccount.id, &body)? };
    let id = job.id.clone();
    if !stored(export_jobs::begin(app, &actor(&call), job).await)? {
        let message = format!("Bulk limit reached: {} exports are kept; delete some", export_jobs::AT_MOST);
        return Err(Refused::bad(1100, message));
    }
    Ok((StatusCode::ACCEPTED, axum::Json(ExportStarted { job_id: id })).into_response())
}

fn actor(call: &Call) -> Actor {
    Actor { name: call.caller.key.id.clone(), ip: Some(call.caller.ip.to_string()) }
}

fn read(app: &App, subaccount: &str, body: &Value) -> Answer<Job> {
    let fields = Fields::of(body, "")?;
    let now = app.now();
    let from = fields.time("from", 1000)?.unwrap_or_else(|| now.minus(SPAN));
    let to = end(&fields)?.unwrap_or(now);
    if from >= to {
        return Err(Refused::bad(1000, "Invalid parameter: from has to lie before to"));
    }
    let phone = match fields.text("phoneNumber")? {
        Some(text) => {
            Some(Msisdn::parse(text, None).map_err(|_| Refused::bad(1002, NOT_A_NUMBER))?.msisdn.to_e164())
        }
        None => None,
    };
    Ok(Job {
        id: stored(export_jobs::random_name(app))?,
        subaccount: subaccount.to_owned(),
        status: JobStatus::Queued,
        from,
        to,
        phone,
        countries: countries(&fields)?,
        limit: fields.whole("limit", 0, u64::from(u32::MAX))?.unwrap_or(0),
        token: stored(export_jobs::random_name(app))?,
        expires: export_jobs::expiry(now),
        voice: false,
    })
}

/// A date alone means all of that day.
fn end(fields: &Fields<'_>) -> Result<Option<Timestamp>, Bad> {
    let to = fields.time("to", 1000)?;
    let whole_day = fields.text("to")?.is_some_and(iso::is_date);
    Ok(to.map(|to| if whole_day { to.plus(DAY) } else { to }))
}

fn countries(fields: &Fields<'_>) -> Answer<Vec<Country>> {
    let list = fields.list("countries")?.unwrap_or_default();
    if list.len() > COUNTRIES {
        return Err(Refused::bad(1010, format!("Invalid countries: at most {COUNTRIES}")));
    }
    let one = |value: &Value| match value.as_str() {
        None => Err(Refused::bad(1000, "Invalid parameter: countries has to be an array of strings")),
        Some(text) => {
            Country::parse(text).ok_or_else(|| Refused::bad(1009, "Invalid country code in countries"))
        }
    };
    list.iter().map(one).collect()
}

fn no_job() -> Refused {
    Refused::new(StatusCode::NOT_FOUND, 4018, "Invalid jobId")
}

/// How far an export is, and where to download it.
#[utoipa::path(
    get,
    path = "/api/v1/subaccounts/{subAccountId}/messages/exports/{jobId}",
    tag = "8x8 SMS",
    operation_id = "eight_export_status",
    params(("subAccountId" = String, Path), ("jobId" = String, Path)),
    responses((status = 200, body = ExportStatus), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn status(State(app): State<Arc<App>>, request: Request) -> Response {
    look(&app, request, Product::Sms).await.into_response()
}

pub(super) async fn look(app: &Arc<App>, request: Request, product: Product) -> Answer<Response> {
    let Entered { call, subaccount } = enter(app, request, product.scope()).await?;
    let wanted = call.param("jobId");
    let is = |job: &Job| job.id == wanted && product.has(job);
    let found = stored(export_jobs::find(app, &subaccount.id, is).await)?;
    let (_, job) = found.ok_or_else(no_job)?;
    if matches!(job.status, JobStatus::Queued | JobStatus::Running) {
        // Nothing happens if somebody works on it; after a restart nobody does.
        export_jobs::work(app.clone(), job.id.clone());
    }
    let done = job.status == JobStatus::Succeeded;
    let (prefix, own) = (product.prefix(), &subaccount.id);
    let path = format!("{prefix}/api/v1/subaccounts/{own}/messages/download/{}", job.token);
    Ok(axum::Json(ExportStatus {
        status: job.status.as_str().to_owned(),
        data: done.then(|| vec![format!("{}{path}", base(app, &call.headers))]),
        expires: done.then(|| job.expires.to_rfc3339()),
    })
    .into_response())
}

/// Where the caller found us. It is said back to the caller only, and only if it looks like a host.
fn base(app: &App, headers: &HeaderMap) -> String {
    let text = |name: header::HeaderName| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let host = text(header::HOST);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
    if host.is_empty() || host.len() > 255 || !host.bytes().all(plain) {
        return String::new();
    }
    let forwarded = text(header::HeaderName::from_static("x-forwarded-proto")).eq_ignore_ascii_case("https");
    let scheme = if app.config.tls.is_some() || forwarded { "https" } else { "http" };
    format!("{scheme}://{host}")
}

/// Ends an export; its download ends with it.
#[utoipa::path(
    delete,
    path = "/api/v1/subaccounts/{subAccountId}/messages/exports/{jobId}",
    tag = "8x8 SMS",
    operation_id = "eight_export_delete",
    params(("subAccountId" = String, Path), ("jobId" = String, Path)),
    responses((status = 204, description = "Deleted"), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn delete(State(app): State<Arc<App>>, request: Request) -> Response {
    remove(&app, request, Product::Sms).await.into_response()
}

pub(super) async fn remove(app: &App, request: Request, product: Product) -> Answer<Response> {
    let Entered { call, subaccount } = enter(app, request, product.scope()).await?;
    let wanted = call.param("jobId");
    let is = |job: &Job| job.id == wanted && product.has(job);
    let found = stored(export_jobs::find(app, &subaccount.id, is).await)?;
    let (_, job) = found.ok_or_else(no_job)?;
    let deleted = stored(export_jobs::delete(app, &actor(&call), &job).await)?;
    if deleted { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(no_job()) }
}

/// The file of an export.
#[utoipa::path(
    get,
    path = "/api/v1/subaccounts/{subAccountId}/messages/download/{token}",
    tag = "8x8 SMS",
    operation_id = "eight_export_download",
    params(("subAccountId" = String, Path), ("token" = String, Path)),
    responses(
        (status = 200, description = "The messages", body = String, content_type = "text/csv"),
        Refusals
    ),
    security(("api_key" = []))
)]
pub(super) async fn download(State(app): State<Arc<App>>, request: Request) -> Response {
    hand_out(&app, request, Product::Sms).await.into_response()
}

pub(super) async fn hand_out(app: &Arc<App>, request: Request, product: Product) -> Answer<Response> {
    let Entered { call, subaccount } = enter(app, request, product.scope()).await?;
    let token = call.param("token").as_bytes();
    let right = |job: &Job| {
        bool::from(job.token.as_bytes().ct_eq(token))
            && job.status == JobStatus::Succeeded
            && product.has(job)
    };
    let (_, job) = stored(export_jobs::find(app, &subaccount.id, right).await)?.ok_or_else(no_job)?;
    let now = app.now();
    let turn =
        DOWNLOADS.try_acquire().map_err(|_| Refused::quota(Some(now.plus(Duration::from_secs(5))), now))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"messages.csv\"")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let file = match product {
        Product::Sms => Body::from_stream(export_csv::file(app.clone(), &job, turn)),
        Product::Voice => Body::from_stream(voice_export_csv::file(app.clone(), &job, turn)),
    };
    Ok((headers, file).into_response())
}
