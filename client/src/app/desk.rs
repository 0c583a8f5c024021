//! What the app does about the rest of the desktop: other windows in front of it, later starts, somebody who went away.

use std::time::Instant;

use egui::{Context, Key};
use voxhall_session::{CallIntent, Intent};

use super::App;
use crate::{
    audio::{Need, Sound},
    desktop::{About, Answer, Instance, News, is_function_key},
    news,
    settings::{TransmitChoice, Window},
    ui::{Place, ServerId},
};

impl App {
    /// By a notification, in the task bar and, in voice, by a sound, while the window is not in front.
    pub(super) fn tell_news(&mut self, ctx: &Context) {
        let all = std::mem::take(&mut self.news);
        if all.is_empty() || ctx.input(|input| input.viewport().focused != Some(false)) {
            return;
        }
        for (id, news) in all {
            self.notifier.show(self.named(id, news), id);
        }
        let attention = egui::UserAttentionType::Informational;
        ctx.send_viewport_cmd(egui::ViewportCommand::RequestUserAttention(attention));
        if self.settings.message_sound && !self.servers.heard().state.voice.deafened {
            self.audio.play(Sound::Message);
        }
    }

    /// Where one is on several servers, it is said on which one something came.
    fn named(&self, id: ServerId, news: News) -> News {
        let views = self.servers.views();
        let is_several = views.iter().filter(|it| !it.is_free()).count() > 1;
        match views.iter().find(|it| it.id == id && is_several) {
            Some(server) => news::said_of(&server.name, news),
            None => news,
        }
    }

    pub(super) fn tell_idle(&mut self, ctx: &Context) {
        let now = Instant::now();
        // A hidden window keeps the events of its last frame.
        let touched = ctx
            .input(|input| input.viewport().visible() != Some(false) && !input.events.is_empty());
        if let Some(idle) = self.idle.look(now, touched) {
            self.servers.tell_all(&Intent::SetIdle(idle));
        }
        if let Some(next) = self.idle.next(now) {
            ctx.request_repaint_after(next);
        }
    }

    /// Somebody started the app again, perhaps by pressing a link.
    pub(super) fn look_for_starts(&mut self, ctx: &Context) {
        while let Ok((server, about, answer)) = self.answered.try_recv() {
            self.obey_notification(ctx, server, about, answer);
        }
        while let Some(link) = self.instance.as_ref().and_then(Instance::next_start) {
            self.computer.come_to_the_front(ctx);
            if let Some(link) = link {
                self.go_to(ctx, link);
            }
        }
    }

    fn obey_notification(&mut self, ctx: &Context, id: ServerId, about: About, answer: Answer) {
        let Some(server) = self.servers.get(id) else {
            return;
        };
        let state = &server.state;
        let mut others = self.servers.iter().filter(|it| it.id != id);
        let busy = state.own_call().is_some() || others.any(|it| it.state.call_here().is_some());
        match (about, answer) {
            (About::Call(call, _), Answer::Reject) => {
                // One that is over needs no answer.
                if state.rings(call) {
                    server.send(Intent::Call(CallIntent::Reject(call)));
                }
                return;
            }
            (About::Message(channel, message), Answer::MarkRead) => {
                server.send(Intent::MarkRead { channel, message });
                return;
            }
            // Whether the call that one is in is to end for it is asked in the window.
            (About::Call(call, _), Answer::Accept) if state.rings(call) && !busy => {
                let end_current = false;
                server.send(Intent::Call(CallIntent::Answer { call, end_current }));
            }
            _ => {}
        }
        let (About::Call(_, channel) | About::Message(channel, _)) = about;
        self.computer.come_to_the_front(ctx);
        self.show(ctx, id, Place::Channel(channel));
    }

    pub(super) fn talk_key(&mut self, ctx: &Context) {
        let Some(key) = Key::from_name(&self.settings.talk_key) else {
            return;
        };
        let holds = matches!(
            self.settings.transmit,
            TransmitChoice::PushToTalk | TransmitChoice::PushToMute
        );
        self.hotkey
            .set_key((holds && self.need == Need::Both).then_some(key));
        let memory = &mut self.servers.shown_mut().memory;
        memory.talk_key_reach = self.hotkey.reach();
        let binding = memory.binding_talk_key;
        let writing = ctx.egui_wants_keyboard_input() && !is_function_key(key);
        let in_front = ctx.input(|input| input.viewport().focused != Some(false));
        let down = if in_front {
            ctx.input(|input| input.key_down(key)) && !writing && !binding
        } else {
            self.hotkey.is_down()
        };
        if down != self.talk_key_down {
            self.talk_key_down = down;
            self.servers.tell_all(&Intent::SetTalkKey(down));
        }
    }
}

/// How large the window is. A maximised one keeps the size that it goes back to.
pub(super) fn window(ctx: &Context, before: Window) -> Window {
    ctx.input(|input| {
        let viewport = input.viewport();
        let maximized = viewport.maximized.unwrap_or(before.maximized);
        let rect = viewport.inner_rect;
        let size = rect.filter(|_| !maximized && viewport.minimized != Some(true));
        Window {
            size: size.map_or(before.size, |rect| {
                [rect.width(), rect.height()].map(f32::round)
            }),
            maximized,
        }
    })
}
