//! `/admin/v1/models`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::auth::Admin;
use crate::app::App;
use crate::app::models::{self, ModelInput, ModelPatch, ModelView, Samples, SamplesInput};
use crate::http::extract::{Json, Path};
use crate::http::native::answers::Refused;
use crate::http::native::whole;

/// Bytes of a model at most.
pub const AT_MOST: usize = 16 << 20;

/// All models.
#[derive(Serialize, ToSchema)]
pub struct ModelList {
    /// Oldest first; there are never many.
    pub data: Vec<ModelView>,
    /// Always null: one page holds them all.
    pub next_cursor: Option<String>,
}

/// Add a trained model. It begins in shadow: recorded with each decision, and without effect.
#[utoipa::path(
    post,
    path = "/admin/v1/models",
    operation_id = "createModel",
    tag = "set-up",
    request_body = ModelInput,
    responses((status = 201, description = "It is stored, and asked from now on.", body = ModelView)),
    security(("admin_token" = []))
)]
pub async fn create(
    State(app): State<Arc<App>>,
    admin: Admin,
    Json(body): Json<Value>,
) -> Result<(StatusCode, axum::Json<ModelView>), Refused> {
    let work = async move { models::create(&app, &admin.actor, body).await };
    Ok((StatusCode::CREATED, axum::Json(whole(work).await?)))
}

/// All of them, oldest first.
#[utoipa::path(
    get,
    path = "/admin/v1/models",
    operation_id = "listModels",
    tag = "set-up",
    responses((status = 200, description = "All of them.", body = ModelList)),
    security(("admin_token" = []))
)]
pub async fn list(State(app): State<Arc<App>>, _admin: Admin) -> Result<axum::Json<ModelList>, Refused> {
    Ok(axum::Json(ModelList { data: models::list(&app).await?, next_cursor: None }))
}

/// One, with how it compares with the engine over labelled requests since it was added. Reads the ledger.
#[utoipa::path(
    get,
    path = "/admin/v1/models/{id}",
    operation_id = "getModel",
    tag = "set-up",
    params(("id" = String, Path, description = "Its id or its name.")),
    responses((status = 200, description = "As it is.", body = ModelView)),
    security(("admin_token" = []))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Path(id): Path<String>,
) -> Result<axum::Json<ModelView>, Refused> {
    Ok(axum::Json(models::get(&app, &id).await?))
}

/// Let one decide (`enforce`), which is refused unless it has proved better than the engine; or put it into shadow.
#[utoipa::path(
    patch,
    path = "/admin/v1/models/{id}",
    operation_id = "changeModel",
    tag = "set-up",
    params(("id" = String, Path, description = "Its id or its name.")),
    request_body = ModelPatch,
    responses(
        (status = 200, description = "As it is now, in force.", body = ModelView),
        (status = 409, description = "It has not proved better; the detail has the figures.")
    ),
    security(("admin_token" = []))
)]
pub async fn patch(
    State(app): State<Arc<App>>,
    admin: Admin,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Result<axum::Json<ModelView>, Refused> {
    let work = async move { models::patch(&app, &admin.actor, &id, body).await };
    Ok(axum::Json(whole(work).await?))
}

/// Delete one.
#[utoipa::path(
    delete,
    path = "/admin/v1/models/{id}",
    operation_id = "deleteModel",
    tag = "set-up",
    params(("id" = String, Path, description = "Its id or its name.")),
    responses((status = 204, description = "It is gone.")),
    security(("admin_token" = []))
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    admin: Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    let work = async move { models::delete(&app, &admin.actor, &id).await };
    whole(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Labelled requests to train a model on. They name no person, number or address.
#[utoipa::path(
    post,
    path = "/admin/v1/models/samples",
    operation_id = "listTrainingSamples",
    tag = "set-up",
    request_body = SamplesInput,
    responses((status = 200, description = "In order of time.", body = Samples)),
    security(("admin_token" = []))
)]
pub async fn samples(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Json(input): Json<SamplesInput>,
) -> Result<axum::Json<Samples>, Refused> {
    Ok(axum::Json(models::samples(&app, input).await?))
}
