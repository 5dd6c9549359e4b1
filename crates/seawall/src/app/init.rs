//! A data directory becomes an installation: account, subaccount, first key, admin token, built-in limits
//! and a sandbox, so that the first code can be sent at once.

use std::time::Duration;

use seawall_connect::Kind;
use seawall_core::id::IdKind;
use seawall_core::policy::{SubaccountPolicy, built_in_limits};
use seawall_core::time::Timestamp;
use seawall_store::records::Document;
use seawall_store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::audit::Actor;
use super::collections::subaccounts::SUBACCOUNT_RULE;
use super::entities::{Account, ApiKey, Provider, Route, RouteMatch, Settings, Subaccount, collection};
use super::number_keys;
use super::secrets::{SecretKind, hash_hex, last6, new_secret};
use crate::ids::IdSource;

/// Collections that [`init`] writes to, in that order; the account comes last.
const WRITTEN: [&str; 7] = [
    collection::NUMBER_KEYS,
    collection::SUBACCOUNTS,
    collection::API_KEYS,
    collection::LIMITS,
    collection::PROVIDERS,
    collection::ROUTES,
    collection::SETTINGS,
];

/// What was made. The key and the token are shown here and never again.
#[derive(Clone, Serialize, Deserialize)]
pub struct Initialised {
    /// The account's GUID.
    pub account_id: String,
    /// The account's name.
    pub account: String,
    /// The first subaccount.
    pub subaccount_id: String,
    /// The first API key.
    pub api_key: String,
    /// The admin token.
    pub admin_token: String,
    /// Where the console is; `null` until there is one.
    pub console_url: Option<String>,
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is an installation already.
    #[error(
        "account `{0}` exists already in this data directory; nothing was changed. Use its admin token, or another --data-dir"
    )]
    Exists(String),
    /// A name that cannot be used.
    #[error("{field} `{value}` cannot be used: {SUBACCOUNT_RULE}")]
    Name {
        /// `account` or `subaccount`.
        field: &'static str,
        /// As given.
        value: String,
    },
    /// A store did not do what was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the installation; refuses when there is an account. The account is written last: as long as there
/// is none, what an interrupted run left behind is swept away first.
pub async fn init(
    store: &Store,
    ids: &IdSource,
    now: Timestamp,
    account: &str,
    subaccount: Option<&str>,
) -> Result<Initialised, InitError> {
    let subaccount = subaccount.map_or_else(|| format!("{account}_hq"), str::to_owned);
    check_names(account, &subaccount)?;
    if let Some(found) = store.directory.documents(collection::ACCOUNT).await?.first() {
        return Err(InitError::Exists(found.name.clone().unwrap_or_else(|| found.id.clone())));
    }
    sweep(store, now).await?;
    let made = Initialised {
        account_id: guid(store)?,
        account: account.to_owned(),
        subaccount_id: subaccount,
        api_key: new_secret(SecretKind::Live, &store.vault)?,
        admin_token: new_secret(SecretKind::Admin, &store.vault)?,
        console_url: None,
    };
    number_keys::add(store, &Actor::system(), 1, now, Duration::ZERO).await?;
    for (collection, id, name, body) in documents(ids, now, &made, &store.vault)? {
        write(store, now, collection, id, name, body).await?;
    }
    Ok(made)
}

fn check_names(account: &str, subaccount: &str) -> Result<(), InitError> {
    use super::collections::subaccounts::well_formed;
    for (field, value) in [("account", account), ("subaccount", subaccount)] {
        if !well_formed(value) {
            return Err(InitError::Name { field, value: value.to_owned() });
        }
    }
    Ok(())
}

async fn sweep(store: &Store, now: Timestamp) -> Result<(), StoreError> {
    for collection in WRITTEN {
        for left in store.directory.documents(collection).await? {
            let audit = Actor::system().entry(now, &format!("{collection}.delete"), &left.id, Value::Null);
            store.directory.delete(collection, &left.id, audit).await?;
        }
    }
    Ok(())
}

