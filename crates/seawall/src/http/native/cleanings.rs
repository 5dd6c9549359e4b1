//! `/v1/numbers/cleanings`: a user base is cleaned. A table of numbers goes in, what is known of each and what asking about
//! the rest would cost comes out; once that is confirmed, providers are asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use seawall_core::id::{Id, IdKind};
use seawall_core::money::Currency;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answers::Refused;
use super::caller::{Known, Posted, enter_chosen};
use super::numbers::LookupType;
use super::whole::whole;
use crate::app::cleaning::{self, Form, KEPT, Kept, Options, Status, Table};
use crate::app::entities::Scope;
use crate::app::who::{Caller, enter};
use crate::app::{App, Refusal};
use crate::http::admin::lists::text;
use crate::http::extract::{Path, Query, body};

/// Bytes of a table at most.
pub const TABLE_AT_MOST: usize = crate::http::admin::lists::TABLE_AT_MOST;

/// How a table is read, and what is asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct CleaningQuery {
    /// How much is asked for; `format`, which is free, when absent.
    #[serde(rename = "type")]
    #[param(inline)]
    pub kind: LookupType,
    /// Two letters by ISO 3166-1, for numbers in national form in rows without a `country`.
    pub country: Option<String>,
    /// The column with the numbers, when it is called neither `number` nor `phone`, `phone_number`, `msisdn`, `mobile`, `to`.
    pub column: Option<String>,
    /// Which subaccount; needed by a key for several.
    pub subaccount_id: Option<String>,
}

/// How a cleaning stands.
#[derive(Serialize, ToSchema)]
pub struct CleaningView {
    /// `cln_…`
    pub id: String,
    /// `reading`, `quoted` (waits for `confirm`), `running`, `stopped` (`problem` says why; may be confirmed again), `done`.
    #[schema(value_type = String, example = "quoted")]
    pub status: &'static str,
    /// Rows of the table.
    pub rows: usize,
    /// Rows whose facts were read.
    pub read: usize,
    /// Rows by verdict: `ok`, `invalid`, `duplicate`, `opted_out`, `disposable`, `reassigned`, `unreachable`, `unknown`.
    pub verdicts: BTreeMap<String, usize>,
    /// Numbers that were taken to another operator.
    pub ported: usize,
    /// Numbers about which a provider is still to be asked.
    pub to_ask: usize,
    /// What that costs at most, in micro-units.
    pub cost_at_most: i64,
    /// What was spent so far, in micro-units.
    pub spent: i64,
    /// The account's currency.
    #[schema(value_type = String, example = "USD")]
    pub currency: Currency,
    /// A limit of lookups keeps it waiting until then.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub waits_until: Option<Timestamp>,
    /// Why it stopped.
    pub problem: Option<String>,
    /// Forgotten then.
    #[schema(value_type = String, format = DateTime)]
    pub kept_until: Timestamp,
    /// Where its rows are.
    pub result_url: String,
}

impl From<&Kept> for CleaningView {
    fn from(cleaning: &Kept) -> Self {
        let head = &cleaning.head;
        let id = cleaning.id.show(IdKind::Cleaning);
        CleaningView {
            status: head.status.as_str(),
            rows: head.counts.rows,
            read: head.counts.read,
            verdicts: head.counts.by_verdict.clone(),
            ported: head.counts.ported,
            to_ask: head.counts.to_ask,
            cost_at_most: head.cost_at_most(),
            spent: head.spent,
            currency: head.currency,
            waits_until: head.waits_until,
            problem: head.problem.clone(),
            kept_until: cleaning.id.at().plus(KEPT),
            result_url: format!("/v1/numbers/cleanings/{id}/result"),
            id,
        }
    }
}

/// Clean a user base: send a table of up to 100,000 rows, with the numbers in any spelling. What is known is read free of
/// charge; nobody is asked before the cost is confirmed.
#[utoipa::path(
    post,
    path = "/v1/numbers/cleanings",
    operation_id = "createCleaning",
    tag = "numbers",
    params(CleaningQuery),
    request_body(
        content((String = "text/csv"), (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")),
        description = "A table in CSV, or the first sheet of a workbook."
    ),
    responses((status = 202, description = "It is being read.", body = CleaningView)),
    security(("api_key" = []))
)]
pub async fn create(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Query(query): Query<CleaningQuery>,
    request: Request,
) -> Result<(StatusCode, Json<CleaningView>), Refused> {
    let named = query.subaccount_id.as_deref();
    let subaccount = enter_chosen(&app, &caller, named, Scope::Lookup, app.now()).await?;
    let table = table(request).await?;
    let options = Options { depth: query.kind.depth(), country: query.country, column: query.column };
    let begun = whole(async move { cleaning::begin(&app, &subaccount.id, table, options).await }).await?;
    Ok((StatusCode::ACCEPTED, Json(CleaningView::from(&begun))))
}

/// What is said to be a workbook has to be one.
const WORKBOOK: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

