//! Plans: named bundles of limits and rights for subaccounts and keys.

use seawall_core::id::IdKind;
use seawall_core::limit::Limit;
use seawall_core::policy::CountryPolicy;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::App;
use super::super::entities::{Scope, collection};
use super::around::Around;
use super::limits::{self, LimitView, PlanLimitInput};
use super::shapes::{CountryPolicyShape, ScopeShape};
use super::subaccounts::{check_products, label};
use super::{Collection, Wrong};

/// Limits of one plan.
const MOST_LIMITS: usize = 50;

/// A plan, as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// `pln_…`
    pub id: String,
    /// Unique; subaccounts and keys name it.
    pub name: String,
    /// Its limits. Names are unique within it.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// What its holders may do.
    #[serde(default)]
    pub rights: Rights,
    /// Where subaccounts send that have no country policy of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country_policy: Option<CountryPolicy>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What the holders of a plan may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rights {
    /// Products of subaccounts that name none themselves: `verify`, `sms`, `lookup`, `masking`, `voice`,
    /// `contacts`; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub products: Option<Vec<String>>,
    /// Scopes of keys that name none themselves; absent: the usual ones.
    #[schema(value_type = Option<Vec<ScopeShape>>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Scope>>,
    /// Requests may say `risk_check: "off"`.
    pub risk_check_off: bool,
    /// Verifications may be approved by hand.
    pub approve: bool,
}

impl Rights {
    /// Whether a right beyond scopes is among them.
    pub fn grants(&self, right: Scope) -> bool {
        match right {
            Scope::Approve => self.approve,
            Scope::RiskCheckOff => self.risk_check_off,
            _ => false,
        }
    }
}

/// A plan as it is wished.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanInput {
    /// Unique; subaccounts and keys name it.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Its limits. Every subaccount or key that has the plan has windows of its own.
    #[schema(max_items = 50)]
    pub limits: Option<Vec<PlanLimitInput>>,
    /// What its holders may do.
    pub rights: Option<Rights>,
    /// Where subaccounts send that have no country policy of their own.
    #[schema(value_type = Option<CountryPolicyShape>)]
    pub country_policy: Option<CountryPolicy>,
}

/// A plan as it is shown.
#[derive(Serialize, ToSchema)]
pub struct PlanView {
    /// `pln_…`
    pub id: String,
    /// Unique.
    pub name: String,
    /// Its limits.
    pub limits: Vec<LimitView>,
    /// What its holders may do.
    pub rights: Rights,
    /// Where subaccounts send that have no country policy of their own.
    #[schema(value_type = Option<CountryPolicyShape>)]
    pub country_policy: Option<CountryPolicy>,
    /// Ids of the subaccounts and keys that have it.
    pub used_by: Vec<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// The collection.
pub struct Plans;

fn build(
    app: &App,
    around: &Around,
    id: String,
    created_at: Timestamp,
    input: PlanInput,
) -> Result<Plan, Wrong> {
    label("name", Some(&input.name))?;
    let wished = input.limits.unwrap_or_default();
    if wished.len() > MOST_LIMITS {
        return Err(Wrong::field("limits", format!("a plan has at most {MOST_LIMITS} limits")));
    }
    let mut built: Vec<Limit> = Vec::with_capacity(wished.len());
    for (place, limit) in wished.into_iter().enumerate() {
        let within = |wrong| match wrong {
            Wrong::Field { field, problem } => Wrong::field(format!("limits[{place}].{field}"), problem),
            other => other,
        };
        let limit = limits::of_plan(app, around, limit).map_err(within)?;
        if built.iter().any(|other| other.name == limit.name) {
            let problem = format!("`{}` is there twice; name them apart", limit.name);
            return Err(Wrong::field(format!("limits[{place}].name"), problem));
        }
        built.push(limit);
    }
    let rights = input.rights.unwrap_or_default();
    check_products("rights.products", rights.products.as_deref())?;
    Ok(Plan { id, name: input.name, limits: built, rights, country_policy: input.country_policy, created_at })
}

impl Collection for Plans {
    const NAME: &'static str = collection::PLANS;
    type Input = PlanInput;
    type Entity = Plan;
    type View = PlanView;

    fn make(app: &App, input: PlanInput, around: &Around) -> Result<(Plan, Option<String>), Wrong> {
        let id = app.ids.next(around.now)?.show(IdKind::Plan);
        Ok((build(app, around, id, around.now, input)?, None))
    }

    fn input(entity: &Plan) -> PlanInput {
        PlanInput {
            name: entity.name.clone(),
            limits: Some(entity.limits.iter().map(limits::plan_input).collect()),
            rights: Some(entity.rights.clone()),
            country_policy: entity.country_policy.clone(),
        }
    }

    fn change(app: &App, entity: &mut Plan, input: PlanInput, around: &Around) -> Result<(), Wrong> {
        if input.name != entity.name {
            not_used(entity, around, "rename")?;
        }
        *entity = build(app, around, entity.id.clone(), entity.created_at, input)?;
        Ok(())
    }

    fn view(entity: &Plan, around: &Around, _once: Option<String>) -> PlanView {
        PlanView {
            id: entity.id.clone(),
            name: entity.name.clone(),
            limits: entity.limits.iter().map(limits::view).collect(),
            rights: entity.rights.clone(),
            country_policy: entity.country_policy.clone(),
            used_by: around.holders_of_plan(&entity.name),
            created_at: entity.created_at,
        }
    }

    fn id(entity: &Plan) -> String {
        entity.id.clone()
    }

    fn unique(entity: &Plan) -> Option<String> {
        Some(entity.name.clone())
    }

    fn may_delete(entity: &Plan, around: &Around) -> Result<(), Wrong> {
        not_used(entity, around, "delete")
    }
}

fn not_used(plan: &Plan, around: &Around, action: &str) -> Result<(), Wrong> {
    let holders = around.holders_of_plan(&plan.name);
    match holders.first() {
        None => Ok(()),
        Some(first) => Err(Wrong::InUse(format!(
            "`{first}` and {} more have the plan `{}`; give them another one before you {action} it",
            holders.len() - 1,
            plan.name
        ))),
    }
}
