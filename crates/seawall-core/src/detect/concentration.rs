//! Concentration: more distinct unknown numbers in a block than its share of the country's traffic explains.
//! It needs no feedback and speaks from the second number on.
//!
//! Expected are λ = n · (C + a) / (C_country + a B) numbers, with n the country's unknown numbers in the same
//! span, C what was confirmed in the block and B the blocks in use: as many as would make genuine numbers fall
//! into blocks never seen as often as they do, at most those of the plan. Genuine numbers cluster in popular
//! blocks, so the law is negative binomial of shape C + a, not Poisson. From its surprise go the constant of a
//! typical value and the price of having looked at every block; runs of adjacent numbers add; and what the
//! block's own outcomes say comes on top: a block that confirms talks itself free.

use super::asked::Asked;
use super::booking::{WORLD, within};
use super::engine::Engine;
use super::evidence::KeyKind;
use super::keys::{Keys, OPEN_DIGITS, mix};
use super::math::{exp, ln, sigmoid, surprise};
use super::plan::blocks_of_10k;
use super::rows::DAY;
use super::seen::Spread;

/// Adjacency below this is chance, and so much of it counts at most.
const ADJACENT: (f64, f64) = (2.0, 4.0);
/// Surprise counts at most so much.
const MOST: f64 = 12.0;
/// What the block's own outcomes may add and take away.
const OUTCOMES: (f64, f64) = (-14.0, 6.0);

/// How much more outcomes count where all requests come from one address.
const COHERENT_WEIGHT: f64 = 3.0;
/// Genuine messages that look a little like a block under attack, as a share.
const BY_CHANCE: f64 = 0.002;
/// Blocks under attack raise the odds of another one at most so much (a logarithm).
const MOST_CAMPAIGN: f64 = 4.0;
/// A country has at least so many blocks in use.
const FEWEST_BLOCKS: f64 = 50.0;

/// Confirmations from which on a country has a history.
const FAMILIAR: f64 = 20.0;
/// Numbers that one person may try.
const ONE_PERSON: u32 = 3;

/// The block that is most surprising.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hot {
    pub kind: KeyKind,
    pub probability: f64,
    pub spread: Spread,
    pub expected: f64,
    /// Two-sided sum of the block's outcomes.
    pub balance: f64,
    /// Unconfirmed messages that are out.
    pub open: u16,
    /// How much other blocks under attack have added.
    pub campaign: f64,
    /// Little was ever confirmed in the country.
    pub unfamiliar: bool,
}

impl Hot {
    /// A few neighbouring numbers from one address, in a country without history: somebody tries things out.
    fn one_person(&self) -> bool {
        self.unfamiliar
            && self.spread.addresses == 1
            && self.spread.numbers <= ONE_PERSON
            && self.campaign < 1.0
    }

    /// Two numbers: it happens.
    pub(super) fn pair(&self) -> bool {
        self.spread.numbers <= 2
    }

    /// Whether it all came from one place.
    pub(super) fn coherent(&self) -> bool {
        few_addresses(&self.spread)
    }
}

/// One address, or one and a stranger who happens to have a number beside the office's.
fn few_addresses(spread: &Spread) -> bool {
    let stranger = spread.elsewhere <= 1 && spread.numbers >= 3;
    spread.addresses == 1 || (spread.addresses == 2 && (stranger || spread.numbers > 8))
}

impl Engine {
    /// The most surprising of the number's blocks.
    pub(super) fn concentration(&self, asked: &Asked, keys: &Keys) -> Option<Hot> {
        let mut hottest: Option<Hot> = None;
        for (kind, open_digits) in OPEN_DIGITS {
            let Some(hot) = self.block_heat(asked, keys, kind, open_digits) else { continue };
            if !hot.one_person() && hottest.is_none_or(|h| hot.probability > h.probability) {
                hottest = Some(hot);
            }
        }
        hottest
    }

