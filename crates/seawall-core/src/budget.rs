//! Budgets: how much may be spent, in money or in messages, before something is sent or a paid provider is asked.

use serde::{Deserialize, Serialize};

use crate::blind::BlindIndex;
use crate::country::Country;
use crate::limit::{Charge, ChargeKind, Dimensions};
use crate::message::MessageState;
use crate::money::{self, Currency};
use crate::period::Period;
use crate::request::{Operation, Request};
use crate::window::Rule;

/// What a budget is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Micro-units of its currency.
    #[default]
    Money,
    /// Messages, whatever their length.
    Messages,
}

/// What happens to a message that does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExceed {
    /// It is refused.
    #[default]
    Block,
    /// It is sent, and the operator is told.
    Alert,
}

/// What a budget of money does about a message whose price is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unpriced {
    /// Refuses it: what cannot be added up cannot be bounded.
    #[default]
    Refuse,
    /// Counts it as nothing.
    Ignore,
}

/// Shares of a budget, in percent, at which the operator is told unless the budget says otherwise.
pub const ALERT_AT: [u8; 3] = [50, 80, 100];

fn alert_at() -> Vec<u8> {
    ALERT_AT.to_vec()
}

/// One budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// `bud_…`
    pub id: String,
    /// Unique when given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only messages of this subaccount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subaccount_id: Option<String>,
    /// Only messages to this country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// Only messages that this route would carry, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// What it is counted in.
    #[serde(default)]
    pub unit: Unit,
    /// How much: micro-units, or messages.
    pub amount: u64,
    /// Of which currency, for money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// In which time.
    pub window: Period,
    /// What happens to a message that does not fit.
    #[serde(default)]
    pub on_exceed: OnExceed,
    /// What happens to a message whose price is not known, for money.
    #[serde(default)]
    pub unpriced: Unpriced,
    /// At which shares of it the operator is told, in percent.
    #[serde(default = "alert_at")]
    pub alert_at: Vec<u8>,
}

impl Budget {
    /// Whether it counts a request: one that sends, and of money also a lookup that is to ask a paid provider.
    pub fn covers(&self, request: &Request) -> bool {
        let paid = request.operation == Operation::Lookup && request.price.is_some();
        (request.operation.sends() || paid && self.unit == Unit::Money)
            && self.subaccount_id.as_deref().is_none_or(|only| only == request.subaccount)
            && self.country.is_none_or(|only| only == request.country)
            && self.route.as_deref().is_none_or(|only| request.route.as_deref() == Some(only))
    }

    /// Whether it counts what has these dimensions: the same answer as [`Budget::covers`], from what is kept.
    pub fn counts(&self, dimensions: &Dimensions, subaccount: &str, index: &BlindIndex) -> bool {
        let lookup = dimensions.op == Operation::Lookup.as_u8();
        (!lookup || self.unit == Unit::Money)
            && self.subaccount_id.as_deref().is_none_or(|only| only == subaccount)
            && self.country.is_none_or(|only| index.text(b'y', only.as_str()) == dimensions.country)
            && self.route.as_deref().is_none_or(|only| Some(index.text(b'o', only)) == dimensions.route)
    }

    /// Whether it cannot count a request, because the price is not known in its currency.
    pub fn lacks_price(&self, request: &Request) -> bool {
        self.unit == Unit::Money && request.cost().map(|cost| cost.currency) != self.currency
    }

    /// Whether it refuses what it cannot add up. One that only alerts refuses nothing.
    pub fn refuses_unpriced(&self) -> bool {
        self.unpriced == Unpriced::Refuse && self.on_exceed == OnExceed::Block
    }

    /// What something with these dimensions takes of it.
    pub fn share(&self, dimensions: &Dimensions) -> u64 {
        match self.unit {
            Unit::Messages => 1,
            Unit::Money => dimensions
                .cost
                .filter(|cost| Some(cost.currency) == self.currency)
                .map_or(0, |cost| cost.micros),
        }
    }

    /// Its one window: what is spent is kept apart from how much may be, so that a new amount forgets nothing.
    pub fn key(&self, index: &BlindIndex) -> u64 {
        let shape = format!(
            "{:?} {:?} {:?} {:?} {:?} {}",
            self.subaccount_id, self.country, self.route, self.unit, self.currency, self.window
        );
        index.counter(index.text(b'b', &self.id), index.text(b'b', &shape))
    }

    /// The rule of its window.
    pub fn rule(&self) -> Rule {
        Rule::Sum { quota: self.amount, period: self.window }
    }

    /// The charge of something with these dimensions.
    pub fn charge(&self, position: usize, dimensions: &Dimensions, index: &BlindIndex) -> Charge {
        Charge {
            key: self.key(index),
            rule: self.rule(),
            always: false,
            enforced: self.on_exceed == OnExceed::Block,
            kind: ChargeKind::Budget(position),
            amount: self.share(dimensions),
        }
    }

