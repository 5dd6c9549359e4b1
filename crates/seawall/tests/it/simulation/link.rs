//! A node's ways to what nodes share, and the faults on them. Behind them is the real ledger; leases, and what becomes of
//! a commit whose answer is lost, are as the store for several nodes has them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use seawall_core::consent::OptOutScope;
use seawall_core::id::Id;
use seawall_core::masking::call::CallResult;
use seawall_core::message::MessageState;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use seawall_core::verification::Checked;
use seawall_store::audit::AuditChain;
use seawall_store::keys::{DataKeys, Resealing};
use seawall_store::lists::{Hits, ListEntry, Lists};
use seawall_store::masking::{CallFilter, CallRecord, KeepAnswer, MaskFilter, MaskRecord, Masks};
use seawall_store::notes::{Note, Notes};
use seawall_store::records::*;
use seawall_store::vault::WrappedKey;
use seawall_store::{CheckStep, Directory, Ledger, PastCharge, Result};

use super::oracle::Accepted;
use super::world::{Bug, SOON, World, finish, unavailable};

/// One node's way, in one of its lives.
#[derive(Clone)]
pub struct Link {
    pub world: Arc<World>,
    pub node: usize,
    pub life: u64,
    /// Its number among the nodes, which its ids carry.
    pub number: u16,
}

/// What a call leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum To {
    Ledger,
    Counters,
}

impl Link {
    /// A node that was killed does nothing any more, wherever it stood.
    pub async fn alive(&self) {
        if self.world.nodes()[self.node].life != self.life {
            std::future::pending::<()>().await;
        }
    }

    /// Time passes.
    pub async fn wait(&self, long: Duration) {
        tokio::time::sleep(long).await;
        self.alive().await;
    }

    fn is_cut_off(&self, to: To) -> bool {
        let node = &self.world.nodes()[self.node];
        if to == To::Ledger { node.cut_off } else { node.without_counters }
    }

    /// A call: it arrives, or not; it is done; its answer arrives, or not.
    pub async fn call<T>(&self, to: To, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.alive().await;
        let fate = self.world.fate();
        if fate.lost || self.is_cut_off(to) || fate.there > SOON {
            self.wait(SOON).await;
            return Err(unavailable("it did not answer in time"));
        }
        self.wait(fate.there).await;
        if self.is_cut_off(to) {
            self.wait(SOON - fate.there).await;
            return Err(unavailable("it did not answer in time"));
        }
        let done = work();
        if fate.unanswered {
            self.wait(SOON).await;
            return Err(unavailable("its answer was lost"));
        }
        self.wait(fate.back).await;
        done
    }

    /// A call to the ledger that may change what became of messages.
    pub async fn ledger<T>(&self, work: impl FnOnce(&World) -> Result<T> + Send) -> Result<T> {
        let done = || {
            let done = work(&self.world);
            self.world.step();
            done
        };
        self.call(To::Ledger, done).await
    }

    /// A call to the ledger that leaves messages as they are.
    async fn asks<T>(&self, work: impl FnOnce(&World) -> Result<T> + Send) -> Result<T> {
        self.call(To::Ledger, || work(&self.world)).await
    }

    /// What is set up is read without faults: it is another test's matter.
    async fn still<T>(&self, work: impl FnOnce(&World) -> Result<T> + Send) -> Result<T> {
        self.alive().await;
        work(&self.world)
    }

    /// A node whose lease was taken away must not promise anything; it takes a new one.
    fn fence(&self, world: &World) -> Result<u64> {
        let fresh = world.lease();
        let (mut nodes, now) = (world.nodes(), world.elapsed());
        let node = &mut nodes[self.node];
        match node.lease {
            Some(lease) => Ok(lease),
            None => {
                (node.lease, node.seen) = (Some(fresh), now);
                Err(unavailable("this node has lost its lease; it takes a new one"))
            }
        }
    }

    fn write(&self, world: &World, acceptance: Acceptance) -> Result<()> {
        let lease = self.fence(world)?;
        let messages: Vec<_> = acceptance
            .messages
            .iter()
            .map(|m| {
                // An id goes by the node's clock; of a node alone it is that clock that is looked at.
                let at = if world.alone { world.time() } else { m.id.at() }.as_millis();
                let message =
                    Accepted { at, number: m.to.as_u64(), code: m.verification.is_some(), counted: true };
                (m.id, m.state, message)
            })
            .collect();
        finish(world.store.accept(acceptance))?;
        for (id, state, message) in messages {
            world.tell(|| format!("node {} accepts {} as {}", self.node, id.row(), state.as_str()));
            if state == MessageState::Submitting {
                world.owners().insert(id, lease);
            }
            world.oracle().accepted.insert(id, message);
        }
        Ok(())
    }
}

