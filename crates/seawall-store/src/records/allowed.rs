//! An allow that was given without a send.

use seawall_core::id::Id;
use seawall_core::limit::Dimensions;

use crate::sealed::charges;

/// Bytes of a batch, about. A larger one would be copied through memory that nothing has warmed.
const BATCH: usize = 64 * 1024;

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

/// Allows as they are written: packed one by one as they come, in batches of a bounded size.
#[derive(Clone, Debug, Default)]
pub struct Allows(Vec<AllowBatch>);

/// Allows that are written as one row.
#[derive(Clone, Debug, Default)]
pub struct AllowBatch {
    /// The newest row of those in it.
    pub(crate) newest: i64,
    /// Packed; see [`charges::begin_allows`].
    pub(crate) body: Vec<u8>,
}

impl Allows {
    /// Appends one; the fields are those of [`Allowed`].
    pub fn push(&mut self, id: Id, subaccount: &str, segments: u8, dimensions: &Dimensions) {
        if self.0.last().is_none_or(|last| last.body.len() >= BATCH) {
            // One that comes alone needs little; behind a full batch comes another.
            let room = if self.0.is_empty() { 0 } else { BATCH + BATCH / 64 };
            self.0.push(AllowBatch { newest: i64::MIN, body: charges::begin_allows(room) });
        }
        if let Some(last) = self.0.last_mut() {
            last.newest = last.newest.max(id.row());
            charges::pack_allow(id, subaccount, segments, dimensions, &mut last.body);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn batches(&self) -> &[AllowBatch] {
        &self.0
    }
}

impl FromIterator<Allowed> for Allows {
    fn from_iter<I: IntoIterator<Item = Allowed>>(all: I) -> Self {
        let mut packed = Allows::default();
        for allow in all {
            packed.push(allow.id, &allow.subaccount, allow.segments, &allow.dimensions);
        }
        packed
    }
}
