//! One recorded decision after the other, and what the draft would have made of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use seawall_core::decide::with_rule;
use seawall_core::decision::Verdict;
use seawall_core::id::IdKind;
use seawall_core::limit::Mode;
use seawall_core::reason::ReasonCode;
use seawall_core::recorded::Recorded;
use seawall_core::rule::{Action, Attribute, Envelope, Seen};
use seawall_store::StoreError;
use seawall_store::records::Scanned;

use super::super::rules::is_rule;
use super::Draft;
use super::report::Example;

/// Figures over everything that was seen.
#[derive(Default)]
pub struct Tally {
    pub(super) draft: Option<Arc<Draft>>,
    /// Examples to keep, of each kind.
    pub(super) keep: usize,
    /// Requests that the rule would have been asked about.
    pub(super) requests: u64,
    /// What only asked.
    pub(super) dry_runs: u64,
    /// Records whose facts are not understood.
    pub(super) unreadable: u64,
    /// Samples that stand for more than themselves, and for how many.
    pub(super) samples: (u64, u64),
    pub(super) matched: u64,
    /// Matches that stand for more than themselves.
    pub(super) matched_samples: u64,
    /// Matches whose verdict it would have decided, alone or with others.
    pub(super) effective: u64,
    /// Those among them that were decided as strictly without it.
    pub(super) by_others: u64,
    /// Matches that something else lifts.
    pub(super) lifted: u64,
    /// Matches whose verdict it would have changed.
    pub(super) changed: u64,
    /// Messages that would not have been sent and were confirmed later.
    pub(super) confirmed: u64,
    /// What they would have cost, by currency.
    pub(super) avoided: BTreeMap<String, i64>,
    /// Messages that would not have been sent and whose price is not known.
    pub(super) unpriced: u64,
    /// By attribute: how often it was missing, and how often it was not recorded at all.
    pub(super) missed: Vec<(u64, u64)>,
    pub(super) wrongly: Vec<Example>,
    pub(super) others: Vec<Example>,
}

impl Tally {
    /// Nothing seen yet. `keep`: examples of each kind that are kept.
    pub fn new(draft: Draft, keep: usize) -> Self {
        let missed = vec![(0, 0); draft.program.attributes().len()];
        Tally { draft: Some(Arc::new(draft)), keep, missed, ..Tally::default() }
    }