/// Methods that are one call to the real store.
macro_rules! roles {
    (ledger { $($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)* }
     asks { $($a:ident($($aarg:ident: $atype:ty),*) -> $aout:ty;)* } directory { $($d:ident($($darg:ident: $dtype:ty),*) -> $dout:ty;)* }
     lists { $($l:ident($($larg:ident: $ltype:ty),*) -> $lout:ty;)* } notes { $($n:ident($($narg:ident: $ntype:ty),*) -> $nout:ty;)* }
     masks { $($m:ident($($marg:ident: $mtype:ty),*) -> $mout:ty;)* }) => {
        #[async_trait]
        impl Ledger for Link {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$out> {
                self.ledger(|world| finish(world.store.$name($($arg),*))).await
            })*

            $(async fn $a(&self, $($aarg: $atype),*) -> Result<$aout> {
                self.asks(|world| finish(world.store.$a($($aarg),*))).await
            })*

            async fn append_evidence(&self, batch: Vec<u8>) -> Result<u64> {
                self.asks(|world| {
                    let seq = finish(world.store.append_evidence(batch))?;
                    world.evidence.fetch_max(seq, Ordering::Relaxed);
                    Ok(seq)
                }).await
            }

            /// Ten times a second from each node: the store is asked only where there is something.
            async fn evidence_after(&self, seq: u64) -> Result<Vec<(u64, Vec<u8>)>> {
                self.asks(|world| match world.evidence.load(Ordering::Relaxed) {
                    newest if newest <= seq => Ok(Vec::new()),
                    _ => finish(world.store.evidence_after(seq)),
                }).await
            }

            async fn accept(&self, acceptance: Acceptance) -> Result<()> {
                let born: Vec<_> = acceptance.messages.iter().map(|m| (m.id, m.state, None)).collect();
                if self.world.is(Bug::AcknowledgedEarly) && self.world.below(20) == 0 {
                    return Ok(());
                }
                let mut written = false;
                let answer = self
                    .ledger(|world| self.write(world, acceptance).inspect(|()| written = true))
                    .await;
                if written && answer.is_err() {
                    self.disown(born);
                }
                answer
            }

            async fn claim(&self, now: Timestamp, limit: usize) -> Result<Vec<MessageRecord>> {
                let mut taken = Vec::new();
                let answer = self.asks(|world| {
                    let lease = self.fence(world)?;
                    let claimed = finish(world.store.claim(now, limit))?;
                    if !claimed.is_empty() {
                        world.step();
                    }
                    let mut owners = world.owners();
                    for message in claimed.iter().filter(|m| m.state == MessageState::Submitting) {
                        world.tell(|| format!("node {} claims {}", self.node, message.id.row()));
                        owners.insert(message.id, lease);
                        taken.push((message.id, message.state, message.progress.changed_at));
                    }
                    Ok(claimed)
                }).await;
                if answer.is_err() && !taken.is_empty() && !self.world.is(Bug::ClaimForgotten) {
                    self.give_back(taken);
                }
                answer
            }

            async fn check(&self, subaccount: &str, id: Id, step: CheckStep) -> Result<Option<(Checked, VerificationRecord)>> {
                self.ledger(|world| {
                    let uncounted = world.is(Bug::ChecksUncounted);
                    let step: CheckStep = Box::new(move |verification, budget| {
                        let before = (verification.lifecycle.clone(), budget.clone());
                        let checked = step(verification, budget);
                        if uncounted && checked == Checked::Wrong {
                            (verification.lifecycle, *budget) = before;
                        }
                        checked
                    });
                    let found = finish(world.store.check(subaccount, id, step))?;
                    if let Some((checked @ (Checked::Right | Checked::Wrong), verification)) = &found {
                        let (at, right) = (world.elapsed(), *checked == Checked::Right);
                        let number = verification.to.as_u64();
                        world.tell(|| format!("a code of {} is {checked:?}", id.row()));
                        world.oracle().checked(at, id, number, right);
                        let late = world.time().as_millis() - verification.lifecycle.expires_at.as_millis();
                        world.oracle().require(!right || late <= 1_500, at, || format!("a code {late} ms after its end"));
                    }
                    Ok(found)
                }).await
            }

            async fn recover(&self, now: Timestamp) -> Result<Recovery> {
                self.ledger(|world| {
                    let known: Vec<u64> = world.nodes().iter().filter_map(|node| node.lease).collect();
                    let unknown = self.orphans(world, |lease| !known.contains(&lease), now)?.len();
                    Ok(Recovery { unknown, waiting: 0 })
                }).await
            }

            async fn recover_gone(&self, now: Timestamp) -> Result<Vec<Moved>> {
                self.ledger(|world| {
                    let gone = world.take_gone(self.node);
                    if gone.is_empty() { Ok(Vec::new()) } else { self.orphans(world, |lease| gone.contains(&lease), now) }
                }).await
            }

            async fn past_charges(&self, since: Timestamp, each: &mut (dyn FnMut(PastCharge) + Send)) -> Result<()> {
                let mut all = Vec::new();
                self.asks(|world| finish(world.store.past_charges(since, &mut |charge| all.push(charge)))).await?;
                all.into_iter().for_each(each);
                Ok(())
            }

            fn node(&self) -> u16 {
                self.number
            }

            fn is_shared(&self) -> bool {
                true
            }

            async fn close(&self) {}
        }

        #[async_trait]
        impl Directory for Link {
            $(async fn $d(&self, $($darg: $dtype),*) -> Result<$dout> {
                self.still(|world| finish(world.store.$d($($darg),*))).await
            })*

            async fn opted_out(&self, msisdn: Msisdn) -> Result<Vec<OptOutScope>> {
                self.asks(|world| finish(world.store.opted_out(msisdn))).await
            }

            async fn add_opt_out(&self, entry: OptOut, audit: AuditEntry) -> Result<OptOut> {
                let forgotten = self.world.is(Bug::AuditForgotten);
                let audit = if forgotten { AuditEntry { target: String::new(), ..audit } } else { audit };
                self.asks(|world| finish(world.store.add_opt_out(entry, audit))).await
            }
        }

        #[async_trait]
        impl Lists for Link {
            $(async fn $l(&self, $($larg: $ltype),*) -> Result<$lout> {
                self.still(|world| finish(world.store.$l($($larg),*))).await
            })*
        }

        #[async_trait]
        impl Notes for Link {
            $(async fn $n(&self, $($narg: $ntype),*) -> Result<$nout> {
                self.still(|world| finish(world.store.$n($($narg),*))).await
            })*
        }

        #[async_trait]
        impl DataKeys for Link {
            async fn data_keys(&self) -> Result<Vec<WrappedKey>> {
                self.still(|world| finish(world.store.data_keys())).await
            }

            async fn replace_data_keys(&self, before: Vec<WrappedKey>, after: Vec<WrappedKey>) -> Result<()> {
                self.still(|world| finish(world.store.replace_data_keys(before, after))).await
            }

            async fn reseal(&self, from: Resealing) -> Result<Resealing> {
                self.still(|world| finish(world.store.reseal(from))).await
            }

            async fn sealed_before(&self) -> Result<u64> {
                self.still(|world| finish(world.store.sealed_before())).await
            }
        }

        #[async_trait]
        impl Masks for Link {
            $(async fn $m(&self, $($marg: $mtype),*) -> Result<$mout> {
                self.still(|world| finish(world.store.$m($($marg),*))).await
            })*
        }
    };
}

