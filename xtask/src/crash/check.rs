//! What must hold after the kills.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use seawall_core::id::{Id, IdKind};
use seawall_core::time::Timestamp;
use serde_json::Value;

use super::load::{Ack, Budgeted, Seen};
use super::sink::Sink;
use super::{BUDGET, BUDGET_SPAN, DAY_BUDGET, LIMIT_WINDOW, QUOTA};
use crate::live::{Gateway, Postgres, Redis, Wire, request};

/// Messages that may be on their way at once: what a kill can leave unknown.
const UNKNOWN_PER_KILL: u64 = 2048;
/// Failures that are shown of each kind.
const SHOWN: usize = 5;

/// A run that is over.
pub struct Run {
    /// The gateway, started once more; of several, one.
    pub gateway: Gateway,
    /// The other ones.
    pub others: Vec<Gateway>,
    /// What they share, kept until everything is checked.
    pub servers: Option<(Postgres, Redis)>,
    /// What reached the provider.
    pub sink: Sink,
    /// What the callers saw.
    pub seen: Seen,
    /// How often it was killed.
    pub kills: u32,
}

/// Accepted messages by state.
#[derive(Debug)]
pub struct Census(HashMap<String, u64>);

impl Census {
    /// How many are in any of these states.
    pub fn of(&self, states: &[&str]) -> u64 {
        states.iter().filter_map(|state| self.0.get(*state)).sum()
    }

    /// Messages that have not left yet.
    pub fn waiting(&self) -> u64 {
        self.of(&["queued", "scheduled", "submitting"])
    }

    fn all(&self) -> u64 {
        let ended = ["sent", "delivered", "failed", "expired", "unknown", "canceled", "rejected"];
        self.waiting() + self.of(&ended)
    }
}

/// Asks the gateway how many messages are in each state.
pub async fn census(gateway: &Gateway) -> Result<Census, String> {
    let overview = gateway.admin("GET", "stats/overview", None).await?;
    let by_state = overview.pointer("/messages/by_state").and_then(Value::as_object);
    let by_state = by_state.ok_or_else(|| format!("stats/overview has no census: {overview}"))?;
    let counts = by_state.iter().filter_map(|(state, count)| Some((state.clone(), count.as_u64()?)));
    Ok(Census(counts.collect()))
}

/// Checks everything, and says all that is wrong.
pub async fn everything(run: &Run) -> Result<(), String> {
    let census = census(&run.gateway).await?;
    let mut wrong = Vec::new();
    wrong.extend(first("answers that should not be", run.seen.odd.clone()));
    wrong.extend(first("acknowledged sends that the gateway does not know", unknown_acks(run).await?));
    wrong.extend(first("messages that reached the provider and were not acknowledged", foreign(run)));
    wrong.extend(first("codes that reached the provider twice", twice(run)));
    wrong.extend(first("numbers beyond their limit", beyond_limit(run)));
    wrong.extend(beyond_budgets(run));
    wrong.extend(counted(run, &census));
    wrong.extend(said_of_budgets(run).await?);
    report(run, &census);
    if wrong.is_empty() {
        println!("ok: nothing was lost, sent twice, or admitted beyond its limit or budget");
        return Ok(());
    }
    Err(format!("{}\n{}", wrong.join("\n"), run.gateway.log()))
}

fn report(run: &Run, census: &Census) {
    let hot = by_number(run).len();
    println!(
        "{} nodes; {} kills; {} sends acknowledged, {} of them only when asked again; {} refused by the limit on {hot} numbers; \
         {} and {} by the budgets; {} reached the provider; {} unknown",
        run.others.len() + 1,
        run.kills,
        run.seen.acks.len(),
        run.seen.asked_again,
        run.seen.refused,
        run.seen.over_budget[0],
        run.seen.over_budget[1],
        run.sink.deliveries().len(),
        census.of(&["unknown"])
    );
}

