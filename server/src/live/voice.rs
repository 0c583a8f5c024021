//! Joining and leaving voice channels, and the changes of keys that follow.

use voxhall_protocol::{
    BaseKey, ChannelId, DeviceId, GuildId, SessionSecret, Ssrc, UserId, VoiceSessionId,
    control::{
        EndReason, Event, Failure, FailureKind, JoinVoice, LeaveReason, RequestId, UpdateVoice,
        VoiceGrant,
    },
    limits::MAX_VOICE_PARTICIPANTS,
};

use super::{
    Answer, ConnectionId, Live, Now, Output, REKEY_EVERY, RouteChange, Timer, VOICE_GRACE, VoiceRoute,
    room::{Control, Participant},
};

impl Live {
    /// Enters a voice channel, leaving the one before. The answer follows as [`Answer::Granted`], at the latest with the next change
    /// of keys: who joins is given no key that was used before.
    pub fn join_voice(
        &mut self,
        connection: ConnectionId,
        request: RequestId,
        join: JoinVoice,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        if let Err(refused) = self.try_join(connection, request, join, now, out) {
            refuse(out, connection, request, refused);
        }
    }

    fn try_join(
        &mut self,
        connection: ConnectionId,
        request: RequestId,
        join: JoinVoice,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<(), Failure> {
        let (user, device) = match self.connections.get(&connection) {
            Some(connection) => (connection.user, connection.device),
            None => return Err(Failure::new(FailureKind::OutOfOrder, "sign in first")),
        };
        let channel = join.channel_id;
        let unknown = || {
            Failure::new(
                FailureKind::NotFound,
                "there is no such voice channel for you; it may have been deleted",
            )
        };
        let room = self.rooms.get(&channel).ok_or_else(unknown)?;
        let guild = room.guild;
        if self.rights_in_channel(channel, user, now.unix_ms).is_none() {
            return Err(unknown());
        }
        let others = room.participants.len() - usize::from(room.participants.contains_key(&user));
        if others >= MAX_VOICE_PARTICIPANTS {
            return Err(Failure::new(
                FailureKind::ChannelFull,
                format!("this voice channel is full ({MAX_VOICE_PARTICIPANTS} people)"),
            ));
        }
        self.leave_for_another_session(user, device, now, out);

        let session = self.new_voice_session(user);
        let secret = SessionSecret(self.random());
        let ssrc = self.new_ssrc();
        let room = self.rooms.get_mut(&channel).expect("looked up above");
        let participant = Participant {
            device,
            control: Control::Joining(connection, request),
            session,
            secret: secret.clone(),
            ssrc,
            sender_index: room.new_sender_index(),
            muted: join.muted,
            deafened: join.deafened,
            speaking: false,
        };
        out.push(Output::Route(RouteChange::Add(VoiceRoute {
            session,
            secret,
            ssrc,
            sender_index: participant.sender_index,
            channel,
            deafened: join.deafened,
            bundles: join.bundles,
        })));
        let state = participant.state(channel, user);
        room.participants.insert(user, participant);
        self.in_voice.insert(user, channel);
        self.tell_readers(channel, Event::VoiceJoined { guild_id: guild, state }, out);
        self.show_presence(user, None, out);
        self.rekey(channel, now, out);
        Ok(())
    }

    /// Leaves the voice channel that this connection's device is in, if it is in one.
    pub fn leave_voice(&mut self, connection: ConnectionId, now: Now, out: &mut Vec<Output>) {
        if let Some((user, channel)) = self.voice_of(connection) {
            self.remove(user, channel, LeaveReason::Left, now, out);
        }
    }

    pub fn update_voice(
        &mut self,
        connection: ConnectionId,
        update: UpdateVoice,
        out: &mut Vec<Output>,
    ) {
        let Some((user, channel)) = self.voice_of(connection) else {
            return;
        };
        let Some((guild_id, participant)) = self.participant(user, channel) else {
            return;
        };
        let before = (participant.muted, participant.deafened);
        if before == (update.muted, update.deafened) {
            return;
        }
        (participant.muted, participant.deafened) = (update.muted, update.deafened);
        let session = participant.session;
        let state = participant.state(channel, user);
        if before.1 != update.deafened {
            out.push(Output::Route(RouteChange::Deafen {
                session,
                deafened: update.deafened,
            }));
        }
        self.tell_readers(channel, Event::VoiceUpdated { guild_id, state }, out);
    }

    /// The media thread hears someone, or no longer does.
    pub fn speaking(&mut self, session: VoiceSessionId, speaking: bool, out: &mut Vec<Output>) {
        let Some((user_id, channel_id)) = self.of_session(session) else {
            return;
        };
        let Some((guild_id, participant)) = self.participant(user_id, channel_id) else {
            return;
        };
        if participant.speaking != speaking {
            participant.speaking = speaking;
            let event = Event::VoiceSpeaking {
                guild_id,
                channel_id,
                user_id,
                speaking,
            };
            self.tell_readers(channel_id, event, out);
        }
    }

    /// The media thread has heard nothing from a session for too long.
    pub fn timed_out(&mut self, session: VoiceSessionId, now: Now, out: &mut Vec<Output>) {
        let Some((user, channel)) = self.of_session(session) else {
            return;
        };
        self.tell_ended(user, channel, EndReason::TimedOut, out);
        self.remove(user, channel, LeaveReason::TimedOut, now, out);
    }

    /// Gives a voice session that lost its connection, or is about to, to the new connection of the same device.
    pub(super) fn resume_voice(&mut self, connection: ConnectionId, out: &mut Vec<Output>) {
        let Some((user, channel)) = self.voice_of(connection) else {
            return;
        };
        let Some((_, participant)) = self.participant(user, channel) else {
            return;
        };
        let session = participant.session;
        match participant.control {
            // Its answer is on its way to the other connection.
            Control::Joining(..) => return,
            Control::Attached(_) => participant.control = Control::Attached(connection),
            Control::LostUntil(at) => {
                participant.control = Control::Attached(connection);
                self.timers.remove(&(at, Timer::Grace(session)));
            }
        }
        // Keys may have changed while nobody listened.
        if let Some(key) = self.rooms[&channel].key.clone() {
            out.push(Output::Event {
                to: vec![connection],
                event: Event::VoiceRekeyed {
                    channel_id: channel,
                    key,
                },
            });
        }
    }

    /// The connection is gone already.
    pub(super) fn lose_control(
        &mut self,
        connection: ConnectionId,
        user: UserId,
        device: DeviceId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some(&channel) = self.in_voice.get(&user) else {
            return;
        };
        let other = self.connections_of_device(device).next();
        let Some((_, participant)) = self.participant(user, channel) else {
            return;
        };
        if participant.control.connection() != Some(connection) {
            return;
        }
        if matches!(participant.control, Control::Joining(..)) {
            // Nobody has its keys.
            self.remove(user, channel, LeaveReason::Disconnected, now, out);
        } else if let Some(other) = other {
            self.resume_voice(other, out);
        } else {
            let at = now.at + VOICE_GRACE;
            participant.control = Control::LostUntil(at);
            let session = participant.session;
            self.timers.insert((at, Timer::Grace(session)));
        }
    }

    pub(super) fn grace_over(
        &mut self,
        session: VoiceSessionId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        if let Some((user, channel)) = self.of_session(session) {
            self.remove(user, channel, LeaveReason::Disconnected, now, out);
        }
    }

    pub(super) fn rekey_due(&mut self, channel: ChannelId, now: Now, out: &mut Vec<Output>) {
        if let Some(room) = self.rooms.get_mut(&channel) {
            room.rekey_due = None;
            self.rekey_now(channel, now, out);
        }
    }

    /// The same user joins again, here or elsewhere: what was before ends.
    fn leave_for_another_session(
        &mut self,
        user: UserId,
        device: DeviceId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some(&channel) = self.in_voice.get(&user) else {
            return;
        };
        let Some((_, participant)) = self.participant(user, channel) else {
            return;
        };
        if participant.device != device {
            self.tell_ended(user, channel, EndReason::OtherDevice, out);
        }
        self.remove(user, channel, LeaveReason::Switched, now, out);
    }

    fn tell_ended(
        &mut self,
        user: UserId,
        channel_id: ChannelId,
        reason: EndReason,
        out: &mut Vec<Output>,
    ) {
        let connection = self
            .participant(user, channel_id)
            .and_then(|(_, participant)| participant.control.connection());
        if let Some(connection) = connection {
            out.push(Output::Event {
                to: vec![connection],
                event: Event::VoiceEnded { channel_id, reason },
            });
        }
    }

    /// Out of the route table at once; those who stay get a key that the leaver never had.
    fn remove(
        &mut self,
        user_id: UserId,
        channel_id: ChannelId,
        reason: LeaveReason,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some(room) = self.rooms.get_mut(&channel_id) else {
            return;
        };
        let guild_id = room.guild;
        let Some(gone) = room.participants.remove(&user_id) else {
            return;
        };
        self.in_voice.remove(&user_id);
        self.voice_sessions.remove(&gone.session);
        self.ssrcs.remove(&gone.ssrc);
        out.push(Output::Route(RouteChange::Remove(gone.session)));
        match gone.control {
            Control::Joining(connection, request) => {
                let failure = Failure::new(
                    FailureKind::OutOfOrder,
                    "voice was left again before it was joined",
                );
                refuse(out, connection, request, failure);
            }
            Control::LostUntil(at) => {
                self.timers.remove(&(at, Timer::Grace(gone.session)));
            }
            Control::Attached(_) => {}
        }
        let event = Event::VoiceLeft {
            guild_id,
            channel_id,
            user_id,
            reason,
        };
        self.tell_readers(channel_id, event, out);
        self.show_presence(user_id, None, out);
        self.rekey(channel_id, now, out);
    }

    /// Someone came or left: keys change now, or soon if they have just changed.
    fn rekey(&mut self, channel: ChannelId, now: Now, out: &mut Vec<Output>) {
        let Some(room) = self.rooms.get_mut(&channel) else {
            return;
        };
        // Who is alone has nobody to share a burst of key changes with.
        let joins_alone = room.participants.len() == 1
            && room
                .participants
                .values()
                .all(|p| matches!(p.control, Control::Joining(..)));
        match room.rekeyed_at {
            Some(last) if !joins_alone && now.at < last + REKEY_EVERY => {
                if room.rekey_due.is_none() {
                    let at = last + REKEY_EVERY;
                    room.rekey_due = Some(at);
                    self.timers.insert((at, Timer::Rekey(channel)));
                }
            }
            _ => self.rekey_now(channel, now, out),
        }
    }

    fn rekey_now(&mut self, channel: ChannelId, now: Now, out: &mut Vec<Output>) {
        let base_key = BaseKey(self.random());
        let Some(room) = self.rooms.get_mut(&channel) else {
            return;
        };
        if let Some(at) = room.rekey_due.take() {
            self.timers.remove(&(at, Timer::Rekey(channel)));
        }
        if room.participants.is_empty() {
            // The key of who left last is given to nobody: the next join begins an epoch.
            return;
        }
        let key = room.set_key(base_key, now.at);
        let mut to = Vec::new();
        let mut joining = Vec::new();
        for (user, participant) in &mut room.participants {
            match participant.control {
                Control::Joining(connection, request) => {
                    participant.control = Control::Attached(connection);
                    joining.push((*user, connection, request));
                }
                Control::Attached(connection) => to.push(connection),
                Control::LostUntil(_) => {}
            }
        }
        if !to.is_empty() {
            out.push(Output::Event {
                to,
                event: Event::VoiceRekeyed {
                    channel_id: channel,
                    key: key.clone(),
                },
            });
        }
        for (user, connection, request) in joining {
            let participant = &room.participants[&user];
            let grant = VoiceGrant {
                channel_id: channel,
                voice_session: participant.session,
                secret: participant.secret.clone(),
                ssrc: participant.ssrc,
                sender_index: participant.sender_index,
                bitrate_bps: room.bitrate_bps,
                key: key.clone(),
                participants: room.states(channel).collect(),
            };
            out.push(Output::Answer {
                to: connection,
                request,
                answer: Answer::Granted(grant),
            });
        }
    }

    /// Whoever may no longer be where they are is taken out, and routes follow what everyone may do.
    pub(super) fn review_voice(&mut self, guild: GuildId, now: Now, out: &mut Vec<Output>) {
        let _ = (guild, now, out);
    }

    /// The channel is about to be no more.
    pub(super) fn close_room(&mut self, channel: ChannelId, now: Now, out: &mut Vec<Output>) {
        let Some(room) = self.rooms.get(&channel) else {
            return;
        };
        let users: Vec<_> = room.participants.keys().copied().collect();
        for user in users {
            self.tell_ended(user, channel, EndReason::ChannelDeleted, out);
            self.remove(user, channel, LeaveReason::NotAllowed, now, out);
        }
        if let Some(room) = self.rooms.remove(&channel)
            && let Some(at) = room.rekey_due
        {
            self.timers.remove(&(at, Timer::Rekey(channel)));
        }
    }

    /// Takes someone out of the voice of a guild in which they may no longer be.
    pub(super) fn leave_voice_of(&mut self, guild: GuildId, user: UserId, now: Now, out: &mut Vec<Output>) {
        if let Some(&channel) = self.in_voice.get(&user)
            && self.guild_of.get(&channel) == Some(&guild)
        {
            self.tell_ended(user, channel, EndReason::NotAllowed, out);
            self.remove(user, channel, LeaveReason::NotAllowed, now, out);
        }
    }

    /// The voice channel that this connection's device is in.
    fn voice_of(&self, connection: ConnectionId) -> Option<(UserId, ChannelId)> {
        let connection = self.connections.get(&connection)?;
        let channel = *self.in_voice.get(&connection.user)?;
        let participant = self
            .rooms
            .get(&channel)?
            .participants
            .get(&connection.user)?;
        (participant.device == connection.device).then_some((connection.user, channel))
    }

    fn of_session(&self, session: VoiceSessionId) -> Option<(UserId, ChannelId)> {
        let user = *self.voice_sessions.get(&session)?;
        Some((user, *self.in_voice.get(&user)?))
    }

    fn participant(
        &mut self,
        user: UserId,
        channel: ChannelId,
    ) -> Option<(GuildId, &mut Participant)> {
        let room = self.rooms.get_mut(&channel)?;
        Some((room.guild, room.participants.get_mut(&user)?))
    }

    fn new_voice_session(&mut self, user: UserId) -> VoiceSessionId {
        loop {
            let id = VoiceSessionId(u64::from_be_bytes(self.random()));
            if let std::collections::btree_map::Entry::Vacant(free) = self.voice_sessions.entry(id)
            {
                free.insert(user);
                return id;
            }
        }
    }

    /// Not 0, which the server's own reports carry.
    fn new_ssrc(&mut self) -> Ssrc {
        loop {
            let ssrc = Ssrc(u32::from_be_bytes(self.random()));
            if ssrc.0 != 0 && self.ssrcs.insert(ssrc) {
                return ssrc;
            }
        }
    }
}

fn refuse(out: &mut Vec<Output>, to: ConnectionId, request: RequestId, failure: Failure) {
    out.push(Output::Answer {
        to,
        request,
        answer: Answer::Refused(failure),
    });
}
