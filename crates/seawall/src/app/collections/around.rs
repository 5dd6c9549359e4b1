//! What a change is checked against: everything else that is set up, and what runs.

use std::collections::HashMap;
use std::sync::Arc;

use seawall_core::list::ListIndex;
use seawall_core::masking::health::Health;
use seawall_core::time::Timestamp;
use seawall_store::lists::Hits;
use seawall_store::records::Document;
use serde_json::Value;

use super::super::App;
use super::super::audit::Actor;
use super::super::budgets::Usage;
use super::super::entities::collection;
use super::super::hits::between;
use super::super::lists::{built_in_alias, with_built_in};
use super::super::snapshot::Snapshot;
use super::Wrong;

/// The collections that refer to each other.
const LOADED: [&str; 18] = [
    collection::SUBACCOUNTS,
    collection::API_KEYS,
    collection::IP_ALLOWLIST,
    collection::LIMITS,
    collection::PROVIDERS,
    collection::ROUTES,
    collection::PRICES,
    collection::WEBHOOKS,
    collection::VOICE_WEBHOOKS,
    collection::NUMBER_POOLS,
    collection::VIRTUAL_NUMBERS,
    collection::TEST_NUMBERS,
    collection::TEMPLATES,
    collection::PLANS,
    collection::BUDGETS,
    collection::LISTS,
    collection::SUSPENSIONS,
    collection::RULES,
];

/// The surroundings of one change or listing.
pub struct Around {
    /// When.
    pub now: Timestamp,
    /// What runs.
    pub snapshot: Arc<Snapshot>,
    /// Last use of each key: when and from where.
    pub key_uses: HashMap<String, (Timestamp, String)>,
    /// Lists in force.
    pub lists: Arc<ListIndex>,
    /// How often each suspension was met.
    pub hits: hashbrown::HashMap<String, Hits>,
    /// What budgets hold, by id, when budgets are shown.
    pub usage: HashMap<String, Usage>,
    /// How virtual numbers do, by id, when they are shown.
    pub number_health: HashMap<String, Health>,
    /// Who makes what is made.
    pub by: String,
    documents: HashMap<&'static str, Vec<Document>>,
}

impl Around {
    /// As it is now.
    pub async fn load(app: &App) -> Result<Self, Wrong> {
        let mut documents = HashMap::new();
        for name in LOADED {
            documents.insert(name, app.store.directory.documents(name).await?);
        }
        documents
            .entry(collection::LISTS)
            .and_modify(|stored| *stored = with_built_in(std::mem::take(stored)));
        let uses = app.store.directory.key_uses().await?;
        Ok(Around {
            now: app.now(),
            snapshot: app.snapshot.load_full(),
            key_uses: uses.into_iter().map(|(key, at, ip)| (key, (at, ip))).collect(),
            lists: app.lists.index(),
            hits: between(app, "sus_", "sus_~").await?,
            usage: HashMap::new(),
            number_health: HashMap::new(),
            by: String::new(),
            documents,
        })
    }

    /// With what runs after a change.
    pub fn refreshed(self, app: &App) -> Self {
        Around { snapshot: app.snapshot.load_full(), lists: app.lists.index(), ..self }
    }

    /// Something is made by somebody.
    pub fn made_by(self, actor: &Actor) -> Self {
        Around { by: actor.name.clone(), ..self }
    }

