//! Whether the system starts the app when the person logs in. What the system has is the truth; it is kept nowhere else.

use std::{
    env, io,
    path::{Path, PathBuf},
};

#[cfg(all(unix, not(target_os = "macos")))]
#[path = "autostart/xdg.rs"]
mod system;
#[cfg(target_os = "macos")]
#[path = "autostart/launch_agent.rs"]
mod system;
#[cfg(windows)]
#[path = "autostart/run_key.rs"]
mod system;

/// How the app is started then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autostart {
    program: PathBuf,
    arguments: Vec<String>,
}

impl Autostart {
    /// As it runs now. `folder` is of the settings, if it is not the usual one.
    ///
    /// # Errors
    /// The system doesn't say where the program is.
    pub fn of_this_program(folder: Option<&Path>) -> io::Result<Self> {
        // An AppImage runs from a place that is gone afterwards.
        let program = match env::var_os("APPIMAGE") {
            Some(image) => image.into(),
            None => env::current_exe()?,
        };
        let folder = folder.map(std::path::absolute).transpose()?;
        let arguments = folder.map_or_else(Vec::new, |folder| {
            vec!["--data".to_owned(), folder.to_string_lossy().into_owned()]
        });
        Ok(Self { program, arguments })
    }

    pub fn is_on() -> io::Result<bool> {
        system::is_on()
    }

    pub fn set(&self, on: bool) -> io::Result<()> {
        if on {
            system::turn_on(self)
        } else {
            system::turn_off()
        }
    }

    /// Program and arguments.
    fn words(&self) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
        let program = self.program.to_string_lossy();
        std::iter::once(program).chain(self.arguments.iter().map(Into::into))
    }
}
