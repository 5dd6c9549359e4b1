//! Room 7: durable messages go out over their route. What is claimed is `submitting` on disk before the
//! first byte leaves; whatever cannot be known afterwards stays `unknown` and is never sent again.

use std::sync::Arc;
use std::time::Duration;

use seawall_connect::{ErrorClass, Outgoing, Secret, Submission, Voice};
use seawall_core::callflow;
use seawall_core::consent::{Category, covering};
use seawall_core::id::IdKind;
use seawall_core::message::{Channel, MessageState};
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::records::{Again, Attempt, Change, Content, MessageRecord};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::circuit::Circuits;
use crate::app::outbox::{Arrivals, Express};
use crate::app::snapshot::RunningProvider;
use crate::app::{App, budgets, check_code, hooks, start_verification};

/// Messages claimed in one step.
const CLAIM: usize = 256;
/// Changes settled in one step.
const SETTLE: usize = 512;
/// How long results are gathered before they are written.
const GATHER: Duration = Duration::from_millis(10);
/// How often scheduled messages are looked for.
const TICK: Duration = Duration::from_millis(200);

/// Sends until told to stop, then finishes what is on its way.
pub async fn run(app: Arc<App>, mut arrivals: Arrivals, mut shutdown: watch::Receiver<bool>) {
    let (changes, settled) = mpsc::channel(SETTLE * 4);
    let settler = tokio::spawn(settle_all(app.clone(), settled));
    let road = Road { app: app.clone(), circuits: Arc::default(), changes };
    let mut express = Vec::with_capacity(CLAIM);
    let mut tick = tokio::time::interval(TICK);
    let mut more = true;
    while !*shutdown.borrow() {
        tokio::select! {
            biased;
            _ = shutdown.changed() => {}
            _ = arrivals.recv_many(&mut express, CLAIM) => {
                express.drain(..).for_each(|Express { message, place }| road.take(message, place));
            }
            () = app.outbox.work.notified() => more = true,
            () = app.clock.moved.notified() => more = true,
            _ = tick.tick() => more = true,
            () = std::future::ready(()), if more => more = claim_and_send(&road).await,
        }
    }
    arrivals.close();
    while let Some(Express { message, place }) = arrivals.recv().await {
        road.take(message, place);
    }
    app.outbox.wait_until_idle().await;
    drop(road);
    let _ = settler.await;
}

/// What every message on its way needs.
struct Road {
    app: Arc<App>,
    circuits: Arc<Circuits>,
    changes: mpsc::Sender<Change>,
}

impl Road {
    /// One message goes.
    fn take(&self, message: Box<MessageRecord>, place: OwnedSemaphorePermit) {
        let (app, circuits, changes) = (self.app.clone(), self.circuits.clone(), self.changes.clone());
        tokio::spawn(async move {
            for change in carry(&app, &circuits, &message).await {
                if changes.send(change).await.is_err() {
                    tracing::error!("a result came after the outbox had closed");
                }
            }
            drop(place);
        });
    }
}

/// Claims what waits in the ledger, as far as there are places; true if there may be more at once.
async fn claim_and_send(road: &Road) -> bool {
    let all = &road.app.outbox.places;
    let free = u32::try_from(all.available_permits().min(CLAIM)).unwrap_or(0);
    let Ok(mut places) = all.clone().try_acquire_many_owned(free) else { return false };
    if places.num_permits() == 0 {
        return false;
    }
    match road.app.store.ledger.claim(road.app.now(), places.num_permits()).await {
        Ok(claimed) => {
            let more = !claimed.is_empty();
            for message in claimed {
                if let Some(place) = places.split(1) {
                    road.take(Box::new(message), place);
                }
            }
            more
        }
        Err(error) => {
            tracing::error!(%error, "the outbox cannot claim messages");
            false
        }
    }
}

