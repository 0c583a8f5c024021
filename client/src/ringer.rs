//! When a call rings: again and again, until it is answered or over.

use std::time::{Duration, Instant};

use voxhall_protocol::control::{PartyState, StatusChoice};
use voxhall_session::{Connection, State};

use crate::audio::Sound;

/// From one ring to the next, where the sound isn't longer.
const RING_EVERY: Duration = Duration::from_millis(2_600);
/// After one that is.
const RING_PAUSE: Duration = Duration::from_millis(800);

/// What is to be done about it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Nothing,
    Play(Sound),
    /// What was played last is not for now any more.
    Hush,
}

/// Which sound of a call was played last, and when it is played again.
#[derive(Debug, Default)]
pub struct Ringer {
    ringing: Option<(Sound, Instant)>,
}

impl Ringer {
    /// What is to be played now, where this is wished for; the ringtone is so long.
    pub fn due(&mut self, wish: Option<Sound>, ringtone: Duration, now: Instant) -> Due {
        let Some(sound) = wish else {
            return match self.ringing.take() {
                Some((Sound::Ring, _)) => Due::Hush,
                _ => Due::Nothing,
            };
        };
        if (self.ringing).is_some_and(|(last, again)| last == sound && now < again) {
            return Due::Nothing;
        }
        let pause = match sound {
            Sound::Ring => RING_EVERY.max(ringtone + RING_PAUSE),
            _ => RING_EVERY,
        };
        self.ringing = Some((sound, now + pause));
        Due::Play(sound)
    }

    /// When to look again.
    pub fn next(&self) -> Option<Instant> {
        self.ringing.map(|(_, again)| again)
    }
}

/// The sound that belongs to how calls stand on all servers: who is called hears that before the ringing at others.
pub fn wish<'a>(states: impl Iterator<Item = &'a State>) -> Option<Sound> {
    let sounds = states.filter_map(wish_of);
    sounds.reduce(|one, other| if one == Sound::Ring { one } else { other })
}

fn wish_of(state: &State) -> Option<Sound> {
    // What rang when the connection was lost may be over, and can't be answered.
    if state.connection != Connection::Online {
        return None;
    }
    if state.incoming_call().is_some() {
        // Whoever does not want to be disturbed sees it, and hears nothing.
        let quiet = state.presence.choice == StatusChoice::DoNotDisturb;
        return (!quiet).then_some(Sound::Ring);
    }
    let me = state.me.as_ref()?.id;
    let call = state.call_here()?;
    let rings = call
        .parties
        .iter()
        .any(|party| party.user_id != me && party.state == PartyState::Ringing);
    (call.answered_at_ms.is_none() && rings).then_some(Sound::RingBack)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use voxhall_protocol::{
        CallId, ChannelId, UserId,
        control::{CallParty, LiveCall, User, UserKind},
    };
    use voxhall_session::Calls;

    use super::*;

    fn state(me: PartyState, other: PartyState, here: bool) -> State {
        let party = |id, state| CallParty {
            user_id: UserId(id),
            state,
        };
        let call = LiveCall {
            id: CallId(1),
            channel_id: ChannelId(5),
            caller_id: UserId(1),
            started_at_ms: 0,
            answered_at_ms: None,
            parties: vec![party(1, me), party(2, other)],
            voice: Vec::new(),
        };
        State {
            connection: Connection::Online,
            me: Some(User::new(UserId(1), "ann", UserKind::Account)),
            calls: Arc::new(Calls {
                running: [(ChannelId(5), call)].into(),
                here: here.then_some(CallId(1)),
                ..Calls::default()
            }),
            ..State::default()
        }
    }

    #[test]
    fn it_rings_again_until_it_is_answered() {
        let mut ringer = Ringer::default();
        let now = Instant::now();
        let rings = state(PartyState::Ringing, PartyState::Talking, false);
        let mut due = |state: &State, now| ringer.due(wish_of(state), Duration::from_secs(1), now);
        assert_eq!(due(&rings, now), Due::Play(Sound::Ring));
        assert_eq!(due(&rings, now + RING_EVERY / 2), Due::Nothing);
        assert_eq!(due(&rings, now + RING_EVERY), Due::Play(Sound::Ring));
        let answered = state(PartyState::Talking, PartyState::Talking, true);
        assert_eq!(due(&answered, now + 2 * RING_EVERY), Due::Hush);
        assert_eq!(due(&answered, now + 2 * RING_EVERY), Due::Nothing);
        let calling = state(PartyState::Talking, PartyState::Ringing, true);
        assert_eq!(due(&calling, now), Due::Play(Sound::RingBack));
        let elsewhere = state(PartyState::Talking, PartyState::Ringing, false);
        assert_eq!(due(&elsewhere, now), Due::Nothing);
        assert_eq!(ringer.next(), None);
    }

    #[test]
    fn a_long_ringtone_is_heard_to_its_end_before_it_begins_anew() {
        let mut ringer = Ringer::default();
        let now = Instant::now();
        let rings = wish_of(&state(PartyState::Ringing, PartyState::Talking, false));
        let long = Duration::from_secs(9);
        assert_eq!(ringer.due(rings, long, now), Due::Play(Sound::Ring));
        assert_eq!(ringer.due(rings, long, now + long), Due::Nothing);
        let again = now + long + RING_PAUSE;
        assert_eq!(ringer.next(), Some(again));
        assert_eq!(ringer.due(rings, long, again), Due::Play(Sound::Ring));
    }

    #[test]
    fn what_rang_when_the_connection_was_lost_rings_no_longer() {
        let mut rings = state(PartyState::Ringing, PartyState::Talking, false);
        assert_eq!(wish_of(&rings), Some(Sound::Ring));
        rings.connection = Connection::Connecting;
        assert_eq!(wish_of(&rings), None);
    }

    #[test]
    fn a_call_at_oneself_is_heard_before_those_at_others_on_whatever_server() {
        let rings = state(PartyState::Ringing, PartyState::Talking, false);
        let calling = state(PartyState::Talking, PartyState::Ringing, true);
        let quiet = State::default();
        assert_eq!(wish([&calling, &quiet].into_iter()), Some(Sound::RingBack));
        for both in [[&calling, &rings], [&rings, &calling]] {
            assert_eq!(wish(both.into_iter()), Some(Sound::Ring));
        }
        assert_eq!(wish([&quiet].into_iter()), None);
    }
}
