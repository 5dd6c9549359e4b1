//! What PostgreSQL's errors mean to us.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::StoreError;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let Some(db) = error.as_db_error() else {
            // The words of the driver quote neither statements nor values.
            return StoreError::Unavailable(format!("PostgreSQL does not answer: {error}"));
        };
        // The message names tables and constraints; values stand in the detail, which is left out.
        let code = db.code();
        if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
            return StoreError::Unavailable(
                "PostgreSQL is read-only: this is a replica, or it was told so".to_owned(),
            );
        }
        if [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED].contains(code) {
            return StoreError::Corrupt(db.message().to_owned());
        }
        StoreError::Unavailable(format!("PostgreSQL: {} ({})", db.message(), code.code()))
    }
}

/// Whether a statement failed for what it said, and not because the server or the way to it is gone.
pub(super) fn is_about_data(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(why) if why.starts_with("PostgreSQL: ") && why.ends_with(" (23505)"))
}
