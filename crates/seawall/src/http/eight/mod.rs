//! The dialect of 8x8: a client of 8x8 changes its base URL and nothing else.
//!
//! A handler walks through the rooms in order: [`call`] authenticates and enters the subaccount, a
//! `*_request` file reads every field, a use case of [`crate::app`] does it, and [`error`] maps every
//! refusal, once. Unknown JSON fields are ignored, as the original does.
//!
//! Several hosts of 8x8's map to this one; `/sms` and `/voice` before a path are stripped.

mod balance;
mod call;
pub(in crate::http) mod callflow_steps;
mod callflows;
mod client;
mod contact_batches;
mod contact_table;
mod contacts;
mod error;
mod export_csv;
mod export_jobs;
mod exports;
mod fields;
mod groups;
mod iso;
mod json_patch;
mod legacy;
mod numbers;
mod once;
mod phones;
mod pii;
mod prices;
mod session_request;
mod sessions;
mod sms_batch;
mod sms_manage;
mod sms_request;
mod sms_send;
mod speech_profiles;
mod terms;
mod voice_error;
mod voice_export_csv;
mod voice_exports;
mod voice_numbers;
mod voice_webhooks;
mod webhooks;
mod wire;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// All paths of the dialect. Bodies are bounded by the handlers, which know how large each may be.
pub fn router() -> OpenApiRouter<Arc<App>> {
    let (sms, _) = documented().split_for_parts();
    let (voice, _) = self::voice().split_for_parts();
    documented()
        .merge(self::voice())
        .merge(voice_logs())
        .merge(legacy::router().nest("/sms", sms).nest("/voice", voice).into())
}

fn documented() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(sessions::create))
        .routes(routes!(sessions::read))
        .routes(routes!(sms_send::send))
        .routes(routes!(sms_batch::send))
        .routes(routes!(sms_manage::cancel_all))
        .routes(routes!(sms_manage::details, sms_manage::cancel))
        .routes(routes!(sms_manage::feedback))
        .routes(routes!(pii::delete))
        .routes(routes!(exports::create))
        .routes(routes!(exports::status, exports::delete))
        .routes(routes!(exports::download))
        .routes(routes!(phones::look))
        .routes(routes!(prices::list))
        .routes(routes!(balance::get))
        .routes(routes!(webhooks::list, webhooks::set, webhooks::delete))
        .routes(routes!(contacts::list, contacts::create))
        .routes(routes!(contacts::blacklist))
        .routes(routes!(contacts::get, contacts::patch, contacts::delete))
        .routes(routes!(groups::list, groups::create))
        .routes(routes!(groups::get, groups::patch, groups::delete))
        .routes(routes!(groups::add, groups::remove))
        .routes(routes!(contact_batches::upload))
        .routes(routes!(contact_batches::delete_contacts))
        .routes(routes!(contact_batches::copy))
        .routes(routes!(contact_batches::relocate))
        .routes(routes!(contact_batches::delete_groups))
        .routes(routes!(contact_batches::get))
        .routes(routes!(contact_batches::list))
}

/// Logs of calls. Without their prefix these paths are those of messages.
fn voice_logs() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(voice_exports::create))
        .routes(routes!(voice_exports::status, voice_exports::delete))
        .routes(routes!(voice_exports::download))
}

/// The voice products: virtual numbers, voice webhooks, recordings.
fn voice() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(callflows::create))
        .routes(routes!(speech_profiles::list))
        .routes(routes!(voice_numbers::list))
        .routes(routes!(voice_numbers::get))
        .routes(routes!(voice_webhooks::list, voice_webhooks::set))
        .routes(routes!(voice_webhooks::delete))
        .routes(routes!(voice_numbers::recordings))
        .routes(routes!(voice_numbers::push, voice_numbers::set_push, voice_numbers::delete_push))
}
