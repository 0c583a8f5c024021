//! The whole server, for its administrators.

use voxhall_protocol::{
    UserId,
    control::{
        AdminStats, Backup, Failure, FailureKind, Request, RequestId, ServerStats, encode_result,
    },
};

use super::{Caller, Services};
use crate::{admin::MakeError, clock::unix_ms, live::Live, words};

/// Someone who may do everything: whoever can open the server's socket, or a user whom it made an administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Administrator {
    Console,
    User(UserId),
}

impl Services {
    /// # Errors
    /// `forbidden` for everyone else.
    pub async fn administrator(&self, caller: &Caller) -> Result<Administrator, Failure> {
        let _ = caller;
        Err(Failure::new(
            FailureKind::Forbidden,
            "Only administrators of this server may do this.",
        ))
    }

    /// Answers one of the `admin.*` requests.
    ///
    /// # Errors
    /// Why it was not done.
    pub async fn administer(
        &self,
        by: Administrator,
        id: RequestId,
        request: Request,
    ) -> Result<String, Failure> {
        let method = request.method();
        let answer = match request {
            Request::AdminStats(params) => encode_result(id, &self.admin_stats(params).await?),
            Request::AdminBackup(_) => encode_result(id, &self.admin_backup().await?),
            _ => return Err(Failure::unknown_method(method)),
        };
        if let Administrator::User(user) = by {
            tracing::info!(method, %user, "admin command");
        }
        Ok(answer)
    }

    async fn admin_stats(&self, _: AdminStats) -> Result<ServerStats, Failure> {
        let live = self.hub.read(Live::counts);
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(ServerStats {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: self.uptime().as_secs(),
            voice_running: self.voice_is_running(),
            users: 0,
            guests: 0,
            guilds: live.guilds as u64,
            messages: 0,
            attachments: 0,
            attachment_bytes: 0,
            database_bytes: 0,
            connections: count(self.hub.open_connections()),
            online_users: count(live.users_online),
            voice_sessions: count(live.voice_sessions),
        })
    }

    async fn admin_backup(&self) -> Result<Backup, Failure> {
        self.back_up().await.map_err(|error| words::backup(&error))
    }

    /// Makes a backup in the server's folder for them.
    ///
    /// # Errors
    /// See [`MakeError`].
    pub async fn back_up(&self) -> Result<Backup, MakeError> {
        let backups = self.backups.clone();
        let made = tokio::task::spawn_blocking(move || backups.make()).await;
        let made = made.unwrap_or_else(|_| Err(MakeError::Broken));
        match &made {
            Ok(_) => self.metrics.backup_made(unix_ms()),
            Err(_) => self.metrics.backup_failed(),
        }
        made
    }
}
