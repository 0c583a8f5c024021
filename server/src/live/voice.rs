//! Joining and leaving voice channels, and the changes of keys that follow.

use voxhall_protocol::{
    BaseKey, ChannelId, DeviceId, GuildId, SessionSecret, Ssrc, UserId, VoiceSessionId,
    control::{
        CallEnd, EndReason, Event, Failure, FailureKind, JoinVoice, LeaveReason, RequestId,
        StageGone, UpdateVoice, VoiceGrant,
    },
};

use super::{
    Answer, ConnectionId, Live, Now, Output, REKEY_EVERY, RouteChange, SessionId, Timer,
    VOICE_GRACE, VoiceRoute,
    room::{Control, Participant},
    sessions::Session,
    tell,
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
        let (control, user, device) = self.who_is(connection)?;
        let channel = join.channel_id;
        let (guild, rights) = if self.is_in_conversation(user, channel) {
            (None, self.may_talk(user, device, channel)?)
        } else if let Some(rights) = self.may_attend(user, channel) {
            (None, rights)
        } else {
            let (guild, rights) = self.may_join(user, channel, now)?;
            (Some(guild), rights)
        };
        self.leave_other_call(user, channel, now, out);
        self.leave_other_stage(user, channel, now, out);
        self.leave_for_another_session(user, device, now, out);

        let session = self.new_voice_session(user);
        let secret = SessionSecret(self.random());
        let ssrc = self.new_ssrc();
        let room = self.rooms.get_mut(&channel).expect("looked up above");
        let participant = Participant {
            device,
            control: Control::Joining(control, request),
            session,
            secret: secret.clone(),
            ssrc,
            sender_index: room.new_sender_index(),
            bitrate_bps: room.bitrate_bps,
            muted: join.muted,
            deafened: join.deafened,
            rights,
            timeout_over: None,
            speaking: false,
        };
        let (may_speak, deafened) = participant.routed();
        out.push(Output::Route(RouteChange::Add(VoiceRoute {
            session,
            secret,
            ssrc,
            sender_index: participant.sender_index,
            channel,
            may_speak,
            deafened,
            bundles: join.bundles,
            bitrate_bps: participant.bitrate_bps,
        })));
        let state = participant.state(channel, user);
        room.participants.insert(user, participant);
        self.in_voice.insert(user, channel);
        self.time_timeout(user, channel, now);
        let guild_id = guild;
        self.tell_voice(user, channel, Event::VoiceJoined { guild_id, state }, out);
        self.show_presence(user, None, out);
        self.talks(user, channel, device, now, out);
        self.attends(user, channel, out);
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
        if (participant.muted, participant.deafened) == (update.muted, update.deafened) {
            return;
        }
        let before = participant.routed();
        (participant.muted, participant.deafened) = (update.muted, update.deafened);
        let after = participant.routed();
        let session = participant.session;
        let state = participant.state(channel, user);
        if before != after {
            let (may_speak, deafened) = after;
            out.push(Output::Route(RouteChange::Rights {
                session,
                may_speak,
                deafened,
            }));
        }
        self.tell_voice(user, channel, Event::VoiceUpdated { guild_id, state }, out);
    }

    /// Tells of someone's voice, unless they are one of those in a stage room of whom nobody is told.
    fn tell_voice(&self, user: UserId, channel: ChannelId, event: Event, out: &mut Vec<Output>) {
        if !self.is_audience(user, channel) {
            self.tell_readers(channel, event, out);
        }
    }

    /// The media thread hears someone, or no longer does.
    pub fn speaking(&mut self, session: VoiceSessionId, speaking: bool, out: &mut Vec<Output>) {
        let Some((user_id, channel_id)) = self.of_session(session) else {
            return;
        };
        let Some((guild_id, participant)) = self.participant(user_id, channel_id) else {
            return;
        };
        // It may have been heard just before it was suppressed.
        let speaking = speaking && !participant.rights.suppressed;
        if participant.speaking != speaking {
            participant.speaking = speaking;
            let event = Event::VoiceSpeaking {
                guild_id,
                channel_id,
                user_id,
                speaking,
            };
            self.tell_who_is_there(self.readers(channel_id), event, out);
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

    /// Gives a voice session that lost its control, or is about to, to this session of the same device.
    pub(super) fn take_voice(&mut self, id: SessionId, now: Now, out: &mut Vec<Output>) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let (user, device) = (session.user, session.device);
        let Some(&channel) = self.in_voice.get(&user) else {
            return;
        };
        let Some((_, participant)) = self.participant(user, channel) else {
            return;
        };
        if participant.device != device {
            return;
        }
        let voice = participant.session;
        let before = participant.control;
        match before {
            // Its answer is on its way to the other session.
            Control::Joining(..) => return,
            Control::Attached(_) | Control::LostUntil(..) => {
                participant.control = Control::Attached(id);
            }
        }
        if let Control::LostUntil(at, _) = before {
            self.timers.remove(&(at, Timer::Grace(voice)));
            self.talks(user, channel, device, now, out);
        }
        // A session is told of all keys while it has no connection, too.
        if before.session() != id
            && let Some(key) = self.rooms[&channel].key.clone()
        {
            let event = Event::VoiceRekeyed {
                channel_id: channel,
                key,
            };
            tell(out, [id], event);
        }
    }

    /// A session goes on, which was not told who is speaking since it lost its connection.
    pub(super) fn tell_voice_again(&self, id: SessionId, out: &mut Vec<Output>) {
        let Some(person) = self
            .sessions
            .get(&id)
            .and_then(|session| self.people.get(&session.user))
        else {
            return;
        };
        let rooms = person.conversations.iter();
        for room in rooms.chain(self.in_stage.get(&person.record.user.id)) {
            for state in self.voice_states(*room) {
                let guild_id = None;
                tell(out, [id], Event::VoiceUpdated { guild_id, state });
            }
        }
        for guild in person
            .guilds
            .iter()
            .filter_map(|guild| self.guilds.get(guild))
        {
            for channel in guild.channels.values() {
                let states = self.voice_states(channel.id);
                if states.is_empty() || !guild.sees(person.record.user.id, channel) {
                    continue;
                }
                for state in states {
                    let guild_id = Some(guild.info.id);
                    tell(out, [id], Event::VoiceUpdated { guild_id, state });
                }
            }
        }
    }

    /// A session has lost its connection.
    pub(super) fn lose_control(&mut self, id: SessionId, now: Now, out: &mut Vec<Output>) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let (user, device) = (session.user, session.device);
        let Some(&channel) = self.in_voice.get(&user) else {
            return;
        };
        let of_device =
            |other: &SessionId| self.sessions.get(other).is_some_and(|s| s.device == device);
        let other = self
            .sessions_of(user)
            .find(|other| *other != id && self.is_open(*other) && of_device(other));
        let Some((_, participant)) = self.participant(user, channel) else {
            return;
        };
        if participant.control.session() != id {
            return;
        }
        if matches!(participant.control, Control::Joining(..)) {
            // Nobody has its keys.
            self.remove(user, channel, LeaveReason::Disconnected, now, out);
        } else if let Some(other) = other {
            self.take_voice(other, now, out);
        } else {
            let at = now.at + VOICE_GRACE;
            participant.control = Control::LostUntil(at, id);
            let session = participant.session;
            self.timers.insert((at, Timer::Grace(session)));
            self.waits_for(user, channel, now, out);
        }
    }

    pub(super) fn grace_over(&mut self, session: VoiceSessionId, now: Now, out: &mut Vec<Output>) {
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

    pub(super) fn tell_ended(
        &mut self,
        user: UserId,
        channel_id: ChannelId,
        reason: EndReason,
        out: &mut Vec<Output>,
    ) {
        if let Some((_, participant)) = self.participant(user, channel_id) {
            let session = participant.control.session();
            tell(out, [session], Event::VoiceEnded { channel_id, reason });
        }
    }

    /// Out of the route table at once; those who stay get a key that the leaver never had.
    pub(super) fn remove(
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
            Control::Joining(session, request) => {
                let failure = Failure::new(
                    FailureKind::OutOfOrder,
                    "voice was left again before it was joined",
                );
                if let Some(connection) = self.sessions.get(&session).and_then(Session::connection)
                {
                    refuse(out, connection, request, failure);
                }
            }
            Control::LostUntil(at, _) => {
                self.timers.remove(&(at, Timer::Grace(gone.session)));
            }
            Control::Attached(_) => {}
        }
        if let Some(at) = gone.timeout_over {
            self.timers.remove(&(at, Timer::TimeoutOver(gone.session)));
        }
        let event = Event::VoiceLeft {
            guild_id,
            channel_id,
            user_id,
            reason,
        };
        self.tell_voice(user_id, channel_id, event, out);
        self.show_presence(user_id, None, out);
        self.rekey(channel_id, now, out);
        // What they may have been there for: neither is left by who isn't in it.
        match reason {
            LeaveReason::TimedOut | LeaveReason::Disconnected => {
                self.waits_for(user_id, channel_id, now, out);
                self.wait_for(user_id, channel_id, Some(now.at + VOICE_GRACE));
            }
            // They are there anew, or have left before.
            LeaveReason::Switched => {}
            LeaveReason::Left | LeaveReason::Moderated | LeaveReason::NotAllowed => {
                self.hang_up_call(user_id, channel_id, CallEnd::HungUp, now, out);
                self.gone_from_stage(user_id, channel_id, StageGone::Left, now, out);
            }
        }
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
        let stage = self.stages.get(&channel);
        let is_named = |user: &UserId| stage.is_none_or(|stage| !stage.is_audience(*user));
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
                Control::Joining(session, request) => {
                    participant.control = Control::Attached(session);
                    joining.push((*user, session, request));
                }
                Control::Attached(session) | Control::LostUntil(_, session) => to.push(session),
            }
        }
        let event = Event::VoiceRekeyed {
            channel_id: channel,
            key: key.clone(),
        };
        tell(out, to, event);
        for (user, session, request) in joining {
            let Some(connection) = self.sessions.get(&session).and_then(Session::connection) else {
                continue;
            };
            let participant = &room.participants[&user];
            let grant = VoiceGrant {
                channel_id: channel,
                voice_session: participant.session,
                secret: participant.secret.clone(),
                ssrc: participant.ssrc,
                sender_index: participant.sender_index,
                bitrate_bps: participant.bitrate_bps,
                loudest: self.loudest,
                key: key.clone(),
                participants: (room.states(channel))
                    .filter(|state| is_named(&state.user_id) || state.user_id == user)
                    .collect(),
            };
            out.push(Output::Answer {
                to: connection,
                request,
                answer: Answer::Granted(grant),
            });
        }
    }

    /// The voice channel that this connection's device is in.
    fn voice_of(&self, connection: ConnectionId) -> Option<(UserId, ChannelId)> {
        let (_, session) = self.session(connection)?;
        let channel = *self.in_voice.get(&session.user)?;
        let participant = self.rooms.get(&channel)?.participants.get(&session.user)?;
        (participant.device == session.device).then_some((session.user, channel))
    }

    pub(super) fn of_session(&self, session: VoiceSessionId) -> Option<(UserId, ChannelId)> {
        let user = *self.voice_sessions.get(&session)?;
        Some((user, *self.in_voice.get(&user)?))
    }

    pub(super) fn participant(
        &mut self,
        user: UserId,
        channel: ChannelId,
    ) -> Option<(Option<GuildId>, &mut Participant)> {
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
