//! What changes in guilds, and who is told: everyone who sees it, and who sees more or less than before.

use std::collections::BTreeSet;

use voxhall_protocol::{
    ChannelId, GuildId, RoleId, UserId,
    control::{
        Channel, EndReason, Event, GoneReason, GuildGone, GuildInfo, LeaveReason, OverwriteTarget,
        Role,
    },
};
use voxhall_store::{GuildRecord, MemberRecord, Removal};

use super::{
    Live, Now, Output,
    room::Room,
    tell,
    world::{GuildState, Scope, Sight, member},
};

impl Live {
    pub(super) fn create_guild(&mut self, record: GuildRecord, out: &mut Vec<Output>) {
        let id = record.info.id;
        if self.guilds.contains_key(&id) {
            return;
        }
        let members: Vec<_> = record.members.iter().map(|member| member.user).collect();
        self.hold_guild(record);
        for user in members {
            self.tell_of_guild(id, user, out);
        }
    }

    /// Keeps a guild, and tells nobody.
    pub(super) fn hold_guild(&mut self, record: GuildRecord) {
        let id = record.info.id;
        let mut guild = GuildState::new(record);
        for channel in guild.channels.values() {
            self.guild_of.insert(channel.id, id);
            if channel.kind.is_voice() {
                self.rooms
                    .insert(channel.id, Room::new(Some(id), channel.bitrate_bps));
            }
        }
        guild
            .members
            .retain(|user, _| self.people.contains_key(user));
        for user in guild.members.keys() {
            if let Some(person) = self.people.get_mut(user) {
                person.guilds.insert(id);
                guild
                    .sessions
                    .extend(person.sessions.iter().map(|session| (*user, *session)));
            }
        }
        self.guilds.insert(id, guild);
    }

    pub(super) fn update_guild(&mut self, info: GuildInfo, now: Now, out: &mut Vec<Output>) {
        let id = info.id;
        let Some(guild) = self.guilds.get(&id) else {
            return;
        };
        let before = &guild.info;
        if *before == info {
            return;
        }
        let owners = if before.owner_id == info.owner_id {
            Vec::new()
        } else {
            before.owner_id.into_iter().chain(info.owner_id).collect()
        };
        self.reshape(id, &Scope::Members(owners), now, out, |guild, out| {
            guild.info = info.clone();
            tell(
                out,
                guild.all_sessions(),
                Event::GuildUpdated { guild: info },
            );
        });
    }

    pub(super) fn delete_guild(&mut self, id: GuildId, now: Now, out: &mut Vec<Output>) {
        let Some(guild) = self.guilds.get(&id) else {
            return;
        };
        let channels: Vec<_> = guild.channels.keys().copied().collect();
        let members: Vec<_> = guild.members.keys().copied().collect();
        for channel in channels {
            self.close_room(
                channel,
                EndReason::ChannelDeleted,
                LeaveReason::NotAllowed,
                now,
                out,
            );
            self.guild_of.remove(&channel);
        }
        let apart: Vec<_> = members.iter().map(|user| self.apart(*user)).collect();
        let guild = self.guilds.remove(&id).expect("looked up above");
        for user in &members {
            if let Some(person) = self.people.get_mut(user) {
                person.guilds.remove(&id);
            }
        }
        let event = Event::GuildLeft {
            guild_id: id,
            why: GuildGone::Deleted,
        };
        tell(out, guild.all_sessions(), event);
        for before in apart {
            self.tell_apart(before, out);
        }
    }

