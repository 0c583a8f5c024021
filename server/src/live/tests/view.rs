//! What a client knows, folded from events as any client has to do it. An event about what the client can't see is a leak.

use std::collections::BTreeMap;

use voxhall_protocol::{
    ChannelId, GuildId, UserId,
    control::{
        CallsFrom, Channel, Conversation, Event, Guild, LiveCall, OverwriteTarget, OwnPresence,
        Ready, Relation, RelationKind, StageStanding, StageView, User, VoiceState,
    },
};

#[derive(Debug, Clone, PartialEq)]
pub struct View {
    pub me: User,
    pub guilds: BTreeMap<GuildId, Guild>,
    pub conversations: BTreeMap<ChannelId, Conversation>,
    pub relations: BTreeMap<UserId, Relation>,
    pub presence: OwnPresence,
    pub calls_from: CallsFrom,
    pub calls: BTreeMap<ChannelId, LiveCall>,
    pub stage: Option<StageView>,
}

impl View {
    pub fn new(ready: Ready) -> Self {
        Self {
            me: ready.me,
            guilds: ready
                .guilds
                .into_iter()
                .map(|guild| (guild.id, guild))
                .collect(),
            conversations: ready.conversations.into_iter().map(|c| (c.id, c)).collect(),
            relations: ready
                .relations
                .into_iter()
                .map(|relation| (relation.user.id, relation))
                .collect(),
            presence: ready.presence,
            calls_from: ready.calls_from,
            calls: (ready.calls.into_iter())
                .map(|call| (call.channel_id, call))
                .collect(),
            stage: ready.stage,
        }
    }

    pub fn sorted(&self) -> Self {
        let mut view = self.clone();
        for guild in view.guilds.values_mut() {
            guild.members.sort_by_key(|member| member.user.id);
            guild.voice.sort_by_key(|state| state.user_id);
            guild.channels.sort_by_key(|channel| channel.id);
            guild.roles.sort_by_key(|role| role.id);
        }
        for call in view.calls.values_mut() {
            call.voice.sort_by_key(|state| state.user_id);
        }
        view
    }

    /// Can be read by who sees this.
    fn has_channel(&self, channel: ChannelId) -> bool {
        self.conversations.contains_key(&channel)
            || self
                .guilds
                .values()
                .any(|guild| guild.channels.iter().any(|c| c.id == channel))
    }

    /// Voice of the room one is in.
    fn fold_stage_voice(&mut self, event: &Event) -> bool {
        let Some(stage) = self.stage.as_mut().map(|view| &mut view.stage) else {
            return false;
        };
        let (channel, user) = match event {
            Event::VoiceJoined { state, .. } | Event::VoiceUpdated { state, .. } => {
                (state.channel_id, state.user_id)
            }
            Event::VoiceSpeaking {
                channel_id,
                user_id,
                ..
            }
            | Event::VoiceLeft {
                channel_id,
                user_id,
                ..
            } => (*channel_id, *user_id),
            _ => return false,
        };
        if channel != stage.id {
            return false;
        }
        let mut speakers = stage.speakers.iter_mut();
        if let Some(speaker) = speakers.find(|speaker| speaker.user.id == user) {
            match event {
                Event::VoiceJoined { state, .. } | Event::VoiceUpdated { state, .. } => {
                    speaker.voice = Some(state.clone());
                }
                Event::VoiceSpeaking { speaking, .. } => {
                    let voice = speaker.voice.as_mut();
                    voice.expect("only who is there speaks").speaking = *speaking;
                }
                _ => speaker.voice = None,
            }
        }
        true
    }

    fn call(&mut self, channel: ChannelId) -> &mut LiveCall {
        (self.calls.get_mut(&channel)).expect("told of a call that this user knows")
    }

    fn guild(&mut self, id: GuildId) -> &mut Guild {
        self.guilds
            .get_mut(&id)
            .expect("told of a guild that this user is in")
    }

