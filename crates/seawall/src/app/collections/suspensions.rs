//! Suspensions. They end by themselves or are lifted early; either way they stay in the history.

use seawall_core::id::IdKind;
use seawall_core::limit::Mode;
use seawall_core::suspension::{LONGEST, Scope, Suspension, SuspensionState};
use seawall_core::time::{Timestamp, span};
use seawall_store::records::Document;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::super::App;
use super::super::audit::Actor;
use super::super::entities::collection;
use super::around::Around;
use super::shapes::{ModeShape, SuspensionStateShape};
use super::subaccounts::short;
use super::{After, Collection, Wrong, create as add, entity_of, place, update};

/// Ended suspensions that are kept; the oldest go first.
const KEPT: usize = 5_000;
/// Longest reason or note, characters.
const TEXT: usize = 200;

/// A suspension as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredSuspension {
    /// `sus_…`
    pub id: String,
    /// Word and value of what is suspended.
    pub scope: (String, String),
    /// Only for this subaccount. Not `subaccount_id`: a subaccount can be deleted although history names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// Until when.
    pub expires_at: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// Whether it refuses.
    pub mode: Mode,
    /// Who made it.
    pub author: String,
    /// When.
    pub created_at: Timestamp,
    /// Ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted: Option<Lifted>,
}

/// How a suspension was ended early.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Lifted {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Why, for people.
    pub note: Option<String>,
}

impl StoredSuspension {
    /// In which state it is.
    pub fn state(&self, now: Timestamp) -> SuspensionState {
        match &self.lifted {
            Some(_) => SuspensionState::Lifted,
            None if self.expires_at <= now => SuspensionState::Expired,
            None => SuspensionState::Active,
        }
    }

    /// As decisions take it; `None` once it has ended, or if what is stored cannot be read.
    pub fn in_force(&self, now: Timestamp) -> Option<Suspension> {
        if self.state(now) != SuspensionState::Active {
            return None;
        }
        let scope = Scope::parse(&self.scope.0, &self.scope.1)?.ok()?;
        Some(Suspension {
            id: self.id.clone(),
            scope,
            subaccount_id: self.only.clone(),
            expires_at: self.expires_at,
            mode: self.mode,
        })
    }
}

/// A suspension as it is wished.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SuspensionInput {
    /// What is suspended: one of `operator` (MCC and MNC), `country`, `number_range`, `ip`, `asn`, with its value.
    /// Cannot be changed.
    #[schema(value_type = Object, example = json!({"operator": "52501"}))]
    pub scope: Map<String, Value>,
    /// Only for this subaccount; absent: for all. Cannot be changed.
    pub subaccount_id: Option<String>,
    /// Until when (RFC 3339), at most 90 days ahead.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// Why, for people.
    #[schema(min_length = 1, max_length = 200)]
    pub reason: String,
    /// `enforce` (when absent), or `shadow` to only record what it would refuse.
    #[schema(value_type = Option<ModeShape>)]
    pub mode: Option<Mode>,
}

/// A suspension as it is shown.
#[derive(Serialize, ToSchema)]
pub struct SuspensionView {
    /// `sus_…`
    pub id: String,
    /// What is suspended.
    #[schema(value_type = Object, example = json!({"operator": "52501"}))]
    pub scope: Map<String, Value>,
    /// Only for this subaccount.
    pub subaccount_id: Option<String>,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// Whether it refuses.
    #[schema(value_type = ModeShape)]
    pub mode: Mode,
    /// Whether it is in force.
    #[schema(value_type = SuspensionStateShape)]
    pub state: SuspensionState,
    /// Who made it.
    pub author: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// How it was ended early.
    pub lifted: Option<Lifted>,
    /// How many messages it blocked.
    pub blocked: u64,
    /// How many requests met it, also in shadow or overruled by an allow entry.
    pub hits: u64,
    /// The last of them.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_hit_at: Option<Timestamp>,
}

/// The collection.
pub struct Suspensions;

fn scope(given: &Map<String, Value>) -> Result<Scope, Wrong> {
    let words = Scope::WORDS.join(", ");
    let mut all = given.iter();
    let (Some((word, value)), None) = (all.next(), all.next()) else {
        return Err(Wrong::field("scope", format!("names exactly one of {words}")));
    };
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_u64() => number.to_string(),
        _ => return Err(Wrong::field(format!("scope.{}", short(word)), "has to be text, such as \"52501\"")),
    };
    let unknown =
        || Wrong::field("scope", format!("`{}` cannot be suspended; use one of {words}", short(word)));
    let field = format!("scope.{}", short(word));
    let scope =
        Scope::parse(word, &text).ok_or_else(unknown)?.map_err(|e| Wrong::field(&field, e.to_string()))?;
    // What is logged of a suspension is its scope.
    match scope.masked() == scope.value() {
        true => Ok(scope),
        false => Err(Wrong::field(field, "is a single number; put that on a deny list (deny-msisdn)")),
    }
}

