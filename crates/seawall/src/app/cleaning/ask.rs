//! Providers are asked about the numbers of a cleaning, a few at a time: within what was confirmed, within the limits of
//! lookups, within budgets.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use seawall_connect::lookup::LookupFailure;
use seawall_core::msisdn::ParsedNumber;
use seawall_core::reason::ReasonCode;
use seawall_core::time::Timestamp;

use super::rows::Known;
use super::{Cleaning, Status};
use crate::app::lookup::{self, LookUp, LookedUp, look_up};
use crate::app::screen::Screened;
use crate::app::who::Caller;
use crate::app::{App, Refusal};

/// Questions at a time.
const AT_ONCE: usize = 8;
/// Between two looks at whether a wait is over.
const PAUSE: Duration = Duration::from_millis(500);
/// After a store did not answer.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// Asks until everything is known, or something stands in the way.
pub(super) async fn run(app: &App, caller: &Caller, cleaning: &Cleaning) {
    let rows = cleaning.work().rows.len();
    let each = |at: usize| row(app, caller, cleaning, at);
    stream::iter(0..rows).map(each).buffer_unordered(AT_ONCE).for_each(|()| async {}).await;
    {
        let mut work = cleaning.work();
        work.waits_until = None;
        if work.left {
            return;
        }
        if work.status == Status::Running {
            work.status = Status::Done;
        }
    }
    cleaning.save(app, true).await;
}

/// Stops it, and says why.
pub(super) fn stop(cleaning: &Cleaning, problem: &str) {
    let mut work = cleaning.work();
    (work.status, work.problem) = (Status::Stopped, Some(problem.to_owned()));
}

async fn row(app: &App, caller: &Caller, cleaning: &Cleaning, at: usize) {
    while let Some(number) = next(app, caller, cleaning, at) {
        let depth = cleaning.depth;
        let ask = LookUp { depth, listed: true, ..LookUp::free(&cleaning.subaccount, number) };
        let answer = look_up(app, caller, ask).await;
        let answered = answer.is_ok();
        let wait = taken(app, cleaning, at, answer);
        if answered {
            // In this order: who goes on after a crash pays for no answer twice.
            cleaning.save_rows(app, at, at + 1).await;
            cleaning.save(app, false).await;
        }
        match wait {
            Some(until) => waited(app, cleaning, until).await,
            None => return,
        }
    }
}

/// The number of a row that is to be asked about now, once there is room for its price.
fn next(app: &App, caller: &Caller, cleaning: &Cleaning, at: usize) -> Option<ParsedNumber> {
    let price = cleaning.depth.map_or(0, |depth| lookup::dearest(app, depth));
    let keys = app.snapshot.load_full();
    let now = app.now();
    let alive =
        |key: &crate::app::entities::ApiKey| key.enabled && key.expires_at.is_none_or(|end| now < end);
    let mut work = cleaning.work();
    // Another node works on it now.
    work.left |= !app.store.ledger.leads();
    if work.status != Status::Running || work.left {
        return None;
    }
    let number = work.rows.get(at).filter(|row| row.asks())?.wanted()?;
    let stop = if work.spent + work.reserved + price > work.most {
        Some("asking became dearer than what was confirmed; confirm again".to_owned())
    } else if !keys.keys.values().any(|key| key.id == caller.key.id && alive(key)) {
        Some("the API key that confirmed it is no longer valid".to_owned())
    } else {
        None
    };
    if stop.is_some() {
        (work.status, work.problem) = (Status::Stopped, stop);
        return None;
    }
    work.reserved += price;
    Some(number)
}

/// Takes an answer in; gives when to try again instead.
fn taken(app: &App, cleaning: &Cleaning, at: usize, answer: Result<LookedUp, Refusal>) -> Option<Timestamp> {
    let price = cleaning.depth.map_or(0, |depth| lookup::dearest(app, depth));
    let now = app.now();
    let mut work = cleaning.work();
    work.reserved = (work.reserved - price).max(0);
    work.answers += 1;
    match answer {
        Ok(found) => {
            work.spent += found.cost;
            if let Some(known) = work.rows.get_mut(at).and_then(|row| row.known.as_mut()) {
                note(known, &found);
            }
            None
        }
        Err(Refusal::Decided(screened)) => {
            let again = waits(&screened);
            if again.is_none() {
                (work.status, work.problem) = (Status::Stopped, Some(why(&screened)));
            }
            again
        }
        Err(Refusal::Unavailable(_)) => Some(now.plus(STORE_PAUSE)),
        Err(_) => {
            (work.status, work.problem) = (Status::Stopped, Some("a lookup was refused".to_owned()));
            None
        }
    }
}

/// Puts what was answered in the place of what was known.
fn note(known: &mut Known, found: &LookedUp) {
    known.asks = false;
    known.cost = found.cost;
    known.operator = lookup::carrier(&found.format, &found.state).or(known.operator.take());
    known.ported = found.state.ported.or(known.ported);
    known.reachable = reachable(found);
    known.reassigned = lookup::is_reassigned_since(&found.state, found.last_confirmed_at);
    known.problem = problem(found);
}

/// When a limit has room again. A budget is the operator's to widen; nobody waits for its next period.
fn waits(screened: &Screened) -> Option<Timestamp> {
    let budget =
        matches!(screened.leading_reason(), Some(ReasonCode::BudgetExceeded | ReasonCode::BudgetUnpriced));
    screened.decision.retry_at.filter(|_| !budget)
}

/// Why a lookup was refused, for people.
fn why(screened: &Screened) -> String {
    let code = screened.leading_reason();
    let mut reasons = screened.decision.reasons.iter();
    let leading = reasons.find(|reason| reason.in_force() && Some(reason.code) == code);
    leading.map_or_else(|| "a lookup was refused".to_owned(), |reason| reason.detail.clone())
}

fn reachable(found: &LookedUp) -> Option<bool> {
    use LookupFailure::{NotReachable, SimDeactivated, SimOffline};
    match found.failure {
        Some(NotReachable | SimDeactivated | SimOffline) => Some(false),
        Some(_) => None,
        None => found.state.reachable,
    }
}

/// A failure that is an answer is none.
fn problem(found: &LookedUp) -> Option<String> {
    found.failure.filter(|_| reachable(found).is_none()).map(|failure| failure.as_str().to_owned())
}

/// Waits for room in a limit, by the gateway's clock.
async fn waited(app: &App, cleaning: &Cleaning, until: Timestamp) {
    cleaning.work().waits_until = Some(until);
    cleaning.save(app, false).await;
    while app.now() < until && !cleaning.is_left() && cleaning.work().status == Status::Running {
        tokio::time::sleep(PAUSE).await;
    }
    cleaning.work().waits_until = None;
}
