//! What holds for any sequence of events: a snapshot forgets nothing, equal events give equal evidence, and
//! memory stays within its bounds.

use proptest::prelude::*;

use super::asked::{Asked, Event, TextTraits};
use super::engine::{Bounds, Engine};
use super::evidence::{Evidence, Explained};
use super::example::{START, code};
use super::tuning::Tuning;
use crate::client_ip::ClientIp;
use crate::country::Country;
use crate::msisdn::Msisdn;
use crate::request::Operation;
use crate::time::Timestamp;

/// One step of a random history; what it means depends on what came before.
#[derive(Clone, Debug)]
struct Step {
    after: i64,
    what: u8,
    who: u16,
    from: u8,
    about: u8,
}

fn step() -> impl Strategy<Value = Step> {
    let after = prop_oneof![8 => 0i64..30_000, 2 => 0i64..900_000, 1 => 0i64..90_000_000];
    (after, any::<u8>(), any::<u16>(), any::<u8>(), any::<u8>())
        .prop_map(|(after, what, who, from, about)| Step { after, what, who, from, about })
}

fn asked(step: &Step, at: i64) -> Asked {
    let block = [998_934_120_000, 998_934_130_000, 447_400_120_000][usize::from(step.who % 3)];
    let texts = step.from.is_multiple_of(5);
    let from = (step.from % 4, step.from % 32);
    let ip = (!step.from.is_multiple_of(11)).then(|| format!("203.0.{}.{}", from.0, from.1));
    let mut asked = code(0, ip.as_deref(), 0);
    asked.at = Timestamp::from_millis(at);
    asked.operation = if texts { Operation::SmsSend } else { Operation::VerifyStart };
    asked.msisdn = Msisdn::from_u64(block + u64::from(step.who / 3 % 700)).unwrap();
    asked.country = Country::parse(if step.who % 3 == 2 { "GB" } else { "UZ" }).unwrap();
    asked.operator = (!step.who.is_multiple_of(7)).then(|| format!("op {}", step.who % 3));
    asked.subaccount = format!("acme_{}", step.from % 2);
    asked.ip_facts.asn = Some(u32::from(step.from % 3));
    asked.ip_facts.hosting = step.from % 9 == 1;
    asked.caller = ClientIp::parse(&format!("198.51.{}.7", step.about % 3));
    asked.user_agent = Some(format!("agent {}", step.about % 4));
    asked.fingerprint = step.about.is_multiple_of(2).then(|| format!("print {}", step.about % 5));
    (asked.known, asked.trusted) = (step.about % 4 == 1, step.about % 8 == 1);
    let url_hosts = vec![format!("h{}.example", step.about % 6)];
    asked.text = texts.then(|| TextTraits { url_hosts, ..TextTraits::default() });
    asked
}

/// Folds the steps in as the gateway would: what is assessed is then sent or refused.
fn live(engine: &mut Engine, steps: &[Step], mut id: u64, mut at: i64) -> (Vec<Evidence>, u64, i64) {
    let mut said = Vec::new();
    for step in steps {
        at += step.after;
        let (of, now) = (id.saturating_sub(u64::from(step.who % 9)), Timestamp::from_millis(at));
        match step.what % 10 {
            0 | 1 => engine.observe(&Event::Confirmed { id: of, at: now }),
            2 => engine.observe(&Event::WrongCheck { id: of, at: now }),
            3 => engine.observe(&Event::Failed { id: of, at: now }),
            4 => engine.observe(&Event::Delivered { id: of, at: now }),
            what => {
                let asked = Box::new(asked(step, at));
                let evidence = engine.assess(&asked);
                id += 1;
                let (probability, explained) = (evidence.probability, evidence.explained);
                engine.observe(&match what {
                    5 => Event::Refused { asked },
                    6 => Event::Challenged { asked },
                    _ => Event::Sent { id, asked, probability, explained },
                });
                said.push(evidence);
            }
        }
    }
    (said, id, at)
}

fn tight() -> Bounds {
    Bounds { keys: 60, spreads: 12, numbers: 20 }
}

/// Each case is a whole history, so there are fewer of them.
fn some() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.div_ceil(6), ..usual }
}

proptest! {
    #![proptest_config(some())]

    #[test]
    fn a_snapshot_and_the_tail_are_all(
        steps in prop::collection::vec(step(), 1..160), cut in any::<prop::sample::Index>(), small in any::<bool>()) {
        let bounds = if small { tight() } else { Bounds::default() };
        let cut = cut.index(steps.len());
        let mut whole = Engine::new(Tuning::default(), bounds);
        let (_, id, at) = live(&mut whole, &steps[..cut], 0, START);
        let mut copy = Engine::restore(Tuning::default(), &whole.snapshot()).unwrap();
        prop_assert_eq!(whole.snapshot(), copy.snapshot());
        let (said, ..) = live(&mut whole, &steps[cut..], id, at);
        let (again, ..) = live(&mut copy, &steps[cut..], id, at);
        prop_assert_eq!(said, again);
        prop_assert_eq!(whole.snapshot(), copy.snapshot());
    }

    #[test]
    fn equal_events_give_equal_evidence(steps in prop::collection::vec(step(), 1..120)) {
        // Each map has its own random order: what depended on it would differ.
        let run = || {
            let mut engine = Engine::new(Tuning::default(), tight());
            let (said, ..) = live(&mut engine, &steps, 0, START);
            (said, engine.snapshot())
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn asking_changes_nothing(steps in prop::collection::vec(step(), 1..80), curious in step()) {
        let mut quiet = Engine::default();
        let (_, _, at) = live(&mut quiet, &steps, 0, START);
        let mut asks = quiet.clone();
        let first = asks.assess(&asked(&curious, at));
        let second = asks.assess(&asked(&curious, at));
        prop_assert_eq!(&first, &second);
        prop_assert_eq!(quiet.assess(&asked(&curious, at)), first);
        prop_assert_eq!(quiet.snapshot(), asks.snapshot());
    }

    #[test]
    fn memory_is_bounded(steps in prop::collection::vec(step(), 100..250)) {
        let (mut engine, bounds) = (Engine::new(Tuning::default(), tight()), tight());
        let (mut id, mut at, mut peak) = (0, START, 0);
        for steps in steps.chunks(5) {
            (_, id, at) = live(&mut engine, steps, id, at);
            peak = peak.max(engine.size().outstanding);
        }
        let size = engine.size();
        prop_assert!(size.spreads <= bounds.spreads as usize && size.numbers <= bounds.numbers as usize);
        // Rows that outstanding messages refer to stay: at most 24 a message.
        prop_assert!(size.keys <= bounds.keys as usize + 24 * (peak + 5), "{:?}", size);
    }

    #[test]
    fn evidence_is_a_probability_with_its_causes(steps in prop::collection::vec(step(), 1..200)) {
        let mut engine = Engine::default();
        let (said, ..) = live(&mut engine, &steps, 0, START);
        for evidence in said {
            prop_assert!((0.0..=1.0).contains(&evidence.probability));
            prop_assert!((0.0..=evidence.probability + 1e-6).contains(&evidence.narrow));
            prop_assert!(evidence.signals.len() <= 3);
            prop_assert!(evidence.probability < 0.05 || !evidence.signals.is_empty(), "{:?}", evidence);
            let unexplained = evidence.explained == Explained::No;
            prop_assert!(unexplained || !evidence.signals.is_empty());
        }
    }
}
