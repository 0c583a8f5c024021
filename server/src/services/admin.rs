//! The whole server, for its administrators.

use std::time::{Duration, Instant};

use tokio::time::timeout;
use voxhall_protocol::{
    SecretText, UserId,
    control::{
        AdminBan, AdminCreateInvite, AdminCreateUser, AdminDeleteGuild, AdminDeleteUser,
        AdminDrain, AdminGuildList, AdminListInvites, AdminListUsers, AdminResetPassword,
        AdminRevokeInvite, AdminRotateKeys, AdminSetGuildOwner, AdminSignOut, AdminUnban,
        AdminUpdateUser, AdminUser, AdminUserPage, Backup, Done, Failure, FailureKind, GuildInfo,
        Invite, InviteList, Member, NewPassword, Request, RequestId, ServerBan, ServerBanList,
        ServerStats, encode_result,
    },
    limits::clean_name,
};
use voxhall_store::{
    AccountState, Accounts, Act, Devices, Figures, Guilds, Invites, Members, NewInvite, ServerBans,
    Totals, WhichInvites, WriterStats,
};

use super::{
    Caller, Services,
    accounts::check_password,
    invites::{checked_uses, expiry},
};
use crate::{
    admin::MakeError,
    bans::{MAX_BANS, Network},
    clock::unix_ms,
    live::Live,
    random, words,
};

/// Users in one answer.
const PAGE: u32 = 100;
/// Counting everything is work, and health checks ask often.
const TOTALS_FOR: Duration = Duration::from_secs(20);
const COUNT_WITHIN: Duration = Duration::from_secs(2);
const MAX_REASON_CHARS: usize = 512;

/// Someone who may do everything: whoever can open the server's socket, or a user whom it made an administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Administrator {
    Console,
    User(UserId),
}

/// What was counted, and when.
pub type CountedTotals = tokio::sync::Mutex<Option<(Instant, Totals)>>;

impl Services {
    /// # Errors
    /// `forbidden` for everyone else.
    pub fn administrator(&self, caller: &Caller) -> Result<Administrator, Failure> {
        if self.hub.read(|live| live.is_admin(caller.user)) {
            Ok(Administrator::User(caller.user))
        } else {
            Err(Failure::new(
                FailureKind::Forbidden,
                "Only administrators of this server may do this.",
            ))
        }
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
        if let Administrator::User(user) = by {
            tracing::info!(method, %user, "admin command");
        }
        let done = |()| encode_result(id, &Done {});
        Ok(match request {
            Request::AdminStats(_) => encode_result(id, &self.admin_stats().await?),
            Request::AdminListUsers(list) => {
                encode_result(id, &self.admin_list_users(&list).await?)
            }
            Request::AdminUpdateUser(update) => {
                encode_result(id, &self.admin_update_user(by, update).await?)
            }
            Request::AdminCreateUser(create) => {
                encode_result(id, &self.admin_create_user(create).await?)
            }
            Request::AdminDeleteUser(delete) => done(self.admin_delete_user(by, delete).await?),
            Request::AdminSignOut(sign_out) => done(self.admin_sign_out(sign_out).await?),
            Request::AdminResetPassword(reset) => {
                encode_result(id, &self.admin_reset_password(reset).await?)
            }
            Request::AdminListGuilds(_) => encode_result(id, &self.admin_list_guilds().await?),
            Request::AdminDeleteGuild(delete) => done(self.admin_delete_guild(delete).await?),
            Request::AdminSetGuildOwner(set) => {
                encode_result(id, &self.admin_set_guild_owner(by, set).await?)
            }
            Request::AdminGiveRole(give) => {
                let given = (give.guild_id, give.user_id, give.role_id, true);
                encode_result(id, &self.admin_role(by, given).await?)
            }
            Request::AdminTakeRole(take) => {
                let taken = (take.guild_id, take.user_id, take.role_id, false);
                encode_result(id, &self.admin_role(by, taken).await?)
            }
            Request::AdminListInvites(list) => {
                encode_result(id, &self.admin_list_invites(list).await?)
            }
            Request::AdminCreateInvite(create) => {
                encode_result(id, &self.admin_create_invite(create).await?)
            }
            Request::AdminRevokeInvite(revoke) => done(self.admin_revoke_invite(by, revoke).await?),
            Request::AdminListBans(_) => encode_result(id, &self.admin_list_bans().await?),
            Request::AdminBan(ban) => encode_result(id, &self.admin_ban(ban).await?),
            Request::AdminUnban(unban) => done(self.admin_unban(unban).await?),
            Request::AdminBackup(_) => encode_result(id, &self.admin_backup().await?),
            Request::AdminRotateKeys(rotate) => done(self.admin_rotate_keys(rotate).await?),
            Request::AdminDrain(drain) => {
                self.admin_drain(&drain);
                encode_result(id, &Done {})
            }
            _ => return Err(Failure::unknown_method(method)),
        })
    }

