//! `/admin/v1/keys`: the keys of what is kept; new ones.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::auth::Admin;
use crate::app::App;
use crate::app::collections::Wrong;
use crate::app::keys::{self, KeysView};
use crate::app::number_keys::{self, NumberKeysView};
use crate::http::extract::Json;
use crate::http::native::answers::Refused;
use crate::http::native::{read, whole};

/// The root key and the data keys, which key wraps them, and how far sealing again is. No key is shown.
#[utoipa::path(
    get,
    path = "/admin/v1/keys",
    operation_id = "showKeys",
    tag = "operation",
    responses((status = 200, description = "As it stands.", body = KeysView)),
    security(("admin_token" = []))
)]
pub async fn show(State(app): State<Arc<App>>, _admin: Admin) -> Result<axum::Json<KeysView>, Refused> {
    Ok(axum::Json(keys::view(&app).await.map_err(Wrong::Store)?))
}

/// With which key-encryption key.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RewrapInput {
    /// Make a new one in the key file first. Absent: the last one that is there.
    pub new: bool,
}

/// Wrap all keys with the newest key-encryption key. It takes a moment, whatever the database holds.
#[utoipa::path(
    post,
    path = "/admin/v1/keys/rewrap",
    operation_id = "rewrapKeys",
    tag = "operation",
    request_body = RewrapInput,
    responses((status = 200, description = "It is done.", body = KeysView)),
    security(("admin_token" = []))
)]
pub async fn rewrap(
    State(app): State<Arc<App>>,
    admin: Admin,
    Json(input): Json<RewrapInput>,
) -> Result<axum::Json<KeysView>, Refused> {
    let work = async move { keys::rewrap(&app, &admin.actor, input.new).await };
    Ok(axum::Json(whole(work).await?))
}

/// Make a new data key. It seals within seconds; what the old one sealed is sealed again in the background, and then
/// the old one goes.
#[utoipa::path(
    post,
    path = "/admin/v1/keys/rotate",
    operation_id = "rotateDataKey",
    tag = "operation",
    responses((status = 200, description = "It has begun.", body = KeysView)),
    security(("admin_token" = []))
)]
pub async fn rotate(State(app): State<Arc<App>>, admin: Admin) -> Result<axum::Json<KeysView>, Refused> {
    let work = async move { keys::rotate(&app, &admin.actor).await };
    Ok(axum::Json(whole(work).await?))
}

/// The keys that numbers in requests may be encrypted with, those that still open included.
#[utoipa::path(
    get,
    path = "/admin/v1/number-keys",
    operation_id = "showNumberKeys",
    tag = "operation",
    responses((status = 200, description = "Oldest first.", body = NumberKeysView)),
    security(("admin_token" = []))
)]
pub async fn show_number_keys(State(app): State<Arc<App>>, _admin: Admin) -> axum::Json<NumberKeysView> {
    axum::Json(number_keys::view(&app))
}

/// How a pair of keys for numbers is replaced.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RotateNumberKeysInput {
    /// For so long the pair before still opens: at most `30d`, `24h` when absent, `0s` if it is known to others.
    #[schema(example = "24h")]
    pub grace: Option<String>,
}

/// Make a new pair of keys for numbers in requests. The one before opens until its grace is over, and is then deleted.
#[utoipa::path(
    post,
    path = "/admin/v1/number-keys/rotate",
    operation_id = "rotateNumberKeys",
    tag = "operation",
    request_body = RotateNumberKeysInput,
    responses((status = 200, description = "As it stands now.", body = NumberKeysView)),
    security(("admin_token" = []))
)]
pub async fn rotate_number_keys(
    State(app): State<Arc<App>>,
    admin: Admin,
    Json(input): Json<RotateNumberKeysInput>,
) -> Result<axum::Json<NumberKeysView>, Refused> {
    let bounds = Duration::ZERO..=number_keys::LONGEST_GRACE;
    let grace = read::duration("grace", input.grace.as_deref(), bounds, number_keys::GRACE)?;
    let work = async move { number_keys::rotate(&app, &admin.actor, grace).await };
    Ok(axum::Json(whole(work).await?))
}
