//! A scheduled message, or a batch of them, is taken back.

use seawall_core::id::Id;
use seawall_core::message::MessageState;
use seawall_store::records::{Change, MessageFilter, Page};

use super::{App, Refusal};

/// Takes one message back. True if it had not been sent yet.
pub async fn cancel_message(app: &App, subaccount: &str, id: Id) -> Result<bool, Refusal> {
    if app.store.ledger.message(Some(subaccount), id).await?.is_none() {
        return Err(Refusal::NotFound);
    }
    Ok(!app.settle(vec![canceled(app, id)]).await?.is_empty())
}

/// Takes back what of a batch has not been sent yet; says how many.
pub async fn cancel_batch(app: &App, subaccount: &str, batch: Id) -> Result<usize, Refusal> {
    let filter = MessageFilter {
        subaccount: Some(subaccount.to_owned()),
        batch: Some(batch),
        ..MessageFilter::default()
    };
    let mut taken_back = 0;
    let mut before = None;
    loop {
        let page = app.store.ledger.messages(filter.clone(), Page { before, limit: 1000 }).await?;
        let Some(last) = page.last() else { return Ok(taken_back) };
        before = Some(last.id.row());
        let open = page.iter().filter(|m| matches!(m.state, MessageState::Queued | MessageState::Scheduled));
        let changes: Vec<Change> = open.map(|m| canceled(app, m.id)).collect();
        taken_back += app.settle(changes).await?.len();
    }
}

/// The change that takes a message back.
pub(super) fn canceled(app: &App, id: Id) -> Change {
    Change {
        id,
        state: Some(MessageState::Canceled),
        attempt: None,
        error: None,
        outcome: None,
        at: app.now(),
        hooks: Vec::new(),
        again: None,
    }
}
