//! The audit log as a chain: what an entry says of the one before it, and the two marks beside the log, its end and
//! where retention cut it. See [`AuditChain`].

use ring::hmac::{HMAC_SHA256, Key, sign, verify};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::audit::AuditChain;
use crate::records::AuditEntry;
use crate::vault::{Place, Vault, hex};

const AUDIT: [u8; 2] = *b"au";
/// Name of the mark of the newest entry among the values of the database.
pub(crate) const END: &str = "audit_end";
/// Name of the mark of the newest entry that retention took.
pub(crate) const CUT: &str = "audit_cut";

/// HMAC-SHA256.
type Hash = [u8; 32];
/// What the first entry of all names.
const NONE: Hash = [0; 32];

/// An entry as it is sealed.
#[derive(Serialize, Deserialize)]
struct Linked {
    #[serde(flatten)]
    entry: AuditEntry,
    /// The hash of the entry before it; missing where a version wrote it that made no chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prev: Option<String>,
}

/// A place in the log: a row, and the hash of what stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    row: i64,
    hash: Hash,
}

/// A new entry, and the mark that names it as the newest.
pub(crate) struct Written {
    pub(crate) body: Vec<u8>,
    pub(crate) end: Vec<u8>,
}

fn key(vault: &Vault) -> Result<Key> {
    Ok(Key::new(HMAC_SHA256, &vault.secret("the chain of the audit log")?))
}

fn hash(vault: &Vault, row: i64, plain: &[u8]) -> Result<Hash> {
    let tag = sign(&key(vault)?, &[&row.to_be_bytes()[..], plain].concat());
    let mut out = NONE;
    out.iter_mut().zip(tag.as_ref()).for_each(|(o, t)| *o = *t);
    Ok(out)
}

fn open(vault: &Vault, row: i64, body: &[u8]) -> Result<(Linked, Point)> {
    let plain = vault.open_sealed(Place::new(AUDIT, row), body)?;
    Ok((serde_json::from_slice(&plain)?, Point { row, hash: hash(vault, row, &plain)? }))
}

/// A mark: row, hash, and a tag that only this installation makes for a mark of that name.
fn mark(vault: &Vault, name: &str, point: Point) -> Result<Vec<u8>> {
    let said = [&point.row.to_be_bytes()[..], &point.hash].concat();
    let tag = sign(&key(vault)?, &[name.as_bytes(), &said].concat());
    Ok([&said, tag.as_ref()].concat())
}

/// What a mark says, if it is one of ours.
fn read(vault: &Vault, name: &str, bytes: &[u8]) -> Option<Point> {
    let (said, tag) = bytes.split_at_checked(40)?;
    verify(&key(vault).ok()?, &[name.as_bytes(), said].concat(), tag).ok()?;
    let (row, hash) = said.split_first_chunk::<8>()?;
    Some(Point { row: i64::from_be_bytes(*row), hash: hash.try_into().ok()? })
}

/// An entry of the audit log.
pub(crate) fn open_audit(vault: &Vault, row: i64, body: &[u8]) -> Result<AuditEntry> {
    Ok(open(vault, row, body)?.0.entry)
}

/// Seals an entry behind the newest one. `end`: its mark, if there is one; `newest`: what stands last in the table.
pub(crate) fn seal_audit(
    vault: &Vault,
    row: i64,
    entry: &AuditEntry,
    end: Option<&[u8]>,
    newest: Option<(i64, Vec<u8>)>,
) -> Result<Written> {
    let marked = end.and_then(|bytes| read(vault, END, bytes));
    // A version that made no chain may have gone on behind the mark.
    let before = match newest {
        Some((row, body)) if marked.is_none_or(|end| end.row < row) => {
            open(vault, row, &body).map_or(NONE, |(_, point)| point.hash)
        }
        _ => marked.map_or(NONE, |end| end.hash),
    };
    let plain = serde_json::to_vec(&Linked { entry: entry.clone(), prev: Some(hex(&before)) })?;
    let body = vault.seal(Place::new(AUDIT, row), &plain)?;
    let end = mark(vault, END, Point { row, hash: hash(vault, row, &plain)? })?;
    Ok(Written { body, end })
}

/// The mark of the newest entry that retention takes. `None` if it cannot be read: then the chain stays broken there,
/// and retention goes on.
pub(crate) fn cut(vault: &Vault, row: i64, body: &[u8]) -> Option<Vec<u8>> {
    mark(vault, CUT, open(vault, row, body).ok()?.1).ok()
}

