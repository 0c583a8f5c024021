//! What the large dialogs are made of: pages with tabs, lists beside details, answers on their way, a last question before something is gone.

use egui::{
    ComboBox, CornerRadius, Frame, Id, Label, Modal, RichText, ScrollArea, Sense, Spinner, Stroke,
    TextEdit, Ui, Vec2, pos2, vec2,
};
use voxhall_protocol::control::{Reply, Request};
use voxhall_session::{Connection, State};

use super::{
    Intents, Memory, Scene,
    ask::{Asks, Found, Topic},
    icons,
    theme::{self, BODY, RADIUS, SMALL, palette},
    widgets::{
        self, Kind, button, caption, card, heading, hint, icon_button, line, name_dialog, row,
        trouble,
    },
};

/// Height of the strip below what scrolls: a button, and room around it.
const FOOTER: f32 = 50.0;

/// Where a dialog with pages goes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn<T> {
    Stay,
    To(T),
    Close,
}

/// A page of a dialog: what chooses it, its icon, its name.
pub type TabOf<T> = (T, &'static str, &'static str);

/// A dialog with its pages listed at the left.
pub fn pages_ui<T: Copy + PartialEq>(
    ui: &Ui,
    id: &str,
    about: &str,
    tabs: &[TabOf<T>],
    page: T,
    wish: Vec2,
    add: impl FnOnce(&mut Ui),
) -> Turn<T> {
    let p = palette(ui);
    let room = ui.ctx().content_rect().size();
    let size = wish.min(room - vec2(40.0, 40.0));
    let title = tabs.iter().find(|it| it.0 == page).map_or("", |it| it.2);
    let shown = Modal::new(Id::unique(id))
        .frame(card(ui).inner_margin(0))
        .show(ui.ctx(), |ui| {
            ui.set_min_size(size);
            ui.set_max_size(size);
            name_dialog(ui, title);
            let mut turn = Turn::Stay;
            ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = 0.0;
                let left = CornerRadius {
                    nw: theme::RADIUS_L,
                    sw: theme::RADIUS_L,
                    ne: 0,
                    se: 0,
                };
                Frame::new()
                    .fill(p.sidebar)
                    .corner_radius(left)
                    .inner_margin(14)
                    .show(ui, |ui| {
                        ui.vertical(|ui| {
                            ui.set_width(172.0);
                            ui.set_min_height(size.y - 28.0);
                            if let Some(other) = tabs_ui(ui, about, tabs, page) {
                                turn = Turn::To(other);
                            }
                        });
                    });
                Frame::new().inner_margin(22).show(ui, |ui| {
                    ui.vertical(|ui| {
                        ui.horizontal(|ui| {
                            heading(ui, title);
                            at_right(ui, |ui| {
                                if icon_button(ui, icons::X, "Close settings", false).clicked() {
                                    turn = Turn::Close;
                                }
                            });
                        });
                        ui.spacing_mut().item_spacing = vec2(8.0, 8.0);
                        add(ui);
                    });
                });
            });
            turn
        });
    if shown.should_close() {
        return Turn::Close;
    }
    shown.inner
}

fn tabs_ui<T: Copy + PartialEq>(ui: &mut Ui, about: &str, tabs: &[TabOf<T>], page: T) -> Option<T> {
    let p = palette(ui);
    let mut turned = None;
    ui.spacing_mut().item_spacing.y = 4.0;
    caption(ui, about);
    ui.add_space(6.0);
    for (each, icon, name) in tabs {
        let (rect, response) = row(ui, 38.0, *each == page, name);
        let (ink, font) = if *each == page {
            (p.text, theme::strong(BODY))
        } else {
            (p.muted, theme::regular(BODY))
        };
        ui.painter().text(
            rect.left_center() + vec2(20.0, 0.0),
            egui::Align2::CENTER_CENTER,
            icon,
            theme::icon(17.0),
            ink,
        );
        let left = rect.left_center() + vec2(40.0, 0.0);
        line(ui.painter(), left, name, font, ink, rect.width() - 48.0);
        if response.clicked() {
            turned = Some(*each);
        }
    }
    turned
}

