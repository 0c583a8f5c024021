//! Small parts that the views share. Every part that can be clicked has a name for screen readers and for tests.

use std::hash::{DefaultHasher, Hash, Hasher};

use egui::{
    Align2, Area, Color32, Context, CornerRadius, Frame, Id, IdMap, Label, Margin, Order, Painter,
    Pos2, Rect, Response, RichText, Role, Sense, Stroke, StrokeKind, TextEdit, Ui, Vec2,
    WidgetInfo, pos2, vec2,
};
use voxhall_protocol::{UserId, control::User};
use voxhall_session::Guild;

use super::{
    icons, pictures,
    theme::{self, BODY, CAPTION, RADIUS, SMALL, SPACE_XS, palette},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Primary,
    Secondary,
    Danger,
    /// Text alone.
    Quiet,
}

/// A button with a word on it.
pub fn button(ui: &mut Ui, kind: Kind, text: &str) -> Response {
    wide_button(ui, kind, text, 0.0)
}

/// How long a button says that it copied.
const COPIED_S: f64 = 2.0;

/// A button that copies these words, and says for a moment that it did.
pub fn copy_button(ui: &mut Ui, kind: Kind, name: &str, words: &str) {
    let word = if was_copied(ui, words) {
        "Copied"
    } else {
        name
    };
    if button(ui, kind, word).clicked() {
        copy(ui, words);
    }
}

/// The same as an icon.
pub fn copy_icon(ui: &mut Ui, name: &str, words: &str) {
    let (icon, name) = match was_copied(ui, words) {
        true => (icons::CHECK, "Copied"),
        false => (icons::COPY, name),
    };
    if icon_button(ui, icon, name, false).clicked() {
        copy(ui, words);
    }
}

fn was_copied(ui: &Ui, words: &str) -> bool {
    let now_s = ui.input(|input| input.time);
    let at_s: Option<f64> = ui.data(|data| data.get_temp(Id::unique(("copied", words))));
    at_s.is_some_and(|at_s| now_s - at_s < COPIED_S)
}

fn copy(ui: &Ui, words: &str) {
    ui.copy_text(words.to_owned());
    let now_s = ui.input(|input| input.time);
    ui.data_mut(|data| data.insert_temp(Id::unique(("copied", words)), now_s));
    ui.request_repaint_after_secs(COPIED_S as f32 + 0.1);
}

/// A button at least this wide.
pub fn wide_button(ui: &mut Ui, kind: Kind, text: &str, min_width: f32) -> Response {
    let p = palette(ui);
    let galley =
        ui.painter()
            .layout_no_wrap(text.to_owned(), theme::strong(BODY), Color32::PLACEHOLDER);
    let pad = if kind == Kind::Quiet { 8.0 } else { 16.0 };
    let size = vec2(
        (galley.size().x + 2.0 * pad).max(min_width),
        if kind == Kind::Quiet { 32.0 } else { 38.0 },
    );
    let (rect, response) = control(ui, size, text);
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, text));
    let hot = response.hovered() || response.has_focus();
    let (fill, color) = match kind {
        Kind::Primary => (if hot { p.accent_hover } else { p.accent }, p.on_accent),
        Kind::Secondary => (if hot { p.pressed } else { p.hover }, p.text),
        Kind::Danger => (p.danger, p.on_danger),
        Kind::Quiet => (if hot { p.hover } else { Color32::TRANSPARENT }, p.accent),
    };
    ui.painter().rect_filled(rect, RADIUS, fill);
    ui.painter()
        .galley(rect.center() - galley.size() / 2.0, galley, color);
    focus_ring(ui, &response, rect);
    response.on_hover_cursor(egui::CursorIcon::PointingHand)
}

/// Room for something to click, whatever comes and goes beside it: what a screen reader has read is what it clicks.
fn control(ui: &mut Ui, size: Vec2, name: &str) -> (Rect, Response) {
    let id = id_of(ui, name);
    let (_, room) = ui.allocate_space(size);
    let response = ui.interact(room, id, Sense::click());
    (ui.layout().align_size_within_rect(size, room), response)
}

