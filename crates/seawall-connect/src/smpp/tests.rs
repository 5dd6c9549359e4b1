//! The connector against an SMSC that does what a script says.

use std::time::{Duration, Instant};

use rusmpp::{Command, CommandId, CommandStatus, Pdu};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::build;
use super::simulator::{Act, Reaction, Script, Smsc, deliver};
use crate::testing::{message, surroundings};
use crate::{Connector, Echo, Echoed, Health, Outgoing, ReceiptState, Submission};

pub(super) type Connected = (Smsc, std::sync::Arc<dyn Connector>, mpsc::Receiver<Echoed>);

/// A connector that is bound to an SMSC with this script.
pub(super) async fn connected(script: Script, more: Value) -> Connected {
    let (smsc, connector, echoes) = started(script, more).await;
    up(connector.as_ref()).await;
    (smsc, connector, echoes)
}

pub(super) async fn started(script: Script, more: Value) -> Connected {
    let smsc = Smsc::start(script).await;
    let mut settings = json!({
        "host": "127.0.0.1", "port": smsc.port, "system_id": "seawall", "password": "secret",
        "reconnect_seconds": 0.02, "response_timeout_seconds": 0.5,
    });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (around, echoes) = surroundings();
    (smsc, build(&settings, around).unwrap(), echoes)
}

pub(super) async fn up(connector: &dyn Connector) {
    until(|| connector.health() == Health::Up).await;
}

pub(super) async fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(8), "it never came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(super) async fn echo(echoes: &mut mpsc::Receiver<Echoed>) -> Echo {
    let echoed = tokio::time::timeout(Duration::from_secs(8), echoes.recv()).await.unwrap().unwrap();
    echoed.kept.send(()).unwrap();
    echoed.echo
}

pub(super) fn accepted(reference: &str) -> Submission {
    Submission::Accepted { reference: Some(reference.to_owned()), delivered: false }
}

#[tokio::test]
async fn binds_each_way() {
    for (bind, id) in [
        ("transceiver", CommandId::BindTransceiver),
        ("transmitter", CommandId::BindTransmitter),
        ("receiver", CommandId::BindReceiver),
    ] {
        let (mut smsc, connector, _echoes) = connected(Script::default(), json!({"bind": bind})).await;
        let command = smsc.next(id).await;
        if let Some(Pdu::BindTransceiver(pdu)) = command.pdu() {
            assert_eq!((pdu.system_id.as_str(), pdu.password.as_str()), ("seawall", "secret"));
            assert_eq!(u8::from(pdu.interface_version), 0x34);
        }
        match connector.submit(&message("hi")).await {
            Submission::Unreachable { .. } => assert_eq!(bind, "receiver"),
            outcome => assert_eq!((outcome, bind == "receiver"), (accepted("id-1"), false)),
        }
    }
}

