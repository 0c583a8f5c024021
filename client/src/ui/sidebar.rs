//! The guilds at the far left, and the channels of one with the people in them.

use egui::{
    Align2, Color32, CornerRadius, Margin, Rect, Role, ScrollArea, Sense, Ui, WidgetInfo, pos2,
    vec2,
};
use voxhall_protocol::control::{Channel, ChannelKind, User, VoiceState};
use voxhall_session::{Guild, Intent};

use super::{
    Dialog, Intents, Memory, Scene, icons,
    theme::{self, BODY, HEADING, SMALL, palette},
    widgets::{at, avatar, caption, focus_ring, icon_button, line, row, rule},
};

/// Height of the strips at the top, which stand side by side.
const HEADER: f32 = 52.0;

/// Round initials of the guilds.
pub fn rail_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory) {
    ui.spacing_mut().item_spacing.y = 10.0;
    for guild in &scene.state.guilds {
        let p = palette(ui);
        let selected = memory.guild == Some(guild.id);
        let (rect, response) = ui.allocate_exact_size(vec2(48.0, 48.0), Sense::click());
        response.widget_info(|| {
            WidgetInfo::selected(
                Role::Button,
                true,
                selected,
                format!("Server {}", guild.name),
            )
        });
        let lively = ui
            .ctx()
            .animate_bool_responsive(response.id, selected || response.hovered());
        let radius = egui::lerp(24.0..=15.0, lively) as u8;
        let (fill, ink) = if selected {
            (p.accent, p.on_accent)
        } else {
            (p.raised, p.text)
        };
        ui.painter().rect_filled(rect, radius, fill);
        ui.painter().text(
            rect.center(),
            Align2::CENTER_CENTER,
            initials(&guild.name),
            theme::strong(17.0),
            ink,
        );
        if selected {
            let mark =
                Rect::from_center_size(pos2(rect.left() - 12.0, rect.center().y), vec2(6.0, 32.0));
            ui.painter().rect_filled(
                mark,
                CornerRadius {
                    ne: 3,
                    se: 3,
                    nw: 0,
                    sw: 0,
                },
                p.text,
            );
        }
        focus_ring(ui, &response, rect);
        if response.on_hover_text(&guild.name).clicked() {
            memory.guild = Some(guild.id);
            memory.channel = None;
        }
    }
}

/// The first letters of the first two words.
fn initials(name: &str) -> String {
    let letters = name
        .split_whitespace()
        .filter_map(|word| word.chars().find(|c| c.is_alphanumeric()));
    letters.take(2).flat_map(char::to_uppercase).collect()
}

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
            group_caption(ui, "TEXT CHANNELS");
            for channel in guild.channels_of(ChannelKind::Text) {
                if channel_row(
                    ui,
                    channel,
                    memory.channel == Some(channel.id),
                    icons::HASH,
                    false,
                ) {
                    memory.channel = Some(channel.id);
                }
            }
            ui.add_space(10.0);
            group_caption(ui, "VOICE CHANNELS");
            let mine = scene.state.voice.channel();
            for channel in guild.channels_of(ChannelKind::Voice) {
                let here = mine == Some(channel.id);
                if channel_row(
                    ui,
                    channel,
                    memory.channel == Some(channel.id),
                    icons::SPEAKER_HIGH,
                    here,
                ) {
                    memory.channel = Some(channel.id);
                    memory.person = None;
                    if !here {
                        intents.session(Intent::JoinVoice(channel.id));
                    }
                }
                for (user, state) in guild.people_in(channel.id) {
                    person_row(ui, scene, user, state, channel, memory);
                }
            }
        });
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
        rect.width() - 70.0,
    );
    let place =
        Rect::from_center_size(pos2(rect.right() - 26.0, rect.center().y), vec2(32.0, 32.0));
    let button = at(ui, place, |ui| {
        icon_button(ui, icons::USER_PLUS, "Invite people", false)
    });
    if button.clicked() {
        intents.session(Intent::CreateInvite(guild.id));
        memory.dialog = Some(Dialog::Invite(guild.id));
        memory.copied_at_s = None;
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
    let kind = if channel.kind == ChannelKind::Voice {
        "Voice channel"
    } else {
        "Text channel"
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

/// What stands beside a name: own choices of that person, and one's own choice about them.
pub fn state_icons(scene: &Scene<'_>, state: &VoiceState) -> Vec<(&'static str, Ink)> {
    let mut icons: Vec<(&'static str, Ink)> = Vec::new();
    if state.deafened {
        icons.push((icons::SPEAKER_SLASH, |p| p.danger));
    }
    if state.muted {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_are_two_letters_at_most() {
        assert_eq!(initials("Friday night games"), "FN");
        assert_eq!(initials("ärger"), "Ä");
        assert_eq!(initials("🦊 fox 2"), "F2");
        assert_eq!(initials("…"), "");
    }
}
