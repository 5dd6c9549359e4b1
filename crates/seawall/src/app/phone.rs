//! The sandbox phone: the handset of whoever tries the gateway out. It has no store of its own: what it
//! received is read off the ledger, and codes are derived again.

use std::time::Duration;

use seawall_connect::Kind;
use seawall_core::id::{Id, IdKind};
use seawall_core::message::{Channel, MessageState};
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_store::Result;
use seawall_store::records::{Attempt, MessageFilter, MessageRecord, Page};

use super::App;
use crate::jobs::outbox::text_of;

/// Messages looked at in one call, so that a phone without messages costs no scan of everything.
const LOOK: usize = 2000;
/// Who looks at a number's phone waits so long at most for what is on its way to it: looks, and how far apart.
const LOOKS: u32 = 50;
const APART: Duration = Duration::from_millis(5);

/// What the phone received.
#[derive(Clone, Debug)]
pub struct Received {
    /// The message.
    pub id: Id,
    /// To whom.
    pub to: Msisdn,
    /// From whom.
    pub from: Option<String>,
    /// What it says.
    pub text: String,
    /// SMS or call.
    pub channel: Channel,
    /// When.
    pub at: Timestamp,
}

/// What the phone received, newest first.
pub async fn received(app: &App, to: Option<Msisdn>, page: Page) -> Result<Vec<Received>> {
    if let (Some(to), None) = (to, page.before) {
        arrived(app, to).await?;
    }
    let filter = MessageFilter { to, ..MessageFilter::default() };
    let (mut before, mut looked, mut found) = (page.before, 0, Vec::new());
    while looked < LOOK && found.len() < page.limit {
        let some = app.store.ledger.messages(filter.clone(), Page { before, limit: 200 }).await?;
        let Some(last) = some.last() else { break };
        before = Some(last.id.row());
        looked += some.len();
        for message in some {
            let times: Vec<Timestamp> = sandbox_attempts(app, &message).map(|attempt| attempt.at).collect();
            if times.is_empty() {
                continue;
            }
            // Erased by retention, or a given code whose verification ended.
            let text = text_of(app, &message).await.unwrap_or_else(|gone| format!("({gone})"));
            found.extend(times.into_iter().map(|at| show(app, &message, &text, at)));
        }
    }
    found.truncate(page.limit);
    Ok(found)
}

/// Waits a moment for a number's newest message, which may have been accepted just before somebody looks.
async fn arrived(app: &App, to: Msisdn) -> Result<()> {
    let filter = MessageFilter { to: Some(to), ..MessageFilter::default() };
    for _ in 0..LOOKS {
        let newest = app.store.ledger.messages(filter.clone(), Page { before: None, limit: 1 }).await?;
        match newest.first().map(|message| message.state) {
            Some(MessageState::Queued | MessageState::Submitting) => tokio::time::sleep(APART).await,
            _ => break,
        }
    }
    Ok(())
}

/// Tries that reached the phone: a sandbox took them, or its connection "broke" afterwards.
fn sandbox_attempts<'a>(app: &App, message: &'a MessageRecord) -> impl Iterator<Item = &'a Attempt> {
    let own = message.id.show(IdKind::Message);
    let snapshot = app.snapshot.load_full();
    message.progress.attempts.iter().filter(move |attempt| {
        let sandbox =
            snapshot.providers.get(&attempt.provider).is_some_and(|p| p.provider.kind == Kind::Sandbox);
        attempt.reference.as_deref() == Some(own.as_str()) || (sandbox && attempt.outcome == "unknown")
    })
}

fn show(app: &App, message: &MessageRecord, text: &str, at: Timestamp) -> Received {
    let default =
        || app.snapshot.load().subaccounts.get(&message.subaccount).and_then(|s| s.default_source.clone());
    Received {
        id: message.id,
        to: message.to,
        from: message.details.source.clone().or_else(default),
        text: text.to_owned(),
        channel: message.channel,
        at,
    }
}
