//! Which servers the app is on, and which of them it shows.

use std::sync::Arc;

use egui::{Context, Popup, text_edit::TextEditState};
use voxhall_protocol::link::Link;
use voxhall_session::{Connection, Intent, State};

use super::{
    App, Start,
    server::{Autojoin, Server},
};
use crate::{
    settings::{Opened, is_same_server},
    ui::{Dialog, Place, ServerId, is_inside},
};

impl App {
    /// Opens what was open last, and goes where `start` says.
    pub(super) fn begin(&mut self, ctx: &Context, start: Start) {
        let last = self.logins.all().last().map(|login| login.link.clone());
        // Where nothing was noted, one was where one signed in last.
        let Opened { servers, shown } = self.opened.clone().unwrap_or_else(|| Opened {
            servers: last.into_iter().collect(),
            shown: None,
        });
        let known = |link: &Link| self.logins.of(link).is_some();
        let mut servers: Vec<_> = servers.into_iter().filter(known).collect();
        let wished = start.link.clone();
        let first = wished
            .or(shown.filter(known))
            .or_else(|| servers.first().cloned());
        if let Some(first) = &first {
            match servers.iter_mut().find(|it| is_same_server(it, first)) {
                // The invite is to be redeemed, and what is known of the certificate stays known.
                Some(same) => *same = pinned_as(same, first.clone()),
                None => servers.push(first.clone()),
            }
        }
        let name = start.name.filter(|_| start.link.is_some());
        if let Some(name) = &name {
            self.settings.name.clone_from(name);
        }
        // Who names link and name wants to talk.
        let wish = name.as_ref().map(|_| Autojoin::First);
        let mut autojoin = start.join.map(Autojoin::Named).or(wish);
        if servers.is_empty() {
            self.servers.shown_mut().autojoin = autojoin.take();
        }
        for link in servers {
            let is_first = (first.as_ref()).is_some_and(|first| is_same_server(first, &link));
            let Some(id) = self.unbound(ctx) else {
                return;
            };
            if is_first {
                self.show(ctx, id, Place::AsItWas);
                let server = self.servers.shown_mut();
                server.autojoin = autojoin.take();
                server.guest = name.clone().filter(|_| link.code.is_some());
                if start.link.is_some() {
                    server.memory.entry.link_text = link.to_string();
                }
            }
            if let Some(server) = self.servers.get_mut(id) {
                server.visit(link, &self.logins);
            }
        }
    }

    /// Where a link leads, beside where one is already.
    pub(super) fn go_to(&mut self, ctx: &Context, link: Link) {
        let Some(id) = self.servers.of(&link).or_else(|| self.unbound(ctx)) else {
            return;
        };
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        // Whoever is on that server stays as they are, in the midst of a talk perhaps.
        let here = server.link().filter(|_| is_inside(&server.state));
        let link = server
            .link()
            .map_or(link.clone(), |known| pinned_as(known, link));
        match way_to(&link, here) {
            Way::Connect => {
                server.memory.entry.link_text = link.to_string();
                server.visit(link, &self.logins);
            }
            Way::Invite => {
                server.memory.new_guild.invite = link.to_string();
                server.memory.dialog = Some(Dialog::NewGuild);
            }
            Way::Here => {}
        }
        self.show(ctx, id, Place::AsItWas);
    }

    pub(super) fn add_server(&mut self, ctx: &Context) {
        if let Some(id) = self.unbound(ctx) {
            self.show(ctx, id, Place::AsItWas);
        }
    }

    pub(super) fn show(&mut self, ctx: &Context, id: ServerId, place: Place) {
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        let state = Arc::clone(&server.state);
        server.memory.go(place, &state);
        if self.servers.shown().id == id {
            return;
        }
        if let Some(free) = self.servers.show(id) {
            free.close(ctx);
        }
        forget_fields(ctx);
    }

