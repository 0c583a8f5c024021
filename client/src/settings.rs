//! What is kept on this computer: settings, the logins of the servers one was on, and drafts. JSON, written whole or not at all.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use voxhall_protocol::{ChannelId, UserId, link::Link};
use voxhall_session::{
    Channels, FrameLength, Microphone, Music, NoiseSuppression, Processing, StoredLogin, Transmit,
};

use crate::audio::Choice;

/// Logins kept; the oldest are forgotten first.
const MAX_LOGINS: usize = 32;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The name used last.
    pub name: String,
    pub theme: ThemeChoice,
    pub accent: Accent,
    /// Nothing slides, fades or scrolls by itself.
    pub still: bool,
    /// 1.0 is the size it was designed at.
    pub text_scale: f32,
    pub input_device: Option<String>,
    pub output_device: Option<String>,
    /// Wished length of an audio callback, samples at 48 kHz. Shorter is sooner, until it crackles.
    pub buffer_frames: u32,
    pub transmit: TransmitChoice,
    /// 0.0 wants clear speech, 1.0 opens at almost anything.
    pub sensitivity: f32,
    /// As egui names it.
    pub talk_key: String,
    /// How long push to talk goes on after the key is released.
    pub release_tail_ms: u32,
    /// What is done to the microphone's sound, but for music.
    pub processing: Processing,
    /// How much noise is suppressed when it is switched on again.
    pub noise_when_on: NoiseSuppression,
    pub music: MusicSettings,
    pub frame_ms: f32,
    /// 0.0: least delay, 1.0: fewest gaps.
    pub stability: f32,
    /// Everybody is brought to the same loudness.
    pub level_voices: bool,
    /// Sounds when people come and go.
    pub sounds: bool,
    pub ringtone: Ringtone,
    /// What the file was called that is kept for it; nothing where none was chosen.
    pub own_ringtone: String,
    /// Which messages one is told of while the window is not in front.
    pub notify: Notify,
    /// A sound with them.
    pub message_sound: bool,
    /// Closing the window only hides it, where the desktop has a tray to call it back from.
    pub close_to_tray: bool,
    pub window: Window,
    /// What was set for single people, by server and user.
    pub people: BTreeMap<String, Person>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: String::new(),
            theme: ThemeChoice::default(),
            accent: Accent::default(),
            still: false,
            text_scale: 1.0,
            input_device: None,
            output_device: None,
            buffer_frames: 256,
            transmit: TransmitChoice::default(),
            sensitivity: 0.5,
            talk_key: "F8".to_owned(),
            release_tail_ms: 200,
            processing: Processing::default(),
            noise_when_on: NoiseSuppression::default(),
            music: MusicSettings::default(),
            frame_ms: 10.0,
            stability: 0.3,
            level_voices: true,
            sounds: true,
            ringtone: Ringtone::default(),
            own_ringtone: String::new(),
            notify: Notify::default(),
            message_sound: true,
            close_to_tray: false,
            window: Window::default(),
            people: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThemeChoice {
    #[default]
    System,
    Light,
    Dark,
}

/// The colour of what can be pressed and of what is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accent {
    #[default]
    Indigo,
    Sky,
    Teal,
    Green,
    Amber,
    Rose,
    Violet,
    Grey,
}

impl Accent {
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Indigo, "Indigo"),
        (Self::Sky, "Sky"),
        (Self::Teal, "Teal"),
        (Self::Green, "Green"),
        (Self::Amber, "Amber"),
        (Self::Rose, "Rose"),
        (Self::Violet, "Violet"),
        (Self::Grey, "Grey"),
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notify {
    All,
    /// And direct messages.
    #[default]
    Mentions,
    Nothing,
}

/// What rings when somebody calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ringtone {
    #[default]
    Bells,
    Telephone,
    Calm,
    /// A file of the person's own.
    Own,
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransmitChoice {
    #[default]
    VoiceActivity,
    PushToTalk,
    PushToMute,
    Open,
}

