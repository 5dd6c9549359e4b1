//! `/v1/consents`: opt-ins with their proof, double opt-in, opt-outs that reached the caller another way.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use seawall_core::consent::{Category, OptOutScope};
use seawall_core::id::IdKind;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answers::Refused;
use super::caller::{Known, Posted, enter_chosen};
use super::read;
use super::whole::whole;
use super::words::CategoryWord;
use crate::app::audit::Actor;
use crate::app::consent::inbound::{Answer, opt_out};
use crate::app::consent::opt_in::{self, OptIn, Stored};
use crate::app::entities::Scope;
use crate::app::who::{Caller, enter};
use crate::app::{App, Refusal};
use crate::http::extract::{Path, Query};

/// An opt-in, given or to be asked for.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentRequest {
    /// Whose.
    #[schema(example = "+6591234567", max_length = 1024)]
    pub to: String,
    /// To which messages; marketing when absent.
    pub category: Option<CategoryWord>,
    /// Where it was given, in the caller's words.
    #[schema(example = "web-form", min_length = 1, max_length = 64)]
    pub source: String,
    /// What was agreed to, or a reference to it.
    #[schema(example = "I agree to receive offers by SMS.", max_length = 1000)]
    pub proof: Option<String>,
    /// From which address it was given. Sealed.
    #[schema(example = "203.0.113.7")]
    pub ip: Option<String>,
    /// When it was given, if not now; not ahead.
    #[schema(format = DateTime)]
    pub at: Option<String>,
    /// Ask by SMS first: it is an opt-in once the number answered YES.
    #[serde(default)]
    pub double: bool,
    /// What is asked; the text of the settings when absent.
    #[schema(max_length = 480)]
    pub text: Option<String>,
    /// Under which sender ID it is asked.
    #[schema(max_length = 16)]
    pub sender: Option<String>,
    /// Which subaccount; may be left out when the key has only one.
    pub subaccount_id: Option<String>,
}

/// An opt-in.
#[derive(Serialize, ToSchema)]
pub struct ConsentView {
    /// `cns_…`
    pub id: String,
    /// Whose, E.164.
    pub to: String,
    /// To messages of which subaccount.
    pub subaccount_id: String,
    /// To messages of which category.
    pub category: String,
    /// `given`, or `pending` while it waits for its YES.
    #[schema(value_type = String, example = "given")]
    pub status: &'static str,
    /// Where it was given.
    pub source: String,
    /// What was agreed to.
    pub proof: Option<String>,
    /// From which address.
    pub ip: Option<String>,
    /// What the number answered, after a double opt-in.
    pub answer: Option<String>,
    /// The message that asked.
    pub message_id: Option<String>,
    /// When it was given, or asked for.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Of one that is pending: until when a YES counts.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub waits_until: Option<Timestamp>,
}

impl From<Stored> for ConsentView {
    fn from(stored: Stored) -> Self {
        let opt_in = stored.opt_in;
        ConsentView {
            id: stored.id.show(IdKind::Consent),
            to: stored.number.shown(opt_in.veiled),
            subaccount_id: opt_in.subaccount,
            category: opt_in.category.as_str().to_owned(),
            status: if stored.waits_until.is_some() { "pending" } else { "given" },
            source: opt_in.source,
            proof: opt_in.proof,
            ip: opt_in.ip,
            answer: opt_in.answer,
            message_id: opt_in.question,
            at: opt_in.at,
            waits_until: stored.waits_until,
        }
    }
}

fn actor(caller: &Caller) -> Actor {
    Actor { name: caller.key.id.clone(), ip: Some(caller.ip.to_string()) }
}

fn understood(app: &App, subaccount: &str, request: &ConsentRequest) -> Result<OptIn, Refusal> {
    let invalid = |field, problem: &str| Err(Refusal::Invalid { field, problem: problem.to_owned() });
    let source = request.source.trim();
    if source.is_empty() || source.chars().count() > 64 || source.chars().any(char::is_control) {
        return invalid("source", "`source` must be 1 to 64 characters in one line.");
    }
    if request.ip.as_deref().is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_err()) {
        return invalid("ip", "`ip` is no address; write it as 203.0.113.7 or 2001:db8::7.");
    }
    let at = match request.at.as_deref().map(Timestamp::parse) {
        None => app.now(),
        Some(Some(at)) if at <= app.now() => at,
        Some(_) => return invalid("at", "`at` must be a time in RFC 3339 that is not ahead."),
    };
    Ok(OptIn {
        subaccount: subaccount.to_owned(),
        category: request.category.map_or(Category::Marketing, Into::into),
        source: source.to_owned(),
        proof: read::bounded("proof", request.proof.clone(), 1000)?,
        ip: request.ip.clone(),
        at,
        question: None,
        answer: None,
        veiled: false,
    })
}

/// Record an opt-in with its proof; or, with `double`, ask for it by SMS and wait for the number's YES. A newer one of
/// the same number, subaccount and category replaces the older.
#[utoipa::path(
    post,
    path = "/v1/consents",
    operation_id = "createConsent",
    tag = "consents",
    request_body = ConsentRequest,
    responses((status = 201, description = "It is on disk; `pending` if it was asked for.", body = ConsentView)),
    security(("api_key" = []))
)]
pub async fn create(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    posted: Posted<ConsentRequest>,
) -> Result<(StatusCode, Json<ConsentView>), Refused> {
    let request = posted.value;
    let named = request.subaccount_id.as_deref();
    let subaccount = enter_chosen(&app, &caller, named, Scope::Contacts, app.now()).await?;
    let number = read::number(&app, "to", &request.to, None)?;
    let opt_in = OptIn { veiled: number.veiled, ..understood(&app, &subaccount.id, &request)? };
    let number = number.msisdn;
    let text = read::bounded("text", request.text, 480)?;
    let sender = read::source(request.sender)?;
    let work = async move {
        if request.double {
            return opt_in::ask(&app, number, opt_in, text, sender).await;
        }
        let given = opt_in::give(&app, &actor(&caller), vec![(number, opt_in)]).await?;
        given.into_iter().next().ok_or(Refusal::NotFound)
    };
    Ok((StatusCode::CREATED, Json(whole(work).await?.into())))
}

