//! `/api/v1/accounts/{accountId}/groups`: groups of contacts.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use seawall_store::StoreError;
use serde_json::{Value, json};

use super::call::stored;
use super::contacts::{actor, counted, missing, open, page};
use super::error::{Answer, Refusals, Refused, store};
use super::fields::Fields;
use super::json_patch;
use crate::app::App;
use crate::app::contacts::groups::{self, Group};
use crate::app::contacts::{self, Contact};

/// Contacts in one request.
const MOST: usize = 1000;

pub(super) fn shown(group: &Group, members: usize) -> Value {
    let mut view = json!({
        "id": group.id, "contacts": members, "createdAt": group.created_at.to_rfc3339(), "name": group.name,
        "isBlacklist": group.scope().is_some(),
    });
    if let (Value::Object(fields), Some(description)) = (&mut view, &group.description) {
        fields.insert("description".to_owned(), description.clone().into());
    }
    view
}

fn taken(error: &StoreError) -> Refused {
    match error {
        StoreError::Duplicate(_) => {
            Refused::new(StatusCode::CONFLICT, 5003, "A group with the same name already exists")
        }
        error => store(error),
    }
}

/// Name, description, and whether it is a blacklist: `"true"` counts as `true`.
fn understood(body: &Value) -> Answer<(String, Option<String>, bool)> {
    let fields = Fields::of(body, "")?;
    let name = fields.label("name", 100, 1000)?.filter(|name| !name.trim().is_empty());
    let name = name.ok_or_else(|| Refused::bad(1000, "Invalid parameter: name is missing"))?;
    let blacklist = match fields.get("isBlacklist") {
        None => false,
        Some(Value::Bool(is)) => *is,
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => true,
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => false,
        Some(_) => return Err(Refused::bad(1000, "Invalid parameter: isBlacklist is true or false")),
    };
    Ok((name, fields.label("description", 100, 1000)?, blacklist))
}

async fn found(app: &App, id: String) -> Answer<Group> {
    let group = match id.parse::<u64>() {
        Ok(id) => stored(groups::get(app, id).await)?,
        Err(_) => None,
    };
    group.ok_or_else(|| missing("group", &id))
}

async fn answer(app: &App, id: u64, status: StatusCode) -> Answer<Response> {
    let all = counted(app).await?;
    let group = all.iter().find(|(group, _)| group.id == id);
    let view = group.map(|(group, members)| shown(group, *members)).unwrap_or_default();
    Ok((status, axum::Json(view)).into_response())
}

