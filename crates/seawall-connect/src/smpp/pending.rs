//! Requests that wait for their response, by sequence number.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusmpp::CommandId;
use tokio::sync::oneshot;

use super::wire::Frame;

/// Sequence numbers are 1 to this; then they start over.
const LAST_SEQUENCE: u32 = 0x7FFF_FFFF;

/// How a request ended.
#[derive(Debug)]
pub(super) enum Reply {
    /// The SMSC answered.
    Answer(Frame),
    /// No byte of it was written.
    NotSent(&'static str),
    /// It was written, or part of it, and no answer came.
    Lost(&'static str),
}

struct Waiting {
    expects: CommandId,
    written: bool,
    reply: oneshot::Sender<Reply>,
}

struct Inner {
    next: u32,
    waiting: HashMap<u32, Waiting>,
    closed: Option<&'static str>,
}

/// The requests of one session. Bounded by the window and the two of its own (`enquire_link`, `unbind`).
pub(super) struct Pending(Mutex<Inner>);

impl Pending {
    /// `next` is the first sequence number to use.
    pub(super) fn starting_at(next: u32) -> Self {
        Pending(Mutex::new(Inner { next, waiting: HashMap::new(), closed: None }))
    }

    /// Takes a sequence number for a request. `Err` says why the session takes no more.
    pub(super) fn open(&self, expects: CommandId) -> Result<(u32, oneshot::Receiver<Reply>), &'static str> {
        let mut inner = self.lock();
        if let Some(why) = inner.closed {
            return Err(why);
        }
        let sequence = inner.free_sequence();
        let (reply, answer) = oneshot::channel();
        inner.waiting.insert(sequence, Waiting { expects, written: false, reply });
        Ok((sequence, answer))
    }

    /// Says that the request is about to be written. `false` when nobody waits for it any more: it must then
    /// not be written, for its caller was told that it was not.
    pub(super) fn writing(&self, sequence: u32) -> bool {
        self.lock().waiting.get_mut(&sequence).map(|waiting| waiting.written = true).is_some()
    }

    /// Hands a response to who waits for it. `false`: nobody does (late, repeated, or of another kind).
    pub(super) fn answer(&self, frame: Frame) -> bool {
        let mut inner = self.lock();
        let fits = |waiting: &Waiting| waiting.expects == frame.id || frame.id == CommandId::GenericNack;
        if !inner.waiting.get(&frame.sequence).is_some_and(fits) {
            return false;
        }
        let Some(waiting) = inner.waiting.remove(&frame.sequence) else {
            return false;
        };
        waiting.reply.send(Reply::Answer(frame)).is_ok()
    }

    /// Stops waiting. `Some(written)` when the request was still open.
    pub(super) fn forget(&self, sequence: u32) -> Option<bool> {
        self.lock().waiting.remove(&sequence).map(|waiting| waiting.written)
    }

    /// Ends all that wait, each with what is known about it, and takes no more.
    pub(super) fn close(&self, why: &'static str) {
        let mut inner = self.lock();
        inner.closed = Some(why);
        for (_, waiting) in inner.waiting.drain() {
            let end = if waiting.written { Reply::Lost(why) } else { Reply::NotSent(why) };
            // A receiver that is gone needs no answer.
            let _ = waiting.reply.send(end);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn free_sequence(&mut self) -> u32 {
        loop {
            let sequence = self.next;
            self.next = if sequence >= LAST_SEQUENCE { 1 } else { sequence + 1 };
            if sequence != 0 && !self.waiting.contains_key(&sequence) {
                return sequence;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusmpp::CommandStatus;
    use tokio_util::bytes::Bytes;

    fn frame(id: CommandId, sequence: u32) -> Frame {
        Frame { id, status: CommandStatus::EsmeRok, sequence, body: Bytes::new() }
    }

    #[test]
    fn sequences_wrap_and_skip_those_in_use() {
        let pending = Pending::starting_at(LAST_SEQUENCE);
        let (last, _kept) = pending.open(CommandId::SubmitSmResp).unwrap();
        let (first, _kept) = pending.open(CommandId::SubmitSmResp).unwrap();
        assert_eq!((last, first), (LAST_SEQUENCE, 1));
        pending.lock().next = LAST_SEQUENCE;
        assert_eq!(pending.open(CommandId::SubmitSmResp).unwrap().0, 2);
    }

    #[test]
    fn responses_match_by_sequence_and_kind_once() {
        let pending = Pending::starting_at(1);
        let (sequence, mut answer) = pending.open(CommandId::SubmitSmResp).unwrap();
        assert!(!pending.answer(frame(CommandId::SubmitSmResp, sequence + 1)));
        assert!(!pending.answer(frame(CommandId::EnquireLinkResp, sequence)));
        assert!(pending.answer(frame(CommandId::SubmitSmResp, sequence)));
        assert!(!pending.answer(frame(CommandId::SubmitSmResp, sequence)), "a repeat finds nobody");
        assert!(matches!(answer.try_recv(), Ok(Reply::Answer(_))));
    }

    #[test]
    fn closing_tells_written_from_unwritten() {
        let pending = Pending::starting_at(1);
        let (written, mut first) = pending.open(CommandId::SubmitSmResp).unwrap();
        let (_, mut second) = pending.open(CommandId::SubmitSmResp).unwrap();
        assert!(pending.writing(written));
        pending.close("gone");
        assert!(matches!(first.try_recv(), Ok(Reply::Lost("gone"))));
        assert!(matches!(second.try_recv(), Ok(Reply::NotSent("gone"))));
        assert!(pending.open(CommandId::SubmitSmResp).is_err());
        assert!(!pending.writing(written));
    }
}
