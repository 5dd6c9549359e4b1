//! Room 9: receipts and inbound messages change what is known.

use std::sync::Arc;
use std::time::Duration;

use seawall_connect::{Echo, Echoed, Inbound, Receipt, ReceiptState};
use seawall_core::message::MessageState;
use seawall_core::msisdn::Msisdn;
use seawall_store::StoreError;
use seawall_store::records::{Change, MessageFilter, Page};
use tokio::sync::{mpsc, watch};

use crate::app::{App, consent, hooks, masking};

/// A receipt can overtake the answer to its submission; it is looked up again after these pauses.
const PATIENCE: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(200), Duration::from_secs(2), Duration::from_secs(10)];

/// Takes echoes until told to stop.
pub async fn run(app: Arc<App>, mut echoes: mpsc::Receiver<Echoed>, mut shutdown: watch::Receiver<bool>) {
    loop {
        let echoed = tokio::select! {
            echoed = echoes.recv() => echoed,
            _ = shutdown.changed() => return,
        };
        let Some(Echoed { provider, echo }) = echoed else { return };
        match echo {
            Echo::Receipt(receipt) => {
                let app = app.clone();
                tokio::spawn(async move { take_receipt(&app, &provider, receipt).await });
            }
            Echo::Inbound(inbound) => {
                if let Err(error) = take_inbound(&app, &provider, &inbound).await {
                    tracing::error!(%error, provider, "an inbound message could not be stored");
                }
            }
        }
    }
}

async fn take_receipt(app: &App, provider: &str, receipt: Receipt) {
    for pause in PATIENCE {
        tokio::time::sleep(pause).await;
        match apply_receipt(app, provider, &receipt).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => tracing::error!(%error, provider, "a receipt could not be stored; trying again"),
        }
    }
    tracing::warn!(provider, "a receipt names a message that is not known");
}

async fn apply_receipt(app: &App, provider: &str, receipt: &Receipt) -> Result<bool, StoreError> {
    let Some(id) = app.store.ledger.by_reference(provider, &receipt.reference).await? else {
        return Ok(false);
    };
    let Some(record) = app.store.ledger.message(None, id).await? else { return Ok(false) };
    let (state, error) = match receipt.state {
        // Not final, and `sent` already.
        ReceiptState::Sent => return Ok(true),
        ReceiptState::Delivered => (MessageState::Delivered, None),
        ReceiptState::Failed => {
            (MessageState::Failed, Some(receipt.class.unwrap_or(seawall_connect::ErrorClass::Unknown)))
        }
        ReceiptState::Expired => (MessageState::Expired, Some(seawall_connect::ErrorClass::Expired)),
    };
    let error = error.map(|class| (class.receipt_code(), class.message().to_owned()));
    let at = app.now();
    let hooks = hooks::message_changed(app, &record, state, error.as_ref(), at);
    let change =
        Change { id, state: Some(state), attempt: None, error, outcome: None, at, hooks, again: None };
    app.settle(vec![change]).await?;
    app.hook_work.notify_one();
    Ok(true)
}

async fn take_inbound(app: &App, provider: &str, inbound: &Inbound) -> Result<(), StoreError> {
    let Ok(from) = Msisdn::parse(inbound.from.reveal(), None) else {
        tracing::warn!(provider, "an inbound message came from something that is no number");
        return Ok(());
    };
    let (from, now) = (from.msisdn, app.now());
    if masking::relay::take(app, provider, from, inbound).await? {
        return Ok(());
    }
    let subaccount = subaccount_of(app, from).await?;
    consent::inbound::take(app, provider, from, &subaccount, inbound).await?;
    let hooks = hooks::inbound(app, &subaccount, from, inbound, now)?;
    if !hooks.is_empty() {
        app.store.ledger.add_hooks(hooks).await?;
        app.hook_work.notify_one();
    }
    Ok(())
}

/// Whose conversation it is: the subaccount that wrote to the number last, else the first one.
async fn subaccount_of(app: &App, msisdn: Msisdn) -> Result<String, StoreError> {
    let filter = MessageFilter { to: Some(msisdn), ..MessageFilter::default() };
    let last = app.store.ledger.messages(filter, Page { before: None, limit: 1 }).await?;
    if let Some(message) = last.into_iter().next() {
        return Ok(message.subaccount);
    }
    let snapshot = app.snapshot.load();
    let first = snapshot.subaccounts.values().min_by_key(|s| s.created_at).map(|s| s.id.clone());
    Ok(first.unwrap_or_default())
}