    fn block_heat(&self, asked: &Asked, keys: &Keys, kind: KeyKind, open_digits: u32) -> Option<Hot> {
        let spread = self.block_spread(keys, kind)?;
        if spread.numbers < 2 {
            return None;
        }
        let now = self.seconds();
        let key = keys.blocks.iter().find(|b| b.kind == kind)?;
        let row = self.keys.find(key.hash);
        let confirmed = row.map_or(0.0, |r| f64::from(r.base_confirmed));
        let view = row.map(|r| r.view(now)).unwrap_or_default();
        let plan = f64::from(blocks_of_10k(asked.country)) * power_of_ten(4, open_digits);
        let country = self.keys.find(mix(keys.country.hash, 0x9001));
        let country = country.map_or(0.0, |r| f64::from(r.base_confirmed));
        let volumes = self.volumes.find(keys.country.hash);
        let volume = volumes.map_or(0.0, |v| v.within(now, spread.span)) + 1.0;
        let place = OPEN_DIGITS.iter().position(|(k, _)| *k == kind).unwrap_or(0);
        let novelty = volumes.map_or(1.0, |v| v.novelty(place)).min(0.999);
        let a = self.tuning.clustering;
        // So many blocks would make genuine numbers fall into new ones as often as they do.
        let blocks = (country * novelty / (1.0 - novelty) / a).clamp(FEWEST_BLOCKS.min(plan), plan).max(2.0);
        let share = ((confirmed + a) / (country + a * blocks)).max(1.0 / blocks);
        let expected = (volume * share).max(self.tuning.least_expected);
        let m = f64::from(spread.numbers);
        if m <= expected {
            return None;
        }
        let excess = surprise(m, confirmed + a, expected)
            - 0.5 * ln(std::f64::consts::TAU * m)
            - self.tuning.look_elsewhere * ln(blocks)
            + adjacency(&spread, kind, open_digits);
        let (least, most) = OUTCOMES;
        // One address alone is an office or one bot: its own confirmations count more.
        let weight = if few_addresses(&spread) { COHERENT_WEIGHT } else { 1.0 };
        let campaign = if confirmed < 0.5 { self.campaign(keys) } else { 0.0 };
        let e = (excess + campaign).min(MOST) + (view.balance * weight).clamp(least, most);
        let probability = sigmoid(e - self.tuning.excess) * (1.0 - (expected / m).min(0.95));
        Some(Hot {
            kind,
            probability,
            spread,
            expected,
            balance: view.balance,
            open: row.map_or(0, |r| r.open),
            campaign,
            unfamiliar: country < FAMILIAR,
        })
    }

    /// Where blocks are under attack already, another one is less of a surprise: by as much as blocks found to be
    /// under attack lately outnumber those that would have looked like it by chance.
    fn campaign(&self, keys: &Keys) -> f64 {
        let now = self.seconds();
        let odds = |key: u64| {
            let Some(row) = self.volumes.find(key) else { return 0.0 };
            row.hot(now) / (1.0 + BY_CHANCE * row.meanwhile(now))
        };
        ln(1.0 + odds(keys.country.hash) + odds(WORLD)).min(MOST_CAMPAIGN)
    }

    /// The distinct numbers of a block in a day; those of a thousand are among those of its ten thousand.
    fn block_spread(&self, keys: &Keys, kind: KeyKind) -> Option<Spread> {
        let stored = if kind == KeyKind::Block1k { KeyKind::Block10k } else { kind };
        let key = keys.blocks.iter().find(|b| b.kind == stored)?;
        let seen = self.spreads.find(key.hash).filter(|seen| seen.held() > 0)?;
        let divisor = if kind == KeyKind::Block1k { 1000 } else { 1 << 20 };
        Some(seen.spread(self.seconds(), DAY, within(keys.digits, stored), keys.from(), divisor))
    }
}

/// How much closer the nearest number is than chance would have it. Only looked at in blocks of 10,000.
fn adjacency(spread: &Spread, kind: KeyKind, open_digits: u32) -> f64 {
    if kind != KeyKind::Block10k || spread.gap == 0 {
        return 0.0;
    }
    let density = f64::from(spread.numbers) / power_of_ten(open_digits, 0);
    let close = -ln((1.0 - exp(-2.0 * f64::from(spread.gap) * density)).max(1e-4));
    let (from, most) = ADJACENT;
    (close - from).clamp(0.0, most)
}

/// `10^(a-b)`.
fn power_of_ten(a: u32, b: u32) -> f64 {
    (b..a).fold(1.0, |x, _| x * 10.0) / (a..b).fold(1.0, |x, _| x * 10.0)
}
