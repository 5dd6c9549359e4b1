//! What time does to incidents: the operator is told when one begins and when it is over, what was quiet long
//! enough ends, and where that is set, narrow keys are suspended.

use std::time::Duration;

use seawall_core::limit::Mode;
use seawall_core::time::Timestamp;
use serde_json::{Value, json};

use super::super::App;
use super::super::alarms::Alarm;
use super::super::audit::Actor;
use super::super::collections::suspensions;
use super::super::detection::Watch;
use super::super::detection::happened::{Done, Note};
use super::incident::{Incident, Vector};
use super::judge::currency;
use super::suggest;
use super::view::IncidentView;
use super::{AutoSuspend, IncidentSettings};

/// Suspensions that one look at the incidents makes at most.
const AT_ONCE: usize = 10;
/// An alarm of an incident is told once; its mark has to outlast the second in which the stream is written.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Something to be done about an incident.
enum Todo {
    Announce(u64),
    End(u64),
    Suspend { serial: u64, scope: (String, String), reason: String },
}

/// Looks at all of them.
pub async fn tend(app: &App) {
    let now = app.now();
    let settings = app.snapshot.load().settings.incidents.clone();
    for todo in app.detection.watch(|watch| todo(watch, &settings, now)) {
        match todo {
            Todo::Announce(serial) => {
                tell(app, serial, "incident.opened", now);
                app.detection.note(Note { incident: serial, at: now, what: Done::Announced });
            }
            Todo::End(serial) => {
                app.detection.note(Note { incident: serial, at: now, what: Done::Ended });
                tell(app, serial, "incident.ended", now);
            }
            Todo::Suspend { serial, scope, reason } => {
                suspend(app, serial, scope, reason, &settings.auto_suspend, now).await;
            }
        }
    }
}

fn todo(watch: &Watch, settings: &IncidentSettings, now: Timestamp) -> Vec<Todo> {
    let mut all = Vec::new();
    for incident in watch.incidents.attacks().filter(|i| !i.announced) {
        all.push(Todo::Announce(incident.serial));
    }
    let suspending = settings.auto_suspend.mode != Mode::Off;
    for incident in watch.incidents.attacks().filter(|i| suspending && i.ended.is_none()) {
        let keys = narrow(incident, settings.auto_suspend.after, watch);
        let free = |scope: &(String, String)| {
            !incident.suspended.iter().any(|(done, _, until)| done == scope && *until > now)
        };
        let reason = suggest::reason(incident);
        let serial = incident.serial;
        all.extend(keys.into_iter().filter(free).map(|scope| Todo::Suspend {
            serial,
            scope,
            reason: reason.clone(),
        }));
    }
    let suspensions = all.iter().filter(|todo| matches!(todo, Todo::Suspend { .. })).count();
    all.truncate(all.len() - suspensions.saturating_sub(AT_ONCE));
    all.extend(watch.incidents.quiet(now, settings.quiet_after).into_iter().map(Todo::End));
    all
}

/// Keys that may be suspended by themselves: ranges in which nobody confirms, and single addresses where the
/// client is to blame.
fn narrow(incident: &Incident, after: u32, watch: &Watch) -> Vec<(String, String)> {
    let enough = |(_, count): &(String, u64)| *count >= u64::from(after);
    let key = |word: &str, (key, _): (String, u64)| (word.to_owned(), key);
    match incident.vector() {
        Vector::NumberRanges => {
            let ranges = incident.ranges.sorted().into_iter().filter(enough);
            ranges
                .filter(|(range, _)| !watch.signals.confirms(range))
                .map(|one| key("number_range", one))
                .collect()
        }
        Vector::Client | Vector::Guessing => {
            incident.addresses.sorted().into_iter().filter(enough).map(|one| key("ip", one)).collect()
        }
        _ => Vec::new(),
    }
}

async fn suspend(
    app: &App,
    serial: u64,
    scope: (String, String),
    reason: String,
    settings: &AutoSuspend,
    now: Timestamp,
) {
    let until = now.plus(settings.lasts);
    let mut body = json!({
        "scope": {&scope.0: &scope.1}, "expires_at": until.to_rfc3339(), "reason": reason, "mode": settings.mode,
    });
    if settings.mode == Mode::Enforce
        && let Value::Object(fields) = &mut body
    {
        fields.remove("mode");
    }
    match suspensions::create(app, &Actor::system(), body).await {
        Ok(made) => {
            tracing::warn!(incident = super::id(serial), suspension = made.id, "suspended by itself");
            let what = Done::Suspended { scope, id: made.id, until };
            app.detection.note(Note { incident: serial, at: now, what });
        }
        Err(_) => tracing::error!(
            incident = super::id(serial),
            "what is under attack could not be suspended by itself; detection goes on stopping it"
        ),
    }
}

fn tell(app: &App, serial: u64, action: &'static str, now: Timestamp) {
    let currency = currency(app);
    let view = app.detection.watch(|w| w.incidents.get(serial).map(|i| IncidentView::of(i, &currency)));
    let Some(view) = view else { return };
    let until = now.plus(REMEMBERED);
    let mut detail = serde_json::to_value(&view).unwrap_or_default();
    if let Value::Object(fields) = &mut detail {
        fields.insert("until".to_owned(), json!(until));
    }
    let description = format!("{}: {}", view.id, view.summary);
    let alarm = Alarm { action, target: view.id, step: 0, subaccount: None, detail, description, until };
    app.alarms.raise(alarm, now);
}
