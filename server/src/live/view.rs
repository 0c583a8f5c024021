//! What one user sees: what a client is shown at its beginning, and what events must lead to.

use voxhall_protocol::{
    ChannelId, DeviceId, GuildId, SecretText, UserId,
    control::{
        Conversation, ConversationMember, Guild, Member, OwnPresence, Presence, Ready, Relation,
        RelationKind, User, VoiceState,
    },
};
use voxhall_store::ConversationRecord;

use super::{
    Live,
    world::{GuildState, Person, member},
};

impl Live {
    /// Everything that a user sees, but for how far they have read and which calls they missed.
    pub(super) fn ready(&self, person: &Person, device: DeviceId, session: SecretText) -> Ready {
        let me = person.record.user.id;
        let relations = person.relations.iter();
        let conversations = person
            .conversations
            .iter()
            .filter_map(|id| self.conversations.get(id));
        let guilds = person.guilds.iter().filter_map(|id| self.guilds.get(id));
        Ready {
            session,
            me: person.record.user.clone(),
            device_id: device,
            is_admin: person.record.is_admin,
            guilds: guilds.map(|guild| self.guild_seen_by(me, guild)).collect(),
            conversations: conversations
                .map(|record| self.conversation_seen_by(me, record))
                .collect(),
            relations: relations
                .filter_map(|(other, kind)| self.relation(*other, *kind))
                .collect(),
            calls: (person.conversations.iter())
                .filter_map(|id| self.call_view(*id))
                .collect(),
            missed_calls: 0,
            calls_from: person.record.calls_from,
            stage: self.stage_view(me),
            read_states: Vec::new(),
            presence: person.record.presence.clone(),
            seq: 0,
        }
    }

    pub(super) fn guild_seen_by(&self, user: UserId, guild: &GuildState) -> Guild {
        let mut channels: Vec<_> = (guild.channels.values())
            .filter(|channel| guild.sees(user, channel))
            .cloned()
            .collect();
        channels.sort_by_key(|channel| (channel.position, channel.id));
        Guild {
            id: guild.info.id,
            name: guild.info.name.clone(),
            description: guild.info.description.clone(),
            icon: guild.info.icon,
            owner_id: guild.info.owner_id,
            roles: guild.roles.clone(),
            voice: channels
                .iter()
                .flat_map(|channel| self.voice_states(channel.id))
                .collect(),
            channels,
            members: guild
                .members
                .keys()
                .filter_map(|user| self.member_of(guild, *user))
                .collect(),
        }
    }

    pub(super) fn member_of(&self, guild: &GuildState, user: UserId) -> Option<Member> {
        Some(member(guild.members.get(&user)?, self.people.get(&user)?))
    }

    /// A member as all in the guild see them.
    pub fn member_view(&self, guild: GuildId, user: UserId) -> Option<Member> {
        self.member_of(self.guilds.get(&guild)?, user)
    }

    /// A guild as this member sees it.
    pub fn guild_view(&self, guild: GuildId, user: UserId) -> Option<Guild> {
        let guild = self.guilds.get(&guild)?;
        guild
            .members
            .contains_key(&user)
            .then(|| self.guild_seen_by(user, guild))
    }

    /// A conversation as this user, who is in it, sees it.
    pub fn conversation_view(&self, conversation: ChannelId, user: UserId) -> Option<Conversation> {
        let record = self.conversations.get(&conversation)?;
        record
            .members
            .contains(&user)
            .then(|| self.conversation_seen_by(user, record))
    }

    /// How someone stands to another, as they see it.
    pub fn relation_view(&self, user: UserId, other: UserId) -> Option<Relation> {
        let kind = *self.people.get(&user)?.relations.get(&other)?;
        self.relation(other, kind)
    }

    pub fn user(&self, user: UserId) -> Option<&User> {
        self.people.get(&user).map(Person::user)
    }

    /// How someone chose to be seen.
    pub fn own_presence(&self, user: UserId) -> OwnPresence {
        self.people
            .get(&user)
            .map(|person| person.record.presence.clone())
            .unwrap_or_default()
    }

    pub(super) fn conversation_seen_by(
        &self,
        user: UserId,
        record: &ConversationRecord,
    ) -> Conversation {
        let member = |id: &UserId| {
            let person = self.people.get(id)?;
            Some(ConversationMember {
                user: person.user().clone(),
                presence: self.presence_for(user, person),
            })
        };
        Conversation {
            id: record.id,
            kind: record.kind,
            name: record.name.clone(),
            owner_id: record.owner,
            members: record.members.iter().filter_map(member).collect(),
        }
    }

    pub(super) fn relation(&self, other: UserId, kind: RelationKind) -> Option<Relation> {
        let person = self.people.get(&other)?;
        Some(Relation {
            user: person.user().clone(),
            kind,
            presence: match kind {
                RelationKind::Friend => person.shown.clone(),
                RelationKind::Incoming | RelationKind::Outgoing | RelationKind::Blocked => {
                    Presence::default()
                }
            },
        })
    }

    /// What someone is shown of another's being there: members of one guild see each other, and so do friends and those who
    /// are in a conversation, unless one has blocked the other.
    pub(super) fn presence_for(&self, viewer: UserId, subject: &Person) -> Presence {
        if self.knows_presence(viewer, subject) {
            subject.shown.clone()
        } else {
            Presence::default()
        }
    }

    fn knows_presence(&self, viewer: UserId, subject: &Person) -> bool {
        let Some(person) = self.people.get(&viewer) else {
            return false;
        };
        viewer == subject.record.user.id
            || person.is_friend(subject.record.user.id)
            || !person.guilds.is_disjoint(&subject.guilds)
            || (!subject.is_apart_from(viewer)
                && !person.conversations.is_disjoint(&subject.conversations))
    }

    pub(super) fn voice_states(&self, channel: ChannelId) -> Vec<VoiceState> {
        self.rooms
            .get(&channel)
            .map(|room| {
                let named = |state: &VoiceState| !self.is_audience(state.user_id, channel);
                room.states(channel).filter(named).collect()
            })
            .unwrap_or_default()
    }
}