fn ends(at: Timestamp, now: Timestamp) -> Result<(), Wrong> {
    super::ahead("expires_at", Some(at), now)?;
    if at > now.plus(LONGEST) {
        let say = format!(
            "is more than {} ahead; a suspension that is to last is country policy or a deny list",
            span::format(LONGEST)
        );
        return Err(Wrong::field("expires_at", say));
    }
    Ok(())
}

fn check_text(field: &str, text: &str) -> Result<(), Wrong> {
    let fits =
        !text.trim().is_empty() && text.chars().nth(TEXT).is_none() && !text.chars().any(char::is_control);
    if fits {
        Ok(())
    } else {
        Err(Wrong::field(field, format!("must be 1 to {TEXT} characters in one line")))
    }
}

fn mode(mode: Option<Mode>) -> Result<Mode, Wrong> {
    match mode.unwrap_or_default() {
        Mode::Off => Err(Wrong::field("mode", "is `enforce` or `shadow`; to end a suspension, lift it")),
        mode => Ok(mode),
    }
}

fn shown(scope: &(String, String)) -> Map<String, Value> {
    Map::from_iter([(scope.0.clone(), Value::String(scope.1.clone()))])
}

impl Collection for Suspensions {
    const NAME: &'static str = collection::SUSPENSIONS;
    type Input = SuspensionInput;
    type Entity = StoredSuspension;
    type View = SuspensionView;

    fn make(
        app: &App,
        input: SuspensionInput,
        around: &Around,
    ) -> Result<(StoredSuspension, Option<String>), Wrong> {
        let scope = scope(&input.scope)?;
        around.check_subaccount("subaccount_id", input.subaccount_id.as_deref())?;
        ends(input.expires_at, around.now)?;
        check_text("reason", &input.reason)?;
        let made = StoredSuspension {
            id: app.ids.next(around.now)?.show(IdKind::Suspension),
            scope: (scope.word().to_owned(), scope.value()),
            only: input.subaccount_id,
            expires_at: input.expires_at,
            reason: input.reason,
            mode: mode(input.mode)?,
            author: around.by.clone(),
            created_at: around.now,
            lifted: None,
        };
        Ok((made, None))
    }

    fn input(entity: &StoredSuspension) -> SuspensionInput {
        SuspensionInput {
            scope: shown(&entity.scope),
            subaccount_id: entity.only.clone(),
            expires_at: entity.expires_at,
            reason: entity.reason.clone(),
            mode: Some(entity.mode),
        }
    }

    fn change(
        _app: &App,
        entity: &mut StoredSuspension,
        input: SuspensionInput,
        around: &Around,
    ) -> Result<(), Wrong> {
        active(entity, around)?;
        let scope = scope(&input.scope)?;
        if (scope.word(), scope.value().as_str()) != (entity.scope.0.as_str(), entity.scope.1.as_str()) {
            return Err(Wrong::field("scope", "cannot be changed; lift this one and make another"));
        }
        if input.subaccount_id != entity.only {
            return Err(Wrong::field("subaccount_id", "cannot be changed; lift this one and make another"));
        }
        if input.expires_at != entity.expires_at {
            ends(input.expires_at, around.now)?;
        }
        check_text("reason", &input.reason)?;
        (entity.expires_at, entity.reason, entity.mode) = (input.expires_at, input.reason, mode(input.mode)?);
        Ok(())
    }

    fn view(entity: &StoredSuspension, around: &Around, _once: Option<String>) -> SuspensionView {
        let hits = around.hits.get(&entity.id);
        SuspensionView {
            id: entity.id.clone(),
            scope: shown(&entity.scope),
            subaccount_id: entity.only.clone(),
            expires_at: entity.expires_at,
            reason: entity.reason.clone(),
            mode: entity.mode,
            state: entity.state(around.now),
            author: entity.author.clone(),
            created_at: entity.created_at,
            lifted: entity.lifted.clone(),
            blocked: hits.map_or(0, |h| h.enforced),
            hits: hits.map_or(0, |h| h.hits),
            last_hit_at: hits.map(|h| h.last),
        }
    }

