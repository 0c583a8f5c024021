//! The control connection: losing it, waiting, and trying again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use voxhall_protocol::control::{self, Call, Failure, RequestId};

use super::{
    Core, EAGER, EAGER_BACKOFF, FIRST_BACKOFF, MAX_BACKOFF, Output, Pending, Wire, outbox::Outbox,
};
use crate::{AskError, Connection, Identity, Problem, State, Voice};

impl Core {
    pub(super) fn open(&mut self, out: &mut Vec<Output>) {
        if let Some(target) = &self.target {
            let link = target.link.clone();
            self.wire_down(out);
            self.wire = Wire::Opening;
            out.push(Output::Open(link));
        }
    }

    pub(super) fn closed(&mut self, now: Instant, problem: Problem, out: &mut Vec<Output>) {
        if self.wire == Wire::Down {
            return;
        }
        self.wire_down(out);
        // Someone who is typing a password need not know that the server hung up meanwhile; signing in opens anew.
        if !matches!(
            self.state.connection,
            Connection::NeedsIdentity { .. } | Connection::Failed(_) | Connection::Idle
        ) {
            self.lost(now, problem, out);
        }
    }

    /// Nothing that was asked will be answered any more.
    pub(super) fn wire_down(&mut self, out: &mut Vec<Output>) {
        self.wire = Wire::Down;
        self.catching_up = 0;
        self.outbox.connection_lost();
        self.stop_loading();
        self.call_not_asked();
        self.stage_not_asked();
        if let Some(access) = &mut self.access {
            access.fresh = false;
        }
        for (pending, _) in std::mem::take(&mut self.pending).into_values() {
            if let Pending::Ask(asker, request) = pending {
                self.answered(asker, &request, Err(AskError::Lost), out);
            }
        }
    }

    pub(super) fn lost(&mut self, now: Instant, problem: Problem, out: &mut Vec<Output>) {
        let hopeless = matches!(
            problem,
            Problem::CertificateChanged { .. }
                | Problem::CertificateUntrusted { .. }
                | Problem::VersionMismatch { .. }
        );
        if hopeless || !self.has_stored_login() {
            // A microphone that stays open behind an error page would be a betrayal.
            self.end_voice(out);
            self.set_connection(Connection::Failed(problem));
            return;
        }
        let since = *self.lost_at.get_or_insert(now);
        let ceiling = if now - since < EAGER {
            EAGER_BACKOFF
        } else {
            MAX_BACKOFF
        };
        let wait = self
            .backoff
            .min(ceiling)
            .mul_f32(0.8 + 0.4 * self.random_unit());
        self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
        self.wait_and_retry(now, wait, problem);
    }

    pub(super) fn wait_and_retry(&mut self, now: Instant, wait: Duration, problem: Problem) {
        self.retry_at = Some(now + wait);
        let retry_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.set_connection(Connection::Reconnecting {
            retry_in_ms,
            problem,
        });
    }

    /// The server can't serve us right now.
    pub(super) fn try_again(&mut self, now: Instant, failure: &Failure, out: &mut Vec<Output>) {
        out.push(Output::Close);
        self.wire_down(out);
        let wait = Duration::from_millis(failure.data.retry_after_ms.unwrap_or(2_000).min(60_000));
        self.wait_and_retry(
            now,
            wait,
            Problem::ServerClosed {
                reason: failure.message.clone(),
            },
        );
    }

    pub(super) fn give_up(&mut self, problem: Problem, out: &mut Vec<Output>) {
        out.push(Output::Close);
        self.end_voice(out);
        self.wire_down(out);
        self.set_connection(Connection::Failed(problem));
    }

    pub(super) fn leave_server(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.leave_voice(now, out);
        if self.wire != Wire::Down {
            out.push(Output::Close);
        }
        self.wire_down(out);
        self.stop_transfers(out);
        self.thread = None;
        self.access = None;
        self.hung_up = None;
        self.left_stage = None;
        self.wanted_stage = None;
        self.outbox = Outbox::default();
        self.windows.clear();
        self.typed = None;
        self.retry_at = None;
        self.backoff = FIRST_BACKOFF;
        self.lost_at = None;
        self.preview = None;
        self.made_invite = None;
        // The next server's people have the same ids as this one's.
        let voice = Voice {
            gains: BTreeMap::new(),
            local_mutes: BTreeSet::new(),
            ..std::mem::take(&mut self.state.voice)
        };
        self.state = State {
            voice,
            ..State::default()
        };
        self.changed = true;
    }

    pub(super) fn call<C: Call>(
        &mut self,
        now: Instant,
        call: &C,
        pending: Pending,
        out: &mut Vec<Output>,
    ) {
        let id = self.new_request(now, pending);
        out.push(Output::Send(control::encode_request(id, call)));
    }

    pub(super) fn new_request(&mut self, now: Instant, pending: Pending) -> RequestId {
        let id = self.next_request;
        self.next_request += 1;
        self.pending.insert(id, (pending, now));
        self.said_at = now;
        id
    }

    pub(super) fn is_online(&self) -> bool {
        self.wire == Wire::Up && self.state.connection == Connection::Online
    }

    pub(super) fn has_stored_login(&self) -> bool {
        self.target
            .as_ref()
            .is_some_and(|target| matches!(target.identity, Identity::Stored(_)))
    }

    pub(super) fn set_connection(&mut self, connection: Connection) {
        self.state.connection = connection;
        self.changed = true;
    }
}
