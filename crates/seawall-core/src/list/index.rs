//! All lists, compiled: which entries name a part of a request?
//!
//! A copy shares what did not change, so that a change is made on a copy that then takes the place of the
//! old index while requests go on reading that one.

use std::sync::Arc;

use super::{ListEffect, ListHit, ListKind, Matcher, Part, Subject};
use crate::id::{Id, IdKind};
use crate::msisdn::Msisdn;
use crate::time::Timestamp;

/// A list as the index knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// `lst_…`
    pub id: String,
    /// Unique.
    pub name: String,
    /// What its entries name.
    pub kind: ListKind,
    /// What they do.
    pub effect: ListEffect,
}

/// How many entries a list has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// All of them, expired ones included.
    pub entries: usize,
    /// Those without an expiry.
    pub unending: usize,
}

/// What the matcher keeps of an entry.
#[derive(Clone, Copy)]
struct Slot {
    list: usize,
    entry: Id,
    expires_at: Option<Timestamp>,
}

/// See the module.
#[derive(Clone, Default)]
pub struct ListIndex {
    /// By slot number; a list keeps its number until it is gone.
    lists: Vec<Option<(Arc<List>, Size)>>,
    matcher: Matcher<Slot>,
}

impl ListIndex {
    /// Takes over which lists there are. Entries of lists that are gone go with them.
    pub fn define(&mut self, lists: impl IntoIterator<Item = List>) {
        let mut new: Vec<Option<(Arc<List>, Size)>> = vec![None; self.lists.len()];
        for list in lists {
            let (place, size) = match self.place(&list.id) {
                Some(place) => (place, self.size(&list.id)),
                None => (new.len(), Size::default()),
            };
            if place == new.len() {
                new.push(None);
            }
            if let Some(slot) = new.get_mut(place) {
                *slot = Some((Arc::new(list), size));
            }
        }
        let was = std::mem::replace(&mut self.lists, new);
        let emptied = |place: usize| {
            let had = was.get(place).and_then(Option::as_ref).is_some_and(|(_, size)| size.entries > 0);
            had && self.lists.get(place).is_some_and(Option::is_none)
        };
        if (0..was.len()).any(emptied) {
            let lists = &self.lists;
            self.matcher.retain(|slot| lists.get(slot.list).is_some_and(Option::is_some));
        }
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.lists.iter().position(|list| list.as_ref().is_some_and(|(list, _)| list.id == id))
    }

    /// A list by its id.
    pub fn list(&self, id: &str) -> Option<&List> {
        self.lists.iter().flatten().map(|(list, _)| &**list).find(|list| list.id == id)
    }

    /// All lists.
    pub fn lists(&self) -> impl Iterator<Item = &List> {
        self.lists.iter().flatten().map(|(list, _)| &**list)
    }

    /// How many entries a list has.
    pub fn size(&self, id: &str) -> Size {
        let found = self.lists.iter().flatten().find(|(list, _)| list.id == id);
        found.map_or(Size::default(), |(_, size)| *size)
    }

    /// How many entries all lists have.
    pub fn entries(&self) -> usize {
        self.lists.iter().flatten().map(|(_, size)| size.entries).sum()
    }

    /// Adds an entry; false when there is no such list. Whether the part is of the list's kind, and whether
    /// it has an entry already, is for the caller to look at.
    pub fn add(&mut self, list: &str, part: &Part, entry: Id, expires_at: Option<Timestamp>) -> bool {
        let Some(place) = self.place(list) else { return false };
        self.matcher.insert(part, Slot { list: place, entry, expires_at });
        self.resize(place, |size| {
            size.entries += 1;
            size.unending += usize::from(expires_at.is_none());
        });
        true
    }

