//! What rules see of a number's line: what is known, and where settings say so what a provider answers in time and within
//! budgets. Whatever stands in the way leaves the facts missing; it refuses nothing.

use seawall_connect::lookup::Depth;
use seawall_core::limit::{Charge, Dimensions};
use seawall_core::lookup::LineFacts;
use seawall_core::request::{Operation, Request};
use seawall_core::time::Timestamp;

use super::ask::{dearest, providers};
use super::known::Kept;
use super::{LookUp, currency};
use crate::app::App;

/// What is known of the line of a request's number.
pub async fn for_rules(app: &App, request: &Request, now: Timestamp) -> LineFacts {
    let settings = app.snapshot.load().settings.lookup;
    let ask = LookUp { depth: settings.ask_for_rules, ..LookUp::free(&request.subaccount, request.number()) };
    let Ok(mut kept) = Kept::read(app, &ask, now).await else { return LineFacts::default() };
    let asks = request.valid && !request.dry_run && request.terms.redeems.is_none();
    let (mut cost, mut failed) = (0, false);
    if let Some(depth) = ask.depth.filter(|depth| asks && !kept.answers(*depth))
        && let Some(reserve) = Reserve::of(app, request, depth, now).await
    {
        let answer = tokio::time::timeout(settings.deadline, providers(app, request.to, depth)).await;
        cost = answer.as_ref().map_or(0, |answered| answered.cost);
        reserve.settle(app, cost).await;
        failed = match answer {
            Ok(answered) => kept.take_in(app, &ask, depth, answered, now).await.is_some(),
            Err(_) => true,
        };
    }
    let Ok(state) = kept.state(app, &ask, failed).await else { return LineFacts::default() };
    LineFacts {
        ported: state.ported,
        roaming: state.roaming,
        reachable: state.reachable,
        call_forwarding: state.call_forwarding,
        sim_swapped_at: state.sim_swapped_at,
        reassigned_at: state.reassigned_at,
        cost: Some(cost).filter(|cost| *cost > 0),
    }
}

/// What budgets hold for a question that is being asked.
struct Reserve {
    /// As a lookup of its own.
    request: Request,
    charges: Vec<Charge>,
    at: Timestamp,
    /// In which filling of the windows.
    filling: u64,
    amount: i64,
}

impl Reserve {
    /// Reserves the price of the dearest provider; `None` if a budget has no room for it, or cannot be asked.
    async fn of(app: &App, about: &Request, depth: Depth, now: Timestamp) -> Option<Self> {
        let number = about.number();
        let mut request =
            Request::new(Operation::Lookup, &about.subaccount, &about.key, &number, about.caller_ip);
        let amount = dearest(app, depth);
        let filling = app.store.counters.filling();
        let mut reserve = Reserve { charges: Vec::new(), at: now, filling, amount, request: request.clone() };
        if amount == 0 {
            return Some(reserve);
        }
        (request.price, request.currency) = (Some(amount), Some(currency(app)));
        let policy = app.snapshot.load().policy.clone();
        let index = app.store.vault.index();
        let dimensions = Dimensions::of(&request, index, &[]);
        let covering: Vec<_> =
            policy.budgets.iter().enumerate().filter(|(_, b)| b.covers(&request)).collect();
        if covering.iter().any(|(_, budget)| budget.refuses_unpriced() && budget.lacks_price(&request)) {
            return None;
        }
        reserve.charges =
            covering.into_iter().map(|(place, budget)| budget.charge(place, &dimensions, index)).collect();
        let charged = app.store.counters.charge(&reserve.charges, 1, now).await.ok()?;
        app.alarms.note_spent(&policy, &charged.spent, now);
        reserve.at = charged.at.unwrap_or(now);
        reserve.request = request;
        (!charged.refused()).then_some(reserve)
    }

    /// What was not spent comes back; what was is kept for budgets that are refilled.
    async fn settle(mut self, app: &App, spent: i64) {
        let rest = u64::try_from(self.amount.saturating_sub(spent)).unwrap_or(0);
        let back: Vec<Charge> =
            self.charges.iter().map(|c| Charge { amount: c.amount.min(rest), ..c.clone() }).collect();
        if rest > 0
            && !back.is_empty()
            && let Err(error) = app.store.counters.refund(&back, 1, self.at, Some(self.filling)).await
        {
            tracing::error!(%error, "the rest of a lookup's reserve did not come back; budgets stay fuller");
        }
        self.request.price = Some(spent);
        if let Some(id) = app.ids.next(self.at).ok().filter(|_| spent > 0) {
            let dimensions = Dimensions::of(&self.request, app.store.vault.index(), &[]);
            app.recorder.note_allow(id, &self.request.subaccount, 1, &dimensions);
        }
    }
}
