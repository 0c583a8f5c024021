use rusqlite::{Connection, OptionalExtension};
use voxhall_protocol::{
    ChannelId, GuildId, UserId,
    control::{Channel, ChannelKind, GuildInfo},
};

use super::{
    SqliteStore,
    accounts::{id, to_sql},
    settings,
};
use crate::{DefaultGuild, GuildRecord, Guilds, MemberRecord, NewGuild, StoreError};

const DEFAULT_INVITE: &str = "default_guild.invite";
const DEFAULT_OWNER_INVITE: &str = "default_guild.owner_invite";

impl Guilds for SqliteStore {
    async fn default_guild(&self, new: NewGuild) -> Result<DefaultGuild, StoreError> {
        self.run(move |c| {
            if settings::get(c, DEFAULT_INVITE)?.is_none() {
                found(c, &new)?;
            }
            let code = |key| -> Result<String, StoreError> {
                let bytes = settings::get(c, key)?.unwrap_or_default();
                String::from_utf8(bytes)
                    .map_err(|_| StoreError::Failed(format!("the setting {key} is damaged")))
            };
            let invite_code = code(DEFAULT_INVITE)?;
            let owner_code = code(DEFAULT_OWNER_INVITE)?;
            let guild = c.query_row(
                "SELECT guild_id FROM invites WHERE code = ?1",
                [&invite_code],
                |row| id(row, 0),
            )?;
            let unused = c
                .query_row(
                    "SELECT 1 FROM invites WHERE code = ?1 AND uses < max_uses",
                    [&owner_code],
                    |_| Ok(()),
                )
                .optional()?;
            Ok(DefaultGuild {
                id: GuildId(guild),
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

fn found(c: &Connection, new: &NewGuild) -> rusqlite::Result<()> {
    let guild = c.query_row(
        "INSERT INTO guilds (name, created_at_ms) VALUES (?1, ?2) RETURNING id",
        (&new.name, new.now),
        |row| id(row, 0),
    )?;
    for (position, channel) in (0_u32..).zip(&new.channels) {
        let kind = match channel.kind {
            ChannelKind::Text => "text",
            _ => "voice",
        };
        c.execute(
            "INSERT INTO channels (guild_id, name, kind, position, bitrate_bps) VALUES (?1, ?2, ?3, ?4, ?5)",
            (to_sql(guild), &channel.name, kind, position, channel.bitrate_bps),
        )?;
    }
    for (key, code, max_uses) in [
        (DEFAULT_INVITE, &new.invite_code, None),
        (DEFAULT_OWNER_INVITE, &new.owner_code, Some(1)),
    ] {
        c.execute(
            "INSERT INTO invites (code, guild_id, max_uses, makes_owner, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            (code, to_sql(guild), max_uses, max_uses.is_some(), new.now),
        )?;
        settings::put(c, key, code.as_bytes())?;
    }
    Ok(())
}

fn read_guild(c: &Connection, guild: GuildId) -> rusqlite::Result<GuildRecord> {
    let channels = c
        .prepare_cached(
            "SELECT id, name, kind, position, topic, bitrate_bps FROM channels WHERE guild_id = ?1 ORDER BY position, id",
        )?
        .query_map([to_sql(guild.0)], |row| {
            Ok(Channel {
                id: ChannelId(id(row, 0)?),
                name: row.get(1)?,
                kind: match row.get_ref(2)?.as_str()? {
                    "voice" => ChannelKind::Voice,
                    _ => ChannelKind::Text,
                },
                position: row.get(3)?,
                topic: row.get(4)?,
                bitrate_bps: row.get(5)?,
                category_id: None,
                slow_mode_s: 0,
                retention_days: 0,
                user_limit: 0,
                overwrites: Vec::new(),
            })
        })?
        .collect::<Result<_, _>>()?;
    c.prepare_cached("SELECT name, owner_id FROM guilds WHERE id = ?1")?
        .query_row([to_sql(guild.0)], |row| {
            Ok(GuildRecord {
                info: GuildInfo {
                    id: guild,
                    name: row.get(0)?,
                    description: String::new(),
                    icon: None,
                    owner_id: row
                        .get::<_, Option<i64>>(1)?
                        .map(|owner| UserId(owner.cast_unsigned())),
                },
                roles: Vec::new(),
                channels,
                members: read_members(c, guild)?,
            })
        })
}

fn read_members(c: &Connection, guild: GuildId) -> rusqlite::Result<Vec<MemberRecord>> {
    c.prepare_cached(
        "SELECT user_id, joined_at_ms FROM members WHERE guild_id = ?1 ORDER BY user_id",
    )?
    .query_map([to_sql(guild.0)], |row| {
        Ok(MemberRecord {
            user: UserId(id(row, 0)?),
            nick: None,
            roles: Vec::new(),
            joined_at_ms: row.get(1)?,
            timeout_until_ms: None,
            server_muted: false,
            server_deafened: false,
        })
    })?
    .collect()
}

pub(super) fn count_members(c: &Connection, guild: GuildId) -> rusqlite::Result<u32> {
    c.prepare_cached("SELECT count(*) FROM members WHERE guild_id = ?1")?
        .query_row([to_sql(guild.0)], |row| row.get(0))
}
