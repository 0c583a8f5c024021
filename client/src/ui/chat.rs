//! A text channel: its messages, and the field to write in.

use egui::{
    CentralPanel, CornerRadius, Frame, Key, KeyboardShortcut, Label, Margin, Modifiers, Panel,
    RichText, Role, ScrollArea, Sense, Spinner, Stroke, TextEdit, Ui, WidgetInfo, pos2, vec2,
};
use jiff::{Timestamp, Zoned, tz::TimeZone};
use voxhall_protocol::{
    control::{Channel, Member, Message, User},
    limits::MESSAGE_CHARS,
};
use voxhall_session::{Guild, History, Intent, PendingMessage};

use super::{
    Intents, Memory, Scene, icons,
    sidebar::channel_header,
    theme::{self, BODY, SMALL, palette},
    widgets::{self, Kind, avatar, button, caption, icon_button, line},
};

/// Messages of one author within this time stand under one name.
const TOGETHER_MS: i64 = 5 * 60 * 1000;
/// Below this width the list of members gives way to the messages.
const MEMBERS_FROM_WIDTH: f32 = 620.0;

pub fn chat_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    guild: &Guild,
    channel: &Channel,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let p = palette(ui);
    let history = scene.state.history.get(&channel.id);
    if history.is_none() && memory.asked.insert(channel.id) {
        intents.session(Intent::LoadMessages(channel.id));
    }
    Panel::top("channel header")
        .resizable(false)
        .show_separator_line(false)
        .frame(Frame::new().fill(p.main))
        .show(ui, |ui| channel_header(ui, icons::HASH, channel));
    if ui.available_width() > MEMBERS_FROM_WIDTH {
        Panel::right("members")
            .exact_size(210.0)
            .resizable(false)
            .show_separator_line(false)
            .frame(
                Frame::new()
                    .fill(p.sidebar)
                    .inner_margin(Margin::symmetric(10, 14)),
            )
            .show(ui, |ui| members_ui(ui, guild));
    }
    Panel::bottom("composer")
        .resizable(false)
        .show_separator_line(false)
        .frame(Frame::new().fill(p.main).inner_margin(Margin {
            left: 18,
            right: 18,
            top: 4,
            bottom: 16,
        }))
        .show(ui, |ui| composer_ui(ui, channel, memory, intents));
    CentralPanel::no_frame()
        .frame(Frame::new().fill(p.main))
        .show(ui, |ui| match history {
            Some(history) => history_ui(ui, scene, channel, history, intents),
            None => waiting_ui(ui),
        });
}

fn waiting_ui(ui: &mut Ui) {
    ui.centered_and_justified(|ui| ui.add(Spinner::new().size(22.0).color(palette(ui).faint)));
}

fn history_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    channel: &Channel,
    history: &History,
    intents: &mut Intents,
) {
    if history.loading && history.messages.is_empty() && history.pending.is_empty() {
        waiting_ui(ui);
        return;
    }
    ScrollArea::vertical()
        .id_salt(channel.id.0)
        .auto_shrink(false)
        .stick_to_bottom(true)
        .content_margin(Margin::symmetric(18, 0))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = 2.0;
            if history.more {
                ui.vertical_centered(|ui| {
                    ui.add_space(8.0);
                    if history.loading {
                        ui.add(Spinner::new().size(18.0).color(palette(ui).faint));
                    } else if button(ui, Kind::Quiet, "Load older messages").clicked() {
                        intents.session(Intent::LoadMessages(channel.id));
                    }
                });
            } else {
                beginning_ui(ui, channel);
            }
            let mut before: Option<&Message> = None;
            for message in &history.messages {
                message_ui(ui, scene, message, before);
                before = Some(message);
            }
            for pending in &history.pending {
                pending_ui(ui, scene.state.me.as_ref(), pending, channel, intents);
            }
            ui.add_space(12.0);
        });
}

fn beginning_ui(ui: &mut Ui, channel: &Channel) {
    let p = palette(ui);
    ui.add_space(28.0);
    let (rect, _) = ui.allocate_exact_size(vec2(56.0, 56.0), Sense::hover());
    ui.painter()
        .circle_filled(rect.center(), 28.0, p.accent_soft);
    ui.painter().text(
        rect.center(),
        egui::Align2::CENTER_CENTER,
        icons::HASH,
        theme::icon(28.0),
        p.accent,
    );
    ui.add_space(8.0);
    widgets::title(ui, &format!("Welcome to #{}", channel.name));
    widgets::hint(ui, "This is where the channel begins. Say hello.");
    ui.add_space(14.0);
}

