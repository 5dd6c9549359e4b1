//! A phone number in its one canonical form, and the reading of every other form.
//!
//! Limits, lists and opt-outs are keyed by number: two spellings that stayed different would be two budgets.
//! The library sees digits and at most one leading `+`; letters, extensions and `;phone-context=` stop here. It
//! takes some 40 ms and 8 MB when it is asked first, and a few more for each country, so that numbers which are valid
//! and international are read by a table of our own ([`plans`]).

pub mod plans;
mod shape;
pub mod veil;

use std::fmt;

use rlibphonenumber::{
    PHONE_NUMBER_UTIL, ParseError, PhoneNumber, PhoneNumberFormat, PhoneNumberType, Region,
};
use serde::{Deserialize, Serialize};

use crate::country::Country;
use plans::PLANS;
pub use shape::Misfit;

/// Longest text we look at: 15 digits leave ample room for spaces and brackets.
const MAX_INPUT_CHARS: usize = 40;
/// The shortest real numbers (Niue, `+683 4000`) have seven digits.
const MIN_DIGITS: u32 = 7;
/// E.164 allows fifteen.
const MAX_DIGITS: u32 = 15;
/// The part of a number that a mask hides, as 8x8 does.
const MASKED_DIGITS: usize = 4;

/// A canonical E.164 number. `Display` and `Debug` are masked; it has no `Serialize` on purpose,
/// so that whoever writes it out chooses [`Msisdn::to_e164`] or [`Msisdn::masked`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Msisdn(u64);

/// What a text turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsedNumber {
    /// The canonical number.
    pub msisdn: Msisdn,
    /// The country it belongs to; for an invalid number, the main country of its calling code.
    pub country: Country,
    /// What kind of line it is.
    pub kind: NumberKind,
    /// Whether the number lies in a range that is known to be assigned.
    pub valid: bool,
    /// Whether it came encrypted, so that no answer may show it: see [`Msisdn::veiled`].
    pub veiled: bool,
}

/// The kind of line that a number belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberKind {
    /// A landline.
    FixedLine,
    /// A mobile phone.
    Mobile,
    /// The country's plan does not tell landlines from mobiles.
    FixedLineOrMobile,
    /// Free to the caller.
    TollFree,
    /// Dear to the caller: the target of traffic pumping.
    PremiumRate,
    /// Paid partly by the person called.
    SharedCost,
    /// Internet telephony.
    Voip,
    /// A number that follows a person.
    PersonalNumber,
    /// A pager.
    Pager,
    /// A company's one number.
    Uan,
    /// Access to a voice mailbox.
    Voicemail,
    /// In no known range.
    Unknown,
}

/// Why a text is not a phone number. No message repeats the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MsisdnError {
    /// No digit at all.
    #[error("the phone number is empty; send it in international form, such as +6591234567")]
    Empty,
    /// Something that is neither a digit nor usual punctuation.
    #[error("the phone number contains {0:?}; use digits, spaces, `-`, `.`, brackets and one leading `+`")]
    BadCharacter(char),
    /// An extension, a pause or a `tel:` parameter.
    #[error("the phone number has an extension or a parameter; send the number alone")]
    Extension,
    /// A national number without its country.
    #[error("the phone number is national; send it in international form, or send `country` with it")]
    NeedsCountry,
    /// A country that has no numbering plan.
    #[error("`country` has no numbering plan; send the phone number in international form, with `+`")]
    UnsupportedCountry,
    /// Fewer than seven digits.
    #[error("the phone number is too short; a number has 7 to 15 digits with its country calling code")]
    TooShort,
    /// More than fifteen digits, or more text than we read.
    #[error("the phone number is too long; a number has 7 to 15 digits with its country calling code")]
    TooLong,
    /// The digits begin with no known calling code.
    #[error("the phone number begins with no known country calling code; check its first digits")]
    UnknownCallingCode,
}