impl From<TransmitChoice> for Transmit {
    fn from(choice: TransmitChoice) -> Self {
        match choice {
            TransmitChoice::VoiceActivity => Self::VoiceActivity,
            TransmitChoice::PushToTalk => Self::PushToTalk,
            TransmitChoice::PushToMute => Self::PushToMute,
            TransmitChoice::Open => Self::Open,
        }
    }
}

/// The window as it was last. Where it was is left to the desktop, which knows the screens there are now.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Window {
    /// In points, when it isn't maximised.
    pub size: [f32; 2],
    pub maximized: bool,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            size: [1_100.0, 720.0],
            maximized: false,
        }
    }
}

/// What music mode sends, and whether it is on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MusicSettings {
    pub on: bool,
    pub stereo: bool,
    pub kbps: u32,
    pub frame_ms: f32,
}

impl Default for MusicSettings {
    fn default() -> Self {
        Self {
            on: false,
            stereo: true,
            kbps: 256,
            frame_ms: 10.0,
        }
    }
}

impl MusicSettings {
    pub fn frame_length(&self) -> FrameLength {
        frame_length(self.frame_ms)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Person {
    /// 1.0 is as received; 0.0 to 2.0.
    pub gain: f32,
    pub muted: bool,
}

impl Default for Person {
    fn default() -> Self {
        Self {
            gain: 1.0,
            muted: false,
        }
    }
}

impl Settings {
    pub fn devices(&self) -> Choice {
        Choice {
            input: self.input_device.clone(),
            output: self.output_device.clone(),
            buffer_frames: self.buffer_frames,
        }
    }

    /// Of speech.
    pub fn frame_length(&self) -> FrameLength {
        frame_length(self.frame_ms)
    }

    /// Of whatever is sent now.
    pub fn packet_length(&self) -> FrameLength {
        if self.music.on {
            self.music.frame_length()
        } else {
            self.frame_length()
        }
    }

    pub fn microphone(&self) -> Microphone {
        if !self.music.on {
            return Microphone::Speech(self.processing);
        }
        Microphone::Music(Music {
            channels: if self.music.stereo {
                Channels::Stereo
            } else {
                Channels::Mono
            },
            bitrate_bps: self.music.kbps * 1_000,
            frame_length: self.music.frame_length(),
        })
    }

    /// The users of this server for whom something was set.
    pub fn people_of<'a>(
        &'a self,
        server: &Link,
    ) -> impl Iterator<Item = (UserId, Person)> + use<'a> {
        let prefix = format!("{} ", server_key(server));
        self.people.iter().filter_map(move |(key, person)| {
            let user = key.strip_prefix(&prefix)?.parse().ok()?;
            Some((UserId(user), *person))
        })
    }

    pub fn person(&self, server: &Link, user: UserId) -> Person {
        self.people
            .get(&person_key(server, user))
            .copied()
            .unwrap_or_default()
    }

    /// Keeps what was set; what is as usual is not kept.
    pub fn set_person(&mut self, server: &Link, user: UserId, person: Person) {
        let key = person_key(server, user);
        if person == Person::default() {
            self.people.remove(&key);
        } else {
            self.people.insert(key, person);
        }
    }

    /// Brings values from a file edited by hand back into their ranges.
    fn tamed(mut self) -> Self {
        let unit = |value: f32, usual: f32| {
            if value.is_finite() {
                value.clamp(0.0, 1.0)
            } else {
                usual
            }
        };
        self.text_scale = if self.text_scale.is_finite() {
            self.text_scale.clamp(0.8, 1.6)
        } else {
            1.0
        };
        if !(self.window.size.iter()).all(|side| (100.0..=20_000.0).contains(side)) {
            self.window = Window::default();
        }
        self.sensitivity = unit(self.sensitivity, 0.5);
        self.stability = unit(self.stability, 0.3);
        self.buffer_frames = self.buffer_frames.clamp(64, 4096);
        self.release_tail_ms = self.release_tail_ms.min(2_000);
        self.music.kbps = self.music.kbps.clamp(64, 510);
        self
    }
}

