//! Mumble's server (Debian's `mumble-server`) under the same load as ours, by as much of its protocol as that takes:
//! control messages over TLS, voice over UDP sealed with OCB2-AES128.

pub mod control;
pub mod crypt;
pub mod message;

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// Where Debian puts it; elsewhere `VOXHALL_MUMBLE_SERVER` names it.
const PROGRAM: &str = "/usr/sbin/murmurd";
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a server listens, and how its owner signs in.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct MumbleAddress {
    pub address: SocketAddr,
    pub super_user_password: String,
}

/// A running Mumble server with a fresh data base; killed when dropped.
pub struct MumbleServer {
    child: Child,
    at: MumbleAddress,
    _data: TempDir,
}

impl MumbleServer {
    /// Keeps its user where it is started by root, since the data base is in a folder of this program's. As Debian configures it, but for the limits that this load would meet: users, bandwidth, and bans of one address.
    pub fn start(users: usize) -> anyhow::Result<Self> {
        let program = std::env::var_os("VOXHALL_MUMBLE_SERVER")
            .map_or_else(|| PathBuf::from(PROGRAM), PathBuf::from);
        if !program.exists() {
            bail!(
                "Mumble's server is not at {}; scripts/compare-mumble installs it, or VOXHALL_MUMBLE_SERVER names it",
                program.display()
            );
        }
        let data = tempfile::tempdir()?;
        let ini = data.path().join("mumble-server.ini");
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let settings = format!(
            "database={folder}/mumble-server.sqlite\nlogfile={folder}/mumble-server.log\nhost=127.0.0.1\nport={port}\n\
             users={users}\nbandwidth=558000\nautobanAttempts=0\nmessageburst=1000\nmessagelimit=1000\nbonjour=False\nwelcometext=\nuname=root\n",
            folder = data.path().display(),
            users = users + 10,
        );
        fs::write(&ini, settings)?;
        let super_user_password = "load".to_owned();
        // Its exit code says nothing: it is 1 after the password was set, too.
        Command::new(&program)
            .arg("-ini")
            .arg(&ini)
            .args(["-supw", &super_user_password])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("can't run Mumble's server")?;
        let child = Command::new(&program)
            .args(["-fg", "-ini"])
            .arg(&ini)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("can't start Mumble's server")?;
        let server = Self {
            child,
            at: MumbleAddress {
                address: SocketAddr::from(([127, 0, 0, 1], port)),
                super_user_password,
            },
            _data: data,
        };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(server.at.address).is_err() {
            if Instant::now() > deadline {
                bail!("Mumble's server does not listen");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn at(&self) -> &MumbleAddress {
        &self.at
    }
}

impl Drop for MumbleServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
