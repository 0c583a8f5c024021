//! All sessions of a media thread, and who listens in each channel.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use voxhall_protocol::{ChannelId, Ssrc, VoiceSessionId, voice::AudioLevel};

use crate::{
    counters::DropReason,
    loudest::Loudest,
    rate::Limits,
    routes::Change,
    session::Session,
    slab::{Index, Row, Slab, Slot},
};

/// A session is looked at for its silence this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Who is sent what is said in a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listener {
    pub address: SocketAddr,
    pub slot: Slot,
    pub takes_bundles: bool,
}

#[derive(Debug)]
struct Channel {
    id: ChannelId,
    members: u32,
    /// Exactly the members with a path who are not deafened; addresses in a row, as they are read for each frame.
    listeners: Vec<Listener>,
    /// Where not all are heard.
    loudest: Option<Loudest>,
}

#[derive(Debug)]
pub(crate) struct Members {
    sessions: Slab<Session>,
    by_id: Index<VoiceSessionId, Slot>,
    by_ssrc: Index<Ssrc, Slot>,
    channels: Slab<Channel>,
    by_channel: Index<ChannelId, Slot>,
    /// When each last proved itself, in milliseconds; [`NEVER_OLD`] where no silence counts.
    heard: Row,
    /// When each last said more than silence, in milliseconds.
    voice: Row,
    started: Instant,
    looked_at: Instant,
    next_look: usize,
}

const NEVER_OLD: u64 = u64::MAX;

impl Members {
    pub fn new(now: Instant) -> Self {
        Self {
            sessions: Slab::new(),
            by_id: Index::new(),
            by_ssrc: Index::new(),
            channels: Slab::new(),
            by_channel: Index::new(),
            heard: Row::new(NEVER_OLD),
            voice: Row::new(0),
            started: now,
            looked_at: now,
            next_look: 0,
        }
    }

    pub fn by_id(&self, id: VoiceSessionId) -> Result<Slot, DropReason> {
        self.by_id.get(id).ok_or(DropReason::UnknownSession)
    }

    pub fn by_ssrc(&self, ssrc: Ssrc) -> Result<Slot, DropReason> {
        self.by_ssrc.get(ssrc).ok_or(DropReason::UnknownSession)
    }

    /// The session in this slot, unless it timed out.
    pub fn live(&mut self, slot: Slot) -> Result<&mut Session, DropReason> {
        match self.sessions.get_mut(slot) {
            Some(session) if session.timed_out => Err(DropReason::TimedOut),
            Some(session) => Ok(session),
            None => Err(DropReason::UnknownSession),
        }
    }

    /// By the slot that a session has its channel in.
    pub fn listeners(&self, channel: Slot) -> &[Listener] {
        self.channels
            .get(channel)
            .map_or(&[], |channel| &channel.listeners)
    }

    /// Whether a frame of this speaker is among the loudest of its channel.
    pub fn admits(&mut self, now: Instant, slot: Slot, level: Option<AudioLevel>) -> bool {
        let Some(session) = self.sessions.get_mut(slot) else {
            return false;
        };
        let channel = self.channels.get_mut(session.channel);
        match channel.and_then(|channel| channel.loudest.as_mut()) {
            Some(loudest) => loudest.admits(now, slot, level, &mut session.voice),
            None => true,
        }
    }

    /// Where a session stands among the listeners of its channel.
    pub fn place(&self, slot: Slot) -> Option<u32> {
        self.sessions.get(slot)?.place
    }

    pub fn apply(&mut self, change: &Change, limits: &Limits, now: Instant) {
        match change {
            Change::Add(route) => {
                let channel = self.enter(route.channel, limits);
                let slot = self
                    .sessions
                    .insert(Session::new(route, channel, limits, now));
                self.by_id.insert(route.id, slot);
                self.by_ssrc.insert(route.ssrc, slot);
                self.heard(slot, now);
                self.voice.set(slot, 0);
            }
            Change::Rights {
                session,
                may_speak,
                deafened,
            } => {
                let slot = self.by_id.get(*session);
                if let Some((slot, session)) =
                    slot.and_then(|slot| Some((slot, self.sessions.get_mut(slot)?)))
                {
                    session.may_speak = *may_speak;
                    session.deafened = *deafened;
                    self.list(slot);
                }
            }
            Change::Remove(id) => {
                if let Some(slot) = self.by_id.remove(*id) {
                    self.set_path(slot, None);
                    self.heard.set(slot, NEVER_OLD);
                    if let Some(session) = self.sessions.remove(slot) {
                        self.by_ssrc.remove(session.ssrc);
                        self.leave(slot, session.channel);
                    }
                }
            }
        }
    }

