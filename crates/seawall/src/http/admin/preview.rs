//! `/admin/v1/settings/detection/preview`: what another position of the dial would have done.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::auth::Admin;
use crate::app::App;
use crate::app::preview::{Position, Preview, preview};
use crate::http::extract::Query;
use crate::http::native::answers::Refused;

/// Another position of the dial; what is absent stays as it is set.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PreviewQuery {
    /// What a good user is worth, in micro-units.
    #[param(minimum = 0)]
    pub user_value: Option<i64>,
    /// Percent of good users that a challenge loses.
    #[param(maximum = 100)]
    pub challenge_loss: Option<u8>,
    /// Percent of good users that another channel loses.
    #[param(maximum = 100)]
    pub alternative_loss: Option<u8>,
    /// Over the last so long, at most `90d`; `7d` when absent.
    #[param(pattern = "^[0-9]+(ms|s|m|h|d)$")]
    pub since: Option<String>,
}

/// What detection's dial did over the last days, and what another position would have done.
#[utoipa::path(
    get,
    path = "/admin/v1/settings/detection/preview",
    operation_id = "previewDetection",
    tag = "set-up",
    params(PreviewQuery),
    responses((status = 200, description = "An estimate, and over what.", body = Preview)),
    security(("admin_token" = []))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Query(query): Query<PreviewQuery>,
) -> Result<axum::Json<Preview>, Refused> {
    let position = Position {
        user_value: query.user_value,
        challenge_loss: query.challenge_loss,
        alternative_loss: query.alternative_loss,
    };
    Ok(axum::Json(preview(&app, position, query.since.as_deref()).await?))
}
