//! Guilds as a whole.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row};
use voxhall_protocol::{
    ChannelId, FileId, GuildId, RoleId, UserId,
    control::{
        AdminGuild, AuditAction, Channel, ChannelKind, GuildInfo, Overwrite, OverwriteTarget, Role,
        UnixMs,
    },
    limits::MAX_GUILDS_OF_USER,
    permissions::Permissions,
};

use super::{
    SqliteStore, audit, members, settings,
    users::{self, id, optional_id, to_sql, user_by_id},
    writer::WriteTx,
};
use crate::{
    Act, AuditRecord, Change, DefaultGuild, FoundGuild, GuildError, GuildRecord, GuildUpdate,
    Guilds, MemberRecord, NewChannel, NewGuild, StoreError,
};

const DEFAULT_INVITE: &str = "default_guild.invite";
pub(super) const DEFAULT_OWNER_INVITE: &str = "default_guild.owner_invite";

/// What a new guild has beside @everyone.
const FIRST_ROLE: &str = "Moderator";

impl Guilds for SqliteStore {
    async fn default_guild(&self, new: NewGuild) -> Result<DefaultGuild, StoreError> {
        self.write(move |c| {
            let guild = match default_guild(c)? {
                Some(guild) => guild,
                None => found_default(c, &new)?,
            };
            let invite_code = match code(c, DEFAULT_INVITE)? {
                Some(code) if invite_is_there(c, &code)? => code,
                // It was revoked.
                _ => {
                    insert_invite(c, guild, DEFAULT_INVITE, &new.invite_code, None, new.now)?;
                    new.invite_code
                }
            };
            let owner_code = code(c, DEFAULT_OWNER_INVITE)?.unwrap_or_default();
            let unused = c
                .query_row(
                    "SELECT 1 FROM invites WHERE code = ?1 AND uses < max_uses",
                    [&owner_code],
                    |_| Ok(()),
                )
                .optional()?;
            Ok(DefaultGuild {
                id: guild,
                invite_code,
                owner_code: unused.map(|()| owner_code),
            })
        })
        .await
    }

    async fn guilds(&self) -> Result<Vec<GuildRecord>, StoreError> {
        self.load(|c| {
            let ids: Vec<u64> = c
                .prepare_cached("SELECT id FROM guilds ORDER BY id")?
                .query_map([], |row| id(row, 0))?
                .collect::<Result<_, _>>()?;
            ids.into_iter()
                .map(|guild| Ok(read_guild(c, GuildId(guild))?))
                .collect()
        })
        .await
    }

    async fn list_guilds(&self) -> Result<Vec<AdminGuild>, StoreError> {
        self.search(|c| Ok(list(c)?)).await
    }

    async fn create_guild(&self, new: FoundGuild) -> Result<GuildRecord, GuildError> {
        self.write(move |tx| {
            if !users::exists(tx, new.owner)? {
                return Err(GuildError::NoUser);
            }
            if count_guilds_of(tx, new.owner)? >= MAX_GUILDS_OF_USER {
                return Err(GuildError::TooManyGuilds);
            }
            let guild = found(tx, &new.name, Some(new.owner), &new.channels, new.now)?;
            tx.prepare_cached(
                "INSERT INTO members (guild_id, user_id, joined_at_ms) VALUES (?1, ?2, ?3)",
            )?
            .execute((to_sql(guild.0), to_sql(new.owner.0), new.now))?;
            let act = Act::new(new.owner, new.now);
            let record = AuditRecord::new(AuditAction::GuildCreated, &new.name);
            audit::record(tx, guild, &act, &record)?;
            let record = read_guild(tx, guild)?;
            tx.changed(Change::GuildCreated(Box::new(record.clone())));
            Ok(record)
        })
        .await
    }

    async fn update_guild(
        &self,
        guild: GuildId,
        update: GuildUpdate,
        act: Act,
    ) -> Result<GuildInfo, GuildError> {
        self.write(move |tx| self::update(tx, guild, update, &act))
            .await
    }

