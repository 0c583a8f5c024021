//! What a caller may do where. Every service asks here first.

use voxhall_protocol::{
    ChannelId, GuildId, RoleId, UserId,
    control::{ChannelKind, Explanation, Failure},
    permissions::Permissions,
};

use super::{Caller, Services};
use crate::{clock::unix_ms, live::Place, words};

/// A caller in a guild that they are a member of.
#[derive(Debug, Clone, Copy)]
pub struct InGuild {
    pub permissions: Permissions,
    pub is_owner: bool,
    /// Position of the caller's highest role; the owner's is above all.
    pub rank: u32,
}

/// A caller in a channel or conversation that they may see.
#[derive(Debug, Clone)]
pub struct InChannel {
    /// None: a conversation.
    pub guild: Option<GuildId>,
    pub kind: ChannelKind,
    pub name: String,
    pub slow_mode_s: u32,
    pub permissions: Permissions,
    /// Of the guild or the group.
    pub is_owner: bool,
    pub rank: u32,
    /// Members of a conversation; empty in a guild.
    pub people: Vec<UserId>,
    /// In a direct conversation: one of the two has blocked the other.
    pub blocked: bool,
}

impl Services {
    /// # Errors
    /// `not_found` for who is no member, as if there were no such guild; `forbidden`, with the explanation's words, for who lacks a right.
    pub fn in_guild(
        &self,
        caller: &Caller,
        guild: GuildId,
        needs: Permissions,
    ) -> Result<InGuild, Failure> {
        let user = caller.user;
        self.hub.read(|live| {
            let permissions = live
                .rights_in_guild(guild, user, unix_ms())
                .ok_or_else(|| words::not_found("guild"))?;
            allowed(permissions, needs, || {
                live.explain(guild, user, None, unix_ms(), needs)
            })?;
            Ok(InGuild {
                permissions,
                is_owner: live.owner(guild) == Some(user),
                rank: live.rank(guild, user).unwrap_or(0),
            })
        })
    }

    /// # Errors
    /// `not_found` for who may not see the channel, as if there were none; `forbidden`, with the explanation's words, for who lacks a right.
    pub fn in_channel(
        &self,
        caller: &Caller,
        channel: ChannelId,
        needs: Permissions,
    ) -> Result<InChannel, Failure> {
        let user = caller.user;
        let unknown = || words::not_found("channel");
        self.hub.read(|live| {
            let permissions = live
                .rights_in_channel(channel, user, unix_ms())
                .ok_or_else(unknown)?;
            let place = live.place(channel).ok_or_else(unknown)?;
            allowed(permissions, needs, || match place {
                Place::Guild(guild, _) => {
                    live.explain(guild, user, Some(channel), unix_ms(), needs)
                }
                Place::Conversation(_) => None,
            })?;
            Ok(match place {
                Place::Guild(guild, channel) => InChannel {
                    guild: Some(guild),
                    kind: channel.kind,
                    name: channel.name.clone(),
                    slow_mode_s: channel.slow_mode_s,
                    permissions,
                    is_owner: live.owner(guild) == Some(user),
                    rank: live.rank(guild, user).unwrap_or(0),
                    people: Vec::new(),
                    blocked: false,
                },
                Place::Conversation(conversation) => InChannel {
                    guild: None,
                    kind: conversation.kind,
                    name: conversation.name.clone().unwrap_or_default(),
                    slow_mode_s: 0,
                    permissions,
                    is_owner: conversation.owner == Some(user),
                    rank: 0,
                    people: conversation.members.clone(),
                    blocked: live.is_blocked(conversation),
                },
            })
        })
    }

    /// Position of a member's highest role, the owner's above all; None: not a member.
    pub fn rank_of(&self, guild: GuildId, user: UserId) -> Option<u32> {
        self.hub.read(|live| live.rank(guild, user))
    }

    /// Position of a role of this guild.
    pub fn role_position(&self, guild: GuildId, role: RoleId) -> Option<u32> {
        self.hub.read(|live| live.role_position(guild, role))
    }
}

fn allowed(
    has: Permissions,
    needs: Permissions,
    why: impl FnOnce() -> Option<Explanation>,
) -> Result<(), Failure> {
    if has.contains(needs) {
        return Ok(());
    }
    Err(match why() {
        Some(why) => words::guild::not_allowed(&why),
        None => words::guild::forbidden("Nobody may do this in a conversation."),
    })
}
