//! Webhook deliveries: at least once, with one id over all tries, and fair between receivers. A slow
//! receiver has a few connections of its own and a line of its own; the others do not notice it.
//!
//! A try that fails is repeated after 1, 10, 30 and 90 seconds of the gateway's time, then given up. A
//! receiver that answers 410 is not asked again for that event. What belongs to a webhook that was deleted
//! or switched off is dropped.

mod call;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use seawall_core::id::Id;
use seawall_store::records::HookDelivery;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::egress::{self, Rules};
use crate::app::App;
use crate::app::hooks::event_id;
pub use call::headers;
use call::{Outcome, Tokens};

/// Pauses after the first, second, … failed try.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(30), Duration::from_secs(90)];
/// Connections to one receiver at a time.
const PER_ENDPOINT: usize = 8;
/// Connections in all.
const IN_ALL: usize = 512;
/// Deliveries in line for one receiver; the rest stays in the store.
const IN_LINE: usize = 1_000;
/// Deliveries in memory.
const HELD: usize = 10_000;
/// Taken from the store at a time.
const AT_A_TIME: usize = 256;
/// How long the store keeps a delivery to itself after it gave it out. Short, because the embedded store also
/// holds back for so long what it was asked for a moment before its commit; what is in line or under way here
/// is known by its id and not taken twice.
const LEASE: Duration = Duration::from_secs(3);
/// The same where nodes share the store: what one holds no other may deliver, so it is more than a try takes.
const SHARED_LEASE: Duration = Duration::from_secs(60);
/// How often the store is looked at when nothing wakes us. Retries are due by the gateway's clock, which
/// the sandbox moves.
const TICK: Duration = Duration::from_millis(250);

/// What a delivery needs.
struct Courier {
    app: Arc<App>,
    client: Client,
    rules: Rules,
    tokens: Tokens,
}

