//! Encrypted numbers: nothing opens but what was made for this installation, and every refusal is one of two.

use std::time::Duration;

use seawall::app::number_keys::{NumberKeys, StoredPair, Unread, is_encrypted};
use seawall_core::time::Timestamp;
use seawall_store::vault::Vault;

use super::targets::Known;
use crate::encrypted::making::{hpke, jwe};

const NUMBER: &str = "+6591234567";

/// The target.
pub fn numbers() -> Known {
    let (vault, now) = (Vault::ephemeral().unwrap(), Timestamp::from_millis(1_767_607_200_000));
    let keys = NumberKeys::of(vec![StoredPair::make(&vault, 1, now, Duration::ZERO).unwrap()]);
    let set = keys.published(now, false);
    let good = [jwe(&set, NUMBER), hpke(&set, NUMBER)];
    let seeds = good.iter().map(|token| token.clone().into_bytes()).collect();
    let check = move |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let genuine = good.iter().any(|token| *token == text);
        match keys.open(&text, now) {
            Ok(number) if genuine && number == NUMBER && is_encrypted(&text) => Ok(0),
            Ok(_) => Err("a made-up token opens".to_owned()),
            Err(_) if genuine => Err("a good token does not open".to_owned()),
            Err(Unread::UnknownKey) => Ok(1),
            Err(Unread::Unopened) => Ok(2 + u64::from(is_encrypted(&text)) + 4 * (text.len() as u64 / 64)),
            Err(Unread::Number(_)) => Err("a token is read as a number".to_owned()),
        }
    };
    Known {
        name: "encrypted-numbers",
        seeds,
        words: vec![b"hpke:", b"eyJ", b".", b"..", b"=", b"A", b"eyJhbGciOiJub25lIn0"],
        check: Box::new(check),
    }
}
