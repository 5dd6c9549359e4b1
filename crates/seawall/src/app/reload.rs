//! What is set up becomes what runs: a whole new snapshot, built beside the old one and swapped for it. What
//! cannot be built never replaces what works.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use seawall_connect::{Connector, Health, Outgoing, Submission, Surroundings};
use seawall_core::limit::Limit;
use seawall_core::policy::Policy;
use seawall_core::suspension::Suspensions;
use seawall_store::StoreError;
use serde::de::DeserializeOwned;

use super::App;
use super::collections::plans::Plan;
use super::collections::suspensions::StoredSuspension;
use super::entities::{ApiKey, Provider, Route, Subaccount, TestNumber, collection};
use super::masking::inventory::Inventory;
use super::number_keys::NumberKeys;
use super::plans::put_into;
use super::snapshot::{RunningProvider, Snapshot};

mod refill;
mod wanted;

pub use refill::{longest, named_by_shape, refill, refill_lost};

/// Builds everything anew and swaps it in. Callers that change the directory hold [`App::reload_lock`].
///
/// Limits that are new, or count differently than before, have their windows filled from the ledger before
/// the swap, so that they are exact from their first request. The very first snapshot is not filled here:
/// a start calls [`refill`] once.
pub async fn reload(app: &App) -> Result<(), String> {
    let old = app.snapshot.load_full();
    let new = match build(app, &old).await {
        Ok(new) => new,
        Err(error) => {
            tracing::error!(%error, "what is set up cannot be used; going on with what was");
            return Err(error.to_string());
        }
    };
    let running = |snapshot: &Snapshot| -> Vec<Arc<dyn Connector>> {
        snapshot.providers.values().map(|p| p.connector.clone()).collect()
    };
    let (before, after) = (running(&old), running(&new));
    let filled = match super::velocities::begin(app, &new.policy).await {
        Ok(()) => refill::swap(app, &old, new).await,
        Err(error) => Err(error),
    };
    super::velocities::end(app);
    match filled {
        Ok(()) => {
            app.lists.define(app.snapshot.load().lists.clone());
            close(minus(before, &after));
        }
        Err(error) => {
            tracing::error!(%error, "new limits or velocities could not be filled; going on with what was");
            close(minus(after, &before));
            return Err(error.to_string());
        }
    }
    Ok(())
}

fn minus(connectors: Vec<Arc<dyn Connector>>, others: &[Arc<dyn Connector>]) -> Vec<Arc<dyn Connector>> {
    connectors.into_iter().filter(|one| !others.iter().any(|other| Arc::ptr_eq(one, other))).collect()
}

/// Ends connections behind the scenes: messages under way still hold them.
fn close(connectors: Vec<Arc<dyn Connector>>) {
    for connector in connectors {
        tokio::spawn(async move { connector.close().await });
    }
}

async fn build(app: &App, old: &Snapshot) -> Result<Snapshot, StoreError> {
    // Before anything else: what another node changes while the rest is read must not pass for read.
    let version = app.store.directory.version().await?;
    let subaccounts: Vec<Subaccount> = read(app, collection::SUBACCOUNTS).await?;
    let subaccounts: HashMap<String, Arc<Subaccount>> =
        subaccounts.into_iter().map(|s| (s.id.clone(), Arc::new(s))).collect();
    let settings = read(app, collection::SETTINGS).await?.into_iter().next().unwrap_or_default();
    let limits: Vec<Limit> = read(app, collection::LIMITS).await?;
    let limits =
        limits.into_iter().map(|limit| refill::named_by_shape(limit, app.store.vault.index())).collect();
    let mut policy =
        Snapshot::policy(version, limits, &settings, app.config.verification.clone(), &subaccounts);
    let plans: Vec<Plan> = read(app, collection::PLANS).await?;
    let plans = plans.into_iter().map(|plan| (plan.name.clone(), Arc::new(plan))).collect();
    let keys: Vec<ApiKey> = read(app, collection::API_KEYS).await?;
    put_into(&mut policy, &plans, &subaccounts, &keys, app.store.vault.index());
    policy.budgets = read(app, collection::BUDGETS).await?;
    let suspensions: Vec<StoredSuspension> = read(app, collection::SUSPENSIONS).await?;
    let now = app.now();
    policy.suspensions = Suspensions::new(suspensions.iter().filter_map(|s| s.in_force(now)));
    let (rules, running_rules) = super::rules::build(read(app, collection::RULES).await?, &old.rules);
    policy.rules = rules;
    let mut routes: Vec<Route> = read(app, collection::ROUTES).await?;
    routes.sort_by_cached_key(rank);
    Ok(Snapshot {
        account: read(app, collection::ACCOUNT).await?.into_iter().next(),
        keys: by_hash(keys),
        plans,
        allowed: read(app, collection::IP_ALLOWLIST).await?,
        prices: read(app, collection::PRICES).await?,
        webhooks: read(app, collection::WEBHOOKS).await?,
        voice_webhooks: read(app, collection::VOICE_WEBHOOKS).await?,
        masking: Inventory::of(
            read(app, collection::NUMBER_POOLS).await?,
            read(app, collection::VIRTUAL_NUMBERS).await?,
        ),
        number_keys: NumberKeys::of(read(app, collection::NUMBER_KEYS).await?),
        templates: read(app, collection::TEMPLATES).await?,
        test_numbers: by_number(read(app, collection::TEST_NUMBERS).await?),
        lists: read(app, collection::LISTS).await?,
        rules: running_rules,
        providers: providers(app, old, read(app, collection::PROVIDERS).await?),
        range_digits: policy.range_digits(),
        policy: Arc::<Policy>::new(policy),
        subaccounts,
        routes,
        settings,
    })
}

