//! Ties the live state to connections and to the media thread: whatever it wants done is done here, in its order.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc};
use voxhall_protocol::{
    DeviceId, VoiceSessionId,
    control::{EventFrame, encode_failure, encode_result},
    voice::SessionKeys,
};
use voxhall_relay::{RouteTable, Routes, SessionRoute};
use voxhall_store::Change;

use crate::{
    clock::unix_ms,
    gateway::{End, Outbox},
    live::{Answer, ConnectionId, Live, Now, Output, RouteChange, World},
    random,
};

pub struct Hub {
    state: Mutex<State>,
    /// What the media thread reads.
    table: Arc<ArcSwap<RouteTable>>,
    /// There is an earlier deadline, maybe.
    deadline_changed: Notify,
    next_connection: AtomicU64,
}

struct State {
    live: Live,
    outboxes: HashMap<ConnectionId, Arc<Outbox>>,
    routes: Routes,
}

impl State {
    fn tell(&self, output: Output) {
        match output {
            Output::Answer {
                to,
                request,
                answer,
            } => {
                let Some(outbox) = self.outboxes.get(&to) else {
                    return;
                };
                outbox.push(match answer {
                    Answer::Ready(ready) => encode_result(request, &ready),
                    Answer::Granted(grant) => encode_result(request, &grant),
                    Answer::Refused(failure) => encode_failure(Some(request), &failure),
                });
            }
            Output::Event { to, event } => {
                let frame = Arc::new(EventFrame::new(&event));
                for connection in to {
                    if let Some(outbox) = self.outboxes.get(&connection) {
                        outbox.push_event(Arc::clone(&frame));
                    }
                }
            }
            Output::HangUp(connection, why) => {
                if let Some(outbox) = self.outboxes.get(&connection) {
                    outbox.end(why.into());
                }
            }
            Output::Route(_) => unreachable!("routes are applied before"),
        }
    }
}

impl Hub {
    pub fn new(world: World, table: Arc<ArcSwap<RouteTable>>) -> Self {
        Self {
            state: Mutex::new(State {
                live: Live::new(world, Box::new(random::fill)),
                outboxes: HashMap::new(),
                routes: Routes::new(),
            }),
            table,
            deadline_changed: Notify::new(),
            next_connection: AtomicU64::new(0),
        }
    }

    /// A connection is open; what is to be sent to it goes into its outbox.
    pub fn open(&self, outbox: &Arc<Outbox>) -> ConnectionId {
        let id = ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed));
        self.lock().outboxes.insert(id, Arc::clone(outbox));
        id
    }

    pub fn close(&self, connection: ConnectionId) {
        self.act(|live, now, out| live.disconnect(connection, now, out));
        self.lock().outboxes.remove(&connection);
    }

    /// Ends every connection, the reason being made for each.
    pub fn end_all(&self, end: impl Fn() -> End) {
        for outbox in self.lock().outboxes.values() {
            outbox.end(end());
        }
    }

    /// Ends the connections of a device but one.
    pub fn end_device(&self, device: DeviceId, but: ConnectionId, end: &End) {
        let state = self.lock();
        for connection in state.live.connections_of_device(device) {
            if let Some(outbox) = state.outboxes.get(&connection)
                && connection != but
            {
                outbox.end(end.clone());
            }
        }
    }

    pub fn open_connections(&self) -> usize {
        self.lock().outboxes.len()
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
    pub fn act(&self, act: impl FnOnce(&mut Live, Now, &mut Vec<Output>)) {
        let mut out = Vec::new();
        let mut state = self.lock();
        let now = Now {
            at: Instant::now(),
            unix_ms: unix_ms(),
        };
        act(&mut state.live, now, &mut out);
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
            self.table.store(state.routes.publish());
        }
        for output in told {
            state.tell(output);
        }
        drop(state);
        self.deadline_changed.notify_one();
    }

    /// Runs the live state's timers. Never returns.
    pub async fn run_timers(&self) {
        loop {
            let deadline = self.read(Live::next_deadline);
            let changed = self.deadline_changed.notified();
            match deadline {
                Some(at) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(at.into()) => {
                            self.act(|live, now, out| live.tick(now, out));
                        }
                        () = changed => {}
                    }
                }
                None => changed.await,
            }
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
                may_speak: true,
                deafened: route.deafened,
                takes_bundles: route.bundles,
            });
            if let Err(error) = added {
                tracing::error!(%error, "a voice session can't be routed");
            }
        }
        RouteChange::Deafen { session, deafened } => {
            there(session, routes.set_rights(session, true, deafened));
        }
        RouteChange::Remove(session) => there(session, routes.remove(session)),
    }
}
