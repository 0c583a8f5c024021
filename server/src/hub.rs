//! Ties the live state to connections and to the media thread: whatever it wants done is done here, in its order.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Notify, mpsc};
use voxhall_protocol::{
    DeviceId, UserId, VoiceSessionId,
    control::{Failure, Ready, RequestId, Resume, Resumed, encode_failure, encode_result},
    voice::SessionKeys,
};
use voxhall_relay::{Routes, SessionRoute};
use voxhall_store::Change;

use crate::{
    clock::unix_ms,
    gateway::{End, EventText, Log, Outbox},
    live::{
        Answer, ConnectionId, Live, Now, Output, RouteChange, SessionId, ToStore, World,
        full_sync_needed,
    },
    random,
};

/// Text of events that are kept for everyone together, each counted once; beyond it, sessions that wait for nobody are given up first.
const MAX_KEPT_BYTES: usize = 64 << 20;
/// What waits for slow readers stays until it is sent: where that is much, looking through all sessions for each event would free nothing.
const HALVE_EVERY: Duration = Duration::from_secs(1);
/// Events that a connected client was sent are kept for once to twice this long: by then it has them, or is known to be gone.
const AGE_EVERY: Duration = Duration::from_secs(60);
/// Clients come back after a drain spread over a time that grows with their number.
const RECONNECT_MS_EACH: u64 = 10;
const RECONNECT_WITHIN_MS: std::ops::RangeInclusive<u64> = 1_000..=10_000;
/// Time for the next server to start.
const RECONNECT_AFTER_MS: u64 = 500;

pub struct Hub {
    state: Mutex<State>,
    /// The live state's first deadline is another one.
    deadline_changed: Notify,
    next_connection: AtomicU64,
    /// Bytes of the text of all frames there are.
    kept_bytes: Arc<AtomicUsize>,
    /// To be stored.
    to_store: mpsc::Sender<ToStore>,
}

struct State {
    live: Live,
    outboxes: HashMap<ConnectionId, Arc<Outbox>>,
    readers: HashMap<SessionId, Reader>,
    routes: Routes,
    /// The server is going to stop: why.
    draining: Option<String>,
    /// The live state's first, as was last told to who waits for it.
    deadline: Option<Instant>,
    /// When all may be made to keep less again.
    halve_at: Instant,
}

/// Who is told the events of one session.
#[derive(Default)]
struct Reader {
    log: Log<Arc<EventText>>,
    /// None while it has no connection, or before it was given everything that events build upon.
    outbox: Option<Arc<Outbox>>,
}

impl Hub {
    pub fn new(
        world: World,
        routes: Routes,
        loudest: Option<u8>,
        to_store: mpsc::Sender<ToStore>,
    ) -> Self {
        Self {
            state: Mutex::new(State {
                live: Live::new(world, loudest, now(), Box::new(random::fill)),
                outboxes: HashMap::new(),
                readers: HashMap::new(),
                routes,
                draining: None,
                deadline: None,
                halve_at: Instant::now(),
            }),
            deadline_changed: Notify::new(),
            next_connection: AtomicU64::new(0),
            kept_bytes: Arc::default(),
            to_store,
        }
    }

