//! Everything about one number is erased: asked for in one request, done in the background, gone on with after a
//! restart, and told in a signed receipt. What has to stay in force stays as a keyed hash or a count.
//!
//! The housekeeping alone erases: it also writes what came together in memory, so nothing is written anew behind
//! an erasure's back. Where there are several nodes, the one that leads erases, once the others have written theirs.

use std::time::Duration;

use seawall_core::id::{Id, IdKind};
use seawall_core::list::ListEffect;
use seawall_core::message::MessageState;
use seawall_core::msisdn::Msisdn;
use seawall_store::StoreError;
use seawall_store::records::{Cursor, Erased, Erasing, ErasureJob, MessageFilter, Page};
use serde_json::{Value, json};

use super::audit::Actor;
use super::cancel::canceled;
use super::collections::Wrong;
use super::entities::collection;
use super::{App, detection, lists, masking, number_data, receipts, recorder, tombstones};

/// How long the answer to a request waits for its erasure.
const PATIENCE: Duration = Duration::from_millis(1500);
/// In so long every node has written what came together in its memory.
const OTHERS_WROTE: Duration = Duration::from_secs(4);
/// Steps of one job in one go; the rest waits for the next second.
const STEPS: usize = 2_000;

/// Asks for an erasure, and waits a moment for its end. Once this has returned it will be done.
pub async fn ask(app: &App, actor: &Actor, number: Msisdn) -> Result<ErasureJob, StoreError> {
    let now = app.now();
    let id = app.ids.next(now)?;
    let job = ErasureJob {
        id,
        number: Some(number.as_u64()),
        asked_at: now,
        actor: actor.name.clone(),
        erasing: Erasing::default(),
        receipt: None,
    };
    app.store.ledger.save_erasure(job.clone()).await?;
    let target = id.show(IdKind::Erasure);
    let detail = json!({"number": number.masked()});
    app.store.directory.note_audit(actor.entry(now, "numbers.erase", &target, detail)).await?;
    app.erasures.notify_one();
    let done = tokio::time::timeout(PATIENCE, finished(app, id)).await;
    done.unwrap_or(Ok(job))
}

async fn finished(app: &App, id: Id) -> Result<ErasureJob, StoreError> {
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if let Some(job) = app.store.ledger.erasure(id).await?.filter(|job| job.receipt.is_some()) {
            return Ok(job);
        }
    }
}

/// Goes on with what was asked for and is not done.
pub async fn work(app: &App) {
    let jobs = match app.store.ledger.open_erasures().await {
        Ok(jobs) if !jobs.is_empty() => jobs,
        Ok(_) => return,
        Err(error) => return tracing::error!(%error, "erasures that wait cannot be read"),
    };
    let mut done = Vec::new();
    let now = app.now();
    let ripe = |job: &ErasureJob| !app.store.ledger.is_shared() || job.asked_at.plus(OTHERS_WROTE) <= now;
    for job in jobs.into_iter().filter(ripe) {
        match erase(app, job).await {
            Ok(Some(job)) => done.push(job),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "an erasure is not done yet; it is tried again"),
        }
    }
    if done.is_empty() {
        return;
    }
    // The stream of evidence names numbers; what a snapshot holds is erased from it.
    detection::snapshot(app, detection::Forget::All).await;
    for job in done {
        if let Err(error) = finish(app, job).await {
            tracing::error!(%error, "an erasure is done and its receipt is not; it is tried again");
        }
    }
}

/// Erases what there is; gives the job back when nothing is left.
async fn erase(app: &App, mut job: ErasureJob) -> Result<Option<ErasureJob>, StoreError> {
    let Some(number) = job.number.and_then(Msisdn::from_u64) else { return Ok(Some(job)) };
    let _turn = app.contact_turn.lock().await;
    // What is still in memory is written first, so that it is found.
    recorder::settled(app).await;
    take_back(app, number).await?;
    masking::end::of_number(app, number).await?;
    for _ in 0..STEPS {
        job.erasing = app.store.ledger.erase_step(number, job.erasing).await?;
        let waits = job.erasing.cursor == Cursor::Messages && job.erasing.erased.under_way > 0;
        if waits || job.erasing.cursor == Cursor::Done {
            break;
        }
    }
    if job.erasing.cursor != Cursor::Done {
        app.store.ledger.save_erasure(job).await?;
        return Ok(None);
    }
    of_lists(app, number, &mut job.erasing.erased).await?;
    of_exports(app, number, &mut job.erasing.erased).await?;
    job.erasing.erased.sandbox += u64::from(app.sandbox_lookup.forget(&number.to_e164()));
    app.enumeration.forget(number);
    app.cleanings.forget(number);
    app.detection.forget_number(number);
    Ok(Some(job))
}

