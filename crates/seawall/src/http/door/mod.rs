//! Room 1, the door: bytes become a routed request with a known caller, within bounds of size and time.
//!
//! [`finish`] puts the outermost layer around the assembled router: caller address, request id, common
//! headers, panics. [`serve`] accepts connections and keeps slow or greedy ones from harming the others.

mod address;
mod body;
mod caps;
mod connection;
mod fallback;
mod framing;
mod listener;
mod pulse;
mod request_id;
mod tls;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;

use crate::config::Config;
use crate::metrics::Metrics;

pub use address::{CallerIp, PeerAddr};
pub use body::is_timeout;
pub use fallback::refuse;
pub use framing::Ambiguous;
pub use listener::serve;
pub use request_id::RequestId;
pub use tls::Tls;

/// Wraps the whole router. Nothing may be added to it afterwards: every layer of its own costs each request a copy
/// of the route.
pub fn finish(router: Router, config: &Config, metrics: Arc<Metrics>) -> Router {
    let door = address::DoorLayer::new(Arc::new(address::Door::new(config, metrics)));
    router
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .layer((door, DefaultBodyLimit::max(config.server.max_body)))
}

/// The bound on bodies of batches: a layer for their routes.
pub fn batch_body(config: &Config) -> DefaultBodyLimit {
    DefaultBodyLimit::max(config.server.max_batch_body)
}
