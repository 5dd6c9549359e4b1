//! Rooms 2 and 3 of this dialect: who calls, with which path, query and body. Authentication comes first:
//! a stranger learns nothing about what a request should look like.

use std::collections::HashMap;
use std::sync::Arc;

use axum::RequestExt;
use axum::body::{Body, Bytes};
use axum::extract::{Query, RawPathParams, Request};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use http_body_util::LengthLimitError;
use seawall_core::client_ip::ClientIp;
use seawall_core::id::Id;
use serde_json::Value;

use super::error::{Answer, Refused, foreign_subaccount, store, stranger};
use crate::app::App;
use crate::app::entities::{Account, Scope, Subaccount};
use crate::app::who::{self, Caller};
use crate::http::bearer::bearer;
use crate::http::door::{self, CallerIp};
use crate::http::strict::{self, Fault, Repeats};

/// A request whose caller is known.
pub(super) struct Call {
    pub caller: Caller,
    pub headers: HeaderMap,
    path: HashMap<String, String>,
    uri: Uri,
    body: Body,
}

/// A request to a subaccount that the caller may use.
pub(super) struct Entered {
    pub call: Call,
    pub subaccount: Arc<Subaccount>,
}

/// Authenticates.
async fn open(app: &App, mut request: Request) -> Answer<Call> {
    let nobody = ClientIp::from_ip(std::net::Ipv4Addr::UNSPECIFIED.into());
    let ip = request.extensions().get::<CallerIp>().map_or(nobody, |caller| caller.0);
    let secret = bearer(request.headers());
    let caller = who::authenticate(app, secret, ip, app.now()).map_err(|e| stranger(app, e))?;
    let params = request.extract_parts::<RawPathParams>().await;
    let params = params.map_err(|_| Refused::bad(1000, "Invalid parameter: the path is not UTF-8"))?;
    let path = params.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let (parts, body) = request.into_parts();
    Ok(Call { caller, headers: parts.headers, path, uri: parts.uri, body })
}

/// Authenticates and enters the subaccount in the path.
pub(super) async fn enter(app: &App, request: Request, needed: Scope) -> Answer<Entered> {
    let call = open(app, request).await?;
    let subaccount = who::enter(app, &call.caller, call.param("subAccountId"), needed, app.now()).await;
    let subaccount = subaccount.map_err(|e| stranger(app, e))?;
    Ok(Entered { call, subaccount })
}

/// Authenticates for the account in the path: its GUID, dashes optional, or its name. Scope, allow-list
/// and rates are those of the first subaccount that the key may use.
pub(super) async fn enter_account(app: &App, request: Request, needed: Scope) -> Answer<(Call, Account)> {
    let call = open(app, request).await?;
    let mut owned = subaccounts_of(app, &call.caller);
    owned.sort();
    let first = owned.first().ok_or_else(foreign_subaccount)?;
    who::enter(app, &call.caller, first, needed, app.now()).await.map_err(|e| stranger(app, e))?;
    let account = app.snapshot.load().account.clone();
    let account = account.filter(|account| names(account, call.param("accountId")));
    let account =
        account.ok_or_else(|| Refused::bad(1001, "Provided accountId doesn't belong to your API key"))?;
    Ok((call, account))
}

fn names(account: &Account, given: &str) -> bool {
    let same = |a: &str| Id::parse_hex(a).is_some() && Id::parse_hex(a) == Id::parse_hex(given);
    same(&account.id) || account.name == given
}

/// Ids of the subaccounts that a key may use.
pub(super) fn subaccounts_of(app: &App, caller: &Caller) -> Vec<String> {
    let snapshot = app.snapshot.load();
    let may = |id: &&String| caller.key.subaccounts.as_ref().is_none_or(|only| only.contains(id));
    snapshot.subaccounts.keys().filter(may).cloned().collect()
}

