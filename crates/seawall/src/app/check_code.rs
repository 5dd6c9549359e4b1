//! A code is presented.

use seawall_core::code::Code;
use seawall_core::id::Id;
use seawall_core::limit::{BACK_OFF, Limit};
use seawall_core::msisdn::Msisdn;
use seawall_core::request::{Operation, Request};
use seawall_core::time::Timestamp;
use seawall_core::verification::Checked;
use seawall_store::StoreError;
use seawall_store::records::VerificationRecord;

use super::screen::screen;
use super::who::Caller;
use super::{App, Refusal};

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
    presented: &str,
) -> Result<CodeChecked, Refusal> {
    let at = app.now();
    let Some(current) = app.store.ledger.verification(Some(subaccount), id).await? else {
        return Err(Refusal::NotFound);
    };
    within_limits(app, caller, &current, at).await?;
    // The code is derived outside the transaction; a reset in between changes the generation, which is
    // compared inside.
    let expected = code_of(app, &current)?;
    let seen = (current.lifecycle.generation, current.key_id);
    let presented = presented.to_owned();
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
    let Some((checked, verification)) = app.store.ledger.check(subaccount, id, step).await? else {
        return Err(Refusal::NotFound);
    };
    if checked == Checked::Right {
        let index = app.store.vault.index();
        app.store.counters.clear(&[index.counter(BACK_OFF, index.msisdn(verification.to))]).await?;
    }
    let device_token = match checked {
        Checked::Right => Some(app.store.vault.device_token(verification.to, at)?),
        _ => None,
    };
    super::hooks::verification_changed(app, &verification, checked).await;
    Ok(CodeChecked { checked, verification, at, device_token })
}

/// Limits on checks, where an operator set some; the budgets of wrong codes hold in any case.
async fn within_limits(
    app: &App,
    caller: &Caller,
    verification: &VerificationRecord,
    at: Timestamp,
) -> Result<(), Refusal> {
    let limited = |l: &Limit| l.applies(Operation::VerifyCheck, &verification.subaccount);
    if !app.snapshot.load().policy.limits.iter().any(limited) {
        return Ok(());
    }
    let Ok(to) = Msisdn::parse(&verification.to.to_e164(), None) else { return Ok(()) };
    let request = Request {
        channel: verification.lifecycle.channel,
        purpose: verification.purpose.clone(),
        segments: 0,
        ..Request::new(Operation::VerifyCheck, &verification.subaccount, &caller.key.id, &to, caller.ip)
    };
    let screened = screen(app, request, at).await?;
    if screened.allowed() {
        return Ok(());
    }
    app.recorder.record(screened.record());
    Err(Refusal::Decided(screened))
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