fn first(what: &str, all: Vec<String>) -> Option<String> {
    let shown = all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    (!all.is_empty()).then(|| format!("{} {what}: {shown}", all.len()))
}

/// A send is recorded before it is acted on, and every request was repeated until it was answered.
fn foreign(run: &Run) -> Vec<String> {
    let known: HashSet<&String> = run.seen.acks.iter().map(|ack| &ack.message).collect();
    let ids = run.sink.deliveries().into_iter().map(|one| one.id);
    ids.filter(|id| !known.contains(id)).collect()
}

async fn unknown_acks(run: &Run) -> Result<Vec<String>, String> {
    let mut wire = Wire::open(run.gateway.addr).await.map_err(|error| error.to_string())?;
    let mut missing = Vec::new();
    for ack in &run.seen.acks {
        let collection = if ack.verification { "verifications" } else { "messages" };
        let path = format!("/v1/{collection}/{}", ack.id);
        let answer = wire.exchange(&request("GET", &path, &run.gateway.api_key, "")).await;
        let status = answer.map_err(|error| format!("GET {path}: {error}"))?.status;
        if status != 200 {
            missing.push(format!("{path} ({status})"));
        }
    }
    Ok(missing)
}

fn twice(run: &Run) -> Vec<String> {
    let by_id = run.sink.by_id(true).into_iter();
    // Every verification has a number of its own, so a second code to it is a second code of it.
    let all = by_id.chain(run.sink.codes_by_number());
    all.filter(|(_, count)| *count > 1).map(|(what, count)| format!("{what} ({count} times)")).collect()
}

/// When each number's messages were accepted, as far as anybody saw. Only numbers with more than one.
fn by_number(run: &Run) -> HashMap<String, Vec<Instant>> {
    let mut accepted: HashMap<String, HashMap<String, Instant>> = HashMap::new();
    let acks = run.seen.acks.iter().filter(|ack| !ack.verification);
    let acks = acks.map(|Ack { id, to, at, .. }| (id.clone(), to.clone(), *at));
    let sunk = run.sink.deliveries().into_iter().filter(|one| !one.code).map(|one| (one.id, one.to, one.at));
    for (id, to, at) in acks.chain(sunk) {
        let earliest = accepted.entry(to).or_default().entry(id).or_insert(at);
        *earliest = at.min(*earliest);
    }
    let sorted = |ids: HashMap<String, Instant>| {
        let mut times: Vec<Instant> = ids.into_values().collect();
        times.sort();
        times
    };
    accepted.into_iter().map(|(to, ids)| (to, sorted(ids))).filter(|(_, times)| times.len() > 1).collect()
}

fn beyond_limit(run: &Run) -> Vec<String> {
    let quota = QUOTA as usize;
    // What anybody saw is later than what the gateway charged by less than a second.
    let window = LIMIT_WINDOW.saturating_sub(Duration::from_secs(1));
    let beyond = |times: &Vec<Instant>| {
        let late = times
            .iter()
            .skip(quota)
            .zip(times)
            .filter(|(later, earlier)| later.duration_since(**earlier) < window);
        late.count() > 0
    };
    let numbers = by_number(run).into_iter().filter(|(_, times)| beyond(times));
    numbers.map(|(to, times)| format!("{to}: {} accepted", times.len())).collect()
}

/// When each message was charged, which its id says to the millisecond, and whose budget counts it.
fn budgeted(run: &Run) -> Vec<(Timestamp, Budgeted)> {
    let charged = |ack: &Ack| Id::parse(IdKind::Message, &ack.message).map(|id| (id.at(), ack.budget));
    run.seen.acks.iter().filter_map(charged).collect()
}

