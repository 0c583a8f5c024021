//! One's account: the password, where it is signed in, and how a guest gets one.

use egui::{Label, RichText, Ui};
use voxhall_protocol::{
    SecretText,
    control::{ChangePassword, UpgradeAccount, User, UserKind},
    limits::{PASSWORD_BYTES, clean_name},
};
use voxhall_session::{Connection, Intent};

use super::{
    super::{
        Intents, Memory, Scene, Want,
        ask::Topic,
        is_inside,
        theme::{SMALL, palette},
        widgets::{Kind, button, caption, field, hint, rule},
        window::change_ui,
    },
    devices::devices_ui,
};

#[derive(Default)]
pub struct AccountForm {
    name: Option<String>,
    old: String,
    new: String,
    again: String,
    done: Option<&'static str>,
}

pub fn account_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let p = palette(ui);
    let online = scene.state.connection == Connection::Online;
    match scene.state.me.as_ref().filter(|_| online) {
        Some(me) => signed_in_ui(ui, scene, me, memory, intents),
        None => drop(hint(ui, "You are not signed in.")),
    }
    // A server that is away can be left as well.
    if is_inside(scene.state) {
        ways_out_ui(ui, online, memory, intents);
    }
    ui.add_space(12.0);
    rule(ui);
    let about = format!(
        "Voxhall {}. What you say and write is encrypted on its way.",
        env!("CARGO_PKG_VERSION")
    );
    ui.add(Label::new(RichText::new(about).size(SMALL).color(p.faint)).wrap());
}

fn signed_in_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    me: &User,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let server = scene.state.server_name.as_deref().unwrap_or("this server");
    hint(ui, format!("You are {} on {server}.", me.name));
    match me.kind {
        UserKind::Guest => guest_ui(ui, me, memory, intents),
        UserKind::Account => password_ui(ui, memory, intents),
    }
    change_ui(ui, &memory.asks, scene.state);
    let done = memory.asks.take_done(Topic::Change, scene.state, intents);
    let form = &mut memory.settings.account;
    match done {
        Some((voxhall_protocol::control::Request::ChangePassword(_), _)) => {
            *form = AccountForm {
                done: Some("The password is changed. All other devices are signed out."),
                ..AccountForm::default()
            };
        }
        Some((voxhall_protocol::control::Request::UpgradeAccount(_), _)) => {
            *form = AccountForm {
                done: Some("You have an account now. Sign in with it on any device."),
                ..AccountForm::default()
            };
        }
        _ => {}
    }
    if let Some(done) = form.done {
        hint(ui, done);
    }
    ui.add_space(6.0);
    rule(ui);
    caption(ui, "WHERE YOU ARE SIGNED IN");
    devices_ui(ui, scene, memory, intents);
}

fn ways_out_ui(ui: &mut Ui, online: bool, memory: &mut Memory, intents: &mut Intents) {
    ui.add_space(6.0);
    rule(ui);
    ui.horizontal(|ui| {
        if button(ui, Kind::Secondary, "Go to another server").clicked() {
            memory.dialog = None;
            intents.want(Want::AddServer);
        }
        if button(ui, Kind::Secondary, "Disconnect").clicked() {
            memory.dialog = None;
            intents.session(Intent::Disconnect);
        }
        if online && button(ui, Kind::Danger, "Sign out on this device").clicked() {
            memory.dialog = None;
            intents.session(Intent::SignOut);
        }
    });
}

/// What is wrong with a new password, in words.
fn password_trouble(new: &str, again: &str) -> Option<&'static str> {
    if !PASSWORD_BYTES.contains(&new.len()) {
        return Some("A password has 8 to 256 characters.");
    }
    (new != again).then_some("The two are not the same yet.")
}

fn guest_ui(ui: &mut Ui, me: &User, memory: &mut Memory, intents: &mut Intents) {
    hint(
        ui,
        "As a guest, your name lives on this computer only. Signing out gives it up.",
    );
    caption(ui, "MAKE IT AN ACCOUNT");
    hint(
        ui,
        "You stay who you are: your messages, roles and conversations stay yours.",
    );
    let form = &mut memory.settings.account;
    let name = form.name.get_or_insert_with(|| me.name.clone());
    field(ui, "Name to sign in with", name, "", false);
    field(ui, "Password", &mut form.new, "At least 8 characters", true);
    field(ui, "The password once more", &mut form.again, "", true);
    let wrong = password_trouble(&form.new, &form.again);
    let named = clean_name(name).is_ok();
    if let Some(wrong) = wrong.filter(|_| !form.new.is_empty()) {
        hint(ui, wrong);
    }
    let make = ui
        .add_enabled_ui(wrong.is_none() && named, |ui| {
            button(ui, Kind::Primary, "Make an account")
        })
        .inner;
    if make.clicked() {
        let upgrade = UpgradeAccount {
            name: Some(name.trim().to_owned()).filter(|name| *name != me.name),
            password: SecretText::from(form.new.as_str()),
        };
        memory.asks.ask(Topic::Change, upgrade, intents);
    }
}

fn password_ui(ui: &mut Ui, memory: &mut Memory, intents: &mut Intents) {
    caption(ui, "PASSWORD");
    let form = &mut memory.settings.account;
    field(ui, "The password you have", &mut form.old, "", true);
    field(
        ui,
        "A new password",
        &mut form.new,
        "At least 8 characters",
        true,
    );
    field(ui, "The new one once more", &mut form.again, "", true);
    let wrong = password_trouble(&form.new, &form.again);
    if let Some(wrong) = wrong.filter(|_| !form.new.is_empty()) {
        hint(ui, wrong);
    }
    let ready = wrong.is_none() && !form.old.is_empty();
    let change = ui
        .add_enabled_ui(ready, |ui| button(ui, Kind::Primary, "Change the password"))
        .inner;
    if change.clicked() {
        form.done = None;
        let change = ChangePassword {
            old: SecretText::from(form.old.as_str()),
            new: SecretText::from(form.new.as_str()),
        };
        memory.asks.ask(Topic::Change, change, intents);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_password_is_long_enough_and_typed_twice_alike() {
        assert!(password_trouble("short", "short").is_some());
        assert!(password_trouble("long enough", "long enuogh").is_some());
        assert_eq!(password_trouble("long enough", "long enough"), None);
    }
}
