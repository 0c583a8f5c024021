//! One guild as this user sees it.

use std::{collections::BTreeMap, sync::Arc};

use voxhall_protocol::{
    ChannelId, FileId, GuildId, RoleId, UserId,
    control::{self, Channel, ChannelKind, Member, Role, UnixMs, User, VoiceState},
    permissions::{self, Layer, Permissions, Subject},
};

#[derive(Debug, Clone, PartialEq)]
pub struct Guild {
    pub id: GuildId,
    pub name: String,
    pub description: String,
    pub icon: Option<FileId>,
    pub owner: Option<UserId>,
    /// @everyone first, then upwards.
    pub roles: Vec<Role>,
    /// In the order to show, those of all categories and of none mixed.
    pub channels: Vec<Channel>,
    /// Shared between versions of the guild: thousands, maybe.
    pub members: Arc<BTreeMap<UserId, Member>>,
    /// Who is in which voice channel, by user.
    pub voice: BTreeMap<UserId, VoiceState>,
}

impl Guild {
    pub fn channel(&self, id: ChannelId) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.id == id)
    }

    pub fn role(&self, id: RoleId) -> Option<&Role> {
        self.roles.iter().find(|role| role.id == id)
    }

    pub fn channels_of(&self, kind: ChannelKind) -> impl Iterator<Item = &Channel> {
        self.channels
            .iter()
            .filter(move |channel| channel.kind == kind)
    }

    /// The channels of a category, or those of none. Categories are of none.
    pub fn channels_in(&self, category: Option<ChannelId>) -> impl Iterator<Item = &Channel> {
        // A category that this user may not view is not there: what they may see of it stands with what has none.
        let shown = move |channel: &Channel| {
            channel
                .category_id
                .filter(|category| self.channel(*category).is_some())
        };
        self.channels
            .iter()
            .filter(move |channel| shown(channel) == category)
    }

    /// The people in a voice channel, by name.
    pub fn people_in(&self, channel: ChannelId) -> Vec<(&User, &VoiceState)> {
        let mut people: Vec<_> = self
            .voice
            .values()
            .filter(|state| state.channel_id == channel)
            .filter_map(|state| Some((&self.members.get(&state.user_id)?.user, state)))
            .collect();
        people.sort_by(|(a, _), (b, _)| {
            a.name
                .to_lowercase()
                .cmp(&b.name.to_lowercase())
                .then(a.id.cmp(&b.id))
        });
        people
    }

    /// All roles of a member, @everyone first.
    pub fn roles_of(&self, member: &Member) -> Vec<&Role> {
        let has = |role: &&Role| role.position == 0 || member.roles.contains(&role.id);
        self.roles.iter().filter(has).collect()
    }

    /// What a member may do in a channel, or without one in the guild as a whole. What the server answers counts; this is for drawing
    /// only what makes sense.
    pub fn permissions(
        &self,
        user: UserId,
        channel: Option<ChannelId>,
        now_ms: UnixMs,
    ) -> Permissions {
        let Some(member) = self.members.get(&user) else {
            return Permissions::NONE;
        };
        let roles = self.roles_of(member);
        let subject = Subject {
            user: Some(user),
            is_owner: self.owner == Some(user),
            timed_out_until_ms: member
                .timeout_until_ms
                .filter(|until_ms| *until_ms > now_ms),
            roles: &roles,
        };
        let Some(id) = channel else {
            return permissions::decide(&subject, &[]);
        };
        let Some(channel) = self.channel(id) else {
            return Permissions::NONE;
        };
        let category = channel.category_id.and_then(|id| self.channel(id));
        let layers: Vec<_> = category
            .into_iter()
            .chain([channel])
            .map(Layer::of)
            .collect();
        permissions::decide(&subject, &layers)
    }

    pub(super) fn put_channel(&mut self, channel: Channel) {
        match self
            .channels
            .iter_mut()
            .find(|known| known.id == channel.id)
        {
            Some(known) => *known = channel,
            None => self.channels.push(channel),
        }
        self.channels
            .sort_by_key(|channel| (channel.position, channel.id));
    }

    pub(super) fn put_role(&mut self, role: Role) {
        match self.roles.iter_mut().find(|known| known.id == role.id) {
            Some(known) => *known = role,
            None => self.roles.push(role),
        }
        self.roles.sort_by_key(|role| (role.position, role.id));
    }

    pub(super) fn remove_role(&mut self, id: RoleId) {
        self.roles.retain(|role| role.id != id);
        let of_role = control::OverwriteTarget::Role(id);
        for channel in &mut self.channels {
            channel
                .overwrites
                .retain(|overwrite| overwrite.target != of_role);
        }
        if self
            .members
            .values()
            .any(|member| member.roles.contains(&id))
        {
            for member in Arc::make_mut(&mut self.members).values_mut() {
                member.roles.retain(|role| *role != id);
            }
        }
    }

    pub(crate) fn member_mut(&mut self, user: UserId) -> Option<&mut Member> {
        // Looked up first: cloning thousands of members for a stranger would be a waste.
        self.members.get(&user)?;
        Arc::make_mut(&mut self.members).get_mut(&user)
    }
}

impl From<control::Guild> for Guild {
    fn from(guild: control::Guild) -> Self {
        let by_user = |member: Member| (member.user.id, member);
        let mut made = Self {
            id: guild.id,
            name: guild.name,
            description: guild.description,
            icon: guild.icon,
            owner: guild.owner_id,
            roles: guild.roles,
            channels: guild.channels,
            members: Arc::new(guild.members.into_iter().map(by_user).collect()),
            voice: guild
                .voice
                .into_iter()
                .map(|state| (state.user_id, state))
                .collect(),
        };
        made.channels
            .sort_by_key(|channel| (channel.position, channel.id));
        made.roles.sort_by_key(|role| (role.position, role.id));
        made
    }
}
