//! Numbers that come encrypted, so that a proxy in between never sees them: the one place where a text of a request
//! becomes a number, whether it is written out or encrypted, and the life of the keys that open it.

mod hpke;
mod jwe;
mod set;

use std::borrow::Cow;
use std::time::Duration;

use seawall_core::country::Country;
use seawall_core::msisdn::{Msisdn, MsisdnError, ParsedNumber};
use seawall_core::time::Timestamp;
use seawall_store::records::Document;
use seawall_store::{Store, StoreError};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::App;
use super::audit::Actor;
use super::collections::Wrong;
use super::entities::collection::NUMBER_KEYS;
use super::reload::reload;
pub use set::{NumberKeys, StoredPair};

/// What the header of every JWE begins with: `{"` in base64url.
const JWE_BEGINS: &str = "eyJ";
/// From so many numbers on in one request they are opened aside.
const MANY: usize = 100;
/// How long the pair before still opens when nobody says otherwise: key sets are kept for minutes, apps run for days.
pub const GRACE: Duration = Duration::from_secs(24 * 3600);
/// The most that somebody may say.
pub const LONGEST_GRACE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why a text is no number. None of them repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// As it is written.
    #[error(transparent)]
    Number(#[from] MsisdnError),
    /// It is encrypted; what exactly is wrong with it would help to guess.
    #[error(
        "the encrypted number cannot be opened; encrypt nothing but the number, with a key of /.well-known/number-keys.json, \
         as a compact JWE (ECDH-ES, A256GCM) or as `hpke:<kid>.<enc>.<ciphertext>`"
    )]
    Unopened,
    /// Its key never was, or is no more.
    #[error(
        "the key that the number is encrypted with is not in use (any more); fetch /.well-known/number-keys.json again and \
         encrypt with the key that it has now"
    )]
    UnknownKey,
}

/// Whether a text is meant as an encrypted number. No number has letters.
pub fn is_encrypted(text: &str) -> bool {
    text.starts_with(JWE_BEGINS) || text.starts_with(hpke::SCHEME)
}

/// Reads a number of a request's body, written out or encrypted.
pub fn read(app: &App, text: &str, country: Option<Country>) -> Result<ParsedNumber, Unread> {
    read_with(app, text, |plain| Ok(Msisdn::parse(plain, country)?))
}

/// The same with the rules of who asks.
pub fn read_with<E: From<Unread>>(
    app: &App,
    text: &str,
    parse: impl FnOnce(&str) -> Result<ParsedNumber, E>,
) -> Result<ParsedNumber, E> {
    if !is_encrypted(text) {
        return parse(text);
    }
    let plain = app.snapshot.load().number_keys.open(text, app.now())?;
    // What is wrong with it would tell a proxy about it.
    let number = parse(&plain).map_err(|_| Unread::Unopened)?;
    Ok(ParsedNumber { veiled: true, ..number })
}

/// Does work that may open so many numbers. Thousands take a core for a while: not one that others wait for.
pub fn aside<T>(numbers: usize, work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
    if numbers >= MANY && matches!(flavor, Ok(RuntimeFlavor::MultiThread)) {
        return tokio::task::block_in_place(work);
    }
    work()
}

/// A body in which encrypted numbers are written out, to be compared and thrown away: who encrypts the same number
/// again for the same request gets another text.
pub fn written_out<'a>(app: &App, body: &'a [u8]) -> Cow<'a, [u8]> {
    let Ok(text) = std::str::from_utf8(body) else { return Cow::Borrowed(body) };
    if !text.contains("\"eyJ") && !text.contains("\"hpke:") {
        return Cow::Borrowed(body);
    }
    let (snapshot, now) = (app.snapshot.load(), app.now());
    let opened = |text: &str| is_encrypted(text).then(|| snapshot.number_keys.open(text, now).ok()).flatten();
    let parts = text.split('"').map(|part| match opened(part) {
        // Not the same as a number that came as it is: that one is answered as it is.
        Some(number) => Cow::Owned(format!("encrypted {number}")),
        None => Cow::Borrowed(part),
    });
    Cow::Owned(parts.collect::<Vec<_>>().join("\"").into_bytes())
}

/// A pair of keys, without anything of it.
#[derive(Serialize, ToSchema)]
pub struct NumberKeyView {
    /// Grows with every rotation.
    pub generation: u64,
    /// `current`: published; `next`: will be, in seconds; `old`: opens until `retires_at`.
    #[schema(value_type = String, example = "current")]
    pub state: &'static str,
    /// Names of its keys: P-256 for JWE, X25519 for HPKE.
    pub kids: [String; 2],
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub made_at: Timestamp,
    /// From then on it opens nothing and is deleted.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub retires_at: Option<Timestamp>,
}

