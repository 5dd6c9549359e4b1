//! What the store for several nodes makes good by itself: messages that nobody knows of, or that nobody sends.

use std::time::Duration;

use seawall_core::id::Id;
use seawall_core::message::MessageState;
use seawall_core::time::Timestamp;
use seawall_store::records::{Again, Change, MessageRecord, Moved};
use seawall_store::{Ledger, Result};

use super::link::Link;
use super::world::{Bug, World, finish};

/// How a message stood: its state, and where that matters, since when.
pub type Stood = (Id, MessageState, Option<Timestamp>);

/// A change that the store makes by itself. What goes back to the queue is due when it was.
fn moved(message: &MessageRecord, state: MessageState, at: Timestamp) -> Change {
    let again = Again { due: message.due.unwrap_or(at), was: message.due };
    Change {
        id: message.id,
        state: Some(state),
        attempt: None,
        error: None,
        outcome: None,
        at,
        hooks: Vec::new(),
        again: (state == MessageState::Queued).then_some(again),
    }
}

impl Link {
    /// What was written and its caller was told to have failed is marked as failed before it is sent.
    pub fn disown(&self, born: Vec<Stood>) {
        let express = born.iter().filter(|(_, state, _)| *state == MessageState::Submitting);
        // What waits in the queue may have been taken out of it before anybody could know.
        self.world.oracle().refused.extend(express.map(|(id, ..)| *id));
        let resend = self.world.is(Bug::RefusedIsSent);
        let (from, to) =
            if resend { (None, MessageState::Queued) } else { (Some(born), MessageState::Failed) };
        let born = from.unwrap_or_else(|| {
            self.world.oracle().refused.iter().map(|id| (*id, MessageState::Submitting, None)).collect()
        });
        self.mend(born, to);
    }

    /// What was claimed and is sent by nobody goes back to the queue.
    pub fn give_back(&self, taken: Vec<Stood>) {
        self.mend(taken, MessageState::Queued);
    }

    /// Moves messages that still stand where they stood to a state, as soon as the ledger answers.
    fn mend(&self, from: Vec<Stood>, to: MessageState) {
        let link = self.clone();
        tokio::spawn(async move {
            link.wait(Duration::from_millis(500)).await;
            let work = |world: &World| {
                let lease = world.nodes()[link.node].lease;
                let standing = |(id, state, since): &Stood| {
                    let ours = *state != MessageState::Submitting || world.owners().get(id).copied() == lease;
                    let found = finish(world.store.message(None, *id)).ok().flatten();
                    let stands = |message: &MessageRecord| {
                        let changed = message.progress.changed_at;
                        let as_claimed = since.is_none_or(|since| changed == Some(since));
                        ours && message.state == *state && as_claimed
                    };
                    found.filter(stands)
                };
                let now = world.time();
                let changes =
                    from.iter().filter_map(standing).map(|message| moved(&message, to, now)).collect();
                let moved = finish(world.store.settle(changes))?;
                for one in &moved {
                    world.tell(|| format!("node {} mends {}: {}", link.node, one.id.row(), to.as_str()));
                }
                Ok(())
            };
            while link.ledger(work).await.is_err() {
                link.wait(Duration::from_millis(500)).await;
            }
        });
    }

    /// Marks what these leases were submitting.
    pub fn orphans(&self, world: &World, gone: impl Fn(u64) -> bool, now: Timestamp) -> Result<Vec<Moved>> {
        let mut owners = world.owners();
        let ids: Vec<Id> = owners.iter().filter(|(_, lease)| gone(**lease)).map(|(id, _)| *id).collect();
        ids.iter().for_each(|id| {
            owners.remove(id);
        });
        drop(owners);
        let resend = world.is(Bug::ResendUnknown);
        let state = if resend { MessageState::Queued } else { MessageState::Unknown };
        let submitting = |id: &Id| {
            let found = finish(world.store.message(None, *id)).ok().flatten();
            found.filter(|message| message.state == MessageState::Submitting)
        };
        let changes = ids.iter().filter_map(submitting).map(|message| moved(&message, state, now)).collect();
        let moved = finish(world.store.settle(changes))?;
        if !moved.is_empty() {
            world.tell(|| format!("node {} marks {} orphans", self.node, moved.len()));
        }
        Ok(moved)
    }
}
