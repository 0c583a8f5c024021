//! Who may be in voice, speak and hear there: live voice follows every change of rights at once, and moderators' wishes.

use voxhall_protocol::{
    ChannelId, DeviceId, GuildId, UserId, VoiceSessionId,
    control::{EndReason, Event, Failure, FailureKind, LeaveReason, UnixMs},
    limits::MAX_VOICE_PARTICIPANTS,
    permissions::Permissions,
};

use super::{Live, Now, Output, RouteChange, Timer, room::Participant, world::GuildState};

/// What someone who may be in a voice channel may do there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct VoiceRights {
    /// Listens only.
    pub suppressed: bool,
    pub deafened: bool,
    /// Then they may do more.
    pub timeout_until_ms: Option<UnixMs>,
}

impl Live {
    /// What someone may do who wants to enter a voice channel.
    pub(super) fn may_join(
        &self,
        user: UserId,
        channel: ChannelId,
        now: Now,
    ) -> Result<(GuildId, VoiceRights), Failure> {
        let unknown = || {
            Failure::new(
                FailureKind::NotFound,
                "there is no such voice channel for you; it may have been deleted",
            )
        };
        let room = self.rooms.get(&channel).ok_or_else(unknown)?;
        let rights = self
            .rights_in_channel(channel, user, now.unix_ms)
            .ok_or_else(unknown)?;
        let guild_id = room.guild.ok_or_else(unknown)?;
        let guild = self.guilds.get(&guild_id).ok_or_else(unknown)?;
        let may = voice_rights(guild, user, channel, now).ok_or_else(|| {
            Failure::new(
                FailureKind::Forbidden,
                "You may not connect to this voice channel.",
            )
        })?;
        let others = room.participants.len() - usize::from(room.participants.contains_key(&user));
        let own_limit = (guild
            .channels
            .get(&channel)
            .map_or(0, |channel| channel.user_limit) as usize)
            .min(MAX_VOICE_PARTICIPANTS);
        let limit = match own_limit {
            0 => MAX_VOICE_PARTICIPANTS,
            _ if rights.contains(Permissions::MOVE_MEMBERS) => MAX_VOICE_PARTICIPANTS,
            limit => limit,
        };
        if others >= limit {
            let words = format!("this voice channel is full ({limit} people)");
            return Err(Failure::new(FailureKind::ChannelFull, words));
        }
        Ok((guild_id, may))
    }

    /// Whoever may no longer be where they are is taken out, and routes follow what everyone may do.
    pub(super) fn review_voice(&mut self, guild_id: GuildId, now: Now, out: &mut Vec<Output>) {
        let Some(guild) = self.guilds.get(&guild_id) else {
            return;
        };
        let mut changed = Vec::new();
        let rooms = guild
            .channels
            .keys()
            .filter_map(|channel| Some((*channel, self.rooms.get(channel)?)));
        for (channel, room) in rooms {
            for (user, participant) in &room.participants {
                let rights = voice_rights(guild, *user, channel, now);
                if rights != Some(participant.rights) {
                    changed.push((*user, channel, rights));
                }
            }
        }
        for (user, channel, rights) in changed {
            match rights {
                Some(rights) => self.set_rights(user, channel, rights, now, out),
                None => {
                    self.tell_ended(user, channel, EndReason::NotAllowed, out);
                    self.remove(user, channel, LeaveReason::NotAllowed, now, out);
                }
            }
        }
    }

    fn set_rights(
        &mut self,
        user: UserId,
        channel: ChannelId,
        rights: VoiceRights,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some((guild_id, participant)) = self.participant(user, channel) else {
            return;
        };
        let before = (participant.state(channel, user), participant.routed());
        participant.rights = rights;
        participant.speaking &= !rights.suppressed;
        let after = (participant.state(channel, user), participant.routed());
        let session = participant.session;
        self.time_timeout(user, channel, now);
        if before.1 != after.1 {
            let (may_speak, deafened) = after.1;
            out.push(Output::Route(RouteChange::Rights {
                session,
                may_speak,
                deafened,
            }));
        }
        if before.0 != after.0 {
            let event = Event::VoiceUpdated {
                guild_id,
                state: after.0,
            };
            self.tell_readers(channel, event, out);
        }
    }

    /// Foresees the end of a timeout, by which a participant may do more.
    pub(super) fn time_timeout(&mut self, user: UserId, channel: ChannelId, now: Now) {
        let Some((_, participant)) = self.participant(user, channel) else {
            return;
        };
        let timer = Timer::TimeoutOver(participant.session);
        let until = participant
            .rights
            .timeout_until_ms
            .and_then(|until| now.instant_of(until));
        let before = std::mem::replace(&mut participant.timeout_over, until);
        if let Some(at) = before {
            self.timers.remove(&(at, timer));
        }
        if let Some(at) = until {
            self.timers.insert((at, timer));
        }
    }

    pub(super) fn timeout_over(
        &mut self,
        session: VoiceSessionId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some((user, channel)) = self.of_session(session) else {
            return;
        };
        let Some((guild, participant)) = self.participant(user, channel) else {
            return;
        };
        participant.timeout_over = None;
        // Where the clock was set back meanwhile, it is not over yet.
        self.time_timeout(user, channel, now);
        if let Some(guild) = guild {
            self.review_voice(guild, now, out);
        }
    }

