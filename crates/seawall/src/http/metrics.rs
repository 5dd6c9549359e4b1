//! `/metrics`, for Prometheus: only for whoever is on this machine, or has the admin token.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use seawall_connect::Health;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::bearer::{bearer, is_admin_token};
use super::door::PeerAddr;
use super::health;
use super::problem::Problem;
use crate::app::App;

/// Text format of Prometheus.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
/// Headers that a proxy adds: with one of them, a loopback peer speaks for somebody else.
const FORWARDED: [&str; 6] =
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"];

/// The route on the main listener.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default().routes(routes!(guarded))
}

/// The router of a listener of its own (`[metrics] listen`), which whoever can reach it may read.
pub fn alone(app: Arc<App>) -> Router {
    let open = |State(app): State<Arc<App>>| async move { text(&app).await };
    Router::new().route("/metrics", get(open)).with_state(app)
}

/// What the gateway counts about itself.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "getMetrics",
    tag = "operation",
    responses((status = 200, description = "For Prometheus.", body = String, content_type = "text/plain")),
    security((), ("admin_token" = []))
)]
async fn guarded(State(app): State<Arc<App>>, headers: HeaderMap, extensions: Extensions) -> Response {
    let peer = extensions.get::<PeerAddr>().map(|peer| peer.0.ip());
    if is_local(peer, &headers, app.config.server.client_ip_header.name()) || is_admin(&app, &headers) {
        return text(&app).await;
    }
    let detail = "Metrics are for requests from this machine and for the admin token; see [metrics] listen.";
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).into_response();
    let scheme = HeaderValue::from_static("Bearer realm=\"seawall\"");
    response.headers_mut().insert(axum::http::header::WWW_AUTHENTICATE, scheme);
    response
}

fn is_local(peer: Option<IpAddr>, headers: &HeaderMap, ours: &str) -> bool {
    let loopback = peer.is_some_and(|ip| ip.to_canonical().is_loopback());
    loopback && !FORWARDED.iter().chain([&ours]).any(|name| headers.contains_key(*name))
}

fn is_admin(app: &App, headers: &HeaderMap) -> bool {
    bearer(headers).is_some_and(|secret| is_admin_token(&app.snapshot.load(), secret))
}

async fn text(app: &App) -> Response {
    let waiting = health::waiting(app).await.unwrap_or_default();
    let snapshot = app.snapshot.load_full();
    let up = snapshot.providers.values().filter(|p| p.connector.health() == Health::Up).count();
    let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let lag = app.detection.lag();
    let (under_way, overloaded) = app.room.counts();
    let gauges = [
        (
            "seawall_requests_under_way",
            "Requests of subaccounts under way, see `limits.max_requests`.",
            under_way,
        ),
        ("seawall_requests_overloaded", "Requests refused as `overloaded` since the start.", overloaded),
        ("seawall_outbox_messages", "Messages that wait for a provider.", waiting),
        ("seawall_providers", "Providers that are switched on.", number(snapshot.providers.len())),
        ("seawall_providers_up", "Providers that take messages.", number(up)),
        (
            "seawall_evidence_behind_milliseconds",
            "Since this node had folded everything in the stream of evidence that nodes share.",
            u64::try_from(lag.millis).unwrap_or(u64::MAX),
        ),
        (
            "seawall_evidence_waiting_events",
            "Events of this node that are not in the stream of evidence yet.",
            number(lag.waiting),
        ),
        (
            "seawall_evidence_folded",
            "The batch up to which this node has folded the stream of evidence; the same on all nodes that are level.",
            lag.folded,
        ),
        (
            "seawall_leads",
            "Whether this node does what one does for all.",
            u64::from(app.store.ledger.leads()),
        ),
        ("seawall_policy_version", "Grows with every change of the set-up.", snapshot.policy.version),
    ];
    ([(CONTENT_TYPE, MEDIA_TYPE)], app.metrics.text(&gauges)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_on_this_machine_does_not_open_the_metrics() {
        let local = |peer: &str, header: Option<&'static str>| {
            let headers = header.map(|name| (name.parse().unwrap(), HeaderValue::from_static("192.0.2.1")));
            is_local(Some(peer.parse().unwrap()), &headers.into_iter().collect(), "cf-connecting-ip")
        };
        assert!(local("127.0.0.1", None) && local("::1", None) && local("::ffff:127.0.0.1", None));
        assert!(!local("192.0.2.1", None) && !is_local(None, &HeaderMap::new(), "x"));
        assert!(
            !local("127.0.0.1", Some("x-forwarded-for")) && !local("127.0.0.1", Some("cf-connecting-ip"))
        );
    }
}
