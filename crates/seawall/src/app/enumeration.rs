//! Who goes through numbers by looking them up: watched by key and by calling address, in memory, bounded. What is
//! found raises an alarm and makes the caller wait.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use seawall_core::facts::Enumeration;
use seawall_core::lookup::{Pattern, Walk};
use seawall_core::msisdn::Msisdn;
use seawall_core::request::Request;
use seawall_core::time::Timestamp;
use serde_json::json;

use super::App;
use super::alarms::Alarm;

/// Callers that are watched; the one that was seen longest ago makes room.
const CALLERS: usize = 10_000;
/// How long a caller has to wait.
const HOLD: Duration = Duration::from_secs(15 * 60);
/// The same is not told again before.
const TOLD_FOR: Duration = Duration::from_secs(3600);

/// What callers have been looking up lately.
#[derive(Default)]
pub struct Watch(Mutex<HashMap<String, Caller>>);

#[derive(Default)]
struct Caller {
    walk: Walk,
    held: Option<(Pattern, Timestamp)>,
}

impl Watch {
    fn callers(&self) -> MutexGuard<'_, HashMap<String, Caller>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one of these callers has to wait.
    pub fn held(&self, request: &Request, now: Timestamp) -> Option<Enumeration> {
        let callers = self.callers();
        names(request).into_iter().find_map(|caller| {
            let (pattern, until) = callers.get(&caller)?.held.filter(|(_, until)| *until > now)?;
            Some(Enumeration { pattern, caller, until })
        })
    }

    /// Notes a lookup; gives the caller whose lookups have just shown a pattern.
    fn note(&self, request: &Request, exists: bool, now: Timestamp) -> Option<Enumeration> {
        let mut callers = self.callers();
        let mut found = None;
        for name in names(request) {
            make_room(&mut callers, &name);
            let caller = callers.entry(name.clone()).or_default();
            let Some(pattern) = caller.walk.note(request.to, exists, now) else { continue };
            let until = now.plus(HOLD);
            caller.held = Some((pattern, until));
            // After its wait it is judged by what it does then.
            caller.walk = Walk::default();
            found.get_or_insert(Enumeration { pattern, caller: name, until });
        }
        found
    }

    /// Forgets a number that anybody has asked for.
    pub fn forget(&self, number: Msisdn) {
        self.callers().values_mut().for_each(|caller| caller.walk.forget(number));
    }
}

fn names(request: &Request) -> [String; 2] {
    [request.key.clone(), request.caller_ip.to_string()]
}

fn make_room(callers: &mut HashMap<String, Caller>, name: &str) {
    if callers.len() < CALLERS || callers.contains_key(name) {
        return;
    }
    let oldest = callers.iter().min_by_key(|(_, caller)| caller.walk.last()).map(|(name, _)| name.clone());
    if let Some(oldest) = oldest {
        callers.remove(&oldest);
    }
}

/// Notes a lookup that was answered, and tells the operator if it completes a pattern.
pub fn note(app: &App, request: &Request, exists: bool, now: Timestamp) {
    let Some(found) = app.enumeration.note(request, exists, now) else { return };
    let detail = json!({
        "pattern": found.pattern, "range": request.to.masked(), "key_id": request.key,
        "caller_ip": request.caller_ip.to_string(), "held_until": found.until,
    });
    let description =
        format!("{} by {}; it has to wait until {}", found.pattern.describe(), found.caller, found.until);
    let alarm = Alarm {
        action: "lookup.enumeration",
        target: found.caller,
        step: 0,
        subaccount: Some(request.subaccount.clone()),
        detail,
        description,
        until: now.plus(TOLD_FOR),
    };
    app.alarms.raise(alarm, now);
}