fn beyond_budgets(run: &Run) -> Vec<String> {
    let all = budgeted(run);
    let mut wrong = Vec::new();
    let mut spent: Vec<(Timestamp, u64)> = all
        .iter()
        .filter_map(|(at, budget)| match budget {
            Budgeted::Span(amount) => Some((*at, *amount)),
            Budgeted::No | Budgeted::Day => None,
        })
        .collect();
    spent.sort();
    // Nodes are charged by the clock of Redis, which their own follow to some milliseconds.
    let slack = if run.servers.is_some() { Duration::from_secs(1) } else { Duration::ZERO };
    let most = most_in_any_span(&spent, BUDGET_SPAN.saturating_sub(slack));
    if most > BUDGET {
        wrong.push(format!("{most} micro-units spent in {} s, and {BUDGET} may be", BUDGET_SPAN.as_secs()));
    }
    let day = all.iter().filter(|(_, budget)| *budget == Budgeted::Day).count() as u64;
    if day > DAY_BUDGET {
        wrong.push(format!("{day} messages accepted by a budget of {DAY_BUDGET}"));
    }
    if run.seen.over_budget.contains(&0) || most < BUDGET / 2 {
        wrong.push("a budget was never reached, so it was not tested: give it more --seconds".to_owned());
    }
    wrong
}

/// The largest sum of any half-open span that begins with a message.
fn most_in_any_span(spent: &[(Timestamp, u64)], span: Duration) -> u64 {
    let within =
        |start: Timestamp| spent.iter().filter(move |(at, _)| *at >= start && *at < start.plus(span));
    spent.iter().map(|(start, _)| within(*start).map(|(_, amount)| amount).sum()).max().unwrap_or(0)
}

/// What the gateway says of the budget that does not free again is what its callers saw.
async fn said_of_budgets(run: &Run) -> Result<Option<String>, String> {
    let said = run.gateway.admin("GET", "budgets/day", None).await?;
    let of = |field: &str| said.get(field).and_then(Value::as_u64).unwrap_or(u64::MAX);
    let seen = budgeted(run).iter().filter(|(_, budget)| *budget == Budgeted::Day).count() as u64;
    let held = of("spent").saturating_add(of("reserved"));
    Ok((held != seen).then(|| format!("the budget says {held} messages, its callers saw {seen}: {said}")))
}

fn counted(run: &Run, census: &Census) -> Vec<String> {
    let (acks, ids) =
        (run.seen.acks.len() as u64, run.seen.acks.iter().map(|ack| &ack.id).collect::<HashSet<_>>());
    let unknown = census.of(&["unknown"]);
    let mut wrong = Vec::new();
    if ids.len() as u64 != acks {
        wrong.push(format!("{acks} acknowledgements are of {} sends", ids.len()));
    }
    // Requests were repeated under their keys until they were answered: nothing else can have been accepted.
    if census.all() != acks {
        wrong.push(format!(
            "the gateway counts {} accepted messages, its callers {acks}: {census:?}",
            census.all()
        ));
    }
    if unknown > u64::from(run.kills) * UNKNOWN_PER_KILL {
        wrong.push(format!("{unknown} messages are unknown after {} kills", run.kills));
    }
    let gone = run.sink.by_id(true).len() as u64 + run.sink.by_id(false).len() as u64;
    let excused = census.of(&["unknown", "failed", "expired", "canceled", "rejected"]);
    if gone + excused < census.all() {
        wrong.push(format!(
            "only {gone} messages reached the provider, and {excused} of {} say why not",
            census.all()
        ));
    }
    if run.seen.refused == 0 {
        wrong.push("the limit was never reached, so it was not tested: give it more --seconds".to_owned());
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_in_any_span_is_found() {
        let at =
            |secs: u64| Timestamp::from_millis(1_767_600_000_000).plus(std::time::Duration::from_secs(secs));
        let spent = [(at(0), 5), (at(9), 7), (at(10), 11), (at(19), 13)];
        assert_eq!(
            most_in_any_span(&spent, BUDGET_SPAN),
            11 + 13,
            "an amount leaves after exactly ten seconds"
        );
        assert_eq!(most_in_any_span(&[], BUDGET_SPAN), 0);
    }
}
