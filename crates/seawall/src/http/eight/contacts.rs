//! `/api/v1/accounts/{accountId}/contacts`: contacts, and the blacklist that is our opt-outs.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use seawall_core::country::Country;
use seawall_core::msisdn::{Msisdn, ParsedNumber};
use serde_json::{Map, Value, json};

use super::call::{Call, enter_account, stored};
use super::error::{Answer, Refusals, Refused};
use super::fields::{Bad, Fields};
use super::groups::shown as group_shown;
use super::json_patch;
use super::numbers;
use crate::app::App;
use crate::app::audit::Actor;
use crate::app::contacts::groups::{self, Group};
use crate::app::contacts::{self, Body, Contact};
use crate::app::entities::Scope;
use crate::app::number_keys::Unread;

/// Addresses other than the number, and how long each may be.
pub(super) const ADDRESSES: [(&str, usize); 6] = [
    ("email", 320),
    ("weChatUserId", 128),
    ("facebookUserId", 128),
    ("zaloId", 128),
    ("lineId", 128),
    ("kakaoTalkId", 128),
];
/// Groups of a contact, and custom attributes.
pub(super) const MOST_GROUPS: usize = 10;
const MOST_ATTRIBUTES: usize = 50;

pub(super) fn actor(call: &Call) -> Actor {
    Actor { name: call.caller.key.id.clone(), ip: Some(call.caller.ip.to_string()) }
}

/// The contacts and groups of the account reach into all its subaccounts, so the key has to, too.
pub(super) async fn open(app: &App, request: Request) -> Answer<Call> {
    let (call, _) = enter_account(app, request, Scope::Contacts).await?;
    match call.caller.key.subaccounts {
        None => Ok(call),
        Some(_) => Err(Refused::forbidden("contacts belong to the account; use a key for all subaccounts")),
    }
}

pub(super) fn missing(what: &str, id: &str) -> Refused {
    let id: String = id.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
    Refused::new(StatusCode::NOT_FOUND, 1300, format!("Unable to find {what} with id {id}"))
}

fn shown(contact: &Contact, groups: &[(Group, usize)]) -> Value {
    let body = &contact.body;
    let mut addresses: Map<String, Value> =
        body.addresses.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    if let Some(msisdn) = contact.msisdn {
        addresses.insert("msisdn".to_owned(), spelled(msisdn, body.veiled).into());
    }
    let mine = groups.iter().filter(|(group, _)| body.groups.contains(&group.id));
    let mut view = json!({
        "id": contact.number, "createdAt": contact.at.to_rfc3339(), "addresses": addresses,
        "customAttributes": body.custom_attributes,
    });
    let Value::Object(fields) = &mut view else { return view };
    let of_groups: Vec<Value> = mine.map(|(group, members)| group_shown(group, *members)).collect();
    if !of_groups.is_empty() {
        fields.insert("groups".to_owned(), of_groups.into());
    }
    for (name, value) in [
        ("firstName", &body.first_name),
        ("lastName", &body.last_name),
        ("externalId", &body.external_id),
        ("country", &body.country),
    ] {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value.clone().into());
        }
    }
    view
}

/// Reads numbers of bodies, written out or encrypted.
fn read_by(app: &App) -> impl Fn(&str, Option<Country>) -> Result<ParsedNumber, Unread> {
    |text, country| numbers::read(app, text, country)
}

/// Digits without `+`, as 8x8 writes them.
fn spelled(msisdn: Msisdn, veiled: bool) -> String {
    msisdn.shown(veiled).trim_start_matches('+').to_owned()
}

/// Groups with how many contacts each has.
pub(super) async fn counted(app: &App) -> Answer<Vec<(Group, usize)>> {
    let (all, _) = stored(contacts::list(app, |contact| !contact.body.groups.is_empty()).await)?;
    let members = |id| all.iter().filter(|contact| contact.body.groups.contains(&id)).count();
    let groups = stored(groups::all(app).await)?;
    Ok(groups.into_iter().map(|group| (group.clone(), members(group.id))).collect())
}