impl Msisdn {
    /// What stands where a number was erased: of a calling code that no country has.
    pub const ERASED: Msisdn = Msisdn(9_990_000_000);

    /// Reads a number in any usual spelling.
    ///
    /// With a leading `+`, or without `country`, the digits are international (a leading `00` counts as `+`).
    /// With `country` they are national, or international if they are valid only that way.
    pub fn parse(input: &str, country: Option<Country>) -> Result<ParsedNumber, MsisdnError> {
        let country = country.filter(|country| *country != Country::GLOBAL);
        if let Some(number) = written_plainly(input, country.is_some()) {
            return Ok(number);
        }
        let typed = typed_digits(input)?;
        match country {
            Some(country) if !typed.starts_with('+') => national(&typed, country),
            _ => without_country(&typed),
        }
    }

    /// The stored number `+6591234567`, and nothing looser: no spaces, no zero in front.
    pub fn from_e164(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+')?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
        plain.then(|| digits.parse().ok()).flatten().and_then(Self::from_u64)
    }

    /// The number whose digits, read as one integer, are `value`.
    pub fn from_u64(value: u64) -> Option<Self> {
        (MIN_DIGITS..=MAX_DIGITS).contains(&digit_count(value)).then_some(Msisdn(value))
    }

    /// The digits as one integer. E.164 numbers never begin with zero, so nothing is lost.
    pub fn as_u64(self) -> u64 {
        self.0
    }

    /// `+6591234567`. This is personal data.
    pub fn to_e164(self) -> String {
        format!("+{}", self.0)
    }

    /// `6591234567`. This is personal data.
    pub fn digits(self) -> String {
        self.0.to_string()
    }

    /// The number range (block) of this number: its digits without the last `drop`, at least one of them.
    pub fn block(self, drop: usize) -> String {
        let mut digits = self.digits();
        let keep = digits.len().saturating_sub(drop).max(1);
        digits.truncate(keep);
        digits
    }

    /// The same as an integer.
    pub fn range(self, drop: u8) -> u64 {
        let most = digit_count(self.0).saturating_sub(1);
        self.0 / 10_u64.pow(u32::from(drop).min(most))
    }

    /// As people in its country write it: `9123 4567`. This is personal data.
    pub fn national(self) -> String {
        let number = split(&self.digits());
        number.map_or_else(
            || self.digits(),
            |number| PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::National).into_owned(),
        )
    }

    /// `+659123xxxx`: fit for logs and replies.
    pub fn masked(self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}{}", self.block(MASKED_DIGITS), "x".repeat(MASKED_DIGITS))
    }
}

impl fmt::Debug for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl NumberKind {
    /// The name that policies and replies use, such as `fixed_line_or_mobile`.
    pub fn as_str(self) -> &'static str {
        match self {
            NumberKind::FixedLine => "fixed_line",
            NumberKind::Mobile => "mobile",
            NumberKind::FixedLineOrMobile => "fixed_line_or_mobile",
            NumberKind::TollFree => "toll_free",
            NumberKind::PremiumRate => "premium_rate",
            NumberKind::SharedCost => "shared_cost",
            NumberKind::Voip => "voip",
            NumberKind::PersonalNumber => "personal_number",
            NumberKind::Pager => "pager",
            NumberKind::Uan => "uan",
            NumberKind::Voicemail => "voicemail",
            NumberKind::Unknown => "unknown",
        }
    }
}

impl From<PhoneNumberType> for NumberKind {
    fn from(kind: PhoneNumberType) -> Self {
        match kind {
            PhoneNumberType::FixedLine => NumberKind::FixedLine,
            PhoneNumberType::Mobile => NumberKind::Mobile,
            PhoneNumberType::FixedLineOrMobile => NumberKind::FixedLineOrMobile,
            PhoneNumberType::TollFree => NumberKind::TollFree,
            PhoneNumberType::PremiumRate => NumberKind::PremiumRate,
            PhoneNumberType::SharedCost => NumberKind::SharedCost,
            PhoneNumberType::VoIP => NumberKind::Voip,
            PhoneNumberType::PersonalNumber => NumberKind::PersonalNumber,
            PhoneNumberType::Pager => NumberKind::Pager,
            PhoneNumberType::UAN => NumberKind::Uan,
            PhoneNumberType::VoiceMail => NumberKind::Voicemail,
            PhoneNumberType::Unknown => NumberKind::Unknown,
        }
    }
}

