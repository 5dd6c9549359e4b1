//! Rooms 4 and 5: gather the facts, decide, charge the limits in one atomic step, decide again.

use std::time::Duration;

use futures_util::future::BoxFuture;
use seawall_core::address::AddressHistory;
use seawall_core::consent::{OptOutScope, covering};
use seawall_core::decide::{ask, charges, conclude, needs};
use seawall_core::decision::{Decision, Verdict};
use seawall_core::detect::{Asked, Event};
use seawall_core::facts::{Fact, Facts, History, Needs};
use seawall_core::id::{Id, IdKind};
use seawall_core::limit::{Charge, ChargeKind, Charged, Counts, Dimensions, Exceeded, Room};
use seawall_core::message::Channel;
use seawall_core::model::Opinion;
use seawall_core::policy::Policy;
use seawall_core::reason::ReasonCode;
use seawall_core::reason::{Reason, veil_reasons};
use seawall_core::recorded::Recorded;
use seawall_core::request::{Operation, Request};
use seawall_core::time::Timestamp;
use seawall_store::Result;
use seawall_store::records::{DecisionBody, DecisionRecord, Json, KnownNumber, VerificationRecord};
use serde::Serialize;
use tokio::join;
use tokio::time::Instant;

use super::App;
use super::detection::event_id;
use super::detection::happened::Seen;
use super::detection::recent::hashed;
use super::snapshot::Snapshot;
use super::without_counters;

/// A request with its decision, and what has to be undone if it is not carried out after all.
#[derive(Debug)]
pub struct Screened {
    /// Id of the decision, and of the message if there will be one.
    pub id: Id,
    /// The request.
    pub request: Request,
    /// What was known.
    pub facts: Facts,
    /// What was decided.
    pub decision: Decision,
    /// When.
    pub at: Timestamp,
    /// By what limits counted it.
    pub dimensions: Dimensions,
    /// The number's open verification, when one was asked for.
    pub open: Option<VerificationRecord>,
    /// How much room the tightest limit has left, with the limit's name and window.
    pub room: Option<NamedRoom>,
    /// Its charges.
    pub(super) made: Made,
}

/// What was charged.
#[derive(Debug, Default)]
pub(super) struct Made {
    charges: Vec<Charge>,
    /// Those among them that count wrong codes.
    failures: Vec<Charge>,
    /// When, by the counters' clock.
    at: Timestamp,
    /// How long after the instant in the id it was.
    pub(super) within: Duration,
    /// When the charges were made, or later, and in which filling of the windows.
    pub(super) counted: Option<(Instant, u64)>,
}

impl Made {
    fn of(policy: &Policy, charges: Vec<Charge>, at: Timestamp) -> Self {
        let failures = charges.iter().filter(|charge| counts_failures(policy, charge)).cloned().collect();
        Made { charges, failures, at, ..Made::default() }
    }

    /// Takes some of them back.
    async fn refund(&self, app: &App, charges: &[Charge]) -> Result<()> {
        app.store.counters.refund(charges, 1, self.at, self.counted.map(|(_, filling)| filling)).await
    }
}

/// How much room a limit has left.
#[derive(Clone, Debug)]
pub struct NamedRoom {
    /// The limit's name.
    pub limit: String,
    /// Its window.
    pub window: Duration,
    /// How much.
    pub room: Room,
}

