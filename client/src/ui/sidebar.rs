//! The channels of a guild, with the people in them.

use egui::{Align2, Color32, Margin, Rect, Role, ScrollArea, Sense, Ui, WidgetInfo, pos2, vec2};
use voxhall_protocol::{
    control::{Channel, ChannelKind, User, VoiceState},
    permissions::Permissions,
};
use voxhall_session::{Guild, Intent};

use super::{
    Dialog, Intents, Memory, Scene, guild, icons,
    theme::{self, BODY, HEADING, SMALL, palette},
    widgets::{at, avatar, caption, icon_button, icon_button_sized, line, row, rule},
};

/// Height of the strips at the top, which stand side by side.
const HEADER: f32 = 52.0;

pub fn channels_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    guild: &Guild,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        header_ui(ui, guild, memory, intents);
        rule(ui);
    });
    ScrollArea::vertical()
        .auto_shrink(false)
        .content_margin(Margin::symmetric(8, 4))
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            let of_none = |text: bool| {
                let channels = guild.channels_in(None);
                channels
                    .filter(move |it| it.kind != ChannelKind::Category && it.kind.is_text() == text)
            };
            for (caption, text) in [("TEXT CHANNELS", true), ("VOICE CHANNELS", false)] {
                if of_none(text).next().is_some() {
                    group_caption(ui, caption);
                }
                for channel in of_none(text) {
                    channel_ui(ui, scene, guild, channel, memory, intents);
                }
                ui.add_space(10.0);
            }
            for category in guild.channels_of(ChannelKind::Category) {
                group_caption(ui, &category.name.to_uppercase());
                for channel in guild.channels_in(Some(category.id)) {
                    channel_ui(ui, scene, guild, channel, memory, intents);
                }
                ui.add_space(10.0);
            }
        });
}

/// A channel and, where people speak, who is inside.
fn channel_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    guild: &Guild,
    channel: &Channel,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let selected = memory.channel == Some(channel.id);
    let top = ui.cursor().top();
    if !channel.kind.is_voice() {
        if channel_row(ui, channel, selected, icons::HASH, false) {
            memory.channel = Some(channel.id);
        }
        edit_ui(ui, scene, guild, channel, top, memory);
        return;
    }
    let here = scene.state.voice.channel() == Some(channel.id);
    let icon = match channel.kind {
        ChannelKind::Stage => icons::MEGAPHONE,
        _ => icons::SPEAKER_HIGH,
    };
    if channel_row(ui, channel, selected, icon, here) {
        memory.channel = Some(channel.id);
        memory.person = None;
        if !here {
            intents.session(Intent::JoinVoice(channel.id));
        }
    }
    edit_ui(ui, scene, guild, channel, top, memory);
    for (user, state) in guild.people_in(channel.id) {
        person_row(ui, scene, user, state, channel, memory);
    }
}

/// Leads to the channel's settings, while it is chosen, for who may change it.
fn edit_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    guild: &Guild,
    channel: &Channel,
    top: f32,
    memory: &mut Memory,
) {
    let now_ms = scene.now.as_millisecond();
    let may = |of| scene.state.permissions(guild.id, of, now_ms);
    let manages = Permissions::MANAGE_CHANNELS;
    if memory.channel != Some(channel.id)
        || !may(None).contains(manages)
        || !may(Some(channel.id)).contains(manages)
    {
        return;
    }
    let right = ui.max_rect().right();
    let place = Rect::from_center_size(pos2(right - 22.0, top + 17.0), vec2(26.0, 26.0));
    let name = format!("Edit {}", channel.name);
    let edit = at(ui, place, |ui| {
        icon_button_sized(ui, icons::PENCIL_SIMPLE, &name, false, 26.0)
    });
    if edit.clicked() {
        memory.guild_form.show_channel(channel.id);
        memory.dialog = Some(Dialog::Guild(guild.id, guild::Page::Channels));
    }
}

fn header_ui(ui: &mut Ui, guild: &Guild, memory: &mut Memory, intents: &mut Intents) {
    let p = palette(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), HEADER), Sense::hover());
    line(
        ui.painter(),
        pos2(rect.left() + 16.0, rect.center().y),
        &guild.name,
        theme::strong(16.0),
        p.text,
        rect.width() - 100.0,
    );
    let place =
        Rect::from_center_size(pos2(rect.right() - 26.0, rect.center().y), vec2(32.0, 32.0));
    let settings = at(ui, place, |ui| {
        icon_button(ui, icons::SLIDERS_HORIZONTAL, "Server settings", false)
    });
    if settings.clicked() {
        memory.dialog = Some(Dialog::Guild(guild.id, guild::Page::Overview));
    }
    let place = place.translate(vec2(-34.0, 0.0));
    let button = at(ui, place, |ui| {
        icon_button(ui, icons::USER_PLUS, "Invite people", false)
    });
    if button.clicked() {
        intents.session(Intent::CreateInvite(guild.id));
        memory.dialog = Some(Dialog::Invite(guild.id));
    }
}

fn group_caption(ui: &mut Ui, text: &str) {
    ui.horizontal(|ui| {
        ui.set_height(24.0);
        ui.add_space(8.0);
        caption(ui, text);
    });
}

