//! What goes on while counters that nodes share do not answer: nothing, or, where the operator chose so, limits that
//! each node counts for itself. Money and codes never do without.

use seawall_core::limit::{Charge, ChargeKind, Charged, Counts};
use seawall_core::policy::Policy;
use seawall_core::time::Timestamp;
use seawall_core::window::Rule;
use seawall_store::memory::MemoryCounters;
use seawall_store::{Counters, Result, StoreError};

use super::App;
use crate::config::{LossClass, OnLoss};

/// Windows of this node alone. They stay when the counters are back, so that a server that comes and goes does not
/// open them anew each time: in any span of a window nodes let through at most one quota more.
#[derive(Default)]
pub struct Without(MemoryCounters);

/// Charges what may go on without the counters; the error when something may not.
pub async fn charge(
    app: &App,
    policy: &Policy,
    all: &[Charge],
    sends: bool,
    now: Timestamp,
    error: StoreError,
) -> Result<Charged> {
    let config = &app.config.counters;
    let open = |charge: &Charge| is_open(policy, &config.allow_on_loss, charge);
    if config.on_loss == OnLoss::Refuse || !all.iter().filter(|charge| charge.enforced).all(open) {
        return Err(error);
    }
    let nodes = app.store.counters.nodes().max(1);
    let enforced =
        all.iter().filter(|charge| charge.enforced && !matches!(charge.kind, ChargeKind::Budget(_)));
    let shares: Vec<Charge> = enforced.map(|charge| share(charge, nodes)).collect();
    if !sends {
        return app.without_counters.0.note(&shares, 1, now).await;
    }
    let charged = app.without_counters.0.charge(&shares, 1, now).await?;
    if !charged.refused() {
        app.store.counters.bypassed();
    }
    Ok(charged)
}

/// Whether the operator lets this go on.
fn is_open(policy: &Policy, classes: &[LossClass], charge: &Charge) -> bool {
    match charge.kind {
        ChargeKind::Limit(position) => policy.limits.get(position).is_some_and(|limit| {
            let parts = limit.per.parts();
            limit.counts != Counts::Failures
                && parts.iter().all(|per| classes.contains(&LossClass::Per(*per)))
        }),
        ChargeKind::BackOff => classes.contains(&LossClass::BackOff),
        ChargeKind::Budget(_) => false,
        ChargeKind::ApiRate => true,
    }
}

/// The same with the share of one node.
fn share(charge: &Charge, nodes: u32) -> Charge {
    let mut share = charge.clone();
    match &mut share.rule {
        Rule::Window { quota, .. } | Rule::BackOff { quota, .. } | Rule::Rate { quota, .. } => {
            *quota /= nodes
        }
        Rule::Sum { quota, .. } => *quota /= u64::from(nodes),
    }
    share
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use seawall_core::limit::Per;
    use seawall_core::policy::built_in_limits;

    use super::*;

    #[test]
    fn only_the_classes_of_the_configuration_go_on_and_never_money_or_wrong_codes() {
        let policy = Policy { limits: built_in_limits(), ..Policy::default() };
        let named = |name: &str| policy.limits.iter().position(|limit| limit.name.ends_with(name)).unwrap();
        let charge = |kind| Charge { kind, ..Charge::rate(1, 9, Duration::from_secs(60)) };
        let classes = [LossClass::Per(Per::ClientIp), LossClass::Per(Per::Network)];
        let open = |kind| is_open(&policy, &classes, &charge(kind));
        assert!(open(ChargeKind::Limit(named("in client-ip"))));
        assert!(!open(ChargeKind::Limit(named("in msisdn"))));
        assert!(!open(ChargeKind::Limit(named("wrong-codes-client-ip"))));
        assert!(!open(ChargeKind::BackOff) && !open(ChargeKind::Budget(0)));
        assert!(is_open(&policy, &[LossClass::BackOff], &charge(ChargeKind::BackOff)));
        assert_eq!(share(&charge(ChargeKind::ApiRate), 4).rule.quota(), 2);
    }
}
