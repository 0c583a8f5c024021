//! The app's log: on standard error, and in two files of its folder that stay small.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// On standard error, unless VOXHALL_LOG says otherwise. The libraries named here complain about what is no trouble.
const SAID: &str = "warn,pulseaudio=off,winit=error,egui_system_font_provider=error";
/// In the files, whatever VOXHALL_LOG says: at finer levels libraries would write down what goes over the wire.
const KEPT: &str = "warn,voxhall=info,voxhall_session=info,voxhall_voice=info,pulseaudio=off,winit=error,egui_system_font_provider=error";
/// One of the two files.
const MAX_BYTES: u64 = 512 * 1024;
/// Looked at for the last lines.
const TAIL_BYTES: u64 = 64 * 1024;

static KEEPER: Keeper = Keeper(Mutex::new(None));

/// Begins to log; into files from [`keep_in`] on.
pub fn install() {
    let said = EnvFilter::try_from_env("VOXHALL_LOG").unwrap_or_else(|_| SAID.into());
    let to_stderr = fmt::layer().with_writer(io::stderr).with_filter(said);
    let to_files = fmt::layer()
        .with_ansi(false)
        .with_writer(|| &KEEPER)
        .with_filter(EnvFilter::new(KEPT));
    tracing_subscriber::registry()
        .with(to_stderr)
        .with(to_files)
        .init();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string);
        let words = without_quoted(panic.payload_as_str().unwrap_or(""));
        tracing::error!(place, "panic: {words}");
        usual(panic);
    }));
}

/// What a panic says before it quotes what it was about, which may be what somebody wrote.
fn without_quoted(words: &str) -> &str {
    let quote = |sign: &str| words.find(sign).unwrap_or(words.len());
    let lines = words.find('\n').unwrap_or(words.len());
    // `called `Option::unwrap()`` names a piece of the program.
    let value = quote(" of `")
        .min(quote(": \""))
        .min(quote("(\""))
        .min(lines);
    &words[..value]
}

/// From now on the log is also kept in this folder, which is made if it isn't there.
///
/// # Errors
/// The folder or the file can't be used.
pub fn keep_in(folder: &Path) -> io::Result<()> {
    let file = Kept::open(folder.to_owned(), MAX_BYTES)?;
    *KEEPER.lock() = Some(file);
    Ok(())
}

/// The last lines that are kept in this folder.
pub fn last_lines(folder: &Path, most: usize) -> String {
    let mut lines = VecDeque::new();
    for name in [BEFORE, NOW] {
        let text = end_of(&folder.join(name)).unwrap_or_default();
        lines.extend(text.lines().map(str::to_owned));
    }
    let more = lines.len().saturating_sub(most);
    lines.drain(..more);
    Vec::from(lines).join("\n")
}

/// From the first whole line in the last bytes on.
fn end_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(match text.split_once('\n') {
        Some((_, rest)) if start > 0 => rest.to_owned(),
        _ => text,
    })
}

const NOW: &str = "voxhall.log";
const BEFORE: &str = "voxhall.before.log";

/// The file that is written to; when it is full it takes the place of the one before.
struct Kept {
    folder: PathBuf,
    file: File,
    bytes: u64,
    most: u64,
}

impl Kept {
    fn open(folder: PathBuf, most: u64) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(folder.join(NOW))?;
        let bytes = file.metadata()?.len();
        Ok(Self {
            folder,
            file,
            bytes,
            most,
        })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let bytes = line.len() as u64;
        if self.bytes > 0 && self.bytes + bytes > self.most {
            // Where it can't be put aside it is written over rather than left to grow.
            if fs::rename(self.folder.join(NOW), self.folder.join(BEFORE)).is_err() {
                self.file.set_len(0)?;
            }
            *self = Self::open(self.folder.clone(), self.most)?;
        }
        self.bytes += bytes;
        self.file.write_all(line)
    }
}

struct Keeper(Mutex<Option<Kept>>);

impl Keeper {
    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line comes in one piece.
impl Write for &Keeper {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(kept) = &mut *self.lock() {
            kept.write(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_kept_without_what_it_quotes() {
        let sliced = std::panic::catch_unwind(|| {
            let message = String::from("the m\u{fc}nster key");
            let end = std::hint::black_box(6);
            message[..end].len()
        });
        let said = sliced.unwrap_err();
        let said = said.downcast_ref::<String>().unwrap();
        assert!(said.contains("nster"), "{said}");
        let kept = without_quoted(said);
        assert!(!kept.contains("nster") && !kept.is_empty(), "{kept}");
        for whole in [
            "called `Option::unwrap()` on a `None` value",
            "index out of bounds: the len is 3 but the index is 7",
        ] {
            assert_eq!(without_quoted(whole), whole);
        }
        let failed = "called `Result::unwrap()` on an `Err` value: \"the key\"";
        assert!(!without_quoted(failed).contains("key"));
        let unequal = "assertion `left == right` failed\n  left: \"the key\"";
        assert!(!without_quoted(unequal).contains("key"));
    }

    #[test]
    fn two_files_are_kept_and_neither_grows_beyond_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("logs");
        let mut kept = Kept::open(logs.clone(), 1_000).unwrap();
        for i in 0..200 {
            kept.write(format!("line {i:>20}\n").as_bytes()).unwrap();
        }
        let size = |name| fs::metadata(logs.join(name)).unwrap().len();
        assert!(size(NOW) <= 1_000 && size(BEFORE) <= 1_000);
        assert!(size(BEFORE) > 900, "what was before is kept");
        assert_eq!(fs::read_dir(&logs).unwrap().count(), 2);
        let last = last_lines(&logs, 45);
        let numbers: Vec<u32> = (last.lines())
            .map(|line| line.split_whitespace().last().unwrap().parse().unwrap())
            .collect();
        assert_eq!(numbers, (155..200).collect::<Vec<_>>(), "over both files");

        drop(kept);
        let mut again = Kept::open(logs.clone(), 1_000).unwrap();
        again.write(b"once more\n").unwrap();
        let last = last_lines(&logs, 2);
        assert!(last.ends_with("199\nonce more"), "{last}");
    }

    #[test]
    fn of_a_long_file_only_the_end_is_read_from_a_whole_line_on() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(NOW), "x y z\n".repeat(40_000)).unwrap();
        let last = last_lines(folder.path(), usize::MAX);
        assert!(last.len() as u64 <= TAIL_BYTES);
        assert!(last.lines().all(|line| line == "x y z"));
        assert_eq!(last_lines(&folder.path().join("nowhere"), 5), "");
    }

    #[cfg(unix)]
    #[test]
    fn only_this_user_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        Kept::open(folder.path().to_owned(), 10).unwrap();
        let mode = (fs::metadata(folder.path().join(NOW)).unwrap())
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
