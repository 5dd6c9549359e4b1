//! The sandbox phone: the handset of whoever tries the gateway out.

use std::sync::Arc;

use async_trait::async_trait;
use seawall_connect::{Outgoing, SandboxPhone};
use seawall_core::id::{Id, IdKind};
use seawall_core::msisdn::Msisdn;
use seawall_store::Ledger;
use seawall_store::records::PhoneMessage;

use crate::clock::Clock;

/// Keeps what it receives in the ledger, sealed like everything else.
pub struct Phone {
    ledger: Arc<dyn Ledger>,
    clock: Arc<Clock>,
}

impl Phone {
    /// A phone that keeps its messages there.
    pub fn new(ledger: Arc<dyn Ledger>, clock: Arc<Clock>) -> Self {
        Phone { ledger, clock }
    }
}

#[async_trait]
impl SandboxPhone for Phone {
    async fn receive(&self, message: &Outgoing) -> Result<(), String> {
        let id = Id::parse(IdKind::Message, &message.id).ok_or("not a message id")?;
        let to = Msisdn::from_e164(message.to.reveal()).ok_or("not a number")?;
        let received = PhoneMessage {
            id,
            to,
            from: message.from.clone(),
            text: message.text.reveal().to_owned(),
            channel: message.channel,
            at: self.clock.now(),
        };
        self.ledger.phone_receive(received).await.map_err(|e| e.to_string())
    }
}
