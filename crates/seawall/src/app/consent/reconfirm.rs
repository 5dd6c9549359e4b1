//! Numbers that have to be confirmed again: who is due and why, the question, its answer, and what is forgotten when
//! nobody answers.

use seawall_connect::lookup::NumberState;
use seawall_core::consent::Category;
use seawall_core::consent::reconfirm::{Because, changed_hands, due_before};
use seawall_core::id::{Id, IdKind};
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::notes::Note;
use seawall_store::records::Page;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::{App, Refusal};
use super::inbound::{Answer, reply};
use super::{kind, say, tell};

/// Numbers that one step looks at.
const STEP: usize = 500;

/// What is kept of a number that is due. Sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Due {
    /// For which subaccount it was confirmed.
    pub subaccount: String,
    /// Why.
    pub because: Because,
    /// Since when.
    pub since: Timestamp,
    /// The message that asked, `msg_…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
}

/// A number that is due.
#[derive(Clone, Debug)]
pub struct Stored {
    /// `rcf_…`
    pub id: Id,
    /// Which.
    pub number: Msisdn,
    /// Why, and what was done about it.
    pub due: Due,
    /// No longer known from then on.
    pub until: Timestamp,
}

fn stored(note: &Note) -> Result<Stored, StoreError> {
    Ok(Stored { id: note.id, number: note.number, due: serde_json::from_str(&note.body)?, until: note.when })
}

async fn keep(app: &App, number: Msisdn, due: &Due, until: Timestamp) -> Result<Stored, StoreError> {
    let note = Note {
        id: app.ids.next(app.now())?,
        kind: kind::DUE.to_owned(),
        number,
        scope: due.subaccount.clone(),
        when: until,
        body: serde_json::to_string(due)?,
    };
    let kept = app.store.directory.keep_notes(vec![note]).await?;
    kept.first().map(stored).transpose()?.ok_or(StoreError::Conflict)
}

/// A code was confirmed: it is not due for another while. Nothing is kept while no such while is set.
pub async fn confirmed(app: &App, subaccount: &str, number: Msisdn, at: Timestamp) -> Result<(), StoreError> {
    let directory = &app.store.directory;
    for due in directory.notes_of(kind::DUE, number).await?.iter().filter(|n| n.scope == subaccount) {
        directory.drop_note(kind::DUE, due.id).await?;
        tell(app, subaccount, "reconfirmed", number, json!({"by": "code"}), at).await?;
    }
    if app.snapshot.load().settings.consent.reconfirm.months.is_some() {
        directory.keep_notes(vec![seen(app, subaccount, number, at)?]).await?;
    }
    Ok(())
}

fn seen(app: &App, subaccount: &str, number: Msisdn, at: Timestamp) -> Result<Note, StoreError> {
    Ok(Note {
        id: app.ids.next(app.now())?,
        kind: kind::CONFIRMED.to_owned(),
        number,
        scope: subaccount.to_owned(),
        when: at,
        body: String::new(),
    })
}

/// What a lookup says of a number that is known here.
pub async fn signal(
    app: &App,
    subaccount: &str,
    number: Msisdn,
    state: &NumberState,
) -> Result<(), StoreError> {
    if state.reassigned_at.is_none() {
        return Ok(());
    }
    let Some(known) = app.store.ledger.known_number(number).await? else { return Ok(()) };
    if changed_hands(known.last_at, state.reassigned_at) {
        begin(app, subaccount, number, Because::Reassigned).await?;
    }
    Ok(())
}

/// A number is due from now on.
async fn begin(app: &App, subaccount: &str, number: Msisdn, because: Because) -> Result<(), StoreError> {
    let (now, settings) = (app.now(), app.snapshot.load().settings.consent.reconfirm.clone());
    let known = app.store.directory.notes_of(kind::DUE, number).await?;
    if known.iter().any(|note| note.scope == subaccount) {
        return Ok(());
    }
    let due = Due { subaccount: subaccount.to_owned(), because, since: now, question: None };
    let one = keep(app, number, &due, now.plus(settings.grace)).await?;
    tell(app, subaccount, "reconfirmation_due", number, shown(&one), now).await?;
    if settings.ask
        && let Err(refusal) = Box::pin(ask(app, &one, None, None)).await
    {
        tracing::warn!(?refusal, "a number that is due could not be asked");
    }
    Ok(())
}

