//! What the library asks about a number of a calling code, in its order.

use std::collections::BTreeSet;

use rlibphonenumber::{PhoneMetadata, PhoneNumberDesc};
use seawall_core::country::Country;
use seawall_core::msisdn::NumberKind;
use seawall_core::msisdn::plans::Class;

use super::pattern::{At, Patterns};

/// The library's word for numbers of no country.
const WORLD: &str = "001";
/// The kinds that exclude each other by their order. Landlines and mobiles come after them.
const ORDER: [NumberKind; 8] = [
    NumberKind::PremiumRate,
    NumberKind::TollFree,
    NumberKind::SharedCost,
    NumberKind::Voip,
    NumberKind::PersonalNumber,
    NumberKind::Pager,
    NumberKind::Uan,
    NumberKind::Voicemail,
];
/// Marks of a region: its general pattern, its leading digits, landlines, mobiles, and from there those of [`ORDER`].
const GENERAL: u32 = 0;
const LEADING: u32 = 1;
const FIXED: u32 = 2;
const MOBILE: u32 = 3;
const ORDERED: u32 = 4;
/// Marks a region.
const EACH: u32 = 16;
/// Marks of a calling code: a national prefix ends here; one has been passed; what is left behind one fits.
const END: u32 = u32::MAX;
const PASSED: u32 = u32::MAX - 1;
const LEFT: u32 = u32::MAX - 2;

/// A region's part of the metadata.
pub struct Region {
    country: Option<Country>,
    general: Desc,
    fixed: Desc,
    mobile: Desc,
    ordered: Vec<Desc>,
    leading: Option<String>,
    prefix: Option<String>,
    rewrites: bool,
    same: bool,
}

/// Numbers of one kind.
#[derive(Default)]
struct Desc {
    pattern: Option<String>,
    lengths: Vec<i32>,
}

impl Desc {
    #[allow(
        deprecated,
        reason = "a warning of the library to those who look for patterns in its own wrappers"
    )]
    fn read(desc: Option<PhoneNumberDesc>) -> Desc {
        let desc = desc.unwrap_or_default();
        Desc { pattern: desc.national_number_pattern, lengths: desc.possible_length }
    }
}

impl Region {
    #[allow(deprecated, reason = "as above")]
    pub fn read(metadata: PhoneMetadata) -> Result<Region, String> {
        let country = match Country::parse(&metadata.id) {
            None if metadata.id != WORLD => return Err(format!("the region {} is no country", metadata.id)),
            country => country,
        };
        let ordered = [
            metadata.premium_rate,
            metadata.toll_free,
            metadata.shared_cost,
            metadata.voip,
            metadata.personal_number,
            metadata.pager,
            metadata.uan,
            metadata.voicemail,
        ];
        Ok(Region {
            country,
            general: Desc::read(metadata.general_desc),
            fixed: Desc::read(metadata.fixed_line),
            mobile: Desc::read(metadata.mobile),
            ordered: ordered.into_iter().map(Desc::read).collect(),
            leading: metadata.leading_digits,
            prefix: metadata.national_prefix_for_parsing,
            rewrites: metadata.national_prefix_transform_rule.is_some_and(|rule| !rule.is_empty()),
            same: metadata.same_mobile_and_fixed_line_pattern.unwrap_or(false),
        })
    }

    /// The patterns of this region, and what getting through each says.
    fn patterns(&self) -> impl Iterator<Item = (&String, u32)> {
        let ordered = self.ordered.iter().zip(ORDERED..);
        let all = [(&self.general, GENERAL), (&self.fixed, FIXED), (&self.mobile, MOBILE)]
            .into_iter()
            .chain(ordered);
        let descs = all.filter_map(|(desc, say)| Some((desc.pattern.as_ref()?, say)));
        descs.chain(self.leading.iter().map(|leading| (leading, LEADING)))
    }

