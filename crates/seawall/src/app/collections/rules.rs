//! Operator rules.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use seawall_core::id::IdKind;
use seawall_core::limit::Mode;
use seawall_core::rule::{Action, MAX_RULES, MAX_SOURCE, Program, RuleError, compile};
use seawall_core::time::{Timestamp, span};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::App;
use super::super::entities::collection;
use super::super::hits::between;
use super::super::rules::{drain, miss_id};
use super::around::Around;
use super::shapes::{ActionShape, RuleModeShape};
use super::subaccounts::{label, short};
use super::{Collection, Wrong, ahead};

/// A rule as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredRule {
    /// `rule_…`
    pub id: String,
    /// Unique.
    pub name: String,
    /// What it does.
    pub action: Action,
    /// Its condition, as it was written.
    pub when: String,
    /// Whether it has its effect.
    pub mode: Mode,
    /// It does nothing from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Only for this subaccount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subaccount_id: Option<String>,
    /// For a throttle: how long to wait.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "span::option")]
    pub retry_after: Option<Duration>,
    /// Who made it.
    pub author: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A rule as it is wished.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleInput {
    /// Unique; reasons name it.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// What it does.
    #[schema(value_type = ActionShape)]
    pub action: Action,
    /// The condition, in the Common Expression Language; `/docs/attributes` lists what it may look at.
    #[schema(min_length = 1, max_length = 4000, example = "number.country == \"UZ\" && client.hosting")]
    pub when: String,
    /// Whether it has its effect; `enforce` when absent.
    #[schema(value_type = Option<RuleModeShape>)]
    pub mode: Option<Mode>,
    /// It does nothing from then on.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// For people.
    #[schema(max_length = 1000)]
    pub note: Option<String>,
    /// Only for requests of this subaccount.
    pub subaccount_id: Option<String>,
    /// For a throttle: how long to wait, `"1s"` to `"24h"`; `"60s"` when absent.
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", example = "60s")]
    pub retry_after: Option<String>,
}

/// A rule as it is shown.
#[derive(Serialize, ToSchema)]
pub struct RuleView {
    /// `rule_…`
    pub id: String,
    /// Unique; reasons name it.
    pub name: String,
    /// What it does.
    #[schema(value_type = ActionShape)]
    pub action: Action,
    /// The condition.
    pub when: String,
    /// Whether it has its effect.
    #[schema(value_type = RuleModeShape)]
    pub mode: Mode,
    /// It does nothing from then on.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// For people.
    pub note: Option<String>,
    /// Only for requests of this subaccount.
    pub subaccount_id: Option<String>,
    /// For a throttle: how long to wait.
    pub retry_after: Option<String>,
    /// Who made it.
    pub author: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Requests that matched, in shadow too.
    pub matched: u64,
    /// Those of them with effect: neither in shadow nor overruled.
    pub enforced: u64,
    /// When the last one matched.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_matched_at: Option<Timestamp>,
    /// How often the condition looked at an attribute that the request did not have, by attribute.
    pub missing: BTreeMap<String, u64>,
    /// Why it is not in force, though it is stored: it was written for another version.
    pub problem: Option<String>,
}

/// The collection.
pub struct Rules;

const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
/// Characters of a note.
const NOTE: usize = 1000;
/// The last part of the path of back-tests, which can be no rule's name.
const BACKTEST: &str = "backtest";

/// A condition that may be a rule's, as far as it can be said now: attributes, types, and lists that exist.
pub fn condition(when: &str, around: &Around) -> Result<Program, Wrong> {
    let wrong = |error: RuleError| Wrong::expression("when", &error);
    let program = compile(when).map_err(wrong)?;
    let there =
        |name: &str| around.documents(collection::LISTS).iter().any(|d| d.name.as_deref() == Some(name));
    match program.lists().iter().find(|(name, _)| !there(name)) {
        Some((_, error)) => Err(wrong(error.clone())),
        None => Ok(program),
    }
}

