//! Limits as an operator sets them, and the charges that a request makes against them.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::blind::BlindIndex;
use crate::request::{Operation, Request};
use crate::time::{Timestamp, span};
use crate::window::{Full, Rule};

/// Whom a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// The end user's address: IPv4 as it is, IPv6 by its /64 (and 8 times the quota by its /48).
    ClientIp,
    /// The recipient.
    Msisdn,
    /// The recipient's number without its last digits.
    NumberRange,
    /// The API key.
    ApiKey,
    /// The subaccount.
    Subaccount,
    /// The whole account.
    Account,
    /// The recipient's country.
    Country,
    /// The address that calls the API.
    CallerIp,
    /// The app's user.
    User,
    /// The app's fingerprint of a device.
    Fingerprint,
}

/// When a limit is charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// Only by requests that send. A victim cannot be locked out by requests that were refused.
    #[default]
    Sends,
    /// By every well-formed, authenticated request, whatever the verdict.
    Requests,
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
    /// Whom it counts.
    pub per: Per,
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

/// One charge of a request against one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Whose window, see [`BlindIndex::counter`].
    pub key: u64,
    /// The window.
    pub rule: Rule,
    /// Charged whatever the verdict, and never refunded.
    pub always: bool,
    /// Whether being full refuses the request.
    pub enforced: bool,
    /// Which limit of the policy; `None` for back-off.
    pub limit: Option<usize>,
}

/// A limit that a request would exceed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exceeded {
    /// Position in [`crate::policy::Policy::limits`]; `None` for back-off.
    #[serde(skip)]
    pub limit: Option<usize>,
    /// Charges that the window holds.
    pub count: u32,
    /// When there will be room.
    pub retry_at: Timestamp,
    /// The quota is used up, as opposed to a delay that is not over.
    pub quota_used_up: bool,
    /// Whether this refuses.
    pub enforced: bool,
}

impl Exceeded {
    /// What a window answered to a charge.
    pub fn new(charge: &Charge, full: Full) -> Self {
        Exceeded {
            limit: charge.limit,
            count: full.count,
            retry_at: full.retry_at,
            quota_used_up: full.quota_used_up,
            enforced: charge.enforced,
        }
    }
}

/// The hashed values by which limits count a request; kept with every send, so that windows can be refilled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimensions {
    /// Operation, by [`Operation::as_u8`].
    pub op: u8,
    /// The number.
    pub to: u64,
    /// The number's range by the default digits.
    pub range: u64,
    /// The end user's /32 or /64.
    pub ip: Option<u64>,
    /// The end user's /48.
    pub ip48: Option<u64>,
    /// The caller's /32 or /64.
    pub caller: u64,
    /// The caller's /48.
    pub caller48: Option<u64>,
    /// The API key.
    pub key: u64,
    /// The subaccount.
    pub sub: u64,
    /// The country.
    pub country: u64,
    /// The user.
    pub user: Option<u64>,
    /// The fingerprint.
    pub print: Option<u64>,
    /// Ranges by other numbers of digits, as `(digits, hash)`.
    #[serde(default)]
    pub ranges: Vec<(u8, u64)>,
}

impl Dimensions {
    /// Hashes everything a limit may count. `digits`: the range lengths that limits ask for beside the default.
    pub fn of(request: &Request, index: &BlindIndex, digits: &[u8]) -> Self {
        let range = |d: u8| index.text(b'r', &request.to.block(usize::from(d)));
        Dimensions {
            op: request.operation.as_u8(),
            to: index.msisdn(request.to),
            range: range(DEFAULT_RANGE_DIGITS),
            ip: request.client.ip.map(|ip| index.client(ip)),
            ip48: request.client.ip.and_then(|ip| index.client_wide(ip)),
            caller: index.client(request.caller_ip),
            caller48: index.client_wide(request.caller_ip),
            key: index.text(b'k', &request.key),
            sub: index.text(b's', &request.subaccount),
            country: index.text(b'y', request.country.as_str()),
            user: request.client.user.as_deref().map(|user| index.text(b'u', user)),
            print: request.client.fingerprint.as_deref().map(|print| index.text(b'f', print)),
            ranges: digits.iter().map(|&d| (d, range(d))).collect(),
        }
    }

    fn subjects(&self, limit: &Limit) -> [Option<(u64, u32)>; 2] {
        let one = |subject: u64| [Some((subject, 1)), None];
        let wide =
            |narrow: Option<u64>, wide: Option<u64>| [narrow.map(|s| (s, 1)), wide.map(|s| (s, WIDE_FACTOR))];
        match limit.per {
            Per::ClientIp => wide(self.ip, self.ip48),
            Per::CallerIp => wide(Some(self.caller), self.caller48),
            Per::Msisdn => one(self.to),
            Per::NumberRange => match limit.digits {
                None | Some(DEFAULT_RANGE_DIGITS) => one(self.range),
                Some(d) => {
                    [self.ranges.iter().find(|(digits, _)| *digits == d).map(|&(_, hash)| (hash, 1)), None]
                }
            },
            Per::ApiKey => one(self.key),
            Per::Subaccount => one(self.sub),
            Per::Account => one(0),
            Per::Country => one(self.country),
            Per::User => [self.user.map(|s| (s, 1)), None],
            Per::Fingerprint => [self.print.map(|s| (s, 1)), None],
        }
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
    pub fn charges<'a>(
        &'a self,
        position: usize,
        dimensions: &Dimensions,
        index: &'a BlindIndex,
    ) -> impl Iterator<Item = Charge> + use<'a> {
        let seed = index.text(b'l', &self.id);
        dimensions.subjects(self).into_iter().flatten().map(move |(subject, factor)| Charge {
            key: index.counter(seed ^ u64::from(factor), subject),
            rule: Rule::Window { quota: self.quota.saturating_mul(factor), window: self.window },
            always: self.counts == Counts::Requests,
            enforced: self.mode == Mode::Enforce,
            limit: Some(position),
        })
    }
}

/// The charge of the growing delay between unconfirmed codes to one number.
pub fn back_off_charge(
    dimensions: &Dimensions,
    index: &BlindIndex,
    delays: Arc<[Duration]>,
    quota: u32,
    window: Duration,
    enforced: bool,
) -> Charge {
    Charge {
        key: index.counter(BACK_OFF, dimensions.to),
        rule: Rule::BackOff { delays, quota, window },
        always: false,
        enforced,
        limit: None,
    }
}

/// The counter seed of back-off windows.
pub const BACK_OFF: u64 = 1;