/// A random GUID (version 4).
fn guid(store: &Store) -> Result<String, StoreError> {
    let mut bytes = [0u8; 16];
    store.vault.random(&mut bytes)?;
    let value = u128::from_be_bytes(bytes);
    let value = (value & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{value:032x}");
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default().to_owned();
    Ok([part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-"))
}

type Written = (&'static str, String, Option<String>, Value);

fn documents(
    ids: &IdSource,
    now: Timestamp,
    made: &Initialised,
    vault: &seawall_store::vault::Vault,
) -> Result<Vec<Written>, StoreError> {
    let subaccount = subaccount(made, now);
    let key = first_key(ids, made, now)?;
    let provider = sandbox(ids, now, super::collections::providers::callback_token(vault)?)?;
    let route = catch_all(ids, now)?;
    let account = account(made);
    let mut out = vec![
        (collection::SUBACCOUNTS, subaccount.id.clone(), None, value(&subaccount)),
        (collection::API_KEYS, key.id.clone(), Some(key.name.clone()), value(&key)),
    ];
    for limit in built_in_limits() {
        out.push((collection::LIMITS, limit.id.clone(), Some(limit.name.clone()), value(&limit)));
    }
    out.push((collection::PROVIDERS, provider.id.clone(), Some(provider.name.clone()), value(&provider)));
    out.push((collection::ROUTES, route.id.clone(), route.name.clone(), value(&route)));
    let settings = super::collections::settings::SETTINGS_ID.to_owned();
    out.push((collection::SETTINGS, settings, None, value(&Settings::default())));
    out.push((collection::ACCOUNT, account.id.clone(), Some(account.name.clone()), value(&account)));
    Ok(out)
}

fn value<T: Serialize>(thing: &T) -> Value {
    serde_json::to_value(thing).unwrap_or_default()
}

fn account(made: &Initialised) -> Account {
    Account {
        id: made.account_id.clone(),
        name: made.account.clone(),
        admin_token_hash: hash_hex(&made.admin_token),
        balance: None,
        currency: "USD".to_owned(),
    }
}

fn subaccount(made: &Initialised, now: Timestamp) -> Subaccount {
    Subaccount {
        id: made.subaccount_id.clone(),
        name: None,
        plan: None,
        products: None,
        default_source: None,
        dedup_window: None,
        policy: SubaccountPolicy::default(),
        created_at: now,
    }
}

fn first_key(ids: &IdSource, made: &Initialised, now: Timestamp) -> Result<ApiKey, StoreError> {
    Ok(ApiKey {
        id: ids.next(now)?.show(IdKind::Key),
        name: "first key".to_owned(),
        subaccounts: None,
        scopes: None,
        plan: None,
        ip_allowlist: Vec::new(),
        expires_at: None,
        enabled: true,
        last6: last6(&made.api_key),
        hash: hash_hex(&made.api_key),
        previous: None,
        created_at: now,
    })
}

fn sandbox(ids: &IdSource, now: Timestamp, callback_token: String) -> Result<Provider, StoreError> {
    Ok(Provider {
        id: ids.next(now)?.show(IdKind::Provider),
        name: "sandbox".to_owned(),
        kind: Kind::Sandbox,
        settings: json!({}),
        enabled: true,
        callback_token,
        created_at: now,
    })
}

fn catch_all(ids: &IdSource, now: Timestamp) -> Result<Route, StoreError> {
    Ok(Route {
        id: ids.next(now)?.show(IdKind::Route),
        name: Some("everything to the sandbox".to_owned()),
        // Behind every route that is made without a position.
        position: 1000,
        matches: RouteMatch::default(),
        providers: vec!["sandbox".to_owned()],
        created_at: now,
    })
}

async fn write(
    store: &Store,
    now: Timestamp,
    collection: &str,
    id: String,
    name: Option<String>,
    body: Value,
) -> Result<(), StoreError> {
    let audit = Actor::system().entry(now, &format!("{collection}.create"), &id, json!({"by": "init"}));
    let document = Document {
        collection: collection.to_owned(),
        id,
        name,
        body,
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    store.directory.create(document, audit).await.map(|_| ())
}
