//! [`Ledger`] on SQLite: which job or read each promise is.

use async_trait::async_trait;
use hashbrown::HashSet;
use seawall_core::id::Id;
use seawall_core::message::MessageState;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_core::verification::Checked;

use super::accept::accept;
use super::db::View;
use super::travel::{claim, settle};
use super::writer::Turn;
use super::{
    SqliteStore, allows, charges, codec, decisions, erase, evidence, hooks, idempotency, known, lookups,
    messages, prune, scan, start, verifications,
};
use crate::records::{
    Acceptance, Allowed, Allows, Census, Change, DecisionFilter, DecisionRecord, Erasing, ErasureJob,
    HookDelivery, Idempotent, KnownNumber, Looked, MessageFilter, MessageRecord, Moved, Page, Recovery,
    Retention, VerificationFilter, VerificationRecord, Visit,
};
use crate::sealed::acceptance::Sealed;
use crate::sealed::way::SealedChange;
use crate::sealed::{decisions as sealed_decisions, hooks as sealed_hooks};
use crate::{CheckStep, Ledger, PastCharge, Result};

#[async_trait]
impl Ledger for SqliteStore {
    async fn accept(&self, acceptance: Acceptance) -> Result<()> {
        if let Some(newest) = acceptance.messages.iter().map(|m| m.id.at()).max() {
            self.db.shared.note(newest);
        }
        let sealed = Sealed::new(&self.db.shared.vault, acceptance)?;
        self.db.write(sealed.weight(), move |turn| accept(turn, sealed)).await
    }

    async fn record_decisions(&self, decisions: Vec<DecisionRecord>) -> Result<()> {
        if decisions.is_empty() {
            return Ok(());
        }
        let batches = sealed_decisions::seal(&self.db.shared.vault, decisions)?;
        self.db.write(batches.len() * 64, move |turn| decisions::record(turn, batches)).await
    }

    async fn checkpoint(&self, charged: Vec<(u64, Timestamp)>, forget_before: Timestamp) -> Result<()> {
        self.db.write(1, move |turn| charges::checkpoint(turn, &charged, forget_before)).await
    }

    async fn record_allows(&self, allows: Allows, forget_before: Timestamp) -> Result<()> {
        let batches = allows.batches().len();
        self.db.write(batches, move |turn| allows::record(turn, allows.batches(), forget_before)).await
    }

    async fn past_allows(&self, since: Timestamp) -> Result<Vec<Allowed>> {
        let (mut found, mut next) = (Vec::new(), Some(Id::first_row(since)));
        while let Some(row) = next {
            let (allows, after) = self.db.list(move |view| allows::since(view, since, row)).await?;
            found.extend(allows);
            next = after;
        }
        if !found.is_empty() {
            let gone = self.db.list(move |view| allows::redeemed(view, since)).await?;
            let gone: HashSet<u64> = gone.into_iter().collect();
            found.retain(|allow| !gone.contains(&allow.id.row().cast_unsigned()));
        }
        Ok(found)
    }

    async fn claim(&self, now: Timestamp, limit: usize) -> Result<Vec<MessageRecord>> {
        self.db.shared.note(now);
        let waits = self.db.shared.hot().queue.any(now.as_millis());
        if !waits || limit == 0 {
            return Ok(Vec::new());
        }
        self.db.write(limit.min(64), move |turn| claim(turn, now, limit)).await
    }

    async fn settle(&self, changes: Vec<Change>) -> Result<Vec<Moved>> {
        let vault = &self.db.shared.vault;
        let seal = |change| SealedChange::new(vault, change);
        let changes = changes.into_iter().map(seal).collect::<Result<Vec<_>>>()?;
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        self.db.write(changes.len(), move |turn| settle(turn, changes)).await
    }

    async fn check(
        &self,
        subaccount: &str,
        id: Id,
        step: CheckStep,
    ) -> Result<Option<(Checked, VerificationRecord)>> {
        let subaccount = subaccount.to_owned();
        self.db.write(2, move |turn| verifications::check(turn, &subaccount, id, step)).await
    }

    async fn verification(&self, subaccount: Option<&str>, id: Id) -> Result<Option<VerificationRecord>> {
        let subaccount = subaccount.map(str::to_owned);
        self.db.point(move |view| verifications::get(view, subaccount.as_deref(), id)).await
    }

    async fn known_number(&self, to: Msisdn) -> Result<Option<KnownNumber>> {
        let number = codec::number_hash(&self.db.shared.vault, to);
        Ok(known::get(&self.db.shared.hot(), number))
    }

