//! Failures around guilds, their channels, roles and members.

use voxhall_protocol::{
    control::{Explanation, Failure, FailureKind},
    limits::{MAX_CHANNELS, MAX_GUILDS_OF_USER, MAX_OVERWRITES, MAX_ROLES},
};
use voxhall_store::{ChannelError, GuildError, MAX_BANS, MemberError, RoleError};

use super::{invalid, not_found, store};

pub fn guild(error: &GuildError) -> Failure {
    match error {
        GuildError::NoGuild => not_found("guild"),
        GuildError::NotAMember => not_found("member"),
        GuildError::NoUser => not_found("user"),
        GuildError::TooManyGuilds => too_many_guilds(),
        GuildError::IsDefault => Failure::new(
            FailureKind::Conflict,
            "This is the guild that the server began with, so it can't be deleted. Rename it and empty it instead.",
        ),
        GuildError::NoPicture => not_found("picture"),
        GuildError::Store(error) => store(error),
    }
}

pub fn channel(error: &ChannelError) -> Failure {
    match error {
        ChannelError::NoGuild => not_found("guild"),
        ChannelError::NoChannel => not_found("channel"),
        ChannelError::NoCategory => not_found("category"),
        ChannelError::Nested => invalid("A category can't be in another category."),
        ChannelError::NoTarget => not_found("role or member"),
        ChannelError::TooMany => too_many(&format!(
            "A guild has {MAX_CHANNELS} channels and categories at most. Delete one first."
        )),
        ChannelError::TooManyOverwrites => too_many(&format!(
            "A channel has {MAX_OVERWRITES} rules at most. Take one away first, or give the members a role."
        )),
        ChannelError::Store(error) => store(error),
    }
}

pub fn role(error: &RoleError) -> Failure {
    match error {
        RoleError::NoGuild => not_found("guild"),
        RoleError::NoRole => not_found("role"),
        RoleError::Everyone => invalid("@everyone can't be renamed, moved or deleted."),
        RoleError::TooMany => too_many(&format!(
            "A guild has {MAX_ROLES} roles at most. Delete one first."
        )),
        RoleError::NotAll => Failure::new(
            FailureKind::Conflict,
            "The order has to name each role but @everyone once. The roles may have changed meanwhile: look again.",
        ),
        RoleError::Store(error) => store(error),
    }
}

pub fn member(error: &MemberError) -> Failure {
    match error {
        MemberError::NotAMember => not_found("member"),
        MemberError::NoUser => not_found("user"),
        MemberError::NoRole => not_found("role"),
        MemberError::IsOwner => forbidden("Nobody can do this to the owner."),
        MemberError::NotBanned => not_found("ban"),
        MemberError::TooManyBans => too_many(&format!(
            "A guild has {MAX_BANS} bans at most. Lift old ones first."
        )),
        MemberError::Store(error) => store(error),
    }
}

pub fn too_many_guilds() -> Failure {
    too_many(&format!(
        "Nobody can be in more than {MAX_GUILDS_OF_USER} guilds. Leave one first."
    ))
}

/// What someone lacks, and by which rule.
pub fn not_allowed(why: &Explanation) -> Failure {
    let because = why
        .because
        .last()
        .map_or("no role allows it", String::as_str);
    forbidden(&format!(
        "You may not do this here. It takes the right \"{}\": {because}.",
        why.permission.words()
    ))
}

pub fn forbidden(what: &str) -> Failure {
    Failure::new(FailureKind::Forbidden, what)
}

fn too_many(what: &str) -> Failure {
    Failure::new(FailureKind::TooMany, what)
}