async fn read<T: DeserializeOwned>(app: &App, collection: &str) -> Result<Vec<T>, StoreError> {
    let mut documents = app.store.directory.documents(collection).await?;
    if collection == collection::LISTS {
        documents = super::lists::with_built_in(documents);
    }
    let entity = |d: seawall_store::records::Document| {
        let id = d.id;
        serde_json::from_value(d.body).map_err(|e| StoreError::Corrupt(format!("{collection} {id}: {e}")))
    };
    documents.into_iter().map(entity).collect()
}

fn by_number(all: Vec<TestNumber>) -> HashMap<String, TestNumber> {
    all.into_iter().map(|number| (number.msisdn.clone(), number)).collect()
}

/// Lower positions go first, then the more specific match, then the older route.
fn rank(route: &Route) -> (i64, Reverse<usize>, i64, String) {
    let m = &route.matches;
    let named = [m.country.is_some(), m.channel.is_some(), m.purpose.is_some(), m.subaccount_id.is_some()];
    let specific = named.into_iter().filter(|named| *named).count();
    (route.position, Reverse(specific), route.created_at.as_millis(), route.id.clone())
}

/// Both secrets of a key lead to it; whether one is still valid is looked at when it is used.
fn by_hash(keys: Vec<ApiKey>) -> HashMap<[u8; 32], Arc<ApiKey>> {
    let mut map = HashMap::with_capacity(keys.len());
    for key in keys.into_iter().map(Arc::new) {
        let hashes = [Some(&key.hash), key.previous.as_ref().map(|p| &p.hash)];
        for hash in hashes.into_iter().flatten().filter_map(|hex| from_hex(hex)) {
            map.insert(hash, key.clone());
        }
    }
    map
}

fn from_hex(hex: &str) -> Option<[u8; 32]> {
    let mut out = [0u8; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

/// Connectors of the enabled providers: those that run already, unless their settings changed.
fn providers(app: &App, old: &Snapshot, all: Vec<Provider>) -> HashMap<String, RunningProvider> {
    let enabled = all.into_iter().filter(|provider| provider.enabled);
    enabled.map(|provider| (provider.name.clone(), start(app, old, provider))).collect()
}

fn start(app: &App, old: &Snapshot, provider: Provider) -> RunningProvider {
    let same = |running: &&RunningProvider| {
        running.provider.kind == provider.kind && running.provider.settings == provider.settings
    };
    let connector = match old.providers.get(&provider.name).filter(same) {
        Some(running) => running.connector.clone(),
        None => connect(app, &provider),
    };
    RunningProvider { provider: Arc::new(provider), connector }
}

/// One provider that cannot start (its secret is gone from the environment, say) must not stop the gateway:
/// it is down, with the reason, and routes fail over.
fn connect(app: &App, provider: &Provider) -> Arc<dyn Connector> {
    let around = Surroundings {
        name: provider.name.clone(),
        echoes: app.echoes.clone(),
        allow_insecure_smpp: app.config.smpp.allow_insecure,
        known: app.sandbox_lookup.clone(),
    };
    seawall_connect::build(provider.kind, &provider.settings, around).unwrap_or_else(|error| {
        tracing::error!(provider = provider.name, %error, "a provider cannot be started");
        Arc::new(Unusable(error.to_string()))
    })
}

/// A provider that could not be started.
struct Unusable(String);

#[async_trait]
impl Connector for Unusable {
    async fn submit(&self, _message: &Outgoing) -> Submission {
        Submission::Unreachable { detail: self.0.clone() }
    }

    fn health(&self) -> Health {
        Health::Down { reason: self.0.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn route(id: &str, position: i64, matches: serde_json::Value, at: &str) -> Route {
        let body =
            json!({"id": id, "position": position, "match": matches, "providers": ["a"], "created_at": at});
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn routes_go_by_position_then_specificity_then_age() {
        let (old, new) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
        let mut routes = [
            route("all-new", 0, json!({}), new),
            route("all-old", 0, json!({}), old),
            route("sg", 0, json!({"country": "SG"}), new),
            route("last", 7, json!({"country": "SG", "channel": "sms"}), old),
            route("sg-sms", 0, json!({"country": "SG", "channel": "sms"}), new),
            route("first", -1, json!({}), new),
        ];
        routes.sort_by_cached_key(rank);
        let ids: Vec<&str> = routes.iter().map(|r| r.id.as_str()).collect();
        assert_eq!(ids, ["first", "sg-sms", "sg", "all-old", "all-new", "last"]);
    }

    #[test]
    fn hashes_read_back() {
        let hex = super::super::secrets::hash_hex("secret");
        assert_eq!(from_hex(&hex), Some(super::super::who::hash_secret("secret")));
        assert!(from_hex("zz").is_none() && from_hex(&"é".repeat(32)).is_none());
    }
}
