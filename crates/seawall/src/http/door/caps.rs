//! How many connections there may be: altogether, and from one address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use seawall_core::client_ip::{ClientIp, TrustedProxies};

/// Counts open connections.
pub(super) struct Caps {
    open: AtomicUsize,
    total: usize,
    each: usize,
    exempt: TrustedProxies,
    by_address: Mutex<HashMap<[u8; 17], usize>>,
}

/// Why a connection is closed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// There are too many.
    Total,
    /// There are too many from this address.
    Address,
}

/// The right to be connected; dropping it makes room.
pub(super) struct Place {
    caps: Arc<Caps>,
    bucket: Option<[u8; 17]>,
}

impl Caps {
    pub fn new(total: usize, each: usize, exempt: TrustedProxies) -> Arc<Self> {
        Arc::new(Caps { open: AtomicUsize::new(0), total, each, exempt, by_address: Mutex::default() })
    }

    /// Takes a place. Loopback and trusted proxies stand for many callers: only the total binds them.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Result<Place, Full> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.total {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Full::Total);
        }
        // From here on dropping the place gives back what was counted.
        let mut place = Place { caps: self.clone(), bucket: None };
        let client = ClientIp::from_ip(peer);
        if client.ip().is_loopback() || self.exempt.contains(client) {
            return Ok(place);
        }
        let bucket = client.bucket_bytes();
        let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(bucket).or_default();
        if *count >= self.each {
            drop(counts);
            return Err(Full::Address);
        }
        *count = count.saturating_add(1);
        place.bucket = Some(bucket);
        Ok(place)
    }

    /// More than half of all places are taken: be less patient.
    pub fn is_crowded(&self) -> bool {
        self.open.load(Ordering::Relaxed) > self.total / 2
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.caps.open.fetch_sub(1, Ordering::Relaxed);
        let Some(bucket) = self.bucket else { return };
        let mut counts = self.caps.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = counts.entry(bucket) {
            *entry.get_mut() = entry.get().saturating_sub(1);
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_cannot_take_every_place_and_gives_its_own_back() {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()], false).unwrap();
        let caps = Caps::new(6, 2, proxies);
        let first = caps.enter(ip("192.0.2.1")).ok().unwrap();
        let _second = caps.enter(ip("::ffff:192.0.2.1")).ok().unwrap();
        assert_eq!(caps.enter(ip("192.0.2.1")).err(), Some(Full::Address));
        let _other = caps.enter(ip("192.0.2.2")).ok().unwrap();
        let _proxies = [ip("10.1.1.1"); 3].map(|proxy| caps.enter(proxy).ok().unwrap());
        assert_eq!(caps.enter(ip("192.0.2.3")).err(), Some(Full::Total));
        drop(first);
        let _again = caps.enter(ip("192.0.2.1")).ok().unwrap();
        assert_eq!(caps.open(), 6);
    }

    #[test]
    fn an_ipv6_network_is_one_address_and_nothing_is_kept_of_those_who_left() {
        let caps = Caps::new(10, 1, TrustedProxies::default());
        let place = caps.enter(ip("2001:db8::1")).ok().unwrap();
        assert_eq!(caps.enter(ip("2001:db8::2")).err(), Some(Full::Address));
        drop(place);
        assert!(caps.by_address.lock().unwrap().is_empty());
        assert_eq!(caps.open(), 0);
    }
}
