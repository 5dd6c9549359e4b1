//! One row of a log, by the names of its columns or fields, and what became of it.

use std::fmt;

use seawall_core::trace::{IfChallenged, Line};

/// No log knows who would have passed a challenge. Everybody, says ours: then challenges save nothing, and no
/// good user is lost to them.
pub(super) const EVERYBODY: Option<IfChallenged> = Some(IfChallenged { passes: true });

/// Where something is wrong in a log, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// `line 7`, `record 3`; nothing when it is the whole file.
    pub place: String,
    pub problem: String,
}

impl Wrong {
    pub fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Wrong { place: place.into(), problem: problem.into() }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, super::super::reader::masked(&self.problem))
    }
}

/// One row.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// Where it begins: `line 7` of a table, `record 3` of JSON.
    pub place: String,
    /// Names as they are compared, see [`plain`], with values; absent and empty are the same.
    pub cells: Vec<(String, String)>,
    /// Whether cells have numbers, as in a table.
    pub table: bool,
}

/// Small letters and digits only: `PriceUnit`, `price_unit` and `price unit` are the same name.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.').map(|c| c.to_ascii_lowercase()).collect()
}

impl Record {
    /// The first of these that is there and not empty.
    pub fn get(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.cell(name)).map(|(_, value)| value)
    }

    /// The same, or that it is missing.
    pub fn need(&self, names: &[&str]) -> Result<&str, Wrong> {
        self.get(names).ok_or_else(|| {
            let first = names.first().copied().unwrap_or_default();
            Wrong::new(&self.place, format!("`{first}` is missing or empty"))
        })
    }

    /// Something is wrong with one of these.
    pub fn wrong(&self, names: &[&str], problem: impl fmt::Display) -> Wrong {
        let found = names.iter().find_map(|name| self.cell(name).map(|(at, _)| (*name, at)));
        let (name, at) = found.unwrap_or((names.first().copied().unwrap_or_default(), 0));
        let column = if self.table { format!(", column {}", at + 1) } else { String::new() };
        Wrong::new(format!("{}{column} (`{name}`)", self.place), problem.to_string())
    }

    fn cell(&self, name: &str) -> Option<(usize, &str)> {
        let cells = self.cells.iter().enumerate();
        cells
            .filter(|(_, (known, value))| known == name && !value.is_empty())
            .map(|(at, (_, v))| (at, v.as_str()))
            .next()
    }
}

/// What became of a row.
pub(super) enum Made {
    /// A request, and what its row knew beside it.
    Line(Box<Line<'static>>, Learned),
    /// Nothing: it is no message to a phone that we could judge.
    Passed(Passed),
}

/// What a row knew.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Learned {
    /// The price is in another currency than US dollars, and was left out.
    pub foreign_price: bool,
    /// There is no price.
    pub no_price: bool,
    /// It was confirmed, and when is assumed.
    pub assumed_time: bool,
    /// The time had no zone and was taken for UTC.
    pub no_zone: bool,
}

/// Why a row is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Passed {
    /// It came from a phone.
    Inbound,
    /// It went over another channel than SMS.
    OtherChannel,
    /// The recipient's digits are hidden.
    Masked,
    /// The recipient is no phone number, such as a short code.
    NoNumber,
}

impl Passed {
    pub fn words(self) -> &'static str {
        match self {
            Passed::Inbound => "inbound",
            Passed::OtherChannel => "other channels than SMS",
            Passed::Masked => "numbers with hidden digits",
            Passed::NoNumber => "recipients that are no phone number",
        }
    }
}
