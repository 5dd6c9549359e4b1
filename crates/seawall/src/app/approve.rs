//! A verification is approved by hand: a person was identified in another way.

use seawall_core::id::{Id, IdKind};
use seawall_core::verification::{Checked, VerificationState};
use seawall_store::records::VerificationRecord;
use serde_json::json;

use super::audit::Actor;
use super::{App, Refusal};

/// Approves a pending verification without a code, and writes down who did. Says whether it is verified now,
/// which includes that it was before.
pub async fn approve(
    app: &App,
    actor: &Actor,
    subaccount: &str,
    id: Id,
    note: &str,
) -> Result<(bool, VerificationRecord), Refusal> {
    let now = app.now();
    // Before the change: an approval that nobody can be asked about must not exist.
    let detail = json!({"subaccount_id": subaccount, "note": note});
    let entry = actor.entry(now, "verifications.approve", &id.show(IdKind::Verification), detail);
    app.store.directory.note_audit(entry).await?;
    let step = Box::new(move |v: &mut VerificationRecord, _: &mut _| {
        if v.lifecycle.approve(now) {
            v.given_code = None;
        }
        Checked::Final
    });
    let found = app.store.ledger.check(subaccount, id, step).await?;
    let (_, verification) = found.ok_or(Refusal::NotFound)?;
    Ok((verification.lifecycle.state == VerificationState::Verified, verification))
}
