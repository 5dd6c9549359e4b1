//! What the gateway counts about itself. Recording is one relaxed addition into an array that an enum
//! indexes; only the submissions, which wait for the network anyway, take a lock.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use seawall_connect::Submission;
use seawall_core::decision::{Decision, Verdict};
use seawall_core::message::MessageState;
use seawall_core::reason::ReasonCode;

/// Which wire dialect a request spoke, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// `/api/…` and the legacy aliases.
    Eight,
    /// `/v1/…`
    Native,
    /// `/admin/v1/…`
    Admin,
    /// Provider callbacks.
    Callbacks,
    /// Health, metrics, documents, and paths that lead nowhere.
    Other,
}

impl Surface {
    const ALL: [Surface; 5] = [Self::Eight, Self::Native, Self::Admin, Self::Callbacks, Self::Other];

    fn as_str(self) -> &'static str {
        match self {
            Self::Eight => "8x8",
            Self::Native => "native",
            Self::Admin => "admin",
            Self::Callbacks => "callbacks",
            Self::Other => "other",
        }
    }

    /// The surface that a path belongs to.
    pub fn of(path: &str) -> Self {
        let below = |prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        match () {
            () if below("/v1") => Self::Native,
            () if below("/admin") => Self::Admin,
            () if below("/callbacks") => Self::Callbacks,
            () if below("/api") || below("/sms") || below("/voice") => Self::Eight,
            () => Self::Other,
        }
    }
}

/// What a submission came to, as attempts spell it.
#[derive(Clone, Copy)]
enum SubmitOutcome {
    Accepted,
    Refused,
    Throttled,
    Unreachable,
    Unknown,
}

impl SubmitOutcome {
    const ALL: [SubmitOutcome; 5] =
        [Self::Accepted, Self::Refused, Self::Throttled, Self::Unreachable, Self::Unknown];

    fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::Unreachable => "unreachable",
            Self::Unknown => "unknown",
        }
    }

    fn of(submission: &Submission) -> Self {
        match submission {
            Submission::Accepted { .. } => Self::Accepted,
            Submission::Refused { .. } => Self::Refused,
            Submission::Throttled { .. } => Self::Throttled,
            Submission::Unreachable { .. } => Self::Unreachable,
            Submission::Unknown { .. } => Self::Unknown,
        }
    }
}

const VERDICTS: [Verdict; 5] =
    [Verdict::Allow, Verdict::Challenge, Verdict::Alternative, Verdict::Throttle, Verdict::Block];
const REASONS: usize = ReasonCode::ALL.len();
/// Upper bounds of the decision histogram, microseconds.
const BOUNDS_US: [u64; 12] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_500_000];
/// Providers that are counted by name; the directory's own bound is lower.
const PROVIDERS_AT_MOST: usize = 1000;

/// All counters of one gateway.
#[derive(Default)]
pub struct Metrics {
    requests: [[AtomicU64; 5]; Surface::ALL.len()],
    verdicts: [AtomicU64; VERDICTS.len()],
    reasons: ByReason,
    shadowed: ByReason,
    transitions: [AtomicU64; MessageState::ALL.len()],
    decisions: Histogram,
    missed: Mutex<BTreeMap<&'static str, u64>>,
    submits: Mutex<BTreeMap<String, [u64; SubmitOutcome::ALL.len()]>>,
}

/// One counter a reason; there are more than arrays have a default for.
struct ByReason([AtomicU64; REASONS]);

impl Default for ByReason {
    fn default() -> Self {
        ByReason(std::array::from_fn(|_| AtomicU64::default()))
    }
}

