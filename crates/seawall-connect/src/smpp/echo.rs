//! What comes in with `deliver_sm`, on its way to the gateway.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use rusmpp::CommandStatus;
use tokio::sync::mpsc;
use tokio_util::bytes::Bytes;
use tracing::warn;

use super::deliver::Deliver;
use super::inbound::{Joiner, Ready};
use super::receipt;
use super::settings::ReceiptId;
use crate::{Echo, Echoed};

/// The way into the gateway's echo queue. Outlives sessions, so that parts join across a reconnect.
pub(super) struct Echoes {
    provider: String,
    queue: mpsc::Sender<Echoed>,
    ids: ReceiptId,
    joiner: Arc<Mutex<Joiner>>,
}

impl Echoes {
    pub(super) fn new(provider: String, queue: mpsc::Sender<Echoed>, ids: ReceiptId) -> Self {
        Echoes { provider, queue, ids, joiner: Arc::default() }
    }

    /// Queues what a `deliver_sm` says, and gives what waits until that is kept.
    ///
    /// What cannot be understood is answered as taken: the same bytes again would not be clearer.
    pub(super) async fn take(&self, body: Bytes) -> Taken {
        let Some(deliver) = Deliver::read(body) else {
            warn!(provider = self.provider, "a deliver_sm that cannot be read");
            return Taken::default();
        };
        self.send(self.understand(&deliver)).await
    }

    /// Hands on parts whose others never came.
    pub(super) async fn flush_overdue(&self) {
        let overdue = lock(&self.joiner).overdue(Instant::now());
        self.send(overdue.into_iter().map(Ready::echo).collect()).await;
    }

    fn understand(&self, deliver: &Deliver) -> Vec<(Option<u64>, Echo)> {
        if deliver.is_receipt() {
            let receipt = receipt::read(deliver, self.ids);
            if receipt.is_none() {
                warn!(provider = self.provider, "a receipt that cannot be read");
            }
            return receipt.map(|receipt| (None, Echo::Receipt(receipt))).into_iter().collect();
        }
        lock(&self.joiner).take(deliver, Instant::now()).into_iter().map(Ready::echo).collect()
    }

    async fn send(&self, echoes: Vec<(Option<u64>, Echo)>) -> Taken {
        let mut taken = Taken::default();
        for (join, echo) in echoes {
            let (echoed, kept) = Echoed::new(&self.provider, echo);
            // A gateway that stops has no queue; then nobody tells that it is kept.
            let _ = self.queue.send(echoed).await;
            taken.0.push(match join {
                Some(join) => settled(self.joiner.clone(), join, kept).boxed(),
                None => kept.boxed(),
            });
        }
        taken
    }
}

/// Tells the joiner too whether a joined message is kept: in a task of its own, which outlives the session.
fn settled(
    joiner: Arc<Mutex<Joiner>>,
    join: u64,
    kept: impl Future<Output = bool> + Send + 'static,
) -> impl Future<Output = bool> {
    let task = tokio::spawn(async move {
        let kept = kept.await;
        lock(&joiner).settle(join, kept);
        kept
    });
    task.map(|kept| kept.unwrap_or(false))
}

fn lock(joiner: &Mutex<Joiner>) -> MutexGuard<'_, Joiner> {
    joiner.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is queued and perhaps not kept yet.
#[derive(Default)]
pub(super) struct Taken(Vec<BoxFuture<'static, bool>>);

impl Taken {
    /// The status to answer with, once it is known whether everything is kept.
    pub(super) async fn status(self) -> CommandStatus {
        let kept = join_all(self.0).await;
        // What is not kept is the SMSC's, who shall try again later.
        if kept.into_iter().all(|kept| kept) { CommandStatus::EsmeRok } else { CommandStatus::EsmeRxTAppn }
    }
}
