//! Sessions: they begin, lose their connection, go on with another one, and end.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use voxhall_protocol::{
    DeviceId, SecretText, UserId,
    control::{Event, Failure, FailureKind, Ready},
    limits::RESUME_WITHIN_MS,
};

use super::{ConnectionId, HangUp, Live, Now, Output, SessionId, Timer, tell};

/// Connections one user may have at once, and sessions without one.
pub const MAX_CONNECTIONS_PER_USER: usize = 8;
/// Sessions without a connection, of everyone together; beyond it the one that was lost first is given up.
pub const MAX_LOST: usize = 8_192;
const RESUME_WITHIN: Duration = Duration::from_millis(RESUME_WITHIN_MS);
const SECRET_BYTES: usize = 16;

/// What a client is told, from `session.begin` on, whatever happens to its connection.
pub(super) struct Session {
    pub user: UserId,
    pub device: DeviceId,
    secret: [u8; SECRET_BYTES],
    pub line: Line,
    /// Nobody touches the device.
    pub idle: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Open(ConnectionId),
    /// The session ends then, unless its client comes back.
    LostUntil(std::time::Instant),
}

impl Session {
    pub fn connection(&self) -> Option<ConnectionId> {
        match self.line {
            Line::Open(connection) => Some(connection),
            Line::LostUntil(_) => None,
        }
    }

    fn token(&self, id: SessionId) -> SecretText {
        let mut text = format!("{}.", id.0);
        for byte in self.secret {
            write!(text, "{byte:02x}").expect("writing to a string");
        }
        SecretText::from(text)
    }
}

