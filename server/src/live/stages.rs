//! Stage rooms: who is there, who may speak, and who wants to.
//!
//! What lasts of a room (topic, host, bans) comes from the store; who is there is this machine's. Everyone in a room is told of its
//! speakers, and how many listen; listeners are told of to nobody, so that a room of thousands is no storm.

use std::time::{Duration, Instant};

use voxhall_protocol::{
    ChannelId, UserId,
    control::{
        EndReason, Event, Failure, FailureKind, JoinStage, LeaveReason, RemoveFromStage,
        SetStageRole, Stage, StageAccess, StageGone, StageRole, StageSpeaker, StageStanding,
        StageView,
    },
    limits::{MAX_RAISED_HANDS, MAX_STAGE_PEOPLE, PAGE},
};
use voxhall_store::StageRecord;

use super::{
    ConnectionId, Live, Now, Output, RouteChange, SessionId, Timer, ToStore, VOICE_GRACE,
    room::Room,
    stage_room::{Guest, StageRoom},
    tell,
    voice_rights::VoiceRights,
};

/// A room without a host or co-host goes on for so long.
pub const HOSTLESS_FOR: Duration = Duration::from_secs(120);
/// How many listen, and whose hands are raised, is told this often at most.
const COUNT_EVERY: Duration = Duration::from_secs(1);
const BITRATE_BPS: u32 = 64_000;

