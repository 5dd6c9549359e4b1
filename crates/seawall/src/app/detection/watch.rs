//! What operators look at, folded from the stream that detection folds: signals and incidents.

use seawall_core::detect::Event;
use serde::{Deserialize, Serialize};

use super::super::incidents::fold::Incidents;
use super::super::signals::Signals;
use super::happened::{Happened, Seen};
use super::recent::{Recent, Sent};

/// Format of the snapshot; grows with every change of what is kept.
const FORMAT: u8 = 3;

/// Signals, incidents, and the messages that both look back on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// Signals.
    pub signals: Signals,
    /// Incidents.
    pub incidents: Incidents,
    recent: Recent,
}

impl Watch {
    /// Folds one more entry in.
    pub fn observe(&mut self, happened: &Happened) {
        let (event, seen) = match happened {
            Happened::Event(event, seen) => (event, seen.as_deref()),
            Happened::Note(note) => return self.incidents.noted(note),
            Happened::Unsent { id, .. } => return self.unsent(*id),
            // It holds numbers as hashes only, and time in which nothing happens is no signal.
            Happened::Forget { .. } | Happened::Passed { .. } => return,
        };
        self.signals.advance(event.at().as_secs(), &mut self.recent);
        match event {
            Event::Sent { id, asked, probability, .. } => {
                let price = seen.and_then(|seen| seen.price);
                let rows = self.signals.asked(asked, seen, true);
                self.recent.add(Sent { rows, ..Sent::of(*id, asked, price, *probability) });
                self.incidents.asked(asked, seen, Some(*id), &mut self.recent);
            }
            Event::Refused { asked } | Event::Challenged { asked } => self.stopped(asked, seen),
            Event::Confirmed { id, .. } => self.confirmed(*id),
            // A message that failed was paid for all the same.
            Event::Failed { .. } | Event::WrongCheck { .. } | Event::Delivered { .. } => {}
        }
    }

    fn stopped(&mut self, asked: &seawall_core::detect::Asked, seen: Option<&Seen>) {
        self.signals.asked(asked, seen, false);
        self.incidents.asked(asked, seen, None, &mut self.recent);
    }

    fn confirmed(&mut self, id: u64) {
        let Some(sent) = self.recent.get_mut(id).filter(|sent| !sent.confirmed) else { return };
        sent.confirmed = true;
        let sent = sent.clone();
        self.signals.confirmed(&sent);
        self.incidents.confirmed(&sent);
    }

    fn unsent(&mut self, id: u64) {
        if let Some(sent) = self.recent.remove(id) {
            self.signals.unsent(&sent);
            self.incidents.unsent(&sent);
        }
    }

    /// Whether a message to the number was stopped, or is out unconfirmed, within a day: such a number is never
    /// let through to see what happens.
    pub fn is_alarmed(&self, number: u64) -> bool {
        self.recent.is_out(number) || self.incidents.stopped_number(number)
    }

    /// Everything, as bytes. They hold numbers in a form that can be guessed back: seal them.
    pub fn snapshot(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).unwrap_or_default()
    }

    /// Goes on where a snapshot stopped; `None` if it is of another version.
    pub fn restore(bytes: &[u8]) -> Option<Self> {
        let (format, rest) = bytes.split_first()?;
        if *format != FORMAT {
            return None;
        }
        postcard::from_bytes(rest).ok()
    }
}
