//! What another position of detection's dial would have done: the verdicts of the last days, taken again over
//! the probabilities and prices that were recorded with them.
//!
//! An estimate, and it says over what. A message that the dial would have let through might have been confirmed
//! or not: nobody knows, so such messages are counted and priced, and shared out by their probability.

use std::time::Duration;

use seawall_core::detect::dial::{Answer, DetectionPolicy};
use seawall_core::intel::price::likely_price;
use seawall_core::limit::Mode;
use seawall_core::reason::{Class, ReasonCode};
use seawall_core::recorded::Recorded;
use seawall_core::time::{Timestamp, span};
use seawall_store::StoreError;
use seawall_store::records::Scanned;
use serde::Serialize;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::collections::Wrong;
use super::scan::scan;
use super::{App, recorder};

/// One at a time: each reads a good part of the ledger.
static TURN: Semaphore = Semaphore::const_new(1);
/// How far back it looks that does not say, and at most.
const USUAL: Duration = Duration::from_secs(7 * 86_400);
const LONGEST: Duration = Duration::from_secs(90 * 86_400);

/// The dial as it is, and as it would be, over the same traffic.
#[derive(Debug, Serialize, ToSchema)]
pub struct Preview {
    /// Over traffic since then.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Until then.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// What was looked at.
    pub over: Over,
    /// As it is set.
    pub current: Outlook,
    /// As asked for.
    pub proposed: Outlook,
    /// What the figures do not hold.
    pub caveats: Vec<&'static str>,
    /// ISO 4217, of all amounts.
    pub currency: String,
}

/// The traffic that was looked at.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub struct Over {
    /// Requests for messages that detection had an opinion on.
    pub requests: u64,
    /// Those that something else than detection decided, and that no dial changes.
    pub decided_by_others: u64,
    /// Messages among the rest that were sent, and confirmed.
    pub confirmed: u64,
    /// Messages that were sent, and not confirmed.
    pub unconfirmed: u64,
    /// Requests that were not sent, so that nobody knows.
    pub unknown: u64,
    /// Records without an opinion of detection, or that could not be read.
    pub left_out: u64,
}

/// What a position of the dial would have done.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub struct Outlook {
    /// What a good user is worth, in micro-units.
    pub user_value: i64,
    /// Percent of good users that a challenge loses.
    pub challenge_loss: u8,
    /// Percent of good users that another channel loses.
    pub alternative_loss: u8,
    /// Sent.
    pub sent: u64,
    /// Challenged.
    pub challenged: u64,
    /// Redirected to another channel.
    pub redirected: u64,
    /// Refused.
    pub blocked: u64,
    /// Messages that were confirmed and that it would have refused, redirected or challenged: good users who meet
    /// friction.
    pub confirmed_blocked: u64,
    /// See `confirmed_blocked`.
    pub confirmed_redirected: u64,
    /// See `confirmed_blocked`.
    pub confirmed_challenged: u64,
    /// Predicted messages of campaigns that it would have sent: the probabilities of all unconfirmed requests that
    /// it sends, added up.
    pub leaked: f64,
    /// What those cost, in micro-units.
    pub leaked_cost: i64,
}

/// Another position of the dial; what is absent stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Position {
    /// See [`DetectionPolicy::user_value`].
    pub user_value: Option<i64>,
    /// See [`DetectionPolicy::challenge_loss`].
    pub challenge_loss: Option<u8>,
    /// See [`DetectionPolicy::alternative_loss`].
    pub alternative_loss: Option<u8>,
}

/// Looks at the last so long.
pub async fn preview(app: &App, position: Position, since: Option<&str>) -> Result<Preview, Wrong> {
    let (now, snapshot) = (app.now(), app.snapshot.load_full());
    let from = now.minus(reach(since)?);
    let current = snapshot.settings.detection.clone();
    let proposed = moved(&current, position)?;
    let _turn = TURN.acquire().await.map_err(|_| Wrong::Busy)?;
    recorder::settled(app).await;
    let tally = Tally { dials: [current.clone(), proposed], ..Tally::default() };
    let tally = scan(app, from, now, tally, Tally::see).await?;
    let [current, proposed] = [0, 1].map(|n| tally.outlook(n));
    let currency = snapshot.account.as_ref().map_or_else(|| "USD".to_owned(), |a| a.currency.clone());
    Ok(Preview { from, to: now, over: tally.over, current, proposed, caveats: CAVEATS.to_vec(), currency })
}

const CAVEATS: [&str; 5] = [
    "What an attack got through before it was noticed had low probabilities and is hardly in `leaked`; incidents \
     count it.",
    "Probabilities are those of the time. A dial that sends more of an attack would have learned more of it; one \
     that sends less would have learned it later.",
    "Whether a request that was not sent would have been confirmed is not known; its probability is taken for it.",
    "Where no price is recorded, a list price is taken for the thresholds, and nothing is added to the cost.",
    "Exposure budgets, limits, rules and lists are left as they were.",
];

fn reach(since: Option<&str>) -> Result<Duration, Wrong> {
    let Some(text) = since else { return Ok(USUAL) };
    let read = span::parse(text).filter(|span| !span.is_zero() && *span <= LONGEST);
    read.ok_or_else(|| Wrong::field("since", "is not a duration from \"1m\" to \"90d\""))
}

