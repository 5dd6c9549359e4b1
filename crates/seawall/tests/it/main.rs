//! The one integration-test binary: a file a surface.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, and helpers of tests are tests"
)]

mod admin_collections;
mod admin_history;
mod at_rest;
mod audit;
mod backtest;
mod backtest_day;
mod backup;
mod bindings;
mod budgets;
mod canaries;
mod cleaning;
mod cleaning_nodes;
mod cluster;
mod common;
mod config;
mod consent;
mod detection;
mod door;
mod door_tls;
mod eight_callflows;
mod eight_contact_batches;
mod eight_contacts;
mod eight_dedup;
mod eight_fields;
mod eight_oas;
mod eight_sessions;
mod eight_sms;
mod eight_voice;
mod eight_webhooks;
mod encrypted;
mod erasure;
mod explain;
mod faults;
mod fuzz;
mod history;
mod incidents;
mod intel;
mod keys;
mod limits;
mod lists;
mod lookup;
mod lookup_budgets;
mod lookup_ported;
mod lookup_rules;
mod masking;
mod masking_networks;
#[allow(dead_code, reason = "the unit tests of the gateway write more kinds of values")]
#[path = "../../src/app/intel/testing.rs"]
mod mmdb;
mod models;
mod native_codes;
mod native_decisions;
mod native_idempotency;
mod native_messages;
mod native_refusals;
mod native_verifications;
mod nodes;
mod nodes_hung;
mod nodes_killed;
mod nodes_leader;
mod number_data;
mod operation;
mod overload;
mod plans;
mod postgres;
mod proxy;
mod redis_counters;
mod redis_server;
mod replay;
mod rules;
mod signals;
mod simulate;
mod simulation;
mod smpp_peer;
mod stop_nodes;
mod strict;
mod suspensions;
mod test_numbers;
mod texts;
mod twilio_lookup;
mod velocities;
