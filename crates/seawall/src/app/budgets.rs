//! Budgets in force: what they hold, what comes back to them, and who is told when they fill up.

use std::collections::HashMap;

use seawall_core::budget::{Budget, gives_back};
use seawall_core::limit::{Charge, Dimensions, Spent};
use seawall_core::policy::Policy;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::records::MessageRecord;
use serde_json::json;

use super::App;
use super::alarms::{Alarm, Alarms};

/// What a budget holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// What has left for a provider.
    pub spent: u64,
    /// What was accepted and has not left yet.
    pub reserved: u64,
    /// When the period ends, or the oldest of it leaves a rolling span.
    pub resets_at: Option<Timestamp>,
}

/// What every budget holds, by its id. Asks the ledger for what waits, so it is for people, not for requests.
pub async fn usage(app: &App) -> Result<HashMap<String, Usage>, StoreError> {
    let policy = app.snapshot.load().policy.clone();
    if policy.budgets.is_empty() {
        return Ok(HashMap::new());
    }
    let (index, now) = (app.store.vault.index(), app.now());
    let nobody = Dimensions::default();
    let charges: Vec<Charge> =
        policy.budgets.iter().enumerate().map(|(n, budget)| budget.charge(n, &nobody, index)).collect();
    let waiting = app.store.ledger.waiting_charges().await?;
    let held = app.store.counters.held(&charges, now).await?;
    let one = |(budget, (held, end)): (&Budget, (u64, Option<Timestamp>))| {
        let period = budget.window;
        let counts = |at: Timestamp| match period.is_calendar() {
            true => period.slot(at) == period.slot(now),
            false => period.end(period.slot(at)) > now,
        };
        let waits = waiting
            .iter()
            .filter(|past| counts(past.at) && budget.counts(&past.dimensions, &past.subaccount, index));
        let reserved = waits.map(|past| budget.share(&past.dimensions)).sum::<u64>().min(held);
        let resets_at = if period.is_calendar() { Some(period.end(period.slot(now))) } else { end };
        (budget.id.clone(), Usage { spent: held - reserved, reserved, resets_at })
    };
    Ok(policy.budgets.iter().zip(held).map(one).collect())
}

/// A message ended. If it never left, what was reserved for it comes back. To be called once for each.
pub async fn give_back(app: &App, record: &MessageRecord) {
    let outcomes = record.progress.attempts.iter().map(|attempt| attempt.outcome.as_str());
    let policy = app.snapshot.load().policy.clone();
    if policy.budgets.is_empty() || !gives_back(record.state, outcomes) {
        return;
    }
    let index = app.store.vault.index();
    let all = policy.budgets.iter().enumerate();
    let counted = all.filter(|(_, budget)| budget.counts(&record.dimensions, &record.subaccount, index));
    let charges: Vec<Charge> =
        counted.map(|(n, budget)| budget.charge(n, &record.dimensions, index)).collect();
    // The ledger has it, so whichever windows are in force hold it.
    let at = record.dimensions.charged_at(record.id.at());
    if let Err(error) = app.store.counters.refund(&charges, 1, at, None).await {
        tracing::error!(%error, "what was reserved did not come back; its budgets stay fuller than they should");
    }
}

impl Alarms {
    /// Notes which shares of budgets a request reached.
    pub fn note_spent(&self, policy: &Policy, spent: &[Spent], now: Timestamp) {
        for one in spent {
            let Some(budget) = policy.budgets.get(one.budget) else { continue };
            let after = if one.exceeded { one.after.max(budget.amount) } else { one.after };
            for percent in budget.reached(one.before, after) {
                if self.was_told("budget.threshold", &budget.id, percent, now) {
                    continue;
                }
                self.raise(alarm(budget, percent, one.after, now), now);
            }
        }
    }
}

fn alarm(budget: &Budget, percent: u8, spent: u64, now: Timestamp) -> Alarm {
    let period = budget.window;
    let until = period.end(period.slot(now));
    Alarm {
        action: "budget.threshold",
        target: budget.id.clone(),
        step: percent,
        subaccount: budget.subaccount_id.clone(),
        detail: json!({
            "budget": budget.label(),
            "percent": percent,
            "spent": spent,
            "amount": budget.amount,
            "unit": budget.unit,
            "currency": budget.currency,
            "country": budget.country,
            "route": budget.route,
            "window": period,
            "on_exceed": budget.on_exceed,
            "until": until,
        }),
        description: format!(
            "budget \"{}\" has reached {percent} %: {} of {} spent",
            budget.label(),
            budget.shown(spent),
            budget.shown(budget.amount)
        ),
        until,
    }
}
