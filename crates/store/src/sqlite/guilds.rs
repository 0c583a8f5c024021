//! Guilds as a whole.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row};
use voxhall_protocol::{
    ChannelId, FileId, GuildId, RoleId, UserId,
    control::{Channel, ChannelKind, GuildInfo, Overwrite, OverwriteTarget, Role, UnixMs},
    permissions::Permissions,
};

use super::{
    SqliteStore,
    accounts::{id, to_sql},
    settings,
};
use crate::{DefaultGuild, GuildRecord, Guilds, MemberRecord, NewChannel, NewGuild, StoreError};

const DEFAULT_INVITE: &str = "default_guild.invite";
const DEFAULT_OWNER_INVITE: &str = "default_guild.owner_invite";

/// What a new guild has beside @everyone.
const FIRST_ROLE: &str = "Moderator";

impl Guilds for SqliteStore {
    async fn default_guild(&self, new: NewGuild) -> Result<DefaultGuild, StoreError> {
        self.run(move |c| {
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
        self.run(|c| {
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
}

fn default_guild(c: &Connection) -> rusqlite::Result<Option<GuildId>> {
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
    c.execute("UPDATE guilds SET is_default = 1 WHERE id = ?1", [to_sql(guild.0)])?;
    insert_invite(c, guild, DEFAULT_INVITE, &new.invite_code, None, new.now)?;
    insert_invite(c, guild, DEFAULT_OWNER_INVITE, &new.owner_code, Some(1), new.now)?;
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
        "SELECT o.channel_id, o.role_id, o.user_id, o.allow, o.deny FROM channels c JOIN overwrites o ON o.channel_id = c.id
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
        roles.entry(id(row, 0)?).or_default().push(RoleId(id(row, 1)?));
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

pub(super) fn count_members(c: &Connection, guild: GuildId) -> rusqlite::Result<u32> {
    c.prepare_cached("SELECT count(*) FROM members WHERE guild_id = ?1")?
        .query_row([to_sql(guild.0)], |row| row.get(0))
}

pub(super) fn optional_id(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(i64::cast_unsigned))
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
