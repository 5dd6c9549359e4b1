//! Room 2: who is calling, and may they, from there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use seawall_core::client_ip::ClientIp;
use seawall_core::limit::Charge;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;

use super::App;
use super::entities::{ApiKey, Scope, Subaccount};
use super::plans;
use super::snapshot::Snapshot;

/// Who called, and with which key.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The key.
    pub key: Arc<ApiKey>,
    /// Where the request came from, after trusted proxies.
    pub ip: ClientIp,
}

/// Why a caller is turned away.
#[derive(Debug)]
pub enum Stranger {
    /// No key, an unknown one, a disabled or an expired one; they are not told apart.
    NoKey,
    /// The key has no right to this.
    Scope {
        /// The scope that is missing.
        needed: Scope,
    },
    /// The address is not on the IP allow-list.
    Address {
        /// Which address.
        ip: ClientIp,
    },
    /// The subaccount is not the caller's, or does not exist; they are not told apart.
    Subaccount,
    /// The product is not switched on for the subaccount.
    Product {
        /// Which product.
        needed: Scope,
    },
    /// Too many requests are under way, and this subaccount has its share of them.
    Full,
    /// Too many requests a second.
    Rate {
        /// When there is room again.
        retry_at: Timestamp,
    },
    /// The counters did not answer.
    Unavailable(StoreError),
}

/// SHA-256 of a secret.
pub fn hash_secret(secret: &str) -> [u8; 32] {
    let mut out = [0u8; 32];
    out.iter_mut().zip(digest(&SHA256, secret.as_bytes()).as_ref()).for_each(|(o, b)| *o = *b);
    out
}

/// Finds the caller by the secret of an API key. `secret`: what stands behind `Bearer`.
pub fn authenticate(
    app: &App,
    secret: Option<&str>,
    ip: ClientIp,
    now: Timestamp,
) -> Result<Caller, Stranger> {
    let snapshot = app.snapshot.load();
    let hash = hash_secret(secret.unwrap_or_default());
    let key = snapshot.keys.get(&hash).ok_or(Stranger::NoKey)?;
    if !usable(key, &hash, now) {
        return Err(Stranger::NoKey);
    }
    let listed = |nets: &[ipnet::IpNet]| nets.is_empty() || nets.iter().any(|net| net.contains(&ip.ip()));
    if !listed(&key.ip_allowlist) {
        return Err(Stranger::Address { ip });
    }
    app.key_uses.note(&key.id, now, ip);
    Ok(Caller { key: key.clone(), ip })
}

/// The snapshot finds a key by its current and by its previous secret; only during a rotation does it
/// matter which of them was presented.
fn usable(key: &ApiKey, hash: &[u8; 32], now: Timestamp) -> bool {
    let alive = key.enabled && key.expires_at.is_none_or(|end| now < end);
    let in_time = key.previous.as_ref().is_none_or(|previous| now < previous.until || key.hash == hex(hash));
    alive && in_time
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Lets the caller use a subaccount for something: scope, ownership, product, IP allow-list, API rates, room.
pub async fn enter(
    app: &App,
    caller: &Caller,
    subaccount: &str,
    needed: Scope,
    now: Timestamp,
) -> Result<Arc<Subaccount>, Stranger> {
    let snapshot = app.snapshot.load();
    let owned = caller.key.subaccounts.as_ref().is_none_or(|only| only.iter().any(|s| s == subaccount));
    let found = snapshot.subaccounts.get(subaccount).filter(|_| owned).ok_or(Stranger::Subaccount)?;
    if !plans::may(&snapshot, found, &caller.key, needed) {
        return Err(Stranger::Scope { needed });
    }
    if !allowed(&snapshot, subaccount, caller.ip) {
        return Err(Stranger::Address { ip: caller.ip });
    }
    // Approving is a right within the product `verify`.
    let product = if needed == Scope::Approve { Scope::Verify } else { needed };
    if !plans::has_product(&snapshot, found, &caller.key, product) {
        return Err(Stranger::Product { needed });
    }
    charge_rates(app, &snapshot, subaccount, caller.ip, now).await?;
    app.room.enter(subaccount).map_err(|_| Stranger::Full)?;
    Ok(found.clone())
}

/// Whether the IP allow-list lets this address use this subaccount: no entries, or one that covers it.
fn allowed(snapshot: &Snapshot, subaccount: &str, ip: ClientIp) -> bool {
    let mut concerning = snapshot
        .allowed
        .iter()
        .filter(|e| e.subaccount_id.as_deref().is_none_or(|s| s == subaccount))
        .peekable();
    concerning.peek().is_none() || concerning.any(|entry| entry.cidr.contains(&ip.ip()))
}

async fn charge_rates(
    app: &App,
    snapshot: &Snapshot,
    subaccount: &str,
    ip: ClientIp,
    now: Timestamp,
) -> Result<(), Stranger> {
    let index = app.store.vault.index();
    let rate = |seed: u64, subject: u64, quota: u32| {
        Charge::rate(index.counter(seed, subject), quota, Duration::from_secs(1))
    };
    let rates = snapshot.settings.api_rates;
    let charges = [
        rate(2, index.text(b's', subaccount), rates.per_subaccount),
        rate(3, index.client(ip), rates.per_caller_ip),
    ];
    let full = app.store.counters.charge(&charges, 1, now).await.map_err(Stranger::Unavailable)?;
    match full.exceeded.iter().map(|f| f.retry_at).max() {
        Some(retry_at) => {
            app.late.wait().await;
            Err(Stranger::Rate { retry_at })
        }
        None => Ok(()),
    }
}

/// Last uses of keys, written to the directory now and then.
#[derive(Default)]
pub struct KeyUses(Mutex<HashMap<String, (Timestamp, ClientIp)>>);

impl KeyUses {
    fn note(&self, key: &str, at: Timestamp, ip: ClientIp) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match uses.get_mut(key) {
            Some(last) => *last = (at, ip),
            None => {
                uses.insert(key.to_owned(), (at, ip));
            }
        }
    }

    /// Takes what came together.
    pub fn take(&self) -> Vec<(String, Timestamp, String)> {
        let uses = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        uses.into_iter().map(|(key, (at, ip))| (key, at, ip.to_string())).collect()
    }
}
