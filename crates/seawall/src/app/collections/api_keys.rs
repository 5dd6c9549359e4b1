//! API keys: the secret is shown when it is made and kept only as a hash.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use seawall_core::id::IdKind;
use seawall_core::time::{Timestamp, span};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::super::App;
use super::super::audit::Actor;
use super::super::entities::{ApiKey, PreviousSecret, Scope, collection};
use super::super::secrets::{SecretKind, hash_hex, last6, new_secret};
use super::around::Around;
use super::shapes::ScopeShape;
use super::subaccounts::{label, short};
use super::{Collection, Wrong, ahead, read, update};

/// How long a replaced secret may stay valid.
const LONGEST_OVERLAP: Duration = Duration::from_secs(30 * 86_400);
/// Entries of one list of a key.
const AT_MOST: usize = 1000;

/// A key as it is wished.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyInput {
    /// Unique, for people.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Only these subaccounts; absent: all.
    pub subaccounts: Option<Vec<String>>,
    /// Only these uses; absent: those of its plan, else all but those of the admin API, `approve` and
    /// `risk_check_off`.
    #[schema(value_type = Option<Vec<ScopeShape>>)]
    pub scopes: Option<Vec<Scope>>,
    /// Name of its plan; absent: the plan of the subaccount that it is used for.
    pub plan: Option<String>,
    /// Only from these addresses or networks; empty or absent: from anywhere the account allows.
    pub ip_allowlist: Option<Vec<String>>,
    /// Not valid from then on.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// Whether it works; true when absent.
    pub enabled: Option<bool>,
}

/// A key as it is shown.
#[derive(Serialize, ToSchema)]
pub struct ApiKeyView {
    /// `key_…`
    pub id: String,
    /// Unique, for people.
    pub name: String,
    /// The secret: in the answer that made it, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Last six characters of the secret.
    pub last6: String,
    /// Only these subaccounts; `null`: all.
    pub subaccounts: Option<Vec<String>>,
    /// Only these uses; `null`: those of its plan, else all but those of the admin API, `approve` and
    /// `risk_check_off`.
    #[schema(value_type = Option<Vec<ScopeShape>>)]
    pub scopes: Option<Vec<Scope>>,
    /// Name of its plan; `null`: the plan of the subaccount that it is used for.
    pub plan: Option<String>,
    /// Only from these networks; empty: from anywhere the account allows.
    #[schema(value_type = Vec<String>)]
    pub ip_allowlist: Vec<IpNet>,
    /// Not valid from then on.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// Whether it works.
    pub enabled: bool,
    /// Until when the secret before the last rotation still works.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub previous_valid_until: Option<Timestamp>,
    /// When it was last used; behind by a few seconds.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
    /// From where it was last used.
    pub last_used_ip: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// How a key is rotated.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RotateInput {
    /// How long the old secret still works, `"0s"` to `"30d"`; `"24h"` when absent.
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$", example = "24h")]
    pub overlap: Option<String>,
}

/// The collection.
pub struct ApiKeys;

/// Reads an address or a network. A network is cut to its prefix, and both are shown as they are kept.
pub(super) fn net(field: &str, text: &str) -> Result<IpNet, Wrong> {
    let alone = || text.trim().parse::<IpAddr>().map(IpNet::from);
    let read = text.trim().parse::<IpNet>().or_else(|_| alone()).map_err(|_| {
        let fix = "is not an address or a network such as \"192.0.2.0/24\" or \"2001:db8::/32\"";
        Wrong::field(field, format!("`{}` {fix}", short(text)))
    })?;
    match read {
        // Callers behind IPv4-mapped addresses are taken as IPv4, so such a network would match nobody.
        IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => Err(Wrong::field(
            field,
            format!("`{}` is an IPv4 address in IPv6; write it as IPv4", short(text)),
        )),
        other => Ok(other.trunc()),
    }
}

fn apply(key: &mut ApiKey, input: ApiKeyInput, around: &Around) -> Result<(), Wrong> {
    label("name", Some(&input.name))?;
    let too_many = |n: Option<usize>| n.is_some_and(|n| n > AT_MOST);
    if too_many(input.subaccounts.as_ref().map(Vec::len))
        || too_many(input.ip_allowlist.as_ref().map(Vec::len))
    {
        return Err(Wrong::field("ip_allowlist", format!("a list of a key holds at most {AT_MOST} entries")));
    }
    for subaccount in input.subaccounts.iter().flatten() {
        around.check_subaccount("subaccounts", Some(subaccount))?;
    }
    for (field, empty) in [
        ("subaccounts", input.subaccounts.as_ref().is_some_and(Vec::is_empty)),
        ("scopes", input.scopes.as_ref().is_some_and(Vec::is_empty)),
    ] {
        if empty {
            return Err(Wrong::field(field, "is empty, so the key could do nothing; leave it out for all"));
        }
    }
    if input.plan != key.plan {
        around.check_plan("plan", input.plan.as_deref())?;
    }
    if input.expires_at != key.expires_at {
        ahead("expires_at", input.expires_at, around.now)?;
    }
    let nets = input.ip_allowlist.unwrap_or_default();
    key.ip_allowlist = nets.iter().map(|text| net("ip_allowlist", text)).collect::<Result<_, _>>()?;
    key.name = input.name;
    key.subaccounts = input.subaccounts;
    key.scopes = input.scopes;
    key.plan = input.plan;
    key.expires_at = input.expires_at;
    key.enabled = input.enabled.unwrap_or(true);
    Ok(())
}

