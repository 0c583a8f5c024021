//! Calls: who rings, who talks, who is waited for, and why a call is over.
//!
//! A call lives in its conversation, whose voice it is, as long as there are two sides to it: somebody who is in it, and somebody
//! else who is in it or rings. Whatever changes ends in [`Live::settle`], which decides whether it goes on.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use voxhall_protocol::{
    CallId, ChannelId, DeviceId, UserId,
    control::{
        AnswerCall, CallEnd, CallParty, CallsFrom, ChannelKind, EndReason, Event, Failure,
        FailureKind, LeaveReason, LiveCall, PartyState, RingAgain, StartCall, Status, UnixMs,
    },
};
use voxhall_store::{CallPartyRecord, CallRecord};

use super::{
    ConnectionId, Live, Now, Output, Timer, ToStore, VOICE_GRACE, room::Room,
    voice_rights::VoiceRights,
};

/// How long a call rings.
pub const RING: Duration = Duration::from_secs(30);
/// Whoever answered, or lost their connection, is waited for so long.
pub const RETURN_WITHIN: Duration = VOICE_GRACE;
const BITRATE_BPS: u32 = 64_000;
/// Everyone in a call may speak and hear.
pub(super) const IN_CALL: VoiceRights = VoiceRights {
    suppressed: false,
    deafened: false,
    timeout_until_ms: None,
};

pub(super) struct Call {
    pub id: CallId,
    caller: UserId,
    started_at_ms: UnixMs,
    answered_at_ms: Option<UnixMs>,
    pub parties: BTreeMap<UserId, Party>,
}

pub(super) struct Party {
    pub stage: Stage,
    /// In the call since then, while they are.
    since_ms: UnixMs,
    /// Before that.
    talked_ms: u64,
}

impl Party {
    fn of(stage: Stage, now: Now) -> Self {
        Self {
            stage,
            since_ms: now.unix_ms,
            talked_ms: 0,
        }
    }
}

/// How far someone is in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Ringing {
        until: Instant,
    },
    /// Their voice is on its way.
    Connecting {
        until: Instant,
        device: DeviceId,
    },
    Talking {
        device: DeviceId,
    },
    /// Their connection is lost.
    Away {
        until: Instant,
    },
    Left,
    Rejected,
    Missed,
}

/// Why someone can't be called.
enum Unreached {
    /// Which they may know of later.
    Missed(CallEnd),
    /// Of which they hear nothing.
    Refused(Failure),
}

impl Stage {
    pub fn is_present(self) -> bool {
        self.shown().is_present()
    }

    pub fn is_ringing(self) -> bool {
        matches!(self, Self::Ringing { .. })
    }

    pub fn waits_until(self) -> Option<Instant> {
        match self {
            Self::Ringing { until } | Self::Connecting { until, .. } | Self::Away { until } => {
                Some(until)
            }
            Self::Talking { .. } | Self::Left | Self::Rejected | Self::Missed => None,
        }
    }

    fn shown(self) -> PartyState {
        match self {
            Self::Ringing { .. } => PartyState::Ringing,
            Self::Connecting { .. } => PartyState::Connecting,
            Self::Talking { .. } => PartyState::Talking,
            Self::Away { .. } => PartyState::Away,
            Self::Left => PartyState::Left,
            Self::Rejected => PartyState::Rejected,
            Self::Missed => PartyState::Missed,
        }
    }
}

impl Call {
    fn stage(&self, user: UserId) -> Option<Stage> {
        Some(self.parties.get(&user)?.stage)
    }

    /// How long someone talked, until now.
    fn talked_ms(&self, party: &Party, now: Now) -> Option<u64> {
        let current = if party.stage.is_present() {
            self.talked_since(party.since_ms, now)
        } else {
            0
        };
        let talked = party.talked_ms + current;
        (self.answered_at_ms.is_some() && (talked > 0 || party.stage.is_present()))
            .then_some(talked)
    }