/// Of its name, and of how many of that name came before it.
fn id_of(ui: &Ui, name: &str) -> Id {
    let id = ui.scope_id().with(("control", name));
    let pass = ui.ctx().cumulative_pass_nr();
    let before = ui.data_mut(|data| {
        let names: &mut Names = data.get_temp_mut_or_default(Id::unique("names of controls"));
        if names.pass != pass {
            *names = Names {
                pass,
                ..Names::default()
            };
        }
        let count = names.counts.entry(id).or_default();
        *count += 1;
        *count
    });
    id.with(before)
}

/// How many controls had each name in this pass.
#[derive(Clone, Default)]
struct Names {
    pass: u64,
    counts: IdMap<usize>,
}

/// A square button with an icon. `name` says what it does; `alert` paints it as something switched off.
pub fn icon_button(ui: &mut Ui, icon: &str, name: &str, alert: bool) -> Response {
    icon_button_sized(ui, icon, name, alert, 32.0)
}

pub fn icon_button_sized(ui: &mut Ui, icon: &str, name: &str, alert: bool, size: f32) -> Response {
    let p = palette(ui);
    let (rect, response) = control(ui, Vec2::splat(size), name);
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, name));
    if response.is_pointer_button_down_on() {
        ui.painter().rect_filled(rect, RADIUS, p.pressed);
    } else if response.hovered() {
        ui.painter().rect_filled(rect, RADIUS, p.hover);
    } else if alert {
        ui.painter().rect_filled(rect, RADIUS, p.danger_soft);
    }
    let color = match (alert, response.hovered()) {
        (true, _) => p.danger,
        (false, true) => p.text,
        (false, false) => p.muted,
    };
    ui.painter().text(
        rect.center(),
        Align2::CENTER_CENTER,
        icon,
        theme::icon(size * 0.56),
        color,
    );
    focus_ring(ui, &response, rect);
    response
        .on_hover_cursor(egui::CursorIcon::PointingHand)
        .on_hover_text(name)
}

/// Shows where the keyboard is.
pub fn focus_ring(ui: &Ui, response: &Response, rect: Rect) {
    if response.has_focus() {
        ui.painter().rect_stroke(
            rect.expand(2.0),
            RADIUS + 2,
            Stroke::new(2.0, palette(ui).accent),
            StrokeKind::Middle,
        );
    }
}

/// A row of a list: the whole width can be clicked.
pub fn row(ui: &mut Ui, height: f32, selected: bool, name: &str) -> (Rect, Response) {
    let p = palette(ui);
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::click());
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::selected(Role::Button, enabled, selected, name));
    let fill = match (selected, response.hovered()) {
        (true, _) => p.accent_soft,
        (false, true) => p.hover,
        (false, false) => Color32::TRANSPARENT,
    };
    ui.painter().rect_filled(rect, RADIUS, fill);
    focus_ring(ui, &response, rect.shrink(2.0));
    (
        rect,
        response.on_hover_cursor(egui::CursorIcon::PointingHand),
    )
}

/// Paints one line of text, cut with an ellipsis at `max_width`, vertically centred; returns its right end.
pub fn line(
    painter: &Painter,
    left: Pos2,
    text: &str,
    font: egui::FontId,
    color: Color32,
    max_width: f32,
) -> f32 {
    let mut job = egui::text::LayoutJob::simple_singleline(text.to_owned(), font, color);
    job.wrap = egui::text::TextWrapping::truncate_at_width(max_width.max(1.0));
    let galley = painter.layout_job(job);
    let end = left.x + galley.size().x;
    painter.galley(pos2(left.x, left.y - galley.size().y / 2.0), galley, color);
    end
}

/// The colour that a person has everywhere.
pub fn person_color(user: UserId) -> Color32 {
    let mut hasher = DefaultHasher::new();
    user.hash(&mut hasher);
    theme::PEOPLE[(hasher.finish() % theme::PEOPLE.len() as u64) as usize]
}

