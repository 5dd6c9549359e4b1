//! What numbers want: opt-ins with their proof, opt-outs in whatever words, and the questions in between.
//!
//! Reading order: [`inbound`] (what an answer does), [`opt_in`] (proof), [`double`] (ask, and wait for YES),
//! [`reconfirm`] (old and reassigned numbers), [`reviews`] (what a person has to look at), [`link`] and [`not_me`],
//! [`say`] (answers), [`settings`].

pub mod inbound;
pub mod link;
pub mod not_me;
pub mod opt_in;
pub mod reconfirm;
pub mod reviews;
pub mod say;
pub mod settings;
pub mod shapes;
pub mod table;

use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use serde_json::{Value, json};

use super::{App, hooks};
use say::Addressee;

/// Kinds of notes that are kept about numbers.
pub mod kind {
    /// An opt-in with its proof.
    pub const CONSENT: &str = "consent";
    /// An opt-in that waits for its YES.
    pub const ASKED: &str = "opt-in";
    /// An answer that a person has to look at.
    pub const REVIEW: &str = "review";
    /// When a number was last confirmed, while numbers have to be confirmed again.
    pub const CONFIRMED: &str = "confirmed";
    /// A number that has to be confirmed again, until it is no longer known.
    pub const DUE: &str = "due";
    /// An opt-out that ends, by its end.
    pub const ENDS: &str = "ends";
}

/// Tells the webhook of a subaccount.
pub async fn tell(
    app: &App,
    subaccount: &str,
    event: &str,
    whose: impl Into<Addressee>,
    more: Value,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Addressee { number, veiled } = whose.into();
    let mut payload =
        json!({"subAccountId": subaccount, "msisdn": number.shown(veiled), "timestamp": now.to_rfc3339()});
    if let (Value::Object(fields), Value::Object(more)) = (&mut payload, more) {
        fields.extend(more);
    }
    let body = json!({
        "namespace": "CONSENT",
        "eventType": event,
        "description": "What a number wants has changed",
        "payload": payload,
    });
    let hooks = hooks::event(app, subaccount, &body, now)?;
    if !hooks.is_empty() {
        app.store.ledger.add_hooks(hooks).await?;
        app.hook_work.notify_one();
    }
    Ok(())
}
