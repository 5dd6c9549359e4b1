//! What happens between the two.

use serde_json::{Value, json};

use super::hear::{listen, status};
use super::sipp::{Callee, Caller, called, calls};
use super::stage::Stage;

/// Eight digits of each party's number, which stand in nothing else.
const A: &str = "91717171";
const B: &str = "92828282";
const STRANGER: &str = "90000001";

type Outcome = Result<String, String>;

/// Plays all scenes.
pub async fn play(stage: &Stage, together: u32) -> Vec<(&'static str, Outcome)> {
    let session = match open(stage).await {
        Ok(session) => session,
        Err(error) => return vec![("a session", Err(error))],
    };
    let both = |from: &'static str, to: &'static str, caller, callee, result: &'static str| {
        let call = Call { session: &session, from, to, caller, callee, result };
        async move { call.play(stage, 1).await }
    };
    let mut all = vec![
        ("the caller hangs up", both(A, B, Caller::HangsUp, Callee::Answers, "completed").await),
        ("the other one hangs up", both(B, A, Caller::Waits, Callee::HangsUp, "completed").await),
        ("busy", both(A, B, Caller::TurnedAway(486), Callee::Busy, "busy").await),
        ("nobody answers", both(B, A, Caller::TurnedAway(480), Callee::Rings, "no_answer").await),
        ("the caller gives up", both(A, B, Caller::Cancels, Callee::Rings, "canceled").await),
    ];
    let many = Call {
        session: &session,
        from: A,
        to: B,
        caller: Caller::HangsUp,
        callee: Callee::Answers,
        result: "completed",
    };
    all.push(("many at once", many.play(stage, together).await));
    all.push(("a stranger", turned_away(stage, STRANGER, 404).await));
    all.push(("what a stranger hears", announced(stage)));
    all.push(("an exhausted pool", exhausted(stage).await));
    all.push(("a limit", limited(stage).await));
    all.push(("a deny list", denied(stage).await));
    all.push(("the session is over", over(stage, &session).await));
    all.push(("logs", quiet(stage)));
    all
}

async fn open(stage: &Stage) -> Result<String, String> {
    let wish = json!({"a": format!("+65{A}"), "b": format!("+65{B}")});
    let (status, session) = stage.api("POST", "/v1/masking/sessions", Some(wish)).await?;
    let id = session.get("id").and_then(Value::as_str);
    id.map(str::to_owned).ok_or_else(|| format!("{status} {session}"))
}

/// One way in which two phones meet.
struct Call<'a> {
    session: &'a str,
    from: &'static str,
    to: &'static str,
    caller: Caller,
    callee: Callee,
    result: &'static str,
}

impl Call<'_> {
    async fn play(&self, stage: &Stage, times: u32) -> Outcome {
        let before = results(stage, self.session).await?.len();
        let mut there = called(stage, "callee", self.to, self.callee, times).await?;
        let mut here = calls(stage, "caller", self.from, self.caller, times)?;
        let called_back = here.done().await.map_err(|why| format!("the caller: {why}"));
        let answered = there.done().await.map_err(|why| format!("the one who is called: {why}"));
        called_back.and(answered)?;
        hidden("the one who is called", &there.received(), self.from)?;
        hidden("the caller", &here.received(), self.to)?;
        let new = settled(stage, self.session, before, usize::try_from(times).unwrap_or(0)).await?;
        if new.iter().any(|result| result != self.result) {
            return Err(format!("the gateway has {new:?} instead of {}", self.result));
        }
        Ok(format!("{times} of {times}, {}, neither number seen by the other", self.result))
    }
}

/// What a phone received must not hold the other one's number, nor its address for media.
fn hidden(who: &str, received: &str, digits: &str) -> Result<(), String> {
    if received.is_empty() {
        return Err(format!("{who} received nothing"));
    }
    if let Some(line) = received.lines().find(|line| line.contains(digits)) {
        return Err(format!("{who} sees the other's number: {line}"));
    }
    // Media goes through rtpengine, whose ports these are.
    let ports = received
        .lines()
        .filter_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse::<u16>().ok());
    match ports.into_iter().find(|port| !(30_000..=31_000).contains(port)) {
        Some(port) => Err(format!("{who} is sent past rtpengine, to port {port}")),
        None => Ok(()),
    }
}