fn frame_length(ms: f32) -> FrameLength {
    FrameLength::ALL
        .into_iter()
        .find(|length| length.as_ms() == ms)
        .unwrap_or_default()
}

/// Whether both lead to one server: to one key where both name one, else to one address.
pub fn is_same_server(left: &Link, right: &Link) -> bool {
    match (left.pin, right.pin) {
        (Some(one), Some(other)) => one == other,
        _ => left.authority() == right.authority(),
    }
}

/// A server is who holds its certificate's key, wherever it moves; without a pin it is its address.
fn server_key(link: &Link) -> String {
    link.pin
        .map_or_else(|| link.authority(), |pin| pin.to_string())
}

fn person_key(server: &Link, user: UserId) -> String {
    format!("{} {user}", server_key(server))
}

/// The logins, the one used last first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Logins(Vec<StoredLogin>);

impl Logins {
    pub fn last(&self) -> Option<&StoredLogin> {
        self.0.first()
    }

    pub fn of(&self, server: &Link) -> Option<&StoredLogin> {
        let key = server_key(server);
        self.0.iter().find(|login| server_key(&login.link) == key)
    }

    /// Puts a login first, in place of the one there was for its server. True if that changed anything.
    pub fn keep(&mut self, login: &StoredLogin) -> bool {
        if self.last() == Some(login) {
            return false;
        }
        self.forget(&login.link);
        self.0.insert(0, login.clone());
        self.0.truncate(MAX_LOGINS);
        true
    }

    /// True if there was one.
    pub fn forget(&mut self, server: &Link) -> bool {
        let (key, before) = (server_key(server), self.0.len());
        self.0.retain(|login| server_key(&login.link) != key);
        self.0.len() < before
    }

    pub fn iter(&self) -> impl Iterator<Item = &StoredLogin> {
        self.0.iter()
    }
}

/// The servers that were open last, in the order of the rail.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Opened {
    /// Without invite codes.
    pub servers: Vec<Link>,
    /// The one that was shown.
    pub shown: Option<Link>,
}

/// What was written and not sent, by server and channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Drafts(BTreeMap<String, BTreeMap<ChannelId, String>>);

impl Drafts {
    pub fn of(&self, server: &Link) -> BTreeMap<ChannelId, String> {
        self.0.get(&server_key(server)).cloned().unwrap_or_default()
    }

    /// Keeps those that have words. True if that changed anything.
    pub fn keep(&mut self, server: &Link, drafts: &BTreeMap<ChannelId, String>) -> bool {
        let key = server_key(server);
        let known = self.0.get(&key);
        let worded = || drafts.iter().filter(|(_, draft)| !draft.trim().is_empty());
        let same = known.map_or_else(
            || worded().next().is_none(),
            |known| known.iter().eq(worded()),
        );
        if same {
            return false;
        }
        let worded: BTreeMap<_, _> = worded()
            .map(|(channel, draft)| (*channel, draft.clone()))
            .collect();
        if worded.is_empty() {
            self.0.remove(&key);
        } else {
            self.0.insert(key, worded);
        }
        true
    }
}

/// The folder where the files are.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

/// The folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("this system has no folder for settings; name one with --data DIR")]
    NoFolder,
    #[error("can't use {path} for settings: {source}; name another folder with --data DIR")]
    Folder { path: PathBuf, source: io::Error },
}

impl Store {
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The platform's folder for settings, or the given one; made if it isn't there.
    ///
    /// # Errors
    /// There is none, or it can't be made.
    pub fn open(folder: Option<PathBuf>) -> Result<Self, StoreError> {
        let platform = || {
            directories::ProjectDirs::from("", "", "voxhall")
                .map(|dirs| dirs.config_dir().to_owned())
        };
        let folder = folder.or_else(platform).ok_or(StoreError::NoFolder)?;
        match fs::create_dir_all(&folder) {
            Ok(()) => Ok(Self { folder }),
            Err(source) => Err(StoreError::Folder {
                path: folder,
                source,
            }),
        }
    }