    async fn admin_stats(&self) -> Result<ServerStats, Failure> {
        let totals = self.totals().await?;
        let live = self.hub.read(Live::counts);
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(ServerStats {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: self.uptime().as_secs(),
            voice_running: self.voice_is_running(),
            users: totals.accounts,
            guests: totals.guests,
            guilds: totals.guilds,
            messages: totals.messages,
            attachments: totals.files,
            attachment_bytes: totals.file_bytes,
            database_bytes: self.backups.database_bytes(),
            connections: count(self.hub.open_connections()),
            online_users: count(live.users_online),
            voice_sessions: count(live.voice_sessions),
        })
    }

    /// What the store does, and how many writes wait of how many that may.
    pub fn store_figures(&self) -> (&WriterStats, (usize, usize)) {
        (self.store.writer_stats(), self.store.queue())
    }

    async fn totals(&self) -> Result<Totals, Failure> {
        let mut counted = self.totals.lock().await;
        let before = match *counted {
            Some((at, totals)) if at.elapsed() < TOTALS_FOR => return Ok(totals),
            before => before,
        };
        let counting = self.store.totals();
        let totals = match before {
            // Someone's long search goes first, and a health check shall not take that for illness.
            Some((_, totals)) => match timeout(COUNT_WITHIN, counting).await {
                Ok(counted) => counted,
                Err(_) => return Ok(totals),
            },
            None => counting.await,
        };
        let totals = totals.map_err(|error| words::store(&error))?;
        *counted = Some((Instant::now(), totals));
        Ok(totals)
    }

    async fn admin_list_users(&self, list: &AdminListUsers) -> Result<AdminUserPage, Failure> {
        let found = self
            .store
            .list_users(list.query.trim(), list.after, PAGE + 1)
            .await;
        let mut found = found.map_err(|error| words::store(&error))?;
        let more = found.len() > PAGE as usize;
        found.truncate(PAGE as usize);
        let users = found
            .into_iter()
            .map(|state| self.admin_user(state))
            .collect();
        Ok(AdminUserPage { users, more })
    }

    async fn admin_update_user(
        &self,
        by: Administrator,
        update: AdminUpdateUser,
    ) -> Result<AdminUser, Failure> {
        if update.suspended == Some(true) || update.is_admin == Some(false) {
            not_oneself(by, update.user_id)?;
        }
        let AdminUpdateUser {
            user_id,
            suspended,
            is_admin,
        } = update;
        if is_admin == Some(true) {
            self.account_of(user_id).await?;
        }
        let updated = self
            .store
            .update_user(user_id, suspended, is_admin, unix_ms())
            .await;
        let state = updated.map_err(|error| words::store(&error))?;
        Ok(self.admin_user(state.ok_or_else(|| words::not_found("user"))?))
    }

    async fn admin_create_user(&self, create: AdminCreateUser) -> Result<AdminUser, Failure> {
        let name = clean_name(&create.name).map_err(|error| words::invalid(&error.to_string()))?;
        check_password(&create.password)?;
        let hash = self
            .passwords
            .hash(create.password)
            .await
            .map_err(words::hashing)?;
        let created = self.store.create_account(name, hash, unix_ms()).await;
        let user = created.map_err(|error| words::sign_up(&error))?;
        self.admin_user_by_id(user.id).await
    }

