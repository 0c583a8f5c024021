//! Roles of guilds.

use std::collections::BTreeMap;

use voxhall_protocol::{
    GuildId, RoleId,
    control::{AuditAction, Role},
    limits::MAX_ROLES,
    permissions::Permissions,
};

use super::{
    SqliteStore, audit,
    channels::role_words,
    guilds,
    users::{id, to_sql},
    writer::WriteTx,
};
use crate::{Act, AuditRecord, Change, NewRole, RoleError, RoleUpdate, Roles, StoreError};

impl Roles for SqliteStore {
    async fn create_role(&self, guild: GuildId, new: NewRole, act: Act) -> Result<Role, RoleError> {
        self.write(move |tx| create(tx, guild, new, &act)).await
    }

    async fn update_role(
        &self,
        guild: GuildId,
        role: RoleId,
        update: RoleUpdate,
        act: Act,
    ) -> Result<Role, RoleError> {
        self.write(move |tx| self::update(tx, guild, role, update, &act))
            .await
    }

    async fn delete_role(&self, guild: GuildId, role: RoleId, act: Act) -> Result<(), RoleError> {
        self.write(move |tx| delete(tx, guild, role, &act)).await
    }

    async fn reorder_roles(
        &self,
        guild: GuildId,
        roles: Vec<RoleId>,
        act: Act,
    ) -> Result<(), RoleError> {
        self.write(move |tx| reorder(tx, guild, &roles, &act)).await
    }
}

fn create(tx: &WriteTx<'_>, guild: GuildId, new: NewRole, act: &Act) -> Result<Role, RoleError> {
    let roles = guilds::read_roles(tx, guild)?;
    if roles.is_empty() {
        return Err(RoleError::NoGuild);
    }
    if roles.len() >= MAX_ROLES {
        return Err(RoleError::TooMany);
    }
    // The highest first: nobody is above anyone that they weren't above before, in between.
    for role in roles.iter().skip(1).rev() {
        move_to(tx, guild, role, role.position + 1)?;
    }
    let mut role = Role {
        id: RoleId(0),
        name: new.name,
        color: new.color,
        position: 1,
        permissions: new.permissions,
        hoist: false,
        mentionable: false,
    };
    let number = tx
        .prepare_cached(
            "INSERT INTO roles (guild_id, name, color, position, permissions) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
        )?
        .query_row(
            (
                to_sql(guild.0),
                &role.name,
                role.color,
                role.position,
                role.permissions.0.cast_signed(),
            ),
            |row| id(row, 0),
        )?;
    role.id = RoleId(number);
    let record = AuditRecord::new(AuditAction::RoleCreated, &role.name);
    let record = permission_changes(record, Permissions::NONE, role.permissions);
    audit::record(tx, guild, act, &record)?;
    saved(tx, guild, &role);
    Ok(role)
}

fn update(
    tx: &WriteTx<'_>,
    guild: GuildId,
    role: RoleId,
    update: RoleUpdate,
    act: &Act,
) -> Result<Role, RoleError> {
    let before = find(&guilds::read_roles(tx, guild)?, role)?.clone();
    let mut after = before.clone();
    after.name = update.name.unwrap_or(after.name);
    after.permissions = update.permissions.unwrap_or(after.permissions);
    after.color = update.color.unwrap_or(after.color);
    after.hoist = update.hoist.unwrap_or(after.hoist);
    after.mentionable = update.mentionable.unwrap_or(after.mentionable);
    if before == after {
        return Ok(after);
    }
    if before.position == 0 && before.name != after.name {
        return Err(RoleError::Everyone);
    }
    tx.prepare_cached(
        "UPDATE roles SET name = ?2, permissions = ?3, color = ?4, hoist = ?5, mentionable = ?6 WHERE id = ?1",
    )?
    .execute((
        to_sql(role.0),
        &after.name,
        after.permissions.0.cast_signed(),
        after.color,
        after.hoist,
        after.mentionable,
    ))?;
    let color = |color: Option<u32>| color.map(|color| format!("#{color:06x}"));
    let record = AuditRecord::new(AuditAction::RoleUpdated, role_words(&before))
        .change("name", Some(before.name), Some(after.name.clone()))
        .change("color", color(before.color), color(after.color))
        .change(
            "listed apart",
            yes_or_no(before.hoist),
            yes_or_no(after.hoist),
        )
        .change(
            "mentionable",
            yes_or_no(before.mentionable),
            yes_or_no(after.mentionable),
        );
    let record = permission_changes(record, before.permissions, after.permissions);
    audit::record(tx, guild, act, &record)?;
    saved(tx, guild, &after);
    Ok(after)
}

