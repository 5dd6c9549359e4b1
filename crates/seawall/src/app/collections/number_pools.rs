//! Pools of virtual numbers: what is the same for all of a purpose.

use std::time::Duration;

use seawall_core::id::IdKind;
use seawall_core::masking::health::HealthRule;
use seawall_core::time::{Timestamp, span};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::App;
use super::super::entities::collection;
use super::super::masking::inventory::{Announcements, NumberPool, TextNumbers};
use super::around::Around;
use super::{Collection, Wrong};

/// A late call within this time hears that the session is over, and reaches nobody else.
const USUAL_HOLD: Duration = Duration::from_secs(24 * 3600);
const LONGEST_HOLD: Duration = Duration::from_secs(90 * 86_400);
const LONGEST_WINDOW: Duration = Duration::from_secs(7 * 86_400);
/// Characters of an announcement; 8x8 says no more.
const SAID_AT_MOST: usize = 3_000;

/// When a virtual number counts as failing.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = NumberHealthRule)]
pub struct HealthInput {
    /// Older calls say nothing; so long after its failures a number gets another chance. `"15m"`.
    #[serde(with = "span")]
    #[schema(value_type = String, example = "15m")]
    pub window: Duration,
    /// So many percent of failed calls, of five or more, are too many; 50.
    #[schema(minimum = 1, maximum = 100)]
    pub failed_percent: u32,
    /// Fewer percent of answered calls, of ten or more, are too few; 5.
    #[schema(maximum = 100)]
    pub answered_percent: u32,
}

impl Default for HealthInput {
    fn default() -> Self {
        HealthRule::default().into()
    }
}

impl From<HealthRule> for HealthInput {
    fn from(rule: HealthRule) -> Self {
        let HealthRule { window, failed_percent, answered_percent } = rule;
        HealthInput { window, failed_percent, answered_percent }
    }
}

/// A pool as it is wished.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberPoolInput {
    /// Unique; virtual numbers and sessions name it.
    #[schema(min_length = 1, max_length = 64, example = "rides")]
    pub name: String,
    /// For one subaccount; absent: for all.
    pub subaccount_id: Option<String>,
    /// How long after a session its parties get its virtual number from no other; `"24h"` when absent.
    #[serde(default, with = "span::option")]
    #[schema(value_type = Option<String>, example = "24h")]
    pub reuse_after: Option<Duration>,
    /// Whether calls are recorded unless a session says otherwise.
    #[serde(default)]
    pub record: bool,
    /// What becomes of a party's own number in its texts.
    #[serde(default)]
    pub text_numbers: TextNumbers,
    /// What callers hear.
    #[serde(default)]
    pub announcements: Announcements,
    /// When a virtual number counts as failing.
    #[serde(default)]
    pub health: HealthInput,
}

/// A pool as it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = NumberPool)]
pub struct NumberPoolView {
    /// `pool_…`
    pub id: String,
    /// Unique.
    pub name: String,
    /// For one subaccount; `null`: for all.
    pub subaccount_id: Option<String>,
    /// How long after a session its parties get its virtual number from no other.
    #[serde(with = "span")]
    #[schema(value_type = String)]
    pub reuse_after: Duration,
    /// Whether calls are recorded unless a session says otherwise.
    pub record: bool,
    /// What becomes of a party's own number in its texts.
    pub text_numbers: TextNumbers,
    /// What callers hear.
    pub announcements: Announcements,
    /// When a virtual number counts as failing.
    pub health: HealthInput,
    /// Virtual numbers in it.
    pub numbers: usize,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// The collection.
pub struct NumberPools;

fn apply(pool: &mut NumberPool, input: NumberPoolInput, around: &Around) -> Result<(), Wrong> {
    around.check_subaccount("subaccount_id", input.subaccount_id.as_deref())?;
    let name = input.name.trim();
    if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
        return Err(Wrong::field("name", "must be 1 to 64 characters in one line"));
    }
    if pool.name != name && around.numbers_in(&pool.name) > 0 {
        return Err(Wrong::field("name", "cannot be changed while virtual numbers are in the pool"));
    }
    let reuse_after = input.reuse_after.unwrap_or(USUAL_HOLD);
    if reuse_after > LONGEST_HOLD {
        return Err(Wrong::field("reuse_after", "is at most 90d"));
    }
    check_announcements(&input.announcements)?;
    let health = input.health;
    if !(1..=100).contains(&health.failed_percent) || health.answered_percent > 100 {
        return Err(Wrong::field(
            "health",
            "percentages are 1 to 100 for failed_percent, 0 to 100 for answered_percent",
        ));
    }
    if health.window.is_zero() || health.window > LONGEST_WINDOW {
        return Err(Wrong::field("health.window", "is more than 0s and at most 7d"));
    }
    *pool = NumberPool {
        id: pool.id.clone(),
        name: name.to_owned(),
        subaccount_id: input.subaccount_id,
        reuse_after,
        record: input.record,
        text_numbers: input.text_numbers,
        announcements: input.announcements,
        health: HealthRule {
            window: health.window,
            failed_percent: health.failed_percent,
            answered_percent: health.answered_percent,
        },
        created_at: pool.created_at,
    };
    Ok(())
}

