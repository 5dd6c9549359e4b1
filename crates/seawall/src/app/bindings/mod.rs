//! New numbers for users ([`seawall_core::binding`]): what is kept of them, and what is done.
//!
//! Everything stands in notes, so that an erasure of either number reaches it: the binding itself is about its new number,
//! a note of its own is about the old one, and a third is the number that a user has. Users are found by a keyed hash.

pub mod check;
pub mod settings;
pub mod start;

use seawall_core::binding::{Binding, Missing, Refused, State};
use seawall_core::id::{Id, IdKind};
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::notes::Note;
use seawall_store::records::Page;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::audit::Actor;
use super::{App, Refusal};

/// Kind of the notes that are bindings.
const KIND: &str = "binding";
/// Kind of the notes that say which old number a binding is about.
const OLD: &str = "binding-old";
/// Bindings and numbers that are gone through at a time.
const STEP: usize = 200;

/// Why a step was not taken.
#[derive(Debug)]
pub enum NotBound {
    /// As for any use case.
    Refusal(Refusal),
    /// The binding does not allow it now.
    Step(Refused),
    /// The user has another number than the one that was named as the old one.
    OtherNumber,
    /// The user has this number already.
    Already,
    /// Too often lately; again from then on.
    TooOften(Timestamp),
}

impl From<Refusal> for NotBound {
    fn from(refusal: Refusal) -> Self {
        NotBound::Refusal(refusal)
    }
}

impl From<StoreError> for NotBound {
    fn from(error: StoreError) -> Self {
        NotBound::Refusal(error.into())
    }
}

impl From<Refused> for NotBound {
    fn from(refused: Refused) -> Self {
        NotBound::Step(refused)
    }
}

/// What is kept of a binding. Sealed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    subaccount: String,
    user: String,
    binding: Binding,
    /// The note about the old number, in hexadecimal digits.
    old: Option<String>,
    /// Verifications of the new and of the old number.
    new_code: Option<String>,
    old_code: Option<String>,
    /// Codes that the old number got.
    old_codes: u8,
    /// Who took it back, or what.
    because: Option<String>,
    /// Whether the number that it bound is written.
    #[serde(default)]
    written: bool,
}

/// A binding.
#[derive(Clone, Debug)]
pub struct Stored {
    note: Note,
    kept: Kept,
}

/// As it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// `bnd_…`
    pub id: Id,
    /// Whose.
    pub subaccount: String,
    /// The app's own name for the user.
    pub user: String,
    /// The new number.
    pub to: Msisdn,
    /// Where it stands.
    pub state: State,
    /// What is missing; empty unless it is pending.
    pub missing: Vec<Missing>,
    /// When it ends unless it is bound.
    pub ends_at: Timestamp,
    /// Who took it back, or what.
    pub because: Option<String>,
}

impl Stored {
    /// Whose it is.
    pub fn subaccount(&self) -> &str {
        &self.kept.subaccount
    }

    /// As it stands at an instant.
    pub fn shown(&self, now: Timestamp) -> Shown {
        let Kept { subaccount, user, binding, because, .. } = self.kept.clone();
        let state = binding.at(now);
        let missing = if state == State::Pending { binding.missing(now) } else { Vec::new() };
        let (id, to, ends_at) = (self.note.id, self.note.number, binding.ends_at);
        Shown { id, subaccount, user, to, state, missing, ends_at, because }
    }

    fn of(note: Note) -> Result<Self, StoreError> {
        let kept = serde_json::from_str(&note.body)?;
        Ok(Stored { note, kept })
    }

    /// The old number; gone after its erasure.
    async fn old_number(&self, app: &App) -> Result<Option<Msisdn>, StoreError> {
        let Some(id) = self.kept.old.as_deref().and_then(Id::parse_hex) else { return Ok(None) };
        Ok(app.store.directory.note(OLD, id).await?.map(|note| note.number))
    }
}

/// A user of a subaccount, by keyed hash.
fn hashed(app: &App, subaccount: &str, user: &str) -> String {
    format!("{:016x}", app.store.vault.index().text(b'u', &format!("{subaccount}\0{user}")))
}

/// Kind of the notes that list a user's bindings.
fn of_user(hash: &str) -> String {
    format!("binding-of-{hash}")
}

/// Kind of the notes that are a user's number.
fn number_of(hash: &str) -> String {
    format!("bound-{hash}")
}

/// A number that a user has.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Bound {
    subaccount: String,
    user: String,
    binding: String,
}

/// The number that a user has, and since when.
pub async fn bound(
    app: &App,
    subaccount: &str,
    user: &str,
) -> Result<Option<(Msisdn, Timestamp)>, StoreError> {
    let kind = number_of(&hashed(app, subaccount, user));
    // Of several the last one counts: a crash came between keeping the new one and dropping the old.
    let all = app.store.directory.notes(&kind, Page { before: None, limit: STEP }).await?;
    Ok(all.iter().max_by_key(|note| note.when).map(|note| (note.number, note.when)))
}

