//! A number is looked up: what its digits say, what providers know, what the operator corrected, how risky it
//! is, and what this subaccount itself has to do with it. Nothing that other subaccounts did with the number is
//! among it, so that a foreign number answers like one that nobody ever used.

use std::sync::Arc;
use std::time::Duration;

use seawall_connect::lookup::{Asked, Depth, LookupFailure, NumberState};
use seawall_connect::{Connector, Kind, Secret};
use seawall_core::consent::{Category, covering};
use seawall_core::detect;
use seawall_core::facts::{Enumeration, History};
use seawall_core::lookup::{Format, Risk, format, range, risk};
use seawall_core::msisdn::{Msisdn, ParsedNumber};
use seawall_core::request::{Operation, Request};
use seawall_core::time::Timestamp;
use seawall_core::verification::VerificationState;
use seawall_store::StoreError;
use seawall_store::records::{Looked, Page, VerificationFilter};

use super::consent::reconfirm;
use super::screen::{Screened, screen};
use super::who::Caller;
use super::{App, Refusal, enumeration};

/// How long an answer about the operator is good.
const OPERATOR_AGE: Duration = Duration::from_secs(7 * 86_400);
/// How long an answer about the phone is good.
const LIVE_AGE: Duration = Duration::from_secs(300);
/// Whatever a provider's own deadline says, nobody waits longer.
const DEADLINE: Duration = Duration::from_secs(10);

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct LookUp {
    /// The subaccount, already entered.
    pub subaccount: String,
    /// The number.
    pub number: ParsedNumber,
    /// Whether providers are asked, and how much; `None`: only what is known here.
    pub depth: Option<Depth>,
}

/// What is known.
#[derive(Debug)]
pub struct LookedUp {
    /// The decision that allowed it.
    pub screened: Box<Screened>,
    /// What the digits say.
    pub format: Format,
    /// What providers said lately, under the operator's own corrections.
    pub state: NumberState,
    /// When a provider was last asked; `None` if only corrections and digits speak.
    pub asked_at: Option<Timestamp>,
    /// Why a provider that was asked now said nothing.
    pub failure: Option<LookupFailure>,
    /// What asking cost, in micro-units; 0 from the cache.
    pub cost: i64,
    /// How risky it is.
    pub risk: Risk,
    /// Whether it opted out of this subaccount's messages.
    pub opted_out: bool,
    /// When this subaccount last confirmed it.
    pub last_confirmed_at: Option<Timestamp>,
}

/// Screens, charges the limits of lookups, records the decision, and says what is known.
pub async fn look_up(app: &App, caller: &Caller, ask: LookUp) -> Result<LookedUp, Refusal> {
    let now = app.now();
    let request = Request::new(Operation::Lookup, &ask.subaccount, &caller.key.id, &ask.number, caller.ip);
    let screened = screen(app, request, now).await?;
    app.recorder.record(&screened);
    if !screened.allowed() {
        return Err(Refusal::Decided(screened));
    }
    let format = format(ask.number);
    let known = known(app, &ask, now).await?;
    let exists = format.number.valid && known.failure.is_none_or(|failure| !is_nobody(failure));
    enumeration::note(app, &screened.request, exists, screened.at);
    let last_confirmed_at = last_confirmed(app, &ask).await?;
    let scopes = app.store.directory.opted_out(ask.number.msisdn).await?;
    let opted_out = covering(scopes, &ask.subaccount, Category::Transactional, None, now).is_some();
    let risk = risk_of(app, &screened, &format, last_confirmed_at);
    Ok(LookedUp {
        format,
        state: known.state,
        asked_at: known.at,
        failure: known.failure,
        cost: known.cost,
        risk,
        opted_out,
        last_confirmed_at,
        screened,
    })
}

/// Whether a failure says that there is nobody.
fn is_nobody(failure: LookupFailure) -> bool {
    matches!(failure, LookupFailure::SimDeactivated)
}

/// This subaccount's own confirmation. Installation-wide memory would tell of others.
async fn last_confirmed(app: &App, ask: &LookUp) -> Result<Option<Timestamp>, StoreError> {
    let filter = VerificationFilter {
        subaccount: Some(ask.subaccount.clone()),
        to: Some(ask.number.msisdn),
        state: Some(VerificationState::Verified),
    };
    let found = app.store.ledger.verifications(filter, Page { before: None, limit: 1 }).await?;
    Ok(found.first().and_then(|verification| verification.lifecycle.verified_at))
}

/// Asks detection about the number's range, the lists about the number itself.
fn risk_of(app: &App, screened: &Screened, format: &Format, confirmed: Option<Timestamp>) -> Risk {
    let snapshot = app.snapshot.load();
    let lists = app.lists.hits(&screened.request, &screened.facts, screened.at);
    let history = History { known: confirmed.is_some(), last_confirmed_at: confirmed, ..History::default() };
    let asked = Request { to: range(screened.request.to), ..screened.request.clone() };
    let number = screened.facts.number.as_ref();
    let asked = detect::Asked::of(&asked, None, number, history, screened.at);
    // What the digits say of the number counts once, and not within the evidence as well.
    let evidence = app.detection.assess(&detect::Asked { disposable: false, ..asked });
    risk(format, &evidence, &lists, &snapshot.policy.detection)
}

