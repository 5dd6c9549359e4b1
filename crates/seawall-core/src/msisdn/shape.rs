//! What is said of a number's shape beyond its validity: the calling code before it, and what is wrong with its length.

use rlibphonenumber::{PHONE_NUMBER_UTIL, ValidationError};

use super::{Msisdn, split};

/// How a number that no plan knows misses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Its calling code is nobody's.
    CallingCode,
    /// Shorter than every number of its country.
    TooShort,
    /// Longer than every number of its country.
    TooLong,
    /// Between the lengths that its country has.
    Length,
    /// Its length is right; its digits are given to nobody.
    Unassigned,
}

impl Msisdn {
    /// The calling code of its country, such as 65.
    pub fn calling_code(self) -> Option<u16> {
        split(&self.digits()).and_then(|number| u16::try_from(number.country_code).ok())
    }

    /// How it misses its country's plan, for a number that is not valid.
    pub fn misfit(self) -> Misfit {
        let Some(number) = split(&self.digits()) else { return Misfit::CallingCode };
        match PHONE_NUMBER_UTIL.is_possible_number_with_reason(&number) {
            Ok(_) => Misfit::Unassigned,
            Err(ValidationError::InvalidCountryCode) => Misfit::CallingCode,
            Err(ValidationError::TooShort) => Misfit::TooShort,
            Err(ValidationError::TooLong) => Misfit::TooLong,
            Err(_) => Misfit::Length,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calling_code_stands_before_the_number() {
        let code = |text: &str| Msisdn::from_e164(text).unwrap().calling_code();
        assert_eq!(
            [code("+6591234567"), code("+14159929960"), code("+390612345678")],
            [Some(65), Some(1), Some(39)]
        );
        assert_eq!(code("+2101234567"), None, "nobody's");
    }

    #[test]
    fn a_misfit_is_too_long_too_short_or_nobodys() {
        let misfit = |text: &str| Msisdn::from_e164(text).unwrap().misfit();
        assert_eq!(misfit("+141599299600"), Misfit::TooLong);
        assert_eq!(misfit("+1415992"), Misfit::TooShort);
        assert_eq!(misfit("+6511111111"), Misfit::Unassigned);
        assert_eq!(misfit("+2101234567"), Misfit::CallingCode);
    }
}
