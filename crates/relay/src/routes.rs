//! Who is in which channel and what they may do: told by the control plane, in order, to every media thread.
//!
//! Published changes form a chain of which each link is immutable: a thread holds the link that it has come to, and finds
//! the next with one atomic load. What a change costs does not depend on how many sessions there are, the control plane waits
//! for no thread, and no thread waits for it or for another. A link is freed when all have passed it.

use std::sync::{Arc, OnceLock};

use voxhall_protocol::{ChannelId, SenderIndex, Ssrc, VoiceSessionId, voice::SessionKeys};

use crate::slab::Index;

/// One voice session as the relay needs to know it.
#[derive(Clone, Debug)]
pub struct SessionRoute {
    pub id: VoiceSessionId,
    /// Unique on this server.
    pub ssrc: Ssrc,
    /// Unique in its channel while any key it was used with lives.
    pub sender: SenderIndex,
    pub keys: SessionKeys,
    pub channel: ChannelId,
    pub may_speak: bool,
    /// Nothing is sent to who is deafened.
    pub deafened: bool,
    /// The client reads bundles.
    pub takes_bundles: bool,
    /// Of the sound it sends, as it was granted.
    pub bitrate_bps: u32,
}

/// What the media threads are told.
#[derive(Debug)]
pub(crate) enum Change {
    Add(Box<SessionRoute>),
    Rights {
        session: VoiceSessionId,
        may_speak: bool,
        deafened: bool,
    },
    Remove(VoiceSessionId),
}

/// The control plane's end: change something, then [`publish`](Self::publish).
#[derive(Debug)]
pub struct Routes {
    sessions: Index<VoiceSessionId, Ssrc>,
    by_ssrc: Index<Ssrc, VoiceSessionId>,
    changes: Vec<Change>,
    newest: Arc<Link>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    #[error("voice session {0} is in the table already")]
    DuplicateSession(VoiceSessionId),
    #[error("SSRC {0} belongs to another voice session")]
    DuplicateSsrc(Ssrc),
}

impl Routes {
    /// No sessions yet, and the feed of a media thread. Further threads get clones of it, made before the first takes anything.
    #[must_use]
    pub fn new() -> (Self, RouteFeed) {
        let newest = Arc::new(Link::default());
        let feed = RouteFeed {
            at: Arc::clone(&newest),
            taken: 0,
        };
        let routes = Self {
            sessions: Index::new(),
            by_ssrc: Index::new(),
            changes: Vec::new(),
            newest,
        };
        (routes, feed)
    }

    pub fn insert(&mut self, route: SessionRoute) -> Result<(), RouteError> {
        if self.sessions.get(route.id).is_some() {
            return Err(RouteError::DuplicateSession(route.id));
        }
        if self.by_ssrc.get(route.ssrc).is_some() {
            return Err(RouteError::DuplicateSsrc(route.ssrc));
        }
        self.sessions.insert(route.id, route.ssrc);
        self.by_ssrc.insert(route.ssrc, route.id);
        self.changes.push(Change::Add(Box::new(route)));
        Ok(())
    }

    /// Says whether the session was there.
    pub fn remove(&mut self, id: VoiceSessionId) -> bool {
        let Some(ssrc) = self.sessions.remove(id) else {
            return false;
        };
        self.by_ssrc.remove(ssrc);
        self.changes.push(Change::Remove(id));
        true
    }

    /// Says whether the session is there.
    pub fn set_rights(&mut self, id: VoiceSessionId, may_speak: bool, deafened: bool) -> bool {
        let found = self.sessions.get(id).is_some();
        if found {
            self.changes.push(Change::Rights {
                session: id,
                may_speak,
                deafened,
            });
        }
        found
    }

    /// Lets the media threads see what has changed since the last call.
    pub fn publish(&mut self) {
        if self.changes.is_empty() {
            return;
        }
        let link = Arc::new(Link {
            changes: self.changes.drain(..).collect(),
            next: OnceLock::new(),
        });
        let before = std::mem::replace(&mut self.newest, Arc::clone(&link));
        before
            .next
            .set(link)
            .expect("only the newest link is given a next one, once");
    }
}

