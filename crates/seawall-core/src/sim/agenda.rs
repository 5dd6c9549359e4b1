//! What lies ahead, by time and then in the order in which it was planned.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::people::Joined;
use super::request::Request;

/// Something that will happen.
pub enum Item {
    /// A request arrives; the index is of the actor that wants to hear of it. Boxed: there are many, and moving
    /// them is what costs.
    Emit(Box<Request>, Option<usize>),
    /// Somebody was verified.
    Join(Joined),
}

/// All that will happen.
#[derive(Default)]
pub struct Agenda {
    heap: BinaryHeap<Entry>,
    planned: u64,
}

struct Entry {
    at: i64,
    planned: u64,
    item: Item,
}

impl Agenda {
    /// When the next thing happens.
    pub fn due(&self) -> Option<i64> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// Plans something.
    pub fn plan(&mut self, at: i64, item: Item) {
        self.planned += 1;
        self.heap.push(Entry { at, planned: self.planned, item });
    }

    /// The next thing.
    pub fn take(&mut self) -> Option<Item> {
        self.heap.pop().map(|entry| entry.item)
    }
}

impl Ord for Entry {
    /// The earlier is the greater: the heap gives the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.planned).cmp(&(self.at, self.planned))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}
