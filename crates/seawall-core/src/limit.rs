//! Limits as an operator sets them, and the charges that a request makes against them.

mod charge;
mod dimensions;
mod subject;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::charge::{BACK_OFF, Charge, ChargeKind, Charged, Exceeded, Room, Spent, back_off_charge};
pub use self::dimensions::Dimensions;
pub use self::subject::{MOST_PARTS, Per, Subject};
use crate::address::MOST_WIDENED;
use crate::blind::{BlindIndex, mixed};
use crate::request::Operation;
use crate::time::span;
use crate::window::Rule;

/// When a limit is charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// Only by requests that send. A victim cannot be locked out by requests that were refused.
    #[default]
    Sends,
    /// By every well-formed, authenticated request, whatever the verdict.
    Requests,
    /// By checks whose code was wrong. A check takes its place before the code is looked at and leaves it
    /// when the code was right, so that many at once cannot guess more often than the quota says.
    Failures,
}

/// Whether something decides or only shows what it would decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It decides.
    #[default]
    Enforce,
    /// It is recorded and changes nothing.
    Shadow,
    /// It is not asked.
    Off,
}

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// `lim_…`
    pub id: String,
    /// Unique name.
    pub name: String,
    /// Only for this subaccount. Absent: all subaccounts share the windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subaccount_id: Option<String>,
    /// The plan that it comes with. Each subaccount or key that has the plan has windows of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Whom it counts.
    pub per: Subject,
    /// For [`Per::Custom`]: the name under which callers give the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// For [`Per::NumberRange`]: how many trailing digits are dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digits: Option<u8>,
    /// To which operations it applies.
    pub applies_to: Vec<Operation>,
    /// How many.
    pub quota: u32,
    /// In any span of this length.
    #[serde(with = "span")]
    pub window: Duration,
    /// When it is charged.
    #[serde(default)]
    pub counts: Counts,
    /// Whether it refuses.
    #[serde(default)]
    pub mode: Mode,
    /// Came with the installation; may be changed and deleted like any other.
    #[serde(default)]
    pub built_in: bool,
}

/// How many times the quota of a /64 an IPv6 /48 may use.
pub const WIDE_FACTOR: u32 = 8;

/// Digits dropped from a number to form its range when a limit does not say.
pub const DEFAULT_RANGE_DIGITS: u8 = 4;

/// For whom a limit makes its charges.
#[derive(Clone, Copy, Debug)]
pub struct ChargedTo {
    /// Who holds the plan that the limit belongs to: each holder has windows of its own.
    pub holder: Option<u64>,
    /// How many times the quota the end user's address may use, see [`crate::address`].
    pub widened: u32,
    /// Whether a limit that is in force refuses; not while the operator only observes.
    pub enforced: bool,
}

impl Default for ChargedTo {
    fn default() -> Self {
        ChargedTo { holder: None, widened: 1, enforced: true }
    }
}

impl Limit {
    /// Whether this limit looks at a request of this operation and subaccount.
    pub fn applies(&self, operation: Operation, subaccount: &str) -> bool {
        self.mode != Mode::Off
            && self.applies_to.contains(&operation)
            && self.subaccount_id.as_deref().is_none_or(|only| only == subaccount)
    }

    /// The windows of this limit that a request with these dimensions is charged to.
    pub fn charges(
        &self,
        position: usize,
        dimensions: &Dimensions,
        index: &BlindIndex,
        to: ChargedTo,
    ) -> impl Iterator<Item = Charge> + use<> {
        let seed = named(&self.id);
        let seed = to.holder.map_or(seed, |holder| index.counter(seed, holder));
        let charge = |seed: u64, subject: u64, quota: u32, kept: u32| Charge {
            key: index.counter(seed, subject),
            rule: Rule::Window { quota, window: self.window, kept },
            always: self.counts == Counts::Requests,
            // Guessing codes is refused also while the operator only observes.
            enforced: self.mode == Mode::Enforce && (to.enforced || self.counts == Counts::Failures),
            kind: ChargeKind::Limit(position),
            amount: 1,
        };
        // Only an address alone is widened; together with other parts it is narrow enough.
        let address = self.per.is(Per::ClientIp);
        let (widened, most) = if address { (to.widened, MOST_WIDENED) } else { (1, 1) };
        let [narrow, wide] = dimensions.subjects(self, index).map(|subject| {
            let (subject, factor) = subject?;
            let quota = self.quota.saturating_mul(factor);
            let (quota, kept) = (quota.saturating_mul(widened), quota.saturating_mul(most));
            Some(charge(seed ^ u64::from(factor), subject, quota, kept))
        });
        // At a shared address one fingerprint may use half of the room.
        let device = match (widened > 1, dimensions.ip, dimensions.print) {
            (true, Some(ip), Some(print)) => {
                let quota = self.quota.saturating_mul(widened.div_ceil(2));
                let kept = self.quota.saturating_mul(most);
                Some(charge(seed ^ u64::from(DEVICE), index.counter(ip, print), quota, kept))
            }
            _ => None,
        };
        [narrow, wide, device].into_iter().flatten()
    }
}

/// What stands for the name of a limit in the keys of its windows.
fn named(id: &str) -> u64 {
    let (words, rest) = id.as_bytes().as_chunks::<8>();
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let length = u64::try_from(id.len()).unwrap_or(u64::MAX);
    words
        .iter()
        .chain([&last])
        .fold(length, |seed, word| mixed(seed ^ u64::from_le_bytes(*word)).wrapping_add(1))
}

/// Tells the windows of devices at shared addresses from those of the addresses.
const DEVICE: u32 = 0;