/// The keys that numbers in requests may be encrypted with.
#[derive(Serialize, ToSchema)]
pub struct NumberKeysView {
    /// Oldest first.
    pub data: Vec<NumberKeyView>,
}

/// What there is.
pub fn view(app: &App) -> NumberKeysView {
    let (snapshot, now) = (app.snapshot.load(), app.now());
    let keys = &snapshot.number_keys;
    let current = keys.current(now, app.store.ledger.is_shared()).map_or(0, |pair| pair.generation);
    let shown = |pair: &set::Pair| NumberKeyView {
        generation: pair.generation,
        state: match pair.generation.cmp(&current) {
            std::cmp::Ordering::Less => "old",
            std::cmp::Ordering::Equal => "current",
            std::cmp::Ordering::Greater => "next",
        },
        kids: [pair.ec_kid.clone(), pair.okp_kid.clone()],
        made_at: pair.made_at,
        retires_at: pair.retires_at,
    };
    NumberKeysView { data: keys.pairs.iter().filter(|pair| pair.opens(now)).map(shown).collect() }
}

/// The public keys that callers are to use.
pub fn published(app: &App) -> Value {
    app.snapshot.load().number_keys.published(app.now(), app.store.ledger.is_shared())
}

/// A new pair, published at once or, on several nodes, once all of them know it. What was encrypted before opens for
/// `grace`.
pub async fn rotate(app: &App, actor: &Actor, grace: Duration) -> Result<NumberKeysView, Wrong> {
    let _changing = app.reload_lock.lock().await;
    let newest = stored(&app.store).await?.iter().map(|pair| pair.generation).max().unwrap_or(0);
    add(&app.store, actor, newest + 1, app.now(), grace).await?;
    reload(app).await.map_err(Wrong::NotInForce)?;
    Ok(view(app))
}

async fn stored(store: &Store) -> Result<Vec<StoredPair>, StoreError> {
    let documents = store.directory.documents(NUMBER_KEYS).await?.into_iter();
    let pair = |document: Document| serde_json::from_value(document.body);
    let damaged = |_| StoreError::Corrupt("a pair of keys for numbers is damaged".to_owned());
    documents.map(pair).collect::<Result<_, _>>().map_err(damaged)
}

/// Makes a pair. Of several who make the same one, all but the first get a conflict.
pub async fn add(
    store: &Store,
    actor: &Actor,
    generation: u64,
    now: Timestamp,
    grace: Duration,
) -> Result<(), StoreError> {
    let pair = StoredPair::make(&store.vault, generation, now, grace)?;
    let body = serde_json::to_value(&pair).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    let document = Document {
        collection: NUMBER_KEYS.to_owned(),
        id: generation.to_string(),
        name: Some(generation.to_string()),
        body,
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    let detail = json!({"grace_seconds": grace.as_secs()});
    let audit = actor.entry(now, "number-keys.rotate", &generation.to_string(), detail);
    store.directory.create(document, audit).await.map(|_| ())
}

/// What time does; called every second: the first pair of an installation that has none, and the end of those that
/// are over. A key that is gone opens nothing for anybody, whatever was recorded.
pub async fn tend(app: &App) -> Result<(), StoreError> {
    let now = app.now();
    let (none, over) = {
        let snapshot = app.snapshot.load();
        let keys = &snapshot.number_keys.pairs;
        let over: Vec<u64> =
            keys.iter().filter(|pair| !pair.opens(now)).map(|pair| pair.generation).collect();
        (snapshot.account.is_some() && keys.is_empty(), over)
    };
    if !app.store.ledger.leads() || (!none && over.is_empty()) {
        return Ok(());
    }
    let _changing = app.reload_lock.lock().await;
    if none && stored(&app.store).await?.is_empty() {
        add(&app.store, &Actor::system(), 1, now, Duration::ZERO).await?;
    }
    for generation in over {
        let (id, audit) = (generation.to_string(), json!({"by": "its end"}));
        let audit = Actor::system().entry(now, "number-keys.delete", &id, audit);
        app.store.directory.delete(NUMBER_KEYS, &id, audit).await?;
    }
    reload(app).await.map_err(StoreError::Unavailable)
}
