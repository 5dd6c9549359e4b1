//! `Authorization: Bearer …`: what stands there, and whether it is the admin token.

use axum::http::{HeaderMap, header};
use subtle::ConstantTimeEq;

use crate::app::secrets::hash_hex;
use crate::app::snapshot::Snapshot;

/// What stands behind `Bearer`, whatever the case of that word.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, secret) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

/// Compares hashes, in a time that does not depend on where they differ.
pub fn is_admin_token(snapshot: &Snapshot, secret: &str) -> bool {
    let Some(account) = &snapshot.account else { return false };
    hash_hex(secret).as_bytes().ct_eq(account.admin_token_hash.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_stands_behind_bearer() {
        let secret = |text: &str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, text.parse().unwrap())]);
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(secret("Bearer sw_live_x").as_deref(), Some("sw_live_x"));
        assert_eq!(secret("bearer  sw_live_x ").as_deref(), Some("sw_live_x"));
        assert_eq!(secret("Basic sw_live_x"), None);
        assert_eq!(secret("Bearer"), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
