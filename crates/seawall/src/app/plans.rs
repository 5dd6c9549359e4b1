//! Plans in force: what a subaccount or a key has because of its plan.

use std::collections::HashMap;
use std::sync::Arc;

use seawall_core::blind::BlindIndex;
use seawall_core::limit::Limit;
use seawall_core::plan::Plans;
use seawall_core::policy::{CountryPolicy, Policy};
use seawall_core::request::Terms;

use super::App;
use super::collections::plans::{Plan, Rights};
use super::entities::{ApiKey, Scope, Subaccount};
use super::reload::named_by_shape;
use super::snapshot::Snapshot;
use super::who::{Caller, Stranger};

/// Puts the limits and country policies of plans into a policy.
pub fn put_into(
    policy: &mut Policy,
    plans: &HashMap<String, Arc<Plan>>,
    subaccounts: &HashMap<String, Arc<Subaccount>>,
    keys: &[ApiKey],
    index: &BlindIndex,
) {
    let known = |plan: &Option<String>| plan.clone().filter(|name| plans.contains_key(name));
    let of_subaccounts: HashMap<String, String> =
        subaccounts.values().filter_map(|s| Some((s.id.clone(), known(&s.plan)?))).collect();
    let of_keys = keys.iter().filter_map(|k| Some((k.id.clone(), known(&k.plan)?))).collect();
    for (id, plan) in &of_subaccounts {
        let theirs = plans.get(plan).and_then(|plan| plan.country_policy.clone());
        if let (Some(theirs), Some(own)) = (theirs, policy.subaccounts.get_mut(id))
            && own.country_policy == CountryPolicy::default()
        {
            own.country_policy = theirs;
        }
    }
    let mut sorted: Vec<&Arc<Plan>> = plans.values().collect();
    sorted.sort_by(|a, b| a.id.cmp(&b.id));
    let limits = sorted.iter().flat_map(|plan| plan.limits.iter().map(|l| of_plan(plan, l)));
    policy.limits.extend(limits.map(|limit| named_by_shape(limit, index)));
    policy.plans = Plans::new(of_subaccounts, of_keys, &policy.limits);
}

/// A plan's limit as one of the policy, named after both.
fn of_plan(plan: &Plan, limit: &Limit) -> Limit {
    Limit {
        id: format!("{}/{}", plan.id, limit.name),
        name: format!("{}: {}", plan.name, limit.name),
        plan: Some(plan.name.clone()),
        subaccount_id: None,
        built_in: false,
        ..limit.clone()
    }
}

/// The rights that come with the plan of a key, or of the subaccount that it is used for.
pub fn rights<'a>(snapshot: &'a Snapshot, subaccount: &str, key: &str) -> Option<&'a Rights> {
    let (plan, _) = snapshot.policy.plans.of(subaccount, Some(key))?;
    snapshot.plans.get(plan).map(|plan| &plan.rights)
}

/// Whether a key may do something for a subaccount: by its own scopes, else by its plan's, else by those of
/// every key. A plan's rights beyond scopes come on top.
pub fn may(snapshot: &Snapshot, subaccount: &Subaccount, key: &ApiKey, needed: Scope) -> bool {
    let rights = rights(snapshot, &subaccount.id, &key.id);
    let of_plan = rights.and_then(|rights| rights.scopes.as_deref());
    let scopes = key.scopes.as_deref().or(of_plan).unwrap_or(&DEFAULT_SCOPES);
    scopes.contains(&needed) || rights.is_some_and(|rights| rights.grants(needed))
}

/// Lets a caller have the terms that it asks for.
pub fn allow_terms(
    app: &App,
    caller: &Caller,
    subaccount: &Subaccount,
    terms: &Terms,
) -> Result<(), Stranger> {
    let needed = Scope::RiskCheckOff;
    if terms.risk_check || may(&app.snapshot.load(), subaccount, &caller.key, needed) {
        return Ok(());
    }
    Err(Stranger::Scope { needed })
}

/// Whether a product is switched on for a subaccount: by itself, else by the plan.
pub fn has_product(snapshot: &Snapshot, subaccount: &Subaccount, key: &ApiKey, product: Scope) -> bool {
    let of_plan = rights(snapshot, &subaccount.id, &key.id).and_then(|rights| rights.products.as_ref());
    let products = subaccount.products.as_ref().or(of_plan);
    products.is_none_or(|products| products.iter().any(|p| p == product.as_str()))
}

/// Keys without scopes may do everything but administer, approve by hand and skip the risk check.
pub const DEFAULT_SCOPES: [Scope; 6] =
    [Scope::Verify, Scope::Sms, Scope::Lookup, Scope::Masking, Scope::Voice, Scope::Contacts];
