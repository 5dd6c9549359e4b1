//! What a number answers is understood, carried out at once, and recorded with the reason.

use seawall_connect::Inbound;
use seawall_core::consent::{Category, Intent, Manner, OptOutScope, Reading, read};
use seawall_core::id::IdKind;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::records::OptOut;
use serde_json::json;

use super::super::App;
use super::super::audit::Actor;
use super::say::Addressee;
use super::{not_me, opt_in, reconfirm, reviews, say, tell};

/// An answer of a number to what a subaccount wrote.
pub struct Answer<'a> {
    /// Who wrote.
    pub from: Msisdn,
    /// Whether the app named it, encrypted.
    pub veiled: bool,
    /// To whose conversation it belongs.
    pub subaccount: &'a str,
    /// The sender ID that was answered.
    pub sender: &'a str,
    /// What was written. A person's words: sealed wherever it is kept.
    pub text: &'a str,
    /// In whose name the audit log has it.
    pub actor: &'a Actor,
    /// When.
    pub at: Timestamp,
}

/// Understands an inbound message and does what it asks for.
pub async fn take(
    app: &App,
    provider: &str,
    from: Msisdn,
    subaccount: &str,
    inbound: &Inbound,
) -> Result<(), StoreError> {
    let actor = Actor { name: format!("inbound:{provider}"), ip: None };
    let (sender, text) = (inbound.to.as_str(), inbound.text.reveal());
    let answer = Answer { from, veiled: false, subaccount, sender, text, actor: &actor, at: app.now() };
    let Some(reading) = read(text).0 else { return Ok(()) };
    if matches!(reading.intent, Intent::Yes | Intent::No | Intent::NotMe) {
        let still = reading.intent == Intent::Yes;
        let answered = reconfirm::answered(app, &answer, still).await?;
        if answered && reading.intent == Intent::No {
            return Ok(());
        }
    }
    let asked = opt_in::asked(app, &answer).await?;
    match (reading.intent, reading.manner) {
        (Intent::Stop, Manner::Unsure) => reviews::keep(app, &answer, &reading).await,
        (Intent::Stop, _) => stop(app, &answer, &reading).await,
        (Intent::Yes, _) if !asked.is_empty() => opt_in::confirm(app, &answer, asked).await,
        (Intent::No, _) if !asked.is_empty() => opt_in::decline(app, &answer, asked).await,
        (Intent::Start | Intent::Yes, _) => start(app, &answer, reading.intent).await,
        (Intent::Help, _) => {
            let text = app.snapshot.load().settings.consent.answers.help.clone();
            reply(app, &answer, text).await;
            Ok(())
        }
        (Intent::NotMe, _) => not_me::note(app, from, Some(subaccount), "answer", &actor).await,
        (Intent::No, _) => Ok(()),
    }
}

/// What a reading rests on, for people.
pub fn because(reading: &Reading) -> String {
    match reading.language {
        Some(language) => format!("keyword {} ({language})", reading.intent.as_str()),
        None => {
            let words: Vec<String> = reading.because.iter().map(|piece| format!("\"{piece}\"")).collect();
            format!("free text, {:.0} %: {}", reading.probability * 100.0, words.join(", "))
        }
    }
}

async fn stop(app: &App, answer: &Answer<'_>, reading: &Reading) -> Result<(), StoreError> {
    let settings = app.snapshot.load().settings.consent.clone();
    let scope = settings.stop_scope.scope(answer.subaccount, answer.sender);
    let source = if reading.manner == Manner::Keyword { "stop" } else { "free-text" };
    let before = app.store.directory.opted_out(answer.from).await?;
    opt_out(app, answer, scope.clone(), source, because(reading)).await?;
    // One answer to the first STOP; who repeats it has had theirs.
    if !before.iter().any(|known| known.reaches_as(&scope)) {
        reply(app, answer, settings.answers.stop).await;
    }
    Ok(())
}

/// Writes an opt-out that is in force with this, and takes opt-ins back that it contradicts.
pub async fn opt_out(
    app: &App,
    answer: &Answer<'_>,
    scope: OptOutScope,
    source: &str,
    because: String,
) -> Result<(), StoreError> {
    let (at, sub) = (answer.at, answer.subaccount);
    let detail = json!({"by": source, "scope": scope});
    let entry = OptOut {
        id: app.ids.next(at)?,
        msisdn: answer.from,
        scope,
        source: source.to_owned(),
        note: Some(because.chars().take(100).collect()),
        at,
    };
    let audit = answer.actor.entry(at, "opt-outs.create", &entry.id.show(IdKind::OptOut), detail.clone());
    app.store.directory.add_opt_out(entry, audit).await?;
    opt_in::withdraw_all(app, answer.from, "opted out").await?;
    tell(app, sub, "opted_out", Addressee { number: answer.from, veiled: answer.veiled }, detail, at).await
}

async fn start(app: &App, answer: &Answer<'_>, intent: Intent) -> Result<(), StoreError> {
    let target = answer.from.masked();
    let audit = answer.actor.entry(answer.at, "opt-outs.delete", &target, json!({"by": intent.as_str()}));
    let removed = app.store.directory.remove_opt_out(answer.from, None, audit).await?;
    if removed > 0 {
        tell(app, answer.subaccount, "opted_in", answer.from, json!({"by": "start"}), answer.at).await?;
    }
    if removed > 0 || intent == Intent::Start {
        let text = app.snapshot.load().settings.consent.answers.start.clone();
        reply(app, answer, text).await;
    }
    Ok(())
}

/// Answers under the sender ID that was written to, if there is something to say.
pub async fn reply(app: &App, answer: &Answer<'_>, text: Option<String>) {
    let Some(text) = text else { return };
    let source = Some(answer.sender.to_owned()).filter(|sender| !sender.is_empty());
    let said = say::say(app, answer.subaccount, answer.from, &text, source, Category::Answer, "consent");
    // Boxed: sending is large, and few inbound messages are answered.
    if let Err(refusal) = Box::pin(said).await {
        tracing::warn!(?refusal, "an answer was not sent");
    }
}
