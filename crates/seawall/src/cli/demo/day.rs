//! The day, event by event: every request at its own time, one after the other, so that a seed decides
//! everything.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use seawall_core::time::Timestamp;

use super::attack::{self, Attempt};
use super::client::{Asked, Client};
use super::population::{self, Conduct, DAY, Visit};
use super::table::{Board, Tally};

/// How long the day takes where somebody watches.
const SHOW: Duration = Duration::from_secs(27);
/// How often somebody asks again who is told to wait.
const PATIENCE: u8 = 3;
/// From a wrong code to the right one, milliseconds.
const SECOND_LOOK: i64 = 8_000;

/// What happens.
enum Event {
    /// Somebody asks for a code.
    Arrive(usize),
    /// Somebody asks for it again, so many times at most.
    AskAgain(usize, u8),
    /// Somebody types it in, perhaps wrongly.
    Type { visit: usize, verification: String, wrong: bool },
    /// The attack asks for one.
    Pump(usize),
}

/// The day that is being played.
pub struct Day<'a> {
    client: &'a Client,
    start: Timestamp,
    visits: Vec<Visit>,
    attempts: Vec<Attempt>,
    /// By time, then in the order in which they came up.
    queue: BTreeMap<(i64, u64), Event>,
    events: u64,
    /// Paced for somebody who watches.
    watched: bool,
    /// What became of it.
    pub tally: Tally,
}

impl<'a> Day<'a> {
    /// Everybody gets ready, and the gateway's clock goes to midnight.
    pub async fn begin(client: &'a Client, seed: u64, watched: bool) -> Result<Self, String> {
        let mut day = Day {
            client,
            start: next_midnight(),
            visits: population::day(seed),
            attempts: attack::sequence(seed),
            queue: BTreeMap::new(),
            events: 0,
            watched,
            tally: Tally::default(),
        };
        let visits: Vec<i64> = day.visits.iter().map(|visit| visit.at).collect();
        visits.into_iter().enumerate().for_each(|(nth, at)| day.plan(at, Event::Arrive(nth)));
        let attempts: Vec<i64> = day.attempts.iter().map(|attempt| attempt.at).collect();
        attempts.into_iter().enumerate().for_each(|(nth, at)| day.plan(at, Event::Pump(nth)));
        if client.set_clock(day.start).await? {
            Ok(day)
        } else {
            Err("the sandbox clock cannot be set".to_owned())
        }
    }

    fn plan(&mut self, at: i64, event: Event) {
        self.events += 1;
        self.queue.insert((at, self.events), event);
    }

    /// Plays it to its end.
    pub async fn play(&mut self, board: &mut Board) -> Result<(), String> {
        let begun = Instant::now();
        while let Some(((at, _), event)) = self.queue.pop_first() {
            if self.watched {
                let due = SHOW.mul_f64(at as f64 / DAY as f64);
                tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
            }
            // When the day is played faster than its events follow each other, the clock is there already.
            self.client.set_clock(self.start.plus(Duration::from_millis(at.unsigned_abs()))).await?;
            self.happen(at, event).await?;
            board.show(at, &self.tally);
        }
        Ok(())
    }

    async fn happen(&mut self, at: i64, event: Event) -> Result<(), String> {
        match event {
            Event::Arrive(nth) => self.arrive(at, nth).await,
            Event::AskAgain(nth, left) => self.ask_again(at, nth, left).await,
            Event::Type { visit, verification, wrong } => self.type_in(at, visit, verification, wrong).await,
            Event::Pump(nth) => self.pump(at, nth).await,
        }
    }

    async fn arrive(&mut self, at: i64, nth: usize) -> Result<(), String> {
        let Some(visit) = self.visits.get(nth).cloned() else {
            return Ok(());
        };
        self.tally.people += 1;
        if let Some(verification) = self.person_asks(at, &visit).await?.sent() {
            match visit.conduct {
                Conduct::Confirms { after, mistypes } => {
                    self.plan(at + after, Event::Type { visit: nth, verification, wrong: mistypes });
                }
                Conduct::AsksAgain { after, .. } => self.plan(at + after, Event::AskAgain(nth, PATIENCE)),
                Conduct::Leaves => {}
            }
        }
        Ok(())
    }

    async fn ask_again(&mut self, at: i64, nth: usize, left: u8) -> Result<(), String> {
        let Some(visit) = self.visits.get(nth).cloned() else {
            return Ok(());
        };
        let then = if let Conduct::AsksAgain { then, .. } = visit.conduct { then } else { 0 };
        match self.person_asks(at, &visit).await? {
            Asked::Sent(verification) => {
                self.plan(at + then, Event::Type { visit: nth, verification, wrong: false });
            }
            Asked::Refused(refused) if refused.too_early && left > 0 => {
                let wait = i64::try_from(refused.retry_after.as_millis()).unwrap_or(60_000);
                self.plan(at + wait + 1_000, Event::AskAgain(nth, left - 1));
            }
            Asked::Refused(_) => {}
        }
        Ok(())
    }

    async fn person_asks(&mut self, at: i64, visit: &Visit) -> Result<Asked, String> {
        let asked = self.client.ask(visit.to, visit.ip).await?;
        self.tally.person(at, visit.iso, &asked);
        Ok(asked)
    }

    async fn type_in(
        &mut self,
        at: i64,
        nth: usize,
        verification: String,
        wrong: bool,
    ) -> Result<(), String> {
        let Some(visit) = self.visits.get(nth) else {
            return Ok(());
        };
        let code = self.client.read_code(visit.to).await?;
        if wrong {
            self.client.check(&verification, &mistyped(&code)).await?;
            self.plan(at + SECOND_LOOK, Event::Type { visit: nth, verification, wrong: false });
        } else if self.client.check(&verification, &code).await? {
            self.tally.verified += 1;
        }
        Ok(())
    }

    async fn pump(&mut self, at: i64, nth: usize) -> Result<(), String> {
        let Some(attempt) = self.attempts.get(nth) else {
            return Ok(());
        };
        let asked = self.client.ask(attempt.to, attempt.ip).await?;
        self.tally.attacker(at, &asked);
        Ok(())
    }
}

/// The code with its first digit one higher.
fn mistyped(code: &str) -> String {
    let mut digits = code.chars();
    let first = digits.next().and_then(|c| c.to_digit(10)).unwrap_or(0);
    format!("{}{}", (first + 1) % 10, digits.as_str())
}

/// The day begins when no clock has been yet.
fn next_midnight() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_millis()).unwrap_or(0);
    Timestamp::from_millis(now - now.rem_euclid(DAY) + DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_code_is_wrong_and_as_long() {
        assert_eq!(mistyped("9012"), "0012");
        assert_eq!(mistyped("123456"), "223456");
    }
}
