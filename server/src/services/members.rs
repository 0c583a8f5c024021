//! Members and moderation.

use voxhall_protocol::{
    GuildId, RoleId, UserId,
    control::{
        BanList, BanMember, Done, Failure, KickMember, ListBans, Member, TimeoutMember,
        UnbanMember, UpdateMember,
    },
    limits::{MAX_BAN_DELETES_S, MAX_ROLES, MAX_TIMEOUT_S},
    permissions::Permissions,
};
use voxhall_store::{Act, MemberUpdate, Members, NewBan};

use super::{Caller, Services, authority::Plan, texts};
use crate::{
    clock::unix_ms,
    words::{
        self,
        guild::{self as refuse, forbidden},
    },
};

impl Services {
    pub async fn update_member(
        &self,
        caller: &Caller,
        params: UpdateMember,
    ) -> Result<Member, Failure> {
        let (guild, user) = (params.guild_id, params.user_id);
        let nick = match params.nick {
            Some(nick) => Some(self.checked_nick(caller, guild, user, &nick)?),
            None => None,
        };
        let roles = match params.roles {
            Some(roles) => Some(self.checked_roles(caller, guild, user, roles)?),
            None => None,
        };
        self.in_guild(caller, guild, Permissions::NONE)?;
        let act = Act::new(caller.user, unix_ms());
        let update = MemberUpdate { nick, roles };
        let updated = self.store.update_member(guild, user, update, act).await;
        updated.map_err(|error| refuse::member(&error))?;
        self.member_view(guild, user)
    }

    pub async fn kick_member(&self, caller: &Caller, params: KickMember) -> Result<Done, Failure> {
        let (guild, user) = (params.guild_id, params.user_id);
        let at = self.in_guild(caller, guild, Permissions::KICK_MEMBERS)?;
        self.outranks(caller, &at, guild, user)?;
        let act = Act::because(caller.user, texts::reason(&params.reason)?, unix_ms());
        let kicked = self.store.kick_member(guild, user, act).await;
        kicked.map_err(|error| refuse::member(&error))?;
        Ok(Done {})
    }

    pub async fn ban_member(&self, caller: &Caller, params: BanMember) -> Result<Done, Failure> {
        let (guild, user) = (params.guild_id, params.user_id);
        let at = self.in_guild(caller, guild, Permissions::BAN_MEMBERS)?;
        // Who isn't a member, or isn't one any more, stands above nobody.
        if self.rank_of(guild, user).is_some() {
            self.outranks(caller, &at, guild, user)?;
        }
        if params.delete_messages_s > MAX_BAN_DELETES_S {
            return Err(words::invalid("A ban deletes messages of 7 days at most."));
        }
        let now = unix_ms();
        let since = now - i64::from(params.delete_messages_s) * 1_000;
        let ban = NewBan {
            user,
            address: params.address,
            delete_since: (params.delete_messages_s > 0).then_some(since),
        };
        let act = Act::because(caller.user, texts::reason(&params.reason)?, now);
        let banned = self.store.ban_member(guild, ban, act).await;
        banned.map_err(|error| refuse::member(&error))?;
        Ok(Done {})
    }

    pub async fn unban_member(
        &self,
        caller: &Caller,
        params: UnbanMember,
    ) -> Result<Done, Failure> {
        let guild = params.guild_id;
        self.in_guild(caller, guild, Permissions::BAN_MEMBERS)?;
        let act = Act::new(caller.user, unix_ms());
        let lifted = self.store.unban_member(guild, params.user_id, act).await;
        lifted.map_err(|error| refuse::member(&error))?;
        Ok(Done {})
    }

    pub async fn timeout_member(
        &self,
        caller: &Caller,
        params: TimeoutMember,
    ) -> Result<Member, Failure> {
        let (guild, user) = (params.guild_id, params.user_id);
        let at = self.in_guild(caller, guild, Permissions::TIMEOUT_MEMBERS)?;
        self.outranks(caller, &at, guild, user)?;
        if params.duration_s > MAX_TIMEOUT_S {
            return Err(words::invalid("A timeout lasts 28 days at most."));
        }
        let now = unix_ms();
        let rights = self.hub.read(|live| live.rights_in_guild(guild, user, now));
        if params.duration_s > 0
            && rights.is_some_and(|has| has.contains(Permissions::ADMINISTRATOR))
        {
            return Err(forbidden(
                "Administrators may do everything, so a timeout would change nothing. Take the role away first.",
            ));
        }
        let until = (params.duration_s > 0).then(|| now + i64::from(params.duration_s) * 1_000);
        let act = Act::because(caller.user, texts::reason(&params.reason)?, now);
        let timed_out = self.store.time_out_member(guild, user, until, act).await;
        timed_out.map_err(|error| refuse::member(&error))?;
        self.member_view(guild, user)
    }

    pub async fn list_bans(&self, caller: &Caller, params: ListBans) -> Result<BanList, Failure> {
        self.in_guild(caller, params.guild_id, Permissions::BAN_MEMBERS)?;
        let bans = self.store.guild_bans(params.guild_id).await;
        let bans = bans.map_err(|error| words::store(&error))?;
        Ok(BanList { bans })
    }

    /// A member as everyone in the guild sees them.
    pub(super) fn member_view(&self, guild: GuildId, user: UserId) -> Result<Member, Failure> {
        self.hub
            .read(|live| live.member_view(guild, user))
            .ok_or_else(|| words::not_found("member"))
    }

    fn checked_nick(
        &self,
        caller: &Caller,
        guild: GuildId,
        user: UserId,
        nick: &str,
    ) -> Result<Option<String>, Failure> {
        if user == caller.user {
            self.in_guild(caller, guild, Permissions::CHANGE_NICKNAME)?;
        } else {
            let at = self.in_guild(caller, guild, Permissions::MANAGE_NICKNAMES)?;
            self.outranks(caller, &at, guild, user)?;
        }
        if nick.trim().is_empty() {
            return Ok(None);
        }
        texts::name(nick).map(Some)
    }

    /// All that the member is to have, of roles that are the caller's to give and to take.
    fn checked_roles(
        &self,
        caller: &Caller,
        guild: GuildId,
        user: UserId,
        mut roles: Vec<RoleId>,
    ) -> Result<Vec<RoleId>, Failure> {
        let at = self.in_guild(caller, guild, Permissions::MANAGE_ROLES)?;
        let is_self = user == caller.user;
        if !is_self {
            self.outranks(caller, &at, guild, user)?;
        }
        if roles.len() > MAX_ROLES {
            return Err(words::invalid("A list of roles names each once."));
        }
        roles.sort_unstable();
        roles.dedup();
        let held = self
            .hub
            .read(|live| live.member(guild, user).map(|member| member.roles.clone()))
            .ok_or_else(|| words::not_found("member"))?;
        for role in roles.iter().filter(|role| !held.contains(role)) {
            let role = self.role_below(&at, guild, *role)?;
            if role.position == 0 {
                return Err(words::invalid("Everyone has @everyone; it can't be given."));
            }
            Self::has_what_they_give(at.permissions, role.permissions)?;
        }
        for role in held.iter().filter(|role| !roles.contains(role)) {
            self.role_below(&at, guild, *role)?;
        }
        if is_self {
            self.keeps_roles(caller, guild, &Plan::Held(&roles))?;
        }
        Ok(roles)
    }
}