    /// One more.
    pub fn see(&mut self, scanned: &Scanned<'_>) -> Result<(), StoreError> {
        let Some(draft) = self.draft.clone() else { return Ok(()) };
        let own = draft.subaccount.as_deref().is_none_or(|own| own == scanned.subaccount);
        if !own || !draft.program.covers(scanned.operation) {
            return Ok(());
        }
        if scanned.dry_run {
            self.dry_runs += scanned.count;
            return Ok(());
        }
        self.requests += scanned.count;
        if scanned.count > 1 {
            self.samples.0 += 1;
            self.samples.1 += scanned.count;
        }
        let Ok(facts) = serde_json::from_str::<Recorded<'_>>(scanned.facts) else {
            self.unreadable += scanned.count;
            return Ok(());
        };
        let seen = Seen::recorded(envelope(scanned), facts);
        let outcome = draft.program.run(&seen);
        if outcome.missing != 0 {
            self.miss(&draft, &seen, outcome.missing, scanned.count);
        }
        if outcome.matched { self.matched(&draft, &seen, scanned) } else { Ok(()) }
    }

    fn miss(&mut self, draft: &Draft, seen: &Seen<'_>, missing: u64, count: u64) {
        let all = draft.program.attributes().iter().zip(&mut self.missed).enumerate();
        for (bit, (attribute, (missed, unrecorded))) in all {
            if u32::try_from(bit).is_ok_and(|bit| missing.checked_shr(bit).unwrap_or(0) & 1 == 1) {
                let recorded = seen.is_recorded(attribute);
                *(if recorded { missed } else { unrecorded }) += count;
            }
        }
    }

    fn matched(&mut self, draft: &Draft, seen: &Seen<'_>, scanned: &Scanned<'_>) -> Result<(), StoreError> {
        let mine = draft.action.reason();
        let foreign = |code: ReasonCode, key: Option<&str>| !is_rule(code) || key != draft.name.as_deref();
        let codes = scanned.reasons.iter().filter(|r| r.mode == Mode::Enforce && foreign(r.code, r.key));
        let effect = with_rule(codes.map(|r| r.code), mine);
        let count = scanned.count;
        self.matched += count;
        self.matched_samples += u64::from(count > 1);
        self.lifted += if effect.lifted { count } else { 0 };
        self.changed += if effect.with != effect.without { count } else { 0 };
        let decisive = match draft.action {
            Action::Allow => effect.without > Verdict::Allow && effect.with == Verdict::Allow,
            _ => !effect.lifted,
        };
        if decisive {
            self.effective += count;
            self.by_others += if effect.without >= mine.verdict() { count } else { 0 };
        }
        let stopped = decisive && scanned.sent && mine.verdict() > Verdict::Allow;
        let confirmed = stopped && scanned.later.confirmed()?;
        if stopped {
            self.confirmed += if confirmed { count } else { 0 };
            self.save(draft, scanned);
        }
        self.keep(seen, scanned, effect.with, confirmed)
    }

    /// What is sent over another channel costs something too.
    fn save(&mut self, draft: &Draft, scanned: &Scanned<'_>) {
        match scanned.price {
            _ if draft.action == Action::Alternative => {}
            Some((micros, currency)) => match self.avoided.get_mut(currency) {
                Some(sum) => *sum = sum.saturating_add(micros),
                None => drop(self.avoided.insert(currency.to_owned(), micros)),
            },
            None => self.unpriced += scanned.count,
        }
    }

    fn keep(
        &mut self,
        seen: &Seen<'_>,
        scanned: &Scanned<'_>,
        with: Verdict,
        confirmed: bool,
    ) -> Result<(), StoreError> {
        let list = if confirmed { &mut self.wrongly } else { &mut self.others };
        if list.len() >= self.keep {
            return Ok(());
        }
        list.push(Example {
            decision_id: scanned.later.id()?.show(IdKind::Decision),
            at: scanned.at,
            operation: scanned.operation,
            subaccount_id: scanned.subaccount.to_owned(),
            to: format!("+{}xxxx", scanned.block),
            country: seen.facts.country.as_str().to_owned(),
            client_ip: scanned.client_ip.map(|ip| ip.to_string()),
            verdict: scanned.verdict.as_str(),
            with_rule: with.as_str(),
            later_verified: confirmed,
            price: scanned.price.map(|(micros, _)| micros),
            currency: scanned.price.map(|(_, currency)| currency.to_owned()),
            reasons: scanned.reasons.iter().map(|r| r.code.as_str().to_owned()).collect(),
            count: scanned.count,
        });
        Ok(())
    }

    /// Attributes that were missing and attributes that were not recorded, each with how often.
    pub(super) fn missing(&self) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
        let attributes: &[Attribute] = self.draft.as_ref().map_or(&[], |draft| draft.program.attributes());
        let all = || attributes.iter().map(Attribute::name).zip(&self.missed);
        let missed = all().filter(|(_, (n, _))| *n > 0).map(|(name, (n, _))| (name, *n)).collect();
        let unrecorded = all().filter(|(_, (_, n))| *n > 0).map(|(name, (_, n))| (name, *n)).collect();
        (missed, unrecorded)
    }
}

fn envelope<'a>(scanned: &Scanned<'a>) -> Envelope<'a> {
    Envelope {
        at: scanned.at,
        operation: scanned.operation,
        subaccount: scanned.subaccount,
        api_key: scanned.key,
        caller_ip: scanned.caller_ip,
        client_ip: scanned.client_ip,
        dry_run: scanned.dry_run,
        block: scanned.block,
    }
}
