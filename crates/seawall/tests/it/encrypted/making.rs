//! Encrypts numbers as an app would.

use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{CryptoRng, RngCore};
use hpke::{Deserializable, OpModeS, Serializable, single_shot_seal};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};

/// The published key of a type.
fn key<'a>(keys: &'a Value, kty: &str) -> &'a Value {
    keys["keys"].as_array().unwrap().iter().find(|key| key["kty"] == kty).unwrap_or_else(|| panic!("{keys}"))
}

fn bytes(value: &Value) -> Vec<u8> {
    BASE64.decode(value.as_str().unwrap()).unwrap()
}

fn random<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    SystemRandom::new().fill(&mut out).unwrap();
    out
}

/// A compact JWE; `change` may do something to its header before that is sealed.
pub fn jwe_with(keys: &Value, number: &str, change: impl FnOnce(&mut Value)) -> String {
    let key = key(keys, "EC");
    let point = [&[4][..], &bytes(&key["x"]), &bytes(&key["y"])].concat();
    let theirs = p256::PublicKey::from_sec1_bytes(&point).unwrap();
    let own = p256::SecretKey::from_slice(&random::<32>()).unwrap();
    let z = p256::ecdh::diffie_hellman(own.to_nonzero_scalar(), theirs.as_affine());
    let parts: [&[u8]; 7] =
        [&[0, 0, 0, 1], z.raw_secret_bytes(), &[0, 0, 0, 7], b"A256GCM", &[0; 4], &[0; 4], &[0, 0, 1, 0]];
    let secret = digest(&SHA256, &parts.concat());
    let point = own.public_key().to_encoded_point(false);
    let part = |bytes: Option<&p256::FieldBytes>| BASE64.encode(bytes.unwrap());
    let mut header = json!({
        "alg": "ECDH-ES", "enc": "A256GCM", "kid": key["kid"],
        "epk": {"kty": "EC", "crv": "P-256", "x": part(point.x()), "y": part(point.y())},
    });
    change(&mut header);
    let header = BASE64.encode(header.to_string());
    let secret = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, secret.as_ref()).unwrap());
    let (iv, mut body) = (random::<12>(), number.as_bytes().to_vec());
    let (nonce, aad) = (Nonce::assume_unique_for_key(iv), Aad::from(header.as_bytes()));
    let tag = secret.seal_in_place_separate_tag(nonce, aad, &mut body).unwrap();
    format!("{header}..{}.{}.{}", BASE64.encode(iv), BASE64.encode(body), BASE64.encode(tag.as_ref()))
}

/// A compact JWE.
pub fn jwe(keys: &Value, number: &str) -> String {
    jwe_with(keys, number, |_| {})
}

/// Randomness of the system for the crate that seals.
struct System;

impl RngCore for System {
    fn next_u32(&mut self) -> u32 {
        u32::from_be_bytes(random())
    }

    fn next_u64(&mut self) -> u64 {
        u64::from_be_bytes(random())
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        SystemRandom::new().fill(out).unwrap();
    }
}

impl CryptoRng for System {}

/// A token of HPKE for a purpose.
pub fn hpke_for(keys: &Value, number: &str, info: &str) -> String {
    let key = key(keys, "OKP");
    let kid = key["kid"].as_str().unwrap();
    let theirs = Deserializable::from_bytes(&bytes(&key["x"])).unwrap();
    let (mode, plain) = (OpModeS::Base, number.as_bytes());
    let (enc, sealed) = single_shot_seal::<AesGcm256, HkdfSha256, X25519HkdfSha256, _>(
        &mode,
        &theirs,
        info.as_bytes(),
        plain,
        kid.as_bytes(),
        &mut System,
    )
    .unwrap();
    format!("hpke:{kid}.{}.{}", BASE64.encode(enc.to_bytes()), BASE64.encode(sealed))
}

/// A token of HPKE.
pub fn hpke(keys: &Value, number: &str) -> String {
    hpke_for(keys, number, "seawall number v1")
}

/// The same by Node's WebCrypto: `(jwe, hpke)`. `None`, said loudly, where there is no Node.
pub fn by_node(keys: &Value, number: &str) -> Option<(String, String)> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/node/encrypt.js");
    let started = Command::new("node")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = started else {
        assert!(std::env::var("CI").is_err(), "with CI set, nothing may be skipped");
        eprintln!("SKIPPED: no Node to encrypt with");
        return None;
    };
    let asked = json!({"keys": keys["keys"], "numbers": [number]}).to_string();
    child.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let said: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    let text = |name: &str| said[name][0].as_str().unwrap().to_owned();
    Some((text("jwe"), text("hpke")))
}