/// Screens one request. Charges its limits if, and only if, it may send.
///
/// Boxed: what it holds is large, and a future is copied into each one that waits for it.
/// A block and not a function of its own: that would hold the request twice.
pub fn screen(app: &App, mut request: Request, now: Timestamp) -> BoxFuture<'_, Result<Box<Screened>>> {
    Box::pin(async move {
        let begun = Instant::now();
        let id = app.ids.next(now)?;
        // Windows are refilled by the time in the id, so that is when they are charged.
        let now = id.at();
        let snapshot = app.snapshot.load_full();
        snapshot.place(&mut request);
        let policy = &snapshot.policy;
        let index = app.store.vault.index();
        let dimensions = Dimensions::of(&request, index, &snapshot.range_digits);
        let needs = needs(policy, &request);
        let mut facts = Facts::default();
        let open = gather(app, needs, &request, now, &mut facts).await;
        if let Some(ip) = dimensions.ip.filter(|_| needs.address) {
            facts.address = fact(app.store.counters.address(ip, now).await);
        }
        let keys = app.velocities.keys(index, dimensions.to, &request, &facts);
        let before = keys.as_ref().and_then(|keys| app.velocities.look(keys, &request, now));
        if needs.line {
            // Boxed: it is large, and few ask for it.
            facts.line = Some(Box::pin(super::lookup::for_rules(app, &request, now)).await);
        }
        facts.velocities = before.filter(|_| needs.velocities).map_or(Fact::NotAsked, Fact::Known);
        // Nothing goes to a test number, so nothing is learned from it.
        let learns = needs.evidence && snapshot.test_code(request.to, now).is_none();
        let asked = learns.then(|| asked(&request, &facts, now));
        if let Some(asked) = &asked {
            facts.evidence = Fact::Known(app.detection.assess(asked));
            facts.opinions = app.models.judge(&request, &facts, &policy.detection, now);
            facts.lot = lot(app, policy, &dimensions, asked, now);
        }
        let answers = ask(policy, &request, &facts, now);
        let mut decision = conclude(policy, &request, &facts, &answers, now);
        let (mut made, mut room) = (Made::default(), None);
        if needs.limits {
            let sends = decision.send.is_some() && !request.dry_run;
            let all = charges(policy, &request, &facts, &dimensions, index, now);
            let at;
            let (charging, filling) = (Instant::now(), app.store.counters.filling());
            (facts.limits, room, at) = within_limits(app, policy, &all, sends, now).await;
            // Limits that all have room say nothing, so the decision stands.
            if !facts.limits.known().is_some_and(Vec::is_empty) {
                decision = conclude(policy, &request, &facts, &answers, now);
            }
            if sends && decision.send.is_some() {
                note_number(app, &request, &dimensions, now).await;
                made = Made::of(policy, all, at.unwrap_or(now));
                // Windows that go by the caller's time are this node's own: they are not lost.
                (made.within, made.counted) = (begun.elapsed(), at.map(|_| (charging, filling)));
            }
        }
        if let Some(redeemed) = request.terms.redeems {
            // Its place in the evidence goes over to the message.
            app.detection.unsent(redeemed, now);
        }
        if let Some(asked) = asked.filter(|_| !request.dry_run) {
            let seen = seen(&snapshot, &request, &facts, &decision);
            app.detection.observe_request(event(id, asked, &facts, &decision), seen);
        }
        if let Some(keys) = &keys {
            app.velocities.decided(keys, &request, &decision, now);
        }
        count(app, &snapshot, &request, &facts, &decision, now);
        app.metrics.decided(&decision, begun.elapsed());
        // Boxed: it is large, and passed along by every use case.
        Ok(Box::new(Screened { id, request, facts, decision, at: now, dimensions, open, room, made }))
    })
}

/// Charges the limits; gives those without room, how much room the tightest has left, and when that was where the
/// counters have a clock of their own.
async fn within_limits(
    app: &App,
    policy: &Policy,
    all: &[Charge],
    sends: bool,
    now: Timestamp,
) -> (Fact<Vec<Exceeded>>, Option<NamedRoom>, Option<Timestamp>) {
    let answer = charge(app, policy, all, sends, now).await;
    if let Fact::Known(answer) = &answer
        && sends
    {
        app.alarms.note_spent(policy, &answer.spent, now);
    }
    let room = answer.known().and_then(|answer| named(policy, answer.tightest?));
    let at = answer.known().and_then(|answer| answer.at);
    (answer.map(|answer| answer.exceeded), room, at)
}

/// What was met is counted, for those who look at lists and rules.
fn count(
    app: &App,
    snapshot: &Snapshot,
    request: &Request,
    facts: &Facts,
    decision: &Decision,
    now: Timestamp,
) {
    if !request.dry_run {
        app.hits.count(facts, decision, now);
        super::rules::count(app, snapshot, decision, now);
    }
    if !request.terms.risk_check {
        app.alarms.count("risk_check.off", &request.key);
    }
}

