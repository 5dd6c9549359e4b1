//! The native API, `/v1/…`: JSON in snake_case, errors as problems (RFC 9457).
//!
//! A handler reads as the rooms that it walks through: [`caller`] (who), [`read`] (what), a use case of
//! [`crate::app`], and [`views`], [`sent`] or [`answers`] (answer).

pub mod answers;
mod batches;
mod binding_views;
mod bindings;
pub mod caller;
mod cleanings;
mod consents;
mod decisions;
mod erasures;
mod masking;
mod masking_views;
mod message_view;
mod messages;
mod number_data;
pub mod numbers;
mod once;
pub mod read;
mod reconfirmations;
pub mod requests;
mod sent;
mod template;
mod verifications;
pub mod views;
mod whole;
pub mod words;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use super::door;
use crate::app::App;
use crate::config::Config;

pub use whole::whole;

/// All routes of the native API.
pub fn router(config: &Config) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(decisions::decide))
        .routes(routes!(decisions::get))
        .routes(routes!(verifications::start))
        .routes(routes!(verifications::get, verifications::cancel))
        .routes(routes!(verifications::check))
        .routes(routes!(verifications::approve))
        .routes(routes!(decisions::outcome))
        .routes(routes!(decisions::outcome_of_number))
        .routes(routes!(decisions::receipt))
        .routes(routes!(messages::send))
        .routes(routes!(batches::send).layer(door::batch_body(config)))
        .routes(routes!(messages::get, messages::cancel))
        .routes(routes!(numbers::get))
        .routes(routes!(numbers::batch))
        .routes(routes!(cleanings::create).layer(DefaultBodyLimit::max(cleanings::TABLE_AT_MOST)))
        .routes(routes!(cleanings::get, cleanings::delete))
        .routes(routes!(cleanings::confirm))
        .routes(routes!(cleanings::result))
        .routes(routes!(consents::create, consents::list))
        .routes(routes!(consents::get, consents::withdraw))
        .routes(routes!(bindings::begin, bindings::list))
        .routes(routes!(bindings::get, bindings::cancel))
        .routes(routes!(bindings::send))
        .routes(routes!(bindings::present))
        .routes(routes!(bindings::lost))
        .routes(routes!(consents::record_opt_out))
        .routes(routes!(reconfirmations::list))
        .routes(routes!(reconfirmations::ask))
        .routes(routes!(masking::create, masking::list))
        .routes(routes!(masking::get, masking::patch, masking::delete))
        .routes(routes!(masking::calls))
        .routes(routes!(number_data::export, erasures::erase))
        .routes(routes!(erasures::get))
}
