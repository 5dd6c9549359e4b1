//! What SQLite's errors mean to us.

use rusqlite::{Error, ErrorCode, ffi};

use crate::StoreError;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Corrupt(error.to_string())
            }
            Some(ErrorCode::DiskFull) => StoreError::Unavailable("the disk is full".to_owned()),
            Some(_) => StoreError::Unavailable(error.to_string()),
            // A column of an unexpected type: the message names the column, not its value.
            None => StoreError::Corrupt(error.to_string()),
        }
    }
}

/// Whether nothing may be written any more. After a failed fsync the kernel has dropped what it could not
/// write and says nothing the next time, so only a restart, which reads the file again, knows what is there.
pub(super) fn is_final(error: &Error) -> bool {
    let extended = error.sqlite_error().map_or(0, |e| e.extended_code);
    let fsync = matches!(extended, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC);
    let damaged =
        matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase));
    fsync || damaged
}
