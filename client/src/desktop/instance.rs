//! One app for each folder of settings. A second start hands its link to the first, which comes to the front, and ends.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::Duration,
};

use interprocess::local_socket::{Listener, ListenerOptions, Name, Stream, prelude::*};
use voxhall_protocol::link::Link;

/// More than any link.
const MAX_LINE: u64 = 2_048;
/// Starts that the app is behind with; more are answered all the same, and forgotten.
const WAITING: usize = 8;
/// Who says nothing for so long is no second start.
const PATIENCE: Duration = Duration::from_secs(2);
const DONE: &[u8] = b"ok\n";

/// What a start found.
pub enum Claim {
    First(Instance),
    /// The app runs already and has taken the link.
    Running,
}

/// The first start.
pub struct Instance {
    starts: Receiver<Option<Link>>,
}

impl Instance {
    /// Becomes the app of this folder, or hands the link to it.
    ///
    /// # Errors
    /// There is no such socket on this system, or it can't be used: then it is unknown whether another one runs.
    pub fn claim(
        folder: &Path,
        link: Option<&Link>,
        on_start: impl Fn() + Send + 'static,
    ) -> io::Result<Claim> {
        // Two tries: the other one may end just now, or begin.
        for _ in 0..2 {
            if let Ok(stream) = Stream::connect(name(folder)?)
                && hand_over(stream, link).is_ok()
            {
                return Ok(Claim::Running);
            }
            let options = ListenerOptions::new().name(name(folder)?);
            // What an app that was killed has left behind answers nobody.
            match options.try_overwrite(true).create_sync() {
                Ok(listener) => {
                    let (sender, starts) = sync_channel(WAITING);
                    std::thread::Builder::new()
                        .name("instance".to_owned())
                        .spawn(move || listen(&listener, &sender, &on_start))?;
                    return Ok(Claim::First(Self { starts }));
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// The next start since the last call, with its link if it had one.
    pub fn next_start(&self) -> Option<Option<Link>> {
        self.starts.try_recv().ok()
    }
}

#[cfg(unix)]
fn name(folder: &Path) -> io::Result<Name<'static>> {
    use interprocess::local_socket::GenericFilePath;
    folder.join("app.sock").to_fs_name::<GenericFilePath>()
}

/// Pipes have one name space for all users, so the folder is part of the name.
#[cfg(not(unix))]
fn name(folder: &Path) -> io::Result<Name<'static>> {
    use interprocess::local_socket::GenericNamespaced;
    let folder: String = (folder.to_string_lossy().chars())
        .map(|c| if c.is_alphanumeric() { c } else { '-' })
        .collect();
    format!("voxhall-{folder}").to_ns_name::<GenericNamespaced>()
}

fn hand_over(mut stream: Stream, link: Option<&Link>) -> io::Result<()> {
    // Not on every system; there a hung app hangs its second start too.
    let _ = stream.set_recv_timeout(Some(PATIENCE));
    let link = link.map(ToString::to_string).unwrap_or_default();
    stream.write_all(format!("{link}\n").as_bytes())?;
    let mut answer = [0; DONE.len()];
    stream.read_exact(&mut answer)?;
    if answer == DONE {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

fn listen(listener: &Listener, starts: &SyncSender<Option<Link>>, on_start: &impl Fn()) {
    for stream in listener.incoming().flatten() {
        let _ = stream.set_recv_timeout(Some(PATIENCE));
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        if reader.by_ref().take(MAX_LINE).read_line(&mut line).is_err() {
            continue;
        }
        // A line that is no link still brings the window to the front.
        let _ = starts.try_send(line.trim().parse().ok());
        let _ = reader.get_mut().write_all(DONE);
        on_start();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn first(folder: &Path) -> (Instance, mpsc::Receiver<()>) {
        let (told, starts) = mpsc::sync_channel(8);
        let claim = Instance::claim(folder, None, move || told.send(()).unwrap()).unwrap();
        match claim {
            Claim::First(instance) => (instance, starts),
            Claim::Running => panic!("nothing runs yet"),
        }
    }

    fn second(folder: &Path, link: Option<&Link>) {
        let claim = Instance::claim(folder, link, || ()).unwrap();
        assert!(matches!(claim, Claim::Running));
    }

    #[test]
    fn a_second_start_hands_its_link_over_and_another_folder_is_another_app() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (app, started) = first(folder.path());
        assert_eq!(app.next_start(), None);
        let link: Link = "voxhall://host:9000/CODE".parse().unwrap();
        second(folder.path(), Some(&link));
        started.recv_timeout(PATIENCE).unwrap();
        assert_eq!(app.next_start(), Some(Some(link)));
        second(folder.path(), None);
        started.recv_timeout(PATIENCE).unwrap();
        assert_eq!(app.next_start(), Some(None));
        first(other.path());
    }

    #[test]
    fn strange_lines_and_a_socket_that_was_left_behind_do_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        #[cfg(unix)]
        drop(std::os::unix::net::UnixListener::bind(folder.path().join("app.sock")).unwrap());
        let (app, started) = first(folder.path());
        let mut stranger = Stream::connect(name(folder.path()).unwrap()).unwrap();
        stranger.write_all(&[b'x'; 5_000]).unwrap();
        started.recv_timeout(PATIENCE).unwrap();
        assert_eq!(app.next_start(), Some(None));
        second(folder.path(), None);
    }
}
