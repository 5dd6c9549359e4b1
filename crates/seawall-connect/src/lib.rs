//! Connectors: how a message reaches a provider, and how receipts and inbound messages come back.
//!
//! This is the only place that knows a provider. One file a provider kind; [`build`] is the list of them.
//! A connector never decides anything and never stores anything: it carries out one submission and says
//! exactly what is known about its outcome.

mod callflow;
mod error_class;
#[cfg(feature = "fuzz")]
pub mod fuzzing;
mod http;
pub mod lookup;
mod redact;
mod sandbox;
mod settings;
mod smpp;
#[cfg(test)]
mod testing;
mod web;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use seawall_core::callflow::Step;
use seawall_core::message::Channel;
use seawall_core::segments::Encoding;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

pub use error_class::ErrorClass;
pub use redact::Secret;
pub use sandbox::{Sandbox, SandboxLookup};
pub use web::tls_config;

/// One message on its way out. The text exists in clear only here and at the provider.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The message's id, `msg_…`; never shown to the recipient.
    pub id: String,
    /// The recipient in E.164 with `+`.
    pub to: Secret,
    /// Sender ID (alphanumeric or number), when one is known.
    pub from: Option<String>,
    /// What the recipient reads or hears.
    pub text: Secret,
    /// What happens in a call when that is more than the text being said; only for who carries such calls.
    pub steps: Vec<Step>,
    /// How the text is encoded on the air.
    pub encoding: Encoding,
    /// SMS or voice call.
    pub channel: Channel,
    /// How a call is spoken; ignored for SMS.
    pub voice: Voice,
    /// How long the message is worth delivering.
    pub validity: Option<Duration>,
}

/// How a voice call speaks its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Voice {
    /// BCP 47 tag, e.g. `en-US`.
    pub language: String,
    /// Name of a voice, when the caller chose one.
    pub profile: Option<String>,
    /// 0.5 to 2, 1 is normal speed.
    pub speed: f64,
    /// How often the text is said, 1 to 3.
    pub repetition: u8,
}

impl Default for Voice {
    fn default() -> Self {
        Voice { language: "en-US".to_owned(), profile: None, speed: 0.8, repetition: 2 }
    }
}

/// What is known after a submission was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submission {
    /// The provider took it, and calls it by `reference` in its receipts.
    Accepted {
        /// The provider's own message id; `None` when it gave none.
        reference: Option<String>,
        /// Whether it is already on the handset, so that no receipt will follow. Only the sandbox says so.
        delivered: bool,
    },
    /// The provider answered that it will not deliver this message. It certainly does not have it.
    Refused {
        /// Which kind of failure, for fail-over and for the 8x8 error table.
        class: ErrorClass,
        /// The provider's words, shortened, without number or text.
        detail: String,
    },
    /// The provider asked to slow down. It certainly does not have the message.
    Throttled {
        /// How long to leave the provider alone.
        retry_after: Duration,
    },
    /// No byte of the message left: not connected, not bound, no room in the window in time.
    Unreachable {
        /// Why, for the operator.
        detail: String,
    },
    /// The connection broke or timed out after bytes left. Nobody can know; an OTP is never re-sent.
    Unknown {
        /// Why, for the operator.
        detail: String,
    },
}

/// What comes back from a provider later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Echo {
    /// A delivery receipt (DLR).
    Receipt(Receipt),
    /// An inbound message (MO).
    Inbound(Inbound),
}

/// A delivery receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The reference that [`Submission::Accepted`] gave.
    pub reference: String,
    /// What became of the message.
    pub state: ReceiptState,
    /// The error class for anything but delivery.
    pub class: Option<ErrorClass>,
    /// The provider's error code, as it wrote it.
    pub code: Option<String>,
    /// When, by the provider's clock; `None` when it did not say.
    pub at: Option<Timestamp>,
}

/// The states a receipt may report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptState {
    /// On its way; not final.
    Sent,
    /// On the handset.
    Delivered,
    /// Will not be delivered.
    Failed,
    /// Its validity ended first.
    Expired,
}

/// An inbound message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// Who wrote, as the provider spelled it.
    pub from: Secret,
    /// To which of our numbers or sender IDs.
    pub to: String,
    /// What they wrote.
    pub text: Secret,
}

/// An echo and the provider that it came from.
#[derive(Debug)]
pub struct Echoed {
    /// Name of the provider.
    pub provider: String,
    /// What came back.
    pub echo: Echo,
    /// To be told when what it changes is kept. Dropped untold: it is not, and shall come again.
    pub kept: oneshot::Sender<()>,
}

impl Echoed {
    /// An echo to queue, and what tells whether it is kept. A provider is answered after that, not before: until then
    /// it is the only one who has it.
    pub fn new(provider: &str, echo: Echo) -> (Self, impl Future<Output = bool> + Send + use<>) {
        let (kept, told) = oneshot::channel();
        (Echoed { provider: provider.to_owned(), echo, kept }, told.map(|told| told.is_ok()))
    }
}

/// A voice of a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpeechProfile {
    /// Its name.
    #[serde(rename = "speechProfileCode")]
    pub code: String,
    /// BCP 47 tag of what it speaks.
    #[serde(rename = "localeCode", default)]
    pub locale: String,
    /// That language in words.
    #[serde(rename = "localeDescription", default)]
    pub description: String,
    /// `F` or `M`.
    #[serde(default)]
    pub gender: String,
}