impl Live {
    /// Comes into a room, leaving the one before; `voice.join` follows.
    ///
    /// # Errors
    /// There is no such room for this user, or it has not begun or is full.
    pub fn join_stage(
        &mut self,
        connection: ConnectionId,
        join: &JoinStage,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<StageView, Failure> {
        let (_, user, _) = self.who_is(connection)?;
        let channel = self.find_stage(user, join).ok_or_else(no_stage)?;
        let room = &self.stages[&channel];
        if room.record.banned.contains(&user) {
            let words = "The host does not want you in this room.";
            return Err(Failure::new(FailureKind::Banned, words));
        }
        if !room.has_begun() {
            let words = "This room has not begun yet.";
            return Err(Failure::new(FailureKind::OutOfOrder, words));
        }
        if room.people.len() >= MAX_STAGE_PEOPLE && !room.people.contains_key(&user) {
            let words = format!("This room is full ({MAX_STAGE_PEOPLE} people).");
            return Err(Failure::new(FailureKind::ChannelFull, words));
        }
        self.leave_other_stage(user, channel, now, out);
        if !self.stages[&channel].people.contains_key(&user) {
            let guest = Guest {
                wait_until: None,
                invited: false,
            };
            let room = self.stages.get_mut(&channel).expect("looked up above");
            room.people.insert(user, guest);
            self.in_stage.insert(user, channel);
            self.wait_for(user, channel, Some(now.at + VOICE_GRACE));
            self.people_changed(user, channel, now, out);
            // On all their devices.
            if let Some(stage) = self.stage_shown(channel) {
                self.tell_user(user, Event::StageUpdated { stage }, out);
            }
            self.tell_standing(user, channel, out);
        }
        self.stage_view(user).ok_or_else(no_stage)
    }

    /// Leaves quietly.
    pub fn leave_stage(&mut self, connection: ConnectionId, now: Now, out: &mut Vec<Output>) {
        if let Ok((_, user, _)) = self.who_is(connection)
            && let Some(&channel) = self.in_stage.get(&user)
        {
            self.gone_from_stage(user, channel, StageGone::Left, now, out);
        }
    }

    /// # Errors
    /// In no room, or as many as may have raised their hands.
    pub fn raise_hand(
        &mut self,
        connection: ConnectionId,
        raised: bool,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<(), Failure> {
        let (user, channel) = self.own_room(connection)?;
        let room = self.stages.get_mut(&channel).ok_or_else(no_stage)?;
        if room.role(user).speaks() {
            return Ok(());
        }
        let was = room.hands.contains(&user);
        if raised && !was && room.hands.len() >= MAX_RAISED_HANDS {
            let words = format!(
                "{MAX_RAISED_HANDS} hands are raised already. Raise yours when some of them have spoken."
            );
            return Err(Failure::new(FailureKind::TooMany, words));
        }
        let guest = room.people.get_mut(&user).ok_or_else(no_stage)?;
        let was_invited = guest.invited;
        if !raised {
            guest.invited = false;
        }
        if was == raised && was_invited == guest.invited {
            return Ok(());
        }
        room.hands.retain(|other| *other != user);
        if raised {
            room.hands.push(user);
        }
        self.tell_standing(user, channel, out);
        self.hands_changed(channel, now, out);
        Ok(())
    }

    /// Who was asked to speak does.
    ///
    /// # Errors
    /// Nobody asked.
    pub fn accept_stage(
        &mut self,
        connection: ConnectionId,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<(), Failure> {
        let (user, channel) = self.own_room(connection)?;
        let room = self.stages.get(&channel).ok_or_else(no_stage)?;
        if room.role(user).speaks() {
            return Ok(());
        }
        if !room.people.get(&user).is_some_and(|guest| guest.invited) {
            let words = "Nobody asked you to speak. Raise your hand.";
            return Err(Failure::new(FailureKind::OutOfOrder, words));
        }
        self.become_role(user, channel, StageRole::Speaker, now, out);
        Ok(())
    }

    /// # Errors
    /// Only hosts decide who speaks, and only the host who is a co-host.
    pub fn set_stage_role(
        &mut self,
        connection: ConnectionId,
        set: SetStageRole,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<(), Failure> {
        let (by, channel) = self.own_room(connection)?;
        let (user, role) = (set.user_id, set.role);
        let room = self.stages.get_mut(&channel).ok_or_else(no_stage)?;
        let (mine, theirs) = (room.role(by), room.role(user));
        let own_choice = by == user && role < mine && mine != StageRole::Host;
        let may = mine.moderates() && theirs < mine && role < mine;
        if !own_choice && !may {
            let words = "Only hosts decide who speaks in this room.";
            return Err(Failure::new(FailureKind::Forbidden, words));
        }
        let raised = room.hands.contains(&user);
        let guest = room.people.get_mut(&user).ok_or_else(not_here)?;
        if role.speaks() && !theirs.speaks() && !raised {
            // A microphone is opened by whose it is.
            if !guest.invited {
                guest.invited = true;
                self.tell_standing(user, channel, out);
            }
            return Ok(());
        }
        self.become_role(user, channel, role, now, out);
        Ok(())
    }

    /// Whether [`Self::remove_from_stage`] would succeed now; and from which room.
    ///
    /// # Errors
    /// Only hosts take others out, and nobody the host.
    pub fn may_remove_from_stage(
        &self,
        connection: ConnectionId,
        user: UserId,
    ) -> Result<ChannelId, Failure> {
        let (by, channel) = self.own_room(connection)?;
        let room = self.stages.get(&channel).ok_or_else(no_stage)?;
        let (mine, theirs) = (room.role(by), room.role(user));
        if mine.moderates() && theirs < mine {
            return Ok(channel);
        }
        let words = "Only hosts take others out of this room.";
        Err(Failure::new(FailureKind::Forbidden, words))
    }

    /// # Errors
    /// See [`Self::may_remove_from_stage`].
    pub fn remove_from_stage(
        &mut self,
        connection: ConnectionId,
        remove: RemoveFromStage,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<(), Failure> {
        let user = remove.user_id;
        let channel = self.may_remove_from_stage(connection, user)?;
        self.expel(user, channel, remove.ban, now, out);
        Ok(())
    }

    /// Tells those who want to know that there is a room, or will be.
    pub fn announce_stage(&self, channel: ChannelId, to: &[UserId], out: &mut Vec<Output>) {
        if let Some(stage) = self.stage_shown(channel) {
            let to = to.iter().filter(|user| self.may_see_stage(**user, channel));
            let to = to.flat_map(|user| self.sessions_of(*user));
            self.tell_who_is_there(to, Event::StageAnnounced { stage }, out);
        }
    }

    /// Public rooms: those that go on, the fullest first, then those to come, the next first.
    pub fn stage_list(&self, reader: UserId) -> Vec<Stage> {
        let listed = self.stages.iter().filter(|(channel, room)| {
            (room.record.access == StageAccess::Public || room.record.host == reader)
                && self.may_see_stage(reader, **channel)
                && !room.record.banned.contains(&reader)
        });
        let mut stages: Vec<_> = listed
            .filter_map(|(channel, _)| self.stage_shown(*channel))
            .collect();
        stages.sort_by_key(|stage| {
            let people = stage.speakers.len() + stage.listeners as usize;
            (
                stage.started_at_ms.is_none(),
                std::cmp::Reverse(people),
                stage.scheduled_at_ms,
                stage.id,
            )
        });
        // One's own are never left out: they are begun and called off from this list.
        let mut others = 0;
        stages.retain(|stage| {
            others += u32::from(stage.host.id != reader);
            stage.host.id == reader || others <= PAGE
        });
        stages
    }

    /// Whether someone may know of a room: it isn't closed to them, and its host and they have not blocked each other.
    fn may_see_stage(&self, user: UserId, channel: ChannelId) -> bool {
        self.stages
            .get(&channel)
            .is_some_and(|room| room.is_known_to(user) && !self.are_apart(user, room.record.host))
    }

    pub fn stage_access(&self, channel: ChannelId) -> Option<StageAccess> {
        Some(self.stages.get(&channel)?.record.access)
    }

    /// Whose room it is, if the reader may know of it.
    pub fn stage_host(&self, reader: UserId, channel: ChannelId) -> Option<UserId> {
        let room = self.stages.get(&channel)?;
        self.may_see_stage(reader, channel)
            .then_some(room.record.host)
    }

    pub(super) fn save_stage(&mut self, record: StageRecord, now: Now, out: &mut Vec<Output>) {
        let channel = record.id;
        if !self.people.contains_key(&record.host) {
            return;
        }
        let room = self
            .stages
            .entry(channel)
            .or_insert_with(|| StageRoom::new(record.clone()));
        let changed = room.record != record;
        let there =
            |user: &&UserId| room.people.contains_key(user) || room.roles.contains_key(user);
        let banned: Vec<_> = record.banned.iter().filter(there).copied().collect();
        room.record = record;
        if room.has_begun() && !self.rooms.contains_key(&channel) {
            self.rooms.insert(channel, Room::new(None, BITRATE_BPS));
            self.watch_hosts(channel, now);
        }
        for user in banned {
            self.expel(user, channel, true, now, out);
        }
        if changed {
            self.tell_stage(channel, out);
        }
    }

    pub(super) fn end_stage(
        &mut self,
        channel: ChannelId,
        reason: StageGone,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some(room) = self.stages.get_mut(&channel) else {
            return;
        };
        let people: Vec<_> = std::mem::take(&mut room.people).into_iter().collect();
        if let Some(at) = room.count_at.take() {
            self.timers.remove(&(at, Timer::StageCount(channel)));
        }
        if let Some(at) = room.hostless_until.take() {
            self.timers.remove(&(at, Timer::StageHostless(channel)));
        }
        for (user, guest) in &people {
            self.in_stage.remove(user);
            if let Some(at) = guest.wait_until {
                self.timers.remove(&(at, Timer::StageWait(*user)));
            }
        }
        self.close_room(channel, EndReason::StageOver, LeaveReason::Left, now, out);
        self.stages.remove(&channel);
        let to = people.iter().flat_map(|(user, _)| self.sessions_of(*user));
        let event = Event::StageLeft {
            channel_id: channel,
            reason,
        };
        tell(out, to.collect::<Vec<_>>(), event);
    }

    /// No host came back.
    pub(super) fn hostless(&mut self, channel: ChannelId, now: Now, out: &mut Vec<Output>) {
        if let Some(room) = self.stages.get_mut(&channel) {
            room.hostless_until = None;
            self.end_stage(channel, StageGone::HostGone, now, out);
            out.push(Output::Store(ToStore::StageOver(channel)));
        }
    }

    pub(super) fn count_due(&mut self, channel: ChannelId, out: &mut Vec<Output>) {
        if let Some(room) = self.stages.get_mut(&channel) {
            room.count_at = None;
            let hands_changed = room.hands != room.hands_told;
            if room.listeners != room.count() {
                self.tell_stage(channel, out);
            }
            if hands_changed {
                self.tell_moderators(channel, out);
            }
        }
    }

    pub(super) fn stage_wait_over(&mut self, user: UserId, now: Now, out: &mut Vec<Output>) {
        if let Some(&channel) = self.in_stage.get(&user) {
            self.gone_from_stage(user, channel, StageGone::Lost, now, out);
        }
    }

    /// What someone in a stage room may do there; None: they are in no such room.
    pub(super) fn may_attend(&self, user: UserId, channel: ChannelId) -> Option<VoiceRights> {
        let room = self.stages.get(&channel)?;
        (room.people.contains_key(&user)).then(|| stage_rights(room.role(user)))
    }

    /// Someone's voice is in the room.
    pub(super) fn attends(&mut self, user: UserId, channel: ChannelId, out: &mut Vec<Output>) {
        if self.in_stage.get(&user) == Some(&channel) {
            self.wait_for(user, channel, None);
            if self.stages[&channel].role(user).speaks() {
                self.tell_stage(channel, out);
            }
        }
    }

    /// Nobody is in two rooms.
    pub(super) fn leave_other_stage(
        &mut self,
        user: UserId,
        channel: ChannelId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        if let Some(&other) = self.in_stage.get(&user)
            && other != channel
        {
            self.gone_from_stage(user, other, StageGone::Left, now, out);
        }
    }

    /// Whether nobody is told of this one's voice: those who listen in a stage room.
    pub(super) fn is_audience(&self, user: UserId, channel: ChannelId) -> bool {
        self.stages
            .get(&channel)
            .is_some_and(|room| room.is_audience(user))
    }

    /// Sessions of everyone in a stage room.
    pub(super) fn audience(&self, channel: ChannelId) -> Vec<SessionId> {
        let people = self.stages.get(&channel).map(|room| room.people.keys());
        let people = people.into_iter().flatten();
        people.flat_map(|user| self.sessions_of(*user)).collect()
    }

    /// The account is no more: so are its rooms, and it is in none.
    pub(super) fn forget_stages_of(&mut self, user: UserId, now: Now, out: &mut Vec<Output>) {
        let hosted = self
            .stages
            .iter()
            .filter(|(_, room)| room.record.host == user);
        for channel in hosted.map(|(channel, _)| *channel).collect::<Vec<_>>() {
            self.end_stage(channel, StageGone::Ended, now, out);
        }
        if let Some(&channel) = self.in_stage.get(&user) {
            self.gone_from_stage(user, channel, StageGone::Left, now, out);
        }
        for room in self.stages.values_mut() {
            room.roles.remove(&user);
        }
    }

    /// The room that someone is in.
    pub(super) fn stage_view(&self, user: UserId) -> Option<StageView> {
        let channel = *self.in_stage.get(&user)?;
        Some(StageView {
            stage: self.stage_shown(channel)?,
            standing: self.standing(user, channel)?,
        })
    }

    pub fn stage_shown(&self, channel: ChannelId) -> Option<Stage> {
        let room = self.stages.get(&channel)?;
        let voice = self.rooms.get(&channel);
        let mut speakers: Vec<_> = (room.speakers())
            .filter_map(|(user, role)| {
                let participant = voice.and_then(|voice| voice.participants.get(&user));
                Some(StageSpeaker {
                    user: self.user(user)?.clone(),
                    role,
                    voice: participant.map(|participant| participant.state(channel, user)),
                })
            })
            .collect();
        speakers.sort_by_key(|speaker| (std::cmp::Reverse(speaker.role), speaker.user.id));
        Some(Stage {
            id: channel,
            topic: room.record.topic.clone(),
            access: room.record.access,
            host: self.user(room.record.host)?.clone(),
            scheduled_at_ms: room.record.scheduled_at_ms,
            started_at_ms: room.record.started_at_ms,
            speakers,
            listeners: room.listeners,
        })
    }

    fn standing(&self, user: UserId, channel: ChannelId) -> Option<StageStanding> {
        let room = self.stages.get(&channel)?;
        let guest = room.people.get(&user)?;
        let role = room.role(user);
        let hands = room.hands_told.iter().filter(|_| role.moderates());
        Some(StageStanding {
            role,
            hand_raised: room.hands.contains(&user),
            invited: guest.invited,
            hands: hands.filter_map(|user| self.user(*user).cloned()).collect(),
            code: role.moderates().then(|| room.record.code.clone()),
        })
    }

    fn find_stage(&self, user: UserId, join: &JoinStage) -> Option<ChannelId> {
        let channel = match (join.channel_id, &join.code) {
            (Some(channel), _) => {
                let room = self.stages.get(&channel)?;
                let has_code = join.code.as_ref() == Some(&room.record.code);
                (has_code || room.is_known_to(user)).then_some(channel)
            }
            (None, Some(code)) => {
                let mut rooms = self.stages.iter();
                let found = rooms.find(|(_, room)| room.record.code == *code);
                found.map(|(channel, _)| *channel)
            }
            (None, None) => None,
        }?;
        (!self.are_apart(user, self.stages[&channel].record.host)).then_some(channel)
    }

    /// The one place where a role changes: the relay, the speakers' list and everyone concerned follow.
    fn become_role(
        &mut self,
        user: UserId,
        channel: ChannelId,
        role: StageRole,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some(room) = self.stages.get_mut(&channel) else {
            return;
        };
        let before = room.role(user);
        match role {
            StageRole::Listener => drop(room.roles.remove(&user)),
            _ => drop(room.roles.insert(user, role)),
        }
        room.hands.retain(|other| *other != user);
        if let Some(guest) = room.people.get_mut(&user) {
            guest.invited = false;
        }
        room.listeners = room.count();
        if before.speaks() != role.speaks()
            && let Some((guild_id, participant)) = self.participant(user, channel)
        {
            participant.rights = stage_rights(role);
            participant.speaking &= role.speaks();
            let (may_speak, deafened) = participant.routed();
            let session = participant.session;
            let state = participant.state(channel, user);
            out.push(Output::Route(RouteChange::Rights {
                session,
                may_speak,
                deafened,
            }));
            let event = if role.speaks() {
                Event::VoiceJoined { guild_id, state }
            } else {
                Event::VoiceLeft {
                    guild_id,
                    channel_id: channel,
                    user_id: user,
                    reason: LeaveReason::Moderated,
                }
            };
            self.tell_readers(channel, event, out);
        }
        self.watch_hosts(channel, now);
        self.tell_stage(channel, out);
        self.tell_moderators(channel, out);
        if !role.moderates() {
            self.tell_standing(user, channel, out);
        }
    }

    /// One has blocked the other: neither stays in a room of the other's.
    pub(super) fn part_from_host(
        &mut self,
        by: UserId,
        other: UserId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        for (host, guest) in [(by, other), (other, by)] {
            if let Some(&channel) = self.in_stage.get(&guest)
                && self.stages[&channel].record.host == host
            {
                match guest == by {
                    true => self.gone_from_stage(guest, channel, StageGone::Left, now, out),
                    false => self.expel(guest, channel, false, now, out),
                }
            }
        }
    }

    fn expel(
        &mut self,
        user: UserId,
        channel: ChannelId,
        ban: bool,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let reason = if ban {
            StageGone::Banned
        } else {
            StageGone::Removed
        };
        self.gone_from_stage(user, channel, reason, now, out);
        if let Some(room) = self.stages.get_mut(&channel) {
            room.roles.remove(&user);
        }
    }

    pub(super) fn gone_from_stage(
        &mut self,
        user: UserId,
        channel: ChannelId,
        reason: StageGone,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        if self.in_stage.get(&user) != Some(&channel) {
            return;
        }
        self.wait_for(user, channel, None);
        self.in_stage.remove(&user);
        if self.in_voice.get(&user) == Some(&channel) {
            self.tell_ended(user, channel, EndReason::StageOver, out);
            self.remove(user, channel, LeaveReason::Left, now, out);
        }
        let Some(room) = self.stages.get_mut(&channel) else {
            return;
        };
        room.people.remove(&user);
        let had_hand = room.hands.contains(&user);
        room.hands.retain(|other| *other != user);
        let event = Event::StageLeft {
            channel_id: channel,
            reason,
        };
        self.tell_user(user, event, out);
        if had_hand {
            self.hands_changed(channel, now, out);
        }
        self.people_changed(user, channel, now, out);
    }

    /// Someone came or went: speakers are told of at once, listeners are counted soon.
    fn people_changed(
        &mut self,
        user: UserId,
        channel: ChannelId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        self.watch_hosts(channel, now);
        let Some(room) = self.stages.get_mut(&channel) else {
            return;
        };
        if room.role(user).speaks() {
            self.tell_stage(channel, out);
        } else {
            self.count_soon(channel, now);
        }
    }

    /// Hosts are told at once, and then not again before the next count.
    fn hands_changed(&mut self, channel: ChannelId, now: Now, out: &mut Vec<Output>) {
        let room = self.stages.get(&channel);
        if room.is_some_and(|room| room.count_at.is_none()) {
            self.tell_moderators(channel, out);
            self.count_soon(channel, now);
        }
    }

    fn count_soon(&mut self, channel: ChannelId, now: Now) {
        if let Some(room) = self.stages.get_mut(&channel)
            && room.count_at.is_none()
        {
            let at = now.at + COUNT_EVERY;
            room.count_at = Some(at);
            self.timers.insert((at, Timer::StageCount(channel)));
        }
    }

    fn watch_hosts(&mut self, channel: ChannelId, now: Now) {
        let Some(room) = self.stages.get_mut(&channel) else {
            return;
        };
        let hosted = room.moderators().next().is_some();
        match (hosted, room.hostless_until) {
            (true, Some(at)) => {
                room.hostless_until = None;
                self.timers.remove(&(at, Timer::StageHostless(channel)));
            }
            (false, None) if room.has_begun() => {
                let at = now.at + HOSTLESS_FOR;
                room.hostless_until = Some(at);
                self.timers.insert((at, Timer::StageHostless(channel)));
            }
            _ => {}
        }
    }

    /// Their voice is waited for, or no longer.
    pub(super) fn wait_for(&mut self, user: UserId, channel: ChannelId, until: Option<Instant>) {
        let room = self.stages.get_mut(&channel);
        let Some(guest) = room.and_then(|room| room.people.get_mut(&user)) else {
            return;
        };
        let before = std::mem::replace(&mut guest.wait_until, until);
        if let Some(at) = before {
            self.timers.remove(&(at, Timer::StageWait(user)));
        }
        if let Some(at) = until {
            self.timers.insert((at, Timer::StageWait(user)));
        }
    }

    fn tell_stage(&mut self, channel: ChannelId, out: &mut Vec<Output>) {
        if let Some(room) = self.stages.get_mut(&channel) {
            room.listeners = room.count();
        }
        if let Some(stage) = self.stage_shown(channel) {
            tell(out, self.audience(channel), Event::StageUpdated { stage });
        }
    }

    fn tell_standing(&self, user: UserId, channel: ChannelId, out: &mut Vec<Output>) {
        if let Some(standing) = self.standing(user, channel) {
            let event = Event::StageStood {
                channel_id: channel,
                standing,
            };
            self.tell_user(user, event, out);
        }
    }

    /// Whose hands are raised.
    fn tell_moderators(&mut self, channel: ChannelId, out: &mut Vec<Output>) {
        let Some(room) = self.stages.get_mut(&channel) else {
            return;
        };
        room.hands_told.clone_from(&room.hands);
        for user in self.stages[&channel].moderators() {
            self.tell_standing(user, channel, out);
        }
    }

    fn own_room(&self, connection: ConnectionId) -> Result<(UserId, ChannelId), Failure> {
        let (_, user, _) = self.who_is(connection)?;
        let channel = self.in_stage.get(&user).ok_or_else(not_in_stage)?;
        Ok((user, *channel))
    }
}

fn stage_rights(role: StageRole) -> VoiceRights {
    VoiceRights {
        suppressed: !role.speaks(),
        deafened: false,
        timeout_until_ms: None,
    }
}

fn no_stage() -> Failure {
    Failure::new(
        FailureKind::NotFound,
        "There is no such room for you; it may be over.",
    )
}

fn not_here() -> Failure {
    Failure::new(FailureKind::NotFound, "They are not in this room.")
}

fn not_in_stage() -> Failure {
    Failure::new(
        FailureKind::OutOfOrder,
        "You are in no room. Join one first.",
    )
}
