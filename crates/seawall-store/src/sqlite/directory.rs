//! [`Directory`] on SQLite.

use async_trait::async_trait;
use seawall_core::consent::OptOutScope;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;

use super::{SqliteStore, audit, codec, documents, opt_outs};
use crate::audit::AuditChain;
use crate::records::{AuditEntry, Document, OptOut, Page};
use crate::{Directory, Result};

#[async_trait]
impl Directory for SqliteStore {
    async fn documents(&self, collection: &str) -> Result<Vec<Document>> {
        let collection = collection.to_owned();
        self.db.list(move |view| documents::list(view, &collection)).await
    }

    async fn create(&self, document: Document, audit: AuditEntry) -> Result<u64> {
        self.db.write(2, move |turn| documents::create(turn, &document, &audit)).await
    }

    async fn replace(&self, document: Document, audit: AuditEntry) -> Result<u64> {
        self.db.write(2, move |turn| documents::replace(turn, &document, &audit)).await
    }

    async fn delete(&self, collection: &str, id: &str, audit: AuditEntry) -> Result<bool> {
        let (collection, id) = (collection.to_owned(), id.to_owned());
        self.db.write(2, move |turn| documents::delete(turn, &collection, &id, &audit)).await
    }

    async fn version(&self) -> Result<u64> {
        self.db.point(documents::version).await
    }

    async fn opted_out(&self, msisdn: Msisdn) -> Result<Vec<OptOutScope>> {
        let number = codec::number_hash(&self.db.shared.vault, msisdn);
        Ok(self.db.shared.hot().opt_outs.get(&number).cloned().unwrap_or_default())
    }

    async fn add_opt_out(&self, entry: OptOut, audit: AuditEntry) -> Result<OptOut> {
        self.db.write(2, move |turn| opt_outs::add(turn, entry, &audit)).await
    }

    async fn remove_opt_out(
        &self,
        msisdn: Msisdn,
        scope: Option<&OptOutScope>,
        audit: AuditEntry,
    ) -> Result<usize> {
        let scope = scope.cloned();
        self.db.write(2, move |turn| opt_outs::remove(turn, msisdn, scope.as_ref(), &audit)).await
    }

    async fn opt_outs(&self, page: Page) -> Result<Vec<OptOut>> {
        self.db.list(move |view| opt_outs::list(view, page)).await
    }

    async fn touch_keys(&self, used: Vec<(String, Timestamp, String)>) -> Result<()> {
        self.db.write(used.len(), move |turn| documents::touch_keys(turn, &used)).await
    }

    async fn key_uses(&self) -> Result<Vec<(String, Timestamp, String)>> {
        self.db.list(documents::key_uses).await
    }

    async fn note_audit(&self, entry: AuditEntry) -> Result<()> {
        self.db.write(1, move |turn| documents::write_audit(turn, &entry)).await
    }

    async fn audit_log(&self, page: Page) -> Result<Vec<AuditEntry>> {
        self.db.list(move |view| documents::audit_log(view, page)).await
    }

    async fn audit_chain(&self, noted: Option<String>) -> Result<AuditChain> {
        self.db.list(move |view| audit::look(view, noted)).await
    }
}