/// A contact as a request describes it. `read`: what becomes of its number.
pub(super) fn understood(
    read: impl Fn(&str, Option<Country>) -> Result<ParsedNumber, Unread>,
    body: &Value,
    groups: &[(Group, usize)],
) -> Answer<(Option<Msisdn>, Body)> {
    let fields = Fields::of(body, "")?;
    let label = |name, most| fields.label(name, most, 1000);
    let country = fields.short("country", 2, 1009)?.map(str::to_owned);
    let known = country.as_deref().map(|text| Country::parse(&text.to_uppercase()));
    if known == Some(None) {
        return Err(Refused::bad(1009, "Invalid country: use ISO 3166-1 alpha-2, such as SG"));
    }
    let nothing = json!({});
    let given = Fields::of(fields.get("addresses").unwrap_or(&nothing), "addresses.")?;
    let number = match given.text("msisdn")? {
        None => None,
        Some(text) => Some(read(text, known.flatten()).map_err(Bad::from)?),
    };
    let msisdn = number.map(|number| number.msisdn);
    let mut addresses = BTreeMap::new();
    for (name, most) in ADDRESSES {
        if let Some(text) = given.label(name, most, 1000)?.filter(|text| !text.is_empty()) {
            addresses.insert(name.to_owned(), text);
        }
    }
    if msisdn.is_none() && addresses.is_empty() {
        return Err(Refused::bad(1000, "Invalid parameter: addresses needs at least one address"));
    }
    let body = Body {
        first_name: label("firstName", 200)?,
        last_name: label("lastName", 200)?,
        external_id: label("externalId", 50)?,
        country,
        addresses,
        custom_attributes: attributes(fields.get("customAttributes"))?,
        groups: group_ids(fields.get("groups"), groups)?,
        veiled: number.is_some_and(|number| number.veiled),
    };
    Ok((msisdn, body))
}

