//! What waits to be sent to one connection.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::{Notify, watch};
use voxhall_protocol::{
    control::{Event, EventFrame},
    limits::MAX_BACKLOG_BYTES,
};

use super::Counted;
use crate::live::HangUp;

/// Room for so many messages is kept while nothing waits.
const IDLE_QUEUE: usize = 16;

/// A bounded queue: who reads too slowly loses it, and is cut off.
#[derive(Default)]
pub struct Outbox {
    state: Mutex<State>,
    /// For who sends.
    changed: Notify,
    /// For everyone else.
    ended: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// What all that waits counts against the limit.
    bytes: usize,
    /// Number of the last event that was sent.
    seq: u64,
    /// A request is being answered: the end waits for the answer.
    answering: bool,
    end: Option<End>,
}

struct Waiting {
    what: What,
    /// Against the limit.
    counted: usize,
}

enum What {
    Text(String),
    Event(u64, Arc<EventText>),
}

/// An event's text, shared by all who are told it.
pub struct EventText {
    event: EventFrame,
    /// Where the bytes of all frames are counted.
    kept: Arc<AtomicUsize>,
}

impl EventText {
    pub fn new(event: &Event, kept: &Arc<AtomicUsize>) -> Self {
        let frame = Self {
            event: EventFrame::new(event),
            kept: Arc::clone(kept),
        };
        kept.fetch_add(frame.max_len(), Ordering::Relaxed);
        frame
    }

    pub fn max_len(&self) -> usize {
        self.event.max_len()
    }
}

impl Counted for Arc<EventText> {
    fn bytes(&self) -> usize {
        self.max_len()
    }
}

impl Drop for EventText {
    fn drop(&mut self) {
        self.kept.fetch_sub(self.max_len(), Ordering::Relaxed);
    }
}

/// Why the server hangs up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// More waited for this connection than may, or nothing of it could be sent for too long.
    TooSlow,
    /// It sent requests far faster than it may, and went on when they were refused.
    Flood,
    /// Nothing came from the client for too long.
    Silent,
    /// It was open for too long without signing in.
    NotSignedIn,
    /// It sent what is no text of this protocol.
    Unreadable(&'static str),
    TooLong,
    /// This device signed out.
    SignedOut,
    /// An administrator closed this account for a time.
    Suspended,
    /// The account is no more.
    AccountDeleted,
    /// The address may not use this server any more.
    Banned,
    /// The same user opened more connections than one may have; this was the oldest.
    TooMany,
    ShuttingDown {
        reason: String,
        reconnect_after_ms: u32,
    },
    /// The session goes on with another connection.
    Resumed,
    /// The other side did, or the line is dead.
    Gone,
}

pub enum Next {
    Text(String),
    End(End),
}

impl Outbox {
    /// An answer.
    pub fn push(&self, text: String) {
        let bytes = text.len();
        self.add(What::Text(text), bytes);
    }

    pub fn push_event(&self, seq: u64, event: Arc<EventText>) {
        let bytes = event.max_len();
        self.add(What::Event(seq, event), bytes);
    }

    /// What a session builds upon, and all that it missed since the event of that number. However much it is, it must leave room for
    /// what happens while it is on its way, so it counts for nothing; a [`Log`](super::Log) is bounded by itself.
    pub fn push_missed<'a>(
        &self,
        answer: String,
        seq: u64,
        missed: impl Iterator<Item = (u64, &'a Arc<EventText>)>,
    ) {
        self.lock().seq = seq;
        self.add(What::Text(answer), 0);
        for (seq, frame) in missed {
            self.add(What::Event(seq, Arc::clone(frame)), 0);
        }
    }

    /// A request is being answered, or no longer is.
    pub fn set_answering(&self, answering: bool) {
        self.lock().answering = answering;
        self.changed.notify_one();
    }

