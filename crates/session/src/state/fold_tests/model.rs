//! A tiny server that does things at random.

use std::collections::{BTreeMap, BTreeSet};

use voxhall_protocol::{
    ChannelId, DeviceId, GuildId, MessageId, RoleId, SenderIndex, Ssrc, UserId,
    control::{self, *},
    permissions::Permissions,
};

use super::{DIRECT, GUILD, ME, OTHER_GUILD};

/// By emoji and user.
type Reactions = BTreeSet<(String, UserId)>;

/// What a server knows, as far as one user sees it.
pub(super) struct Model {
    pub(super) users: BTreeMap<UserId, User>,
    presence: BTreeMap<UserId, Presence>,
    pub(super) guilds: BTreeMap<GuildId, control::Guild>,
    conversation: bool,
    relations: BTreeMap<UserId, RelationKind>,
    /// By channel, oldest first.
    pub(super) messages: BTreeMap<ChannelId, Vec<(Message, Reactions)>>,
    last_read: BTreeMap<ChannelId, MessageId>,
    own: OwnPresence,
    next: u64,
}

/// One thing that happens; numbers are taken modulo what there is.
pub(super) type Step = (u8, u64, u64);

impl Model {
    pub(super) fn new() -> Self {
        let name = |id: u64| User::new(UserId(id), format!("user {id}"), UserKind::Account);
        let users: BTreeMap<_, _> = (1..=5).map(|id| (UserId(id), name(id))).collect();
        let everyone = Role {
            id: RoleId(1),
            name: "everyone".into(),
            color: None,
            position: 0,
            permissions: Permissions::DEFAULT_EVERYONE,
            hoist: false,
            mentionable: false,
        };
        let guild = |id: GuildId| control::Guild {
            id,
            name: format!("guild {id}"),
            description: String::new(),
            icon: None,
            owner_id: Some(UserId(2)),
            roles: vec![everyone.clone()],
            channels: vec![
                Channel::new(ChannelId(id.0 * 10), "general", ChannelKind::Text),
                Channel::new(ChannelId(id.0 * 10 + 1), "lounge", ChannelKind::Voice),
            ],
            members: users.values().cloned().map(Member::new).collect(),
            voice: vec![],
        };
        Self {
            presence: BTreeMap::new(),
            guilds: [GUILD, OTHER_GUILD].map(|id| (id, guild(id))).into(),
            users,
            conversation: true,
            relations: BTreeMap::new(),
            messages: BTreeMap::new(),
            last_read: BTreeMap::new(),
            own: OwnPresence::default(),
            next: 100,
        }
    }

    pub(super) fn ready(&self) -> Ready {
        let relation = |(user, kind): (&UserId, &RelationKind)| self.relation(*user, *kind);
        Ready {
            session: "s".into(),
            me: self.users[&ME].clone(),
            device_id: DeviceId(1),
            is_admin: false,
            guilds: self.guilds.values().cloned().collect(),
            conversations: self
                .conversation
                .then(|| self.conversation())
                .into_iter()
                .collect(),
            relations: self.relations.iter().map(relation).collect(),
            read_states: self
                .messages
                .keys()
                .filter_map(|channel| self.read_state(*channel))
                .collect(),
            presence: self.own.clone(),
            calls: Vec::new(),
            missed_calls: 0,
            calls_from: CallsFrom::default(),
            stage: None,
            seq: 0,
        }
    }

    fn conversation(&self) -> Conversation {
        let member = |id| ConversationMember {
            user: self.users[&id].clone(),
            presence: self.presence.get(&id).cloned().unwrap_or_default(),
        };
        Conversation {
            id: DIRECT,
            kind: ChannelKind::Direct,
            name: None,
            owner_id: None,
            members: vec![member(ME), member(UserId(2))],
        }
    }

    fn relation(&self, user: UserId, kind: RelationKind) -> Relation {
        let presence = self
            .presence
            .get(&user)
            .filter(|_| kind == RelationKind::Friend);
        Relation {
            user: self.users[&user].clone(),
            kind,
            presence: presence.cloned().unwrap_or_default(),
        }
    }

    fn mentions_me(&self, message: &Message) -> bool {
        let roles = |guild: &control::Guild| {
            let here = guild
                .channels
                .iter()
                .any(|channel| channel.id == message.channel_id);
            here && guild.members.iter().any(|member| {
                member.user.id == ME
                    && member
                        .roles
                        .iter()
                        .any(|role| message.mentions.roles.contains(role))
            })
        };
        let mentions = &message.mentions;
        mentions.everyone || mentions.users.contains(&ME) || self.guilds.values().any(roles)
    }

    pub(super) fn sees(&self, channel: ChannelId) -> bool {
        channel == DIRECT && self.conversation
            || self
                .guilds
                .values()
                .flat_map(|guild| &guild.channels)
                .any(|it| it.id == channel)
    }

