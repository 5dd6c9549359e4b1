//! The figures of a back-test, and one sentence that says them.

use std::collections::BTreeMap;

use seawall_core::money::{Currency, shown};
use seawall_core::request::Operation;
use seawall_core::rule::{Action, Attribute};
use seawall_core::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::collections::shapes::{ActionShape, OperationShape};
use super::tally::Tally;

/// What the draft would have done.
#[derive(Serialize, ToSchema)]
#[schema(as = Backtest)]
pub struct Report {
    /// All of it in one sentence.
    #[schema(
        example = "would have blocked 132 of 10,204 requests (1.3 %); 3 later verified; 8 already blocked by others; $41.20 avoided"
    )]
    pub sentence: String,
    /// What the rule does.
    #[schema(value_type = ActionShape)]
    pub action: Action,
    /// Not older than this.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Older than this.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// Recorded requests that the rule would have been asked about.
    pub requests: u64,
    /// Those that its condition matches.
    pub matched: u64,
    /// The same in percent.
    pub matched_pct: f64,
    /// Of a rule that blocks: requests that it would have refused, alone or beside others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_have_blocked: Option<u64>,
    /// Of a rule that throttles: requests that it would have refused for a while, alone or beside others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_have_throttled: Option<u64>,
    /// Of a rule with the action `alternative`: requests that it would have sent over another channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_have_redirected: Option<u64>,
    /// Of a rule that challenges: requests that would have had to prove something first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_have_challenged: Option<u64>,
    /// Of a rule that allows: requests that rules or detection stopped and that would have been sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_have_allowed: Option<u64>,
    /// Requests whose verdict would have been another one.
    pub changed: u64,
    /// Matches without effect, because an allow entry or an allow rule stands above.
    pub overruled: u64,
    /// Of those that it would have stopped: sent at the time, and their code was confirmed later. These are
    /// its false positives.
    pub later_verified: u64,
    /// Of those that it would have stopped: decided as strictly at the time, by something else.
    pub already_stopped_by_others: u64,
    /// What the messages cost that it would have stopped, in the account's currency.
    pub avoided: Money,
    /// The same in other currencies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub avoided_in_other_currencies: Vec<Money>,
    /// Messages that it would have stopped and whose price is not known.
    pub unpriced: u64,
    /// How often the condition looked at an attribute that the request did not have, by attribute.
    pub missing: BTreeMap<String, u64>,
    /// How often it looked at one that nobody asked for at the time, by attribute. It counts as missing.
    pub not_recorded: BTreeMap<String, u64>,
    /// Attributes of the condition that its own verdicts would have moved: what it stops is not sent and cannot be
    /// confirmed. The figures are those of the traffic as it was.
    pub self_dependent: Vec<String>,
    /// Requests that only asked (`dry_run`); they are not among `requests`.
    pub dry_runs: u64,
    /// Refusals of a flood of which only samples are kept.
    pub aggregated: Aggregated,
    /// Where these figures are not exact, and why; `null` when they are.
    pub sampled_note: Option<String>,
    /// Matches: false positives first, each kind newest first.
    pub examples: Vec<Example>,
}

/// An amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BacktestMoney)]
pub struct Money {
    /// Micro-units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
}

/// Samples, and for how many requests they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BacktestAggregated)]
pub struct Aggregated {
    /// Samples.
    pub samples: u64,
    /// Requests.
    pub requests: u64,
}

/// A match.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = BacktestExample)]
pub struct Example {
    /// `dec_…`
    pub decision_id: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What was asked for.
    #[schema(value_type = OperationShape)]
    pub operation: Operation,
    /// Whose.
    pub subaccount_id: String,
    /// The recipient, masked.
    pub to: String,
    /// The recipient's country.
    pub country: String,
    /// The end user's address.
    pub client_ip: Option<String>,
    /// What was decided.
    #[schema(value_type = String, example = "allow")]
    pub verdict: &'static str,
    /// What would have been decided.
    #[schema(value_type = String, example = "block")]
    pub with_rule: &'static str,
    /// Whether its code was confirmed later.
    pub later_verified: bool,
    /// What it cost, in micro-units.
    pub price: Option<i64>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// Reasons at the time, in force or not.
    pub reasons: Vec<String>,
    /// For how many requests it stands.
    pub count: u64,
}

