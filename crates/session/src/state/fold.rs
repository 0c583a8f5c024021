//! Folding what the server says into the state: absolute words, so that folding an event twice, or one that the answer to
//! `session.begin` had in it already, does no harm.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use voxhall_protocol::{
    ChannelId, GuildId, UserId,
    control::{Event, Mentions, Message, Ready, RelationKind, User, VoiceState},
};

use super::{Guild, Reading, StageHere, State};

/// Who is writing is so for this long, unless they say so again.
pub(crate) const TYPING_HOLDS: Duration = Duration::from_secs(8);

impl State {
    /// The answer to `session.begin` replaces the whole picture; what is loaded of histories is the caller's concern.
    pub(crate) fn begin(&mut self, mut ready: Ready) {
        Arc::make_mut(&mut self.calls).begin(&mut ready);
        self.stage = (ready.stage.take()).map(|view| Arc::new(StageHere::new(view)));
        self.me = Some(ready.me);
        self.device = Some(ready.device_id);
        self.is_admin = ready.is_admin;
        self.presence = ready.presence;
        self.guilds = ready
            .guilds
            .into_iter()
            .map(|guild| Arc::new(Guild::from(guild)))
            .collect();
        self.guilds.sort_by_key(|guild| guild.id);
        let conversations = ready.conversations.into_iter();
        self.conversations = Arc::new(
            conversations
                .map(|conversation| (conversation.id, conversation))
                .collect(),
        );
        let relations = ready.relations.into_iter();
        self.relations = Arc::new(
            relations
                .map(|relation| (relation.user.id, relation))
                .collect(),
        );
        let read_states = ready.read_states.into_iter();
        self.reading = Arc::new(
            read_states
                .map(|state| (state.channel_id, Reading::from(state)))
                .collect(),
        );
        self.typing.clear();
    }

