//! Searching in what was written.

use std::ops::Range;

use egui::{
    Frame, Key, Label, Margin, RichText, ScrollArea, Spinner, TextEdit, Ui,
    text::{LayoutJob, TextFormat},
};
use voxhall_protocol::{
    ChannelId, MessageId,
    control::{Found, SearchMessages},
    limits::QUERY_CHARS,
};
use voxhall_session::{Intent, State};

use super::{
    super::{
        Intents,
        theme::{self, BODY, Palette, SMALL, palette},
        widgets::{Kind, button, focus_ring, hint, trouble},
    },
    Cx,
    pins::{card, head_ui},
    plain::replaced,
    text::Names,
};

#[derive(Default)]
pub struct SearchForm {
    query: String,
    here_only: bool,
    begun: bool,
    /// The session was told that what it found is no longer looked at.
    ended: bool,
}

impl SearchForm {
    /// The next time it is opened, the field gets the keyboard.
    pub fn leave(&mut self, state: &State, intents: &mut Intents) {
        self.begun = false;
        self.end(state, intents);
    }

    fn end(&mut self, state: &State, intents: &mut Intents) {
        if state.search.is_some() && !std::mem::replace(&mut self.ended, true) {
            intents.session(Intent::EndSearch);
        }
    }
}

/// What can be written beside words.
const FILTERS: [(&str, &str); 5] = [
    ("from:", "by somebody"),
    ("in:", "in a channel"),
    ("has:", "file, picture or link"),
    ("after:", "2026-11-01 and later"),
    ("before:", "2026-11-20 and earlier"),
];

/// The message that was chosen.
pub fn search_ui(
    ui: &mut Ui,
    cx: &Cx<'_>,
    form: &mut SearchForm,
    intents: &mut Intents,
) -> Option<(ChannelId, MessageId)> {
    let p = palette(ui);
    let field = TextEdit::singleline(&mut form.query)
        .hint_text(RichText::new("Words, from:name, has:file").color(p.faint))
        .char_limit(*QUERY_CHARS.end())
        .desired_width(f32::INFINITY)
        .frame(
            Frame::new()
                .fill(p.main)
                .corner_radius(8)
                .inner_margin(Margin::symmetric(10, 8)),
        );
    let response = ui.add(field).accessible_name("Search messages");
    if !std::mem::replace(&mut form.begun, true) {
        response.request_focus();
    }
    let mut go = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
    if !cx.is_conversation() {
        let words = format!("Only in #{}", cx.channel.name);
        go |= ui.checkbox(&mut form.here_only, words).changed() && !form.query.trim().is_empty();
    }
    let query = form.query.trim().to_owned();
    if go && !query.is_empty() {
        let here = form.here_only || cx.is_conversation();
        let search = SearchMessages {
            guild_id: (!cx.is_conversation()).then_some(cx.guild.id),
            channel_id: here.then_some(cx.channel.id),
            query,
            before: None,
        };
        intents.session(Intent::Search(search));
    }
    let state = cx.scene.state;
    let Some(search) = state.search.as_ref().filter(|it| is_of(&it.request, cx)) else {
        // What was found elsewhere is not for here.
        form.end(state, intents);
        filters_ui(ui, form);
        return None;
    };
    form.ended = false;
    if let Some(why) = &search.failed {
        trouble(ui, why, "");
        if button(ui, Kind::Secondary, "Search again").clicked() {
            intents.session(Intent::Search(search.request.clone()));
        }
    } else if search.found.is_empty() && !search.loading {
        ui.add_space(8.0);
        hint(
            ui,
            "Nothing was found. Other words, or fewer of them, may help.",
        );
    }
    let mut chosen = None;
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 8.0;
        for found in &search.found {
            if found_ui(ui, cx, found) {
                chosen = Some((found.message.channel_id, found.message.id));
            }
        }
        if search.loading {
            ui.vertical_centered(|ui| ui.add(Spinner::new().size(20.0).color(p.faint)));
        } else if search.more
            && let Some(last) = search.found.last()
            && button(ui, Kind::Secondary, "Find more").clicked()
        {
            let more = SearchMessages {
                before: Some(last.message.id),
                ..search.request.clone()
            };
            intents.session(Intent::Search(more));
        }
    });
    chosen
}

/// Searched in this guild, or in this conversation.
fn is_of(search: &SearchMessages, cx: &Cx<'_>) -> bool {
    match search.guild_id {
        Some(guild) => guild == cx.guild.id && !cx.is_conversation(),
        None => search.channel_id == Some(cx.channel.id),
    }
}

fn filters_ui(ui: &mut Ui, form: &mut SearchForm) {
    ui.add_space(6.0);
    hint(
        ui,
        "\"Words in quotes\" stand together. These narrow it down:",
    );
    for (filter, words) in FILTERS {
        ui.horizontal(|ui| {
            if button(ui, Kind::Quiet, filter).clicked() {
                if !form.query.is_empty() && !form.query.ends_with(' ') {
                    form.query.push(' ');
                }
                form.query.push_str(filter);
                form.begun = false;
            }
            hint(ui, words);
        });
    }
}