impl Report {
    /// Draws the sum. `currency`: the account's.
    pub fn new(tally: Tally, from: Timestamp, to: Timestamp, currency: &str) -> Self {
        let (missing, not_recorded) = tally.missing();
        let action = tally.draft.as_ref().map_or(Action::Block, |draft| draft.action);
        let only = |of: Action| (action == of).then_some(tally.effective);
        let amount = tally.avoided.get(currency).copied().unwrap_or_default();
        let other =
            |(currency, amount): (&String, &i64)| Money { amount: *amount, currency: currency.clone() };
        let others = tally.avoided.iter().filter(|(other, _)| *other != currency).map(other).collect();
        let avoided = Money { amount, currency: currency.to_owned() };
        let note = note(&tally, &not_recorded);
        Report {
            sentence: sentence(&tally, action, &avoided),
            action,
            from,
            to,
            requests: tally.requests,
            matched: tally.matched,
            matched_pct: percent(tally.matched, tally.requests, 100.0),
            would_have_blocked: only(Action::Block),
            would_have_throttled: only(Action::Throttle),
            would_have_redirected: only(Action::Alternative),
            would_have_challenged: only(Action::Challenge),
            would_have_allowed: only(Action::Allow),
            changed: tally.changed,
            overruled: tally.lifted,
            later_verified: tally.confirmed,
            already_stopped_by_others: tally.by_others,
            avoided,
            avoided_in_other_currencies: others,
            unpriced: tally.unpriced,
            missing,
            not_recorded,
            self_dependent: self_dependent(&tally),
            dry_runs: tally.dry_runs,
            aggregated: Aggregated { samples: tally.samples.0, requests: tally.samples.1 },
            sampled_note: note,
            examples: examples(tally),
        }
    }
}

/// False positives first, each kind newest first, as many as one kind keeps.
fn examples(tally: Tally) -> Vec<Example> {
    let keep = tally.keep;
    let newest_first = |mut list: Vec<Example>| {
        list.sort_by_key(|example| std::cmp::Reverse(example.at));
        list
    };
    let mut all = newest_first(tally.wrongly);
    all.extend(newest_first(tally.others));
    all.truncate(keep);
    all
}

fn sentence(tally: &Tally, action: Action, avoided: &Money) -> String {
    let did = match action {
        Action::Allow => "allowed",
        Action::Challenge => "challenged",
        Action::Alternative => "sent over another channel",
        Action::Throttle => "throttled",
        Action::Block => "blocked",
    };
    let share = percent(tally.effective, tally.requests, 10.0);
    let (effective, requests) = (grouped(tally.effective), grouped(tally.requests));
    let begin = format!("would have {did} {effective} of {requests} requests ({share:.1} %)");
    if action == Action::Allow {
        return begin;
    }
    let others =
        if action == Action::Block { "already blocked by others" } else { "already stopped by others" };
    let end =
        if action == Action::Alternative { String::new() } else { format!("; {} avoided", money(avoided)) };
    let (confirmed, by_others) = (grouped(tally.confirmed), grouped(tally.by_others));
    format!("{begin}; {confirmed} later verified; {by_others} {others}{end}")
}

