//! When the app starts and ends.

use egui::Ui;

use super::{
    super::{
        Intents, Memory, Want,
        widgets::{caption, hint, switch, trouble},
    },
    Closing, ComputerWant,
};
use crate::settings::Settings;

pub fn this_computer_ui(
    ui: &mut Ui,
    settings: &mut Settings,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    caption(ui, "WHEN THE COMPUTER STARTS");
    match &memory.computer.autostart {
        Some(Ok(on)) => {
            let mut wish = *on;
            switch(ui, &mut wish, "Start Voxhall when I log in");
            if wish != *on {
                intents.want(Want::Computer(ComputerWant::Autostart(wish)));
            }
        }
        Some(Err(why)) => trouble(
            ui,
            why,
            "Start Voxhall by hand, or by your desktop's own settings.",
        ),
        None => {}
    }
    ui.add_space(10.0);
    caption(ui, "WHEN THE WINDOW IS CLOSED");
    match memory.computer.closing {
        Closing::MayHide => {
            switch(ui, &mut settings.close_to_tray, "Close to the tray");
            hint(
                ui,
                "You stay in voice, and are told of calls and messages. The icon in the tray shows the window again, mutes, and quits.",
            );
        }
        Closing::Ends(why) => drop(hint(ui, format!("Voxhall ends. {why}"))),
    }
}