/// A person's circle with the first letter of the name, and a ring while they speak.
pub fn avatar(
    painter: &Painter,
    ctx: &Context,
    center: Pos2,
    radius: f32,
    user: &User,
    speaking: bool,
    dim: bool,
) {
    let p = if ctx.theme() == egui::Theme::Dark {
        &theme::DARK
    } else {
        &theme::LIGHT
    };
    if let Some(picture) = user
        .picture
        .and_then(|picture| pictures::shown(ctx, picture))
    {
        let tint = if dim {
            Color32::from_white_alpha(110)
        } else {
            Color32::WHITE
        };
        let square = Rect::from_center_size(center, Vec2::splat(2.0 * radius));
        pictures::paint(painter, picture, square, radius as u8, tint);
        ring(painter, ctx, center, radius, user, speaking, p);
        return;
    }
    let color = person_color(user.id);
    let color = if dim {
        color.gamma_multiply(0.45)
    } else {
        color
    };
    painter.circle_filled(center, radius, color);
    let letter: String = user
        .name
        .chars()
        .find(|c| c.is_alphanumeric())
        .unwrap_or('?')
        .to_uppercase()
        .collect();
    let ink = if dim { p.faint } else { Color32::WHITE };
    painter.text(
        center,
        Align2::CENTER_CENTER,
        letter,
        theme::strong(radius * 0.95),
        ink,
    );
    ring(painter, ctx, center, radius, user, speaking, p);
}

/// Around who speaks.
fn ring(
    painter: &Painter,
    ctx: &Context,
    center: Pos2,
    radius: f32,
    user: &User,
    speaking: bool,
    p: &theme::Palette,
) {
    let ring = ctx.animate_bool(egui::Id::unique(("ring", user.id, radius as u32)), speaking);
    if ring > 0.0 {
        let width = (radius * 0.14).clamp(2.0, 5.0);
        painter.circle_stroke(
            center,
            radius + width * 0.9 * ring,
            Stroke::new(width * ring, p.live),
        );
    }
}

/// A guild's picture, or its initials.
pub fn guild_icon(ui: &Ui, rect: Rect, guild: &Guild, lit: bool, radius: u8) {
    if let Some(picture) = guild.icon.and_then(|icon| pictures::shown(ui.ctx(), icon)) {
        pictures::paint(ui.painter(), picture, rect, radius, Color32::WHITE);
        return;
    }
    initials_tile(ui, rect, &guild.name, lit, radius);
}

/// The ground of a place of the rail; gives the colour of what is on it.
pub fn tile_ground(ui: &Ui, rect: Rect, lit: bool, radius: u8) -> Color32 {
    let p = palette(ui);
    let (fill, ink) = if lit {
        (p.accent, p.on_accent)
    } else {
        (p.raised, p.text)
    };
    ui.painter().rect_filled(rect, radius, fill);
    ink
}

/// What stands for something of this name.
pub fn initials_tile(ui: &Ui, rect: Rect, name: &str, lit: bool, radius: u8) {
    let ink = tile_ground(ui, rect, lit, radius);
    let font = theme::strong(rect.height() * 0.35);
    let center = Align2::CENTER_CENTER;
    ui.painter()
        .text(rect.center(), center, initials(name), font, ink);
}

/// The first letters of the first two words.
fn initials(name: &str) -> String {
    let letters = name
        .split_whitespace()
        .filter_map(|word| word.chars().find(|c| c.is_alphanumeric()));
    letters.take(2).flat_map(char::to_uppercase).collect()
}

/// How many are waiting; nothing where nobody is.
pub fn badge(ui: &Ui, center: Pos2, number: usize) {
    if number == 0 {
        return;
    }
    let p = palette(ui);
    let words = if number > 99 {
        "99+".to_owned()
    } else {
        number.to_string()
    };
    let galley = ui
        .painter()
        .layout_no_wrap(words, theme::strong(CAPTION), p.on_danger);
    let size = vec2((galley.size().x + 10.0).max(18.0), 18.0);
    let rect = Rect::from_center_size(center, size);
    ui.painter().rect_filled(rect, 9, p.danger);
    ui.painter()
        .galley(rect.center() - galley.size() / 2.0, galley, p.on_danger);
}

/// Draws at a place that was allocated before; what follows stands where it would stand anyway.
pub fn at<R>(ui: &mut Ui, place: Rect, add: impl FnOnce(&mut Ui) -> R) -> R {
    add(&mut ui.new_child(egui::UiBuilder::new().max_rect(place)))
}

