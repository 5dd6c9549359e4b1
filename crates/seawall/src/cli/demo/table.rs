//! What is counted while the day goes by, and how it is shown: live on a terminal, in lines otherwise.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::attack;
use super::client::Asked;
use super::population::{DAY, LANDS};
use super::say;

/// Simulated time between two lines, milliseconds.
const LINE_EVERY: i64 = 2 * 3_600_000;
/// Refusals that are shown at the end.
const EXAMPLES: usize = 5;

impl Asked {
    /// The verification, if the code was sent.
    pub fn sent(self) -> Option<String> {
        match self {
            Asked::Sent(verification) => Some(verification),
            Asked::Refused(_) => None,
        }
    }
}

/// A refusal to show.
#[derive(Clone, Debug)]
pub struct Example {
    /// When, as a clock shows it.
    pub clock: String,
    /// `attack` or `person`.
    pub who: &'static str,
    /// The reason's code.
    pub code: String,
    /// The limit or other thing, in words.
    pub sentence: String,
}

/// The counts.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// People who came.
    pub people: u64,
    /// Codes that people asked for, and got.
    pub asked: u64,
    /// Codes sent to people.
    pub sent: u64,
    /// People whose code was right.
    pub verified: u64,
    /// People's requests refused because they came too soon after the last one.
    pub too_early: u64,
    /// People's requests refused for anything else.
    pub hurt: u64,
    /// Codes that the attack asked for.
    pub attack_asked: u64,
    /// Codes that it got.
    pub attack_sent: u64,
    /// Refusals of each kind, the first ones.
    pub examples: Vec<Example>,
}

impl Tally {
    /// Counts what became of a person's request.
    pub fn person(&mut self, at: i64, iso: &str, asked: &Asked) {
        self.asked += 1;
        match asked {
            Asked::Sent(_) => self.sent += 1,
            Asked::Refused(refused) if refused.too_early => self.too_early += 1,
            Asked::Refused(_) => self.hurt += 1,
        }
        self.note(at, "person", &format!("{iso}: "), asked);
    }

    /// Counts what became of a request of the attack.
    pub fn attacker(&mut self, at: i64, asked: &Asked) {
        self.attack_asked += 1;
        self.attack_sent += u64::from(matches!(asked, Asked::Sent(_)));
        self.note(at, "attack", "", asked);
    }

    fn note(&mut self, at: i64, who: &'static str, prefix: &str, asked: &Asked) {
        let Asked::Refused(refused) = asked else { return };
        let sentence = format!("{prefix}{}", refused.sentence);
        let known =
            |e: &Example| e.who == who && e.code == refused.code && limit(&e.sentence) == limit(&sentence);
        if self.examples.len() < EXAMPLES && !self.examples.iter().any(known) {
            self.examples.push(Example { clock: clock(at), who, code: refused.code.clone(), sentence });
        }
    }

    /// Codes that the attack did not get.
    pub fn attack_stopped(&self) -> u64 {
        self.attack_asked - self.attack_sent
    }

    /// What so many messages of the attack cost.
    pub fn cost(messages: u64) -> String {
        let price = LANDS.iter().find(|land| land.iso == attack::COUNTRY).map_or(0, |land| land.price);
        let micros = i64::try_from(messages).unwrap_or(i64::MAX).saturating_mul(price);
        format!("${}.{:02}", micros / 1_000_000, micros / 10_000 % 100)
    }

    fn people_line(&self) -> String {
        format!(
            "people  {:>5} codes sent   {:>5} verified   {:>4} asked too early   {:>4} hurt",
            self.sent, self.verified, self.too_early, self.hurt
        )
    }

    fn attack_line(&self) -> String {
        format!(
            "attack  {:>5} codes sent   {:>5} stopped    {} saved, {} lost",
            self.attack_sent,
            self.attack_stopped(),
            Self::cost(self.attack_stopped()),
            Self::cost(self.attack_sent)
        )
    }
}

/// Where the counts are shown.
pub enum Board {
    /// On a terminal.
    Live { day: ProgressBar, people: ProgressBar, attack: ProgressBar },
    /// In lines; the next one is due then.
    Lines { next: i64 },
}

impl Board {
    /// Begins.
    pub fn new(live: bool) -> Self {
        if !live {
            return Board::Lines { next: LINE_EVERY };
        }
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let bar = |template: &str| {
            let style =
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            all.add(ProgressBar::new(DAY.unsigned_abs()).with_style(style))
        };
        let board = Board::Live { day: bar("{msg} {wide_bar}"), people: bar("{msg}"), attack: bar("{msg}") };
        if let Board::Live { day, .. } = &board {
            day.enable_steady_tick(Duration::from_millis(200));
        }
        board
    }

    /// Shows the counts at a time of the day.
    pub fn show(&mut self, at: i64, tally: &Tally) {
        match self {
            Board::Live { day, people, attack } => {
                day.set_position(at.unsigned_abs().min(DAY.unsigned_abs()));
                day.set_message(clock(at));
                people.set_message(tally.people_line());
                attack.set_message(tally.attack_line());
            }
            Board::Lines { next } if at >= *next => {
                say(format!("{}  {} | {}", clock(at), tally.people_line(), tally.attack_line()));
                *next = at - at.rem_euclid(LINE_EVERY) + LINE_EVERY;
            }
            Board::Lines { .. } => {}
        }
    }

    /// Leaves the last state standing.
    pub fn finish(self) {
        if let Board::Live { day, people, attack } = self {
            day.abandon();
            people.abandon();
            attack.abandon();
        }
    }
}

/// Which limit a sentence is about: examples of each kind differ in their figures and numbers only.
fn limit(sentence: &str) -> &str {
    let about = sentence.split_once("limit \"").and_then(|(_, rest)| rest.split_once('"'));
    about.map_or("", |(name, _)| name)
}

/// Hours and minutes.
fn clock(at: i64) -> String {
    let minutes = at / 60_000;
    format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
}
