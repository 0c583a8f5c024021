//! Which version this is, and what to send to whoever is asked for help.

use egui::{FontId, ScrollArea, TextEdit, Ui};

use super::{
    super::{
        Intents, Memory, Want,
        widgets::{Kind, button, caption, copy_button, hint},
    },
    ComputerWant,
};

pub fn help_ui(ui: &mut Ui, memory: &mut Memory, intents: &mut Intents) {
    let mut want = |want| intents.want(Want::Computer(want));
    hint(
        ui,
        format!("This is Voxhall {}.", env!("CARGO_PKG_VERSION")),
    );
    caption(ui, "WHEN SOMETHING DOES NOT WORK");
    hint(
        ui,
        "A report says what Voxhall knows about itself: version, system, sound devices, connection, and the end of its log. \
         Passwords, tokens, links and what was written are left out. Nothing is sent; you read it, and pass it on.",
    );
    ui.horizontal(|ui| {
        let word = match memory.computer.report {
            Some(_) => "Make it anew",
            None => "Report a problem",
        };
        if button(ui, Kind::Primary, word).clicked() {
            want(ComputerWant::MakeReport);
        }
        if button(ui, Kind::Secondary, "Open the folder of logs").clicked() {
            want(ComputerWant::OpenLogs);
        }
    });
    let Some(report) = &memory.computer.report else {
        return;
    };
    ScrollArea::vertical().max_height(240.0).show(ui, |ui| {
        let mut shown = report.as_str();
        ui.name_inputs("Report", |ui| {
            ui.add(
                TextEdit::multiline(&mut shown)
                    .font(FontId::monospace(11.5))
                    .desired_width(f32::INFINITY)
                    .margin(egui::Margin::symmetric(12, 10)),
            );
        });
    });
    ui.horizontal(|ui| {
        copy_button(ui, Kind::Secondary, "Copy the report", report);
        if button(ui, Kind::Secondary, "Save it as a file").clicked() {
            want(ComputerWant::SaveReport);
        }
    });
}
