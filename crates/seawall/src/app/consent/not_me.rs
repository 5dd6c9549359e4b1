//! "Not me": somebody else asked for the code. The number gets none for a while, the code that is out is taken back,
//! and detection hears that the number's owner refused it.

use seawall_core::consent::{Category, OptOutScope};
use seawall_core::detect::Event;
use seawall_core::id::IdKind;
use seawall_core::msisdn::Msisdn;
use seawall_store::StoreError;
use seawall_store::notes::Note;
use seawall_store::records::{MessageFilter, OptOut, Page};
use serde_json::json;

use super::super::audit::Actor;
use super::super::cancel_verification::cancel_verification;
use super::super::detection::event_id;
use super::super::{App, Refusal};
use super::{kind, tell};

/// Messages looked through for the code that is meant.
const RECENT: usize = 20;

/// Takes note. `by`: `answer` or `link`. `subaccount`: only that one is told, if given.
pub async fn note(
    app: &App,
    from: Msisdn,
    subaccount: Option<&str>,
    by: &str,
    actor: &Actor,
) -> Result<(), StoreError> {
    let at = app.now();
    let until = at.plus(app.snapshot.load().settings.consent.not_me);
    let scope = OptOutScope { category: Some(Category::Code), until: Some(until), ..OptOutScope::default() };
    let entry = OptOut {
        id: app.ids.next(at)?,
        msisdn: from,
        scope,
        source: "not-me".to_owned(),
        note: Some(format!("by {by}")),
        at,
    };
    super::super::bindings::not_me(app, actor, from).await?;
    let detail = json!({"by": by, "until": until});
    let audit = actor.entry(at, "opt-outs.create", &entry.id.show(IdKind::OptOut), detail.clone());
    let ends = Note {
        id: app.ids.next(at)?,
        kind: kind::ENDS.to_owned(),
        number: from,
        scope: "not-me".to_owned(),
        when: until,
        body: serde_json::to_string(&entry.scope)?,
    };
    app.store.directory.add_opt_out(entry, audit).await?;
    app.store.directory.keep_notes(vec![ends]).await?;
    let filter =
        MessageFilter { to: Some(from), from: Some(at.minus(LOOK_BACK)), ..MessageFilter::default() };
    let recent = app.store.ledger.messages(filter, Page { before: None, limit: RECENT }).await?;
    let newest = recent.into_iter().find(|message| message.verification.is_some());
    if let Some((message, verification)) = newest.and_then(|m| Some((m.clone(), m.verification?))) {
        app.detection.observe(Event::WrongCheck { id: event_id(message.id), at });
        match cancel_verification(app, &message.subaccount, verification).await {
            Ok(_) | Err(Refusal::NotFound) => {}
            Err(Refusal::Unavailable(error)) => return Err(error),
            Err(refusal) => tracing::warn!(?refusal, "a refused code could not be taken back"),
        }
        tell(app, &message.subaccount, "not_me", from, detail, at).await?;
    } else if let Some(subaccount) = subaccount {
        tell(app, subaccount, "not_me", from, detail, at).await?;
    }
    Ok(())
}

/// What ended goes from the list of opt-outs.
pub async fn sweep(app: &App) -> Result<usize, StoreError> {
    let now = app.now();
    let ended = app.store.directory.notes_until(kind::ENDS, now, 500).await?;
    for one in &ended {
        let scope: OptOutScope = serde_json::from_str(&one.body)?;
        // A newer "not me" replaced the note and moved the end; this one names what is over.
        let over = app.store.directory.opted_out(one.number).await?.into_iter();
        for scope in over.filter(|s| s.reaches_as(&scope) && s.until.is_some_and(|until| until <= now)) {
            let audit =
                Actor::system().entry(now, "opt-outs.delete", &one.number.masked(), json!({"by": "its end"}));
            app.store.directory.remove_opt_out(one.number, Some(&scope), audit).await?;
        }
        app.store.directory.drop_note(kind::ENDS, one.id).await?;
    }
    Ok(ended.len())
}

/// A code that is older is not meant.
const LOOK_BACK: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