fn message_ui(ui: &mut Ui, scene: &Scene<'_>, message: &Message, before: Option<&Message>) {
    let p = palette(ui);
    let at = local(message.sent_at_ms, scene.time_zone);
    let date_before = before
        .and_then(|before| local(before.sent_at_ms, scene.time_zone))
        .map(|at| at.date());
    if let Some(at) = at.as_ref().filter(|at| Some(at.date()) != date_before) {
        day_ui(ui, &day_words(at, scene));
    }
    let same_day = at.as_ref().map(Zoned::date) == date_before;
    let together = same_day
        && before.is_some_and(|before| {
            before.author.id == message.author.id
                && message.sent_at_ms - before.sent_at_ms < TOGETHER_MS
        });
    if !together {
        ui.add_space(10.0);
        let time = at
            .as_ref()
            .map(|at| at.strftime("%H:%M").to_string())
            .unwrap_or_default();
        author_ui(ui, &message.author, &time);
    }
    indented(ui, |ui| text_ui(ui, &message.text, p.text));
}

fn author_ui(ui: &mut Ui, author: &User, time: &str) {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 22.0), Sense::hover());
    response
        .widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{}, {time}", author.name)));
    avatar(
        ui.painter(),
        ui.ctx(),
        pos2(rect.left() + 18.0, rect.top() + 18.0),
        18.0,
        author,
        false,
        false,
    );
    let ink = widgets::person_color(author.id);
    let ink = if ui.visuals().dark_mode {
        ink.lerp_to_gamma(egui::Color32::WHITE, 0.45)
    } else {
        ink
    };
    let left = pos2(rect.left() + 50.0, rect.center().y);
    let end = line(
        ui.painter(),
        left,
        &author.name,
        theme::strong(BODY + 0.5),
        ink,
        rect.width() - 120.0,
    );
    line(
        ui.painter(),
        pos2(end + 10.0, rect.center().y + 1.0),
        time,
        theme::regular(SMALL - 0.5),
        p.faint,
        80.0,
    );
}

/// Text under an author's name, beside the avatar.
fn indented(ui: &mut Ui, add: impl FnOnce(&mut Ui)) {
    ui.horizontal_top(|ui| {
        ui.add_space(50.0);
        ui.vertical(|ui| {
            ui.set_width(ui.available_width());
            add(ui);
        });
    });
}

/// A message's words; addresses of web pages can be clicked.
fn text_ui(ui: &mut Ui, text: &str, ink: egui::Color32) {
    ui.spacing_mut().item_spacing.y = 1.0;
    ui.spacing_mut().interact_size.y = 0.0;
    if !text.contains("https://") && !text.contains("http://") {
        ui.add(
            Label::new(RichText::new(text).size(BODY).color(ink))
                .wrap()
                .selectable(true),
        );
        return;
    }
    for text in text.lines() {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            for word in text.split(' ') {
                if word.starts_with("https://") || word.starts_with("http://") {
                    ui.hyperlink_to(RichText::new(word).size(BODY), word);
                } else {
                    ui.add(Label::new(RichText::new(word).size(BODY).color(ink)).selectable(true));
                }
            }
        });
    }
}

/// Written, but not yet on the server.
fn pending_ui(
    ui: &mut Ui,
    me: Option<&User>,
    pending: &PendingMessage,
    channel: &Channel,
    intents: &mut Intents,
) {
    let p = palette(ui);
    ui.add_space(6.0);
    if let Some(me) = me {
        author_ui(
            ui,
            me,
            if pending.failed.is_some() {
                "not sent"
            } else {
                "sending…"
            },
        );
    }
    indented(ui, |ui| {
        let ink = if pending.failed.is_some() {
            p.danger
        } else {
            p.faint
        };
        text_ui(ui, &pending.text, ink);
        if let Some(reason) = &pending.failed {
            ui.horizontal(|ui| {
                let icon = RichText::new(icons::WARNING)
                    .font(theme::icon(14.0))
                    .color(p.danger);
                ui.add(Label::new(icon));
                ui.add(Label::new(RichText::new(reason).size(SMALL).color(p.danger)).wrap());
                if button(ui, Kind::Quiet, "Send again").clicked() {
                    intents.session(Intent::RetryMessage {
                        channel: channel.id,
                        nonce: pending.nonce.clone(),
                    });
                }
                if button(ui, Kind::Quiet, "Discard").clicked() {
                    intents.session(Intent::DiscardMessage {
                        channel: channel.id,
                        nonce: pending.nonce.clone(),
                    });
                }
            });
        }
    });
}

fn day_ui(ui: &mut Ui, day: &str) {
    let p = palette(ui);
    ui.add_space(10.0);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::hover());
    let galley =
        ui.painter()
            .layout_no_wrap(day.to_owned(), theme::strong(theme::CAPTION), p.faint);
    let half = galley.size().x / 2.0 + 12.0;
    let stroke = Stroke::new(1.0, p.border);
    ui.painter().hline(
        rect.left()..=(rect.center().x - half),
        rect.center().y,
        stroke,
    );
    ui.painter().hline(
        (rect.center().x + half)..=rect.right(),
        rect.center().y,
        stroke,
    );
    ui.painter()
        .galley(rect.center() - galley.size() / 2.0, galley, p.faint);
}

