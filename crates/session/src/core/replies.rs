//! What the server says: answers, each to what was asked, and events between them.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use voxhall_protocol::control::{
    self, Credentials, Done, Failure, FailureKind, HelloReply, Incoming, Invite, InvitePreview,
    LiveCall, MessagePage, ReadState, Ready, Redeemed, Resumed, SearchPage, StageView, VoiceGrant,
};

use super::{Core, Output, Pending};
use crate::{AskError, InviteLink, NoticeLevel, Problem, Terms};

impl Core {
    pub(super) fn text(&mut self, now: Instant, text: &str, out: &mut Vec<Output>) {
        self.heard_at = now;
        match control::parse_from_server(text) {
            Ok(Incoming::Result { id, result }) => {
                if let Some((pending, _)) = self.pending.remove(&id) {
                    self.result(now, pending, &result, out);
                }
            }
            Ok(Incoming::Failed { id, failure }) => {
                if let Some((pending, _)) = id.and_then(|id| self.pending.remove(&id)) {
                    self.failed(now, pending, &failure, out);
                }
            }
            Ok(Incoming::Event { seq, event }) => self.numbered(now, seq, event, out),
            Err(error) => {
                self.notice(NoticeLevel::Warning, error.to_string());
                out.push(Output::Close);
                self.closed(now, Problem::ConnectionLost, out);
            }
        }
    }

    fn result(&mut self, now: Instant, pending: Pending, result: &RawValue, out: &mut Vec<Output>) {
        let read = match pending {
            Pending::Hello => read::<HelloReply>(result).map(|reply| {
                self.heartbeat =
                    Duration::from_millis(u64::from(reply.heartbeat_ms.clamp(1_000, 120_000)));
                self.state.server_name = Some(reply.server_name);
                self.state.terms = Some(Terms {
                    registration: reply.registration,
                    guests: reply.guests,
                });
                self.changed = true;
                self.sign_in(now, out);
            }),
            Pending::Inspect => read::<InvitePreview>(result).map(|preview| {
                self.preview = Some(preview);
                self.ask_who(None);
            }),
            Pending::SignIn => {
                read::<Credentials>(result).map(|credentials| self.signed_in(now, credentials, out))
            }
            Pending::Refresh => read::<Credentials>(result)
                .map(|credentials| self.keep_credentials(now, credentials, out)),
            Pending::Begin => read::<Ready>(result).map(|ready| self.ready(now, ready, out)),
            Pending::Resume => {
                read::<Resumed>(result).map(|resumed| self.resumed(now, resumed.missed, out))
            }
            // The guild itself came as an event before.
            Pending::Redeem => read::<Redeemed>(result).map(drop),
            Pending::Invite(guild) => read::<Invite>(result).map(|invite| {
                self.made_invite = Some((guild, now, invite.clone()));
                self.state.invite = InviteLink::Made(invite);
                self.changed = true;
            }),
            Pending::Join(wish) => {
                read::<VoiceGrant>(result).map(|grant| self.granted(wish, grant, out))
            }
            Pending::EnterCall(wish, _) => {
                read::<LiveCall>(result).map(|call| self.entered_call(now, wish, &call, out))
            }
            Pending::EnterStage(wish, join) => {
                read::<StageView>(result).map(|view| self.entered_stage(now, wish, join, view, out))
            }
            Pending::StageAgain => read::<StageView>(result).map(|view| self.back_in_stage(view)),
            Pending::Queued(number) => self.queued_done(now, number, result, out),
            Pending::List(job) => {
                read::<MessagePage>(result).map(|page| self.add_page(now, job, page, out))
            }
            Pending::Search => read::<SearchPage>(result).map(|page| self.found(page)),
            Pending::Recount(channel) => {
                read::<ReadState>(result).map(|state| self.recounted(now, channel, state, out))
            }
            Pending::Ask(asker, request) => {
                let answer = request.read_reply(result);
                return self.answered(
                    asker,
                    &request,
                    answer.map_err(|_| AskError::Unreadable),
                    out,
                );
            }
            Pending::Ping | Pending::Courtesy => read::<Done>(result).map(drop),
        };
        if read.is_err() {
            // The server speaks a protocol that it said it doesn't.
            let message =
                "The server's answer makes no sense to this version of the app.".to_owned();
            self.give_up(Problem::VersionMismatch { message }, out);
        }
    }

    fn failed(&mut self, now: Instant, pending: Pending, failure: &Failure, out: &mut Vec<Output>) {
        let message = failure.message.clone();
        match pending {
            Pending::Hello => match failure.kind() {
                FailureKind::VersionMismatch => {
                    self.give_up(Problem::VersionMismatch { message }, out);
                }
                _ => self.try_again(now, failure, out),
            },
            Pending::Inspect => self.ask_who(Some(Problem::Refused { message })),
            Pending::SignIn => self.sign_in_failed(now, failure, out),
            Pending::Begin => self.begin_failed(now, failure, out),
            Pending::Resume => self.resume_failed(now, failure, out),
            Pending::Refresh => self.refresh_failed(now, failure, out),
            Pending::Join(wish) => self.join_refused(now, wish, message, out),
            Pending::EnterCall(wish, channel) => self.call_refused(wish, channel, failure),
            Pending::EnterStage(wish, _) => self.stage_refused(wish, message),
            Pending::Queued(number) => self.queued_failed(now, number, failure, out),
            Pending::List(job) => self.list_failed(now, job, failure),
            Pending::Search => self.search_failed(message),
            Pending::Invite(_) => {
                self.state.invite = InviteLink::Failed(message);
                self.changed = true;
            }
            Pending::Redeem => self.notice(NoticeLevel::Warning, message),
            Pending::Ask(asker, request) => {
                let failure = AskError::Refused(failure.clone());
                self.answered(asker, &request, Err(failure), out);
            }
            Pending::Recount(channel) => {
                self.state.reading_mut(channel).uncertain = true;
                let wait = failure
                    .data
                    .retry_after_ms
                    .unwrap_or(2_000)
                    .clamp(100, 60_000);
                self.recounts_later
                    .insert(channel, now + Duration::from_millis(wait));
            }
            // The voice that was asked for with it is refused too, which is told.
            Pending::StageAgain | Pending::Ping | Pending::Courtesy => {}
        }
    }
}

pub(super) fn read<T: DeserializeOwned>(result: &RawValue) -> serde_json::Result<T> {
    serde_json::from_str(result.get())
}
