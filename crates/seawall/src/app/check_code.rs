//! A code is presented.

use std::time::Duration;

use seawall_core::code::Code;
use seawall_core::detect::Event;
use seawall_core::id::Id;
use seawall_core::limit::BACK_OFF;
use seawall_core::msisdn::Msisdn;
use seawall_core::reason::ReasonCode;
use seawall_core::request::{Client, Operation, Request};
use seawall_core::time::Timestamp;
use seawall_core::verification::Checked;
use seawall_store::StoreError;
use seawall_store::records::VerificationRecord;
use serde_json::json;

use super::alarms::Alarm;
use super::consent::reconfirm;
use super::detection::event_id;
use super::screen::{Screened, screen};
use super::who::Caller;
use super::{App, Refusal};

/// What a caller presents.
#[derive(Clone, Debug, Default)]
pub struct Presented {
    /// What the user typed.
    pub code: String,
    /// The payment that it is to confirm, see [`seawall_core::text::code::Payment::canonical`].
    pub bind: Option<String>,
    /// Who typed it.
    pub client: Client,
}

/// What became of it.
#[derive(Debug)]
pub struct CodeChecked {
    /// The result.
    pub checked: Checked,
    /// The verification as it stands now.
    pub verification: VerificationRecord,
    /// When.
    pub at: Timestamp,
    /// For the device on which the code was typed, when it was right: shown with later requests, it marks
    /// them as coming from a device that this number was verified on.
    pub device_token: Option<String>,
}

/// Presents a code. One atomic step in the ledger: 200 at once are evaluated one after the other, and never
/// more than the verification and its number allow.
pub async fn check_code(
    app: &App,
    caller: &Caller,
    subaccount: &str,
    id: Id,
    presented: Presented,
) -> Result<CodeChecked, Refusal> {
    let at = app.now();
    let Some(current) = app.store.ledger.verification(Some(subaccount), id).await? else {
        return Err(Refusal::NotFound);
    };
    same_payment(&current, &presented)?;
    let screened = within_limits(app, caller, &current, &presented.client, at).await?;
    // The code is derived outside the transaction; a reset in between changes the generation, which is
    // compared inside.
    let expected = code_of(app, &current)?;
    let seen = (current.lifecycle.generation, current.key_id);
    let presented = presented.code;
    let step = Box::new(move |v: &mut VerificationRecord, budget: &mut _| {
        let same = (v.lifecycle.generation, v.key_id) == seen;
        let right = same && expected.matches(&presented);
        let length = v.shape.length();
        let checked = v.lifecycle.present(right, budget, length, at);
        if v.lifecycle.state != seawall_core::verification::VerificationState::Pending {
            v.given_code = None;
        }
        checked
    });
    let looked = app.store.ledger.check(subaccount, id, step).await;
    let wrong = matches!(&looked, Ok(Some((Checked::Wrong, _))));
    if let Some(screened) = &screened {
        screened.settle_failure(app, wrong).await;
    }
    let Some((checked, verification)) = looked? else {
        return Err(Refusal::NotFound);
    };
    if matches!(checked, Checked::Right | Checked::Wrong) {
        app.check_alarm.looked_at(&app.alarms, subaccount, wrong, at);
    }
    if checked == Checked::Right {
        let index = app.store.vault.index();
        // The code was right, and that is on disk: counters that do not answer must not turn it into an error.
        let back_off = [index.counter(BACK_OFF, index.msisdn(verification.to))];
        if let Err(error) = app.store.counters.clear(&back_off).await {
            tracing::warn!(%error, "a confirmed code did not end the back-off of its number");
        }
        learn_address(app, &verification, at).await;
        reconfirm::confirmed(app, &verification.subaccount, verification.to, at).await?;
    }
    if checked == Checked::Right {
        super::velocities::confirmed(app, verification.message, at).await;
    }
    let id = event_id(verification.message);
    match checked {
        Checked::Right => app.detection.observe(Event::Confirmed { id, at }),
        Checked::Wrong => app.detection.observe(Event::WrongCheck { id, at }),
        Checked::Final | Checked::Exhausted { .. } => {}
    }
    let device_token = match checked {
        Checked::Right => Some(app.store.vault.device_token(verification.to, at)?),
        _ => None,
    };
    super::hooks::verification_changed(app, &verification, checked).await;
    Ok(CodeChecked { checked, verification, at, device_token })
}

