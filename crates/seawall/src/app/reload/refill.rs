//! Windows are filled from the ledger: all of them at a start, those of a new or changed limit when it comes
//! in force. A limit is exact from its first request, and a restart forgives nobody.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use seawall_core::address::MOST_WIDENED;
use seawall_core::blind::BlindIndex;
use seawall_core::limit::{Charge, ChargeKind, Counts, Limit, Mode, WIDE_FACTOR};
use seawall_core::policy::Policy;
use seawall_core::request::Operation;
use seawall_core::time::{Timestamp, span};
use seawall_core::window::Rule;
use seawall_store::{PastCharge, StoreError};

use super::super::App;
use super::super::snapshot::Snapshot;
use super::wanted::Wanted;

/// After a loss: how long until what was charged before is in the ledger. Requests under way end, or look at the windows
/// once more (see [`in_time`](crate::app::in_time)), and allows and request windows are written each second.
const SETTLE: Duration = Duration::from_millis(2_500);

/// Gives a limit, in the policy, an id that says what it counts: a limit that counts something else has
/// windows of its own, which nobody uses while they are filled. Windows that count requests or wrong codes cannot be filled
/// for another quota or span (the ledger holds their keys, not what they counted), so these keep theirs.
pub fn named_by_shape(mut limit: Limit, index: &BlindIndex) -> Limit {
    let mut shape =
        format!("{:?} {:?} {:?} {:?}", limit.per, limit.digits, limit.subaccount_id, limit.applies_to);
    if let Some(key) = &limit.key {
        shape.push_str(&format!(" key {key}"));
    }
    if limit.counts == Counts::Sends {
        shape.push_str(&format!(" sends {} {}", limit.quota, span::format(limit.window)));
    }
    limit.id = format!("{}~{:016x}", limit.id, index.text(b'l', &shape));
    limit
}

/// Fills all windows at a start: those that count sends from what was sent, those that count requests from
/// the checkpoints.
/// Windows that are whole, in a server that outlived this process, stay as they are.
pub async fn refill(app: &App) -> Result<(), StoreError> {
    // Other nodes may have something under way.
    let whole = !app.store.counters.refills(SETTLE).await?;
    let wanted = |policy: &Policy, index: &BlindIndex| {
        if whole { Wanted::addresses_alone() } else { Wanted::all(policy, index) }
    };
    fill_all(app, wanted, whole).await
}

/// Fills all windows again after they were lost, unless another node does. What is set up does not change
/// meanwhile.
pub async fn refill_lost(app: &App) -> Result<(), StoreError> {
    let _changing = app.reload_lock.lock().await;
    if !app.store.counters.refills(SETTLE).await? {
        return Ok(());
    }
    fill_all(app, Wanted::all, false).await
}

async fn fill_all(
    app: &App,
    wanted: impl FnOnce(&Policy, &BlindIndex) -> Wanted,
    whole: bool,
) -> Result<(), StoreError> {
    let policy = app.snapshot.load().policy.clone();
    let index = app.store.vault.index();
    let wanted = wanted(&policy, index);
    let now = app.now();
    fill(app, &policy, &wanted, (now.minus(wanted.longest(&policy, index)), Timestamp::MAX)).await?;
    if !whole {
        fill_requests(app, &policy, now).await?;
    }
    app.store.counters.filled().await
}

/// The longest window that is filled from what was sent.
pub fn longest(app: &App) -> Duration {
    let (policy, index) = (app.snapshot.load().policy.clone(), app.store.vault.index());
    Wanted::all(&policy, index).longest(&policy, index)
}

/// Swaps the snapshot, after filling what is new in it, unless another node has. Sends that are accepted between the
/// filling and the swap are filled in right after it; one that is under way in that very millisecond may be missed or
/// counted twice. An error means that nothing was swapped.
pub(super) async fn swap(app: &App, old: &Snapshot, new: Snapshot) -> Result<(), StoreError> {
    let policy = new.policy.clone();
    let first = old.account.is_none() && old.policy.version == 0;
    let (index, counters) = (app.store.vault.index(), &app.store.counters);
    let wanted = Wanted::fresh(&old.policy, &policy, index);
    if first || wanted.is_empty() {
        app.snapshot.store(Arc::new(new));
        return Ok(());
    }
    let sets = counters.fresh(&wanted.sets(index), old.policy.version).await?;
    let wanted = wanted.only(&sets, index);
    if wanted.is_empty() {
        app.snapshot.store(Arc::new(new));
        return Ok(());
    }
    let swapped = fill_and_swap(app, &policy, &wanted, new).await;
    let filled = if swapped.is_ok() { &*sets } else { &[] };
    if let Err(error) = counters.fresh_filled(filled, policy.version).await {
        tracing::warn!(%error, "other nodes may fill the windows of a new limit again, and count more than was sent");
    }
    swapped
}

