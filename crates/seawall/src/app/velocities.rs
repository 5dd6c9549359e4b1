//! How often lately, for rules that look at it: counted in memory while a rule does, and read back from the
//! ledger at a start or when the first such rule is saved, before it comes in force. A restart forgives nobody.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use seawall_core::blind::BlindIndex;
use seawall_core::client_ip::ClientIp;
use seawall_core::decision::{Decision, Verdict};
use seawall_core::facts::Facts;
use seawall_core::id::Id;
use seawall_core::policy::Policy;
use seawall_core::recorded::Recorded;
use seawall_core::request::Request;
use seawall_core::time::Timestamp;
use seawall_core::velocity::tracker::{Keys, Noted, Tracker};
use seawall_core::velocity::{Velocities, VelocityKey};
use seawall_store::StoreError;
use seawall_store::records::{DecisionBody, Scanned};
use serde::Deserialize;

use super::{App, recorder};

/// Keys in memory: about 300 bytes each, as a rule.
const MOST_KEYS: usize = 400_000;
const DAY: Duration = Duration::from_secs(86_400);

/// The tracker, while a rule looks at velocities.
#[derive(Default)]
pub struct Velocity {
    counting: Arc<Mutex<Option<Counting>>>,
    /// The same as whether there is a tracker, without its lock.
    wanted: AtomicBool,
}

struct Counting {
    tracker: Tracker,
    /// What was decided before is read back.
    since: Timestamp,
}

/// What velocities count a request by.
struct Who<'a> {
    number: u64,
    block: u64,
    ip: Option<ClientIp>,
    asn: Option<u32>,
    subaccount: &'a str,
    api_key: &'a str,
    country: &'a str,
    user: Option<&'a str>,
    fingerprint: Option<&'a str>,
}

impl Who<'_> {
    fn keys(&self, index: &BlindIndex) -> Keys {
        let mut keys = Keys::of(self.number);
        keys.set(VelocityKey::Number, self.number);
        keys.set(VelocityKey::Range, index.hash(b'0', &self.block.to_le_bytes()));
        keys.set(VelocityKey::Country, index.text(b'1', self.country));
        keys.set(VelocityKey::Subaccount, index.text(b'2', self.subaccount));
        keys.set(VelocityKey::ApiKey, index.text(b'3', self.api_key));
        if let Some(ip) = self.ip {
            keys.set(VelocityKey::Ip, index.client(ip));
            keys.set(VelocityKey::Network, index.hash(b'4', &ip.network_bytes()));
        }
        if let Some(asn) = self.asn {
            keys.set(VelocityKey::Asn, index.hash(b'5', &asn.to_le_bytes()));
        }
        if let Some(user) = self.user {
            keys.set(VelocityKey::User, index.text(b'6', user));
        }
        if let Some(fingerprint) = self.fingerprint {
            keys.set(VelocityKey::Fingerprint, index.text(b'7', fingerprint));
        }
        keys
    }
}

impl Velocity {
    fn held(&self) -> MutexGuard<'_, Option<Counting>> {
        self.counting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys of a request, while anybody counts.
    pub fn keys(&self, index: &BlindIndex, number: u64, request: &Request, facts: &Facts) -> Option<Keys> {
        self.wanted.load(Ordering::Relaxed).then(|| {
            let who = Who {
                number,
                block: request.to.as_u64() / 10_000,
                ip: request.client.ip,
                asn: facts.ip.and_then(|ip| ip.asn),
                subaccount: &request.subaccount,
                api_key: &request.key,
                country: request.country.as_str(),
                user: request.client.user.as_deref(),
                fingerprint: request.client.fingerprint.as_deref(),
            };
            who.keys(index)
        })
    }

    /// What the keys did before this request, which is counted in the same step: of any number at once, each
    /// sees those before it. `None` when nobody counts.
    pub fn look(&self, keys: &Keys, request: &Request, now: Timestamp) -> Option<Velocities> {
        let mut held = self.held();
        let counting = held.as_mut()?;
        let before = counting.tracker.read(keys, now);
        if counts(request) && now >= counting.since {
            counting.tracker.note(keys, Noted::Request, 1, now, now);
        }
        Some(before)
    }

    /// A request was decided.
    pub fn decided(&self, keys: &Keys, request: &Request, decision: &Decision, now: Timestamp) {
        if decision.send.is_none() || !counts(request) {
            return;
        }
        if let Some(counting) = self.held().as_mut().filter(|counting| now >= counting.since) {
            counting.tracker.note(keys, Noted::Send, 1, now, now);
        }
    }
}

/// What only asks sends nothing, and what redeems a decision was counted with it.
fn counts(request: &Request) -> bool {
    request.operation.sends() && !request.dry_run && request.terms.redeems.is_none()
}

/// A code was confirmed: counted by the keys of the decision that allowed the message.
pub async fn confirmed(app: &App, decision: Id, now: Timestamp) {
    if let Some(decision) = found(app, decision).await {
        count_confirmed(app, &decision, now);
    }
}

/// A caller reported a success: the same, unless the code itself was confirmed already.
pub async fn reported(app: &App, decision: Id, now: Timestamp) {
    let Some(decision) = found(app, decision).await else { return };
    let verified = match decision.verification {
        Some(id) => app.store.ledger.verification(None, id).await.ok().flatten(),
        None => None,
    };
    if verified.is_none_or(|v| v.lifecycle.verified_at.is_none()) {
        count_confirmed(app, &decision, now);
    }
}

