//! The guilds at the far left, by server where one is on several.

use egui::{
    Align2, CornerRadius, CursorIcon, Frame, Margin, Panel, Rect, Response, Role, ScrollArea,
    Sense, Stroke, Ui, WidgetInfo, pos2, vec2,
};
use voxhall_session::{Connection, Guild, State};

use super::{
    Dialog, Intents, Memory, Scene, Want, admin, icons, people, pictures,
    servers::{Place, ServerView, is_inside, trouble_words},
    theme::{self, palette},
    widgets::{badge, focus_ring, guild_icon, initials_tile, rule, tile_ground},
};

/// The way to friends and direct messages, the guilds, and the way to another one.
pub fn rail_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let p = palette(ui);
    Panel::left("rail")
        .exact_size(72.0)
        .resizable(false)
        .show_separator_line(false)
        .frame(
            Frame::new()
                .fill(p.rail)
                .inner_margin(Margin::symmetric(12, 14)),
        )
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 10.0;
            if is_inside(scene.state) {
                home_ui(ui, scene, memory);
                // Where there are several, each has a line of its own.
                if !scene.has_several() {
                    rule(ui);
                }
            }
            ScrollArea::vertical()
                .scroll_bar_visibility(egui::scroll_area::ScrollBarVisibility::AlwaysHidden)
                .show(ui, |ui| {
                    for server in scene.servers.iter().filter(|it| !it.is_free()) {
                        pictures::of(ui.ctx(), server.id);
                        // What comes above a tile is not to take its focus away.
                        ui.push_id(server.id, |ui| {
                            server_ui(ui, scene, server, memory, intents);
                        });
                    }
                    pictures::of(ui.ctx(), scene.server);
                    more_ui(ui, scene, memory, intents);
                });
        });
}

fn home_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory) {
    let home = memory.home.is_some();
    let news = news(scene.state);
    let name = match news {
        0 => "Friends and direct messages".to_owned(),
        _ => format!("Friends and direct messages, {news} new"),
    };
    let response = tile_ui(ui, home, &name, |ui, rect, radius| {
        icon_tile(ui, rect, radius, icons::CHATS, home);
    });
    badge(ui, response.rect.right_bottom() - vec2(7.0, 7.0), news);
    if response
        .on_hover_text("Friends and direct messages")
        .clicked()
    {
        memory.home.get_or_insert(people::Home::Friends);
    }
}

/// The guilds of one server, or the server itself where one isn't in.
fn server_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    server: &ServerView<'_>,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let is_shown = server.id == scene.server;
    if scene.has_several() && head_ui(ui, server).clicked() && !is_shown {
        intents.want(Want::Show(server.id, Place::AsItWas));
    }
    if !is_inside(server.state) {
        if outside_ui(ui, server, is_shown).clicked() && !is_shown {
            intents.want(Want::Show(server.id, Place::AsItWas));
        }
        return;
    }
    let news = news(server.state);
    if !is_shown && news > 0 {
        let name = format!("Friends and direct messages on {}, {news} new", server.name);
        let tile = ui.push_id("news", |ui| {
            tile_ui(ui, false, &name, |ui, rect, radius| {
                icon_tile(ui, rect, radius, icons::CHATS, false);
            })
        });
        let response = tile.inner;
        badge(ui, response.rect.right_bottom() - vec2(7.0, 7.0), news);
        if response.on_hover_text(&name).clicked() {
            intents.want(Want::Show(server.id, Place::Home));
        }
    }
    for guild in &server.state.guilds {
        let selected = is_shown && memory.home.is_none() && memory.guild == Some(guild.id);
        let tile = ui.push_id(guild.id, |ui| guild_ui(ui, scene, server, guild, selected));
        if !tile.inner.clicked() {
            continue;
        }
        if is_shown {
            memory.show_guild(guild.id);
        } else {
            intents.want(Want::Show(server.id, Place::Guild(guild.id)));
        }
    }
}

