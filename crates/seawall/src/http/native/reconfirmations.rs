//! `/v1/consents/reconfirmations`: numbers that have to be confirmed again, and the question to them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use seawall_core::consent::reconfirm::Because;
use seawall_core::id::IdKind;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answers::Refused;
use super::caller::{Known, Posted, enter_chosen};
use super::read;
use super::whole::whole;
use crate::app::consent::reconfirm::{self, Stored};
use crate::app::entities::Scope;
use crate::app::who::enter;
use crate::app::{App, Refusal};
use crate::http::admin::page::{List, cursor, row, size};
use crate::http::extract::{Path, Query};

const LIST: &str = "reconfirmations";

/// A number that has to be confirmed again.
#[derive(Serialize, ToSchema)]
pub struct ReconfirmationView {
    /// `rcf_…`
    pub id: String,
    /// Which number, E.164.
    pub to: String,
    /// For which subaccount it was confirmed.
    pub subaccount_id: String,
    /// `age`: it was confirmed long ago; `reassigned`: a lookup says that it has another owner.
    #[schema(value_type = String, example = "age")]
    pub because: Because,
    /// Since when it is due.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// No longer known from then on.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// The message that asked.
    pub message_id: Option<String>,
}

impl From<Stored> for ReconfirmationView {
    fn from(one: Stored) -> Self {
        ReconfirmationView {
            id: one.id.show(IdKind::Reconfirmation),
            to: one.number.to_e164(),
            subaccount_id: one.due.subaccount,
            because: one.due.because,
            since: one.due.since,
            until: one.until,
            message_id: one.due.question,
        }
    }
}

/// Which page, and of which subaccount.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DueQuery {
    /// 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Which subaccount; may be left out when the key has only one.
    pub subaccount_id: Option<String>,
}

/// Numbers that have to be confirmed again, newest first. A code that is confirmed ends it, too.
#[utoipa::path(
    get,
    path = "/v1/consents/reconfirmations",
    operation_id = "listReconfirmations",
    tag = "consents",
    params(DueQuery),
    responses((status = 200, description = "A page.", body = List<ReconfirmationView>)),
    security(("api_key" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Query(query): Query<DueQuery>,
) -> Result<Json<List<ReconfirmationView>>, Refused> {
    let named = query.subaccount_id.as_deref();
    let subaccount = enter_chosen(&app, &caller, named, Scope::Contacts, app.now()).await?;
    let (limit, before) = (size(query.limit)?, row(&app, LIST, query.cursor.as_deref())?);
    let (found, next) =
        reconfirm::list(&app, &subaccount.id, before, limit).await.map_err(Refusal::Unavailable)?;
    let next_cursor = next.map(|row| cursor(&app, LIST, &row.to_string()));
    Ok(Json(List { data: found.into_iter().map(Into::into).collect(), next_cursor }))
}

/// What a number is asked.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReconfirmRequest {
    /// The question; the text of the settings when absent.
    #[schema(max_length = 480)]
    pub text: Option<String>,
    /// Under which sender ID it is asked.
    #[schema(max_length = 16)]
    pub sender: Option<String>,
}

/// Ask the number by SMS whether it still has the same owner. YES keeps it known; NO, and no answer until `until`, do
/// not.
#[utoipa::path(
    post,
    path = "/v1/consents/reconfirmations/{id}/ask",
    operation_id = "askReconfirmation",
    tag = "consents",
    params(("id" = String, Path, description = "`rcf_…`")),
    request_body = ReconfirmRequest,
    responses((status = 200, description = "It was asked.", body = ReconfirmationView)),
    security(("api_key" = []))
)]
pub async fn ask(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
    posted: Posted<ReconfirmRequest>,
) -> Result<Json<ReconfirmationView>, Refused> {
    let id = read::id(IdKind::Reconfirmation, &id)?;
    let found = reconfirm::get(&app, id).await.map_err(Refusal::Unavailable)?;
    let one = found.ok_or(Refusal::NotFound)?;
    enter(&app, &caller, &one.due.subaccount, Scope::Contacts, app.now()).await?;
    let text = read::bounded("text", posted.value.text, 480)?;
    let sender = read::source(posted.value.sender)?;
    let work = async move { reconfirm::ask(&app, &one, text, sender).await };
    Ok(Json(whole(work).await?.into()))
}