/// The decision, while anybody counts.
async fn found(app: &App, decision: Id) -> Option<DecisionBody> {
    if !app.velocities.wanted.load(Ordering::Relaxed) {
        return None;
    }
    match app.store.ledger.decision(decision).await {
        Ok(decision) => decision.map(|decision| decision.body),
        Err(error) => {
            tracing::warn!(%error, "a confirmation is not among the velocities");
            None
        }
    }
}

fn count_confirmed(app: &App, decision: &DecisionBody, now: Timestamp) {
    let Ok(facts) = serde_json::from_str::<Recorded<'_>>(decision.facts.text()) else { return };
    let who = Who {
        number: decision.to_hash,
        block: decision.block,
        ip: decision.client_ip,
        subaccount: &decision.subaccount_id,
        api_key: &decision.key_id,
        ..who(&facts)
    };
    let keys = who.keys(app.store.vault.index());
    if let Some(counting) = app.velocities.held().as_mut() {
        counting.tracker.note(&keys, Noted::Confirmation, 1, now, now);
    }
}

/// What the facts say; the rest stands in the decision.
fn who<'a>(facts: &'a Recorded<'_>) -> Who<'a> {
    Who {
        number: 0,
        block: 0,
        ip: None,
        asn: facts.ip.and_then(|ip| ip.asn),
        subaccount: "",
        api_key: "",
        country: facts.country.as_str(),
        user: facts.user.as_ref().map(|user| user.as_str()),
        fingerprint: facts.fingerprint.as_ref().map(|print| print.as_str()),
    }
}

/// Begins to count when a policy is about to come in force whose rules look at velocities, and reads the last
/// day back from the ledger. One request that is under way in that very millisecond may be missed.
pub async fn begin(app: &App, policy: &Policy) -> Result<(), StoreError> {
    if !policy.rules.needs().velocities || app.velocities.wanted.load(Ordering::Relaxed) {
        return Ok(());
    }
    // By the time in ids, which may run ahead of the clock.
    let since = app.ids.next(app.now())?.at().plus(Duration::from_millis(1));
    *app.velocities.held() = Some(Counting { tracker: Tracker::new(MOST_KEYS), since });
    app.velocities.wanted.store(true, Ordering::Relaxed);
    recorder::settled(app).await;
    let (counting, vault) = (app.velocities.counting.clone(), app.store.vault.clone());
    let mut seen = HashSet::new();
    let each = move |scanned: &Scanned<'_>| {
        let mut held = counting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Counting { tracker, since }) = held.as_mut() else { return ControlFlow::Break(()) };
        if let Err(error) = learn(tracker, vault.index(), scanned, &mut seen, *since) {
            tracing::warn!(%error, "a confirmation is not among the velocities");
        }
        ControlFlow::Continue(())
    };
    let read = app.store.ledger.scan_decisions(since.minus(DAY), since, Box::new(each)).await;
    if read.is_err() {
        stop(app);
    }
    read
}

/// Ends counting once no rule looks at velocities any more.
pub fn end(app: &App) {
    if !app.snapshot.load().policy.rules.needs().velocities {
        stop(app);
    }
}

fn stop(app: &App) {
    app.velocities.wanted.store(false, Ordering::Relaxed);
    *app.velocities.held() = None;
}

/// A part of what is recorded beside what rules see.
#[derive(Deserialize)]
struct Aside<'a> {
    /// The decision that it redeemed, with which it was counted.
    #[serde(borrow, default)]
    redeems: Option<&'a str>,
}

/// A recorded decision. `seen`: numbers and when they were confirmed; of the messages that carried one code
/// the newest, which comes first, has the confirmation.
fn learn(
    tracker: &mut Tracker,
    index: &BlindIndex,
    scanned: &Scanned<'_>,
    seen: &mut HashSet<(u64, Timestamp)>,
    now: Timestamp,
) -> Result<(), StoreError> {
    if scanned.dry_run || !scanned.operation.sends() {
        return Ok(());
    }
    let Ok(facts) = serde_json::from_str::<Recorded<'_>>(scanned.facts) else { return Ok(()) };
    let who = Who {
        number: scanned.number,
        block: scanned.block,
        ip: scanned.client_ip,
        subaccount: scanned.subaccount,
        api_key: scanned.key,
        ..who(&facts)
    };
    let (keys, count) = (who.keys(index), u32::try_from(scanned.count).unwrap_or(u32::MAX));
    let aside = serde_json::from_str::<Aside<'_>>(scanned.facts);
    if !aside.is_ok_and(|aside| aside.redeems.is_some()) {
        tracker.note(&keys, Noted::Request, count, scanned.at, now);
        if was_allowed(scanned) {
            tracker.note(&keys, Noted::Send, count, scanned.at, now);
        }
    }
    if let Some(at) = scanned.later.confirmed_at()?.filter(|at| seen.insert((scanned.number, *at))) {
        tracker.note(&keys, Noted::Confirmation, count, at, now);
    }
    Ok(())
}

/// Whether a message was made of it, here or by the caller who asked for a decision only.
fn was_allowed(scanned: &Scanned<'_>) -> bool {
    let only_recorded = scanned.verdict == Verdict::Challenge && !scanned.enforced;
    scanned.sent || scanned.verdict == Verdict::Allow || only_recorded
}
