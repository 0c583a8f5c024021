//! What packets change about one voice session.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use voxhall_protocol::{
    VoiceSessionId,
    voice::{CHALLENGE_LEN, HopReceiver, RtcpReceiver, RtcpSender},
};

use crate::{
    rate::{Limits, SpeakerBudget},
    reports::SpeakerReport,
    routes::SessionRoute,
};

/// At most this often is a session asked to prove a new path.
const CHALLENGE_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(crate) struct Session {
    pub id: VoiceSessionId,
    pub hop: HopReceiver,
    pub rtcp_up: RtcpReceiver,
    pub rtcp_down: RtcpSender,
    pub budget: SpeakerBudget,
    /// Counts the moves of the path, so that a nonce made before one is worthless after it.
    pub generation: u32,
    /// Last packet that proved the session.
    pub last_heard: Instant,
    /// Last frame that was more than silence.
    pub last_voice: Instant,
    pub speaking: bool,
    pub timed_out: bool,
    pub report: SpeakerReport,
    unproven: Unproven,
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
    pub fn new(route: &SessionRoute, limits: &Limits, now: Instant) -> Self {
        Self {
            id: route.id,
            hop: HopReceiver::new(route.keys.hop_up.clone()),
            rtcp_up: RtcpReceiver::new(route.keys.hop_up.clone()),
            rtcp_down: RtcpSender::new(route.keys.hop_down.clone()),
            budget: SpeakerBudget::full(limits, now),
            generation: 0,
            last_heard: now,
            last_voice: now,
            speaking: false,
            timed_out: false,
            report: SpeakerReport::default(),
            unproven: Unproven {
                from: None,
                bytes: 0,
                next_challenge: now,
            },
        }
    }

    /// Notes a genuine datagram from beside the path; says whether to challenge its sender now.
    pub fn heard_beside_path(&mut self, now: Instant, from: SocketAddr, len: usize) -> bool {
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
