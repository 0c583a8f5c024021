//! A month to choose a day from.

use egui::{Align2, Role, Sense, Ui, WidgetInfo, vec2};
use jiff::{ToSpan, civil::Date};
use voxhall_protocol::control::UnixMs;

use super::super::{
    Scene, icons,
    theme::{self, BODY, CAPTION, palette},
    widgets::{focus_ring, icon_button_sized},
};

const CELL: f32 = 34.0;

/// When the day that was chosen begins. `month` is the first of the month that is shown.
pub fn calendar_ui(ui: &mut Ui, scene: &Scene<'_>, month: &mut Option<Date>) -> Option<UnixMs> {
    let p = palette(ui);
    let today = scene.now.to_zoned(scene.time_zone.clone()).date();
    let first = month.unwrap_or_else(|| today.first_of_month());
    ui.set_width(7.0 * CELL);
    ui.spacing_mut().item_spacing = vec2(0.0, 0.0);
    ui.horizontal(|ui| {
        if icon_button_sized(ui, icons::CARET_LEFT, "Month before", false, 28.0).clicked() {
            *month = first.checked_sub(1.month()).ok();
        }
        let name = first.strftime("%B %Y").to_string();
        let (rect, response) =
            ui.allocate_exact_size(vec2(7.0 * CELL - 56.0, 28.0), Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &name));
        ui.painter().text(
            rect.center(),
            Align2::CENTER_CENTER,
            &name,
            theme::strong(BODY),
            p.text,
        );
        let later = first < today.first_of_month();
        ui.add_enabled_ui(later, |ui| {
            if icon_button_sized(ui, icons::CARET_RIGHT, "Month after", false, 28.0).clicked() {
                *month = first.checked_add(1.month()).ok();
            }
        });
    });
    ui.add_space(4.0);
    let (names, _) = ui.allocate_exact_size(vec2(7.0 * CELL, 20.0), Sense::hover());
    for (i, name) in ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"]
        .into_iter()
        .enumerate()
    {
        let at = names.left_center() + vec2((i as f32 + 0.5) * CELL, 0.0);
        ui.painter().text(
            at,
            Align2::CENTER_CENTER,
            name,
            theme::strong(CAPTION),
            p.faint,
        );
    }
    let before = i32::from(first.weekday().to_monday_zero_offset());
    let days = i32::from(first.days_in_month());
    let mut chosen = None;
    for week in 0..(before + days + 6) / 7 {
        ui.horizontal(|ui| {
            for weekday in 0..7 {
                let day = week * 7 + weekday - before + 1;
                let date = i8::try_from(day)
                    .ok()
                    .and_then(|day| Date::new(first.year(), first.month(), day).ok());
                match date.filter(|date| *date <= today) {
                    Some(date) if day_ui(ui, date, date == today) => chosen = Some(date),
                    Some(_) => {}
                    None => ui.add_space(CELL),
                }
            }
        });
    }
    let begins = chosen?.to_zoned(scene.time_zone.clone()).ok()?;
    Some(begins.timestamp().as_millisecond())
}

/// True when it was clicked.
fn day_ui(ui: &mut Ui, date: Date, today: bool) -> bool {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(CELL, CELL), Sense::click());
    let name = date.strftime("%-d %B %Y").to_string();
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
    let cell = rect.shrink(2.0);
    if response.hovered() {
        ui.painter().rect_filled(cell, 16, p.hover);
    } else if today {
        ui.painter().rect_filled(cell, 16, p.accent_soft);
    }
    let day = date.day().to_string();
    ui.painter().text(
        rect.center(),
        Align2::CENTER_CENTER,
        day,
        theme::regular(BODY - 0.5),
        p.text,
    );
    focus_ring(ui, &response, cell);
    response
        .on_hover_cursor(egui::CursorIcon::PointingHand)
        .clicked()
}
