//! Virtual numbers: what stands between two parties.

use seawall_core::id::IdKind;
use seawall_core::masking::health::Health;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::App;
use super::super::entities::collection;
use super::super::masking::health;
use super::super::masking::inventory::VirtualNumber;
use super::around::Around;
use super::subaccounts::label;
use super::{Collection, Wrong};

/// A virtual number as it is wished.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VirtualNumberInput {
    /// The number, E.164 with `+`. It cannot be changed.
    #[schema(example = "+6531580001")]
    pub msisdn: String,
    /// Its pool, by name or id.
    #[schema(example = "rides")]
    pub pool: String,
    /// Whether calls go through it; true when absent.
    pub voice: Option<bool>,
    /// Whether texts go through it; true when absent.
    pub sms: Option<bool>,
    /// Whether new sessions may get it; true when absent. Those that have it keep it.
    pub enabled: Option<bool>,
    /// For people.
    #[schema(max_length = 100)]
    pub note: Option<String>,
}

/// How a virtual number does.
#[derive(Serialize, ToSchema)]
#[schema(as = NumberHealth)]
pub struct HealthView {
    /// Calls of late that say something.
    pub calls: u32,
    /// In which the two spoke.
    pub answered: u32,
    /// That the network could not carry.
    pub failed: u32,
    /// The newest of them.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_at: Option<Timestamp>,
    /// Whether sessions get others for the time being.
    pub failing: bool,
}

impl From<Health> for HealthView {
    fn from(health: Health) -> Self {
        let Health { calls, answered, failed, last_at, failing } = health;
        HealthView { calls, answered, failed, last_at, failing }
    }
}

/// A virtual number as it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = VirtualNumber)]
pub struct VirtualNumberView {
    /// `vno_…`
    pub id: String,
    /// The number.
    pub msisdn: String,
    /// Name of its pool.
    pub pool: String,
    /// Whether calls go through it.
    pub voice: bool,
    /// Whether texts go through it.
    pub sms: bool,
    /// Whether new sessions may get it.
    pub enabled: bool,
    /// For people.
    pub note: Option<String>,
    /// How its calls went of late.
    pub health: HealthView,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// The collection.
pub struct VirtualNumbers;

fn apply(number: &mut VirtualNumber, input: VirtualNumberInput, around: &Around) -> Result<(), Wrong> {
    number.pool = around.check_pool("pool", &input.pool)?;
    label("note", input.note.as_deref())?;
    number.voice = input.voice.unwrap_or(true);
    number.sms = input.sms.unwrap_or(true);
    number.enabled = input.enabled.unwrap_or(true);
    number.note = input.note;
    number.updated_at = around.now;
    Ok(())
}

fn parsed(text: &str) -> Result<Msisdn, Wrong> {
    Msisdn::parse(text, None).map(|n| n.msisdn).map_err(|e| Wrong::field("msisdn", e.to_string()))
}

impl Collection for VirtualNumbers {
    const NAME: &'static str = collection::VIRTUAL_NUMBERS;
    type Input = VirtualNumberInput;
    type Entity = VirtualNumber;
    type View = VirtualNumberView;

    fn make(
        app: &App,
        input: VirtualNumberInput,
        around: &Around,
    ) -> Result<(VirtualNumber, Option<String>), Wrong> {
        let msisdn = parsed(&input.msisdn)?;
        let mut number = VirtualNumber {
            id: app.ids.next(around.now)?.show(IdKind::VirtualNumber),
            key: format!("{:016x}", app.store.vault.index().msisdn(msisdn)),
            msisdn: msisdn.to_e164(),
            pool: String::new(),
            voice: true,
            sms: true,
            enabled: true,
            note: None,
            created_at: around.now,
            updated_at: around.now,
        };
        apply(&mut number, input, around)?;
        Ok((number, None))
    }

    fn input(entity: &VirtualNumber) -> VirtualNumberInput {
        VirtualNumberInput {
            msisdn: entity.msisdn.clone(),
            pool: entity.pool.clone(),
            voice: Some(entity.voice),
            sms: Some(entity.sms),
            enabled: Some(entity.enabled),
            note: entity.note.clone(),
        }
    }

    fn change(
        _app: &App,
        entity: &mut VirtualNumber,
        input: VirtualNumberInput,
        around: &Around,
    ) -> Result<(), Wrong> {
        if parsed(&input.msisdn)?.to_e164() != entity.msisdn {
            return Err(Wrong::field("msisdn", "cannot be changed; delete this one and add the other"));
        }
        apply(entity, input, around)
    }

    fn view(entity: &VirtualNumber, around: &Around, _once: Option<String>) -> VirtualNumberView {
        VirtualNumberView {
            id: entity.id.clone(),
            msisdn: entity.msisdn.clone(),
            pool: entity.pool.clone(),
            voice: entity.voice,
            sms: entity.sms,
            enabled: entity.enabled,
            note: entity.note.clone(),
            health: around.number_health.get(&entity.id).copied().unwrap_or_default().into(),
            created_at: entity.created_at,
            updated_at: entity.updated_at,
        }
    }

    fn id(entity: &VirtualNumber) -> String {
        entity.id.clone()
    }

    /// A keyed hash stands in for the number: names of documents are not sealed.
    fn unique(entity: &VirtualNumber) -> Option<String> {
        Some(entity.key.clone())
    }

    async fn gather(app: &App, around: &mut Around) -> Result<(), Wrong> {
        let all: Vec<(Msisdn, String)> = {
            let snapshot = app.snapshot.load();
            snapshot.masking.numbers.iter().map(|(msisdn, number)| (*msisdn, number.id.clone())).collect()
        };
        for (msisdn, id) in all {
            around.number_health.insert(id, health::of(app, msisdn).await?);
        }
        Ok(())
    }
}
