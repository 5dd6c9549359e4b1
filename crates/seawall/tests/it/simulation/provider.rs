//! A provider that answers late, twice, wrongly or never, and remembers what reached it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use seawall_connect::{
    Connector, Echo, Echoed, ErrorClass, Health, Outgoing, Receipt, ReceiptState, Submission,
};
use seawall_core::id::{Id, IdKind};
use seawall_core::message::MessageState;
use seawall_store::Ledger;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::link::Link;
use super::node::document;
use super::world::{Bug, World, finish};

/// By node, where receipts and inbound messages go.
pub type Echoes = Arc<Mutex<Vec<(usize, mpsc::Sender<Echoed>)>>>;

/// How often a provider tries to hand something on.
const TRIES: u32 = 30;

/// Hands an echo to any node that runs, until one says that it is kept.
pub async fn hand_on(world: &World, echoes: &Echoes, echo: Echo) -> bool {
    for _ in 0..TRIES {
        let all = echoes.lock().unwrap().clone();
        let up: Vec<_> = all.iter().filter(|(node, _)| world.nodes()[*node].up).collect();
        if let Some((_, to)) = world.draw(|rng| rng.pick(&up).copied().cloned()) {
            let (echoed, kept) = Echoed::new("sandbox", echo.clone());
            if to.try_send(echoed).is_ok() && timeout(Duration::from_secs(5), kept).await == Ok(true) {
                return true;
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    false
}

/// The provider as one node reaches it.
pub struct Provider {
    pub link: Link,
    /// Where receipts go: any node may get them.
    pub echoes: Echoes,
}

impl Provider {
    fn arrives(&self, id: Id, text: &str) {
        let world = &self.link.world;
        let state = finish(world.store.message(None, id)).unwrap().map(|message| message.state);
        world.tell(|| format!("{} arrives from node {}", id.row(), self.link.node));
        let at = world.elapsed();
        let written = matches!(state, Some(MessageState::Submitting | MessageState::Unknown));
        world.oracle().require(written, at, || format!("{} left while it was {state:?}", id.row()));
        world.oracle().arrives(at, id, text);
    }

    fn receipt(&self, id: Id) {
        let (world, echoes) = (self.link.world.clone(), self.echoes.clone());
        let (after, twice, failed) = world.draw(|rng| (rng.below(5_000), rng.chance(0.1), rng.chance(0.1)));
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(after)).await;
            for _ in 0..=u8::from(twice) {
                let state = if failed { ReceiptState::Failed } else { ReceiptState::Delivered };
                let receipt = Receipt {
                    reference: id.show(IdKind::Message),
                    state,
                    class: failed.then_some(ErrorClass::Unknown),
                    code: None,
                    at: None,
                };
                hand_on(&world, &echoes, Echo::Receipt(receipt)).await;
            }
        });
    }
}

#[async_trait]
impl Connector for Provider {
    async fn submit(&self, message: &Outgoing) -> Submission {
        self.link.alive().await;
        let world = &self.link.world;
        let id = Id::parse(IdKind::Message, &message.id).unwrap();
        let (kind, delay) = world.draw(|rng| (rng.below(100), rng.below(60)));
        // A provider that is never there keeps a message waiting for ever, and rightly; what waits is counted when all is calm.
        let kind = if world.is_unwilling() { kind } else { kind.max(8) };
        if kind < 4 {
            return Submission::Unreachable { detail: "not connected".to_owned() };
        }
        tokio::time::sleep(Duration::from_millis(delay)).await;
        self.link.alive().await;
        if kind < 8 {
            return Submission::Throttled { retry_after: Duration::from_secs(1) };
        }
        if kind < 12 {
            return Submission::Refused { class: ErrorClass::Unknown, detail: String::new() };
        }
        if kind < 15 {
            // Bytes left, and nobody has them.
            tokio::time::sleep(Duration::from_secs(10)).await;
            self.link.alive().await;
            return Submission::Unknown { detail: "no answer".to_owned() };
        }
        self.arrives(id, message.text.reveal());
        if world.is(Bug::NumberLogged) {
            tracing::info!(to = message.to.reveal(), "submitted");
        }
        if world.is(Bug::TextKept) {
            // The name of a document stands in clear, its body does not.
            let name = format!("{} {} {}", message.text.reveal(), message.id, world.time().as_millis());
            document(world, "drafts", &name, serde_json::json!({}));
        }
        let late = match kind {
            0..25 => Duration::from_secs(10),
            25..35 => Duration::from_millis(world.below(4_000)),
            _ => Duration::from_millis(delay),
        };
        if kind < 95 {
            self.receipt(id);
        }
        tokio::time::sleep(late).await;
        self.link.alive().await;
        if kind < 25 {
            return Submission::Unknown { detail: "no answer".to_owned() };
        }
        Submission::Accepted { reference: Some(id.show(IdKind::Message)), delivered: false }
    }

    fn health(&self) -> Health {
        Health::Up
    }
}
