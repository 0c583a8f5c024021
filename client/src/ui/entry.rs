//! Before one is in: where to go, who one is, and what stands in the way.

use egui::{
    CentralPanel, CornerRadius, Frame, Label, Rect, RichText, ScrollArea, Sense, Spinner, Ui,
    UiBuilder, pos2, vec2,
};
use voxhall_protocol::{
    SecretText,
    control::InvitePreview,
    limits::{PASSWORD_BYTES, clean_name},
    link::{Link, LinkError},
};
use voxhall_session::{Connection, Identity, Intent, Problem, StoredLogin};

use super::{
    Dialog, Intents, Memory, Place, Scene, Tab, Want, icons, servers,
    theme::{self, BODY, SMALL, palette},
    widgets::{
        self, Kind, avatar, card, field, hint, icon_button, line, title, trouble, wide_button,
    },
};
use crate::settings::{Settings, is_same_server};

const CARD_WIDTH: f32 = 420.0;

/// What is being entered.
#[derive(Default)]
pub struct Entry {
    pub link_text: String,
    link_error: Option<LinkError>,
    /// Where one is going.
    pub link: Option<Link>,
    /// None until something was typed: the name used last.
    name: Option<String>,
    password: String,
    way: Way,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A name only.
    #[default]
    Guest,
    SignIn,
    Register,
}

pub fn entry_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    settings: &mut Settings,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let p = palette(ui);
    CentralPanel::no_frame()
        .frame(Frame::new().fill(p.sidebar))
        .show(ui, |ui| {
            backdrop_ui(ui, memory, intents);
            let room = ui.max_rect();
            let corner = pos2(room.left() + 16.0, room.bottom() - 72.0);
            let place = Rect::from_min_size(corner, vec2(240.0, 56.0));
            widgets::at(ui, place, |ui| {
                servers::voice_elsewhere_ui(ui, scene, intents);
            });
            let width = CARD_WIDTH.min(room.width() - 80.0);
            let place =
                Rect::from_center_size(room.center(), vec2(width + 60.0, room.height() - 120.0));
            ui.scope_builder(UiBuilder::new().max_rect(place), |ui| {
                ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                    centred(ui, |ui| {
                        card(ui).show(ui, |ui| {
                            ui.set_width(width - 56.0);
                            page_ui(ui, scene, settings, memory, intents);
                        });
                    });
                });
            });
        });
}

/// Centres what `add` draws in the height there is, by its height of the last frame.
fn centred(ui: &mut Ui, add: impl FnOnce(&mut Ui)) {
    let id = egui::Id::unique(("height", "entry"));
    let height = ui.ctx().data(|data| data.get_temp::<f32>(id));
    let room = ui.available_height();
    ui.vertical_centered(|ui| {
        ui.add_space(((room - height.unwrap_or(360.0)) / 2.0).max(12.0));
        let drawn = ui.vertical_centered(add).response.rect.height();
        super::settle_height(ui, "entry", drawn);
    });
}

fn page_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    settings: &mut Settings,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    ui.with_layout(egui::Layout::top_down(egui::Align::Min), |ui| {
        ui.spacing_mut().item_spacing.y = 10.0;
        match &scene.state.connection {
            Connection::Idle => welcome_ui(ui, scene, memory, intents),
            Connection::Connecting => waiting_ui(ui, "Connecting", memory, intents),
            Connection::SigningIn => waiting_ui(ui, "Signing in", memory, intents),
            Connection::NeedsIdentity { preview, problem } => {
                identity_ui(
                    ui,
                    preview.as_ref(),
                    problem.as_ref(),
                    settings,
                    memory,
                    intents,
                );
            }
            Connection::Failed(problem) => failed_ui(ui, problem, memory, intents),
            Connection::Reconnecting {
                retry_in_ms,
                problem,
            } => {
                waiting_ui(ui, "Connecting", memory, intents);
                trouble(ui, &problem.to_string(), problem.advice());
                hint(ui, super::notices::when(*retry_in_ms, scene.state_age_ms));
            }
            Connection::Online => {}
        }
    });
}

