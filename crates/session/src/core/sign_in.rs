//! Who is there: invites, passwords, and the login this device keeps.

use std::time::{Duration, Instant};

use voxhall_protocol::{
    ChannelId, Ssrc,
    control::{
        Begin, Credentials, Failure, FailureKind, Guest, InspectInvite, LeaveVoice, Login, Ready,
        RedeemInvite, Refresh, Register, Resume, SetIdle,
    },
    link::Link,
};

use super::{Access, Core, FIRST_BACKOFF, Output, Pending, REFRESH_AGAIN, REFRESH_AHEAD, Thread};
use crate::{Connection, Identity, Problem, StoredLogin, VoicePath};

impl Core {
    pub(super) fn sign_in(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self
            .access
            .as_ref()
            .is_some_and(|access| now < access.good_until)
            && self.has_stored_login()
        {
            return self.go_on(now, out);
        }
        let Some(target) = &self.target else { return };
        let code = target.link.code.clone().filter(|_| !target.code_used);
        let device = self.device.clone();
        match target.identity.clone() {
            Identity::Ask => match code {
                Some(code) => self.call(now, &InspectInvite { code }, Pending::Inspect, out),
                None => return self.ask_who(None),
            },
            Identity::Guest { name } => match code {
                Some(invite) => self.call(
                    now,
                    &Guest {
                        name,
                        invite,
                        device,
                    },
                    Pending::SignIn,
                    out,
                ),
                None => {
                    let message = "Joining with just a name needs an invite link.".to_owned();
                    return self.ask_who(Some(Problem::Refused { message }));
                }
            },
            Identity::Login { name, password } => {
                self.call(
                    now,
                    &Login {
                        name,
                        password,
                        device,
                    },
                    Pending::SignIn,
                    out,
                );
            }
            Identity::Register { name, password } => {
                self.call(
                    now,
                    &Register {
                        name,
                        password,
                        invite: code,
                        device,
                    },
                    Pending::SignIn,
                    out,
                );
            }
            Identity::Stored(login) => {
                self.call(
                    now,
                    &Refresh {
                        refresh_token: login.refresh_token,
                    },
                    Pending::SignIn,
                    out,
                );
            }
        }
        if !matches!(self.state.connection, Connection::Reconnecting { .. }) {
            self.set_connection(Connection::SigningIn);
        }
    }

    /// The person has to say who they are, after `problem` if there was one.
    pub(super) fn ask_who(&mut self, problem: Option<Problem>) {
        self.set_connection(Connection::NeedsIdentity {
            preview: self.preview.clone(),
            problem,
        });
    }

    pub(super) fn signed_in(
        &mut self,
        now: Instant,
        credentials: Credentials,
        out: &mut Vec<Output>,
    ) {
        let Some(target) = &mut self.target else {
            return;
        };
        // A guest's or a new account's invite was redeemed on the way in.
        target.code_used |= matches!(
            target.identity,
            Identity::Guest { .. } | Identity::Register { .. }
        );
        self.keep_credentials(now, credentials, out);
        self.go_on(now, out);
    }

    /// The new refresh token goes to where it is kept before the old one is forgotten here: whoever crashes in between has one that works.
    pub(super) fn keep_credentials(
        &mut self,
        now: Instant,
        credentials: Credentials,
        out: &mut Vec<Output>,
    ) {
        let Some(target) = &mut self.target else {
            return;
        };
        let login = StoredLogin {
            link: Link {
                code: None,
                ..target.link.clone()
            },
            user: credentials.user,
            refresh_token: credentials.refresh_token,
        };
        out.push(Output::Credentials(Some(Box::new(login.clone()))));
        target.identity = Identity::Stored(login.clone());
        self.state.login = Some(login);
        let lives = Duration::from_secs(credentials.access_expires_in_s.min(24 * 3600));
        // Of tokens that live for less than two minutes the last half.
        let ahead = REFRESH_AHEAD.min(lives / 2);
        self.access = Some(Access {
            token: credentials.access_token,
            good_until: now + lives - ahead / 2,
            refresh_at: now + lives - ahead,
            fresh: true,
        });
        self.changed = true;
    }

    /// With an access token: where we were, or from the beginning.
    fn go_on(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Some(access) = &self.access else { return };
        let access_token = access.token.clone();
        match &self.thread {
            Some(thread) => {
                let resume = Resume {
                    access_token,
                    session: thread.token.clone(),
                    seq: thread.seq,
                };
                self.call(now, &resume, Pending::Resume, out);
            }
            None => self.call(now, &Begin { access_token }, Pending::Begin, out),
        }
    }

    pub(super) fn refresh_if_due(&mut self, now: Instant, out: &mut Vec<Output>) {
        let asked = || {
            self.pending
                .values()
                .any(|(pending, _)| matches!(pending, Pending::Refresh))
        };
        let due = self
            .access
            .as_ref()
            .is_some_and(|access| access.refresh_at <= now);
        if due
            && !asked()
            && let Some(login) = &self.state.login
        {
            let refresh_token = login.refresh_token.clone();
            if let Some(access) = &mut self.access {
                access.refresh_at = now + REFRESH_AGAIN;
            }
            self.call(now, &Refresh { refresh_token }, Pending::Refresh, out);
        }
    }