    async fn admin_delete_user(
        &self,
        by: Administrator,
        delete: AdminDeleteUser,
    ) -> Result<(), Failure> {
        not_oneself(by, delete.user_id)?;
        let deleted = self.store.delete_user(delete.user_id, unix_ms()).await;
        found(deleted.map_err(|error| words::store(&error))?, "user")
    }

    async fn admin_sign_out(&self, sign_out: AdminSignOut) -> Result<(), Failure> {
        self.admin_user_by_id(sign_out.user_id).await?;
        let ended = self.store.end_devices(sign_out.user_id, Devices::All).await;
        ended.map_err(|error| words::store(&error))
    }

    async fn admin_reset_password(
        &self,
        reset: AdminResetPassword,
    ) -> Result<NewPassword, Failure> {
        self.account_of(reset.user_id).await?;
        // Long enough for a password, and easy to type.
        let password = SecretText::from(random::owner_code());
        let hash = self
            .passwords
            .hash(password.clone())
            .await
            .map_err(words::hashing)?;
        let done = self.store.reset_password(reset.user_id, hash).await;
        found(done.map_err(|error| words::store(&error))?, "user")?;
        Ok(NewPassword { password })
    }

    async fn admin_list_guilds(&self) -> Result<AdminGuildList, Failure> {
        let guilds = self
            .store
            .list_guilds()
            .await
            .map_err(|error| words::store(&error))?;
        Ok(AdminGuildList { guilds })
    }

    async fn admin_delete_guild(&self, delete: AdminDeleteGuild) -> Result<(), Failure> {
        let deleted = self.store.delete_guild(delete.guild_id).await;
        deleted.map_err(|error| words::guild::guild(&error))
    }

    async fn admin_set_guild_owner(
        &self,
        by: Administrator,
        set: AdminSetGuildOwner,
    ) -> Result<GuildInfo, Failure> {
        let set = self
            .store
            .transfer_guild(set.guild_id, set.user_id, act(by))
            .await;
        set.map_err(|error| words::guild::guild(&error))
    }

    async fn admin_role(
        &self,
        by: Administrator,
        (guild, user, role, given): (
            voxhall_protocol::GuildId,
            UserId,
            voxhall_protocol::RoleId,
            bool,
        ),
    ) -> Result<Member, Failure> {
        let changed = self
            .store
            .give_role(guild, user, role, given, act(by))
            .await;
        changed.map_err(|error| words::guild::member(&error))?;
        let member = self.hub.read(|live| live.member_view(guild, user));
        member.ok_or_else(|| words::not_found("member"))
    }

    async fn admin_list_invites(&self, list: AdminListInvites) -> Result<InviteList, Failure> {
        let invites = self
            .store
            .guild_invites(list.guild_id, WhichInvites::All, unix_ms())
            .await;
        let invites = invites.map_err(|error| words::store(&error))?;
        let invites = invites
            .into_iter()
            .map(|listed| self.shown_invite(listed))
            .collect();
        Ok(InviteList { invites })
    }

    async fn admin_create_invite(&self, create: AdminCreateInvite) -> Result<Invite, Failure> {
        let now = unix_ms();
        let new = NewInvite {
            code: random::invite_code(),
            guild: create.guild_id,
            creator: None,
            expires_at: expiry(create.expires_in_s, now)?,
            max_uses: checked_uses(create.max_uses)?,
            makes_owner: create.makes_owner,
            now,
        };
        self.make_invite(new).await
    }

    async fn admin_revoke_invite(
        &self,
        by: Administrator,
        revoke: AdminRevokeInvite,
    ) -> Result<(), Failure> {
        let AdminRevokeInvite { guild_id, code } = revoke;
        let revoked = self
            .store
            .revoke_invite(guild_id, &code, WhichInvites::All, act(by))
            .await;
        found(revoked.map_err(|error| words::store(&error))?, "invite")
    }

