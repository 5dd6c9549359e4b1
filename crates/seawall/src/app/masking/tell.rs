//! Who is told what: the app's webhook in our words, and, where it set them up, 8x8's voice webhooks in theirs. Our
//! words name parties by their letter, never by their number.

use seawall_core::id::IdKind;
use seawall_core::masking::call::{Call, CallResult};
use seawall_core::masking::health::Health;
use seawall_core::msisdn::Msisdn;
use seawall_store::StoreError;
use seawall_store::masking::{CallRecord, MaskRecord, Recording};
use seawall_store::records::HookDelivery;
use serde_json::{Value, json};

use super::super::{App, hooks};
use super::inventory::VoiceEvent;
use super::summary;

/// A session is over: with what went through it.
pub async fn session_ended(app: &App, record: &MaskRecord) -> Result<(), StoreError> {
    let now = app.now();
    let summary = summary(app, record).await?;
    let payload = json!({
        "subAccountId": record.subaccount,
        "sessionId": record.id.show(IdKind::Mask),
        "reference": record.reference,
        "number": record.session.mask.to_e164(),
        "status": record.session.state_at(now).as_str(),
        "endedAt": record.session.ended_at(now),
        "messages": record.messages,
        "summary": summary,
    });
    native(app, &record.subaccount, "session_ended", payload).await
}

/// A call came, was answered, ended, or was not let through.
pub async fn call_changed(app: &App, call: &CallRecord) -> Result<(), StoreError> {
    let event = match (&call.refusal, call.call.answered_at, &call.call.ended) {
        (Some(_), ..) => "call_refused",
        (None, _, Some(_)) => "call_ended",
        (None, Some(_), None) => "call_answered",
        (None, None, None) => "call_started",
    };
    native(app, &call.subaccount, event, view(call)).await?;
    let mut all = Vec::new();
    if call.call.answered_at.is_none() && call.refusal.is_none() && call.call.ended.is_none() {
        all.extend(voice(app, call, VoiceEvent::Vcs, status(app, call, "CALL_RECEIVED", 0)?)?);
        all.extend(voice(app, call, VoiceEvent::Vcs, outbound(app, call, "CALL_INITIATED")?)?);
    } else if call.call.ended.is_none() {
        all.extend(voice(app, call, VoiceEvent::Vcs, outbound(app, call, "CALL_CONNECTED")?)?);
    } else {
        let seconds = call.call.spoken().as_secs();
        all.extend(voice(app, call, VoiceEvent::Vcs, status(app, call, "CALL_DISCONNECTED", seconds)?)?);
        all.extend(voice(app, call, VoiceEvent::Vss, session_summary(app, call)?)?);
    }
    put(app, all).await
}

/// A call as the app's webhook and the API show it.
pub fn view(call: &CallRecord) -> Value {
    json!({
        "subAccountId": call.subaccount,
        "callId": call.id.show(IdKind::Call),
        "sessionId": call.session.map(|id| id.show(IdKind::Mask)),
        "number": call.mask.to_e164(),
        "via": call.via,
        "from": call.call.from,
        "beganAt": call.call.began_at,
        "answeredAt": call.call.answered_at,
        "endedAt": call.call.ended.map(|(at, _)| at),
        "result": call.call.result(),
        "refusal": call.refusal,
        "decisionId": call.decision.map(|id| id.show(IdKind::Decision)),
        "seconds": call.call.spoken().as_secs(),
    })
}

/// What is known of a recording changed.
pub async fn recording_changed(
    app: &App,
    call: &CallRecord,
    recording: &Recording,
) -> Result<(), StoreError> {
    let mut payload = view(call);
    if let Value::Object(fields) = &mut payload {
        fields.insert("recording".to_owned(), json!(recording));
    }
    native(app, &call.subaccount, "recording_changed", payload).await?;
    let payload = json!({
        "eventId": app.ids.next(app.now())?.to_uuid(),
        "recordingId": recording.id,
        "sessionId": call.id.to_uuid(),
        "subAccountId": call.subaccount,
        "status": recording_status(&recording.status),
        "externalFileUrl": recording.url,
        "duration": recording.seconds,
        "startRecordingTime": recording.started_at,
        "timestamp": app.now(),
    });
    let body = envelope("CALL_RECORDING_STATUS", "Status of a call recording", payload);
    put(app, voice(app, call, VoiceEvent::Vru, body)?.into_iter().collect()).await
}

/// 8x8's word for the state of a recording.
pub fn recording_status(status: &str) -> &'static str {
    match status {
        "processing" => "PROCESSING",
        "ready" => "UPLOAD_COMPLETED",
        "failed" => "PROCESSING_FAILED",
        _ => "UNKNOWN",
    }
}

/// A virtual number began to fail, or works again.
pub async fn health_changed(app: &App, call: &CallRecord, health: &Health) -> Result<(), StoreError> {
    let number = call.mask.to_e164();
    let payload = json!({"subAccountId": call.subaccount, "number": number, "health": health});
    native(app, &call.subaccount, "number_health_changed", payload).await?;
    let status = if health.failing { "Unhealthy" } else { "Active" };
    let shown = json!({
        "msisdn": number,
        "operationalStatus": status,
        "updateStatus": "UPDATED",
        "numberHealth": {"isHealthy": !health.failing, "status": status, "lastCheckedTime": health.last_at},
    });
    let payload = json!({
        "eventId": app.ids.next(app.now())?.to_uuid(),
        "subAccountId": call.subaccount,
        "updateEventType": "UPDATES",
        "numbers": [shown],
        "timestamp": app.now(),
    });
    let body = envelope("VIRTUAL_NUMBER_UPDATE", "Virtual numbers changed", payload);
    put(app, voice(app, call, VoiceEvent::Vnu, body)?.into_iter().collect()).await
}