    /// Removes the entry of a part; false when the list has none.
    pub fn remove(&mut self, list: &str, part: &Part) -> bool {
        let Some(place) = self.place(list) else { return false };
        let unending = self.slot(place, part).is_some_and(|slot| slot.expires_at.is_none());
        let gone = self.matcher.remove(part, |slot| slot.list == place);
        if gone {
            self.resize(place, |size| {
                size.entries -= 1;
                size.unending -= usize::from(unending);
            });
        }
        gone
    }

    /// Removes all entries of a list.
    pub fn clear(&mut self, list: &str) {
        if let Some(place) = self.place(list) {
            self.matcher.retain(|slot| slot.list != place);
            self.resize(place, |size| *size = Size::default());
        }
    }

    fn resize(&mut self, place: usize, change: impl FnOnce(&mut Size)) {
        if let Some(Some((_, size))) = self.lists.get_mut(place) {
            change(size);
        }
    }

    /// The entry of exactly this part in a list, expired or not.
    pub fn find(&self, list: &str, part: &Part) -> Option<Id> {
        self.slot(self.place(list)?, part).map(|slot| slot.entry)
    }

    /// Entries that name this number, expired ones included: in lists of numbers and of ranges, as a sender ID, and in
    /// the name of a user or a device. Gives the list, what the entry says, and the entry.
    pub fn naming(&self, number: Msisdn) -> Vec<(&List, Part, Id)> {
        let digits = number.digits();
        let mut slots: Vec<(Part, Slot)> = Vec::new();
        let exactly = [ListKind::Msisdn, ListKind::NumberRange, ListKind::SenderId];
        for part in exactly.into_iter().filter_map(|kind| Part::parse(kind, &format!("+{digits}")).ok()) {
            self.matcher.of(&part, &mut |slot| slots.push((part.clone(), *slot)));
        }
        self.matcher.names_with(&digits, &mut |part, slot| slots.push((part, *slot)));
        let list = |place: usize| self.lists.get(place)?.as_ref().map(|(list, _)| &**list);
        slots.into_iter().filter_map(|(part, slot)| Some((list(slot.list)?, part, slot.entry))).collect()
    }

    fn slot(&self, place: usize, part: &Part) -> Option<Slot> {
        let mut found = None;
        self.matcher.of(part, &mut |slot| {
            if slot.list == place {
                found = Some(*slot);
            }
        });
        found
    }

    /// Entries that name a part of a request and have not expired, by list and age.
    pub fn hits(&self, subject: &Subject<'_>, now: Timestamp) -> Vec<ListHit> {
        let mut found: Vec<Slot> = Vec::new();
        self.matcher.each(subject, &mut |slot| {
            if slot.expires_at.is_none_or(|end| now < end) {
                found.push(*slot);
            }
        });
        // Tables have no order, and the same input has to give the same bytes.
        found.sort_unstable_by_key(|slot| (slot.list, slot.entry));
        let mut hits: Vec<ListHit> = found.iter().filter_map(|slot| self.hit(slot)).collect();
        hits.sort_by(|a, b| a.list.cmp(&b.list));
        hits
    }

