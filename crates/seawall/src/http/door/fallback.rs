//! Answers to requests that no handler takes, in the words of the dialect that the path belongs to.

use axum::Json;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::request_id::RequestId;
use crate::http::problem::Problem;

/// Whether a path belongs to the 8x8-compatible dialect.
pub(super) fn is_compatible(path: &str) -> bool {
    path.starts_with("/api/") || path.starts_with("/sms/")
}

/// An error in the dialect of a path: 8x8's body below `/api/`, a problem (RFC 9457) everywhere else.
pub fn refuse(path: &str, status: StatusCode, code: &'static str, detail: impl Into<String>) -> Response {
    answer(is_compatible(path), status, code, detail)
}

pub(super) fn answer(
    compatible: bool,
    status: StatusCode,
    code: &'static str,
    detail: impl Into<String>,
) -> Response {
    let detail = detail.into();
    if !compatible {
        return Problem::new(status, code, detail).into_response();
    }
    let id = RequestId::current();
    let body = json!({
        "code": number(status),
        "message": detail,
        "errorId": id.as_ref().map(RequestId::uuid).unwrap_or_else(|| "00000000-0000-0000-0000-000000000000".to_owned()),
        "timestamp": id.map(|id| id.arrived_at()).unwrap_or_default(),
    });
    (status, Json(body)).into_response()
}

/// 8x8's number for what can go wrong before a handler is reached.
fn number(status: StatusCode) -> u16 {
    match status {
        StatusCode::NOT_FOUND => 1300,
        StatusCode::PAYLOAD_TOO_LARGE => 7001,
        StatusCode::UNAUTHORIZED => 1200,
        StatusCode::FORBIDDEN => 1201,
        StatusCode::TOO_MANY_REQUESTS => 429,
        status if status.is_server_error() => 2000,
        _ => 1000,
    }
}

/// 404.
pub(super) async fn not_found(method: Method, uri: Uri) -> Response {
    let detail = format!("There is nothing for {method} at this path; see /openapi.json for what there is.");
    refuse(uri.path(), StatusCode::NOT_FOUND, "not-found", detail)
}

/// 405; the router adds `Allow`.
pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    let detail = format!("This path does not take {method}; the header Allow names what it takes.");
    refuse(uri.path(), StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}
