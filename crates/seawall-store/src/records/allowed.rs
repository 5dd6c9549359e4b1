//! An allow that was given without a send.

use seawall_core::id::Id;
use seawall_core::limit::Dimensions;

/// An allow that was charged as the send that its caller makes, and may be redeemed by one.
#[derive(Clone, Debug, PartialEq)]
pub struct Allowed {
    /// `dec_…`
    pub id: Id,
    /// Whose.
    pub subaccount: String,
    /// Of how many segments, at most.
    pub segments: u8,
    /// By what limits counted it.
    pub dimensions: Dimensions,
}