fn delete(tx: &WriteTx<'_>, guild: GuildId, role: RoleId, act: &Act) -> Result<(), RoleError> {
    let roles = guilds::read_roles(tx, guild)?;
    let gone = find(&roles, role)?;
    if gone.position == 0 {
        return Err(RoleError::Everyone);
    }
    tx.prepare_cached("DELETE FROM roles WHERE id = ?1")?
        .execute([to_sql(role.0)])?;
    let record = AuditRecord::new(AuditAction::RoleDeleted, &gone.name);
    let record = permission_changes(record, gone.permissions, Permissions::NONE);
    audit::record(tx, guild, act, &record)?;
    tx.changed(Change::RoleDeleted { guild, role });
    // No gap stays: who orders roles counts them from the lowest, and must not seem to move those above their own. The lowest first:
    // nobody is above anyone that they weren't above before, in between.
    let left = roles.iter().skip(1).filter(|other| other.id != role);
    for (position, other) in (1..).zip(left) {
        if other.position != position {
            move_to(tx, guild, other, position)?;
        }
    }
    Ok(())
}

fn reorder(tx: &WriteTx<'_>, guild: GuildId, order: &[RoleId], act: &Act) -> Result<(), RoleError> {
    let roles = guilds::read_roles(tx, guild)?;
    let mut left: BTreeMap<_, _> = roles.iter().skip(1).map(|role| (role.id, role)).collect();
    let mut moved = Vec::new();
    for (position, id) in (1..).zip(order) {
        let role = left.remove(id).ok_or(RoleError::NotAll)?;
        if role.position != position {
            moved.push((role, position));
        }
    }
    if !left.is_empty() {
        return Err(RoleError::NotAll);
    }
    for (role, position) in moved {
        move_to(tx, guild, role, position)?;
        let record = AuditRecord::new(AuditAction::RoleUpdated, &role.name).change(
            "position",
            Some(role.position.to_string()),
            Some(position.to_string()),
        );
        audit::record(tx, guild, act, &record)?;
    }
    Ok(())
}

fn move_to(tx: &WriteTx<'_>, guild: GuildId, role: &Role, position: u32) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE roles SET position = ?2 WHERE id = ?1")?
        .execute((to_sql(role.id.0), position))?;
    let moved = Role {
        position,
        ..role.clone()
    };
    saved(tx, guild, &moved);
    Ok(())
}

fn saved(tx: &WriteTx<'_>, guild: GuildId, role: &Role) {
    let role = role.clone();
    tx.changed(Change::RoleSaved { guild, role });
}

fn find(roles: &[Role], id: RoleId) -> Result<&Role, RoleError> {
    let found = roles.iter().find(|role| role.id == id);
    found.ok_or(RoleError::NoRole)
}

fn permission_changes(record: AuditRecord, before: Permissions, after: Permissions) -> AuditRecord {
    Permissions::EACH
        .iter()
        .fold(record, |record, (permission, _, name)| {
            record.change(
                *name,
                yes_or_no(before.contains(*permission)),
                yes_or_no(after.contains(*permission)),
            )
        })
}

pub(super) fn yes_or_no(yes: bool) -> Option<String> {
    Some(if yes { "yes" } else { "no" }.to_owned())
}
