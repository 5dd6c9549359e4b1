//! Providers are asked about a number: which of them, in which order, and what it costs.

use std::sync::Arc;
use std::time::Duration;

use seawall_connect::lookup::{Asked, Depth, Looked, LookupFailure};
use seawall_connect::{Connector, Kind, Secret};
use seawall_core::msisdn::Msisdn;

use crate::app::App;

/// Whatever a provider's own deadline says, nobody waits longer.
const DEADLINE: Duration = Duration::from_secs(10);

/// What came of asking.
pub(super) struct Answered {
    /// What was said, or why nothing was.
    pub looked: Looked,
    /// What it cost, in micro-units: only an answer is paid for.
    pub cost: i64,
}

/// What asking costs at most, in micro-units: whoever answers, one of them is paid.
pub fn dearest(app: &App, depth: Depth) -> i64 {
    able(app, depth).iter().map(|connector| connector.lookup_cost()).max().unwrap_or(0)
}

/// The providers that look so deep are asked in the order of their making, until one answers.
pub(super) async fn providers(app: &App, number: Msisdn, depth: Depth) -> Answered {
    let mut failure = LookupFailure::NoProvider;
    for connector in able(app, depth) {
        let asked = Asked { number: Secret::new(number.to_e164()), depth };
        let answer = tokio::time::timeout(DEADLINE, connector.look_up(&asked)).await;
        let looked = answer.unwrap_or(Err(LookupFailure::Timeout));
        match &looked {
            Err(why) if is_silence(*why) => failure = *why,
            _ => return Answered { looked, cost: connector.lookup_cost() },
        }
    }
    Answered { looked: Err(failure), cost: 0 }
}

/// Whether a failure is the provider's own: it said nothing about the number, so the next one is asked, and nothing is
/// owed.
fn is_silence(failure: LookupFailure) -> bool {
    use LookupFailure::{Balance, Internal, NoProvider, Provider, Timeout};
    matches!(failure, Timeout | Provider | Balance | Internal | NoProvider)
}

/// Real providers before the sandbox, older ones first.
fn able(app: &App, depth: Depth) -> Vec<Arc<dyn Connector>> {
    let snapshot = app.snapshot.load();
    let able = snapshot.providers.values().filter(|p| p.connector.looks_up().is_some_and(|d| d >= depth));
    let mut able: Vec<_> = able.collect();
    able.sort_by_key(|p| (p.provider.kind == Kind::Sandbox, p.provider.created_at, p.provider.id.clone()));
    able.into_iter().map(|p| p.connector.clone()).collect()
}