#[tokio::test]
async fn many_submissions_share_the_window() {
    let (_smsc, connector, _echoes) = connected(Script::default(), json!({"window": 8})).await;
    let tasks: Vec<_> = (0..500)
        .map(|_| {
            let connector = connector.clone();
            tokio::spawn(async move { connector.submit(&message("hi")).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), accepted("id-1"));
    }
}

#[tokio::test]
async fn long_messages_are_parts_and_the_last_id_counts() {
    let script = |n| match n {
        0 => Reaction::Take("first"),
        1 => Reaction::Take("last"),
        2 => Reaction::Take("third"),
        3 => Reaction::Refuse(0x58),
        _ => Reaction::Refuse(0x0B),
    };
    let (mut smsc, connector, _echoes) =
        connected(Script { submit: script, ..Script::default() }, json!({})).await;
    let long = message(&"0123456789".repeat(20));
    assert_eq!(connector.submit(&long).await, accepted("last"));
    let (first, last) = (smsc.next_submit().await, smsc.next_submit().await);
    assert_eq!(u8::from(first.esm_class), 0x40);
    let (first, last) = (first.short_message().as_ref().to_vec(), last.short_message().as_ref().to_vec());
    assert_eq!((&first[..3], &first[4..6], &last[4..6]), (&[5, 0, 3][..], &[2, 1][..], &[2, 2][..]));
    assert_eq!(first[3], last[3], "one reference for both parts");
    // A taken part and a refused one: the recipient may see a half.
    assert!(matches!(connector.submit(&long).await, Submission::Unknown { .. }));
    assert!(matches!(connector.submit(&long).await, Submission::Refused { .. }));
}

#[tokio::test]
async fn receipts_and_inbound_messages_are_queued_and_then_answered() {
    let (mut smsc, _connector, mut echoes) = connected(Script::default(), json!({})).await;
    smsc.send(deliver(11, 0x04, b"id:id-1 stat:DELIVRD err:000 text:"));
    let Echo::Receipt(receipt) = echo(&mut echoes).await else { panic!("a receipt") };
    assert_eq!((receipt.reference.as_str(), receipt.state), ("id-1", ReceiptState::Delivered));
    smsc.send(deliver(12, 0, b"STOP id:id-1 stat:UNDELIV"));
    let Echo::Inbound(inbound) = echo(&mut echoes).await else { panic!("text alone makes no receipt") };
    assert_eq!((inbound.from.reveal(), inbound.to.as_str()), ("6591234567", "74000"));
    for sequence in [11, 12] {
        let answer = smsc.next(CommandId::DeliverSmResp).await;
        assert_eq!((answer.sequence_number(), answer.status()), (sequence, CommandStatus::EsmeRok));
    }
}

#[tokio::test]
async fn unbind_is_answered_and_close_unbinds() {
    let (mut smsc, connector, _echoes) = connected(Script::default(), json!({})).await;
    smsc.send(Command::new(CommandStatus::EsmeRok, 5, Pdu::Unbind));
    assert_eq!(smsc.next(CommandId::UnbindResp).await.sequence_number(), 5);
    smsc.act(Act::HangUp);
    until(|| smsc.connections() == 2).await;
    up(connector.as_ref()).await;
    connector.close().await;
    smsc.next(CommandId::Unbind).await;
    assert!(matches!(connector.health(), Health::Down { .. }));
    assert!(matches!(connector.submit(&message("hi")).await, Submission::Unreachable { .. }));
}

#[tokio::test]
async fn calls_are_refused_and_the_rate_is_kept() {
    let (_smsc, connector, _echoes) = connected(Script::default(), json!({"messages_per_second": 20})).await;
    let call = Outgoing { channel: seawall_core::message::Channel::Call, ..message("hi") };
    assert!(matches!(connector.submit(&call).await, Submission::Refused { .. }));
    let start = Instant::now();
    for _ in 0..5 {
        assert_eq!(connector.submit(&message("hi")).await, accepted("id-1"));
    }
    assert!(start.elapsed() >= Duration::from_millis(190), "{:?}", start.elapsed());
}

#[tokio::test]
async fn tls_needs_a_certificate_of_the_right_authority() {
    let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/ca.pem");
    let script = || Script { tls: true, ..Script::default() };
    let (_smsc, connector, _echoes) = connected(script(), json!({"tls": true, "tls_ca_file": ca})).await;
    assert_eq!(connector.submit(&message("hi")).await, accepted("id-1"));
    let (smsc, connector, _echoes) = started(script(), json!({"tls": true})).await;
    until(|| smsc.connections() >= 2).await;
    let Health::Down { reason } = connector.health() else { panic!("an unknown authority") };
    assert!(reason.contains("TLS handshake failed"), "{reason}");
    let named = json!({"tls": true, "tls_ca_file": ca, "tls_server_name": "smpp.example"});
    let (smsc, connector, _echoes) = started(script(), named).await;
    until(|| smsc.connections() >= 2).await;
    assert!(matches!(connector.health(), Health::Down { .. }));
}