/// A look over the whole log, oldest first.
pub(crate) struct Walk<'a> {
    vault: &'a Vault,
    chain: AuditChain,
    /// What a noted head has to be found as.
    noted: Option<String>,
    end: Option<Point>,
    last: Option<Point>,
}

impl<'a> Walk<'a> {
    /// Begins with the two marks as they stand.
    pub(crate) fn new(
        vault: &'a Vault,
        noted: Option<String>,
        end: Option<&[u8]>,
        cut: Option<&[u8]>,
    ) -> Self {
        let chain = AuditChain { noted: noted.as_ref().map(|_| false), ..AuditChain::default() };
        let mut walk = Walk { vault, chain, noted, end: None, last: None };
        walk.end = walk.marked(END, end);
        walk.last = walk.marked(CUT, cut);
        if let Some(cut) = walk.last {
            walk.sees(cut);
        }
        walk
    }

    fn marked(&mut self, name: &str, bytes: Option<&[u8]>) -> Option<Point> {
        let point = bytes.and_then(|bytes| read(self.vault, name, bytes));
        if bytes.is_some() && point.is_none() {
            self.broken(format!("the mark {name} beside the log is not one that this installation made"));
        }
        point
    }

    fn broken(&mut self, why: String) {
        self.chain.broken.get_or_insert(why);
    }

    fn sees(&mut self, point: Point) {
        if self.noted.as_deref().is_some_and(|noted| noted.eq_ignore_ascii_case(&hex(&point.hash))) {
            self.chain.noted = Some(true);
        }
    }

    /// The next entry.
    pub(crate) fn entry(&mut self, row: i64, body: &[u8]) {
        self.chain.entries += 1;
        let Ok((Linked { entry, prev }, point)) = open(self.vault, row, body) else {
            self.broken(format!(
                "entry {row} cannot be read: it was changed, or moved here from another place"
            ));
            self.last = None;
            return;
        };
        self.chain.since.get_or_insert(entry.at);
        let before = self.last.map_or(NONE, |last| last.hash);
        match prev {
            None => self.chain.unlinked += 1,
            Some(prev) if prev == hex(&before) => {}
            Some(_) => self.broken(format!(
                "entry {row} of {} does not follow the one before it: what stood between them is missing",
                entry.at
            )),
        }
        self.sees(point);
        self.last = Some(point);
    }

    /// What was found.
    pub(crate) fn finish(mut self) -> AuditChain {
        let newest = self.last.map_or(i64::MIN, |last| last.row);
        match self.end {
            Some(end) if end.row > newest => {
                self.broken(format!("the log ends before entry {}, which was its newest", end.row));
            }
            Some(end) if end.row == newest && self.last != Some(end) => {
                self.broken(format!("entry {newest} is not the one that was written as the newest"));
            }
            None if self.chain.entries > self.chain.unlinked => {
                self.broken("the mark of the newest entry is missing".to_owned());
            }
            _ => {}
        }
        self.chain.head = self.last.map(|last| hex(&last.hash));
        self.chain
    }
}

#[cfg(test)]
mod tests {
    use seawall_core::time::Timestamp;
    use serde_json::json;

    use super::*;

    /// A log in memory: rows, and the two marks.
    #[derive(Clone, Default)]
    struct Log {
        rows: Vec<(i64, Vec<u8>)>,
        end: Option<Vec<u8>>,
        cut: Option<Vec<u8>>,
    }

    fn vault() -> Vault {
        Vault::from_keys(&[(1, [7; 32])]).unwrap()
    }

    fn entry(n: i64) -> AuditEntry {
        AuditEntry {
            at: Timestamp::from_millis(n),
            actor: "admin-token".to_owned(),
            action: "limits.create".to_owned(),
            target: format!("lim_{n}"),
            detail: json!({"quota": n}),
            ip: None,
        }
    }

    impl Log {
        fn of(vault: &Vault, entries: i64) -> Self {
            let mut log = Log::default();
            (1..=entries).for_each(|n| log.write(vault, n));
            log
        }

        fn write(&mut self, vault: &Vault, row: i64) {
            let newest = self.rows.last().cloned();
            let written = seal_audit(vault, row, &entry(row), self.end.as_deref(), newest).unwrap();
            self.rows.push((row, written.body));
            self.end = Some(written.end);
        }

        /// As a version does that makes no chain.
        fn write_unlinked(&mut self, vault: &Vault, row: i64) {
            let body = vault.seal(Place::new(AUDIT, row), &serde_json::to_vec(&entry(row)).unwrap());
            self.rows.push((row, body.unwrap()));
        }

        fn prune(&mut self, vault: &Vault, first: usize) {
            let (row, body) = &self.rows[first - 1];
            self.cut = cut(vault, *row, body);
            self.rows.drain(..first);
        }