/// Any event of masking, in our words.
pub async fn native(app: &App, subaccount: &str, event: &str, payload: Value) -> Result<(), StoreError> {
    let now = app.now();
    let body = json!({
        "namespace": "MASKING",
        "eventType": event,
        "description": "Number masking",
        "payload": payload,
    });
    let hooks = hooks::event(app, subaccount, &body, now)?;
    put(app, hooks).await
}

async fn put(app: &App, hooks: Vec<HookDelivery>) -> Result<(), StoreError> {
    if !hooks.is_empty() {
        app.store.ledger.add_hooks(hooks).await?;
        app.hook_work.notify_one();
    }
    Ok(())
}

fn voice(
    app: &App,
    call: &CallRecord,
    event: VoiceEvent,
    body: Value,
) -> Result<Option<HookDelivery>, StoreError> {
    hooks::voice(app, &call.subaccount, event, &body, app.now())
}

fn envelope(event: &str, description: &str, payload: Value) -> Value {
    json!({"namespace": "VOICE", "eventType": event, "description": description, "payload": payload})
}

/// The two letters of a number's country.
pub fn country(number: Msisdn) -> Option<String> {
    Msisdn::parse(&number.to_e164(), None).ok().map(|parsed| parsed.country.to_string())
}

fn status(app: &App, call: &CallRecord, word: &str, seconds: u64) -> Result<Value, StoreError> {
    leg(app, call, "INBOUND", (call.from, call.mask), word, seconds)
}

fn outbound(app: &App, call: &CallRecord, word: &str) -> Result<Value, StoreError> {
    leg(app, call, "OUTBOUND", (call.mask, call.to.unwrap_or(call.mask)), word, 0)
}

fn leg(
    app: &App,
    call: &CallRecord,
    direction: &str,
    (source, destination): (Msisdn, Msisdn),
    word: &str,
    seconds: u64,
) -> Result<Value, StoreError> {
    let payload = json!({
        "eventId": app.ids.next(app.now())?.to_uuid(),
        "callId": leg_id(call, direction),
        "sessionId": call.id.to_uuid(),
        "subAccountId": call.subaccount,
        "callStatus": word,
        "callDirection": direction,
        "callType": "PSTN",
        "source": source.to_e164(),
        "destination": destination.to_e164(),
        "sourceFormat": "MSISDN",
        "destinationFormat": "MSISDN",
        "sourceCountryCode": country(source),
        "destinationCountryCode": country(destination),
        "callDuration": seconds,
        "sipCode": sip_code(&call.call),
        "timestamp": app.now(),
    });
    Ok(envelope("CALL_STATUS", "Status of a call", payload))
}

/// One name for each of the two legs.
pub fn leg_id(call: &CallRecord, direction: &str) -> String {
    let tail = call.id.tail() ^ u64::from(direction == "OUTBOUND");
    seawall_core::id::Id::new(call.id.row(), tail).to_uuid()
}

fn sip_code(call: &Call) -> u16 {
    match call.result() {
        None | Some(CallResult::Completed) => 200,
        Some(CallResult::Busy) => 486,
        Some(CallResult::NoAnswer) => 480,
        Some(CallResult::Canceled) => 487,
        Some(CallResult::Failed) => 503,
        Some(CallResult::Refused) => 403,
    }
}

/// 8x8's word for how a call ended.
fn session_status(call: &CallRecord) -> &'static str {
    match call.call.result() {
        Some(CallResult::Completed) => "COMPLETED",
        Some(CallResult::NoAnswer) => "NO_ANSWER",
        Some(CallResult::Busy) => "BUSY",
        Some(CallResult::Canceled) => "CANCELED",
        Some(CallResult::Failed | CallResult::Refused) | None => "FAILED",
    }
}

fn session_summary(app: &App, call: &CallRecord) -> Result<Value, StoreError> {
    let (word, connected) = (session_status(call), call.call.answered_at.is_some());
    let side = |direction: &str, source: Msisdn, destination: Msisdn| {
        json!({
            "callId": leg_id(call, direction),
            "callDirection": direction,
            "callType": "PSTN",
            "initiatedTimestamp": call.call.began_at,
            "connectedTimestamp": call.call.answered_at,
            "disconnectedTimestamp": call.call.ended.map(|(at, _)| at),
            "source": source.to_e164(),
            "destination": destination.to_e164(),
            "sourceFormat": "MSISDN",
            "destinationFormat": "MSISDN",
            "sourceCountryCode": country(source),
            "destinationCountryCode": country(destination),
            "callStatus": word,
            "callDuration": call.call.spoken().as_secs(),
        })
    };
    let mut details = serde_json::Map::new();
    details.insert("callA".to_owned(), side("INBOUND", call.from, call.mask));
    if let Some(to) = call.to {
        details.insert("callB".to_owned(), side("OUTBOUND", call.mask, to));
    }
    let payload = json!({
        "eventId": app.ids.next(app.now())?.to_uuid(),
        "sessionId": call.id.to_uuid(),
        "subAccountId": call.subaccount,
        "sessionStatus": word,
        "startTime": call.call.began_at,
        "endTime": call.call.ended.map(|(at, _)| at),
        "lastAction": if call.to.is_some() { "makeCall" } else { "hangup" },
        "callCount": details.len(),
        "details": details,
        "connected": connected,
        "timestamp": app.now(),
    });
    Ok(envelope("SESSION_SUMMARY", "Summary of a session", payload))
}