fn composer_ui(ui: &mut Ui, channel: &Channel, memory: &mut Memory, intents: &mut Intents) {
    let p = palette(ui);
    let draft = memory.drafts.entry(channel.id).or_default();
    let mut send = false;
    Frame::new()
        .fill(p.raised)
        .corner_radius(CornerRadius::same(12))
        .inner_margin(Margin::symmetric(14, 7))
        .show(ui, |ui| {
            ui.horizontal(|ui| {
                let width = ui.available_width() - 44.0;
                let field = TextEdit::multiline(draft)
                    .hint_text(RichText::new(format!("Message #{}", channel.name)).color(p.faint))
                    .desired_rows(1)
                    .desired_width(width)
                    .char_limit(*MESSAGE_CHARS.end())
                    .frame(Frame::new().inner_margin(Margin::symmetric(0, 6)))
                    .return_key(KeyboardShortcut::new(Modifiers::SHIFT, Key::Enter));
                let response = ui
                    .add(field)
                    .accessible_name(format!("Message to {}", channel.name));
                let enter = response.has_focus()
                    && ui.input(|input| input.key_pressed(Key::Enter) && !input.modifiers.shift);
                let clicked =
                    icon_button(ui, icons::PAPER_PLANE_RIGHT, "Send message", false).clicked();
                if clicked {
                    response.request_focus();
                }
                send = enter || clicked;
            });
        });
    if send && !draft.trim().is_empty() {
        let text = std::mem::take(draft).trim().to_owned();
        intents.session(Intent::SendMessage {
            channel: channel.id,
            text,
            reply_to: None,
            uploads: vec![],
        });
    }
}

fn members_ui(ui: &mut Ui, guild: &Guild) {
    let mut members: Vec<&Member> = guild.members.values().collect();
    members.sort_by_key(|member| {
        (
            !member.presence.is_online(),
            member.user.name.to_lowercase(),
        )
    });
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        for online in [true, false] {
            let of_kind = || {
                members
                    .iter()
                    .filter(|member| member.presence.is_online() == online)
            };
            let count = of_kind().count();
            if count == 0 {
                continue;
            }
            caption(
                ui,
                &format!("{} ({count})", if online { "ONLINE" } else { "OFFLINE" }),
            );
            ui.add_space(4.0);
            for member in of_kind() {
                member_ui(ui, guild, member);
            }
            ui.add_space(10.0);
        }
    });
}

fn member_ui(ui: &mut Ui, guild: &Guild, member: &Member) {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 36.0), Sense::hover());
    let said = format!(
        "{}, {}",
        member.user.name,
        if member.presence.is_online() {
            "online"
        } else {
            "offline"
        }
    );
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &said));
    let center = pos2(rect.left() + 17.0, rect.center().y);
    avatar(
        ui.painter(),
        ui.ctx(),
        center,
        14.0,
        &member.user,
        false,
        !member.presence.is_online(),
    );
    if member.presence.is_online() {
        let dot = center + vec2(10.0, 10.0);
        ui.painter().circle_filled(dot, 6.0, p.sidebar);
        ui.painter().circle_filled(dot, 4.0, p.live);
    }
    let ink = if member.presence.is_online() {
        p.text
    } else {
        p.faint
    };
    let left = pos2(rect.left() + 40.0, rect.center().y);
    let end = line(
        ui.painter(),
        left,
        &member.user.name,
        theme::regular(BODY - 0.5),
        ink,
        rect.width() - 64.0,
    );
    if guild.owner == Some(member.user.id) {
        let at = pos2(end + 12.0, rect.center().y);
        ui.painter().text(
            at,
            egui::Align2::CENTER_CENTER,
            icons::CROWN,
            theme::icon(13.0),
            p.warning,
        );
        response.on_hover_text("Owner of this server");
    }
}

fn local(unix_ms: i64, zone: &TimeZone) -> Option<Zoned> {
    Some(
        Timestamp::from_millisecond(unix_ms)
            .ok()?
            .to_zoned(zone.clone()),
    )
}

fn day_words(at: &Zoned, scene: &Scene<'_>) -> String {
    let today = scene.now.to_zoned(scene.time_zone.clone()).date();
    if at.date() == today {
        "Today".to_owned()
    } else if today
        .yesterday()
        .is_ok_and(|yesterday| at.date() == yesterday)
    {
        "Yesterday".to_owned()
    } else {
        at.strftime("%A, %-d %B %Y").to_string()
    }
}
