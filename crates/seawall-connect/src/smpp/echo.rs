//! What comes in with `deliver_sm`, on its way to the gateway.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rusmpp::CommandStatus;
use tokio::sync::mpsc;
use tokio_util::bytes::Bytes;
use tracing::warn;

use super::deliver::Deliver;
use super::inbound::Joiner;
use super::receipt;
use super::settings::ReceiptId;
use crate::{Echo, Echoed};

/// The way into the gateway's echo queue. Outlives sessions, so that parts join across a reconnect.
pub(super) struct Echoes {
    provider: String,
    queue: mpsc::Sender<Echoed>,
    ids: ReceiptId,
    joiner: Mutex<Joiner>,
}

impl Echoes {
    pub(super) fn new(provider: String, queue: mpsc::Sender<Echoed>, ids: ReceiptId) -> Self {
        Echoes { provider, queue, ids, joiner: Mutex::default() }
    }

    /// Queues what a `deliver_sm` says, and gives the status to answer with.
    ///
    /// What cannot be understood is answered as taken: the same bytes again would not be clearer.
    pub(super) async fn take(&self, body: Bytes) -> CommandStatus {
        let Some(deliver) = Deliver::read(body) else {
            warn!(provider = self.provider, "a deliver_sm that cannot be read");
            return CommandStatus::EsmeRok;
        };
        let queued = self.send(self.understand(&deliver)).await;
        // Only a gateway that stops has no queue; then the SMSC shall try again later.
        if queued { CommandStatus::EsmeRok } else { CommandStatus::EsmeRxTAppn }
    }

    /// Hands on parts whose others never came.
    pub(super) async fn flush_overdue(&self) {
        let overdue = self.joiner.lock().unwrap_or_else(PoisonError::into_inner).overdue(Instant::now());
        self.send(overdue.into_iter().map(Echo::Inbound).collect()).await;
    }

    fn understand(&self, deliver: &Deliver) -> Vec<Echo> {
        if deliver.is_receipt() {
            let receipt = receipt::read(deliver, self.ids);
            if receipt.is_none() {
                warn!(provider = self.provider, "a receipt that cannot be read");
            }
            return receipt.map(Echo::Receipt).into_iter().collect();
        }
        let mut joiner = self.joiner.lock().unwrap_or_else(PoisonError::into_inner);
        joiner.take(deliver, Instant::now()).into_iter().map(Echo::Inbound).collect()
    }

    async fn send(&self, echoes: Vec<Echo>) -> bool {
        for echo in echoes {
            let echoed = Echoed { provider: self.provider.clone(), echo };
            if self.queue.send(echoed).await.is_err() {
                return false;
            }
        }
        true
    }
}
