//! Limits.

use std::time::Duration;

use seawall_core::id::IdKind;
use seawall_core::limit::{Counts, Limit, MOST_PARTS, Mode, Per, Subject};
use seawall_core::request::{LIMIT_KEY_RULE, Operation, is_limit_key};
use seawall_core::time::span;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::super::App;
use super::super::entities::collection;
use super::super::unfit::without_digits;
use super::around::Around;
use super::shapes::{CountsShape, ModeShape, OperationShape, SubjectShape};
use super::subaccounts::{label, short};
use super::{Collection, Wrong};

/// Largest quota: a window keeps every instant that it counts.
const MAX_QUOTA: u32 = 1_000_000;
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// A limit as it is wished.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitInput {
    /// Unique.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Only for this subaccount; absent: all subaccounts share the windows.
    pub subaccount_id: Option<String>,
    /// Whom it counts: one word, or up to four different ones that are counted together.
    #[schema(value_type = SubjectShape)]
    pub per: Value,
    /// For `custom`: the name under which requests give the value in `limit_keys`.
    #[schema(pattern = "^[a-z0-9_]{1,32}$")]
    pub key: Option<String>,
    /// For `number_range`: how many trailing digits are dropped; 4 when absent.
    #[schema(minimum = 1, maximum = 8)]
    pub digits: Option<u8>,
    /// To which operations it applies.
    #[schema(value_type = Vec<OperationShape>, min_items = 1)]
    pub applies_to: Vec<Operation>,
    /// How many …
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub quota: u32,
    /// … in any span of this length, `"1s"` to `"30d"`.
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", example = "30m")]
    pub window: String,
    /// When it is charged; `sends` when absent.
    #[schema(value_type = Option<CountsShape>)]
    pub counts: Option<Counts>,
    /// Whether it refuses; `enforce` when absent.
    #[schema(value_type = Option<ModeShape>)]
    pub mode: Option<Mode>,
}

/// A limit of a plan as it is wished: a limit without a subaccount.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanLimitInput {
    /// Unique within the plan; made of what it counts when absent.
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// Whom it counts: one word, or up to four different ones that are counted together.
    #[schema(value_type = SubjectShape)]
    pub per: Value,
    /// For `custom`: the name under which requests give the value in `limit_keys`.
    #[schema(pattern = "^[a-z0-9_]{1,32}$")]
    pub key: Option<String>,
    /// For `number_range`: how many trailing digits are dropped; 4 when absent.
    #[schema(minimum = 1, maximum = 8)]
    pub digits: Option<u8>,
    /// To which operations it applies.
    #[schema(value_type = Vec<OperationShape>, min_items = 1)]
    pub applies_to: Vec<Operation>,
    /// How many …
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub quota: u32,
    /// … in any span of this length, `"1s"` to `"30d"`.
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", example = "24h")]
    pub window: String,
    /// When it is charged; `sends` when absent.
    #[schema(value_type = Option<CountsShape>)]
    pub counts: Option<Counts>,
    /// Whether it refuses; `enforce` when absent.
    #[schema(value_type = Option<ModeShape>)]
    pub mode: Option<Mode>,
}

/// A limit as it is shown.
#[derive(Serialize, ToSchema)]
pub struct LimitView {
    /// `lim_…`; empty in a plan.
    pub id: String,
    /// Unique.
    pub name: String,
    /// Only for this subaccount.
    pub subaccount_id: Option<String>,
    /// Whom it counts.
    #[schema(value_type = SubjectShape)]
    pub per: Subject,
    /// For `custom`: the name under which requests give the value in `limit_keys`.
    pub key: Option<String>,
    /// For `number_range`: how many trailing digits are dropped.
    pub digits: Option<u8>,
    /// To which operations it applies.
    #[schema(value_type = Vec<OperationShape>)]
    pub applies_to: Vec<Operation>,
    /// How many …
    pub quota: u32,
    /// … in any span of this length.
    pub window: String,
    /// When it is charged.
    #[schema(value_type = CountsShape)]
    pub counts: Counts,
    /// Whether it refuses.
    #[schema(value_type = ModeShape)]
    pub mode: Mode,
    /// Came with the installation; may be changed and deleted like any other.
    pub built_in: bool,
}

/// The collection.
pub struct Limits;

fn words() -> String {
    Per::ALL.map(Per::as_str).join(", ")
}

fn part(word: &Value) -> Result<Per, Wrong> {
    let text = word.as_str().map_or_else(|| word.to_string(), str::to_owned);
    let unknown = || Wrong::field("per", format!("`{}` is not known; use {}", short(&text), words()));
    word.as_str().and_then(Per::parse).ok_or_else(unknown)
}

