//! Keys of what is kept: which there are, a new one, and the background work that follows: what the old one sealed is
//! sealed again, and once nothing names it, it is gone.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::keys::Resealing;
use seawall_store::vault::kek::wrapped_by;
use seawall_store::vault::{KekSource, KeyState, WrappedKey};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::App;
use super::audit::Actor;
use super::collections::Wrong;
use super::detection;

/// Steps of re-sealing in one go; the rest waits for the next second.
const STEPS: usize = 25;
/// A new key seals once every node has had the time to read it.
const READ_BY_ALL: Duration = Duration::from_secs(5);
/// An old key is kept so long after it sealed last: what was sealed with it may still be on its way to the database,
/// and a node's snapshot of its evidence is written every five minutes.
const LINGERS_ALONE: Duration = Duration::from_secs(10);
const LINGERS_SHARED: Duration = Duration::from_secs(900);

/// How far the background work is.
#[derive(Default)]
pub struct Progress(Mutex<Work>);

#[derive(Clone, Copy, Default)]
struct Work {
    at: Resealing,
    /// Values that were to be sealed again when the pass began.
    of: Option<u64>,
    /// Nothing is to be done until somebody asks for it here.
    idle: bool,
}

/// A key, without anything of it.
#[derive(Serialize, ToSchema)]
pub struct KeyView {
    /// Sealed values begin with it; 0 is the root key, which is not rotated.
    pub id: u8,
    /// `current`: seals; `next`: will, in seconds; `old`: opens what it sealed until nothing names it.
    #[schema(value_type = String, example = "current")]
    pub state: &'static str,
    /// When it was made; `null`: with the database.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub made_at: Option<Timestamp>,
    /// Name of the key-encryption key that wraps it, or `program`.
    pub wrapped_by: String,
}

/// How far sealing again has come.
#[derive(Serialize, ToSchema)]
pub struct ResealView {
    /// `idle`, or `running`.
    #[schema(value_type = String)]
    pub state: &'static str,
    /// Values sealed again.
    pub done: u64,
    /// Values that were to be.
    pub of: Option<u64>,
}

/// All keys of this installation.
#[derive(Serialize, ToSchema)]
pub struct KeysView {
    /// Where the key-encryption key is.
    #[schema(example = "installation.key")]
    pub kek: String,
    /// Names of the key-encryption keys that are held there; the last one wraps.
    pub kek_keys: Vec<String>,
    /// The root key and the data keys.
    pub keys: Vec<KeyView>,
    /// What an old key sealed, being sealed again.
    pub reseal: ResealView,
}

fn shown(row: &WrappedKey) -> KeyView {
    KeyView {
        id: row.id,
        state: row.state.as_str(),
        made_at: (row.made_at > 0).then(|| Timestamp::from_millis(row.made_at)),
        wrapped_by: wrapped_by(&row.wrapped),
    }
}

fn work(app: &App) -> Work {
    *app.resealing.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set_work(app: &App, work: Work) {
    *app.resealing.0.lock().unwrap_or_else(PoisonError::into_inner) = work;
}

/// What there is.
pub async fn view(app: &App) -> Result<KeysView, StoreError> {
    let rows = app.store.ledger.data_keys().await?;
    let (kek, work) = (app.store.vault.kek(), work(app));
    let busy = rows.iter().any(|row| row.state != KeyState::Current);
    Ok(KeysView {
        kek: kek.describe(),
        kek_keys: kek.names()?,
        keys: rows.iter().map(shown).collect(),
        reseal: ResealView { state: if busy { "running" } else { "idle" }, done: work.at.done, of: work.of },
    })
}

/// Wraps all keys with the newest key-encryption key, which is made first if `fresh`. What is sealed stays as it is.
pub async fn rewrap(app: &App, actor: &Actor, fresh: bool) -> Result<KeysView, Wrong> {
    if fresh && app.store.ledger.is_shared() {
        let why = "makes a key on one node only, and others share the database; append the key to the file of every \
                   node, then wrap again without it";
        return Err(Wrong::field("new", why));
    }
    if fresh && !matches!(app.store.vault.kek(), KekSource::File(_)) {
        let why = "needs a key file; the key-encryption key is elsewhere, so make the new one there";
        return Err(Wrong::field("new", why));
    }
    let before = app.store.ledger.data_keys().await?;
    let (vault, rows) = (app.store.vault.clone(), before.clone());
    let wrapped = blocking(move || {
        if fresh {
            vault.kek().add_key()?;
        }
        vault.wrap_again(&rows)
    });
    let after = wrapped.await?;
    let by = after.first().map(|row| wrapped_by(&row.wrapped)).unwrap_or_default();
    app.store.ledger.replace_data_keys(before, after).await?;
    note(app, actor, "keys.rewrap", &by).await?;
    Ok(view(app).await?)
}

/// Makes a new data key. It seals within seconds; what older ones sealed is sealed again in the background.
pub async fn rotate(app: &App, actor: &Actor) -> Result<KeysView, Wrong> {
    let before = app.store.ledger.data_keys().await?;
    if before.iter().any(|row| row.state != KeyState::Current) {
        let why = "A data key is being replaced already; look at `reseal` and wait for its end.";
        return Err(Wrong::InUse(why.to_owned()));
    }
    let newest = before.iter().map(|row| row.id).max().unwrap_or(0);
    // Ids are one byte; one that nothing names any more may be used again.
    let id = if newest == u8::MAX { 1 } else { newest + 1 };
    let (vault, now) = (app.store.vault.clone(), app.now().as_millis());
    let next = blocking(move || vault.make(id, KeyState::Next, now)).await?;
    let after = before.iter().cloned().chain([next]).collect();
    app.store.ledger.replace_data_keys(before, after).await?;
    set_work(app, Work::default());
    note(app, actor, "keys.rotate", &id.to_string()).await?;
    tend(app).await?;
    Ok(view(app).await?)
}

async fn note(app: &App, actor: &Actor, action: &str, target: &str) -> Result<(), StoreError> {
    app.store.directory.note_audit(actor.entry(app.now(), action, target, json!({}))).await
}

/// Keys may be asked of a program, which takes its time.
async fn blocking<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(ask).await;
    done.map_err(|_| StoreError::Unavailable("keys were asked for in vain".to_owned()))?
}

