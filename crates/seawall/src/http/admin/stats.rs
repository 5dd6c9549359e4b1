//! `/admin/v1/stats/overview`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use seawall_connect::Health;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Admin;
use crate::app::App;
use crate::http::extract::Query;
use crate::http::native::answers::Refused;

/// Of what.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct OverviewQuery {
    /// Only of this subaccount.
    pub subaccount_id: Option<String>,
}

/// What there is at a glance.
#[derive(Serialize, ToSchema)]
pub struct Overview {
    /// When it was counted.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Accepted messages, within their retention.
    pub messages: MessageCounts,
    /// Providers in use: `up` or `down`.
    #[schema(value_type = BTreeMap<String, String>)]
    pub providers: BTreeMap<String, &'static str>,
    /// The policy in force.
    pub policy_version: u64,
}

/// Accepted messages.
#[derive(Serialize, ToSchema)]
pub struct MessageCounts {
    /// All of them.
    pub total: u64,
    /// By state; a state without messages may be absent.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub by_state: BTreeMap<&'static str, u64>,
}

/// What there is at a glance.
#[utoipa::path(
    get,
    path = "/admin/v1/stats/overview",
    operation_id = "getOverview",
    tag = "history",
    params(OverviewQuery),
    responses((status = 200, description = "As it is now.", body = Overview)),
    security(("admin_token" = []))
)]
pub async fn overview(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Query(query): Query<OverviewQuery>,
) -> Result<axum::Json<Overview>, Refused> {
    let by_state = app.store.ledger.census(query.subaccount_id.as_deref()).await?;
    let snapshot = app.snapshot.load_full();
    let word = |health: Health| if health == Health::Up { "up" } else { "down" };
    Ok(axum::Json(Overview {
        at: app.now(),
        messages: MessageCounts { total: by_state.values().sum(), by_state },
        providers: snapshot.providers.iter().map(|(n, p)| (n.clone(), word(p.connector.health()))).collect(),
        policy_version: snapshot.policy.version,
    }))
}
