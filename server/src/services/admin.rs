//! The whole server, for its administrators.

use voxhall_protocol::control::{
    AdminBackup, AdminBan, AdminCreateInvite, AdminCreateUser, AdminDeleteGuild, AdminDeleteUser,
    AdminDrain, AdminGiveRole, AdminGuildList, AdminListBans, AdminListGuilds, AdminListInvites,
    AdminListUsers, AdminResetPassword, AdminRevokeInvite, AdminRotateKeys, AdminSetGuildOwner,
    AdminSignOut, AdminStats, AdminTakeRole, AdminUnban, AdminUpdateUser, AdminUser, AdminUserPage,
    Backup, Done, Failure, GuildInfo, Invite, InviteList, Member, NewPassword, ServerBan,
    ServerBanList, ServerStats,
};

use super::{Caller, Services};

impl Services {
    pub async fn admin_stats(
        &self,
        _caller: &Caller,
        _params: AdminStats,
    ) -> Result<ServerStats, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_list_users(
        &self,
        _caller: &Caller,
        _params: AdminListUsers,
    ) -> Result<AdminUserPage, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_update_user(
        &self,
        _caller: &Caller,
        _params: AdminUpdateUser,
    ) -> Result<AdminUser, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_create_user(
        &self,
        _caller: &Caller,
        _params: AdminCreateUser,
    ) -> Result<AdminUser, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_delete_user(
        &self,
        _caller: &Caller,
        _params: AdminDeleteUser,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_sign_out(
        &self,
        _caller: &Caller,
        _params: AdminSignOut,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_reset_password(
        &self,
        _caller: &Caller,
        _params: AdminResetPassword,
    ) -> Result<NewPassword, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_list_guilds(
        &self,
        _caller: &Caller,
        _params: AdminListGuilds,
    ) -> Result<AdminGuildList, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_delete_guild(
        &self,
        _caller: &Caller,
        _params: AdminDeleteGuild,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_set_guild_owner(
        &self,
        _caller: &Caller,
        _params: AdminSetGuildOwner,
    ) -> Result<GuildInfo, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_give_role(
        &self,
        _caller: &Caller,
        _params: AdminGiveRole,
    ) -> Result<Member, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_take_role(
        &self,
        _caller: &Caller,
        _params: AdminTakeRole,
    ) -> Result<Member, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_list_invites(
        &self,
        _caller: &Caller,
        _params: AdminListInvites,
    ) -> Result<InviteList, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_create_invite(
        &self,
        _caller: &Caller,
        _params: AdminCreateInvite,
    ) -> Result<Invite, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_revoke_invite(
        &self,
        _caller: &Caller,
        _params: AdminRevokeInvite,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_list_bans(
        &self,
        _caller: &Caller,
        _params: AdminListBans,
    ) -> Result<ServerBanList, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_ban(
        &self,
        _caller: &Caller,
        _params: AdminBan,
    ) -> Result<ServerBan, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_unban(
        &self,
        _caller: &Caller,
        _params: AdminUnban,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_backup(
        &self,
        _caller: &Caller,
        _params: AdminBackup,
    ) -> Result<Backup, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_rotate_keys(
        &self,
        _caller: &Caller,
        _params: AdminRotateKeys,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn admin_drain(
        &self,
        _caller: &Caller,
        _params: AdminDrain,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }
}
