//! Questions of the services: who may do what where.

use voxhall_protocol::{
    ChannelId, GuildId, RoleId, UserId,
    control::{Channel, ChannelKind, Explanation, GuildInfo, Role, UnixMs},
    permissions::{Layer, Permissions, Subject, explain, sees_category, without_category_name},
};
use voxhall_store::{ConversationRecord, MemberRecord};

use super::Live;

/// What everyone in a conversation may do there.
const IN_CONVERSATION: Permissions = Permissions(
    Permissions::VIEW_CHANNEL.0
        | Permissions::SEND_MESSAGES.0
        | Permissions::ATTACH_FILES.0
        | Permissions::ADD_REACTIONS.0
        | Permissions::MENTION_EVERYONE.0,
);

/// Where a channel stands.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    Guild(GuildId, &'a Channel),
    Conversation(&'a ConversationRecord),
}

impl Live {
    /// None: there is none.
    pub fn place(&self, channel: ChannelId) -> Option<Place<'_>> {
        if let Some(conversation) = self.conversations.get(&channel) {
            return Some(Place::Conversation(conversation));
        }
        let guild = *self.guild_of.get(&channel)?;
        let channel = self.guilds.get(&guild)?.channels.get(&channel)?;
        Some(Place::Guild(guild, channel))
    }

    pub fn is_member(&self, guild: GuildId, user: UserId) -> bool {
        self.member(guild, user).is_some()
    }

    pub fn member(&self, guild: GuildId, user: UserId) -> Option<&MemberRecord> {
        self.guilds.get(&guild)?.members.get(&user)
    }

    pub fn guild_info(&self, guild: GuildId) -> Option<GuildInfo> {
        Some(self.guilds.get(&guild)?.info.clone())
    }

    pub fn owner(&self, guild: GuildId) -> Option<UserId> {
        self.guilds.get(&guild)?.info.owner_id
    }

    /// What a member may do in the guild as a whole; None: no member.
    pub fn rights_in_guild(
        &self,
        guild: GuildId,
        user: UserId,
        now_ms: UnixMs,
    ) -> Option<Permissions> {
        let guild = self.guilds.get(&guild)?;
        guild
            .members
            .contains_key(&user)
            .then(|| guild.rights(user, None, now_ms))
    }

    /// What someone may do in a channel or conversation; None: there is none that they may see.
    pub fn rights_in_channel(
        &self,
        channel: ChannelId,
        user: UserId,
        now_ms: UnixMs,
    ) -> Option<Permissions> {
        let rights = match self.place(channel)? {
            Place::Guild(guild, channel) => {
                self.guilds.get(&guild)?.rights(user, Some(channel), now_ms)
            }
            Place::Conversation(conversation) if conversation.members.contains(&user) => {
                IN_CONVERSATION
            }
            Place::Conversation(_) => Permissions::NONE,
        };
        rights.contains(Permissions::VIEW_CHANNEL).then_some(rights)
    }

    /// Judges a member of a guild, in one of its channels or in all of it. None: no member, or no such channel.
    pub fn judge<T>(
        &self,
        guild: GuildId,
        user: UserId,
        channel: Option<ChannelId>,
        now_ms: UnixMs,
        judge: impl FnOnce(&Subject<'_>, &[Layer<'_>]) -> T,
    ) -> Option<T> {
        let guild = self.guilds.get(&guild)?;
        let layers = match channel {
            Some(channel) => guild.layers(guild.channels.get(&channel)?),
            None => Vec::new(),
        };
        guild.judge(user, now_ms, |subject| judge(subject, &layers))
    }

    /// Why a member may or may not do a thing, in one channel or in the guild as a whole, in words for that member. None: no member, or no such channel.
    pub fn explain(
        &self,
        guild: GuildId,
        user: UserId,
        channel: Option<ChannelId>,
        now_ms: UnixMs,
        needs: Permissions,
    ) -> Option<Explanation> {
        self.judge(guild, user, channel, now_ms, |subject, layers| {
            if sees_category(subject, layers) {
                explain(subject, layers, needs)
            } else {
                explain(subject, &without_category_name(layers), needs)
            }
        })
    }

    /// Judges someone who has this role and no other. None: no such role or channel.
    pub fn judge_role<T>(
        &self,
        guild: GuildId,
        role: RoleId,
        channel: Option<ChannelId>,
        judge: impl FnOnce(&Subject<'_>, &[Layer<'_>]) -> T,
    ) -> Option<T> {
        let guild = self.guilds.get(&guild)?;
        let layers = match channel {
            Some(channel) => guild.layers(guild.channels.get(&channel)?),
            None => Vec::new(),
        };
        let role = guild.role(role)?;
        let mut roles = vec![guild.roles.first()?, role];
        roles.dedup_by_key(|role| role.id);
        let subject = Subject {
            user: None,
            is_owner: false,
            timed_out_until_ms: None,
            roles: &roles,
        };
        Some(judge(&subject, &layers))
    }

    /// @everyone first, then upwards.
    pub fn roles(&self, guild: GuildId) -> &[Role] {
        self.guilds.get(&guild).map_or(&[], |guild| &guild.roles)
    }

    pub fn role(&self, guild: GuildId, role: RoleId) -> Option<&Role> {
        self.guilds.get(&guild)?.role(role)
    }

    /// Position of a member's highest role, the owner's above all; None: no member.
    pub fn rank(&self, guild: GuildId, user: UserId) -> Option<u32> {
        self.guilds.get(&guild)?.rank(user)
    }

    pub fn role_position(&self, guild: GuildId, role: RoleId) -> Option<u32> {
        Some(self.guilds.get(&guild)?.role(role)?.position)
    }

    /// One of the two has blocked the other.
    pub fn are_apart(&self, one: UserId, other: UserId) -> bool {
        self.people
            .get(&one)
            .is_some_and(|person| person.is_apart_from(other))
    }

    /// In a direct conversation: one of the two has blocked the other.
    pub fn is_blocked(&self, conversation: &ConversationRecord) -> bool {
        match &conversation.members[..] {
            [one, other] if conversation.kind == ChannelKind::Direct => {
                self.are_apart(*one, *other)
            }
            _ => false,
        }
    }
}
