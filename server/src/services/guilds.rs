//! Guilds themselves.

use voxhall_protocol::{
    GuildId,
    control::{
        CreateGuild, DeleteGuild, Done, Failure, FailureKind, Guild, GuildInfo, LeaveGuild,
        TransferGuild, UpdateGuild,
    },
    limits::ABOUT_CHARS,
    permissions::Permissions,
};
use voxhall_store::{Act, FoundGuild, GuildUpdate, Guilds, MemberError, Members};

use super::{Caller, Services, accounts::first_channels, texts};
use crate::{
    clock::unix_ms,
    config::GuildMakers,
    words::{
        self,
        guild::{self as refuse, forbidden},
    },
};

impl Services {
    pub async fn create_guild(
        &self,
        caller: &Caller,
        params: CreateGuild,
    ) -> Result<Guild, Failure> {
        if self.create_guilds == GuildMakers::Admins
            && !self.hub.read(|live| live.is_admin(caller.user))
        {
            return Err(forbidden(
                "Only the administrators of this server make new guilds.",
            ));
        }
        let new = FoundGuild {
            name: texts::name(&params.name)?,
            owner: caller.user,
            channels: first_channels(),
            now: unix_ms(),
        };
        let made = self.store.create_guild(new).await;
        let guild = made.map_err(|error| refuse::guild(&error))?.info.id;
        self.hub
            .read(|live| live.guild_view(guild, caller.user))
            .ok_or_else(|| words::not_found("guild"))
    }

    pub async fn update_guild(
        &self,
        caller: &Caller,
        params: UpdateGuild,
    ) -> Result<GuildInfo, Failure> {
        let guild = params.guild_id;
        self.in_guild(caller, guild, Permissions::MANAGE_GUILD)?;
        let about = |text: String| texts::text(&text, ABOUT_CHARS, "A description");
        let update = GuildUpdate {
            name: params.name.map(|name| texts::name(&name)).transpose()?,
            description: params.description.map(about).transpose()?,
            icon: params.icon.map(|icon| (icon.0 != 0).then_some(icon)),
        };
        let act = Act::new(caller.user, unix_ms());
        let updated = self.store.update_guild(guild, update, act).await;
        updated.map_err(|error| refuse::guild(&error))
    }

    pub async fn delete_guild(
        &self,
        caller: &Caller,
        params: DeleteGuild,
    ) -> Result<Done, Failure> {
        self.owns(caller, params.guild_id)?;
        let deleted = self.store.delete_guild(params.guild_id).await;
        deleted.map_err(|error| refuse::guild(&error))?;
        Ok(Done {})
    }

    pub async fn leave_guild(&self, caller: &Caller, params: LeaveGuild) -> Result<Done, Failure> {
        let guild = params.guild_id;
        self.in_guild(caller, guild, Permissions::NONE)?;
        let left = self.store.leave_guild(guild, caller.user).await;
        left.map_err(|error| match error {
            MemberError::IsOwner => Failure::new(
                FailureKind::Conflict,
                "You own this guild. Make someone else the owner before you leave, or delete it.",
            ),
            error => refuse::member(&error),
        })?;
        Ok(Done {})
    }

    pub async fn transfer_guild(
        &self,
        caller: &Caller,
        params: TransferGuild,
    ) -> Result<GuildInfo, Failure> {
        let guild = params.guild_id;
        self.owns(caller, guild)?;
        let act = Act::new(caller.user, unix_ms());
        let transferred = self.store.transfer_guild(guild, params.user_id, act).await;
        transferred.map_err(|error| refuse::guild(&error))
    }

    fn owns(&self, caller: &Caller, guild: GuildId) -> Result<(), Failure> {
        if self.in_guild(caller, guild, Permissions::NONE)?.is_owner {
            return Ok(());
        }
        Err(forbidden("Only the owner can do this."))
    }
}