/// A valid number in international form with nothing but its digits and a `+`: nearly all that programs send.
fn written_plainly(input: &str, at_home: bool) -> Option<ParsedNumber> {
    match input.strip_prefix('+') {
        Some(digits) => known(digits),
        None if at_home => None,
        None => known(input),
    }
}

/// What the numbering plans say of the digits behind a `+`. `None` leaves it to the library.
fn known(digits: &str) -> Option<ParsedNumber> {
    let (value, (country, kind)) = PLANS.find(digits.as_bytes())?;
    Some(ParsedNumber { msisdn: Msisdn(value), country, kind, valid: true, veiled: false })
}

/// The digits of `input` in ASCII, behind a `+` if it had one; everything else is dropped or refused.
fn typed_digits(input: &str) -> Result<String, MsisdnError> {
    if input.chars().nth(MAX_INPUT_CHARS).is_some() {
        return Err(MsisdnError::TooLong);
    }
    let body = without_scheme(input.trim());
    let mut typed = String::with_capacity(body.len());
    for (at, c) in body.char_indices() {
        match c {
            '+' | '\u{ff0b}' if typed.is_empty() => typed.push('+'),
            _ if is_separator(c) => {}
            _ => typed.push(ascii_digit(c).ok_or_else(|| refusal(c, body.get(at..), &typed))?),
        }
    }
    if typed.chars().any(|c| c != '+') { Ok(typed) } else { Err(MsisdnError::Empty) }
}

/// `tel:` is part of a link, not of the number.
fn without_scheme(text: &str) -> &str {
    match text.split_at_checked(4) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("tel:") => rest,
        _ => text,
    }
}

/// Punctuation that people write in numbers, and the invisible marks that come along when they copy one.
fn is_separator(c: char) -> bool {
    matches!(
        c,
        '-' | '.' | '(' | ')' | '[' | ']' | '/' | '\t' | '\u{ad}' | '\u{2212}' | '\u{ff0d}' | '\u{feff}'
    ) || matches!(c, '\u{2010}'..='\u{2015}' | '\u{ff08}' | '\u{ff09}' | '\u{ff0e}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}' | '\u{2066}'..='\u{2069}')
        || (c.is_whitespace() && !c.is_control())
}

/// An ASCII, fullwidth or Arabic digit, as ASCII.
fn ascii_digit(c: char) -> Option<char> {
    let zero = match c {
        '0'..='9' => return Some(c),
        '\u{ff10}'..='\u{ff19}' => 0xff10,
        '\u{660}'..='\u{669}' => 0x660,
        '\u{6f0}'..='\u{6f9}' => 0x6f0,
        _ => return None,
    };
    char::from_digit((c as u32).checked_sub(zero)?, 10)
}

/// Says whether the character that stopped us begins an extension or is simply wrong.
fn refusal(c: char, rest: Option<&str>, typed: &str) -> MsisdnError {
    let after_digits = typed.chars().any(|c| c != '+');
    let word = rest.and_then(|rest| rest.get(..3)).is_some_and(|word| word.eq_ignore_ascii_case("ext"));
    if after_digits && (word || matches!(c, ';' | 'x' | 'X' | '#' | ',')) {
        MsisdnError::Extension
    } else {
        MsisdnError::BadCharacter(c)
    }
}

