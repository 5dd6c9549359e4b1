//! Rows of SQLite as records.

use rusqlite::Row;

use super::db::View;
use super::hot::Way;
use crate::Result;
use crate::records::{MessageRecord, VerificationRecord};
use crate::sealed::messages::MessageRow;
pub(super) use crate::sealed::messages::{
    MESSAGE_BODY, SealedMessage, country_code, pack_progress, progress, seal_body,
};
use crate::sealed::verifications::VerificationRow;
pub(super) use crate::sealed::verifications::seal_verification;
pub(super) use crate::sealed::{damaged, number_hash, state};

/// The columns that [`way`] reads.
pub(super) const WAY_COLUMNS: &str = "tail, state, due, progress FROM messages";

/// Reads what changes about a message from [`WAY_COLUMNS`].
pub(super) fn way(r: &Row<'_>) -> Result<Way> {
    Ok(Way {
        tail: r.get::<_, i64>(0)?.cast_unsigned(),
        state: state(r.get(1)?)?,
        due: r.get(2)?,
        progress: progress(r.get_ref(3)?.as_blob().map_err(|_| damaged("a message"))?)?,
    })
}

/// The columns that [`message`] reads.
pub(super) const MESSAGE_COLUMNS: &str = "m.row, m.tail, m.sub, m.number, m.country, m.state, m.due, \
     m.expires, m.dims, m.progress, m.body, m.text FROM messages m";

/// Reads a message from [`MESSAGE_COLUMNS`].
pub(super) fn message(view: View<'_>, r: &Row<'_>) -> Result<MessageRecord> {
    let blob = |at: usize| r.get_ref(at)?.as_blob().map_err(|_| damaged("a message"));
    let row = MessageRow {
        row: r.get(0)?,
        tail: r.get(1)?,
        subaccount: subaccount(view, r.get(2)?)?,
        number: r.get(3)?,
        country: r.get(4)?,
        state: r.get(5)?,
        due: r.get(6)?,
        expires: r.get(7)?,
        dims: blob(8)?,
        progress: blob(9)?,
        body: blob(10)?,
        text: r.get_ref(11)?.as_blob_or_null().map_err(|_| damaged("a text"))?,
    };
    row.open(view.vault())
}

/// The columns that [`verification`] reads: of one that changed, and of one that its message began.
pub(super) const CHANGED_VERIFICATION: &str = "row, sub, revision, body, 1 FROM verifications v";
/// See [`CHANGED_VERIFICATION`].
pub(super) const BEGUN_VERIFICATION: &str = "row, sub, 1, body, 0 FROM messages m \
     WHERE verification = row AND NOT EXISTS (SELECT 1 FROM verifications v WHERE v.row = m.row)";

/// Reads a verification from [`CHANGED_VERIFICATION`] or [`BEGUN_VERIFICATION`].
pub(super) fn verification(view: View<'_>, r: &Row<'_>) -> Result<Option<VerificationRecord>> {
    let row = VerificationRow {
        row: r.get(0)?,
        subaccount: subaccount(view, r.get(1)?)?,
        revision: r.get(2)?,
        body: r.get_ref(3)?.as_blob().map_err(|_| damaged("a verification"))?,
        changed: r.get(4)?,
    };
    row.open(view.vault())
}

/// The name of a subaccount from its column.
pub(super) fn subaccount(view: View<'_>, id: i64) -> Result<String> {
    let known = view.hot().subs.name(id);
    known.map(|name| name.to_string()).ok_or_else(|| damaged("a subaccount"))
}
