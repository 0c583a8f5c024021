//! Pages of the settings that are about the account and the window rather than about sound.

use super::picture::PictureOf;

mod account;
mod devices;
mod help;
mod notifications;
mod profile;
mod ringtone;
mod this_computer;

pub use account::{AccountForm, account_ui};
pub use help::help_ui;
pub use notifications::notifications_ui;
pub use profile::{ProfileForm, profile_ui};
pub use this_computer::this_computer_ui;

/// What is being entered.
#[derive(Default)]
pub struct Form {
    pub account: AccountForm,
    pub profile: ProfileForm,
}

/// What the person wants of the computer rather than of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComputerWant {
    MakeReport,
    /// Let the person choose where the report goes.
    SaveReport,
    OpenLogs,
    /// Whether the system starts the app when the person logs in.
    Autostart(bool),
    /// Let the person choose a file to ring with.
    ChooseRingtone,
    PlayRingtone,
    /// Let the person choose a picture.
    ChoosePicture(PictureOf),
}

/// What is known of the computer the app is on, whatever server one is on.
#[derive(Debug, Default)]
pub struct Computer {
    /// The report that was made last.
    pub report: Option<String>,
    /// Whether the system starts the app, or why it doesn't say; looked up for its page.
    pub autostart: Option<Result<bool, String>>,
    pub closing: Closing,
    /// Why the file that was chosen last can't ring.
    pub ringtone_trouble: Option<String>,
}

/// What closing the window may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// It ends the app; and why only that.
    Ends(&'static str),
    /// It ends the app, or hides the window, as the person likes it.
    MayHide,
}

impl Default for Closing {
    fn default() -> Self {
        Self::Ends("There is no tray here to stay in.")
    }
}
