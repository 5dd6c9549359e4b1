//! How one defence fared in one scenario with one seed.

use hashbrown::HashMap;

use seawall_core::country::Country;
use seawall_core::decision::Verdict;
use seawall_core::replay::{Decided, Summary};
use seawall_core::sim::Kind;
use seawall_core::time::Timestamp;
use seawall_core::trace::Line;

use super::defence::Defence;

/// An attack that rests so long begins anew (seconds): for the family that tests before it bursts.
const PAUSE: u64 = 6 * 3600;
/// Bystanders are looked at until so long after the last message of the attack (seconds).
const AFTERMATH: u64 = 6 * 3600;

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub scenario: &'static str,
    pub kind: Kind,
    /// Place in the list of scenarios.
    pub order: usize,
    pub seed: u64,
    pub defence: Defence,
    pub summary: Summary,
    pub near: Near,
    /// Messages of the attack's last part (after its longest rest) before the first one was stopped.
    pub burst: Option<u64>,
    /// Seconds of CPU for all lines, and how many; of the engine alone.
    pub pace: Option<(f64, u64)>,
    /// Bytes of the engine's snapshot at the end.
    pub state: Option<usize>,
}

/// Unknown real users of the attacked countries, while the attack lasts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Near {
    pub n: u64,
    pub blocked: u64,
    pub alternative: u64,
    pub challenged: u64,
}

/// Counts while a trace is played.
pub(crate) struct Score {
    summary: Summary,
    warm_until: Timestamp,
    near: HashMap<Country, (Near, Option<Timestamp>)>,
    burst: Burst,
}

#[derive(Default)]
struct Burst {
    last: Option<Timestamp>,
    sent: u64,
    stopped_after: Option<u64>,
}

impl Score {
    pub fn new(warm_until: Timestamp) -> Self {
        let (near, burst) = (HashMap::new(), Burst::default());
        Score { summary: Summary::new(Some(warm_until)), warm_until, near, burst }
    }

    /// Counts one line, which asks for a message to that country or is none of those.
    pub fn add(&mut self, line: &Line<'_>, country: Option<Country>, decided: &Decided) {
        self.summary.add(line, decided);
        let Some(country) = country.filter(|_| line.t >= self.warm_until) else { return };
        let attack = line.truth.as_ref().is_some_and(|truth| truth.attack);
        if attack {
            self.burst.add(line.t, decided);
        }
        self.bystander(country, attack, line, decided);
    }

    fn bystander(&mut self, country: Country, attack: bool, line: &Line<'_>, decided: &Decided) {
        let (near, attacked) = self.near.entry(country).or_default();
        if attack {
            *attacked = Some(line.t);
            return;
        }
        let lasts = attacked.is_some_and(|at| line.t.since(at).as_secs() < AFTERMATH);
        if !lasts || line.client.device_token.is_some() {
            return;
        }
        near.n += 1;
        match decided.decision.verdict {
            Verdict::Block => near.blocked += 1,
            Verdict::Alternative => near.alternative += 1,
            Verdict::Challenge => near.challenged += 1,
            Verdict::Allow | Verdict::Throttle => {}
        }
    }

    /// Ends.
    pub fn finish(mut self) -> (Summary, Near, Option<u64>) {
        self.summary.finish(0.0);
        let mut all = Near::default();
        for (near, _) in self.near.into_values().filter(|(_, attacked)| attacked.is_some()) {
            all.n += near.n;
            all.blocked += near.blocked;
            all.alternative += near.alternative;
            all.challenged += near.challenged;
        }
        (self.summary, all, self.burst.stopped_after)
    }
}

impl Burst {
    fn add(&mut self, at: Timestamp, decided: &Decided) {
        if self.last.is_some_and(|last| at.since(last).as_secs() >= PAUSE) {
            (self.sent, self.stopped_after) = (0, None);
        }
        self.last = Some(at);
        if decided.decision.verdict >= Verdict::Alternative && self.stopped_after.is_none() {
            self.stopped_after = Some(self.sent);
        }
        self.sent += u64::from(decided.sent);
    }
}

impl Outcome {
    /// Percent of real users' requests that were answered so.
    pub fn legit_pct(&self, of: impl Fn(&seawall_core::replay::Legit) -> u64) -> f64 {
        percent(of(&self.summary.legit), self.summary.legit.n)
    }

    /// Requests of real users that brought no message: refused, told to wait, sent elsewhere, or challenged in vain.
    pub fn turned_away(&self) -> u64 {
        self.summary.legit.n.saturating_sub(self.summary.legit.sent)
    }

    /// Dollars leaked.
    #[allow(clippy::cast_precision_loss, reason = "money far below 2^53")]
    pub fn dollars(&self) -> f64 {
        self.summary.attack.cost_leaked_micros as f64 / 1e6
    }

    /// Messages before the first stop; for the family that tests first, of its burst.
    pub fn first_stop(&self) -> Option<u64> {
        if self.scenario == "test_then_burst" {
            return self.burst;
        }
        self.summary.attack.campaigns.values().next().and_then(|campaign| campaign.messages_to_detection)
    }

    /// Minutes to it.
    pub fn minutes(&self) -> Option<f64> {
        self.summary.attack.campaigns.values().next().and_then(|campaign| campaign.minutes_to_detection)
    }
}

/// Percent.
#[allow(clippy::cast_precision_loss, reason = "counts far below 2^53")]
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}
