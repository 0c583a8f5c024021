//! What a media thread knows of one voice session.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use voxhall_protocol::{
    SenderIndex, Ssrc, VoiceSessionId,
    voice::{CHALLENGE_LEN, HopReceiver, RtcpReceiver, RtcpSender, StunKey},
};

use crate::{
    loudest::Voice,
    rate::{Limits, SpeakerBudget},
    reports::SpeakerReport,
    routes::SessionRoute,
    slab::Slot,
};

/// At most this often is a session asked to prove a new path.
const CHALLENGE_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(crate) struct Session {
    pub id: VoiceSessionId,
    pub ssrc: Ssrc,
    pub sender: SenderIndex,
    /// Where its channel is in the thread's tables.
    pub channel: Slot,
    pub may_speak: bool,
    pub deafened: bool,
    pub takes_bundles: bool,
    /// The proven address: nothing is sent anywhere else but answers and challenges.
    pub path: Option<SocketAddr>,
    /// Its place among the listeners of its channel.
    pub place: Option<u32>,
    pub hop: HopReceiver,
    pub rtcp_up: RtcpReceiver,
    pub rtcp_down: RtcpSender,
    pub stun: StunKey,
    pub budget: SpeakerBudget,
    pub voice: Voice,
    /// Counts the moves of the path that were begun, so that a nonce made before one is worthless after it.
    pub generation: u32,
    pub moving: Moving,
    pub speaking: bool,
    pub timed_out: bool,
    /// Made with the first report, as most say nothing.
    pub report: Option<Box<SpeakerReport>>,
    /// Before that, what it says of others counts for nothing.
    pub next_report: Instant,
    unproven: Unproven,
}

/// Whether a path is about to move.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moving {
    /// `before`: where the path has come from by asking. Going back there needs no asking, once: else somebody who relayed a proof while the
    /// questions were lost could relay the answers that keep it, too.
    Settled { before: Option<SocketAddr> },
    /// It can be reached at `to`, unless it answers at the old address as well.
    Asking {
        to: SocketAddr,
        asked: u8,
        next: Instant,
    },
}

/// Where the session was heard from last beside its path, and how many bytes came from there since the last challenge:
/// a challenge is never larger than them.
#[derive(Debug)]
struct Unproven {
    from: Option<SocketAddr>,
    bytes: usize,
    next_challenge: Instant,
}

impl Session {
    pub fn new(route: &SessionRoute, channel: Slot, limits: &Limits, now: Instant) -> Self {
        Self {
            id: route.id,
            ssrc: route.ssrc,
            sender: route.sender,
            channel,
            may_speak: route.may_speak,
            deafened: route.deafened,
            takes_bundles: route.takes_bundles,
            path: None,
            place: None,
            stun: route.keys.stun.clone(),
            hop: HopReceiver::new(route.keys.hop_up.clone()),
            rtcp_up: RtcpReceiver::new(route.keys.hop_up.clone()),
            rtcp_down: RtcpSender::new(route.keys.hop_down.clone()),
            budget: SpeakerBudget::full(limits, route.bitrate_bps, now),
            voice: Voice::default(),
            generation: 0,
            moving: Moving::Settled { before: None },
            speaking: false,
            timed_out: false,
            report: None,
            next_report: now,
            unproven: Unproven {
                from: None,
                bytes: 0,
                next_challenge: now,
            },
        }
    }

    /// Notes where a genuine datagram came from; says whether to challenge its sender there now.
    pub fn wants_proof(&mut self, now: Instant, from: SocketAddr, len: usize) -> bool {
        let proven =
            matches!(self.moving, Moving::Asking { to, .. } if to == from && self.path.is_some());
        if self.path == Some(from) || proven {
            return false;
        }
        let unproven = &mut self.unproven;
        if unproven.from != Some(from) {
            unproven.from = Some(from);
            unproven.bytes = 0;
        }
        unproven.bytes = unproven.bytes.saturating_add(len);
        let due = unproven.bytes >= CHALLENGE_LEN && now >= unproven.next_challenge;
        if due {
            unproven.bytes = 0;
            unproven.next_challenge = now + CHALLENGE_EVERY;
        }
        due
    }
}