/// A media thread's end. Whoever holds one must go on taking from it: what it has still to tell is kept.
#[derive(Clone, Debug)]
pub struct RouteFeed {
    at: Arc<Link>,
    /// How many changes of the link have been taken.
    taken: usize,
}

impl RouteFeed {
    pub(crate) fn next(&mut self) -> Option<&Change> {
        while self.taken == self.at.changes.len() {
            let next = Arc::clone(self.at.next.get()?);
            self.at = next;
            self.taken = 0;
        }
        self.taken += 1;
        self.at.changes.get(self.taken - 1)
    }
}

/// Changes that were published together, and those that followed.
#[derive(Debug, Default)]
struct Link {
    changes: Box<[Change]>,
    next: OnceLock<Arc<Link>>,
}

impl Drop for Link {
    /// One after another: a long chain, dropped from within itself, would overflow the stack.
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(link) = next {
            next = Arc::into_inner(link).and_then(|mut link| link.next.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use voxhall_protocol::SessionSecret;

    use super::*;

    fn route(n: u32) -> SessionRoute {
        SessionRoute {
            id: VoiceSessionId(n.into()),
            ssrc: Ssrc(n),
            sender: SenderIndex(n as u16),
            keys: SessionKeys::derive(&SessionSecret([n as u8; 32])),
            channel: ChannelId(1),
            may_speak: true,
            deafened: false,
            takes_bundles: false,
            bitrate_bps: 64_000,
        }
    }

    fn take_all(feed: &mut RouteFeed) -> Vec<String> {
        let mut taken = Vec::new();
        while let Some(change) = feed.next() {
            taken.push(match change {
                Change::Add(route) => format!("+{}", route.ssrc.0),
                Change::Rights { session, .. } => format!("~{}", session.0),
                Change::Remove(session) => format!("-{}", session.0),
            });
        }
        taken
    }

    #[test]
    fn every_thread_is_told_everything_in_order_however_far_it_is_behind() {
        let (mut routes, mut quick) = Routes::new();
        let mut slow = quick.clone();
        routes.insert(route(1)).unwrap();
        assert!(take_all(&mut quick).is_empty(), "not published yet");
        routes.publish();
        assert_eq!(take_all(&mut quick), ["+1"]);
        routes.insert(route(2)).unwrap();
        assert!(routes.set_rights(VoiceSessionId(1), false, false));
        routes.publish();
        assert!(routes.remove(VoiceSessionId(1)));
        routes.publish();
        routes.publish();
        assert_eq!(take_all(&mut quick), ["+2", "~1", "-1"]);
        assert_eq!(take_all(&mut slow), ["+1", "+2", "~1", "-1"]);
        assert!(take_all(&mut slow).is_empty());
    }

    #[test]
    fn ids_and_ssrcs_are_unique_and_free_again_when_their_session_is_gone() {
        let (mut routes, _) = Routes::new();
        routes.insert(route(1)).unwrap();
        let again = RouteError::DuplicateSession(VoiceSessionId(1));
        assert_eq!(routes.insert(route(1)), Err(again));
        let same_ssrc = SessionRoute {
            id: VoiceSessionId(2),
            ..route(1)
        };
        let taken = RouteError::DuplicateSsrc(Ssrc(1));
        assert_eq!(routes.insert(same_ssrc.clone()), Err(taken));
        assert!(!routes.remove(VoiceSessionId(2)));
        assert!(!routes.set_rights(VoiceSessionId(2), true, true));
        assert!(routes.remove(VoiceSessionId(1)));
        routes.insert(same_ssrc).unwrap();
    }

    #[test]
    fn a_long_chain_that_nobody_read_is_dropped_without_a_deep_stack_and_a_read_one_is_freed() {
        let (mut routes, mut feed) = Routes::new();
        let behind = feed.clone();
        routes.insert(route(1)).unwrap();
        routes.publish();
        assert!(feed.next().is_some());
        let first = Arc::downgrade(&feed.at);
        for _ in 0..200_000 {
            routes.set_rights(VoiceSessionId(1), true, true);
            routes.publish();
        }
        while feed.next().is_some() {}
        assert!(first.upgrade().is_some(), "one thread has not read it yet");
        drop(behind);
        assert!(first.upgrade().is_none());
    }
}
