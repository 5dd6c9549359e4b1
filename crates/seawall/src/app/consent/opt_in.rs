//! Opt-ins with their proof; and the double opt-in: ask by SMS, wait for YES, keep the answer as the proof.

use seawall_core::consent::Category;
use seawall_core::id::{Id, IdKind};
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::notes::Note;
use seawall_store::records::Page;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::audit::Actor;
use super::super::{App, Refusal};
use super::inbound::{Answer, reply};
use super::say::Addressee;
use super::{kind, say, tell};

/// What is kept of an opt-in. Sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptIn {
    /// To messages of which subaccount.
    pub subaccount: String,
    /// To messages of which category.
    pub category: Category,
    /// Where it was given: `web-form`, `pos`, `double-opt-in`, …
    pub source: String,
    /// What was agreed to, or a reference to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// When it was given; of one that is asked for, when it was asked.
    pub at: Timestamp,
    /// The question of a double opt-in, `msg_…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// What was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Whether its number came encrypted, so that no answer shows it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub veiled: bool,
}

impl OptIn {
    /// Whose it is, as the app named it.
    pub fn whose(&self, number: Msisdn) -> Addressee {
        Addressee { number, veiled: self.veiled }
    }
}

/// An opt-in as it is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// `cns_…`
    pub id: Id,
    /// Whose.
    pub number: Msisdn,
    /// What it says.
    pub opt_in: OptIn,
    /// Of one that waits for its YES: until when.
    pub waits_until: Option<Timestamp>,
}

fn stored(note: &Note) -> Result<Stored, StoreError> {
    let opt_in = serde_json::from_str(&note.body)?;
    let waits_until = (note.kind == kind::ASKED).then_some(note.when);
    Ok(Stored { id: note.id, number: note.number, opt_in, waits_until })
}

fn note(app: &App, kind: &str, number: Msisdn, opt_in: &OptIn, when: Timestamp) -> Result<Note, StoreError> {
    Ok(Note {
        id: app.ids.next(app.now())?,
        kind: kind.to_owned(),
        number,
        scope: format!("{}/{}", opt_in.subaccount, opt_in.category.as_str()),
        when,
        body: serde_json::to_string(opt_in)?,
    })
}

/// Keeps opt-ins, all or none. A newer one of the same number, subaccount and category replaces the older.
pub async fn give(app: &App, actor: &Actor, all: Vec<(Msisdn, OptIn)>) -> Result<Vec<Stored>, StoreError> {
    let (now, count) = (app.now(), all.len());
    let notes = all.iter().map(|(number, opt_in)| note(app, kind::CONSENT, *number, opt_in, opt_in.at));
    let kept = app.store.directory.keep_notes(notes.collect::<Result<_, _>>()?).await?;
    let target = kept.first().map(|first| first.id.show(IdKind::Consent)).unwrap_or_default();
    let audit = actor.entry(now, "consents.create", &target, json!({"count": count}));
    app.store.directory.note_audit(audit).await?;
    for (number, opt_in) in &all {
        let more = json!({"category": opt_in.category, "by": opt_in.source});
        tell(app, &opt_in.subaccount, "opted_in", opt_in.whose(*number), more, now).await?;
    }
    kept.iter().map(stored).collect()
}

/// Asks by SMS; the opt-in waits for its YES. The question is screened as any message is; nothing is kept when it is
/// refused.
pub async fn ask(
    app: &App,
    number: Msisdn,
    mut opt_in: OptIn,
    text: Option<String>,
    sender: Option<String>,
) -> Result<Stored, Refusal> {
    let settings = app.snapshot.load().settings.consent.clone();
    let text = text.unwrap_or(settings.question);
    let question = say::say(
        app,
        &opt_in.subaccount,
        opt_in.whose(number),
        &text,
        sender,
        Category::Transactional,
        "consent",
    )
    .await?;
    opt_in.question = Some(question.show(IdKind::Message));
    opt_in.proof = opt_in.proof.or(Some(text));
    let ends = app.now().plus(settings.question_valid);
    let kept = app.store.directory.keep_notes(vec![note(app, kind::ASKED, number, &opt_in, ends)?]).await?;
    let first = kept.first().map(stored).transpose()?;
    first.ok_or(Refusal::Unavailable(StoreError::Conflict))
}

/// What waits for a YES of this number.
pub async fn asked(app: &App, answer: &Answer<'_>) -> Result<Vec<Note>, StoreError> {
    let all = app.store.directory.notes_of(kind::ASKED, answer.from).await?;
    Ok(all.into_iter().filter(|note| answer.at < note.when).collect())
}

