//! `/v1/masking/sessions`: two parties reach each other through a virtual number, and neither sees the other's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use seawall_core::id::IdKind;
use seawall_core::masking::Direction;
use seawall_core::masking::select::Unfit;
use seawall_core::time::Timestamp;
use seawall_store::masking::{CallFilter, CallRecord, MaskFilter, MaskRecord};
use seawall_store::records::Page;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answers::Refused;
use super::caller::{Known, Posted, enter_chosen};
use super::masking_views::{CallView, DirectionWord, MaskView};
use super::once::{Turn, answer, rendered, turn};
use super::read;
use super::whole::whole;
use crate::app::entities::Scope;
use crate::app::masking::open::{NotOpened, OpenMask};
use crate::app::masking::{end, open, summary};
use crate::app::who::{Caller, enter};
use crate::app::{App, Refusal};
use crate::http::admin::page::{List, row, rows, size};
use crate::http::extract::{Path, Query};
use crate::http::problem::Problem;

/// A session may last so long.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// What an app may keep with a session.
const METADATA: usize = 20;

/// A session that is wished.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MaskRequest {
    /// The first party, E.164. Of a one-way session the one who may call.
    #[schema(example = "+6591234567", max_length = 1024)]
    pub a: String,
    /// The second party.
    #[schema(example = "+6598765432", max_length = 64)]
    pub b: String,
    /// From which pool the virtual number is; may be left out when there is only one.
    #[schema(example = "rides", max_length = 64)]
    pub pool: Option<String>,
    /// Who may begin; both when absent.
    pub direction: Option<DirectionWord>,
    /// How long it lasts, at most 366 days; until it is ended when absent.
    #[schema(example = "2h")]
    pub expires_in: Option<String>,
    /// The same as an instant.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// Whether calls are recorded; as the pool says when absent.
    pub record: Option<bool>,
    /// The caller's name for it.
    #[schema(max_length = 64)]
    pub reference: Option<String>,
    /// What the caller wants to find in it: at most 20 texts.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which subaccount; may be left out when the key has only one.
    pub subaccount_id: Option<String>,
}

fn expiry(
    request_in: Option<&str>,
    request_at: Option<&str>,
    now: Timestamp,
) -> Result<Option<Timestamp>, Refusal> {
    let span = |text| read::duration("expires_in", Some(text), Duration::from_secs(1)..=LONGEST, LONGEST);
    let wanted = request_in.map(span).transpose()?;
    let at = read::instant("expires_at", request_at)?;
    match (wanted, at) {
        (Some(_), Some(_)) => Err(read::invalid("expires_at", "give `expires_in` or `expires_at`, not both")),
        (Some(wanted), None) => Ok(Some(now.plus(wanted))),
        (None, Some(at)) if at > now && at.since(now) <= LONGEST => Ok(Some(at)),
        (None, Some(_)) => Err(read::invalid("expires_at", "`expires_at` is a time ahead, at most 366 days")),
        (None, None) => Ok(None),
    }
}

fn metadata(given: Option<BTreeMap<String, String>>) -> Result<BTreeMap<String, String>, Refusal> {
    let given = given.unwrap_or_default();
    let fits = |(name, value): (&String, &String)| {
        (1..=64).contains(&name.chars().count()) && value.chars().count() <= 256
    };
    if given.len() > METADATA || !given.iter().all(fits) {
        let rule = "`metadata` holds at most 20 texts of 256 characters, under names of 1 to 64";
        return Err(read::invalid("metadata", rule));
    }
    Ok(given)
}

fn party(text: &str) -> Result<seawall_core::msisdn::Msisdn, Refusal> {
    Ok(read::written_out("party", text, None)?.msisdn)
}

fn understood(app: &App, subaccount: &str, request: MaskRequest) -> Result<OpenMask, Refusal> {
    let (a, b) = (read::number(app, "a", &request.a, None)?, read::number(app, "b", &request.b, None)?);
    Ok(OpenMask {
        subaccount: subaccount.to_owned(),
        a: a.msisdn,
        b: b.msisdn,
        veiled: a.veiled || b.veiled,
        pool: read::bounded("pool", request.pool, 64)?,
        direction: request.direction.map_or(Direction::TwoWay, Into::into),
        expires_at: expiry(request.expires_in.as_deref(), request.expires_at.as_deref(), app.now())?,
        record: request.record,
        reference: read::bounded("reference", request.reference, 64)?,
        metadata: metadata(request.metadata)?,
    })
}

