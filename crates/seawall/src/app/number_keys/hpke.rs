//! A number sealed with HPKE (RFC 9180): base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. Written as
//! `hpke:<kid>.<encapsulated key>.<ciphertext>`, both in base64url without padding.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, single_shot_open};

/// What every token of this kind begins with.
pub const SCHEME: &str = "hpke:";
/// What the ciphertext is for: one made for anything else does not open. The `kid` is its associated data.
pub const INFO: &str = "seawall number v1";

/// The private half of a key.
pub type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;

/// A token, taken apart and not opened.
pub struct Sealed<'a> {
    /// Which key it is for. Looks a key up and does nothing else.
    pub kid: &'a str,
    enc: <X25519HkdfSha256 as Kem>::EncappedKey,
    ciphertext: Vec<u8>,
}

/// Takes a text apart; `None` if any part of it is not as it has to be.
pub fn read(text: &str) -> Option<Sealed<'_>> {
    let parts: Vec<&str> = text.strip_prefix(SCHEME)?.split('.').collect();
    let [kid, enc, ciphertext] = parts.as_slice() else { return None };
    let enc = Deserializable::from_bytes(&BASE64.decode(enc).ok()?).ok()?;
    Some(Sealed { kid, enc, ciphertext: BASE64.decode(ciphertext).ok()? })
}

impl Sealed<'_> {
    /// What it says, if it was made for this key.
    pub fn open(self, key: &PrivateKey) -> Option<Vec<u8>> {
        open(key, &self.enc, INFO.as_bytes(), self.kid.as_bytes(), &self.ciphertext)
    }
}

fn open(
    key: &PrivateKey,
    enc: &<X25519HkdfSha256 as Kem>::EncappedKey,
    info: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Option<Vec<u8>> {
    let mode = OpModeR::Base;
    single_shot_open::<AesGcm256, HkdfSha256, X25519HkdfSha256>(&mode, key, enc, info, ciphertext, aad).ok()
}

/// A private key from 32 bytes, and its public half.
pub fn pair(bytes: &[u8]) -> Option<(PrivateKey, Vec<u8>)> {
    use hpke::Serializable;
    let private = PrivateKey::from_bytes(bytes).ok()?;
    let public = X25519HkdfSha256::sk_to_pk(&private).to_bytes().to_vec();
    Some((private, public))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(byte).collect()
    }

    /// RFC 9180, test vectors for DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM in base mode.
    #[test]
    fn the_vector_of_the_standard_opens() {
        let (key, public) =
            pair(&hex("497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d")).unwrap();
        assert_eq!(public, hex("430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c"));
        let enc = hex("6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256");
        let enc = Deserializable::from_bytes(&enc).unwrap();
        let (info, aad) = (hex("4f6465206f6e2061204772656369616e2055726e"), hex("436f756e742d30"));
        let ciphertext =
            "e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b7a";
        let plain = open(&key, &enc, &info, &aad, &hex(ciphertext)).unwrap();
        assert_eq!(plain, b"Beauty is truth, truth beauty");
        assert!(open(&key, &enc, INFO.as_bytes(), &aad, &hex(ciphertext)).is_none());
    }

    #[test]
    fn a_point_of_small_order_and_short_parts_are_refused() {
        let (key, public) = pair(&[7; 32]).unwrap();
        assert_eq!(public.len(), 32);
        let text = |enc: &[u8]| format!("hpke:k.{}.{}", BASE64.encode(enc), BASE64.encode([0; 27]));
        let one = [&[1][..], &[0; 31]].concat();
        for point in [vec![0; 32], one] {
            let text = text(&point);
            assert!(read(&text).and_then(|sealed| sealed.open(&key)).is_none());
        }
        assert!(read(&text(&[9; 31])).is_none() && read("hpke:k.AAAA").is_none() && read("k.A.A").is_none());
        assert!(read(&format!("{}.AA", text(&[9; 32]))).is_none());
    }
}