    async fn delete_guild(&self, guild: GuildId) -> Result<(), GuildError> {
        self.write(move |tx| {
            if default_guild(tx)? == Some(guild) {
                return Err(GuildError::IsDefault);
            }
            let deleted = tx
                .prepare_cached("DELETE FROM guilds WHERE id = ?1")?
                .execute([to_sql(guild.0)])?;
            if deleted == 0 {
                return Err(GuildError::NoGuild);
            }
            tx.changed(Change::GuildDeleted(guild));
            Ok(())
        })
        .await
    }

    async fn transfer_guild(
        &self,
        guild: GuildId,
        to: UserId,
        act: Act,
    ) -> Result<GuildInfo, GuildError> {
        self.write(move |tx| {
            info(tx, guild)?;
            if !members::is_member(tx, guild, to)? {
                return Err(GuildError::NotAMember);
            }
            Ok(set_owner(tx, guild, to, &act)?)
        })
        .await
    }
}

fn info(c: &Connection, guild: GuildId) -> Result<GuildInfo, GuildError> {
    read_info(c, guild).optional()?.ok_or(GuildError::NoGuild)
}

fn update(
    tx: &WriteTx<'_>,
    guild: GuildId,
    update: GuildUpdate,
    act: &Act,
) -> Result<GuildInfo, GuildError> {
    let before = info(tx, guild)?;
    let mut after = before.clone();
    after.name = update.name.unwrap_or(after.name);
    after.description = update.description.unwrap_or(after.description);
    after.icon = update.icon.unwrap_or(after.icon);
    if before == after {
        return Ok(after);
    }
    if let Some(icon) = after.icon
        && before.icon != after.icon
    {
        let by = act.by.ok_or(GuildError::NoPicture)?;
        if !users::owns_picture(tx, by, icon)? {
            return Err(GuildError::NoPicture);
        }
    }
    tx.prepare_cached("UPDATE guilds SET name = ?2, description = ?3, icon = ?4 WHERE id = ?1")?
        .execute((
            to_sql(guild.0),
            &after.name,
            &after.description,
            after.icon.map(|icon| to_sql(icon.0)),
        ))?;
    let has = |icon: Option<FileId>| icon.map(|icon| icon.to_string());
    let record = AuditRecord::new(AuditAction::GuildUpdated, &before.name)
        .change("name", Some(before.name), Some(after.name.clone()))
        .change(
            "description",
            Some(before.description),
            Some(after.description.clone()),
        )
        .change("icon", has(before.icon), has(after.icon));
    audit::record(tx, guild, act, &record)?;
    tx.changed(Change::GuildUpdated(after.clone()));
    Ok(after)
}

pub(super) fn set_owner(
    tx: &WriteTx<'_>,
    guild: GuildId,
    owner: UserId,
    act: &Act,
) -> Result<GuildInfo, StoreError> {
    let before = read_info(tx, guild)?;
    if before.owner_id == Some(owner) {
        return Ok(before);
    }
    tx.prepare_cached("UPDATE guilds SET owner_id = ?2 WHERE id = ?1")?
        .execute((to_sql(guild.0), to_sql(owner.0)))?;
    let name = |owner| user_by_id(tx, owner).map(|user| user.name);
    let after = name(owner)?;
    let record = AuditRecord::new(AuditAction::OwnerChanged, &after)
        .user(owner)
        .change("owner", before.owner_id.map(name).transpose()?, Some(after));
    audit::record(tx, guild, act, &record)?;
    let info = GuildInfo {
        owner_id: Some(owner),
        ..before
    };
    tx.changed(Change::GuildUpdated(info.clone()));
    Ok(info)
}