/// Room 4. A store that does not answer is a fact too.
async fn gather(
    app: &App,
    needs: Needs,
    request: &Request,
    now: Timestamp,
    facts: &mut Facts,
) -> Option<VerificationRecord> {
    app.intel.gather(request, facts);
    facts.enumeration = super::lookup::held(app, request, now);
    let (to, sub) = (request.to, &*request.subaccount);
    let (directory, ledger) = (&app.store.directory, &app.store.ledger);
    // At once: a store on another machine is waited for once, not four times.
    let (opt_out, opted_in, pending, known) = join!(
        when(needs.opt_out, || directory.opted_out(to)),
        when(needs.opted_in, || super::consent::opt_in::has(app, to, sub, request.category)),
        when(needs.open_verification, || ledger.open_verification(sub, to, now)),
        when(needs.history, || ledger.known_number(to)),
    );
    let sender = request.message.source.as_deref();
    facts.opt_out = opt_out.map(|scopes| covering(scopes, sub, request.category, sender, now));
    facts.opted_in = opted_in;
    let mut open = None;
    facts.resend_after = pending.map(|found| {
        let at = found.as_ref().map(|v| v.lifecycle.resend_at());
        open = found;
        at
    });
    facts.history = known.map(|known| history(app, request, known, now));
    if needs.lists {
        facts.lists = Fact::Known(app.lists.hits(app.store.vault.index(), request, facts, now));
    }
    open
}

/// The request as detection sees it.
pub(super) fn asked(request: &Request, facts: &Facts, now: Timestamp) -> Box<Asked> {
    let history = facts.history.known().copied().unwrap_or_default();
    Box::new(Asked::of(request, facts.ip, facts.number.as_ref(), history, now))
}

/// What became of the request, for signals and incidents.
fn seen(snapshot: &Snapshot, request: &Request, facts: &Facts, decision: &Decision) -> Seen {
    let currency = snapshot.account.as_ref().map_or("USD", |account| account.currency.as_str());
    Seen::of(request, facts, decision, currency)
}

/// A lot for a number that may be let through although detection would stop it: the same all day, and nobody
/// can tell which. A number that was stopped, or has an unconfirmed message out, draws none.
fn lot(app: &App, policy: &Policy, dimensions: &Dimensions, asked: &Asked, now: Timestamp) -> Option<u8> {
    if policy.detection.canary_percent == 0 {
        return None;
    }
    let number = hashed(0, &asked.msisdn.as_u64());
    if app.detection.watch(|watch| watch.is_alarmed(number)) {
        return None;
    }
    let day = now.as_secs() / 86_400;
    let drawn = app.store.vault.index().text(b'c', &format!("{} {day}", dimensions.to));
    u8::try_from(drawn % 100).ok()
}

/// What detection learns of a decision at once. A message that is not sent after all is told by
/// [`Screened::undo`].
fn event(id: Id, asked: Box<Asked>, facts: &Facts, decision: &Decision) -> Event {
    match facts.evidence.known() {
        Some(evidence) if decision.send.is_some() => Event::Sent {
            id: event_id(id),
            asked,
            probability: evidence.probability,
            explained: evidence.explained,
        },
        _ if decision.verdict == Verdict::Challenge => Event::Challenged { asked },
        _ => Event::Refused { asked },
    }
}

/// A number is known once a code to it was confirmed, and a device once it shows the token of that moment.
fn history(app: &App, request: &Request, known: Option<KnownNumber>, now: Timestamp) -> History {
    let token = request.client.device_token.as_deref().filter(|_| known.is_some());
    let trusted = token.is_some_and(|token| app.store.vault.trusts_device(token, request.to, now));
    History { known: known.is_some(), trusted, last_confirmed_at: known.map(|k| k.last_at) }
}

/// Asks a store, where it matters.
async fn when<T, F: Future<Output = Result<T>>>(asked: bool, answer: impl FnOnce() -> F) -> Fact<T> {
    if asked { fact(answer().await) } else { Fact::NotAsked }
}

