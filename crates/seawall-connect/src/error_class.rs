//! Why a provider did not deliver: one closed list, with the 8x8 receipt code of each.

use serde::{Deserialize, Serialize};

/// A failure in the field's terms. `code` is the number 8x8's receipts use for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorClass {
    /// The subscriber is not reachable for now.
    AbsentSubscriber,
    /// The number does not exist or is not a mobile.
    InvalidDestination,
    /// The sender ID was refused.
    InvalidSource,
    /// The content was refused.
    ContentFiltered,
    /// The message is malformed for this provider.
    InvalidFormat,
    /// Validity ended first.
    Expired,
    /// The provider's credit is used up.
    InsufficientCredit,
    /// Our credentials or rights were refused.
    Denied,
    /// The provider or its network failed.
    ProviderFault,
    /// The provider refused without a class we know.
    Rejected,
    /// Nothing more is known.
    Unknown,
}

impl ErrorClass {
    /// The error code of the 8x8 receipt table (0 to 61).
    pub fn receipt_code(self) -> u16 {
        match self {
            Self::AbsentSubscriber => 1,
            Self::InvalidDestination => 15,
            Self::InvalidSource => 19,
            Self::ContentFiltered => 60,
            Self::InvalidFormat => 16,
            Self::Expired => 36,
            Self::InsufficientCredit => 42,
            Self::Denied => 8,
            Self::ProviderFault => 40,
            Self::Rejected => 41,
            Self::Unknown => 57,
        }
    }

    /// Whether another route could still deliver: the fault lies with this provider, not with the message.
    pub fn worth_another_route(self) -> bool {
        matches!(
            self,
            Self::InsufficientCredit
                | Self::Denied
                | Self::ProviderFault
                | Self::InvalidSource
                | Self::Rejected
        )
    }

    /// Words for the operator and for the 8x8 `errorMessage`.
    pub fn message(self) -> &'static str {
        match self {
            Self::AbsentSubscriber => "Absent subscriber",
            Self::InvalidDestination => "Invalid destination",
            Self::InvalidSource => "Invalid source",
            Self::ContentFiltered => "Content filtered",
            Self::InvalidFormat => "Invalid format",
            Self::Expired => "Expired",
            Self::InsufficientCredit => "Insufficient credit",
            Self::Denied => "Denied by the provider",
            Self::ProviderFault => "Provider fault",
            Self::Rejected => "Rejected by the provider",
            Self::Unknown => "Unknown error",
        }
    }
}