fn check_name(name: &str) -> Result<(), Wrong> {
    label("name", Some(name))?;
    if name == BACKTEST || name.starts_with("rule_") {
        return Err(Wrong::field(
            "name",
            format!("`{}` is taken by the API itself; choose another", short(name)),
        ));
    }
    Ok(())
}

/// `enforce` or `shadow`.
pub fn mode(mode: Option<Mode>) -> Result<Mode, Wrong> {
    match mode.unwrap_or_default() {
        Mode::Off => {
            Err(Wrong::field("mode", "is `enforce` or `shadow`; delete a rule that is to do nothing"))
        }
        mode => Ok(mode),
    }
}

/// A wait that belongs to a throttle.
pub fn wait(action: Action, text: Option<&str>) -> Result<Option<Duration>, Wrong> {
    let Some(text) = text else { return Ok(None) };
    if action != Action::Throttle {
        return Err(Wrong::field("retry_after", "belongs to rules that throttle; leave it out"));
    }
    let fits = span::parse(text).filter(|wait| (SHORTEST_WAIT..=LONGEST_WAIT).contains(wait));
    let say = || format!("`{}` is not a duration from \"1s\" to \"24h\", such as \"60s\"", short(text));
    fits.map(Some).ok_or_else(|| Wrong::field("retry_after", say()))
}

/// A challenge that nobody can be given would only be recorded.
fn can_challenge(rule: &StoredRule, around: &Around) -> Result<(), Wrong> {
    if rule.action != Action::Challenge || rule.mode == Mode::Shadow {
        return Ok(());
    }
    let meant = |id: &str| rule.subaccount_id.as_deref().is_none_or(|own| own == id);
    let policies = &around.snapshot.policy.subaccounts;
    if policies.iter().any(|(id, policy)| meant(id) && policy.challenges) {
        return Ok(());
    }
    let whom = if rule.subaccount_id.is_some() { "this subaccount" } else { "any subaccount" };
    let fix = "set one up first, choose another action, or save the rule with \"mode\": \"shadow\"";
    Err(Wrong::field(
        "action",
        format!("`challenge` needs a challenge, and none is set up for {whom}: {fix}"),
    ))
}

fn build(made: StoredRule, input: RuleInput, around: &Around) -> Result<StoredRule, Wrong> {
    check_name(&input.name)?;
    around.check_subaccount("subaccount_id", input.subaccount_id.as_deref())?;
    if input.expires_at != made.expires_at {
        ahead("expires_at", input.expires_at, around.now)?;
    }
    if input.note.as_deref().is_some_and(|note| note.chars().nth(NOTE).is_some()) {
        return Err(Wrong::field("note", format!("is longer than {NOTE} characters; shorten it")));
    }
    if input.when.chars().nth(MAX_SOURCE).is_some() {
        return Err(Wrong::field(
            "when",
            format!("is longer than {MAX_SOURCE} characters; make two rules of it"),
        ));
    }
    if input.when != made.when {
        condition(&input.when, around)?;
    }
    let rule = StoredRule {
        action: input.action,
        mode: mode(input.mode)?,
        retry_after: wait(input.action, input.retry_after.as_deref())?,
        name: input.name,
        when: input.when,
        expires_at: input.expires_at,
        note: input.note,
        subaccount_id: input.subaccount_id,
        ..made
    };
    can_challenge(&rule, around)?;
    Ok(rule)
}

fn missing(rule: &StoredRule, program: &Program, around: &Around) -> BTreeMap<String, u64> {
    let counts = program.attributes().iter().filter_map(|attribute| {
        let hits = around.hits.get(&miss_id(&rule.id, attribute))?;
        Some((attribute.name(), hits.hits))
    });
    counts.collect()
}

impl Collection for Rules {
    const NAME: &'static str = collection::RULES;
    type Input = RuleInput;
    type Entity = StoredRule;
    type View = RuleView;

