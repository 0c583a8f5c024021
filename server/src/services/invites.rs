//! Invites: shown, made, redeemed, listed, revoked.

use voxhall_protocol::{
    GuildId,
    control::{
        CreateInvite, Done, Failure, Invite, InviteList, InvitePreview, ListInvites, RedeemInvite,
        Redeemed, RevokeInvite, UnixMs,
    },
    permissions::Permissions,
};
use voxhall_store::{Act, Invites, ListedInvite, NewInvite, WhichInvites};

use super::{Caller, Services};
use crate::{clock::unix_ms, random, rates::Source, words};

/// Of an invite or a ban. A year: who wants longer wants never.
const MAX_LIFE_S: u64 = 366 * 24 * 60 * 60;

impl Services {
    /// What an invite leads to. For the invite page too.
    pub async fn inspect_invite(
        &self,
        source: Source,
        code: &str,
    ) -> Result<InvitePreview, Failure> {
        self.try_invite(source)?;
        let invite = self
            .store
            .inspect_invite(code, unix_ms())
            .await
            .map_err(|error| words::invite(&error))?;
        Ok(InvitePreview {
            server_name: self.server_name.clone(),
            guild_name: invite.guild_name,
            members: invite.members,
            online: self.hub.read(|live| live.online_count(invite.guild)),
            makes_owner: invite.makes_owner,
            guests: self.guests,
        })
    }

    pub async fn create_invite(
        &self,
        caller: &Caller,
        params: CreateInvite,
    ) -> Result<Invite, Failure> {
        self.in_guild(caller, params.guild_id, Permissions::CREATE_INVITES)?;
        let now = unix_ms();
        let new = NewInvite {
            code: random::invite_code(),
            guild: params.guild_id,
            creator: Some(caller.user),
            expires_at: expiry(params.expires_in_s, now)?,
            max_uses: checked_uses(params.max_uses)?,
            makes_owner: false,
            now,
        };
        self.make_invite(new).await
    }

    /// Stores an invite, whoever may make it.
    pub(super) async fn make_invite(&self, new: NewInvite) -> Result<Invite, Failure> {
        let made = ListedInvite {
            code: new.code.clone(),
            creator: new
                .creator
                .and_then(|creator| self.hub.read(|live| live.user(creator).cloned())),
            created_at: new.now,
            expires_at: new.expires_at,
            max_uses: if new.makes_owner {
                Some(1)
            } else {
                new.max_uses
            },
            uses: 0,
            makes_owner: new.makes_owner,
            came: Vec::new(),
        };
        let created = self.store.create_invite(new).await;
        created.map_err(|error| words::create_invite(&error))?;
        Ok(self.shown_invite(made))
    }

    /// Whoever manages the guild sees all of its invites, anyone else their own.
    pub async fn list_invites(
        &self,
        caller: &Caller,
        params: ListInvites,
    ) -> Result<InviteList, Failure> {
        let guild = params.guild_id;
        let which = self.their_invites(caller, guild)?;
        let listed = self.store.guild_invites(guild, which, unix_ms()).await;
        let listed = listed.map_err(|error| words::store(&error))?;
        Ok(InviteList {
            invites: listed
                .into_iter()
                .map(|invite| self.shown_invite(invite))
                .collect(),
        })
    }

    pub async fn revoke_invite(
        &self,
        caller: &Caller,
        params: RevokeInvite,
    ) -> Result<Done, Failure> {
        let guild = params.guild_id;
        let which = self.their_invites(caller, guild)?;
        let act = Act::new(caller.user, unix_ms());
        let revoked = self
            .store
            .revoke_invite(guild, &params.code, which, act)
            .await;
        if revoked.map_err(|error| words::store(&error))? {
            return Ok(Done {});
        }
        Err(words::not_found("invite"))
    }

    pub async fn redeem_invite(
        &self,
        caller: &Caller,
        params: RedeemInvite,
    ) -> Result<Redeemed, Failure> {
        self.try_invite(caller.source)?;
        let from = Some(self.address_hash(caller.source));
        let joined = self
            .store
            .redeem_invite(&params.code, caller.user, from, unix_ms())
            .await
            .map_err(|error| words::invite(&error))?;
        Ok(Redeemed {
            guild_id: joined.guild,
        })
    }

    pub(super) fn shown_invite(&self, invite: ListedInvite) -> Invite {
        Invite {
            link: self.link(&invite.code).to_string(),
            code: invite.code,
            expires_at_ms: invite.expires_at,
            max_uses: invite.max_uses,
            uses: invite.uses,
            created_by: invite.creator,
            created_at_ms: invite.created_at,
            came: invite.came,
        }
    }

    fn their_invites(&self, caller: &Caller, guild: GuildId) -> Result<WhichInvites, Failure> {
        let at = self.in_guild(caller, guild, Permissions::NONE)?;
        Ok(if at.permissions.contains(Permissions::MANAGE_GUILD) {
            WhichInvites::Guild
        } else {
            WhichInvites::Of(caller.user)
        })
    }
}

/// When an invite or a ban ends.
///
/// # Errors
/// Says how long it may last.
pub(super) fn expiry(in_s: Option<u64>, now: UnixMs) -> Result<Option<UnixMs>, Failure> {
    match in_s {
        Some(s) if s == 0 || s > MAX_LIFE_S => Err(words::invalid(
            "It ends after 1 second to 366 days, or never.",
        )),
        in_s => Ok(in_s.map(|s| now + s.cast_signed() * 1_000)),
    }
}

/// # Errors
/// Says how often an invite may be used.
pub(super) fn checked_uses(uses: Option<u32>) -> Result<Option<u32>, Failure> {
    if uses == Some(0) {
        return Err(words::invalid(
            "An invite can be used once or more often, or without limit.",
        ));
    }
    Ok(uses)
}
