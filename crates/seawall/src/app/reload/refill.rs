//! Windows are filled from the ledger: all of them at a start, those of a new or changed limit when it comes
//! in force. A limit is exact from its first request, and a restart forgives nobody.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use seawall_core::blind::BlindIndex;
use seawall_core::limit::{Charge, Counts, Limit, Mode, WIDE_FACTOR, back_off_charge};
use seawall_core::policy::{BACK_OFF_WINDOW, Policy};
use seawall_core::request::Operation;
use seawall_core::time::{Timestamp, span};
use seawall_core::window::Rule;
use seawall_store::{PastCharge, StoreError};

use super::super::App;
use super::super::snapshot::Snapshot;

/// What of a policy is to be filled.
struct Wanted {
    /// Ids of limits, as the policy has them.
    limits: HashSet<String>,
    back_off: bool,
}

impl Wanted {
    /// All that counts sends.
    fn all(policy: &Policy) -> Self {
        let limits = policy.limits.iter().filter(|l| counts_sends(l)).map(|l| l.id.clone());
        Wanted { limits: limits.collect(), back_off: policy.backoff.mode != Mode::Off }
    }

    /// What counted nothing, or something else, until now.
    fn fresh(old: &Policy, new: &Policy) -> Self {
        let mut wanted = Self::all(new);
        for known in &Self::all(old).limits {
            wanted.limits.remove(known);
        }
        wanted.back_off &= old.backoff.mode == Mode::Off;
        wanted
    }

    fn is_empty(&self) -> bool {
        self.limits.is_empty() && !self.back_off
    }

    fn longest(&self, policy: &Policy) -> Duration {
        let limits = policy.limits.iter().filter(|l| self.limits.contains(&l.id)).map(|l| l.window);
        limits.chain(self.back_off.then_some(BACK_OFF_WINDOW)).max().unwrap_or_default()
    }

    /// The windows that a past send belongs to.
    fn charges(&self, policy: &Policy, past: &PastCharge, index: &BlindIndex) -> Vec<Charge> {
        let Some(operation) = Operation::from_u8(past.dimensions.op) else { return Vec::new() };
        let counted = policy.limits.iter().enumerate();
        let counted =
            counted.filter(|(_, l)| self.limits.contains(&l.id) && l.applies(operation, &past.subaccount));
        let mut charges: Vec<Charge> =
            counted.flat_map(|(position, limit)| limit.charges(position, &past.dimensions, index)).collect();
        if self.back_off && !past.confirmed && operation == Operation::VerifyStart {
            charges.push(back_off(policy, past, index));
        }
        charges
    }
}

fn counts_sends(limit: &Limit) -> bool {
    limit.counts == Counts::Sends && limit.mode != Mode::Off
}

fn back_off(policy: &Policy, past: &PastCharge, index: &BlindIndex) -> Charge {
    let rule = &policy.backoff;
    let enforced = rule.mode == Mode::Enforce;
    back_off_charge(
        &past.dimensions,
        index,
        rule.delays.clone(),
        rule.max_unconfirmed,
        BACK_OFF_WINDOW,
        enforced,
    )
}

/// Gives a limit, in the policy, an id that says what it counts: a limit that counts something else has
/// windows of its own, which nobody uses while they are filled. Windows that count requests cannot be filled
/// for another quota or span (the ledger holds their keys, not what they counted), so these keep theirs.
pub(super) fn named_by_shape(mut limit: Limit, index: &BlindIndex) -> Limit {
    let mut shape =
        format!("{:?} {:?} {:?} {:?}", limit.per, limit.digits, limit.subaccount_id, limit.applies_to);
    if limit.counts == Counts::Sends {
        shape.push_str(&format!(" sends {} {}", limit.quota, span::format(limit.window)));
    }
    limit.id = format!("{}~{:016x}", limit.id, index.text(b'l', &shape));
    limit
}

/// Fills all windows at a start: those that count sends from what was sent, those that count requests from
/// the checkpoints.
pub async fn refill(app: &App) -> Result<(), StoreError> {
    let policy = app.snapshot.load().policy.clone();
    let wanted = Wanted::all(&policy);
    let now = app.now();
    fill(app, &policy, &wanted, (now.minus(wanted.longest(&policy)), Timestamp::MAX)).await?;
    fill_requests(app, &policy, now).await
}

/// Swaps the snapshot, after filling what is new in it. Sends that are accepted between the filling and the
/// swap are filled in right after it; one that is under way in that very millisecond may be missed or
/// counted twice. An error means that nothing was swapped.
pub(super) async fn swap(app: &App, old: &Snapshot, new: Snapshot) -> Result<(), StoreError> {
    let policy = new.policy.clone();
    let first = old.account.is_none() && old.policy.version == 0;
    let wanted = Wanted::fresh(&old.policy, &policy);
    if first || wanted.is_empty() {
        app.snapshot.store(Arc::new(new));
        return Ok(());
    }
    let begun = app.now();
    let from = begun.minus(wanted.longest(&policy));
    // A limit that was off for a while, or changed and changed back, has old windows: away with them.
    clear(app, &policy, &wanted, from).await?;
    fill(app, &policy, &wanted, (from, begun)).await?;
    let swapped = app.now();
    app.snapshot.store(Arc::new(new));
    if let Err(error) = fill(app, &policy, &wanted, (begun.plus(Duration::from_millis(1)), swapped)).await {
        tracing::error!(%error, "a new limit may have missed what was sent while it came in force");
    }
    Ok(())
}

