//! The admin API, `/admin/v1/…`: JSON in snake_case, errors as problems (RFC 9457). What is set up
//! ([`set_up`], [`settings`], [`opt_outs`]), what happened ([`decisions`], [`messages`], [`verifications`],
//! [`audit`], [`incidents`], [`stats`], [`signals`]), and the sandbox ([`sandbox`]). Each is a thin room around [`crate::app`].

mod audit;
mod auth;
mod consents;
mod decisions;
mod errors;
mod explain;
mod incidents;
mod keys;
pub mod lists;
mod lookups;
mod messages;
mod models;
mod opt_outs;
pub mod page;
mod patch;
mod preview;
mod rest;
mod rules;
mod sandbox;
mod set_up;
mod settings;
mod signals;
mod stats;
mod suspensions;
mod verifications;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use crate::app::App;

/// All routes of the admin API.
pub fn router() -> OpenApiRouter<Arc<App>> {
    set_up::router()
        .routes(routes!(settings::get, settings::patch))
        .routes(routes!(preview::get))
        .routes(routes!(opt_outs::list, opt_outs::create))
        .routes(routes!(opt_outs::get, opt_outs::delete))
        .routes(routes!(consents::list))
        .routes(routes!(consents::decide))
        .routes(routes!(consents::export))
        .routes(routes!(consents::import).layer(DefaultBodyLimit::max(consents::TABLE_AT_MOST)))
        .routes(routes!(lists::create, lists::list))
        .routes(routes!(lists::get, lists::patch, lists::delete))
        .routes(routes!(lists::table))
        .routes(routes!(lists::import).layer(DefaultBodyLimit::max(lists::TABLE_AT_MOST)))
        .routes(routes!(suspensions::create, suspensions::list))
        .routes(routes!(suspensions::get, suspensions::patch, suspensions::delete))
        .routes(routes!(suspensions::lift))
        .routes(routes!(decisions::list))
        .routes(routes!(decisions::get))
        .routes(routes!(explain::explain))
        .routes(routes!(keys::show))
        .routes(routes!(keys::rewrap))
        .routes(routes!(keys::rotate))
        .routes(routes!(keys::show_number_keys))
        .routes(routes!(keys::rotate_number_keys))
        .routes(routes!(messages::list))
        .routes(routes!(messages::get))
        .routes(routes!(verifications::list))
        .routes(routes!(verifications::get))
        .routes(routes!(audit::list))
        .routes(routes!(audit::verify))
        .routes(routes!(incidents::list))
        .routes(routes!(incidents::get, incidents::patch))
        .routes(routes!(stats::overview))
        .routes(routes!(signals::list))
        .routes(routes!(rules::run))
        .routes(routes!(models::create).layer(DefaultBodyLimit::max(models::AT_MOST)))
        .routes(routes!(models::list))
        .routes(routes!(models::get, models::patch, models::delete))
        .routes(routes!(models::samples))
        .routes(routes!(sandbox::received, sandbox::answered))
        .routes(routes!(sandbox::clock))
        .routes(routes!(lookups::tell))
        .routes(routes!(lookups::corrected, lookups::correct, lookups::take_back))
}
