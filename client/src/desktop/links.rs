//! Links that begin with voxhall:// open the app. On Windows it sees to that itself, as nothing is installed there; elsewhere the package does.

use std::io;

use super::registry;

const SCHEME: &str = r"HKCU\Software\Classes\voxhall";
const COMMAND: &str = r"HKCU\Software\Classes\voxhall\shell\open\command";

/// On a thread of its own, as it takes its time.
pub fn register() {
    let thread = std::thread::Builder::new().name("links".to_owned());
    let registering = thread.spawn(|| {
        if let Err(error) = point_here() {
            tracing::warn!("links that begin with voxhall:// don't open Voxhall; paste them into its window: {error}");
        }
    });
    if let Err(error) = registering {
        tracing::warn!(
            "links that begin with voxhall:// don't open Voxhall; paste them into its window: {error}"
        );
    }
}

/// The app that was started last, wherever it was moved to.
fn point_here() -> io::Result<()> {
    let program = std::env::current_exe()?;
    // What comes after -- is a link or nothing, whatever a page writes there.
    let command = format!("\"{}\" -- \"%1\"", program.display());
    if registry::ask(&["query", COMMAND, "/ve"])?.is_some_and(|it| it.ends_with(&command)) {
        return Ok(());
    }
    registry::tell(&["add", SCHEME, "/ve", "/d", "URL:Voxhall", "/f"])?;
    registry::tell(&["add", SCHEME, "/v", "URL Protocol", "/d", "", "/f"])?;
    registry::tell(&["add", COMMAND, "/ve", "/d", &command, "/f"])
}