fn note(tally: &Tally, not_recorded: &BTreeMap<String, u64>) -> Option<String> {
    let mut said = Vec::new();
    let (samples, requests) = tally.samples;
    if samples > 0 {
        said.push(format!(
            "of a flood of refusals, {} samples stand for {} requests, so that figures over them are estimates ({} \
             of the samples match)",
            grouped(samples),
            grouped(requests),
            grouped(tally.matched_samples)
        ));
    }
    if let Some(most) = not_recorded.values().max() {
        let names: Vec<String> = not_recorded.keys().cloned().collect();
        said.push(format!(
            "{} {} not recorded for up to {} of the requests, because nothing asked for it then: comparisons with it \
             were taken as false; save the rule in shadow, and it is recorded from then on",
            quoted(&names),
            if names.len() == 1 { "was" } else { "were" },
            grouped(*most)
        ));
    }
    let own = self_dependent(tally);
    if !own.is_empty() {
        said.push(format!(
            "{} would have changed if the rule had been in force, because what it stops is not sent and cannot be \
             confirmed: the figures are those of the traffic as it was",
            quoted(&own)
        ));
    }
    if tally.unreadable > 0 {
        said.push(format!(
            "the facts of {} requests cannot be read (another version wrote them); they count as not matched",
            grouped(tally.unreadable)
        ));
    }
    if tally.unpriced > 0 {
        said.push(format!(
            "the price of {} messages is not known and not among what is avoided",
            grouped(tally.unpriced)
        ));
    }
    (!said.is_empty()).then(|| said.join(". "))
}

/// Names of attributes in a sentence.
fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Attributes of the draft that its verdicts would have moved.
fn self_dependent(tally: &Tally) -> Vec<String> {
    let attributes = tally.draft.iter().flat_map(|draft| draft.program.attributes());
    attributes.filter(|attribute| attribute.follows_verdicts()).map(Attribute::name).collect()
}

/// In percent, rounded to `digits` parts of one.
#[allow(clippy::cast_precision_loss, reason = "counts")]
fn percent(part: u64, of: u64, digits: f64) -> f64 {
    if of == 0 { 0.0 } else { (part as f64 / of as f64 * 100.0 * digits).round() / digits }
}

/// `10,204`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `$41.20`, or `41.2 SGD` where the sign could mean several currencies.
fn money(money: &Money) -> String {
    let micros = u64::try_from(money.amount).unwrap_or_default();
    let sign = match money.currency.as_str() {
        "USD" => "$",
        "EUR" => "€",
        "GBP" => "£",
        _ => {
            let currency = Currency::parse(&money.currency);
            return currency
                .map_or_else(|| format!("{micros} micro-units"), |currency| shown(micros, currency));
        }
    };
    let cents = (micros + 5_000) / 10_000;
    format!("{sign}{}.{:02}", grouped(cents / 100), cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!(
            [0, 999, 1_000, 10_204, 1_234_567].map(grouped),
            ["0", "999", "1,000", "10,204", "1,234,567"]
        );
        let money = |amount, currency: &str| money(&Money { amount, currency: currency.to_owned() });
        assert_eq!(money(41_204_000, "USD"), "$41.20");
        assert_eq!(money(1_234_565_000, "EUR"), "€1,234.57");
        assert_eq!(money(41_200_000, "SGD"), "41.2 SGD");
        assert_eq!((percent(132, 10_204, 10.0), percent(1, 0, 10.0)), (1.3, 0.0));
    }

    #[test]
    fn the_sentence_says_it_all() {
        let tally =
            Tally { requests: 10_204, effective: 132, confirmed: 3, by_others: 8, ..Tally::default() };
        let avoided = Money { amount: 41_200_000, currency: "USD".to_owned() };
        assert_eq!(
            sentence(&tally, Action::Block, &avoided),
            "would have blocked 132 of 10,204 requests (1.3 %); 3 later verified; 8 already blocked by others; $41.20 avoided"
        );
        assert_eq!(
            sentence(&tally, Action::Allow, &avoided),
            "would have allowed 132 of 10,204 requests (1.3 %)"
        );
        assert!(sentence(&tally, Action::Alternative, &avoided).ends_with("8 already stopped by others"));
    }
}
