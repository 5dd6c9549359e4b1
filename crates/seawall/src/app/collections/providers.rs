//! Providers.

use seawall_connect::{CheckAgainst, Health, Kind, Secret, check, secret_settings};
use seawall_core::id::IdKind;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::vault::Vault;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::super::App;
use super::super::entities::{Provider, collection};
use super::super::who::hex;
use super::around::Around;
use super::mask::{MASK, holds_mask, masked, restored};
use super::shapes::KindShape;
use super::subaccounts::short;
use super::{Collection, Wrong};

/// A provider as it is wished.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderInput {
    /// Unique; routes name it.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,50}$")]
    pub name: String,
    /// Which connector.
    #[schema(value_type = KindShape)]
    pub kind: Kind,
    /// Its settings. Secrets may be references: `env:NAME`, `file:PATH`. `"***"` keeps a secret.
    #[schema(value_type = Option<Object>)]
    pub settings: Option<Value>,
    /// Whether routes may use it; true when absent.
    pub enabled: Option<bool>,
}

/// Whether a provider can be used right now.
#[derive(Serialize, ToSchema)]
pub struct HealthView {
    /// `up`, `down` or `disabled`.
    pub state: String,
    /// Why it is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A provider as it is shown.
#[derive(Serialize, ToSchema)]
pub struct ProviderView {
    /// `prv_…`
    pub id: String,
    /// Unique; routes name it.
    pub name: String,
    /// Which connector.
    #[schema(value_type = KindShape)]
    pub kind: Kind,
    /// Its settings, secrets masked.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// Whether routes may use it.
    pub enabled: bool,
    /// Whether it works.
    pub health: HealthView,
    /// Where the provider sends receipts and inbound messages. Unguessable: keep it secret.
    pub callback_url_path: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// The collection.
pub struct Providers;

/// The unguessable part of a callback path.
pub fn callback_token(vault: &Vault) -> Result<String, StoreError> {
    let mut bytes = [0u8; 16];
    vault.random(&mut bytes)?;
    Ok(hex(&bytes))
}

fn check_name(name: &str) -> Result<(), Wrong> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if (1..=50).contains(&name.len()) && plain {
        return Ok(());
    }
    let fix = "1 to 50 letters, digits, `-`, `.` or `_` are needed, because it stands in the callback path";
    Err(Wrong::field("name", format!("`{}` cannot be a name: {fix}", short(name))))
}

fn check_settings(app: &App, kind: Kind, settings: &Value) -> Result<(), Wrong> {
    if holds_mask(settings) {
        return Err(Wrong::field(
            "settings",
            format!("\"{MASK}\" keeps a secret that is stored; there is none yet"),
        ));
    }
    let against = CheckAgainst { allow_insecure_smpp: app.config.smpp.allow_insecure };
    check(kind, settings, &against).map_err(|e| Wrong::field(format!("settings.{}", e.key), e.problem))?;
    for key in secret_settings(kind) {
        resolvable(key, settings.get(*key).unwrap_or(&Value::Null))?;
    }
    Ok(())
}

/// References are looked up when a provider is saved, so that a wrong one is found by who writes it.
fn resolvable(key: &str, value: &Value) -> Result<(), Wrong> {
    match value {
        Value::String(text) => {
            Secret::resolve(text).map(|_| ()).map_err(|e| Wrong::field(format!("settings.{key}"), e))
        }
        Value::Object(fields) => fields.values().try_for_each(|inner| resolvable(key, inner)),
        Value::Array(items) => items.iter().try_for_each(|inner| resolvable(key, inner)),
        _ => Ok(()),
    }
}

fn settings_of(input: &mut ProviderInput) -> Value {
    input.settings.take().unwrap_or_else(|| Value::Object(Map::new()))
}

impl Collection for Providers {
    const NAME: &'static str = collection::PROVIDERS;
    type Input = ProviderInput;
    type Entity = Provider;
    type View = ProviderView;

    fn make(
        app: &App,
        mut input: ProviderInput,
        around: &Around,
    ) -> Result<(Provider, Option<String>), Wrong> {
        check_name(&input.name)?;
        let settings = settings_of(&mut input);
        check_settings(app, input.kind, &settings)?;
        let provider = Provider {
            id: app.ids.next(around.now)?.show(IdKind::Provider),
            name: input.name,
            kind: input.kind,
            settings,
            enabled: input.enabled.unwrap_or(true),
            callback_token: callback_token(&app.store.vault)?,
            created_at: around.now,
        };
        Ok((provider, None))
    }

    fn input(entity: &Provider) -> ProviderInput {
        ProviderInput {
            name: entity.name.clone(),
            kind: entity.kind,
            settings: Some(entity.settings.clone()),
            enabled: Some(entity.enabled),
        }
    }

    fn change(
        app: &App,
        entity: &mut Provider,
        mut input: ProviderInput,
        around: &Around,
    ) -> Result<(), Wrong> {
        check_name(&input.name)?;
        if input.name != entity.name {
            unused(entity, around, "renamed")?;
        }
        let settings = restored(settings_of(&mut input), &entity.settings);
        check_settings(app, input.kind, &settings)?;
        entity.name = input.name;
        entity.kind = input.kind;
        entity.settings = settings;
        entity.enabled = input.enabled.unwrap_or(true);
        Ok(())
    }

    fn view(entity: &Provider, around: &Around, _once: Option<String>) -> ProviderView {
        ProviderView {
            id: entity.id.clone(),
            name: entity.name.clone(),
            kind: entity.kind,
            settings: masked(&entity.settings, secret_settings(entity.kind)),
            enabled: entity.enabled,
            health: health(entity, around),
            callback_url_path: format!("/callbacks/{}/{}", entity.name, entity.callback_token),
            created_at: entity.created_at,
        }
    }

    fn id(entity: &Provider) -> String {
        entity.id.clone()
    }

    fn unique(entity: &Provider) -> Option<String> {
        Some(entity.name.clone())
    }

    fn may_delete(entity: &Provider, around: &Around) -> Result<(), Wrong> {
        unused(entity, around, "deleted")
    }
}

fn unused(provider: &Provider, around: &Around, what: &str) -> Result<(), Wrong> {
    let routes = around.routes_over(&provider.name);
    if routes.is_empty() {
        return Ok(());
    }
    let (name, routes) = (&provider.name, routes.join(", "));
    Err(Wrong::InUse(format!(
        "provider `{name}` cannot be {what}: route {routes} uses it; change that first"
    )))
}

fn health(provider: &Provider, around: &Around) -> HealthView {
    let running = around.snapshot.providers.get(&provider.name).map(|running| running.connector.health());
    let (state, reason) = match running {
        Some(Health::Up) => ("up", None),
        Some(Health::Down { reason }) => ("down", Some(reason)),
        None => ("disabled", None),
    };
    HealthView { state: state.to_owned(), reason }
}
