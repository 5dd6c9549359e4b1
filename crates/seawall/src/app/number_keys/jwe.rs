//! A number as a JWE in compact serialization (RFC 7516): direct key agreement by ECDH-ES on P-256 and A256GCM (RFC 7518),
//! and nothing else of what a JWE may be.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use p256::{PublicKey, SecretKey};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Bytes of a coordinate of P-256.
const COORDINATE: usize = 32;
/// `apu` and `apv` name parties; ours need no long names.
const LONGEST_PARTY: usize = 64;
/// The name of the content encryption, which goes into the key.
const A256GCM: &str = "A256GCM";

/// What may stand in the header. Whatever else does refuses the whole: `crit`, `zip`, `p2c`, `jku` and all that would
/// have to be understood.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    #[serde(rename = "alg")]
    _alg: Alg,
    #[serde(rename = "enc")]
    _enc: Enc,
    kid: String,
    epk: Epk,
    apu: Option<String>,
    apv: Option<String>,
    #[serde(rename = "typ")]
    _typ: Option<String>,
}

#[derive(Deserialize)]
enum Alg {
    #[serde(rename = "ECDH-ES")]
    EcdhEs,
}

#[derive(Deserialize)]
enum Enc {
    #[serde(rename = "A256GCM")]
    A256Gcm,
}

/// The sender's key of this one message. Members that say nothing about the point are passed over (RFC 7517).
#[derive(Deserialize)]
struct Epk {
    #[serde(rename = "kty")]
    _kty: Kty,
    #[serde(rename = "crv")]
    _crv: Crv,
    x: String,
    y: String,
    /// A private key has no business here.
    d: Option<IgnoredAny>,
}

#[derive(Deserialize)]
enum Kty {
    #[serde(rename = "EC")]
    Ec,
}

#[derive(Deserialize)]
enum Crv {
    #[serde(rename = "P-256")]
    P256,
}

/// A JWE, taken apart and not opened.
pub struct Jwe<'a> {
    /// Which key it is for. Looks a key up and does nothing else.
    pub kid: String,
    header: &'a str,
    sender: PublicKey,
    apu: Vec<u8>,
    apv: Vec<u8>,
    nonce: [u8; NONCE_LEN],
    body: Vec<u8>,
}

/// Takes a text apart; `None` if any part of it is not as it has to be.
pub fn read(text: &str) -> Option<Jwe<'_>> {
    let parts: Vec<&str> = text.split('.').collect();
    let [header, "", iv, ciphertext, tag] = parts.as_slice() else { return None };
    let bytes = |text: &str| BASE64.decode(text).ok();
    let Header { kid, epk, apu, apv, .. } = serde_json::from_slice(&bytes(header)?).ok()?;
    let party = |given: Option<String>| match given {
        None => Some(Vec::new()),
        Some(text) => bytes(&text).filter(|name| name.len() <= LONGEST_PARTY),
    };
    let mut body = bytes(ciphertext)?;
    body.extend(bytes(tag).filter(|tag| tag.len() == AES_256_GCM.tag_len())?);
    Some(Jwe {
        kid,
        header,
        sender: point(&epk)?,
        apu: party(apu)?,
        apv: party(apv)?,
        nonce: bytes(iv)?.try_into().ok()?,
        body,
    })
}

/// A point of the curve; what lies beside it would betray the private key bit by bit.
fn point(epk: &Epk) -> Option<PublicKey> {
    let coordinate = |text: &str| BASE64.decode(text).ok().filter(|bytes| bytes.len() == COORDINATE);
    if epk.d.is_some() {
        return None;
    }
    let mut sec1 = vec![4];
    sec1.extend(coordinate(&epk.x)?);
    sec1.extend(coordinate(&epk.y)?);
    PublicKey::from_sec1_bytes(&sec1).ok()
}

impl Jwe<'_> {
    /// What it says, if it was made for this key.
    pub fn open(mut self, key: &SecretKey) -> Option<Vec<u8>> {
        let shared = p256::ecdh::diffie_hellman(key.to_nonzero_scalar(), self.sender.as_affine());
        let content = concat_kdf(shared.raw_secret_bytes(), A256GCM, &self.apu, &self.apv, 256);
        let content = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &content).ok()?);
        let (nonce, aad) = (Nonce::assume_unique_for_key(self.nonce), Aad::from(self.header.as_bytes()));
        content.open_in_place(nonce, aad, &mut self.body).ok().map(|plain| plain.to_vec())
    }
}

