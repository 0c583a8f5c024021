//! The file that keeps a login between two runs.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context;
use voxhall_session::StoredLogin;

/// How long another program with the same profile is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// `--profile FILE`.
#[derive(Debug, Clone)]
pub struct Profile {
    path: PathBuf,
}

impl Profile {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Two programs that share a login would spend each other's refresh token, and be signed out as a thief and a victim are. So one at a
    /// time, for as long as the answer is kept.
    pub async fn hold(&self) -> anyhow::Result<fs::File> {
        let file = fs::File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.beside(".lock"))
            .with_context(|| format!("can't write beside {}", self.path.display()))?;
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = file.try_lock() {
            if Instant::now() >= deadline {
                let shown = self.path.display();
                return Err(error).with_context(|| {
                    format!(
                        "{shown} is in use by another voxhall-bot; sign in with another --profile"
                    )
                });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(file)
    }

    pub fn load(&self) -> anyhow::Result<StoredLogin> {
        let shown = self.path.display();
        let text = fs::read(&self.path).with_context(|| {
            format!(
                "no login in {shown}; begin with: voxhall-bot --profile {shown} guest LINK NAME"
            )
        })?;
        serde_json::from_slice(&text).with_context(|| format!("{shown} is no profile"))
    }

    /// Written whole or not at all, and readable by this user alone: the refresh token in it signs in.
    pub fn keep(&self, login: Option<&StoredLogin>) -> io::Result<()> {
        let Some(login) = login else {
            return fs::remove_file(&self.path);
        };
        let fresh = self.beside(".new");
        let mut file = private(&fresh)?;
        serde_json::to_writer_pretty(&mut file, login)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(fresh, &self.path)
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut path = self.path.as_os_str().to_owned();
        path.push(ending);
        path.into()
    }
}

fn private(path: &Path) -> io::Result<fs::File> {
    // One of an earlier run may have other rights.
    let _ = fs::remove_file(path);
    let mut options = fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use voxhall_protocol::{
        UserId,
        control::{User, UserKind},
    };

    use super::*;

    #[test]
    fn a_login_survives_and_nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::new(folder.path().join("bot.json"));
        let hint = profile.load().unwrap_err().to_string();
        assert!(hint.contains("guest LINK NAME"), "{hint}");
        let mut login = StoredLogin {
            link: "voxhall://talk.example:9000".parse().unwrap(),
            user: User::new(UserId(7), "bot", UserKind::Guest),
            refresh_token: "first".into(),
        };
        profile.keep(Some(&login)).unwrap();
        login.refresh_token = "second".into();
        profile.keep(Some(&login)).unwrap();
        assert_eq!(profile.load().unwrap(), login);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.path().join("bot.json"))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        profile.keep(None).unwrap();
        assert!(profile.load().is_err());
    }
}
