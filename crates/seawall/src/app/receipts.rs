//! Decisions as signed receipts (JWS, RFC 7515, with EdDSA, RFC 8037): whoever holds the public key can verify
//! offline that this installation decided so, and that nothing was changed since.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use seawall_store::StoreError;
use serde::Serialize;
use serde_json::{Value, json};

use super::App;

/// A JWS in compact form over a JSON payload.
pub fn sign(app: &App, payload: &impl Serialize) -> Result<String, StoreError> {
    let vault = &app.store.vault;
    let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": kid(vault.key_id())});
    let encoded = |value: Result<Vec<u8>, serde_json::Error>| {
        value.map(|bytes| BASE64.encode(bytes)).map_err(|e| StoreError::Corrupt(e.to_string()))
    };
    let (header, payload) = (encoded(serde_json::to_vec(&header))?, encoded(serde_json::to_vec(payload))?);
    let signed = format!("{header}.{payload}");
    let (_, signature) = vault.sign(signed.as_bytes())?;
    Ok(format!("{signed}.{}", BASE64.encode(signature)))
}

/// The public keys of all receipts, as a JWK set (RFC 7517).
pub fn keys(app: &App) -> Value {
    let key = |(id, public): (u8, Vec<u8>)| {
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid(id),
            "x": BASE64.encode(public)})
    };
    json!({"keys": app.store.vault.signing_keys().into_iter().map(key).collect::<Vec<_>>()})
}

fn kid(id: u8) -> String {
    format!("seawall-{id}")
}
