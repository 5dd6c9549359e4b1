//! Budgets: how much may be spent, in money or in messages.

use std::time::Duration;

use seawall_core::budget::{ALERT_AT, Budget, OnExceed, Unit, Unpriced};
use seawall_core::country::Country;
use seawall_core::id::IdKind;
use seawall_core::money::Currency;
use seawall_core::period::Period;
use seawall_core::time::{Timestamp, span};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::App;
use super::super::budgets::{self, Usage};
use super::super::entities::collection;
use super::around::Around;
use super::subaccounts::{label, short};
use super::{Collection, Wrong};

/// Budgets of one installation: each is looked at for every message.
const AT_MOST: usize = 1000;
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(31 * 86_400);
/// Shares at which one budget tells.
const MOST_ALERTS: usize = 10;
/// Beyond this, numbers lose digits on their way through JSON.
const MOST: u64 = 1 << 53;

/// What a budget is counted in.
#[derive(ToSchema)]
#[schema(as = BudgetUnit)]
#[serde(rename_all = "snake_case")]
pub enum UnitShape {
    /// Micro-units of its currency: price per segment times segments.
    Money,
    /// Messages, whatever their length.
    Messages,
}

/// What happens to a message that does not fit.
#[derive(ToSchema)]
#[schema(as = BudgetOnExceed)]
#[serde(rename_all = "snake_case")]
pub enum OnExceedShape {
    /// It is refused.
    Block,
    /// It is sent, and the operator is told.
    Alert,
}

/// What a budget of money does about a message whose price is not known.
#[derive(ToSchema)]
#[schema(as = BudgetUnpriced)]
#[serde(rename_all = "snake_case")]
pub enum UnpricedShape {
    /// Refuses it: what cannot be added up cannot be bounded.
    Refuse,
    /// Counts it as nothing.
    Ignore,
}

/// A budget as it is wished.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetInput {
    /// Unique when given.
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// Only messages of this subaccount; absent: those of all together.
    pub subaccount_id: Option<String>,
    /// Only messages to this country, ISO 3166-1 alpha-2; absent: those to all together.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z]{2}$")]
    pub country: Option<Country>,
    /// Only messages that this route would carry, by its id or name.
    pub route: Option<String>,
    /// What it is counted in; `money` when absent.
    #[schema(value_type = Option<UnitShape>)]
    pub unit: Option<Unit>,
    /// How much: micro-units, or messages.
    #[schema(maximum = 9_007_199_254_740_992_u64)]
    pub amount: u64,
    /// Of which currency, ISO 4217; the account's when absent. Not for messages.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z]{3}$")]
    pub currency: Option<Currency>,
    /// In which time: `hour`, `day` or `month` (UTC), or in any span such as `"24h"`, `"1s"` to `"31d"`.
    #[schema(pattern = "^(hour|day|month|[0-9]+(ms|s|m|h|d))$", example = "day")]
    pub window: String,
    /// What happens to a message that does not fit; `block` when absent.
    #[schema(value_type = Option<OnExceedShape>)]
    pub on_exceed: Option<OnExceed>,
    /// What happens to a message whose price is not known in this currency; `refuse` when absent.
    #[schema(value_type = Option<UnpricedShape>)]
    pub unpriced: Option<Unpriced>,
    /// At which shares of it the operator is told, in percent; 50, 80 and 100 when absent.
    #[schema(max_items = 10, example = json!([50, 80, 100]))]
    pub alert_at: Option<Vec<u8>>,
}

/// A budget as it is shown.
#[derive(Serialize, ToSchema)]
pub struct BudgetView {
    /// `bud_…`
    pub id: String,
    /// Unique when given.
    pub name: Option<String>,
    /// Only messages of this subaccount.
    pub subaccount_id: Option<String>,
    /// Only messages to this country.
    #[schema(value_type = Option<String>)]
    pub country: Option<Country>,
    /// Only messages that this route would carry, by its id.
    pub route: Option<String>,
    /// What it is counted in.
    #[schema(value_type = UnitShape)]
    pub unit: Unit,
    /// How much: micro-units, or messages.
    pub amount: u64,
    /// Of which currency.
    #[schema(value_type = Option<String>)]
    pub currency: Option<Currency>,
    /// In which time.
    #[schema(value_type = String)]
    pub window: Period,
    /// What happens to a message that does not fit.
    #[schema(value_type = OnExceedShape)]
    pub on_exceed: OnExceed,
    /// What happens to a message whose price is not known in this currency.
    #[schema(value_type = UnpricedShape)]
    pub unpriced: Unpriced,
    /// At which shares of it the operator is told, in percent.
    pub alert_at: Vec<u8>,
    /// What has left for a provider.
    pub spent: u64,
    /// What was accepted and has not left yet. It comes back if it never does.
    pub reserved: u64,
    /// What is neither spent nor reserved.
    pub remaining: u64,
    /// When the period of the calendar ends; in a rolling span, when the oldest of what is spent leaves it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resets_at: Option<Timestamp>,
}

/// The collection.
pub struct Budgets;

fn window(app: &App, text: &str) -> Result<Period, Wrong> {
    let fits = |period: &Period| match period {
        Period::Rolling(span) => (SHORTEST..=LONGEST).contains(span),
        _ => true,
    };
    let problem =
        || format!("`{}` is not hour, day, month or a duration from \"1s\" to \"31d\"", short(text));
    let period = Period::parse(text).filter(fits).ok_or_else(|| Wrong::field("window", problem()))?;
    let kept = app.config.retention.messages;
    if period.longest() > kept {
        let kept = span::format(kept);
        let fix = "a restart would forget the rest; shorten it, or keep messages longer (retention.messages)";
        return Err(Wrong::field(
            "window",
            format!("`{period}` is longer than messages are kept ({kept}): {fix}"),
        ));
    }
    Ok(period)
}