fn welcome_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    title(ui, "Come on in");
    hint(
        ui,
        "Paste the invite link you were sent. Picking a name is all there is to do after that.",
    );
    ui.add_space(4.0);
    let entry = &mut memory.entry;
    let response = field(
        ui,
        "Invite link",
        &mut entry.link_text,
        "voxhall://talk.example:9000/CODE#…",
        false,
    );
    if entry.link_text.is_empty() && ui.memory(|memory| memory.focused().is_none()) {
        response.request_focus();
    }
    if response.changed() {
        entry.link_error = None;
    }
    let entered = response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
    if let Some(error) = entry.link_error {
        trouble(ui, &sentence(&error.to_string()), "");
    }
    ui.add_space(2.0);
    let width = ui.available_width();
    if wide_button(ui, Kind::Primary, "Continue", width).clicked() || entered {
        match entry.link_text.parse::<Link>() {
            Ok(link) => intents.want(Want::Visit(link)),
            Err(error) => entry.link_error = Some(error),
        }
    }
    let is_open = |login: &StoredLogin| {
        let mut links = scene.servers.iter().filter_map(|server| server.link);
        links.any(|link| is_same_server(link, &login.link))
    };
    let logins = scene.logins.iter().filter(|login| !is_open(login)).take(4);
    let logins: Vec<_> = logins.collect();
    if !logins.is_empty() {
        ui.add_space(8.0);
        widgets::caption(ui, "WHERE YOU HAVE BEEN");
        ui.spacing_mut().item_spacing.y = 4.0;
        for login in logins {
            login_ui(ui, login, intents);
        }
    }
    if let Some(other) = scene.others().next() {
        ui.vertical_centered(|ui| {
            let back = format!("Back to {}", other.name);
            if widgets::button(ui, Kind::Quiet, &back).clicked() {
                intents.want(Want::Show(other.id, Place::AsItWas));
            }
        });
    }
}

fn login_ui(ui: &mut Ui, login: &StoredLogin, intents: &mut Intents) {
    let p = palette(ui);
    let host = login.link.authority();
    let (rect, response) = widgets::row(
        ui,
        48.0,
        false,
        &format!("Go to {host} as {}", login.user.name),
    );
    avatar(
        ui.painter(),
        ui.ctx(),
        pos2(rect.left() + 24.0, rect.center().y),
        15.0,
        &login.user,
        false,
        false,
    );
    let room = rect.width() - 90.0;
    line(
        ui.painter(),
        pos2(rect.left() + 50.0, rect.center().y - 9.0),
        &login.user.name,
        theme::strong(BODY),
        p.text,
        room,
    );
    line(
        ui.painter(),
        pos2(rect.left() + 50.0, rect.center().y + 10.0),
        &host,
        theme::regular(SMALL),
        p.muted,
        room,
    );
    let at = pos2(rect.right() - 18.0, rect.center().y);
    let place = Rect::from_center_size(at, vec2(28.0, 28.0));
    let forget = widgets::at(ui, place, |ui| {
        widgets::icon_button_sized(ui, icons::X, &format!("Forget {host}"), false, 28.0)
    });
    if forget.clicked() {
        intents.want(Want::Forget(login.link.clone()));
    } else if response.clicked() {
        intents.want(Want::Return(login.clone()));
    }
}

fn waiting_ui(ui: &mut Ui, what: &str, memory: &Memory, intents: &mut Intents) {
    let p = palette(ui);
    ui.vertical_centered(|ui| {
        ui.add_space(8.0);
        ui.add(Spinner::new().size(34.0).color(p.accent));
        ui.add_space(6.0);
        let host = memory
            .entry
            .link
            .as_ref()
            .map(Link::authority)
            .unwrap_or_default();
        widgets::heading(ui, &format!("{what}…"));
        hint(ui, host);
        ui.add_space(6.0);
        if widgets::button(ui, Kind::Secondary, "Cancel").clicked() {
            intents.session(Intent::Disconnect);
        }
    });
}