    fn talked_since(&self, since_ms: UnixMs, now: Now) -> u64 {
        let from = self
            .answered_at_ms
            .map_or(now.unix_ms, |answered| answered.max(since_ms));
        u64::try_from(now.unix_ms.saturating_sub(from)).unwrap_or(0)
    }

    fn record(&self, channel: ChannelId, end: Option<CallEnd>, now: Now) -> CallRecord {
        let party = |(user, party): (&UserId, &Party)| {
            let duration_ms = self.talked_ms(party, now);
            CallPartyRecord {
                user: *user,
                duration_ms,
                missed: *user != self.caller
                    && duration_ms.is_none()
                    && matches!(party.stage, Stage::Missed | Stage::Ringing { .. }),
            }
        };
        CallRecord {
            id: self.id,
            channel,
            caller: self.caller,
            started_at_ms: self.started_at_ms,
            end,
            parties: self.parties.iter().map(party).collect(),
        }
    }
}

impl Live {
    /// Calls everyone else in a conversation who can be reached. Where a call runs already, this comes into it.
    ///
    /// # Errors
    /// Nobody can be reached: busy, offline, not to be disturbed, blocked; or the caller is in another call.
    pub fn start_call(
        &mut self,
        connection: ConnectionId,
        start: StartCall,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<LiveCall, Failure> {
        let (_, user, device) = self.who_is(connection)?;
        let channel = start.channel_id;
        let record = (self.conversations.get(&channel))
            .filter(|record| record.members.contains(&user))
            .ok_or_else(|| {
                Failure::new(
                    FailureKind::NotFound,
                    "There is no such conversation. Open one with whom you want to call.",
                )
            })?;
        if self.calls.contains_key(&channel) {
            return self.enter_call(user, device, channel, start.end_current, now, out);
        }
        let is_direct = record.kind == ChannelKind::Direct;
        let others = record
            .members
            .iter()
            .copied()
            .filter(|other| *other != user);
        let (mut called, mut missed) = (Vec::new(), Vec::new());
        for other in others.collect::<Vec<_>>() {
            match self.reach(user, other) {
                Ok(()) => called.push(other),
                Err(Unreached::Missed(why)) => missed.push((other, why)),
                Err(Unreached::Refused(why)) if is_direct => return Err(why),
                Err(Unreached::Refused(_)) => {}
            }
        }
        self.may_go(user, channel, start.end_current)?;

        let missing = |other: &UserId| (*other, Party::of(Stage::Missed, now));
        let mut parties: BTreeMap<_, _> = missed.iter().map(|(other, _)| missing(other)).collect();
        let first_missed = missed.first().copied();
        if called.is_empty() && first_missed.is_none() {
            return Err(Failure::new(
                FailureKind::Forbidden,
                "Nobody in this conversation takes calls from you.",
            ));
        }
        self.last_call = CallId(self.last_call.0 + 1);
        if called.is_empty() {
            parties.insert(user, Party::of(Stage::Left, now));
        }
        let call = Call {
            id: self.last_call,
            caller: user,
            started_at_ms: now.unix_ms,
            answered_at_ms: None,
            parties,
        };
        if let Some((other, end)) = first_missed.filter(|_| called.is_empty()) {
            // They hear of it as a missed call.
            keep(&call, channel, Some(end), now, out);
            return Err(if is_direct {
                self.unreached(other, end)
            } else {
                Failure::new(
                    FailureKind::Offline,
                    "Nobody in this group can be reached now. They see a missed call.",
                )
            });
        }
        self.calls.insert(channel, call);
        self.call_channels.insert(self.last_call, channel);
        self.leave_other_call(user, channel, now, out);
        self.rooms.insert(channel, Room::new(None, BITRATE_BPS));
        let until = now.at + RETURN_WITHIN;
        self.set_stage(user, channel, Stage::Connecting { until, device }, now);
        for other in called {
            let until = now.at + RING;
            self.set_stage(other, channel, Stage::Ringing { until }, now);
        }
        keep(&self.calls[&channel], channel, None, now, out);
        self.tell_call(channel, out);
        self.shown_call(channel)
    }

    /// Answers a call, or comes into one that runs. The first device to answer has it.
    ///
    /// # Errors
    /// It is over, another device answered, or another call stands in the way.
    pub fn answer_call(
        &mut self,
        connection: ConnectionId,
        answer: AnswerCall,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<LiveCall, Failure> {
        let (_, user, device) = self.who_is(connection)?;
        let channel = self.call_of(user, answer.call_id).ok_or_else(over)?;
        self.enter_call(user, device, channel, answer.end_current, now, out)
    }

    /// # Errors
    /// Not signed in.
    pub fn reject_call(
        &mut self,
        connection: ConnectionId,
        id: CallId,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<(), Failure> {
        let (_, user, _) = self.who_is(connection)?;
        if let Some(channel) = self.call_of(user, id)
            && self.stage_of(user, channel).is_some_and(Stage::is_ringing)
        {
            self.set_stage(user, channel, Stage::Rejected, now);
            self.settle(channel, CallEnd::Rejected, Some(user), now, out);
        }
        Ok(())
    }

    /// Hangs up, on whatever device the call is; rejects it while it rings.
    ///
    /// # Errors
    /// Not signed in.
    pub fn leave_call(
        &mut self,
        connection: ConnectionId,
        id: CallId,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<(), Failure> {
        let (_, user, _) = self.who_is(connection)?;
        match self.call_of(user, id) {
            Some(channel) if self.in_call.get(&user) == Some(&channel) => {
                self.hang_up_call(user, channel, CallEnd::HungUp, now, out);
                Ok(())
            }
            _ => self.reject_call(connection, id, now, out),
        }
    }

    /// # Errors
    /// Who asks is not in the call, or the other can't be reached.
    pub fn ring_again(
        &mut self,
        connection: ConnectionId,
        ring: RingAgain,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<(), Failure> {
        let (_, user, _) = self.who_is(connection)?;
        let channel = (self.call_of(user, ring.call_id))
            .filter(|channel| self.in_call.get(&user) == Some(channel))
            .ok_or_else(over)?;
        let other = ring.user_id;
        if !self.conversations[&channel].members.contains(&other) {
            let words = "They are not in this conversation.";
            return Err(Failure::new(FailureKind::NotFound, words));
        }
        let stage = self.stage_of(other, channel);
        if stage.is_some_and(|stage| stage.is_present() || stage.is_ringing()) {
            return Ok(());
        }
        self.reach(user, other).map_err(|why| match why {
            Unreached::Missed(end) => self.unreached(other, end),
            Unreached::Refused(failure) => failure,
        })?;
        let until = now.at + RING;
        self.set_stage(other, channel, Stage::Ringing { until }, now);
        self.tell_call(channel, out);
        Ok(())
    }

    pub(super) fn is_in_conversation(&self, user: UserId, channel: ChannelId) -> bool {
        let record = self.conversations.get(&channel);
        record.is_some_and(|record| record.members.contains(&user))
    }

    /// What someone who wants to speak in a conversation may do there.
    pub(super) fn may_talk(
        &self,
        user: UserId,
        device: DeviceId,
        channel: ChannelId,
    ) -> Result<VoiceRights, Failure> {
        match self.stage_of(user, channel) {
            Some(Stage::Away { .. }) => Ok(IN_CALL),
            Some(Stage::Connecting { device: d, .. } | Stage::Talking { device: d }) => {
                if d == device {
                    Ok(IN_CALL)
                } else {
                    Err(elsewhere())
                }
            }
            _ => Err(over()),
        }
    }

    /// Someone's voice is in the call.
    pub(super) fn talks(
        &mut self,
        user: UserId,
        channel: ChannelId,
        device: DeviceId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let talking = Stage::Talking { device };
        let stage = self.stage_of(user, channel);
        if stage.is_some_and(|stage| stage.is_present() && stage != talking) {
            self.set_stage(user, channel, talking, now);
            self.tell_call(channel, out);
        }
    }

    /// Someone's connection is lost, though their voice may go on.
    pub(super) fn waits_for(
        &mut self,
        user: UserId,
        channel: ChannelId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        if matches!(
            self.stage_of(user, channel),
            Some(Stage::Talking { .. } | Stage::Connecting { .. })
        ) {
            let until = now.at + RETURN_WITHIN;
            self.set_stage(user, channel, Stage::Away { until }, now);
            self.tell_call(channel, out);
        }
    }

    /// Nobody is in two calls: going to another channel leaves the call one is in.
    pub(super) fn leave_other_call(
        &mut self,
        user: UserId,
        channel: ChannelId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        if let Some(&other) = self.in_call.get(&user)
            && other != channel
        {
            self.hang_up_call(user, other, CallEnd::HungUp, now, out);
        }
    }

    /// Who is no longer in the conversation is not in its call.
    pub(super) fn only_members_call(
        &mut self,
        channel: ChannelId,
        members: &[UserId],
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let parties = self.calls.get(&channel).map(|call| call.parties.keys());
        let gone = parties
            .into_iter()
            .flatten()
            .filter(|user| !members.contains(user));
        for user in gone.copied().collect::<Vec<_>>() {
            if self.stage_of(user, channel).is_some_and(Stage::is_ringing) {
                self.set_stage(user, channel, Stage::Missed, now);
                self.settle(channel, CallEnd::NotAllowed, None, now, out);
            } else {
                self.hang_up_call(user, channel, CallEnd::NotAllowed, now, out);
            }
        }
    }

    /// One of the two has blocked the other.
    pub(super) fn end_call_between(
        &mut self,
        one: UserId,
        other: UserId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let conversations = self.people.get(&one).map(|person| &person.conversations);
        let theirs = conversations.into_iter().flatten().find(|id| {
            self.calls.contains_key(id)
                && self.conversations.get(id).is_some_and(|record| {
                    record.kind == ChannelKind::Direct && record.members.contains(&other)
                })
        });
        if let Some(&channel) = theirs {
            self.end_call(channel, CallEnd::NotAllowed, None, now, out);
        }
    }

    /// Someone was waited for long enough.
    pub(super) fn wait_over(
        &mut self,
        channel: ChannelId,
        user: UserId,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        if self.stage_of(user, channel).is_some_and(Stage::is_ringing) {
            self.set_stage(user, channel, Stage::Missed, now);
            self.settle(channel, CallEnd::NoAnswer, Some(user), now, out);
        } else {
            self.hang_up_call(user, channel, CallEnd::Lost, now, out);
        }
    }

    pub(super) fn call_view(&self, channel: ChannelId) -> Option<LiveCall> {
        let call = self.calls.get(&channel)?;
        let parties = call.parties.iter();
        Some(LiveCall {
            id: call.id,
            channel_id: channel,
            caller_id: call.caller,
            started_at_ms: call.started_at_ms,
            answered_at_ms: call.answered_at_ms,
            parties: parties
                .map(|(user, party)| CallParty {
                    user_id: *user,
                    state: party.stage.shown(),
                })
                .collect(),
            voice: self.voice_states(channel),
        })
    }

    pub(super) fn tell_call(&self, channel: ChannelId, out: &mut Vec<Output>) {
        if let Some(call) = self.call_view(channel) {
            self.tell_readers(channel, Event::CallUpdated { call }, out);
        }
    }

    pub(super) fn end_call(
        &mut self,
        channel: ChannelId,
        reason: CallEnd,
        by: Option<UserId>,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let rings = |(user, party): (&UserId, &Party)| party.stage.is_ringing().then_some(*user);
        let call = self.calls.get(&channel).map(|call| call.parties.iter());
        for user in call
            .into_iter()
            .flatten()
            .filter_map(rings)
            .collect::<Vec<_>>()
        {
            self.set_stage(user, channel, Stage::Missed, now);
        }
        let Some(call) = self.take_call(channel) else {
            return;
        };
        self.close_room(channel, EndReason::CallOver, LeaveReason::Left, now, out);
        let event = Event::CallEnded {
            call_id: call.id,
            channel_id: channel,
            reason,
            by,
        };
        self.tell_readers(channel, event, out);
        keep(&call, channel, Some(reason), now, out);
    }

    fn enter_call(
        &mut self,
        user: UserId,
        device: DeviceId,
        channel: ChannelId,
        end_current: bool,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<LiveCall, Failure> {
        if let Some(Stage::Connecting { device: d, .. } | Stage::Talking { device: d }) =
            self.stage_of(user, channel)
        {
            // Asked once more, or too late.
            return if d == device {
                self.shown_call(channel)
            } else {
                Err(elsewhere())
            };
        }
        self.may_go(user, channel, end_current)?;
        self.leave_other_call(user, channel, now, out);
        let until = now.at + RETURN_WITHIN;
        self.set_stage(user, channel, Stage::Connecting { until, device }, now);
        // If the server stops now, whoever came has not missed it.
        keep(&self.calls[&channel], channel, None, now, out);
        self.tell_call(channel, out);
        self.shown_call(channel)
    }

    /// Someone in the call is so no longer.
    pub(super) fn hang_up_call(
        &mut self,
        user: UserId,
        channel: ChannelId,
        why: CallEnd,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        if self.in_call.get(&user) != Some(&channel) {
            return;
        }
        self.set_stage(user, channel, Stage::Left, now);
        if self.in_voice.get(&user) == Some(&channel) {
            self.tell_ended(user, channel, EndReason::CallOver, out);
            self.remove(user, channel, LeaveReason::Left, now, out);
        }
        self.settle(channel, why, Some(user), now, out);
    }

    /// Someone left or won't come: the call goes on while there are two sides to it.
    fn settle(
        &mut self,
        channel: ChannelId,
        why: CallEnd,
        by: Option<UserId>,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some(call) = self.calls.get(&channel) else {
            return;
        };
        let count = |fits: fn(Stage) -> bool| {
            let parties = call.parties.values();
            parties.filter(|party| fits(party.stage)).count()
        };
        let present = count(Stage::is_present);
        if present > 0 && present + count(Stage::is_ringing) > 1 {
            return self.tell_call(channel, out);
        }
        let (reason, by) = match (why, call.answered_at_ms) {
            (CallEnd::HungUp, None) => (CallEnd::Cancelled, by),
            // Others had talked before.
            (CallEnd::Rejected | CallEnd::NoAnswer, Some(_)) => (CallEnd::HungUp, None),
            _ => (why, by),
        };
        self.end_call(channel, reason, by, now, out);
    }

    /// The one place where a stage changes: timers and the indices follow.
    fn set_stage(&mut self, user: UserId, channel: ChannelId, stage: Stage, now: Now) {
        let Some(call) = self.calls.get_mut(&channel) else {
            return;
        };
        if stage.is_present() && user != call.caller && call.answered_at_ms.is_none() {
            call.answered_at_ms = Some(now.unix_ms);
        }
        let before = call.stage(user).unwrap_or(Stage::Left);
        let talked_ms = match call.parties.get(&user) {
            Some(party) if before.is_present() && !stage.is_present() => {
                call.talked_since(party.since_ms, now)
            }
            _ => 0,
        };
        let party = (call.parties.entry(user)).or_insert_with(|| Party::of(before, now));
        if stage.is_present() && !before.is_present() {
            party.since_ms = now.unix_ms;
        }
        party.talked_ms += talked_ms;
        party.stage = stage;
        let timer = Timer::CallWait(channel, user);
        if let Some(at) = before.waits_until() {
            self.timers.remove(&(at, timer));
        }
        if let Some(at) = stage.waits_until() {
            self.timers.insert((at, timer));
        }
        let here = |index: &mut BTreeMap<UserId, ChannelId>, is: bool| {
            if is {
                index.insert(user, channel);
            } else if index.get(&user) == Some(&channel) {
                index.remove(&user);
            }
        };
        here(&mut self.in_call, stage.is_present());
        here(&mut self.rung, stage.is_ringing());
    }

    /// Takes a call out of all that knows of it, but for its voice.
    fn take_call(&mut self, channel: ChannelId) -> Option<Call> {
        let call = self.calls.remove(&channel)?;
        self.call_channels.remove(&call.id);
        for (user, party) in &call.parties {
            if let Some(at) = party.stage.waits_until() {
                self.timers.remove(&(at, Timer::CallWait(channel, *user)));
            }
            for index in [&mut self.in_call, &mut self.rung] {
                if index.get(user) == Some(&channel) {
                    index.remove(user);
                }
            }
        }
        Some(call)
    }

    /// Whether `other` can be rung.
    fn reach(&self, user: UserId, other: UserId) -> Result<(), Unreached> {
        let Some(person) = self.people.get(&other) else {
            return Err(Unreached::Missed(CallEnd::Offline));
        };
        let refused = |kind, words: String| Err(Unreached::Refused(Failure::new(kind, words)));
        if person.is_apart_from(user) {
            let words = "You can't call this user: one of you has blocked the other.";
            return refused(FailureKind::Blocked, words.to_owned());
        }
        if person.record.calls_from == CallsFrom::Friends && !person.is_friend(user) {
            let name = person.user().shown_name();
            let words =
                format!("{name} takes calls from friends only. Ask them to be friends first.");
            return refused(FailureKind::FriendsOnly, words);
        }
        let missed = |end| Err(Unreached::Missed(end));
        match person.shown.status {
            Status::Offline => missed(CallEnd::Offline),
            Status::DoNotDisturb => missed(CallEnd::DoNotDisturb),
            Status::Online | Status::Idle if self.is_busy(other) => missed(CallEnd::Busy),
            Status::Online | Status::Idle => Ok(()),
        }
    }

    /// One call more than that which is talked in may ring.
    fn is_busy(&self, user: UserId) -> bool {
        let calls_out = |channel: &ChannelId| {
            let call = self.calls.get(channel);
            call.is_some_and(|call| call.answered_at_ms.is_none())
        };
        self.rung.contains_key(&user) || self.in_call.get(&user).is_some_and(calls_out)
    }

    fn unreached(&self, other: UserId, end: CallEnd) -> Failure {
        let name = self
            .user(other)
            .map_or("This user", |user| user.shown_name());
        match end {
            CallEnd::Busy => Failure::new(
                FailureKind::Busy,
                format!("{name} is in another call. They see that you called."),
            ),
            CallEnd::DoNotDisturb => Failure::new(
                FailureKind::DoNotDisturb,
                format!("{name} does not want to be disturbed. They see that you called."),
            ),
            _ => Failure::new(
                FailureKind::Offline,
                format!("{name} is not there. They see that you called when they are back."),
            ),
        }
    }

    /// Whether someone may go to the call of this channel from where they are.
    fn may_go(&self, user: UserId, channel: ChannelId, end_current: bool) -> Result<(), Failure> {
        match self.in_call.get(&user) {
            Some(other) if *other != channel && !end_current => Err(Failure::new(
                FailureKind::Conflict,
                "You are in another call. End it first.",
            )),
            _ => Ok(()),
        }
    }

    /// Where a call runs, if this user may know of it.
    fn call_of(&self, user: UserId, id: CallId) -> Option<ChannelId> {
        let channel = *self.call_channels.get(&id)?;
        let members = &self.conversations.get(&channel)?.members;
        members.contains(&user).then_some(channel)
    }

    pub(super) fn stage_of(&self, user: UserId, channel: ChannelId) -> Option<Stage> {
        self.calls.get(&channel)?.stage(user)
    }

    fn shown_call(&self, channel: ChannelId) -> Result<LiveCall, Failure> {
        self.call_view(channel).ok_or_else(over)
    }
}

fn keep(call: &Call, channel: ChannelId, end: Option<CallEnd>, now: Now, out: &mut Vec<Output>) {
    let record = Box::new(call.record(channel, end, now));
    out.push(Output::Store(ToStore::Call(record)));
}

fn over() -> Failure {
    Failure::new(FailureKind::NotFound, "This call is over.")
}

fn elsewhere() -> Failure {
    Failure::new(
        FailureKind::Conflict,
        "Another of your devices is in this call already.",
    )
}