    pub(crate) fn fold(&mut self, event: &Event, now: Instant) {
        match event {
            Event::UserUpdated { user } => self.fold_user(user),
            Event::PresenceChanged { .. }
            | Event::PresenceChosen { .. }
            | Event::RelationUpdated { .. }
            | Event::RelationRemoved { .. }
            | Event::ConversationUpdated { .. }
            | Event::ConversationLeft { .. } => self.fold_people(event),

            Event::GuildJoined { guild } => {
                let guild = Arc::new(Guild::from(guild.clone()));
                match self.guilds.iter_mut().find(|known| known.id == guild.id) {
                    Some(known) => *known = guild,
                    None => self.guilds.push(guild),
                }
                self.guilds.sort_by_key(|guild| guild.id);
            }
            Event::GuildLeft { guild_id, .. } => {
                if let Some(at) = self.guilds.iter().position(|guild| guild.id == *guild_id) {
                    for channel in &self.guilds.remove(at).channels {
                        self.forget_channel(channel.id);
                    }
                }
            }
            Event::ChannelCreated {
                guild_id,
                channel,
                voice,
                read_state,
            } => {
                let Some(guild) = self.guild_mut(*guild_id) else {
                    return;
                };
                guild
                    .voice
                    .retain(|_, state| state.channel_id != channel.id);
                let people = voice.iter().map(|state| (state.user_id, state.clone()));
                guild.voice.extend(people);
                guild.put_channel(channel.clone());
                if let Some(read_state) = read_state {
                    self.reading_mut(channel.id).set(*read_state);
                }
            }
            Event::ChannelDeleted {
                guild_id,
                channel_id,
            } => {
                if let Some(guild) = self.guild_mut(*guild_id) {
                    guild.channels.retain(|channel| channel.id != *channel_id);
                    guild
                        .voice
                        .retain(|_, state| state.channel_id != *channel_id);
                    self.forget_channel(*channel_id);
                }
            }
            Event::GuildUpdated { guild: info } => {
                if let Some(guild) = self.guild_mut(info.id) {
                    guild.name.clone_from(&info.name);
                    guild.description.clone_from(&info.description);
                    guild.icon = info.icon;
                    guild.owner = info.owner_id;
                }
            }
            Event::ChannelUpdated { guild_id, channel } => {
                self.in_guild(*guild_id, |guild| guild.put_channel(channel.clone()));
            }
            Event::RoleCreated { guild_id, role } | Event::RoleUpdated { guild_id, role } => {
                self.in_guild(*guild_id, |guild| guild.put_role(role.clone()));
            }
            Event::RoleDeleted { guild_id, role_id } => {
                self.in_guild(*guild_id, |guild| guild.remove_role(*role_id));
            }
            Event::MemberJoined { guild_id, member }
            | Event::MemberUpdated { guild_id, member } => {
                if matches!(event, Event::MemberJoined { .. }) {
                    // Who was away may have another name by now, which nobody here was told.
                    self.fold_user(&member.user);
                }
                self.in_guild(*guild_id, |guild| {
                    Arc::make_mut(&mut guild.members).insert(member.user.id, member.clone());
                });
            }
            Event::MemberLeft {
                guild_id, user_id, ..
            } => self.in_guild(*guild_id, |guild| {
                Arc::make_mut(&mut guild.members).remove(user_id);
                guild.voice.remove(user_id);
            }),

            Event::MessageCreated { guild_id, message } => {
                self.fold_created(*guild_id, message, event);
            }
            Event::MessageUpdated {
                channel_id,
                message_id,
                mentions,
                ..
            } => {
                let mentions_me = self.mentions_me(self.guild_of(*channel_id), mentions);
                if let Some(reading) = Arc::make_mut(&mut self.reading).get_mut(channel_id) {
                    reading.edited(*message_id, mentions_me);
                }
                self.fold_history(*channel_id, event);
            }
            Event::MessageDeleted {
                channel_id,
                message_ids,
            } => {
                for id in message_ids {
                    let known = self
                        .history
                        .get(channel_id)
                        .and_then(|history| history.message(*id));
                    let known = known.map(|message| {
                        let by_another = Some(message.author.id) != self.my_id();
                        (
                            by_another,
                            self.mentions_me(self.guild_of(*channel_id), &message.mentions),
                        )
                    });
                    if let Some(reading) = Arc::make_mut(&mut self.reading).get_mut(channel_id) {
                        reading.deleted(*id, known);
                    }
                }
                self.fold_history(*channel_id, event);
            }
            Event::MessagePinned { channel_id, .. }
            | Event::ReactionAdded { channel_id, .. }
            | Event::ReactionRemoved { channel_id, .. } => self.fold_history(*channel_id, event),
            Event::ChannelRead { read_state } => {
                self.reading_mut(read_state.channel_id).set(*read_state);
            }
            Event::TypingStarted {
                channel_id,
                user_id,
            } => {
                if Some(*user_id) != self.my_id() {
                    let people = self.typing.entry(*channel_id).or_default();
                    people.insert(*user_id, now + TYPING_HOLDS);
                }
            }

            Event::VoiceJoined { guild_id, state } | Event::VoiceUpdated { guild_id, state } => {
                match guild_id {
                    Some(guild) => self.in_guild(*guild, |guild| {
                        guild.voice.insert(state.user_id, state.clone());
                    }),
                    None => self.in_call(state.channel_id, |voice| {
                        voice.retain(|known| known.user_id != state.user_id);
                        voice.push(state.clone());
                    }),
                }
            }
            Event::VoiceSpeaking {
                guild_id,
                channel_id,
                user_id,
                speaking,
            } => match guild_id {
                Some(guild) => self.in_guild(*guild, |guild| {
                    if let Some(state) = guild.voice.get_mut(user_id) {
                        state.speaking = *speaking;
                    }
                }),
                None => self.in_call(*channel_id, |voice| {
                    for state in voice.iter_mut().filter(|state| state.user_id == *user_id) {
                        state.speaking = *speaking;
                    }
                }),
            },
            Event::VoiceLeft {
                guild_id,
                channel_id,
                user_id,
                ..
            } => match guild_id {
                Some(guild) => self.in_guild(*guild, |guild| {
                    // A switch may have been told before the leaving of the channel before.
                    if guild
                        .voice
                        .get(user_id)
                        .is_some_and(|state| state.channel_id == *channel_id)
                    {
                        guild.voice.remove(user_id);
                    }
                }),
                None => self.in_call(*channel_id, |voice| {
                    voice.retain(|state| state.user_id != *user_id);
                }),
            },
            Event::StageUpdated { .. } | Event::StageStood { .. } | Event::StageLeft { .. } => {
                let stage = self.stage.as_mut().map(Arc::make_mut);
                if stage.is_some_and(|stage| !stage.fold(event)) {
                    self.stage = None;
                }
            }
            Event::StageAnnounced { .. } => {}
            Event::CallUpdated { .. }
            | Event::CallEnded { .. }
            | Event::CallLogged { .. }
            | Event::CallsSeen { .. }
            | Event::CallsFromSet { .. } => Arc::make_mut(&mut self.calls).fold(event),
            // These are about the session, not about the picture.
            Event::SessionClosed { .. } | Event::VoiceRekeyed { .. } | Event::VoiceEnded { .. } => {
            }
        }
    }

