//! [`Ledger`] on PostgreSQL: which statements each promise is.

use async_trait::async_trait;
use seawall_core::id::Id;
use seawall_core::message::MessageState;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_core::verification::Checked;

use super::conn::Db;
use super::{
    PostgresStore, charges, checks, decisions, erase, evidence, hooks, known, messages, node, prune, scan,
    snapshots, travel, verifications,
};
use crate::records::{
    Acceptance, Allowed, Allows, Census, Change, DecisionFilter, DecisionRecord, Erasing, ErasureJob,
    HookDelivery, Idempotent, KnownNumber, Looked, MessageFilter, MessageRecord, Moved, Page, Recovery,
    Retention, VerificationFilter, VerificationRecord, Visit,
};
use crate::sealed::acceptance::Sealed;
use crate::sealed::way::SealedChange;
use crate::sealed::{answers, hooks as sealed_hooks, number_hash, setup, state};
use crate::{CheckStep, Ledger, PastCharge, Result, StoreError};

#[async_trait]
impl Ledger for PostgresStore {
    async fn accept(&self, acceptance: Acceptance) -> Result<()> {
        if let Some(newest) = acceptance.messages.iter().map(|m| m.id.at()).max() {
            self.db.note(newest);
        }
        self.writer.accept(Sealed::new(&self.db.vault, acceptance)?).await
    }

    async fn record_decisions(&self, all: Vec<DecisionRecord>) -> Result<()> {
        if all.is_empty() { Ok(()) } else { decisions::record(&self.db, all).await }
    }

    async fn checkpoint(&self, charged: Vec<(u64, Timestamp)>, forget_before: Timestamp) -> Result<()> {
        charges::checkpoint(&self.db, &charged, forget_before).await
    }

    async fn record_allows(&self, allows: Allows, forget_before: Timestamp) -> Result<()> {
        charges::record_allows(&self.db, allows.batches(), forget_before).await
    }

    async fn past_allows(&self, since: Timestamp) -> Result<Vec<Allowed>> {
        charges::past_allows(&self.db, since).await
    }

    async fn claim(&self, now: Timestamp, limit: usize) -> Result<Vec<MessageRecord>> {
        self.db.note(now);
        if limit == 0 { Ok(Vec::new()) } else { travel::claim(&self.db, now, limit).await }
    }