    async fn admin_list_bans(&self) -> Result<ServerBanList, Failure> {
        let bans = self
            .store
            .server_bans()
            .await
            .map_err(|error| words::store(&error))?;
        Ok(ServerBanList { bans })
    }

    /// Ends the connections from there, too.
    async fn admin_ban(&self, ban: AdminBan) -> Result<ServerBan, Failure> {
        let network: Network = ban
            .network
            .parse()
            .map_err(|error: crate::bans::NetworkError| words::invalid(&error.to_string()))?;
        if ban.reason.chars().count() > MAX_REASON_CHARS {
            return Err(words::invalid("A reason has up to 512 characters."));
        }
        let now = unix_ms();
        let until_ms = expiry(ban.duration_s, now)?;
        let _turn = self.changing_bans.lock().await;
        if self.admin_list_bans().await?.bans.len() >= MAX_BANS {
            return Err(words::invalid(
                "There are 10,000 bans already. Ban networks instead of addresses, or block them in the firewall.",
            ));
        }
        let ban = ServerBan {
            network: network.to_string(),
            reason: ban.reason,
            at_ms: now,
            until_ms,
        };
        let added = self.store.add_server_ban(ban.clone()).await;
        added.map_err(|error| words::store(&error))?;
        self.bans.set(&self.admin_list_bans().await?.bans);
        Ok(ban)
    }

    async fn admin_unban(&self, unban: AdminUnban) -> Result<(), Failure> {
        // As it is written here, or as it was written when the ban was made.
        let network = unban
            .network
            .parse::<Network>()
            .map_or(unban.network, |network| network.to_string());
        let _turn = self.changing_bans.lock().await;
        let removed = self.store.remove_server_ban(&network).await;
        found(removed.map_err(|error| words::store(&error))?, "ban")?;
        self.bans.set(&self.admin_list_bans().await?.bans);
        Ok(())
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

    async fn admin_rotate_keys(&self, rotate: AdminRotateKeys) -> Result<(), Failure> {
        let rotated = self.rotate_keys(rotate.at_once).await;
        rotated.map_err(|error| words::store(&error))
    }

    fn admin_drain(&self, drain: &AdminDrain) {
        let reason: String = drain.reason.chars().take(MAX_REASON_CHARS).collect();
        self.drain.send_replace(Some(reason));
    }

    async fn admin_user_by_id(&self, user: UserId) -> Result<AdminUser, Failure> {
        let state = self
            .store
            .account_state(user)
            .await
            .map_err(|error| words::store(&error))?;
        Ok(self.admin_user(state.ok_or_else(|| words::not_found("user"))?))
    }

    async fn account_of(&self, user: UserId) -> Result<(), Failure> {
        let account = self
            .store
            .account(user)
            .await
            .map_err(|error| words::store(&error))?;
        match account {
            Some(_) => Ok(()),
            None => Err(words::invalid(
                "Only accounts have passwords and can be administrators; this is a guest, or nobody.",
            )),
        }
    }

    fn admin_user(&self, state: AccountState) -> AdminUser {
        let online = self.hub.read(|live| live.is_connected(state.user.id));
        AdminUser {
            user: state.user,
            is_admin: state.is_admin,
            suspended: state.suspended,
            created_at_ms: state.created_at_ms,
            last_seen_ms: state.last_seen_ms,
            devices: state.devices,
            online,
        }
    }
}

/// The console has no user in the audit log.
fn act(by: Administrator) -> Act {
    match by {
        Administrator::Console => Act::of_administrator(unix_ms()),
        Administrator::User(user) => Act::new(user, unix_ms()),
    }
}

/// So that a server isn't left without anyone by a slip.
fn not_oneself(by: Administrator, user: UserId) -> Result<(), Failure> {
    if by == Administrator::User(user) {
        return Err(words::invalid(
            "This would lock yourself out. Ask another administrator, or use voxhall-server admin.",
        ));
    }
    Ok(())
}

fn found(found: bool, what: &str) -> Result<(), Failure> {
    if found {
        Ok(())
    } else {
        Err(words::not_found(what))
    }
}
