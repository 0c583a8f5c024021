//! How others see one: name, text, picture.

use std::path::PathBuf;

use egui::{Sense, Ui, vec2};
use voxhall_protocol::{
    FileId,
    control::{GetProfile, Profile, Reply, Request, UpdateAccount},
    limits::{ABOUT_CHARS, NAME_CHARS},
};

use super::super::{
    Dialog, Intents, Memory, Scene,
    ask::Topic,
    picture::{self, Picture, PictureOf},
    widgets::{Kind, avatar, button, field, hint},
    window::{change_ui, found_ui, save_ui, text_field},
};

#[derive(Default)]
pub struct ProfileForm {
    draft: Option<Draft>,
    picture: Picture,
}

impl ProfileForm {
    pub fn choose_picture(&mut self, file: PathBuf) {
        self.picture.choose(file);
    }
}

#[derive(Clone, PartialEq)]
struct Draft {
    display_name: String,
    about: String,
}

impl Draft {
    fn of(profile: &Profile) -> Self {
        Self {
            display_name: profile.user.display_name.clone().unwrap_or_default(),
            about: profile.about.clone(),
        }
    }
}

pub fn profile_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let state = scene.state;
    let Some(me) = &state.me else {
        hint(ui, "You are not signed in.");
        return;
    };
    let question = GetProfile { user_id: me.id };
    let found = memory.asks.keep(Topic::List, question, state, intents);
    let Some(Reply::GetProfile(answered)) = found_ui(ui, found) else {
        return;
    };
    // What was changed since is in the session's own copy.
    let profile = state.profiles.get(&me.id).unwrap_or(answered);
    ui.horizontal(|ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(72.0, 72.0), Sense::hover());
        avatar(
            ui.painter(),
            ui.ctx(),
            rect.center(),
            34.0,
            me,
            false,
            false,
        );
        ui.vertical(|ui| {
            let form = &mut memory.settings.profile.picture;
            if let Some(picture) =
                picture::picture_ui(ui, ("Picture", PictureOf::Me), form, state, intents)
            {
                memory
                    .asks
                    .ask(Topic::Change, with_picture(picture), intents);
            }
            if me.picture.is_some() && button(ui, Kind::Quiet, "Remove the picture").clicked() {
                memory
                    .asks
                    .ask(Topic::Change, with_picture(FileId(0)), intents);
            }
        });
    });
    let now = Draft::of(profile);
    let draft = memory
        .settings
        .profile
        .draft
        .get_or_insert_with(|| now.clone());
    field(ui, "Display name", &mut draft.display_name, &me.name, false);
    hint(ui, "What others call you. You sign in with the other one.");
    text_field(ui, "About you", &mut draft.about, ABOUT_CHARS, 4);
    let fits = draft.display_name.trim().chars().count() <= *NAME_CHARS.end();
    let (draft, mut undo) = (draft.clone(), false);
    if save_ui(ui, draft != now, fits, || undo = true) {
        let update = UpdateAccount {
            display_name: (draft.display_name != now.display_name)
                .then(|| draft.display_name.trim().to_owned()),
            about: (draft.about != now.about).then(|| draft.about.clone()),
            picture: None,
        };
        memory.asks.ask(Topic::Change, update, intents);
    }
    // What was written stays when only the picture was changed.
    let done = match memory.asks.take_done(Topic::Change, state, intents) {
        Some((Request::UpdateAccount(update), _)) => update.picture.is_none(),
        _ => false,
    };
    if undo || done {
        memory.settings.profile.draft = None;
    }
    change_ui(ui, &memory.asks, state);
    if button(ui, Kind::Quiet, "See it as others do").clicked() {
        memory.dialog = Some(Dialog::Profile(me.id));
    }
}

fn with_picture(picture: FileId) -> UpdateAccount {
    UpdateAccount {
        picture: Some(picture),
        ..UpdateAccount::default()
    }
}