/// A provider asks what is to happen next in a call that it makes.
#[derive(Clone, PartialEq, Eq)]
pub struct CallAsked {
    /// The reference that [`Submission::Accepted`] gave.
    pub reference: String,
    /// Keys that were pressed, when some were awaited and came. They may be a secret.
    pub keys: Option<Secret>,
    /// The provider's name of the event.
    pub event: Option<String>,
}

/// Without the keys.
impl std::fmt::Debug for CallAsked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallAsked").field("reference", &self.reference).finish_non_exhaustive()
    }
}

/// Whether a provider can be used right now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Health {
    /// Ready for submissions.
    Up,
    /// Not ready; the reason is for the operator.
    Down {
        /// Why, without secrets.
        reason: String,
    },
}

/// A provider's callback, before it is understood: what the HTTP room hands over.
#[derive(Clone, Debug)]
pub struct Callback {
    /// Query parameters, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The body, bounded by the caller.
    pub body: Vec<u8>,
    /// `Content-Type`, lower case, without parameters.
    pub content_type: String,
}

/// A provider that can carry messages.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Tries to hand one message over. Returns what is known; never retries by itself.
    async fn submit(&self, message: &Outgoing) -> Submission;

    /// Whether submissions have a chance.
    fn health(&self) -> Health;

    /// Understands a provider's callback (receipts by HTTP). `Err` says what was wrong with it.
    fn callback(&self, _callback: &Callback) -> Result<Vec<Echo>, String> {
        Err("this provider has no callbacks".to_owned())
    }

    /// Whether it carries calls of several steps ([`Outgoing::steps`]): files, keys, more than one text.
    fn carries_steps(&self) -> bool {
        false
    }

    /// The voices that it has, when it can say so.
    async fn voices(&self) -> Option<Result<Vec<SpeechProfile>, String>> {
        None
    }

    /// Understands a callback that asks what is to happen next in a call. `None`: it is something else.
    fn asked(&self, _callback: &Callback) -> Option<CallAsked> {
        None
    }

    /// What happens next, as the provider wants to hear it.
    fn told(&self, _asked: &CallAsked, _steps: &[Step]) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// How deep it looks numbers up; `None` if it does not.
    fn looks_up(&self) -> Option<lookup::Depth> {
        None
    }

    /// What one lookup costs, in micro-units of the account's currency.
    fn lookup_cost(&self) -> i64 {
        0
    }

    /// Asks what is known of a number, once, within the provider's own deadline.
    async fn look_up(&self, _asked: &lookup::Asked) -> lookup::Looked {
        Err(lookup::LookupFailure::NoProvider)
    }

    /// Ends the connection after letting answers under way arrive.
    async fn close(&self) {}
}

/// Which kind of provider, as `kind` in the admin API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The phone that shows what would have been sent.
    Sandbox,
    /// SMPP 3.4.
    Smpp,
    /// A described HTTP provider.
    Http,
    /// Voice through an 8x8-style call flow.
    Callflow,
    /// A described HTTP provider of number lookups (HLR, MNP).
    HttpLookup,
}

/// What every connector may need from the installation.
#[derive(Clone)]
pub struct Surroundings {
    /// Name of the provider, for logs and echoes.
    pub name: String,
    /// Where receipts and inbound messages go. Bounded: a full queue holds the provider back.
    pub echoes: mpsc::Sender<Echoed>,
    /// Whether plain TCP to an SMSC outside loopback is accepted (`[smpp] allow_insecure`).
    pub allow_insecure_smpp: bool,
    /// What the sandbox's lookup knows.
    pub known: Arc<SandboxLookup>,
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("settings.{key}: {problem}")]
pub struct SettingsError {
    /// Path of the key below `settings`.
    pub key: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// Checks settings without connecting: unknown keys, missing keys, bad values.
/// Secrets may be literal here or references (`env:NAME`, `file:PATH`) that are resolved in [`build`].
pub fn check(kind: Kind, settings: &serde_json::Value, around: &CheckAgainst) -> Result<(), SettingsError> {
    match kind {
        Kind::Sandbox => sandbox::check(settings),
        Kind::Smpp => smpp::check(settings, around.allow_insecure_smpp),
        Kind::Http => http::check(settings),
        Kind::Callflow => callflow::check(settings),
        Kind::HttpLookup => http::lookup::check(settings),
    }
}

/// What settings are checked against.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckAgainst {
    /// `[smpp] allow_insecure`.
    pub allow_insecure_smpp: bool,
}

/// Names of the settings that are secret for a kind; no GET returns them.
pub fn secret_settings(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Sandbox => &[],
        Kind::Smpp => &["password"],
        Kind::Http => &["headers", "secrets", "secret"],
        Kind::Callflow => &["api_key"],
        Kind::HttpLookup => &["headers", "secrets"],
    }
}

/// Starts a connector. Connections are made in the background; `build` itself does not wait for them.
pub fn build(
    kind: Kind,
    settings: &serde_json::Value,
    around: Surroundings,
) -> Result<Arc<dyn Connector>, SettingsError> {
    match kind {
        Kind::Sandbox => sandbox::build(settings, around.known),
        Kind::Smpp => smpp::build(settings, around),
        Kind::Http => http::build(settings, around),
        Kind::Callflow => callflow::build(settings, around),
        Kind::HttpLookup => http::lookup::build(settings),
    }
}
