//! `/admin/v1/sandbox/lookup` and `/admin/v1/lookup-corrections`: what the sandbox's lookup says, and what the
//! operator knows better than any provider.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use seawall_connect::lookup::{LookupFailure, Network, NumberState};
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::auth::Admin;
use crate::app::collections::opt_outs::number;
use crate::app::unfit::without_values;
use crate::app::{App, lookup};
use crate::http::extract::{Json, Path};
use crate::http::native::answers::Refused;
use crate::http::native::read;
use crate::http::problem::Problem;

/// An operator's network.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkInput {
    /// Its name.
    #[schema(max_length = 100)]
    pub name: Option<String>,
    /// Mobile country code.
    #[schema(pattern = "^[0-9]{3}$")]
    pub mcc: Option<String>,
    /// Mobile network code.
    #[schema(pattern = "^[0-9]{2,3}$")]
    pub mnc: Option<String>,
    /// Two letters.
    #[schema(pattern = "^[A-Z]{2}$")]
    pub country: Option<String>,
}

/// Facts about a number. What is absent is unknown.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FactsInput {
    /// Whether it was taken to another operator.
    pub ported: Option<bool>,
    /// The operator that its range was first given to.
    pub original_operator: Option<NetworkInput>,
    /// The operator that carries it.
    pub operator: Option<NetworkInput>,
    /// Whether its phone is in a foreign network.
    pub roaming: Option<bool>,
    /// That network.
    pub roaming_operator: Option<NetworkInput>,
    /// Whether its phone can be reached.
    pub reachable: Option<bool>,
    /// When its SIM card was last replaced.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sim_swapped_at: Option<String>,
    /// When it was last given to another owner.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub reassigned_at: Option<String>,
    /// Whether its calls are forwarded.
    pub call_forwarding: Option<bool>,
}

/// What the sandbox's lookup shall say of a number.
#[derive(Deserialize, ToSchema)]
pub struct SandboxLookupInput {
    /// The number, E.164 with `+`.
    #[schema(example = "+6591234567")]
    pub msisdn: String,
    /// `none`, or how the provider fails: `timeout`, `error`, `operator-unavailable`, `sim-offline`, …
    pub fail: Option<String>,
    /// What it says otherwise.
    #[serde(flatten)]
    #[schema(inline)]
    pub facts: serde_json::Map<String, serde_json::Value>,
}

fn network(input: NetworkInput) -> Result<Network, Problem> {
    let NetworkInput { name, mcc, mnc, country } = input;
    let digits = |text: &Option<String>, least: usize| {
        text.as_ref().is_none_or(|t| (least..=3).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit()))
    };
    let letters = country.as_ref().is_none_or(|c| c.len() == 2 && c.bytes().all(|b| b.is_ascii_uppercase()));
    let short = name.as_ref().is_none_or(|name| (1..=100).contains(&name.chars().count()));
    if digits(&mcc, 3) && digits(&mnc, 2) && letters && short {
        return Ok(Network { name, mcc, mnc, country });
    }
    let detail = "An operator is {name, mcc, mnc, country}, such as {\"name\": \"M1\", \"mcc\": \"525\", \"mnc\": \"03\", \
                  \"country\": \"SG\"}.";
    Err(Problem::field("operator", detail))
}

fn state(facts: FactsInput) -> Result<NumberState, Refused> {
    let when = facts.sim_swapped_at.as_deref();
    let when: Option<Timestamp> = read::instant("sim_swapped_at", when)?;
    Ok(NumberState {
        ported: facts.ported,
        original_operator: facts.original_operator.map(network).transpose()?,
        operator: facts.operator.map(network).transpose()?,
        roaming: facts.roaming,
        roaming_operator: facts.roaming_operator.map(network).transpose()?,
        reachable: facts.reachable,
        sim_swapped_at: when,
        reassigned_at: read::instant("reassigned_at", facts.reassigned_at.as_deref())?,
        call_forwarding: facts.call_forwarding,
    })
}

