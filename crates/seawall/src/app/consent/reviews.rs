//! Answers that may ask for no more messages: nobody is sure, so a person looks, and nothing is passed over.

use seawall_core::consent::Reading;
use seawall_core::id::{Id, IdKind};
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::notes::Note;
use seawall_store::records::Page;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::super::App;
use super::super::audit::Actor;
use super::super::collections::Wrong;
use super::inbound::{Answer, because, opt_out};
use super::{kind, tell};

/// What is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    subaccount: String,
    sender: String,
    text: String,
    because: String,
    probability: u8,
}

/// An answer to look at.
#[derive(Serialize, ToSchema)]
pub struct ReviewView {
    /// `rev_…`
    pub id: String,
    /// Who wrote, masked.
    pub msisdn: String,
    /// To whose conversation it belongs.
    pub subaccount_id: String,
    /// The sender ID that was answered.
    pub sender: String,
    /// What was written.
    pub text: String,
    /// What speaks for an opt-out.
    pub because: String,
    /// How likely it is one, in percent.
    pub probability: u8,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// What a person decides.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// It asks for no more messages.
    OptOut,
    /// It means something else.
    Dismiss,
}

/// Keeps an answer for a person. Newer words of the same number and conversation stand beside older ones.
pub async fn keep(app: &App, answer: &Answer<'_>, reading: &Reading) -> Result<(), StoreError> {
    let id = app.ids.next(answer.at)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a probability in percent")]
    let probability = (reading.probability.clamp(0.0, 1.0) * 100.0) as u8;
    let kept = Kept {
        subaccount: answer.subaccount.to_owned(),
        sender: answer.sender.to_owned(),
        text: answer.text.chars().take(1600).collect(),
        because: because(reading),
        probability,
    };
    let note = Note {
        id,
        kind: kind::REVIEW.to_owned(),
        number: answer.from,
        scope: id.to_hex(),
        when: answer.at,
        body: serde_json::to_string(&kept)?,
    };
    app.store.directory.keep_notes(vec![note]).await?;
    let review = id.show(IdKind::Review);
    let (sub, more) = (answer.subaccount, json!({"review": review, "probability": probability}));
    tell(app, sub, "review_needed", answer.from, more, answer.at).await
}

fn view(note: &Note) -> Result<ReviewView, StoreError> {
    let kept: Kept = serde_json::from_str(&note.body)?;
    Ok(ReviewView {
        id: note.id.show(IdKind::Review),
        msisdn: note.number.masked(),
        subaccount_id: kept.subaccount,
        sender: kept.sender,
        text: kept.text,
        because: kept.because,
        probability: kept.probability,
        at: note.when,
    })
}

/// Answers that wait for a person, newest first, with the row of each.
pub async fn list(app: &App, page: Page) -> Result<Vec<(i64, ReviewView)>, StoreError> {
    let notes = app.store.directory.notes(kind::REVIEW, page).await?;
    notes.iter().map(|note| Ok((note.id.row(), view(note)?))).collect()
}

/// Answers that nobody looked at in time go.
pub async fn sweep(app: &App) -> Result<usize, StoreError> {
    let before = app.now().minus(app.snapshot.load().settings.consent.reviews_kept);
    let old = app.store.directory.notes_until(kind::REVIEW, before, 500).await?;
    for one in &old {
        app.store.directory.drop_note(kind::REVIEW, one.id).await?;
    }
    Ok(old.len())
}

/// A person decides; the answer goes from the list.
pub async fn decide(app: &App, actor: &Actor, id: Id, ruling: Ruling) -> Result<(), Wrong> {
    let missing =
        || Wrong::Missing("there is no such answer to look at; it may be decided already".to_owned());
    let note = app.store.directory.note(kind::REVIEW, id).await?.ok_or_else(missing)?;
    let kept: Kept = serde_json::from_str(&note.body).map_err(StoreError::from)?;
    let at = app.now();
    if matches!(ruling, Ruling::OptOut) {
        let scope = app.snapshot.load().settings.consent.stop_scope.scope(&kept.subaccount, &kept.sender);
        let (subaccount, sender, text) = (kept.subaccount.as_str(), kept.sender.as_str(), kept.text.as_str());
        let answer = Answer { from: note.number, veiled: false, subaccount, sender, text, actor, at };
        opt_out(app, &answer, scope, "review", format!("looked at by a person; {}", kept.because)).await?;
    }
    app.store.directory.drop_note(kind::REVIEW, id).await?;
    let detail = json!({"ruling": format!("{ruling:?}")});
    let audit = actor.entry(at, "consents.review", &id.show(IdKind::Review), detail);
    app.store.directory.note_audit(audit).await?;
    Ok(())
}