impl Collection for ApiKeys {
    const NAME: &'static str = collection::API_KEYS;
    type Input = ApiKeyInput;
    type Entity = ApiKey;
    type View = ApiKeyView;

    fn make(app: &App, input: ApiKeyInput, around: &Around) -> Result<(ApiKey, Option<String>), Wrong> {
        let secret = new_secret(SecretKind::Live, &app.store.vault)?;
        let mut key = ApiKey {
            id: app.ids.next(around.now)?.show(IdKind::Key),
            name: String::new(),
            subaccounts: None,
            scopes: None,
            plan: None,
            ip_allowlist: Vec::new(),
            expires_at: None,
            enabled: true,
            last6: last6(&secret),
            hash: hash_hex(&secret),
            previous: None,
            created_at: around.now,
        };
        apply(&mut key, input, around)?;
        Ok((key, Some(secret)))
    }

    fn input(entity: &ApiKey) -> ApiKeyInput {
        ApiKeyInput {
            name: entity.name.clone(),
            subaccounts: entity.subaccounts.clone(),
            scopes: entity.scopes.clone(),
            plan: entity.plan.clone(),
            ip_allowlist: Some(entity.ip_allowlist.iter().map(ToString::to_string).collect()),
            expires_at: entity.expires_at,
            enabled: Some(entity.enabled),
        }
    }

    fn change(_app: &App, entity: &mut ApiKey, input: ApiKeyInput, around: &Around) -> Result<(), Wrong> {
        apply(entity, input, around)
    }

    fn view(entity: &ApiKey, around: &Around, once: Option<String>) -> ApiKeyView {
        let used = around.key_uses.get(&entity.id);
        ApiKeyView {
            id: entity.id.clone(),
            name: entity.name.clone(),
            key: once,
            last6: entity.last6.clone(),
            subaccounts: entity.subaccounts.clone(),
            scopes: entity.scopes.clone(),
            plan: entity.plan.clone(),
            ip_allowlist: entity.ip_allowlist.clone(),
            expires_at: entity.expires_at,
            enabled: entity.enabled,
            previous_valid_until: entity
                .previous
                .as_ref()
                .map(|p| p.until)
                .filter(|until| *until > around.now),
            last_used_at: used.map(|(at, _)| *at),
            last_used_ip: used.map(|(_, ip)| ip.clone()),
            created_at: entity.created_at,
        }
    }

    fn id(entity: &ApiKey) -> String {
        entity.id.clone()
    }

    fn unique(entity: &ApiKey) -> Option<String> {
        Some(entity.name.clone())
    }
}

/// Gives a key a new secret; the old one stays valid for the overlap. A still older one ends at once.
pub async fn rotate(app: &App, actor: &Actor, id: &str, body: Value) -> Result<ApiKeyView, Wrong> {
    let text = read::<RotateInput>(body)?.overlap.unwrap_or_else(|| "24h".to_owned());
    let fits = span::parse(&text).filter(|overlap| *overlap <= LONGEST_OVERLAP);
    let problem = || format!("`{}` is not a duration from \"0s\" to \"30d\", such as \"24h\"", short(&text));
    let overlap = fits.ok_or_else(|| Wrong::field("overlap", problem()))?;
    let step = |key: &mut ApiKey, around: &Around| {
        let secret = new_secret(SecretKind::Live, &app.store.vault)?;
        let until = around.now.plus(overlap);
        key.previous = Some(PreviousSecret { hash: std::mem::take(&mut key.hash), until });
        key.hash = hash_hex(&secret);
        key.last6 = last6(&secret);
        Ok(Some(secret))
    };
    let detail = |view: &Value| json!({"overlap": span::format(overlap), "last6": view.get("last6")});
    update::<ApiKeys>(app, actor, id, "rotate", detail, step).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_and_cut() {
        for (text, kept) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("2001:db8::1", "2001:db8::1/128"),
            (" 2001:db8::/32 ", "2001:db8::/32"),
        ] {
            assert_eq!(net("cidr", text).unwrap().to_string(), kept);
        }
        for text in ["", "10.0.0.0/33", "::ffff:10.0.0.1", "localhost"] {
            assert!(net("cidr", text).is_err(), "{text}");
        }
    }
}
