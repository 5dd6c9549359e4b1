//! "Test a number": every check that would run, with value, threshold and result, and what would change it.
//! Nothing is sent, charged, recorded or learned.

use std::time::Duration;

use seawall_core::decide::charges;
use seawall_core::detect::inspect::Inspected;
use seawall_core::explain::{Change, Check, checks, would_change};
use seawall_core::limit::{Charge, ChargeKind, Mode};
use seawall_core::request::Request;
use seawall_core::time::{Timestamp, span};
use seawall_store::Result;
use serde::Serialize;

use super::App;
use super::number_history::{self, NumberHistory};
use super::screen::{Screened, asked, screen};

/// A request explained.
#[derive(Debug)]
pub struct Explained {
    /// As it would be decided now.
    pub screened: Box<Screened>,
    /// Every check, in order.
    pub checks: Vec<Check>,
    /// Every limit and budget that counts such a request, whether or not it is full.
    pub limits: Vec<Held>,
    /// Single changes that would lead to a milder verdict.
    pub would_change: Vec<Change>,
    /// The number's own history.
    pub history: NumberHistory,
    /// What detection holds about the request's keys.
    pub keys: Vec<Inspected>,
}

/// What a window holds.
#[derive(Clone, Debug, Serialize)]
pub struct Held {
    /// Name of the limit or budget; `back-off` for the growing delay between unconfirmed codes.
    pub limit: String,
    /// What it holds now.
    pub value: u64,
    /// What it may hold.
    pub quota: u64,
    /// Over which time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// When the oldest of it leaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_leaves_at: Option<Timestamp>,
    /// Whether it refuses when full.
    pub mode: Mode,
}

/// Explains a request as of now.
pub async fn explain(app: &App, request: Request, now: Timestamp) -> Result<Explained> {
    let screened = screen(app, Request { dry_run: true, ..request }, now).await?;
    let snapshot = app.snapshot.load_full();
    let policy = &snapshot.policy;
    let (request, facts) = (&screened.request, &screened.facts);
    let index = app.store.vault.index();
    let all = charges(policy, request, facts, &screened.dimensions, index, now);
    let held = app.store.counters.held(&all, now).await?;
    let limits = all.iter().zip(held).map(|(charge, held)| named(policy, charge, held)).collect();
    let (checks, would_change) =
        (checks(policy, request, facts, now), would_change(policy, request, facts, now));
    let history = number_history::of(app, request.to, now).await?;
    let keys = app.detection.with(|engine| engine.inspect(&asked(request, facts, now)));
    Ok(Explained { checks, limits, would_change, history, keys, screened })
}

fn named(
    policy: &seawall_core::policy::Policy,
    charge: &Charge,
    (value, oldest_leaves_at): (u64, Option<Timestamp>),
) -> Held {
    let mode = if charge.enforced { Mode::Enforce } else { Mode::Shadow };
    let (limit, window): (String, Option<Duration>) = match charge.kind {
        ChargeKind::Limit(at) => {
            let limit = policy.limits.get(at);
            (limit.map(|l| l.name.clone()).unwrap_or_default(), limit.map(|l| l.window))
        }
        ChargeKind::Budget(at) => {
            (policy.budgets.get(at).and_then(|b| b.name.clone()).unwrap_or_else(|| "budget".to_owned()), None)
        }
        ChargeKind::ApiRate => ("api rate".to_owned(), None),
        ChargeKind::BackOff => ("back-off".to_owned(), Some(seawall_core::policy::BACK_OFF_WINDOW)),
    };
    Held {
        limit,
        value,
        quota: charge.rule.quota(),
        window: window.map(span::format),
        oldest_leaves_at,
        mode,
    }
}
