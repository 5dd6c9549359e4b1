//! One scenario with one seed against several defences, which see the same counterfactual trace.

use std::time::Instant;

use seawall_core::country::Country;
use seawall_core::decision::Verdict;
use seawall_core::detect::Engine;
use seawall_core::replay::{Decided, Replay, Setting};
use seawall_core::sim::{Fate, Params, Scenario, Simulation, scenarios};
use seawall_core::trace::{Line, Op};

use super::baseline::Baseline;
use super::defence::Defence;
use super::score::{Outcome, Score};
use super::seen::{self, Seen};

/// What is to be run.
pub(crate) struct Job<'a> {
    pub scenario: &'a Scenario,
    pub seed: u64,
    pub defences: Vec<Defence>,
}

/// A defence at work, and how it fares.
struct Player {
    defence: Defence,
    replay: Option<Box<Replay>>,
    baseline: Option<Baseline>,
    score: Score,
    seconds: f64,
    lines: u64,
}

impl Job<'_> {
    /// Plays it.
    pub fn run(&self) -> Vec<Outcome> {
        self.sized(self.scenario.params)
    }

    /// Plays it at another size. An attack that adapts has a trace of its own against each defence.
    pub fn sized(&self, params: Params) -> Vec<Outcome> {
        let Ok(simulation) = Simulation::sized(self.scenario.name, self.seed, params) else {
            return Vec::new();
        };
        if !simulation.adapts() {
            return self.play(simulation, &self.defences);
        }
        let alone = |defence: &Defence| {
            let own = Simulation::sized(self.scenario.name, self.seed, params).ok()?;
            Some(self.play(own, &[*defence]))
        };
        self.defences.iter().filter_map(alone).flatten().collect()
    }

    fn play(&self, mut simulation: Simulation, defences: &[Defence]) -> Vec<Outcome> {
        let warm = simulation.warmup_until();
        let mut players: Vec<Player> =
            defences.iter().map(|defence| Player::new(*defence, warm.as_millis())).collect();
        while let Some(request) = simulation.next_request() {
            let id = request.id;
            let line = request.into_line();
            let number = seen::number(&line);
            let seen = number.as_ref().and_then(|number| Seen::of(&line, number));
            let country = number.map(|number| number.country);
            for player in &mut players {
                if let Some(decided) = player.step(&line, seen.as_ref(), country) {
                    simulation.tell(id, fate(&decided));
                }
            }
        }
        players.into_iter().map(|player| self.outcome(player)).collect()
    }

    fn outcome(&self, player: Player) -> Outcome {
        let (summary, near, burst) = player.score.finish();
        let order = scenarios().iter().position(|s| s.name == self.scenario.name).unwrap_or(0);
        Outcome {
            scenario: self.scenario.name,
            kind: self.scenario.kind,
            order,
            seed: self.seed,
            defence: player.defence,
            summary,
            near,
            burst,
            pace: player.replay.as_ref().map(|_| (player.seconds, player.lines)),
            state: player.replay.as_ref().map(|replay| replay.engine().snapshot().len()),
        }
    }
}

impl Player {
    fn new(defence: Defence, warm_until: i64) -> Self {
        let (replay, baseline) = match defence {
            Defence::Engine => (Some(Box::new(Replay::under(Setting::default(), Engine::default()))), None),
            Defence::Baseline(kind, factor, _) => (None, Some(Baseline::new(kind, factor, warm_until))),
        };
        let score = Score::new(seawall_core::time::Timestamp::from_millis(warm_until));
        Player { defence, replay, baseline, score, seconds: 0.0, lines: 0 }
    }

    /// What it decides; nothing where it has no say, or where a line cannot be decided at all.
    fn step(&mut self, line: &Line<'_>, seen: Option<&Seen>, country: Option<Country>) -> Option<Decided> {
        let decided = match (&mut self.replay, &mut self.baseline) {
            (Some(replay), _) => {
                let begun = Instant::now();
                let decided = replay.step(line).ok()?;
                self.seconds += begun.elapsed().as_secs_f64();
                self.lines += 1;
                decided
            }
            (_, Some(baseline)) => match (seen, &line.op) {
                (Some(seen), _) => baseline.step(seen),
                // A message that is no code: the baselines let it pass.
                (None, Op::SmsSend(sms)) => {
                    let price = sms.price_micros.and_then(|p| i64::try_from(p).ok()).unwrap_or(0);
                    Decided { decision: Default::default(), sent: true, price }
                }
                _ => return None,
            },
            _ => return None,
        };
        self.score.add(line, country, &decided);
        Some(decided)
    }
}

fn fate(decided: &Decided) -> Fate {
    match decided.decision.verdict {
        Verdict::Allow => Fate::Sent,
        Verdict::Challenge if decided.sent => Fate::Sent,
        Verdict::Challenge => Fate::Challenged,
        _ => Fate::Stopped,
    }
}
