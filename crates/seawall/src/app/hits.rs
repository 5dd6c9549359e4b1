//! How often entries of lists, suspensions and the like were met. Counted in memory and written every few
//! seconds: a crash may lose those, and no request waits for a count.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use seawall_core::decision::Decision;
use seawall_core::facts::Facts;
use seawall_core::list::ListEffect;
use seawall_core::reason::ReasonCode;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::lists::Hits;

use super::App;

/// Counts since the last flush.
#[derive(Default)]
pub struct HitCounts(Mutex<HashMap<String, Hits>>);

impl HitCounts {
    fn held(&self) -> MutexGuard<'_, HashMap<String, Hits>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more request met the thing of this id; `enforced`: with effect.
    pub fn note(&self, id: &str, enforced: bool, at: Timestamp) {
        self.note_many(id, 1, u64::from(enforced), at);
    }

    /// So many more, and so many of them with effect.
    pub fn note_many(&self, id: &str, hits: u64, enforced: u64, at: Timestamp) {
        let mut held = self.held();
        let count =
            held.entry_ref(id).or_insert_with(|| Hits { id: id.to_owned(), hits: 0, enforced: 0, last: at });
        count.hits += hits;
        count.enforced += enforced;
        count.last = count.last.max(at);
    }

    /// What a decision met.
    pub fn count(&self, facts: &Facts, decision: &Decision, at: Timestamp) {
        let in_force = |code: ReasonCode| decision.reasons.iter().any(|r| r.code == code && r.in_force());
        for hit in facts.lists.known().into_iter().flatten() {
            let enforced = match hit.effect {
                ListEffect::Allow => in_force(ReasonCode::AllowEntry),
                ListEffect::Deny => in_force(ReasonCode::DenyEntry),
                ListEffect::Named => false,
            };
            self.note(&hit.entry, enforced, at);
        }
        for reason in decision.reasons.iter().filter(|reason| reason.code == ReasonCode::Suspended) {
            reason.key.iter().for_each(|id| self.note(id, reason.in_force(), at));
        }
    }

    fn add(&self, counts: Vec<Hits>) {
        let mut held = self.held();
        for more in counts {
            match held.get_mut(&more.id) {
                Some(count) => merge(count, &more),
                None => {
                    held.insert(more.id.clone(), more);
                }
            }
        }
    }
}

fn merge(count: &mut Hits, more: &Hits) {
    count.hits += more.hits;
    count.enforced += more.enforced;
    count.last = count.last.max(more.last);
}

/// Writes what came together.
pub async fn flush(app: &App) {
    super::rules::drain(app);
    let counts: Vec<Hits> = app.hits.held().drain().map(|(_, count)| count).collect();
    if counts.is_empty() {
        return;
    }
    if let Err(error) = app.store.directory.note_hits(counts.clone()).await {
        tracing::warn!(%error, "counts of hits could not be written; they are tried again");
        app.hits.add(counts);
    }
}

/// Counts of ids between two, both included: the written ones and those since.
pub async fn between(app: &App, from: &str, to: &str) -> Result<HashMap<String, Hits>, StoreError> {
    let stored = app.store.directory.hits(from, to).await?;
    let mut all: HashMap<String, Hits> = stored.into_iter().map(|count| (count.id.clone(), count)).collect();
    for (id, since) in app.hits.held().iter().filter(|(id, _)| (from..=to).contains(&id.as_str())) {
        match all.get_mut(id) {
            Some(count) => merge(count, since),
            None => {
                all.insert(id.clone(), since.clone());
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_core::facts::Fact;
    use seawall_core::list::{ListHit, ListKind};
    use seawall_core::reason::Reason;

    #[test]
    fn what_was_met_is_counted_and_what_had_effect() {
        let counts = HitCounts::default();
        let at = Timestamp::from_millis(1_700_000_000_000);
        let hit = |entry: &str, effect| ListHit {
            list: "l".to_owned(),
            kind: ListKind::Msisdn,
            effect,
            entry: entry.to_owned(),
        };
        let hits = vec![hit("ent_1", ListEffect::Deny), hit("ent_2", ListEffect::Named)];
        let facts = Facts { lists: Fact::Known(hits), ..Facts::default() };
        let mut decision = Decision::default();
        decision.reasons.push(Reason::new(ReasonCode::DenyEntry, "").about("l"));
        decision
            .reasons
            .push(Reason { overruled: true, ..Reason::new(ReasonCode::Suspended, "").about("sus_1") });
        counts.count(&facts, &decision, at);
        counts.count(&facts, &decision, at);
        let held = counts.held();
        let of = |id: &str| held.get(id).map(|count| (count.hits, count.enforced));
        assert_eq!((of("ent_1"), of("ent_2"), of("sus_1")), (Some((2, 2)), Some((2, 0)), Some((2, 0))));
    }
}
