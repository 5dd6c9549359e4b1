//! Room 2 of Twilio's dialect. The password is an API key. The user name says whose: `AC` and the account id's 32
//! hexadecimal digits, the key's own id (`key_…`), or `SK` and that id's 32 hexadecimal digits.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use seawall_core::client_ip::ClientIp;
use seawall_core::id::{Id, IdKind};

use super::error::Refused;
use crate::app::App;
use crate::app::entities::{Scope, Subaccount};
use crate::app::who::{Caller, Stranger, authenticate, enter};
use crate::http::door::CallerIp;
use crate::http::problem::Problem;

/// A caller with a key that works, under a user name that belongs to it.
pub(super) struct Known(pub Caller);

impl FromRequestParts<Arc<App>> for Known {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refused> {
        let nobody = || ClientIp::from_ip(std::net::Ipv4Addr::UNSPECIFIED.into());
        let ip = parts.extensions.get::<CallerIp>().map_or_else(nobody, |caller| caller.0);
        let (user, secret) = basic(&parts.headers).ok_or(Stranger::NoKey)?;
        let caller = authenticate(app, Some(&secret), ip, app.now())?;
        match is_named(app, &caller, &user) {
            true => Ok(Known(caller)),
            false => Err(Stranger::NoKey.into()),
        }
    }
}

/// User name and password.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let plain = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()).ok())??;
    let (user, secret) = std::str::from_utf8(&plain).ok()?.split_once(':')?;
    Some((user.to_owned(), secret.to_owned()))
}

fn is_named(app: &App, caller: &Caller, user: &str) -> bool {
    let same = |prefix: &str, id: Option<Id>| {
        let given = user.strip_prefix(prefix).and_then(Id::parse_hex);
        given.is_some() && given == id
    };
    let snapshot = app.snapshot.load();
    let account = snapshot.account.as_ref().and_then(|account| Id::parse_hex(&account.id));
    same("AC", account) || user == caller.key.id || same("SK", Id::parse(IdKind::Key, &caller.key.id))
}

/// Lets the caller use its subaccount: Twilio's requests name none, so the key has to be for one.
pub(super) async fn enter_only(
    app: &App,
    caller: &Caller,
    needed: Scope,
) -> Result<Arc<Subaccount>, Refused> {
    let snapshot = app.snapshot.load_full();
    let mut choices: Vec<&String> = match &caller.key.subaccounts {
        Some(only) => only.iter().collect(),
        None => snapshot.subaccounts.keys().collect(),
    };
    let Some(only) = choices.pop().filter(|_| choices.is_empty()) else {
        let detail = "This dialect names no subaccount, and the API key is for several or none; use a key that is for one.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "subaccount-unclear", detail).into());
    };
    Ok(enter(app, caller, only, needed, app.now()).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_read() {
        let read = |text: &str| {
            let value = text.parse().unwrap();
            basic(&HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
        };
        assert_eq!(read("Basic QUMxOnN3OmxpdmU="), Some(("AC1".to_owned(), "sw:live".to_owned())));
        assert_eq!(read("basic QUMxOg=="), Some(("AC1".to_owned(), String::new())));
        for wrong in ["Bearer QUMxOg==", "Basic", "Basic !", "Basic QUMx"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