/// Why there is no session, in words.
fn not_opened(why: NotOpened) -> Refused {
    let detail = |why: Unfit, pool: &str| match why {
        Unfit::SameParty => ("b", "`a` and `b` are the same number; two parties are needed.".to_owned()),
        Unfit::Circle => (
            "a",
            "One of the parties is itself a virtual number; a call would go round in a circle.".to_owned(),
        ),
        Unfit::Exhausted => (
            "pool",
            format!(
                "Every virtual number of the pool `{pool}` that works is in use by one of the parties, or was a moment ago. \
             End sessions that are over, add virtual numbers, or lower the pool's `reuse_after`."
            ),
        ),
    };
    match why {
        NotOpened::Unfit(Unfit::Exhausted, pool) => {
            let (_, detail) = detail(Unfit::Exhausted, &pool);
            Problem::new(StatusCode::CONFLICT, "pool-exhausted", detail).with("pool", pool).into()
        }
        NotOpened::Unfit(why, pool) => {
            let (field, detail) = detail(why, &pool);
            Problem::field(field, detail).into()
        }
        NotOpened::Pool(names) if names.is_empty() => {
            let detail = "There is no pool of virtual numbers for this subaccount; an operator creates one under \
                /admin/v1/number-pools.";
            Problem::field("pool", detail).into()
        }
        NotOpened::Pool(names) => {
            Problem::field("pool", format!("Name one of the pools: {}.", names.join(", "))).into()
        }
        NotOpened::UnderWay => Refusal::UnderWay.into(),
        NotOpened::Store(error) => error.into(),
    }
}

/// Open a session: both parties get the same virtual number, which neither has with anybody else. What one of them
/// calls or writes to it reaches the other.
#[utoipa::path(
    post,
    path = "/v1/masking/sessions",
    operation_id = "openMaskingSession",
    tag = "masking",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters.")),
    request_body = MaskRequest,
    responses(
        (status = 201, description = "It is on disk and in force.", body = MaskView),
        (status = 409, description = "The pool is exhausted for these parties."),
    ),
    security(("api_key" = []))
)]
pub async fn create(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    headers: HeaderMap,
    posted: Posted<MaskRequest>,
) -> Result<Response, Refused> {
    let named = posted.value.subaccount_id.as_deref();
    let subaccount = enter_chosen(&app, &caller, named, Scope::Masking, app.now()).await?;
    let ask = understood(&app, &subaccount.id, posted.value)?;
    let scope = format!("{} POST /v1/masking/sessions", subaccount.id);
    let now = app.now();
    let render = move |opened: &MaskRecord| rendered(StatusCode::CREATED, &MaskView::of(opened, None, now));
    let wish = match turn(&app, &headers, &scope, &posted.bytes, Box::new(render)).await? {
        Turn::Do(wish) => wish,
        Turn::Done(response) => return Ok(response),
    };
    let opened = whole(async move { open::open(&app, ask, wish).await }).await.map_err(not_opened)?;
    Ok(answer(render(&opened)))
}

/// Which sessions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct MaskQuery {
    /// With this party: E.164 with `+`, written `%2B`.
    pub party: Option<String>,
    /// `true`: only those that are not over; `false`: only those that are.
    pub open: Option<bool>,
    /// Which subaccount; may be left out when the key has only one.
    pub subaccount_id: Option<String>,
    /// Entries at most, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Sessions, newest first.