async fn fill_and_swap(app: &App, policy: &Policy, wanted: &Wanted, new: Snapshot) -> Result<(), StoreError> {
    let begun = app.now();
    let from = begun.minus(wanted.longest(policy, app.store.vault.index()));
    super::super::recorder::settled(app).await;
    // A limit that was off for a while, or changed and changed back, has old windows: away with them.
    clear(app, policy, wanted, from).await?;
    fill(app, policy, wanted, (from, begun)).await?;
    app.store.counters.filled().await?;
    let swapped = app.now();
    app.snapshot.store(Arc::new(new));
    let since = fill(app, policy, wanted, (begun.plus(Duration::from_millis(1)), swapped)).await;
    let since = match since {
        Ok(()) => app.store.counters.filled().await,
        Err(error) => Err(error),
    };
    if let Err(error) = since {
        tracing::error!(%error, "a new limit may have missed what was sent while it came in force");
    }
    Ok(())
}

async fn clear(app: &App, policy: &Policy, wanted: &Wanted, from: Timestamp) -> Result<(), StoreError> {
    let index = app.store.vault.index();
    let mut keys = HashSet::new();
    // With the windows of devices at shared addresses, whatever their addresses are now.
    let mut note = |past: PastCharge| {
        keys.extend(wanted.charges(policy, &past, MOST_WIDENED, index).iter().map(|c| c.key))
    };
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
    if wanted.is_empty() && !wanted.addresses() {
        return Ok(());
    }
    let (index, now) = (app.store.vault.index(), app.now());
    let mut failed = None;
    let mut each = |past: PastCharge| {
        if past.at < from || past.at > until {
            return;
        }
        let widened = learn(app, wanted, &past);
        for charge in wanted.charges(policy, &past, widened, index) {
            if let Err(error) = app.store.counters.fill(&charge, past.at, now) {
                failed = Some(error);
            }
        }
    };
    app.store.ledger.past_charges(from, &mut each).await?;
    failed.map_or(Ok(()), Err)
}

/// What was sent teaches its address, when addresses are learned; gives how many times the quota the address
/// may use.
fn learn(app: &App, wanted: &Wanted, past: &PastCharge) -> u32 {
    let Some(ip) = past.dimensions.ip else { return 1 };
    let counters = &app.store.counters;
    if wanted.addresses() && past.dimensions.op == Operation::VerifyStart.as_u8() {
        let confirmed = past.verification.is_some_and(|(_, verified)| verified);
        let noted = counters.note_number(ip, past.dimensions.to, confirmed, past.at).now_or_never();
        if !matches!(noted, Some(Ok(()))) {
            tracing::warn!("an address could not be learned; it keeps the plain quota");
        }
    }
    match counters.address(ip, past.at).now_or_never() {
        Some(Ok(history)) => history.widened(),
        _ => 1,
    }
}

/// Windows that count requests or wrong codes. A checkpoint has a window's key and not its limit, so each is filled under
/// the widest of their rules: counters keep the instants, and the next charge under the window's own rule
/// drops what that rule does not count.
async fn fill_requests(app: &App, policy: &Policy, now: Timestamp) -> Result<(), StoreError> {
    let counting = || policy.limits.iter().filter(|l| l.counts != Counts::Sends && l.mode != Mode::Off);
    let Some(window) = counting().map(|l| l.window).max() else { return Ok(()) };
    let most = WIDE_FACTOR.saturating_mul(MOST_WIDENED);
    let quota = counting().map(|l| l.quota.saturating_mul(most)).max().unwrap_or(1);
    for (key, at) in app.store.ledger.past_checkpoints(now.minus(window)).await? {
        let rule = Rule::window_of(quota, window);
        let charge =
            Charge { key, rule, always: true, enforced: false, kind: ChargeKind::Limit(0), amount: 1 };
        app.store.counters.fill(&charge, at, now)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_core::policy::built_in_limits;

    #[test]
    fn windows_of_requests_and_of_wrong_codes_survive_a_new_quota() {
        let index = BlindIndex::new([7; 16]);
        for counts in [Counts::Requests, Counts::Failures] {
            let id =
                |quota| named_by_shape(Limit { counts, quota, ..built_in_limits().remove(0) }, &index).id;
            assert_eq!(id(5), id(6));
        }
    }
}
