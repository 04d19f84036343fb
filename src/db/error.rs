//! What can go wrong with the data, in terms the platform acts on.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error};

/// A result of the data layer.
pub type DbResult<T> = Result<T, DbError>;

/// A uniqueness rule that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// The e-mail address is taken for this provider.
    UserEmail,
    /// An active room has this name.
    RoomName,
    /// The user has a row in this room already.
    RoomMember,
    /// The refresh token is known already.
    RefreshToken,
    /// The invite token is known already.
    InviteToken,
    /// A primary key was used twice.
    Id,
}

/// (rule, PostgreSQL constraint, columns as SQLite names them)
const CONFLICTS: &[(Conflict, &str, &str)] = &[
    (Conflict::UserEmail, "idx_email_provider", "users.email, users.provider"),
    (Conflict::RoomName, "idx_rooms_active_name", "rooms.name"),
    (Conflict::RoomMember, "idx_room_user", "room_participants.room_id, room_participants.user_id"),
    (Conflict::RefreshToken, "idx_sessions_token_hash", "sessions.token_hash"),
    (Conflict::RefreshToken, "idx_blocked_refresh_tokens_token", "blocked_refresh_tokens.token"),
    (Conflict::InviteToken, "idx_invite_tokens_token", "invite_tokens.token"),
];

/// An error of the data layer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DbError {
    /// The row is not there.
    #[error("no such record")]
    NotFound,
    /// A uniqueness rule was broken.
    #[error("conflicting record: {0:?}")]
    Conflict(Conflict),
    /// A row points at one that is not there, or is still pointed at.
    #[error("broken reference between records: {0}")]
    Reference(String),
    /// Too much at once; trying again is right.
    #[error("database is busy")]
    Busy,
    /// The database cannot be reached or cannot write.
    #[error("database is unavailable: {0}")]
    Unavailable(String),
    /// The statement itself is wrong, or a closure ended abnormally.
    #[error("database: {0}")]
    Bug(String),
}

impl From<Error> for DbError {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::NotFound,
            Error::DatabaseError(kind, info) => from_database(&kind, info.as_ref()),
            Error::BrokenTransactionManager | Error::RollbackErrorOnCommit { .. } => {
                Self::Unavailable(error.to_string())
            }
            other => Self::Bug(other.to_string()),
        }
    }
}

fn from_database(kind: &DatabaseErrorKind, info: &(dyn DatabaseErrorInformation + Send + Sync)) -> DbError {
    let text = info.message().to_owned();
    match kind {
        DatabaseErrorKind::UniqueViolation => unique(info).map_or(DbError::Bug(text), DbError::Conflict),
        DatabaseErrorKind::ForeignKeyViolation | DatabaseErrorKind::RestrictViolation => {
            DbError::Reference(text)
        }
        DatabaseErrorKind::SerializationFailure => DbError::Busy,
        DatabaseErrorKind::UnableToSendCommand
        | DatabaseErrorKind::ClosedConnection
        | DatabaseErrorKind::ReadOnlyTransaction => DbError::Unavailable(text),
        _ if is_busy(&text) => DbError::Busy,
        _ if is_unavailable(&text) => DbError::Unavailable(text),
        _ => DbError::Bug(text),
    }
}

fn unique(info: &(dyn DatabaseErrorInformation + Send + Sync)) -> Option<Conflict> {
    if let Some(name) = info.constraint_name() {
        let known = CONFLICTS.iter().find(|(_, constraint, _)| *constraint == name).map(|(which, ..)| *which);
        return known.or_else(|| name.ends_with("_pkey").then_some(Conflict::Id));
    }
    let columns = info.message().strip_prefix("UNIQUE constraint failed: ")?;
    let known = CONFLICTS.iter().find(|(_, _, names)| *names == columns).map(|(which, ..)| *which);
    known.or_else(|| columns.ends_with(".id").then_some(Conflict::Id))
}

/// Lock waits that ran out: SQLite's and PostgreSQL's wording.
fn is_busy(text: &str) -> bool {
    [
        "database is locked",
        "database table is locked",
        "lock timeout",
        "statement timeout",
        "deadlock detected",
    ]
    .iter()
    .any(|part| text.contains(part))
}

/// Disk trouble on SQLite, a stopping server on PostgreSQL.
fn is_unavailable(text: &str) -> bool {
    [
        "disk is full",
        "disk I/O error",
        "readonly database",
        "unable to open database",
        "terminating connection",
        "the database system is",
        "connection closed",
        "too many clients",
    ]
    .iter()
    .any(|part| text.contains(part))
}