    /// The settings; and, if the file was damaged, what to tell the person.
    pub fn settings(&self) -> (Settings, Option<String>) {
        let (settings, trouble): (Settings, _) = self.read("settings.json");
        (settings.tamed(), trouble)
    }

    pub fn logins(&self) -> (Logins, Option<String>) {
        self.read("logins.json")
    }

    pub fn save_settings(&self, settings: &Settings) -> io::Result<()> {
        self.write("settings.json", settings)
    }

    pub fn save_logins(&self, logins: &Logins) -> io::Result<()> {
        self.write("logins.json", logins)
    }

    pub fn drafts(&self) -> (Drafts, Option<String>) {
        self.read("drafts.json")
    }

    pub fn save_drafts(&self, drafts: &Drafts) -> io::Result<()> {
        self.write("drafts.json", drafts)
    }

    /// None where nothing was noted yet.
    pub fn opened(&self) -> (Option<Opened>, Option<String>) {
        self.read("servers.json")
    }

    pub fn save_opened(&self, opened: &Opened) -> io::Result<()> {
        self.write("servers.json", opened)
    }

    fn read<T: Default + DeserializeOwned>(&self, name: &str) -> (T, Option<String>) {
        let path = self.folder.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (T::default(), None),
            Err(error) => {
                return (
                    T::default(),
                    Some(format!("Can't read {}: {error}.", path.display())),
                );
            }
        };
        match serde_json::from_slice(&bytes) {
            Ok(value) => (value, None),
            Err(error) => {
                let aside = self.folder.join(format!("{name}.bak"));
                let kept = match fs::rename(&path, &aside) {
                    Ok(()) => format!("It is kept as {}.", aside.display()),
                    Err(error) => format!("It could not be kept aside: {error}."),
                };
                tracing::warn!(path = %path.display(), line = error.line(), "a damaged file was put aside");
                (
                    T::default(),
                    Some(format!(
                        "{name} was damaged, so the app starts without it. {kept}"
                    )),
                )
            }
        }
    }

    /// A crash in the middle leaves the old file. Only this user may read it: a login is as good as a password.
    fn write<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(value)?;
        json.push(b'\n');
        let new = self.folder.join(format!(".{name}.new"));
        let mut file = private_file(&new)?;
        file.write_all(&json)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&new, self.folder.join(name))
    }
}