/// Of which number.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ConsentQuery {
    /// E.164 with `+`, written `%2B`.
    pub to: String,
    /// Which subaccount; may be left out when the key has only one.
    pub subaccount_id: Option<String>,
}

/// Opt-ins of a number.
#[derive(Serialize, ToSchema)]
pub struct Consents {
    /// Given and pending ones.
    pub data: Vec<ConsentView>,
    /// Whether advertising would be stopped by an opt-out.
    pub opted_out: bool,
}

/// What a number agreed to.
#[utoipa::path(
    get,
    path = "/v1/consents",
    operation_id = "listConsents",
    tag = "consents",
    params(ConsentQuery),
    responses((status = 200, description = "As it stands.", body = Consents)),
    security(("api_key" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Query(query): Query<ConsentQuery>,
) -> Result<Json<Consents>, Refused> {
    let named = query.subaccount_id.as_deref();
    let subaccount = enter_chosen(&app, &caller, named, Scope::Contacts, app.now()).await?;
    let number = read::written_out("to", &query.to, None)?.msisdn;
    let all = opt_in::of_number(&app, number).await?.into_iter();
    let data = all.filter(|one| one.opt_in.subaccount == subaccount.id).map(Into::into).collect();
    let scopes = app.store.directory.opted_out(number).await?;
    let category = Category::Marketing;
    let covering = seawall_core::consent::covering(scopes, &subaccount.id, category, None, app.now());
    Ok(Json(Consents { data, opted_out: covering.is_some() }))
}

async fn found(app: &App, caller: &Caller, id: &str) -> Result<Stored, Refused> {
    let id = read::id(IdKind::Consent, id)?;
    let one = opt_in::get(app, id).await?.ok_or(Refusal::NotFound)?;
    enter(app, caller, &one.opt_in.subaccount, Scope::Contacts, app.now()).await?;
    Ok(one)
}

/// One opt-in with its proof.
#[utoipa::path(
    get,
    path = "/v1/consents/{id}",
    operation_id = "getConsent",
    tag = "consents",
    params(("id" = String, Path, description = "`cns_…`")),
    responses((status = 200, description = "As it stands.", body = ConsentView)),
    security(("api_key" = []))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Result<Json<ConsentView>, Refused> {
    Ok(Json(found(&app, &caller, &id).await?.into()))
}

/// Take an opt-in back, or a question that waits. This is no opt-out: see `POST /v1/consents/opt-outs`.
#[utoipa::path(
    delete,
    path = "/v1/consents/{id}",
    operation_id = "withdrawConsent",
    tag = "consents",
    params(("id" = String, Path, description = "`cns_…`")),
    responses((status = 204, description = "It is gone.")),
    security(("api_key" = []))
)]
pub async fn withdraw(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    let one = found(&app, &caller, &id).await?;
    whole(async move { opt_in::withdraw(&app, &actor(&caller), &one).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An opt-out that reached the caller by phone, mail or a form.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OptOutRequest {
    /// Whose.
    #[schema(example = "+6591234567", max_length = 1024)]
    pub to: String,
    /// From messages of one category only.
    pub category: Option<CategoryWord>,
    /// From messages under one sender ID only.
    #[schema(max_length = 16)]
    pub sender: Option<String>,
    /// How it was said, for people.
    #[schema(max_length = 100)]
    pub note: Option<String>,
    /// From which subaccount; may be left out when the key has only one.
    pub subaccount_id: Option<String>,
}

/// Record an opt-out from a subaccount's messages. It is in force with the answer, and ends the number's opt-ins.
#[utoipa::path(
    post,
    path = "/v1/consents/opt-outs",
    operation_id = "recordOptOut",
    tag = "consents",
    request_body = OptOutRequest,
    responses((status = 204, description = "It is in force.")),
    security(("api_key" = []))
)]
pub async fn record_opt_out(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    posted: Posted<OptOutRequest>,
) -> Result<StatusCode, Refused> {
    let request = posted.value;
    let named = request.subaccount_id.as_deref();
    let subaccount = enter_chosen(&app, &caller, named, Scope::Contacts, app.now()).await?;
    let number = read::number(&app, "to", &request.to, None)?;
    let scope = OptOutScope {
        category: request.category.map(Into::into),
        sender: read::source(request.sender)?,
        ..OptOutScope::of(Some(&subaccount.id))
    };
    let note = read::bounded("note", request.note, 100)?.unwrap_or_default();
    let work = async move {
        let actor = actor(&caller);
        let (subaccount, at) = (subaccount.id.as_str(), app.now());
        let answer = Answer {
            from: number.msisdn,
            veiled: number.veiled,
            subaccount,
            sender: "",
            text: "",
            actor: &actor,
            at,
        };
        opt_out(&app, &answer, scope, "api", note).await
    };
    whole(work).await?;
    Ok(StatusCode::NO_CONTENT)
}