/// Digits that nobody gave us a country for: international ones.
fn without_country(typed: &str) -> Result<ParsedNumber, MsisdnError> {
    if typed.starts_with('+') {
        return international(typed);
    }
    match typed.strip_prefix("00") {
        Some(digits) => international(&format!("+{digits}")),
        None if typed.starts_with('0') => Err(MsisdnError::NeedsCountry),
        None => international(&format!("+{typed}")),
    }
}

/// `+` and digits.
fn international(text: &str) -> Result<ParsedNumber, MsisdnError> {
    if text.starts_with("+0") {
        return Err(MsisdnError::UnknownCallingCode);
    }
    match text.strip_prefix('+').and_then(known) {
        Some(number) => Ok(number),
        None => settle(read(text, None)?),
    }
}

/// Digits without `+`, written by someone in `country`.
fn national(typed: &str, country: Country) -> Result<ParsedNumber, MsisdnError> {
    let region = Region::from_code(country.as_str())
        .ok()
        .filter(|region| PHONE_NUMBER_UTIL.get_country_code_for_region(*region).is_some())
        .ok_or(MsisdnError::UnsupportedCountry)?;
    let home = read(typed, Some(region)).and_then(settle);
    if home.is_ok_and(|number| number.valid) {
        return home;
    }
    // Not every country dials 00 to go abroad, but people everywhere write it.
    let abroad = typed.strip_prefix("00").and_then(|digits| international(&format!("+{digits}")).ok());
    abroad.filter(|number| number.valid).map_or(home, Ok)
}

/// The library may drop one trunk zero per reading of an invalid number. The canonical form is the one that
/// reads as itself; valid numbers (the fast path) already do.
fn settle(mut number: ParsedNumber) -> Result<ParsedNumber, MsisdnError> {
    for _ in 0..MAX_DIGITS {
        if number.valid {
            break;
        }
        let again = read(&number.msisdn.to_e164(), None)?;
        if again.msisdn == number.msisdn {
            break;
        }
        number = again;
    }
    Ok(number)
}

/// One question to the library.
fn read(text: &str, region: Option<Region>) -> Result<ParsedNumber, MsisdnError> {
    let number = PHONE_NUMBER_UTIL.parse(text, region).map_err(|error| match error {
        ParseError::InvalidCountryCode => MsisdnError::UnknownCallingCode,
        ParseError::TooLongNsn => MsisdnError::TooLong,
        // Nothing but digits gets here, so "not a number" can only mean too few of them.
        _ => MsisdnError::TooShort,
    })?;
    let msisdn = canonical(&number)?;
    let kind = PHONE_NUMBER_UTIL.get_number_type(&number);
    let region = PHONE_NUMBER_UTIL
        .get_region_for_number(&number)
        .or_else(|| PHONE_NUMBER_UTIL.get_region_for_country_code(number.country_code))
        .ok_or(MsisdnError::UnknownCallingCode)?;
    Ok(ParsedNumber {
        msisdn,
        country: country_of(region),
        kind: kind.into(),
        // The library's own definition of valid: the number is of some known type.
        valid: kind != PhoneNumberType::Unknown,
        veiled: false,
    })
}

/// The digits of a canonical number as the library keeps them, without reading them anew: no calling code is the
/// beginning of another one, and zeros after it are significant (Italy).
fn split(digits: &str) -> Option<PhoneNumber> {
    let length = calling_code(digits)?;
    let national = digits.get(length..)?;
    let zeros = national.len() - national.trim_start_matches('0').len();
    let zeros = i32::try_from(zeros.min(national.len().saturating_sub(1))).ok()?;
    Some(PhoneNumber {
        country_code: digits.get(..length)?.parse().ok()?,
        national_number: national.parse().ok()?,
        italian_leading_zero: (zeros > 0).then_some(true),
        number_of_leading_zeros: (zeros > 0).then_some(zeros),
        ..PhoneNumber::default()
    })
}

/// How many of the digits are the country's calling code.
fn calling_code(digits: &str) -> Option<usize> {
    let is_code = |length: &usize| {
        let code = digits.get(..*length).and_then(|code| code.parse().ok());
        code.is_some_and(|code| PHONE_NUMBER_UTIL.get_region_for_country_code(code).is_some())
    };
    (1..=3).find(is_code)
}

