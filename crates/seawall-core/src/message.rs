//! A message's states and the moves between them.

use serde::{Deserialize, Serialize};

/// How a message travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A text message.
    #[default]
    Sms,
    /// A voice call that speaks the text.
    Call,
}

impl Channel {
    /// The wire word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Call => "call",
        }
    }
}

/// Where a message stands. Accepted messages are always in exactly one of these, so that
/// accepted = queued + scheduled + submitting + sent + delivered + failed + expired + unknown + canceled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// Accepted and durable, waiting for its route.
    Queued,
    /// Accepted, to be sent later.
    Scheduled,
    /// Durable before the first byte leaves for a provider.
    Submitting,
    /// A provider took it.
    Sent,
    /// On the handset.
    Delivered,
    /// Will not be delivered.
    Failed,
    /// Its validity ended before delivery.
    Expired,
    /// The connection broke after bytes left, or no receipt ever came: nobody can know.
    Unknown,
    /// Taken back before it was sent.
    Canceled,
    /// Refused by a decision; never accepted.
    Rejected,
}

impl MessageState {
    /// Every state, in the order of a message's life.
    pub const ALL: [MessageState; 10] = [
        Self::Queued,
        Self::Scheduled,
        Self::Submitting,
        Self::Sent,
        Self::Delivered,
        Self::Failed,
        Self::Expired,
        Self::Unknown,
        Self::Canceled,
        Self::Rejected,
    ];

    /// A small number for storage; stable for ever.
    pub fn as_u8(self) -> u8 {
        match self {
            Self::Queued => 0,
            Self::Scheduled => 1,
            Self::Submitting => 2,
            Self::Sent => 3,
            Self::Delivered => 4,
            Self::Failed => 5,
            Self::Expired => 6,
            Self::Unknown => 7,
            Self::Canceled => 8,
            Self::Rejected => 9,
        }
    }

    /// Back from [`MessageState::as_u8`].
    pub fn from_u8(value: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_u8() == value)
    }

    /// The wire word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Scheduled => "scheduled",
            Self::Submitting => "submitting",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
            Self::Canceled => "canceled",
            Self::Rejected => "rejected",
        }
    }

    /// Whether nothing can change it any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Failed | Self::Expired | Self::Canceled | Self::Rejected)
    }

    /// Whether a message may move from here to `next`. Receipts arrive late, twice and out of order:
    /// what this refuses is ignored, so the first final state stays.
    pub fn may_become(self, next: MessageState) -> bool {
        use MessageState::{
            Canceled, Delivered, Expired, Failed, Queued, Scheduled, Sent, Submitting, Unknown,
        };
        match self {
            Queued => matches!(next, Submitting | Failed | Expired | Canceled),
            Scheduled => matches!(next, Queued | Submitting | Expired | Canceled),
            Submitting => matches!(next, Queued | Sent | Delivered | Failed | Expired | Unknown),
            Sent | Unknown => matches!(next, Delivered | Failed | Expired | Unknown) && self != next,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_state_stays() {
        for state in MessageState::ALL.into_iter().filter(|s| s.is_final()) {
            assert!(MessageState::ALL.into_iter().all(|next| !state.may_become(next)), "{state:?}");
        }
    }

    #[test]
    fn what_may_have_left_never_returns_to_the_queue_unnoticed() {
        assert!(!MessageState::Unknown.may_become(MessageState::Queued));
        assert!(!MessageState::Unknown.may_become(MessageState::Submitting));
        assert!(!MessageState::Sent.may_become(MessageState::Submitting));
    }

    #[test]
    fn storage_numbers_read_back() {
        for state in MessageState::ALL {
            assert_eq!(MessageState::from_u8(state.as_u8()), Some(state));
        }
        assert_eq!(MessageState::from_u8(10), None);
    }
}