    pub(super) fn refresh_failed(
        &mut self,
        now: Instant,
        failure: &Failure,
        out: &mut Vec<Output>,
    ) {
        if matches!(
            failure.kind(),
            FailureKind::Unauthorized | FailureKind::SignedOut
        ) {
            self.sign_in_failed(now, failure, out);
        }
        // Anything else is tried again later: the session goes on without.
    }

    /// The same session on a new connection; events that were missed follow.
    pub(super) fn resumed(&mut self, now: Instant, missed: u64, out: &mut Vec<Output>) {
        self.arrived();
        self.catching_up = missed;
        if self.idle {
            self.call(now, &SetIdle { idle: true }, Pending::Courtesy, out);
        }
        if missed == 0 {
            self.caught_up(now, out);
        }
    }

    pub(super) fn resume_failed(&mut self, now: Instant, failure: &Failure, out: &mut Vec<Output>) {
        match failure.kind() {
            FailureKind::Unauthorized
            | FailureKind::Internal
            | FailureKind::RateLimited
            | FailureKind::Unavailable
            | FailureKind::SignedOut
            | FailureKind::Suspended
            | FailureKind::Banned => {
                self.begin_failed(now, failure, out);
            }
            // Above all `full_sync_needed`; but whatever a server has against going on, it may be begun anew.
            _ => {
                self.thread = None;
                self.go_on(now, out);
            }
        }
    }

    pub(super) fn begin_failed(&mut self, now: Instant, failure: &Failure, out: &mut Vec<Output>) {
        let stale = self.access.take().is_some_and(|access| !access.fresh);
        if stale && failure.kind() == FailureKind::Unauthorized {
            // The server forgot its keys, or the clock leapt: a fresh one will do.
            self.sign_in(now, out);
        } else {
            self.sign_in_failed(now, failure, out);
        }
    }

    /// Voice may have ended while control was away, in spite of the thirty seconds.
    pub(super) fn caught_up(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.tell_hung_up(now, out);
        self.tell_left_stage(now, out);
        let mine = self
            .state
            .own_voice()
            .map(|state| (state.channel_id, state.ssrc));
        self.take_up_voice(now, mine, out);
        self.pump(now, out);
    }

    fn arrived(&mut self) {
        self.backoff = FIRST_BACKOFF;
        self.lost_at = None;
        self.set_connection(Connection::Online);
    }

    pub(super) fn ready(&mut self, now: Instant, mut ready: Ready, out: &mut Vec<Output>) {
        self.thread = Some(Thread {
            token: std::mem::replace(&mut ready.session, "".into()),
            seq: ready.seq,
        });
        self.fold_ready(ready, out);
        self.arrived();
        out.push(Output::Synced);
        if let Some(target) = &mut self.target
            && !target.code_used
            && let Some(code) = target.link.code.clone()
        {
            target.code_used = true;
            self.call(now, &RedeemInvite { code }, Pending::Redeem, out);
        }
        if self.idle {
            self.call(now, &SetIdle { idle: true }, Pending::Courtesy, out);
        }
        self.reload_histories(now, out);
        self.caught_up(now, out);
    }

    /// `mine` is where the server has us.
    fn take_up_voice(
        &mut self,
        now: Instant,
        mine: Option<(ChannelId, Ssrc)>,
        out: &mut Vec<Output>,
    ) {
        let went_on = mine.is_some()
            && mine == self.granted
            && mine.map(|(channel, _)| channel) == self.wanted_channel;
        if went_on {
            self.voice_flags_changed(now, out);
        } else if self.wanted_channel.is_some() {
            self.come_back_to_stage(now, out);
            self.join_voice(now, out);
        } else if self.state.voice.path == VoicePath::Out
            && let Some((channel, _)) = mine
            // A call may be returned to.
            && !self.state.calls.running.contains_key(&channel)
        {
            // Left while the control connection was away. Another device of this account may be the one that is in
            // voice; the server ends only this device's stay.
            self.call(now, &LeaveVoice {}, Pending::Courtesy, out);
        }
    }

    pub(super) fn forget_login(&mut self, out: &mut Vec<Output>) {
        self.state.login = None;
        self.changed = true;
        out.push(Output::Credentials(None));
    }

    pub(super) fn sign_in_failed(
        &mut self,
        now: Instant,
        failure: &Failure,
        out: &mut Vec<Output>,
    ) {
        let message = failure.message.clone();
        match failure.kind() {
            FailureKind::Internal | FailureKind::Unavailable => self.try_again(now, failure, out),
            FailureKind::RateLimited if self.has_stored_login() => {
                self.try_again(now, failure, out);
            }
            FailureKind::Unauthorized | FailureKind::SignedOut => {
                self.end_voice(out);
                self.forget_login(out);
                self.thread = None;
                self.access = None;
                if let Some(target) = &mut self.target {
                    target.identity = Identity::Ask;
                }
                self.ask_who(Some(Problem::SignedOut));
            }
            _ => self.ask_who(Some(Problem::Refused { message })),
        }
    }
}