/// Writes results in groups. A result is never given up: until the store takes it, it is tried again.
async fn settle_all(app: Arc<App>, mut settled: mpsc::Receiver<Change>) {
    let mut waiting = Vec::with_capacity(SETTLE);
    while settled.recv_many(&mut waiting, SETTLE).await > 0 {
        // Results are in no hurry, and a commit for each few of them would cost more than all the rest.
        tokio::time::sleep(GATHER).await;
        while waiting.len() < SETTLE
            && let Ok(change) = settled.try_recv()
        {
            waiting.push(change);
        }
        let with_hooks = waiting.iter().any(|change| !change.hooks.is_empty());
        while let Err(error) = app.settle(waiting.clone()).await {
            tracing::error!(%error, "results cannot be stored; trying again");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        waiting.clear();
        if with_hooks {
            app.hook_work.notify_one();
        }
    }
}

/// What stands for a provider where nothing is sent.
const TEST_NUMBER: &str = "test-number";

/// Carries one claimed message; gives the changes to write.
async fn carry(app: &App, circuits: &Circuits, record: &MessageRecord) -> Vec<Change> {
    if record.state != MessageState::Submitting {
        budgets::give_back(app, record).await;
        return vec![finish(app, record, None, None)];
    }
    if app.snapshot.load().test_code(record.to, app.now()).is_some() {
        let taken = Submission::Accepted { reference: None, delivered: true };
        let tried = attempt(TEST_NUMBER, &taken, app.now());
        return vec![finish(app, record, Some(MessageState::Delivered), Some(tried))];
    }
    let purpose = if record.verification.is_some() { "verification" } else { "message" };
    let providers = app.snapshot.load().route(record.country, record.channel, purpose, &record.subaccount);
    // Nothing is sent on a guess, and nothing that was accepted fails because a store does not answer: it waits.
    match opted_out_since(app, record).await {
        Ok(true) => return vec![fail(app, record, 15, "The number opted out before the message was sent")],
        Ok(false) => {}
        Err(error) => return vec![wait(app, record, &error)],
    }
    let outgoing = match outgoing(app, record).await {
        Ok(outgoing) => outgoing,
        Err(Unready::Store(error)) => return vec![wait(app, record, &error)],
        Err(Unready::Never(problem)) => return vec![fail(app, record, 14, &problem)],
    };
    if providers.is_empty() {
        return vec![fail(app, record, 33, "No route: add one under /admin/v1/routes")];
    }
    try_providers(app, circuits, record, &outgoing, &providers).await
}

async fn try_providers(
    app: &App,
    circuits: &Circuits,
    record: &MessageRecord,
    outgoing: &Outgoing,
    providers: &[RunningProvider],
) -> Vec<Change> {
    let (mut changes, mut again_at, mut refused) = (Vec::new(), None, None);
    let able = |running: &&RunningProvider| outgoing.steps.is_empty() || running.connector.carries_steps();
    for running in providers.iter().filter(able) {
        let name = &running.provider.name;
        let now = app.now();
        if let Some(until) = circuits.open_until(name, now) {
            again_at = sooner(again_at, until);
            continue;
        }
        let submission = running.connector.submit(outgoing).await;
        app.metrics.submitted(name, &submission);
        let tried = Some(attempt(name, &submission, app.now()));
        match learn(circuits, name, &submission, now, record) {
            Learned::Final(state) => changes.push(finish(app, record, Some(state), tried)),
            Learned::Hopeless(class) => changes.push(finish_refused(app, record, class, tried)),
            Learned::Elsewhere(class) => {
                refused = Some(class);
                changes.push(Change { attempt: tried, ..blank(app, record) });
                continue;
            }
            Learned::Later(at) => {
                again_at = sooner(again_at, at);
                changes.push(Change { attempt: tried, ..blank(app, record) });
                continue;
            }
        }
        return changes;
    }
    changes.push(match again_at {
        Some(due) => back(app, record, due),
        None if !providers.iter().any(|running| able(&running)) => {
            fail(app, record, 33, "No provider of the route carries calls of several steps")
        }
        None => finish_refused(app, record, refused.unwrap_or(ErrorClass::Unknown), None),
    });
    changes
}

fn sooner(known: Option<Timestamp>, at: Timestamp) -> Option<Timestamp> {
    Some(known.map_or(at, |known| known.min(at)))
}

/// What a submission means for the message.
enum Learned {
    /// This state, whatever other providers could do.
    Final(MessageState),
    /// No provider will take it.
    Hopeless(ErrorClass),
    /// This provider will not take it; another may.
    Elsewhere(ErrorClass),
    /// This provider may take it later.
    Later(Timestamp),
}

/// And what it means for the provider.
fn learn(
    circuits: &Circuits,
    name: &str,
    submission: &Submission,
    now: Timestamp,
    record: &MessageRecord,
) -> Learned {
    match submission {
        Submission::Accepted { delivered, .. } => {
            circuits.succeeded(name);
            Learned::Final(if *delivered { MessageState::Delivered } else { MessageState::Sent })
        }
        Submission::Unknown { .. } => {
            circuits.failed(name, now);
            Learned::Final(MessageState::Unknown)
        }
        Submission::Refused { class, .. } => {
            circuits.succeeded(name);
            if class.worth_another_route() { Learned::Elsewhere(*class) } else { Learned::Hopeless(*class) }
        }
        Submission::Throttled { retry_after } => {
            let until = now.plus(*retry_after);
            circuits.rest(name, until);
            Learned::Later(until)
        }
        Submission::Unreachable { .. } => {
            circuits.failed(name, now);
            Learned::Later(now.plus(pause(record.progress.attempts.len())))
        }
    }
}

/// How long a message waits before it is tried again, after so many tries.
fn pause(tries: usize) -> Duration {
    Duration::from_secs(match tries {
        0 => 1,
        1 => 2,
        2 => 5,
        3 => 10,
        _ => 30,
    })
}

fn blank(app: &App, record: &MessageRecord) -> Change {
    Change {
        id: record.id,
        state: None,
        attempt: None,
        error: None,
        outcome: None,
        at: app.now(),
        hooks: Vec::new(),
        again: None,
    }
}

fn finish(
    app: &App,
    record: &MessageRecord,
    state: Option<MessageState>,
    attempt: Option<Attempt>,
) -> Change {
    let mut change = Change { state, attempt, ..blank(app, record) };
    change.hooks = hooks::message_changed(app, record, state.unwrap_or(record.state), None, change.at);
    change
}

fn finish_refused(app: &App, record: &MessageRecord, class: ErrorClass, attempt: Option<Attempt>) -> Change {
    finish_failed(app, record, class.receipt_code(), class.message(), attempt)
}

fn finish_failed(
    app: &App,
    record: &MessageRecord,
    code: u16,
    message: &str,
    attempt: Option<Attempt>,
) -> Change {
    let error = (code, message.to_owned());
    let mut change = Change { state: Some(MessageState::Failed), attempt, ..blank(app, record) };
    change.hooks = hooks::message_changed(app, record, MessageState::Failed, Some(&error), change.at);
    change.error = Some(error);
    change
}

/// Back into the queue, for a moment: nothing of it has left.
fn wait(app: &App, record: &MessageRecord, error: &StoreError) -> Change {
    tracing::warn!(%error, "a message waits for a store");
    back(app, record, app.now().plus(pause(record.progress.attempts.len())))
}

/// It goes back to the queue, once: later than it was due, so that this is told from its next claim.
fn back(app: &App, record: &MessageRecord, due: Timestamp) -> Change {
    let due = record.due.map_or(due, |was| due.max(was.plus(Duration::from_millis(1))));
    let again = Some(Again { due, was: record.due });
    Change { state: Some(MessageState::Queued), again, ..blank(app, record) }
}

fn fail(app: &App, record: &MessageRecord, code: u16, message: &str) -> Change {
    finish_failed(app, record, code, message, None)
}

fn attempt(provider: &str, submission: &Submission, at: Timestamp) -> Attempt {
    let (outcome, reference, detail) = match submission {
        Submission::Accepted { reference, .. } => ("accepted", reference.clone(), None),
        Submission::Refused { class, detail } => {
            ("refused", None, Some(format!("{}: {detail}", class.message())))
        }
        Submission::Throttled { retry_after } => {
            ("throttled", None, Some(format!("for {} s", retry_after.as_secs())))
        }
        Submission::Unreachable { detail } => ("unreachable", None, Some(detail.clone())),
        Submission::Unknown { detail } => ("unknown", None, Some(detail.clone())),
    };
    Attempt { provider: provider.to_owned(), at, outcome: outcome.to_owned(), reference, detail }
}

/// A STOP that arrived while the message waited is honoured.
async fn opted_out_since(app: &App, record: &MessageRecord) -> Result<bool, StoreError> {
    let exempt = record.verification.is_some()
        && app
            .snapshot
            .load()
            .subaccounts
            .get(&record.subaccount)
            .is_some_and(|s| s.policy.codes_despite_opt_out);
    let scopes = app.store.directory.opted_out(record.to).await?;
    let category = match record.verification {
        Some(_) => Category::Code,
        None => record.details.category.unwrap_or(Category::Transactional),
    };
    let sender = record.details.source.as_deref();
    Ok(covering(scopes, &record.subaccount, category, sender, app.now())
        .is_some_and(|scope| !exempt || scope.category.is_some()))
}

/// Why a message cannot go right now, or ever.
#[derive(Debug)]
pub enum Unready {
    /// A store does not answer.
    Store(StoreError),
    /// It has no text any more; in words.
    Never(String),
}

impl std::fmt::Display for Unready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unready::Store(error) => error.fmt(f),
            Unready::Never(problem) => problem.fmt(f),
        }
    }
}

