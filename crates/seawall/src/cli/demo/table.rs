//! What is counted while the days go by, and how it is shown: live on a terminal, in lines otherwise.

use std::collections::HashSet;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use seawall_core::sim::DAY;

use super::client::{Asked, Refused};
use super::day::{ATTACKS, PARAMS};
use super::say;

/// Simulated time between two lines, milliseconds.
const LINE_EVERY: i64 = 4 * 3_600_000;
/// Refusals of each attack, and of people, that are shown at the end.
const EXAMPLES: usize = 2;

/// A refusal to show.
#[derive(Clone, Debug)]
pub struct Example {
    /// When, as a clock shows it.
    pub clock: String,
    /// The attack, or `person`.
    pub who: &'static str,
    /// The reason's code.
    pub code: String,
    /// The figures, in words.
    pub sentence: String,
}

/// The counts of one attack.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attack {
    /// Codes asked for.
    pub asked: u64,
    /// Codes sent.
    pub sent: u64,
    /// Codes sent before the first one was refused.
    pub before_first_stop: u64,
    /// Codes that the attacker confirmed.
    pub confirmed: u64,
    /// What the codes that were sent cost, micro-USD.
    pub lost: u64,
    /// What those that were not would have cost.
    pub saved: u64,
}

impl Attack {
    /// Codes that were not sent.
    pub fn stopped(&self) -> u64 {
        self.asked - self.sent
    }
}

/// The counts.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub(super) people: HashSet<String>,
    pub(super) verified: HashSet<String>,
    /// Codes that people asked for.
    pub asked: u64,
    /// Codes sent to people.
    pub sent: u64,
    /// People's requests refused because they came too soon after the last one.
    pub too_early: u64,
    /// People's requests refused for anything else.
    pub hurt: u64,
    /// The attacks, in the order of [`ATTACKS`].
    pub attacks: [Attack; ATTACKS.len()],
    /// The first refusals of each kind.
    pub examples: Vec<Example>,
}

impl Tally {
    /// People who came.
    pub fn people(&self) -> u64 {
        self.people.len() as u64
    }

    /// People whose code was right.
    pub fn people_verified(&self) -> u64 {
        self.verified.len() as u64
    }

    /// Counts what became of a person's request.
    pub fn person(&mut self, to: &str, at: i64, asked: &Asked) {
        self.asked += 1;
        self.people.insert(to.to_owned());
        match asked {
            Asked::Sent(_) => self.sent += 1,
            Asked::Refused(refused) if refused.too_early => self.too_early += 1,
            Asked::Refused(refused) => {
                self.hurt += 1;
                self.note(at, "person", refused);
            }
        }
    }

    /// Somebody's code was right.
    pub fn verified(&mut self, to: &str) {
        self.verified.insert(to.to_owned());
    }

    /// Counts what became of a request of an attack.
    pub fn attacker(&mut self, attack: usize, at: i64, price: u64, asked: &Asked) {
        let Some(counts) = self.attacks.get_mut(attack) else { return };
        let unnoticed = counts.stopped() == 0;
        counts.asked += 1;
        match asked {
            Asked::Sent(_) => {
                counts.before_first_stop += u64::from(unnoticed);
                counts.sent += 1;
                counts.lost += price;
            }
            Asked::Refused(refused) => {
                counts.saved += price;
                let name = ATTACKS.get(attack).map_or("", |(_, _, name)| name);
                self.note(at, name, refused);
            }
        }
    }

    /// The attacker confirmed one.
    pub fn confirmed(&mut self, attack: usize) {
        if let Some(counts) = self.attacks.get_mut(attack) {
            counts.confirmed += 1;
        }
    }

    fn note(&mut self, at: i64, who: &'static str, refused: &Refused) {
        let same = self.examples.iter().filter(|e| e.who == who).count();
        let known = self.examples.iter().any(|e| e.who == who && e.code == refused.code);
        if same < EXAMPLES && !known {
            let (code, sentence) = (refused.code.clone(), refused.sentence.clone());
            self.examples.push(Example { clock: clock(at), who, code, sentence });
        }
    }

