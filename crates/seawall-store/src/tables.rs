//! Every column that holds sealed values, so that all of them can be sealed again. A column that is missing here would
//! keep an old data key for ever, or lose what it sealed: a test goes through the schema.

use crate::Result;
use crate::vault::{Place, Vault};

/// Which row a value says that it stands in, see [`Place`].
#[derive(Clone, Copy)]
pub(crate) enum Row {
    /// That of a column.
    Column(&'static str),
    /// None.
    Zero,
    /// A document's: its collection and id, hashed.
    Document,
}

/// One column.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    /// A whole number by which rows are gone through, as SQL.
    pub(crate) key: &'static str,
    pub(crate) row: Row,
    kind: [u8; 2],
    /// Which rows, as SQL.
    pub(crate) only: &'static str,
}

const fn column(table: &'static str, column: &'static str, key: &'static str, kind: &[u8; 2]) -> Column {
    Column { table, column, key, row: Row::Column(key), kind: *kind, only: "" }
}

impl Column {
    /// What says where a value stands, as SQL of a text.
    pub(crate) fn place_sql(&self) -> &'static str {
        match self.row {
            Row::Column(name) => name,
            Row::Zero => "0",
            Row::Document => "collection || '/' || id",
        }
    }

    fn place(&self, vault: &Vault, row: &str) -> Option<Place> {
        Some(Place::new(
            self.kind,
            match self.row {
                Row::Column(_) => row.parse().ok()?,
                Row::Zero => 0,
                Row::Document => vault.index().text(b'd', row).cast_signed(),
            },
        ))
    }

    /// A value sealed again with the current key.
    pub(crate) fn again(&self, vault: &Vault, row: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let place = self.place(vault, row).ok_or_else(|| crate::sealed::damaged("a row's key"))?;
        vault.seal(place, &vault.open_sealed(place, sealed)?)
    }

    /// What a value says, for tests that look for what must not be there.
    #[cfg(any(test, feature = "conformance"))]
    pub(crate) fn opened(
        &self,
        vault: &Vault,
        row: &str,
        sealed: &[u8],
    ) -> Result<crate::conformance::Opened> {
        let place = self.place(vault, row).ok_or_else(|| crate::sealed::damaged("a row's key"))?;
        let at = format!("{}.{}", self.table, self.column);
        Ok(crate::conformance::Opened { at, plain: vault.open_sealed(place, sealed)? })
    }
}

/// The columns of SQLite.
pub(crate) const SQLITE: [Column; 18] = [
    column("messages", "body", "row", b"mb"),
    column("messages", "text", "row", b"mt"),
    column("verifications", "body", "row", b"ve"),
    column("decision_batches", "body", "first", b"db"),
    Column { row: Row::Column("hash"), ..column("idempotency", "body", "bucket", b"ik") },
    column("hooks", "body", "row", b"wh"),
    Column { row: Row::Document, ..column("documents", "body", "seq", b"do") },
    column("opt_outs", "body", "row", b"oo"),
    column("audit", "body", "row", b"au"),
    Column { row: Row::Zero, ..column("key_uses", "ip", "0", b"ku") },
    column("evidence", "body", "seq", b"ev"),
    column("list_entries", "body", "row", b"le"),
    column("lookups", "body", "number", b"lk"),
    column("erasures", "body", "row", b"er"),
    column("notes", "body", "row", b"nt"),
    column("mask_sessions", "body", "row", b"mk"),
    column("mask_calls", "body", "row", b"mc"),
    Column { row: Row::Zero, only: " AND key = 'vault'", ..column("meta", "value", "0", b"vc") },
];

/// The columns of PostgreSQL.
pub(crate) const POSTGRES: [Column; 19] = [
    column("messages", "body", "key", b"mb"),
    column("messages", "content", "key", b"mt"),
    column("verifications", "body", "key", b"ve"),
    column("decision_batches", "body", "first", b"db"),
    column("idempotency", "body", "hash", b"ik"),
    column("hooks", "body", "key", b"wh"),
    Column { row: Row::Document, ..column("documents", "body", "seq", b"do") },
    column("opt_outs", "body", "key", b"oo"),
    column("audit", "body", "key", b"au"),
    Column { row: Row::Zero, ..column("key_uses", "ip", "0::bigint", b"ku") },
    column("evidence", "body", "seq", b"ev"),
    Column {
        row: Row::Column("folded * 4096 + part"),
        ..column("evidence_snapshots", "body", "folded", b"es")
    },
    column("list_entries", "body", "key", b"le"),
    column("lookups", "body", "number", b"lk"),
    column("erasures", "body", "key", b"er"),
    column("notes", "body", "key", b"nt"),
    column("mask_sessions", "body", "key", b"mk"),
    column("mask_calls", "body", "key", b"mc"),
    Column { row: Row::Zero, only: " AND name = 'vault'", ..column("meta", "body", "0::bigint", b"vc") },
];
