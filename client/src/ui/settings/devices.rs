//! Where the account is signed in.

use egui::{Label, RichText, Ui};
use voxhall_protocol::control::{Device, EndDevice, ListDevices, Reply, Request};

use super::super::{
    Intents, Memory, Scene,
    ask::Topic,
    icons,
    theme::{self, BODY, palette},
    widgets::{hint, icon_button, symbol},
    window::{Confirm, at_right, found_ui, group, tag_ui, time_words},
};

pub fn devices_ui(ui: &mut Ui, scene: &Scene<'_>, memory: &mut Memory, intents: &mut Intents) {
    let found = memory
        .asks
        .keep(Topic::List, ListDevices {}, scene.state, intents);
    let Some(Reply::ListDevices(list)) = found_ui(ui, found) else {
        return;
    };
    // One that was ended is taken out of the session's list at once.
    let known = scene
        .state
        .devices
        .as_ref()
        .map_or(&list.devices, |devices| &**devices);
    for device in known {
        device_ui(ui, scene, device, memory);
    }
}

fn device_ui(ui: &mut Ui, scene: &Scene<'_>, device: &Device, memory: &mut Memory) {
    let p = palette(ui);
    group(ui, |ui| {
        ui.horizontal(|ui| {
            symbol(ui, icons::DESKTOP, 18.0, p.muted);
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 2.0;
                let label = RichText::new(&device.label)
                    .font(theme::strong(BODY))
                    .color(p.text);
                ui.add(Label::new(label));
                let seen = match device.online {
                    true => "connected now".to_owned(),
                    false => format!("last seen {}", time_words(device.last_seen_ms, scene)),
                };
                let since = time_words(device.created_at_ms, scene);
                hint(ui, format!("{seen}, signed in since {since}"));
            });
            at_right(ui, |ui| {
                if device.this {
                    tag_ui(ui, "this device", p.live);
                } else if icon_button(
                    ui,
                    icons::SIGN_OUT,
                    &format!("Sign out {}", device.label),
                    false,
                )
                .clicked()
                {
                    memory.confirm = Some(Confirm {
                        title: format!("Sign {} out?", device.label),
                        text: "Whoever is there has to sign in again.".to_owned(),
                        verb: "Sign it out".to_owned(),
                        request: Request::from(EndDevice {
                            device_id: device.id,
                        }),
                    });
                }
            });
        });
    });
}
