//! What a draft rule would have done to recorded traffic: the function that decides, over the facts that were
//! recorded with each decision.

mod report;
mod rows;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use seawall_core::rule::{Action, Program};
use seawall_core::time::{Timestamp, span};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

pub use report::{Aggregated, Example, Money, Report};
pub use rows::csv;
pub use tally::Tally;

use super::collections::around::Around;
use super::collections::shapes::{ActionShape, RuleModeShape};
use super::collections::{Wrong, read, rules};
use super::scan::scan;
use super::{App, recorder};

/// One at a time: each reads a good part of the ledger on a core of its own.
static TURN: Semaphore = Semaphore::const_new(1);
/// How far back a back-test looks that does not say.
const USUAL: Duration = Duration::from_secs(14 * 86_400);
/// Examples that are shown when it does not say, and at most.
const EXAMPLES: (usize, usize) = (20, 200);
/// Matches that a file of them holds.
pub const ROWS: usize = 10_000;

/// A draft rule, and over which traffic to test it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BacktestInput {
    /// What the rule would do; `block` when absent.
    #[schema(value_type = Option<ActionShape>)]
    pub action: Option<Action>,
    /// Its condition.
    #[schema(min_length = 1, max_length = 4000, example = "number.country == \"UZ\" && client.hosting")]
    pub when: String,
    /// Only requests of this subaccount.
    pub subaccount_id: Option<String>,
    /// Over the last so long; `"14d"` when neither this nor `from` is given.
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", example = "14d")]
    pub since: Option<String>,
    /// Not older than this, instead of `since`.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub from: Option<Timestamp>,
    /// Older than this; now when absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub to: Option<Timestamp>,
    /// How many matches are shown, 0 to 200; 20 when absent.
    #[schema(minimum = 0, maximum = 200)]
    pub examples: Option<usize>,
    /// Name of the rule, if it exists already: what it did itself does not count as done by others.
    pub name: Option<String>,
    /// As a rule has it; a back-test always tells what the rule would do when it is enforced.
    #[schema(value_type = Option<RuleModeShape>)]
    #[serde(default)]
    pub mode: Option<seawall_core::limit::Mode>,
    /// As a rule has it; checked, and of no consequence here.
    pub retry_after: Option<String>,
    /// As a rule has it; of no consequence here.
    pub note: Option<String>,
    /// As a rule has it; of no consequence here.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

/// A draft that was checked.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What it would do.
    pub action: Action,
    /// Its condition.
    pub program: Arc<Program>,
    /// Only requests of this subaccount.
    pub subaccount: Option<String>,
    /// Its name, if it exists already.
    pub name: Option<String>,
}

/// Tests a draft over recorded traffic. `rows`: how many matches to keep instead of what the input says.
pub async fn backtest(app: &App, body: Value, rows: Option<usize>) -> Result<Report, Wrong> {
    let input = read::<BacktestInput>(body)?;
    let around = Around::load(app).await?;
    let (from, to) = stretch(&input, around.now)?;
    let keep = rows.map_or_else(|| examples(input.examples), Ok)?;
    let draft = checked(input, &around)?;
    let currency = around.snapshot.account.as_ref().map_or_else(|| "USD".to_owned(), |a| a.currency.clone());
    let _turn = TURN.acquire().await.map_err(|_| Wrong::Busy)?;
    recorder::settled(app).await;
    let tally = scan(app, from, to, Tally::new(draft, keep), Tally::see).await?;
    Ok(Report::new(tally, from, to, &currency))
}

fn stretch(input: &BacktestInput, now: Timestamp) -> Result<(Timestamp, Timestamp), Wrong> {
    let to = input.to.unwrap_or(now);
    let from = match (&input.since, input.from) {
        (Some(_), Some(_)) => return Err(Wrong::field("since", "and `from` say the same; give one of them")),
        (None, Some(from)) => from,
        (Some(text), None) => {
            let span = span::parse(text).filter(|span| !span.is_zero());
            let wrong = || Wrong::field("since", "is not a duration such as \"14d\"");
            to.minus(span.ok_or_else(wrong)?)
        }
        (None, None) => to.minus(USUAL),
    };
    match from < to {
        true => Ok((from, to)),
        false => Err(Wrong::field("from", format!("{from} is not before {to}; give an earlier time"))),
    }
}

fn examples(wanted: Option<usize>) -> Result<usize, Wrong> {
    match wanted.unwrap_or(EXAMPLES.0) {
        wanted if wanted <= EXAMPLES.1 => Ok(wanted),
        more => Err(Wrong::field(
            "examples",
            format!("{more} is more than {}; ask for a CSV instead", EXAMPLES.1),
        )),
    }
}

fn checked(input: BacktestInput, around: &Around) -> Result<Draft, Wrong> {
    let action = input.action.unwrap_or(Action::Block);
    rules::mode(input.mode)?;
    rules::wait(action, input.retry_after.as_deref())?;
    around.check_subaccount("subaccount_id", input.subaccount_id.as_deref())?;
    let program = Arc::new(rules::condition(&input.when, around)?);
    Ok(Draft { action, program, subaccount: input.subaccount_id, name: input.name })
}
