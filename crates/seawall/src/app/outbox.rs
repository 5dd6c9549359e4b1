//! The way from room 6 to room 7: accepted messages wait in the ledger, or take the express lane.
//!
//! A message on the express lane is accepted as `submitting` already: the same commit that acknowledges it
//! records that it may have left, and the outbox need not claim it with a second one.

use std::sync::Arc;

use seawall_core::message::MessageState;
use seawall_store::records::MessageRecord;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

/// Messages on their way at once.
const IN_FLIGHT: usize = 2048;

/// A message that is `submitting` on disk, and its place among those on their way.
pub struct Express {
    /// The message, without its decision.
    pub message: Box<MessageRecord>,
    /// Held until its outcome is known.
    pub place: OwnedSemaphorePermit,
}

/// Where the express lane ends; the outbox holds it.
pub type Arrivals = mpsc::UnboundedReceiver<Express>;

/// How requests reach the outbox.
pub struct Outbox {
    /// Told when messages wait in the ledger.
    pub work: Notify,
    /// Places for messages on their way; they also bound the express lane.
    pub places: Arc<Semaphore>,
    lane: mpsc::UnboundedSender<Express>,
}

impl Outbox {
    /// The outbox, and where its express lane ends.
    pub fn new() -> (Self, Arrivals) {
        let (lane, arrivals) = mpsc::unbounded_channel();
        (Outbox { work: Notify::new(), places: Arc::new(Semaphore::new(IN_FLIGHT)), lane }, arrivals)
    }

    /// A place on the express lane for a message that is to be sent now; it then counts as `submitting`.
    pub fn board(&self, message: &mut MessageRecord) -> Option<OwnedSemaphorePermit> {
        let place = self.places.clone().try_acquire_owned().ok().filter(|_| !self.lane.is_closed())?;
        message.state = MessageState::Submitting;
        Some(place)
    }

    /// It is durable: off it goes.
    pub fn depart(&self, message: Box<MessageRecord>, place: Option<OwnedSemaphorePermit>) {
        let Some(place) = place else { return self.work.notify_one() };
        if self.lane.send(Express { message, place }).is_err() {
            // Closed in this very moment: the next start finds it `submitting` and says `unknown`.
            tracing::warn!("a message was accepted while the outbox closed");
        }
    }

    /// How many messages are on their way.
    pub fn under_way(&self) -> usize {
        IN_FLIGHT.saturating_sub(self.places.available_permits())
    }

    /// All places, once nothing is on its way any more.
    pub async fn wait_until_idle(&self) {
        let all = u32::try_from(IN_FLIGHT).unwrap_or(u32::MAX);
        let _ = self.places.acquire_many(all).await;
    }
}
