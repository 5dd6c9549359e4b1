//! Requests that detection stops, grouped into incidents. A fold over the stream: the same events give the
//! same incidents, so a restart keeps them. It reads no clock and changes nothing outside.

use std::collections::BTreeMap;
use std::time::Duration;

use seawall_core::decision::Verdict;
use seawall_core::detect::Asked;
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::detection::happened::{Done, Judgement, Note, Said, Seen};
use super::super::detection::recent::{Recent, Sent, hashed};
use super::incident::{Group, Incident, KEYS, Vector, group, range, vector};

/// Stops that make an attack of what may be chance.
pub const OPENS_AT: u64 = 5;
/// Without a stop for so long, an incident is over.
pub const QUIET: Duration = Duration::from_secs(2 * 3600);
/// Incidents that are open or forming at once; the one that was quiet longest makes place.
const AT_ONCE: usize = 256;
/// Incidents that are remembered; the oldest go first.
const REMEMBERED: usize = 1_000;

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Incidents {
    all: BTreeMap<u64, Incident>,
    /// Those that are not over, by what holds them together.
    running: BTreeMap<Group, u64>,
    serial: u64,
}

impl Incidents {
    /// A request that detection spoke about, or a message that was sent. `sent`: its number when there is one.
    pub fn asked(&mut self, asked: &Asked, seen: Option<&Seen>, sent: Option<u64>, recent: &mut Recent) {
        let said = seen.and_then(|seen| seen.said.as_ref().map(|said| (seen, said)));
        let stopped = said.filter(|(_, said)| said.verdict > Verdict::Challenge);
        let serial = match stopped {
            Some((_, said)) => Some(self.home(asked, said)),
            None => self.belongs(asked, said.map(|(_, said)| said)),
        };
        let Some(serial) = serial else { return };
        if let Some((seen, said)) = said
            && let Some(incident) = self.all.get_mut(&serial)
        {
            let number = hashed(0, &asked.msisdn.as_u64());
            let fresh = !incident.ranges.has(&range(asked));
            incident.stop(asked, seen, said, number);
            let opens = incident.opened.is_none() && incident.stops() >= OPENS_AT;
            if opens {
                incident.opened = Some(asked.at);
                incident.look_back_at_client(asked, recent);
            }
            if fresh && vector(&said.causes) == Vector::NumberRanges {
                self.look_back(asked, serial, recent);
            }
        }
        if let (Some(id), Some(incident)) = (sent, self.all.get_mut(&serial))
            && let Some(sent) = recent.get_mut(id).filter(|sent| sent.incident == 0)
        {
            sent.incident = serial;
            incident.leak(sent, false);
        }
    }

    /// What was sent to the range of a request before it was noticed.
    fn look_back(&mut self, asked: &Asked, serial: u64, recent: &mut Recent) {
        let Some(incident) = self.all.get_mut(&serial) else { return };
        for sent in recent.claim_range(asked.msisdn.as_u64() / 10_000, serial) {
            incident.leak(&sent, true);
        }
    }

    fn running(&self) -> impl Iterator<Item = &Incident> {
        self.running.values().filter_map(|serial| self.all.get(serial))
    }

    /// The newest of those that fit.
    fn newest(&self, fits: impl Fn(&&Incident) -> bool) -> Option<u64> {
        self.running().filter(fits).map(|i| i.serial).max()
    }

    /// The incident that a stopped request belongs to; a new one where there is none.
    fn home(&mut self, asked: &Asked, said: &Said) -> u64 {
        let (range, group) = (range(asked), group(asked, &said.causes));
        let by_range = || self.newest(|i| !matches!(i.group, Group::Client(..)) && i.ranges.has(&range));
        let country = Group::Country(asked.country.as_str().to_owned());
        let by_country = || {
            let serial = self.running.get(&country)?;
            self.all.get(serial).filter(|i| i.opened.is_some()).map(|i| i.serial)
        };
        let found = self.running.get(&group).copied().or_else(by_range).or_else(by_country);
        found.unwrap_or_else(|| self.begin(asked, group))
    }