/// Messages that wait are not sent any more.
async fn take_back(app: &App, number: Msisdn) -> Result<(), StoreError> {
    for state in [MessageState::Queued, MessageState::Scheduled] {
        let filter = MessageFilter { to: Some(number), state: Some(state), ..MessageFilter::default() };
        let waiting = app.store.ledger.messages(filter, Page { before: None, limit: 10_000 }).await?;
        app.settle(waiting.iter().map(|message| canceled(app, message.id)).collect()).await?;
    }
    Ok(())
}

/// An allow entry goes. Any other stays in force, as a keyed hash.
async fn of_lists(app: &App, number: Msisdn, erased: &mut Erased) -> Result<(), StoreError> {
    for (list, entry) in lists::entries::of_number(app, number) {
        let done = if list.effect == ListEffect::Allow {
            let id = entry.show(IdKind::Entry);
            lists::entries::delete(app, &Actor::system(), &list.name, &id).await
        } else {
            lists::entries::forget(app, &list, entry).await
        };
        match done {
            Ok(()) if list.effect == ListEffect::Allow => erased.allow_entries += 1,
            Ok(()) => erased.deny_entries += 1,
            // Somebody else deleted it just now.
            Err(Wrong::Missing(_)) => {}
            Err(Wrong::Store(error)) => return Err(error),
            Err(other) => {
                return Err(StoreError::Unavailable(format!("an entry of {}: {other:?}", list.name)));
            }
        }
    }
    Ok(())
}

/// Exports of the number's messages are forgotten: the job names it.
async fn of_exports(app: &App, number: Msisdn, erased: &mut Erased) -> Result<(), StoreError> {
    let digits = number.digits();
    let all = app.store.directory.documents(collection::EXPORTS).await?;
    for one in all.iter().filter(|one| one.body.to_string().contains(&digits)) {
        let audit =
            Actor::system().entry(app.now(), "exports.erase", one.id.get(..8).unwrap_or_default(), json!({}));
        erased.exports += u64::from(app.store.directory.delete(collection::EXPORTS, &one.id, audit).await?);
    }
    Ok(())
}

/// Signs the receipt; the number itself is forgotten with this step.
async fn finish(app: &App, mut job: ErasureJob) -> Result<(), StoreError> {
    let Some(number) = job.number.take().and_then(Msisdn::from_u64) else { return Ok(()) };
    job.receipt = Some(receipts::sign(
        app,
        &receipt(app, &job, number, number_data::settings(app, number).await?.len()),
    )?);
    // Before the number is forgotten: a backup that knows it may be restored one day.
    let hash = app.store.vault.index().msisdn(number);
    tombstones::append(app.config.data_dir(), hash, app.now())
        .map_err(|e| StoreError::Unavailable(format!("cannot write {}: {e}", tombstones::TOMBSTONES_FILE)))?;
    app.store.ledger.save_erasure(job).await
}

/// What was where, and what stays.
fn receipt(app: &App, job: &ErasureJob, number: Msisdn, settings: usize) -> Value {
    let erased = &job.erasing.erased;
    let limits = "until the rows of its messages reach their retention";
    json!({
        "type": "erasure",
        "id": job.id.show(IdKind::Erasure),
        "number": number.masked(),
        "number_hash": format!("{:016x}", app.store.vault.index().msisdn(number)),
        "asked_at": job.asked_at,
        "done_at": app.now(),
        "erased": {
            "messages": erased.messages,
            "decisions_without_message": erased.decisions,
            "idempotent_answers": erased.answers,
            "webhook_deliveries": erased.hooks,
            "lookup_answers": erased.lookups,
            "confirmations": erased.known,
            "consents_contacts_and_answers": erased.notes,
            "masking_sessions_and_calls": erased.masking,
            "allow_entries": erased.allow_entries,
            "exports": erased.exports,
            "sandbox_lookup": erased.sandbox,
        },
        "kept": [
            {"what": "opt-outs", "as": "keyed hash", "count": erased.opt_outs,
                "why": "so that nothing is sent to the number", "until": "START, or an operator deletes them"},
            {"what": "deny entries", "as": "keyed hash", "count": erased.deny_entries,
                "why": "so that the number stays refused", "until": "an operator deletes them"},
            {"what": "test numbers, virtual numbers and rules", "as": "sealed setting", "count": settings,
                "why": "an operator set them up", "until": "an operator deletes them"},
            {"what": "send times", "as": "keyed hash", "count": erased.messages,
                "why": "so that limits hold", "until": limits},
            {"what": "failure counts", "as": "keyed hash", "why": "so that codes cannot be guessed on",
                "until": "their windows end"},
            {"what": "evidence about ranges", "as": "count", "why": "detection", "until": "it decays"},
            {"what": "states, prices and countries of messages", "as": "rows without number, text or decision facts",
                "why": "accounting", "until": limits},
        ],
        "backups": "A backup made before still holds what was erased; restoring it takes a list of what was erased since.",
    })
}