/// Small words above a group.
pub fn caption(ui: &mut Ui, text: &str) {
    let color = palette(ui).faint;
    ui.add(Label::new(
        RichText::new(text)
            .font(theme::strong(CAPTION))
            .color(color),
    ));
}

pub fn heading(ui: &mut Ui, text: &str) {
    headline(ui, text, theme::HEADING);
}

pub fn title(ui: &mut Ui, text: &str) {
    headline(ui, text, theme::TITLE);
}

fn headline(ui: &mut Ui, text: &str, size: f32) {
    let words = RichText::new(text).font(theme::strong(size));
    let response = ui.add(Label::new(words.color(palette(ui).text)));
    response.widget_info(|| WidgetInfo::labeled(Role::Heading, true, text));
}

/// An icon beside the words that say what it means, and so nothing to be read aloud.
pub fn symbol(ui: &mut Ui, icon: &str, size: f32, ink: Color32) {
    let galley = ui
        .painter()
        .layout_no_wrap(icon.to_owned(), theme::icon(size), ink);
    let (rect, _) = ui.allocate_exact_size(galley.size(), Sense::hover());
    ui.painter().galley(rect.min, galley, ink);
}

/// Says what the dialog is that is drawn here: who can't see it hears that it came, and what it is about.
pub fn name_dialog(ui: &Ui, name: &str) {
    ui.ctx().accesskit_node_builder(ui.layer_id().id, |node| {
        node.set_label(name);
        node.set_modal();
    });
}

pub fn hint(ui: &mut Ui, text: impl Into<String>) -> Response {
    let color = palette(ui).muted;
    ui.add(Label::new(RichText::new(text).size(SMALL + 0.5).color(color)).wrap())
}

/// A labelled field of one line.
pub fn field(
    ui: &mut Ui,
    label: &str,
    value: &mut String,
    placeholder: &str,
    password: bool,
) -> Response {
    let p = palette(ui);
    let id = id_of(ui, label);
    let label = ui.add(Label::new(
        RichText::new(label)
            .font(theme::strong(SMALL))
            .color(p.muted),
    ));
    ui.add_space(-SPACE_XS);
    ui.add(
        TextEdit::singleline(value)
            .id(id)
            .hint_text(RichText::new(placeholder).color(p.faint))
            .password(password)
            .desired_width(f32::INFINITY)
            .margin(Margin::symmetric(12, 10)),
    )
    .labelled_by(label.id)
}

/// A switch with its label at the left and itself at the right.
pub fn switch(ui: &mut Ui, on: &mut bool, label: &str) -> Response {
    let p = palette(ui);
    let (rect, mut response) = control(ui, vec2(ui.available_width(), 34.0), label);
    if response.clicked() {
        *on = !*on;
        response.mark_changed();
    }
    let (enabled, is_on) = (ui.is_enabled(), *on);
    response.widget_info(|| WidgetInfo::selected(Role::Switch, enabled, is_on, label));
    let t = ui.ctx().animate_bool_responsive(response.id, *on);
    let size = vec2(40.0, 22.0);
    let track = Rect::from_center_size(pos2(rect.right() - size.x / 2.0, rect.center().y), size);
    line(
        ui.painter(),
        rect.left_center(),
        label,
        theme::regular(BODY),
        p.text,
        rect.width() - 60.0,
    );
    let fill = if *on { p.accent } else { p.pressed };
    ui.painter().rect(
        track,
        11,
        fill,
        Stroke::new(1.0, if *on { p.accent } else { p.faint }),
        StrokeKind::Inside,
    );
    let x = egui::lerp((track.left() + 11.0)..=(track.right() - 11.0), t);
    ui.painter().circle_filled(
        pos2(x, track.center().y),
        7.5,
        if *on { p.on_accent } else { p.muted },
    );
    focus_ring(ui, &response, track);
    response.on_hover_cursor(egui::CursorIcon::PointingHand)
}

