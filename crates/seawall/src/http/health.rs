//! `/healthz`: the process lives. `/readyz`: what it depends on answers, each by name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use seawall_connect::Health;
use seawall_core::time::Timestamp;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::timeout;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// A store that takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Anyone may ask, so the stores are asked once in this time however many ask.
const FRESH: Duration = Duration::from_secs(1);

/// The routes.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default().routes(routes!(alive)).routes(routes!(ready)).layer(Extension(Recent::default()))
}

/// The process lives.
#[derive(Serialize, ToSchema)]
struct Alive {
    /// `ok`
    #[schema(value_type = String, example = "ok")]
    status: &'static str,
}

/// What the gateway depends on.
#[derive(Clone, Serialize, ToSchema)]
struct Readiness {
    /// `ready`, `draining` or `unready`.
    #[schema(value_type = String, example = "ready")]
    status: &'static str,
    /// Where everything is kept: `up` or `down`. Nothing is sent while it is down.
    #[schema(value_type = String, example = "up")]
    ledger: &'static str,
    /// Where limits count: `up` or `down`.
    #[schema(value_type = String, example = "up")]
    counters: &'static str,
    /// Messages that wait for a provider; absent when the ledger does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    outbox: Option<u64>,
    /// Each provider: `up` or `down`. Why, the admin API says. Messages wait for one that is down.
    #[schema(value_type = BTreeMap<String, String>)]
    providers: BTreeMap<String, &'static str>,
    /// Each of the operator's own files about addresses: `up`, or `outdated` when what lies on the disk cannot be
    /// used and an earlier content is in force.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    intel: BTreeMap<String, &'static str>,
}

/// The last answers of the stores.
#[derive(Clone, Default)]
struct Recent(Arc<Mutex<Option<(Timestamp, Readiness)>>>);

/// Whether the process lives.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "getHealth",
    tag = "operation",
    responses((status = 200, description = "It lives.", body = Alive))
)]
async fn alive() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// Whether requests would be served.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "getReadiness",
    tag = "operation",
    responses(
        (status = 200, description = "They would.", body = Readiness),
        (status = 503, description = "They would not.", body = Readiness),
    )
)]
async fn ready(
    State(app): State<Arc<App>>,
    Extension(recent): Extension<Recent>,
) -> (StatusCode, Json<Readiness>) {
    let mut kept = recent.0.lock().await;
    let now = app.now();
    let readiness = match &*kept {
        Some((at, readiness)) if now.since(*at) < FRESH => readiness.clone(),
        _ => kept.insert((now, look(&app).await)).1.clone(),
    };
    drop(kept);
    let readiness = match app.draining.load(Ordering::Relaxed) {
        true => Readiness { status: "draining", ..readiness },
        false => readiness,
    };
    let status = if readiness.status == "ready" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

async fn look(app: &App) -> Readiness {
    let ledger = matches!(timeout(PATIENCE, app.store.ledger.ping()).await, Ok(Ok(())));
    let counters = matches!(timeout(PATIENCE, app.store.counters.peek(&[], 1, app.now())).await, Ok(Ok(_)));
    Readiness {
        status: if ledger && counters { "ready" } else { "unready" },
        ledger: word(ledger),
        counters: word(counters),
        outbox: waiting(app).await,
        providers: providers(app),
        intel: app.intel.health(),
    }
}

fn word(up: bool) -> &'static str {
    if up { "up" } else { "down" }
}

fn providers(app: &App) -> BTreeMap<String, &'static str> {
    let snapshot = app.snapshot.load();
    let state = |(name, running): (&String, &crate::app::snapshot::RunningProvider)| {
        (name.clone(), word(running.connector.health() == Health::Up))
    };
    snapshot.providers.iter().map(state).collect()
}

/// How many messages wait for a provider.
pub async fn waiting(app: &App) -> Option<u64> {
    timeout(PATIENCE, app.store.ledger.queued()).await.ok()?.ok()
}