        fn look(&self, vault: &Vault, noted: Option<&str>) -> AuditChain {
            let noted = noted.map(str::to_owned);
            let mut walk = Walk::new(vault, noted, self.end.as_deref(), self.cut.as_deref());
            self.rows.iter().for_each(|(row, body)| walk.entry(*row, body));
            walk.finish()
        }

        fn is_whole(&self, vault: &Vault) -> bool {
            self.look(vault, None).broken.is_none()
        }
    }

    #[test]
    fn a_log_is_whole_as_it_grows_and_as_retention_takes_from_it() {
        let vault = vault();
        let mut log = Log::default();
        assert_eq!(log.look(&vault, None), AuditChain::default());
        for n in 1..=20 {
            log.write(&vault, n);
            if n % 5 == 0 {
                log.prune(&vault, 3);
            }
            assert_eq!(log.look(&vault, None).broken, None, "after {n}");
        }
        log.prune(&vault, log.rows.len());
        assert!(log.is_whole(&vault) && log.rows.is_empty());
        log.write(&vault, 21);
        let chain = log.look(&vault, None);
        assert_eq!((chain.broken, chain.entries, chain.unlinked), (None, 1, 0));
    }

    #[test]
    fn any_change_removal_swap_or_truncation_is_noticed() {
        let vault = vault();
        let mut whole = Log::of(&vault, 12);
        whole.prune(&vault, 2);
        assert!(whole.is_whole(&vault));
        let many = whole.rows.len();
        let mut mutants = 0;
        let mut noticed = |log: Log, what: String| {
            mutants += 1;
            assert!(!log.is_whole(&vault), "{what}");
        };
        for at in 0..many {
            for byte in 0..whole.rows[at].1.len() {
                let mut log = whole.clone();
                log.rows[at].1[byte] ^= 1;
                noticed(log, format!("byte {byte} of entry {at}"));
            }
            let mut log = whole.clone();
            log.rows.remove(at);
            noticed(log, format!("entry {at} is gone"));
            let mut log = whole.clone();
            log.rows.truncate(at);
            noticed(log, format!("cut before entry {at}"));
            for other in 0..at {
                let mut log = whole.clone();
                let (a, b) = (log.rows[at].1.clone(), log.rows[other].1.clone());
                (log.rows[at].1, log.rows[other].1) = (b, a);
                noticed(log, format!("entries {at} and {other} are swapped"));
            }
        }
        for first in 1..=many {
            let mut log = whole.clone();
            log.rows.drain(..first);
            noticed(log, format!("the oldest {first} are gone"));
        }
        for (end, cut) in
            [(None, whole.cut.clone()), (whole.end.clone(), None), (whole.cut.clone(), whole.cut.clone())]
        {
            noticed(Log { end, cut, ..whole.clone() }, "a mark is missing or another's".to_owned());
        }
        assert!(mutants > 2_000, "{mutants}");
    }

    #[test]
    fn who_puts_back_an_old_copy_lacks_a_head_that_was_noted() {
        let vault = vault();
        let old = Log::of(&vault, 5);
        let mut log = old.clone();
        log.write(&vault, 6);
        let head = log.look(&vault, None).head.unwrap();
        assert_eq!(log.look(&vault, Some(&head)).noted, Some(true));
        assert!(old.is_whole(&vault), "by itself it cannot be told from the newest");
        assert_eq!(old.look(&vault, Some(&head)).noted, Some(false));
        log.write(&vault, 7);
        log.prune(&vault, 6);
        assert_eq!(log.look(&vault, Some(&head)).noted, Some(true), "retention ended with it");
    }

    #[test]
    fn what_a_version_without_a_chain_wrote_in_between_is_counted_and_held_by_what_follows() {
        let vault = vault();
        let mut log = Log::default();
        (1..3).for_each(|n| log.write_unlinked(&vault, n));
        assert_eq!((log.look(&vault, None).unlinked, log.is_whole(&vault)), (2, true));
        (3..6).for_each(|n| log.write(&vault, n));
        log.write_unlinked(&vault, 6);
        log.write(&vault, 7);
        let chain = log.look(&vault, None);
        assert_eq!((chain.broken, chain.entries, chain.unlinked), (None, 7, 3));
        log.rows.remove(5);
        assert!(!log.is_whole(&vault));
    }

    #[test]
    fn another_installation_cannot_make_one() {
        let log = Log::of(&vault(), 3);
        let other = Vault::from_keys(&[(1, [8; 32])]).unwrap();
        assert!(!log.is_whole(&other));
    }
}
