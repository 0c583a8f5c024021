//! How the server is doing, and what is done to all of it.

use egui::{Align2, Sense, Ui, pos2, vec2};
use voxhall_protocol::control::{
    AdminBackup, AdminDrain, AdminRotateKeys, AdminStats, Backup, Reply, ServerStats,
};

use super::super::{
    Intents, Memory, Scene,
    ask::Topic,
    theme::{self, BODY, RADIUS, SMALL, palette},
    widgets::{Kind, button, caption, hint, line, rule, trouble},
    window::{Confirm, change_ui, found_ui, scrolled},
};

#[derive(Default)]
pub struct Form {
    backup: Option<Backup>,
}

pub fn overview_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let state = scene.state;
    if let Some((_, Reply::AdminBackup(backup))) =
        memory.asks.take_done(Topic::Change, state, intents)
    {
        memory.admin.overview.backup = Some(backup);
    }
    scrolled(ui, "admin state", |ui| {
        let found = memory.asks.keep(Topic::List, AdminStats {}, state, intents);
        if let Some(Reply::AdminStats(stats)) = found_ui(ui, found) {
            stats_ui(ui, stats);
            if button(ui, Kind::Quiet, "Count again").clicked() {
                memory.asks.forget(Topic::List, intents);
            }
        }
        rule(ui);
        caption(ui, "BACKUP");
        hint(
            ui,
            "A copy of the data base and the files, in the server's folder for backups. Everything goes on meanwhile.",
        );
        if button(ui, Kind::Secondary, "Make a backup now").clicked() {
            memory.asks.ask(Topic::Change, AdminBackup {}, intents);
        }
        if let Some(backup) = &memory.admin.overview.backup {
            let mib = bytes(backup.bytes);
            hint(
                ui,
                format!("Made in {} ms: {}, {mib}.", backup.took_ms, backup.path),
            );
        }
        change_ui(ui, &memory.asks, state);
        rule(ui);
        caption(ui, "KEYS AND STOPPING");
        hint(
            ui,
            "New access tokens are signed with a new key. Nobody has to sign in again.",
        );
        ui.horizontal(|ui| {
            if button(ui, Kind::Secondary, "Change the signing key").clicked() {
                let rotate = AdminRotateKeys { at_once: false };
                memory.asks.ask(Topic::Change, rotate, intents);
            }
            if button(ui, Kind::Danger, "Stop the server").clicked() {
                memory.confirm = Some(Confirm {
                    title: "Stop the server?".to_owned(),
                    text: "Everyone is told to come back soon, and the server ends. It has to be started again where it runs.".to_owned(),
                    verb: "Stop it".to_owned(),
                    request: AdminDrain {
                        reason: "An administrator stopped the server.".to_owned(),
                    }
                    .into(),
                });
            }
        });
        ui.add_space(6.0);
        hint(
            ui,
            "Limits, ports and who may register are set where the server runs: in its configuration file, variables or flags.",
        );
    });
}

fn stats_ui(ui: &mut Ui, stats: &ServerStats) {
    if !stats.voice_running {
        trouble(
            ui,
            "Voice is not forwarded.",
            "Start the server again, and look into its log.",
        );
    }
    let figures = [
        ("online", stats.online_users.to_string()),
        ("connections", stats.connections.to_string()),
        ("in voice", stats.voice_sessions.to_string()),
        ("accounts", stats.users.to_string()),
        ("guests", stats.guests.to_string()),
        ("servers", stats.guilds.to_string()),
        ("messages", stats.messages.to_string()),
        (
            "files",
            format!("{} ({})", stats.attachments, bytes(stats.attachment_bytes)),
        ),
        ("data base", bytes(stats.database_bytes)),
    ];
    for figures in figures.chunks(3) {
        ui.horizontal(|ui| {
            let width = (ui.available_width() - 2.0 * 8.0) / 3.0;
            for (name, value) in figures {
                figure_ui(ui, name, value, width);
            }
        });
    }
    let (days, hours) = (stats.uptime_s / 86_400, stats.uptime_s / 3_600 % 24);
    hint(
        ui,
        format!(
            "Version {}, running for {days} days and {hours} hours.",
            stats.version
        ),
    );
}

fn figure_ui(ui: &mut Ui, name: &str, value: &str, width: f32) {
    let p = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(width, 58.0), Sense::hover());
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Label, true, format!("{name}: {value}"))
    });
    ui.painter().rect_filled(rect, RADIUS + 2, p.raised);
    let left = rect.left() + 14.0;
    let font = theme::strong(BODY + 3.0);
    line(
        ui.painter(),
        pos2(left, rect.top() + 21.0),
        value,
        font,
        p.text,
        width - 24.0,
    );
    let below = pos2(left, rect.bottom() - 17.0);
    ui.painter().text(
        below,
        Align2::LEFT_CENTER,
        name,
        theme::regular(SMALL),
        p.muted,
    );
}

fn bytes(number: u64) -> String {
    let number = number as f64;
    match number {
        n if n < 1e3 => format!("{n:.0} B"),
        n if n < 1e6 => format!("{:.0} kB", n / 1e3),
        n if n < 1e9 => format!("{:.1} MB", n / 1e6),
        n => format!("{:.1} GB", n / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit() {
        assert_eq!(bytes(12), "12 B");
        assert_eq!(bytes(812_000_000), "812.0 MB");
        assert_eq!(bytes(2_500_000_000), "2.5 GB");
    }
}