async fn table(request: Request) -> Result<Table, Refused> {
    let media = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = media.and_then(|media| media.split(';').next()).unwrap_or_default();
    if media.trim().eq_ignore_ascii_case(WORKBOOK) {
        return Ok(Table::Workbook(body(request, &()).await?.to_vec()));
    }
    Ok(Table::Csv(text(request).await?))
}

/// A cleaning that the caller may see.
async fn found(app: &App, caller: &Caller, id: &str) -> Result<Kept, Refused> {
    let id = Id::parse(IdKind::Cleaning, id).ok_or(Refusal::NotFound)?;
    let kept = cleaning::find(app, id).await.map_err(Refusal::from)?;
    let cleaning = kept.filter(|kept| kept.id.at().plus(KEPT) > app.now()).ok_or(Refusal::NotFound)?;
    enter(app, caller, &cleaning.head.subaccount, Scope::Lookup, app.now()).await?;
    Ok(cleaning)
}

/// How far a cleaning is, and what it costs. It is kept for a day.
#[utoipa::path(
    get,
    path = "/v1/numbers/cleanings/{id}",
    operation_id = "getCleaning",
    tag = "numbers",
    params(("id" = String, Path, description = "`cln_…`")),
    responses((status = 200, description = "How it stands.", body = CleaningView)),
    security(("api_key" = []))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Result<Json<CleaningView>, Refused> {
    Ok(Json(CleaningView::from(&found(&app, &caller, &id).await?)))
}

/// What the caller agrees to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// What asking may cost, in micro-units: `cost_at_most` of the quote, or more.
    #[schema(minimum = 0)]
    pub cost_at_most: i64,
}

/// Confirm the cost of a cleaning: providers are asked from now on, within the limits of lookups and within budgets.
#[utoipa::path(
    post,
    path = "/v1/numbers/cleanings/{id}/confirm",
    operation_id = "confirmCleaning",
    tag = "numbers",
    params(("id" = String, Path, description = "`cln_…`")),
    request_body = Confirmation,
    responses((status = 202, description = "It is running.", body = CleaningView)),
    security(("api_key" = []))
)]
pub async fn confirm(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
    posted: Posted<Confirmation>,
) -> Result<(StatusCode, Json<CleaningView>), Refused> {
    let cleaning = found(&app, &caller, &id).await?;
    let most = posted.value.cost_at_most;
    let begun = whole(async move { cleaning::confirm(&app, &caller, cleaning, most).await }).await?;
    Ok((StatusCode::ACCEPTED, Json(CleaningView::from(&begun))))
}

/// Forget a cleaning; what is running ends.
#[utoipa::path(
    delete,
    path = "/v1/numbers/cleanings/{id}",
    operation_id = "deleteCleaning",
    tag = "numbers",
    params(("id" = String, Path, description = "`cln_…`")),
    responses((status = 204, description = "It is forgotten.")),
    security(("api_key" = []))
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    let cleaning = found(&app, &caller, &id).await?;
    whole(async move { cleaning::delete(&app, &cleaning).await }).await.map_err(Refusal::from)?;
    Ok(StatusCode::NO_CONTENT)
}

/// In which form.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResultForm {
    /// Comma-separated values that no spreadsheet runs.
    #[default]
    Csv,
    /// `{"data": […]}`
    Json,
}

/// In which form the rows are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct ResultQuery {
    /// `csv` when absent.
    #[param(inline)]
    pub format: ResultForm,
}

/// The rows of a cleaning, each with its verdict, as far as they are known.
#[utoipa::path(
    get,
    path = "/v1/numbers/cleanings/{id}/result",
    operation_id = "getCleaningResult",
    tag = "numbers",
    params(("id" = String, Path, description = "`cln_…`"), ResultQuery),
    responses((status = 200, description = "One row for each of the table, in its order.", body = String, content_type = "text/csv")),
    security(("api_key" = []))
)]
pub async fn result(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
    Query(query): Query<ResultQuery>,
) -> Result<Response, Refused> {
    let cleaning = found(&app, &caller, &id).await?;
    if cleaning.head.status == Status::Reading {
        let detail = "it is being read; ask again when its status is another".to_owned();
        return Err(crate::app::collections::Wrong::InUse(detail).into());
    }
    let (form, media) = match query.format {
        ResultForm::Csv => (Form::Csv, "text/csv; charset=utf-8"),
        ResultForm::Json => (Form::Json, "application/json"),
    };
    let opening = stream::once(async move { Ok(Bytes::from_static(cleaning::opening(form).as_bytes())) });
    let rows = stream::try_unfold(Some(None), move |from: Option<Option<i64>>| {
        let (app, cleaning) = (app.clone(), cleaning.clone());
        async move {
            let Some(from) = from else { return Ok::<_, StoreError>(None) };
            let (text, next) = cleaning::chunk(&app, &cleaning, form, from).await?;
            Ok(Some((Bytes::from(text), next.map(Some))))
        }
    });
    let rows = opening.chain(rows);
    let headers =
        [(header::CONTENT_TYPE, media), (header::CONTENT_DISPOSITION, "attachment; filename=\"numbers\"")];
    Ok((headers, Body::from_stream(rows)).into_response())
}