fn shown(one: &Stored) -> Value {
    json!({
        "reconfirmation": one.id.show(IdKind::Reconfirmation), "because": one.due.because, "until": one.until,
    })
}

/// Asks by SMS whether the number still has the same owner. Screened like any message.
pub async fn ask(
    app: &App,
    one: &Stored,
    text: Option<String>,
    sender: Option<String>,
) -> Result<Stored, Refusal> {
    let text = text.unwrap_or_else(|| app.snapshot.load().settings.consent.reconfirm.question.clone());
    let sub = &one.due.subaccount;
    let question = say::say(app, sub, one.number, &text, sender, Category::Transactional, "consent").await?;
    let due = Due { question: Some(question.show(IdKind::Message)), ..one.due.clone() };
    Ok(keep(app, one.number, &due, one.until).await?)
}

/// The number answered YES (`still`), NO or "not me"; false when it was not asked.
pub async fn answered(app: &App, answer: &Answer<'_>, still: bool) -> Result<bool, StoreError> {
    let mut any = false;
    for note in app.store.directory.notes_of(kind::DUE, answer.from).await? {
        let one = stored(&note)?;
        if one.due.question.is_none() || answer.at >= one.until {
            continue;
        }
        any = true;
        if still {
            keep_known(app, &one, answer.at).await?;
        } else {
            lapse(app, &one, "answer").await?;
        }
    }
    if any && still {
        let text = app.snapshot.load().settings.consent.answers.confirmed.clone();
        reply(app, answer, text).await;
    }
    Ok(any)
}

async fn keep_known(app: &App, one: &Stored, at: Timestamp) -> Result<(), StoreError> {
    app.store.ledger.note_known(app.store.vault.index().msisdn(one.number), at).await?;
    let directory = &app.store.directory;
    directory.keep_notes(vec![seen(app, &one.due.subaccount, one.number, at)?]).await?;
    directory.drop_note(kind::DUE, one.id).await?;
    tell(app, &one.due.subaccount, "reconfirmed", one.number, json!({"by": "answer"}), at).await
}

/// Nobody confirmed the number: it is a stranger's from now on.
async fn lapse(app: &App, one: &Stored, by: &str) -> Result<(), StoreError> {
    app.store.ledger.forget_known(one.number).await?;
    for note in app.store.directory.notes_of(kind::CONFIRMED, one.number).await? {
        app.store.directory.drop_note(kind::CONFIRMED, note.id).await?;
    }
    app.store.directory.drop_note(kind::DUE, one.id).await?;
    let more = json!({"because": one.due.because, "by": by});
    tell(app, &one.due.subaccount, "reconfirmation_lapsed", one.number, more, app.now()).await
}

/// What time does: old confirmations are due, and what is due for too long is forgotten.
pub async fn tend(app: &App) -> Result<(), StoreError> {
    let (now, directory) = (app.now(), &app.store.directory);
    if let Some(months) = app.snapshot.load().settings.consent.reconfirm.months {
        for old in directory.notes_until(kind::CONFIRMED, due_before(now, months), STEP).await? {
            begin(app, &old.scope, old.number, Because::Age).await?;
            directory.drop_note(kind::CONFIRMED, old.id).await?;
        }
    }
    for over in directory.notes_until(kind::DUE, now, STEP).await? {
        lapse(app, &stored(&over)?, "time").await?;
    }
    Ok(())
}

/// Numbers of a subaccount that are due, newest first, from a row on; and the row to go on from.
pub async fn list(
    app: &App,
    subaccount: &str,
    mut before: Option<i64>,
    limit: usize,
) -> Result<(Vec<Stored>, Option<i64>), StoreError> {
    let mut found = Vec::new();
    loop {
        let page = app.store.directory.notes(kind::DUE, Page { before, limit: STEP }).await?;
        for note in &page {
            if note.scope == subaccount {
                found.push(stored(note)?);
                if found.len() == limit {
                    return Ok((found, Some(note.id.row())));
                }
            }
        }
        match page.last() {
            Some(last) if page.len() == STEP => before = Some(last.id.row()),
            _ => return Ok((found, None)),
        }
    }
}

/// One that is due.
pub async fn get(app: &App, id: Id) -> Result<Option<Stored>, StoreError> {
    app.store.directory.note(kind::DUE, id).await?.as_ref().map(stored).transpose()
}
