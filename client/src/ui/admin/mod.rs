//! The whole server, for its administrators.

mod bans;
mod guilds;
mod overview;
mod users;

use egui::{Ui, vec2};

use super::{
    Dialog, Intents, Memory, Scene, icons,
    window::{TabOf, Turn, needs_server, pages_ui},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    Overview,
    Users,
    Guilds,
    Bans,
}

const TABS: [TabOf<Page>; 4] = [
    (Page::Overview, icons::CHART_BAR, "State"),
    (Page::Users, icons::USERS, "Users"),
    (Page::Guilds, icons::HOUSE, "Servers"),
    (Page::Bans, icons::PROHIBIT, "Address bans"),
];

/// What is being entered on the pages.
#[derive(Default)]
pub struct Form {
    overview: overview::Form,
    users: users::Form,
    bans: bans::Form,
}

impl Form {
    /// Passwords that were entered, or made.
    pub fn forget_secrets(&mut self) {
        self.users.forget_secrets();
    }
}

pub fn admin_ui(
    ui: &Ui,
    scene: &Scene<'_>,
    page: Page,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    if !scene.state.is_admin {
        memory.dialog = None;
        return;
    }
    let turn = pages_ui(
        ui,
        "admin",
        "ADMINISTRATION",
        &TABS,
        page,
        vec2(920.0, 620.0),
        |ui| {
            needs_server(ui, scene.state);
            match page {
                Page::Overview => overview::overview_ui(ui, scene, memory, intents),
                Page::Users => users::users_ui(ui, scene, memory, intents),
                Page::Guilds => guilds::guilds_ui(ui, scene, memory, intents),
                Page::Bans => bans::bans_ui(ui, scene, memory, intents),
            }
        },
    );
    match turn {
        // A last question stands above this dialog.
        _ if memory.confirm.is_some() => {}
        Turn::Stay => {}
        Turn::To(page) => memory.dialog = Some(Dialog::Admin(page)),
        Turn::Close => memory.dialog = None,
    }
}
