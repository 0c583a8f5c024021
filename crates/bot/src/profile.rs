//! The file that keeps a login between two runs.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use voxhall_session::StoredLogin;

/// `--profile FILE`.
#[derive(Debug, Clone)]
pub struct Profile {
    path: PathBuf,
}

impl Profile {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
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
        let mut fresh = self.path.as_os_str().to_owned();
        fresh.push(".new");
        let fresh = Path::new(&fresh);
        let mut file = private(fresh)?;
        serde_json::to_writer_pretty(&mut file, login)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(fresh, &self.path)
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