impl Live {
    /// A connection has proven who is there. Gives everything to draw but for what was read; all that changes from here on is told to
    /// the session.
    ///
    /// # Errors
    /// This user is no more, or suspended.
    pub fn begin(
        &mut self,
        connection: ConnectionId,
        user: UserId,
        device: DeviceId,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<(SessionId, Ready), Failure> {
        self.admits(user)?;
        // Whoever begins anew has given up what this device lost before.
        let lost = |live: &Self, fits: &dyn Fn(&Session) -> bool| -> Vec<SessionId> {
            let of = |id: &SessionId| {
                live.sessions
                    .get(id)
                    .is_some_and(|s| s.connection().is_none() && fits(s))
            };
            live.sessions_of(user).filter(of).collect()
        };
        for session in lost(self, &|session| session.device == device) {
            self.forget(session, now, out);
        }
        let others = lost(self, &|_| true);
        for session in others
            .iter()
            .take(others.len().saturating_sub(MAX_CONNECTIONS_PER_USER - 1))
        {
            self.forget(*session, now, out);
        }

        let id = SessionId(self.next_session);
        self.next_session += 1;
        let session = Session {
            user,
            device,
            secret: self.random(),
            line: Line::Open(connection),
            idle: false,
        };
        let token = session.token(id);
        self.connections.insert(connection, id);
        self.sessions.insert(id, session);
        let person = self.people.get_mut(&user).expect("admitted above");
        person.sessions.insert(id);
        for guild in person.guilds.clone() {
            if let Some(guild) = self.guilds.get_mut(&guild) {
                guild.sessions.insert((user, id));
            }
        }
        self.show_presence(user, Some(id), out);
        let ready = self.ready(&self.people[&user], device, token);
        self.take_voice(id, now, out);
        self.hang_up_the_oldest(user, now, out);
        Ok((id, ready))
    }

    /// Which session it is that a client comes back to. None: it is gone, or was never that client's.
    pub fn lost_session(
        &self,
        user: UserId,
        device: DeviceId,
        token: &SecretText,
    ) -> Option<SessionId> {
        let (id, _) = token.expose().split_once('.')?;
        let id = SessionId(id.parse().ok()?);
        let session = self.sessions.get(&id)?;
        // The access token has proven the device; this proves that it is not another program on it.
        let same = session.user == user && session.device == device && session.token(id) == *token;
        same.then_some(id)
    }

    /// A session goes on with this connection; one that it still seems to have is ended.
    ///
    /// # Errors
    /// This user is no more, or suspended.
    pub fn resume(
        &mut self,
        connection: ConnectionId,
        id: SessionId,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<(), Failure> {
        let Some(session) = self.sessions.get(&id) else {
            return Err(full_sync_needed());
        };
        let user = session.user;
        self.admits(user)?;
        match session.line {
            Line::Open(old) => {
                out.push(Output::HangUp(old, HangUp::Resumed));
                self.disconnect(old, now, out);
            }
            Line::LostUntil(_) => {}
        }
        let session = self
            .sessions
            .get_mut(&id)
            .expect("only its connection is gone");
        if let Line::LostUntil(at) = session.line {
            self.timers.remove(&(at, Timer::Lost(id)));
        }
        session.line = Line::Open(connection);
        self.connections.insert(connection, id);
        self.show_presence(user, None, out);
        self.take_voice(id, now, out);
        self.tell_voice_again(id, out);
        self.hang_up_the_oldest(user, now, out);
        Ok(())
    }

    /// A connection is gone, for whatever reason. Its session waits for a while.
    pub fn disconnect(&mut self, connection: ConnectionId, now: Now, out: &mut Vec<Output>) {
        let Some(id) = self.connections.remove(&connection) else {
            return;
        };
        let session = self
            .sessions
            .get_mut(&id)
            .expect("as long as its connection");
        let user = session.user;
        let at = now.at + RESUME_WITHIN;
        session.line = Line::LostUntil(at);
        self.timers.insert((at, Timer::Lost(id)));
        self.lose_control(id, now, out);
        self.show_presence(user, None, out);
        if self.lost_count() > MAX_LOST {
            self.forget_the_oldest(now, out);
        }
    }

    /// A session could not begin after all.
    pub fn abandon(&mut self, connection: ConnectionId, now: Now, out: &mut Vec<Output>) {
        if let Some(session) = self.session_of(connection) {
            self.forget(session, now, out);
        }
    }

    pub fn session_of(&self, connection: ConnectionId) -> Option<SessionId> {
        self.connections.get(&connection).copied()
    }

    /// Gives up the session that was lost first, to make room. False: there is none.
    pub fn forget_the_oldest(&mut self, now: Now, out: &mut Vec<Output>) -> bool {
        let oldest = self.timers.iter().find_map(|(_, timer)| match timer {
            Timer::Lost(session) => Some(*session),
            _ => None,
        });
        if let Some(session) = oldest {
            self.forget(session, now, out);
        }
        oldest.is_some()
    }

    /// A session is over, and nothing of it is kept.
    pub(super) fn forget(&mut self, id: SessionId, now: Now, out: &mut Vec<Output>) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        if let Some(connection) = session.connection() {
            self.disconnect(connection, now, out);
        }
        // Losing it may have forgotten it already.
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        if let Line::LostUntil(at) = session.line {
            self.timers.remove(&(at, Timer::Lost(id)));
        }
        if let Some(person) = self.people.get_mut(&session.user) {
            person.sessions.remove(&id);
            for guild in &person.guilds {
                if let Some(guild) = self.guilds.get_mut(guild) {
                    guild.sessions.remove(&(session.user, id));
                }
            }
        }
        out.push(Output::Forget(id));
    }

    /// Ends a session from this side.
    pub(super) fn hang_up(&mut self, id: SessionId, why: HangUp, now: Now, out: &mut Vec<Output>) {
        if let Some(connection) = self.sessions.get(&id).and_then(Session::connection) {
            out.push(Output::HangUp(connection, why));
        }
        self.forget(id, now, out);
    }

    /// Devices that are no longer signed in.
    pub(super) fn end_devices(&mut self, devices: &[DeviceId], now: Now, out: &mut Vec<Output>) {
        let fits = |session: &Session| devices.contains(&session.device);
        let users: BTreeSet<_> = self
            .sessions
            .values()
            .filter(|session| fits(session))
            .map(|session| session.user)
            .collect();
        for user in users {
            self.hang_up_where(user, HangUp::SignedOut, fits, now, out);
        }
    }

    /// Ends sessions of a user, and the voice of their devices with them.
    pub(super) fn hang_up_where(
        &mut self,
        user: UserId,
        why: HangUp,
        fits: impl Fn(&Session) -> bool,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let concerned: Vec<_> = (self.sessions_of(user))
            .filter_map(|id| {
                Some((
                    id,
                    self.sessions
                        .get(&id)
                        .filter(|session| fits(session))?
                        .device,
                ))
            })
            .collect();
        for (id, device) in concerned {
            self.end_voice_of_device(user, device, now, out);
            self.hang_up(id, why, now, out);
        }
    }

    /// Nobody touches this device, or someone does again.
    pub fn set_idle(&mut self, connection: ConnectionId, idle: bool, out: &mut Vec<Output>) {
        if let Some(session) = self.session_mut(connection) {
            session.idle = idle;
            let user = session.user;
            self.show_presence(user, None, out);
        }
    }

    /// A device has a connection right now.
    pub fn is_device_online(&self, user: UserId, device: DeviceId) -> bool {
        self.sessions_of(user)
            .filter_map(|id| self.sessions.get(&id))
            .any(|session| session.device == device && session.connection().is_some())
    }

    pub(super) fn session(&self, connection: ConnectionId) -> Option<(SessionId, &Session)> {
        let id = *self.connections.get(&connection)?;
        Some((id, self.sessions.get(&id)?))
    }

    /// Who asks, by which session and on which device.
    ///
    /// # Errors
    /// They have not signed in.
    pub(super) fn who_is(
        &self,
        connection: ConnectionId,
    ) -> Result<(SessionId, UserId, DeviceId), Failure> {
        let (id, session) = self
            .session(connection)
            .ok_or_else(|| Failure::new(FailureKind::OutOfOrder, "sign in first"))?;
        Ok((id, session.user, session.device))
    }

    fn session_mut(&mut self, connection: ConnectionId) -> Option<&mut Session> {
        self.sessions.get_mut(self.connections.get(&connection)?)
    }

    pub(super) fn is_open(&self, id: SessionId) -> bool {
        self.sessions
            .get(&id)
            .is_some_and(|session| session.connection().is_some())
    }

    pub(super) fn lost_count(&self) -> usize {
        self.sessions.len() - self.connections.len()
    }

    fn admits(&self, user: UserId) -> Result<(), Failure> {
        match self.people.get(&user) {
            None => Err(Failure::new(
                FailureKind::SignedOut,
                "This account is no more.",
            )),
            Some(person) if person.record.suspended => Err(Failure::new(
                FailureKind::Suspended,
                "This account is suspended. Ask the server's administrator.",
            )),
            Some(_) => Ok(()),
        }
    }

    fn hang_up_the_oldest(&mut self, user: UserId, now: Now, out: &mut Vec<Output>) {
        // Ids count up.
        let open: Vec<_> = self
            .sessions_of(user)
            .filter(|id| self.is_open(*id))
            .collect();
        let too_many = open.len().saturating_sub(MAX_CONNECTIONS_PER_USER);
        for session in open.into_iter().take(too_many) {
            self.hang_up(session, HangUp::TooMany, now, out);
        }
    }

    /// Events that come and go with the moment are not kept for a session without a connection.
    pub(super) fn tell_who_is_there(
        &self,
        to: impl IntoIterator<Item = SessionId>,
        event: Event,
        out: &mut Vec<Output>,
    ) {
        tell(out, to.into_iter().filter(|id| self.is_open(*id)), event);
    }
}

/// What was missed can't be told.
pub fn full_sync_needed() -> Failure {
    Failure::new(
        FailureKind::FullSyncNeeded,
        "The server no longer has all that happened meanwhile. Begin a new session.",
    )
}