/// A small dialog with a title. True when it is to be closed.
pub fn dialog_ui(
    ui: &Ui,
    id: &str,
    title: &str,
    width: f32,
    add: impl FnOnce(&mut Ui) -> bool,
) -> bool {
    let shown = Modal::new(Id::unique(id))
        .frame(card(ui))
        .show(ui.ctx(), |ui| {
            ui.set_width(width);
            name_dialog(ui, title);
            ui.spacing_mut().item_spacing.y = 10.0;
            let mut close = false;
            ui.horizontal(|ui| {
                heading(ui, title);
                at_right(ui, |ui| {
                    close = icon_button(ui, icons::X, "Close", false).clicked();
                });
            });
            add(ui) || close
        });
    shown.inner || shown.should_close()
}

pub fn at_right(ui: &mut Ui, add: impl FnOnce(&mut Ui)) {
    ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), add);
}

/// A column that scrolls for itself.
pub fn column(ui: &mut Ui, id: &str, width: f32, add: impl FnOnce(&mut Ui)) {
    ui.allocate_ui_with_layout(
        vec2(width, ui.available_height()),
        egui::Layout::top_down(egui::Align::Min),
        |ui| {
            ScrollArea::vertical()
                .id_salt(id)
                .auto_shrink(false)
                .show(ui, |ui| {
                    ui.set_width(width - 10.0);
                    add(ui);
                });
        },
    );
}

/// All the room there is, scrolled.
pub fn scrolled(ui: &mut Ui, id: &str, add: impl FnOnce(&mut Ui)) {
    let width = ui.available_width();
    column(ui, id, width, add);
}

/// The same but for a strip below, for what has to stay in view.
pub fn above_footer(ui: &mut Ui, id: &str, add: impl FnOnce(&mut Ui)) {
    let size = vec2(ui.available_width(), ui.available_height() - FOOTER);
    let down = egui::Layout::top_down(egui::Align::Min);
    ui.allocate_ui_with_layout(size, down, |ui| scrolled(ui, id, add));
}

/// A row of a list: an icon, a name, and a word at its end.
pub fn item_ui(
    ui: &mut Ui,
    icon: (&str, egui::Color32),
    text: &str,
    note: &str,
    selected: bool,
    name: &str,
) -> egui::Response {
    let p = palette(ui);
    let (rect, response) = row(ui, 34.0, selected, name);
    let painter = ui.painter();
    painter.text(
        pos2(rect.left() + 18.0, rect.center().y),
        egui::Align2::CENTER_CENTER,
        icon.0,
        theme::icon(16.0),
        icon.1,
    );
    let note = painter.layout_no_wrap(note.to_owned(), theme::regular(SMALL), p.faint);
    let room = rect.width() - 58.0 - note.size().x;
    let font = if selected {
        theme::strong(BODY)
    } else {
        theme::regular(BODY)
    };
    line(
        painter,
        pos2(rect.left() + 36.0, rect.center().y),
        text,
        font,
        p.text,
        room,
    );
    let place = pos2(
        rect.right() - 12.0 - note.size().x,
        rect.center().y - note.size().y / 2.0,
    );
    painter.galley(place, note, p.faint);
    response
}

/// Text of several lines under a label.
pub fn text_field(ui: &mut Ui, label: &str, value: &mut String, limit: usize, rows: usize) {
    let p = palette(ui);
    let label = ui.add(Label::new(
        RichText::new(label)
            .font(theme::strong(SMALL))
            .color(p.muted),
    ));
    ui.add_space(-theme::SPACE_XS);
    ui.add(
        TextEdit::multiline(value)
            .desired_rows(rows)
            .desired_width(f32::INFINITY)
            .char_limit(limit)
            .margin(egui::Margin::symmetric(12, 10)),
    )
    .labelled_by(label.id);
}

/// One of several, in a list that opens. True when another one was chosen.
pub fn pick<T: Clone + PartialEq>(
    ui: &mut Ui,
    name: &str,
    value: &mut T,
    choices: &[(T, String)],
    width: f32,
) -> bool {
    let current = choices
        .iter()
        .find(|(choice, _)| choice == value)
        .map_or("", |(_, words)| words.as_str());
    let before = value.clone();
    ui.scope(|ui| {
        ui.name_inputs(name, |ui| {
            ComboBox::from_id_salt(name)
                .width(width)
                .truncate()
                .selected_text(current)
                .show_ui(ui, |ui| {
                    for (choice, words) in choices {
                        if ui.selectable_value(value, choice.clone(), words).clicked() {
                            // A screen reader's click is none of the pointer's, which would close the list.
                            ui.close();
                        }
                    }
                });
        });
    });
    *value != before
}