fn channel_row(ui: &mut Ui, channel: &Channel, selected: bool, icon: &str, live: bool) -> bool {
    let p = palette(ui);
    let kind = match channel.kind {
        ChannelKind::Voice => "Voice channel",
        ChannelKind::Stage => "Stage",
        _ => "Text channel",
    };
    let (rect, response) = row(ui, 34.0, selected, &format!("{kind} {}", channel.name));
    let strong = selected || live || response.hovered();
    let ink = if strong { p.text } else { p.muted };
    let icon_ink = if live { p.live } else { p.faint };
    ui.painter().text(
        pos2(rect.left() + 18.0, rect.center().y),
        Align2::CENTER_CENTER,
        icon,
        theme::icon(16.0),
        icon_ink,
    );
    let font = if selected || live {
        theme::strong(BODY)
    } else {
        theme::regular(BODY)
    };
    line(
        ui.painter(),
        pos2(rect.left() + 36.0, rect.center().y),
        &channel.name,
        font,
        ink,
        rect.width() - 48.0,
    );
    response.clicked()
}

fn person_row(
    ui: &mut Ui,
    scene: &Scene<'_>,
    user: &User,
    state: &VoiceState,
    channel: &Channel,
    memory: &mut Memory,
) {
    let p = palette(ui);
    let mut name = format!("{} in {}", user.name, channel.name);
    for (is, word) in [
        (state.speaking, "speaking"),
        (state.muted, "muted"),
        (state.deafened, "deafened"),
        (state.suppressed, "may not speak"),
        (state.server_deafened, "hears nobody"),
    ] {
        if is {
            name = format!("{name}, {word}");
        }
    }
    let (rect, response) = row(ui, 32.0, false, &name);
    let speaking = is_speaking(scene, state);
    avatar(
        ui.painter(),
        ui.ctx(),
        pos2(rect.left() + 42.0, rect.center().y),
        11.0,
        user,
        speaking,
        false,
    );
    let ink = if speaking || response.hovered() {
        p.text
    } else {
        p.muted
    };
    let room = rect.width() - 64.0 - 46.0;
    line(
        ui.painter(),
        pos2(rect.left() + 62.0, rect.center().y),
        &user.name,
        theme::regular(BODY - 0.5),
        ink,
        room,
    );
    let mut right = rect.right() - 16.0;
    for icon in state_icons(scene, state) {
        ui.painter().text(
            pos2(right, rect.center().y),
            Align2::CENTER_CENTER,
            icon.0,
            theme::icon(14.0),
            icon.1(p),
        );
        right -= 20.0;
    }
    if response.clicked() {
        memory.channel = Some(channel.id);
        memory.person = Some(user.id);
    }
}

type Ink = fn(&theme::Palette) -> Color32;

/// What stands beside a name: own choices of that person, a moderator's, and one's own choice about them.
pub fn state_icons(scene: &Scene<'_>, state: &VoiceState) -> Vec<(&'static str, Ink)> {
    let mut icons: Vec<(&'static str, Ink)> = Vec::new();
    if state.deafened || state.server_deafened {
        icons.push((icons::SPEAKER_SLASH, |p| p.danger));
    }
    if state.muted || state.suppressed {
        icons.push((icons::MICROPHONE_SLASH, |p| p.danger));
    }
    if scene.state.voice.local_mutes.contains(&state.user_id) {
        icons.push((icons::SPEAKER_SLASH, |p| p.warning));
    }
    icons
}

/// The meters know it sooner than the server's word; and of oneself only they know.
pub fn is_speaking(scene: &Scene<'_>, state: &VoiceState) -> bool {
    let me = scene
        .state
        .me
        .as_ref()
        .is_some_and(|me| me.id == state.user_id);
    if me && scene.state.voice.channel() == Some(state.channel_id) {
        return scene.meters.transmitting;
    }
    let metered = scene
        .meters
        .speakers
        .iter()
        .find(|speaker| speaker.user == state.user_id);
    metered.map_or(state.speaking, |speaker| speaker.speaking)
}

/// The strip at the top of what is no channel.
pub fn strip_ui(ui: &mut Ui, icon: &str, words: &str) {
    let p = palette(ui);
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), HEADER), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Heading, true, words));
    let at = pos2(rect.left() + 26.0, rect.center().y);
    ui.painter()
        .text(at, Align2::CENTER_CENTER, icon, theme::icon(19.0), p.faint);
    let left = pos2(rect.left() + 44.0, rect.center().y);
    let font = theme::strong(HEADING - 2.0);
    line(ui.painter(), left, words, font, p.text, rect.width() - 60.0);
}

/// The strip above a channel: an icon, its name, its topic.
pub fn channel_header(ui: &mut Ui, icon: &str, channel: &Channel) {
    let p = palette(ui);
    ui.spacing_mut().item_spacing.y = 0.0;
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), HEADER), Sense::hover());
    ui.painter().text(
        pos2(rect.left() + 26.0, rect.center().y),
        Align2::CENTER_CENTER,
        icon,
        theme::icon(19.0),
        p.faint,
    );
    let left = pos2(rect.left() + 44.0, rect.center().y);
    let end = line(
        ui.painter(),
        left,
        &channel.name,
        theme::strong(HEADING - 2.0),
        p.text,
        rect.width() * 0.5,
    );
    if !channel.topic.is_empty() {
        let x = end + 14.0;
        ui.painter().vline(
            x,
            (rect.center().y - 10.0)..=(rect.center().y + 10.0),
            egui::Stroke::new(1.0, p.border),
        );
        let left = pos2(x + 14.0, rect.center().y);
        line(
            ui.painter(),
            left,
            &channel.topic,
            theme::regular(SMALL + 0.5),
            p.muted,
            rect.right() - x - 40.0,
        );
    }
    rule(ui);
}