    pub(super) fn read_state(&self, channel: ChannelId) -> Option<ReadState> {
        let messages = self.messages.get(&channel).filter(|_| self.sees(channel))?;
        let last_read = self.last_read.get(&channel).copied();
        let unread = messages.iter().map(|(message, _)| message);
        let unread: Vec<_> = unread
            .filter(|it| it.author.id != ME && Some(it.id) > last_read)
            .collect();
        Some(ReadState {
            channel_id: channel,
            last_read,
            last_message: messages.last().map(|(message, _)| message.id),
            unread: u32::try_from(unread.len()).unwrap(),
            mentions: u32::try_from(unread.iter().filter(|it| self.mentions_me(it)).count())
                .unwrap(),
        })
    }

    pub(super) fn page(&self, channel: ChannelId) -> MessagePage {
        let shown = |(message, reactions): &(Message, Reactions)| {
            let mut message = message.clone();
            message.author = self.users[&message.author.id].clone();
            if let Some(replied) = &mut message.reply_to {
                let there = self.messages[&channel]
                    .iter()
                    .any(|(other, _)| other.id == replied.id);
                replied.author = replied
                    .author
                    .take()
                    .filter(|_| there)
                    .map(|it| self.users[&it.id].clone());
                if !there {
                    replied.excerpt.clear();
                }
            }
            let emojis: BTreeSet<_> = reactions.iter().map(|(emoji, _)| emoji.clone()).collect();
            let reaction = |emoji: String| Reaction {
                count: u32::try_from(reactions.iter().filter(|(it, _)| *it == emoji).count())
                    .unwrap(),
                me: reactions.contains(&(emoji.clone(), ME)),
                emoji,
            };
            message.reactions = emojis.into_iter().map(reaction).collect();
            message
        };
        MessagePage {
            messages: self
                .messages
                .get(&channel)
                .into_iter()
                .flatten()
                .map(shown)
                .collect(),
            more: false,
            more_after: false,
        }
    }

    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Does something, and says what a client is told of it.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each thing that can happen"
    )]
    pub(super) fn step(&mut self, (what, a, b): Step) -> Vec<Event> {
        let user = UserId(1 + a % 5);
        let guild_id = if b.is_multiple_of(2) {
            GUILD
        } else {
            OTHER_GUILD
        };
        let fresh = self.id();
        let text_channels = self.guilds.values().flat_map(|guild| &guild.channels);
        let text_channels = text_channels.filter(|channel| channel.kind == ChannelKind::Text);
        let mut places: Vec<_> = text_channels.map(|channel| channel.id).collect();
        places.extend(self.conversation.then_some(DIRECT));
        let place = places[usize::try_from(a / 7).unwrap() % places.len().max(1)..]
            .first()
            .copied();
        let known = place
            .and_then(|place| self.messages.get(&place))
            .map(|known| {
                known
                    .iter()
                    .map(|(message, _)| message.id)
                    .collect::<Vec<_>>()
            });
        let known = known.filter(|known| !known.is_empty());
        let message = known.map(|known| known[usize::try_from(b).unwrap() % known.len()]);
        match (what % 24, place, message) {
            (0..=5, Some(channel_id), replied) => {
                let author = self.users[&user].clone();
                let mut message = Message::new(
                    MessageId(fresh),
                    channel_id,
                    author,
                    format!("text {b}"),
                    0,
                    fresh.to_string(),
                );
                message
                    .mentions
                    .users
                    .extend(b.is_multiple_of(3).then_some(ME));
                message
                    .mentions
                    .roles
                    .extend(b.is_multiple_of(5).then_some(RoleId(1 + b % 4)));
                message.mentions.everyone = b.is_multiple_of(11);
                message.reply_to = replied.filter(|_| b.is_multiple_of(4)).map(|id| Replied {
                    id,
                    author: self.messages[&channel_id]
                        .iter()
                        .find(|(it, _)| it.id == id)
                        .map(|(it, _)| self.users[&it.author.id].clone()),
                    excerpt: "text".into(),
                });
                self.messages
                    .entry(channel_id)
                    .or_default()
                    .push((message.clone(), BTreeSet::new()));
                let guild_id = (channel_id != DIRECT).then_some(GuildId(channel_id.0 / 10));
                vec![Event::MessageCreated {
                    guild_id: guild_id.filter(|id| self.guilds.contains_key(id)),
                    message,
                }]
            }
            (6, Some(channel_id), Some(message_id)) => {
                let known = self.messages.get_mut(&channel_id).unwrap();
                let (message, _) = known
                    .iter_mut()
                    .find(|(it, _)| it.id == message_id)
                    .unwrap();
                message.text = format!("edited {a}");
                message.mentions = Mentions {
                    everyone: a.is_multiple_of(2),
                    ..Mentions::default()
                };
                message.edited_at_ms = Some(7);
                vec![Event::MessageUpdated {
                    channel_id,
                    message_id,
                    text: message.text.clone(),
                    mentions: message.mentions.clone(),
                    edited_at_ms: 7,
                }]
            }
            (7, Some(channel_id), Some(message_id)) => {
                self.messages
                    .get_mut(&channel_id)
                    .unwrap()
                    .retain(|(it, _)| it.id != message_id);
                vec![Event::MessageDeleted {
                    channel_id,
                    message_ids: vec![message_id],
                }]
            }
            (8, Some(channel_id), Some(message_id)) => {
                let known = self.messages.get_mut(&channel_id).unwrap();
                let (message, _) = known
                    .iter_mut()
                    .find(|(it, _)| it.id == message_id)
                    .unwrap();
                message.pinned = a.is_multiple_of(2);
                vec![Event::MessagePinned {
                    channel_id,
                    message_id,
                    pinned: message.pinned,
                }]
            }
            (9 | 10, Some(channel_id), Some(message_id)) => {
                let known = self.messages.get_mut(&channel_id).unwrap();
                let (_, reactions) = known
                    .iter_mut()
                    .find(|(it, _)| it.id == message_id)
                    .unwrap();
                let emoji = ["👋", "🦊"][usize::from(b.is_multiple_of(2))].to_owned();
                let added = reactions.insert((emoji.clone(), user));
                if !added {
                    reactions.remove(&(emoji.clone(), user));
                }
                let count =
                    u32::try_from(reactions.iter().filter(|(it, _)| *it == emoji).count()).unwrap();
                vec![if added {
                    Event::ReactionAdded {
                        channel_id,
                        message_id,
                        user_id: user,
                        emoji,
                        count,
                    }
                } else {
                    Event::ReactionRemoved {
                        channel_id,
                        message_id,
                        user_id: user,
                        emoji,
                        count,
                    }
                }]
            }
            (11, Some(channel), Some(message)) => {
                let last = self.last_read.entry(channel).or_insert(message);
                *last = message.max(*last);
                vec![Event::ChannelRead {
                    read_state: self.read_state(channel).unwrap(),
                }]
            }
            (12, ..) => {
                let user = self.users.get_mut(&user).unwrap();
                user.display_name = Some(format!("name {b}"));
                let user = user.clone();
                for member in self
                    .guilds
                    .values_mut()
                    .flat_map(|guild| &mut guild.members)
                    .filter(|it| it.user.id == user.id)
                {
                    member.user = user.clone();
                }
                vec![Event::UserUpdated { user }]
            }
            (13, ..) => {
                let presence = if b.is_multiple_of(2) {
                    Presence::online()
                } else {
                    Presence::default()
                };
                self.presence.insert(user, presence.clone());
                for member in self
                    .guilds
                    .values_mut()
                    .flat_map(|guild| &mut guild.members)
                    .filter(|it| it.user.id == user)
                {
                    member.presence = presence.clone();
                }
                vec![Event::PresenceChanged {
                    user_id: user,
                    presence,
                }]
            }
            (14, ..) => {
                self.own.custom_status = Some(format!("busy {b}"));
                vec![Event::PresenceChosen {
                    presence: self.own.clone(),
                }]
            }
            (15, ..) if user != ME => {
                let kinds = [
                    RelationKind::Friend,
                    RelationKind::Incoming,
                    RelationKind::Outgoing,
                    RelationKind::Blocked,
                ];
                let kind = kinds[usize::try_from(b % 4).unwrap()];
                if self.relations.insert(user, kind) == Some(kind) {
                    self.relations.remove(&user);
                    return vec![Event::RelationRemoved { user_id: user }];
                }
                vec![Event::RelationUpdated {
                    relation: self.relation(user, kind),
                }]
            }
            (16, ..) => {
                self.conversation ^= true;
                if self.conversation {
                    let read = self
                        .read_state(DIRECT)
                        .map(|read_state| Event::ChannelRead { read_state });
                    return [Event::ConversationUpdated {
                        conversation: self.conversation(),
                    }]
                    .into_iter()
                    .chain(read)
                    .collect();
                }
                vec![Event::ConversationLeft { channel_id: DIRECT }]
            }
            _ => self.step_in_guild(what, user, guild_id, fresh, b),
        }
    }

    fn step_in_guild(
        &mut self,
        what: u8,
        user: UserId,
        guild_id: GuildId,
        fresh: u64,
        b: u64,
    ) -> Vec<Event> {
        let Some(mut guild) = self.guilds.remove(&guild_id) else {
            return vec![];
        };
        let events = match what % 24 {
            17 => {
                guild.name = format!("name {b}");
                let guild = GuildInfo {
                    id: guild_id,
                    name: guild.name.clone(),
                    description: String::new(),
                    icon: None,
                    owner_id: guild.owner_id,
                };
                vec![Event::GuildUpdated { guild }]
            }
            18 => {
                let channel = Channel {
                    position: u32::try_from(b % 5).unwrap(),
                    ..Channel::new(
                        ChannelId(guild_id.0 * 10 + 2 + fresh % 7),
                        "more",
                        ChannelKind::Text,
                    )
                };
                if guild.channels.iter().any(|known| known.id == channel.id) {
                    guild.channels.retain(|known| known.id != channel.id);
                    vec![Event::ChannelDeleted {
                        guild_id,
                        channel_id: channel.id,
                    }]
                } else {
                    guild.channels.push(channel.clone());
                    let (id, voice) = (channel.id, vec![]);
                    self.guilds.insert(guild_id, guild.clone());
                    let read_state = self.read_state(id);
                    vec![Event::ChannelCreated {
                        guild_id,
                        channel,
                        voice,
                        read_state,
                    }]
                }
            }
            19 => {
                let known = guild
                    .roles
                    .iter()
                    .position(|role| role.id == RoleId(1 + b % 4) && role.position > 0);
                match known {
                    Some(at) => {
                        let role_id = guild.roles.remove(at).id;
                        for member in &mut guild.members {
                            member.roles.retain(|role| *role != role_id);
                        }
                        vec![Event::RoleDeleted { guild_id, role_id }]
                    }
                    None if !b.is_multiple_of(4) => {
                        let position = u32::try_from(1 + b % 4).unwrap();
                        let role = Role {
                            id: RoleId(1 + b % 4),
                            name: format!("role {b}"),
                            position,
                            ..guild.roles[0].clone()
                        };
                        guild.roles.push(role.clone());
                        vec![Event::RoleCreated { guild_id, role }]
                    }
                    None => vec![],
                }
            }
            20 if user != ME => {
                let there = guild
                    .members
                    .iter()
                    .position(|member| member.user.id == user);
                if let Some(at) = there {
                    guild.members.remove(at);
                    guild.voice.retain(|state| state.user_id != user);
                    vec![Event::MemberLeft {
                        guild_id,
                        user_id: user,
                        why: GoneReason::Left,
                    }]
                } else {
                    let mut member = Member::new(self.users[&user].clone());
                    member.presence = self.presence.get(&user).cloned().unwrap_or_default();
                    guild.members.push(member.clone());
                    vec![Event::MemberJoined { guild_id, member }]
                }
            }
            21 => match guild
                .members
                .iter_mut()
                .find(|member| member.user.id == user && user != ME)
            {
                Some(member) => {
                    member.nick = Some(format!("nick {b}"));
                    vec![Event::MemberUpdated {
                        guild_id,
                        member: member.clone(),
                    }]
                }
                None => vec![],
            },
            22 if guild.members.iter().any(|member| member.user.id == user) => {
                let channel_id = ChannelId(guild_id.0 * 10 + 1);
                if guild.voice.iter().any(|state| state.user_id == user) {
                    guild.voice.retain(|state| state.user_id != user);
                    vec![Event::VoiceLeft {
                        guild_id: Some(guild_id),
                        channel_id,
                        user_id: user,
                        reason: LeaveReason::Left,
                    }]
                } else {
                    let state = VoiceState {
                        channel_id,
                        user_id: user,
                        ssrc: Ssrc(u32::try_from(fresh).unwrap()),
                        sender_index: SenderIndex(1),
                        muted: b.is_multiple_of(2),
                        deafened: false,
                        suppressed: b.is_multiple_of(3),
                        server_deafened: false,
                        speaking: false,
                    };
                    guild.voice.push(state.clone());
                    vec![Event::VoiceJoined {
                        guild_id: Some(guild_id),
                        state,
                    }]
                }
            }
            23 if guild_id == OTHER_GUILD => {
                // Thrown out, and back at once: everything about it comes anew.
                let joined = Event::GuildJoined {
                    guild: guild.clone(),
                };
                self.guilds.insert(guild_id, guild.clone());
                let reads = guild
                    .channels
                    .iter()
                    .filter_map(|channel| self.read_state(channel.id));
                let reads = reads.map(|read_state| Event::ChannelRead { read_state });
                let why = GuildGone::Kicked {
                    reason: String::new(),
                };
                [Event::GuildLeft { guild_id, why }, joined]
                    .into_iter()
                    .chain(reads)
                    .collect()
            }
            _ => vec![],
        };
        self.guilds.insert(guild_id, guild);
        events
    }
}
