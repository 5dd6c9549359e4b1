//! What became of a decision that was asked for without a send: the caller sent, or did not, and tells.

use seawall_core::detect::Event;
use seawall_core::limit::BACK_OFF;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_store::records::{DecisionFilter, DecisionRecord, Page};

use super::detection::event_id;
use super::{App, Refusal, recorder, velocities};

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was sent.
    Sent,
    /// It arrived, as the provider says.
    Delivered,
    /// It did not arrive.
    Failed,
    /// The user proved to have received it.
    Verified,
    /// The user gave up.
    Abandoned,
}

/// Takes note: a verified one makes the number known, ends its back-off and speaks for everybody it shares a
/// key with; a failed one cannot be confirmed and so speaks against nobody.
pub async fn note(app: &App, decision: &DecisionRecord, outcome: Outcome) -> Result<(), Refusal> {
    let (at, id) = (app.now(), event_id(decision.id));
    match outcome {
        Outcome::Verified => {
            let number = decision.body.to_hash;
            app.store.ledger.note_known(number, at).await?;
            app.store.counters.clear(&[app.store.vault.index().counter(BACK_OFF, number)]).await?;
            velocities::confirmed(app, decision.id, at).await;
            app.detection.observe(Event::Confirmed { id, at });
        }
        Outcome::Failed => app.detection.observe(Event::Failed { id, at }),
        Outcome::Delivered => app.detection.observe(Event::Delivered { id, at }),
        Outcome::Sent | Outcome::Abandoned => {}
    }
    Ok(())
}

/// The newest allow for a number of a subaccount since an instant.
pub async fn latest(
    app: &App,
    subaccount: &str,
    to: Msisdn,
    since: Timestamp,
) -> Result<Option<DecisionRecord>, Refusal> {
    recorder::settled(app).await;
    let filter = DecisionFilter {
        subaccount: Some(subaccount.to_owned()),
        verdict: Some(seawall_core::decision::Verdict::Allow),
        to: Some(to),
        from: Some(since),
        ..DecisionFilter::default()
    };
    let page = Page { before: None, limit: 8 };
    let found = app.store.ledger.decisions(filter, page).await?;
    Ok(found.into_iter().find(|d| !d.body.dry_run))
}
