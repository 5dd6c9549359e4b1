//! Random bytes of the system, many at a time.

use ring::rand::{SecureRandom, SystemRandom};

use crate::{Result, StoreError};

/// Bytes of the system's generator, fetched many at a time: a call for each nonce would cost more than the
/// sealing. What was given out is erased.
pub(super) struct Pool {
    source: SystemRandom,
    bytes: Box<[u8; POOL]>,
    left: usize,
}

const POOL: usize = 4096;

impl Pool {
    /// Empty: the first bytes are fetched when they are needed.
    pub(super) fn new() -> Self {
        Pool { source: SystemRandom::new(), bytes: Box::new([0; POOL]), left: 0 }
    }

    /// Fills `out`.
    pub(super) fn take(&mut self, out: &mut [u8]) -> Result<()> {
        if out.len() > self.left {
            fill(&self.source, self.bytes.as_mut_slice())?;
            self.left = POOL;
        }
        let until = self.left;
        let from = until.checked_sub(out.len());
        let Some(given) = from.and_then(|from| self.bytes.get_mut(from..until)) else {
            return fill(&self.source, out);
        };
        out.copy_from_slice(given);
        given.fill(0);
        self.left = until - out.len();
        Ok(())
    }
}

/// Bytes right from the system.
pub(super) fn fill(random: &SystemRandom, out: &mut [u8]) -> Result<()> {
    random.fill(out).map_err(|_| StoreError::Unavailable("the system gives no random bytes".to_owned()))
}

/// A new key.
pub(super) fn new_key() -> Result<[u8; 32]> {
    let mut key = [0u8; 32];
    fill(&SystemRandom::new(), &mut key).map(|()| key)
}
