//! `/v1/bindings`: a user gets a new number. It is proved by a code, and the number before it has to agree.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use seawall_core::binding::{Missing, Refused as Step, Side, State as Stands};
use seawall_core::id::IdKind;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answers::{self, Refused};
use super::caller::{Known, Posted, enter_chosen};
use super::read;
use super::requests::Client;
use super::verifications::looked_at;
use super::views::CheckView;
use super::whole::whole;
use crate::app::audit::Actor;
use crate::app::bindings::{self, NotBound, Shown, Stored, check, start};
use crate::app::check_code::Presented;
use crate::app::entities::Scope;
use crate::app::who::{Caller, enter};
use crate::app::{App, Refusal};
use crate::http::extract::{Path, Query};
use crate::http::problem::Problem;

/// A number for a user.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BindingRequest {
    /// Your own name for the user.
    #[schema(max_length = 256, example = "user-4711")]
    pub user: String,
    /// The new number, E.164, or national with `country`.
    #[schema(example = "+6591234567")]
    pub to: String,
    /// Two letters by ISO 3166-1, for national numbers.
    pub country: Option<String>,
    /// The number that the user has, E.164. Only needed for users whose number was never bound here; where it was, naming
    /// another one is refused.
    #[schema(example = "+6598765432")]
    pub old: Option<String>,
    /// Which subaccount; may be left out when the key has only one.
    pub subaccount_id: Option<String>,
    /// The end user.
    #[serde(default)]
    pub client: Client,
}

/// One of the two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Number {
    /// The one that is to be bound.
    New,
    /// The one that the user had before.
    Old,
}

impl From<Number> for Side {
    fn from(number: Number) -> Self {
        match number {
            Number::New => Side::New,
            Number::Old => Side::Old,
        }
    }
}

/// To which number a code goes.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BindingSend {
    /// `new` or `old`.
    pub number: Number,
    /// The end user.
    #[serde(default)]
    pub client: Client,
}

/// A code that one of the numbers got.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BindingCheck {
    /// `new` or `old`.
    pub number: Number,
    /// What was typed.
    #[schema(example = "123456", max_length = 64)]
    pub code: String,
    /// Who typed it.
    #[serde(default)]
    pub client: Client,
}

/// What is missing until the number is bound.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct MissingView {
    /// A code to the new number.
    pub new: bool,
    /// A code to the old number.
    pub old: bool,
    /// Nothing is bound before this instant, and codes that were right before it do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub wait_until: Option<Timestamp>,
}

/// A number on its way to a user.
#[derive(Debug, Serialize, ToSchema)]
pub struct BindingView {
    /// `bnd_…`
    pub id: String,
    /// For which subaccount.
    pub subaccount_id: String,
    /// Your own name for the user.
    pub user: String,
    /// The new number, E.164.
    pub to: String,
    /// `pending`, `bound`, `canceled` or `expired`. Only right codes make it `bound`.
    #[schema(value_type = String, example = "pending")]
    pub status: &'static str,
    /// What is missing.
    pub missing: MissingView,
    /// Not bound by then: never.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// Why it was canceled: `app`, `replaced` or `not-me`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

impl BindingView {
    fn of(one: &Stored, now: Timestamp) -> Self {
        let Shown { id, subaccount, user, to, state, missing, ends_at, because } = one.shown(now);
        let wait = missing.iter().find_map(|m| match m {
            Missing::Wait(until) => Some(*until),
            _ => None,
        });
        BindingView {
            id: id.show(IdKind::Binding),
            subaccount_id: subaccount,
            user,
            to: to.to_e164(),
            status: state.as_str(),
            missing: MissingView {
                new: missing.contains(&Missing::NewProof),
                old: missing.contains(&Missing::OldProof),
                wait_until: wait,
            },
            expires_at: ends_at,
            because,
        }
    }
}

/// What became of a code, and of the binding.
#[derive(Debug, Serialize, ToSchema)]
pub struct BindingChecked {
    /// What became of the code.
    pub check: CheckView,
    /// The binding after it.
    pub binding: BindingView,
}

/// A user's number and what is on its way.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserNumbers {
    /// The number that the user has by what was bound here, E.164.
    pub number: Option<String>,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Bindings of the user, newest first; gone a day after their end.
    pub bindings: Vec<BindingView>,
}

/// Whose.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UserQuery {
    /// Your own name for the user.
    pub user: String,
    /// Which subaccount; may be left out when the key has only one.
    pub subaccount_id: Option<String>,
}

fn refused(why: NotBound, now: Timestamp) -> Refused {
    let conflict = |code, detail: &str| Problem::new(StatusCode::CONFLICT, code, detail.to_owned()).into();
    match why {
        NotBound::Refusal(refusal) => refusal.into(),
        NotBound::Already => conflict("binding-same-number", "The user has this number already."),
        NotBound::OtherNumber => {
            conflict("binding-other-number", "The user has another number than `old` says; leave `old` out.")
        }
        NotBound::TooOften(again) => {
            let detail = "Too many attempts to change this number lately; try again later.";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "binding-too-often", detail)
                .retry_after(answers::wait(again, now))
                .into()
        }
        NotBound::Step(Step::Ended(state)) => {
            let detail = format!("The binding has ended: it is {}. Begin a new one.", state.as_str());
            Problem::new(StatusCode::CONFLICT, "binding-ended", detail)
                .with("binding_status", state.as_str())
                .into()
        }
        NotBound::Step(Step::NoOld) => conflict(
            "binding-no-old-number",
            "No code of the old number counts here: there is none, it was erased, it is lost, or it has another owner.",
        ),
        NotBound::Step(Step::NewFirst) => conflict(
            "binding-new-first",
            "The new number comes first: confirm its code, then go on within 30 minutes.",
        ),
        NotBound::Step(Step::NoAlternative) => conflict(
            "binding-needs-old-number",
            "Without the old number nothing is changed here; an operator may set consent.bindings.lost_delay.",
        ),
    }
}

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
    let old = request.old.as_deref().map(|old| read::number(old, None)).transpose();
    let wanted = start::Wanted {
        subaccount: subaccount.id.clone(),
        user,
        to: read::number(&request.to, request.country.as_deref())?,
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