    pub fn fold(&mut self, event: &Event) {
        if self.fold_stage_voice(event) {
            return;
        }
        match event {
            Event::UserUpdated { user } => {
                let members = self
                    .guilds
                    .values_mut()
                    .flat_map(|guild| &mut guild.members)
                    .map(|m| &mut m.user);
                let partners = self
                    .conversations
                    .values_mut()
                    .flat_map(|c| &mut c.members)
                    .map(|m| &mut m.user);
                let related = self
                    .relations
                    .values_mut()
                    .map(|relation| &mut relation.user);
                let mut known = 0;
                for known_user in members.chain(partners).chain(related).chain([&mut self.me]) {
                    if known_user.id == user.id {
                        *known_user = user.clone();
                        known += 1;
                    }
                }
                assert!(known > 0, "told of someone they have nothing to do with");
            }
            Event::PresenceChanged { user_id, presence } => {
                let members = self
                    .guilds
                    .values_mut()
                    .flat_map(|guild| &mut guild.members);
                for member in members.filter(|member| member.user.id == *user_id) {
                    member.presence = presence.clone();
                }
                let partners = self.conversations.values_mut().flat_map(|c| &mut c.members);
                for partner in partners.filter(|partner| partner.user.id == *user_id) {
                    partner.presence = presence.clone();
                }
                if let Some(relation) = self.relations.get_mut(user_id)
                    && relation.kind == RelationKind::Friend
                {
                    relation.presence = presence.clone();
                }
            }
            Event::PresenceChosen { presence } => self.presence = presence.clone(),
            Event::RelationUpdated { relation } => {
                self.relations.insert(relation.user.id, relation.clone());
            }
            Event::RelationRemoved { user_id } => {
                self.relations.remove(user_id).expect("was there");
            }
            Event::ConversationUpdated { conversation } => {
                self.conversations
                    .insert(conversation.id, conversation.clone());
            }
            Event::ConversationLeft { channel_id } => {
                self.conversations.remove(channel_id).expect("was there");
                self.calls.remove(channel_id);
            }
            Event::CallUpdated { call } => {
                self.assert_sees(call.channel_id, event);
                self.calls.insert(call.channel_id, call.clone());
            }
            Event::CallEnded {
                call_id,
                channel_id,
                ..
            } => {
                let call = self.calls.remove(channel_id).expect("was there");
                assert_eq!(call.id, *call_id);
            }
            Event::StageUpdated { stage } => match &mut self.stage {
                Some(view) if view.stage.id == stage.id => view.stage = stage.clone(),
                // One is in it from now on: how one stands there follows.
                _ => {
                    self.stage = Some(StageView {
                        stage: stage.clone(),
                        standing: StageStanding::listener(),
                    });
                }
            },
            Event::StageStood {
                channel_id,
                standing,
            } => {
                let view = self.stage.as_mut().expect("is in a room");
                assert_eq!(view.stage.id, *channel_id);
                view.standing = standing.clone();
            }
            Event::StageLeft { channel_id, .. } => {
                let view = self.stage.take().expect("is in a room");
                assert_eq!(view.stage.id, *channel_id);
            }
            Event::StageAnnounced { .. } => {}
            Event::CallsFromSet { from } => self.calls_from = *from,
            Event::CallLogged { .. } | Event::CallsSeen { .. } => {}
            Event::VoiceJoined {
                guild_id: None,
                state,
            }
            | Event::VoiceUpdated {
                guild_id: None,
                state,
            } => {
                let call = self.call(state.channel_id);
                call.voice.retain(|known| known.user_id != state.user_id);
                call.voice.push(state.clone());
            }
            Event::VoiceSpeaking {
                guild_id: None,
                channel_id,
                user_id,
                speaking,
            } => {
                let mut voice = self.call(*channel_id).voice.iter_mut();
                let state = voice.find(|state| state.user_id == *user_id);
                state.expect("only who is there speaks").speaking = *speaking;
            }
            Event::VoiceLeft {
                guild_id: None,
                channel_id,
                user_id,
                ..
            } => {
                let voice = &mut self.call(*channel_id).voice;
                voice.retain(|state| state.user_id != *user_id);
            }
            Event::GuildJoined { guild } => {
                assert!(
                    self.guilds.insert(guild.id, guild.clone()).is_none(),
                    "joined twice"
                );
            }
            Event::GuildUpdated { guild: info } => {
                let guild = self.guild(info.id);
                guild.name.clone_from(&info.name);
                guild.description.clone_from(&info.description);
                guild.icon = info.icon;
                guild.owner_id = info.owner_id;
            }
            Event::GuildLeft { guild_id, .. } => {
                self.guilds.remove(guild_id).expect("was there");
            }
            Event::MessageCreated { message, .. } => self.assert_sees(message.channel_id, event),
            Event::MessageUpdated { channel_id, .. }
            | Event::MessageDeleted { channel_id, .. }
            | Event::MessagePinned { channel_id, .. }
            | Event::ReactionAdded { channel_id, .. }
            | Event::ReactionRemoved { channel_id, .. }
            | Event::TypingStarted { channel_id, .. } => self.assert_sees(*channel_id, event),
            Event::SessionClosed { .. } | Event::ChannelRead { .. } => {}
            Event::VoiceRekeyed { .. } | Event::VoiceEnded { .. } => {}
            of_guild => self.fold_guild(of_guild),
        }
    }

