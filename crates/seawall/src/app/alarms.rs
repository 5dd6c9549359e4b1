//! What an operator is told: an entry in the audit log, and an event for the webhook. Each is told once for
//! its time, also across a restart, and never on the way of a request: the housekeeping delivers.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::records::{HookDelivery, Page};
use serde_json::{Value, json};

use super::App;
use super::audit::Actor;
use super::entities::Webhook;

/// Alarms that wait for their delivery; what comes beyond is dropped and said to be.
const WAITING: usize = 10_000;
/// Entries of the audit log that a start looks through for what was told already.
const REMEMBERED: usize = 1000;
/// How often at most an action that is only counted is written down.
const COUNTED_EVERY: Duration = Duration::from_secs(60);

/// Something to tell.
#[derive(Clone, Debug)]
pub struct Alarm {
    /// What happened, as audit log and webhook name it.
    pub action: &'static str,
    /// To what: an id or name.
    pub target: String,
    /// Which step of several, such as a share in percent; each is told for itself.
    pub step: u8,
    /// Whose webhook; the one for all when `None`.
    pub subaccount: Option<String>,
    /// In full.
    pub detail: Value,
    /// In one sentence.
    pub description: String,
    /// Not told again before.
    pub until: Timestamp,
}

type Told = (String, String, u8);
/// An action, its target, and how often.
type Count = (&'static str, String, u64);

/// What is to be told, and what was.
#[derive(Default)]
pub struct Alarms(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: Vec<(Alarm, Timestamp)>,
    told: HashMap<Told, Timestamp>,
    counted: HashMap<(&'static str, String), Counted>,
}

/// An action that is written down at most once a minute, with how often it happened.
#[derive(Default)]
struct Counted {
    count: u64,
    written: Option<Timestamp>,
}

impl Alarms {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this was told, and its time is not over.
    pub fn was_told(&self, action: &str, target: &str, step: u8, now: Timestamp) -> bool {
        let key = (action.to_owned(), target.to_owned(), step);
        self.state().told.get(&key).is_some_and(|until| *until > now)
    }

    /// Tells it, unless it was told.
    pub fn raise(&self, alarm: Alarm, now: Timestamp) {
        let mut state = self.state();
        let key = (alarm.action.to_owned(), alarm.target.clone(), alarm.step);
        if state.told.get(&key).is_some_and(|until| *until > now) {
            return;
        }
        if state.waiting.len() >= WAITING {
            tracing::error!(action = alarm.action, "too many alarms wait; one is dropped");
            return;
        }
        state.told.insert(key, alarm.until);
        state.waiting.push((alarm, now));
    }

    /// Counts an action for the audit log.
    pub fn count(&self, action: &'static str, target: &str) {
        self.state().counted.entry((action, target.to_owned())).or_default().count += 1;
    }

    /// What is to be told, and how often what is only counted happened.
    fn take(&self, now: Timestamp, all: bool) -> (Vec<(Alarm, Timestamp)>, Vec<Count>) {
        let mut state = self.state();
        state.told.retain(|_, until| *until > now);
        let due = |c: &Counted| all || c.written.is_none_or(|at| at.plus(COUNTED_EVERY) <= now);
        let mut counts = Vec::new();
        for ((action, target), counted) in &mut state.counted {
            if counted.count > 0 && due(counted) {
                counts.push((*action, target.clone(), std::mem::take(&mut counted.count)));
                counted.written = Some(now);
            }
        }
        state.counted.retain(|_, c| c.count > 0 || c.written.is_some_and(|at| at.plus(COUNTED_EVERY) > now));
        (std::mem::take(&mut state.waiting), counts)
    }
}

/// Remembers what was told before this start.
pub async fn load(app: &App) -> Result<(), StoreError> {
    let page = Page { before: None, limit: REMEMBERED };
    let log = app.store.directory.audit_log(page).await?;
    let mut state = app.alarms.state();
    for entry in log {
        let until = entry.detail.get("until").and_then(Value::as_str).and_then(Timestamp::parse);
        let step = entry.detail.get("percent").and_then(Value::as_u64).and_then(|n| u8::try_from(n).ok());
        if let (Some(until), "system") = (until, entry.actor.as_str()) {
            state.told.insert((entry.action, entry.target, step.unwrap_or(0)), until);
        }
    }
    Ok(())
}

/// Whether no other node tells it. If that cannot be known it is told: rather twice than never.
async fn is_ours(app: &App, alarm: &Alarm, at: Timestamp) -> bool {
    let what = format!("{} {} {}", alarm.action, alarm.target, alarm.step);
    let what = app.store.vault.index().text(b'a', &what);
    app.store.directory.claim_once(what, at, alarm.until).await.unwrap_or(true)
}

/// Delivers what came together. `all`: also what is counted and was written down less than a minute ago.
pub async fn flush(app: &App, all: bool) {
    let now = app.now();
    let (alarms, counts) = app.alarms.take(now, all);
    for (action, target, count) in counts {
        let entry = Actor::system().entry(now, action, &target, json!({"count": count}));
        if let Err(error) = app.store.directory.note_audit(entry).await {
            tracing::error!(%error, action, count, "could not be written to the audit log");
        }
    }
    for (alarm, at) in alarms {
        if !is_ours(app, &alarm, at).await {
            continue;
        }
        tracing::warn!(action = alarm.action, target = alarm.target, "{}", alarm.description);
        let entry = Actor::system().entry(at, alarm.action, &alarm.target, alarm.detail.clone());
        if let Err(error) = app.store.directory.note_audit(entry).await {
            tracing::error!(%error, action = alarm.action, "could not be written to the audit log");
        }
        let hooks = deliveries(app, &alarm, at);
        if hooks.is_empty() {
            continue;
        }
        match app.store.ledger.add_hooks(hooks).await {
            Ok(()) => app.hook_work.notify_one(),
            Err(error) => tracing::error!(%error, action = alarm.action, "its webhook could not be stored"),
        }
    }
}

/// For the subaccount's webhook; what concerns the account goes to the one for all, and where there is none
/// to those of the subaccounts.
fn deliveries(app: &App, alarm: &Alarm, at: Timestamp) -> Vec<HookDelivery> {
    let snapshot = app.snapshot.load();
    let enabled = || snapshot.webhooks.iter().filter(|w| w.enabled);
    let listeners: Vec<&Webhook> = match &alarm.subaccount {
        Some(subaccount) => snapshot.webhook(subaccount).into_iter().collect(),
        None => match enabled().find(|w| w.subaccount_id == "*") {
            Some(one) => vec![one],
            None => enabled().collect(),
        },
    };
    let body = json!({
        "namespace": "ALARM",
        "eventType": alarm.action,
        "description": alarm.description,
        "payload": {
            "target": alarm.target,
            "subAccountId": alarm.subaccount,
            "timestamp": at.to_rfc3339(),
            "detail": alarm.detail,
        },
    });
    // A delivery is given up when its subaccount is gone; what concerns all of them goes in the oldest's name.
    let oldest = || snapshot.subaccounts.values().min_by_key(|s| s.created_at).map(|s| s.id.clone());
    let one = |webhook: &Webhook| {
        let named = Some(webhook.subaccount_id.clone()).filter(|id| id != "*");
        let subaccount = alarm.subaccount.clone().or(named).or_else(oldest)?;
        let id =
            app.ids.next(at).map_err(|error| tracing::error!(%error, "an event could not be made")).ok()?;
        Some(HookDelivery {
            id,
            url: webhook.url.clone(),
            webhook: Some(webhook.id.clone()),
            subaccount,
            body: body.to_string(),
            tries: 0,
            due: at,
        })
    };
    listeners.into_iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(1_767_600_000_000).plus(Duration::from_secs(secs))
    }

    fn alarm(step: u8, until: Timestamp) -> Alarm {
        let (target, detail) = ("bud_1".to_owned(), Value::Null);
        let description = String::new();
        Alarm { action: "budget.threshold", target, step, subaccount: None, detail, description, until }
    }

    #[test]
    fn each_step_is_told_once_for_its_time() {
        let alarms = Alarms::default();
        for now in [at(0), at(1), at(59)] {
            alarms.raise(alarm(50, at(60)), now);
            alarms.raise(alarm(80, at(60)), now);
        }
        assert_eq!(alarms.take(at(59), false).0.len(), 2);
        alarms.raise(alarm(50, at(120)), at(60));
        assert_eq!(alarms.take(at(60), false).0.len(), 1);
    }

    #[test]
    fn what_is_counted_is_written_once_a_minute_and_loses_nothing() {
        let alarms = Alarms::default();
        let mut written = Vec::new();
        for second in 0..130 {
            alarms.count("risk_check.off", "key_1");
            written.extend(alarms.take(at(second), false).1.into_iter().map(|(.., count)| (second, count)));
        }
        assert_eq!(written, [(0, 1), (60, 60), (120, 60)]);
        assert_eq!(alarms.take(at(130), true).1.first().map(|c| c.2), Some(9));
    }
}