/// The line above a server's guilds.
fn head_ui(ui: &mut Ui, server: &ServerView<'_>) -> Response {
    let p = palette(ui);
    let trouble = trouble_words(server.state);
    let name = with_words(format!("Voxhall server {}", server.name), trouble);
    let (rect, response) = ui.allocate_exact_size(vec2(48.0, 9.0), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
    let ink = match trouble {
        Some(_) => p.warning,
        None if response.hovered() => p.text,
        None => p.border,
    };
    let stroke = Stroke::new(1.0, ink);
    ui.painter().hline(rect.x_range(), rect.center().y, stroke);
    focus_ring(ui, &response, rect);
    let response = response.on_hover_cursor(CursorIcon::PointingHand);
    response.on_hover_text(name)
}

/// A server that one isn't in: it can't be reached, or wants something.
fn outside_ui(ui: &mut Ui, server: &ServerView<'_>, selected: bool) -> Response {
    let words = trouble_words(server.state);
    let name = with_words(server.name.clone(), words);
    let response = tile_ui(ui, selected, &name, |ui, rect, radius| {
        initials_tile(ui, rect, &server.name, selected, radius);
    });
    if server.state.connection != Connection::Connecting {
        warning_ui(ui, response.rect);
    }
    response.on_hover_text(name)
}

fn guild_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    server: &ServerView<'_>,
    guild: &Guild,
    selected: bool,
) -> Response {
    let mentions = server.state.mentions_in(guild) as usize;
    let (mut name, mut hint) = (format!("Server {}", guild.name), guild.name.clone());
    let mut is_new = false;
    if scene.has_several() {
        name = format!("{name} on {}", server.name);
        hint = format!("{hint} on {}", server.name);
        is_new = !selected && has_unread(server.state, guild);
        let new = match mentions {
            0 => is_new.then(|| "unread".to_owned()),
            1 => Some("1 mention".to_owned()),
            _ => Some(format!("{mentions} mentions")),
        };
        name = with_words(name, new.as_deref());
        name = with_words(name, trouble_words(server.state));
    }
    let response = tile_ui(ui, selected, &name, |ui, rect, radius| {
        guild_icon(ui, rect, guild, selected, radius);
    });
    if is_new {
        mark_ui(ui, response.rect, 8.0);
    }
    if scene.has_several() && trouble_words(server.state).is_some() {
        warning_ui(ui, response.rect);
    }
    badge(ui, response.rect.right_bottom() - vec2(7.0, 7.0), mentions);
    response.on_hover_text(hint)
}

/// What else can be gone to.
fn more_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let inside = is_inside(scene.state);
    let adding = scene.state.connection == Connection::Idle;
    let response = tile_ui(ui, adding, "Add a server", |ui, rect, radius| {
        icon_tile(ui, rect, radius, icons::PLUS, adding);
    });
    if response.on_hover_text("Join or make a server").clicked() {
        if inside {
            memory.dialog = Some(Dialog::NewGuild);
        } else if !adding {
            intents.want(Want::AddServer);
        }
    }
    if !inside {
        return;
    }
    if scene.state.is_admin {
        let response = tile_ui(ui, false, "Administration", |ui, rect, radius| {
            icon_tile(ui, rect, radius, icons::HARD_DRIVES, false);
        });
        if response
            .on_hover_text("Administer this Voxhall server")
            .clicked()
        {
            memory.dialog = Some(Dialog::Admin(admin::Page::Overview));
        }
    }
    let response = tile_ui(ui, false, "Explore rooms and people", |ui, rect, radius| {
        icon_tile(ui, rect, radius, icons::WAVEFORM, false);
    });
    if response.on_hover_text("Explore rooms and people").clicked() {
        memory.dialog = Some(Dialog::Rooms);
    }
}

fn with_words(name: String, words: Option<&str>) -> String {
    match words {
        Some(words) => format!("{name}, {words}"),
        None => name,
    }
}

/// Requests and conversations that wait for the person.
fn news(state: &State) -> usize {
    people::waiting_requests(state) + unread_conversations(state)
}

fn unread_conversations(state: &State) -> usize {
    let unread = |id| {
        state
            .reading
            .get(id)
            .is_some_and(|reading| reading.unread > 0)
    };
    state.conversations.keys().filter(|id| unread(id)).count()
}

fn has_unread(state: &State, guild: &Guild) -> bool {
    let mut channels = guild.channels.iter();
    channels.any(|channel| {
        let reading = state.reading.get(&channel.id);
        reading.is_some_and(|reading| reading.unread > 0)
    })
}

/// A place of the rail; its corners move when it is pointed at.
fn tile_ui(ui: &mut Ui, selected: bool, name: &str, draw: impl FnOnce(&Ui, Rect, u8)) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(48.0, 48.0), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, selected, name));
    let lively = ui
        .ctx()
        .animate_bool_responsive(response.id, selected || response.hovered());
    draw(ui, rect, egui::lerp(24.0..=15.0, lively) as u8);
    if selected {
        mark_ui(ui, rect, 32.0);
    }
    focus_ring(ui, &response, rect);
    response.on_hover_cursor(CursorIcon::PointingHand)
}

/// At the window's edge: long beside what is shown, short beside what is new.
fn mark_ui(ui: &Ui, tile: Rect, height: f32) {
    let center = pos2(tile.left() - 12.0, tile.center().y);
    let mark = Rect::from_center_size(center, vec2(6.0, height));
    let round = CornerRadius {
        ne: 3,
        se: 3,
        nw: 0,
        sw: 0,
    };
    ui.painter().rect_filled(mark, round, palette(ui).text);
}

/// Something is wrong with the server of this tile.
fn warning_ui(ui: &Ui, tile: Rect) {
    let p = palette(ui);
    let center = tile.right_top() + vec2(-7.0, 7.0);
    ui.painter().circle_filled(center, 9.0, p.rail);
    let (middle, icon) = (Align2::CENTER_CENTER, icons::WIFI_SLASH);
    ui.painter()
        .text(center, middle, icon, theme::icon(12.0), p.warning);
}

fn icon_tile(ui: &Ui, rect: Rect, radius: u8, icon: &str, lit: bool) {
    let ink = tile_ground(ui, rect, lit, radius);
    let center = Align2::CENTER_CENTER;
    ui.painter()
        .text(rect.center(), center, icon, theme::icon(22.0), ink);
}
