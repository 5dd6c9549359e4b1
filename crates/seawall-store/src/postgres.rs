//! The store for more than one machine: PostgreSQL, shared by any number of nodes.
//!
//! Nothing is kept in memory that another node may change: what one statement does not decide, a unique key or
//! a lock in the same transaction does. Reading order: `schema`, `node` (who holds what is being sent), `writer`
//! and `reader` (what waits in a [line](crate::line) is done together), then `travel`.

mod accept;
mod audit;
mod charges;
mod checks;
mod conn;
mod decisions;
mod directory;
mod documents;
mod erase;
mod evidence;
mod fault;
mod hooks;
mod keys;
mod known;
mod ledger;
mod lists;
mod masking;
mod messages;
mod node;
mod notes;
mod once;
mod opt_outs;
mod partitions;
mod prune;
mod query;
mod reader;
mod scan;
mod schema;
mod setup;
mod snapshots;
mod tls;
mod travel;
mod url;
mod verifications;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::Result;
use crate::vault::Vault;

/// Whether other nodes may use the same database at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// No: what this node counts in its memory, no other would know.
    Alone,
    /// Yes.
    Shared,
}

/// [`crate::Directory`] and [`crate::Ledger`] on one PostgreSQL database.
pub struct PostgresStore {
    db: Arc<conn::Db>,
    writer: writer::Writer,
    reader: reader::Reader,
}

impl PostgresStore {
    /// Connects, looks whether the server keeps what it acknowledges, brings the tables to this version's schema,
    /// and takes a place among the nodes. Refuses a database that is newer, or sealed with other keys.
    pub async fn open(url: &str, vault: Arc<Vault>, sharing: Sharing) -> Result<Self> {
        let db = conn::Db::connect(url, vault)?;
        setup::prepare(&db).await?;
        node::join(&db, sharing).await?;
        Ok(PostgresStore { writer: writer::Writer::start(&db), reader: reader::Reader::start(&db), db })
    }

    /// Brings the tables of a database to this version's schema; says from which one and to which.
    pub async fn migrate(url: &str, vault: Arc<Vault>) -> Result<(i64, i64)> {
        let db = conn::Db::connect(url, vault)?;
        setup::prepare(&db).await
    }

    /// Makes partitions for messages with these keys.
    pub(crate) async fn make_days(&self, keys: &[i64]) -> Result<()> {
        self.db.days.ensure(&self.db, keys.iter().map(|key| partitions::day_of(*key))).await
    }

    /// A connection beside the pool, for something that takes as long as it takes.
    pub(crate) async fn own_connection(&self) -> Result<tokio_postgres::Client> {
        let (client, connection) = self.db.config.connect(self.db.tls.clone()).await?;
        self.db.keep(tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(%error, "a connection to PostgreSQL ended");
            }
        }));
        setup::lasting(&client).await?;
        Ok(client)
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.db.close();
    }
}
