//! What is set up, and what is known of numbers: documents, uses of keys, opt-outs, entries of lists,
//! lookups.

use seawall_core::consent::OptOutScope;
use seawall_core::id::Id;
use seawall_core::msisdn::Msisdn;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::damaged;
use crate::Result;
use crate::lists::ListEntry;
use crate::notes::Note;
use crate::records::{Document, Looked, OptOut};
use crate::vault::{Place, Vault};

const OPT_OUT: [u8; 2] = *b"oo";
const ENTRY: [u8; 2] = *b"le";
const NOTE: [u8; 2] = *b"nt";
const LOOKED: [u8; 2] = *b"lk";
const KEY_USE: [u8; 2] = *b"ku";

/// Where a document's body stands: its name in the collection, hashed, stands in for a row.
fn document_place(vault: &Vault, collection: &str, id: &str) -> Place {
    Place::new(*b"do", vault.index().text(b'd', &format!("{collection}/{id}")).cast_signed())
}

/// Seals what a document says.
pub(crate) fn seal_document(vault: &Vault, document: &Document) -> Result<Vec<u8>> {
    let place = document_place(vault, &document.collection, &document.id);
    vault.seal(place, &serde_json::to_vec(&document.body)?)
}

/// What a document says.
pub(crate) fn open_document(vault: &Vault, collection: &str, id: &str, body: &[u8]) -> Result<Value> {
    Ok(serde_json::from_slice(&vault.open_sealed(document_place(vault, collection, id), body)?)?)
}

/// Seals the address from which a key was used.
pub(crate) fn seal_key_use(vault: &Vault, ip: &str) -> Result<Vec<u8>> {
    vault.seal(Place::new(KEY_USE, 0), ip.as_bytes())
}

/// The address from which a key was used.
pub(crate) fn open_key_use(vault: &Vault, body: &[u8]) -> Result<String> {
    String::from_utf8(vault.open_sealed(Place::new(KEY_USE, 0), body)?).map_err(|_| damaged("an address"))
}

#[derive(Serialize, Deserialize)]
struct OptOutBody {
    n: u64,
    s: String,
    t: Option<String>,
    a: i64,
    /// How far it reaches, where more than the subaccount narrows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r: Option<OptOutScope>,
}

/// Seals an opt-out.
pub(crate) fn seal_opt_out(vault: &Vault, entry: &OptOut) -> Result<Vec<u8>> {
    let body = OptOutBody {
        n: entry.msisdn.as_u64(),
        s: entry.source.clone(),
        t: entry.note.clone(),
        a: entry.at.as_millis(),
        r: entry.scope.is_narrow().then(|| entry.scope.clone()),
    };
    vault.seal(Place::new(OPT_OUT, entry.id.row()), &serde_json::to_vec(&body)?)
}

/// An opt-out from its columns.
pub(crate) fn open_opt_out(
    vault: &Vault,
    row: i64,
    tail: i64,
    subaccount: Option<String>,
    body: &[u8],
) -> Result<OptOut> {
    let body: OptOutBody = serde_json::from_slice(&vault.open_sealed(Place::new(OPT_OUT, row), body)?)?;
    Ok(OptOut {
        id: Id::new(row, tail.cast_unsigned()),
        msisdn: Msisdn::from_u64(body.n).ok_or_else(|| damaged("a number"))?,
        scope: body.r.unwrap_or_else(|| OptOutScope { subaccount, ..OptOutScope::default() }),
        source: body.s,
        note: body.t,
        at: Timestamp::from_millis(body.a),
    })
}

/// What a note says, sealed.
#[derive(Serialize, Deserialize)]
struct NoteBody {
    n: u64,
    b: String,
}

/// Seals a note.
pub(crate) fn seal_note(vault: &Vault, note: &Note) -> Result<Vec<u8>> {
    let body = NoteBody { n: note.number.as_u64(), b: note.body.clone() };
    vault.seal(Place::new(NOTE, note.id.row()), &serde_json::to_vec(&body)?)
}

/// A note from its columns.
pub(crate) fn open_note(
    vault: &Vault,
    (row, tail): (i64, i64),
    kind: String,
    scope: String,
    at: i64,
    body: &[u8],
) -> Result<Note> {
    let body: NoteBody = serde_json::from_slice(&vault.open_sealed(Place::new(NOTE, row), body)?)?;
    Ok(Note {
        id: Id::new(row, tail.cast_unsigned()),
        kind,
        number: Msisdn::from_u64(body.n).ok_or_else(|| damaged("a number"))?,
        scope,
        when: Timestamp::from_millis(at),
        body: body.b,
    })
}

/// An entry ready to be written.
pub(crate) struct SealedEntry {
    pub(crate) row: i64,
    pub(crate) tail: i64,
    pub(crate) body: Vec<u8>,
}

/// Seals an entry.
pub(crate) fn seal_entry(vault: &Vault, entry: &ListEntry) -> Result<SealedEntry> {
    let row = entry.id.row();
    let body = vault.seal(Place::new(ENTRY, row), &serde_json::to_vec(&entry.body)?)?;
    Ok(SealedEntry { row, tail: entry.id.tail().cast_signed(), body })
}

/// An entry from its columns.
pub(crate) fn open_entry(vault: &Vault, row: i64, tail: i64, list: String, body: &[u8]) -> Result<ListEntry> {
    let plain = vault.open_sealed(Place::new(ENTRY, row), body)?;
    let id = Id::new(row, tail.cast_unsigned());
    Ok(ListEntry { id, list, body: serde_json::from_slice(&plain)? })
}

/// Seals what lookups said of a number, given by its keyed hash.
pub(crate) fn seal_looked(vault: &Vault, number: i64, looked: &Looked) -> Result<Vec<u8>> {
    vault.seal(Place::new(LOOKED, number), &serde_json::to_vec(looked)?)
}

/// What lookups said of a number.
pub(crate) fn open_looked(vault: &Vault, number: i64, body: &[u8]) -> Result<Looked> {
    Ok(serde_json::from_slice(&vault.open_sealed(Place::new(LOOKED, number), body)?)?)
}
