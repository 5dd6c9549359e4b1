//! The operator's word about an incident: dealt with, or no attack at all. It goes into the stream before the
//! answer is given, so it is kept like the incident itself, and training reads it.

use seawall_core::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::super::App;
use super::super::audit::Actor;
use super::super::collections::{Wrong, read};
use super::super::detection::{
    self,
    happened::{Done, Judgement, Note},
};
use super::super::lists::entries;
use super::incident::Incident;
use super::suggest;
use super::view::{IncidentDetail, IncidentStatus, IncidentView};

/// Longest note, characters.
const NOTE: usize = 200;

/// What somebody says of an incident.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JudgeInput {
    /// `closed`: an attack, and dealt with. `false_alarm`: these were good users. `open`: taken back.
    #[schema(value_type = Option<JudgementShape>)]
    pub status: Option<Judgement>,
    /// Why, for people.
    #[schema(min_length = 1, max_length = 200)]
    pub note: Option<String>,
    /// With `false_alarm`: enter its ranges or addresses into an allow list for 24 hours, so that its users come
    /// through at once.
    #[serde(default)]
    pub allow: bool,
}

/// [`Judgement`], for the description of the API.
#[derive(ToSchema)]
#[schema(as = Judgement, rename_all = "snake_case")]
pub enum JudgementShape {
    /// Dealt with.
    Closed,
    /// No attack.
    FalseAlarm,
    /// Taken back.
    Open,
}

/// Asks for one by its id.
pub fn with<T>(app: &App, id: &str, ask: impl FnOnce(&Incident) -> T) -> Result<T, Wrong> {
    let found = super::serial(id);
    let found = app.detection.watch(|watch| found.and_then(|serial| watch.incidents.get(serial)).map(ask));
    found.ok_or_else(|| Wrong::missing("incidents", id))
}

/// In full.
pub fn detail(app: &App, id: &str) -> Result<IncidentDetail, Wrong> {
    let (currency, now) = (currency(app), app.now());
    with(app, id, |incident| IncidentDetail::of(incident, &currency, now))
}

/// The account's currency.
pub fn currency(app: &App) -> String {
    app.snapshot.load().account.as_ref().map_or_else(|| "USD".to_owned(), |a| a.currency.clone())
}

/// Some of them, newest first, and the number that the next page begins below.
pub fn list(
    app: &App,
    wanted: Option<IncidentStatus>,
    below: Option<u64>,
    limit: usize,
) -> (Vec<IncidentView>, Option<u64>) {
    let currency = currency(app);
    let fits = |incident: &&Incident| {
        below.is_none_or(|below| incident.serial < below)
            && wanted.is_none_or(|wanted| super::view::status(incident) == wanted)
    };
    let mut found: Vec<(u64, IncidentView)> = app.detection.watch(|watch| {
        let all = watch.incidents.attacks().filter(fits).take(limit + 1);
        all.map(|incident| (incident.serial, IncidentView::of(incident, &currency))).collect()
    });
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(serial, _)| *serial);
    (found.into_iter().map(|(_, view)| view).collect(), next)
}

/// Takes somebody's word.
pub async fn judge(app: &App, actor: &Actor, id: &str, body: Value) -> Result<IncidentDetail, Wrong> {
    let input = read::<JudgeInput>(body)?;
    let judgement = checked(&input)?;
    let now = app.now();
    let (serial, allowed) = with(app, id, |i| (i.serial, suggest::allow(i, now)))?;
    let what = Done::Judged { judgement, by: actor.name.clone(), note: input.note.clone() };
    app.detection.note(Note { incident: serial, at: now, what });
    if !detection::flush(app).await {
        return Err(Wrong::Store(seawall_store::StoreError::Unavailable(
            "the incident's judgement is not on disk yet".to_owned(),
        )));
    }
    audit(app, actor, id, &input, judgement, now).await;
    if input.allow {
        for suggestion in allowed {
            let list = suggestion.path.split('/').nth(4).unwrap_or_default().to_owned();
            match entries::create(app, actor, &list, suggestion.body).await {
                Ok(_) | Err(Wrong::Present(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    detail(app, id)
}

fn checked(input: &JudgeInput) -> Result<Judgement, Wrong> {
    let judgement = input
        .status
        .ok_or_else(|| Wrong::field("status", "is missing; say `closed`, `false_alarm` or `open`"))?;
    let fits = |note: &String| {
        !note.trim().is_empty() && note.chars().nth(NOTE).is_none() && !note.chars().any(char::is_control)
    };
    if !input.note.as_ref().is_none_or(fits) {
        return Err(Wrong::field("note", format!("must be 1 to {NOTE} characters in one line")));
    }
    if input.allow && judgement != Judgement::FalseAlarm {
        return Err(Wrong::field("allow", "goes with `\"status\": \"false_alarm\"` alone"));
    }
    Ok(judgement)
}

async fn audit(app: &App, actor: &Actor, id: &str, input: &JudgeInput, judgement: Judgement, now: Timestamp) {
    let detail = json!({"status": judgement, "note": input.note, "allow": input.allow});
    let entry = actor.entry(now, "incidents.judge", id, detail);
    if let Err(error) = app.store.directory.note_audit(entry).await {
        tracing::error!(%error, id, "the judgement of an incident is missing in the audit log");
    }
}