/// `001` is the library's word for numbers of no country.
fn country_of(region: Region) -> Country {
    Country::parse(&region.as_region_str()).unwrap_or(Country::GLOBAL)
}

/// Calling code, significant zeros (Italy), national number: E.164 without going through text.
fn canonical(number: &PhoneNumber) -> Result<Msisdn, MsisdnError> {
    let zeros = match number.italian_leading_zero {
        Some(true) => u32::try_from(number.number_of_leading_zeros.unwrap_or(1)).unwrap_or(0),
        _ => 0,
    };
    let code = u64::try_from(number.country_code).map_err(|_| MsisdnError::UnknownCallingCode)?;
    let national = digit_count(number.national_number).saturating_add(zeros);
    let total = digit_count(code).saturating_add(national);
    if total > MAX_DIGITS {
        return Err(MsisdnError::TooLong);
    }
    if total < MIN_DIGITS {
        return Err(MsisdnError::TooShort);
    }
    Ok(Msisdn(code.saturating_mul(10_u64.saturating_pow(national)).saturating_add(number.national_number)))
}

/// How many decimal digits a number has; zero has one.
fn digit_count(value: u64) -> u32 {
    value.checked_ilog10().unwrap_or(0).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn country(text: &str) -> Option<Country> {
        (!text.is_empty()).then(|| Country::parse(text).unwrap())
    }

    fn e164(input: &str, region: &str) -> Result<String, MsisdnError> {
        Msisdn::parse(input, country(region)).map(|number| number.msisdn.to_e164())
    }

    #[test]
    fn agrees_with_the_reference_implementation() {
        let rows = include_str!("../tests/data/numbers.tsv").lines().filter(|line| !line.starts_with('#'));
        let mut seen = 0;
        for row in rows {
            let [input, region, want, valid, kind, owner] = row.split('\t').collect::<Vec<_>>()[..] else {
                panic!("a row of six columns: {row}");
            };
            let got =
                Msisdn::parse(input, country(region)).unwrap_or_else(|error| panic!("{input}: {error}"));
            assert_eq!(got.msisdn.to_e164(), want, "{input} {region}");
            assert_eq!(got.valid, valid == "1", "{input} {region}");
            let name = serde_json::to_value(got.kind).unwrap();
            assert_eq!(name, got.kind.as_str(), "{input} {region}");
            assert_eq!(got.kind.as_str().to_uppercase(), kind, "{input} {region}");
            match owner {
                "" => assert!(!got.valid, "{input}: only an invalid number is nobody's"),
                "001" => assert_eq!(got.country, Country::GLOBAL, "{input}"),
                _ => assert_eq!(got.country.as_str(), owner, "{input} {region}"),
            }
            seen += 1;
        }
        assert!(seen >= 300, "{seen} rows");
    }

    #[test]
    fn digits_are_split_as_the_library_reads_them() {
        let rows = include_str!("../tests/data/reference.tsv").lines().skip(1);
        let mut seen = 0;
        for e164 in rows.filter_map(|row| row.split('\t').nth(3)).filter(|e164| e164.len() > 7) {
            let (Ok(read), Some(split)) = (PHONE_NUMBER_UTIL.parse(e164, None), split(&e164[1..])) else {
                continue;
            };
            let national =
                |number| PHONE_NUMBER_UTIL.format(number, PhoneNumberFormat::National).into_owned();
            if canonical(&read).ok() == Msisdn::from_e164(e164) {
                assert_eq!(national(&split), national(&read), "{e164}");
                seen += 1;
            }
        }
        assert!(seen > 4800, "{seen}");
    }

    #[test]
    fn every_spelling_is_one_number() {
        let international = [
            "+6591234567",
            "+65 9123 4567",
            "+65 9123-4567",
            "+65-9123-4567",
            "+65.9123.4567",
            "+65 (9123) 4567",
            "(+65) 9123 4567",
            "[+65] 9123 4567",
            "+65/9123/4567",
            " +6591234567 ",
            "+6591234567\r\n",
            "\t+6591234567",
            "+65\u{a0}9123\u{a0}4567",
            "+65\u{202f}9123\u{202f}4567",
            "+65\u{2009}9123\u{2009}4567",
            "+65\u{3000}9123\u{3000}4567",
            "+65\u{2011}9123\u{2011}4567",
            "+65\u{2013}9123\u{2013}4567",
            "+65\u{2212}9123\u{2212}4567",
            "+65\u{ff0d}9123\u{ff0d}4567",
            "+65\u{ad}9123\u{ad}4567",
            "\u{202a}+65 9123 4567\u{202c}",
            "\u{202d}+6591234567\u{202c}",
            "\u{2066}+6591234567\u{2069}",
            "\u{200e}+6591234567",
            "\u{feff}+6591234567",
            "+65\u{200b}91234567",
            "\u{ff0b}6591234567",
            "+６５９１２３４５６７",
            "\u{ff0b}６５ ９１２３ ４５６７",
            "+٦٥٩١٢٣٤٥٦٧",
            "+۶۵۹۱۲۳۴۵۶۷",
            "+65 9123 ٤٥٦٧",
            "tel:+6591234567",
            "TEL:+65-9123-4567",
            "Tel: +65 9123 4567",
            "tel:6591234567",
            "6591234567",
            "65 9123 4567",
            "65-9123-4567",
            "(65) 9123 4567",
            "006591234567",
            "00 65 9123 4567",
            "00-65-9123-4567",
            "(00)6591234567",
            "+65--9123--4567",
        ];
        assert!(international.len() >= 40);
        for spelling in international {
            for region in ["", "SG"] {
                assert_eq!(e164(spelling, region).as_deref(), Ok("+6591234567"), "{spelling:?} {region}");
            }
        }
        for spelling in ["91234567", "9123 4567", "9123-4567", "(9123) 4567", "９１２３４５６７"] {
            assert_eq!(e164(spelling, "SG").as_deref(), Ok("+6591234567"), "{spelling:?}");
        }
    }

    #[test]
    fn national_numbers_lose_their_trunk_zero_and_nothing_else() {
        for (input, region, want) in [
            ("020 7946 0018", "GB", "+442079460018"),
            ("+44 (0)20 7946 0018", "", "+442079460018"),
            ("+44 (0)20 7946 0018", "SG", "+442079460018"),
            ("442079460018", "GB", "+442079460018"),
            ("0044 20 7946 0018", "US", "+442079460018"),
            ("011 44 20 7946 0018", "US", "+442079460018"),
            ("030/123456", "DE", "+4930123456"),
            ("06 698 12345", "IT", "+390669812345"),
            ("+39 06 698 12345", "", "+390669812345"),
            ("650 253 0000", "US", "+16502530000"),
            ("1 650 253 0000", "US", "+16502530000"),
            ("8 912 345 67 89", "RU", "+79123456789"),
            ("+800 1234 5678", "", "+80012345678"),
            ("+65 9123 4567", "ZZ", "+6591234567"),
        ] {
            assert_eq!(e164(input, region).as_deref(), Ok(want), "{input} {region}");
        }
    }

    #[test]
    fn an_invalid_but_possible_number_is_read_and_marked() {
        let number = Msisdn::parse("+198765432", None).unwrap();
        assert_eq!((number.valid, number.kind), (false, NumberKind::Unknown));
        assert_eq!(number.country.as_str(), "US");
        assert_eq!(Msisdn::parse("+80012345678", None).unwrap().country, Country::GLOBAL);
    }

    #[test]
    fn refusals_say_why() {
        use MsisdnError::*;
        for (input, region, want) in [
            ("", "", Empty),
            ("  ", "SG", Empty),
            ("+", "", Empty),
            ("tel:", "", Empty),
            ("+dwPAA;phone-context=AA", "", BadCharacter('d')),
            (".;phone-context=", "", BadCharacter(';')),
            ("91234567;phone-context=+65", "", Extension),
            ("+6591234567;ext=12", "", Extension),
            ("+6591234567x12", "", Extension),
            ("+6591234567 X12", "", Extension),
            ("+6591234567 ext. 12", "", Extension),
            ("+6591234567#12", "", Extension),
            ("+6591234567,12", "", Extension),
            ("1-800-FLOWERS", "US", BadCharacter('F')),
            ("+65+91234567", "", BadCharacter('+')),
            ("++6591234567", "", BadCharacter('+')),
            ("65+91234567", "", BadCharacter('+')),
            ("+65 9123\n4567", "", BadCharacter('\n')),
            ("+65*91234567", "", BadCharacter('*')),
            ("091234567", "", NeedsCountry),
            ("91234567", "AQ", UnsupportedCountry),
            ("+65123", "", TooShort),
            ("5", "SG", TooShort),
            ("+6591234567890123", "", TooLong),
            ("+999123456789", "", UnknownCallingCode),
            ("+006591234567", "", UnknownCallingCode),
            ("+210 1234567", "", UnknownCallingCode),
        ] {
            let error = e164(input, region).unwrap_err();
            assert_eq!(error, want, "{input:?} {region}");
        }
        assert_eq!(e164(&format!("+6591234567{}", " ".repeat(40)), ""), Err(TooLong));
    }

    #[test]
    fn shows_only_the_mask() {
        let number = Msisdn::from_e164("+639221101234").unwrap();
        assert_eq!(number.masked(), "+63922110xxxx");
        assert_eq!(format!("{number} {number:?}"), "+63922110xxxx +63922110xxxx");
        assert_eq!((number.digits().as_str(), number.as_u64()), ("639221101234", 639_221_101_234));
        assert_eq!(number.block(4), "63922110");
        assert_eq!(number.block(99), "6");
        assert_eq!((number.range(4), number.range(99)), (63_922_110, 6));
    }

    #[test]
    fn the_strict_reader_takes_only_the_canonical_form() {
        for text in [
            "6591234567",
            "+65 91234567",
            "+06591234567",
            "+659123",
            "+1234567890123456",
            "++6591234567",
            "+",
            "",
        ] {
            assert_eq!(Msisdn::from_e164(text), None, "{text}");
        }
        assert_eq!(Msisdn::from_u64(999_999), None);
        assert_eq!(Msisdn::from_u64(1_000_000_000_000_000), None);
        assert_eq!(Msisdn::from_u64(6_591_234_567), Msisdn::from_e164("+6591234567"));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,60}", region in "[A-Z]{2}") {
            let _ = Msisdn::parse(&text, None);
            let _ = Msisdn::parse(&text, Country::parse(&region));
        }

        #[test]
        fn never_panics_on_near_numbers(
            text in r"(tel:)?[+]{0,2}[0-9A-Za-z ().;=x#-]{0,24}(;phone-context=[+A-Za-z0-9.]{0,6})?",
            region in "[A-Z]{2}",
        ) {
            let _ = Msisdn::parse(&text, None);
            let _ = Msisdn::parse(&text, Country::parse(&region));
        }

        #[test]
        fn the_canonical_form_reads_as_itself(
            digits in "[0-9]{5,16}",
            region in "(SG|GB|IT|US|MX|AR|BR|DE|RU|ID|CN)",
        ) {
            for country in [None, Country::parse(&region)] {
                if let Ok(number) = Msisdn::parse(&digits, country) {
                    let text = number.msisdn.to_e164();
                    prop_assert_eq!(Msisdn::parse(&text, None), Ok(number));
                    prop_assert_eq!(Msisdn::from_e164(&text), Some(number.msisdn));
                }
            }
        }
    }
}
