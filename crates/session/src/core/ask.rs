//! Requests that the session itself has nothing to do with, and what it learns from their answers all the same.

use std::{sync::Arc, time::Instant};

use voxhall_protocol::control::{Profile, Reply, Request};

use super::{Asker, Core, Output, Pending};
use crate::{Answer, AskError, NoticeLevel, Tag};

/// Answers that views may not have dropped yet.
const MOST_ANSWERS: usize = 64;
/// Profiles that are kept.
const MOST_PROFILES: usize = 256;

impl Core {
    pub(super) fn ask(
        &mut self,
        now: Instant,
        asker: Asker,
        request: Request,
        out: &mut Vec<Output>,
    ) {
        if !self.is_online() {
            return self.answered(asker, &request, Err(AskError::Offline), out);
        }
        if let Asker::View(tag) = asker {
            self.show_answer(tag, Answer::Waiting);
        }
        let text = request.encode(self.next_request);
        self.new_request(now, Pending::Ask(asker, Box::new(request)));
        out.push(Output::Send(text));
    }

    pub(super) fn answered(
        &mut self,
        asker: Asker,
        request: &Request,
        answer: Result<Reply, AskError>,
        out: &mut Vec<Output>,
    ) {
        if let Ok(reply) = &answer {
            self.learn(request, reply);
        }
        match asker {
            Asker::Nobody => {
                if let Err(error) = answer {
                    self.notice(NoticeLevel::Warning, error.to_string());
                }
            }
            Asker::View(tag) => {
                let answer = match answer {
                    Ok(reply) => Answer::Done(Box::new(reply)),
                    Err(error) => Answer::Failed(error),
                };
                self.show_answer(tag, answer);
            }
            Asker::Program(tag) => out.push(Output::Answered(tag, answer.map(Box::new))),
        }
    }

    pub(super) fn drop_answer(&mut self, tag: Tag) {
        Arc::make_mut(&mut self.state.answers).remove(&tag);
        self.changed = true;
    }

    fn show_answer(&mut self, tag: Tag, answer: Answer) {
        let answers = Arc::make_mut(&mut self.state.answers);
        answers.insert(tag, answer);
        while answers.len() > MOST_ANSWERS {
            answers.pop_first();
        }
        self.changed = true;
    }

    /// Takes from an answer what no event tells. What events tell is left to them: an answer may be older than an event before it.
    fn learn(&mut self, request: &Request, reply: &Reply) {
        match reply {
            Reply::GetProfile(profile)
            | Reply::FollowUser(profile)
            | Reply::UnfollowUser(profile) => self.know(profile),
            Reply::UpdateAccount(profile) => {
                self.state.fold_user(&profile.user);
                self.know(profile);
            }
            Reply::UpgradeAccount(user) => {
                self.state.fold_user(user);
                self.changed = true;
            }
            Reply::SetPresence(presence) => {
                self.state.presence = presence.clone();
                self.changed = true;
            }
            Reply::ListDevices(list) => {
                self.state.devices = Some(Arc::new(list.devices.clone()));
                self.changed = true;
            }
            Reply::EndDevice(_) => {
                if let (Request::EndDevice(end), Some(devices)) = (request, &mut self.state.devices)
                {
                    Arc::make_mut(devices).retain(|device| device.id != end.device_id);
                    self.changed = true;
                }
            }
            _ => {}
        }
    }

    fn know(&mut self, profile: &Profile) {
        let profiles = Arc::make_mut(&mut self.state.profiles);
        if profiles.len() >= MOST_PROFILES && !profiles.contains_key(&profile.user.id) {
            profiles.pop_first();
        }
        profiles.insert(profile.user.id, profile.clone());
        self.changed = true;
    }
}
