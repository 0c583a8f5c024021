//! One voice channel: who is in it, and the key they share.

use std::{collections::BTreeMap, time::Instant};

use voxhall_protocol::{
    BaseKey, ChannelId, DeviceId, Epoch, GuildId, SenderIndex, SessionSecret, Ssrc, UserId,
    VoiceSessionId,
    control::{EpochKey, RequestId, VoiceState},
};

use super::{SessionId, voice_rights::VoiceRights};

pub(super) struct Room {
    /// None: of a call.
    pub guild: Option<GuildId>,
    pub bitrate_bps: u32,
    pub participants: BTreeMap<UserId, Participant>,
    /// None until the first join.
    pub key: Option<EpochKey>,
    next_sender: u16,
    pub rekeyed_at: Option<Instant>,
    /// Keys change then, for those who came and left since the last change.
    pub rekey_due: Option<Instant>,
}

pub(super) struct Participant {
    pub device: DeviceId,
    pub control: Control,
    pub session: VoiceSessionId,
    pub secret: SessionSecret,
    pub ssrc: Ssrc,
    pub sender_index: SenderIndex,
    /// The channel's when they joined: what their client was told, and is held to.
    pub bitrate_bps: u32,
    pub muted: bool,
    pub deafened: bool,
    pub rights: VoiceRights,
    /// When the timeout is over that keeps them silent.
    pub timeout_over: Option<Instant>,
    pub speaking: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Control {
    /// Has no key yet: `voice.join` is answered with the next one.
    Joining(SessionId, RequestId),
    Attached(SessionId),
    /// The session's connection is lost; the participant leaves at that time.
    LostUntil(Instant, SessionId),
}

impl Control {
    pub fn session(self) -> SessionId {
        match self {
            Self::Joining(session, _) | Self::Attached(session) | Self::LostUntil(_, session) => {
                session
            }
        }
    }
}

impl Room {
    pub fn new(guild: Option<GuildId>, bitrate_bps: u32) -> Self {
        Self {
            guild,
            bitrate_bps,
            participants: BTreeMap::new(),
            key: None,
            next_sender: 0,
            rekeyed_at: None,
            rekey_due: None,
        }
    }

    /// An index that nobody here has. It counts up, so one comes back only after 65,536 joins, when no key it was used with lives.
    pub fn new_sender_index(&mut self) -> SenderIndex {
        loop {
            let index = SenderIndex(self.next_sender);
            self.next_sender = self.next_sender.wrapping_add(1);
            if self.participants.values().all(|p| p.sender_index != index) {
                return index;
            }
        }
    }

    /// Begins the next epoch.
    pub fn set_key(&mut self, base_key: BaseKey, now: Instant) -> EpochKey {
        let epoch = self
            .key
            .as_ref()
            .map_or(Epoch(0), |key| Epoch(key.epoch.0.wrapping_add(1)));
        let key = EpochKey { epoch, base_key };
        self.key = Some(key.clone());
        self.rekeyed_at = Some(now);
        self.rekey_due = None;
        key
    }

    pub fn states(&self, channel_id: ChannelId) -> impl Iterator<Item = VoiceState> {
        self.participants
            .iter()
            .map(move |(user, participant)| participant.state(channel_id, *user))
    }
}

impl Participant {
    pub fn state(&self, channel_id: ChannelId, user_id: UserId) -> VoiceState {
        VoiceState {
            channel_id,
            user_id,
            ssrc: self.ssrc,
            sender_index: self.sender_index,
            muted: self.muted,
            deafened: self.deafened,
            suppressed: self.rights.suppressed,
            server_deafened: self.rights.deafened,
            speaking: self.speaking,
        }
    }
}
