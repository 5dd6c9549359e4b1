//! One probability from all evidence, with the keys that caused it.

use super::asked::Asked;
use super::booking::{exposures, wide};
use super::concentration::Hot;
use super::engine::Engine;
use super::evidence::{Evidence, Explained, Exposure, KeyKind, Signal};
use super::keys::{Cohort, Key, Keys};
use super::math::{logit, sigmoid};
use super::state::single;
use super::tuning::Tuning;
use super::velocity::Fast;
use super::words;
use crate::decision::Verdict;

/// A key under suspicion.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspect {
    pub kind: KeyKind,
    pub probability: f64,
    pub trials: f64,
    pub confirmed: f64,
    pub expected: f64,
}

/// What all families of evidence say.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    /// Strongest on the number's side and on the client's, all keys and narrow keys alone.
    pub number: Option<Suspect>,
    pub client: Option<Suspect>,
    pub narrow_number: f64,
    pub narrow_client: f64,
    pub hot: Option<Hot>,
    pub fast: Option<Fast>,
    pub odds: f64,
}

/// More is never said by one side of the outcomes.
const MOST_OUTCOME: f64 = 0.985;
/// What is below is not worth a signal.
const WORTH_SAYING: f64 = 0.02;
/// A key whose sums exceed this makes budgets tight.
const SUSPICIOUS: f64 = 2.0;

impl Engine {
    /// What is to be thought of a request. Only the checkpoints that are due by then change anything.
    pub fn assess(&mut self, asked: &Asked) -> Evidence {
        self.advance(asked.at);
        let keys = Keys::of(asked);
        let cohort = self.cohort(asked, &keys);
        let findings = self.findings(asked, &keys, cohort);
        let (concentration, velocity) = self.capped(&findings);
        let side = |s: &Option<Suspect>| s.map_or(0.0, |s| s.probability);
        let combined = |number: f64, client: f64| {
            let innocent = (1.0 - self.tuning.prior)
                * (1.0 - number.min(MOST_OUTCOME))
                * (1.0 - client.min(MOST_OUTCOME))
                * (1.0 - concentration)
                * (1.0 - velocity);
            sigmoid(logit(1.0 - innocent) + findings.odds)
        };
        let probability = combined(side(&findings.number), side(&findings.client));
        let narrow = combined(findings.narrow_number, findings.narrow_client);
        Evidence {
            probability: single(probability),
            narrow: single(narrow),
            ceiling: ceiling(narrow, concentration),
            explained: explained(&findings, concentration),
            signals: self.signals(asked, &findings, concentration, velocity),
            exposure: self.exposures(asked, &keys, cohort),
            price: asked.price,
            longer_code: false,
        }
    }

    fn findings(&self, asked: &Asked, keys: &Keys, cohort: Cohort) -> Findings {
        let mut found = Findings { odds: self.odds(asked), ..Findings::default() };
        let number = keys.blocks.iter().copied();
        let client = [keys.ip, keys.network].into_iter().flatten();
        let wide = wide(keys, Explained::No).map(|k| k.in_cohort(cohort));
        for key in number.chain(client).chain(wide) {
            let Some(suspect) = self.suspect(key) else { continue };
            let of_number = matches!(
                key.kind,
                KeyKind::Block1k
                    | KeyKind::Block10k
                    | KeyKind::Block100k
                    | KeyKind::Operator
                    | KeyKind::Country
            );
            let (best, narrow) = if of_number {
                (&mut found.number, &mut found.narrow_number)
            } else {
                (&mut found.client, &mut found.narrow_client)
            };
            if best.is_none_or(|b| suspect.probability > b.probability) {
                *best = Some(suspect);
            }
            if Tuning::narrow(key.kind) {
                *narrow = narrow.max(suspect.probability);
            }
        }
        if matches!(cohort, Cohort::Fresh | Cohort::Established) {
            found.hot = self.concentration(asked, keys);
        }
        found.fast = self.velocity(keys);
        found
    }

    /// The sequential test of one key: how sure the alarm is, times the share of its traffic that is missing.
    fn suspect(&self, key: Key) -> Option<Suspect> {
        let row = self.keys.find(key.hash)?;
        let alarm = self.tuning.alarm(key.kind);
        if row.most_suspicious() < alarm - 4.0 {
            return None;
        }
        let view = row.view(self.seconds());
        let share = (1.0 - (view.confirmed + 0.4) / (view.expected + 0.4)).max(0.0);
        let probability = sigmoid(self.tuning.slope * (view.suspicion - alarm)) * share;
        (probability > 0.0).then_some(Suspect {
            kind: key.kind,
            probability,
            trials: view.trials,
            confirmed: view.confirmed,
            expected: view.expected,
        })
    }

