//! What an operator sets up, changed: one file a collection says what it takes and checks, this file does
//! for all of them what is the same: unique names, merge patches, revisions, audit, and the new snapshot.

pub mod api_keys;
pub mod around;
pub mod budgets;
pub mod ip_allowlist;
pub mod limits;
pub mod lists;
pub mod mask;
pub mod number_pools;
pub mod opt_outs;
pub mod plans;
pub mod prices;
pub mod providers;
pub mod routes;
pub mod rules;
pub mod settings;
pub mod shapes;
pub mod subaccounts;
pub mod suspensions;
pub mod templates;
pub mod test_numbers;
pub mod virtual_numbers;
pub mod voice_webhooks;
pub mod webhooks;
pub mod wish;

use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::records::Document;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::App;
use super::audit::Actor;
use around::Around;
pub use wish::{Wrong, merge, read};

/// How often a change is tried again after someone else changed the same document.
const TRIES: usize = 5;
/// Documents that one collection may hold; a snapshot holds them all in memory.
const AT_MOST: usize = 100_000;

/// One kind of thing that is set up.
pub trait Collection: Send + Sync + 'static {
    /// The word in admin paths and in the directory.
    const NAME: &'static str;
    /// What a POST takes, and what a PATCH is merged into. Refuses unknown fields.
    type Input: Serialize + DeserializeOwned + Send;
    /// What is stored.
    type Entity: Serialize + DeserializeOwned + Send + Sync;
    /// What is shown: no secrets.
    type View: Serialize + Send;

    /// A new one, with the secret that is shown once, if it has one.
    fn make(app: &App, input: Self::Input, around: &Around) -> Result<(Self::Entity, Option<String>), Wrong>;
    /// As a POST would have made it; secrets included.
    fn input(entity: &Self::Entity) -> Self::Input;
    /// Takes a whole new input.
    fn change(app: &App, entity: &mut Self::Entity, input: Self::Input, around: &Around)
    -> Result<(), Wrong>;
    /// Without secrets, but with the one that is shown once.
    fn view(entity: &Self::Entity, around: &Around, once: Option<String>) -> Self::View;
    /// Its id.
    fn id(entity: &Self::Entity) -> String;
    /// What no other one of the collection may have.
    fn unique(entity: &Self::Entity) -> Option<String>;
    /// Asks the running gateway for what a view shows beside what is stored.
    fn gather(_app: &App, _around: &mut Around) -> impl Future<Output = Result<(), Wrong>> + Send {
        async { Ok(()) }
    }
    /// Refuses when something else needs it.
    fn may_delete(_entity: &Self::Entity, _around: &Around) -> Result<(), Wrong> {
        Ok(())
    }
}

/// Where a listing goes on: after the document of this age and id.
pub type After = (i64, String);