fn moved(current: &DetectionPolicy, position: Position) -> Result<DetectionPolicy, Wrong> {
    let dial = DetectionPolicy {
        user_value: position.user_value.unwrap_or(current.user_value),
        challenge_loss: position.challenge_loss.unwrap_or(current.challenge_loss),
        alternative_loss: position.alternative_loss.unwrap_or(current.alternative_loss),
        ..current.clone()
    };
    super::collections::settings::check_detection(&dial)?;
    Ok(dial)
}

#[derive(Default)]
struct Tally {
    dials: [DetectionPolicy; 2],
    over: Over,
    outlooks: [Outlook; 2],
}

/// The price that detection weighed: the recorded one, or that of a list.
fn likely(facts: &Recorded<'_>) -> i64 {
    facts.price.unwrap_or_else(|| likely_price(facts.country, facts.segments))
}

/// Whether a reason is what the dial leads to; a trained model has a probability of its own.
fn of_detection(code: ReasonCode) -> bool {
    (code.class() == Class::Detection && code != ReasonCode::CampaignModel) || code == ReasonCode::Canary
}

impl Tally {
    fn see(&mut self, scanned: &Scanned<'_>) -> Result<(), StoreError> {
        if scanned.dry_run || !scanned.operation.sends() {
            return Ok(());
        }
        let facts = serde_json::from_str::<Recorded<'_>>(scanned.facts).ok();
        let Some((price, likely, evidence)) =
            facts.and_then(|facts| Some((facts.price, likely(&facts), facts.evidence?)))
        else {
            self.over.left_out += scanned.count;
            return Ok(());
        };
        self.over.requests += scanned.count;
        let decided =
            |r: &seawall_store::records::ScannedReason<'_>| r.mode == Mode::Enforce && !of_detection(r.code);
        if scanned.reasons.iter().any(decided) {
            self.over.decided_by_others += scanned.count;
            return Ok(());
        }
        let known = if scanned.sent { Some(scanned.later.confirmed()?) } else { None };
        match known {
            Some(true) => self.over.confirmed += scanned.count,
            Some(false) => self.over.unconfirmed += scanned.count,
            None => self.over.unknown += scanned.count,
        }
        let one = One {
            all: f64::from(evidence.probability),
            narrow: f64::from(evidence.narrow),
            may_block: evidence.may_block,
            price,
            likely,
            confirmed: known == Some(true),
            count: scanned.count,
        };
        for (dial, outlook) in self.dials.iter().zip(&mut self.outlooks) {
            outlook.see(dial, &one);
        }
        Ok(())
    }

    fn outlook(&self, n: usize) -> Outlook {
        let (dial, outlook) = (self.dials.get(n).cloned(), self.outlooks.get(n).copied());
        let (dial, outlook) = (dial.unwrap_or_default(), outlook.unwrap_or_default());
        Outlook {
            user_value: dial.user_value,
            challenge_loss: dial.challenge_loss,
            alternative_loss: dial.alternative_loss,
            leaked: (outlook.leaked * 10.0).round() / 10.0,
            ..outlook
        }
    }
}

/// One recorded request.
struct One {
    all: f64,
    narrow: f64,
    may_block: bool,
    price: Option<i64>,
    /// What detection took for it.
    likely: i64,
    confirmed: bool,
    count: u64,
}

impl Outlook {
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "money far below 2^53")]
    fn see(&mut self, dial: &DetectionPolicy, one: &One) {
        let (answer, _) = dial.answer(one.all, one.narrow, one.may_block, one.likely);
        let good = if one.confirmed { one.count } else { 0 };
        match answer {
            Answer::Block => {
                self.blocked += one.count;
                self.confirmed_blocked += good;
            }
            Answer::Alternative => {
                self.redirected += one.count;
                self.confirmed_redirected += good;
            }
            Answer::Challenge => {
                self.challenged += one.count;
                self.confirmed_challenged += good;
            }
            Answer::Send => {
                self.sent += one.count;
                if !one.confirmed {
                    let leaked = one.all * one.count as f64;
                    self.leaked += leaked;
                    self.leaked_cost += (leaked * one.price.unwrap_or(0).max(0) as f64) as i64;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(all: f64, confirmed: bool) -> One {
        One { all, narrow: all, may_block: true, price: Some(100_000), likely: 100_000, confirmed, count: 10 }
    }

    #[test]
    fn a_dearer_user_blocks_less_and_leaks_more() {
        let (mut cheap, mut dear) = (Outlook::default(), Outlook::default());
        for p in 0..=100 {
            for confirmed in [true, false] {
                let one = one(f64::from(p) / 100.0, confirmed);
                cheap.see(&DetectionPolicy { user_value: 100_000, ..DetectionPolicy::default() }, &one);
                dear.see(&DetectionPolicy { user_value: 10_000_000, ..DetectionPolicy::default() }, &one);
            }
        }
        assert!(cheap.blocked > dear.blocked && cheap.leaked < dear.leaked, "{cheap:?} {dear:?}");
        assert!(cheap.confirmed_blocked > dear.confirmed_blocked);
        let all = |o: &Outlook| o.sent + o.challenged + o.redirected + o.blocked;
        assert_eq!((all(&cheap), all(&dear)), (2020, 2020));
        assert!((dear.leaked_cost as f64 / dear.leaked - 100_000.0).abs() < 1.0);
    }
}
