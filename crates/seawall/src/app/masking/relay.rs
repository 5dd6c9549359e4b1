//! A text to a virtual number goes on to the other party, from the virtual number.

use seawall_connect::Inbound;
use seawall_core::consent::{Category, Intent, Manner, read};
use seawall_core::id::{Id, IdKind};
use seawall_core::masking::relay::hide;
use seawall_core::masking::{FarEnd, Party};
use seawall_core::msisdn::Msisdn;
use seawall_store::StoreError;
use seawall_store::masking::MaskRecord;
use serde_json::{Value, json};

use super::super::consent::inbound as consents;
use super::super::consent::say::say;
use super::super::{App, Refusal};
use super::inventory::TextNumbers;
use super::{end, tell};

/// Takes an inbound message if it was written to a virtual number. False: it is none of ours.
pub async fn take(app: &App, provider: &str, from: Msisdn, inbound: &Inbound) -> Result<bool, StoreError> {
    let Some(to) = Msisdn::parse(&inbound.to, None).ok().map(|to| to.msisdn) else { return Ok(false) };
    let number = app.snapshot.load().masking.numbers.get(&to).cloned();
    let Some(number) = number else { return Ok(false) };
    let Some(mask) = app.store.directory.mask_of(from, to).await?.filter(|_| number.sms) else {
        tracing::info!(number = %to, "a text to a virtual number had no session");
        return Ok(true);
    };
    // A lone STOP is for us; anything longer is for the other party, who may be asked to stop at the corner.
    if let Some(reading) = read(inbound.text.reveal()).0
        && (reading.intent, reading.manner) == (Intent::Stop, Manner::Keyword)
    {
        consents::take(app, provider, from, &mask.subaccount, inbound).await?;
        return Ok(true);
    }
    match mask.session.far_end(from, app.now()) {
        Ok(far) => pass_on(app, mask, far, inbound.text.reveal()).await?,
        Err(why) => refused(app, &mask, mask.session.party(from), why.as_str(), None).await?,
    }
    Ok(true)
}

/// Sends it on, through the screening and the outbox like every other message.
async fn pass_on(app: &App, mask: MaskRecord, far: FarEnd, text: &str) -> Result<(), StoreError> {
    let keep = {
        let masking = &app.snapshot.load().masking;
        masking.pools.get(&mask.pool).is_some_and(|pool| pool.text_numbers == TextNumbers::Keep)
    };
    let shown = if keep { text.to_owned() } else { hide(text, &[mask.session.a, mask.session.b]) };
    let source = Some(far.shown.to_e164());
    // Boxed: sending is large.
    let sent =
        Box::pin(say(app, &mask.subaccount, far.to, &shown, source, Category::Transactional, "masking"))
            .await;
    match sent {
        Ok(message) => {
            // It is on its way: what fails from here on must not have it sent once more.
            if let Err(error) = relayed(app, mask, far.from, message).await {
                tracing::error!(%error, "a relayed message was not counted");
            }
            Ok(())
        }
        Err(Refusal::Decided(screened)) => {
            let decision = Some(screened.id.show(IdKind::Decision));
            refused(app, &mask, Some(far.from), "refused", decision).await
        }
        Err(Refusal::Unavailable(error)) => Err(error),
        Err(_) => refused(app, &mask, Some(far.from), "refused", None).await,
    }
}

async fn relayed(app: &App, mask: MaskRecord, from: Party, message: Id) -> Result<(), StoreError> {
    let payload = payload(&mask, Some(from), json!({"messageId": message.show(IdKind::Message)}));
    tell::native(app, &mask.subaccount.clone(), "message_relayed", payload).await?;
    end::change(app, mask, |mask, _| mask.messages = mask.messages.saturating_add(1)).await.map(drop)
}

async fn refused(
    app: &App,
    mask: &MaskRecord,
    from: Option<Party>,
    why: &str,
    decision: Option<String>,
) -> Result<(), StoreError> {
    let payload = payload(mask, from, json!({"refusal": why, "decisionId": decision}));
    tell::native(app, &mask.subaccount, "message_refused", payload).await
}

fn payload(mask: &MaskRecord, from: Option<Party>, more: Value) -> Value {
    let mut payload = json!({
        "subAccountId": mask.subaccount,
        "sessionId": mask.id.show(IdKind::Mask),
        "number": mask.session.mask.to_e164(),
        "from": from,
    });
    if let (Value::Object(fields), Value::Object(more)) = (&mut payload, more) {
        fields.extend(more);
    }
    payload
}
