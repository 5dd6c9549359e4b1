//! Routes: which provider carries which messages.

use seawall_core::id::IdKind;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::App;
use super::super::entities::{Route, RouteMatch, collection};
use super::around::Around;
use super::shapes::MatchShape;
use super::subaccounts::{label, short};
use super::{Collection, Wrong};

/// Providers of one route.
const AT_MOST: usize = 16;

/// A route as it is wished.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteInput {
    /// Unique, for people.
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// Lower goes first; 0 when absent. Among equals the more specific match goes first, then the older route.
    #[schema(minimum = -1_000_000, maximum = 1_000_000)]
    pub position: Option<i64>,
    /// What it takes; `{}` or absent: everything.
    #[serde(rename = "match")]
    #[schema(value_type = Option<MatchShape>)]
    pub matches: Option<RouteMatch>,
    /// Names of providers: the fail-over order.
    #[schema(min_items = 1, max_items = 16)]
    pub providers: Vec<String>,
}

/// A route as it is shown.
#[derive(Serialize, ToSchema)]
pub struct RouteView {
    /// `rte_…`
    pub id: String,
    /// Unique, for people.
    pub name: Option<String>,
    /// Lower goes first.
    pub position: i64,
    /// What it takes.
    #[serde(rename = "match")]
    #[schema(value_type = MatchShape)]
    pub matches: RouteMatch,
    /// The fail-over order.
    pub providers: Vec<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// The collection.
pub struct Routes;

fn build(id: String, at: Timestamp, input: RouteInput, around: &Around) -> Result<Route, Wrong> {
    label("name", input.name.as_deref())?;
    let position = input.position.unwrap_or(0);
    if !(-1_000_000..=1_000_000).contains(&position) {
        return Err(Wrong::field("position", format!("{position} is out of range; use -1000000 to 1000000")));
    }
    let matches = input.matches.unwrap_or_default();
    around.check_subaccount("match.subaccount_id", matches.subaccount_id.as_deref())?;
    if let Some(purpose) = matches.purpose.as_deref()
        && !["verification", "message"].contains(&purpose)
    {
        let problem = format!("`{}` is not known; use `verification` or `message`", short(purpose));
        return Err(Wrong::field("match.purpose", problem));
    }
    check_providers(&input.providers, around)?;
    Ok(Route { id, name: input.name, position, matches, providers: input.providers, created_at: at })
}

fn check_providers(providers: &[String], around: &Around) -> Result<(), Wrong> {
    if providers.is_empty() || providers.len() > AT_MOST {
        return Err(Wrong::field("providers", format!("1 to {AT_MOST} providers are needed")));
    }
    for (i, name) in providers.iter().enumerate() {
        around.check_provider("providers", name)?;
        if providers.iter().take(i).any(|before| before == name) {
            return Err(Wrong::field("providers", format!("`{name}` is there twice; name it once")));
        }
    }
    Ok(())
}

impl Collection for Routes {
    const NAME: &'static str = collection::ROUTES;
    type Input = RouteInput;
    type Entity = Route;
    type View = RouteView;

    fn make(app: &App, input: RouteInput, around: &Around) -> Result<(Route, Option<String>), Wrong> {
        let id = app.ids.next(around.now)?.show(IdKind::Route);
        Ok((build(id, around.now, input, around)?, None))
    }

    fn input(entity: &Route) -> RouteInput {
        RouteInput {
            name: entity.name.clone(),
            position: Some(entity.position),
            matches: Some(entity.matches.clone()),
            providers: entity.providers.clone(),
        }
    }

    fn change(_app: &App, entity: &mut Route, input: RouteInput, around: &Around) -> Result<(), Wrong> {
        *entity = build(entity.id.clone(), entity.created_at, input, around)?;
        Ok(())
    }

    fn view(entity: &Route, _around: &Around, _once: Option<String>) -> RouteView {
        RouteView {
            id: entity.id.clone(),
            name: entity.name.clone(),
            position: entity.position,
            matches: entity.matches.clone(),
            providers: entity.providers.clone(),
            created_at: entity.created_at,
        }
    }

    fn id(entity: &Route) -> String {
        entity.id.clone()
    }

    fn unique(entity: &Route) -> Option<String> {
        entity.name.clone()
    }

    fn may_delete(entity: &Route, around: &Around) -> Result<(), Wrong> {
        let budgets = around.budgets_over(&entity.id);
        match budgets.first() {
            None => Ok(()),
            Some(first) => Err(Wrong::InUse(format!(
                "budget {first} and {} more count what this route carries; change or delete these first",
                budgets.len() - 1
            ))),
        }
    }
}
