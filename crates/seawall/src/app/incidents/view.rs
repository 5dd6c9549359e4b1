//! Incidents as they are shown.

use seawall_core::time::{Timestamp, span};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::detection::happened::Judgement;
use super::incident::{Group, Incident, Vector};
use super::suggest::{self, Suggestion};
use super::top::Top;

/// How an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentStatus {
    /// It goes on.
    Open,
    /// Nothing was stopped for a while.
    Ended,
    /// Somebody closed it as dealt with.
    Closed,
    /// Somebody says that these were good users.
    FalseAlarm,
}

/// An incident at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct IncidentView {
    /// `inc_…`
    pub id: String,
    /// How it stands.
    pub status: IncidentStatus,
    /// What happens, in a sentence.
    pub summary: String,
    /// What most of its requests were stopped for.
    pub vector: Vector,
    /// Everything that they were stopped for.
    pub vectors: Vec<Vector>,
    /// The first message that is thought to belong to it.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// The first request that was stopped.
    #[schema(value_type = String, format = DateTime)]
    pub detected_at: Timestamp,
    /// The last one so far.
    #[schema(value_type = String, format = DateTime)]
    pub last_at: Timestamp,
    /// When it was over.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// Where the messages would have gone.
    pub countries: Vec<Counted>,
    /// What was stopped.
    pub stopped: Stopped,
    /// What got through.
    pub leaked: Leaked,
    /// What was not paid for: each number that was stopped once, where the price is known and nothing else
    /// refused it; less those that confirmed a code later. An estimate from below.
    pub loss_avoided: LossAvoided,
    /// What somebody says it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judgement: Option<JudgementView>,
}

/// A key and how often it was met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counted {
    /// Which one.
    pub key: String,
    /// How many requests.
    pub requests: u64,
}

/// Requests that did not become an ordinary message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Stopped {
    /// Refused.
    pub blocked: u64,
    /// Sent over another channel, or refused because there is none.
    pub redirected: u64,
    /// Asked to prove something, or sent where no challenge is set up.
    pub challenged: u64,
    /// Sent, and would have been stopped if detection decided (`shadow`).
    pub shadowed: u64,
    /// Let through on purpose, to see whether they are confirmed.
    pub canaries: u64,
}

/// Messages of the attack that were sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Leaked {
    /// Messages that nobody confirmed: sent to its ranges within the day before it was noticed, or afterwards
    /// although suspected.
    pub messages: u64,
    /// Those sent before the first one was stopped.
    pub before_detection: u64,
    /// What they cost, in micro-units, where prices are known.
    pub cost: i64,
    /// Messages to the same keys that were confirmed: bystanders, or an attacker who confirms some.
    pub confirmed: u64,
}

/// What was not paid for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LossAvoided {
    /// In micro-units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// Numbers that were counted.
    pub numbers: u64,
    /// Those among them whose price is not known, counted as nothing.
    pub unpriced: u64,
    /// Numbers that were stopped and confirmed a code later: probably good users.
    pub recovered: u64,
}

/// The operator's word.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct JudgementView {
    /// Who.
    pub by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Why.
    pub note: Option<String>,
}

/// An incident in full.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct IncidentDetail {
    /// At a glance.
    #[serde(flatten)]
    pub incident: IncidentView,
    /// The latest words of detection about its busiest keys.
    pub reasons: Vec<String>,
    /// Number ranges (digits without the last four), busiest first.
    pub ranges: Vec<Counted>,
    /// Operators: MCC and MNC, or a name.
    pub operators: Vec<Counted>,
    /// Networks of the clients.
    pub networks: Vec<Counted>,
    /// Addresses of the clients.
    pub addresses: Vec<Counted>,
    /// Autonomous systems of the clients.
    pub asns: Vec<Counted>,
    /// Fingerprints or user agents of the clients.
    pub clients: Vec<Counted>,
    /// Subaccounts.
    pub subaccounts: Vec<Counted>,
    /// What happened when.
    pub timeline: Vec<TimelineSlot>,
    /// What was suspended by itself.
    pub suspensions: Vec<SuspendedView>,
    /// What could be done, as requests that are ready to be sent.
    pub suggestions: Vec<Suggestion>,
}

/// A stretch of time.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TimelineSlot {
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How long it is.
    pub seconds: i64,
    /// Requests that were stopped.
    pub stopped: u32,
    /// Messages that were sent.
    pub sent: u32,
}

/// A suspension that was made by itself.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SuspendedView {
    /// `sus_…`
    pub id: String,
    /// What is suspended: `number_range +99893412`.
    pub scope: String,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// How an incident stands.
pub fn status(incident: &Incident) -> IncidentStatus {
    match (&incident.judged, incident.ended) {
        (Some((Judgement::FalseAlarm, ..)), _) => IncidentStatus::FalseAlarm,
        (Some(_), _) => IncidentStatus::Closed,
        (None, Some(_)) => IncidentStatus::Ended,
        (None, None) => IncidentStatus::Open,
    }
}

