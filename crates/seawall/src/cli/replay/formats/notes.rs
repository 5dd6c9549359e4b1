//! What a log could not tell, counted while it is read, said plainly behind the summary.

use std::collections::BTreeMap;

use super::record::{Learned, Passed, Wrong};
use super::twilio::ASSUMED;

/// The counts.
pub(super) struct Notes {
    confirmations: bool,
    passed: BTreeMap<Passed, u64>,
    foreign: u64,
    unpriced: u64,
    assumed: u64,
    no_zone: u64,
}

impl Notes {
    /// Of a log that knows which codes were confirmed, or does not.
    pub fn new(confirmations: bool) -> Self {
        Notes { confirmations, passed: BTreeMap::new(), foreign: 0, unpriced: 0, assumed: 0, no_zone: 0 }
    }

    pub fn took(&mut self, learned: Learned) {
        self.foreign += u64::from(learned.foreign_price);
        self.unpriced += u64::from(learned.no_price);
        self.assumed += u64::from(learned.assumed_time);
        self.no_zone += u64::from(learned.no_zone);
    }

    pub fn passed(&mut self, why: Passed) {
        *self.passed.entry(why).or_default() += 1;
    }

    /// The sentences. A log of which nothing is left is no log.
    pub fn sentences(&self, taken: usize) -> Result<Vec<String>, Wrong> {
        let over: Vec<String> = self.passed.iter().map(|(why, n)| format!("{n} {}", why.words())).collect();
        if taken == 0 && !over.is_empty() {
            let hidden = self.passed.contains_key(&Passed::Masked);
            let hint = if hidden { "; ask the provider for an export with full numbers" } else { "" };
            return Err(Wrong::new("no row of it", format!("can be replayed ({}){hint}", over.join(", "))));
        }
        let mut said = vec![
            "What the log could not tell:".to_owned(),
            "- who asked: without client addresses and devices, limits per address, proxies and client velocity were not judged".to_owned(),
            "- who would have passed a challenge: everybody was taken to, so that challenges save nothing here".to_owned(),
            "- what the provider had refused already: only what it logged was replayed".to_owned(),
        ];
        if !self.confirmations {
            said.push("- which codes were confirmed: messages were judged by where and how many they are, not by conversion".to_owned());
        }
        let counted = [
            (self.assumed, format!("confirmations have no time; {} s after sending was assumed", ASSUMED / 1000)),
            (self.unpriced, "messages have no price; the policy's price list or $0.05 was taken".to_owned()),
            (self.foreign, "messages have a price in another currency, which was not converted; the policy's price list or $0.05 was taken".to_owned()),
            (self.no_zone, "times have no zone; UTC was taken".to_owned()),
        ];
        said.extend(counted.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("- {n} {what}")));
        if !over.is_empty() {
            said.push(format!("- passed over: {}", over.join(", ")));
        }
        Ok(said)
    }
}