/// The number said YES.
pub async fn confirm(app: &App, answer: &Answer<'_>, asked: Vec<Note>) -> Result<(), StoreError> {
    for one in asked {
        let opt_in: OptIn = serde_json::from_str(&one.body)?;
        let said: String = answer.text.chars().take(160).collect();
        let given = OptIn { at: answer.at, answer: Some(said), ..opt_in };
        lift(app, answer, &given).await?;
        give(app, answer.actor, vec![(answer.from, given)]).await?;
        app.store.directory.drop_note(kind::ASKED, one.id).await?;
    }
    let text = app.snapshot.load().settings.consent.answers.confirmed.clone();
    reply(app, answer, text).await;
    Ok(())
}

/// A YES ends the opt-outs that would stop what it agrees to.
async fn lift(app: &App, answer: &Answer<'_>, given: &OptIn) -> Result<(), StoreError> {
    for scope in app.store.directory.opted_out(answer.from).await? {
        let covers = scope.covers(&given.subaccount, given.category, Some(answer.sender), answer.at);
        if covers && scope.until.is_none() {
            let audit =
                answer.actor.entry(answer.at, "opt-outs.delete", &answer.from.masked(), json!({"by": "yes"}));
            app.store.directory.remove_opt_out(answer.from, Some(&scope), audit).await?;
        }
    }
    Ok(())
}

/// The number said NO: nothing waits any more.
pub async fn decline(app: &App, answer: &Answer<'_>, asked: Vec<Note>) -> Result<(), StoreError> {
    for one in asked {
        app.store.directory.drop_note(kind::ASKED, one.id).await?;
        let opt_in: OptIn = serde_json::from_str(&one.body)?;
        let more = json!({"category": opt_in.category});
        tell(app, &opt_in.subaccount, "opt_in_declined", opt_in.whose(answer.from), more, answer.at).await?;
    }
    Ok(())
}

/// Whether a number agreed to a category of a subaccount's messages.
pub async fn has(
    app: &App,
    number: Msisdn,
    subaccount: &str,
    category: Category,
) -> Result<bool, StoreError> {
    let scope = format!("{subaccount}/{}", category.as_str());
    let all = app.store.directory.notes_of(kind::CONSENT, number).await?;
    Ok(all.iter().any(|note| note.scope == scope))
}

/// Opt-ins of a number, and those that wait for a YES.
pub async fn of_number(app: &App, number: Msisdn) -> Result<Vec<Stored>, StoreError> {
    let mut found = app.store.directory.notes_of(kind::CONSENT, number).await?;
    found.extend(app.store.directory.notes_of(kind::ASKED, number).await?);
    found.iter().map(stored).collect()
}

/// Opt-ins, newest first.
pub async fn list(app: &App, page: Page) -> Result<Vec<Stored>, StoreError> {
    app.store.directory.notes(kind::CONSENT, page).await?.iter().map(stored).collect()
}

/// One, given or waiting.
pub async fn get(app: &App, id: Id) -> Result<Option<Stored>, StoreError> {
    for kind in [kind::CONSENT, kind::ASKED] {
        if let Some(note) = app.store.directory.note(kind, id).await? {
            return stored(&note).map(Some);
        }
    }
    Ok(None)
}

/// Takes one back.
pub async fn withdraw(app: &App, actor: &Actor, one: &Stored) -> Result<(), StoreError> {
    let kind = if one.waits_until.is_some() { kind::ASKED } else { kind::CONSENT };
    if app.store.directory.drop_note(kind, one.id).await? {
        let now = app.now();
        let audit = actor.entry(now, "consents.delete", &one.id.show(IdKind::Consent), json!({}));
        app.store.directory.note_audit(audit).await?;
        let more = json!({"category": one.opt_in.category});
        tell(app, &one.opt_in.subaccount, "consent_withdrawn", one.opt_in.whose(one.number), more, now)
            .await?;
    }
    Ok(())
}

/// An opt-out ends every opt-in, and every question.
pub async fn withdraw_all(app: &App, number: Msisdn, why: &str) -> Result<(), StoreError> {
    for one in of_number(app, number).await? {
        let actor = Actor { name: format!("system: {why}"), ip: None };
        withdraw(app, &actor, &one).await?;
    }
    Ok(())
}

/// Questions that nobody answered in time end.
pub async fn expire(app: &App) -> Result<usize, StoreError> {
    let ended = app.store.directory.notes_until(kind::ASKED, app.now(), 500).await?;
    for one in &ended {
        app.store.directory.drop_note(kind::ASKED, one.id).await?;
        let opt_in: OptIn = serde_json::from_str(&one.body)?;
        let more = json!({"category": opt_in.category});
        tell(app, &opt_in.subaccount, "opt_in_expired", opt_in.whose(one.number), more, app.now()).await?;
    }
    Ok(ended.len())
}