fn identity_ui(
    ui: &mut Ui,
    preview: Option<&InvitePreview>,
    problem: Option<&Problem>,
    settings: &Settings,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let entry = &mut memory.entry;
    match preview {
        Some(preview) => preview_ui(ui, preview),
        None => title(ui, "Who are you?"),
    }
    let invited = entry.link.as_ref().is_some_and(|link| link.code.is_some());
    if !invited && entry.way == Way::Guest {
        entry.way = Way::SignIn;
    }
    let all = [
        (Way::Guest, "Just a name"),
        (Way::SignIn, "Sign in"),
        (Way::Register, "New account"),
    ];
    let ways = if invited { &all[..] } else { &all[1..] };
    widgets::segmented(ui, &mut entry.way, ways);
    let name = entry.name.get_or_insert_with(|| settings.name.clone());
    let name_field = field(ui, "Your name", name, "How others see you", false);
    if name_field.ctx.memory(|memory| memory.focused().is_none()) && name.is_empty() {
        name_field.request_focus();
    }
    let mut entered = name_field.lost_focus();
    if entry.way != Way::Guest {
        let field = field(
            ui,
            "Password",
            &mut entry.password,
            "At least 8 characters",
            true,
        );
        entered = field.lost_focus();
    }
    let entered = entered && ui.input(|input| input.key_pressed(egui::Key::Enter));
    if let Some(problem) = problem {
        trouble(ui, &problem.to_string(), problem.advice());
    }
    let wrong = unready(name, &entry.password, entry.way);
    let verb = match entry.way {
        Way::Guest => "Join",
        Way::SignIn => "Sign in now",
        Way::Register => "Create account",
    };
    let width = ui.available_width();
    let ready = wrong.is_none();
    let response = ui
        .add_enabled_ui(ready, |ui| wide_button(ui, Kind::Primary, verb, width))
        .inner;
    let response = match wrong {
        Some(wrong) => response.on_disabled_hover_text(wrong),
        None => response,
    };
    if ready && (response.clicked() || entered) {
        let name = name.trim().to_owned();
        let password = SecretText::from(entry.password.as_str());
        let identity = match entry.way {
            Way::Guest => Identity::Guest { name },
            Way::SignIn => Identity::Login { name, password },
            Way::Register => Identity::Register { name, password },
        };
        entry.password.clear();
        intents.session(Intent::SignIn(identity));
    }
    back_ui(ui, memory, intents);
}

/// What is still missing, in words.
fn unready(name: &str, password: &str, way: Way) -> Option<String> {
    if let Err(error) = clean_name(name) {
        return Some(sentence(&error.to_string()));
    }
    if way != Way::Guest && !PASSWORD_BYTES.contains(&password.len()) {
        return Some(format!(
            "A password has {} to {} characters.",
            PASSWORD_BYTES.start(),
            PASSWORD_BYTES.end()
        ));
    }
    None
}

fn preview_ui(ui: &mut Ui, preview: &InvitePreview) {
    let p = palette(ui);
    hint(
        ui,
        if preview.makes_owner {
            "This link makes you the owner of"
        } else {
            "You are invited to"
        },
    );
    ui.add_space(-6.0);
    title(ui, &preview.guild_name);
    ui.add_space(-4.0);
    ui.horizontal(|ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(10.0, 18.0), Sense::hover());
        ui.painter().circle_filled(rect.center(), 4.0, p.live);
        let members = if preview.members == 1 {
            "1 member".to_owned()
        } else {
            format!("{} members", preview.members)
        };
        hint(
            ui,
            format!(
                "{} online, {members}, on {}",
                preview.online, preview.server_name
            ),
        );
    });
}

fn failed_ui(ui: &mut Ui, problem: &Problem, memory: &mut Memory, intents: &mut Intents) {
    let p = palette(ui);
    if let Problem::CertificateChanged { expected, found } = problem {
        certificate_ui(ui, problem, expected, found, memory, intents);
        return;
    }
    title(ui, "That didn't work");
    trouble(ui, &problem.to_string(), problem.advice());
    let detail = match problem {
        Problem::CertificateUntrusted { reason } => Some(reason),
        _ => None,
    };
    if let Some(detail) = detail {
        ui.add(
            Label::new(RichText::new(detail).size(SMALL).color(p.faint))
                .wrap()
                .selectable(true),
        );
    }
    let width = ui.available_width();
    let signed_out = matches!(problem, Problem::SignedOut);
    let verb = if signed_out {
        "Sign in again"
    } else {
        "Try again"
    };
    if wide_button(ui, Kind::Primary, verb, width).clicked() {
        match memory.entry.link.clone() {
            Some(link) if signed_out => intents.session(Intent::Connect {
                link,
                identity: Identity::Ask,
            }),
            _ => intents.session(Intent::RetryNow),
        }
    }
    back_ui(ui, memory, intents);
}