fn check_announcements(said: &Announcements) -> Result<(), Wrong> {
    let texts = [&said.no_session, &said.ended, &said.one_way, &said.refused, &said.recording];
    if texts
        .iter()
        .any(|text| text.chars().count() > SAID_AT_MOST || text.chars().any(|c| c.is_control() && c != '\n'))
    {
        return Err(Wrong::field(
            "announcements",
            "are at most 3000 characters each, without control characters",
        ));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if said.language.is_empty() || said.language.len() > 16 || !said.language.chars().all(plain) {
        return Err(Wrong::field("announcements.language", "is a language tag such as en-US"));
    }
    Ok(())
}

impl Collection for NumberPools {
    const NAME: &'static str = collection::NUMBER_POOLS;
    type Input = NumberPoolInput;
    type Entity = NumberPool;
    type View = NumberPoolView;

    fn make(
        app: &App,
        input: NumberPoolInput,
        around: &Around,
    ) -> Result<(NumberPool, Option<String>), Wrong> {
        let mut pool = NumberPool {
            id: app.ids.next(around.now)?.show(IdKind::Pool),
            name: String::new(),
            subaccount_id: None,
            reuse_after: USUAL_HOLD,
            record: false,
            text_numbers: TextNumbers::default(),
            announcements: Announcements::default(),
            health: HealthRule::default(),
            created_at: around.now,
        };
        apply(&mut pool, input, around)?;
        Ok((pool, None))
    }

    fn input(entity: &NumberPool) -> NumberPoolInput {
        NumberPoolInput {
            name: entity.name.clone(),
            subaccount_id: entity.subaccount_id.clone(),
            reuse_after: Some(entity.reuse_after),
            record: entity.record,
            text_numbers: entity.text_numbers,
            announcements: entity.announcements.clone(),
            health: entity.health.into(),
        }
    }

    fn change(
        _app: &App,
        entity: &mut NumberPool,
        input: NumberPoolInput,
        around: &Around,
    ) -> Result<(), Wrong> {
        apply(entity, input, around)
    }

    fn view(entity: &NumberPool, around: &Around, _once: Option<String>) -> NumberPoolView {
        NumberPoolView {
            id: entity.id.clone(),
            name: entity.name.clone(),
            subaccount_id: entity.subaccount_id.clone(),
            reuse_after: entity.reuse_after,
            record: entity.record,
            text_numbers: entity.text_numbers,
            announcements: entity.announcements.clone(),
            health: entity.health.into(),
            numbers: around.numbers_in(&entity.name),
            created_at: entity.created_at,
        }
    }

    fn id(entity: &NumberPool) -> String {
        entity.id.clone()
    }

    fn unique(entity: &NumberPool) -> Option<String> {
        Some(entity.name.clone())
    }

    fn may_delete(entity: &NumberPool, around: &Around) -> Result<(), Wrong> {
        match around.numbers_in(&entity.name) {
            0 => Ok(()),
            count => Err(Wrong::InUse(format!(
                "{count} virtual numbers are in the pool; delete or move them first"
            ))),
        }
    }
}
