//! The days, request by request: each at its own time, one after the other, so that a seed decides everything.
//! Who comes, from where and what they do with their codes is the simulator's; what becomes of it is the
//! gateway's.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use seawall_core::sim::{DAY, HOUR, Params, Simulation};
use seawall_core::time::Timestamp;
use seawall_core::trace::{Line, Op};

use super::client::{Asked, Caller, Client};
use super::table::{Board, Tally};

/// How long the days take where somebody watches.
const SHOW: Duration = Duration::from_secs(27);
/// From one wrong code to the next try, milliseconds.
const SECOND_LOOK: i64 = 8_000;

/// A day on which nothing happens, and one with attacks.
pub const PARAMS: Params = Params { warmup_days: 1, test_days: 1, per_day: 800, attack_scale: 0.25 };

/// The attacks: the scenario that each is taken from, by how much later it begins, and what it is called.
pub const ATTACKS: [(&str, i64, &str); 4] = [
    ("seq_block", 0, "sequential numbers"),
    ("resproxy_top_country", 3 * HOUR, "residential proxies"),
    ("partial_10", 7 * HOUR, "partly confirmed"),
    ("scatter_country", 12 * HOUR, "scattered numbers"),
];

/// A code is typed in.
struct Typing {
    to: String,
    verification: String,
    /// Wrong codes before the right one.
    wrong: u32,
    /// Whether the right one follows.
    right: bool,
    /// Of which attack.
    attack: Option<usize>,
}

/// The days that are being played.
pub struct Day<'a> {
    client: &'a Client,
    simulation: Simulation,
    next: Option<Line<'static>>,
    /// The gateway's clock is so much ahead of the simulator's, milliseconds.
    ahead: i64,
    /// By time, then in the order in which they came up.
    typing: BTreeMap<(i64, u64), Typing>,
    planned: u64,
    /// What the gateway gave to devices, by number.
    tokens: HashMap<String, String>,
    /// Paced for somebody who watches.
    watched: bool,
    /// What became of it.
    pub tally: Tally,
}

impl<'a> Day<'a> {
    /// Everybody gets ready, and the gateway's clock goes to midnight.
    pub async fn begin(client: &'a Client, seed: u64, watched: bool) -> Result<Self, String> {
        let attacks = ATTACKS.map(|(name, later, _)| (name, later));
        let mut simulation = Simulation::several(&attacks, seed, PARAMS).map_err(|e| e.to_string())?;
        let start = next_midnight();
        if !client.set_clock(start).await? {
            return Err("the sandbox clock cannot be set".to_owned());
        }
        Ok(Day {
            client,
            next: simulation.next(),
            ahead: start.as_millis() - simulation.start().as_millis(),
            simulation,
            typing: BTreeMap::new(),
            planned: 0,
            tokens: HashMap::new(),
            watched,
            tally: Tally::default(),
        })
    }

    /// Plays them to their end.
    pub async fn play(&mut self, board: &mut Board) -> Result<(), String> {
        let (begun, first) = (Instant::now(), self.simulation.start().as_millis());
        let whole = self.simulation.end().as_millis() - first;
        while let Some(at) = self.soonest() {
            let into = at - first;
            if self.watched {
                let due = SHOW.mul_f64(into as f64 / whole as f64);
                tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
            }
            self.client.set_clock(Timestamp::from_millis(at + self.ahead)).await?;
            self.happen(at).await?;
            board.show(into, &self.tally);
        }
        Ok(())
    }

    /// When something happens next.
    fn soonest(&self) -> Option<i64> {
        let asked = self.next.as_ref().map(|line| line.t.as_millis());
        let typed = self.typing.keys().next().map(|(at, _)| *at);
        asked.into_iter().chain(typed).min()
    }

    async fn happen(&mut self, at: i64) -> Result<(), String> {
        let typed = self.typing.first_key_value().is_some_and(|((due, _), _)| *due <= at);
        if typed && let Some((_, typing)) = self.typing.pop_first() {
            return self.type_in(at, typing).await;
        }
        let Some(line) = self.next.take() else { return Ok(()) };
        self.next = self.simulation.next();
        self.ask(at, line).await
    }

    async fn ask(&mut self, at: i64, line: Line<'static>) -> Result<(), String> {
        let Op::VerifyStart(start) = &line.op else { return Ok(()) };
        let to = start.to.0.to_string();
        let text = |value: &Option<seawall_core::trace::Text<'static>>| value.as_deref().map(str::to_owned);
        let holds = line.client.device_token.is_some();
        let caller = Caller {
            ip: text(&line.client.ip),
            user_agent: text(&line.client.user_agent),
            fingerprint: text(&line.client.fingerprint),
            device_token: self.tokens.get(&to).filter(|_| holds).cloned(),
        };
        let campaign = line.truth.as_ref().and_then(|truth| truth.campaign.as_deref());
        let attack = campaign.and_then(|name| ATTACKS.iter().position(|(known, ..)| *known == name));
        let asked = self.client.ask(&to, &caller).await?;
        let price = start.price_micros.unwrap_or(0);
        let begins = self.simulation.start().as_millis();
        match attack {
            Some(attack) => self.tally.attacker(attack, at - begins, price, &asked),
            None => self.tally.person(&to, at - begins, &asked),
        }
        if let Asked::Sent(verification) = asked {
            let follows = start.if_sent;
            let right = follows.confirm_after_ms.is_some();
            let after = follows.confirm_after_ms.and_then(|ms| i64::try_from(ms).ok()).unwrap_or(15_000);
            let typing = Typing { to, verification, wrong: follows.wrong_checks, right, attack };
            if right || typing.wrong > 0 {
                self.plan(at + after, typing);
            }
        }
        Ok(())
    }

    fn plan(&mut self, at: i64, typing: Typing) {
        self.planned += 1;
        self.typing.insert((at, self.planned), typing);
    }

    async fn type_in(&mut self, at: i64, typing: Typing) -> Result<(), String> {
        let code = self.client.read_code(&typing.to).await?;
        if typing.wrong > 0 {
            self.client.check(&typing.verification, &mistyped(&code)).await?;
            let wrong = typing.wrong - 1;
            if typing.right || wrong > 0 {
                self.plan(at + SECOND_LOOK, Typing { wrong, ..typing });
            }
            return Ok(());
        }
        let Some(token) = self.client.check(&typing.verification, &code).await? else { return Ok(()) };
        match typing.attack {
            Some(attack) => self.tally.confirmed(attack),
            None => self.tally.verified(&typing.to),
        }
        self.tokens.insert(typing.to, token);
        Ok(())
    }
}

/// The code with its first digit one higher.
fn mistyped(code: &str) -> String {
    let mut digits = code.chars();
    let first = digits.next().and_then(|c| c.to_digit(10)).unwrap_or(0);
    format!("{}{}", (first + 1) % 10, digits.as_str())
}

/// The days begin when no clock has been yet.
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

    #[test]
    fn every_attack_happens_on_the_second_day() {
        let attacks = ATTACKS.map(|(name, later, _)| (name, later));
        let simulation = Simulation::several(&attacks, 1, PARAMS).unwrap();
        let second = simulation.warmup_until();
        let mut seen = [0; ATTACKS.len()];
        for line in simulation {
            let truth = line.truth.unwrap();
            let Some(name) = truth.campaign else { continue };
            seen[ATTACKS.iter().position(|(known, ..)| **known == *name).unwrap()] += 1;
            assert!(line.t >= second);
        }
        assert_eq!(seen, [1000, 750, 750, 625]);
    }
}