async fn clear(app: &App, policy: &Policy, wanted: &Wanted, from: Timestamp) -> Result<(), StoreError> {
    let index = app.store.vault.index();
    let mut keys = HashSet::new();
    let mut note = |past: PastCharge| keys.extend(wanted.charges(policy, &past, index).iter().map(|c| c.key));
    app.store.ledger.past_charges(from, &mut note).await?;
    let keys: Vec<u64> = keys.into_iter().collect();
    app.store.counters.clear(&keys).await
}

/// Walks what was sent within `span` (both ends included) and charges it to the wanted windows.
async fn fill(
    app: &App,
    policy: &Policy,
    wanted: &Wanted,
    (from, until): (Timestamp, Timestamp),
) -> Result<(), StoreError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let (index, now) = (app.store.vault.index(), app.now());
    let (mut waiting, mut failed) = (Vec::new(), None);
    let mut each = |past: PastCharge| {
        if past.at < from || past.at > until {
            return;
        }
        for charge in wanted.charges(policy, &past, index) {
            // Counters in memory answer at once, so that years of traffic need no list of charges.
            match app.store.counters.fill(&charge, past.at, now).now_or_never() {
                Some(Ok(())) => {}
                Some(Err(error)) => failed = Some(error),
                None => waiting.push((charge, past.at)),
            }
        }
    };
    app.store.ledger.past_charges(from, &mut each).await?;
    for (charge, at) in waiting {
        app.store.counters.fill(&charge, at, now).await?;
    }
    failed.map_or(Ok(()), Err)
}

/// Windows that count requests. A checkpoint has a window's key and not its limit, so each is filled under
/// the widest of their rules: counters keep the instants, and the next charge under the window's own rule
/// drops what that rule does not count.
async fn fill_requests(app: &App, policy: &Policy, now: Timestamp) -> Result<(), StoreError> {
    let counting = || policy.limits.iter().filter(|l| l.counts == Counts::Requests && l.mode != Mode::Off);
    let Some(window) = counting().map(|l| l.window).max() else { return Ok(()) };
    let quota = counting().map(|l| l.quota.saturating_mul(WIDE_FACTOR)).max().unwrap_or(1);
    for (key, at) in app.store.ledger.past_checkpoints(now.minus(window)).await? {
        let rule = Rule::Window { quota, window };
        let charge = Charge { key, rule, always: true, enforced: false, limit: None };
        app.store.counters.fill(&charge, at, now).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_core::policy::built_in_limits;

    fn policy(change: impl Fn(&mut Limit)) -> Policy {
        let index = BlindIndex::new([7; 16]);
        let changed = |mut limit: Limit| {
            change(&mut limit);
            named_by_shape(limit, &index)
        };
        Policy { limits: built_in_limits().into_iter().map(changed).collect(), ..Policy::default() }
    }

    #[test]
    fn only_what_counts_differently_is_fresh() {
        let old = policy(|_| {});
        let fresh = |change: &dyn Fn(&mut Limit)| Wanted::fresh(&old, &policy(change)).limits.len();
        assert_eq!(fresh(&|_| {}), 0);
        assert_eq!(fresh(&|l| l.name.push('!')), 0);
        assert_eq!(fresh(&|l| l.mode = Mode::Shadow), 0);
        assert_eq!(fresh(&|l| l.mode = Mode::Off), 0);
        assert_eq!(fresh(&|l| l.quota += 1), 3);
        assert_eq!(fresh(&|l| l.window *= 2), 3);
        assert_eq!(fresh(&|l| l.counts = Counts::Requests), 0, "requests are not in the ledger");
        let off = policy(|l| l.mode = Mode::Off);
        assert_eq!(Wanted::fresh(&off, &old).limits.len(), 3, "it counted nothing while it was off");
    }

    #[test]
    fn back_off_is_fresh_when_it_comes_on() {
        let on = policy(|_| {});
        let mut off = policy(|_| {});
        off.backoff.mode = Mode::Off;
        assert!(!Wanted::fresh(&on, &on).back_off && !Wanted::fresh(&on, &off).back_off);
        let wanted = Wanted::fresh(&off, &on);
        assert!(wanted.back_off && !wanted.is_empty());
        assert_eq!(wanted.longest(&on), BACK_OFF_WINDOW);
    }

    #[test]
    fn windows_of_requests_survive_a_new_quota() {
        let counting = |quota| policy(move |l| (l.counts, l.quota) = (Counts::Requests, quota));
        assert_eq!(counting(5).limits[0].id, counting(6).limits[0].id);
    }
}
