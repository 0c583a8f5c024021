//! A StatusNotifierItem, as KDE and most other desktops show, and GNOME with an extension.

use std::{
    io,
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use ksni::{
    MenuItem, OfflineReason, ToolTip,
    blocking::TrayMethods,
    menu::{CheckmarkItem, StandardItem},
};

use super::{super::icon, Ear, Mood, Press, WAITING};

const SIZES: [usize; 2] = [22, 44];

/// From a thread of its own, as the desktop may take its time.
pub struct Icon(SyncSender<Mood>);

impl Icon {
    pub fn start(ear: Ear) -> io::Result<Self> {
        let (moods, changes) = sync_channel(WAITING);
        std::thread::Builder::new()
            .name("tray".to_owned())
            .spawn(move || run(&changes, ear))?;
        Ok(Self(moods))
    }

    pub fn show(&self, mood: Mood) -> bool {
        self.0.try_send(mood).is_ok()
    }
}

/// Until the app has gone.
fn run(changes: &Receiver<Mood>, ear: Ear) {
    let there = Arc::clone(&ear.there);
    there.store(true, Relaxed);
    let item = Item {
        mood: Mood::default(),
        ear,
    };
    // A tray that comes later is found then.
    let handle = match item.assume_sni_available(true).spawn() {
        Ok(handle) => handle,
        Err(error) => {
            there.store(false, Relaxed);
            return tracing::info!("no tray: {error}");
        }
    };
    handle.update(|item| (item.ear.on_change)());
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
    ear: Ear,
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

    fn icon_pixmap(&self) -> Vec<ksni::Icon> {
        let pixmap = |size| {
            let pixels = icon::pixels(size, self.mood.badge());
            let side = i32::try_from(size).unwrap_or(0);
            ksni::Icon {
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
        self.ear.press(Press::Show);
    }

    fn menu(&self) -> Vec<MenuItem<Self>> {
        let chosen = |label: &str, checked, press| {
            CheckmarkItem {
                label: label.to_owned(),
                checked,
                activate: Box::new(move |item: &mut Self| item.ear.press(press)),
                ..CheckmarkItem::default()
            }
            .into()
        };
        let plain = |label: &str, press| {
            StandardItem {
                label: label.to_owned(),
                activate: Box::new(move |item: &mut Self| item.ear.press(press)),
                ..StandardItem::default()
            }
            .into()
        };
        vec![
            chosen("Mute", self.mood.is_muted(), Press::Mute),
            chosen("Deafen", self.mood == Mood::Deafened, Press::Deafen),
            MenuItem::Separator,
            plain("Show window", Press::Show),
            plain("Quit Voxhall", Press::Quit),
        ]
    }

    fn watcher_online(&self) {
        self.ear.is_there(true);
    }

    fn watcher_offline(&self, _: OfflineReason) -> bool {
        self.ear.is_there(false);
        true
    }
}