/// The full stop: there is no button that goes on.
fn certificate_ui(
    ui: &mut Ui,
    problem: &Problem,
    expected: &str,
    found: &str,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let p = palette(ui);
    ui.vertical_centered(|ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(72.0, 72.0), Sense::hover());
        ui.painter()
            .circle_filled(rect.center(), 36.0, p.danger_soft);
        let center = egui::Align2::CENTER_CENTER;
        ui.painter().text(
            rect.center(),
            center,
            icons::SHIELD_WARNING,
            theme::icon(36.0),
            p.danger,
        );
        title(ui, "Stop: this may not be the server you know");
    });
    trouble(ui, &problem.to_string(), problem.advice());
    Frame::new()
        .fill(p.raised)
        .corner_radius(CornerRadius::same(8))
        .inner_margin(10)
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            for (what, pin) in [("In your link", expected), ("Found now", found)] {
                widgets::caption(ui, what);
                ui.add_space(-6.0);
                let text = RichText::new(pin)
                    .font(egui::FontId::monospace(11.5))
                    .color(p.text);
                ui.add(Label::new(text).wrap().selectable(true));
            }
        });
    let width = ui.available_width();
    if wide_button(ui, Kind::Danger, "Leave", width).clicked() {
        memory.entry.link_text.clear();
        intents.session(Intent::Disconnect);
    }
}

fn back_ui(ui: &mut Ui, memory: &mut Memory, intents: &mut Intents) {
    ui.vertical_centered(|ui| {
        if widgets::button(ui, Kind::Quiet, "Back to the start").clicked() {
            memory.entry.link_text.clear();
            memory.entry.password.clear();
            intents.session(Intent::Disconnect);
        }
    });
}

/// The mark, a field of sound waves, and the way to the settings.
fn backdrop_ui(ui: &mut Ui, memory: &mut Memory, intents: &mut Intents) {
    let p = palette(ui);
    let room = ui.max_rect();
    let painter = ui.painter();
    let step = 18.0;
    let bars = (room.width() / step).ceil() as usize;
    for i in 0..bars {
        let t = i as f32;
        let wave = (t * 0.21).sin() * (t * 0.057 + 0.6).cos() + 0.35 * (t * 0.83).sin();
        let height = 18.0 + 120.0 * wave.abs();
        let x = room.left() + (t + 0.5) * step;
        let bar = Rect::from_min_max(
            pos2(x - 4.0, room.bottom() - height),
            pos2(x + 4.0, room.bottom() + 8.0),
        );
        painter.rect_filled(bar, 4, p.accent_soft);
    }
    mark(
        painter,
        pos2(room.left() + 44.0, room.top() + 40.0),
        17.0,
        p,
    );
    line(
        painter,
        pos2(room.left() + 72.0, room.top() + 40.0),
        "Voxhall",
        theme::strong(20.0),
        p.text,
        200.0,
    );
    let place = Rect::from_center_size(
        pos2(room.right() - 40.0, room.top() + 40.0),
        vec2(34.0, 34.0),
    );
    let settings = widgets::at(ui, place, |ui| {
        icon_button(ui, icons::GEAR_SIX, "Settings", false)
    });
    if settings.clicked() {
        memory.dialog = Some(Dialog::Preferences(Tab::Audio));
        intents.want(Want::RefreshDevices);
    }
}

/// The product's mark: a voice in a hall.
fn mark(painter: &egui::Painter, center: egui::Pos2, radius: f32, p: &theme::Palette) {
    let square = Rect::from_center_size(center, vec2(2.0 * radius, 2.0 * radius));
    painter.rect_filled(square, (radius * 0.6) as u8, p.accent);
    for (i, height) in [0.45, 0.95, 0.62, 0.3].into_iter().enumerate() {
        let x = center.x + (i as f32 - 1.5) * radius * 0.4;
        let bar =
            Rect::from_center_size(pos2(x, center.y), vec2(radius * 0.2, radius * height * 1.3));
        painter.rect_filled(bar, 2, p.on_accent);
    }
}

/// An error's words as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let Some(first) = letters.next() else {
        return String::new();
    };
    let end = if text.ends_with(['.', '…', '!']) {
        ""
    } else {
        "."
    };
    format!("{}{}{end}", first.to_uppercase(), letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_where_needed_a_password_make_one_ready() {
        assert_eq!(unready("Ann", "", Way::Guest), None);
        assert_eq!(
            unready(" ", "", Way::Guest),
            Some("A name has 1 to 32 characters.".to_owned())
        );
        assert!(
            unready("Ann", "short", Way::SignIn)
                .unwrap()
                .contains("8 to 256")
        );
        assert_eq!(unready("Ann", "long enough", Way::Register), None);
    }
}
