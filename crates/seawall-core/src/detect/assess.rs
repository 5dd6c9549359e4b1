//! One probability from all evidence, with the keys that caused it.

use super::asked::Asked;
use super::booking::{exposures, wide};
use super::concentration::Hot;
use super::engine::Engine;
use super::evidence::{Evidence, Explained, Exposure, KeyKind, Signal};
use super::guessing::Guessed;
use super::keys::{Cohort, Key, Keys};
use super::math::{ln, logit, sigmoid};
use super::rows::{Standing, watched};
use super::sender::Unlike;
use super::state::{KeyState, View, single};
use super::tuning::Tuning;
use super::velocity::Fast;
use super::words;
use crate::decision::Verdict;
use crate::request::Operation;

/// A key under suspicion.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspect {
    pub kind: KeyKind,
    /// Whose requests, where a wide key tells them apart.
    pub cohort: Cohort,
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
    /// The number itself, and what that means.
    pub pestered: Option<(Standing, f64)>,
    /// A client whose codes are guessed at, and whether codes should be longer.
    pub guessed: Option<Guessed>,
    pub longer_code: bool,
    /// A sender unlike itself.
    pub unlike: Option<Unlike>,
    pub odds: f64,
}

/// More is never said by one side of the outcomes.
const MOST_OUTCOME: f64 = 0.985;
/// Log-likelihood ratios of a change of network between two codes to one number, and of one more code that
/// nobody confirmed.
const CHANGED: f64 = 2.3;
const UNCONFIRMED: f64 = 1.2;
/// Where other blocks under attack add so much, a block does not stand alone.
const CAMPAIGN: f64 = 1.0;
/// The share of an attack that a key may hold although it asks for no more than usual: who pumps asks for more.
const CALM: f64 = 0.1;
/// Two-sided sum from which on one address is no office: some three more silent people than confirmations. Below
/// it a challenge lets people go on, and their confirmations speak.
const OFFICE_PROVEN: f64 = 2.5;
/// What the logarithm of an address's confirmations adds to its alarm, and at most.
const PEOPLE: f64 = 1.5;
const MOST_PEOPLE: f64 = 6.0;
/// Trials from which on a key's baseline tells what is usual there.
const WATCHED: f64 = 40.0;
/// What is below is not worth a signal.
const WORTH_SAYING: f64 = 0.02;
/// Many small causes can add up, and what is known beforehand multiplies them. From this sum on they are named.
const NEVER_UNSAID: f64 = 0.05;

impl Engine {
    /// What is to be thought of a request. Only the checkpoints that are due by then change anything.
    pub fn assess(&mut self, asked: &Asked) -> Evidence {
        self.advance(asked.at);
        self.consider(asked)
    }

    /// The same as of the last event, which changes nothing: two engines that folded the same events stay the same,
    /// whoever asks them what.
    pub fn consider(&self, asked: &Asked) -> Evidence {
        let keys = Keys::of(asked);
        self.warm(&keys);
        let cohort = self.cohort(asked, &keys);
        let findings = self.findings(asked, &keys, cohort);
        let (concentration, velocity) = self.capped(&findings);
        let pestered = findings.pestered.map_or(0.0, |(_, p)| p);
        let sender = findings.unlike.map_or(0.0, |u| u.probability.min(MOST_OUTCOME));
        let guessed = findings.guessed.map_or(0.0, |g| g.probability.min(MOST_OUTCOME));
        let side = |s: &Option<Suspect>| s.map_or(0.0, |s| s.probability);
        let combined = |number: f64, client: f64, guessed: f64, concentration: f64| {
            let innocent = (1.0 - self.tuning.prior)
                * (1.0 - number.min(MOST_OUTCOME))
                * (1.0 - client.min(MOST_OUTCOME))
                * (1.0 - concentration)
                * (1.0 - velocity)
                * (1.0 - pestered)
                * (1.0 - sender)
                * (1.0 - guessed);
            sigmoid(logit(1.0 - innocent) + findings.odds)
        };
        let probability = combined(side(&findings.number), side(&findings.client), guessed, concentration);
        let narrow_guess =
            if findings.guessed.is_some_and(|g| Tuning::narrow(g.kind)) { guessed } else { 0.0 };
        let of_narrow = |concentration: f64| {
            combined(findings.narrow_number, findings.narrow_client, narrow_guess, concentration)
        };
        let narrow = of_narrow(concentration);
        let pair = concentration > 0.0 && findings.hot.is_some_and(|hot| hot.pair());
        let blocking = if pair { of_narrow(0.0) } else { narrow };
        let mut signals = self.signals(asked, &findings, concentration, velocity, WORTH_SAYING);
        if signals.is_empty() && probability >= NEVER_UNSAID {
            signals = self.signals(asked, &findings, concentration, velocity, 0.0);
        }
        Evidence {
            probability: single(probability),
            narrow: single(narrow),
            ceiling: ceiling(blocking),
            explained: explained(&findings, concentration),
            signals,
            exposure: self.exposures(asked, &keys, cohort),
            price: asked.price,
            longer_code: findings.longer_code,
            background: self.background(&keys),
        }
    }

