//! Room 2 of the native API: who calls, and for which subaccount.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use seawall_core::client_ip::ClientIp;
use seawall_core::time::Timestamp;
use serde::de::DeserializeOwned;

use super::answers::Refused;
use crate::app::entities::{Scope, Subaccount};
use crate::app::snapshot::Snapshot;
use crate::app::who::{Caller, authenticate, enter};
use crate::app::{App, Refusal};
use crate::http::bearer::bearer;
use crate::http::door::CallerIp;
use crate::http::extract;

/// At most so many subaccounts are named in an error.
const CHOICES: usize = 20;

/// A caller with a key that works. Stands before the body among a handler's arguments, so that nobody
/// without a key learns what a body should look like.
pub struct Known(pub Caller);

impl FromRequestParts<Arc<App>> for Known {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refused> {
        let now = app.now();
        let nobody = || ClientIp::from_ip(std::net::Ipv4Addr::UNSPECIFIED.into());
        let ip = parts.extensions.get::<CallerIp>().map_or_else(nobody, |caller| caller.0);
        Ok(Known(authenticate(app, bearer(&parts.headers), ip, now)?))
    }
}

/// A JSON body, understood and raw: idempotency compares the bytes.
pub struct Posted<T> {
    /// As understood.
    pub value: T,
    /// As sent.
    pub bytes: Bytes,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Posted<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        extract::announced(request.headers())?;
        let bytes = extract::body(request, state).await?;
        Ok(Posted { value: extract::parse(&bytes)?, bytes })
    }
}

/// Lets the caller use the subaccount that it named, or the only one that it can mean.
pub async fn enter_chosen(
    app: &App,
    caller: &Caller,
    named: Option<&str>,
    needed: Scope,
    now: Timestamp,
) -> Result<Arc<Subaccount>, Refused> {
    let snapshot = app.snapshot.load();
    let chosen = match named {
        Some(named) => named,
        None => only_one(&snapshot, caller)?,
    };
    Ok(enter(app, caller, chosen, needed, now).await?)
}

fn only_one<'a>(snapshot: &'a Snapshot, caller: &'a Caller) -> Result<&'a str, Refusal> {
    let mut choices: Vec<&String> = match &caller.key.subaccounts {
        Some(only) => only.iter().collect(),
        None => snapshot.subaccounts.keys().collect(),
    };
    if let [one] = choices.as_slice() {
        return Ok(one);
    }
    choices.sort();
    let named: Vec<&str> = choices.iter().take(CHOICES).map(|id| id.as_str()).collect();
    let more = if choices.len() > CHOICES { ", …" } else { "" };
    let problem = match named.is_empty() {
        true => "There is no subaccount yet; an operator creates one under /admin/v1/subaccounts.".to_owned(),
        false => format!("The key is for several subaccounts; name one of {}{more}.", named.join(", ")),
    };
    Err(Refusal::Invalid { field: "subaccount_id", problem })
}