fn currency(unit: Unit, given: Option<Currency>, around: &Around) -> Result<Option<Currency>, Wrong> {
    let of_account = || around.snapshot.account.as_ref().and_then(|a| Currency::parse(&a.currency));
    match (unit, given) {
        (Unit::Messages, Some(_)) => {
            Err(Wrong::field("currency", "belongs to budgets of money; leave it out for messages"))
        }
        (Unit::Messages, None) => Ok(None),
        (Unit::Money, given) => Ok(given.or_else(of_account).or_else(|| Currency::parse("USD"))),
    }
}

fn alert_at(given: Option<Vec<u8>>) -> Result<Vec<u8>, Wrong> {
    let mut all = given.unwrap_or_else(|| ALERT_AT.to_vec());
    all.sort_unstable();
    all.dedup();
    if all.len() > MOST_ALERTS || !all.iter().all(|percent| (1..=100).contains(percent)) {
        return Err(Wrong::field(
            "alert_at",
            format!("takes up to {MOST_ALERTS} shares from 1 to 100 percent"),
        ));
    }
    Ok(all)
}

fn build(app: &App, id: String, input: BudgetInput, around: &Around) -> Result<Budget, Wrong> {
    label("name", input.name.as_deref())?;
    around.check_subaccount("subaccount_id", input.subaccount_id.as_deref())?;
    let unit = input.unit.unwrap_or_default();
    if input.amount > MOST {
        return Err(Wrong::field("amount", format!("{} is out of range; use 0 to {MOST}", input.amount)));
    }
    if unit == Unit::Messages && input.unpriced.is_some() {
        return Err(Wrong::field("unpriced", "belongs to budgets of money; leave it out for messages"));
    }
    Ok(Budget {
        id,
        name: input.name,
        subaccount_id: input.subaccount_id,
        country: input.country,
        route: input.route.map(|route| around.check_route("route", &route)).transpose()?,
        unit,
        amount: input.amount,
        currency: currency(unit, input.currency, around)?,
        window: window(app, &input.window)?,
        on_exceed: input.on_exceed.unwrap_or_default(),
        unpriced: input.unpriced.unwrap_or_default(),
        alert_at: alert_at(input.alert_at)?,
    })
}

impl Collection for Budgets {
    const NAME: &'static str = collection::BUDGETS;
    type Input = BudgetInput;
    type Entity = Budget;
    type View = BudgetView;

    fn make(app: &App, input: BudgetInput, around: &Around) -> Result<(Budget, Option<String>), Wrong> {
        if around.documents(Self::NAME).len() >= AT_MOST {
            return Err(Wrong::InUse(format!("there are {AT_MOST} budgets already; delete some first")));
        }
        let id = app.ids.next(around.now)?.show(IdKind::Budget);
        Ok((build(app, id, input, around)?, None))
    }

    fn input(entity: &Budget) -> BudgetInput {
        let money = entity.unit == Unit::Money;
        BudgetInput {
            name: entity.name.clone(),
            subaccount_id: entity.subaccount_id.clone(),
            country: entity.country,
            route: entity.route.clone(),
            unit: Some(entity.unit),
            amount: entity.amount,
            currency: entity.currency,
            window: entity.window.to_string(),
            on_exceed: Some(entity.on_exceed),
            unpriced: money.then_some(entity.unpriced),
            alert_at: Some(entity.alert_at.clone()),
        }
    }

    fn change(app: &App, entity: &mut Budget, input: BudgetInput, around: &Around) -> Result<(), Wrong> {
        *entity = build(app, entity.id.clone(), input, around)?;
        Ok(())
    }

    fn view(entity: &Budget, around: &Around, _once: Option<String>) -> BudgetView {
        let Usage { spent, reserved, resets_at } = around.usage.get(&entity.id).copied().unwrap_or_default();
        BudgetView {
            id: entity.id.clone(),
            name: entity.name.clone(),
            subaccount_id: entity.subaccount_id.clone(),
            country: entity.country,
            route: entity.route.clone(),
            unit: entity.unit,
            amount: entity.amount,
            currency: entity.currency,
            window: entity.window,
            on_exceed: entity.on_exceed,
            unpriced: entity.unpriced,
            alert_at: entity.alert_at.clone(),
            spent,
            reserved,
            remaining: entity.amount.saturating_sub(spent).saturating_sub(reserved),
            resets_at,
        }
    }

    fn id(entity: &Budget) -> String {
        entity.id.clone()
    }

    fn unique(entity: &Budget) -> Option<String> {
        entity.name.clone()
    }

    async fn gather(app: &App, around: &mut Around) -> Result<(), Wrong> {
        around.usage = budgets::usage(app).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_sorted_and_bounded() {
        assert_eq!(alert_at(None).unwrap(), ALERT_AT);
        assert_eq!(alert_at(Some(vec![90, 10, 90])).unwrap(), [10, 90]);
        assert!(alert_at(Some(vec![])).unwrap().is_empty());
        for wrong in [vec![0], vec![101], (1..=11).collect()] {
            assert!(alert_at(Some(wrong)).is_err());
        }
    }
}
