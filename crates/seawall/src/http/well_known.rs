//! `/.well-known/…`: what others need to know of this installation, open to everybody.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, number_keys as numbers, receipts};

/// Its routes.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default().routes(routes!(keys)).routes(routes!(number_keys))
}

/// The public keys with which receipts of decisions are verified, as a JWK set.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    operation_id = "getKeys",
    tag = "operation",
    responses((status = 200, description = "All keys that ever signed.", body = Object))
)]
async fn keys(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "public, max-age=3600")], Json(receipts::keys(&app)))
}

/// The public keys that numbers in requests may be encrypted with, as a JWK set: P-256 for a compact JWE (ECDH-ES,
/// A256GCM), X25519 for HPKE. Fetch it again after an hour, and when a request is refused with `number-key-unknown`.
#[utoipa::path(
    get,
    path = "/.well-known/number-keys.json",
    operation_id = "getNumberKeys",
    tag = "operation",
    responses((status = 200, description = "The pair to use now.", body = Object))
)]
async fn number_keys(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "public, max-age=3600")], Json(numbers::published(&app)))
}