/// What time does; called every second. Does nothing while no key is being replaced and no other node may do so.
pub async fn tend(app: &App) -> Result<(), StoreError> {
    let ledger = &app.store.ledger;
    if work(app).idle {
        return Ok(());
    }
    let rows = ledger.data_keys().await?;
    if rows.is_empty() {
        return Ok(());
    }
    let (vault, read) = (app.store.vault.clone(), rows.clone());
    blocking(move || vault.unlock(&read)).await?;
    // One node does the work for all.
    if !ledger.leads() {
        return Ok(());
    }
    if let Some(next) = rows.iter().find(|row| row.state == KeyState::Next) {
        let waits = if ledger.is_shared() { READ_BY_ALL } else { Duration::ZERO };
        if Timestamp::from_millis(next.made_at).plus(waits) <= app.now() {
            return begin(app, rows).await;
        }
    }
    if rows.iter().any(|row| row.state == KeyState::Old) {
        return reseal(app, rows).await;
    }
    let idle = !ledger.is_shared() && rows.iter().all(|row| row.state == KeyState::Current);
    set_work(app, Work { idle, ..work(app) });
    Ok(())
}

/// The next key seals from now on.
async fn begin(app: &App, rows: Vec<WrappedKey>) -> Result<(), StoreError> {
    let now = app.now().as_millis();
    let moved = rows.iter().cloned().map(|row| match row.state {
        KeyState::Next => WrappedKey { state: KeyState::Current, ..row },
        KeyState::Current if row.id != 0 => WrappedKey { state: KeyState::Old, ..row },
        _ => row,
    });
    let after: Vec<WrappedKey> = moved.collect();
    app.store.ledger.replace_data_keys(rows, after.clone()).await?;
    let vault = app.store.vault.clone();
    blocking(move || vault.unlock(&after)).await?;
    tracing::info!(at = now, key = app.store.vault.sealing_key(), "a new data key seals");
    set_work(app, Work::default());
    Ok(())
}

/// Some steps of sealing again; at the end the old key goes.
async fn reseal(app: &App, rows: Vec<WrappedKey>) -> Result<(), StoreError> {
    let mut now = work(app);
    if now.of.is_none() {
        now.of = Some(app.store.ledger.sealed_before().await?);
    }
    for _ in 0..STEPS {
        if now.at.finished {
            break;
        }
        now.at = app.store.ledger.reseal(now.at).await?;
        set_work(app, now);
        tokio::task::yield_now().await;
    }
    set_work(app, now);
    let shared = app.store.ledger.is_shared();
    let newest = rows.iter().map(|row| row.made_at).max().unwrap_or(0);
    let lingers = if shared { LINGERS_SHARED } else { LINGERS_ALONE };
    if !now.at.finished || Timestamp::from_millis(newest).plus(lingers) > app.now() {
        return Ok(());
    }
    // What was on its way when the pass went by is found by looking at everything once more.
    if app.store.ledger.sealed_before().await? > 0 {
        set_work(app, Work { at: Resealing { done: now.at.done, ..Resealing::default() }, ..now });
        return Ok(());
    }
    detection::snapshot(app, detection::Forget::Old).await;
    let after: Vec<WrappedKey> = rows.iter().filter(|row| row.state != KeyState::Old).cloned().collect();
    app.store.ledger.replace_data_keys(rows, after.clone()).await?;
    let vault = app.store.vault.clone();
    blocking(move || vault.unlock(&after)).await?;
    set_work(app, Work { of: Some(now.at.done), ..now });
    tracing::info!(values = now.at.done, "nothing names the old data key any more; it is gone");
    Ok(())
}