#[derive(Default)]
struct Histogram {
    /// One for each bound, and one for what is above all of them.
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

fn bump(counters: &[AtomicU64], at: usize) {
    if let Some(counter) = counters.get(at) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// A request was answered. To be called once a request, by the door.
    pub fn answered(&self, surface: Surface, status: u16) {
        if let Some(classes) = self.requests.get(surface as usize) {
            bump(classes, usize::from(status / 100).saturating_sub(1).min(4));
        }
    }

    /// A request was decided, which took so long, facts and limits included.
    pub fn decided(&self, decision: &Decision, took: Duration) {
        bump(&self.verdicts, decision.verdict as usize);
        for reason in &decision.reasons {
            let counters = if reason.in_force() { &self.reasons } else { &self.shadowed };
            bump(&counters.0, reason.code as usize);
        }
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        bump(&self.decisions.buckets, BOUNDS_US.partition_point(|bound| *bound < us));
        self.decisions.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Rules looked so often at an attribute that the request did not have.
    pub fn missed(&self, attribute: &'static str, count: u64) {
        *self.missed.lock().unwrap_or_else(PoisonError::into_inner).entry(attribute).or_default() += count;
    }

    /// A message came into a state; its acceptance included.
    pub fn moved(&self, state: MessageState) {
        bump(&self.transitions, usize::from(state.as_u8()));
    }

    /// A submission came to an end.
    pub fn submitted(&self, provider: &str, submission: &Submission) {
        let outcome = SubmitOutcome::of(submission);
        let mut submits = self.submits.lock().unwrap_or_else(PoisonError::into_inner);
        if !submits.contains_key(provider) {
            if submits.len() >= PROVIDERS_AT_MOST {
                return;
            }
            submits.insert(provider.to_owned(), [0; SubmitOutcome::ALL.len()]);
        }
        if let Some(count) = submits.get_mut(provider).and_then(|counts| counts.get_mut(outcome as usize)) {
            *count += 1;
        }
    }

    /// Everything in the text format of Prometheus. `gauges`: name, help and value of what is measured only
    /// when someone looks.
    pub fn text(&self, gauges: &[(&str, &str, u64)]) -> String {
        let mut out = Text(String::with_capacity(8 * 1024));
        self.write_requests(&mut out);
        self.write_decisions(&mut out);
        out.head("seawall_message_transitions_total", "Messages that came into a state.", "counter");
        for (state, count) in MessageState::ALL.iter().zip(&self.transitions) {
            out.line("seawall_message_transitions_total", &[("state", state.as_str())], read(count));
        }
        self.write_submits(&mut out);
        for (name, help, value) in gauges {
            out.head(name, help, "gauge");
            out.line(name, &[], *value);
        }
        out.0
    }

    fn write_requests(&self, out: &mut Text) {
        out.head("seawall_requests_total", "Requests by dialect and class of status.", "counter");
        for (surface, classes) in Surface::ALL.iter().zip(&self.requests) {
            for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(classes) {
                let labels = [("dialect", surface.as_str()), ("status", class)];
                out.line("seawall_requests_total", &labels, read(count));
            }
        }
    }

    fn write_decisions(&self, out: &mut Text) {
        out.head("seawall_decisions_total", "Decisions by verdict.", "counter");
        for (verdict, count) in VERDICTS.iter().zip(&self.verdicts) {
            out.line("seawall_decisions_total", &[("verdict", verdict.as_str())], read(count));
        }
        out.head(
            "seawall_decision_reasons_total",
            "Reasons of decisions, in force or only recorded.",
            "counter",
        );
        for (counts, effect) in [(&self.reasons.0, "in_force"), (&self.shadowed.0, "recorded")] {
            for (code, count) in ReasonCode::ALL.iter().zip(counts) {
                let labels = [("reason", code.as_str()), ("effect", effect)];
                out.line("seawall_decision_reasons_total", &labels, read(count));
            }
        }
        out.head(
            "seawall_rule_missing_total",
            "How often rules looked at an attribute that the request did not have.",
            "counter",
        );
        for (attribute, count) in &*self.missed.lock().unwrap_or_else(PoisonError::into_inner) {
            out.line("seawall_rule_missing_total", &[("attribute", attribute)], *count);
        }
        self.decisions.write(out);
    }

    fn write_submits(&self, out: &mut Text) {
        out.head("seawall_submissions_total", "Submissions to providers by outcome.", "counter");
        for (provider, counts) in &*self.submits.lock().unwrap_or_else(PoisonError::into_inner) {
            for (outcome, count) in SubmitOutcome::ALL.iter().zip(counts) {
                let labels = [("provider", provider.as_str()), ("outcome", outcome.as_str())];
                out.line("seawall_submissions_total", &labels, *count);
            }
        }
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Microseconds as seconds, exactly.
fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

impl Histogram {
    fn write(&self, out: &mut Text) {
        let name = "seawall_decision_duration_seconds";
        out.head(name, "From a request's facts to its decision, limits charged.", "histogram");
        let mut total = 0;
        let bounds = BOUNDS_US.iter().map(|us| seconds(*us)).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(&self.buckets) {
            total += read(count);
            out.line(&format!("{name}_bucket"), &[("le", &bound)], total);
        }
        out.line(&format!("{name}_sum"), &[], seconds(read(&self.sum_us)));
        out.line(&format!("{name}_count"), &[], total);
    }
}

/// Text format 0.0.4.
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let escaped = |v: &str| v.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{}\"", escaped(v))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_core::reason::Reason;

    #[test]
    fn what_was_recorded_is_shown() {
        let metrics = Metrics::default();
        metrics.answered(Surface::of("/v1/messages"), 201);
        metrics.answered(Surface::of("/v1x"), 404);
        let reasons = vec![Reason::new(ReasonCode::LimitExceeded, "full")];
        let decision = Decision { verdict: Verdict::Throttle, reasons, ..Decision::default() };
        metrics.decided(&decision, Duration::from_micros(50));
        metrics.decided(&decision, Duration::from_secs(60));
        metrics.moved(MessageState::Delivered);
        metrics.submitted("a\"b", &Submission::Unknown { detail: String::new() });
        let text = metrics.text(&[("seawall_outbox_messages", "Waiting.", 7)]);
        for line in [
            r#"seawall_requests_total{dialect="native",status="2xx"} 1"#,
            r#"seawall_requests_total{dialect="other",status="4xx"} 1"#,
            r#"seawall_decisions_total{verdict="throttle"} 2"#,
            r#"seawall_decision_reasons_total{reason="limit-exceeded",effect="in_force"} 2"#,
            r#"seawall_decision_duration_seconds_bucket{le="0.000050"} 1"#,
            r#"seawall_decision_duration_seconds_bucket{le="+Inf"} 2"#,
            "seawall_decision_duration_seconds_sum 60.000050",
            r#"seawall_message_transitions_total{state="delivered"} 1"#,
            r#"seawall_submissions_total{provider="a\"b",outcome="unknown"} 1"#,
            "seawall_outbox_messages 7",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn enums_index_their_arrays() {
        assert!(Surface::ALL.iter().enumerate().all(|(i, s)| *s as usize == i));
        assert!(VERDICTS.iter().enumerate().all(|(i, v)| *v as usize == i));
        assert!(ReasonCode::ALL.iter().enumerate().all(|(i, r)| *r as usize == i));
        assert!(SubmitOutcome::ALL.iter().enumerate().all(|(i, o)| *o as usize == i));
        assert!(MessageState::ALL.iter().enumerate().all(|(i, s)| usize::from(s.as_u8()) == i));
    }
}
