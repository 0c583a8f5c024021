//! Guilds themselves.

use voxhall_protocol::control::{
    CreateGuild, DeleteGuild, Done, Failure, Guild, GuildInfo, LeaveGuild, TransferGuild,
    UpdateGuild,
};

use super::{Caller, Services};

impl Services {
    pub async fn create_guild(
        &self,
        _caller: &Caller,
        _params: CreateGuild,
    ) -> Result<Guild, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn update_guild(
        &self,
        _caller: &Caller,
        _params: UpdateGuild,
    ) -> Result<GuildInfo, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn delete_guild(
        &self,
        _caller: &Caller,
        _params: DeleteGuild,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn leave_guild(
        &self,
        _caller: &Caller,
        _params: LeaveGuild,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn transfer_guild(
        &self,
        _caller: &Caller,
        _params: TransferGuild,
    ) -> Result<GuildInfo, Failure> {
        Err(super::not_there_yet())
    }
}
