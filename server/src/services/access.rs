//! What a caller may do where. Every service asks here first.

use voxhall_protocol::{
    ChannelId, GuildId, RoleId, UserId,
    control::{ChannelKind, Failure},
    permissions::Permissions,
};

use super::{Caller, Services};

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
        _caller: &Caller,
        _guild: GuildId,
        _needs: Permissions,
    ) -> Result<InGuild, Failure> {
        Err(super::not_there_yet())
    }

    /// # Errors
    /// `not_found` for who may not see the channel, as if there were none; `forbidden`, with the explanation's words, for who lacks a right.
    pub fn in_channel(
        &self,
        _caller: &Caller,
        _channel: ChannelId,
        _needs: Permissions,
    ) -> Result<InChannel, Failure> {
        Err(super::not_there_yet())
    }

    /// Position of a member's highest role, the owner's above all; None: not a member.
    pub fn rank_of(&self, _guild: GuildId, _user: UserId) -> Option<u32> {
        None
    }

    /// Position of a role of this guild.
    pub fn role_position(&self, _guild: GuildId, _role: RoleId) -> Option<u32> {
        None
    }
}
