//! Members and moderation.

use voxhall_protocol::control::{
    BanList, BanMember, Done, Failure, KickMember, ListBans, Member, TimeoutMember, UnbanMember,
    UpdateMember,
};

use super::{Caller, Services};

impl Services {
    pub async fn update_member(
        &self,
        _caller: &Caller,
        _params: UpdateMember,
    ) -> Result<Member, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn kick_member(
        &self,
        _caller: &Caller,
        _params: KickMember,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn ban_member(&self, _caller: &Caller, _params: BanMember) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn unban_member(
        &self,
        _caller: &Caller,
        _params: UnbanMember,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn timeout_member(
        &self,
        _caller: &Caller,
        _params: TimeoutMember,
    ) -> Result<Member, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn list_bans(&self, _caller: &Caller, _params: ListBans) -> Result<BanList, Failure> {
        Err(super::not_there_yet())
    }
}