fn attributes(given: Option<&Value>) -> Answer<BTreeMap<String, Value>> {
    match given {
        None => Ok(BTreeMap::new()),
        Some(Value::Object(all)) if all.len() <= MOST_ATTRIBUTES => {
            Ok(all.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        Some(_) => Err(Refused::bad(1000, "Invalid parameter: customAttributes is an object of at most 50")),
    }
}

fn group_ids(given: Option<&Value>, groups: &[(Group, usize)]) -> Answer<Vec<u64>> {
    let Some(given) = given else { return Ok(Vec::new()) };
    let wrong =
        || Refused::bad(1000, "Invalid parameter: groups is an array of at most 10 objects with an id");
    let all = given.as_array().filter(|all| all.len() <= MOST_GROUPS).ok_or_else(wrong)?;
    let mut ids = Vec::new();
    for one in all {
        let id = one.get("id").and_then(Value::as_u64).ok_or_else(wrong)?;
        if !groups.iter().any(|(group, _)| group.id == id) {
            return Err(Refused::bad(1000, format!("Unable to find group with id {id}")));
        }
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Make a contact, or merge it into the one that has its number.
#[utoipa::path(
    post,
    path = "/api/v1/accounts/{accountId}/contacts",
    tag = "8x8 contacts",
    operation_id = "eight_contacts_create",
    params(("accountId" = String, Path)),
    request_body = Object,
    responses((status = 201, description = "Made", body = Object), (status = 200, description = "Merged", body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn create(State(app): State<Arc<App>>, request: Request) -> Response {
    make(&app, request).await.into_response()
}

async fn make(app: &App, request: Request) -> Answer<Response> {
    let mut call = open(app, request).await?;
    let (body, _) = call.json(app.config.server.max_body).await?;
    let (msisdn, body) = understood(read_by(app), &body, &counted(app).await?)?;
    let before = match msisdn {
        Some(msisdn) => stored(contacts::by_msisdn(app, msisdn).await)?,
        None => None,
    };
    let contact = match &before {
        Some(before) => Contact { body: before.body.merged(body), ..before.clone() },
        None => stored(contacts::new(app, msisdn, body))?,
    };
    let kept = stored(contacts::keep(app, &actor(&call), before.as_ref(), &contact).await)?;
    let status = if before.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let place = format!("/api/v1/accounts/{}/contacts/{}", call.param("accountId"), kept.number);
    Ok((status, [(header::LOCATION, place)], axum::Json(shown(&kept, &counted(app).await?))).into_response())
}

/// A page as 8x8 shows it.
pub(super) fn page(call: &Call, all: Vec<Value>, total: usize) -> Answer<Value> {
    let number = |name: &str, usual: usize, least: usize, most: usize| -> Answer<usize> {
        let Some(text) = call.query(name)? else { return Ok(usual) };
        let found = text.parse::<usize>().ok().filter(|n| (least..=most).contains(n));
        found.ok_or_else(|| Refused::bad(1000, format!("Invalid parameter: {name} is {least} to {most}")))
    };
    let (limit, offset) = (number("limit", 20, 1, 500)?, number("offset", 0, 0, 1_000_000)?);
    let filtered = all.len();
    let pages = filtered.div_ceil(limit).max(1);
    let items: Vec<Value> = all.into_iter().skip(offset.saturating_mul(limit)).take(limit).collect();
    Ok(json!({
        "items": items, "page": offset + 1, "totalPages": pages, "totalCount": total, "totalFiltered": filtered,
        "hasPreviousPage": offset > 0, "hasNextPage": offset + 1 < pages,
    }))
}

/// Contacts, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/accounts/{accountId}/contacts",
    tag = "8x8 contacts",
    operation_id = "eight_contacts_list",
    params(
        ("accountId" = String, Path), ("limit" = Option<u32>, Query), ("offset" = Option<u32>, Query),
        ("query" = Option<String>, Query), ("groupId" = Option<u64>, Query), ("country" = Option<String>, Query)
    ),
    responses((status = 200, description = "A page", body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn list(State(app): State<Arc<App>>, request: Request) -> Response {
    listed(&app, request).await.into_response()
}

async fn listed(app: &App, request: Request) -> Answer<Response> {
    let call = open(app, request).await?;
    let query = call.query("query")?.map(|text| text.to_lowercase());
    let country = call.query("country")?;
    let group = match call.query("groupId")? {
        None => None,
        Some(text) => {
            Some(text.parse::<u64>().map_err(|_| Refused::bad(1000, "Invalid parameter: groupId"))?)
        }
    };
    let fits = |contact: &Contact| {
        group.is_none_or(|id| contact.body.groups.contains(&id))
            && country.as_deref().is_none_or(|c| {
                contact.body.country.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(c))
            })
            && query.as_deref().is_none_or(|text| speaks_of(contact, text))
    };
    let (found, total) = stored(contacts::list(app, fits).await)?;
    let groups = counted(app).await?;
    let items = found.iter().map(|contact| shown(contact, &groups)).collect();
    Ok(axum::Json(page(&call, items, total)?).into_response())
}

fn speaks_of(contact: &Contact, text: &str) -> bool {
    let body = &contact.body;
    let names = [&body.first_name, &body.last_name, &body.external_id];
    let mut words = names.into_iter().flatten().chain(body.addresses.values());
    words.any(|word| word.to_lowercase().contains(text))
        || contact.msisdn.is_some_and(|msisdn| {
            let wanted = text.trim_start_matches('+');
            // A part of a number that came encrypted finds nothing: who asks again and again would read it so.
            if body.veiled { msisdn.digits() == wanted } else { msisdn.digits().contains(wanted) }
        })
}

async fn found(app: &App, id: String) -> Answer<Contact> {
    let number = id.parse::<u64>().ok();
    let contact = match number {
        Some(number) => stored(contacts::get(app, number).await)?,
        None => None,
    };
    contact.ok_or_else(|| missing("contact", &id))
}

/// One contact.
#[utoipa::path(
    get,
    path = "/api/v1/accounts/{accountId}/contacts/{contactId}",
    tag = "8x8 contacts",
    operation_id = "eight_contacts_get",
    params(("accountId" = String, Path), ("contactId" = String, Path)),
    responses((status = 200, description = "As it is", body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn get(State(app): State<Arc<App>>, request: Request) -> Response {
    let work = async {
        let call = open(&app, request).await?;
        let contact = found(&app, call.param("contactId").to_owned()).await?;
        Ok::<_, Refused>(axum::Json(shown(&contact, &counted(&app).await?)).into_response())
    };
    work.await.into_response()
}

/// Delete a contact, and the opt-out that its groups stand for.
#[utoipa::path(
    delete,
    path = "/api/v1/accounts/{accountId}/contacts/{contactId}",
    tag = "8x8 contacts",
    operation_id = "eight_contacts_delete",
    params(("accountId" = String, Path), ("contactId" = String, Path)),
    responses((status = 204, description = "Gone"), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn delete(State(app): State<Arc<App>>, request: Request) -> Response {
    let work = async {
        let call = open(&app, request).await?;
        let contact = found(&app, call.param("contactId").to_owned()).await?;
        stored(contacts::delete(&app, &actor(&call), &contact).await)?;
        Ok::<_, Refused>(StatusCode::NO_CONTENT.into_response())
    };
    work.await.into_response()
}

/// Change a contact by a JSON Patch.
#[utoipa::path(
    patch,
    path = "/api/v1/accounts/{accountId}/contacts/{contactId}",
    tag = "8x8 contacts",
    operation_id = "eight_contacts_patch",
    params(("accountId" = String, Path), ("contactId" = String, Path)),
    request_body = Vec<Object>,
    responses((status = 200, description = "As it is now", body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn patch(State(app): State<Arc<App>>, request: Request) -> Response {
    changed(&app, request).await.into_response()
}

async fn changed(app: &App, request: Request) -> Answer<Response> {
    let mut call = open(app, request).await?;
    let before = found(app, call.param("contactId").to_owned()).await?;
    let (patch, _) = call.json(app.config.server.max_body).await?;
    let groups = counted(app).await?;
    let mut wanted = json_patch::apply(&shown(&before, &groups), &patch)?;
    // Shown without `+`, it could be taken for a national number of the contact's country.
    if let (Some(same), Some(text)) = (before.msisdn, wanted.pointer_mut("/addresses/msisdn"))
        && text.as_str() == Some(&spelled(same, before.body.veiled))
    {
        *text = same.to_e164().into();
    }
    let (msisdn, mut body) = understood(read_by(app), &wanted, &groups)?;
    body.veiled |= before.body.veiled && msisdn == before.msisdn;
    if let Some(msisdn) = msisdn.filter(|_| msisdn != before.msisdn)
        && stored(contacts::by_msisdn(app, msisdn).await)?.is_some()
    {
        return Err(Refused::new(StatusCode::CONFLICT, 1000, "Another contact has this msisdn"));
    }
    let after = Contact { msisdn, body, ..before.clone() };
    let kept = stored(contacts::keep(app, &actor(&call), Some(&before), &after).await)?;
    Ok(axum::Json(shown(&kept, &counted(app).await?)).into_response())
}

/// Put a number on the blacklist: it gets no messages of any subaccount from now on.
#[utoipa::path(
    post,
    path = "/api/v1/accounts/{accountId}/contacts/blacklist/{msisdn}",
    tag = "8x8 contacts",
    operation_id = "eight_contacts_blacklist",
    params(("accountId" = String, Path), ("msisdn" = String, Path)),
    responses((status = 200, description = "It is opted out"), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn blacklist(State(app): State<Arc<App>>, request: Request) -> Response {
    blacklisted(&app, request).await.into_response()
}

async fn blacklisted(app: &App, request: Request) -> Answer<Response> {
    let call = open(app, request).await?;
    let invalid = |_| Refused::bad(1002, "Invalid MSISDN format (not E.164 international number)");
    let msisdn = Msisdn::parse(call.param("msisdn"), None).map_err(invalid)?.msisdn;
    let actor = actor(&call);
    let group = stored(groups::blacklist(app, &actor).await)?;
    let before = stored(contacts::by_msisdn(app, msisdn).await)?;
    let fresh = Body { groups: vec![group.id], ..Body::default() };
    let contact = match &before {
        Some(before) => Contact { body: before.body.merged(fresh), ..before.clone() },
        None => stored(contacts::new(app, Some(msisdn), fresh))?,
    };
    stored(contacts::keep(app, &actor, before.as_ref(), &contact).await)?;
    Ok(StatusCode::OK.into_response())
}