impl Call {
    /// A parameter of the path; empty if the route has none of this name.
    pub fn param(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// An id in the path, with or without dashes.
    pub fn id(&self, name: &str) -> Answer<Id> {
        Id::parse_hex(self.param(name)).ok_or_else(|| Refused::bad(1000, format!("Invalid {name}.")))
    }

    /// One parameter of the query. Twice is a contradiction. The value is never repeated: it may be a code.
    pub fn query(&self, name: &str) -> Answer<Option<String>> {
        strict::query(self.uri.query().unwrap_or_default(), Repeats::Ignored).map_err(unclear)?;
        let all = Query::<Vec<(String, String)>>::try_from_uri(&self.uri);
        let all = all.map_err(|_| Refused::bad(1000, "Invalid parameter: the query cannot be read"))?.0;
        let mut found = all.into_iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => {
                Err(Refused::bad(1000, format!("Invalid parameter: {name} is given twice")))
            }
            (one, _) => Ok(one),
        }
    }

    /// The raw body up to a bound.
    pub async fn body(&mut self, most: usize) -> Answer<Bytes> {
        let body = std::mem::take(&mut self.body);
        axum::body::to_bytes(body, most).await.map_err(|error| unread(&error, most))
    }

    /// The body as JSON, with its raw bytes for the idempotency key.
    pub async fn json(&mut self, most: usize) -> Answer<(Value, Bytes)> {
        json_announced(&self.headers)?;
        let bytes = self.body(most).await?;
        Ok((understood(&bytes)?, bytes))
    }

    /// Like [`Call::json`], for bodies that may be left out.
    pub async fn optional_json(&mut self, most: usize) -> Answer<Value> {
        let bytes = self.body(most).await?;
        if bytes.is_empty() {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        json_announced(&self.headers)?;
        understood(&bytes)
    }
}

/// Reads JSON that has one reading.
fn understood(bytes: &[u8]) -> Answer<Value> {
    let invalid = |why: String| Refused::bad(1000, format!("Invalid JSON request body: {why}"));
    let text = strict::json(bytes).map_err(|wrong| invalid(format!("it {wrong}")))?;
    serde_json::from_str(text)
        .map_err(|error| invalid(format!("line {}, column {}", error.line(), error.column())))
}

fn unclear(fault: Fault) -> Refused {
    Refused::new(fault.status, 1000, format!("Invalid parameter: {}", fault.detail))
}

fn unread(error: &axum::Error, most: usize) -> Refused {
    let chain = || std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |e| e.source());
    if chain().any(|e| e.is::<LengthLimitError>()) {
        let message = format!("The body is larger than the {most} bytes that are accepted here");
        return Refused::new(StatusCode::PAYLOAD_TOO_LARGE, 7001, message);
    }
    if door::is_timeout(error) {
        return Refused::new(StatusCode::REQUEST_TIMEOUT, 1000, "The body did not arrive in time");
    }
    Refused::bad(1000, "The body ended early")
}

/// A body that says it is something else than JSON is not guessed at; one that says nothing is read.
fn json_announced(headers: &HeaderMap) -> Answer<()> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    strict::is_utf8(headers).map_err(|fault| Refused::new(fault.status, 1000, fault.detail))?;
    let media =
        value.to_str().unwrap_or("?").split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media == "application/json"
        || media == "text/json"
        || (media.starts_with("application/") && media.ends_with("+json"))
    {
        return Ok(());
    }
    let message = "The body has to be JSON, announced by Content-Type: application/json";
    Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, 1000, message))
}

/// The key under which the request shall be done once.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Answer<Option<String>> {
    let mut all = headers.get_all("idempotency-key").iter();
    let Some(value) = all.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let fits =
        (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) && all.next().is_none();
    if fits {
        return Ok(Some(text.to_owned()));
    }
    Err(Refused::bad(1000, "Invalid Idempotency-Key: one of 1 to 255 visible characters is needed"))
}

/// A result of the store.
pub(super) fn stored<T>(result: seawall_store::Result<T>) -> Answer<T> {
    result.map_err(|error| store(&error))
}
