//! What the database's errors mean outside, in one place.

use std::time::Duration;

use tandem_chassis::status::Fault;

const UNIQUE_VIOLATION: &str = "23505";
/// NUL characters: PostgreSQL can store none.
const UNTRANSLATABLE_CHARACTER: &str = "22P05";
const CHARACTER_NOT_IN_REPERTOIRE: &str = "22021";
const LOCK_NOT_AVAILABLE: &str = "55P03";
const QUERY_CANCELED: &str = "57014";
const DEADLOCK_DETECTED: &str = "40P01";
const SERIALIZATION_FAILURE: &str = "40001";

/// How long to wait before asking a database again that could not answer.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// A database error as callers see it: what they can do, never what the database said.
pub(crate) fn fault(error: &sqlx::Error) -> Fault {
    let busy = |reason: &'static str| {
        Fault::unavailable(reason, "The database is busy. Try again.")
            .retry_after(RETRY_AFTER)
            .detail(error)
    };
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => busy("DATABASE_BUSY"),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => {
            Fault::unavailable("DATABASE_UNREACHABLE", "The database cannot be reached. Try again.")
                .retry_after(RETRY_AFTER)
                .detail(error)
        }
        sqlx::Error::Database(database) => match database.code().as_deref() {
            Some(LOCK_NOT_AVAILABLE | QUERY_CANCELED | DEADLOCK_DETECTED | SERIALIZATION_FAILURE) => {
                busy("DATABASE_BUSY")
            }
            // Shutting down, starting up, too many connections.
            Some(code) if code.starts_with("57P") || code.starts_with("08") || code.starts_with("53") => {
                busy("DATABASE_UNREACHABLE")
            }
            Some(UNTRANSLATABLE_CHARACTER | CHARACTER_NOT_IN_REPERTOIRE) => {
                Fault::invalid("INVALID_TEXT", "Text must not contain NUL characters.").detail(error)
            }
            Some(UNIQUE_VIOLATION) => Fault::exists("ALREADY_EXISTS", "This exists already.").detail(error),
            Some(_) | None => Fault::internal("DATABASE", error),
        },
        _ => Fault::internal("DATABASE", error),
    }
}

/// Whether a lock, or the end of another transaction, was waited for in vain.
pub(crate) fn is_lock_timeout(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|database| database.code());
    matches!(code.as_deref(), Some(LOCK_NOT_AVAILABLE | QUERY_CANCELED))
}

/// Whether a unique constraint of this name was violated.
pub(crate) fn violates(error: &sqlx::Error, constraint: &str) -> bool {
    error.as_database_error().is_some_and(|database| {
        database.code().as_deref() == Some(UNIQUE_VIOLATION) && database.constraint() == Some(constraint)
    })
}