    /// Hangs up when what waits has been sent, or can't be. The first reason counts.
    pub fn end(&self, end: End) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        if state.is_given_up() {
            state.drop_waiting();
        }
        drop(state);
        self.tell_ended();
    }

    /// Returns once there is a reason to hang up: nothing is to be done for this connection any longer.
    pub async fn ended(&self) {
        // The sender lives as long as this does.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    fn tell_ended(&self) {
        self.ended.send_replace(true);
        self.changed.notify_one();
    }

    pub async fn next(&self) -> Next {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.changed.notified().await;
        }
    }

    /// Returns when there is no sense in waiting for this reader any longer.
    pub async fn cut_off(&self) {
        while !self.lock().is_given_up() {
            self.changed.notified().await;
        }
    }

    /// Number of the last event that was sent.
    pub fn last_seq(&self) -> u64 {
        self.lock().seq
    }

    fn take(&self) -> Option<Next> {
        let mut state = self.lock();
        let Some(Waiting { what, counted }) = state.waiting.pop_front() else {
            let waits_for_answer = state.answering && !state.is_given_up();
            return state
                .end
                .clone()
                .filter(|_| !waits_for_answer)
                .map(Next::End);
        };
        state.bytes -= counted;
        if state.waiting.is_empty() && state.waiting.capacity() > IDLE_QUEUE {
            state.waiting = VecDeque::new();
        }
        Some(Next::Text(match what {
            What::Text(text) => text,
            What::Event(seq, frame) => {
                state.seq = seq;
                frame.event.numbered(seq)
            }
        }))
    }

    fn add(&self, what: What, bytes: usize) {
        let mut state = self.lock();
        let is_answer = matches!(what, What::Text(_));
        if state.end.is_some() && !(is_answer && state.answering && !state.is_given_up()) {
            return;
        }
        let counted = counted(bytes);
        if state.bytes + counted > MAX_BACKLOG_BYTES {
            state.drop_waiting();
            state.end = Some(End::TooSlow);
            drop(state);
            self.tell_ended();
        } else {
            state.waiting.push_back(Waiting { what, counted });
            state.bytes += counted;
            drop(state);
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics with this lock")
    }
}

impl State {
    /// There is no sense in sending anything.
    fn is_given_up(&self) -> bool {
        matches!(self.end, Some(End::TooSlow | End::Gone))
    }

    fn drop_waiting(&mut self) {
        self.waiting.clear();
        self.bytes = 0;
    }
}

/// What a message counts against the limit. A whole guild that one has just joined is one message, may be longer than the limit, and
/// comes once; it must leave room for what happens while it is on its way.
fn counted(bytes: usize) -> usize {
    bytes.min(MAX_BACKLOG_BYTES / 2)
}

impl From<HangUp> for End {
    fn from(why: HangUp) -> Self {
        match why {
            HangUp::TooMany => Self::TooMany,
            HangUp::SignedOut => Self::SignedOut,
            HangUp::Suspended => Self::Suspended,
            HangUp::Deleted => Self::AccountDeleted,
            HangUp::Resumed => Self::Resumed,
        }
    }
}

impl End {
    /// For the `session.closed` event: words for people.
    pub fn reason(&self) -> &str {
        match self {
            Self::TooSlow => "this connection read too slowly, and too much was waiting for it",
            Self::Flood => "this app sent far more requests than it may",
            Self::Silent => "nothing was heard from this app for too long",
            Self::NotSignedIn => "nobody signed in on this connection",
            Self::Unreadable(why) => why,
            Self::TooLong => "a message was longer than 64 KiB",
            Self::SignedOut => "this device signed out",
            Self::Suspended => "this account is suspended",
            Self::AccountDeleted => "this account was deleted",
            Self::Banned => "this address may not use this server any more",
            Self::TooMany => "this user opened too many connections; the oldest was ended",
            Self::ShuttingDown { reason, .. } => reason,
            Self::Resumed => "this app came back on another connection",
            Self::Gone => "this app hung up",
        }
    }