fn per(given: &Value) -> Result<Subject, Wrong> {
    let parts = match given {
        Value::Array(parts) => parts.iter().map(part).collect::<Result<Vec<_>, _>>()?,
        one => vec![part(one)?],
    };
    let problem = || format!("takes one word or up to {MOST_PARTS} different ones, of {}", words());
    Subject::new(parts).ok_or_else(|| Wrong::field("per", problem()))
}

fn window(text: &str) -> Result<Duration, Wrong> {
    let fits = span::parse(text).filter(|w| (SHORTEST..=LONGEST).contains(w));
    let problem = || format!("`{}` is not a duration from \"1s\" to \"30d\", such as \"30m\"", short(text));
    fits.ok_or_else(|| Wrong::field("window", problem()))
}

fn digits(per: &Subject, digits: Option<u8>) -> Result<Option<u8>, Wrong> {
    match digits {
        None => Ok(None),
        Some(_) if !per.has(Per::NumberRange) => {
            Err(Wrong::field("digits", "belongs to limits per `number_range`; leave it out"))
        }
        Some(d) if (1..=8).contains(&d) => Ok(Some(d)),
        Some(d) => Err(Wrong::field("digits", format!("{d} is out of range; use 1 to 8 trailing digits"))),
    }
}

fn key(per: &Subject, key: Option<String>) -> Result<Option<String>, Wrong> {
    match key {
        Some(_) if !per.has(Per::Custom) => {
            Err(Wrong::field("key", "belongs to limits per `custom`; leave it out"))
        }
        None if per.has(Per::Custom) => Err(Wrong::field(
            "key",
            "is missing: name the key of `limit_keys` that a limit per `custom` counts",
        )),
        Some(key) if !is_limit_key(&key) => {
            Err(Wrong::field("key", format!("`{}` is no name: {LIMIT_KEY_RULE}", short(&key))))
        }
        key => Ok(key),
    }
}

fn applies_to(given: Vec<Operation>, counts: Counts) -> Result<Vec<Operation>, Wrong> {
    let mut applies_to = Vec::new();
    for operation in given {
        if !applies_to.contains(&operation) {
            applies_to.push(operation);
        }
    }
    if applies_to.is_empty() {
        let known: Vec<&str> = Operation::ALL.iter().map(|o| o.as_str()).collect();
        let problem = format!("is empty; name one or more of {}", known.join(", "));
        return Err(Wrong::field("applies_to", problem));
    }
    if counts == Counts::Failures && applies_to != [Operation::VerifyCheck] {
        return Err(Wrong::field(
            "counts",
            "`failures` are wrong codes: set applies_to to [\"verify.check\"]",
        ));
    }
    Ok(applies_to)
}

/// Windows that count sends are refilled from messages, so they cannot be longer than these are kept.
fn check_retention(app: &App, limit: &Limit) -> Result<(), Wrong> {
    let kept = app.config.retention.messages;
    if limit.counts != Counts::Sends || limit.window <= kept {
        return Ok(());
    }
    let (window, kept) = (span::format(limit.window), span::format(kept));
    let fix = "a restart would forget the rest; shorten it, or keep messages longer (retention.messages)";
    Err(Wrong::field("window", format!("{window} is longer than messages are kept ({kept}): {fix}")))
}

fn build(id: String, built_in: bool, input: LimitInput, around: &Around) -> Result<Limit, Wrong> {
    label("name", Some(&input.name))?;
    around.check_subaccount("subaccount_id", input.subaccount_id.as_deref())?;
    let per = per(&input.per)?;
    if input.quota == 0 || input.quota > MAX_QUOTA {
        let problem =
            format!("{} is out of range; use 1 to {MAX_QUOTA}", without_digits(&input.quota.to_string()));
        return Err(Wrong::field("quota", problem));
    }
    let counts = input.counts.unwrap_or_default();
    Ok(Limit {
        id,
        name: input.name,
        subaccount_id: input.subaccount_id,
        plan: None,
        key: key(&per, input.key)?,
        digits: digits(&per, input.digits)?,
        per,
        applies_to: applies_to(input.applies_to, counts)?,
        quota: input.quota,
        window: window(&input.window)?,
        counts,
        mode: input.mode.unwrap_or_default(),
        built_in,
    })
}

/// A limit of a plan.
pub(super) fn of_plan(app: &App, around: &Around, input: PlanLimitInput) -> Result<Limit, Wrong> {
    let made = || Ok::<_, Wrong>(format!("{} {}", per(&input.per)?, input.window));
    let limit = LimitInput {
        name: input.name.clone().map_or_else(made, Ok)?,
        subaccount_id: None,
        per: input.per,
        key: input.key,
        digits: input.digits,
        applies_to: input.applies_to,
        quota: input.quota,
        window: input.window,
        counts: input.counts,
        mode: input.mode,
    };
    let limit = build(String::new(), false, limit, around)?;
    check_retention(app, &limit)?;
    Ok(limit)
}