    /// All documents of a collection.
    pub fn documents(&self, name: &str) -> &[Document] {
        self.documents.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// A document by its id, else by its unique name.
    pub fn find(&self, name: &str, id: &str) -> Result<&Document, Wrong> {
        let all = self.documents(name);
        let by_id = all.iter().find(|d| d.id == id);
        let found = by_id.or_else(|| all.iter().find(|d| d.name.as_deref() == Some(id)));
        let alias = if name == collection::LISTS { built_in_alias(id) } else { None };
        let found = found.or_else(|| all.iter().find(|d| alias.is_some() && d.name == alias));
        found.ok_or_else(|| Wrong::missing(name, id))
    }

    /// A subaccount that a field names must exist.
    pub fn check_subaccount(&self, field: &str, id: Option<&str>) -> Result<(), Wrong> {
        let Some(id) = id else { return Ok(()) };
        let known: Vec<&str> =
            self.documents(collection::SUBACCOUNTS).iter().map(|d| d.id.as_str()).collect();
        if known.contains(&id) {
            return Ok(());
        }
        Err(Wrong::field(field, format!("`{id}` is not a subaccount; there are: {}", some_of(&known))))
    }

    /// A provider that a route names must exist.
    pub fn check_provider(&self, field: &str, name: &str) -> Result<(), Wrong> {
        let all = self.documents(collection::PROVIDERS).iter();
        let known: Vec<&str> = all.filter_map(|d| d.name.as_deref()).collect();
        if known.contains(&name) {
            return Ok(());
        }
        Err(Wrong::field(field, format!("`{name}` is not a provider; there are: {}", some_of(&known))))
    }

    /// A plan that a field names must exist.
    pub fn check_plan(&self, field: &str, name: Option<&str>) -> Result<(), Wrong> {
        let Some(name) = name else { return Ok(()) };
        let all = self.documents(collection::PLANS).iter();
        let known: Vec<&str> = all.filter_map(|d| d.name.as_deref()).collect();
        if known.contains(&name) {
            return Ok(());
        }
        let there = some_of(&known);
        Err(Wrong::field(field, format!("`{name}` is not a plan of /admin/v1/plans; there are: {there}")))
    }

    /// A pool that a field names must exist; gives its name.
    pub fn check_pool(&self, field: &str, pool: &str) -> Result<String, Wrong> {
        let all = self.documents(collection::NUMBER_POOLS);
        let found = all.iter().find(|d| d.id == pool || d.name.as_deref() == Some(pool));
        let known: Vec<&str> = all.iter().filter_map(|d| d.name.as_deref()).collect();
        let unknown = || {
            let there = some_of(&known);
            Wrong::field(
                field,
                format!("`{pool}` is not a pool of /admin/v1/number-pools; there are: {there}"),
            )
        };
        found.and_then(|d| d.name.clone()).ok_or_else(unknown)
    }

    /// Virtual numbers of a pool.
    pub fn numbers_in(&self, pool: &str) -> usize {
        let of = |d: &&Document| d.body.get("pool").and_then(Value::as_str) == Some(pool);
        self.documents(collection::VIRTUAL_NUMBERS).iter().filter(of).count()
    }

    /// A route that a field names by id or name must exist; gives its id.
    pub fn check_route(&self, field: &str, route: &str) -> Result<String, Wrong> {
        let all = self.documents(collection::ROUTES);
        let found = all.iter().find(|d| d.id == route || d.name.as_deref() == Some(route));
        let known: Vec<&str> = all.iter().map(|d| d.name.as_deref().unwrap_or(&d.id)).collect();
        let unknown =
            || Wrong::field(field, format!("`{route}` is not a route; there are: {}", some_of(&known)));
        found.map(|d| d.id.clone()).ok_or_else(unknown)
    }

    /// Ids of the subaccounts and keys that have a plan.
    pub fn holders_of_plan(&self, plan: &str) -> Vec<String> {
        let all = [collection::SUBACCOUNTS, collection::API_KEYS].into_iter().flat_map(|n| self.documents(n));
        let have = all.filter(|d| d.body.get("plan").and_then(Value::as_str) == Some(plan));
        have.map(|d| d.id.clone()).collect()
    }

    /// Budgets that count what a route carries.
    pub fn budgets_over(&self, route: &str) -> Vec<String> {
        let over = |d: &&Document| d.body.get("route").and_then(Value::as_str) == Some(route);
        let budgets = self.documents(collection::BUDGETS).iter().filter(over);
        budgets.map(|d| format!("`{}`", d.name.as_ref().unwrap_or(&d.id))).collect()
    }

    /// Where a subaccount is named, e.g. ``limits `per hour` ``.
    pub fn users_of_subaccount(&self, id: &str) -> Vec<String> {
        let named = |d: &&Document| {
            let at = |path: &str| d.body.pointer(path).and_then(Value::as_str) == Some(id);
            let listed = d.body.get("subaccounts").and_then(Value::as_array);
            at("/subaccount_id")
                || at("/match/subaccount_id")
                || listed.is_some_and(|l| l.iter().any(|s| s == id))
        };
        let all = LOADED.iter().flat_map(|name| self.documents(name));
        all.filter(named)
            .map(|d| format!("{} `{}`", d.collection, d.name.as_ref().unwrap_or(&d.id)))
            .collect()
    }

    /// Routes that use a provider.
    pub fn routes_over(&self, provider: &str) -> Vec<String> {
        let uses = |d: &&Document| {
            let listed = d.body.get("providers").and_then(Value::as_array);
            listed.is_some_and(|l| l.iter().any(|p| p == provider))
        };
        let routes = self.documents(collection::ROUTES).iter().filter(uses);
        routes.map(|d| format!("`{}`", d.name.as_ref().unwrap_or(&d.id))).collect()
    }
}

/// The first few of what there is, for an error.
fn some_of(known: &[&str]) -> String {
    let first: Vec<String> = known.iter().take(20).map(|name| format!("`{name}`")).collect();
    match known.len() {
        0 => "none yet".to_owned(),
        1..=20 => first.join(", "),
        more => format!("{}, … ({more} in all)", first.join(", ")),
    }
}
