//! What happened, in the corner; and the strip that says the server is away.

use egui::{
    Align2, Area, CornerRadius, Frame, Label, Margin, Order, Panel, RichText, Stroke, Ui, vec2,
};
use voxhall_session::{Intent, NoticeLevel, Problem};

use super::{
    Intents, Scene, Want, icons,
    theme::{self, BODY, SMALL, palette},
    widgets::{Kind, button, icon_button_sized, symbol},
};

pub fn notices_ui(ui: &Ui, scene: &Scene<'_>, intents: &mut Intents) {
    let elsewhere = || {
        let others = scene.others();
        others.flat_map(|it| it.state.notices.iter().map(move |notice| (it, notice)))
    };
    if scene.state.notices.is_empty() && scene.notices.is_empty() && elsewhere().next().is_none() {
        return;
    }
    Area::new(egui::Id::unique("notices"))
        .order(Order::Foreground)
        .anchor(Align2::RIGHT_TOP, vec2(-16.0, 64.0))
        .show(ui.ctx(), |ui| {
            ui.spacing_mut().item_spacing.y = 8.0;
            for (server, notice) in elsewhere() {
                let text = format!("{}: {}", server.name, notice.text);
                if notice_ui(ui, notice.level, &text) {
                    let seen = Intent::DismissNotice(notice.id);
                    intents.want(Want::Elsewhere(server.id, seen));
                }
            }
            for notice in &scene.state.notices {
                if notice_ui(ui, notice.level, &notice.text) {
                    intents.session(Intent::DismissNotice(notice.id));
                }
            }
            for notice in scene.notices {
                if notice_ui(ui, notice.level, &notice.text) {
                    intents.want(Want::DismissNotice(notice.id));
                }
            }
        });
}

/// True when it was dismissed.
fn notice_ui(ui: &mut Ui, level: NoticeLevel, text: &str) -> bool {
    let p = palette(ui);
    let (icon, ink) = match level {
        NoticeLevel::Info => (icons::INFO, p.accent),
        NoticeLevel::Warning => (icons::WARNING, p.warning),
    };
    Frame::new()
        .fill(p.raised)
        .stroke(Stroke::new(1.0, p.border))
        .corner_radius(CornerRadius::same(12))
        .inner_margin(Margin {
            left: 14,
            right: 8,
            top: 10,
            bottom: 10,
        })
        .shadow(ui.visuals().popup_shadow)
        .show(ui, |ui| {
            ui.horizontal_top(|ui| {
                symbol(ui, icon, 18.0, ink);
                ui.vertical(|ui| {
                    ui.set_width(280.0);
                    ui.add(Label::new(RichText::new(text).size(BODY - 0.5).color(p.text)).wrap());
                });
                icon_button_sized(ui, icons::X, "Dismiss", false, 24.0).clicked()
            })
            .inner
        })
        .inner
}

/// Over everything: the server is away, and when it is tried again.
pub fn banner_ui(
    ui: &mut Ui,
    retry_in_ms: u64,
    problem: &Problem,
    age_ms: u64,
    intents: &mut Intents,
) {
    let p = palette(ui);
    let when = when(retry_in_ms, age_ms);
    Panel::top("reconnecting")
        .resizable(false)
        .show_separator_line(false)
        .frame(
            Frame::new()
                .fill(p.warning_soft)
                .inner_margin(Margin::symmetric(18, 6)),
        )
        .show(ui, |ui| {
            ui.horizontal(|ui| {
                symbol(ui, icons::WIFI_SLASH, 18.0, p.warning);
                ui.add(Label::new(
                    RichText::new(problem.to_string())
                        .font(theme::strong(BODY))
                        .color(p.text),
                ));
                ui.add(Label::new(
                    RichText::new(when).size(SMALL + 1.0).color(p.text),
                ));
                if button(ui, Kind::Quiet, "Try now").clicked() {
                    intents.session(Intent::RetryNow);
                }
            });
        });
}

/// When the server is tried again.
pub fn when(retry_in_ms: u64, age_ms: u64) -> String {
    match retry_in_ms.saturating_sub(age_ms).div_ceil(1000) {
        0 => "Trying again now…".to_owned(),
        left_s => format!("Trying again in {left_s} s."),
    }
}
