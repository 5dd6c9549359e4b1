//! Identifiers: sortable by time, unguessable, one number behind every spelling.
//!
//! An id is 128 bits: 63 that grow with time and serve as the row's key, then 64 random ones that make it
//! unguessable. The native API shows `msg_` and 26 characters of Crockford's base 32, the 8x8 dialect a
//! UUID or 32 hexadecimal digits of the same number.

use std::fmt;

use crate::time::Timestamp;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Bits of a row key below the milliseconds: a sequence within one millisecond.
pub const SEQUENCE_BITS: u32 = 20;

/// A decision, message, verification, batch or other recorded thing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u128);

/// What an id names; the prefix of its native spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    /// `dec_`
    Decision,
    /// `msg_`
    Message,
    /// `ver_`
    Verification,
    /// `bat_`
    Batch,
    /// `key_`
    Key,
    /// `lim_`
    Limit,
    /// `ial_`: an IP allow-list entry
    Allowed,
    /// `prv_`
    Provider,
    /// `rte_`
    Route,
    /// `prc_`
    Price,
    /// `opt_`
    OptOut,
    /// `whk_`
    Webhook,
    /// `tpl_`
    Template,
    /// `tnr_`
    TestNumber,
    /// `exp_`
    Export,
    /// `evt_`
    Event,
    /// `req_`
    Request,
    /// `lst_`
    List,
    /// `ent_`: an entry of a list
    Entry,
    /// `sus_`
    Suspension,
    /// `rule_`
    Rule,
    /// A plan.
    Plan,
    /// A budget.
    Budget,
    /// `mdl_`: a trained model
    Model,
    /// `era_`
    Erasure,
    /// `cns_`: an opt-in
    Consent,
    /// `mask_`: a masking session
    Mask,
    /// `call_`: a masked call
    Call,
    /// `vno_`: a virtual number
    VirtualNumber,
    /// `pool_`: a pool of virtual numbers
    Pool,
    /// `rev_`: an answer that a person has to look at
    Review,
    /// `rcf_`: a number that has to be confirmed again
    Reconfirmation,
    /// `cln_`: a user base that is cleaned
    Cleaning,
    /// `bnd_`: a new number on its way to a user
    Binding,
}

impl IdKind {
    /// The prefix with its underscore.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Decision => "dec_",
            Self::Message => "msg_",
            Self::Verification => "ver_",
            Self::Batch => "bat_",
            Self::Key => "key_",
            Self::Limit => "lim_",
            Self::Allowed => "ial_",
            Self::Provider => "prv_",
            Self::Route => "rte_",
            Self::Price => "prc_",
            Self::OptOut => "opt_",
            Self::Webhook => "whk_",
            Self::Template => "tpl_",
            Self::TestNumber => "tnr_",
            Self::Export => "exp_",
            Self::Event => "evt_",
            Self::Request => "req_",
            Self::List => "lst_",
            Self::Entry => "ent_",
            Self::Suspension => "sus_",
            Self::Rule => "rule_",
            Self::Plan => "pln_",
            Self::Budget => "bud_",
            Self::Model => "mdl_",
            Self::Erasure => "era_",
            Self::Consent => "cns_",
            Self::Mask => "mask_",
            Self::Call => "call_",
            Self::VirtualNumber => "vno_",
            Self::Pool => "pool_",
            Self::Review => "rev_",
            Self::Reconfirmation => "rcf_",
            Self::Cleaning => "cln_",
            Self::Binding => "bnd_",
        }
    }
}

