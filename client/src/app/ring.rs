//! What is heard when somebody calls.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use egui::Context;

use super::App;
use crate::{
    audio::Sound,
    ringer::{Due, wish},
    ringtone,
    settings::Ringtone,
    ui::ServerId,
};

/// No sound of the app's own is longer.
const BUILT_IN: Duration = Duration::from_secs(1);
/// What a device may hold back.
const REST: Duration = Duration::from_millis(300);

/// The person's own ringtone.
#[derive(Default)]
pub(super) struct Ring {
    own: Option<Arc<[f32]>>,
    /// It is being listened to in the settings.
    tried_until: Option<Instant>,
}

impl App {
    /// The ringing of calls, here and at the others'.
    pub(super) fn ring(&mut self, ctx: &Context) {
        let now = Instant::now();
        let wish = self.wished_sound();
        match self.ringer.due(wish, self.ringtone_length(), now) {
            Due::Nothing => {}
            Due::Hush => self.audio.hush(),
            Due::Play(Sound::Ring) => self.play_ringtone(),
            Due::Play(sound) => self.audio.play(sound),
        }
        let ring = &mut self.computer.ring;
        ring.tried_until = ring.tried_until.filter(|until| now < *until);
        // A window that is hidden or can't be seen rings as well.
        for next in self.ringer.next().into_iter().chain(ring.tried_until) {
            ctx.request_repaint_after(next.saturating_duration_since(now));
        }
    }

    /// The speakers are needed for it.
    pub(super) fn rings(&self) -> bool {
        let is_heard = self.settings.ringtone != Ringtone::Nothing;
        let tried = self.computer.ring.tried_until.is_some();
        tried || (is_heard && self.wished_sound() == Some(Sound::Ring))
    }

    /// By calls on all servers.
    fn wished_sound(&self) -> Option<Sound> {
        wish(self.servers.iter().map(|server| &*server.state))
    }

    /// Gets the person's own one, where it is wanted and there is one.
    pub(super) fn load_ringtone(&mut self) {
        let settings = &self.settings;
        let wanted = settings.ringtone == Ringtone::Own && !settings.own_ringtone.is_empty();
        if !wanted || self.computer.ring.own.is_some() {
            return;
        }
        match ringtone::load(self.store.folder()) {
            Ok(samples) => self.computer.ring.own = Some(samples),
            Err(error) => self.warn(format!(
                "Your ringtone can't be played: {error}. The bells ring in its place."
            )),
        }
    }

    /// As the page of server `id` wants it.
    pub(super) fn choose_ringtone(&mut self, id: ServerId, file: &Path) {
        let name = file.file_name().map(|name| name.to_string_lossy());
        let name = name.unwrap_or_default().into_owned();
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        let trouble = &mut server.memory.computer.ringtone_trouble;
        match ringtone::import(file, self.store.folder()) {
            Ok(samples) => {
                *trouble = None;
                self.computer.ring.own = Some(samples);
                self.settings.ringtone = Ringtone::Own;
                self.settings.own_ringtone = name;
            }
            Err(error) => *trouble = Some(format!("{name} can't ring: {error}.")),
        }
    }

    pub(super) fn try_ringtone(&mut self) {
        self.computer.ring.tried_until = Some(Instant::now() + self.ringtone_length() + REST);
        self.tend_devices();
        self.audio.hush();
        self.play_ringtone();
    }

    fn play_ringtone(&self) {
        match (self.settings.ringtone, &self.computer.ring.own) {
            (Ringtone::Nothing, _) => {}
            (Ringtone::Own, Some(samples)) => self.audio.ring(Arc::clone(samples)),
            (Ringtone::Telephone, _) => self.audio.play(Sound::RingTelephone),
            (Ringtone::Calm, _) => self.audio.play(Sound::RingCalm),
            (Ringtone::Bells | Ringtone::Own, _) => self.audio.play(Sound::Ring),
        }
    }

    fn ringtone_length(&self) -> Duration {
        match (self.settings.ringtone, &self.computer.ring.own) {
            (Ringtone::Own, Some(samples)) => ringtone::length(samples),
            _ => BUILT_IN,
        }
    }
}
