//! The IP allow-list: once it has an entry, the APIs answer only listed addresses.

use ipnet::IpNet;
use seawall_core::id::IdKind;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::App;
use super::super::entities::{AllowedNet, collection};
use super::api_keys::net;
use super::around::Around;
use super::subaccounts::label;
use super::{Collection, Wrong};

/// An entry as it is wished.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AllowedInput {
    /// An address or a network.
    #[schema(example = "192.0.2.0/24")]
    pub cidr: String,
    /// For this subaccount only; absent: for all.
    pub subaccount_id: Option<String>,
    /// For people.
    #[schema(min_length = 1, max_length = 100)]
    pub description: Option<String>,
}

/// An entry as it is shown.
#[derive(Serialize, ToSchema)]
pub struct AllowedView {
    /// `ial_…`
    pub id: String,
    /// The network.
    #[schema(value_type = String)]
    pub cidr: IpNet,
    /// For this subaccount only; `null`: for all.
    pub subaccount_id: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// The collection.
pub struct IpAllowlist;

fn build(id: String, at: Timestamp, input: AllowedInput, around: &Around) -> Result<AllowedNet, Wrong> {
    around.check_subaccount("subaccount_id", input.subaccount_id.as_deref())?;
    label("description", input.description.as_deref())?;
    Ok(AllowedNet {
        id,
        cidr: net("cidr", &input.cidr)?,
        subaccount_id: input.subaccount_id,
        description: input.description,
        created_at: at,
    })
}

impl Collection for IpAllowlist {
    const NAME: &'static str = collection::IP_ALLOWLIST;
    type Input = AllowedInput;
    type Entity = AllowedNet;
    type View = AllowedView;

    fn make(app: &App, input: AllowedInput, around: &Around) -> Result<(AllowedNet, Option<String>), Wrong> {
        let id = app.ids.next(around.now)?.show(IdKind::Allowed);
        Ok((build(id, around.now, input, around)?, None))
    }

    fn input(entity: &AllowedNet) -> AllowedInput {
        AllowedInput {
            cidr: entity.cidr.to_string(),
            subaccount_id: entity.subaccount_id.clone(),
            description: entity.description.clone(),
        }
    }

    fn change(
        _app: &App,
        entity: &mut AllowedNet,
        input: AllowedInput,
        around: &Around,
    ) -> Result<(), Wrong> {
        *entity = build(entity.id.clone(), entity.created_at, input, around)?;
        Ok(())
    }

    fn view(entity: &AllowedNet, _around: &Around, _once: Option<String>) -> AllowedView {
        AllowedView {
            id: entity.id.clone(),
            cidr: entity.cidr,
            subaccount_id: entity.subaccount_id.clone(),
            description: entity.description.clone(),
            created_at: entity.created_at,
        }
    }

    fn id(entity: &AllowedNet) -> String {
        entity.id.clone()
    }

    /// The same network for the same subaccount twice would only make deleting it confusing.
    fn unique(entity: &AllowedNet) -> Option<String> {
        Some(format!("{} for {}", entity.cidr, entity.subaccount_id.as_deref().unwrap_or("all")))
    }
}