/// The text of a message. With its code it exists from here to the provider only.
pub async fn text_of(app: &App, record: &MessageRecord) -> Result<String, Unready> {
    let never = |problem: &str| Unready::Never(problem.to_owned());
    match record.content.as_ref().ok_or_else(|| never("its text was erased"))? {
        Content::Text { text } => Ok(text.clone()),
        Content::Flow { steps } => Ok(callflow::heard(steps)),
        Content::Code { template, brand, generation, shape, key_id, given } => {
            let id = record.verification.ok_or_else(|| never("a code without a verification"))?;
            let code = if *given {
                let found = app.store.ledger.verification(None, id).await.map_err(Unready::Store)?;
                let verification = found.filter(|v| v.given_code.is_some());
                let ended = || never("its verification ended, and its code was erased");
                check_code::code_of(app, &verification.ok_or_else(ended)?)
            } else {
                app.store.vault.code(*key_id, id, *generation, *shape)
            };
            let code = code.map_err(|e| never(&e.to_string()))?;
            let filled =
                start_verification::filled(app, template, code.reveal(), brand.as_deref(), record.id);
            filled.map_err(Unready::Never)
        }
    }
}

async fn outgoing(app: &App, record: &MessageRecord) -> Result<Outgoing, Unready> {
    let text = text_of(app, record).await?;
    let steps = match &record.content {
        Some(Content::Flow { steps }) => steps.clone(),
        _ => Vec::new(),
    };
    let source = record.details.source.clone();
    let default =
        || app.snapshot.load().subaccounts.get(&record.subaccount).and_then(|s| s.default_source.clone());
    let voice = record.details.voice.clone().map_or_else(Voice::default, |wish| Voice {
        language: wish.language,
        profile: wish.profile,
        speed: wish.speed,
        repetition: wish.repetition,
    });
    Ok(Outgoing {
        id: record.id.show(IdKind::Message),
        to: Secret::new(record.to.to_e164()),
        from: source.or_else(default),
        text: Secret::new(text),
        steps,
        encoding: record.encoding,
        channel: record.channel,
        voice: if record.channel == Channel::Call { voice } else { Voice::default() },
        validity: record.expires_at.map(|end| end.since(app.now())),
    })
}