    /// Everyone in `channel`, as its grant says.
    pub(crate) fn fold_participants(&mut self, channel: ChannelId, participants: &[VoiceState]) {
        let Some(guild) = self.guild_of(channel).map(|guild| guild.id) else {
            return self.in_call(channel, |voice| *voice = participants.to_vec());
        };
        self.in_guild(guild, |guild| {
            guild.voice.retain(|_, state| state.channel_id != channel);
            let people = participants
                .iter()
                .map(|state| (state.user_id, state.clone()));
            guild.voice.extend(people);
        });
    }

    fn in_call(&mut self, channel: ChannelId, change: impl FnOnce(&mut Vec<VoiceState>)) {
        if let Some(stage) = &mut self.stage
            && stage.id() == channel
        {
            change(&mut Arc::make_mut(stage).voice);
        } else if self.calls.running.contains_key(&channel)
            && let Some(voice) = Arc::make_mut(&mut self.calls).voice_mut(channel)
        {
            change(voice);
        }
    }

    /// Forgets who was writing until now. True if that was anyone.
    pub(crate) fn expire_typing(&mut self, now: Instant) -> bool {
        let before: usize = self.typing.values().map(|people| people.len()).sum();
        for people in self.typing.values_mut() {
            people.retain(|_, until| *until > now);
        }
        self.typing.retain(|_, people| !people.is_empty());
        before
            != self
                .typing
                .values()
                .map(|people| people.len())
                .sum::<usize>()
    }

    pub(crate) fn my_id(&self) -> Option<UserId> {
        self.me.as_ref().map(|me| me.id)
    }

    pub(crate) fn reading_mut(&mut self, channel: ChannelId) -> &mut Reading {
        Arc::make_mut(&mut self.reading)
            .entry(channel)
            .or_insert_with(Reading::none)
    }

    fn guild_mut(&mut self, id: GuildId) -> Option<&mut Guild> {
        let guild = self.guilds.iter_mut().find(|guild| guild.id == id)?;
        Some(Arc::make_mut(guild))
    }

    fn in_guild(&mut self, id: GuildId, change: impl FnOnce(&mut Guild)) {
        if let Some(guild) = self.guild_mut(id) {
            change(guild);
        }
    }

    fn fold_created(&mut self, guild: Option<GuildId>, message: &Message, event: &Event) {
        let mine = Some(message.author.id) == self.my_id();
        let guild = guild.and_then(|id| self.guild(id));
        let mentions_me = !mine && self.mentions_me(guild, &message.mentions);
        self.reading_mut(message.channel_id)
            .created(message.id, mine, mentions_me);
        if let Some(people) = self.typing.get_mut(&message.channel_id) {
            people.remove(&message.author.id);
        }
        self.fold_history(message.channel_id, event);
    }

    fn fold_history(&mut self, channel: ChannelId, event: &Event) {
        let me = self.my_id();
        // A channel that nobody looked at yet is loaded when somebody does.
        if self
            .history
            .get(&channel)
            .is_some_and(|history| history.concerns(event))
            && let Some(history) = Arc::make_mut(&mut self.history).get_mut(&channel)
        {
            Arc::make_mut(history).fold(event, me);
        }
    }