/// The same with its label above.
pub fn labelled_pick<T: Clone + PartialEq>(
    ui: &mut Ui,
    name: &str,
    value: &mut T,
    choices: &[(T, String)],
) -> bool {
    let ink = palette(ui).muted;
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 4.0;
        ui.add(Label::new(
            RichText::new(name).font(theme::strong(SMALL)).color(ink),
        ));
        let width = ui.available_width();
        pick(ui, name, value, choices, width)
    })
    .inner
}

/// What was asked for, or how it stands with it.
pub fn found_ui<'a>(ui: &mut Ui, found: Found<'a>) -> Option<&'a Reply> {
    match found {
        Found::Done(reply) => return Some(reply),
        Found::Failed(error) => trouble(ui, &error.to_string(), ""),
        Found::Waiting | Found::Nothing => {
            ui.horizontal(|ui| {
                ui.add(Spinner::new().size(18.0).color(palette(ui).accent));
                hint(ui, "Asking the server…");
            });
        }
    }
    None
}

/// Below a list that has more pages, and how it stands with the one that was asked for. True when the next one is wanted.
pub fn more_ui(ui: &mut Ui, more: bool, words: &str, asks: &Asks, state: &State) -> bool {
    let found = asks.look(Topic::More, state);
    let wanted = more && found != Found::Waiting && button(ui, Kind::Quiet, words).clicked();
    if found != Found::Nothing {
        found_ui(ui, found);
    }
    wanted
}

/// What became of the change made last on this page.
pub fn change_ui(ui: &mut Ui, asks: &Asks, state: &State) {
    status_of_ui(ui, asks, Topic::Change, state);
}

pub fn status_of_ui(ui: &mut Ui, asks: &Asks, topic: Topic, state: &State) {
    match asks.look(topic, state) {
        // At the edge and without room of its own: what follows must not move under the pointer.
        Found::Waiting => {
            let place = pos2(ui.max_rect().right() - 10.0, ui.cursor().top() + 10.0);
            let place = egui::Rect::from_center_size(place, vec2(16.0, 16.0));
            Spinner::new().color(palette(ui).accent).paint_at(ui, place);
        }
        Found::Failed(error) => trouble(ui, &error.to_string(), ""),
        Found::Nothing | Found::Done(_) => {}
    }
}

/// While the server is away nothing can be changed, and it is said why.
pub fn needs_server(ui: &mut Ui, state: &State) {
    if state.connection != Connection::Online {
        hint(
            ui,
            "The server is away. What is here can be changed once it is back.",
        );
        ui.disable();
    }
}

/// Save and take back, while there is something to save. True when it is to be saved.
pub fn save_ui(ui: &mut Ui, changed: bool, ready: bool, undo: impl FnOnce()) -> bool {
    if !changed {
        return false;
    }
    ui.horizontal(|ui| {
        let save = ui
            .add_enabled_ui(ready, |ui| button(ui, Kind::Primary, "Save changes"))
            .inner
            .clicked();
        if button(ui, Kind::Secondary, "Undo changes").clicked() {
            undo();
        }
        save
    })
    .inner
}

/// What is being entered about something that others may change meanwhile: as long as it is untouched, it follows.
#[derive(Debug, Clone)]
pub struct Entered<T> {
    base: T,
    now: T,
}

impl<T: Clone + PartialEq> Entered<T> {
    /// The draft to go on with, where this is how it stands now.
    pub fn follow<'a>(draft: &'a mut Option<Self>, stands: &T) -> &'a mut T {
        let fresh = || Self {
            base: stands.clone(),
            now: stands.clone(),
        };
        let known = draft.get_or_insert_with(fresh);
        if known.base != *stands {
            if known.now == known.base {
                known.now = stands.clone();
            }
            known.base = stands.clone();
        }
        &mut known.now
    }

    pub fn get(&self) -> &T {
        &self.now
    }
}

/// A box around what belongs together.
pub fn group(ui: &mut Ui, add: impl FnOnce(&mut Ui)) {
    let p = palette(ui);
    Frame::new()
        .fill(p.raised)
        .corner_radius(CornerRadius::same(RADIUS + 2))
        .inner_margin(12)
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            add(ui);
        });
}

