//! The use cases, one a file. Every dialect, the admin API and later the console call these; none of them
//! knows HTTP.

pub mod alarms;
pub mod approve;
pub mod audit;
pub mod backtest;
pub mod backup;
pub mod bindings;
pub mod budgets;
pub mod cancel;
pub mod cancel_verification;
pub mod check_alarm;
pub mod check_code;
pub mod cleaning;
pub mod collections;
pub mod consent;
pub mod contacts;
pub mod decide_only;
pub mod detection;
pub mod entities;
pub mod enumeration;
pub mod erasure;
pub mod explain;
pub mod grants;
pub mod hits;
pub mod hooks;
pub mod idempotency;
pub mod in_time;
pub mod incidents;
pub mod init;
pub mod intel;
pub mod keys;
pub mod late;
pub mod lists;
pub mod lookup;
pub mod masking;
pub mod models;
pub mod number_data;
pub mod number_history;
pub mod number_keys;
pub mod outbox;
pub mod outcome;
pub mod phone;
pub mod plans;
pub mod preview;
pub mod receipts;
pub mod recorder;
pub mod reload;
pub mod restore;
pub mod room;
pub mod rules;
pub mod scan;
pub mod screen;
pub mod secrets;
pub mod send_messages;
pub mod signals;
pub mod snapshot;
pub mod start_verification;
pub mod texts;
pub mod tombstones;
pub mod unfit;
pub mod velocities;
pub mod who;
pub mod without_counters;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use seawall_connect::Echoed;
use seawall_core::detect::Event;
use seawall_core::message::MessageState;
use seawall_core::time::Timestamp;
use seawall_store::records::{Change, Moved};
use seawall_store::{Store, StoreError};
use tokio::sync::{Notify, mpsc};

use crate::clock::Clock;
use crate::config::Config;
use crate::ids::IdSource;
use snapshot::Snapshot;

/// The running gateway, shared by everything in it.
pub struct App {
    /// As configured.
    pub config: Config,
    /// The three stores and the vault.
    pub store: Store,
    /// The time that everything goes by.
    pub clock: Arc<Clock>,
    /// Places for requests.
    pub room: Arc<room::Room>,
    /// New ids.
    pub ids: IdSource,
    /// What is set up.
    pub snapshot: ArcSwap<Snapshot>,
    /// Decisions that send nothing, on their way to the ledger.
    pub recorder: recorder::Recorder,
    /// Evidence about campaigns.
    pub detection: detection::Detection,
    /// Trained models.
    pub models: models::Models,
    /// What is known of addresses and numbers.
    pub intel: intel::Intel,
    /// Who goes through numbers by looking them up.
    pub enumeration: enumeration::Watch,
    /// User bases that are being cleaned.
    pub cleanings: cleaning::Cleanings,
    /// What the sandbox's lookup knows.
    pub sandbox_lookup: Arc<seawall_connect::SandboxLookup>,
    /// How apps are asked what to do with a call.
    pub asker: masking::ask_app::Asker,
    /// Lists in force.
    pub lists: lists::Lists,
    /// How often entries of lists and the like were met since the last flush.
    pub hits: hits::HitCounts,
    /// How often lately, while a rule looks at it.
    pub velocities: velocities::Velocity,
    /// Allows that wait to be redeemed.
    pub grants: grants::Grants,
    /// The way to the outbox.
    pub outbox: outbox::Outbox,
    /// Wakes the webhook deliveries.
    pub hook_work: Notify,
    /// How far sealing again with a new data key is.
    pub resealing: keys::Progress,
    /// Wakes what erases numbers.
    pub erasures: Notify,
    /// Wakes what works on many contacts.
    pub contact_jobs: Notify,
    /// Whoever works on many contacts, or erases: what one of them read, the other does not change.
    pub contact_turn: tokio::sync::Mutex<()>,
    /// Requests under way by idempotency key.
    pub under_way: idempotency::UnderWay,
    /// What the operator is to be told.
    pub alarms: alarms::Alarms,
    /// How many checks fail lately.
    pub check_alarm: check_alarm::CheckAlarm,
    /// When and from where keys were used since the last flush.
    pub key_uses: who::KeyUses,
    /// How late a caller hears that it asks too fast.
    pub late: late::Late,
    /// What goes on while the counters do not answer.
    pub without_counters: without_counters::Without,
    /// Where connectors put receipts and inbound messages.
    pub echoes: mpsc::Sender<Echoed>,
    /// One change of the directory at a time.
    pub reload_lock: tokio::sync::Mutex<()>,
    /// What the gateway counts about itself.
    pub metrics: Arc<crate::metrics::Metrics>,
    /// Shutting down: no new work is begun.
    pub draining: AtomicBool,
}

impl App {
    /// The time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Changes messages in the ledger and counts what moved; see [`seawall_store::Ledger::settle`].
    pub async fn settle(&self, changes: Vec<Change>) -> Result<Vec<Moved>, StoreError> {
        let at = self.now();
        let successes: Vec<_> =
            changes.iter().filter(|c| c.outcome.as_deref() == Some("success")).map(|c| c.id).collect();
        // A state is final once: a later change of something else gives nothing back again.
        let ended: Vec<_> =
            changes.iter().filter(|c| c.state.is_some_and(is_undelivered)).map(|c| c.id).collect();
        let changed = self.store.ledger.settle(changes).await?;
        for moved in &changed {
            self.metrics.moved(moved.state);
            if ended.contains(&moved.id)
                && let Ok(Some(record)) = self.store.ledger.message(None, moved.id).await
            {
                budgets::give_back(self, &record).await;
            }
            let id = detection::event_id(moved.id);
            if successes.contains(&moved.id) {
                velocities::reported(self, moved.id, at).await;
                self.detection.observe(Event::Confirmed { id, at });
            } else if is_undelivered(moved.state) {
                self.detection.observe(Event::Failed { id, at });
            }
        }
        Ok(changed)
    }
}

/// Whether a message ended without having reached anybody, so that no confirmation can be expected.
fn is_undelivered(state: MessageState) -> bool {
    matches!(
        state,
        MessageState::Failed | MessageState::Expired | MessageState::Canceled | MessageState::Rejected
    )
}

/// Why a use case did not do what was asked. Each dialect maps it once.
#[derive(Debug)]
pub enum Refusal {
    /// The decision was not to.
    Decided(Box<screen::Screened>),
    /// A store did not answer.
    Unavailable(StoreError),
    /// The request contradicts itself or the set-up: which field, and what to do.
    Invalid {
        /// Field in the native API's spelling.
        field: &'static str,
        /// What was wrong and what would be right.
        problem: String,
    },
    /// A number is encrypted with a key that is not in use: which field.
    NumberKey {
        /// Field in the native API's spelling.
        field: &'static str,
    },
    /// No such thing of this subaccount.
    NotFound,
    /// The idempotency key is in use by a request under way.
    UnderWay,
    /// The idempotency key was used with another body.
    KeyReused,
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Refusal::Unavailable(error)
    }
}
