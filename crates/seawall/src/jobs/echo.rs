//! Room 9: receipts and inbound messages change what is known.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::Duration;

use seawall_connect::{Echo, Echoed, Inbound, Receipt, ReceiptState};
use seawall_core::message::MessageState;
use seawall_core::msisdn::Msisdn;
use seawall_store::StoreError;
use seawall_store::records::{Change, MessageFilter, Page};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::app::{App, consent, hooks, masking};

/// A receipt can overtake the answer to its submission; it is looked up again after these pauses.
const PATIENCE: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(200), Duration::from_secs(2), Duration::from_secs(10)];

/// Inbound messages are taken side by side, those of one number in turn: who writes STOP and then START means START.
const LANES: usize = 8;

type Arrived = (String, Inbound, oneshot::Sender<()>);

/// Takes echoes until told to stop. Whoever brought one is told when it is kept.
pub async fn run(app: Arc<App>, mut echoes: mpsc::Receiver<Echoed>, mut shutdown: watch::Receiver<bool>) {
    let (lanes, taken): (Vec<_>, Vec<_>) = (0..LANES).map(|_| mpsc::channel(1)).unzip();
    let mut under_way = JoinSet::new();
    for arrived in taken {
        under_way.spawn(take_in_turn(app.clone(), arrived, shutdown.clone()));
    }
    let hasher = BuildHasherDefault::<DefaultHasher>::new();
    loop {
        let echoed = tokio::select! {
            echoed = echoes.recv() => echoed,
            _ = shutdown.changed() => break,
        };
        let Some(Echoed { provider, echo, kept }) = echoed else { break };
        match echo {
            Echo::Receipt(receipt) => {
                let app = app.clone();
                tokio::spawn(async move { take_receipt(&app, &provider, receipt, kept).await });
            }
            Echo::Inbound(inbound) => {
                let lane = hasher.hash_one(inbound.from.reveal()) as usize % LANES;
                if let Some(lane) = lanes.get(lane) {
                    let _ = lane.send((provider, inbound, kept)).await;
                }
            }
        }
    }
    // What a lane has begun it ends; what still waits stays with whoever sent it.
    drop(lanes);
    under_way.join_all().await;
}

async fn take_in_turn(
    app: Arc<App>,
    mut arrived: mpsc::Receiver<Arrived>,
    mut shutdown: watch::Receiver<bool>,
) {
    while let Some((provider, inbound, kept)) = arrived.recv().await {
        for pause in PATIENCE {
            if !pause.is_zero() && timeout(pause, shutdown.changed()).await.is_ok() {
                return;
            }
            match take_inbound(&app, &provider, &inbound).await {
                Ok(()) => {
                    // Whoever sent it may have hung up.
                    let _ = kept.send(());
                    break;
                }
                Err(error) => {
                    tracing::error!(%error, provider, "an inbound message could not be stored; trying again");
                }
            }
        }
    }
}

async fn take_receipt(app: &App, provider: &str, receipt: Receipt, kept: oneshot::Sender<()>) {
    let mut kept = Some(kept);
    for pause in PATIENCE {
        tokio::time::sleep(pause).await;
        let known = match apply_receipt(app, provider, &receipt).await {
            Ok(known) => known,
            Err(error) => {
                tracing::error!(%error, provider, "a receipt could not be stored; trying again");
                continue;
            }
        };
        // Others may use the same account: a receipt of theirs is not asked for again, only looked up again.
        if (known || !pause.is_zero())
            && let Some(kept) = kept.take()
        {
            let _ = kept.send(());
        }
        if known {
            return;
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