fn list(c: &Connection) -> rusqlite::Result<Vec<AdminGuild>> {
    let mut statement = c.prepare_cached(
        "SELECT g.id, g.name, g.owner_id, g.created_at_ms,
                (SELECT count(*) FROM members m WHERE m.guild_id = g.id),
                (SELECT count(*) FROM channels c WHERE c.guild_id = g.id),
                (SELECT count(*) FROM messages m JOIN channels c ON c.id = m.channel_id WHERE c.guild_id = g.id)
         FROM guilds g ORDER BY g.id",
    )?;
    let mut rows = statement.query([])?;
    let mut guilds = Vec::new();
    while let Some(row) = rows.next()? {
        let guild = GuildId(id(row, 0)?);
        let owner = optional_id(row, 2)?.map(UserId);
        guilds.push(AdminGuild {
            id: guild,
            name: row.get(1)?,
            owner: owner.map(|owner| user_by_id(c, owner)).transpose()?,
            created_at_ms: row.get(3)?,
            members: row.get(4)?,
            channels: row.get(5)?,
            messages: id(row, 6)?,
            roles: read_roles(c, guild)?,
        });
    }
    Ok(guilds)
}

/// In how many guilds someone is.
pub(super) fn count_guilds_of(c: &Connection, user: UserId) -> rusqlite::Result<usize> {
    c.prepare_cached("SELECT count(*) FROM members WHERE user_id = ?1")?
        .query_row([to_sql(user.0)], |row| id(row, 0))
        .map(|count| usize::try_from(count).unwrap_or(usize::MAX))
}

pub(super) fn default_guild(c: &Connection) -> rusqlite::Result<Option<GuildId>> {
    c.prepare_cached("SELECT id FROM guilds WHERE is_default")?
        .query_row([], |row| id(row, 0).map(GuildId))
        .optional()
}

fn code(c: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    settings::get(c, key)?
        .map(String::from_utf8)
        .transpose()
        .map_err(|_| StoreError::Failed(format!("the setting {key} is damaged")))
}

fn invite_is_there(c: &Connection, code: &str) -> rusqlite::Result<bool> {
    c.query_row(
        "SELECT EXISTS (SELECT 1 FROM invites WHERE code = ?1)",
        [code],
        |row| row.get(0),
    )
}

fn found_default(c: &Connection, new: &NewGuild) -> rusqlite::Result<GuildId> {
    let guild = found(c, &new.name, None, &new.channels, new.now)?;
    c.execute(
        "UPDATE guilds SET is_default = 1 WHERE id = ?1",
        [to_sql(guild.0)],
    )?;
    insert_invite(c, guild, DEFAULT_INVITE, &new.invite_code, None, new.now)?;
    insert_invite(
        c,
        guild,
        DEFAULT_OWNER_INVITE,
        &new.owner_code,
        Some(1),
        new.now,
    )?;
    Ok(guild)
}

/// One that is used up makes its user the owner.
fn insert_invite(
    c: &Connection,
    guild: GuildId,
    key: &str,
    code: &str,
    max_uses: Option<u32>,
    now: UnixMs,
) -> rusqlite::Result<()> {
    c.execute(
        "INSERT INTO invites (code, guild_id, max_uses, makes_owner, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        (code, to_sql(guild.0), max_uses, max_uses.is_some(), now),
    )?;
    settings::put(c, key, code.as_bytes())
}

/// A guild with its first channels and roles.
fn found(
    c: &Connection,
    name: &str,
    owner: Option<UserId>,
    channels: &[NewChannel],
    now: UnixMs,
) -> rusqlite::Result<GuildId> {
    let guild = c.query_row(
        "INSERT INTO guilds (name, owner_id, created_at_ms) VALUES (?1, ?2, ?3) RETURNING id",
        (name, owner.map(|owner| to_sql(owner.0)), now),
        |row| id(row, 0),
    )?;
    for (position, channel) in (0_u32..).zip(channels) {
        c.execute(
            "INSERT INTO channels (guild_id, name, kind, position, bitrate_bps) VALUES (?1, ?2, ?3, ?4, ?5)",
            (
                to_sql(guild),
                &channel.name,
                kind_text(channel.kind),
                position,
                channel.bitrate_bps,
            ),
        )?;
    }
    let roles = [
        ("everyone", Permissions::DEFAULT_EVERYONE, false),
        (FIRST_ROLE, Permissions::DEFAULT_MODERATOR, true),
    ];
    for (position, (name, permissions, hoist)) in (0_u32..).zip(roles) {
        c.execute(
            "INSERT INTO roles (guild_id, name, position, permissions, hoist) VALUES (?1, ?2, ?3, ?4, ?5)",
            (to_sql(guild), name, position, permissions.0.cast_signed(), hoist),
        )?;
    }
    Ok(GuildId(guild))
}

