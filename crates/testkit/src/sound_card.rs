//! The virtual sound card of `scripts/sound-card`, for tests that run inside `scripts/sound-card run`.

use std::{
    io,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::workspace;

/// A running card, as the environment tells.
#[derive(Debug)]
pub struct SoundCard {
    people: Vec<String>,
}

impl SoundCard {
    /// The card that this test runs under.
    pub fn from_env() -> io::Result<Self> {
        let people = std::env::var("VOXHALL_SOUND_CLIENTS").map_err(|_| {
            io::Error::other(
                "no virtual sound card here; run the test under: scripts/sound-card run",
            )
        })?;
        Ok(Self {
            people: people.split(',').map(str::to_owned).collect(),
        })
    }

    /// Starts to speak a file into a person's microphone. Ends by itself.
    pub fn play(&self, person: &str, file: &Path) -> io::Result<Child> {
        command().arg("play").arg(person).arg(file).spawn()
    }

    /// Starts to record every microphone and speaker on one clock; [`SoundCard::channel`] tells which is which.
    pub fn record(&self, file: &Path, seconds: f64) -> io::Result<Child> {
        command()
            .arg("record")
            .arg(file)
            .arg(seconds.to_string())
            .spawn()
    }

    /// The channels of a person's microphone and speaker in a recording.
    ///
    /// # Panics
    /// When the card was started without that person.
    pub fn channel(&self, person: &str) -> (usize, usize) {
        let place = self
            .people
            .iter()
            .position(|name| name == person)
            .expect("the card was started for this person");
        (2 * place, 2 * place + 1)
    }
}

fn command() -> Command {
    let mut command = Command::new(workspace().join("scripts/sound-card"));
    command.stdin(Stdio::null());
    command
}
