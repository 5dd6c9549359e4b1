//! `/admin/v1/rules/backtest`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::auth::Admin;
use crate::app::App;
use crate::app::backtest::{self, BacktestInput, Report, csv};
use crate::http::extract::Json;
use crate::http::native::answers::Refused;

/// On a file that holds only the newest matches.
const TRUNCATED: HeaderName = HeaderName::from_static("seawall-truncated");

/// What a draft rule would have done to recorded traffic. With `Accept: text/csv` the matches as a file, false
/// positives first.
#[utoipa::path(
    post,
    path = "/admin/v1/rules/backtest",
    operation_id = "backtestRule",
    tag = "set-up",
    request_body = BacktestInput,
    responses((
        status = 200,
        description = "What it would have done.",
        content((Report = "application/json"), (String = "text/csv"))
    )),
    security(("admin_token" = []))
)]
pub async fn run(
    State(app): State<Arc<App>>,
    _admin: Admin,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Response, Refused> {
    if !wants_csv(&headers) {
        return Ok(axum::Json(backtest::backtest(&app, body, None).await?).into_response());
    }
    let report = backtest::backtest(&app, body, Some(backtest::ROWS)).await?;
    let mut response = csv(&report).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    let name = HeaderValue::from_static("attachment; filename=\"backtest.csv\"");
    headers.insert(header::CONTENT_DISPOSITION, name);
    if report.examples.len() >= backtest::ROWS {
        headers.insert(TRUNCATED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Whether CSV is asked for, and JSON is not.
fn wants_csv(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let all: Vec<&str> = accepted.flat_map(|value| value.split(',')).collect();
    let kind = |name: &str| all.iter().any(|one| one.split(';').next().unwrap_or_default().trim() == name);
    kind("text/csv") && !kind("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_asked_for_by_its_type() {
        let wants = |accept: &'static str| {
            wants_csv(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]))
        };
        assert!(wants("text/csv") && wants("text/csv; charset=utf-8, */*;q=0.1"));
        assert!(!wants("*/*") && !wants("application/json, text/csv") && !wants_csv(&HeaderMap::new()));
    }
}
