//! The one integration-test binary: a file a surface.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, and helpers of tests are tests"
)]

mod config;
mod door;
mod eight_fields;
mod eight_sessions;
mod eight_sms;
mod eight_webhooks;
mod door_tls;
mod admin_collections;
mod admin_history;
mod common;
mod smpp_peer;
mod limits;
mod at_rest;
mod native_decisions;
mod native_idempotency;
mod native_messages;
mod native_refusals;
mod native_verifications;
mod operation;