pub(super) fn read_guild(c: &Connection, guild: GuildId) -> rusqlite::Result<GuildRecord> {
    Ok(GuildRecord {
        info: read_info(c, guild)?,
        roles: read_roles(c, guild)?,
        channels: read_channels(c, guild)?,
        members: read_members(c, guild)?,
    })
}

pub(super) fn read_info(c: &Connection, guild: GuildId) -> rusqlite::Result<GuildInfo> {
    c.prepare_cached("SELECT name, description, icon, owner_id FROM guilds WHERE id = ?1")?
        .query_row([to_sql(guild.0)], |row| {
            Ok(GuildInfo {
                id: guild,
                name: row.get(0)?,
                description: row.get(1)?,
                icon: optional_id(row, 2)?.map(FileId),
                owner_id: optional_id(row, 3)?.map(UserId),
            })
        })
}

/// @everyone first, then upwards.
pub(super) fn read_roles(c: &Connection, guild: GuildId) -> rusqlite::Result<Vec<Role>> {
    c.prepare_cached(
        "SELECT id, name, color, position, permissions, hoist, mentionable FROM roles WHERE guild_id = ?1 ORDER BY position, id",
    )?
    .query_map([to_sql(guild.0)], |row| {
        Ok(Role {
            id: RoleId(id(row, 0)?),
            name: row.get(1)?,
            color: row.get(2)?,
            position: row.get(3)?,
            permissions: permissions(row, 4)?,
            hoist: row.get(5)?,
            mentionable: row.get(6)?,
        })
    })?
    .collect()
}

pub(super) fn read_channels(c: &Connection, guild: GuildId) -> rusqlite::Result<Vec<Channel>> {
    let mut overwrites = read_overwrites(c, guild)?;
    c.prepare_cached(
        "SELECT id, name, kind, position, category_id, topic, slow_mode_s, retention_days, user_limit, bitrate_bps
         FROM channels WHERE guild_id = ?1 ORDER BY position, id",
    )?
    .query_map([to_sql(guild.0)], |row| {
        let id = ChannelId(id(row, 0)?);
        Ok(Channel {
            id,
            name: row.get(1)?,
            kind: kind_of(row.get_ref(2)?.as_str()?),
            position: row.get(3)?,
            category_id: optional_id(row, 4)?.map(ChannelId),
            topic: row.get(5)?,
            slow_mode_s: row.get(6)?,
            retention_days: row.get(7)?,
            user_limit: row.get(8)?,
            bitrate_bps: row.get(9)?,
            overwrites: overwrites.remove(&id).unwrap_or_default(),
        })
    })?
    .collect()
}

fn read_overwrites(
    c: &Connection,
    guild: GuildId,
) -> rusqlite::Result<BTreeMap<ChannelId, Vec<Overwrite>>> {
    let mut statement = c.prepare_cached(
        "SELECT o.channel_id, o.role_id, o.user_id, o.allow, o.deny FROM channels c CROSS JOIN overwrites o ON o.channel_id = c.id
         WHERE c.guild_id = ?1 ORDER BY o.channel_id, o.role_id, o.user_id",
    )?;
    let mut rows = statement.query([to_sql(guild.0)])?;
    let mut overwrites = BTreeMap::<_, Vec<_>>::new();
    while let Some(row) = rows.next()? {
        let target = match optional_id(row, 1)? {
            Some(role) => OverwriteTarget::Role(RoleId(role)),
            None => OverwriteTarget::Member(UserId(id(row, 2)?)),
        };
        let overwrite = Overwrite {
            target,
            allow: permissions(row, 3)?,
            deny: permissions(row, 4)?,
        };
        let channel = ChannelId(id(row, 0)?);
        overwrites.entry(channel).or_default().push(overwrite);
    }
    Ok(overwrites)
}