/// As a plan would have it.
pub(super) fn plan_input(limit: &Limit) -> PlanLimitInput {
    let input = Limits::input(limit);
    PlanLimitInput {
        name: Some(input.name),
        per: input.per,
        key: input.key,
        digits: input.digits,
        applies_to: input.applies_to,
        quota: input.quota,
        window: input.window,
        counts: input.counts,
        mode: input.mode,
    }
}

/// A limit as it is shown.
pub(super) fn view(limit: &Limit) -> LimitView {
    LimitView {
        id: limit.id.clone(),
        name: limit.name.clone(),
        subaccount_id: limit.subaccount_id.clone(),
        per: limit.per.clone(),
        key: limit.key.clone(),
        digits: limit.digits,
        applies_to: limit.applies_to.clone(),
        quota: limit.quota,
        window: span::format(limit.window),
        counts: limit.counts,
        mode: limit.mode,
        built_in: limit.built_in,
    }
}

impl Collection for Limits {
    const NAME: &'static str = collection::LIMITS;
    type Input = LimitInput;
    type Entity = Limit;
    type View = LimitView;

    fn make(app: &App, input: LimitInput, around: &Around) -> Result<(Limit, Option<String>), Wrong> {
        let id = app.ids.next(around.now)?.show(IdKind::Limit);
        let limit = build(id, false, input, around)?;
        check_retention(app, &limit)?;
        Ok((limit, None))
    }

    fn input(entity: &Limit) -> LimitInput {
        LimitInput {
            name: entity.name.clone(),
            subaccount_id: entity.subaccount_id.clone(),
            per: serde_json::to_value(&entity.per).unwrap_or_default(),
            key: entity.key.clone(),
            digits: entity.digits,
            applies_to: entity.applies_to.clone(),
            quota: entity.quota,
            window: span::format(entity.window),
            counts: Some(entity.counts),
            mode: Some(entity.mode),
        }
    }

    fn change(app: &App, entity: &mut Limit, input: LimitInput, around: &Around) -> Result<(), Wrong> {
        *entity = build(entity.id.clone(), entity.built_in, input, around)?;
        check_retention(app, entity)
    }

    fn view(entity: &Limit, _around: &Around, _once: Option<String>) -> LimitView {
        view(entity)
    }

    fn id(entity: &Limit) -> String {
        entity.id.clone()
    }

    fn unique(entity: &Limit) -> Option<String> {
        Some(entity.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problem<T>(result: Result<T, Wrong>) -> String {
        match result {
            Err(Wrong::Field { field, problem }) => format!("{field}: {problem}"),
            _ => String::new(),
        }
    }

    #[test]
    fn one_part_or_several_are_read() {
        for part in Per::ALL {
            assert!(per(&part.as_str().into()).unwrap().is(part));
        }
        assert_eq!(per(&json!(["fingerprint", "client_ip"])).unwrap().to_string(), "client_ip+fingerprint");
        assert!(problem(per(&json!("moon"))).starts_with("per: `moon` is not known; use client_ip"));
        assert!(problem(per(&json!(7))).starts_with("per: `7` is not known"));
        for wrong in
            [json!([]), json!(["user", "user"]), json!(["user", "msisdn", "route", "country", "network"])]
        {
            assert!(problem(per(&wrong)).contains("up to 4 different ones"));
        }
    }

    #[test]
    fn a_key_belongs_to_custom_limits() {
        let (custom, plain) = (Subject::from(Per::Custom), Subject::from(Per::User));
        assert_eq!(key(&custom, Some("order_id".to_owned())).unwrap().as_deref(), Some("order_id"));
        assert!(problem(key(&custom, None)).starts_with("key: is missing"));
        assert!(problem(key(&custom, Some("Order".to_owned()))).contains("`Order` is no name"));
        assert!(problem(key(&plain, Some("order_id".to_owned()))).contains("leave it out"));
    }

    #[test]
    fn failures_are_those_of_checks() {
        use Operation::{SmsSend, VerifyCheck};
        assert_eq!(applies_to(vec![VerifyCheck, VerifyCheck], Counts::Failures).unwrap(), [VerifyCheck]);
        assert!(problem(applies_to(vec![VerifyCheck, SmsSend], Counts::Failures)).starts_with("counts: "));
        assert!(problem(applies_to(vec![], Counts::Sends)).contains("verify.start"));
    }

    #[test]
    fn windows_are_bounded() {
        assert!(window("1s").is_ok() && window("30d").is_ok());
        for text in ["999ms", "31d", "30", "", "0s"] {
            assert!(window(text).is_err(), "{text}");
        }
    }
}
