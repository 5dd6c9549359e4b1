//! Recorded decisions with what became known of them: read twice, once for alarms, once for labels, because an alarm
//! also speaks for what was sent before it.

use std::time::Duration;

use seawall_core::detect::dial::DetectionPolicy;
use seawall_core::intel::price::likely_price;
use seawall_core::model::Subject;
use seawall_core::model::label::{Alarms, Excluded, Key, Label, Outcome, label};
use seawall_core::reason::ReasonCode;
use seawall_core::recorded::Recorded;
use seawall_core::request::Operation;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::records::Scanned;
use tokio::sync::Semaphore;

use super::super::scan::scan;
use super::super::{App, recorder};
use super::rulings;

/// One at a time: each reads a good part of the ledger on a core of its own.
static TURN: Semaphore = Semaphore::const_new(1);
/// Alarms from before a stretch speak for its beginning.
const BEFORE: Duration = Duration::from_secs(6 * 3600);

/// One labelled request.
pub struct Labelled<'f> {
    /// As a model sees it.
    pub subject: Subject<'f>,
    /// When.
    pub at: Timestamp,
    /// What it was.
    pub label: Label,
    /// What it cost, in micro-units.
    pub price: i64,
    /// Whether the engine stopped it, or would have.
    pub engine_stops: bool,
    /// From which probability on a model stops it.
    pub threshold: f64,
    /// For how many it stands.
    pub count: u64,
    /// What the engine thought of it.
    pub engine_probability: f32,
}

/// Takes labelled requests, and those without a label.
pub trait Take: Send + 'static {
    /// One with a label.
    fn labelled(&mut self, one: &Labelled<'_>);
    /// Some without one.
    fn excluded(&mut self, why: Excluded, count: u64);
}

/// Reads what was decided between two instants.
pub async fn read<T: Take>(app: &App, from: Timestamp, to: Timestamp, take: T) -> Result<T, StoreError> {
    let _turn = TURN.acquire().await.map_err(|_| StoreError::Unavailable("shutting down".to_owned()))?;
    recorder::settled(app).await;
    let (now, dial) = (app.now(), app.snapshot.load().policy.detection.clone());
    let alarms = Alarms::new(rulings::all(app));
    let alarms = scan(app, from.minus(BEFORE), now, alarms, |alarms, scanned| {
        if let Some(evidence) = facts(scanned).and_then(|facts| facts.evidence) {
            alarms.note(&evidence, scanned.at);
        }
        Ok(())
    })
    .await?;
    let state = (take, Reading { alarms, now, dial });
    let (take, _) = scan(app, from, to, state, |(take, reading), scanned| reading.see(scanned, take)).await?;
    Ok(take)
}

fn facts<'a>(scanned: &Scanned<'a>) -> Option<Recorded<'a>> {
    serde_json::from_str(scanned.facts).ok()
}

struct Reading {
    alarms: Alarms,
    now: Timestamp,
    dial: DetectionPolicy,
}

impl Reading {
    fn see(&self, scanned: &Scanned<'_>, take: &mut impl Take) -> Result<(), StoreError> {
        let Some(facts) = facts(scanned) else {
            take.excluded(Excluded::Unreadable, scanned.count);
            return Ok(());
        };
        let Some(engine_probability) = facts.evidence.as_ref().map(|e| e.probability) else {
            take.excluded(Excluded::NoEvidence, scanned.count);
            return Ok(());
        };
        let asks = scanned.sent && !scanned.dry_run && scanned.operation == Operation::VerifyStart;
        let outcome = Outcome {
            at: scanned.at,
            operation: scanned.operation,
            dry_run: scanned.dry_run,
            sent: scanned.sent,
            confirmed: asks && scanned.later.confirmed()?,
            probability: engine_probability,
        };
        let keys = Key::of_request(scanned.block, scanned.client_ip);
        match label(&outcome, &keys, &self.alarms, self.now) {
            Err(why) => take.excluded(why, scanned.count),
            Ok(label) => {
                let price = facts
                    .price
                    .or(scanned.price.map(|(micros, _)| micros))
                    .unwrap_or_else(|| likely_price(facts.country, facts.segments));
                take.labelled(&Labelled {
                    subject: Subject { facts: &facts, block: scanned.block, client_ip: scanned.client_ip },
                    at: scanned.at,
                    label,
                    price,
                    engine_stops: scanned.reasons.iter().any(|reason| stops(reason.code)),
                    threshold: self.dial.thresholds(price).block,
                    count: scanned.count,
                    engine_probability,
                });
            }
        }
        Ok(())
    }
}

/// Whether the engine sends nothing over the channel that was asked for, in force or in shadow.
fn stops(code: ReasonCode) -> bool {
    matches!(code, ReasonCode::CampaignBlock | ReasonCode::CampaignAlternative)
}