impl Id {
    /// All 128 bits, the highest first.
    pub fn as_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Back from [`Id::as_bytes`].
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Id(u128::from_be_bytes(bytes))
    }

    /// From a row key (see [`Id::row`]) and 64 random bits.
    pub fn new(row: i64, tail: u64) -> Self {
        let row = u128::from(u64::try_from(row).unwrap_or(0));
        Id((row << 64) | u128::from(tail))
    }

    /// The first row key of an instant.
    pub fn first_row(at: Timestamp) -> i64 {
        at.as_millis() << SEQUENCE_BITS
    }

    /// The key of the row, growing with time.
    pub fn row(self) -> i64 {
        i64::try_from(self.0 >> 64).unwrap_or(i64::MAX)
    }

    /// The unguessable half. A look-up by row compares it.
    pub fn tail(self) -> u64 {
        u64::try_from(self.0 & u128::from(u64::MAX)).unwrap_or(0)
    }

    /// When the id was made.
    pub fn at(self) -> Timestamp {
        Timestamp::from_millis(self.row() >> SEQUENCE_BITS)
    }

    /// Native spelling, e.g. `msg_01K9…`.
    pub fn show(self, kind: IdKind) -> String {
        let mut out = String::with_capacity(30);
        out.push_str(kind.prefix());
        let (mut digits, mut rest) = ([b'0'; 26], self.0);
        for digit in digits.iter_mut().rev() {
            let five = usize::try_from(rest & 31).unwrap_or(0);
            *digit = ALPHABET.get(five).copied().unwrap_or(b'0');
            rest >>= 5;
        }
        out.push_str(std::str::from_utf8(&digits).unwrap_or_default());
        out
    }

    /// Reads the native spelling of one kind.
    pub fn parse(kind: IdKind, text: &str) -> Option<Self> {
        let body = text.strip_prefix(kind.prefix())?;
        if body.len() != 26 {
            return None;
        }
        body.bytes()
            .try_fold(0u128, |value, byte| {
                let digit = ALPHABET.iter().position(|&c| c == byte.to_ascii_uppercase())?;
                value.checked_mul(32)?.checked_add(u128::try_from(digit).ok()?)
            })
            .map(Id)
    }

    /// 32 lower-case hexadecimal digits, as 8x8 spells a session.
    pub fn to_hex(self) -> String {
        format!("{:032x}", self.0)
    }

    /// A UUID with dashes, as 8x8 spells a message.
    pub fn to_uuid(self) -> String {
        let v = self.0;
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            v >> 96,
            (v >> 80) & 0xffff,
            (v >> 64) & 0xffff,
            (v >> 48) & 0xffff,
            v & 0xffff_ffff_ffff
        )
    }

    /// Reads 32 hexadecimal digits, with or without the dashes of a UUID.
    pub fn parse_hex(text: &str) -> Option<Self> {
        let dashed = text.len() == 36
            && text.bytes().enumerate().all(|(i, b)| (b == b'-') == matches!(i, 8 | 13 | 18 | 23));
        if !(dashed || text.len() == 32) {
            return None;
        }
        let digits: String = text.chars().filter(|&c| c != '-').collect();
        if digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(&digits, 16).ok().map(Id)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_spelling_reads_back(row in 0i64.., tail: u64) {
            let id = Id::new(row, tail);
            prop_assert_eq!(Id::parse(IdKind::Message, &id.show(IdKind::Message)), Some(id));
            prop_assert_eq!(Id::parse_hex(&id.to_hex()), Some(id));
            prop_assert_eq!(Id::parse_hex(&id.to_uuid()), Some(id));
            prop_assert_eq!((id.row(), id.tail()), (row, tail));
        }

        #[test]
        fn spelling_sorts_like_time(a in 0i64.., b in 0i64.., t: u64, u: u64) {
            let (x, y) = (Id::new(a, t), Id::new(b, u));
            prop_assert_eq!(x.cmp(&y), x.show(IdKind::Message).cmp(&y.show(IdKind::Message)));
        }

        #[test]
        fn junk_is_refused_and_never_panics(text in ".*") {
            let _ = Id::parse(IdKind::Message, &text);
            let _ = Id::parse_hex(&text);
        }
    }

    #[test]
    fn a_dash_in_the_wrong_place_is_no_uuid() {
        assert!(Id::parse_hex("0000000-00000-0000-0000-000000000000").is_none());
        assert!(Id::parse(IdKind::Message, "ver_00000000000000000000000000").is_none());
    }
}
