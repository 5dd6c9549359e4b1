//! `/admin/v1/settings`.

use std::sync::Arc;

use axum::extract::State;
use serde_json::Value;
use utoipa::ToSchema;

use super::auth::Admin;
use crate::app::App;
use crate::app::collections::settings::{self, SettingsView};
use crate::app::collections::shapes::{
    ApiRatesPatch, BackOffPatch, DetectionShape, IncidentsShape, SignalsShape,
};
use crate::app::consent::shapes::ConsentShape;
use crate::app::lookup::settings::LookupSettingsShape;
use crate::http::extract::Json;
use crate::http::native::answers::Refused;
use crate::http::native::whole;

/// A JSON merge patch (RFC 7396) of the settings.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `settings::patch` reads")]
#[serde(deny_unknown_fields)]
pub struct SettingsPatch {
    /// Delays between unconfirmed codes; `null`: as in a new installation.
    verification_backoff: Option<BackOffPatch>,
    /// Requests a second; `null`: as in a new installation.
    api_rates: Option<ApiRatesPatch>,
    /// Fraud detection; `null`: as in a new installation.
    detection: Option<DetectionShape>,
    /// Alerts on volume, share and conversion; `null`: as in a new installation.
    signals: Option<SignalsShape>,
    /// What is done about incidents by itself; `null`: as in a new installation.
    incidents: Option<IncidentsShape>,
    /// STOP, START, HELP, double opt-in and "not me"; `null`: as in a new installation.
    consent: Option<ConsentShape>,
    /// What is asked of networks for rules; `null`: as in a new installation.
    lookup: Option<LookupSettingsShape>,
    /// Until then only guardrails refuse; `null`: detection and rules decide.
    #[schema(format = DateTime)]
    observe_until: Option<String>,
}

/// The settings of the installation.
#[utoipa::path(
    get,
    path = "/admin/v1/settings",
    operation_id = "getSettings",
    tag = "set-up",
    responses((status = 200, description = "As they are.", body = SettingsView)),
    security(("admin_token" = []))
)]
pub async fn get(State(app): State<Arc<App>>, _admin: Admin) -> Result<axum::Json<SettingsView>, Refused> {
    Ok(axum::Json(settings::get(&app).await?))
}

/// Change some settings.
#[utoipa::path(
    patch,
    path = "/admin/v1/settings",
    operation_id = "changeSettings",
    tag = "set-up",
    request_body = SettingsPatch,
    responses((status = 200, description = "As they are now, in force.", body = SettingsView)),
    security(("admin_token" = []))
)]
pub async fn patch(
    State(app): State<Arc<App>>,
    admin: Admin,
    Json(body): Json<Value>,
) -> Result<axum::Json<SettingsView>, Refused> {
    let work = async move { settings::patch(&app, &admin.actor, body).await };
    Ok(axum::Json(whole(work).await?))
}