    fn people_line(&self) -> String {
        format!(
            "people {:>5} codes sent {:>5} verified {:>3} too early {:>3} hurt",
            self.sent,
            self.people_verified(),
            self.too_early,
            self.hurt
        )
    }

    fn attacks_line(&self) -> String {
        let sum = |of: fn(&Attack) -> u64| self.attacks.iter().map(of).sum::<u64>();
        format!(
            "attacks {:>4} codes sent {:>5} stopped, {} lost, {} saved",
            sum(|a| a.sent),
            sum(Attack::stopped),
            dollars(sum(|a| a.lost)),
            dollars(sum(|a| a.saved))
        )
    }

    fn attack_line(&self, attack: usize) -> String {
        let (counts, name) = (self.attacks.get(attack).copied().unwrap_or_default(), ATTACKS.get(attack));
        format!(
            "{:<20} {:>4} codes sent {:>5} stopped, {} lost, {} saved",
            name.map_or("", |(_, _, name)| name),
            counts.sent,
            counts.stopped(),
            dollars(counts.lost),
            dollars(counts.saved)
        )
    }
}

/// Micro-dollars as dollars.
pub fn dollars(micros: u64) -> String {
    format!("${}.{:02}", micros / 1_000_000, micros / 10_000 % 100)
}

/// How long everything takes, simulated, in milliseconds.
fn whole() -> u64 {
    u64::from(PARAMS.warmup_days + PARAMS.test_days) * DAY.unsigned_abs()
}

/// Where the counts are shown.
pub enum Board {
    /// On a terminal: the time, people, and a line for each attack.
    Live {
        /// The time.
        day: ProgressBar,
        /// People.
        people: ProgressBar,
        /// The attacks.
        attacks: Vec<ProgressBar>,
    },
    /// In lines.
    Lines {
        /// When the next one is due.
        next: i64,
    },
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
            all.add(ProgressBar::new(whole()).with_style(style))
        };
        let (day, people) = (bar("{msg} {wide_bar}"), bar("{msg}"));
        let attacks = ATTACKS.iter().map(|_| bar("{msg}")).collect();
        day.enable_steady_tick(Duration::from_millis(200));
        Board::Live { day, people, attacks }
    }

    /// Shows the counts, so many milliseconds after the beginning.
    pub fn show(&mut self, at: i64, tally: &Tally) {
        match self {
            Board::Live { day, people, attacks } => {
                day.set_position(at.unsigned_abs().min(whole()));
                day.set_message(clock(at));
                people.set_message(tally.people_line());
                for (n, attack) in attacks.iter().enumerate() {
                    attack.set_message(tally.attack_line(n));
                }
            }
            Board::Lines { next } if at >= *next => {
                say(format!("{}  {} | {}", clock(at), tally.people_line(), tally.attacks_line()));
                *next = at - at.rem_euclid(LINE_EVERY) + LINE_EVERY;
            }
            Board::Lines { .. } => {}
        }
    }

    /// Leaves the last state standing.
    pub fn finish(self) {
        if let Board::Live { day, people, attacks } = self {
            day.abandon();
            people.abandon();
            attacks.iter().for_each(ProgressBar::abandon);
        }
    }
}

/// Day, hours and minutes.
fn clock(at: i64) -> String {
    let minutes = at / 60_000;
    format!("day {} {:02}:{:02}", minutes / 1440 + 1, minutes / 60 % 24, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_stop_is_counted_once() {
        let mut tally = Tally::default();
        let sent = || Asked::Sent("ver_1".to_owned());
        let refused = || {
            Asked::Refused(Refused {
                code: "campaign-block".to_owned(),
                sentence: String::new(),
                too_early: false,
            })
        };
        for asked in [sent(), sent(), refused(), sent(), refused()] {
            tally.attacker(0, 0, 100_000, &asked);
        }
        let counts = tally.attacks[0];
        assert_eq!((counts.before_first_stop, counts.sent, counts.stopped()), (2, 3, 2));
        assert_eq!((dollars(counts.lost), dollars(counts.saved)), ("$0.30".to_owned(), "$0.20".to_owned()));
        assert_eq!(tally.examples.len(), 1);
        assert_eq!(clock(DAY + 3_660_000), "day 2 01:01");
    }
}