/// A small switch that is a word: filled while it is on.
pub fn chip(ui: &mut Ui, on: &mut bool, word: &str, name: &str) -> Response {
    let p = palette(ui);
    let galley = ui.painter().layout_no_wrap(
        word.to_owned(),
        theme::strong(SMALL - 0.5),
        Color32::PLACEHOLDER,
    );
    let (rect, mut response) = control(ui, galley.size() + vec2(14.0, 8.0), name);
    if response.clicked() {
        *on = !*on;
        response.mark_changed();
    }
    let (enabled, is_on) = (ui.is_enabled(), *on);
    response.widget_info(|| WidgetInfo::selected(Role::Switch, enabled, is_on, name));
    let (fill, ink) = if is_on && enabled {
        (p.accent, p.on_accent)
    } else if response.hovered() {
        (p.hover, p.text)
    } else {
        (p.raised, p.muted)
    };
    ui.painter().rect_filled(rect, RADIUS, fill);
    ui.painter()
        .galley(rect.center() - galley.size() / 2.0, galley, ink);
    focus_ring(ui, &response, rect);
    response
        .on_hover_cursor(egui::CursorIcon::PointingHand)
        .on_hover_text(name)
}

/// A colour among others to choose from; none: no colour of its own.
pub fn swatch(ui: &mut Ui, color: Option<Color32>, on: bool, name: &str) -> bool {
    let p = palette(ui);
    let (rect, response) = control(ui, vec2(28.0, 28.0), name);
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::selected(Role::RadioButton, enabled, on, name));
    match color {
        Some(color) => {
            ui.painter().circle_filled(rect.center(), 10.0, color);
        }
        None => {
            let stroke = Stroke::new(1.5, p.faint);
            ui.painter().circle_stroke(rect.center(), 9.0, stroke);
        }
    }
    if on {
        let stroke = Stroke::new(2.0, p.text);
        ui.painter().circle_stroke(rect.center(), 13.0, stroke);
    }
    focus_ring(ui, &response, rect);
    response
        .on_hover_cursor(egui::CursorIcon::PointingHand)
        .on_hover_text(name)
        .clicked()
}

/// A word at the left, and what it is about at the right.
pub fn labelled(ui: &mut Ui, label: &str, add: impl FnOnce(&mut Ui)) {
    ui.horizontal(|ui| {
        let ink = palette(ui).text;
        ui.add(Label::new(RichText::new(label).size(BODY).color(ink)));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), add);
    });
}

/// Several choices of which one holds, side by side. True when another one was chosen.
pub fn segmented<T: Copy + PartialEq>(ui: &mut Ui, value: &mut T, choices: &[(T, &str)]) -> bool {
    let p = palette(ui);
    let pad = vec2(12.0, 7.0);
    let galleys: Vec<_> = choices
        .iter()
        .map(|(choice, label)| {
            let font = if *value == *choice {
                theme::strong(SMALL + 0.5)
            } else {
                theme::regular(SMALL + 0.5)
            };
            ui.painter()
                .layout_no_wrap((*label).to_owned(), font, Color32::PLACEHOLDER)
        })
        .collect();
    let height = galleys
        .iter()
        .map(|galley| galley.size().y)
        .fold(0.0, f32::max)
        + 2.0 * pad.y;
    let width: f32 = galleys
        .iter()
        .map(|galley| galley.size().x + 2.0 * pad.x)
        .sum();
    let id = id_of(ui, choices.first().map_or("", |(_, label)| label));
    let (_, frame) = ui.allocate_space(vec2(width + 6.0, height + 6.0));
    ui.painter().rect_filled(frame, RADIUS + 2, p.raised);
    let mut left = frame.left() + 3.0;
    let mut changed = false;
    for (i, ((choice, label), galley)) in choices.iter().zip(galleys).enumerate() {
        let rect = Rect::from_min_size(
            pos2(left, frame.top() + 3.0),
            vec2(galley.size().x + 2.0 * pad.x, height),
        );
        left = rect.right();
        let selected = *value == *choice;
        let response = ui.interact(rect, id.with(i), Sense::click());
        let enabled = ui.is_enabled();
        response.widget_info(|| WidgetInfo::selected(Role::RadioButton, enabled, selected, *label));
        if selected {
            ui.painter().rect_filled(rect, RADIUS, p.accent);
        } else if response.hovered() {
            ui.painter().rect_filled(rect, RADIUS, p.hover);
        }
        let color = if selected { p.on_accent } else { p.muted };
        ui.painter()
            .galley(rect.center() - galley.size() / 2.0, galley, color);
        focus_ring(ui, &response, rect);
        if response
            .on_hover_cursor(egui::CursorIcon::PointingHand)
            .clicked()
            && !selected
        {
            *value = *choice;
            changed = true;
        }
    }
    changed
}