    fn id(entity: &StoredSuspension) -> String {
        entity.id.clone()
    }

    fn unique(_entity: &StoredSuspension) -> Option<String> {
        None
    }
}

fn active(entity: &StoredSuspension, around: &Around) -> Result<(), Wrong> {
    let ended = match entity.state(around.now) {
        SuspensionState::Active => return Ok(()),
        SuspensionState::Expired => "has expired",
        SuspensionState::Lifted => "was lifted",
    };
    Err(Wrong::InUse(format!("{} {ended}, and history is not changed; make a new suspension", entity.id)))
}

/// Adds one, and forgets the oldest that ended when there are very many.
pub async fn create(app: &App, actor: &Actor, body: Value) -> Result<SuspensionView, Wrong> {
    forget(app).await?;
    add::<Suspensions>(app, actor, body).await
}

async fn forget(app: &App) -> Result<(), Wrong> {
    let around = Around::load(app).await?;
    let all = around.documents(collection::SUSPENSIONS);
    let ended = |d: &&Document| {
        entity_of::<Suspensions>(d).is_ok_and(|s| s.state(around.now) != SuspensionState::Active)
    };
    let ended: Vec<&Document> = all.iter().filter(ended).collect();
    for oldest in ended.iter().take(ended.len().saturating_sub(KEPT)) {
        let audit = Actor::system().entry(around.now, "suspensions.forget", &oldest.id, json!({}));
        app.store.directory.delete(collection::SUSPENSIONS, &oldest.id, audit).await?;
    }
    Ok(())
}

/// A stretch, newest first, and where the next one begins. `state`: only those.
pub async fn list(
    app: &App,
    state: Option<SuspensionState>,
    before: Option<After>,
    limit: usize,
) -> Result<(Vec<SuspensionView>, Option<After>), Wrong> {
    let around = Around::load(app).await?;
    let mut documents: Vec<&Document> = around.documents(collection::SUSPENSIONS).iter().collect();
    documents.sort_by_key(|d| std::cmp::Reverse(place(d)));
    let (mut views, mut last) = (Vec::new(), None);
    for document in documents.into_iter().filter(|d| before.as_ref().is_none_or(|before| place(d) < *before))
    {
        let entity = entity_of::<Suspensions>(document)?;
        if state.is_some_and(|wanted| entity.state(around.now) != wanted) {
            continue;
        }
        if views.len() == limit {
            return Ok((views, last));
        }
        views.push(Suspensions::view(&entity, &around, None));
        last = Some(place(document));
    }
    Ok((views, None))
}

/// Ends one early. It stays in the history.
pub async fn lift(app: &App, actor: &Actor, id: &str, note: Option<String>) -> Result<SuspensionView, Wrong> {
    if let Some(note) = &note {
        check_text("note", note)?;
    }
    let detail = |view: &Value| json!({"lifted": view.get("lifted")});
    let step = |entity: &mut StoredSuspension, around: &Around| {
        active(entity, around)?;
        entity.lifted = Some(Lifted { at: around.now, by: actor.name.clone(), note: note.clone() });
        Ok(None)
    };
    update::<Suspensions>(app, actor, id, "lift", detail, step).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(given: Value) -> String {
        let Value::Object(given) = given else { panic!() };
        match scope(&given) {
            Ok(scope) => format!("{} {}", scope.word(), scope.value()),
            Err(Wrong::Field { field, .. }) => field,
            Err(_) => "another problem".to_owned(),
        }
    }

    #[test]
    fn a_scope_has_one_key() {
        assert_eq!(problem(json!({"operator": "52501"})), "operator 52501");
        assert_eq!(problem(json!({"asn": 64496})), "asn 64496");
        assert_eq!(problem(json!({"number_range": "998 93 412"})), "number_range +99893412");
        assert_eq!(problem(json!({"country": "Singapore"})), "scope.country");
        assert_eq!(problem(json!({"country": ["SG"]})), "scope.country");
        for scope in [json!({}), json!({"country": "SG", "asn": "1"}), json!({"continent": "asia"})] {
            assert_eq!(problem(scope), "scope");
        }
    }

    #[test]
    fn a_suspension_ends() {
        let now = Timestamp::parse("2026-01-05T10:00:00Z").unwrap();
        assert!(ends(now.plus(LONGEST), now).is_ok());
        assert!(ends(now, now).is_err() && ends(now.plus(LONGEST * 2), now).is_err());
    }
}