/// Groups, oldest first.
#[utoipa::path(
    get,
    path = "/api/v1/accounts/{accountId}/groups",
    tag = "8x8 contacts",
    operation_id = "eight_groups_list",
    params(
        ("accountId" = String, Path), ("limit" = Option<u32>, Query), ("offset" = Option<u32>, Query),
        ("name" = Option<String>, Query)
    ),
    responses((status = 200, description = "A page", body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn list(State(app): State<Arc<App>>, request: Request) -> Response {
    let work = async {
        let call = open(&app, request).await?;
        let name = call.query("name")?.map(|name| name.to_lowercase());
        let all = counted(&app).await?;
        let total = all.len();
        let fits =
            |group: &Group| name.as_deref().is_none_or(|text| group.name.to_lowercase().contains(text));
        let items = all.iter().filter(|(group, _)| fits(group)).map(|(group, n)| shown(group, *n)).collect();
        Ok::<_, Refused>(axum::Json(page(&call, items, total)?).into_response())
    };
    work.await.into_response()
}

/// Make a group. `Blacklist`, `Blacklist:SUBACCOUNT` and those with `isBlacklist` opt their contacts out.
#[utoipa::path(
    post,
    path = "/api/v1/accounts/{accountId}/groups",
    tag = "8x8 contacts",
    operation_id = "eight_groups_create",
    params(("accountId" = String, Path)),
    request_body = Object,
    responses((status = 201, description = "Made", body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn create(State(app): State<Arc<App>>, request: Request) -> Response {
    let work = async {
        let mut call = open(&app, request).await?;
        let (body, _) = call.json(app.config.server.max_body).await?;
        let (name, description, blacklist) = understood(&body)?;
        let made = groups::create(&app, &actor(&call), &name, description, blacklist).await;
        answer(&app, made.map_err(|e| taken(&e))?.id, StatusCode::CREATED).await
    };
    work.await.into_response()
}

/// One group.
#[utoipa::path(
    get,
    path = "/api/v1/accounts/{accountId}/groups/{groupId}",
    tag = "8x8 contacts",
    operation_id = "eight_groups_get",
    params(("accountId" = String, Path), ("groupId" = u64, Path)),
    responses((status = 200, description = "As it is", body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn get(State(app): State<Arc<App>>, request: Request) -> Response {
    let work = async {
        let call = open(&app, request).await?;
        answer(&app, found(&app, call.param("groupId").to_owned()).await?.id, StatusCode::OK).await
    };
    work.await.into_response()
}

/// Change a group by a JSON Patch.
#[utoipa::path(
    patch,
    path = "/api/v1/accounts/{accountId}/groups/{groupId}",
    tag = "8x8 contacts",
    operation_id = "eight_groups_patch",
    params(("accountId" = String, Path), ("groupId" = u64, Path)),
    request_body = Vec<Object>,
    responses((status = 200, description = "As it is now", body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn patch(State(app): State<Arc<App>>, request: Request) -> Response {
    let work = async {
        let mut call = open(&app, request).await?;
        let before = found(&app, call.param("groupId").to_owned()).await?;
        let (patch, _) = call.json(app.config.server.max_body).await?;
        let mut view = shown(&before, 0);
        if let Value::Object(fields) = &mut view {
            fields.insert("isBlacklist".to_owned(), before.is_blacklist.into());
        }
        let (name, description, is_blacklist) = understood(&json_patch::apply(&view, &patch)?)?;
        let after = Group { name, description, is_blacklist, ..before.clone() };
        groups::change(&app, &actor(&call), &before, &after).await.map_err(|e| taken(&e))?;
        answer(&app, after.id, StatusCode::OK).await
    };
    work.await.into_response()
}

/// Delete a group; its contacts stay.
#[utoipa::path(
    delete,
    path = "/api/v1/accounts/{accountId}/groups/{groupId}",
    tag = "8x8 contacts",
    operation_id = "eight_groups_delete",
    params(("accountId" = String, Path), ("groupId" = u64, Path)),
    responses((status = 204, description = "Gone"), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn delete(State(app): State<Arc<App>>, request: Request) -> Response {
    let work = async {
        let call = open(&app, request).await?;
        let group = found(&app, call.param("groupId").to_owned()).await?;
        stored(groups::delete(&app, &actor(&call), &group).await)?;
        Ok::<_, Refused>(StatusCode::NO_CONTENT.into_response())
    };
    work.await.into_response()
}

/// The contacts that a request names; all of them exist.
async fn named(app: &App, body: &Value) -> Answer<Vec<Contact>> {
    let wrong = || Refused::bad(1000, "Invalid parameter: contacts is an array of at most 1000 ids");
    let ids =
        body.get("contacts").and_then(Value::as_array).filter(|ids| ids.len() <= MOST).ok_or_else(wrong)?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let id = id.as_u64().ok_or_else(wrong)?;
        let contact = stored(contacts::get(app, id).await)?;
        found.push(contact.ok_or_else(|| missing("contact", &id.to_string()))?);
    }
    Ok(found)
}

async fn move_all(app: &App, request: Request, into: bool) -> Answer<Response> {
    let mut call = open(app, request).await?;
    let group = found(app, call.param("groupId").to_owned()).await?;
    let (body, _) = call.json(app.config.server.max_body).await?;
    for before in named(app, &body).await? {
        let mut after = before.clone();
        after.body.groups.retain(|id| *id != group.id);
        if into {
            after.body.groups.push(group.id);
        }
        stored(contacts::keep(app, &actor(&call), Some(&before), &after).await)?;
    }
    answer(app, group.id, if into { StatusCode::CREATED } else { StatusCode::OK }).await
}

/// Put contacts into a group.
#[utoipa::path(
    post,
    path = "/api/v1/accounts/{accountId}/groups/{groupId}/contacts",
    tag = "8x8 contacts",
    operation_id = "eight_groups_add",
    params(("accountId" = String, Path), ("groupId" = u64, Path)),
    request_body = Object,
    responses((status = 201, description = "The group", body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn add(State(app): State<Arc<App>>, request: Request) -> Response {
    move_all(&app, request, true).await.into_response()
}

/// Take contacts out of a group.
#[utoipa::path(
    delete,
    path = "/api/v1/accounts/{accountId}/groups/{groupId}/contacts",
    tag = "8x8 contacts",
    operation_id = "eight_groups_remove",
    params(("accountId" = String, Path), ("groupId" = u64, Path)),
    request_body = Object,
    responses((status = 200, description = "The group", body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn remove(State(app): State<Arc<App>>, request: Request) -> Response {
    move_all(&app, request, false).await.into_response()
}
