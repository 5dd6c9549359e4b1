//! What goes wrong between us and an SMSC, and what is then known.

use std::time::Duration;

use rusmpp::{Command, CommandId, CommandStatus, Pdu};
use serde_json::json;

use super::simulator::{Act, Reaction, Script, deliver, submit_resp};
use super::tests::{accepted, connected, echo, started, until, up};
use crate::testing::message;
use crate::{ErrorClass, Health, Submission};

#[tokio::test]
async fn a_refused_bind_is_reported_and_tried_again() {
    let (smsc, connector, _echoes) =
        started(Script { bind_status: 0x0E, ..Script::default() }, json!({})).await;
    until(|| smsc.connections() >= 3).await;
    let Health::Down { reason } = connector.health() else { panic!("not bound") };
    assert!(reason.contains("0x0000000E") && !reason.contains("secret"), "{reason}");
    assert!(matches!(connector.submit(&message("hi")).await, Submission::Unreachable { .. }));
}

#[tokio::test]
async fn refusals_and_throttling_are_told_apart() {
    let script = |n| match n {
        0 => Reaction::Refuse(0x58),
        1 => Reaction::Refuse(0x14),
        2 => Reaction::Refuse(0x0B),
        3 => Reaction::Nack(0x02),
        _ => Reaction::Take("late"),
    };
    let (_smsc, connector, _echoes) =
        connected(Script { submit: script, ..Script::default() }, json!({})).await;
    for _ in 0..2 {
        assert!(matches!(connector.submit(&message("hi")).await, Submission::Throttled { .. }));
    }
    for expected in [ErrorClass::InvalidDestination, ErrorClass::InvalidFormat] {
        match connector.submit(&message("hi")).await {
            Submission::Refused { class, .. } => assert_eq!(class, expected),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(connector.submit(&message("hi")).await, accepted("late"));
}

#[tokio::test]
async fn no_response_is_unknown_and_a_late_one_harms_nobody() {
    let script = |n| {
        if n == 0 { Reaction::Ignore } else { Reaction::Take("second") }
    };
    let (mut smsc, connector, _echoes) =
        connected(Script { submit: script, ..Script::default() }, json!({"window": 1})).await;
    assert!(matches!(connector.submit(&message("hi")).await, Submission::Unknown { .. }));
    let sequence = smsc.next(CommandId::SubmitSm).await.sequence_number();
    for _ in 0..2 {
        smsc.send(Command::new(CommandStatus::EsmeRok, sequence, submit_resp("first")));
    }
    assert_eq!(connector.submit(&message("hi")).await, accepted("second"));
    assert_eq!(smsc.connections(), 1);
}

#[tokio::test]
async fn a_disconnect_in_the_window_is_unknown_and_the_link_comes_back() {
    let script = |n| match n {
        0 | 1 => Reaction::Ignore,
        2 => Reaction::HangUp,
        _ => Reaction::Take("again"),
    };
    let (smsc, connector, _echoes) =
        connected(Script { submit: script, ..Script::default() }, json!({"response_timeout_seconds": 5}))
            .await;
    let outgoing = message("hi");
    let (a, b, c) =
        tokio::join!(connector.submit(&outgoing), connector.submit(&outgoing), connector.submit(&outgoing));
    for outcome in [a, b, c] {
        assert!(matches!(outcome, Submission::Unknown { .. }), "{outcome:?}");
    }
    until(|| smsc.connections() == 2).await;
    up(connector.as_ref()).await;
    assert_eq!(connector.submit(&outgoing).await, accepted("again"));
}

#[tokio::test]
async fn a_full_window_is_unreachable_and_nothing_is_sent() {
    let (mut smsc, connector, _echoes) = connected(
        Script { submit: |_| Reaction::Ignore, ..Script::default() },
        json!({"window": 1, "response_timeout_seconds": 7}),
    )
    .await;
    let outgoing = message("hi");
    let (first, second) = tokio::join!(connector.submit(&outgoing), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        connector.submit(&outgoing).await
    });
    assert!(matches!(first, Submission::Unknown { .. }), "{first:?}");
    assert!(matches!(second, Submission::Unreachable { .. }), "{second:?}");
    smsc.next_submit().await;
    let more = tokio::time::timeout(Duration::from_millis(100), smsc.next_submit()).await;
    assert!(more.is_err(), "the second was never written");
}

#[tokio::test]
async fn enquire_link_goes_both_ways_and_silence_reconnects() {
    let (mut smsc, connector, _echoes) =
        connected(Script::default(), json!({"enquire_link_seconds": 0.05})).await;
    smsc.next(CommandId::EnquireLink).await;
    smsc.send(Command::new(CommandStatus::EsmeRok, 77, Pdu::EnquireLink));
    assert_eq!(smsc.next(CommandId::EnquireLinkResp).await.sequence_number(), 77);
    assert_eq!((smsc.connections(), connector.health()), (1, Health::Up));

    let silent = Script { answers_enquire_link: false, ..Script::default() };
    let more = json!({"enquire_link_seconds": 0.05, "response_timeout_seconds": 0.1});
    let (smsc, _connector, _echoes) = connected(silent, more).await;
    until(|| smsc.connections() >= 2).await;
}

#[tokio::test]
async fn what_is_not_kept_holds_answers_back_but_not_submissions() {
    let (mut smsc, connector, mut echoes) = connected(Script::default(), json!({})).await;
    for sequence in 1..=65 {
        smsc.send(deliver(sequence, 0x04, b"id:1 stat:DELIVRD"));
    }
    assert_eq!(connector.submit(&message("hi")).await, accepted("id-1"));
    let wait = Duration::from_millis(100);
    assert!(tokio::time::timeout(wait, smsc.next(CommandId::DeliverSmResp)).await.is_err());
    for sequence in 1..=65 {
        echo(&mut echoes).await;
        let answered = smsc.next(CommandId::DeliverSmResp).await;
        assert_eq!((answered.sequence_number(), answered.status()), (sequence, CommandStatus::EsmeRok));
    }
}

#[tokio::test]
async fn the_smsc_is_asked_to_try_again_what_is_not_kept() {
    let (mut smsc, _connector, mut echoes) = connected(Script::default(), json!({})).await;
    let later = CommandStatus::EsmeRxTAppn;
    smsc.send(deliver(1, 0, b"STOP"));
    smsc.send(deliver(2, 0, b"STOP"));
    let first = echoes.recv().await.unwrap();
    echo(&mut echoes).await;
    let answered = smsc.next(CommandId::DeliverSmResp).await;
    assert_eq!((answered.sequence_number(), answered.status()), (2, CommandStatus::EsmeRok));
    drop(first);
    let answered = smsc.next(CommandId::DeliverSmResp).await;
    assert_eq!((answered.sequence_number(), answered.status()), (1, later));
    drop(echoes);
    smsc.send(deliver(3, 0, b"STOP"));
    assert_eq!(smsc.next(CommandId::DeliverSmResp).await.status(), later, "a gateway that stops");
}

#[tokio::test]
async fn odd_pdus_are_answered_and_malformed_ones_end_the_session() {
    let (mut smsc, connector, mut echoes) = connected(Script::default(), json!({})).await;
    let cut_deliver = [&20_u32.to_be_bytes()[..], &[0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9, 1, 2, 3, 4]].concat();
    smsc.act(Act::Bytes(cut_deliver));
    assert_eq!(smsc.next(CommandId::DeliverSmResp).await.sequence_number(), 9);
    let unknown = [&16_u32.to_be_bytes()[..], &[0, 0, 0x0F, 0xFF, 0, 0, 0, 0, 0, 0, 0, 10]].concat();
    smsc.act(Act::Bytes(unknown));
    let nack = smsc.next(CommandId::GenericNack).await;
    assert_eq!((nack.sequence_number(), nack.status()), (10, CommandStatus::EsmeRinvcmdid));
    smsc.send(deliver(11, 0x04, b"no receipt at all"));
    assert_eq!(smsc.next(CommandId::DeliverSmResp).await.sequence_number(), 11);
    assert_eq!(smsc.connections(), 1);
    smsc.act(Act::Bytes(vec![0xFF; 64]));
    until(|| smsc.connections() == 2).await;
    up(connector.as_ref()).await;
    assert_eq!(connector.submit(&message("hi")).await, accepted("id-1"));
    assert!(echoes.try_recv().is_err());
}
