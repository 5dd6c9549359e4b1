//! Adding, showing, changing and deleting models. Every change is audited.

use seawall_core::id::IdKind;
use seawall_core::model::xgboost::Document as Described;
use seawall_store::StoreError;
use seawall_store::records::Document;
use serde_json::{Value, json};

use super::super::audit::Actor;
use super::super::collections::Wrong;
use super::super::collections::read;
use super::super::entities::collection;
use super::super::{App, reload};
use super::comparison::compare;
use super::stored::{ModelInput, ModelPatch, ModelState, ModelView, StoredModel, attached};
use super::{AT_MOST, load};

/// Longest name and note, characters.
const NAME: usize = 40;
const NOTE: usize = 200;

/// Adds a model, in shadow.
pub async fn create(app: &App, actor: &Actor, body: Value) -> Result<ModelView, Wrong> {
    let stored = checked(app, actor, read::<ModelInput>(body)?)?;
    let _changing = app.reload_lock.lock().await;
    if all(app).await?.len() >= AT_MOST {
        return Err(Wrong::InUse(format!("there are {AT_MOST} models already; delete one first")));
    }
    let document = Document {
        collection: collection::MODELS.to_owned(),
        id: stored.id.clone(),
        name: Some(stored.name.clone()),
        body: serde_json::to_value(&stored).unwrap_or_default(),
        revision: 1,
        created_at: stored.created_at,
        updated_at: stored.created_at,
    };
    let view = ModelView::of(&stored);
    let detail =
        json!({"name": view.name, "state": view.state, "trees": view.trees, "features": view.features.len()});
    let audit = actor.entry(stored.created_at, "models.create", &stored.id, detail);
    app.store.directory.create(document, audit).await?;
    in_force(app).await?;
    Ok(view)
}

fn checked(app: &App, actor: &Actor, input: ModelInput) -> Result<StoredModel, Wrong> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if input.name.is_empty() || input.name.len() > NAME || !input.name.chars().all(plain) {
        return Err(Wrong::field("name", format!("must be 1 to {NAME} of A-Z, a-z, 0-9, `.`, `_` and `-`")));
    }
    note(input.note.as_deref())?;
    let described: Described = serde_json::from_value(input.model.clone())
        .map_err(|error| Wrong::field("model", format!("is not a model as XGBoost writes it: {error}")))?;
    let attached = attached(&described)?;
    let now = app.now();
    let stored = StoredModel {
        id: app.ids.next(now)?.show(IdKind::Model),
        name: input.name,
        state: ModelState::Shadow,
        document: input.model,
        features: input.features.unwrap_or_default(),
        calibration: input.calibration.or(attached.calibration).unwrap_or_default(),
        report: attached.report,
        note: input.note,
        author: actor.name.clone(),
        created_at: now,
        enforced_at: None,
    };
    stored.model().map_err(|why| Wrong::field("model", why))?;
    Ok(stored)
}

fn note(note: Option<&str>) -> Result<(), Wrong> {
    let fits = |note: &str| note.chars().nth(NOTE).is_none() && !note.chars().any(char::is_control);
    if note.is_none_or(fits) {
        Ok(())
    } else {
        Err(Wrong::field("note", format!("must be one line of up to {NOTE} characters")))
    }
}

/// All models, oldest first.
pub async fn list(app: &App) -> Result<Vec<ModelView>, Wrong> {
    Ok(all(app).await?.iter().map(|(_, stored)| ModelView::of(stored)).collect())
}

/// One, with how it compares with the engine.
pub async fn get(app: &App, id: &str) -> Result<ModelView, Wrong> {
    let (_, stored) = find(app, id).await?;
    Ok(ModelView::of(&stored).compared(compare(app, &stored).await?))
}

/// Changes one. It may decide only where it has proved better, and only one at a time does.
pub async fn patch(app: &App, actor: &Actor, id: &str, body: Value) -> Result<ModelView, Wrong> {
    let input = read::<ModelPatch>(body)?;
    note(input.note.as_deref())?;
    let (_, stored) = find(app, id).await?;
    let enforces = input.state == Some(ModelState::Enforce) && stored.state != ModelState::Enforce;
    // The ledger is read before anything is locked: that can take a while.
    let comparison = if enforces { Some(proven(app, &stored).await?) } else { None };
    let _changing = app.reload_lock.lock().await;
    let (document, mut stored) = find(app, &stored.id).await?;
    if enforces && let Some((_, other)) = all(app).await?.iter().find(|(_, m)| m.state == ModelState::Enforce)
    {
        let say = format!("model `{}` decides already; put it into shadow first", other.name);
        return Err(Wrong::InUse(say));
    }
    let now = app.now();
    if let Some(state) = input.state.filter(|state| *state != stored.state) {
        stored.state = state;
        stored.enforced_at = (state == ModelState::Enforce).then_some(now);
    }
    stored.note = input.note.or(stored.note);
    let detail =
        json!({"name": stored.name, "state": stored.state, "note": stored.note, "comparison": comparison});
    let audit = actor.entry(now, "models.update", &stored.id, detail);
    let body = serde_json::to_value(&stored).unwrap_or_default();
    app.store.directory.replace(Document { body, updated_at: now, ..document }, audit).await?;
    in_force(app).await?;
    let view = ModelView::of(&stored);
    Ok(match comparison {
        Some(comparison) => view.compared(comparison),
        None => view,
    })
}

async fn proven(app: &App, stored: &StoredModel) -> Result<seawall_core::model::compare::Comparison, Wrong> {
    let comparison = compare(app, stored).await?;
    match comparison.objection() {
        None => Ok(comparison),
        Some(why) => Err(Wrong::InUse(format!("model `{}` has not proved better: {why}", stored.name))),
    }
}

/// Deletes one; from then on nobody asks it.
pub async fn delete(app: &App, actor: &Actor, id: &str) -> Result<(), Wrong> {
    let _changing = app.reload_lock.lock().await;
    let (_, stored) = find(app, id).await?;
    let detail = json!({"name": stored.name, "state": stored.state});
    let audit = actor.entry(app.now(), "models.delete", &stored.id, detail);
    if !app.store.directory.delete(collection::MODELS, &stored.id, audit).await? {
        return Err(Wrong::missing(collection::MODELS, id));
    }
    in_force(app).await
}

/// Models are asked as they are stored, and decisions name the version of what is set up.
async fn in_force(app: &App) -> Result<(), Wrong> {
    load(&app.store, &app.models).await?;
    reload::reload(app).await.map_err(Wrong::NotInForce)
}

async fn all(app: &App) -> Result<Vec<(Document, StoredModel)>, Wrong> {
    let documents = app.store.directory.documents(collection::MODELS).await?;
    let read = |document: Document| {
        let stored = serde_json::from_value(document.body.clone());
        let damaged = |e| Wrong::Store(StoreError::Corrupt(format!("models {}: {e}", document.id)));
        Ok((document.clone(), stored.map_err(damaged)?))
    };
    documents.into_iter().map(read).collect()
}

async fn find(app: &App, id: &str) -> Result<(Document, StoredModel), Wrong> {
    let named = |(document, stored): &(Document, StoredModel)| document.id == id || stored.name == id;
    let found = all(app).await?.into_iter().find(named);
    found.ok_or_else(|| Wrong::missing(collection::MODELS, id))
}
