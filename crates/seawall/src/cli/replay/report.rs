//! What a replay came to, for people: counts and money, and for a log without labels by which reasons and where
//! messages would have been stopped.

use std::collections::BTreeMap;
use std::fmt::Write;

use seawall_core::msisdn::Msisdn;
use seawall_core::reason::ReasonCode;
use seawall_core::replay::{Campaign, Decided, Summary};
use seawall_core::time::Timestamp;
use seawall_core::trace::{Line, Op};

/// Rows of a table at most.
const ROWS: usize = 10;

/// Where and why messages were stopped.
#[derive(Default)]
pub(super) struct Stopped {
    from: Option<Timestamp>,
    reasons: BTreeMap<&'static str, Row>,
    countries: BTreeMap<String, Row>,
}

#[derive(Clone, Copy, Default)]
struct Row {
    n: u64,
    micros: i64,
}

impl Row {
    fn add(&mut self, price: i64) {
        self.n += 1;
        self.micros = self.micros.saturating_add(price);
    }
}

impl Stopped {
    /// From `from` on.
    pub fn new(from: Option<Timestamp>) -> Self {
        Stopped { from, ..Stopped::default() }
    }

    /// Counts one request.
    pub fn add(&mut self, line: &Line<'_>, decided: &Decided) {
        let to = match &line.op {
            Op::VerifyStart(start) => &start.to,
            Op::SmsSend(sms) => &sms.to,
            Op::VerifyCheck(_) => return,
        };
        if decided.sent || self.from.is_some_and(|from| line.t < from) {
            return;
        }
        let country = Msisdn::parse(to, None).map(|number| number.country.to_string()).unwrap_or_default();
        self.countries.entry(country).or_default().add(decided.price);
        if let Some(code) = leading(decided) {
            self.reasons.entry(code.as_str()).or_default().add(decided.price);
        }
    }

    fn table(&self, out: &mut String) {
        for (title, rows) in [
            ("stopped by", self.reasons.iter().map(|(name, row)| (*name, *row)).collect::<Vec<_>>()),
            ("stopped to", self.countries.iter().map(|(name, row)| (name.as_str(), *row)).collect()),
        ] {
            let mut rows = rows;
            rows.sort_by_key(|(name, row)| (std::cmp::Reverse(row.n), *name));
            for (name, row) in rows.iter().take(ROWS) {
                let _ = writeln!(out, "  {title} {name:<24} {:>9}  {:>10}", row.n, dollars(row.micros));
            }
        }
    }
}

/// The strongest reason in force.
fn leading(decided: &Decided) -> Option<ReasonCode> {
    let reasons = decided.decision.reasons.iter().filter(|reason| reason.in_force());
    reasons.map(|reason| reason.code).max_by_key(|code| code.verdict())
}

/// The summary in words.
pub(super) fn words(summary: &Summary, stopped: &Stopped, lines: u64) -> String {
    let mut out = String::new();
    let pace = if summary.seconds > 0.0 { per_second(lines, summary.seconds) } else { String::new() };
    let _ = writeln!(out, "{lines} requests in {:.2} s{pace}", summary.seconds);
    let legit = &summary.legit;
    let (label, unlabelled) = match summary.unlabelled.n {
        0 => ("real users", false),
        n if n == legit.n => ("requests", true),
        _ => ("real users (some of them not labelled)", false),
    };
    let _ = writeln!(
        out,
        "{label}: {} asked for a message; {} sent, {} blocked ({} %), {} to another channel, {} challenged ({} %), {} told to wait",
        legit.n,
        legit.sent,
        legit.blocked,
        legit.blocked_pct,
        legit.alternative,
        legit.challenged,
        legit.challenged_pct,
        legit.delayed
    );
    if unlabelled {
        let all = &summary.unlabelled;
        let _ = writeln!(
            out,
            "sent: {}, for {}; stopped: {}, which cost {}",
            all.sent,
            dollars(all.cost_sent_micros),
            all.n - all.sent,
            dollars(all.cost_stopped_micros)
        );
        stopped.table(&mut out);
        out.push_str("The log does not say which requests were attacks: whether what was stopped was fraud is for you to judge.\n");
    }
    let attack = &summary.attack;
    if attack.n > 0 {
        let _ = writeln!(
            out,
            "attacks: {} of {} sent ({} %), which cost {}",
            attack.sent,
            attack.n,
            attack.leak_pct,
            dollars(attack.cost_leaked_micros)
        );
        attack.campaigns.iter().for_each(|(name, one)| campaign(&mut out, name, one));
    }
    out
}

fn campaign(out: &mut String, name: &str, one: &Campaign) {
    let first = match (one.messages_to_detection, one.minutes_to_detection) {
        (Some(messages), Some(minutes)) => {
            format!("first stopped after {messages} messages, {minutes} minutes")
        }
        _ => "never stopped".to_owned(),
    };
    let _ = writeln!(out, "  {name}: {} of {} sent ({} %), {first}", one.sent, one.n, one.leak_pct);
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn per_second(lines: u64, seconds: f64) -> String {
    format!(", {:.0} a second", lines as f64 / seconds)
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn dollars(micros: i64) -> String {
    format!("${:.2}", micros as f64 / 1e6)
}