/// Adds one.
pub async fn create<C: Collection>(app: &App, actor: &Actor, body: Value) -> Result<C::View, Wrong> {
    let input = read::<C::Input>(body)?;
    let _changing = app.reload_lock.lock().await;
    let around = Around::load(app).await?.made_by(actor);
    if around.documents(C::NAME).len() >= AT_MOST {
        return Err(Wrong::InUse(format!("{} holds {AT_MOST} entries already; delete some first", C::NAME)));
    }
    let (entity, once) = C::make(app, input, &around)?;
    let now = around.now;
    let document = Document {
        collection: C::NAME.to_owned(),
        id: C::id(&entity),
        name: C::unique(&entity),
        body: body_of(&entity)?,
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    let detail = audited(serde_json::to_value(C::view(&entity, &around, None)).unwrap_or_default());
    let audit = actor.entry(now, &format!("{}.create", C::NAME), &document.id, detail);
    app.store.directory.create(document, audit).await.map_err(Wrong::from)?;
    enforce(app).await?;
    viewed::<C>(app, &entity, around, once).await
}

/// As it is shown after a change.
async fn viewed<C: Collection>(
    app: &App,
    entity: &C::Entity,
    around: Around,
    once: Option<String>,
) -> Result<C::View, Wrong> {
    let mut around = around.refreshed(app);
    C::gather(app, &mut around).await?;
    Ok(C::view(entity, &around, once))
}

/// A stretch of the collection, oldest first, and where the next one begins.
pub async fn list<C: Collection>(
    app: &App,
    after: Option<After>,
    limit: usize,
) -> Result<(Vec<C::View>, Option<After>), Wrong> {
    let mut around = Around::load(app).await?;
    C::gather(app, &mut around).await?;
    let mut documents: Vec<&Document> = around.documents(C::NAME).iter().collect();
    documents.sort_by_key(|d| place(d));
    let mut rest =
        documents.into_iter().filter(|d| after.as_ref().is_none_or(|after| place(d) > *after)).peekable();
    let mut views = Vec::new();
    let mut last = None;
    while views.len() < limit
        && let Some(document) = rest.next()
    {
        views.push(C::view(&entity_of::<C>(document)?, &around, None));
        last = Some(place(document));
    }
    Ok((views, last.filter(|_| rest.peek().is_some())))
}

fn place(document: &Document) -> After {
    (document.created_at.as_millis(), document.id.clone())
}

/// One, by id or unique name.
pub async fn get<C: Collection>(app: &App, id: &str) -> Result<C::View, Wrong> {
    let mut around = Around::load(app).await?;
    C::gather(app, &mut around).await?;
    let document = around.find(C::NAME, id)?;
    Ok(C::view(&entity_of::<C>(document)?, &around, None))
}

/// Changes one by a JSON merge patch, which is checked as a whole.
pub async fn patch<C: Collection>(
    app: &App,
    actor: &Actor,
    id: &str,
    patch: Value,
) -> Result<C::View, Wrong> {
    let Value::Object(fields) = &patch else {
        return Err(Wrong::field("(body)", "must be a JSON object with the fields to change"));
    };
    let names: Vec<String> = fields.keys().cloned().collect();
    let detail = |view: &Value| picked(view, &names);
    let step = |entity: &mut C::Entity, around: &Around| {
        let mut whole = serde_json::to_value(C::input(entity)).unwrap_or_default();
        merge(&mut whole, &patch);
        C::change(app, entity, read::<C::Input>(whole)?, around)?;
        Ok(None)
    };
    update::<C>(app, actor, id, "update", detail, step).await
}

/// Changes one by a step that is repeated when someone else was faster. `detail` picks what the audit log
/// shows of the new view; the step may give a secret to show once.
pub async fn update<C: Collection>(
    app: &App,
    actor: &Actor,
    id: &str,
    action: &str,
    detail: impl Fn(&Value) -> Value,
    step: impl Fn(&mut C::Entity, &Around) -> Result<Option<String>, Wrong>,
) -> Result<C::View, Wrong> {
    let _changing = app.reload_lock.lock().await;
    for _ in 0..TRIES {
        let around = Around::load(app).await?;
        let found = around.find(C::NAME, id)?;
        let mut entity = entity_of::<C>(found)?;
        let once = step(&mut entity, &around)?;
        let document = Document {
            name: C::unique(&entity),
            body: body_of(&entity)?,
            updated_at: around.now,
            ..found.clone()
        };
        let shown = serde_json::to_value(C::view(&entity, &around, None)).unwrap_or_default();
        let audit =
            actor.entry(around.now, &format!("{}.{action}", C::NAME), &found.id, audited(detail(&shown)));
        match app.store.directory.replace(document, audit).await {
            Ok(_) => {
                enforce(app).await?;
                return viewed::<C>(app, &entity, around, once).await;
            }
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Wrong::Busy)
}

/// Deletes one.
pub async fn delete<C: Collection>(app: &App, actor: &Actor, id: &str) -> Result<(), Wrong> {
    let _changing = app.reload_lock.lock().await;
    let around = Around::load(app).await?;
    let found = around.find(C::NAME, id)?;
    C::may_delete(&entity_of::<C>(found)?, &around)?;
    let audit =
        actor.entry(around.now, &format!("{}.delete", C::NAME), &found.id, json!({"name": found.name}));
    if !app.store.directory.delete(C::NAME, &found.id, audit).await? {
        return Err(Wrong::missing(C::NAME, id));
    }
    enforce(app).await
}

/// Puts what is stored in force.
async fn enforce(app: &App) -> Result<(), Wrong> {
    super::reload::reload(app).await.map_err(Wrong::NotInForce)
}

fn body_of<T: Serialize>(entity: &T) -> Result<Value, Wrong> {
    serde_json::to_value(entity).map_err(|e| Wrong::Store(StoreError::Corrupt(e.to_string())))
}

/// The entity in a document.
pub fn entity_of<C: Collection>(document: &Document) -> Result<C::Entity, Wrong> {
    let wrong = |e| StoreError::Corrupt(format!("{} {}: {e}", document.collection, document.id));
    serde_json::from_value(document.body.clone()).map_err(|e| Wrong::Store(wrong(e)))
}

/// A view as the audit log keeps it: without queries of URLs, which may hold a secret, without the
/// unguessable callback path, and without what was not chosen by anybody.
fn audited(view: Value) -> Value {
    match view {
        Value::Object(fields) => {
            let chosen = fields
                .into_iter()
                .filter(|(name, _)| !["callback_url_path", "health"].contains(&name.as_str()));
            chosen.map(|(name, value)| (name, audited(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(audited).collect(),
        Value::String(text) if text.starts_with("http") => match text.split_once('?') {
            Some((url, _)) => Value::String(format!("{url}?…")),
            None => Value::String(text),
        },
        other => other,
    }
}

/// The named fields of a view.
fn picked(view: &Value, names: &[String]) -> Value {
    let fields = names.iter().map(|n| (n.clone(), view.get(n).cloned().unwrap_or_default()));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// A time that must lie ahead.
fn ahead(field: &'static str, at: Option<Timestamp>, now: Timestamp) -> Result<(), Wrong> {
    match at {
        Some(at) if at <= now => Err(Wrong::field(
            field,
            format!("`{at}` has passed (it is {now}); give a time ahead, or null for none"),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_log_keeps_no_unguessable_urls() {
        let view =
            json!({"url": "https://a.example/h?token=x", "health": {}, "settings": {"url": "http://b/?k=1"}});
        let kept = json!({"url": "https://a.example/h?…", "settings": {"url": "http://b/?…"}});
        assert_eq!(audited(view), kept);
        assert_eq!(
            audited(json!({"callback_url_path": "/callbacks/a/b", "name": "a"})),
            json!({"name": "a"})
        );
    }
}