/// One binding.
pub async fn get(app: &App, id: Id) -> Result<Option<Stored>, StoreError> {
    app.store.directory.note(KIND, id).await?.map(Stored::of).transpose()
}

/// A user's bindings, newest first.
pub async fn of(app: &App, subaccount: &str, user: &str) -> Result<Vec<Stored>, StoreError> {
    let kind = of_user(&hashed(app, subaccount, user));
    let mut found = Vec::new();
    for note in app.store.directory.notes(&kind, Page { before: None, limit: STEP }).await? {
        if let Some(id) = Id::parse_hex(&note.scope) {
            found.extend(get(app, id).await?);
        }
    }
    Ok(found)
}

/// Takes a step on a binding, with nothing in between.
async fn change<T>(
    app: &App,
    id: Id,
    mut step: impl FnMut(&mut Kept) -> Result<T, NotBound>,
) -> Result<(T, Stored), NotBound> {
    for _ in 0..8 {
        let before = get(app, id).await?.ok_or(Refusal::NotFound)?;
        let mut kept = before.kept.clone();
        let done = step(&mut kept)?;
        let body = serde_json::to_string(&kept).map_err(StoreError::from)?;
        let note = Note { when: due(&kept), body, ..before.note.clone() };
        if app.store.directory.swap_note(before.note, note.clone()).await? {
            return Ok((done, Stored { note, kept }));
        }
    }
    Err(StoreError::Conflict.into())
}

/// When everything of a binding goes: a while after its end, so that what came too often stays known.
fn due(kept: &Kept) -> Timestamp {
    kept.binding.ends_at.plus(start::LATELY)
}

async fn audit(app: &App, actor: &Actor, what: &str, one: &Stored, detail: Value) -> Result<(), StoreError> {
    let entry = actor.entry(app.now(), what, &one.note.id.show(IdKind::Binding), detail);
    app.store.directory.note_audit(entry).await
}

/// Takes one back. `because`: `app`, `replaced`, `not-me`.
pub async fn cancel(app: &App, actor: &Actor, id: Id, because: &str) -> Result<Stored, NotBound> {
    let now = app.now();
    let ((), one) = change(app, id, |kept| {
        kept.binding.cancel(now)?;
        kept.because = Some(because.to_owned());
        Ok(())
    })
    .await?;
    audit(app, actor, "bindings.cancel", &one, json!({"because": because})).await?;
    tell(app, &one, "binding_canceled", json!({"because": because})).await?;
    Ok(one)
}

/// One of the numbers says that it was not its owner: whatever is open about it is taken back.
pub async fn not_me(app: &App, actor: &Actor, from: Msisdn) -> Result<(), StoreError> {
    let directory = &app.store.directory;
    let old = directory.notes_of(OLD, from).await?.into_iter().filter_map(|note| Id::parse_hex(&note.scope));
    let new = directory.notes_of(KIND, from).await?.into_iter().map(|note| note.id);
    for id in old.chain(new).collect::<Vec<_>>() {
        match cancel(app, actor, id, "not-me").await {
            Ok(_) | Err(NotBound::Step(_) | NotBound::Refusal(Refusal::NotFound)) => {}
            Err(NotBound::Refusal(Refusal::Unavailable(error))) => return Err(error),
            Err(why) => tracing::warn!(?why, "a refused change of a number could not be taken back"),
        }
    }
    Ok(())
}

async fn tell(app: &App, one: &Stored, event: &str, more: Value) -> Result<(), StoreError> {
    let mut all = json!({"binding": one.note.id.show(IdKind::Binding), "user": one.kept.user});
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    super::consent::tell(app, &one.kept.subaccount, event, one.note.number, all, app.now()).await
}

/// What ended long enough ago goes.
pub async fn sweep(app: &App) -> Result<(), StoreError> {
    let (now, directory) = (app.now(), &app.store.directory);
    for note in directory.notes_until(KIND, now, STEP).await? {
        let one = Stored::of(note)?;
        let kind = of_user(&hashed(app, &one.kept.subaccount, &one.kept.user));
        let listed = directory.notes_of(&kind, one.note.number).await?;
        let scope = one.note.id.to_hex();
        let ids = listed.iter().filter(|note| note.scope == scope).map(|note| note.id).collect();
        directory.drop_notes(&kind, ids).await?;
        if let Some(old) = one.kept.old.as_deref().and_then(Id::parse_hex) {
            directory.drop_note(OLD, old).await?;
        }
        directory.drop_note(KIND, one.note.id).await?;
    }
    // Of bindings that went with the erasure of their new number.
    let left = directory.notes_until(OLD, now, STEP).await?;
    directory.drop_notes(OLD, left.iter().map(|note| note.id).collect()).await.map(drop)
}
