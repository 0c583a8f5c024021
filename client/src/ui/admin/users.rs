//! Everyone with an account, and what can be done about them.

use std::collections::BTreeMap;

use egui::{Label, RichText, Ui};
use voxhall_protocol::{
    SecretText, UserId,
    control::{
        AdminCreateUser, AdminDeleteUser, AdminListUsers, AdminResetPassword, AdminSignOut,
        AdminUpdateUser, AdminUser, Reply, Request,
    },
    limits::{PASSWORD_BYTES, clean_name},
};

use super::super::{
    Intents, Memory, Scene,
    ask::{Behind, Found, Topic},
    icons,
    theme::palette,
    widgets::{Kind, button, field, hint, switch},
    window::{
        Confirm, change_ui, column, count, found_ui, group, item_ui, more_ui, nothing_ui, scrolled,
        tag_ui, time_words, who_ui,
    },
};

#[derive(Default)]
pub struct Form {
    query: String,
    shown: Shown,
    /// With the words that they belong to.
    behind: Behind<String, AdminUser>,
    /// As they are since they were changed here.
    changed: BTreeMap<UserId, AdminUser>,
    name: String,
    password: String,
    /// A password that was made anew, and for whom. Shown once.
    fresh: Option<(UserId, SecretText)>,
}

impl Form {
    pub fn forget_secrets(&mut self) {
        self.password.clear();
        self.fresh = None;
    }
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Shown {
    #[default]
    Nobody,
    New,
    User(UserId),
}

pub fn users_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    take_answers(scene, memory, intents);
    ui.horizontal_top(|ui| {
        column(ui, "admin users", 270.0, |ui| {
            list_ui(ui, scene, memory, intents);
        });
        scrolled(ui, "admin user", |ui| match memory.admin.users.shown {
            Shown::Nobody => nothing_ui(
                ui,
                icons::USERS,
                "Choose a user",
                "Suspend or let back in, sign out, make an administrator.",
            ),
            Shown::New => new_ui(ui, scene, memory, intents),
            Shown::User(id) => match listed(scene, memory, id) {
                Some(user) => user_ui(ui, scene, &user, memory, intents),
                None => drop(hint(ui, "This user is no longer in the list.")),
            },
        });
    });
}

fn question(query: &str, after: Option<UserId>) -> AdminListUsers {
    AdminListUsers {
        query: query.trim().to_owned(),
        after,
    }
}

fn take_answers(scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    match memory.asks.take_done(Topic::Change, scene.state, intents) {
        Some((_, Reply::AdminResetPassword(new))) => {
            if let Shown::User(id) = memory.admin.users.shown {
                memory.admin.users.fresh = Some((id, new.password));
            }
        }
        Some((_, Reply::AdminUpdateUser(user))) => {
            let changed = &mut memory.admin.users.changed;
            changed.insert(user.user.id, user);
        }
        Some((_, Reply::AdminCreateUser(user))) => {
            let form = &mut memory.admin.users;
            form.shown = Shown::User(user.user.id);
            form.name.clear();
            form.password.clear();
            list_anew(memory, intents);
        }
        Some(_) => list_anew(memory, intents),
        None => {}
    }
    let query = memory.admin.users.query.trim();
    let done = memory.asks.take_done(Topic::More, scene.state, intents);
    if let Some((Request::AdminListUsers(asked), Reply::AdminListUsers(page))) = done
        && asked.query == query
    {
        let behind = &mut memory.admin.users.behind;
        behind.add(asked.query, page.users, page.more);
    }
}

fn list_anew(memory: &mut Memory, intents: &mut Intents) {
    memory.asks.forget(Topic::List, intents);
    memory.asks.forget(Topic::More, intents);
    let form = &mut memory.admin.users;
    form.behind = Behind::default();
    form.changed.clear();
}

/// The user among those that are listed.
fn listed(scene: &Scene<'_>, memory: &Memory, id: UserId) -> Option<AdminUser> {
    let first = match memory.asks.look(Topic::List, scene.state) {
        Found::Done(Reply::AdminListUsers(page)) => &page.users[..],
        _ => &[],
    };
    let form = &memory.admin.users;
    let mut all = first.iter().chain(form.behind.all());
    let listed = all.find(|user| user.user.id == id);
    form.changed.get(&id).or(listed).cloned()
}