roles! {
    ledger {
        settle(changes: Vec<Change>) -> Vec<Moved>;
        erase_step(number: Msisdn, erasing: Erasing) -> Erasing;
        erase_message(subaccount: &str, id: Id) -> Option<bool>;
        prune(now: Timestamp, retention: &Retention) -> bool;
    }
    asks {
        record_decisions(decisions: Vec<DecisionRecord>) -> ();
        checkpoint(charged: Vec<(u64, Timestamp)>, forget_before: Timestamp) -> ();
        record_allows(allows: Allows, forget_before: Timestamp) -> ();
        past_allows(since: Timestamp) -> Vec<Allowed>;
        verification(subaccount: Option<&str>, id: Id) -> Option<VerificationRecord>;
        known_number(to: Msisdn) -> Option<KnownNumber>;
        note_known(number: u64, at: Timestamp) -> ();
        forget_known(to: Msisdn) -> bool;
        open_verification(subaccount: &str, to: Msisdn, now: Timestamp) -> Option<VerificationRecord>;
        verifications(filter: VerificationFilter, page: Page) -> Vec<VerificationRecord>;
        message(subaccount: Option<&str>, id: Id) -> Option<MessageRecord>;
        messages(filter: MessageFilter, page: Page) -> Vec<MessageRecord>;
        by_reference(provider: &str, reference: &str) -> Option<Id>;
        decision(id: Id) -> Option<DecisionRecord>;
        decisions(filter: DecisionFilter, page: Page) -> Vec<DecisionRecord>;
        scan_decisions(from: Timestamp, to: Timestamp, each: Visit) -> ();
        idempotent(key: &str) -> Option<Idempotent>;
        due_hooks(now: Timestamp, lease_until: Timestamp, limit: usize) -> Vec<HookDelivery>;
        add_hooks(hooks: Vec<HookDelivery>) -> ();
        settle_hook(id: Id, again_at: Option<Timestamp>) -> ();
        waiting_charges() -> Vec<PastCharge>;
        past_checkpoints(since: Timestamp) -> Vec<(u64, Timestamp)>;
        census(subaccount: Option<&str>) -> Census;
        queued() -> u64;
        save_erasure(job: ErasureJob) -> ();
        erasure(id: Id) -> Option<ErasureJob>;
        open_erasures() -> Vec<ErasureJob>;
        looked(number: Msisdn, subaccount: &str) -> Option<Looked>;
        keep_looked(number: Msisdn, subaccount: &str, looked: Looked, at: Timestamp) -> ();
        forget_evidence(up_to: u64) -> ();
        newest_row() -> i64;
        ping() -> ();
    }
    directory {
        documents(collection: &str) -> Vec<Document>;
        create(document: Document, audit: AuditEntry) -> u64;
        replace(document: Document, audit: AuditEntry) -> u64;
        delete(collection: &str, id: &str, audit: AuditEntry) -> bool;
        version() -> u64;
        remove_opt_out(msisdn: Msisdn, scope: Option<&OptOutScope>, audit: AuditEntry) -> usize;
        opt_outs(page: Page) -> Vec<OptOut>;
        touch_keys(used: Vec<(String, Timestamp, String)>) -> ();
        key_uses() -> Vec<(String, Timestamp, String)>;
        note_audit(entry: AuditEntry) -> ();
        audit_log(page: Page) -> Vec<AuditEntry>;
        audit_chain(noted: Option<String>) -> AuditChain;
    }
    lists {
        entries(list: Option<&str>, page: Page) -> Vec<ListEntry>;
        entry(list: &str, id: Id) -> Option<ListEntry>;
        add_entry(entry: ListEntry, audit: AuditEntry) -> ();
        change_entry(entry: ListEntry, audit: AuditEntry) -> bool;
        remove_entry(list: &str, id: Id, audit: AuditEntry) -> bool;
        import_entries(list: &str, replace: bool, entries: Vec<ListEntry>, audit: AuditEntry) -> ();
        sweep_entries(lists: Vec<String>) -> bool;
        note_hits(hits: Vec<Hits>) -> ();
        hits(from: &str, to: &str) -> Vec<Hits>;
    }
    notes {
        keep_notes(notes: Vec<Note>) -> Vec<Note>;
        note(kind: &str, id: Id) -> Option<Note>;
        notes_of(kind: &str, number: Msisdn) -> Vec<Note>;
        notes(kind: &str, page: Page) -> Vec<Note>;
        notes_until(kind: &str, until: Timestamp, limit: usize) -> Vec<Note>;
        drop_note(kind: &str, id: Id) -> bool;
        drop_notes(kind: &str, ids: Vec<Id>) -> u64;
        swap_note(before: Note, after: Note) -> bool;
    }
    masks {
        open_mask(record: MaskRecord, candidates: Vec<Msisdn>, now: Timestamp, answer: Option<KeepAnswer>) -> Option<MaskRecord>;
        mask(id: Id) -> Option<MaskRecord>;
        mask_of(caller: Msisdn, mask: Msisdn) -> Option<MaskRecord>;
        change_mask(record: MaskRecord) -> MaskRecord;
        masks(filter: MaskFilter, page: Page) -> Vec<MaskRecord>;
        masks_due(now: Timestamp, limit: usize) -> Vec<MaskRecord>;
        keep_call(call: CallRecord) -> CallRecord;
        change_call(call: CallRecord) -> CallRecord;
        call(id: Id) -> Option<CallRecord>;
        call_named(via: &str, reference: &str) -> Option<CallRecord>;
        calls(filter: CallFilter, page: Page) -> Vec<CallRecord>;
        last_results(mask: Msisdn, limit: usize) -> Vec<(Timestamp, CallResult)>;
        prune_masks(over_before: Timestamp, now: Timestamp, limit: usize) -> u64;
    }
}
