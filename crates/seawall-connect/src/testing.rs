//! What the tests of several connectors share.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use seawall_core::message::Channel;
use seawall_core::segments::Encoding;
use tokio::sync::mpsc;

use crate::{Echoed, Outgoing, SandboxPhone, Secret, Surroundings, Voice};

#[derive(Default)]
pub(crate) struct Phone(Mutex<Vec<String>>);

impl Phone {
    pub(crate) fn received(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl SandboxPhone for Phone {
    async fn receive(&self, message: &Outgoing) -> Result<(), String> {
        self.0.lock().unwrap().push(message.text.reveal().to_owned());
        Ok(())
    }
}

pub(crate) fn message(text: &str) -> Outgoing {
    Outgoing {
        id: "msg_1".to_owned(),
        to: Secret::new("+6591234567"),
        from: Some("Seawall".to_owned()),
        text: Secret::new(text),
        encoding: Encoding::Gsm7,
        channel: Channel::Sms,
        voice: Voice::default(),
        validity: None,
    }
}

pub(crate) fn surroundings() -> (Surroundings, mpsc::Receiver<Echoed>) {
    let (echoes, receiver) = mpsc::channel(64);
    let phone = Arc::new(Phone::default());
    (
        Surroundings {
            name: "test".to_owned(),
            echoes,
            phone,
            allow_insecure_smpp: false,
        },
        receiver,
    )
}