    async fn forget_known(&self, to: Msisdn) -> Result<bool> {
        self.db.write(1, move |turn| known::forget(turn, codec::number_hash(turn.view.vault(), to))).await
    }

    async fn note_known(&self, number: u64, at: Timestamp) -> Result<()> {
        self.db.write(1, move |turn| known::note(turn, number.cast_signed(), at)).await
    }

    async fn open_verification(
        &self,
        subaccount: &str,
        to: Msisdn,
        now: Timestamp,
    ) -> Result<Option<VerificationRecord>> {
        let Some(row) = verifications::open_row(&self.db.shared, subaccount, to, now) else {
            return Ok(None);
        };
        self.db.point(move |view| verifications::open_in(view, row, now)).await
    }

    async fn verifications(&self, filter: VerificationFilter, page: Page) -> Result<Vec<VerificationRecord>> {
        self.db.list(move |view| verifications::list(view, &filter, page)).await
    }

    async fn message(&self, subaccount: Option<&str>, id: Id) -> Result<Option<MessageRecord>> {
        let subaccount = subaccount.map(str::to_owned);
        self.db.point(move |view| messages::get(view, subaccount.as_deref(), id)).await
    }

    async fn messages(&self, filter: MessageFilter, page: Page) -> Result<Vec<MessageRecord>> {
        self.db.list(move |view| messages::list(view, &filter, page)).await
    }

    async fn by_reference(&self, provider: &str, reference: &str) -> Result<Option<Id>> {
        let (provider, reference) = (provider.to_owned(), reference.to_owned());
        self.db.point(move |view| messages::by_reference(view, &provider, &reference)).await
    }

    async fn decision(&self, id: Id) -> Result<Option<DecisionRecord>> {
        self.db.list(move |view| decisions::get(view, id)).await
    }

    async fn decisions(&self, filter: DecisionFilter, page: Page) -> Result<Vec<DecisionRecord>> {
        self.db.list(move |view| decisions::list(view, &filter, page)).await
    }

    async fn scan_decisions(&self, from: Timestamp, to: Timestamp, each: Visit) -> Result<()> {
        scan::decisions(&self.db, from, to, each).await
    }

    async fn idempotent(&self, key: &str) -> Result<Option<Idempotent>> {
        let key = key.to_owned();
        self.db.point(move |view| idempotency::get(view, &key)).await
    }

    async fn due_hooks(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<HookDelivery>> {
        let (now, until) = (now.as_millis(), lease_until.as_millis());
        if !self.db.shared.hot().hooks.is_due(now) {
            return Ok(Vec::new());
        }
        // On the writer's thread, which sees what is being committed: a lease without its row would be lost.
        let lease = move |turn: &mut Turn<'_>| {
            let rows = turn.hot().hooks.lease(now, until, limit);
            hooks::read(turn.view, &rows)
        };
        self.db.write(1, lease).await
    }

    async fn add_hooks(&self, hooks: Vec<HookDelivery>) -> Result<()> {
        let vault = &self.db.shared.vault;
        let sealed = hooks.iter().map(|hook| sealed_hooks::seal(vault, hook)).collect::<Result<Vec<_>>>()?;
        self.db.write(sealed.len(), move |turn| hooks::insert(turn, sealed)).await
    }

    async fn settle_hook(&self, id: Id, again_at: Option<Timestamp>) -> Result<()> {
        self.db.write(1, move |turn| hooks::settle(turn, id, again_at)).await
    }

    async fn recover(&self, now: Timestamp) -> Result<Recovery> {
        self.db.shared.note(now);
        self.db.write(1, move |turn| start::recover(turn, now)).await
    }

