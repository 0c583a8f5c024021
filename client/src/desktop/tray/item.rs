//! A StatusNotifierItem, as KDE and most other desktops show, and GNOME with an extension.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
    mpsc::{Receiver, SyncSender},
};

use ksni::{
    Icon, MenuItem, OfflineReason, ToolTip,
    blocking::TrayMethods,
    menu::{CheckmarkItem, StandardItem},
};

use super::{
    super::icon::{self, Badge},
    Mood, Press,
};

const SIZES: [usize; 2] = [22, 44];

/// Until the app has gone.
pub fn run(
    changes: &Receiver<Mood>,
    pressed: SyncSender<Press>,
    there: &Arc<AtomicBool>,
    on_change: Box<dyn Fn() + Send + Sync>,
) {
    there.store(true, Relaxed);
    let item = Item {
        mood: Mood::default(),
        pressed,
        there: Arc::clone(there),
        on_change,
    };
    // A tray that comes later is found then.
    let handle = match item.assume_sni_available(true).spawn() {
        Ok(handle) => handle,
        Err(error) => {
            there.store(false, Relaxed);
            return tracing::info!("no tray: {error}");
        }
    };
    handle.update(|item| (item.on_change)());
    while let Ok(mood) = changes.recv() {
        if handle.update(|item| item.mood = mood).is_none() {
            break;
        }
    }
    there.store(false, Relaxed);
    handle.shutdown();
}

struct Item {
    mood: Mood,
    pressed: SyncSender<Press>,
    there: Arc<AtomicBool>,
    on_change: Box<dyn Fn() + Send + Sync>,
}

impl Item {
    fn press(&self, press: Press) {
        // An app that is behind has enough to do.
        let _ = self.pressed.try_send(press);
        (self.on_change)();
    }

    fn is_there(&self, there: bool) {
        self.there.store(there, Relaxed);
        (self.on_change)();
    }
}

impl ksni::Tray for Item {
    fn id(&self) -> String {
        "voxhall".to_owned()
    }

    fn category(&self) -> ksni::Category {
        ksni::Category::Communications
    }

    fn title(&self) -> String {
        self.mood.words().to_owned()
    }

    fn tool_tip(&self) -> ToolTip {
        ToolTip {
            title: self.title(),
            ..ToolTip::default()
        }
    }

    fn icon_pixmap(&self) -> Vec<Icon> {
        let badge = match self.mood {
            Mood::Away => Badge::None,
            Mood::InVoice => Badge::Live,
            Mood::Muted => Badge::Minus,
            Mood::Deafened => Badge::Cross,
        };
        let pixmap = |size| {
            let pixels = icon::pixels(size, badge);
            let side = i32::try_from(size).unwrap_or(0);
            Icon {
                width: side,
                height: side,
                data: (pixels.into_iter())
                    .flat_map(|[r, g, b, a]| [a, r, g, b])
                    .collect(),
            }
        };
        SIZES.map(pixmap).into()
    }

    fn activate(&mut self, _: i32, _: i32) {
        self.press(Press::Show);
    }

    fn menu(&self) -> Vec<MenuItem<Self>> {
        let chosen = |label: &str, checked, press| {
            CheckmarkItem {
                label: label.to_owned(),
                checked,
                activate: Box::new(move |item: &mut Self| item.press(press)),
                ..CheckmarkItem::default()
            }
            .into()
        };
        let plain = |label: &str, press| {
            StandardItem {
                label: label.to_owned(),
                activate: Box::new(move |item: &mut Self| item.press(press)),
                ..StandardItem::default()
            }
            .into()
        };
        let deafened = self.mood == Mood::Deafened;
        vec![
            chosen("Mute", deafened || self.mood == Mood::Muted, Press::Mute),
            chosen("Deafen", deafened, Press::Deafen),
            MenuItem::Separator,
            plain("Show window", Press::Show),
            plain("Quit Voxhall", Press::Quit),
        ]
    }

    fn watcher_online(&self) {
        self.is_there(true);
    }

    fn watcher_offline(&self, _: OfflineReason) -> bool {
        self.is_there(false);
        true
    }
}
