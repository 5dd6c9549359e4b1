//! A number is looked up: what its digits say, what providers know, what the operator corrected, how risky it
//! is, and what this subaccount itself has to do with it. Nothing that other subaccounts did with the number is
//! among it, so that a foreign number answers like one that nobody ever used.

mod ask;
mod for_rules;
mod known;
pub mod settings;

use seawall_connect::lookup::{Depth, LookupFailure, Network, NumberState};
use seawall_core::consent::{Category, covering};
use seawall_core::detect;
use seawall_core::facts::{Enumeration, History};
use seawall_core::lookup::{Format, Risk, format, range, risk};
use seawall_core::money::Currency;
use seawall_core::msisdn::{Msisdn, ParsedNumber};
use seawall_core::request::{Operation, Request};
use seawall_core::time::Timestamp;
use seawall_core::verification::VerificationState;
use seawall_store::StoreError;
use seawall_store::records::{Looked, Page, VerificationFilter};

use self::ask::Answered;
pub use self::ask::dearest;
pub use self::for_rules::for_rules;
use self::known::Kept;
use super::screen::{Screened, screen};
use super::who::Caller;
use super::{App, Refusal, enumeration};

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct LookUp {
    /// The subaccount, already entered.
    pub subaccount: String,
    /// The number.
    pub number: ParsedNumber,
    /// Whether providers are asked, and how much; `None`: only what is known here.
    pub depth: Option<Depth>,
    /// One of a whole list, whose cost was confirmed: it says nothing about who goes through numbers.
    pub listed: bool,
}

impl LookUp {
    /// A lookup of one number that asks nobody.
    pub fn free(subaccount: &str, number: ParsedNumber) -> Self {
        LookUp { subaccount: subaccount.to_owned(), number, depth: None, listed: false }
    }
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
    /// What asking cost, in micro-units; 0 when nobody was asked, or nobody answered.
    pub cost: i64,
    /// The account's currency.
    pub currency: Currency,
    /// How risky it is.
    pub risk: Risk,
    /// Whether it opted out of this subaccount's messages.
    pub opted_out: bool,
    /// When this subaccount last confirmed it.
    pub last_confirmed_at: Option<Timestamp>,
}

/// Screens, charges the limits of lookups and the budgets, asks, records the decision, and says what is known.
/// To be done to its end once it is begun: what was charged has to be settled.
pub async fn look_up(app: &App, caller: &Caller, ask: LookUp) -> Result<LookedUp, Refusal> {
    let now = app.now();
    let currency = currency(app);
    let format = format(ask.number);
    let mut kept = Kept::read(app, &ask, now).await?;
    let depth = ask.depth.filter(|depth| !kept.answers(*depth));
    let mut request =
        Request::new(Operation::Lookup, &ask.subaccount, &caller.key.id, &ask.number, caller.ip);
    if let Some(reserve) = depth.map(|depth| ask::dearest(app, depth)).filter(|reserve| *reserve > 0) {
        (request.price, request.currency) = (Some(reserve), Some(currency));
    }
    let mut screened = screen(app, request, now).await?;
    if !screened.allowed() {
        app.recorder.record(&screened);
        return Err(Refusal::Decided(screened));
    }
    let (mut failure, mut cost) = (None, 0);
    if let Some(depth) = depth {
        let answered = ask::providers(app, ask.number.msisdn, depth).await;
        screened.settle_price(app, answered.cost).await;
        cost = answered.cost;
        failure = kept.take_in(app, &ask, depth, answered, now).await;
    }
    app.recorder.record(&screened);
    let asked_at = kept.asked_at();
    let state = kept.state(app, &ask, failure.is_some()).await?;
    let exists = format.number.valid && failure.is_none_or(|failure| !is_nobody(failure));
    if !ask.listed {
        enumeration::note(app, &screened.request, exists, screened.at);
    }
    let last_confirmed_at = last_confirmed(app, &ask).await?;
    let scopes = app.store.directory.opted_out(ask.number.msisdn).await?;
    let opted_out = covering(scopes, &ask.subaccount, Category::Transactional, None, now).is_some();
    let risk = risk_of(app, &screened, &format, last_confirmed_at);
    Ok(LookedUp {
        format,
        state,
        asked_at,
        failure,
        cost,
        currency,
        risk,
        opted_out,
        last_confirmed_at,
        screened,
    })
}

