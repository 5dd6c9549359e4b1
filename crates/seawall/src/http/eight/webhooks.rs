//! Where receipts and inbound messages go: 8x8's way to set up what the admin API calls webhooks. Bodies
//! with the older `type` are taken, too; one webhook gets receipts and inbound messages either way.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::call::{Call, enter_account, subaccounts_of};
use super::error::{Answer, Refusals, Refused, foreign_subaccount, store};
use super::fields::{Bad, Fields};
use super::wire::{WebhookConfig, WebhookName};
use crate::app::App;
use crate::app::audit::Actor;
use crate::app::collections::webhooks::Webhooks;
use crate::app::collections::{self, Wrong};
use crate::app::entities::{Scope, Webhook};
use crate::jobs::egress::Rules;

/// Webhooks in one request.
const AT_MOST: usize = 100;
/// Types of the older form.
const TYPES: [(&str, ()); 5] = [("DR", ()), ("MO", ()), ("MSG", ()), ("EV", ()), ("*", ())];
/// `subaccount secret` of each webhook that is new: the only time the signing secret is shown.
const SECRET: HeaderName = HeaderName::from_static("seawall-webhook-secret");

/// Which webhooks there are. Secrets read `***`.
#[utoipa::path(
    get,
    path = "/api/v1/accounts/{accountId}/webhooks",
    tag = "8x8 SMS",
    operation_id = "eight_webhooks_list",
    params(("accountId" = String, Path)),
    responses((status = 200, body = Vec<WebhookConfig>), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn list(State(app): State<Arc<App>>, request: Request) -> Response {
    shown(&app, request).await.into_response()
}

async fn shown(app: &App, request: Request) -> Answer<Response> {
    let (call, _) = enter_account(app, request, Scope::Sms).await?;
    let snapshot = app.snapshot.load();
    let mine = |w: &&Webhook| may(app, &call, &w.subaccount_id).is_ok();
    let all: Vec<Value> = snapshot.webhooks.iter().filter(mine).map(masked).collect();
    Ok(axum::Json(all).into_response())
}

fn masked(webhook: &Webhook) -> Value {
    let mut shown =
        json!({"subAccountId": webhook.subaccount_id, "url": webhook.url, "enabled": webhook.enabled});
    let Value::Object(fields) = &mut shown else {
        return shown;
    };
    if webhook.authorization.is_some() {
        fields.insert("httpAuthorization".to_owned(), "***".into());
    }
    if let Some(oauth) = &webhook.oauth {
        let mut oauth = json!(oauth);
        if let Value::Object(secret) = &mut oauth {
            secret.insert("clientSecret".to_owned(), "***".into());
        }
        fields.insert("oauth".to_owned(), oauth);
    }
    shown
}

/// Makes webhooks, or changes those of the same subaccounts.
#[utoipa::path(
    post,
    path = "/api/v1/accounts/{accountId}/webhooks",
    tag = "8x8 SMS",
    operation_id = "eight_webhooks_set",
    params(("accountId" = String, Path)),
    request_body = Vec<WebhookConfig>,
    responses((status = 200, description = "Made or changed"), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn set(State(app): State<Arc<App>>, request: Request) -> Response {
    write(&app, request).await.into_response()
}

async fn write(app: &App, request: Request) -> Answer<Response> {
    let (mut call, _) = enter_account(app, request, Scope::Sms).await?;
    let (body, _) = call.json(app.config.server.max_body).await?;
    // All are read before one is written.
    let wishes: Vec<Map<String, Value>> = each(&body, |fields| wish(app, &call, fields))?;
    let actor = Actor { name: call.caller.key.id.clone(), ip: Some(call.caller.ip.to_string()) };
    let mut response = StatusCode::OK.into_response();
    for wish in wishes {
        if let Some(secret) = upsert(app, &actor, wish).await? {
            response.headers_mut().append(SECRET, secret);
        }
    }
    Ok(response)
}

async fn upsert(app: &App, actor: &Actor, wish: Map<String, Value>) -> Answer<Option<HeaderValue>> {
    let name = wish.get("subaccount_id").and_then(Value::as_str).unwrap_or("*").to_owned();
    let known = app.snapshot.load().webhooks.iter().any(|w| w.subaccount_id == name);
    if known {
        collections::patch::<Webhooks>(app, actor, &name, Value::Object(wish)).await.map_err(wrong)?;
        return Ok(None);
    }
    let fresh = wish.into_iter().filter(|(_, value)| !value.is_null()).collect();
    let made = collections::create::<Webhooks>(app, actor, Value::Object(fresh)).await.map_err(wrong)?;
    let secret = made.secret.and_then(|secret| HeaderValue::from_str(&format!("{name} {secret}")).ok());
    Ok(secret.map(|mut secret| {
        secret.set_sensitive(true);
        secret
    }))
}

/// One entry as the admin API spells it. What is left out is taken away, so `null` stands for it.
fn wish(app: &App, call: &Call, fields: Fields<'_>) -> Answer<Map<String, Value>> {
    let rules = Rules::of(&app.config);
    let name = named(app, call, &fields)?;
    let url =
        fields.url("url", rules)?.ok_or_else(|| Refused::bad(1000, "Invalid parameter: url is missing"))?;
    let authorization = fields.short("httpAuthorization", 4096, 1000)?.filter(|text| !text.is_empty());
    let oauth = match fields.object("oauth", "oauth.")? {
        Some(oauth) if authorization.is_some() && oauth.text("url")?.is_some() => {
            return Err(Refused::bad(
                1000,
                "Invalid parameter: httpAuthorization and oauth contradict each other",
            ));
        }
        Some(oauth) => oauth_wish(&oauth, rules)?,
        None => Value::Null,
    };
    let wish = json!({
        "subaccount_id": name,
        "url": url,
        "authorization": authorization,
        "oauth": oauth,
        "enabled": fields.flag("enabled")?.unwrap_or(true),
    });
    match wish {
        Value::Object(wish) => Ok(wish),
        _ => Ok(Map::new()),
    }
}

fn oauth_wish(oauth: &Fields<'_>, rules: Rules) -> Answer<Value> {
    let needed = |name: &'static str| -> Answer<String> {
        let text = oauth.short(name, 4096, 1000)?.filter(|text| !text.is_empty());
        text.map(str::to_owned)
            .ok_or_else(|| Refused::bad(1000, format!("Invalid parameter: oauth.{name} is missing")))
    };
    const PLACES: [(&str, &str); 2] = [("header", "header"), ("body", "body")];
    let place = oauth.choice("credentialsLocation", &PLACES, 1000)?;
    let place =
        place.ok_or_else(|| Refused::bad(1000, "Invalid parameter: oauth.credentialsLocation is missing"))?;
    let url = oauth
        .url("url", rules)?
        .ok_or_else(|| Refused::bad(1000, "Invalid parameter: oauth.url is missing"))?;
    Ok(json!({
        "url": url,
        "client_id": needed("clientId")?,
        "client_secret": needed("clientSecret")?,
        "credentials_location": place,
        "scope": oauth.short("scope", 1024, 1000)?,
    }))
}

/// Deletes the webhooks of the named subaccounts. `*` names the one for all, not all of them.
#[utoipa::path(
    delete,
    path = "/api/v1/accounts/{accountId}/webhooks",
    tag = "8x8 SMS",
    operation_id = "eight_webhooks_delete",
    params(("accountId" = String, Path)),
    request_body = Vec<WebhookName>,
    responses((status = 200, description = "Deleted, or not there"), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn delete(State(app): State<Arc<App>>, request: Request) -> Response {
    remove(&app, request).await.into_response()
}

async fn remove(app: &App, request: Request) -> Answer<Response> {
    let (mut call, _) = enter_account(app, request, Scope::Sms).await?;
    let (body, _) = call.json(app.config.server.max_body).await?;
    let names: Vec<String> = each(&body, |fields| named(app, &call, &fields))?;
    let actor = Actor { name: call.caller.key.id.clone(), ip: Some(call.caller.ip.to_string()) };
    for name in names {
        match collections::delete::<Webhooks>(app, &actor, &name).await {
            Ok(()) | Err(Wrong::Missing(_)) => {}
            Err(error) => return Err(wrong(error)),
        }
    }
    Ok(StatusCode::OK.into_response())
}

/// Reads the entries of an array, each with its place.
fn each<T>(body: &Value, read: impl Fn(Fields<'_>) -> Answer<T>) -> Answer<Vec<T>> {
    let list = body
        .as_array()
        .ok_or_else(|| Refused::bad(1000, "Invalid parameter: the body has to be an array"))?;
    if !(1..=AT_MOST).contains(&list.len()) {
        return Err(Refused::bad(1010, format!("Invalid parameter: 1 to {AT_MOST} webhooks in one request")));
    }
    let one = |(n, value): (usize, &Value)| {
        let place = format!("[{n}].");
        read(Fields::of(value, &place)?)
    };
    list.iter().enumerate().map(one).collect()
}

/// The subaccount of an entry, which has to be the caller's.
fn named(app: &App, call: &Call, fields: &Fields<'_>) -> Answer<String> {
    fields.choice("type", &TYPES, 1000)?;
    let missing = || Bad::value(1000, "Invalid parameter: subAccountId is missing");
    let name = fields.short("subAccountId", 50, 1001)?.ok_or_else(missing)?;
    may(app, call, name)?;
    Ok(name.to_owned())
}

/// The webhook for all subaccounts belongs to keys that may use them all.
fn may(app: &App, call: &Call, name: &str) -> Answer<()> {
    match name {
        "*" if call.caller.key.subaccounts.is_none() => Ok(()),
        "*" => Err(Refused::forbidden("the key is limited to some subaccounts")),
        name if subaccounts_of(app, &call.caller).iter().any(|s| s == name) => Ok(()),
        _ => Err(foreign_subaccount()),
    }
}

fn wrong(error: Wrong) -> Refused {
    match error {
        Wrong::Field { field, problem } => Refused::bad(1000, format!("Invalid {field}: {problem}")),
        Wrong::Expression { field, problem, .. } => Refused::bad(1000, format!("Invalid {field}: {problem}")),
        Wrong::Missing(_) => {
            Refused::new(StatusCode::NOT_FOUND, 1300, "Object wasn't found or is already expired")
        }
        Wrong::Store(error) => store(&error),
        Wrong::Taken(_) | Wrong::Present(_) | Wrong::InUse(_) | Wrong::Busy | Wrong::NotInForce(_) => {
            Refused::unavailable()
        }
    }
}
