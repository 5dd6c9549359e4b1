//! Limits.

use std::time::Duration;

use seawall_core::id::IdKind;
use seawall_core::limit::{Counts, Limit, Mode, Per};
use seawall_core::request::Operation;
use seawall_core::time::span;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::super::App;
use super::super::entities::collection;
use super::around::Around;
use super::shapes::{CountsShape, ModeShape, OperationShape, PerShape};
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
    /// Whom it counts.
    #[schema(value_type = PerShape)]
    pub per: String,
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

/// A limit as it is shown.
#[derive(Serialize, ToSchema)]
pub struct LimitView {
    /// `lim_…`
    pub id: String,
    /// Unique.
    pub name: String,
    /// Only for this subaccount.
    pub subaccount_id: Option<String>,
    /// Whom it counts.
    #[schema(value_type = PerShape)]
    pub per: Per,
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

const PERS: [&str; 10] = [
    "client_ip",
    "msisdn",
    "number_range",
    "api_key",
    "subaccount",
    "account",
    "country",
    "caller_ip",
    "user",
    "fingerprint",
];

fn per(word: &str) -> Result<Per, Wrong> {
    if word == "route" {
        let problem =
            format!("`route` comes with routing limits, not in this version; use {}", PERS.join(", "));
        return Err(Wrong::field("per", problem));
    }
    let unknown = |_| Wrong::field("per", format!("`{}` is not known; use {}", short(word), PERS.join(", ")));
    serde_json::from_value(Value::String(word.to_owned())).map_err(unknown)
}

fn window(text: &str) -> Result<Duration, Wrong> {
    let fits = span::parse(text).filter(|w| (SHORTEST..=LONGEST).contains(w));
    let problem = || format!("`{}` is not a duration from \"1s\" to \"30d\", such as \"30m\"", short(text));
    fits.ok_or_else(|| Wrong::field("window", problem()))
}

fn digits(per: Per, digits: Option<u8>) -> Result<Option<u8>, Wrong> {
    match digits {
        None => Ok(None),
        Some(_) if per != Per::NumberRange => {
            Err(Wrong::field("digits", "belongs to limits per `number_range`; leave it out"))
        }
        Some(d) if (1..=8).contains(&d) => Ok(Some(d)),
        Some(d) => Err(Wrong::field("digits", format!("{d} is out of range; use 1 to 8 trailing digits"))),
    }
}

/// Windows that count sends are refilled from messages, so they cannot be longer than these are kept.
fn check_retention(app: &App, limit: &Limit) -> Result<(), Wrong> {
    let kept = app.config.retention.messages;
    if limit.counts == Counts::Requests || limit.window <= kept {
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
        return Err(Wrong::field("quota", format!("{} is out of range; use 1 to {MAX_QUOTA}", input.quota)));
    }
    let mut applies_to = Vec::new();
    for operation in input.applies_to {
        if !applies_to.contains(&operation) {
            applies_to.push(operation);
        }
    }
    if applies_to.is_empty() {
        let known: Vec<&str> = Operation::ALL.iter().map(|o| o.as_str()).collect();
        return Err(Wrong::field(
            "applies_to",
            format!("is empty; name one or more of {}", known.join(", ")),
        ));
    }
    Ok(Limit {
        id,
        name: input.name,
        subaccount_id: input.subaccount_id,
        per,
        digits: digits(per, input.digits)?,
        applies_to,
        quota: input.quota,
        window: window(&input.window)?,
        counts: input.counts.unwrap_or_default(),
        mode: input.mode.unwrap_or_default(),
        built_in,
    })
}

fn word(per: Per) -> String {
    serde_json::to_value(per).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
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
            per: word(entity.per),
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
        LimitView {
            id: entity.id.clone(),
            name: entity.name.clone(),
            subaccount_id: entity.subaccount_id.clone(),
            per: entity.per,
            digits: entity.digits,
            applies_to: entity.applies_to.clone(),
            quota: entity.quota,
            window: span::format(entity.window),
            counts: entity.counts,
            mode: entity.mode,
            built_in: entity.built_in,
        }
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

    #[test]
    fn every_subject_has_its_word() {
        for text in PERS {
            assert_eq!(word(per(text).unwrap()), text);
        }
        let Err(Wrong::Field { problem, .. }) = per("route") else { panic!() };
        assert!(problem.contains("not in this version"));
        let Err(Wrong::Field { problem, .. }) = per("moon") else { panic!() };
        assert!(problem.contains("client_ip") && problem.contains("`moon`"));
    }

    #[test]
    fn windows_are_bounded() {
        assert!(window("1s").is_ok() && window("30d").is_ok());
        for text in ["999ms", "31d", "30", "", "0s"] {
            assert!(window(text).is_err(), "{text}");
        }
    }
}
