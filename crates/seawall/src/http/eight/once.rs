//! `Idempotency-Key` on requests that send: the same key and body get the same answer.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use seawall_store::records::Idempotent;

use super::error::{Answer, refusal};
use crate::app::App;
use crate::app::idempotency::{self, Found, Render, Wish};

/// What a request with or without a key is.
pub(super) enum Once<T> {
    /// To be done; with a key, its answer is kept.
    New(Option<Wish<T>>),
    /// Done before.
    Replay(Idempotent),
}

/// Looks a key up and holds it until the request is done. `operation` stands for method and path, so that
/// an alias is the same request.
pub(super) async fn begin<T>(
    app: &App,
    subaccount: &str,
    operation: &str,
    key: Option<&str>,
    body: &[u8],
    render: Render<T>,
) -> Answer<Once<T>> {
    let Some(key) = key else {
        return Ok(Once::New(None));
    };
    let scope = format!("8x8\u{1f}{subaccount}\u{1f}{operation}");
    match idempotency::begin(app, &scope, key, body, render).await {
        Ok(Found::New(wish)) => Ok(Once::New(Some(wish))),
        Ok(Found::Replay(kept)) => Ok(Once::Replay(kept)),
        Err(error) => Err(refusal(error)),
    }
}

/// The answer as it was given.
pub(super) fn replay(kept: Idempotent) -> Response {
    const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (REPLAYED, HeaderValue::from_static("true")),
    ];
    (status, headers, Body::from(kept.body)).into_response()
}