fn private_file(path: &Path) -> io::Result<fs::File> {
    // One left behind by a crash may have been made with other rights.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use voxhall_protocol::control::{User, UserKind};

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().join("deep/inside"))).unwrap();
        (folder, store)
    }

    fn login(link: &str, token: &str) -> StoredLogin {
        StoredLogin {
            link: link.parse().unwrap(),
            user: User::new(UserId(7), "ann", UserKind::Guest),
            refresh_token: token.into(),
        }
    }

    #[test]
    fn what_is_saved_is_there_next_time() {
        let (_folder, store) = store();
        assert_eq!(store.settings(), (Settings::default(), None));
        let server: Link = "voxhall://talk.example:9000".parse().unwrap();
        let mut settings = Settings {
            theme: ThemeChoice::Light,
            stability: 0.75,
            processing: Processing {
                noise: NoiseSuppression::Low,
                ..Processing::OFF
            },
            ..Settings::default()
        };
        settings.set_person(
            &server,
            UserId(3),
            Person {
                gain: 1.5,
                muted: false,
            },
        );
        store.save_settings(&settings).unwrap();
        store.save_settings(&settings).unwrap();
        let (read, trouble) = store.settings();
        assert_eq!((&read, trouble), (&settings, None));
        assert_eq!(
            read.people_of(&server).collect::<Vec<_>>(),
            [(
                UserId(3),
                Person {
                    gain: 1.5,
                    muted: false
                }
            )]
        );

        settings.set_person(&server, UserId(3), Person::default());
        assert!(settings.people.is_empty());
    }

    #[test]
    fn logins_are_one_per_server_the_latest_first() {
        let (_folder, store) = store();
        let mut logins = Logins::default();
        assert!(logins.keep(&login("voxhall://one:9000", "a")));
        assert!(logins.keep(&login("voxhall://two:9000", "b")));
        assert!(logins.keep(&login("voxhall://one:9000", "c")));
        assert!(!logins.keep(&login("voxhall://one:9000", "c")));
        store.save_logins(&logins).unwrap();
        let (read, _) = store.logins();
        assert_eq!(read.last(), Some(&login("voxhall://one:9000", "c")));
        assert_eq!(
            read.of(&"voxhall://two:9000/SOMECODE".parse().unwrap()),
            Some(&login("voxhall://two:9000", "b"))
        );
        assert_eq!(read.iter().count(), 2);
        logins.forget(&"voxhall://one:9000".parse().unwrap());
        assert_eq!(logins.last(), Some(&login("voxhall://two:9000", "b")));
    }

    #[test]
    fn drafts_are_kept_by_server_while_they_have_words() {
        let (_folder, store) = store();
        let server: Link = "voxhall://one:9000".parse().unwrap();
        let written = |text: &str| BTreeMap::from([(ChannelId(1), text.to_owned())]);
        let mut drafts = Drafts::default();
        assert!(!drafts.keep(&server, &written(" ")));
        assert!(drafts.keep(&server, &written("half a thou")));
        assert!(!drafts.keep(&server, &written("half a thou")));
        store.save_drafts(&drafts).unwrap();
        let (read, _) = store.drafts();
        assert_eq!(read.of(&server), written("half a thou"));
        assert!(read.of(&"voxhall://two:9000".parse().unwrap()).is_empty());
        assert!(drafts.keep(&server, &written("")));
        assert_eq!(drafts, Drafts::default());
    }

    #[test]
    fn what_was_open_is_known_next_time_and_nothing_is_where_nothing_was_kept() {
        let (_folder, store) = store();
        assert_eq!(store.opened(), (None, None));
        let (one, two): (Link, Link) = (
            "voxhall://one:9000".parse().unwrap(),
            "voxhall://two:9000".parse().unwrap(),
        );
        let opened = Opened {
            servers: vec![one, two.clone()],
            shown: Some(two),
        };
        store.save_opened(&opened).unwrap();
        assert_eq!(store.opened(), (Some(opened), None));
    }

    #[cfg(unix)]
    #[test]
    fn only_this_user_may_read_the_files() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, store) = store();
        let stale = store.folder.join(".logins.json.new");
        fs::write(&stale, "left behind by a crash, readable by all").unwrap();
        store.save_logins(&Logins::default()).unwrap();
        let mode = fs::metadata(store.folder.join("logins.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!stale.exists());
    }

    #[test]
    fn a_damaged_file_is_put_aside_and_said() {
        let (_folder, store) = store();
        fs::write(store.folder.join("settings.json"), "{ \"theme\": \"dark\"").unwrap();
        let (settings, trouble) = store.settings();
        assert_eq!(settings, Settings::default());
        assert!(trouble.unwrap().contains("settings.json.bak"));
        assert!(store.folder.join("settings.json.bak").exists());
        assert_eq!(store.settings().1, None, "said once");
    }

    #[test]
    fn unknown_and_wild_values_do_no_harm() {
        let (_folder, store) = store();
        let odd = r#"{ "text_scale": 1e30, "buffer_frames": 1, "sensitivity": -4, "from_the_future": [1],
            "release_tail_ms": 999999, "processing": { "echo": false }, "music": { "kbps": 0, "frame_ms": 7 } }"#;
        fs::write(store.folder.join("settings.json"), odd).unwrap();
        let (settings, trouble) = store.settings();
        assert_eq!(
            (
                settings.text_scale,
                settings.buffer_frames,
                settings.sensitivity
            ),
            (1.6, 64, 0.0)
        );
        assert_eq!(settings.release_tail_ms, 2_000);
        assert!(!settings.processing.echo && settings.processing.gain);
        assert_eq!(settings.music.kbps, 64);
        assert_eq!(settings.music.frame_length(), FrameLength::Ms10);
        assert_eq!(trouble, None);
    }
}
