//! Emoji: choosing one, finding one by its name, and showing those that the font has.

use std::sync::LazyLock;

use egui::{Frame, Id, Key, Role, ScrollArea, Sense, TextEdit, Ui, WidgetInfo, vec2};
use emojis::{Emoji, Group};

use super::super::{
    fonts,
    theme::{self, RADIUS, SMALL, palette},
    widgets::{caption, focus_ring, hint},
};

const COLUMNS: usize = 9;
const CELL: f32 = 34.0;
/// At hand before anything is looked for.
const USUAL: [&str; 9] = ["👍", "👎", "😂", "❤", "🎉", "😮", "😢", "👀", "🔥"];
/// Of a search.
const MOST_FOUND: usize = 63;

#[derive(Debug, Default)]
pub struct Picker {
    search: String,
}

type Groups = Vec<(Group, Vec<&'static Emoji>)>;

/// The emoji that the font has.
fn all() -> &'static Groups {
    static ALL: LazyLock<Groups> = LazyLock::new(|| {
        let groups = Group::iter().map(|group| {
            (
                group,
                group.emojis().filter(|it| fonts::draws(it)).collect(),
            )
        });
        groups.collect()
    });
    &ALL
}

/// An emoji as it can be shown: itself, or its name.
pub fn shown(emoji: &str) -> String {
    match emojis::get(emoji) {
        Some(known) if !fonts::draws(known) => {
            format!(":{}:", known.shortcode().unwrap_or(known.name()))
        }
        _ => emoji.to_owned(),
    }
}

/// Emoji whose name has these letters in it, the best first.
pub fn found(letters: &str, most: usize) -> Vec<&'static Emoji> {
    let letters = letters.to_lowercase();
    let mut found: Vec<_> = all()
        .iter()
        .flat_map(|(_, emojis)| emojis)
        .filter_map(|emoji| {
            let rank = |name: &str| match name.to_lowercase().find(&letters) {
                Some(0) if name.len() == letters.len() => Some(0),
                Some(0) => Some(1),
                Some(_) => Some(2),
                None => None,
            };
            let ranks = emoji.shortcodes().chain([emoji.name()]).filter_map(rank);
            Some((ranks.min()?, *emoji))
        })
        .collect();
    found.sort_by_key(|(rank, _)| *rank);
    found
        .into_iter()
        .take(most)
        .map(|(_, emoji)| emoji)
        .collect()
}

/// The emoji that was picked.
pub fn picker_ui(ui: &mut Ui, picker: &mut Picker) -> Option<&'static str> {
    let p = palette(ui);
    ui.set_width(COLUMNS as f32 * CELL + 14.0);
    let mut picked = None;
    let field = TextEdit::singleline(&mut picker.search)
        .id(Id::unique("emoji search"))
        .hint_text(egui::RichText::new("Search").color(p.faint))
        .desired_width(f32::INFINITY)
        .frame(
            Frame::new()
                .fill(p.raised)
                .corner_radius(RADIUS)
                .inner_margin(egui::Margin::symmetric(10, 7)),
        );
    let response = ui.add(field).accessible_name("Search emoji");
    if ui.memory(|memory| memory.focused()).is_none() {
        response.request_focus();
    }
    let enter = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
    ScrollArea::vertical()
        .max_height(300.0)
        .auto_shrink(false)
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing = vec2(0.0, 2.0);
            let search = picker.search.trim().trim_matches(':');
            if search.is_empty() {
                let usual: Vec<_> = USUAL
                    .iter()
                    .filter_map(|emoji| emojis::get(emoji))
                    .collect();
                rows_ui(ui, &usual, &mut picked);
                for (group, emojis) in all() {
                    if emojis.is_empty() {
                        continue;
                    }
                    ui.add_space(6.0);
                    caption(ui, group_words(*group));
                    rows_ui(ui, emojis, &mut picked);
                }
            } else {
                let found = found(search, MOST_FOUND);
                if found.is_empty() {
                    hint(ui, "No emoji is called that.");
                }
                rows_ui(ui, &found, &mut picked);
                if enter {
                    picked = found.first().map(|emoji| emoji.as_str());
                }
            }
        });
    if picked.is_some() {
        picker.search.clear();
    }
    picked
}

fn rows_ui(ui: &mut Ui, emojis: &[&'static Emoji], picked: &mut Option<&'static str>) {
    for row in emojis.chunks(COLUMNS) {
        let (rect, _) = ui.allocate_exact_size(vec2(COLUMNS as f32 * CELL, CELL), Sense::hover());
        if !ui.is_rect_visible(rect) {
            continue;
        }
        for (i, emoji) in row.iter().enumerate() {
            let cell =
                egui::Rect::from_min_size(rect.min + vec2(i as f32 * CELL, 0.0), vec2(CELL, CELL));
            if cell_ui(ui, emoji, cell) {
                *picked = Some(emoji.as_str());
            }
        }
    }
}

fn cell_ui(ui: &Ui, emoji: &'static Emoji, cell: egui::Rect) -> bool {
    let p = palette(ui);
    let id = ui.scope_id().with((emoji.as_str(), cell.top() as i32));
    let response = ui.interact(cell, id, Sense::click());
    let name = emoji.shortcode().unwrap_or(emoji.name());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Emoji {name}")));
    if response.hovered() || response.has_focus() {
        ui.painter().rect_filled(cell.shrink(1.0), RADIUS, p.hover);
    }
    ui.painter().text(
        cell.center(),
        egui::Align2::CENTER_CENTER,
        emoji.as_str(),
        theme::regular(20.0),
        p.text,
    );
    focus_ring(ui, &response, cell.shrink(3.0));
    response
        .on_hover_cursor(egui::CursorIcon::PointingHand)
        .on_hover_ui(|ui| {
            ui.label(egui::RichText::new(format!(":{name}:")).size(SMALL));
        })
        .clicked()
}

fn group_words(group: Group) -> &'static str {
    match group {
        Group::SmileysAndEmotion => "SMILEYS",
        Group::PeopleAndBody => "PEOPLE",
        Group::AnimalsAndNature => "ANIMALS AND NATURE",
        Group::FoodAndDrink => "FOOD AND DRINK",
        Group::TravelAndPlaces => "TRAVEL AND PLACES",
        Group::Activities => "ACTIVITIES",
        Group::Objects => "OBJECTS",
        Group::Symbols => "SYMBOLS",
        Group::Flags => "FLAGS",
    }
}