/// Delivers until told to stop; what is under way then ends or is left to the next start.
pub async fn run(app: Arc<App>, mut shutdown: watch::Receiver<bool>) {
    let rules = Rules::of(&app.config);
    let client = match egress::client(rules) {
        Ok(client) => client,
        Err(error) => return tracing::error!(error, "webhooks are not delivered"),
    };
    let courier = Arc::new(Courier { app: app.clone(), client, rules, tokens: Tokens::default() });
    let mut desk = Desk::default();
    let mut under_way = JoinSet::new();
    loop {
        let more = desk.fetch(&app).await;
        desk.dispatch(&courier, &mut under_way);
        let pause = if more { Duration::from_millis(5) } else { TICK };
        tokio::select! {
            _ = shutdown.changed() => break,
            Some(done) = under_way.join_next() => {
                if let Ok((endpoint, id)) = done {
                    desk.done(&endpoint, id);
                }
            }
            () = app.hook_work.notified() => {}
            () = app.clock.moved.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    let _ =
        tokio::time::timeout(egress::TIMEOUT, async { while under_way.join_next().await.is_some() {} }).await;
}

/// Who waits for whom.
#[derive(Default)]
struct Desk {
    endpoints: HashMap<String, Endpoint>,
    held: HashSet<Id>,
    active: usize,
}

#[derive(Default)]
struct Endpoint {
    waiting: VecDeque<HookDelivery>,
    active: usize,
}

impl Desk {
    /// Takes what is due. True if there may be more.
    async fn fetch(&mut self, app: &App) -> bool {
        if self.held.len() >= HELD {
            return false;
        }
        let lease = if app.store.ledger.is_shared() { SHARED_LEASE } else { LEASE };
        let now = app.now();
        match app.store.ledger.due_hooks(now, now.plus(lease), AT_A_TIME).await {
            Ok(due) => {
                let full = due.len() == AT_A_TIME;
                due.into_iter().for_each(|hook| self.line_up(hook));
                full
            }
            Err(error) => {
                tracing::error!(%error, "webhook deliveries could not be read; trying again");
                false
            }
        }
    }

    /// What finds its line full stays in the store and comes up again when its lease ends.
    fn line_up(&mut self, hook: HookDelivery) {
        let endpoint = self.endpoints.entry(call::endpoint(&hook.url)).or_default();
        if endpoint.waiting.len() < IN_LINE && self.held.insert(hook.id) {
            endpoint.waiting.push_back(hook);
        }
    }

    /// The next delivery that may go, and to whom.
    fn next(&mut self) -> Option<(String, HookDelivery)> {
        if self.active >= IN_ALL {
            return None;
        }
        let free = |e: &Endpoint| e.active < PER_ENDPOINT && !e.waiting.is_empty();
        let (name, endpoint) = self.endpoints.iter_mut().find(|(_, e)| free(e))?;
        let hook = endpoint.waiting.pop_front()?;
        endpoint.active += 1;
        self.active += 1;
        Some((name.clone(), hook))
    }

    fn dispatch(&mut self, courier: &Arc<Courier>, under_way: &mut JoinSet<(String, Id)>) {
        while let Some((endpoint, hook)) = self.next() {
            let courier = courier.clone();
            under_way.spawn(async move {
                let id = hook.id;
                courier.deliver(hook).await;
                (endpoint, id)
            });
        }
    }

    fn done(&mut self, name: &str, id: Id) {
        self.held.remove(&id);
        self.active = self.active.saturating_sub(1);
        if let Some(endpoint) = self.endpoints.get_mut(name) {
            endpoint.active = endpoint.active.saturating_sub(1);
            if endpoint.active == 0 && endpoint.waiting.is_empty() {
                self.endpoints.remove(name);
            }
        }
    }
}

impl Courier {
    async fn deliver(&self, hook: HookDelivery) {
        let call =
            call::Call { app: &self.app, client: &self.client, rules: self.rules, tokens: &self.tokens };
        let outcome = call.make(&hook).await;
        let again_at = match &outcome {
            Outcome::Failed(_) => {
                PAUSES.get(usize::from(hook.tries)).map(|pause| self.app.now().plus(*pause))
            }
            Outcome::Done | Outcome::Over(_) => None,
        };
        self.report(&hook, &outcome, again_at.is_some());
        if let Err(error) = self.app.store.ledger.settle_hook(hook.id, again_at).await {
            // It comes back when its lease ends: twice is better than never.
            tracing::error!(%error, event = event_id(hook.id), "a webhook delivery could not be settled");
        }
    }

    /// The host is logged; the rest of the URL may hold a secret.
    fn report(&self, hook: &HookDelivery, outcome: &Outcome, again: bool) {
        let (event, endpoint) = (event_id(hook.id), call::endpoint(&hook.url));
        match outcome {
            Outcome::Done => tracing::debug!(event, endpoint, "webhook delivered"),
            Outcome::Failed(why) if again => {
                tracing::debug!(event, endpoint, why, "webhook failed; it is tried again")
            }
            Outcome::Failed(why) | Outcome::Over(why) => {
                tracing::warn!(event, endpoint, why, tries = u16::from(hook.tries) + 1, "webhook given up");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_core::time::Timestamp;

    fn hook(n: u64, url: &str) -> HookDelivery {
        HookDelivery {
            id: Id::new(1, n),
            url: url.to_owned(),
            webhook: None,
            subaccount: "acme".to_owned(),
            body: String::new(),
            tries: 0,
            due: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn a_slow_receiver_does_not_take_the_place_of_others() {
        let mut desk = Desk::default();
        for n in 0..900 {
            desk.line_up(hook(n, "https://slow.example/x?secret"));
        }
        desk.line_up(hook(5000, "https://quick.example/"));
        let mut begun = Vec::new();
        while let Some((endpoint, _)) = desk.next() {
            begun.push(endpoint);
        }
        assert_eq!(begun.len(), PER_ENDPOINT + 1);
        assert_eq!(begun.iter().filter(|e| e.contains("quick")).count(), 1);
        assert!(begun.iter().all(|e| !e.contains("secret")));
    }

    #[test]
    fn the_line_is_bounded_and_nothing_is_held_twice() {
        let mut desk = Desk::default();
        for n in 0..3_000 {
            desk.line_up(hook(n % 2_000, "https://slow.example/"));
        }
        assert_eq!(desk.held.len(), IN_LINE);
        let (endpoint, first) = desk.next().unwrap();
        desk.line_up(first.clone());
        assert_eq!(desk.held.len(), IN_LINE, "what is under way is not lined up again");
        desk.done(&endpoint, first.id);
        assert_eq!(desk.held.len(), IN_LINE - 1);
    }

    #[test]
    fn the_pauses_are_those_that_8x8_documents() {
        assert_eq!(PAUSES.map(|p| p.as_secs()), [1, 10, 30, 90]);
    }
}
