//! The first day, without history: who tries things out is left alone, an attack is not.

use super::asked::{Asked, Event};
use super::dial::DetectionPolicy;
use super::engine::Engine;
use super::evidence::Evidence;
use super::example::{START, ask, code};
use crate::time::Timestamp;

fn asked(number: u64, ip: Option<&str>, seconds: i64, hosting: bool) -> Asked {
    let mut asked = code(number, ip, seconds);
    asked.ip_facts.hosting = hosting;
    asked
}

fn challenges(evidence: &Evidence) -> bool {
    f64::from(evidence.probability) >= DetectionPolicy::default().thresholds(141_100).challenge
}

#[test]
fn three_neighbouring_numbers_tried_from_one_address_pass() {
    for ip in [Some("203.0.113.9"), Some("10.0.0.7"), None] {
        for (pause, hosting) in [(5, false), (90, false), (1200, false), (90, true)] {
            let mut engine = Engine::default();
            for n in 0..3u64 {
                let at = pause * i64::try_from(n).unwrap();
                let evidence = ask(&mut engine, n + 1, asked(n, ip, at, hosting));
                assert!(!challenges(&evidence), "{ip:?} after {pause} s, number {n}: {evidence:?}");
            }
        }
    }
}

#[test]
fn confirmed_or_not_they_can_be_tried_again() {
    let mut engine = Engine::default();
    for n in 0..9u64 {
        let at = 400 * i64::try_from(n).unwrap();
        let evidence = ask(&mut engine, n + 1, asked(n % 3, Some("203.0.113.9"), at, false));
        assert!(!challenges(&evidence), "{n}: {evidence:?}");
        if n % 3 == 0 {
            let at = Timestamp::from_millis(START + 1000 * (at + 15));
            engine.observe(&Event::Confirmed { id: n + 1, at });
        }
    }
}

#[test]
fn a_block_that_is_pumped_is_stopped_within_a_dozen() {
    for (networks, spacing) in [(1u64, 1), (200, 1), (200, 37)] {
        let mut engine = Engine::default();
        let passed = (0..40u64).take_while(|n| {
            let ip = format!("203.0.{}.{}", n % networks, n % 40);
            let at = 20 * i64::try_from(*n).unwrap();
            let evidence = ask(&mut engine, n + 1, asked(n * spacing % 10_000, Some(&ip), at, false));
            !challenges(&evidence)
        });
        let passed = passed.count();
        assert!(passed <= 12, "{networks} networks, every {spacing}th number: {passed}");
    }
}