/// What is known of a number beside its digits.
#[derive(Default)]
struct Known {
    state: NumberState,
    at: Option<Timestamp>,
    failure: Option<LookupFailure>,
    cost: i64,
}

async fn known(app: &App, ask: &LookUp, now: Timestamp) -> Result<Known, StoreError> {
    let (number, depth) = (ask.number.msisdn, ask.depth);
    let kept = app.store.ledger.looked(number, &ask.subaccount).await?.unwrap_or_default();
    let read = |json: &Option<(Timestamp, String)>, age: Duration| {
        let (at, json) = json.as_ref().filter(|(at, _)| at.plus(age) > now)?;
        Some((*at, serde_json::from_str::<NumberState>(json).ok()?))
    };
    let (operator, live) = (read(&kept.operator, OPERATOR_AGE), read(&kept.live, LIVE_AGE));
    let corrected = correction(app, number).await?.unwrap_or_default();
    let newest = live.or(operator);
    let fresh = match depth {
        None => true,
        Some(Depth::Operator) => newest.is_some(),
        Some(Depth::Live) => read(&kept.live, LIVE_AGE).is_some(),
    };
    let mut known = Known::default();
    if let Some((at, state)) = newest {
        (known.state, known.at) = (state, Some(at));
    }
    if let Some(depth) = depth.filter(|_| !fresh) {
        (known.failure, known.cost) = match ask_provider(app, number, depth).await {
            (Ok(state), cost) => {
                keep(app, ask, kept, depth, &state, now).await;
                reconfirm::signal(app, &ask.subaccount, number, &state).await?;
                known.state = state.or(known.state.lasting());
                known.at = Some(now);
                (None, cost)
            }
            (Err(failure), cost) => {
                known.state = known.state.lasting();
                (Some(failure), cost)
            }
        };
    }
    known.state = corrected.or(known.state);
    Ok(known)
}

/// The providers that look so deep are asked in the order of their making, until one answers.
async fn ask_provider(app: &App, number: Msisdn, depth: Depth) -> (Result<NumberState, LookupFailure>, i64) {
    let mut failure = LookupFailure::NoProvider;
    let mut cost = 0;
    for connector in providers(app, depth) {
        let asked = Asked { number: Secret::new(number.to_e164()), depth };
        cost += connector.lookup_cost();
        let answer = tokio::time::timeout(DEADLINE, connector.look_up(&asked)).await;
        match answer.unwrap_or(Err(LookupFailure::Timeout)) {
            Ok(state) => return (Ok(state), cost),
            Err(why) => failure = why,
        }
        let goes_on =
            matches!(failure, LookupFailure::Timeout | LookupFailure::Provider | LookupFailure::Balance);
        if !goes_on {
            break;
        }
    }
    (Err(failure), cost)
}

/// Real providers before the sandbox, older ones first.
fn providers(app: &App, depth: Depth) -> Vec<Arc<dyn Connector>> {
    let snapshot = app.snapshot.load();
    let able = snapshot.providers.values().filter(|p| p.connector.looks_up().is_some_and(|d| d >= depth));
    let mut able: Vec<_> = able.collect();
    able.sort_by_key(|p| (p.provider.kind == Kind::Sandbox, p.provider.created_at, p.provider.id.clone()));
    able.into_iter().map(|p| p.connector.clone()).collect()
}

/// Keeps an answer for the next one who asks. A cache that cannot be written costs money and not the answer.
async fn keep(app: &App, ask: &LookUp, kept: Looked, depth: Depth, state: &NumberState, now: Timestamp) {
    let json = |state: &NumberState| serde_json::to_string(state).ok().map(|json| (now, json));
    let live = if depth == Depth::Live { json(state) } else { kept.live };
    let looked = Looked { operator: json(&state.lasting()), live, corrected: None };
    if let Err(error) = app.store.ledger.keep_looked(ask.number.msisdn, &ask.subaccount, looked, now).await {
        tracing::warn!(%error, "the answer of a lookup could not be kept");
    }
}

/// What the operator knows better than providers.
pub async fn correction(app: &App, number: Msisdn) -> Result<Option<NumberState>, StoreError> {
    let kept = app.store.ledger.looked(number, "").await?;
    Ok(kept.and_then(|kept| serde_json::from_str(kept.corrected.as_deref()?).ok()))
}

/// Replaces that; `None` takes it back.
pub async fn correct(app: &App, number: Msisdn, state: Option<&NumberState>) -> Result<(), StoreError> {
    let corrected = state.and_then(|state| serde_json::to_string(state).ok());
    app.store.ledger.keep_looked(number, "", Looked { corrected, ..Looked::default() }, app.now()).await
}

/// Of a screened lookup: whether its caller has to wait.
pub fn held(app: &App, request: &Request, now: Timestamp) -> Option<Enumeration> {
    (request.operation == Operation::Lookup).then(|| app.enumeration.held(request, now)).flatten()
}