    /// Narrow keys are mostly ones that nobody asked about for long: the rows of all of them are looked for at once.
    fn warm(&self, keys: &Keys) {
        let client = [keys.ip, keys.network].into_iter().flatten();
        let narrow = keys.blocks.into_iter().chain(client).map(|key| key.hash);
        self.keys.warm(narrow.clone().filter_map(|hash| self.keys.place(hash)));
        self.spreads.warm(narrow.filter_map(|hash| self.spreads.place(hash)));
    }

    /// Which narrow key explains a request.
    pub(super) fn explains(&self, asked: &Asked, keys: &Keys, cohort: Cohort) -> Explained {
        let findings = self.findings(asked, keys, cohort);
        let (concentration, _) = self.capped(&findings);
        explained(&findings, concentration)
    }

    fn findings(&self, asked: &Asked, keys: &Keys, cohort: Cohort) -> Findings {
        let mut found = Findings { odds: self.odds(asked), ..Findings::default() };
        let number = keys.blocks.iter().copied();
        let client = [keys.ip, keys.network].into_iter().flatten();
        let narrow = number.chain(client).map(|k| (k, None));
        let wide = wide(keys, Explained::No).map(|k| {
            let class = (k.kind.has_classes() && cohort.unknown()).then(|| k.of_class(cohort));
            (k.in_cohort(cohort.tested_with()), class)
        });
        let wide = wide.filter(|_| asked.of_a_user());
        for (key, class) in narrow.chain(wide) {
            let Some(suspect) = self.suspect(key, class, cohort) else { continue };
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
        if cohort.unknown() && asked.of_a_user() {
            found.hot = self.concentration(asked, keys);
        }
        found.unlike = self.unlike(asked, keys);
        (found.guessed, found.longer_code) = self.guessing(asked, keys, cohort);
        found.fast = self.velocity(keys);
        if cohort != Cohort::Trusted && asked.operation == Operation::VerifyStart {
            found.pestered = self.pestered(keys);
        }
        found
    }

    /// Codes to one number that nobody confirms, from ever other networks: bombing, or guessing at its codes.
    /// People who retry do so from where they are.
    fn pestered(&self, keys: &Keys) -> Option<(Standing, f64)> {
        let row = self.numbers.find(keys.number)?;
        let standing =
            row.standing(self.seconds(), keys.network.map_or(0, |n| super::booking::low_bits(n.hash)));
        if standing.changes == 0 {
            return None;
        }
        let odds = logit(self.tuning.prior)
            + CHANGED * f64::from(standing.changes)
            + UNCONFIRMED * f64::from(standing.unconfirmed);
        Some((standing, sigmoid(odds).min(MOST_OUTCOME)))
    }

    /// The sequential test of one key: how sure the alarm is, times the share of its traffic that is missing.
    fn suspect(&self, key: Key, class: Option<Key>, cohort: Cohort) -> Option<Suspect> {
        let row = self.keys.find(key.hash)?;
        let far = |alarm: f64| row.most_suspicious() < alarm - 4.0;
        // An alarm is never below that of its kind, which most keys are far from.
        if far(self.tuning.alarm(key.kind)) {
            return None;
        }
        let alarm = self.alarm_of(key.kind, row);
        if far(alarm) {
            return None;
        }
        let view = row.view(self.seconds());
        let mut share = (1.0 - (view.confirmed + 0.4) / (view.expected + 0.4)).max(0.0);
        if key.kind.is_wide() {
            let surplus = self.surplus(row, &view);
            share = surplus.map_or(share, |surplus| share.min(2.0 * surplus + CALM));
            share = class.map_or(share, |class| self.share_of_class(class, share));
            share = share.max(surplus.unwrap_or(0.0).min(2.0 * share));
        }
        let probability = sigmoid(self.tuning.slope * (view.suspicion - alarm)) * share;
        (probability > 0.0).then_some(Suspect {
            kind: key.kind,
            cohort,
            probability,
            trials: view.trials,
            confirmed: view.confirmed,
            expected: view.expected,
        })
    }

    /// The alarm of a key. Behind an address or a network where people confirmed live many: it is tested as often as
    /// they ask, and a few who are silent in a row are to be expected. So it takes more, by the logarithm of their
    /// confirmations of a week.
    pub(super) fn alarm_of(&self, kind: KeyKind, row: &KeyState) -> f64 {
        let shared = matches!(kind, KeyKind::Ip | KeyKind::Network);
        let people = if shared { PEOPLE * ln(1.0 + f64::from(row.base_confirmed)) } else { 0.0 };
        self.tuning.alarm(kind) + people.min(MOST_PEOPLE)
    }

    /// What is missing among the requests of one cohort, which may be innocent of what is missing in all. Little
    /// data of its own leaves it with the share of all, unless it asks for no more than usual.
    fn share_of_class(&self, class: Key, share: f64) -> f64 {
        let Some(row) = self.keys.find(class.hash) else { return share };
        let view = row.view(self.seconds());
        let assumed = self.surplus(row, &view).map_or(share, |surplus| share.min(2.0 * surplus + CALM));
        let weight = self.tuning.class_weight;
        (1.0 - (view.confirmed + weight * (1.0 - assumed)) / (view.expected + weight)).max(0.0)
    }

    /// The share of a key's requests that is beyond its usual: confirmations that go missing show less of an
    /// attack than there is when the attacker confirms some. `None` while too little is known.
    fn surplus(&self, row: &KeyState, view: &View) -> Option<f64> {
        if f64::from(row.base_trials) < WATCHED {
            return None;
        }
        let hours = watched(self.seconds().saturating_sub(self.since_seconds())) / 3600.0;
        let hourly = f64::from(row.base_trials) / hours.max(12.0);
        // A count with a half-life of an hour stands for 1.44 hours; days have hours twice as busy as others.
        let usual = 2.0 * 1.44 * hourly;
        Some((1.0 - (usual + 2.0) / (view.asked + 2.0)).max(0.0))
    }

    /// One family alone says only so much.
    fn capped(&self, found: &Findings) -> (f64, f64) {
        let outcome =
            [&found.number, &found.client].into_iter().flatten().map(|s| s.probability).fold(0.0, f64::max);
        let velocity = found.fast.map_or(0.0, |f| f.probability);
        let Some(hot) = &found.hot else {
            return (0.0, velocity.min(self.velocity_cap(outcome)));
        };
        let alone = hot.balance < 1.0 && outcome < 0.3;
        let many = hot.spread.numbers >= 8 || hot.campaign >= CAMPAIGN;
        let diverse = many && 2 * hot.spread.networks > hot.spread.numbers;
        let waiting = hot.open >= 3 && hot.probability > 0.6 && hot.balance > -2.0;
        // Where other blocks are under attack, one address is no office for long.
        let office = if hot.campaign < CAMPAIGN { OFFICE_PROVEN } else { 0.0 };
        let cap = if hot.coherent() && outcome < 0.3 && hot.balance < office.max(1.0) {
            if hot.balance < office { self.tuning.coherent_cap } else { self.tuning.lone_cap }
        } else if !alone || waiting {
            1.0
        } else if diverse {
            self.tuning.diverse_cap
        } else {
            self.tuning.lone_cap
        };
        let concentration = hot.probability.min(cap).min(MOST_OUTCOME);
        (concentration, velocity.min(self.velocity_cap(outcome.max(concentration))))
    }

    /// Velocity says the more, the surer another family is: by its square, since a busy address has more chances
    /// of a few silent people in a row.
    fn velocity_cap(&self, other: f64) -> f64 {
        let least = self.tuning.velocity_cap;
        least + (1.0 - least) * other * other
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
        let about = [
            (KeyKind::Country, asked.country.as_str().to_owned()),
            (KeyKind::Operator, words::operator(asked)),
            (KeyKind::Subaccount, asked.subaccount.clone()),
        ];
        let all = exposures(keys).into_iter().zip(about).map(|(key, (kind, name))| {
            let row = self.exposure.find(key);
            Exposure {
                kind,
                key: name,
                outstanding: row.map_or(0, |r| r.outstanding).saturating_add(asked.price),
                usual: row.map_or(0, |r| r.usual(now)),
            }
        });
        all.collect()
    }

    fn signals(
        &self,
        asked: &Asked,
        found: &Findings,
        concentration: f64,
        velocity: f64,
        worth: f64,
    ) -> Vec<Signal> {
        let mut all = Vec::new();
        for suspect in [&found.number, &found.client].into_iter().flatten() {
            if suspect.probability > worth {
                all.push(words::outcome(asked, suspect));
            }
        }
        if let Some(hot) = found.hot.as_ref().filter(|_| concentration > worth) {
            all.push(words::concentration(asked, hot, concentration));
        }
        if let Some(fast) = found.fast.as_ref().filter(|_| velocity > worth) {
            all.push(words::velocity(asked, fast, velocity));
        }
        if let Some((standing, p)) = found.pestered.filter(|(_, p)| *p > worth) {
            all.push(words::pestered(asked, standing, p));
        }
        if let Some(guessed) = found.guessed.filter(|g| g.probability > worth) {
            all.push(words::guessing(asked, &guessed));
        }
        if let Some(unlike) = found.unlike.filter(|u| u.probability > worth) {
            all.push(words::sender(asked, &unlike));
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
    if super::guessing::explains(found.guessed.as_ref()) == Explained::Client {
        return Explained::Client;
    }
    let client = |s: &Suspect| s.probability > 0.5 && !matches!(s.kind, KeyKind::Asn | KeyKind::CountryAsn);
    if found.client.as_ref().is_some_and(client) {
        return Explained::Client;
    }
    if found.number.as_ref().is_some_and(|s| s.probability > 0.5) {
        Explained::Country
    } else {
        Explained::No
    }
}

/// Nothing but narrow evidence blocks, and two neighbouring numbers alone do not.
fn ceiling(narrow: f64) -> Verdict {
    if narrow >= 0.5 { Verdict::Block } else { Verdict::Alternative }
}
