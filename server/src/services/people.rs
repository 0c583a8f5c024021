//! Other people: profiles, following, friends, blocking, presence.

use voxhall_protocol::control::{
    AcceptFriend, BlockUser, Done, Failure, FindUsers, FollowUser, GetProfile, ListFollowers,
    ListFollowing, OwnPresence, Profile, Relation, RemoveFriend, RequestFriend, SetIdle,
    SetPresence, UnblockUser, UnfollowUser, UserPage,
};

use super::{Caller, Services};

impl Services {
    pub async fn get_profile(
        &self,
        _caller: &Caller,
        _params: GetProfile,
    ) -> Result<Profile, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn find_users(
        &self,
        _caller: &Caller,
        _params: FindUsers,
    ) -> Result<UserPage, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn follow_user(
        &self,
        _caller: &Caller,
        _params: FollowUser,
    ) -> Result<Profile, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn unfollow_user(
        &self,
        _caller: &Caller,
        _params: UnfollowUser,
    ) -> Result<Profile, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn list_followers(
        &self,
        _caller: &Caller,
        _params: ListFollowers,
    ) -> Result<UserPage, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn list_following(
        &self,
        _caller: &Caller,
        _params: ListFollowing,
    ) -> Result<UserPage, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn block_user(&self, _caller: &Caller, _params: BlockUser) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn unblock_user(
        &self,
        _caller: &Caller,
        _params: UnblockUser,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn request_friend(
        &self,
        _caller: &Caller,
        _params: RequestFriend,
    ) -> Result<Relation, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn accept_friend(
        &self,
        _caller: &Caller,
        _params: AcceptFriend,
    ) -> Result<Relation, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn remove_friend(
        &self,
        _caller: &Caller,
        _params: RemoveFriend,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn set_presence(
        &self,
        _caller: &Caller,
        _params: SetPresence,
    ) -> Result<OwnPresence, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn set_idle(&self, _caller: &Caller, _params: SetIdle) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }
}