    fn assert_sees(&self, channel: ChannelId, event: &Event) {
        assert!(
            self.has_channel(channel),
            "{} does not see {channel}: {event:?}",
            self.me.id
        );
    }

    fn fold_guild(&mut self, event: &Event) {
        match event {
            Event::ChannelCreated {
                guild_id,
                channel,
                voice,
                ..
            } => {
                let guild = self.guild(*guild_id);
                assert!(!sees(guild, channel.id), "{channel:?} was there already");
                guild.channels.push(channel.clone());
                for state in voice {
                    put(guild, state);
                }
            }
            Event::ChannelUpdated { guild_id, channel } => {
                *channel_mut(self.guild(*guild_id), channel.id) = channel.clone();
            }
            Event::ChannelDeleted {
                guild_id,
                channel_id,
            } => {
                let guild = self.guild(*guild_id);
                assert!(sees(guild, *channel_id), "was there");
                guild.channels.retain(|channel| channel.id != *channel_id);
                guild.voice.retain(|state| state.channel_id != *channel_id);
            }
            Event::RoleCreated { guild_id, role } => self.guild(*guild_id).roles.push(role.clone()),
            Event::RoleUpdated { guild_id, role } => {
                let roles = &mut self.guild(*guild_id).roles;
                *roles
                    .iter_mut()
                    .find(|known| known.id == role.id)
                    .expect("was there") = role.clone();
            }
            Event::RoleDeleted { guild_id, role_id } => {
                let guild = self.guild(*guild_id);
                guild.roles.retain(|role| role.id != *role_id);
                for member in &mut guild.members {
                    member.roles.retain(|role| role != role_id);
                }
                for channel in &mut guild.channels {
                    channel
                        .overwrites
                        .retain(|overwrite| overwrite.target != OverwriteTarget::Role(*role_id));
                }
            }
            Event::MemberJoined { guild_id, member } => {
                let guild = self.guild(*guild_id);
                assert!(
                    guild
                        .members
                        .iter()
                        .all(|known| known.user.id != member.user.id),
                    "joined twice"
                );
                guild.members.push(member.clone());
            }
            Event::MemberUpdated { guild_id, member } => {
                let members = &mut self.guild(*guild_id).members;
                let known = members
                    .iter_mut()
                    .find(|known| known.user.id == member.user.id);
                *known.expect("was there") = member.clone();
            }
            Event::MemberLeft {
                guild_id, user_id, ..
            } => {
                let guild = self.guild(*guild_id);
                assert!(
                    guild
                        .members
                        .iter()
                        .any(|member| member.user.id == *user_id),
                    "was there"
                );
                guild.members.retain(|member| member.user.id != *user_id);
            }
            Event::VoiceJoined {
                guild_id: Some(guild_id),
                state,
            }
            | Event::VoiceUpdated {
                guild_id: Some(guild_id),
                state,
            } => {
                let guild = self.guild(*guild_id);
                assert!(sees(guild, state.channel_id), "{event:?}");
                put(guild, state);
            }
            Event::VoiceSpeaking {
                guild_id: Some(guild_id),
                channel_id,
                user_id,
                speaking,
            } => {
                let guild = self.guild(*guild_id);
                assert!(sees(guild, *channel_id), "{event:?}");
                let state = guild
                    .voice
                    .iter_mut()
                    .find(|state| state.user_id == *user_id);
                state.expect("only who is there speaks").speaking = *speaking;
            }
            Event::VoiceLeft {
                guild_id: Some(guild_id),
                channel_id,
                user_id,
                ..
            } => {
                let guild = self.guild(*guild_id);
                assert!(sees(guild, *channel_id), "{event:?}");
                guild.voice.retain(|state| state.user_id != *user_id);
            }
            other => panic!("not of a guild: {other:?}"),
        }
    }
}

fn sees(guild: &Guild, channel: ChannelId) -> bool {
    guild.channels.iter().any(|known| known.id == channel)
}

fn channel_mut(guild: &mut Guild, id: ChannelId) -> &mut Channel {
    guild
        .channels
        .iter_mut()
        .find(|channel| channel.id == id)
        .expect("told of a channel that they see")
}

fn put(guild: &mut Guild, state: &VoiceState) {
    guild.voice.retain(|known| known.user_id != state.user_id);
    guild.voice.push(state.clone());
}