/// The account's currency, in which lookups are paid.
pub fn currency(app: &App) -> Currency {
    let snapshot = app.snapshot.load();
    let own = snapshot.account.as_ref().and_then(|account| Currency::parse(&account.currency));
    own.unwrap_or(Currency::USD)
}

/// What is known without asking, and whether that answers what would be asked.
pub async fn known(app: &App, ask: &LookUp) -> Result<(NumberState, bool), StoreError> {
    let kept = Kept::read(app, ask, app.now()).await?;
    let answers = ask.depth.is_none_or(|depth| kept.answers(depth));
    Ok((kept.state(app, ask, false).await?, answers))
}

/// Whether a number has another owner since this subaccount last confirmed it.
pub async fn is_reassigned(app: &App, ask: &LookUp, state: &NumberState) -> Result<bool, StoreError> {
    if state.reassigned_at.is_none() {
        return Ok(false);
    }
    Ok(is_reassigned_since(state, last_confirmed(app, ask).await?))
}

/// The same, when that was at `confirmed`; of a number that was never confirmed, whether it ever changed hands.
pub fn is_reassigned_since(state: &NumberState, confirmed: Option<Timestamp>) -> bool {
    state.reassigned_at.is_some_and(|at| confirmed.is_none_or(|confirmed| at > confirmed))
}

/// The operator that a number's range was first given to.
pub fn original(format: &Format, state: &NumberState) -> Option<Network> {
    let first = format.original_operator.map(|operator| {
        let code = format.operator_code();
        Network {
            name: Some(operator.name.to_owned()),
            mcc: code.map(|code| code.mcc().to_owned()),
            mnc: code.map(|code| code.mnc().to_owned()),
            country: Some(format.number.country.to_string()),
        }
    });
    state.original_operator.clone().or(first)
}

/// The operator that carries it, as far as is known: the first one until somebody says otherwise. Once it is known to
/// have moved, its first operator is not its operator.
pub fn carrier(format: &Format, state: &NumberState) -> Option<Network> {
    let stayed = state.ported != Some(true);
    state.operator.clone().or_else(|| original(format, state).filter(|_| stayed))
}

/// What providers and the operator's corrections say of a number that something is to be done with: asked within limits and
/// budgets, else what is known without asking.
pub async fn state(
    app: &App,
    caller: &Caller,
    subaccount: &str,
    number: ParsedNumber,
) -> Result<NumberState, StoreError> {
    let ask = LookUp { depth: Some(Depth::Live), listed: true, ..LookUp::free(subaccount, number) };
    match Box::pin(look_up(app, caller, ask.clone())).await {
        Ok(looked) => Ok(looked.state),
        Err(Refusal::Unavailable(error)) => Err(error),
        Err(_) => Ok(known(app, &ask).await?.0),
    }
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
    let lists = app.lists.hits(app.store.vault.index(), &screened.request, &screened.facts, screened.at);
    let history = History { known: confirmed.is_some(), last_confirmed_at: confirmed, ..History::default() };
    let asked = Request { to: range(screened.request.to), ..screened.request.clone() };
    let number = screened.facts.number.as_ref();
    let asked = detect::Asked::of(&asked, None, number, history, screened.at);
    // What the digits say of the number counts once, and not within the evidence as well.
    let evidence = app.detection.assess(&detect::Asked { disposable: false, ..asked });
    risk(format, &evidence, &lists, &snapshot.policy.detection)
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