    /// The only place where a path changes.
    pub fn set_path(&mut self, slot: Slot, path: Option<SocketAddr>) {
        if let Some(session) = self.sessions.get_mut(slot) {
            session.path = path;
            self.list(slot);
        }
    }

    /// Notes that a session has proved itself.
    pub fn heard(&mut self, slot: Slot, now: Instant) {
        self.heard.set(slot, self.ms(now));
    }

    /// Notes that a session has said something.
    pub fn spoke(&mut self, slot: Slot, now: Instant) {
        self.voice.set(slot, self.ms(now));
    }

    /// How long ago a session has said something.
    pub fn silence(&self, slot: Slot, now: Instant) -> Duration {
        Duration::from_millis(self.ms(now).saturating_sub(self.voice.get(slot)))
    }

    /// Looks for sessions that have been silent for so long, at as many of all as are due since the last call. `tell` says whether
    /// it could tell of one; if not, it is asked again.
    pub fn time_out(
        &mut self,
        now: Instant,
        after: Duration,
        mut tell: impl FnMut(VoiceSessionId) -> bool,
    ) {
        let since = now.saturating_duration_since(self.looked_at);
        self.looked_at = now;
        let all = self.heard.len();
        let share = since.as_secs_f64() / LOOK_EVERY.as_secs_f64();
        let due = ((all as f64 * share).ceil() as usize).min(all);
        let now_ms = self.ms(now);
        for _ in 0..due {
            if self.next_look >= all {
                self.next_look = 0;
            }
            let slot = self.next_look as Slot;
            self.next_look += 1;
            if u128::from(now_ms.saturating_sub(self.heard.get(slot))) < after.as_millis() {
                continue;
            }
            let Some(session) = self.sessions.get_mut(slot) else {
                continue;
            };
            if tell(session.id) {
                session.timed_out = true;
                self.heard.set(slot, NEVER_OLD);
                self.set_path(slot, None);
            }
        }
    }

    fn ms(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_millis() as u64
    }

    fn enter(&mut self, id: ChannelId, limits: &Limits) -> Slot {
        let slot = self.by_channel.get(id).unwrap_or_else(|| {
            let slot = self.channels.insert(Channel {
                id,
                members: 0,
                listeners: Vec::new(),
                loudest: limits.loudest.map(|most| Loudest::of(most.into())),
            });
            self.by_channel.insert(id, slot);
            slot
        });
        if let Some(channel) = self.channels.get_mut(slot) {
            channel.members += 1;
        }
        slot
    }

    fn leave(&mut self, slot: Slot, channel_slot: Slot) {
        let Some(channel) = self.channels.get_mut(channel_slot) else {
            return;
        };
        channel.members -= 1;
        if let Some(loudest) = &mut channel.loudest {
            loudest.forget(slot);
        }
        if channel.members == 0 {
            let id = channel.id;
            self.channels.remove(channel_slot);
            self.by_channel.remove(id);
        }
    }

    /// Puts a session where it belongs: among the listeners of its channel, or not.
    fn list(&mut self, slot: Slot) {
        let Some(session) = self.sessions.get_mut(slot) else {
            return;
        };
        let Some(channel) = self.channels.get_mut(session.channel) else {
            return;
        };
        let listeners = &mut channel.listeners;
        let to = session.path.filter(|_| !session.deafened);
        match (session.place, to) {
            (None, Some(address)) => {
                session.place = Some(listeners.len() as u32);
                listeners.push(Listener {
                    address,
                    slot,
                    takes_bundles: session.takes_bundles,
                });
            }
            (Some(at), Some(address)) => listeners[at as usize].address = address,
            (Some(at), None) => {
                session.place = None;
                listeners.swap_remove(at as usize);
                // The last one has come to the free place.
                if let Some(moved) = listeners.get(at as usize)
                    && let Some(session) = self.sessions.get_mut(moved.slot)
                {
                    session.place = Some(at);
                }
            }
            (None, None) => {}
        }
    }
}