    fn hit(&self, slot: &Slot) -> Option<ListHit> {
        let (list, _) = self.lists.get(slot.list)?.as_ref()?;
        Some(ListHit {
            list: list.name.clone(),
            kind: list.kind,
            effect: list.effect,
            entry: slot.entry.show(IdKind::Entry),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_ip::ClientIp;
    use crate::request::{Operation, Request};
    use std::time::Duration;

    fn list(id: &str, kind: ListKind, effect: ListEffect) -> List {
        List { id: id.to_owned(), name: format!("{id}-name"), kind, effect }
    }

    fn now() -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
    }

    fn id(n: i64) -> Id {
        Id::new(n, 7)
    }

    fn part(text: &str) -> Part {
        Part::parse(ListKind::Msisdn, text).unwrap()
    }

    fn request(to: &str) -> Request {
        let caller = ClientIp::parse("198.51.100.1").unwrap();
        Request::new(Operation::SmsSend, "acme_hq", "key_1", &Msisdn::parse(to, None).unwrap(), caller)
    }

    fn hits(index: &ListIndex, to: &str, at: Timestamp) -> Vec<String> {
        let request = request(to);
        let hits = index.hits(&Subject::of(&request, None, None), at);
        hits.into_iter().map(|hit| format!("{} {}", hit.list, hit.effect.as_str())).collect()
    }

    #[test]
    fn an_entry_counts_until_it_expires_or_goes() {
        let mut index = ListIndex::default();
        index.define([list("a", ListKind::Msisdn, ListEffect::Deny)]);
        let end = now().plus(Duration::from_secs(60));
        assert!(index.add("a", &part("+6591234567"), id(1), Some(end)));
        assert!(!index.add("b", &part("+6591234567"), id(2), None), "there is no such list");
        assert_eq!(hits(&index, "+6591234567", now()), ["a-name deny"]);
        assert!(hits(&index, "+6591234568", now()).is_empty());
        assert!(hits(&index, "+6591234567", end).is_empty());
        assert_eq!(index.find("a", &part("+6591234567")), Some(id(1)), "expired or not");
        assert!(index.remove("a", &part("+6591234567")) && !index.remove("a", &part("+6591234567")));
        assert_eq!(index.size("a"), Size::default());
    }

    #[test]
    fn lists_are_renamed_changed_and_taken_away() {
        let mut index = ListIndex::default();
        index.define([
            list("a", ListKind::Msisdn, ListEffect::Named),
            list("b", ListKind::Msisdn, ListEffect::Deny),
        ]);
        index.add("a", &part("+6591234567"), id(1), None);
        index.add("b", &part("+6591234567"), id(2), None);
        let renamed = List { name: "z".to_owned(), ..list("a", ListKind::Msisdn, ListEffect::Allow) };
        index.define([renamed, list("b", ListKind::Msisdn, ListEffect::Deny)]);
        assert_eq!(hits(&index, "+6591234567", now()), ["b-name deny", "z allow"]);
        assert_eq!((index.size("a"), index.entries()), (Size { entries: 1, unending: 1 }, 2));
        // A list of the same id that comes back is a new one.
        index.define([list("b", ListKind::Msisdn, ListEffect::Deny)]);
        index.define([
            list("a", ListKind::Msisdn, ListEffect::Deny),
            list("b", ListKind::Msisdn, ListEffect::Deny),
        ]);
        assert_eq!(hits(&index, "+6591234567", now()), ["b-name deny"]);
        index.clear("b");
        assert_eq!((hits(&index, "+6591234567", now()).len(), index.entries()), (0, 0));
    }

    #[test]
    fn whoever_reads_the_old_index_is_not_disturbed() {
        let mut index = ListIndex::default();
        index.define([list("a", ListKind::Msisdn, ListEffect::Deny)]);
        let old = index.clone();
        index.add("a", &part("+6591234567"), id(1), None);
        assert!(hits(&old, "+6591234567", now()).is_empty());
        assert_eq!(hits(&index, "+6591234567", now()).len(), 1);
    }

    #[test]
    fn hits_come_in_one_order() {
        let mut index = ListIndex::default();
        index.define([
            list("b", ListKind::NumberRange, ListEffect::Deny),
            list("a", ListKind::Msisdn, ListEffect::Deny),
        ]);
        for (n, range) in ["+6591", "+65912", "+659", "+6591234"].iter().enumerate() {
            let range = Part::parse(ListKind::NumberRange, range).unwrap();
            index.add("b", &range, id(i64::try_from(n).unwrap()), None);
        }
        index.add("a", &part("+6591234567"), id(9), None);
        let request = request("+6591234567");
        let hits = index.hits(&Subject::of(&request, None, None), now());
        let order: Vec<String> = hits.into_iter().map(|hit| hit.entry).collect();
        let wanted = [9, 0, 1, 2, 3].map(|n| id(n).show(IdKind::Entry));
        assert_eq!(order, wanted);
    }
}