/// The key that a shared secret becomes: one round of the Concat KDF with SHA-256 (NIST SP 800-56A §5.8.1 as RFC 7518
/// §4.6.2 uses it). `bits`: how long the key is that is cut from the front.
fn concat_kdf(shared: &[u8], algorithm: &str, apu: &[u8], apv: &[u8], bits: u32) -> Vec<u8> {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&1u32.to_be_bytes());
    hash.update(shared);
    for part in [algorithm.as_bytes(), apu, apv] {
        // Parts are bounded by the length of a token.
        hash.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.update(&bits.to_be_bytes());
    let bytes = usize::try_from(bits / 8).unwrap_or(0);
    hash.finish().as_ref().iter().take(bytes).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// RFC 7518, appendix C: the keys of Alice and Bob, and the key that they agree on.
    #[test]
    fn the_example_of_the_standard_is_agreed_on() {
        let bob = BASE64.decode("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw").unwrap();
        let alice = Epk {
            _kty: Kty::Ec,
            _crv: Crv::P256,
            x: "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0".to_owned(),
            y: "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps".to_owned(),
            d: None,
        };
        let bob = SecretKey::from_slice(&bob).unwrap();
        let shared = p256::ecdh::diffie_hellman(bob.to_nonzero_scalar(), point(&alice).unwrap().as_affine());
        let z = [
            158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49, 110, 163,
            218, 128, 106, 72, 246, 218, 167, 121, 140, 254, 144, 196,
        ];
        assert_eq!(shared.raw_secret_bytes().as_slice(), z);
        let key = concat_kdf(&z, "A128GCM", b"Alice", b"Bob", 128);
        assert_eq!(BASE64.encode(key), "VqqN6vgjbSBcIijNcacQGg");
    }

    /// A header that is right, changed.
    fn header(change: impl FnOnce(&mut Value)) -> String {
        let key = SecretKey::from_slice(&[7; 32]).unwrap().public_key();
        let point = p256::EncodedPoint::from(key);
        let part = |bytes: Option<&p256::FieldBytes>| BASE64.encode(bytes.unwrap());
        let mut header = json!({
            "alg": "ECDH-ES", "enc": "A256GCM", "kid": "k",
            "epk": {"kty": "EC", "crv": "P-256", "x": part(point.x()), "y": part(point.y())},
        });
        change(&mut header);
        let tag = BASE64.encode([0; 16]);
        format!("{}..{}.AAAA.{tag}", BASE64.encode(header.to_string()), BASE64.encode([0; 12]))
    }

    #[test]
    fn only_one_kind_of_header_is_read() {
        assert!(read(&header(|_| {})).is_some());
        assert!(read(&header(|h| h["apu"] = json!("QWxpY2U"))).is_some());
        assert!(read(&header(|h| h["typ"] = json!("JWE"))).is_some());
        assert!(read(&header(|h| h["epk"]["ext"] = json!(true))).is_some());
        let wrong: &[fn(&mut Value)] = &[
            |h| h["alg"] = json!("ECDH-ES+A256KW"),
            |h| h["alg"] = json!("dir"),
            |h| h["alg"] = json!("none"),
            |h| h["alg"] = json!("ecdh-es"),
            |h| h["enc"] = json!("A128GCM"),
            |h| h["enc"] = json!("A128CBC-HS256"),
            |h| h["zip"] = json!("DEF"),
            |h| h["crit"] = json!([]),
            |h| h["crit"] = json!(["exp"]),
            |h| h["p2c"] = json!(1_000_000),
            |h| h["jku"] = json!("https://example.com/keys"),
            |h| h["jwk"] = json!({}),
            |h| h["x5u"] = json!("https://example.com/keys"),
            |h| h["cty"] = json!("JWT"),
            |h| h["kid"] = json!(7),
            |h| h["kid"] = Value::Null,
            |h| h["epk"]["crv"] = json!("P-384"),
            |h| h["epk"]["kty"] = json!("OKP"),
            |h| h["epk"]["d"] = json!("AAAA"),
            |h| h["epk"]["x"] = json!(BASE64.encode([0; 32])),
            |h| h["epk"]["y"] = json!(BASE64.encode([0; 32])),
            |h| h["epk"]["x"] = json!(BASE64.encode([0; 31])),
            |h| h["epk"] = json!({}),
            |h| h["apu"] = json!("="),
            |h| h["apv"] = json!("A".repeat(200)),
        ];
        for (n, change) in wrong.iter().enumerate() {
            assert!(read(&header(change)).is_none(), "{n}");
        }
    }
}
