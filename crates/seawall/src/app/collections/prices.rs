//! Prices of segments.

use seawall_core::country::Country;
use seawall_core::id::IdKind;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::App;
use super::super::entities::{PriceEntry, collection};
use super::around::Around;
use super::{Collection, Wrong};

/// A million units of any currency for one segment is a slip of the keyboard.
const MAX_AMOUNT: i64 = 1_000_000_000_000;

/// A price as it is wished.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceInput {
    /// ISO 3166-1 alpha-2.
    #[schema(value_type = String, pattern = "^[A-Za-z]{2}$")]
    pub country: Country,
    /// Mobile country code of one operator; only together with `mnc`.
    #[schema(pattern = "^[0-9]{3}$")]
    pub mcc: Option<String>,
    /// Mobile network code of one operator; only together with `mcc`.
    #[schema(pattern = "^[0-9]{2,3}$")]
    pub mnc: Option<String>,
    /// Micro-units a segment: 141100 is 0.1411.
    #[schema(minimum = 0, maximum = 1_000_000_000_000_i64)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(pattern = "^[A-Z]{3}$")]
    pub currency: String,
}

/// A price as it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = PriceEntry)]
pub struct PriceView {
    /// `prc_…`
    pub id: String,
    /// ISO 3166-1 alpha-2.
    #[schema(value_type = String)]
    pub country: Country,
    /// Mobile country code of one operator.
    pub mcc: Option<String>,
    /// Mobile network code of one operator.
    pub mnc: Option<String>,
    /// Micro-units a segment.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// The collection.
pub struct Prices;

fn digits(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn build(id: String, at: Timestamp, input: PriceInput) -> Result<PriceEntry, Wrong> {
    match (&input.mcc, &input.mnc) {
        (None, None) => {}
        (Some(mcc), _) if !digits(mcc, 3..=3) => {
            return Err(Wrong::field("mcc", "must be 3 digits such as \"525\""));
        }
        (_, Some(mnc)) if !digits(mnc, 2..=3) => {
            return Err(Wrong::field("mnc", "must be 2 or 3 digits such as \"01\""));
        }
        (Some(_), Some(_)) => {}
        (Some(_), None) => {
            return Err(Wrong::field("mnc", "is missing; mcc and mnc name an operator together"));
        }
        (None, Some(_)) => {
            return Err(Wrong::field("mcc", "is missing; mcc and mnc name an operator together"));
        }
    }
    if !(0..=MAX_AMOUNT).contains(&input.amount) {
        let problem = format!("{} is out of range; use 0 to {MAX_AMOUNT} micro-units", input.amount);
        return Err(Wrong::field("amount", problem));
    }
    if input.currency.len() != 3 || !input.currency.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(Wrong::field("currency", "must be three capital letters (ISO 4217) such as \"USD\""));
    }
    Ok(PriceEntry {
        id,
        country: input.country,
        mcc: input.mcc,
        mnc: input.mnc,
        amount: input.amount,
        currency: input.currency,
        created_at: at,
    })
}

impl Collection for Prices {
    const NAME: &'static str = collection::PRICES;
    type Input = PriceInput;
    type Entity = PriceEntry;
    type View = PriceView;

    fn make(app: &App, input: PriceInput, around: &Around) -> Result<(PriceEntry, Option<String>), Wrong> {
        let id = app.ids.next(around.now)?.show(IdKind::Price);
        Ok((build(id, around.now, input)?, None))
    }

    fn input(entity: &PriceEntry) -> PriceInput {
        PriceInput {
            country: entity.country,
            mcc: entity.mcc.clone(),
            mnc: entity.mnc.clone(),
            amount: entity.amount,
            currency: entity.currency.clone(),
        }
    }

    fn change(_app: &App, entity: &mut PriceEntry, input: PriceInput, _around: &Around) -> Result<(), Wrong> {
        *entity = build(entity.id.clone(), entity.created_at, input)?;
        Ok(())
    }

    fn view(entity: &PriceEntry, _around: &Around, _once: Option<String>) -> PriceView {
        PriceView {
            id: entity.id.clone(),
            country: entity.country,
            mcc: entity.mcc.clone(),
            mnc: entity.mnc.clone(),
            amount: entity.amount,
            currency: entity.currency.clone(),
            created_at: entity.created_at,
        }
    }

    fn id(entity: &PriceEntry) -> String {
        entity.id.clone()
    }

    /// One price a place: `SG`, or `SG-52501` for an operator. Paths take it in place of the id.
    fn unique(entity: &PriceEntry) -> Option<String> {
        match (&entity.mcc, &entity.mnc) {
            (Some(mcc), Some(mnc)) => Some(format!("{}-{mcc}{mnc}", entity.country)),
            _ => Some(entity.country.to_string()),
        }
    }
}