    /// One family alone says only so much.
    fn capped(&self, found: &Findings) -> (f64, f64) {
        let outcome =
            [&found.number, &found.client].into_iter().flatten().map(|s| s.probability).fold(0.0, f64::max);
        let velocity = found.fast.map_or(0.0, |f| f.probability);
        let Some(hot) = &found.hot else {
            return (0.0, if outcome < 0.3 { velocity.min(self.tuning.velocity_cap) } else { velocity });
        };
        let alone = hot.balance < 1.0 && outcome < 0.3 && velocity < 0.5;
        let diverse = hot.spread.numbers >= 8 && 2 * hot.spread.networks > hot.spread.numbers;
        let waiting = hot.open >= 3 && hot.probability > 0.6 && hot.balance > -2.0;
        let cap = match (alone && !waiting, diverse) {
            (false, _) => 1.0,
            (true, true) => self.tuning.diverse_cap,
            (true, false) => self.tuning.coherent_cap,
        };
        let concentration = hot.probability.min(cap).min(MOST_OUTCOME);
        let alone = outcome < 0.3 && concentration < 0.3;
        (concentration, if alone { velocity.min(self.tuning.velocity_cap) } else { velocity })
    }

    /// Log-odds of what is known beforehand.
    fn odds(&self, asked: &Asked) -> f64 {
        let t = &self.tuning;
        let ip = &asked.ip_facts;
        let mut odds = 0.0;
        if (ip.hosting || ip.vpn) && !ip.relay {
            odds += t.hosting;
        }
        if ip.tor || ip.proxy {
            odds += t.tor;
        }
        if ip.country.is_some_and(|c| c != asked.country) {
            odds += t.foreign;
        }
        if asked.disposable {
            odds += t.disposable;
        }
        if asked.trusted {
            odds += t.trusted;
        } else if asked.known {
            odds += t.known;
        }
        odds
    }

    fn exposures(&self, asked: &Asked, keys: &Keys, cohort: Cohort) -> Vec<Exposure> {
        if cohort == Cohort::Trusted {
            return Vec::new();
        }
        let now = self.seconds();
        let suspicious = |key: Key| {
            let sum = |row: &super::state::KeyState| row.suspicion.iter().map(|s| f64::from(*s)).sum::<f64>();
            self.keys.find(key.in_cohort(cohort).hash).is_some_and(|row| sum(row) > SUSPICIOUS)
        };
        let about = [
            (KeyKind::Country, asked.country.as_str().to_owned(), suspicious(keys.country)),
            (KeyKind::Operator, words::operator(asked), suspicious(keys.operator)),
            (KeyKind::Subaccount, asked.subaccount.clone(), false),
        ];
        let all = exposures(keys).into_iter().zip(about).map(|(key, (kind, name, suspicious))| {
            let row = self.exposure.find(key);
            Exposure {
                kind,
                key: name,
                outstanding: row.map_or(0, |r| r.outstanding).saturating_add(asked.price),
                usual: row.map_or(0, |r| r.usual(now)),
                suspicious,
            }
        });
        all.collect()
    }

    fn signals(&self, asked: &Asked, found: &Findings, concentration: f64, velocity: f64) -> Vec<Signal> {
        let mut all = Vec::new();
        for suspect in [&found.number, &found.client].into_iter().flatten() {
            if suspect.probability > WORTH_SAYING {
                all.push(words::outcome(asked, suspect));
            }
        }
        if let Some(hot) = found.hot.as_ref().filter(|_| concentration > WORTH_SAYING) {
            all.push(words::concentration(asked, hot, concentration));
        }
        if let Some(fast) = found.fast.as_ref().filter(|_| velocity > WORTH_SAYING) {
            all.push(words::velocity(asked, fast, velocity));
        }
        if !all.is_empty() && found.odds > 0.3 {
            all.push(words::prior(asked, sigmoid(logit(self.tuning.prior) + found.odds)));
        }
        all.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        all.truncate(3);
        all
    }
}

/// Which narrow key explains the request.
fn explained(found: &Findings, concentration: f64) -> Explained {
    let block = |s: &Suspect| matches!(s.kind, KeyKind::Block1k | KeyKind::Block10k | KeyKind::Block100k);
    let hot_number = found.number.as_ref().is_some_and(|s| s.probability > 0.5 && block(s));
    let hot = found.hot.as_ref().is_some_and(|h| h.probability > 0.5) || concentration > 0.5;
    if hot || hot_number {
        return Explained::Block;
    }
    let client = |s: &Suspect| s.probability > 0.5 && !matches!(s.kind, KeyKind::Asn | KeyKind::CountryAsn);
    if found.client.as_ref().is_some_and(client) { Explained::Client } else { Explained::No }
}

/// Nothing but narrow evidence blocks.
fn ceiling(narrow: f64, _concentration: f64) -> Verdict {
    if narrow >= 0.5 { Verdict::Block } else { Verdict::Alternative }
}