    fn begin(&mut self, asked: &Asked, group: Group) -> u64 {
        self.make_room();
        self.serial += 1;
        self.running.insert(group.clone(), self.serial);
        self.all.insert(self.serial, Incident::new(self.serial, group, asked.at));
        self.serial
    }

    /// The incident that a message belongs to although it is sent: it goes to a range that is under attack, or
    /// detection suspects it and its country is.
    fn belongs(&self, asked: &Asked, said: Option<&Said>) -> Option<u64> {
        let range = range(asked);
        let blocks = |i: &&Incident| i.vectors.contains_key(&Vector::NumberRanges) && i.ranges.has(&range);
        if !asked.trusted
            && let Some(found) = self.newest(blocks)
        {
            return Some(found);
        }
        self.running.get(&group(asked, &said?.causes)).copied()
    }

    fn make_room(&mut self) {
        if self.running.len() >= AT_ONCE
            && let Some(quiet) = self.running().min_by_key(|i| i.last).map(|i| (i.serial, i.last))
        {
            self.finish(quiet.0, quiet.1);
        }
        while self.all.len() >= REMEMBERED
            && let Some((serial, gone)) = self.all.pop_first()
            && self.running.get(&gone.group) == Some(&serial)
        {
            self.running.remove(&gone.group);
        }
    }

    /// Over. One that never was an attack is forgotten.
    fn finish(&mut self, serial: u64, at: Timestamp) {
        let Some(incident) = self.all.get_mut(&serial) else { return };
        if self.running.get(&incident.group) == Some(&serial) {
            self.running.remove(&incident.group);
        }
        match incident.opened {
            Some(_) => incident.end(at),
            None => drop(self.all.remove(&serial)),
        }
    }

    /// A message was confirmed.
    pub fn confirmed(&mut self, sent: &Sent) {
        if let Some(incident) = self.all.get_mut(&sent.incident) {
            incident.confirm(sent);
        }
        for serial in self.running.values() {
            if let Some(incident) = self.all.get_mut(serial) {
                incident.recover(sent.number, sent.price);
            }
        }
    }

    /// A message was not sent after all.
    pub fn unsent(&mut self, sent: &Sent) {
        if let Some(incident) = self.all.get_mut(&sent.incident) {
            incident.unleak(sent);
        }
    }

    /// Whether a message to a number was stopped in an attack that goes on.
    pub fn stopped_number(&self, number: u64) -> bool {
        self.running().any(|incident| incident.stopped(number))
    }

    /// Something was done about one.
    pub fn noted(&mut self, note: &Note) {
        if note.what == Done::Ended {
            return self.finish(note.incident, note.at);
        }
        let Some(incident) = self.all.get_mut(&note.incident) else { return };
        match &note.what {
            Done::Announced => incident.announced = true,
            Done::Judged { judgement, by, note: why } => {
                incident.judged = match judgement {
                    Judgement::Open => None,
                    other => Some((*other, by.clone(), why.clone(), note.at)),
                };
                if incident.judged.is_some() && incident.ended.is_none() {
                    self.finish(note.incident, note.at);
                }
            }
            Done::Suspended { scope, id, until } => {
                incident.suspended.push((scope.clone(), id.clone(), *until));
                let keep_from = incident.suspended.len().saturating_sub(KEYS);
                incident.suspended.drain(..keep_from);
            }
            Done::Ended => {}
        }
    }

    /// Those that nothing was stopped of for a while.
    pub fn quiet(&self, now: Timestamp, after: Duration) -> Vec<u64> {
        self.running().filter(|i| i.last.plus(after) <= now).map(|i| i.serial).collect()
    }

    /// Those that count as attacks, newest first.
    pub fn attacks(&self) -> impl Iterator<Item = &Incident> {
        self.all.values().rev().filter(|i| i.opened.is_some())
    }

    /// One of them.
    pub fn get(&self, serial: u64) -> Option<&Incident> {
        self.all.get(&serial).filter(|i| i.opened.is_some())
    }
}
