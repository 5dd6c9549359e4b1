//! The admin API, `/admin/v1/…`: JSON in snake_case, errors as problems (RFC 9457). What is set up
//! ([`set_up`], [`settings`], [`opt_outs`]), what happened ([`decisions`], [`messages`], [`verifications`],
//! [`audit`], [`stats`]), and the sandbox ([`sandbox`]). Each is a thin room around [`crate::app`].

mod audit;
mod auth;
mod decisions;
mod errors;
mod messages;
mod opt_outs;
mod page;
mod patch;
mod rest;
mod sandbox;
mod set_up;
mod settings;
mod stats;
mod verifications;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// All routes of the admin API.
pub fn router() -> OpenApiRouter<Arc<App>> {
    set_up::router()
        .routes(routes!(settings::get, settings::patch))
        .routes(routes!(opt_outs::list, opt_outs::create))
        .routes(routes!(opt_outs::get, opt_outs::delete))
        .routes(routes!(decisions::list))
        .routes(routes!(decisions::get))
        .routes(routes!(messages::list))
        .routes(routes!(messages::get))
        .routes(routes!(verifications::list))
        .routes(routes!(verifications::get))
        .routes(routes!(audit::list))
        .routes(routes!(stats::overview))
        .routes(routes!(sandbox::received, sandbox::answered))
        .routes(routes!(sandbox::clock))
}
