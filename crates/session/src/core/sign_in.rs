//! Who is there: invites, passwords, and the login this device keeps.

use std::time::Instant;

use voxhall_protocol::{
    SecretText,
    control::{
        Begin, Credentials, Failure, FailureKind, Guest, InspectInvite, LeaveVoice, Login, Ready,
        RedeemInvite, Refresh, Register,
    },
    link::Link,
};

use super::{Core, FIRST_BACKOFF, Output, Pending};
use crate::{Connection, Identity, Problem, StoredLogin, VoicePath};

impl Core {
    pub(super) fn sign_in(&mut self, now: Instant, out: &mut Vec<Output>) {
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
        let login = StoredLogin {
            link: Link {
                code: None,
                ..target.link.clone()
            },
            user: credentials.user,
            refresh_token: credentials.refresh_token,
        };
        target.identity = Identity::Stored(login.clone());
        self.state.login = Some(login);
        self.changed = true;
        self.begin(now, credentials.access_token, out);
    }

    pub(super) fn begin(&mut self, now: Instant, access_token: SecretText, out: &mut Vec<Output>) {
        self.call(now, &Begin { access_token }, Pending::Begin, out);
    }

    /// A full sync on the same connection: a fresh access token, then `session.begin` again.
    pub(super) fn refresh_access(&mut self, now: Instant, out: &mut Vec<Output>) {
        if let Some(login) = &self.state.login {
            let refresh = Refresh {
                refresh_token: login.refresh_token.clone(),
            };
            self.call(now, &refresh, Pending::SignIn, out);
        }
    }

    pub(super) fn ready(&mut self, now: Instant, ready: Ready, out: &mut Vec<Output>) {
        self.backoff = FIRST_BACKOFF;
        self.lost_at = None;
        let me = ready.me.id;
        let mine = ready
            .guilds
            .iter()
            .flat_map(|guild| &guild.voice)
            .find(|state| state.user_id == me)
            .map(|state| (state.channel_id, state.ssrc));
        let voice_went_on = mine.is_some()
            && mine == self.granted
            && mine.map(|(channel, _)| channel) == self.wanted_channel;
        self.fold_ready(ready, out);
        self.set_connection(Connection::Online);
        if let Some(target) = &mut self.target
            && !target.code_used
            && let Some(code) = target.link.code.clone()
        {
            target.code_used = true;
            self.call(now, &RedeemInvite { code }, Pending::Redeem, out);
        }
        self.resend_pending(now, out);
        self.reload_histories(now, out);
        if voice_went_on {
            self.voice_flags_changed(now, out);
        } else if self.wanted_channel.is_some() {
            self.join_voice(now, out);
        } else if mine.is_some() && self.state.voice.path == VoicePath::Out {
            // Left while the control connection was away. Another device of this account may be the one that is in
            // voice; the server ends only this device's stay.
            self.call(now, &LeaveVoice {}, Pending::Courtesy, out);
        }
    }

    pub(super) fn sign_in_failed(
        &mut self,
        now: Instant,
        failure: &Failure,
        out: &mut Vec<Output>,
    ) {
        let message = failure.message.clone();
        match failure.kind() {
            FailureKind::Internal => self.try_again(now, failure, out),
            FailureKind::RateLimited if self.has_stored_login() => {
                self.try_again(now, failure, out);
            }
            FailureKind::Unauthorized | FailureKind::SignedOut => {
                self.end_voice(out);
                self.state.login = None;
                if let Some(target) = &mut self.target {
                    target.identity = Identity::Ask;
                }
                self.ask_who(Some(Problem::SignedOut));
            }
            _ => self.ask_who(Some(Problem::Refused { message })),
        }
    }
}