/// A slider as wide as there is room.
pub fn slider(
    ui: &mut Ui,
    value: &mut f32,
    range: std::ops::RangeInclusive<f32>,
    name: &str,
) -> Response {
    let p = palette(ui);
    ui.scope(|ui| {
        ui.spacing_mut().slider_width = ui.available_width();
        ui.spacing_mut().interact_size.y = 26.0;
        let visuals = ui.visuals_mut();
        visuals.selection.bg_fill = p.accent;
        for widget in [
            &mut visuals.widgets.inactive,
            &mut visuals.widgets.hovered,
            &mut visuals.widgets.active,
        ] {
            widget.bg_fill = p.pressed;
            widget.fg_stroke = Stroke::new(3.0, p.accent);
        }
        ui.add(egui::Slider::new(value, range).show_value(false))
            .accessible_name(name)
    })
    .inner
}

/// A level from -60 to 0 dBFS as a bar.
pub fn meter(ui: &mut Ui, dbfs: f32, size: Vec2, name: &str) -> Response {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Meter, true, name));
    let radius = CornerRadius::same((size.y / 2.0) as u8);
    ui.painter().rect_filled(rect, radius, p.pressed);
    let share = ((dbfs + 60.0) / 60.0).clamp(0.0, 1.0);
    let share = ui.ctx().animate_value_with_time(response.id, share, 0.06);
    if share > 0.01 {
        let filled = Rect::from_min_size(
            rect.min,
            vec2((rect.width() * share).max(size.y), rect.height()),
        );
        let color = if dbfs > -3.0 { p.danger } else { p.live };
        ui.painter().rect_filled(filled, radius, color);
    }
    response
}

/// A card that lies on the page.
pub fn card(ui: &Ui) -> Frame {
    let p = palette(ui);
    Frame::new()
        .fill(p.main)
        .stroke(Stroke::new(1.0, p.border))
        .corner_radius(CornerRadius::same(theme::RADIUS_L))
        .inner_margin(28)
        .shadow(ui.visuals().window_shadow)
}

/// A card over everything else, at an edge of the window. Returns where it stands.
pub fn floating_card(
    ui: &Ui,
    name: &str,
    anchor: Align2,
    offset: Vec2,
    add: impl FnOnce(&mut Ui),
) -> Rect {
    let p = palette(ui);
    let drawn = Area::new(Id::unique(name))
        .order(Order::Foreground)
        .anchor(anchor, offset)
        .show(ui.ctx(), |ui| {
            Frame::new()
                .fill(p.raised)
                .stroke(Stroke::new(1.0, p.border))
                .corner_radius(CornerRadius::same(16))
                .inner_margin(18)
                .shadow(ui.visuals().popup_shadow)
                .show(ui, |ui| {
                    ui.set_width(340.0);
                    ui.spacing_mut().item_spacing.y = 8.0;
                    add(ui);
                });
        });
    drawn.response.rect
}

/// A box that says that something is wrong, and what to do.
pub fn trouble(ui: &mut Ui, what: &str, advice: &str) {
    let p = palette(ui);
    Frame::new()
        .fill(p.danger_soft)
        .corner_radius(CornerRadius::same(RADIUS))
        .inner_margin(12)
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = SPACE_XS;
            ui.add(
                Label::new(
                    RichText::new(what)
                        .font(theme::strong(BODY))
                        .color(p.danger),
                )
                .wrap(),
            );
            if !advice.is_empty() {
                ui.add(Label::new(RichText::new(advice).size(SMALL + 0.5).color(p.text)).wrap());
            }
        });
}

/// A thin line across.
pub fn rule(ui: &mut Ui) {
    let color = palette(ui).border;
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 1.0), Sense::hover());
    ui.painter()
        .hline(rect.x_range(), rect.center().y, Stroke::new(1.0, color));
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
