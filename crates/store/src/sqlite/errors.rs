//! What SQLite says, in our words.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use rusqlite::{ErrorCode, ffi};

use super::OpenError;
use crate::StoreError;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let Some(sqlite) = error.sqlite_error() else {
            return Self::Failed(error.to_string());
        };
        match (sqlite.code, sqlite.extended_code) {
            (ErrorCode::DiskFull, _)
            | (_, ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_SHMSIZE) => {
                Self::Full
            }
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => Self::Locked,
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => Self::Corrupt,
            (ErrorCode::OperationInterrupted, _) => Self::TooLong,
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        let sqlite = error.sqlite_error().copied();
        let again = |error| rusqlite::Error::SqliteFailure(error, None);
        match sqlite.map(|sqlite| StoreError::from(again(sqlite))) {
            Some(StoreError::Locked) => Self::Locked,
            Some(StoreError::Corrupt) => Self::Corrupt(error),
            Some(StoreError::Full) => Self::Full(error),
            _ => Self::Open(error),
        }
    }
}

macro_rules! from_sqlite {
    ($($error:ty),*) => {$(
        impl From<rusqlite::Error> for $error {
            fn from(error: rusqlite::Error) -> Self {
                StoreError::from(error).into()
            }
        }
    )*};
}
from_sqlite!(
    crate::SignUpError,
    crate::UpgradeError,
    crate::PasswordError,
    crate::ProfileError,
    crate::RelateError,
    crate::ConversationError,
    crate::GuildError,
    crate::ChannelError,
    crate::RoleError,
    crate::MemberError,
    crate::InviteError,
    crate::CreateInviteError,
    crate::PostError,
    crate::MessageError,
    crate::BeginFileError,
    crate::StageError
);

/// Runs what may have a fault in it; a panic harms only who asked for it.
pub(super) fn guarded<T, E: From<StoreError>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        tracing::error!(panic = panic_text(&*panic), "a fault in the store");
        Err(StoreError::Failed("a fault of the program".into()).into())
    })
}

pub(super) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no words")
}
