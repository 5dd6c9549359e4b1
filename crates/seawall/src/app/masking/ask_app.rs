//! An app that keeps the pairing itself is asked about a call, as 8x8 asks: a Voice Call Action webhook, answered
//! with a call flow within the time that a caller waits.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Client, header};
use seawall_connect::Secret;
use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;
use seawall_store::records::MessageRecord;
use serde_json::{Value, json};

use super::super::App;
use super::super::entities::Webhook;
use super::inventory::VoiceEvent;
use super::tell::country;
use crate::jobs::egress::{self, BODY_AT_MOST, Rules};
use crate::jobs::hooks::headers;

/// A caller hears nothing while the app thinks.
const PATIENCE: Duration = Duration::from_secs(3);
/// Characters that are said at most.
const SAID_AT_MOST: usize = 3_000;

/// The client for questions.
#[derive(Default)]
pub struct Asker(OnceLock<Option<Client>>);

impl Asker {
    fn client(&self, rules: Rules) -> Option<&Client> {
        let made =
            || egress::client(rules).map_err(|error| tracing::error!(error, "apps are not asked")).ok();
        self.0.get_or_init(made).as_ref()
    }
}

/// What an app said.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// `makeCall`.
    Connect {
        /// Whom.
        to: Msisdn,
        /// Whether to record it.
        record: bool,
    },
    /// `say` without a call.
    Say {
        /// What.
        text: String,
        /// In which language.
        language: String,
    },
    /// `hangup`, or nothing that makes sense.
    HangUp,
}

/// Asks the app of a subaccount. `None`: it has no such webhook, or gave no answer in time.
pub async fn ask(app: &App, subaccount: &str, from: Msisdn, to: Msisdn, reference: &str) -> Option<Said> {
    let hook = app.snapshot.load().voice_webhook(subaccount, VoiceEvent::Vca).cloned()?;
    let answer = tokio::time::timeout(PATIENCE, asked(app, &hook, subaccount, from, to, reference)).await;
    match answer {
        Ok(Ok(answer)) => Some(understood(&answer, to)),
        Ok(Err(why)) => {
            tracing::warn!(why, "an app did not say what to do with a call");
            None
        }
        Err(_) => {
            tracing::warn!("an app did not say in time what to do with a call");
            None
        }
    }
}

/// Asks the app what happens next in a call that it had made: a step is over, and these keys were pressed. `None` as
/// above.
pub async fn next(app: &App, call: &MessageRecord, keys: Option<&Secret>) -> Option<Value> {
    let hook = app.snapshot.load().voice_webhook(&call.subaccount, VoiceEvent::Vca).cloned()?;
    match tokio::time::timeout(PATIENCE, asked_next(app, &hook, call, keys)).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(why)) => {
            tracing::warn!(why, "an app did not say how a call goes on");
            None
        }
        Err(_) => {
            tracing::warn!("an app did not say in time how a call goes on");
            None
        }
    }
}

async fn asked_next(
    app: &App,
    hook: &Webhook,
    call: &MessageRecord,
    keys: Option<&Secret>,
) -> Result<Value, String> {
    let id = app.ids.next(app.now()).map_err(|error| error.to_string())?;
    let source = call.details.source.as_deref().map(|s| format!("+{}", s.trim_start_matches('+')));
    let payload = json!({
        "eventId": id.to_uuid(),
        "callId": call.id.to_uuid(),
        "sessionId": call.id.to_uuid(),
        "subAccountId": call.subaccount,
        "callStatus": "ACTION_COMPLETED",
        "callDirection": "OUTBOUND",
        "callType": "PSTN",
        "source": source,
        "destination": call.to.to_e164(),
        "sourceFormat": "MSISDN",
        "destinationFormat": "MSISDN",
        "sourceCountryCode": source.as_deref().and_then(Msisdn::from_e164).and_then(country),
        "destinationCountryCode": country(call.to),
        "callDuration": 0,
        "eventData": {"dtmf": keys.map(Secret::reveal)},
        "sipCode": 200,
        "clientRequestId": call.details.client_message_id,
        "timestamp": app.now(),
    });
    put(app, hook, id, payload).await
}