    /// The kind of a number that got through these patterns, as the library finds it.
    fn kind(&self, length: i32, fits: impl Fn(u32) -> bool) -> Option<NumberKind> {
        let is =
            |desc: &Desc, say: u32| (desc.lengths.is_empty() || desc.lengths.contains(&length)) && fits(say);
        if !is(&self.general, GENERAL) {
            return None;
        }
        let mut ordered = self.ordered.iter().zip(ORDERED..).zip(ORDER);
        if let Some((_, kind)) = ordered.find(|((desc, say), _)| is(desc, *say)) {
            return Some(kind);
        }
        let mobile = || is(&self.mobile, MOBILE);
        if is(&self.fixed, FIXED) {
            let both = self.same || mobile();
            return Some(if both { NumberKind::FixedLineOrMobile } else { NumberKind::FixedLine });
        }
        (!self.same && mobile()).then_some(NumberKind::Mobile)
    }
}

/// A calling code: its regions in the library's order, and their patterns to be followed together.
pub struct Code {
    regions: Vec<Region>,
    patterns: Patterns,
    begin: BTreeSet<At>,
    /// Says that a prefix has been passed.
    passed: At,
    /// Where what is left behind a prefix begins to be read.
    left: Option<At>,
    /// How many digits the code has.
    digits: usize,
}

impl Code {
    pub fn new(code: i32, regions: Vec<Region>) -> Result<Code, String> {
        let mut patterns = Patterns::default();
        let mut begin = BTreeSet::new();
        for (region, base) in regions.iter().zip((0..).step_by(EACH as usize)) {
            for (text, say) in region.patterns() {
                let at = patterns.add(text, base + say)?;
                patterns.enter(at, &mut begin);
            }
        }
        let passed = patterns.mark(PASSED);
        let mut left = None;
        // The library strips by the rules of the first region, before it knows which region it is.
        if let Some(first) = regions.first() {
            if let Some(prefix) = &first.prefix {
                let at = patterns.add(prefix, END)?;
                patterns.enter(at, &mut begin);
            }
            if let Some(general) = first.general.pattern.as_ref().filter(|_| !first.rewrites) {
                left = Some(patterns.add(general, LEFT)?);
            }
        }
        Ok(Code { regions, patterns, begin, passed, left, digits: code.to_string().len() })
    }

    /// How many digits the code has.
    pub fn digits(&self) -> usize {
        self.digits
    }

    /// Where one stands before the first digit of the national number.
    pub fn begin(&self) -> &BTreeSet<At> {
        &self.begin
    }

    /// Where a digit leads. Leading digits and prefixes count for all that comes behind them.
    pub fn step(&self, from: &BTreeSet<At>, digit: u8) -> BTreeSet<At> {
        let mut next = self.patterns.step(from, digit);
        if next.is_empty() {
            return next;
        }
        let stays = |say: u32| say == PASSED || say < LEFT && say % EACH == LEADING;
        next.extend(from.iter().filter(|at| self.patterns.says(**at).is_some_and(stays)));
        if self.patterns.said(&next).contains(&END) {
            next.insert(self.passed);
            if let Some(left) = self.left {
                self.patterns.enter(left, &mut next);
            }
        }
        next
    }

    /// What a national number of this length is that ends here. `None` leaves it to the library.
    pub fn class(&self, at: &BTreeSet<At>, length: usize) -> Option<Class> {
        let said = self.patterns.said(at);
        // A prefix is stripped unless the number fits as it is and what would be left does not.
        let fits_only_whole = self.left.is_some() && said.contains(&GENERAL) && !said.contains(&LEFT);
        if said.contains(&PASSED) && !fits_only_whole {
            return None;
        }
        let length = i32::try_from(length).ok()?;
        let kind = |(region, base): (&Region, u32)| region.kind(length, |say| said.contains(&(base + say)));
        let alone = self.regions.len() == 1;
        let mut regions = self.regions.iter().zip((0..).step_by(EACH as usize));
        // The library asks countries only, where several share a code.
        let found = regions.find(|(region, base)| {
            alone
                || region.country.is_none()
                || said.contains(&(base + LEADING))
                || kind((region, *base)).is_some()
        })?;
        let country = found.0.country.or(alone.then_some(Country::GLOBAL))?;
        Some((country, kind(found)?))
    }
}