    pub fn reconnect_after_ms(&self) -> u32 {
        match self {
            Self::ShuttingDown {
                reconnect_after_ms, ..
            } => *reconnect_after_ms,
            // So that nine apps of one user don't drive each other out in turns all the time.
            Self::TooMany | Self::Flood => 30_000,
            _ => 1_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use voxhall_protocol::UserId;

    use super::*;

    fn text(next: Next) -> String {
        match next {
            Next::Text(text) => text,
            Next::End(end) => panic!("ended: {end:?}"),
        }
    }

    #[tokio::test]
    async fn events_are_numbered_as_they_go() {
        let outbox = Outbox::default();
        let event = Event::PresenceChanged {
            user_id: UserId(1),
            presence: voxhall_protocol::control::Presence::online(),
        };
        let kept = Arc::default();
        let frame = Arc::new(EventText::new(&event, &kept));
        let bytes = kept.load(Ordering::Relaxed);
        assert_eq!(bytes, frame.max_len());
        outbox.push_event(1, Arc::clone(&frame));
        outbox.push("answer".into());
        outbox.push_event(2, frame);
        assert_eq!(kept.load(Ordering::Relaxed), bytes, "one text for all");
        outbox.end(End::SignedOut);
        outbox.push("too late".into());
        assert!(text(outbox.next().await).contains(r#""seq":1"#));
        assert_eq!(text(outbox.next().await), "answer");
        assert!(text(outbox.next().await).contains(r#""seq":2"#));
        assert!(matches!(outbox.next().await, Next::End(End::SignedOut)));
    }

    #[tokio::test]
    async fn a_guild_longer_than_the_limit_leaves_room_for_what_follows() {
        let outbox = Outbox::default();
        outbox.push("greeted".into());
        outbox.push("x".repeat(MAX_BACKLOG_BYTES * 2));
        let event = Event::PresenceChanged {
            user_id: UserId(1),
            presence: voxhall_protocol::control::Presence::online(),
        };
        outbox.push_event(1, Arc::new(EventText::new(&event, &Arc::default())));
        assert_eq!(text(outbox.next().await), "greeted");
        assert_eq!(text(outbox.next().await).len(), MAX_BACKLOG_BYTES * 2);
        assert!(text(outbox.next().await).contains(r#""seq":1"#));
        assert_eq!(outbox.lock().bytes, 0);
    }

    #[tokio::test]
    async fn the_first_reason_counts_and_what_waited_before_it_still_goes() {
        let outbox = Outbox::default();
        outbox.push("last answer".into());
        outbox.end(End::SignedOut);
        outbox.ended().await;
        outbox.end(End::Gone);
        assert_eq!(text(outbox.next().await), "last answer");
        assert!(matches!(outbox.next().await, Next::End(End::SignedOut)));
    }

    #[tokio::test]
    async fn what_was_asked_before_the_end_is_answered_before_it() {
        let outbox = Outbox::default();
        outbox.set_answering(true);
        outbox.end(End::SignedOut);
        assert!(outbox.take().is_none(), "the answer comes first");
        outbox.push("done".into());
        outbox.set_answering(false);
        outbox.push("too late".into());
        assert_eq!(text(outbox.next().await), "done");
        assert!(matches!(outbox.next().await, Next::End(End::SignedOut)));
    }

    #[tokio::test]
    async fn a_backlog_over_the_limit_is_dropped_whole() {
        let outbox = Outbox::default();
        outbox.push("x".repeat(MAX_BACKLOG_BYTES * 2));
        assert_eq!(text(outbox.next().await).len(), MAX_BACKLOG_BYTES * 2);
        for _ in 0..16 {
            outbox.push("x".repeat(MAX_BACKLOG_BYTES / 16));
        }
        outbox.push("x".into());
        outbox.cut_off().await;
        assert!(matches!(outbox.next().await, Next::End(End::TooSlow)));
        assert_eq!(outbox.lock().bytes, 0);
    }
}