async fn asked(
    app: &App,
    hook: &Webhook,
    subaccount: &str,
    from: Msisdn,
    to: Msisdn,
    reference: &str,
) -> Result<Value, String> {
    let id = app.ids.next(app.now()).map_err(|error| error.to_string())?;
    let payload = json!({
        "eventId": id.to_uuid(),
        "callId": id.to_uuid(),
        "sessionId": reference,
        "subAccountId": subaccount,
        "callStatus": "CALL_RECEIVED",
        "callDirection": "INBOUND",
        "callType": "PSTN",
        "source": from.to_e164(),
        "destination": to.to_e164(),
        "sourceFormat": "MSISDN",
        "destinationFormat": "MSISDN",
        "sourceCountryCode": country(from),
        "destinationCountryCode": country(to),
        "callDuration": 0,
        "sipCode": 200,
        "timestamp": app.now(),
    });
    put(app, hook, id, payload).await
}

/// Asks, and reads the answer.
async fn put(app: &App, hook: &Webhook, id: Id, payload: Value) -> Result<Value, String> {
    let rules = Rules::of(&app.config);
    let url = egress::check_url(&hook.url, rules.any_port())?;
    let body = json!({
        "namespace": "VOICE",
        "eventType": "CALL_ACTION",
        "description": "Action request of a call",
        "payload": payload,
    });
    let body = body.to_string();
    let headers = headers(app, id, &body, Some(hook), hook.authorization.clone());
    let headers = headers.ok_or("its Authorization value cannot stand in a header")?;
    let client = app.asker.client(rules).ok_or("there is no HTTP client")?;
    let sent = client.post(url).headers(headers).header(header::ACCEPT, "application/json").body(body).send();
    let mut answer = sent.await.map_err(|error| error.without_url().to_string())?;
    if !answer.status().is_success() {
        return Err(format!("it answered {}", answer.status().as_u16()));
    }
    let mut read = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| error.without_url().to_string())? {
        read.extend_from_slice(&piece);
        if read.len() > BODY_AT_MOST {
            return Err("its answer is too long".to_owned());
        }
    }
    serde_json::from_slice(&read).map_err(|_| "its answer is not JSON".to_owned())
}

/// Reads a call flow. The caller that is shown is the virtual number, whatever the app says.
fn understood(answer: &Value, mask: Msisdn) -> Said {
    let Some(first) = answer.pointer("/callflow/0") else { return Said::HangUp };
    let params = first.get("params").unwrap_or(&Value::Null);
    let text = |name: &str| params.get(name).and_then(Value::as_str);
    match first.get("action").and_then(Value::as_str) {
        Some("makeCall") => {
            let to = text("destination").and_then(|to| Msisdn::parse(to, None).ok()).map(|to| to.msisdn);
            let record = params.get("callRecording").and_then(Value::as_bool).unwrap_or(false);
            to.filter(|to| *to != mask).map_or(Said::HangUp, |to| Said::Connect { to, record })
        }
        Some("say") => {
            let said = text("text").unwrap_or_default().chars().take(SAID_AT_MOST).collect();
            let voice = text("voiceProfile").unwrap_or("en-US");
            let language = voice.splitn(3, '-').take(2).collect::<Vec<_>>().join("-");
            Said::Say { text: said, language }
        }
        _ => Said::HangUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Msisdn {
        Msisdn::from_e164(text).unwrap()
    }

    #[test]
    fn call_flows_are_understood() {
        let mask = number("+6531580001");
        let flow = |first: Value| understood(&json!({"clientActionId": "1", "callflow": [first]}), mask);
        let call = json!({"action": "makeCall", "params": {"source": "+6531580001", "destination": "+6591234567", "callRecording": true}});
        assert_eq!(flow(call), Said::Connect { to: number("+6591234567"), record: true });
        let say = json!({"action": "say", "params": {"text": "Hello", "voiceProfile": "de-DE-Katja"}});
        assert_eq!(flow(say), Said::Say { text: "Hello".to_owned(), language: "de-DE".to_owned() });
        for other in [
            json!({"action": "hangup"}),
            json!({"action": "makeCall", "params": {"destination": "+6531580001"}}),
            json!({"action": "makeCall", "params": {"destination": "nobody"}}),
            json!(7),
        ] {
            assert_eq!(flow(other), Said::HangUp);
        }
        assert_eq!(understood(&json!([]), mask), Said::HangUp);
    }
}