    async fn settle(&self, changes: Vec<Change>) -> Result<Vec<Moved>> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let seal = |change| SealedChange::new(&self.db.vault, change);
        travel::settle(&self.db, changes.into_iter().map(seal).collect::<Result<_>>()?).await
    }

    async fn check(
        &self,
        subaccount: &str,
        id: Id,
        step: CheckStep,
    ) -> Result<Option<(Checked, VerificationRecord)>> {
        checks::check(&self.db, subaccount, id, step).await
    }

    async fn verification(&self, subaccount: Option<&str>, id: Id) -> Result<Option<VerificationRecord>> {
        verifications::get(&mut self.db.soon().await?, &self.db.vault, subaccount, id).await
    }

    async fn known_number(&self, to: Msisdn) -> Result<Option<KnownNumber>> {
        self.reader.known.bring(known::Known(number_hash(&self.db.vault, to))).await
    }

    async fn note_known(&self, number: u64, at: Timestamp) -> Result<()> {
        known::note(&mut self.db.soon().await?, number.cast_signed(), at).await
    }

    async fn forget_known(&self, to: Msisdn) -> Result<bool> {
        known::forget(&mut self.db.soon().await?, number_hash(&self.db.vault, to)).await
    }

    async fn open_verification(
        &self,
        subaccount: &str,
        to: Msisdn,
        now: Timestamp,
    ) -> Result<Option<VerificationRecord>> {
        let number = number_hash(&self.db.vault, to);
        self.reader.open.bring(verifications::Open { subaccount: subaccount.to_owned(), number, now }).await
    }

    async fn verifications(&self, filter: VerificationFilter, page: Page) -> Result<Vec<VerificationRecord>> {
        verifications::list(&self.db, &filter, page).await
    }

    async fn message(&self, subaccount: Option<&str>, id: Id) -> Result<Option<MessageRecord>> {
        messages::get(&mut self.db.soon().await?, &self.db.vault, subaccount, id).await
    }

    async fn messages(&self, filter: MessageFilter, page: Page) -> Result<Vec<MessageRecord>> {
        messages::list(&self.db, &filter, page).await
    }

    async fn by_reference(&self, provider: &str, reference: &str) -> Result<Option<Id>> {
        messages::by_reference(&self.db, provider, reference).await
    }

    async fn decision(&self, id: Id) -> Result<Option<DecisionRecord>> {
        decisions::get(&self.db, id).await
    }

    async fn decisions(&self, filter: DecisionFilter, page: Page) -> Result<Vec<DecisionRecord>> {
        decisions::list(&self.db, &filter, page).await
    }

    async fn scan_decisions(&self, from: Timestamp, to: Timestamp, each: Visit) -> Result<()> {
        scan::decisions(&self.db, from, to, each).await
    }

    async fn idempotent(&self, key: &str) -> Result<Option<Idempotent>> {
        let hash = answers::hash(&self.db.vault, key);
        let row = self.db.soon().await?.row("SELECT body FROM idempotency WHERE hash = $1", &[&hash]).await?;
        row.map(|row| answers::open(&self.db.vault, hash, row.try_get(0)?)).transpose()
    }

    async fn due_hooks(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<HookDelivery>> {
        hooks::lease(&self.db, now.as_millis(), lease_until.as_millis(), limit).await
    }

    async fn add_hooks(&self, hooks: Vec<HookDelivery>) -> Result<()> {
        let vault = &self.db.vault;
        let sealed = hooks.iter().map(|hook| sealed_hooks::seal(vault, hook)).collect::<Result<Vec<_>>>()?;
        hooks::insert(&mut self.db.soon().await?, &sealed).await
    }

    async fn settle_hook(&self, id: Id, again_at: Option<Timestamp>) -> Result<()> {
        hooks::settle(&self.db, id, again_at).await
    }

    async fn recover(&self, now: Timestamp) -> Result<Recovery> {
        self.db.note(now);
        node::recover(&self.db, now).await
    }

    async fn recover_gone(&self, now: Timestamp) -> Result<Vec<Moved>> {
        node::recover_gone(&self.db, now).await
    }

    fn node(&self) -> u16 {
        self.db.node.number()
    }

    fn is_shared(&self) -> bool {
        self.db.node.is_shared()
    }

    fn leads(&self) -> bool {
        self.db.node.leads()
    }

    async fn past_charges(&self, since: Timestamp, each: &mut (dyn FnMut(PastCharge) + Send)) -> Result<()> {
        charges::past(&self.db, since, each).await
    }

    async fn waiting_charges(&self) -> Result<Vec<PastCharge>> {
        charges::waiting(&self.db).await
    }

    async fn past_checkpoints(&self, since: Timestamp) -> Result<Vec<(u64, Timestamp)>> {
        charges::past_checkpoints(&self.db, since).await
    }

    async fn census(&self, subaccount: Option<&str>) -> Result<Census> {
        census(&self.db, subaccount).await
    }

    async fn queued(&self) -> Result<u64> {
        queued(&self.db).await
    }

    async fn erase_step(&self, number: Msisdn, erasing: Erasing) -> Result<Erasing> {
        erase::step(&self.db, number, erasing).await
    }

    async fn erase_message(&self, subaccount: &str, id: Id) -> Result<Option<bool>> {
        erase::one(&self.db, subaccount, id).await
    }

    async fn save_erasure(&self, job: ErasureJob) -> Result<()> {
        erase::save(&self.db, &job).await
    }

    async fn erasure(&self, id: Id) -> Result<Option<ErasureJob>> {
        Ok(erase::jobs(&self.db, Some(id)).await?.pop())
    }

    async fn open_erasures(&self) -> Result<Vec<ErasureJob>> {
        erase::jobs(&self.db, None).await
    }

    async fn looked(&self, number: Msisdn, subaccount: &str) -> Result<Option<Looked>> {
        let number = number_hash(&self.db.vault, number);
        let sql = "SELECT body FROM lookups WHERE number = $1 AND sub = $2";
        let row = self.db.soon().await?.row(sql, &[&number, &subaccount]).await?;
        row.map(|row| setup::open_looked(&self.db.vault, number, row.try_get(0)?)).transpose()
    }

    async fn keep_looked(
        &self,
        number: Msisdn,
        subaccount: &str,
        looked: Looked,
        at: Timestamp,
    ) -> Result<()> {
        let number = number_hash(&self.db.vault, number);
        let conn = self.db.soon().await?;
        if looked == Looked::default() {
            let sql = "DELETE FROM lookups WHERE number = $1 AND sub = $2";
            return conn.run(sql, &[&number, &subaccount]).await.map(drop);
        }
        let body = setup::seal_looked(&self.db.vault, number, &looked)?;
        let sql = "INSERT INTO lookups (number, sub, at, body) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (number, sub) DO UPDATE SET at = excluded.at, body = excluded.body";
        conn.run(sql, &[&number, &subaccount, &at.as_millis(), &body]).await.map(drop)
    }

    async fn append_evidence(&self, batch: Vec<u8>) -> Result<u64> {
        evidence::append(&self.db, &batch).await
    }

    async fn evidence_after(&self, seq: u64) -> Result<Vec<(u64, Vec<u8>)>> {
        evidence::after(&self.db, seq).await
    }

    async fn forget_evidence(&self, up_to: u64) -> Result<()> {
        evidence::forget(&self.db, up_to).await
    }

    async fn evidence_forgotten(&self) -> Result<u64> {
        evidence::forgotten(&self.db).await
    }

    fn keeps_snapshots(&self) -> bool {
        true
    }

    async fn keep_snapshot(&self, folded: u64, snapshot: Vec<u8>) -> Result<()> {
        snapshots::keep(&self.db, folded, &snapshot).await
    }

    async fn snapshot(&self) -> Result<Option<(u64, Vec<u8>)>> {
        snapshots::newest(&self.db).await
    }

    async fn prune(&self, now: Timestamp, retention: &Retention) -> Result<bool> {
        prune::step(&self.db, now, retention).await
    }

    async fn newest_row(&self) -> Result<i64> {
        newest_row(&self.db).await
    }

    async fn ping(&self) -> Result<()> {
        self.db.node.check()?;
        let sql = "INSERT INTO meta (name, value) VALUES ('pings', 1) \
             ON CONFLICT (name) DO UPDATE SET value = meta.value + 1";
        self.db.soon().await?.run(sql, &[]).await.map(drop)
    }

    async fn close(&self) {
        if self.db.is_closed() {
            return;
        }
        if let Err(error) = node::leave(&self.db).await {
            tracing::warn!(%error, "this node's lease was not given back; it runs out by itself");
        }
        self.db.close();
    }
}

