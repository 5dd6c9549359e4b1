//! What is left of a prepaid account.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::call::enter_account;
use super::error::{Answer, Refusals, Refused};
use super::wire::Balance;
use crate::app::App;
use crate::app::entities::Scope;
use crate::app::hooks::money;

/// The balance of a prepaid account; others answer 403 with code 1201.
#[utoipa::path(
    get,
    path = "/api/v1/accounts/{accountId}/balance",
    tag = "8x8 SMS",
    operation_id = "eight_balance",
    params(("accountId" = String, Path, description = "GUID, dashes optional, or the account's name")),
    responses((status = 200, body = Balance), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn get(State(app): State<Arc<App>>, request: Request) -> Response {
    shown(&app, request).await.into_response()
}

async fn shown(app: &App, request: Request) -> Answer<Response> {
    let (_, account) = enter_account(app, request, Scope::Sms).await?;
    let postpaid = || Refused::new(StatusCode::FORBIDDEN, 1201, "Account not in prepaid mode");
    let balance = account.balance.ok_or_else(postpaid)?;
    Ok(axum::Json(Balance { balance: money(balance), currency: account.currency }).into_response())
}