    pub(super) fn save_channel(
        &mut self,
        guild_id: GuildId,
        channel: Channel,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some(guild) = self.guilds.get_mut(&guild_id) else {
            return;
        };
        let id = channel.id;
        if guild.channels.get(&id) == Some(&channel) {
            return;
        }
        let mut concerned = vec![id];
        // What a category says holds for what is in it.
        concerned.extend(
            (guild.channels.values())
                .filter(|other| other.category_id == Some(id))
                .map(|other| other.id),
        );
        let scope = Scope::Channels(concerned);
        let before = guild.sight(&scope);
        guild.channels.insert(id, channel.clone());
        self.guild_of.insert(id, guild_id);
        if channel.kind.is_voice() {
            let room = self
                .rooms
                .entry(id)
                .or_insert_with(|| Room::new(Some(guild_id), channel.bitrate_bps));
            room.bitrate_bps = channel.bitrate_bps;
        }
        let after = guild.sight(&scope);
        let saw = before.get(&id).cloned().unwrap_or_default();
        let sees = after.get(&id).cloned().unwrap_or_default();
        let kept: Vec<_> = saw
            .intersection(&sees)
            .flat_map(|user| guild.sessions_of(*user))
            .collect();
        tell(out, kept, Event::ChannelUpdated { guild_id, channel });
        self.tell_sight(guild_id, &before, &after, out);
        self.review_voice(guild_id, now, out);
    }

    pub(super) fn delete_channel(
        &mut self,
        guild_id: GuildId,
        id: ChannelId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        self.close_room(
            id,
            EndReason::ChannelDeleted,
            LeaveReason::NotAllowed,
            now,
            out,
        );
        self.guild_of.remove(&id);
        self.reshape(
            guild_id,
            &Scope::Channels(vec![id]),
            now,
            out,
            |guild, _| {
                guild.channels.remove(&id);
            },
        );
    }

    pub(super) fn save_role(
        &mut self,
        guild_id: GuildId,
        role: Role,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some(guild) = self.guilds.get(&guild_id) else {
            return;
        };
        let known = guild.role(role.id);
        if known == Some(&role) {
            return;
        }
        // Its name and place decide of nobody's sight, and every role above a new one moves.
        let scope = if known.is_some_and(|known| known.permissions == role.permissions) {
            Scope::Members(Vec::new())
        } else {
            guild.holders(role.id)
        };
        self.reshape(guild_id, &scope, now, out, |guild, out| {
            let known = guild.roles.iter_mut().find(|known| known.id == role.id);
            let event = match known {
                Some(known) => {
                    *known = role.clone();
                    Event::RoleUpdated { guild_id, role }
                }
                None => {
                    guild.roles.push(role.clone());
                    Event::RoleCreated { guild_id, role }
                }
            };
            guild.sort_roles();
            tell(out, guild.all_sessions(), event);
        });
    }

    pub(super) fn delete_role(
        &mut self,
        guild_id: GuildId,
        role_id: RoleId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some(guild) = self.guilds.get(&guild_id) else {
            return;
        };
        if guild.role(role_id).is_none() {
            return;
        }
        let scope = guild.holders(role_id);
        self.reshape(guild_id, &scope, now, out, |guild, out| {
            guild.roles.retain(|role| role.id != role_id);
            for member in guild.members.values_mut() {
                member.roles.retain(|role| *role != role_id);
            }
            for channel in guild.channels.values_mut() {
                channel
                    .overwrites
                    .retain(|overwrite| overwrite.target != OverwriteTarget::Role(role_id));
            }
            tell(
                out,
                guild.all_sessions(),
                Event::RoleDeleted { guild_id, role_id },
            );
        });
    }

    pub(super) fn save_member(
        &mut self,
        guild_id: GuildId,
        record: MemberRecord,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let user = record.user;
        let known = self
            .guilds
            .get(&guild_id)
            .map(|guild| guild.members.get(&user));
        match known {
            None => {}
            Some(Some(known)) if *known == record => {}
            Some(Some(_)) => {
                let Some(person) = self.people.get(&user) else {
                    return;
                };
                let member = member(&record, person);
                self.reshape(
                    guild_id,
                    &Scope::Members(vec![user]),
                    now,
                    out,
                    |guild, out| {
                        guild.members.insert(user, record);
                        tell(
                            out,
                            guild.all_sessions(),
                            Event::MemberUpdated { guild_id, member },
                        );
                    },
                );
            }
            Some(None) => self.add_member(guild_id, record, out),
        }
    }

