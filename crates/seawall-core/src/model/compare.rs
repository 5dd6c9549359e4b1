//! A model against the engine, over requests of which is known what they were: money leaked and users refused by
//! either. A model may decide only where it has proved better.

use serde::{Deserialize, Serialize};

/// Labelled requests that a comparison needs.
pub const ENOUGH: u64 = 500;
/// Of them, requests of campaigns.
pub const ENOUGH_BAD: u64 = 30;
/// Percent of the engine's leak that the model may leave at most.
const AT_MOST: i128 = 90;

/// What one way of deciding did, or would have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Requests of campaigns that it stopped: refused, or sent over another channel.
    pub stopped: u64,
    /// Requests of campaigns that it let through.
    pub leaked: u64,
    /// What those cost, in micro-units.
    pub leaked_micros: i64,
    /// Real users whom it stopped.
    pub false_blocks: u64,
}

impl Tally {
    /// One more request.
    pub fn count(&mut self, stops: bool, bad: bool, price: i64, times: u64) {
        match (bad, stops) {
            (true, true) => self.stopped += times,
            (true, false) => {
                self.leaked += times;
                let cost = price.saturating_mul(i64::try_from(times).unwrap_or(i64::MAX));
                self.leaked_micros = self.leaked_micros.saturating_add(cost);
            }
            (false, true) => self.false_blocks += times,
            (false, false) => {}
        }
    }
}

/// The engine alone, the model alone, and what enforcing the model would make of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Labelled requests of real users.
    pub good: u64,
    /// Labelled requests of campaigns.
    pub bad: u64,
    /// The engine alone.
    pub engine: Tally,
    /// The model alone.
    pub model: Tally,
    /// Both: what either stops.
    pub both: Tally,
}

impl Comparison {
    /// One more request, and whether engine and model stop it.
    pub fn count(&mut self, engine: bool, model: bool, bad: bool, price: i64, times: u64) {
        *(if bad { &mut self.bad } else { &mut self.good }) += times;
        self.engine.count(engine, bad, price, times);
        self.model.count(model, bad, price, times);
        self.both.count(engine || model, bad, price, times);
    }

    /// Why the model may not decide yet; `None` when it has proved better.
    pub fn objection(&self) -> Option<String> {
        let labelled = self.good + self.bad;
        if labelled < ENOUGH || self.bad < ENOUGH_BAD {
            return Some(format!(
                "{labelled} requests since it was added are labelled by outcomes, {} of them of campaigns; \
                 {ENOUGH} and {ENOUGH_BAD} are needed",
                self.bad
            ));
        }
        let (engine, both) = (self.engine, self.both);
        let leaks = format!(
            "over {labelled} labelled requests the engine leaked {} in {} messages and stopped {} real users; with \
             the model it would have been {} in {} messages and {} real users",
            money(engine.leaked_micros),
            engine.leaked,
            engine.false_blocks,
            money(both.leaked_micros),
            both.leaked,
            both.false_blocks
        );
        let enough = i128::from(both.leaked_micros) * 100 <= i128::from(engine.leaked_micros) * AT_MOST
            && both.leaked_micros < engine.leaked_micros;
        if !enough {
            return Some(format!("{leaks}; at least 10 % less has to leak"));
        }
        if both.false_blocks > engine.false_blocks {
            return Some(format!("{leaks}; no more real users may be stopped"));
        }
        None
    }
}

/// Micro-units as an amount with two decimals.
fn money(micros: i64) -> String {
    let cents = micros / 10_000;
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(engine_stops: u64, model_stops: u64, model_false: u64) -> Comparison {
        let mut all = Comparison::default();
        for n in 0..100 {
            all.count(n < engine_stops, n >= 100 - model_stops, true, 100_000, 1);
        }
        for n in 0..900 {
            all.count(false, n < model_false, false, 100_000, 1);
        }
        all
    }

    #[test]
    fn a_model_has_to_prove_itself() {
        assert_eq!(comparison(20, 40, 0).objection(), None);
        let little = comparison(20, 7, 0).objection().unwrap();
        assert!(little.contains("leaked 8.00 in 80 messages") && little.contains("7.30 in 73"), "{little}");
        assert!(comparison(20, 40, 1).objection().unwrap().contains("1 real users"));
        assert!(comparison(100, 100, 0).objection().is_some(), "nothing leaks, so nothing can be better");
        let mut few = Comparison::default();
        few.count(false, true, true, 1, 40);
        assert!(few.objection().unwrap().starts_with("40 requests"));
        few.count(false, false, false, 1, 460);
        assert_eq!(few.objection(), None, "samples that stand for many count as many");
    }

    #[test]
    fn ten_percent_is_enough_and_less_is_not() {
        assert!(comparison(0, 9, 0).objection().is_some());
        assert_eq!(comparison(0, 10, 0).objection(), None);
    }
}
