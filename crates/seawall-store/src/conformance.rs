//! The promises of [`Directory`] and [`Ledger`], one function each. Every backend runs all of them.
//!
//! They are ordinary functions, not tests, so that a backend of another crate can run them too (feature
//! `conformance`); a broken promise panics by an assertion or returns the store's error.

mod directory;
mod entries;
mod fixtures;
mod gathered;
mod lists;
mod masking;
mod notes;
mod rest;
mod scan;
pub mod server;
mod travel;
mod verify;

use std::sync::Arc;

pub use masking::allocations_never_collide;

pub use fixtures::{acceptance, at, change, decision, id, message, msisdn, verification};

use crate::{Directory, Ledger, Result};

/// What a sealed value says: tests look there for what must be gone.
pub struct Opened {
    /// Table and column.
    pub at: String,
    /// As it was before it was sealed.
    pub plain: Vec<u8>,
}

/// A backend under test.
#[derive(Clone)]
pub struct Backend {
    /// What is set up.
    pub directory: Arc<dyn Directory>,
    /// What happened.
    pub ledger: Arc<dyn Ledger>,
}

/// Runs all promises; `open` gives a fresh, empty backend each time. Needs a runtime of several threads.
pub async fn run(open: impl Fn() -> Backend) -> Result<()> {
    travel::an_accepted_message_is_there(&open().ledger).await?;
    travel::a_message_is_claimed_once_and_oldest_first(&open().ledger).await?;
    travel::scheduled_and_expired_messages_are_claimed_in_time(&open().ledger).await?;
    travel::only_allowed_moves_are_written(&open().ledger).await?;
    travel::what_goes_back_to_the_queue_waits(&open().ledger).await?;
    travel::what_expires_in_the_queue_never_comes_back(&open().ledger).await?;
    travel::references_are_found(&open().ledger).await?;
    verify::one_open_verification_of_a_number(&open().ledger).await?;
    verify::a_stale_update_is_a_conflict(&open().ledger).await?;
    verify::checks_are_atomic(&open().ledger).await?;
    verify::a_foreign_or_guessed_id_finds_nothing(&open().ledger).await?;
    rest::evidence_is_a_stream(&open().ledger).await?;
    verify::a_confirmed_number_is_known(&open().ledger).await?;
    verify::a_given_code_ends_with_its_verification(&open().ledger).await?;
    verify::a_confirmation_shows_in_past_charges(&open().ledger).await?;
    gathered::each_gets_its_own_answer(&open()).await?;
    lists::messages_page_and_filter(&open().ledger).await?;
    lists::verifications_page_and_filter(&open().ledger).await?;
    lists::decisions_come_from_both_sources(&open().ledger).await?;
    scan::a_scan_lends_what_lists_show(&open().ledger).await?;
    rest::an_answer_is_kept_under_its_key_once(&open().ledger).await?;
    rest::a_number_is_erased(&open().ledger).await?;
    rest::lookups_are_kept_by_subaccount(&open().ledger).await?;
    rest::hooks_are_leased(&open().ledger).await?;
    rest::recovery_marks_what_nobody_can_know(&open().ledger).await?;
    rest::checkpoints_are_kept_until_forgotten(&open().ledger).await?;
    rest::allows_are_charged_until_they_are_redeemed(&open().ledger).await?;
    rest::the_newest_row_and_the_census_are_right(&open().ledger).await?;
    rest::retention_erases_in_steps(&open().ledger).await?;
    entries::entries_are_added_changed_and_removed(&open().directory).await?;
    entries::imports_add_or_replace_as_a_whole(&open().directory).await?;
    entries::what_is_gone_is_swept(&open().directory).await?;
    entries::hits_add_up(&open().directory).await?;
    directory::documents_are_unique_and_versioned(&open().directory).await?;
    directory::opt_outs_hold_for_one_or_all(&open().directory).await?;
    notes::notes_are_found_by_number_kind_and_instant(&open().directory).await?;
    notes::a_note_is_swapped_once(&open().directory).await?;
    notes::an_erased_number_has_no_notes(&open()).await?;
    masking::a_session_is_found_by_either_pair(&open().directory).await?;
    masking::calls_are_kept_once_and_say_how_a_number_does(&open().directory).await?;
    masking::masks_are_erased_and_forgotten(&open()).await?;
    masking::a_session_and_its_answer_are_one(&open()).await?;
    directory::the_audit_log_and_key_uses_are_kept(&open().directory).await
}

/// Writes some of everything, opens again, and finds it. `open` gives the same store each time, after the
/// one before it was closed.
pub async fn run_persistent(open: impl Fn() -> Backend) -> Result<()> {
    rest::everything_is_there_after_a_restart(open).await
}