    fn make(app: &App, input: RuleInput, around: &Around) -> Result<(StoredRule, Option<String>), Wrong> {
        if around.documents(Self::NAME).len() >= MAX_RULES {
            let say =
                format!("there are {MAX_RULES} rules already; join some with `||`, or delete some first");
            return Err(Wrong::InUse(say));
        }
        let empty = StoredRule {
            id: app.ids.next(around.now)?.show(IdKind::Rule),
            name: String::new(),
            action: input.action,
            when: String::new(),
            mode: Mode::Enforce,
            expires_at: None,
            note: None,
            subaccount_id: None,
            retry_after: None,
            author: around.by.clone(),
            created_at: around.now,
        };
        if input.when.is_empty() {
            condition(&input.when, around)?;
        }
        Ok((build(empty, input, around)?, None))
    }

    fn input(entity: &StoredRule) -> RuleInput {
        RuleInput {
            name: entity.name.clone(),
            action: entity.action,
            when: entity.when.clone(),
            mode: Some(entity.mode),
            expires_at: entity.expires_at,
            note: entity.note.clone(),
            subaccount_id: entity.subaccount_id.clone(),
            retry_after: entity.retry_after.map(span::format),
        }
    }

    fn change(_app: &App, entity: &mut StoredRule, input: RuleInput, around: &Around) -> Result<(), Wrong> {
        *entity = build(entity.clone(), input, around)?;
        Ok(())
    }

    fn view(entity: &StoredRule, around: &Around, _once: Option<String>) -> RuleView {
        let hits = around.hits.get(&entity.id);
        let running = around.snapshot.rules.program(&entity.id, &entity.when);
        let program = running.map_or_else(|| compile(&entity.when).map(Arc::new), Ok);
        RuleView {
            id: entity.id.clone(),
            name: entity.name.clone(),
            action: entity.action,
            when: entity.when.clone(),
            mode: entity.mode,
            expires_at: entity.expires_at,
            note: entity.note.clone(),
            subaccount_id: entity.subaccount_id.clone(),
            retry_after: entity.retry_after.map(span::format),
            author: entity.author.clone(),
            created_at: entity.created_at,
            matched: hits.map_or(0, |h| h.hits),
            enforced: hits.map_or(0, |h| h.enforced),
            last_matched_at: hits.map(|h| h.last),
            missing: program.as_ref().map(|program| missing(entity, program, around)).unwrap_or_default(),
            problem: program.err().map(|error| error.to_string()),
        }
    }

    async fn gather(app: &App, around: &mut Around) -> Result<(), Wrong> {
        drain(app);
        around.hits.extend(between(app, "rule_", "rule_~").await?);
        Ok(())
    }

    fn id(entity: &StoredRule) -> String {
        entity.id.clone()
    }

    fn unique(entity: &StoredRule) -> Option<String> {
        Some(entity.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_belongs_to_a_throttle() {
        assert_eq!(wait(Action::Throttle, Some("90s")).unwrap(), Some(Duration::from_secs(90)));
        assert_eq!(wait(Action::Block, None).unwrap(), None);
        assert!(wait(Action::Block, Some("90s")).is_err());
        for text in ["0s", "25h", "90", "-1s"] {
            assert!(wait(Action::Throttle, Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn rules_read_back_as_they_are_stored() {
        let rule = StoredRule {
            id: "rule_1".to_owned(),
            name: "n".to_owned(),
            action: Action::Throttle,
            when: "true".to_owned(),
            mode: Mode::Shadow,
            expires_at: None,
            note: None,
            subaccount_id: None,
            retry_after: Some(Duration::from_secs(5)),
            author: "admin".to_owned(),
            created_at: Timestamp::from_millis(1),
        };
        let json = serde_json::to_value(&rule).unwrap();
        assert_eq!(json["retry_after"], "5s");
        assert_eq!(serde_json::from_value::<StoredRule>(json).unwrap(), rule);
    }
}
