//! Windows and macOS: an icon of the system's own, made and changed on the thread of the window, whose loop brings its events.

use std::{io, sync::Arc};

use tray_icon::{
    BadIcon, MouseButton, MouseButtonState, TrayIcon, TrayIconBuilder, TrayIconEvent,
    menu::{CheckMenuItem, Menu, MenuEvent, MenuItem, PredefinedMenuItem},
};

use super::{super::icon, Ear, Mood, Press};

/// The system makes it smaller.
const SIZE: usize = 32;
/// On macOS the icon opens the menu, as everybody's does there.
const OPENS_MENU: bool = cfg!(target_os = "macos");

/// What the menu holds, by the names that its events bring.
const ITEMS: [(&str, Press); 4] = [
    (MUTE, Press::Mute),
    (DEAFEN, Press::Deafen),
    (SHOW, Press::Show),
    (QUIT, Press::Quit),
];
const MUTE: &str = "mute";
const DEAFEN: &str = "deafen";
const SHOW: &str = "show";
const QUIT: &str = "quit";

/// None where the system gave none.
pub struct Icon(Option<Shown>);

struct Shown {
    icon: TrayIcon,
    mute: CheckMenuItem,
    deafen: CheckMenuItem,
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Icon(#[from] BadIcon),
    #[error(transparent)]
    Menu(#[from] tray_icon::menu::Error),
    #[error(transparent)]
    System(#[from] tray_icon::Error),
}

impl Icon {
    pub fn start(ear: Ear) -> io::Result<Self> {
        match Shown::new() {
            Ok(shown) => {
                ear.is_there(true);
                listen(ear);
                Ok(Self(Some(shown)))
            }
            Err(error) => {
                tracing::info!("no tray: {error}");
                Ok(Self(None))
            }
        }
    }

    pub fn show(&self, mood: Mood) -> bool {
        if let Some(Err(error)) = self.0.as_ref().map(|it| it.show(mood)) {
            tracing::warn!("the tray does not show how it stands: {error}");
        }
        // To try again in the next frame would not help.
        true
    }
}

/// For the rest of the process: the crate takes its listeners once.
fn listen(ear: Ear) {
    let ear = Arc::new(ear);
    let menu = Arc::clone(&ear);
    MenuEvent::set_event_handler(Some(move |event: MenuEvent| {
        let item = ITEMS.iter().find(|(name, _)| event.id == *name);
        if let Some((_, press)) = item {
            menu.press(*press);
        }
    }));
    TrayIconEvent::set_event_handler(Some(move |event| {
        if let TrayIconEvent::Click {
            button: MouseButton::Left,
            button_state: MouseButtonState::Up,
            ..
        } = event
            && !OPENS_MENU
        {
            ear.press(Press::Show);
        }
    }));
}

impl Shown {
    fn new() -> Result<Self, Trouble> {
        let mute = CheckMenuItem::with_id(MUTE, "Mute", true, false, None);
        let deafen = CheckMenuItem::with_id(DEAFEN, "Deafen", true, false, None);
        let menu = Menu::with_items(&[
            &mute,
            &deafen,
            &PredefinedMenuItem::separator(),
            &MenuItem::with_id(SHOW, "Show window", true, None),
            &MenuItem::with_id(QUIT, "Quit Voxhall", true, None),
        ])?;
        let icon = TrayIconBuilder::new()
            .with_icon(picture(Mood::default())?)
            .with_tooltip(Mood::default().words())
            .with_menu(Box::new(menu))
            .with_menu_on_left_click(OPENS_MENU)
            .build()?;
        Ok(Self { icon, mute, deafen })
    }

    fn show(&self, mood: Mood) -> Result<(), Trouble> {
        self.mute.set_checked(mood.is_muted());
        self.deafen.set_checked(mood == Mood::Deafened);
        self.icon.set_tooltip(Some(mood.words()))?;
        Ok(self.icon.set_icon(Some(picture(mood)?))?)
    }
}

fn picture(mood: Mood) -> Result<tray_icon::Icon, BadIcon> {
    let side = SIZE as u32;
    tray_icon::Icon::from_rgba(icon::pixels(SIZE, mood.badge()).concat(), side, side)
}