fn read_members(c: &Connection, guild: GuildId) -> rusqlite::Result<Vec<MemberRecord>> {
    let mut roles = BTreeMap::<u64, Vec<RoleId>>::new();
    let mut statement = c.prepare_cached(
        "SELECT user_id, role_id FROM member_roles WHERE guild_id = ?1 ORDER BY user_id, role_id",
    )?;
    let mut rows = statement.query([to_sql(guild.0)])?;
    while let Some(row) = rows.next()? {
        roles
            .entry(id(row, 0)?)
            .or_default()
            .push(RoleId(id(row, 1)?));
    }
    c.prepare_cached(&format!("{MEMBER} WHERE guild_id = ?1 ORDER BY user_id"))?
        .query_map([to_sql(guild.0)], |row| {
            let mut member = member(row)?;
            member.roles = roles.remove(&member.user.0).unwrap_or_default();
            Ok(member)
        })?
        .collect()
}

const MEMBER: &str = "SELECT user_id, nick, joined_at_ms, timeout_until_ms, server_muted, server_deafened FROM members";

fn member(row: &Row<'_>) -> rusqlite::Result<MemberRecord> {
    Ok(MemberRecord {
        user: UserId(id(row, 0)?),
        nick: row.get(1)?,
        roles: Vec::new(),
        joined_at_ms: row.get(2)?,
        timeout_until_ms: row.get(3)?,
        server_muted: row.get(4)?,
        server_deafened: row.get(5)?,
    })
}

/// None: not a member.
pub(super) fn read_member(
    c: &Connection,
    guild: GuildId,
    user: UserId,
) -> rusqlite::Result<Option<MemberRecord>> {
    let key = (to_sql(guild.0), to_sql(user.0));
    let member = c
        .prepare_cached(&format!("{MEMBER} WHERE guild_id = ?1 AND user_id = ?2"))?
        .query_row(key, member)
        .optional()?;
    let Some(mut member) = member else {
        return Ok(None);
    };
    member.roles = c
        .prepare_cached(
            "SELECT role_id FROM member_roles WHERE guild_id = ?1 AND user_id = ?2 ORDER BY role_id",
        )?
        .query_map(key, |row| id(row, 0).map(RoleId))?
        .collect::<Result<_, _>>()?;
    Ok(Some(member))
}

pub(super) fn count_members(c: &Connection, guild: GuildId) -> rusqlite::Result<u32> {
    c.prepare_cached("SELECT count(*) FROM members WHERE guild_id = ?1")?
        .query_row([to_sql(guild.0)], |row| row.get(0))
}

fn permissions(row: &Row<'_>, column: usize) -> rusqlite::Result<Permissions> {
    Ok(Permissions(id(row, column)?))
}

pub(super) fn kind_text(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Text => "text",
        ChannelKind::Voice => "voice",
        ChannelKind::Stage => "stage",
        ChannelKind::Category => "category",
        ChannelKind::Direct => "direct",
        ChannelKind::Group => "group",
    }
}

/// Of what [`kind_text`] gave; the table takes nothing else.
pub(super) fn kind_of(text: &str) -> ChannelKind {
    match text {
        "voice" => ChannelKind::Voice,
        "stage" => ChannelKind::Stage,
        "category" => ChannelKind::Category,
        "direct" => ChannelKind::Direct,
        "group" => ChannelKind::Group,
        _ => ChannelKind::Text,
    }
}
