//! Failures as people read them: what happened, and what to do.

pub mod guild;

use std::time::Duration;

use voxhall_protocol::{
    control::{Failure, FailureKind, Hello},
    limits::{MAX_GUILD_MEMBERS, PROTOCOL_MAX, PROTOCOL_MIN},
};
use voxhall_store::{
    CreateInviteError, InviteError, MAX_GUILD_INVITES, MAX_OPEN_INVITES, SignUpError, StoreError,
};

use crate::{admin::MakeError, clock::unix_ms, services::HashingFailed};

/// The protocol version that both sides speak.
///
/// # Errors
/// Says which side is older, and what to update.
pub fn common_version(hello: &Hello) -> Result<u32, Failure> {
    let version = hello.protocol_max.min(PROTOCOL_MAX);
    if version >= hello.protocol_min.max(PROTOCOL_MIN) {
        return Ok(version);
    }
    let server = env!("CARGO_PKG_VERSION");
    let what = if hello.protocol_max < PROTOCOL_MIN {
        format!(
            "This app is too old for this server (the app speaks protocol {}, the server {server} needs at least {PROTOCOL_MIN}). Update the app.",
            hello.protocol_max
        )
    } else if hello.protocol_min > PROTOCOL_MAX {
        format!(
            "This server is too old for this app (the server {server} speaks protocol {PROTOCOL_MAX}, the app needs at least {}). Ask the server's owner to update it.",
            hello.protocol_min
        )
    } else {
        "This app's protocol versions make no sense: the lowest is above the highest. Update the app.".to_owned()
    };
    Err(Failure::new(FailureKind::VersionMismatch, what))
}

pub fn rate_limited(wait: Duration) -> Failure {
    let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
    let seconds = ms.div_ceil(1_000);
    Failure::new(
        FailureKind::RateLimited,
        format!("Too many attempts. Try again in {seconds} s."),
    )
    .retry_after_ms(ms)
}

pub fn invalid(what: &str) -> Failure {
    Failure::new(FailureKind::InvalidParams, what)
}

pub fn wrong_password() -> Failure {
    Failure::new(
        FailureKind::WrongPassword,
        "The name or the password is wrong. Check both, and try again.",
    )
}

/// The words for a person; the cause goes to the log.
pub fn store(error: &StoreError) -> Failure {
    tracing::error!(%error, "a request failed");
    let (kind, words) = match error {
        StoreError::Full => (
            FailureKind::Unavailable,
            "The server's disk is full, so nothing was stored. Tell the server's owner, and try again later.",
        ),
        StoreError::Locked => (
            FailureKind::Unavailable,
            "The server's data base is in use by something else, so nothing was stored. Try again in a moment.",
        ),
        StoreError::Closed => (
            FailureKind::Unavailable,
            "The server is stopping, so nothing was stored. Try again when it is back.",
        ),
        StoreError::Corrupt => (
            FailureKind::Unavailable,
            "The server's data base is damaged. Tell the server's owner, who has to restore a backup.",
        ),
        StoreError::TooLong => (
            FailureKind::Unavailable,
            "This takes the server too long. Ask for less at once.",
        ),
        StoreError::Failed(_) => (
            FailureKind::Internal,
            "The server could not do this just now. Try again; if it keeps failing, tell the server's owner.",
        ),
    };
    Failure::new(kind, words)
}

pub fn hashing(error: HashingFailed) -> Failure {
    match error {
        HashingFailed::Busy => rate_limited(Duration::from_secs(3)),
        HashingFailed::Broken => store(&StoreError::Failed(error.to_string())),
    }
}