/// True when it was clicked.
fn found_ui(ui: &mut Ui, cx: &Cx<'_>, found: &Found) -> bool {
    let p = palette(ui);
    let message = &found.message;
    let state = cx.scene.state;
    let channel = state
        .guild_of(message.channel_id)
        .and_then(|guild| guild.channel(message.channel_id));
    let place = channel.map_or_else(String::new, |channel| format!(" in #{}", channel.name));
    let text = highlighted(found, cx.names(), p);
    let said = format!(
        "Go to the message of {}: {}",
        message.author.name, text.text
    );
    let top = ui.cursor().min;
    let width = ui.available_width();
    card(ui, |ui| {
        head_ui(ui, cx.scene, message, &place, |_| {});
        ui.add(Label::new(text).wrap());
        for attachment in &message.attachments {
            ui.add(
                Label::new(RichText::new(&attachment.name).size(SMALL).color(p.muted)).truncate(),
            );
        }
    });
    let rect = egui::Rect::from_min_max(top, egui::pos2(top.x + width, ui.min_rect().bottom()));
    let response = ui.interact(
        rect,
        egui::Id::unique(("found", message.id)),
        egui::Sense::click(),
    );
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &said));
    if response.hovered() {
        ui.painter().rect_stroke(
            rect,
            10,
            egui::Stroke::new(1.0, p.accent),
            egui::StrokeKind::Inside,
        );
    }
    focus_ring(ui, &response, rect);
    response
        .on_hover_cursor(egui::CursorIcon::PointingHand)
        .clicked()
}

/// The text with what was looked for marked in it.
fn highlighted(found: &Found, names: Names<'_>, p: &Palette) -> LayoutJob {
    let dim = TextFormat::simple(theme::regular(BODY - 0.5), p.text);
    let lit = TextFormat {
        background: p.warning_soft,
        ..TextFormat::simple(theme::strong(BODY - 0.5), p.warning)
    };
    let text = &found.message.text;
    let mut job = LayoutJob::default();
    let mut put = |words: &str, is_lit| {
        if !words.is_empty() {
            let format = if is_lit { &lit } else { &dim };
            job.append(words, 0.0, format.clone());
        }
    };
    let is_lit = |range: Range<usize>| {
        let mut marked = found.highlights.iter();
        marked.any(|(from, to)| (*from as usize) < range.end && range.start < *to as usize)
    };
    let replaced = replaced(text, names);
    let mut next = 0;
    let (mut piece, mut piece_lit) = (String::new(), false);
    for (at, c) in text.chars().enumerate() {
        next += usize::from(replaced.get(next).is_some_and(|(it, _)| it.end <= at));
        let (now_lit, words) = match replaced.get(next) {
            Some((range, words)) if range.start == at => (is_lit(range.clone()), Some(words)),
            Some((range, _)) if range.contains(&at) => continue,
            _ => (is_lit(at..at + 1), None),
        };
        if now_lit != piece_lit {
            put(&std::mem::take(&mut piece), piece_lit);
            piece_lit = now_lit;
        }
        match words {
            Some(words) => piece.push_str(words),
            None => piece.push(c),
        }
    }
    put(&piece, piece_lit);
    job
}

#[cfg(test)]
mod tests {
    use voxhall_protocol::{
        UserId,
        control::{ChannelKind, Conversation, Message, User, UserKind},
    };
    use voxhall_session::State;

    use super::*;
    use crate::ui::people;

    #[test]
    fn what_was_looked_for_is_marked_behind_names_too() {
        let state = State {
            me: Some(User::new(UserId(1), "Ann", UserKind::Account)),
            ..State::default()
        };
        let conversation = Conversation {
            id: ChannelId(9),
            kind: ChannelKind::Direct,
            name: None,
            owner_id: None,
            members: vec![],
        };
        let guild = people::as_guild(&state, &conversation);
        let names = Names {
            state: &state,
            guild: &guild,
        };
        let author = User::new(UserId(2), "Bea", UserKind::Account);
        let text = "ö <@1> the map ||is lost||";
        let found = Found {
            message: Message::new(MessageId(1), ChannelId(9), author, text, 0, "n"),
            highlights: vec![(11, 14)],
        };
        let job = highlighted(&found, names, &theme::DARK);
        assert_eq!(job.text, "ö @Ann the map [spoiler]");
        let marked = |section: &&egui::text::LayoutSection| {
            section.format.background == theme::DARK.warning_soft
        };
        let marked: Vec<_> = job.sections.iter().filter(marked).collect();
        assert_eq!(marked.len(), 1);
        let range = &marked[0].byte_range;
        assert_eq!(&job.text[range.start.0..range.end.0], "map");
    }
}