/// Where, in a word: the busiest countries.
fn places(incident: &Incident) -> String {
    let all = incident.countries.sorted();
    let named: Vec<&str> = all.iter().take(3).map(|(key, _)| key.as_str()).collect();
    match all.len() {
        0..=3 => named.join(", "),
        more => format!("{} and {} more countries", named.join(", "), more - 3),
    }
}

/// What happens, in a sentence without figures that change.
pub fn sentence(incident: &Incident) -> String {
    let (places, ranges) = (places(incident), incident.ranges.len());
    let some = |n: usize, one: &str, many: &str| if n == 1 { one.to_owned() } else { format!("{n} {many}") };
    match incident.vector() {
        Vector::NumberRanges => {
            let what = match incident.ranges.sorted().first() {
                Some((range, _)) if ranges == 1 => format!("number range {range}"),
                _ => format!("{ranges} number ranges"),
            };
            format!("pumping of {what} in {places}")
        }
        Vector::Client => {
            let from = match &incident.group {
                Group::Client(_, key) => key.clone(),
                _ => some(incident.networks.len(), "one network", "networks"),
            };
            format!("codes for numbers of {places}, asked for from {from}")
        }
        Vector::Outcome => format!("codes to {places} that nobody confirms"),
        Vector::Flooding => format!("many codes to the same people in {places}"),
        Vector::Guessing => format!("guessing of codes, numbers of {places}"),
        Vector::Sender => format!("unusual messages of {} to {places}", sender(incident)),
        Vector::Exposure => format!("too much unconfirmed money in {places}"),
    }
}

fn sender(incident: &Incident) -> String {
    match &incident.group {
        Group::Sender(key) => key.clone(),
        _ => incident.subaccounts.sorted().first().map(|(key, _)| key.clone()).unwrap_or_default(),
    }
}

fn counted(top: &Top) -> Vec<Counted> {
    top.sorted().into_iter().take(20).map(|(key, requests)| Counted { key, requests }).collect()
}

impl IncidentView {
    /// As it is; money in the account's currency.
    pub fn of(incident: &Incident, currency: &str) -> Self {
        let t = &incident.tally;
        let (messages, cost) = incident.leaked();
        let lasted = span::format(std::time::Duration::from_secs(
            incident.last.since(incident.detected).as_secs().div_ceil(60) * 60,
        ));
        IncidentView {
            id: super::id(incident.serial),
            status: status(incident),
            summary: format!(
                "{}: {} stopped in {lasted}, {messages} leaked",
                sentence(incident),
                incident.stops()
            ),
            vector: incident.vector(),
            vectors: incident.vectors.keys().copied().collect(),
            started_at: incident.started,
            detected_at: incident.detected,
            last_at: incident.last,
            ended_at: incident.ended,
            countries: counted(&incident.countries),
            stopped: Stopped {
                blocked: t.blocked,
                redirected: t.redirected,
                challenged: t.challenged,
                shadowed: t.shadowed,
                canaries: t.canaries,
            },
            leaked: Leaked { messages, before_detection: t.sent_before, cost, confirmed: t.confirmed },
            loss_avoided: LossAvoided {
                amount: t.avoided,
                currency: currency.to_owned(),
                numbers: t.numbers,
                unpriced: t.unpriced,
                recovered: t.recovered,
            },
            judgement: incident.judged.as_ref().map(|(_, by, note, at)| JudgementView {
                by: by.clone(),
                at: *at,
                note: note.clone(),
            }),
        }
    }
}

impl IncidentDetail {
    /// In full, with what could be done now.
    pub fn of(incident: &Incident, currency: &str, now: Timestamp) -> Self {
        let seconds = incident.slot_seconds();
        let suggestions = match status(incident) {
            IncidentStatus::FalseAlarm => suggest::allow(incident, now),
            _ => suggest::stop(incident, now),
        };
        IncidentDetail {
            incident: IncidentView::of(incident, currency),
            reasons: incident.words.iter().map(|(_, words)| words.clone()).collect(),
            ranges: counted(&incident.ranges),
            operators: counted(&incident.operators),
            networks: counted(&incident.networks),
            addresses: counted(&incident.addresses),
            asns: counted(&incident.asns),
            clients: counted(&incident.prints),
            subaccounts: counted(&incident.subaccounts),
            timeline: incident
                .timeline
                .iter()
                .map(|slot| TimelineSlot {
                    at: Timestamp::from_millis(slot.at * 1000),
                    seconds,
                    stopped: slot.stopped,
                    sent: slot.sent,
                })
                .collect(),
            suspensions: incident
                .suspended
                .iter()
                .map(|((word, value), id, until)| SuspendedView {
                    id: id.clone(),
                    scope: format!("{word} {value}"),
                    expires_at: *until,
                })
                .collect(),
            suggestions,
        }
    }
}