/// How the calls of a session ended, the newest first.
async fn results(stage: &Stage, session: &str) -> Result<Vec<String>, String> {
    let (status, calls) = stage.api("GET", &format!("/v1/masking/sessions/{session}/calls"), None).await?;
    let data = calls.get("data").and_then(Value::as_array).ok_or_else(|| format!("{status} {calls}"))?;
    let result = |call: &Value| call.get("result").and_then(Value::as_str).unwrap_or("under way").to_owned();
    Ok(data.iter().map(result).collect())
}

/// The same of the new ones, once they are over.
async fn settled(stage: &Stage, session: &str, before: usize, times: usize) -> Result<Vec<String>, String> {
    let mut new = Vec::new();
    for _ in 0..100 {
        let all = results(stage, session).await?;
        let count = all.len().saturating_sub(before);
        new = all.into_iter().take(count).collect();
        if count == times && new.iter().all(|result| result != "under way") {
            return Ok(new);
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Err(format!("{times} calls are not over: {new:?}"))
}

/// A caller that is turned away before anybody's phone rings.
async fn turned_away(stage: &Stage, from: &str, code: u16) -> Outcome {
    let mut here = calls(stage, "caller", from, Caller::TurnedAway(code), 1)?;
    here.done().await?;
    for other in [A, B].into_iter().filter(|digits| *digits != from) {
        hidden("the caller", &here.received(), other)?;
    }
    Ok(format!("{code}"))
}

/// A caller who is turned away hears why before the code comes, and nothing of anybody.
fn announced(stage: &Stage) -> Outcome {
    let heard = listen(stage, STRANGER)?;
    let codes: Vec<u16> = heard.answers.iter().map(|answer| status(answer)).collect();
    if !codes.contains(&183) || codes.last() != Some(&404) {
        return Err(format!("answered with {codes:?}"));
    }
    for other in [A, B, "announcer", "5066"] {
        hidden("the caller", &heard.answers.concat(), other)?;
    }
    // A second and a half in packets of 20 ms, a second of them tones.
    if heard.packets < 50 || heard.loud < 4_000 {
        return Err(format!("{} packets with {} loud samples", heard.packets, heard.loud));
    }
    Ok(format!("{} packets with {} loud samples, then 404", heard.packets, heard.loud))
}

async fn exhausted(stage: &Stage) -> Outcome {
    let wish = json!({"a": format!("+65{A}"), "b": format!("+65{STRANGER}")});
    match stage.api("POST", "/v1/masking/sessions", Some(wish)).await? {
        (409, problem) if problem.get("code").and_then(Value::as_str) == Some("pool-exhausted") => {
            turned_away(stage, STRANGER, 404).await.map(|_| "409, and nobody is reached".to_owned())
        }
        (status, answer) => Err(format!("{status} {answer}")),
    }
}

async fn limited(stage: &Stage) -> Outcome {
    let limit =
        json!({"name": "none", "per": "msisdn", "applies_to": ["voice.call"], "quota": 1, "window": "24h"});
    stage.gateway.admin("POST", "limits", Some(limit)).await?;
    let outcome = turned_away(stage, A, 403).await;
    stage.gateway.admin("DELETE", "limits/none", None).await?;
    outcome
}

async fn denied(stage: &Stage) -> Outcome {
    let entry = json!({"value": format!("+65{B}")});
    let entry = stage.gateway.admin("POST", "lists/deny-msisdn/entries", Some(entry)).await?;
    let outcome = turned_away(stage, A, 403).await;
    let id = entry.get("id").and_then(Value::as_str).unwrap_or_default();
    stage.gateway.admin("DELETE", &format!("lists/deny-msisdn/entries/{id}"), None).await?;
    outcome
}

async fn over(stage: &Stage, session: &str) -> Outcome {
    stage.api("DELETE", &format!("/v1/masking/sessions/{session}"), None).await?;
    turned_away(stage, A, 410).await?;
    turned_away(stage, B, 410).await
}

fn quiet(stage: &Stage) -> Outcome {
    let logged = stage.logged();
    match logged.lines().find(|line| line.contains(A) || line.contains(B)) {
        Some(line) => Err(format!("a log names a party: {line}")),
        None => Ok("no number in any".to_owned()),
    }
}
