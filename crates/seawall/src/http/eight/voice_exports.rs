//! The log of calls as a file: as that of messages ([`super::exports`]), below `/voice`, with the scope `voice`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};

use super::error::Refusals;
use super::exports::{Product, begin, hand_out, look, remove};
use super::wire::{ExportRequest, ExportStarted, ExportStatus};
use crate::app::App;

/// Begins an export of calls.
#[utoipa::path(
    post,
    path = "/voice/api/v1/subaccounts/{subAccountId}/messages/exports",
    tag = "8x8 Voice",
    operation_id = "eight_voice_export_begin",
    params(("subAccountId" = String, Path)),
    request_body = Option<ExportRequest>,
    responses((status = 202, body = ExportStarted), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn create(State(app): State<Arc<App>>, request: Request) -> Response {
    begin(&app, request, Product::Voice).await.into_response()
}

/// How far an export of calls is, and where to download it.
#[utoipa::path(
    get,
    path = "/voice/api/v1/subaccounts/{subAccountId}/messages/exports/{jobId}",
    tag = "8x8 Voice",
    operation_id = "eight_voice_export_status",
    params(("subAccountId" = String, Path), ("jobId" = String, Path)),
    responses((status = 200, body = ExportStatus), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn status(State(app): State<Arc<App>>, request: Request) -> Response {
    look(&app, request, Product::Voice).await.into_response()
}

/// Ends an export of calls; its download ends with it.
#[utoipa::path(
    delete,
    path = "/voice/api/v1/subaccounts/{subAccountId}/messages/exports/{jobId}",
    tag = "8x8 Voice",
    operation_id = "eight_voice_export_delete",
    params(("subAccountId" = String, Path), ("jobId" = String, Path)),
    responses((status = 204, description = "Deleted"), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn delete(State(app): State<Arc<App>>, request: Request) -> Response {
    remove(&app, request, Product::Voice).await.into_response()
}

/// The file of an export of calls: a line for each leg.
#[utoipa::path(
    get,
    path = "/voice/api/v1/subaccounts/{subAccountId}/messages/download/{token}",
    tag = "8x8 Voice",
    operation_id = "eight_voice_export_download",
    params(("subAccountId" = String, Path), ("token" = String, Path)),
    responses((status = 200, description = "The calls", body = String, content_type = "text/csv"), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn download(State(app): State<Arc<App>>, request: Request) -> Response {
    hand_out(&app, request, Product::Voice).await.into_response()
}
