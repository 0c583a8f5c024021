//! All servers that the app is on. There is always one: where one isn't on any, it is bound for nowhere, and its page asks where to go.

use voxhall_protocol::link::Link;
use voxhall_session::{Intent, State};

use super::server::{Server, voice_of};
use crate::{
    settings::{Opened, is_same_server},
    ui::{ServerId, ServerView},
};

pub(super) struct Servers {
    /// As they stand in the rail.
    all: Vec<Server>,
    shown: usize,
    /// The one that let the person into voice last.
    talking: Option<ServerId>,
}

impl Servers {
    pub fn new(first: Server) -> Self {
        Self {
            all: vec![first],
            shown: 0,
            talking: None,
        }
    }

    pub fn shown(&self) -> &Server {
        &self.all[self.shown]
    }

    pub fn shown_mut(&mut self) -> &mut Server {
        &mut self.all[self.shown]
    }

    pub fn get(&self, id: ServerId) -> Option<&Server> {
        self.all.iter().find(|server| server.id == id)
    }

    pub fn get_mut(&mut self, id: ServerId) -> Option<&mut Server> {
        self.all.iter_mut().find(|server| server.id == id)
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Server> {
        self.all.iter()
    }

    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Server> {
        self.all.iter_mut()
    }

    pub fn ids(&self) -> Vec<ServerId> {
        self.all.iter().map(|server| server.id).collect()
    }

    /// The one that this link leads to.
    pub fn of(&self, link: &Link) -> Option<ServerId> {
        let leads = |server: &&Server| server.link().is_some_and(|it| is_same_server(it, link));
        self.all.iter().find(leads).map(|server| server.id)
    }

    /// The one that is bound for nowhere.
    pub fn free(&self) -> Option<ServerId> {
        let mut free = self.all.iter().filter(|server| server.link().is_none());
        free.next().map(|server| server.id)
    }

    pub fn add(&mut self, server: Server) -> ServerId {
        let id = server.id;
        self.all.push(server);
        id
    }

    /// The one that was left for it is given back if it is bound for nowhere.
    pub fn show(&mut self, id: ServerId) -> Option<Server> {
        let left = self.shown().id;
        self.shown = self.all.iter().position(|server| server.id == id)?;
        let is_free = self.get(left).is_some_and(|it| it.link().is_none());
        if left == id || !is_free {
            return None;
        }
        self.remove(left)
    }

    /// Not the last one. If it was shown, the one beside it is from now on.
    pub fn remove(&mut self, id: ServerId) -> Option<Server> {
        let at = self.all.iter().position(|server| server.id == id)?;
        if self.all.len() == 1 {
            return None;
        }
        if at < self.shown || self.shown + 1 == self.all.len() {
            self.shown = self.shown.saturating_sub(1);
        }
        Some(self.all.remove(at))
    }

    pub fn tell_all(&self, intent: &Intent) {
        for server in &self.all {
            server.send(intent.clone());
        }
    }

    /// One talks on one server at a time: on the one that let the person in last.
    pub fn keep_one_voice(&mut self, id: ServerId, before: &State) {
        let Some(server) = self.get(id) else { return };
        let entered = server.voice();
        if entered.is_none() || entered == voice_of(before) {
            return;
        }
        self.talking = Some(id);
        let others = self.all.iter().filter(|server| server.id != id);
        for other in others.filter(|server| server.wants_voice()) {
            other.send(Intent::LeaveVoice);
        }
    }

    /// The one on which the person is in voice, or on the way there.
    pub fn in_voice(&self) -> Option<&Server> {
        let in_voice = |server: &&Server| server.state.voice.channel().is_some();
        let talking = self.talking.and_then(|id| self.get(id)).filter(in_voice);
        talking.or_else(|| self.all.iter().find(in_voice))
    }

    /// The one whose voice is what switches, keys and figures are about.
    pub fn heard(&self) -> &Server {
        self.in_voice().unwrap_or(self.shown())
    }

    /// As views see them.
    pub fn views(&self) -> Vec<ServerView<'_>> {
        let names: Vec<_> = self.all.iter().map(Server::name).collect();
        let is_shared = |name: &String| names.iter().filter(|it| *it == name).count() > 1;
        let views = self.all.iter().zip(&names).map(|(server, name)| {
            let place = server.link().filter(|_| is_shared(name));
            ServerView {
                id: server.id,
                name: match place {
                    Some(link) => format!("{name} ({})", link.authority()),
                    None => name.clone(),
                },
                link: server.link(),
                state: &server.state,
            }
        });
        views.collect()
    }

    /// What is opened again at the next start.
    pub fn opened(&self) -> Opened {
        let link = |server: &Server| {
            let link = server.link()?.clone();
            Some(Link { code: None, ..link })
        };
        Opened {
            servers: self.all.iter().filter_map(link).collect(),
            shown: link(self.shown()),
        }
    }
}