    /// A server was left for good; the app goes on with the others.
    pub(super) fn close_if_left(&mut self, ctx: &Context, id: ServerId, before: &State) {
        let is_idle = |state: &State| state.connection == Connection::Idle;
        let Some(server) = self.servers.get(id) else {
            return;
        };
        let shown = self.servers.shown().id == id;
        // Whoever did not come in says on the same page where to go instead.
        let stays = shown && !is_inside(before);
        if !is_idle(&server.state) || is_idle(before) || stays {
            return;
        }
        if let Some(closed) = self.servers.remove(id) {
            closed.close(ctx);
            if shown {
                forget_fields(ctx);
            }
        }
    }

    /// A server that is bound for nowhere yet, and is told what all are told.
    fn unbound(&mut self, ctx: &Context) -> Option<ServerId> {
        if let Some(free) = self.servers.free() {
            return Some(free);
        }
        let mut server = match Server::start(ctx, &self.store, &self.logins) {
            Ok(server) => server,
            Err(error) => {
                self.warn(format!("Can't be on one more server: {error}."));
                return None;
            }
        };
        server.apply_voice(&self.settings);
        let shown = self.servers.shown();
        server.send(Intent::SetMuted(shown.state.voice.muted));
        server.send(Intent::SetDeafened(shown.state.voice.deafened));
        server.memory.talk_key_reach = shown.memory.talk_key_reach;
        Some(self.servers.add(server))
    }
}

/// A field of another server may have the id of one of the last: it is not to undo into the words that stood there.
fn forget_fields(ctx: &Context) {
    Popup::close_all(ctx);
    ctx.data_mut(egui::util::IdTypeMap::remove_by_type::<TextEditState>);
    ctx.memory_mut(|memory| {
        if let Some(focused) = memory.focused() {
            memory.surrender_focus(focused);
        }
    });
}

/// A link without the fingerprint of its server's certificate takes that of one that leads there, by which logins are found, too.
fn pinned_as(known: &Link, link: Link) -> Link {
    Link {
        pin: link.pin.or(known.pin),
        ..link
    }
}

/// What a pressed link asks for.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Connect,
    /// Into another guild of the server one is on.
    Invite,
    Here,
}

fn way_to(link: &Link, here: Option<&Link>) -> Way {
    match here {
        Some(here) if is_same_server(link, here) => {
            if link.code.is_none() || link.code == here.code {
                Way::Here
            } else {
                Way::Invite
            }
        }
        _ => Way::Connect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_where_one_is_ends_no_talk() {
        const PIN: &str = "#k7Jm3v9XQ2m0cSb4T1rYw8ZpUe6LhNaGdVfKiOoRtEs";
        const OTHER_PIN: &str = "#k7Jm3v9XQ2m0cSb4T1rYw8ZpUe6LhNaGdVfKiOoRtEA";
        let link = |text: &str| -> Link { text.parse().unwrap() };
        let plain = "voxhall://host:9000/CODE".to_owned();
        let pinned = plain.clone() + PIN;
        for (here, pressed, way) in [
            (&plain, plain.clone(), Way::Here),
            (&plain, "voxhall://host:9000".to_owned(), Way::Here),
            (&plain, "voxhall://host:9000/OTHER".to_owned(), Way::Invite),
            (
                &plain,
                "voxhall://elsewhere:9000/CODE".to_owned(),
                Way::Connect,
            ),
            (&plain, pinned.clone(), Way::Here),
            (&pinned, plain.clone(), Way::Here),
            (
                &pinned,
                format!("voxhall://elsewhere:9000/CODE{PIN}"),
                Way::Here,
            ),
            (&pinned, plain.clone() + OTHER_PIN, Way::Connect),
        ] {
            let found = way_to(&link(&pressed), Some(&link(here)));
            assert_eq!(found, way, "{pressed} on {here}");
        }
        assert_eq!(way_to(&link(&plain), None), Way::Connect);
    }

    #[test]
    fn a_link_without_a_fingerprint_does_not_forget_it() {
        let link = |text: &str| -> Link { text.parse().unwrap() };
        let known = link("voxhall://host:9000#k7Jm3v9XQ2m0cSb4T1rYw8ZpUe6LhNaGdVfKiOoRtEs");
        let pressed = pinned_as(&known, link("voxhall://host:9000/CODE"));
        assert_eq!(
            (pressed.pin, pressed.code.as_deref()),
            (known.pin, Some("CODE"))
        );
    }
}
