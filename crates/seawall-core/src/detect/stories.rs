//! What the engine says, from the first request to the sentence that an operator reads.

use super::asked::{Asked, Event, TextTraits};
use super::engine::Engine;
use super::evidence::{Evidence, Family, KeyKind};
use super::example::{START, ask, code};
use crate::client_ip::ClientIp;
use crate::decision::Verdict;
use crate::request::Operation;
use crate::text::words::hashes;
use crate::time::Timestamp;

fn said(evidence: &Evidence, family: Family) -> String {
    let signal = evidence.signals.iter().find(|signal| signal.family == family);
    signal.map_or_else(|| panic!("nothing of {family:?}: {evidence:?}"), |signal| signal.detail.clone())
}

#[test]
fn a_pumped_block_is_named_with_what_was_expected() {
    let mut engine = Engine::default();
    let mut last = Evidence::default();
    for n in 0..10u64 {
        let at = 120 * i64::try_from(n).unwrap();
        last = ask(&mut engine, n + 1, code(n * 37, Some(&format!("203.0.{n}.5")), at));
    }
    assert_eq!(
        said(&last, Family::Concentration),
        "10k block 99893412xxxx: 10 numbers from 10 networks in 24 h where 0.04 are expected"
    );
    let outcome = said(&last, Family::Outcome);
    assert!(
        outcome.contains("block 9989341") && outcome.contains(": 0 of 9 confirmed where 5."),
        "{outcome}"
    );
    assert_eq!(last.ceiling, Verdict::Block);
}

#[test]
fn guessing_names_the_address_and_asks_for_longer_codes() {
    let mut engine = Engine::default();
    for n in 0..4u64 {
        let at = 400 * i64::try_from(n).unwrap();
        ask(&mut engine, n + 1, code(n * 3000, Some("203.0.113.9"), at));
        (0..5).for_each(|k| {
            let at = Timestamp::from_millis(START + 1000 * (at + 10 + 5 * k));
            engine.observe(&Event::WrongCheck { id: n + 1, at });
        });
    }
    let evidence = engine.assess(&code(9000, Some("203.0.113.9"), 1700));
    assert!(evidence.longer_code);
    let sentence = said(&evidence, Family::Guessing);
    assert!(
        sentence.starts_with("address 203.0.113.9: ") && sentence.contains("codes wrong where"),
        "{sentence}"
    );
    let elsewhere = engine.assess(&code(9001, None, 1700));
    assert!(elsewhere.signals.iter().all(|s| s.family != Family::Guessing || s.kind != KeyKind::Ip));
}

/// A text of a key: what it writes, with a link, from where, to whom.
fn text(to: u64, seconds: i64, known: bool, words: &str, host: &str, caller: &str) -> Asked {
    let traits = TextTraits { template: None, url_hosts: vec![host.to_owned()], words: hashes(words) };
    Asked {
        operation: Operation::SmsSend,
        caller: ClientIp::parse(caller),
        known,
        text: Some(traits),
        ..code(to, None, seconds)
    }
}

#[test]
fn texts_of_a_server_say_nothing_about_who_is_written_to() {
    let mut engine = Engine::default();
    for n in 0..300u64 {
        let at = 20 * i64::try_from(n).unwrap();
        let to = n % 100;
        let evidence = ask(
            &mut engine,
            n + 1,
            text(to, at, false, "your order is on its way", "a.example", "198.51.100.7"),
        );
        assert!(evidence.probability < 0.05, "{n}: {evidence:?}");
    }
    let evidence = engine.assess(&code(5, Some("203.0.113.9"), 7000));
    assert!(evidence.probability < 0.05, "who gets texts may ask for a code: {evidence:?}");
}

#[test]
fn a_stolen_key_is_stopped_and_its_owner_goes_on() {
    let mut engine = Engine::default();
    let notice = |n: u64, seconds| {
        text(
            n * 7 % 9_999,
            seconds,
            !n.is_multiple_of(4),
            "your order is on its way",
            "acme.example",
            "198.51.100.7",
        )
    };
    for n in 0..1500u64 {
        ask(&mut engine, n + 1, notice(n, 120 * i64::try_from(n).unwrap()));
    }
    let now = 120 * 1500;
    let bait = |n: u64| {
        let seconds = now + i64::try_from(n).unwrap();
        text(
            n * 61 % 9_999,
            seconds,
            false,
            "claim your prize before midnight",
            "win.example",
            "203.0.113.66",
        )
    };
    let passed = (0..400u64).take_while(|n| ask(&mut engine, 5000 + n, bait(*n)).probability < 0.6).count();
    assert!(passed <= 200, "{passed}");
    let stopped = engine.assess(&bait(400));
    assert_eq!(
        said(&stopped, Family::Sender),
        "API key key_1: writes to unknown numbers with links to hosts that it never used from a network that it \
         never came from in words that it never uses; usually 25 of 100 of its numbers are unknown"
    );
    for n in [1u64, 2, 3] {
        let evidence = engine.assess(&notice(n, now + 500));
        assert!(evidence.probability < 0.1, "to a known number: {evidence:?}");
    }
}
