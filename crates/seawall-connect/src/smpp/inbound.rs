//! Inbound messages (MO): decoding and joining the parts of long ones.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::deliver::Deliver;
use super::text::decode;
use crate::{Echo, Inbound, Secret};

const UDHI: u8 = 0x40;
const CONCATENATED_8_BIT: u8 = 0x00;
const CONCATENATED_16_BIT: u8 = 0x08;
/// Bounds: joins under way, parts of one message, and how long a part waits for the others.
const JOINS_AT_MOST: usize = 256;
const PARTS_AT_MOST: u8 = 16;
const WAIT: Duration = Duration::from_secs(600);

/// Which part of which message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    reference: u16,
    total: u8,
    number: u8,
}

/// A message in parts, until it is kept whole.
struct Join {
    id: u64,
    from: String,
    to: String,
    reference: u16,
    parts: Vec<Option<String>>,
    since: Instant,
    /// The part that completed it, while nobody knows whether it is kept. 0: given up with its gaps.
    handed: Option<u8>,
}

impl Join {
    fn is_of(&self, deliver: &Deliver, part: Part) -> bool {
        self.reference == part.reference
            && self.parts.len() == usize::from(part.total)
            && self.from == deliver.source
            && self.to == deliver.destination
    }

    fn hand(&mut self, part: u8) -> Ready {
        self.handed = Some(part);
        let text: String = self.parts.iter().flatten().map(String::as_str).collect();
        let inbound =
            Inbound { from: Secret::new(self.from.clone()), to: self.to.clone(), text: Secret::new(text) };
        Ready { join: Some(self.id), inbound }
    }
}

/// A message to hand on.
pub(super) struct Ready {
    /// Whose parts it is made of; [`Joiner::settle`] wants to know whether they are kept.
    pub(super) join: Option<u64>,
    pub(super) inbound: Inbound,
}

impl Ready {
    pub(super) fn echo(self) -> (Option<u64>, Echo) {
        (self.join, Echo::Inbound(self.inbound))
    }
}

/// Joins parts. What never completes is handed on with its gaps rather than lost: it may say STOP.
#[derive(Default)]
pub(super) struct Joiner {
    /// The longest waiting first.
    joins: VecDeque<Join>,
    last: u64,
}

impl Joiner {
    /// Takes a message or a part; gives what is complete, or was given up to make room.
    pub(super) fn take(&mut self, deliver: &Deliver, now: Instant) -> Vec<Ready> {
        let (part, text) = open(deliver);
        let whole = || Inbound {
            from: Secret::new(deliver.source.clone()),
            to: deliver.destination.clone(),
            text: Secret::new(text.clone()),
        };
        match part.filter(|part| part.total > 1) {
            Some(part) if part.total <= PARTS_AT_MOST && (1..=part.total).contains(&part.number) => {
                self.join(deliver, part, text, now)
            }
            _ => vec![Ready { join: None, inbound: whole() }],
        }
    }

    /// What has waited too long, with its gaps.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<Ready> {
        let waiting = self.joins.iter_mut().filter(|join| join.handed.is_none());
        waiting
            .take_while(|join| now.saturating_duration_since(join.since) >= WAIT)
            .map(|join| join.hand(0))
            .collect()
    }

    /// Whether what was handed on is kept. What is not is joined again: the last part comes once more.
    pub(super) fn settle(&mut self, id: u64, kept: bool) {
        let Some(at) = self.joins.iter().position(|join| join.id == id) else { return };
        if kept {
            self.joins.remove(at);
        } else if let Some(join) = self.joins.get_mut(at)
            && let Some(number) = join.handed.take()
            && let Some(slot) = join.parts.get_mut(usize::from(number).wrapping_sub(1))
        {
            *slot = None;
        }
    }

    fn join(&mut self, deliver: &Deliver, part: Part, text: String, now: Instant) -> Vec<Ready> {
        let mut ended = self.overdue(now);
        let waiting = |join: &Join| join.handed.is_none();
        let found = self.joins.iter().position(|join| join.is_of(deliver, part));
        if found.is_none() {
            if self.joins.iter().filter(|join| waiting(join)).count() >= JOINS_AT_MOST {
                ended.extend(self.joins.iter_mut().find(|join| waiting(join)).map(|join| join.hand(0)));
            }
            self.last += 1;
            self.joins.push_back(Join {
                id: self.last,
                from: deliver.source.clone(),
                to: deliver.destination.clone(),
                reference: part.reference,
                parts: vec![None; usize::from(part.total)],
                since: now,
                handed: None,
            });
        }
        let at = found.unwrap_or(self.joins.len() - 1);
        let Some(join) = self.joins.get_mut(at) else {
            return ended;
        };
        if let Some(slot) = join.parts.get_mut(usize::from(part.number) - 1) {
            *slot = Some(text);
        }
        if join.parts.iter().all(Option::is_some) {
            ended.push(join.hand(part.number));
        }
        ended
    }
}

/// The text without its user data header, and what the header or the SAR TLVs say about parts.
fn open(deliver: &Deliver) -> (Option<Part>, String) {
    let sar = deliver.sar.map(|(reference, total, number)| Part { reference, total, number });
    let body = deliver.body.as_ref();
    if deliver.esm_class & UDHI == 0 {
        return (sar, decode(body, deliver.data_coding));
    }
    let header_end = body.first().map_or(0, |length| usize::from(*length) + 1);
    let header = body.get(1..header_end).unwrap_or_default();
    let text = body.get(header_end..).unwrap_or_default();
    (concatenation(header).or(sar), decode(text, deliver.data_coding))
}

