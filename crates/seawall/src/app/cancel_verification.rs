//! A verification is taken back by its caller.

use seawall_core::id::Id;
use seawall_core::verification::{Checked, VerificationState};
use seawall_store::records::VerificationRecord;

use super::{App, Refusal};

/// Takes a verification back: no code is accepted from then on, and a message that waits is not sent.
/// Says whether it is canceled now, which includes that it was before.
pub async fn cancel_verification(
    app: &App,
    subaccount: &str,
    id: Id,
) -> Result<(bool, VerificationRecord), Refusal> {
    let now = app.now();
    // The ledger's step for codes is the one that changes a verification with nothing in between. What it
    // returns is about codes, and none was looked at.
    let step = Box::new(move |v: &mut VerificationRecord, _: &mut _| {
        if v.lifecycle.cancel(now) {
            v.given_code = None;
        }
        Checked::Final
    });
    let Some((_, verification)) = app.store.ledger.check(subaccount, id, step).await? else {
        return Err(Refusal::NotFound);
    };
    let canceled = verification.lifecycle.state == VerificationState::Canceled;
    if canceled {
        match super::cancel::cancel_message(app, subaccount, verification.message).await {
            // Retention may have erased the message, and then nothing waits.
            Ok(_) | Err(Refusal::NotFound) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok((canceled, verification))
}
