//! More.

use voxhall_protocol::control::{Done, Failure, InviteList, ListInvites, RevokeInvite};

use super::{Caller, Services};

impl Services {
    pub async fn list_invites(
        &self,
        _caller: &Caller,
        _params: ListInvites,
    ) -> Result<InviteList, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn revoke_invite(
        &self,
        _caller: &Caller,
        _params: RevokeInvite,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }
}