/// Finds the concatenation element among the elements of a user data header.
fn concatenation(mut header: &[u8]) -> Option<Part> {
    while let [kind, length, rest @ ..] = header {
        let value = rest.get(..usize::from(*length))?;
        match (*kind, value) {
            (CONCATENATED_8_BIT, [reference, total, number]) => {
                return Some(Part { reference: u16::from(*reference), total: *total, number: *number });
            }
            (CONCATENATED_16_BIT, [high, low, total, number]) => {
                let reference = u16::from_be_bytes([*high, *low]);
                return Some(Part { reference, total: *total, number: *number });
            }
            _ => header = rest.get(usize::from(*length)..)?,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio_util::bytes::Bytes;

    fn part(reference: u8, total: u8, number: u8, text: &str) -> Deliver {
        let mut body = vec![5, 0, 3, reference, total, number];
        body.extend_from_slice(text.as_bytes());
        Deliver {
            source: "65".into(),
            esm_class: UDHI,
            data_coding: 3,
            body: body.into(),
            ..Deliver::default()
        }
    }

    fn texts(ready: Vec<Ready>) -> Vec<String> {
        ready.iter().map(|ready| ready.inbound.text.reveal().to_owned()).collect()
    }

    #[test]
    fn what_is_not_kept_is_joined_again_with_its_last_part() {
        let (mut joiner, now) = (Joiner::default(), Instant::now());
        assert!(joiner.take(&part(1, 2, 1, "ST"), now).is_empty());
        let ready = joiner.take(&part(1, 2, 2, "OP"), now);
        joiner.settle(ready[0].join.unwrap(), false);
        let ready = joiner.take(&part(1, 2, 2, "OP"), now);
        let join = ready[0].join.unwrap();
        assert_eq!(texts(ready), ["STOP"]);
        // A repeat before anybody knows whether it is kept is handed on again, not acknowledged for nothing.
        assert_eq!(texts(joiner.take(&part(1, 2, 2, "OP"), now)), ["STOP"]);
        joiner.settle(join, true);
        joiner.settle(join, true);
        assert!(joiner.joins.is_empty());

        assert!(joiner.take(&part(3, 2, 1, "STOP"), now).is_empty());
        let given_up = joiner.overdue(now + WAIT);
        assert!(joiner.overdue(now + WAIT).is_empty(), "handed on already");
        joiner.settle(given_up[0].join.unwrap(), false);
        assert_eq!(texts(joiner.overdue(now + WAIT)), ["STOP"]);
    }

    #[test]
    fn joins_parts_in_any_order_and_ignores_repeats() {
        let (mut joiner, now) = (Joiner::default(), Instant::now());
        assert!(joiner.take(&part(1, 3, 3, "c"), now).is_empty());
        assert!(joiner.take(&part(1, 3, 1, "a"), now).is_empty());
        assert!(joiner.take(&part(1, 3, 1, "a"), now).is_empty());
        assert!(joiner.take(&part(2, 3, 2, "x"), now).is_empty(), "another message");
        assert_eq!(texts(joiner.take(&part(1, 3, 2, "b"), now)), ["abc"]);
    }

    #[test]
    fn sixteen_bit_references_and_sar_work_too() {
        let (mut joiner, now) = (Joiner::default(), Instant::now());
        let wide = |number, text: &[u8]| {
            let mut body = vec![6, 8, 4, 1, 2, 2, number];
            body.extend_from_slice(text);
            Deliver { esm_class: UDHI, data_coding: 3, body: Bytes::from(body), ..Deliver::default() }
        };
        assert!(joiner.take(&wide(1, b"a"), now).is_empty());
        assert_eq!(texts(joiner.take(&wide(2, b"b"), now)), ["ab"]);
        let sar = |number, text: &'static str| Deliver {
            sar: Some((9, 2, number)),
            data_coding: 3,
            body: text.into(),
            ..Deliver::default()
        };
        assert!(joiner.take(&sar(2, "d"), now).is_empty());
        assert_eq!(texts(joiner.take(&sar(1, "c"), now)), ["cd"]);
    }

    #[test]
    fn what_never_completes_is_bounded_and_not_lost() {
        let (mut joiner, now) = (Joiner::default(), Instant::now());
        for number in 0..JOINS_AT_MOST {
            let mut first = part(1, 2, 1, "STOP");
            first.source = format!("sender {number}");
            assert!(joiner.take(&first, now).is_empty());
        }
        assert_eq!(texts(joiner.take(&part(1, 2, 1, "x"), now)), ["STOP"]);
        assert_eq!(joiner.overdue(now + WAIT).len(), JOINS_AT_MOST);
        assert_eq!(texts(joiner.take(&part(1, 99, 1, "too many"), now)), ["too many"]);
        assert_eq!(texts(joiner.take(&part(1, 2, 0, "no such part"), now)), ["no such part"]);
    }

    proptest! {
        #[test]
        fn any_parts_are_survived(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..40)
        ) {
            let (mut joiner, now) = (Joiner::default(), Instant::now());
            for body in bodies {
                let deliver = Deliver { esm_class: UDHI, body: body.into(), ..Deliver::default() };
                let _ = joiner.take(&deliver, now);
            }
        }
    }
}