/// A code confirms the payment that it was sent for, and no other. The code is not looked at before.
fn same_payment(verification: &VerificationRecord, presented: &Presented) -> Result<(), Refusal> {
    let problem = match (&verification.bind, &presented.bind) {
        (bound, named) if bound == named => return Ok(()),
        (Some(_), Some(_)) => "is not the payment that the code was sent for; it was not looked at",
        (Some(_), None) => "is missing: repeat the payment that the code was sent for",
        (None, _) => "names a payment, and the code was sent for none; leave it out",
    };
    Err(Refusal::Invalid { field: "bind", problem: format!("`bind` {problem}.") })
}

/// Limits on checks, where an operator set some; the budgets of wrong codes hold in any case.
async fn within_limits(
    app: &App,
    caller: &Caller,
    verification: &VerificationRecord,
    client: &Client,
    at: Timestamp,
) -> Result<Option<Box<Screened>>, Refusal> {
    let policy = app.snapshot.load().policy.clone();
    let (subaccount, key) = (&verification.subaccount, Some(caller.key.id.as_str()));
    if policy.limits_for(Operation::VerifyCheck, subaccount, key).next().is_none() {
        return Ok(None);
    }
    let Ok(to) = Msisdn::parse(&verification.to.to_e164(), None) else { return Ok(None) };
    let request = Request {
        channel: verification.lifecycle.channel,
        client: client.clone(),
        purpose: verification.purpose.clone(),
        segments: 0,
        ..Request::new(Operation::VerifyCheck, &verification.subaccount, &caller.key.id, &to, caller.ip)
    };
    let screened = screen(app, request, at).await?;
    if screened.allowed() {
        return Ok(Some(screened));
    }
    if screened.leading_reason() == Some(ReasonCode::CheckBudgetExhausted) {
        refused_guesses(app, &screened);
    }
    app.recorder.record(&screened);
    Err(Refusal::Decided(screened))
}

/// Wrong codes are so many that codes are not looked at any more: someone should know.
fn refused_guesses(app: &App, screened: &Screened) {
    let reasons = screened.decision.reasons.iter().filter(|r| r.in_force());
    for reason in reasons.filter(|r| r.code == ReasonCode::CheckBudgetExhausted) {
        let until = screened.at.plus(Duration::from_secs(3600));
        let limit = reason.key.clone().unwrap_or_default();
        let alarm = Alarm {
            action: "checks.refused",
            target: limit.clone(),
            step: 0,
            subaccount: Some(screened.request.subaccount.clone()),
            detail: json!({
                "subaccount_id": screened.request.subaccount, "wrong": reason.value, "quota": reason.limit,
                "window": reason.window, "until": until,
            }),
            description: format!("codes are not looked at: limit \"{limit}\" of wrong codes is used up"),
            until,
        };
        app.alarms.raise(alarm, screened.at);
    }
}

/// The address that the last code was asked for from has one more user who confirmed.
async fn learn_address(app: &App, verification: &VerificationRecord, at: Timestamp) {
    let learned = async {
        let message = app.store.ledger.message(None, verification.message).await?;
        let Some(dimensions) = message.map(|m| m.dimensions) else { return Ok(()) };
        match dimensions.ip {
            Some(ip) => app.store.counters.note_number(ip, dimensions.to, true, at).await,
            None => Ok(()),
        }
    };
    if let Err(error) = learned.await {
        tracing::warn!(%error, "an address could not be learned; it keeps the plain quota");
    }
}

/// The code that is out for a verification.
pub fn code_of(app: &App, verification: &VerificationRecord) -> Result<Code, StoreError> {
    match &verification.given_code {
        Some(given) => Code::given(given).map_err(|e| StoreError::Corrupt(e.to_string())),
        None => app.store.vault.code(
            verification.key_id,
            verification.id,
            verification.lifecycle.generation,
            verification.shape,
        ),
    }
}
