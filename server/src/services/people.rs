//! Other people: profiles, following, friends, blocking, presence.

use voxhall_protocol::{
    UserId,
    control::{
        AcceptFriend, BlockUser, Done, Failure, FailureKind, FindUsers, FollowUser, GetProfile,
        ListFollowers, ListFollowing, OwnPresence, Presence, Profile, Relation, RelationKind,
        RemoveFriend, RequestFriend, SetIdle, SetPresence, UnblockUser, UnfollowUser, UserPage,
    },
    limits::{CUSTOM_STATUS_CHARS, MAX_RELATIONS, NAME_CHARS, PAGE, clean_name},
};
use voxhall_store::{MAX_FOLLOWING, People, PresenceChoice, RelateError, StoreError};

use super::{Budget, Caller, Services, texts};
use crate::{clock::unix_ms, words};

/// Shorter beginnings find half the server.
const MIN_QUERY_CHARS: usize = 2;

impl Services {
    pub async fn get_profile(
        &self,
        caller: &Caller,
        params: GetProfile,
    ) -> Result<Profile, Failure> {
        self.profile_of(caller, params.user_id).await
    }

    pub async fn find_users(
        &self,
        caller: &Caller,
        params: FindUsers,
    ) -> Result<UserPage, Failure> {
        self.budgets.take(Budget::People, caller.user)?;
        let query = params.query.trim();
        if !(MIN_QUERY_CHARS..=*NAME_CHARS.end()).contains(&query.chars().count()) {
            return Err(words::invalid(&format!(
                "Give {MIN_QUERY_CHARS} to {} characters of a name's beginning.",
                NAME_CHARS.end()
            )));
        }
        stored(self.store.find_users(query, PAGE).await)
    }

    pub async fn follow_user(
        &self,
        caller: &Caller,
        params: FollowUser,
    ) -> Result<Profile, Failure> {
        self.budgets.take(Budget::People, caller.user)?;
        let followed = self
            .store
            .follow(caller.user, params.user_id, unix_ms())
            .await;
        followed.map_err(|error| match error {
            RelateError::TooMany => too_many(MAX_FOLLOWING as usize),
            error => relate(&error),
        })?;
        self.profile_of(caller, params.user_id).await
    }

    pub async fn unfollow_user(
        &self,
        caller: &Caller,
        params: UnfollowUser,
    ) -> Result<Profile, Failure> {
        stored(self.store.unfollow(caller.user, params.user_id).await)?;
        self.profile_of(caller, params.user_id).await
    }

    pub async fn list_followers(
        &self,
        _: &Caller,
        params: ListFollowers,
    ) -> Result<UserPage, Failure> {
        stored(
            self.store
                .followers(params.user_id, params.after, PAGE)
                .await,
        )
    }

    pub async fn list_following(
        &self,
        _: &Caller,
        params: ListFollowing,
    ) -> Result<UserPage, Failure> {
        stored(
            self.store
                .following(params.user_id, params.after, PAGE)
                .await,
        )
    }

    pub async fn block_user(&self, caller: &Caller, params: BlockUser) -> Result<Done, Failure> {
        self.budgets.take(Budget::People, caller.user)?;
        let blocked = self
            .store
            .block(caller.user, params.user_id, unix_ms())
            .await;
        blocked.map_err(|error| relate(&error))?;
        Ok(Done {})
    }

    pub async fn unblock_user(
        &self,
        caller: &Caller,
        params: UnblockUser,
    ) -> Result<Done, Failure> {
        stored(self.store.unblock(caller.user, params.user_id).await)?;
        Ok(Done {})
    }

    pub async fn request_friend(
        &self,
        caller: &Caller,
        params: RequestFriend,
    ) -> Result<Relation, Failure> {
        self.budgets.take(Budget::People, caller.user)?;
        let other = match (params.user_id, params.name) {
            (Some(id), None) => id,
            (None, Some(name)) => {
                let name = clean_name(&name).map_err(|_| words::not_found("user"))?;
                let user = stored(self.store.user_by_name(&name).await)?;
                user.ok_or_else(|| words::not_found("user"))?.id
            }
            _ => return Err(words::invalid("Say who it is by an id or by a name.")),
        };
        let asked = self
            .store
            .request_friend(caller.user, other, unix_ms())
            .await;
        let kind = asked.map_err(|error| relate(&error))?;
        self.relation_with(caller, other, kind)
    }

    pub async fn accept_friend(
        &self,
        caller: &Caller,
        params: AcceptFriend,
    ) -> Result<Relation, Failure> {
        let accepted = self
            .store
            .accept_friend(caller.user, params.user_id, unix_ms())
            .await;
        accepted.map_err(|error| relate(&error))?;
        self.relation_with(caller, params.user_id, RelationKind::Friend)
    }

    pub async fn remove_friend(
        &self,
        caller: &Caller,
        params: RemoveFriend,
    ) -> Result<Done, Failure> {
        stored(self.store.remove_friend(caller.user, params.user_id).await)?;
        Ok(Done {})
    }

    pub async fn set_presence(
        &self,
        caller: &Caller,
        params: SetPresence,
    ) -> Result<OwnPresence, Failure> {
        let custom_status = params.custom_status;
        let custom_status =
            custom_status.map(|it| texts::line(&it, 0..=CUSTOM_STATUS_CHARS, "A status"));
        let custom_status = custom_status.transpose()?;
        if params
            .custom_until_ms
            .is_some_and(|until| until <= unix_ms())
        {
            return Err(words::invalid("This time is over already."));
        }
        let choice = PresenceChoice {
            choice: params.choice,
            custom_status,
            custom_until_ms: params.custom_until_ms,
        };
        let chosen = self.store.choose_presence(caller.user, choice).await;
        chosen.map_err(|error| relate(&error))
    }

    pub async fn set_idle(&self, caller: &Caller, params: SetIdle) -> Result<Done, Failure> {
        let connection = caller.connection;
        self.hub
            .act(|live, _, out| live.set_idle(connection, params.idle, out));
        Ok(Done {})
    }

    async fn profile_of(&self, caller: &Caller, user: UserId) -> Result<Profile, Failure> {
        let profile = stored(self.store.profile(caller.user, user).await)?;
        profile.ok_or_else(|| words::not_found("user"))
    }

    /// As the live state shows it, which knows by now.
    fn relation_with(
        &self,
        caller: &Caller,
        other: UserId,
        kind: RelationKind,
    ) -> Result<Relation, Failure> {
        self.hub.read(|live| {
            let user = live.user(other).cloned();
            (live.relation_view(caller.user, other))
                // It was ended in the same moment.
                .or_else(|| {
                    Some(Relation {
                        user: user?,
                        kind,
                        presence: Presence::default(),
                    })
                })
                .ok_or_else(|| words::not_found("user"))
        })
    }
}

fn stored<T>(result: Result<T, StoreError>) -> Result<T, Failure> {
    result.map_err(|error| words::store(&error))
}

fn relate(error: &RelateError) -> Failure {
    match error {
        RelateError::NoUser => words::not_found("user"),
        RelateError::Oneself => words::invalid("This is you."),
        RelateError::Blocked => Failure::new(
            FailureKind::Blocked,
            "You have blocked this user. Unblock them first.",
        ),
        RelateError::TooMany => too_many(MAX_RELATIONS),
        RelateError::Store(error) => words::store(error),
    }
}

fn too_many(limit: usize) -> Failure {
    Failure::new(
        FailureKind::TooMany,
        format!("You have {limit} of these, and nobody may have more. Remove one first."),
    )
}