fn fact<T>(answer: Result<T>) -> Fact<T> {
    answer.map_or(Fact::Unavailable, Fact::Known)
}

/// What sends charges everything; anything else only what counts requests, and looks at the rest.
async fn charge(app: &App, policy: &Policy, all: &[Charge], sends: bool, now: Timestamp) -> Fact<Charged> {
    let counters = &app.store.counters;
    let answer = if sends { counters.charge(all, 1, now).await } else { counters.note(all, 1, now).await };
    let answer = match answer {
        Err(error) => without_counters::charge(app, policy, all, sends, now, error).await,
        answer => answer,
    };
    app.recorder.note_requests(all.iter().filter(|c| c.always).map(|c| c.key), now);
    fact(answer)
}

fn counts_failures(policy: &Policy, charge: &Charge) -> bool {
    match charge.kind {
        ChargeKind::Limit(position) => {
            policy.limits.get(position).is_some_and(|limit| limit.counts == Counts::Failures)
        }
        _ => false,
    }
}

fn named(policy: &Policy, room: Room) -> Option<NamedRoom> {
    let limit = policy.limits.get(room.limit)?;
    Some(NamedRoom { limit: limit.name.clone(), window: limit.window, room })
}

/// An address learns to which numbers codes went from there.
async fn note_number(app: &App, request: &Request, dimensions: &Dimensions, now: Timestamp) {
    let Some(ip) = dimensions.ip.filter(|_| request.operation == Operation::VerifyStart) else { return };
    if let Err(error) = app.store.counters.note_number(ip, dimensions.to, false, now).await {
        tracing::warn!(%error, "an address could not be learned; it keeps the plain quota");
    }
}

/// What was known, as it is kept and shown: what rules can see, and what else decided. What says nothing is
/// left out.
#[derive(Serialize)]
struct ShownFacts<'a> {
    #[serde(flatten)]
    recorded: Recorded<'a>,
    #[serde(skip_serializing_if = "says_none")]
    opt_out: &'a Fact<Option<OptOutScope>>,
    #[serde(skip_serializing_if = "says_none")]
    resend_after: &'a Fact<Option<Timestamp>>,
    #[serde(skip_serializing_if = "Fact::not_asked")]
    address: Fact<AddressHistory>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    models: &'a [Opinion],
    #[serde(skip_serializing_if = "says_empty")]
    limits: &'a Fact<Vec<Exceeded>>,
    /// The decision that it redeems.
    #[serde(skip_serializing_if = "Option::is_none")]
    redeems: Option<String>,
}

fn says_none<T>(fact: &&Fact<Option<T>>) -> bool {
    matches!(fact, Fact::NotAsked | Fact::Known(None))
}

fn says_empty(fact: &&Fact<Vec<Exceeded>>) -> bool {
    matches!(fact, Fact::NotAsked) || fact.known().is_some_and(Vec::is_empty)
}

impl Screened {
    /// Keeps what was charged for a send that is not ours, so that windows are refilled with it.
    pub fn note_allow(&self, app: &App) {
        let Request { subaccount, segments, .. } = &self.request;
        app.recorder.note_allow(self.id, subaccount, *segments, &self.dimensions);
    }

    /// Whether it may be sent.
    pub fn allowed(&self) -> bool {
        self.decision.send.is_some()
    }

    /// Over which channel it is sent, if it is: a decision may redirect.
    pub fn channel(&self) -> Channel {
        self.decision.send.unwrap_or(self.request.channel)
    }

    /// The strongest reason in force, which dialects with one code per refusal show.
    pub fn leading_reason(&self) -> Option<ReasonCode> {
        let in_force = self.decision.reasons.iter().filter(|r| r.in_force());
        in_force.max_by_key(|r| r.code.verdict()).map(|r| r.code)
    }

    /// When the back-off of the number ends, now that this code counts as unconfirmed.
    pub async fn next_back_off(&self, app: &App, now: Timestamp) -> Option<Timestamp> {
        let back_off: Vec<Charge> = self
            .made
            .charges
            .iter()
            .filter(|c| c.kind == ChargeKind::BackOff && c.enforced)
            .cloned()
            .collect();
        let full = app.store.counters.peek(&back_off, 1, now).await.ok()?;
        full.exceeded.iter().map(|f| f.retry_at).max()
    }