fn list_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    if button(ui, Kind::Secondary, "New account").clicked() {
        memory.admin.users.shown = Shown::New;
        memory.admin.users.forget_secrets();
    }
    field(
        ui,
        "Find a user",
        &mut memory.admin.users.query,
        "Part of a name",
        false,
    );
    let query = memory.admin.users.query.trim().to_owned();
    memory.admin.users.behind.keep(&query);
    let found = memory
        .asks
        .keep(Topic::List, question(&query, None), scene.state, intents);
    let Some(Reply::AdminListUsers(page)) = found_ui(ui, found) else {
        return;
    };
    ui.spacing_mut().item_spacing.y = 2.0;
    let form = &mut memory.admin.users;
    let behind = form.behind.all();
    let mut chosen = None;
    for user in page.users.iter().chain(behind) {
        let user = form.changed.get(&user.user.id).unwrap_or(user);
        let p = palette(ui);
        let (note, ink) = match user {
            it if it.suspended => ("suspended", p.danger),
            it if it.is_admin => ("administrator", p.warning),
            it if it.online => ("online", p.live),
            _ => ("", p.faint),
        };
        let name = format!("User {}", user.user.name);
        let selected = form.shown == Shown::User(user.user.id);
        if item_ui(
            ui,
            (icons::USER, ink),
            &user.user.name,
            note,
            selected,
            &name,
        )
        .clicked()
        {
            chosen = Some(user.user.id);
        }
    }
    let last = behind.last().or(page.users.last()).map(|user| user.user.id);
    let more = form.behind.more(page.more);
    if let Some(id) = chosen {
        form.shown = Shown::User(id);
        form.forget_secrets();
        memory.asks.forget(Topic::Change, intents);
    }
    if more_ui(ui, more, "More users", &memory.asks, scene.state) {
        memory
            .asks
            .ask(Topic::More, question(&query, last), intents);
    }
}

fn new_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let form = &mut memory.admin.users;
    hint(
        ui,
        "For someone who can't register by themselves. Tell them the password over another way.",
    );
    field(ui, "Name of the account", &mut form.name, "", false);
    field(
        ui,
        "Its password",
        &mut form.password,
        "At least 8 characters",
        true,
    );
    let ready = clean_name(&form.name).is_ok() && PASSWORD_BYTES.contains(&form.password.len());
    let make = ui
        .add_enabled_ui(ready, |ui| button(ui, Kind::Primary, "Create the account"))
        .inner;
    if make.clicked() {
        let create = AdminCreateUser {
            name: form.name.trim().to_owned(),
            password: SecretText::from(form.password.as_str()),
        };
        memory.asks.ask(Topic::Change, create, intents);
    }
    change_ui(ui, &memory.asks, scene.state);
}

fn user_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    user: &AdminUser,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let p = palette(ui);
    let (user_id, name) = (user.user.id, user.user.name.as_str());
    let me = scene.state.me.as_ref().is_some_and(|me| me.id == user_id);
    ui.horizontal(|ui| {
        who_ui(ui, &user.user, 44.0);
        if user.suspended {
            tag_ui(ui, "suspended", p.danger);
        }
        if user.is_admin {
            tag_ui(ui, "administrator", p.warning);
        }
    });
    let seen = user.last_seen_ms.map_or_else(
        || "never seen".to_owned(),
        |at| format!("last seen {}", time_words(at, scene)),
    );
    let since = time_words(user.created_at_ms, scene);
    let devices = count(user.devices as usize, "device");
    hint(
        ui,
        format!("{name}, since {since}, {seen}, signed in on {devices}."),
    );
    change_ui(ui, &memory.asks, scene.state);
    if let Some((_, password)) = memory
        .admin
        .users
        .fresh
        .as_ref()
        .filter(|it| it.0 == user_id)
    {
        group(ui, |ui| {
            hint(
                ui,
                "The new password. It is shown this once; tell it over another way.",
            );
            let text = RichText::new(password.expose())
                .font(egui::FontId::monospace(15.0))
                .color(p.text);
            ui.add(Label::new(text).selectable(true));
        });
    }
    if me {
        hint(
            ui,
            "This is you: what is here for others can't be done to oneself.",
        );
        return;
    }
    let update = AdminUpdateUser {
        user_id,
        suspended: None,
        is_admin: None,
    };
    let mut suspended = user.suspended;
    if switch(
        ui,
        &mut suspended,
        "Suspended: can't sign in, and is signed out",
    )
    .changed()
    {
        let suspended = Some(suspended);
        memory.asks.ask(
            Topic::Change,
            AdminUpdateUser {
                suspended,
                ..update
            },
            intents,
        );
    }
    let mut is_admin = user.is_admin;
    if switch(ui, &mut is_admin, "Administrator of the whole server").changed() {
        let is_admin = Some(is_admin);
        memory.asks.ask(
            Topic::Change,
            AdminUpdateUser { is_admin, ..update },
            intents,
        );
    }
    ui.horizontal_wrapped(|ui| {
        if button(ui, Kind::Secondary, "Sign out everywhere").clicked() {
            memory
                .asks
                .ask(Topic::Change, AdminSignOut { user_id }, intents);
        }
        if button(ui, Kind::Secondary, "New password").clicked() {
            memory.confirm = Some(Confirm {
                title: format!("Give {name} a new password?"),
                text: "The old one no longer works, and all their devices are signed out."
                    .to_owned(),
                verb: "Make a new one".to_owned(),
                request: AdminResetPassword { user_id }.into(),
            });
        }
        if button(ui, Kind::Danger, "Delete the account").clicked() {
            memory.confirm = Some(Confirm {
                title: format!("Delete {name}?"),
                text: "The account and its sign-ins are gone for good.".to_owned(),
                verb: "Delete it".to_owned(),
                request: AdminDeleteUser { user_id }.into(),
            });
        }
    });
}