    /// In which voice channel of this guild someone is.
    pub fn voice_channel(&self, guild: GuildId, user: UserId) -> Option<ChannelId> {
        let channel = *self.in_voice.get(&user)?;
        (self.guild_of.get(&channel) == Some(&guild)).then_some(channel)
    }

    /// Whether [`Self::move_voice`] would succeed now.
    ///
    /// # Errors
    /// They are not in that voice channel, or may not enter the other one, which may be full.
    pub fn may_be_moved(
        &self,
        guild: GuildId,
        user: UserId,
        (from, to): (ChannelId, ChannelId),
        now: Now,
    ) -> Result<(), Failure> {
        self.is_still_in(guild, user, from)?;
        match self.may_join(user, to, now) {
            Ok((there, _)) if there == guild => Ok(()),
            Err(full) if full.kind() == FailureKind::ChannelFull => Err(full),
            Ok(_) | Err(_) => Err(Failure::new(
                FailureKind::Forbidden,
                "They may not enter that voice channel.",
            )),
        }
    }

    /// Has someone go from one voice channel of their guild to another: the client joins there by itself.
    ///
    /// # Errors
    /// See [`Self::may_be_moved`].
    pub fn move_voice(
        &mut self,
        guild: GuildId,
        user: UserId,
        (from, to): (ChannelId, ChannelId),
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<(), Failure> {
        self.may_be_moved(guild, user, (from, to), now)?;
        if from != to {
            self.tell_ended(user, from, EndReason::MovedTo(to), out);
            self.remove(user, from, LeaveReason::Moderated, now, out);
        }
        Ok(())
    }

    /// Takes someone out of a voice channel.
    ///
    /// # Errors
    /// They are not in it.
    pub fn disconnect_voice(
        &mut self,
        guild: GuildId,
        user: UserId,
        from: ChannelId,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<(), Failure> {
        self.is_still_in(guild, user, from)?;
        self.tell_ended(user, from, EndReason::Disconnected, out);
        self.remove(user, from, LeaveReason::Moderated, now, out);
        Ok(())
    }

    /// Whoever was asked about may have gone elsewhere since, where the moderator has no say. Where to is not told.
    fn is_still_in(&self, guild: GuildId, user: UserId, channel: ChannelId) -> Result<(), Failure> {
        if self.voice_channel(guild, user) == Some(channel) {
            Ok(())
        } else {
            Err(not_in_voice())
        }
    }

    /// The channel, or its call, is about to be no more.
    pub(super) fn close_room(
        &mut self,
        channel: ChannelId,
        ended: EndReason,
        left: LeaveReason,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some(room) = self.rooms.get(&channel) else {
            return;
        };
        let users: Vec<_> = room.participants.keys().copied().collect();
        for user in users {
            self.tell_ended(user, channel, ended, out);
            self.remove(user, channel, left, now, out);
        }
        if let Some(room) = self.rooms.remove(&channel)
            && let Some(at) = room.rekey_due
        {
            self.timers.remove(&(at, Timer::Rekey(channel)));
        }
    }

    /// Takes someone out of the voice of a guild in which they may no longer be.
    pub(super) fn leave_voice_of(
        &mut self,
        guild: GuildId,
        user: UserId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        if let Some(channel) = self.voice_channel(guild, user) {
            self.tell_ended(user, channel, EndReason::NotAllowed, out);
            self.remove(user, channel, LeaveReason::NotAllowed, now, out);
        }
    }

    /// This device is no longer signed in.
    pub(super) fn end_voice_of_device(
        &mut self,
        user: UserId,
        device: DeviceId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        if let Some(&channel) = self.in_voice.get(&user)
            && let Some((_, participant)) = self.participant(user, channel)
            && participant.device == device
        {
            self.tell_ended(user, channel, EndReason::NotAllowed, out);
            self.remove(user, channel, LeaveReason::Left, now, out);
        }
    }
}

impl Participant {
    /// As the media thread has to know it: may speak, and hears nothing.
    pub fn routed(&self) -> (bool, bool) {
        (
            !self.rights.suppressed,
            self.deafened || self.rights.deafened,
        )
    }
}

/// None: they may not be there.
pub(super) fn voice_rights(
    guild: &GuildState,
    user: UserId,
    channel: ChannelId,
    now: Now,
) -> Option<VoiceRights> {
    let member = guild.members.get(&user)?;
    let rights = guild.rights(user, guild.channels.get(&channel), now.unix_ms);
    let enters = Permissions::VIEW_CHANNEL.with(Permissions::CONNECT);
    rights.contains(enters).then(|| VoiceRights {
        suppressed: member.server_muted || !rights.contains(Permissions::SPEAK),
        deafened: member.server_deafened,
        timeout_until_ms: member.timeout_until_ms.filter(|until| now.unix_ms < *until),
    })
}

pub fn not_in_voice() -> Failure {
    Failure::new(FailureKind::NotFound, "They are in no voice channel here.")
}