    /// A connection is open; what is to be sent to it goes into its outbox.
    pub fn open(&self, outbox: &Arc<Outbox>) -> ConnectionId {
        let id = ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed));
        let mut state = self.lock();
        state.outboxes.insert(id, Arc::clone(outbox));
        if let Some(reason) = state.draining.clone() {
            outbox.end(shutting_down(reason, state.outboxes.len()));
        }
        id
    }

    pub fn close(&self, connection: ConnectionId) {
        let mut state = self.lock();
        if let Some(session) = state.live.session_of(connection)
            && let Some(reader) = state.readers.get_mut(&session)
        {
            reader.outbox = None;
        }
        state.outboxes.remove(&connection);
        self.change(&mut state, |live, now, out| {
            live.disconnect(connection, now, out);
        });
    }

    /// Begins a session. Its events are kept from here on, and go out after [`Hub::ready`].
    ///
    /// # Errors
    /// This user is no more, or suspended.
    pub fn begin(
        &self,
        connection: ConnectionId,
        user: UserId,
        device: DeviceId,
    ) -> Result<Ready, Failure> {
        let mut state = self.lock();
        let mut out = Vec::new();
        let (session, ready) = state
            .live
            .begin(connection, user, device, now(), &mut out)?;
        state.readers.insert(session, Reader::default());
        self.carry_out(&mut state, out);
        Ok(ready)
    }

    /// Sends everything that a client needs to draw itself, then what happened since it was gathered, then all that follows.
    ///
    /// # Errors
    /// Too much happened meanwhile, or the session was ended.
    pub fn ready(
        &self,
        connection: ConnectionId,
        request: RequestId,
        ready: &Ready,
    ) -> Result<(), Failure> {
        let text = encode_result(request, ready);
        let mut state = self.lock();
        self.attach(&mut state, connection, 0, text)
    }

    /// Goes on with a session whose last event that arrived was `seq`.
    ///
    /// # Errors
    /// What was missed is no longer known.
    pub fn resume(
        &self,
        connection: ConnectionId,
        request: RequestId,
        user: UserId,
        device: DeviceId,
        resume: &Resume,
    ) -> Result<(), Failure> {
        let mut state = self.lock();
        let session = (state.live.lost_session(user, device, &resume.session))
            .ok_or_else(full_sync_needed)?;
        let reader = state
            .readers
            .get_mut(&session)
            .ok_or_else(full_sync_needed)?;
        let missed = reader
            .log
            .after(resume.seq)
            .ok_or_else(full_sync_needed)?
            .len() as u64;
        // The connection that it may still seem to have is told nothing more.
        reader.outbox = None;
        let mut out = Vec::new();
        state.live.resume(connection, session, now(), &mut out)?;
        let text = encode_result(request, &Resumed { missed });
        let attached = self.attach(&mut state, connection, resume.seq, text);
        self.carry_out(&mut state, out);
        attached
    }

    /// Sends an answer, all events after a number, and all that follow.
    fn attach(
        &self,
        state: &mut State,
        connection: ConnectionId,
        seq: u64,
        answer: String,
    ) -> Result<(), Failure> {
        let session = state
            .live
            .session_of(connection)
            .ok_or_else(full_sync_needed)?;
        let (Some(reader), Some(outbox)) = (
            state.readers.get_mut(&session),
            state.outboxes.get(&connection),
        ) else {
            return Err(full_sync_needed());
        };
        let missed = reader.log.after(seq).ok_or_else(full_sync_needed)?;
        outbox.push_missed(answer, seq, missed);
        reader.outbox = Some(Arc::clone(outbox));
        Ok(())
    }

    /// Tells everyone that the server is about to stop and when to come back, and lets nobody in any more.
    pub fn drain(&self, reason: &str) {
        let mut state = self.lock();
        state.draining = Some(reason.to_owned());
        for outbox in state.outboxes.values() {
            outbox.end(shutting_down(reason.to_owned(), state.outboxes.len()));
        }
    }

    /// Ends every connection. Their clients come back soon, and prove anew who they are.
    pub fn end_all(&self, reason: &str) {
        let state = self.lock();
        for outbox in state.outboxes.values() {
            outbox.end(shutting_down(reason.to_owned(), state.outboxes.len()));
        }
    }

    pub fn open_connections(&self) -> usize {
        self.lock().outboxes.len()
    }

    /// Bytes of events that are kept or wait, each counted once.
    pub fn kept_bytes(&self) -> usize {
        self.kept_bytes.load(Ordering::Relaxed)
    }

    pub fn read<T>(&self, read: impl FnOnce(&Live) -> T) -> T {
        read(&self.lock().live)
    }

    /// Takes in what the store has committed.
    pub fn apply(&self, changes: Vec<Change>) {
        self.act(|live, now, out| {
            for change in changes {
                live.apply(change, now, out);
            }
        });
    }

    /// Changes the live state and does what it wants done before anyone else changes it.
    pub fn act<T>(&self, act: impl FnOnce(&mut Live, Now, &mut Vec<Output>) -> T) -> T {
        self.change(&mut self.lock(), act)
    }

    fn change<T>(
        &self,
        state: &mut State,
        act: impl FnOnce(&mut Live, Now, &mut Vec<Output>) -> T,
    ) -> T {
        let mut out = Vec::new();
        let result = act(&mut state.live, now(), &mut out);
        self.carry_out(state, out);
        result
    }

    fn carry_out(&self, state: &mut State, out: Vec<Output>) {
        // Routes first: who is told of a voice session may use it in the same moment.
        let mut routes_changed = false;
        let mut told = Vec::with_capacity(out.len());
        for output in out {
            match output {
                Output::Route(change) => {
                    routes_changed = true;
                    apply(&mut state.routes, change);
                }
                output => told.push(output),
            }
        }
        if routes_changed {
            state.routes.publish();
        }
        for output in told {
            self.tell(state, output);
        }
        if self.kept_bytes() > MAX_KEPT_BYTES {
            self.make_room(state);
        }
        let deadline = state.live.next_deadline();
        if deadline != state.deadline {
            state.deadline = deadline;
            self.deadline_changed.notify_one();
        }
    }

    fn tell(&self, state: &mut State, output: Output) {
        match output {
            Output::Answer {
                to,
                request,
                answer,
            } => {
                let Some(outbox) = state.outboxes.get(&to) else {
                    return;
                };
                outbox.push(match answer {
                    Answer::Granted(grant) => encode_result(request, &grant),
                    Answer::Refused(failure) => encode_failure(Some(request), &failure),
                });
            }
            Output::Event { to, event } => {
                let frame = Arc::new(EventText::new(&event, &self.kept_bytes));
                for session in to {
                    if let Some(reader) = state.readers.get_mut(&session) {
                        let seq = reader.log.push(Arc::clone(&frame));
                        if let Some(outbox) = &reader.outbox {
                            outbox.push_event(seq, Arc::clone(&frame));
                        }
                    }
                }
            }
            Output::HangUp(connection, why) => {
                if let Some(outbox) = state.outboxes.get(&connection) {
                    outbox.end(why.into());
                }
            }
            Output::Store(work) => {
                if self.to_store.try_send(work).is_err() {
                    tracing::error!(
                        "the store is too slow: a call is missing in the history, or a room that is over stays listed"
                    );
                }
            }
            Output::Forget(session) => {
                state.readers.remove(&session);
            }
            Output::Route(_) => unreachable!("routes are applied before"),
        }
    }

    /// Too much is kept: sessions that wait for nobody go, the oldest first; were that not enough, all keep less.
    fn make_room(&self, state: &mut State) {
        while self.kept_bytes() > MAX_KEPT_BYTES {
            let mut out = Vec::new();
            if !state.live.forget_the_oldest(now(), &mut out) {
                break;
            }
            for output in out {
                self.tell(state, output);
            }
        }
        let now = Instant::now();
        if self.kept_bytes() > MAX_KEPT_BYTES && now >= state.halve_at {
            state.halve_at = now + HALVE_EVERY;
            tracing::warn!(
                "much is going on: clients that lose their connection now may have to load everything anew"
            );
            for reader in state.readers.values_mut() {
                reader.log.halve();
            }
        }
    }

    /// Runs the live state's timers. Never returns.
    pub async fn run_timers(&self) {
        let mut aging = tokio::time::interval(AGE_EVERY);
        loop {
            let deadline = self.read(Live::next_deadline);
            let due = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => self.act(|live, now, out| live.tick(now, out)),
                () = self.deadline_changed.notified() => {}
                _ = aging.tick() => self.age(),
            }
        }
    }

    /// Frees what connected clients have long received.
    fn age(&self) {
        for reader in self
            .lock()
            .readers
            .values_mut()
            .filter(|reader| reader.outbox.is_some())
        {
            reader.log.age();
        }
    }

    /// Takes in what the media thread tells, until it ends.
    pub async fn run_media_events(&self, mut events: mpsc::Receiver<voxhall_relay::Event>) {
        use voxhall_relay::Event;
        while let Some(event) = events.recv().await {
            match event {
                Event::Speaking { session, on, .. } => {
                    self.act(|live, _, out| live.speaking(session, on, out));
                }
                Event::TimedOut { session } => {
                    tracing::info!(%session, "a voice path fell silent");
                    self.act(|live, now, out| live.timed_out(session, now, out));
                }
                Event::PathOpened { session, address } => {
                    tracing::debug!(%session, %address, "voice path open");
                }
                Event::PathMoved { session, address } => {
                    tracing::debug!(%session, %address, "voice path moved");
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|_| {
            // A panic while it was held is a bug of ours. The state may be half changed, and going on could let someone listen who
            // should not. Everything acknowledged is on disk, so the honest way out is a new start.
            tracing::error!("the live state is damaged by a bug; the server ends itself");
            std::process::abort()
        })
    }
}

fn apply(routes: &mut Routes, change: RouteChange) {
    let there = |session: VoiceSessionId, found: bool| {
        debug_assert!(found, "{session} is routed");
    };
    match change {
        RouteChange::Add(route) => {
            let added = routes.insert(SessionRoute {
                id: route.session,
                ssrc: route.ssrc,
                sender: route.sender_index,
                keys: SessionKeys::derive(&route.secret),
                channel: route.channel,
                may_speak: route.may_speak,
                deafened: route.deafened,
                takes_bundles: route.bundles,
                bitrate_bps: route.bitrate_bps,
            });
            if let Err(error) = added {
                tracing::error!(%error, "a voice session can't be routed");
            }
        }
        RouteChange::Rights {
            session,
            may_speak,
            deafened,
        } => there(session, routes.set_rights(session, may_speak, deafened)),
        RouteChange::Remove(session) => there(session, routes.remove(session)),
    }
}

fn now() -> Now {
    Now {
        at: Instant::now(),
        unix_ms: unix_ms(),
    }
}

/// Each comes back at another moment.
fn shutting_down(reason: String, connections: usize) -> End {
    let spread = (connections as u64).saturating_mul(RECONNECT_MS_EACH);
    let spread = spread.clamp(*RECONNECT_WITHIN_MS.start(), *RECONNECT_WITHIN_MS.end());
    let after_ms = RECONNECT_AFTER_MS + u64::from_be_bytes(random::bytes()) % spread;
    End::ShuttingDown {
        reason,
        reconnect_after_ms: u32::try_from(after_ms).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use voxhall_protocol::{
        ChannelId, MessageId,
        control::{CallsFrom, ChannelKind, FailureKind, Message, OwnPresence, User, UserKind},
    };
    use voxhall_store::{ConversationRecord, UserRecord};

    use super::*;

    fn user(id: u64) -> User {
        User::new(UserId(id), "ann", UserKind::Guest)
    }

    /// Everyone has a conversation with nobody else in it, in which nothing is told twice.
    fn world(users: u64) -> World {
        World {
            users: (1..=users)
                .map(|id| UserRecord {
                    user: user(id),
                    is_admin: false,
                    suspended: false,
                    presence: OwnPresence::default(),
                    calls_from: CallsFrom::default(),
                })
                .collect(),
            conversations: (1..=users)
                .map(|id| ConversationRecord {
                    id: ChannelId(id),
                    kind: ChannelKind::Group,
                    name: None,
                    owner: None,
                    members: vec![UserId(id)],
                })
                .collect(),
            ..World::default()
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_who_was_lost_first_gives_way() {
        const USERS: u64 = 50;
        let hub = Hub::new(world(USERS), Routes::new().0, None, mpsc::channel(1).0);
        let mut sessions = Vec::new();
        for id in 1..=USERS {
            let outbox = Arc::new(Outbox::default());
            let connection = hub.open(&outbox);
            let ready = hub.begin(connection, UserId(id), DeviceId(id)).unwrap();
            hub.ready(connection, 1, &ready).unwrap();
            if id % 2 == 0 {
                hub.close(connection);
            }
            sessions.push((id, ready.session, outbox));
        }
        let text = "x".repeat(190_000);
        for n in 0..10 {
            for id in 1..=USERS {
                let message =
                    Message::new(MessageId(n), ChannelId(id), user(id), &text[..], 0, "n");
                hub.apply(vec![Change::MessageCreated(message)]);
                assert!(hub.kept_bytes() <= MAX_KEPT_BYTES);
            }
        }
        assert!(hub.kept_bytes() > MAX_KEPT_BYTES / 2, "not all is given up");
        let mut resumed = Vec::new();
        for (id, session, _) in &sessions {
            let connection = hub.open(&Arc::default());
            let resume = Resume {
                access_token: "".into(),
                session: session.clone(),
                seq: 0,
            };
            match hub.resume(connection, 1, UserId(*id), DeviceId(*id), &resume) {
                Ok(()) => resumed.push(*id),
                Err(failure) => assert_eq!(failure.kind(), FailureKind::FullSyncNeeded),
            }
        }
        let connected = (1..=USERS).filter(|id| id % 2 == 1);
        assert!(
            connected.clone().all(|id| resumed.contains(&id)),
            "{resumed:?}"
        );
        assert!(!resumed.contains(&2), "was lost first: {resumed:?}");
        assert!(resumed.contains(&USERS), "was lost last: {resumed:?}");
    }

    #[tokio::test]
    async fn nobody_is_let_in_while_the_server_drains() {
        let hub = Hub::new(World::default(), Routes::new().0, None, mpsc::channel(1).0);
        let before = Arc::new(Outbox::default());
        hub.open(&before);
        hub.drain("a new version comes");
        let after = Arc::new(Outbox::default());
        hub.open(&after);
        for outbox in [before, after] {
            outbox.ended().await;
        }
    }
}
