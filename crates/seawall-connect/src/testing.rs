//! What the tests of several connectors share.

use seawall_core::message::Channel;
use seawall_core::segments::Encoding;
use tokio::sync::mpsc;

use crate::{Echoed, Outgoing, Secret, Surroundings, Voice};

pub(crate) fn message(text: &str) -> Outgoing {
    Outgoing {
        id: "msg_1".to_owned(),
        to: Secret::new("+6591234567"),
        from: Some("Seawall".to_owned()),
        text: Secret::new(text),
        steps: Vec::new(),
        encoding: Encoding::Gsm7,
        channel: Channel::Sms,
        voice: Voice::default(),
        validity: None,
    }
}

pub(crate) fn surroundings() -> (Surroundings, mpsc::Receiver<Echoed>) {
    let (echoes, receiver) = mpsc::channel(64);
    (
        Surroundings {
            name: "test".to_owned(),
            echoes,
            allow_insecure_smpp: false,
            known: Default::default(),
        },
        receiver,
    )
}