/// By the indexes of those that wait.
async fn queued(db: &Db) -> Result<u64> {
    let sql = "SELECT (SELECT count(*) FROM messages WHERE state = 0 AND due IS NULL) \
         + (SELECT count(*) FROM messages WHERE state = 0 AND due IS NOT NULL)";
    let row = db.patient().await?.row(sql, &[]).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get::<_, i64>(0))?.cast_unsigned())
}

async fn census(db: &Db, subaccount: Option<&str>) -> Result<Census> {
    let sql = "SELECT state, count(*) FROM messages WHERE $1::text IS NULL OR sub = $1 GROUP BY state";
    let mut census: Census = MessageState::ALL.into_iter().map(|state| (state.as_str(), 0)).collect();
    for row in db.patient().await?.rows(sql, &[&subaccount]).await? {
        let count: i64 = row.try_get(1)?;
        census.insert(state(row.try_get(0)?)?.as_str(), count.cast_unsigned());
    }
    Ok(census)
}

/// The newest key of any row that an id became.
async fn newest_row(db: &Db) -> Result<i64> {
    let tables = [
        "messages",
        "verifications",
        "hooks",
        "audit",
        "opt_outs",
        "list_entries",
        "checkpoints",
        "allows",
        "notes",
    ];
    let newest = tables.map(|table| format!("(SELECT coalesce(max(key), 0) FROM {table})")).join(", ");
    let sql = format!(
        "SELECT greatest({newest}, (SELECT coalesce(max(last), 0) FROM \
         (SELECT last FROM decision_batches ORDER BY first DESC LIMIT 64) d))"
    );
    let row = db.patient().await?.row(&sql, &[]).await?.ok_or(StoreError::Conflict)?;
    Ok(row.try_get(0)?)
}
