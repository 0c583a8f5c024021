//! Invites: shown, made, redeemed.

use voxhall_protocol::{
    UserId,
    control::{CreateInvite, Failure, Invite, InvitePreview, Redeemed, User},
};
use voxhall_store::{Invites, NewInvite};

use super::Services;
use crate::{clock::unix_ms, random, rates::Source, words};

/// A year: who wants longer wants never.
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
            guests: true,
        })
    }

    pub async fn create_invite(
        &self,
        creator: UserId,
        create: &CreateInvite,
    ) -> Result<Invite, Failure> {
        if create
            .expires_in_s
            .is_some_and(|s| s == 0 || s > MAX_LIFE_S)
        {
            return Err(words::invalid(
                "An invite expires after 1 second to 366 days, or never.",
            ));
        }
        if create.max_uses == Some(0) {
            return Err(words::invalid(
                "An invite can be used once or more often, or without limit.",
            ));
        }
        let now = unix_ms();
        let code = random::invite_code();
        let expires_at = create
            .expires_in_s
            .map(|s| now + s.cast_signed().saturating_mul(1_000));
        let new = NewInvite {
            code: code.clone(),
            guild: create.guild_id,
            creator,
            expires_at,
            max_uses: create.max_uses,
            now,
        };
        self.store
            .create_invite(new)
            .await
            .map_err(|error| words::create_invite(&error))?;
        Ok(Invite {
            link: self.link(&code).to_string(),
            code,
            expires_at_ms: expires_at,
            max_uses: create.max_uses,
            uses: 0,
            created_by: None,
            created_at_ms: now,
            came: Vec::new(),
        })
    }

    pub async fn redeem_invite(
        &self,
        source: Source,
        user: &User,
        code: &str,
    ) -> Result<Redeemed, Failure> {
        self.try_invite(source)?;
        let joined = self
            .store
            .redeem_invite(code, user.id, unix_ms())
            .await
            .map_err(|error| words::invite(&error))?;
        self.announce_join(&joined, user);
        Ok(Redeemed {
            guild_id: joined.guild,
        })
    }
}