pub fn invite(error: &InviteError) -> Failure {
    match error {
        InviteError::NoUser => not_found("user"),
        InviteError::Unknown => Failure::new(
            FailureKind::InviteUnknown,
            "This server does not know this invite. Check the link, or ask for a new one.",
        ),
        InviteError::Expired => Failure::new(
            FailureKind::InviteExpired,
            "This invite has expired. Ask for a new one.",
        ),
        InviteError::UsedUp => Failure::new(
            FailureKind::InviteUsedUp,
            "This invite has been used as often as it may be. Ask for a new one.",
        ),
        InviteError::GuildFull => Failure::new(
            FailureKind::GuildFull,
            format!(
                "This guild is full ({MAX_GUILD_MEMBERS} members). Tell the person who invited you."
            ),
        ),
        InviteError::TooManyGuilds => guild::too_many_guilds(),
        InviteError::Banned => Failure::new(
            FailureKind::Banned,
            "You were banned from this guild. Only its moderators can let you in again.",
        ),
        InviteError::Store(error) => store(error),
    }
}

pub fn name_taken() -> Failure {
    Failure::new(
        FailureKind::NameTaken,
        "This name is taken. Choose another, or sign in if it is yours.",
    )
}

pub fn sign_up(error: &SignUpError) -> Failure {
    match error {
        SignUpError::NameTaken => name_taken(),
        SignUpError::Invite(error) => invite(error),
        SignUpError::Store(error) => store(error),
    }
}

pub fn create_invite(error: &CreateInviteError) -> Failure {
    match error {
        CreateInviteError::NotAMember => not_found("guild"),
        CreateInviteError::TooMany { next_expires_at } => {
            too_many_invites(next_expires_at.map(|at| at - unix_ms()))
        }
        CreateInviteError::TooManyInGuild => Failure::new(
            FailureKind::TooMany,
            format!(
                "This guild has {MAX_GUILD_INVITES} open invites, and can't have more. Give one of those away again, or have old ones revoked."
            ),
        ),
        CreateInviteError::Store(error) => store(error),
    }
}

/// There is revoking, waiting, or using what is there.
fn too_many_invites(next_expires_in_ms: Option<i64>) -> Failure {
    let open = format!("You have {MAX_OPEN_INVITES} open invites, and nobody may have more.");
    let Some(ms) = next_expires_in_ms else {
        return Failure::new(
            FailureKind::Forbidden,
            format!("{open} None of them expires: give away one of those again, or revoke one."),
        );
    };
    let minutes = ms.max(1).cast_unsigned().div_ceil(60_000);
    let wait = match minutes {
        0..120 => format!("{minutes} min"),
        120..2_880 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / 1_440),
    };
    Failure::new(
        FailureKind::Forbidden,
        format!(
            "{open} Give away one of those again, revoke one, or wait {wait} until the next of them expires."
        ),
    )
    .retry_after_ms(ms.max(1).cast_unsigned())
}

/// Only administrators ask for one, so they may know why there is none.
pub fn backup(error: &MakeError) -> Failure {
    Failure::new(FailureKind::Internal, format!("No backup: {error}."))
}

pub fn not_found(what: &str) -> Failure {
    Failure::new(
        FailureKind::NotFound,
        format!("There is no such {what} for you; it may have been deleted."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_too_many_invites_is_told_what_helps() {
        let never = too_many_invites(None);
        assert!(never.message.contains("None of them expires"));
        assert_eq!(never.data.retry_after_ms, None);
        for (ms, words) in [
            (30_000, "1 min"),
            (3 * 3_600_000, "3 hours"),
            (5 * 86_400_000, "5 days"),
        ] {
            let failure = too_many_invites(Some(ms));
            assert!(failure.message.contains(words), "{}", failure.message);
        }
    }

    #[test]
    fn the_older_side_is_named() {
        let hello = |protocol_min, protocol_max| Hello {
            protocol_min,
            protocol_max,
            client: String::new(),
        };
        assert_eq!(
            common_version(&hello(PROTOCOL_MIN, PROTOCOL_MAX + 5)).unwrap(),
            PROTOCOL_MAX
        );
        let words = |min, max| common_version(&hello(min, max)).unwrap_err().message;
        assert!(words(PROTOCOL_MAX + 1, PROTOCOL_MAX + 2).starts_with("This server is too old"));
        assert!(words(0, PROTOCOL_MIN - 1).starts_with("This app is too old"));
        assert!(words(PROTOCOL_MAX, PROTOCOL_MIN - 1).contains("app"));
    }
}