#[utoipa::path(
    get,
    path = "/v1/masking/sessions",
    operation_id = "listMaskingSessions",
    tag = "masking",
    params(MaskQuery),
    responses((status = 200, description = "A page.", body = List<MaskView>)),
    security(("api_key" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Query(query): Query<MaskQuery>,
) -> Result<Json<List<MaskView>>, Refused> {
    let named = query.subaccount_id.as_deref();
    let subaccount = enter_chosen(&app, &caller, named, Scope::Masking, app.now()).await?;
    let limit = size(query.limit)?;
    let before = row(&app, "masks", query.cursor.as_deref())?;
    let filter = MaskFilter {
        subaccount: Some(subaccount.id.clone()),
        party: query.party.as_deref().map(party).transpose()?,
        open: query.open,
    };
    let found = app.store.directory.masks(filter, Page { before, limit: limit + 1 }).await?;
    let now = app.now();
    Ok(Json(rows(&app, "masks", found, limit, |r| r.id.row(), |r| MaskView::of(&r, None, now))))
}

async fn found(app: &App, caller: &Caller, id: &str) -> Result<MaskRecord, Refused> {
    let id = read::id(IdKind::Mask, id)?;
    let record = app.store.directory.mask(id).await?.ok_or(Refusal::NotFound)?;
    enter(app, caller, &record.subaccount, Scope::Masking, app.now()).await?;
    Ok(record)
}

/// One session, with what went through it.
#[utoipa::path(
    get,
    path = "/v1/masking/sessions/{id}",
    operation_id = "getMaskingSession",
    tag = "masking",
    params(("id" = String, Path, description = "`mask_…`")),
    responses((status = 200, description = "As it stands.", body = MaskView)),
    security(("api_key" = []))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Result<Json<MaskView>, Refused> {
    let record = found(&app, &caller, &id).await?;
    let summary = summary(&app, &record).await?;
    Ok(Json(MaskView::of(&record, Some(summary), app.now())))
}

/// What may change while a session is open.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MaskPatch {
    /// Another direction.
    pub direction: Option<DirectionWord>,
    /// So long from now on.
    #[schema(example = "2h")]
    pub expires_in: Option<String>,
    /// The same as an instant.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// Whether calls are recorded.
    pub record: Option<bool>,
}

/// Change a session that is open.
#[utoipa::path(
    patch,
    path = "/v1/masking/sessions/{id}",
    operation_id = "changeMaskingSession",
    tag = "masking",
    params(("id" = String, Path, description = "`mask_…`")),
    request_body = MaskPatch,
    responses(
        (status = 200, description = "As it is now, in force.", body = MaskView),
        (status = 409, description = "It is over."),
    ),
    security(("api_key" = []))
)]
pub async fn patch(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
    posted: Posted<MaskPatch>,
) -> Result<Json<MaskView>, Refused> {
    let record = found(&app, &caller, &id).await?;
    let wish = posted.value;
    let ends = expiry(wish.expires_in.as_deref(), wish.expires_at.as_deref(), app.now())?;
    let shared = app.clone();
    let work = async move {
        let change = |record: &mut MaskRecord, _| {
            record.session.direction = wish.direction.map_or(record.session.direction, Into::into);
            record.session.expires_at = ends.or(record.session.expires_at);
            record.record = wish.record.unwrap_or(record.record);
        };
        end::change(&shared, record, change).await
    };
    let over = || {
        let detail = "The session is over and cannot be changed; open a new one.";
        Refused::from(Problem::new(StatusCode::CONFLICT, "session-over", detail))
    };
    let changed = whole(work).await?.ok_or_else(over)?;
    Ok(Json(MaskView::of(&changed, None, app.now())))
}

/// End a session now. What is called or written afterwards reaches nobody.
#[utoipa::path(
    delete,
    path = "/v1/masking/sessions/{id}",
    operation_id = "endMaskingSession",
    tag = "masking",
    params(("id" = String, Path, description = "`mask_…`")),
    responses((status = 204, description = "It is over.")),
    security(("api_key" = []))
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    let record = found(&app, &caller, &id).await?;
    whole(async move { end::close(&app, record).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The calls of a session.
#[derive(Serialize, ToSchema)]
pub struct MaskCalls {
    /// The newest first, at most 200.
    pub data: Vec<CallView>,
}

/// Calls that came for a session, newest first.
#[utoipa::path(
    get,
    path = "/v1/masking/sessions/{id}/calls",
    operation_id = "listMaskedCalls",
    tag = "masking",
    params(("id" = String, Path, description = "`mask_…`")),
    responses((status = 200, description = "The newest first.", body = MaskCalls)),
    security(("api_key" = []))
)]
pub async fn calls(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Result<Json<MaskCalls>, Refused> {
    let record = found(&app, &caller, &id).await?;
    let filter = CallFilter { session: Some(record.id), ..CallFilter::default() };
    let calls: Vec<CallRecord> = app.store.directory.calls(filter, Page { before: None, limit: 200 }).await?;
    Ok(Json(MaskCalls { data: calls.into_iter().map(CallView::from).collect() }))
}
