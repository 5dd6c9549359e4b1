//! Which providers are left alone for now, because they failed or asked to slow down.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use seawall_core::time::Timestamp;

/// Failures in a row after which a provider is left alone.
const FAILURES: u32 = 5;
/// How long it is left alone then; one message tries it again afterwards.
const OPEN_FOR: Duration = Duration::from_secs(10);

/// The circuits of all providers, by name.
#[derive(Default)]
pub struct Circuits(Mutex<HashMap<String, Circuit>>);

#[derive(Default)]
struct Circuit {
    failures: u32,
    open_until: Option<Timestamp>,
}

impl Circuits {
    /// From when a provider may be used; `None`: now.
    pub fn open_until(&self, provider: &str, now: Timestamp) -> Option<Timestamp> {
        let circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        circuits.get(provider).and_then(|c| c.open_until).filter(|until| *until > now)
    }

    /// It took a message, or refused one for the message's own fault.
    pub fn succeeded(&self, provider: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(provider);
    }

    /// It did not answer, or could not be reached.
    pub fn failed(&self, provider: &str, now: Timestamp) {
        let mut circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let circuit = circuits.entry(provider.to_owned()).or_default();
        circuit.failures += 1;
        if circuit.failures >= FAILURES {
            circuit.open_until = Some(now.plus(OPEN_FOR));
            // Half open afterwards: the next failure opens it again at once.
            circuit.failures = FAILURES - 1;
        }
    }

    /// It asked to be left alone.
    pub fn rest(&self, provider: &str, until: Timestamp) {
        let mut circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        circuits.entry(provider.to_owned()).or_default().open_until = Some(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_open_it_and_one_more_after_the_pause_opens_it_again() {
        let (circuits, t) = (Circuits::default(), Timestamp::from_millis(1_000_000));
        for _ in 0..4 {
            circuits.failed("a", t);
        }
        assert_eq!(circuits.open_until("a", t), None);
        circuits.failed("a", t);
        let until = circuits.open_until("a", t).unwrap();
        assert_eq!(until, t.plus(OPEN_FOR));
        assert_eq!(circuits.open_until("a", until), None);
        circuits.failed("a", until);
        assert!(circuits.open_until("a", until).is_some());
        circuits.succeeded("a");
        assert_eq!(circuits.open_until("a", until), None);
    }
}
