//! [`Directory`] on PostgreSQL.

use async_trait::async_trait;
use seawall_core::consent::OptOutScope;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use tokio::sync::watch;

use super::{PostgresStore, audit, documents, once, opt_outs};
use crate::audit::AuditChain;
use crate::records::{AuditEntry, Document, OptOut, Page};
use crate::sealed::number_hash;
use crate::{Changes, Directory, Result};

#[async_trait]
impl Directory for PostgresStore {
    async fn documents(&self, collection: &str) -> Result<Vec<Document>> {
        documents::list(&self.db, collection).await
    }

    async fn create(&self, document: Document, audit: AuditEntry) -> Result<u64> {
        documents::create(&self.db, &document, &audit).await
    }

    async fn replace(&self, document: Document, audit: AuditEntry) -> Result<u64> {
        documents::replace(&self.db, &document, &audit).await
    }

    async fn delete(&self, collection: &str, id: &str, audit: AuditEntry) -> Result<bool> {
        documents::delete(&self.db, collection, id, &audit).await
    }

    async fn version(&self) -> Result<u64> {
        documents::version(&self.db).await
    }

    fn changes(&self) -> watch::Receiver<Changes> {
        self.db.node.changes()
    }

    async fn opted_out(&self, msisdn: Msisdn) -> Result<Vec<OptOutScope>> {
        self.reader.scopes.bring(opt_outs::Scopes(number_hash(&self.db.vault, msisdn))).await
    }

    async fn add_opt_out(&self, entry: OptOut, audit: AuditEntry) -> Result<OptOut> {
        opt_outs::add(&self.db, entry, &audit).await
    }

    async fn remove_opt_out(
        &self,
        msisdn: Msisdn,
        scope: Option<&OptOutScope>,
        audit: AuditEntry,
    ) -> Result<usize> {
        opt_outs::remove(&self.db, msisdn, scope, &audit).await
    }

    async fn opt_outs(&self, page: Page) -> Result<Vec<OptOut>> {
        opt_outs::list(&self.db, page).await
    }

    async fn touch_keys(&self, used: Vec<(String, Timestamp, String)>) -> Result<()> {
        documents::touch_keys(&self.db, &used).await
    }

    async fn key_uses(&self) -> Result<Vec<(String, Timestamp, String)>> {
        documents::key_uses(&self.db).await
    }

    async fn note_audit(&self, entry: AuditEntry) -> Result<()> {
        documents::note_audit(&self.db, &entry).await
    }

    async fn audit_log(&self, page: Page) -> Result<Vec<AuditEntry>> {
        documents::audit_log(&self.db, page).await
    }

    async fn audit_chain(&self, noted: Option<String>) -> Result<AuditChain> {
        audit::look(&self.db, noted).await
    }

    async fn installing(&self) -> Result<Box<dyn Send>> {
        Ok(Box::new(once::installing(&self.db).await?))
    }

    async fn claim_once(&self, what: u64, now: Timestamp, until: Timestamp) -> Result<bool> {
        once::claim(&self.db, what, now, until).await
    }
}