    /// What it charged is taken back: it will not be sent after all.
    pub async fn undo(&self, app: &App) {
        app.detection.unsent(self.id, self.at);
        if let Err(error) = self.made.refund(app, &self.made.charges).await {
            tracing::error!(%error, "a charge could not be taken back; its window stays fuller than it should");
        }
    }

    /// Of a lookup, once nobody is asked any more: what was reserved for it and not `spent` comes back, and what was
    /// is kept for budgets that are refilled. Micro-units.
    pub async fn settle_price(&mut self, app: &App, spent: i64) {
        let rest = self.request.price.unwrap_or(0).saturating_sub(spent);
        let rest = u64::try_from(rest).unwrap_or(0);
        let of_budgets = self.made.charges.iter().filter(|c| matches!(c.kind, ChargeKind::Budget(_)));
        let back: Vec<Charge> =
            of_budgets.map(|c| Charge { amount: c.amount.min(rest), ..c.clone() }).collect();
        if rest > 0
            && !back.is_empty()
            && let Err(error) = self.made.refund(app, &back).await
        {
            tracing::error!(%error, "the rest of a lookup's reserve did not come back; budgets stay fuller");
        }
        self.request.price = (spent > 0).then_some(spent);
        self.dimensions.cost = self.request.cost();
        if spent > 0 {
            self.note_allow(app);
        }
    }

    /// Of a check: the windows that count wrong codes. It took its place in them before the code was looked at;
    /// unless it was `wrong`, it leaves them again.
    pub async fn settle_failure(&self, app: &App, wrong: bool) {
        if wrong {
            app.recorder.note_requests(self.made.failures.iter().map(|charge| charge.key), self.at);
        } else if let Err(error) = self.made.refund(app, &self.made.failures).await {
            tracing::error!(%error, "a right code still counts as a wrong one in its windows");
        }
    }

    /// The decision as it is kept and shown.
    pub fn body(&self, verification: Option<Id>) -> DecisionBody {
        let sent = self.allowed() && !self.request.dry_run;
        DecisionBody {
            operation: self.request.operation,
            subaccount_id: self.request.subaccount.clone(),
            key_id: self.request.key.clone(),
            block: self.request.to.as_u64() / 10_000,
            to_hash: self.dimensions.to,
            caller_ip: self.request.caller_ip,
            client_ip: self.request.client.ip,
            verdict: self.decision.verdict,
            enforced: self.decision.enforced && !self.request.dry_run,
            risk: self.decision.risk,
            reasons: self.decision.reasons.clone(),
            facts: self.shown_facts(),
            policy_version: self.decision.policy_version,
            dry_run: self.request.dry_run,
            retry_at: self.decision.retry_at,
            sent,
            verification,
            count: None,
            veiled: self.request.veiled,
        }
    }

    /// The reasons for whoever asked: without the range of a recipient that came encrypted.
    pub fn told_reasons(&self) -> Vec<Reason> {
        let mut reasons = self.decision.reasons.clone();
        if self.request.veiled {
            veil_reasons(&mut reasons, &self.request.to.digits());
        }
        reasons
    }

    fn shown_facts(&self) -> Json {
        Json::of(&ShownFacts {
            recorded: Recorded::of(&self.request, &self.facts, self.at),
            opt_out: &self.facts.opt_out,
            resend_after: &self.facts.resend_after,
            address: self.facts.address,
            models: &self.facts.opinions,
            limits: &self.facts.limits,
            redeems: self.request.terms.redeems.map(|id| id.show(IdKind::Decision)),
        })
    }

    /// For the ledger, when nothing is sent by us, whatever the verdict.
    pub fn record(&self) -> DecisionRecord {
        let body = self.body(self.open.as_ref().map(|v| v.id));
        DecisionRecord { id: self.id, body: DecisionBody { sent: false, ..body } }
    }
}