    fn add_member(&mut self, guild_id: GuildId, record: MemberRecord, out: &mut Vec<Output>) {
        let user = record.user;
        let before = self.apart(user);
        let (Some(guild), Some(person)) =
            (self.guilds.get_mut(&guild_id), self.people.get_mut(&user))
        else {
            return;
        };
        let member = member(&record, person);
        tell(
            out,
            guild.all_sessions(),
            Event::MemberJoined { guild_id, member },
        );
        guild.members.insert(user, record);
        guild
            .sessions
            .extend(person.sessions.iter().map(|session| (user, *session)));
        person.guilds.insert(guild_id);
        self.tell_of_guild(guild_id, user, out);
        self.tell_apart(before, out);
    }

    fn tell_of_guild(&self, guild_id: GuildId, user: UserId, out: &mut Vec<Output>) {
        let (Some(guild), Some(person)) = (self.guilds.get(&guild_id), self.people.get(&user))
        else {
            return;
        };
        if !person.sessions.is_empty() {
            let guild = self.guild_seen_by(user, guild);
            tell(
                out,
                person.sessions.iter().copied(),
                Event::GuildJoined { guild },
            );
        }
    }

    pub(super) fn remove_member(
        &mut self,
        guild_id: GuildId,
        user_id: UserId,
        why: Removal,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        if !self.is_member(guild_id, user_id) {
            return;
        }
        self.leave_voice_of(guild_id, user_id, now, out);
        let before = self.apart(user_id);
        let guild = self.guilds.get_mut(&guild_id).expect("has this member");
        guild.members.remove(&user_id);
        let own: Vec<_> = guild.sessions_of(user_id).collect();
        guild.sessions.retain(|(user, _)| *user != user_id);
        if let Some(person) = self.people.get_mut(&user_id) {
            person.guilds.remove(&guild_id);
        }
        let (others, gone) = match why {
            Removal::Left => (GoneReason::Left, GuildGone::Left),
            Removal::Kicked { reason } => (GoneReason::Kicked, GuildGone::Kicked { reason }),
            Removal::Banned { reason } => (GoneReason::Banned, GuildGone::Banned { reason }),
            Removal::Deleted => (GoneReason::Deleted, GuildGone::Left),
        };
        let left = Event::MemberLeft {
            guild_id,
            user_id,
            why: others,
        };
        tell(out, guild.all_sessions(), left);
        tell(
            out,
            own,
            Event::GuildLeft {
                guild_id,
                why: gone,
            },
        );
        self.tell_apart(before, out);
    }

    /// Changes a guild, and tells those who see more or less than before; live voice follows at once.
    fn reshape(
        &mut self,
        id: GuildId,
        scope: &Scope,
        now: Now,
        out: &mut Vec<Output>,
        change: impl FnOnce(&mut GuildState, &mut Vec<Output>),
    ) {
        let Some(guild) = self.guilds.get_mut(&id) else {
            return;
        };
        let before = guild.sight(scope);
        change(guild, out);
        if scope.is_nobody() {
            return;
        }
        let after = guild.sight(scope);
        self.tell_sight(id, &before, &after, out);
        self.review_voice(id, now, out);
    }

    fn tell_sight(&self, guild_id: GuildId, before: &Sight, after: &Sight, out: &mut Vec<Output>) {
        let Some(guild) = self.guilds.get(&guild_id) else {
            return;
        };
        let nobody = BTreeSet::new();
        let sessions = |users: &BTreeSet<UserId>, but: &BTreeSet<UserId>| -> Vec<_> {
            users
                .difference(but)
                .flat_map(|user| guild.sessions_of(*user))
                .collect()
        };
        let concerned: BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
        for channel_id in concerned {
            let saw = before.get(&channel_id).unwrap_or(&nobody);
            let sees = after.get(&channel_id).unwrap_or(&nobody);
            tell(
                out,
                sessions(saw, sees),
                Event::ChannelDeleted {
                    guild_id,
                    channel_id,
                },
            );
            let new = sessions(sees, saw);
            if let Some(channel) = guild.channels.get(&channel_id)
                && !new.is_empty()
            {
                let event = Event::ChannelCreated {
                    guild_id,
                    channel: channel.clone(),
                    voice: self.voice_states(channel_id),
                    read_state: None,
                };
                tell(out, new, event);
            }
        }
    }
}