    async fn past_charges(&self, since: Timestamp, each: &mut (dyn FnMut(PastCharge) + Send)) -> Result<()> {
        let mut confirmed = self.db.list(move |view| charges::confirmed(view, since)).await?;
        let (mut next, mut gone) = (Some(Id::first_row(since)), HashSet::new());
        while let Some(row) = next {
            let chunk =
                move |view: View<'_>| charges::sends(view, &confirmed, row).map(|found| (found, confirmed));
            let ((sends, after), map) = self.db.list(chunk).await?;
            gone.extend(sends.iter().filter_map(|send| send.dimensions.redeems));
            sends.into_iter().for_each(&mut *each);
            (next, confirmed) = (after, map);
        }
        next = Some(Id::first_row(since));
        while let Some(row) = next {
            let chunk = move |view: View<'_>| {
                let (allows, after) = allows::since(view, since, row)?;
                let charges = allows.into_iter().map(|allow| (allow.id.row(), allows::charge(view, allow)));
                Ok((charges.collect::<Vec<_>>(), after))
            };
            let (charges, after) = self.db.list(chunk).await?;
            let left = charges.into_iter().filter(|(row, _)| !gone.contains(&row.cast_unsigned()));
            left.for_each(|(_, charge)| each(charge));
            next = after;
        }
        Ok(())
    }

    async fn waiting_charges(&self) -> Result<Vec<PastCharge>> {
        self.db.list(charges::waiting).await
    }

    async fn past_checkpoints(&self, since: Timestamp) -> Result<Vec<(u64, Timestamp)>> {
        self.db.list(move |view| charges::past_checkpoints(view, since)).await
    }

    async fn census(&self, subaccount: Option<&str>) -> Result<Census> {
        let sub = subaccount.map(|name| {
            let hot = self.db.shared.hot();
            hot.subs.id(name).unwrap_or(-1)
        });
        self.db.list(move |view| census(view, sub)).await
    }

    async fn queued(&self) -> Result<u64> {
        let queued = self.db.shared.hot().queue.queued();
        Ok(u64::try_from(queued).unwrap_or(u64::MAX))
    }

    async fn erase_step(&self, number: Msisdn, erasing: Erasing) -> Result<Erasing> {
        self.db.write(64, move |turn| erase::step(turn, number, &erasing)).await
    }

    async fn erase_message(&self, subaccount: &str, id: Id) -> Result<Option<bool>> {
        let subaccount = subaccount.to_owned();
        self.db.write(2, move |turn| erase::one(turn, &subaccount, id)).await
    }

    async fn save_erasure(&self, job: ErasureJob) -> Result<()> {
        self.db.write(1, move |turn| erase::save(turn, &job)).await
    }

    async fn erasure(&self, id: Id) -> Result<Option<ErasureJob>> {
        self.db.point(move |view| Ok(erase::jobs(view, Some(id))?.pop())).await
    }

    async fn open_erasures(&self) -> Result<Vec<ErasureJob>> {
        self.db.point(move |view| erase::jobs(view, None)).await
    }

    async fn looked(&self, number: Msisdn, subaccount: &str) -> Result<Option<Looked>> {
        let subaccount = subaccount.to_owned();
        self.db.point(move |view| lookups::get(view, number, &subaccount)).await
    }

    async fn keep_looked(
        &self,
        number: Msisdn,
        subaccount: &str,
        looked: Looked,
        at: Timestamp,
    ) -> Result<()> {
        let subaccount = subaccount.to_owned();
        self.db.write(1, move |turn| lookups::set(turn, number, &subaccount, &looked, at)).await
    }

    async fn append_evidence(&self, batch: Vec<u8>) -> Result<u64> {
        self.db.write(1, move |turn| evidence::append(turn, &batch)).await
    }

    async fn evidence_after(&self, seq: u64) -> Result<Vec<(u64, Vec<u8>)>> {
        self.db.list(move |view| evidence::after(view, seq)).await
    }

    async fn forget_evidence(&self, up_to: u64) -> Result<()> {
        self.db.write(1, move |turn| evidence::forget(turn, up_to)).await
    }

    async fn prune(&self, now: Timestamp, retention: &Retention) -> Result<bool> {
        let retention = *retention;
        self.db.write(2_000, move |turn| prune::step(turn, now, &retention)).await
    }

    async fn newest_row(&self) -> Result<i64> {
        self.db.point(start::newest_row).await
    }

    async fn ping(&self) -> Result<()> {
        let sql = "INSERT INTO meta VALUES ('pings', 1) ON CONFLICT (key) DO UPDATE SET value = value + 1";
        self.db.write(1, move |turn| Ok(turn.view.conn.prepare_cached(sql)?.execute([]).map(drop)?)).await
    }

    async fn close(&self) {
        self.db.close().await;
    }
}

fn census(view: View<'_>, sub: Option<i64>) -> Result<Census> {
    let sql = "SELECT state, count(*) FROM messages NOT INDEXED WHERE ?1 IS NULL OR sub = ?1 GROUP BY state";
    let mut select = view.conn.prepare_cached(sql)?;
    let mut rows = select.query([sub])?;
    let mut census: Census = MessageState::ALL.into_iter().map(|state| (state.as_str(), 0)).collect();
    while let Some(row) = rows.next()? {
        let count: i64 = row.get(1)?;
        census.insert(codec::state(row.get(0)?)?.as_str(), count.cast_unsigned());
    }
    Ok(census)
}