/// Nothing to list.
pub fn nothing_ui(ui: &mut Ui, icon: &str, what: &str, advice: &str) {
    let p = palette(ui);
    ui.vertical_centered(|ui| {
        ui.add_space(36.0);
        let (rect, _) = ui.allocate_exact_size(vec2(64.0, 64.0), Sense::hover());
        ui.painter()
            .circle_filled(rect.center(), 32.0, p.accent_soft);
        let center = egui::Align2::CENTER_CENTER;
        ui.painter()
            .text(rect.center(), center, icon, theme::icon(30.0), p.accent);
        ui.add_space(4.0);
        heading(ui, what);
        if !advice.is_empty() {
            hint(ui, advice);
        }
    });
}

/// A word in a coloured frame, beside a name.
pub fn tag_ui(ui: &mut Ui, text: &str, ink: egui::Color32) {
    let galley = ui
        .painter()
        .layout_no_wrap(text.to_owned(), theme::strong(SMALL - 1.0), ink);
    let (rect, response) = ui.allocate_exact_size(galley.size() + vec2(12.0, 6.0), Sense::hover());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, text));
    ui.painter().rect_stroke(
        rect,
        RADIUS,
        Stroke::new(1.0, ink.gamma_multiply(0.6)),
        egui::StrokeKind::Inside,
    );
    ui.painter()
        .galley(rect.center() - galley.size() / 2.0, galley, ink);
}

/// Something that can't be taken back, until it is said once more.
#[derive(Debug, Clone, PartialEq)]
pub struct Confirm {
    pub title: String,
    pub text: String,
    /// What the button says.
    pub verb: String,
    pub request: Request,
}

pub fn confirm_ui(ui: &Ui, memory: &mut Memory, intents: &mut Intents) {
    let Some(confirm) = memory.confirm.clone() else {
        return;
    };
    let mut sure = false;
    let close = dialog_ui(ui, "confirm", &confirm.title, 380.0, |ui| {
        hint(ui, &confirm.text);
        ui.add_space(6.0);
        ui.horizontal(|ui| {
            sure = button(ui, Kind::Danger, &confirm.verb).clicked();
            button(ui, Kind::Secondary, "Keep it as it is").clicked() || sure
        })
        .inner
    });
    if sure {
        let topic = match memory.dialog {
            Some(_) => Topic::Change,
            None => Topic::Friend,
        };
        memory.asks.ask(topic, confirm.request, intents);
    }
    if close {
        memory.confirm = None;
    }
}

/// A point in time for people: `27 November, 20:41`.
pub fn time_words(unix_ms: i64, scene: &Scene<'_>) -> String {
    let Ok(at) = jiff::Timestamp::from_millisecond(unix_ms) else {
        return String::new();
    };
    let (at, now) = (
        at.to_zoned(scene.time_zone.clone()),
        scene.now.to_zoned(scene.time_zone.clone()),
    );
    let form = match at.year() == now.year() {
        true => "%-d %B, %H:%M",
        false => "%-d %B %Y, %H:%M",
    };
    at.strftime(form).to_string()
}

pub fn now_ms(scene: &Scene<'_>) -> i64 {
    scene.now.as_millisecond()
}

/// `1 member`, `2 members`
pub fn count(number: usize, one: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {one}{s}")
}

/// The first letter large.
pub fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// Someone's circle and name.
pub fn who_ui(ui: &mut Ui, user: &voxhall_protocol::control::User, size: f32) {
    let p = palette(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(size, size), Sense::hover());
    widgets::avatar(
        ui.painter(),
        ui.ctx(),
        rect.center(),
        size / 2.0,
        user,
        false,
        false,
    );
    let name = RichText::new(user.shown_name())
        .font(theme::strong(BODY))
        .color(p.text);
    ui.add(Label::new(name).truncate());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_untouched_draft_follows_and_a_touched_one_stays() {
        let mut draft = None;
        assert_eq!(*Entered::follow(&mut draft, &1), 1);
        assert_eq!(*Entered::follow(&mut draft, &2), 2, "changed by others");
        *Entered::follow(&mut draft, &2) = 5;
        assert_eq!(
            *Entered::follow(&mut draft, &3),
            5,
            "what was entered is kept"
        );
        // Saved: it stands as it was entered.
        assert_eq!(*Entered::follow(&mut draft, &5), 5);
        assert_eq!(*Entered::follow(&mut draft, &6), 6);
    }
}