    fn fold_people(&mut self, event: &Event) {
        match event {
            Event::PresenceChanged { user_id, presence } => {
                for guild in &mut self.guilds {
                    if guild.members.contains_key(user_id)
                        && let Some(member) = Arc::make_mut(guild).member_mut(*user_id)
                    {
                        member.presence.clone_from(presence);
                    }
                }
                let known = self.conversations.values().flat_map(|it| &it.members);
                if known.into_iter().any(|member| member.user.id == *user_id) {
                    for conversation in Arc::make_mut(&mut self.conversations).values_mut() {
                        for member in &mut conversation.members {
                            if member.user.id == *user_id {
                                member.presence.clone_from(presence);
                            }
                        }
                    }
                }
                if self.relations.contains_key(user_id)
                    && let Some(relation) = Arc::make_mut(&mut self.relations).get_mut(user_id)
                    && relation.kind == RelationKind::Friend
                {
                    relation.presence.clone_from(presence);
                }
            }
            Event::PresenceChosen { presence } => self.presence.clone_from(presence),
            Event::RelationUpdated { relation } => {
                Arc::make_mut(&mut self.relations).insert(relation.user.id, relation.clone());
            }
            Event::RelationRemoved { user_id } => {
                Arc::make_mut(&mut self.relations).remove(user_id);
            }
            Event::ConversationUpdated { conversation } => {
                Arc::make_mut(&mut self.conversations)
                    .insert(conversation.id, conversation.clone());
            }
            Event::ConversationLeft { channel_id } => {
                Arc::make_mut(&mut self.conversations).remove(channel_id);
                Arc::make_mut(&mut self.calls).fold(event);
                self.forget_channel(*channel_id);
            }
            _ => {}
        }
    }

    /// Someone's new name or picture, wherever they are shown.
    pub(crate) fn fold_user(&mut self, user: &User) {
        if self.my_id() == Some(user.id) {
            self.me = Some(user.clone());
        }
        for guild in &mut self.guilds {
            if guild.members.contains_key(&user.id)
                && let Some(member) = Arc::make_mut(guild).member_mut(user.id)
            {
                member.user.clone_from(user);
            }
        }
        for conversation in Arc::make_mut(&mut self.conversations).values_mut() {
            for member in &mut conversation.members {
                if member.user.id == user.id {
                    member.user.clone_from(user);
                }
            }
        }
        if let Some(relation) = Arc::make_mut(&mut self.relations).get_mut(&user.id) {
            relation.user.clone_from(user);
        }
        if let Some(profile) = Arc::make_mut(&mut self.profiles).get_mut(&user.id) {
            profile.user.clone_from(user);
        }
        for history in Arc::make_mut(&mut self.history).values_mut() {
            let wrote = |message: &Message| {
                let replied = message
                    .reply_to
                    .as_ref()
                    .and_then(|replied| replied.author.as_ref());
                message.author.id == user.id || replied.is_some_and(|author| author.id == user.id)
            };
            if history.messages.iter().any(wrote) {
                for message in &mut Arc::make_mut(history).messages {
                    let replied = message
                        .reply_to
                        .as_mut()
                        .and_then(|replied| replied.author.as_mut());
                    for author in [Some(&mut message.author), replied].into_iter().flatten() {
                        if author.id == user.id {
                            author.clone_from(user);
                        }
                    }
                }
            }
        }
    }

    fn mentions_me(&self, guild: Option<&Guild>, mentions: &Mentions) -> bool {
        let Some(me) = self.my_id() else { return false };
        let by_role = || {
            let mine = &guild?.members.get(&me)?.roles;
            Some(mentions.roles.iter().any(|role| mine.contains(role)))
        };
        mentions.everyone || mentions.users.contains(&me) || by_role().unwrap_or(false)
    }

    fn forget_channel(&mut self, channel: ChannelId) {
        self.typing.remove(&channel);
        Arc::make_mut(&mut self.reading).remove(&channel);
        Arc::make_mut(&mut self.history).remove(&channel);
    }
}
