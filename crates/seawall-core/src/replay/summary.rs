//! What a replay comes to. The only place that looks at what only the summary may know.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Decided;
use crate::decision::Verdict;
use crate::time::Timestamp;
use crate::trace::{Line, Op};

/// Counts over a replay.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Requests counted: those after the warm-up.
    pub requests: u64,
    /// How long the replay took.
    pub seconds: f64,
    /// Requests of real users.
    pub legit: Legit,
    /// Requests of attackers.
    pub attack: Attack,
    /// Of the requests that are counted as real users', those of which the trace does not say it.
    #[serde(skip_serializing_if = "Unlabelled::is_empty")]
    pub unlabelled: Unlabelled,
    #[serde(skip)]
    warm_until: Option<Timestamp>,
}

/// How real users fared. Only requests that ask for a message are counted; what is not said to be an attack's is
/// taken for a real user's.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Legit {
    /// How many.
    pub n: u64,
    /// Refused.
    pub blocked: u64,
    /// Sent to another channel.
    pub alternative: u64,
    /// Asked to prove something.
    pub challenged: u64,
    /// Told to wait.
    pub delayed: u64,
    /// Percent refused.
    pub blocked_pct: f64,
    /// Percent asked to prove something.
    pub challenged_pct: f64,
    /// How many were sent.
    pub sent: u64,
}

/// Requests of which nobody says whose they were: those of a real log.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Unlabelled {
    /// How many.
    pub n: u64,
    /// How many were sent.
    pub sent: u64,
    /// What those cost, in micro-units.
    pub cost_sent_micros: i64,
    /// What the others would have cost.
    pub cost_stopped_micros: i64,
}

/// How attackers fared.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Attack {
    /// How many requests.
    pub n: u64,
    /// How many were sent.
    pub sent: u64,
    /// Percent sent.
    pub leak_pct: f64,
    /// What they cost, in micro-units.
    pub cost_leaked_micros: i64,
    /// Campaign by campaign.
    pub campaigns: BTreeMap<String, Campaign>,
}

/// How one campaign fared.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Campaign {
    /// How many requests.
    pub n: u64,
    /// How many were sent.
    pub sent: u64,
    /// Percent sent.
    pub leak_pct: f64,
    /// Sent before the first one was stopped (alternative, throttle or block); `None`: none was.
    pub messages_to_detection: Option<u64>,
    /// Minutes from the first request to the first one that was stopped.
    pub minutes_to_detection: Option<f64>,
    #[serde(skip)]
    began: Option<Timestamp>,
}

impl Summary {
    /// Counts from `warm_until` on.
    pub fn new(warm_until: Option<Timestamp>) -> Self {
        Summary { warm_until, ..Summary::default() }
    }

    /// Counts one request.
    pub fn add(&mut self, line: &Line<'_>, decided: &Decided) {
        if self.warm_until.is_some_and(|until| line.t < until) {
            return;
        }
        self.requests += 1;
        if matches!(line.op, Op::VerifyCheck(_)) {
            return;
        }
        let verdict = decided.decision.verdict;
        match line.truth.as_ref().filter(|truth| truth.attack) {
            None => {
                self.legit.add(verdict, decided.sent);
                if line.truth.is_none() {
                    self.unlabelled.add(decided);
                }
            }
            Some(truth) => {
                let name = truth.campaign.as_ref().map_or("unnamed", |name| name);
                self.attack.add(name, line.t, verdict, decided);
            }
        }
    }

    /// Works out the percentages.
    pub fn finish(&mut self, seconds: f64) {
        self.seconds = seconds;
        let legit = &mut self.legit;
        legit.blocked_pct = percent(legit.blocked, legit.n);
        legit.challenged_pct = percent(legit.challenged, legit.n);
        let attack = &mut self.attack;
        attack.leak_pct = percent(attack.sent, attack.n);
        for campaign in attack.campaigns.values_mut() {
            campaign.leak_pct = percent(campaign.sent, campaign.n);
        }
    }
}

impl Legit {
    fn add(&mut self, verdict: Verdict, sent: bool) {
        self.n += 1;
        self.sent += u64::from(sent);
        match verdict {
            Verdict::Allow => {}
            Verdict::Challenge => self.challenged += 1,
            Verdict::Alternative => self.alternative += 1,
            Verdict::Throttle => self.delayed += 1,
            Verdict::Block => self.blocked += 1,
        }
    }
}

impl Unlabelled {
    fn is_empty(&self) -> bool {
        self.n == 0
    }

    fn add(&mut self, decided: &Decided) {
        self.n += 1;
        self.sent += u64::from(decided.sent);
        let cost = if decided.sent { &mut self.cost_sent_micros } else { &mut self.cost_stopped_micros };
        *cost = cost.saturating_add(decided.price);
    }
}

impl Attack {
    fn add(&mut self, name: &str, at: Timestamp, verdict: Verdict, decided: &Decided) {
        self.n += 1;
        if decided.sent {
            self.sent += 1;
            self.cost_leaked_micros = self.cost_leaked_micros.saturating_add(decided.price);
        }
        if !self.campaigns.contains_key(name) {
            self.campaigns.insert(name.to_owned(), Campaign { began: Some(at), ..Campaign::default() });
        }
        let Some(campaign) = self.campaigns.get_mut(name) else { return };
        if verdict >= Verdict::Alternative && campaign.messages_to_detection.is_none() {
            campaign.messages_to_detection = Some(campaign.sent);
            let since = at.since(campaign.began.unwrap_or(at)).as_secs_f64();
            campaign.minutes_to_detection = Some((since / 6.0).round() / 10.0);
        }
        campaign.n += 1;
        campaign.sent += u64::from(decided.sent);
    }
}

/// Percent with three decimals.
#[allow(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 * 100_000.0 / whole as f64).round() / 1000.0 }
}