    /// An amount of it, for people.
    pub fn shown(&self, amount: u64) -> String {
        match (self.unit, self.currency) {
            (Unit::Money, Some(currency)) => money::shown(amount, currency),
            (Unit::Money, None) => format!("{amount} micro-units"),
            (Unit::Messages, _) => format!("{amount} messages"),
        }
    }

    /// Its name, else its id.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }

    /// The shares of it that spending from `before` to `after` reached.
    pub fn reached(&self, before: u64, after: u64) -> impl Iterator<Item = u8> + '_ {
        let at = |percent: u8| u128::from(self.amount) * u128::from(percent);
        let reached = move |percent: u8| {
            u128::from(before) * 100 < at(percent) && u128::from(after) * 100 >= at(percent)
        };
        self.alert_at.iter().copied().filter(move |&percent| reached(percent))
    }
}

/// Whether a message gives back what was reserved for it: it has ended, and no provider ever took it or may
/// have taken it. `outcomes`: of its delivery tries, as attempts spell them.
pub fn gives_back<'a>(state: MessageState, mut outcomes: impl Iterator<Item = &'a str>) -> bool {
    let ended = matches!(
        state,
        MessageState::Failed | MessageState::Expired | MessageState::Canceled | MessageState::Rejected
    );
    ended && outcomes.all(|outcome| !matches!(outcome, "accepted" | "unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn budget() -> Budget {
        serde_json::from_value(serde_json::json!({
            "id": "bud_1", "amount": 1000, "currency": "USD", "window": "24h"
        }))
        .unwrap()
    }

    #[test]
    fn what_is_left_out_is_the_safe_choice() {
        let budget = budget();
        assert_eq!(
            (budget.unit, budget.on_exceed, budget.unpriced),
            (Unit::Money, OnExceed::Block, Unpriced::Refuse)
        );
        assert_eq!(
            (budget.alert_at.as_slice(), budget.window),
            (&ALERT_AT[..], Period::Rolling(Duration::from_secs(86_400)))
        );
    }

    #[test]
    fn the_shares_that_were_reached_are_told_once() {
        let budget = budget();
        let reached = |before, after| budget.reached(before, after).collect::<Vec<_>>();
        assert!(reached(0, 499).is_empty() && reached(500, 799).is_empty() && reached(1000, 1200).is_empty());
        assert_eq!(reached(0, 500), [50]);
        assert_eq!(reached(499, 1000), [50, 80, 100]);
    }

    #[test]
    fn money_counts_a_paid_lookup_and_messages_do_not() {
        let to = crate::msisdn::Msisdn::parse("+6591234567", None).unwrap();
        let caller = crate::client_ip::ClientIp::parse("198.51.100.1").unwrap();
        let mut ask = Request::new(Operation::Lookup, "acme", "key_1", &to, caller);
        let (index, money) = (BlindIndex::new([7; 16]), budget());
        let messages = Budget { unit: Unit::Messages, ..budget() };
        let routed = Budget { route: Some("rt_1".into()), ..budget() };
        assert!(!money.covers(&ask), "nobody is asked");
        (ask.price, ask.currency) = (Some(4000), Currency::parse("USD"));
        for (one, counts) in [(&money, true), (&messages, false), (&routed, false)] {
            assert_eq!(one.covers(&ask), counts);
            assert_eq!(one.counts(&Dimensions::of(&ask, &index, &[]), "acme", &index), counts);
        }
        assert_eq!(money.share(&Dimensions::of(&ask, &index, &[])), 4000);
    }

    #[test]
    fn only_what_never_left_gives_back() {
        let gives = |state, outcomes: &[&str]| gives_back(state, outcomes.iter().copied());
        assert!(gives(MessageState::Failed, &["refused", "throttled", "unreachable"]));
        assert!(gives(MessageState::Expired, &[]) && gives(MessageState::Canceled, &[]));
        assert!(
            !gives(MessageState::Failed, &["refused", "accepted"]),
            "failed after submission stays spent"
        );
        assert!(!gives(MessageState::Expired, &["unknown"]));
        assert!(!gives(MessageState::Unknown, &[]) && !gives(MessageState::Submitting, &[]));
    }

    #[test]
    fn a_new_amount_keeps_the_window_and_anything_else_makes_a_new_one() {
        let (index, one) = (BlindIndex::new([7; 16]), budget());
        let same = Budget { amount: 5, on_exceed: OnExceed::Alert, name: Some("x".into()), ..one.clone() };
        assert_eq!(one.key(&index), same.key(&index));
        for other in [
            Budget { window: Period::Day, ..one.clone() },
            Budget { unit: Unit::Messages, ..one.clone() },
            Budget { subaccount_id: Some("acme".into()), ..one.clone() },
            Budget { country: Country::parse("SG"), ..one.clone() },
        ] {
            assert_ne!(one.key(&index), other.key(&index));
        }
    }
}
