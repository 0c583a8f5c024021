//! Roles, and why someone may do what.

use voxhall_protocol::{
    GuildId, RoleId,
    control::{
        ChannelKind, CreateRole, DeleteRole, Done, ExplainFor, ExplainPermissions, Explained,
        Failure, ReorderRoles, Role, UpdateRole,
    },
    limits::MAX_ROLES,
    permissions::{
        Layer, Permissions, Subject, decide, explain, sees_category, without_category_name,
    },
};
use voxhall_store::{Act, NewRole, RoleError, RoleUpdate, Roles};

use super::{Caller, InGuild, Services, authority::Plan, texts};
use crate::{
    clock::unix_ms,
    words::{
        self,
        guild::{self as refuse, forbidden},
    },
};

/// 0xRRGGBB.
const MAX_COLOR: u32 = 0xff_ff_ff;

impl Services {
    pub async fn create_role(&self, caller: &Caller, params: CreateRole) -> Result<Role, Failure> {
        let guild = params.guild_id;
        let at = self.in_guild(caller, guild, Permissions::MANAGE_ROLES)?;
        if at.rank == 0 {
            return Err(forbidden(
                "A new role stands above @everyone, and you have no role that stands above it.",
            ));
        }
        let permissions = params.permissions.and(Permissions::ALL);
        Self::has_what_they_give(at.permissions, permissions)?;
        let new = NewRole {
            name: texts::name(&params.name)?,
            permissions,
            color: params.color.filter(|color| *color <= MAX_COLOR),
        };
        let act = Act::new(caller.user, unix_ms());
        let created = self.store.create_role(guild, new, act).await;
        created.map_err(|error| refuse::role(&error))
    }

    pub async fn update_role(&self, caller: &Caller, params: UpdateRole) -> Result<Role, Failure> {
        let guild = params.guild_id;
        let at = self.in_guild(caller, guild, Permissions::MANAGE_ROLES)?;
        let role = self.role_below(&at, guild, params.role_id)?;
        if let Some(permissions) = params.permissions {
            let permissions = permissions.and(Permissions::ALL);
            let changed = Permissions(permissions.0 ^ role.permissions.0);
            Self::has_what_they_give(at.permissions, changed)?;
            let then = Role {
                permissions,
                ..role.clone()
            };
            self.keeps_roles(caller, guild, &Plan::Changed(&then))?;
        }
        let update = RoleUpdate {
            name: params.name.map(|name| texts::name(&name)).transpose()?,
            permissions: params.permissions.map(|p| p.and(Permissions::ALL)),
            color: params
                .color
                .map(|color| (color <= MAX_COLOR).then_some(color)),
            hoist: params.hoist,
            mentionable: params.mentionable,
        };
        let act = Act::new(caller.user, unix_ms());
        let updated = self.store.update_role(guild, role.id, update, act).await;
        updated.map_err(|error| refuse::role(&error))
    }

    pub async fn delete_role(&self, caller: &Caller, params: DeleteRole) -> Result<Done, Failure> {
        let guild = params.guild_id;
        let at = self.in_guild(caller, guild, Permissions::MANAGE_ROLES)?;
        let role = self.role_below(&at, guild, params.role_id)?;
        self.keeps_roles(caller, guild, &Plan::Gone(role.id))?;
        let act = Act::new(caller.user, unix_ms());
        let deleted = self.store.delete_role(guild, role.id, act).await;
        deleted.map_err(|error| refuse::role(&error))?;
        Ok(Done {})
    }

    pub async fn reorder_roles(
        &self,
        caller: &Caller,
        params: ReorderRoles,
    ) -> Result<Done, Failure> {
        let guild = params.guild_id;
        let at = self.in_guild(caller, guild, Permissions::MANAGE_ROLES)?;
        if params.roles.len() >= MAX_ROLES {
            return Err(refuse::role(&RoleError::NotAll));
        }
        self.may_reorder(&at, guild, &params.roles)?;
        let act = Act::new(caller.user, unix_ms());
        let reordered = self.store.reorder_roles(guild, params.roles, act).await;
        reordered.map_err(|error| refuse::role(&error))?;
        Ok(Done {})
    }

    /// Those that move stood below the caller's highest role, and still do.
    fn may_reorder(&self, at: &InGuild, guild: GuildId, order: &[RoleId]) -> Result<(), Failure> {
        for (position, role) in (1..).zip(order) {
            let old = self
                .role_position(guild, *role)
                .ok_or_else(|| words::not_found("role"))?;
            if old != position && old.max(position) >= at.rank {
                return Err(forbidden(
                    "You can only move roles below your own highest role.",
                ));
            }
        }
        Ok(())
    }

    pub async fn explain_permissions(
        &self,
        caller: &Caller,
        params: ExplainPermissions,
    ) -> Result<Explained, Failure> {
        let (guild, channel) = (params.guild_id, params.channel_id);
        let needs = match params.of {
            ExplainFor::User(user) if user == caller.user => Permissions::NONE,
            _ => Permissions::MANAGE_ROLES,
        };
        self.in_guild(caller, guild, needs)?;
        let kind = match channel {
            Some(channel) => {
                let at = self.in_channel_of(caller, guild, channel, Permissions::NONE)?;
                Some(at.kind)
            }
            None => None,
        };
        let sees = self
            .hub
            .read(|live| live.judge(guild, caller.user, channel, unix_ms(), sees_category));
        let explained = |subject: &Subject<'_>, layers: &[Layer<'_>]| match sees {
            Some(true) => all(subject, layers, kind),
            _ => all(subject, &without_category_name(layers), kind),
        };
        match params.of {
            ExplainFor::User(user) => self
                .hub
                .read(|live| live.judge(guild, user, channel, unix_ms(), explained))
                .ok_or_else(|| words::not_found("member")),
            ExplainFor::Role(role) => self
                .hub
                .read(|live| live.judge_role(guild, role, channel, explained))
                .ok_or_else(|| words::not_found("role")),
        }
    }
}

/// All that makes sense in a channel of this kind, or in the guild as a whole.
fn all(subject: &Subject<'_>, layers: &[Layer<'_>], kind: Option<ChannelKind>) -> Explained {
    let fitting = kind.map_or(Permissions::ALL, Permissions::of_kind);
    let each = Permissions::EACH.iter().map(|(permission, ..)| *permission);
    let each = each.filter(|permission| fitting.contains(*permission));
    Explained {
        permissions: decide(subject, layers).and(fitting),
        explanations: each
            .map(|permission| explain(subject, layers, permission))
            .collect(),
    }
}
