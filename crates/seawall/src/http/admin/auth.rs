//! Room 2 of the admin API: the admin token, or an API key with an admin scope.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use seawall_core::client_ip::ClientIp;

use crate::app::App;
use crate::app::audit::Actor;
use crate::app::entities::Scope;
use crate::app::snapshot::Snapshot;
use crate::app::who::{Caller, Stranger, authenticate};
use crate::http::bearer::{bearer, is_admin_token};
use crate::http::door::CallerIp;
use crate::http::native::answers::{Refused, turned_away};
use crate::http::problem::Problem;

/// Someone who may do what the request's method does: read, or change. Stands before the body among a
/// handler's arguments, so that nobody else learns what a body should look like.
pub struct Admin {
    /// For the audit log.
    pub actor: Actor,
}

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refused> {
        let nobody = || ClientIp::from_ip(std::net::Ipv4Addr::UNSPECIFIED.into());
        let ip = parts.extensions.get::<CallerIp>().map_or_else(nobody, |caller| caller.0);
        let secret = bearer(&parts.headers).ok_or_else(unknown)?;
        let snapshot = app.snapshot.load_full();
        if is_admin_token(&snapshot, secret) {
            return Ok(Admin { actor: Actor { name: "admin-token".to_owned(), ip: Some(ip.to_string()) } });
        }
        let caller = authenticate(app, Some(secret), ip, app.now()).map_err(stranger)?;
        check_scope(&caller, &parts.method)?;
        check_address(&snapshot, ip)?;
        Ok(Admin { actor: Actor { name: caller.key.id.clone(), ip: Some(ip.to_string()) } })
    }
}

fn unknown() -> Refused {
    let detail = "Send the admin token, or an API key with an admin scope, as Authorization: Bearer …; \
        it may be unknown, disabled or expired.";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).into()
}

fn stranger(stranger: Stranger) -> Refused {
    match stranger {
        Stranger::NoKey => unknown(),
        other => turned_away(other).into(),
    }
}

fn check_scope(caller: &Caller, method: &Method) -> Result<(), Refused> {
    let reads = method == Method::GET || method == Method::HEAD;
    let scopes = caller.key.scopes.as_deref().unwrap_or_default();
    let needed = if reads { Scope::AdminRead } else { Scope::AdminWrite };
    if scopes.contains(&Scope::AdminWrite) || scopes.contains(&needed) {
        return Ok(());
    }
    Err(turned_away(Stranger::Scope { needed }).into())
}

/// Entries of one subaccount say nothing about the admin API. The admin token is exempt, so that a wrong
/// entry can be undone.
fn check_address(snapshot: &Snapshot, ip: ClientIp) -> Result<(), Refused> {
    let mut general = snapshot.allowed.iter().filter(|entry| entry.subaccount_id.is_none()).peekable();
    if general.peek().is_none() || general.any(|entry| entry.cidr.contains(&ip.ip())) {
        return Ok(());
    }
    Err(turned_away(Stranger::Address { ip }).into())
}