/// Tell the sandbox's lookup what to say of a number. It is kept in memory.
#[utoipa::path(
    post,
    path = "/admin/v1/sandbox/lookup",
    operation_id = "tellSandboxLookup",
    tag = "sandbox",
    request_body = SandboxLookupInput,
    responses((status = 201, description = "It says so from now on.", body = Object)),
    security(("admin_token" = []))
)]
pub async fn tell(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Json(input): Json<SandboxLookupInput>,
) -> Result<(StatusCode, axum::Json<serde_json::Value>), Refused> {
    let msisdn = number("msisdn", &input.msisdn)?;
    let facts = serde_json::from_value::<FactsInput>(input.facts.clone().into()).map_err(|error| {
        Problem::field("facts", format!("The facts do not fit: {}.", without_values(&error.to_string())))
    })?;
    let facts = state(facts)?;
    let says = match input.fail.as_deref() {
        None | Some("none") => Ok(facts),
        Some(word) => Err(failure(word)?),
    };
    if !app.sandbox_lookup.tell(&msisdn.to_e164(), says) {
        let detail = "The sandbox's lookup knows too many numbers; restart the gateway to empty it.";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).into());
    }
    let mut shown = input.facts;
    shown.insert("msisdn".to_owned(), json!(msisdn.to_e164()));
    shown.insert("fail".to_owned(), json!(input.fail.unwrap_or_else(|| "none".to_owned())));
    Ok((StatusCode::CREATED, axum::Json(shown.into())))
}

fn failure(word: &str) -> Result<LookupFailure, Problem> {
    let found = LookupFailure::ALL.iter().find(|(known, _)| *known == word).map(|(_, failure)| *failure);
    found.ok_or_else(|| {
        let words: Vec<&str> = LookupFailure::ALL.iter().map(|(word, _)| *word).collect();
        Problem::field("fail", format!("`fail` is `none` or one of {}.", words.join(", ")))
    })
}

/// A number in a path, where its `+` may be left out.
fn in_path(text: &str) -> Result<Msisdn, Refused> {
    Ok(crate::http::native::numbers::number(text, None)?.msisdn)
}

/// What the operator knows of a number better than providers.
#[utoipa::path(
    get,
    path = "/admin/v1/lookup-corrections/{msisdn}",
    operation_id = "getLookupCorrection",
    tag = "set-up",
    params(("msisdn" = String, Path)),
    responses((status = 200, description = "As it was set.", body = FactsInput)),
    security(("admin_token" = []))
)]
pub async fn corrected(
    State(app): State<Arc<App>>,
    _admin: Admin,
    Path(msisdn): Path<String>,
) -> Result<axum::Json<serde_json::Value>, Refused> {
    let found = lookup::correction(&app, in_path(&msisdn)?).await?;
    let found = found.ok_or(crate::app::Refusal::NotFound)?;
    Ok(axum::Json(serde_json::to_value(found).unwrap_or_default()))
}

/// Correct what lookups say of a number: these facts stand above what any provider says.
#[utoipa::path(
    put,
    path = "/admin/v1/lookup-corrections/{msisdn}",
    operation_id = "setLookupCorrection",
    tag = "set-up",
    params(("msisdn" = String, Path)),
    request_body = FactsInput,
    responses((status = 200, description = "It holds from the next lookup on.", body = FactsInput)),
    security(("admin_token" = []))
)]
pub async fn correct(
    State(app): State<Arc<App>>,
    admin: Admin,
    Path(msisdn): Path<String>,
    Json(facts): Json<FactsInput>,
) -> Result<axum::Json<FactsInput>, Refused> {
    let msisdn = in_path(&msisdn)?;
    lookup::correct(&app, msisdn, Some(&state(facts.clone())?)).await?;
    note(&app, &admin, "lookup-corrections.set", msisdn).await?;
    Ok(axum::Json(facts))
}

/// Take a correction back.
#[utoipa::path(
    delete,
    path = "/admin/v1/lookup-corrections/{msisdn}",
    operation_id = "deleteLookupCorrection",
    tag = "set-up",
    params(("msisdn" = String, Path)),
    responses((status = 204, description = "Providers are believed again.")),
    security(("admin_token" = []))
)]
pub async fn take_back(
    State(app): State<Arc<App>>,
    admin: Admin,
    Path(msisdn): Path<String>,
) -> Result<StatusCode, Refused> {
    let msisdn = in_path(&msisdn)?;
    lookup::correct(&app, msisdn, None).await?;
    note(&app, &admin, "lookup-corrections.delete", msisdn).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn note(app: &App, admin: &Admin, action: &str, msisdn: Msisdn) -> Result<(), Refused> {
    let entry = admin.actor.entry(app.now(), action, &msisdn.masked(), json!({}));
    Ok(app.store.directory.note_audit(entry).await?)
}
