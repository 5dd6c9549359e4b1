//! Number masking: what is set up ([`inventory`]), sessions ([`open`], [`end`]), calls ([`route`], [`progress`]), texts
//! ([`relay`]), how virtual numbers do ([`health`]), and who is told ([`tell`], [`ask_app`]).

pub mod ask_app;
pub mod end;
pub mod health;
pub mod inventory;
pub mod open;
pub mod progress;
pub mod relay;
pub mod route;
pub mod tell;

use seawall_core::masking::call::Summary;
use seawall_store::StoreError;
use seawall_store::masking::{CallFilter, MaskRecord};
use seawall_store::records::Page;

use super::App;

/// Calls that a summary adds up at most.
const SUMMED: usize = 1_000;
/// How often a change is tried again after someone else changed the same thing.
const TRIES: usize = 5;

/// What went through a session: its last thousand calls.
pub async fn summary(app: &App, record: &MaskRecord) -> Result<Summary, StoreError> {
    let of = CallFilter { session: Some(record.id), ..CallFilter::default() };
    let calls = app.store.directory.calls(of, Page { before: None, limit: SUMMED }).await?;
    Ok(Summary::of(calls.iter().map(|call| &call.call)))
}
