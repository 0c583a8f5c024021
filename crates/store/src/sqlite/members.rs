//! Members of guilds: who is one, and what moderators do to them.

use std::collections::BTreeMap;

use rusqlite::Connection;
use voxhall_protocol::{
    ChannelId, GuildId, MessageId, RoleId, UserId,
    control::{AuditAction, Ban, UnixMs},
    limits::{MAX_GUILD_MEMBERS, MAX_GUILDS_OF_USER},
    time::utc_words,
};

use super::{
    SqliteStore, audit, guilds,
    roles::yes_or_no,
    users::{self, id, optional_id, to_sql, user_by_id},
    writer::WriteTx,
};
use crate::{
    ADDRESS_KEPT_MS, Act, AddressHash, AuditRecord, Change, InviteError, LISTED_BANS,
    MAX_ADDRESSES, MAX_BANS, MemberError, MemberRecord, MemberUpdate, Members, NewBan, Removal,
    StoreError,
};

/// Ids in one change, so that the event fits into one message.
const DELETED_TOGETHER: usize = 1_000;

impl Members for SqliteStore {
    async fn leave_guild(&self, guild: GuildId, user: UserId) -> Result<(), MemberError> {
        self.write(move |tx| {
            read(tx, guild, user)?;
            not_the_owner(tx, guild, user)?;
            Ok(remove_member(tx, guild, user, Removal::Left)?)
        })
        .await
    }

    async fn update_member(
        &self,
        guild: GuildId,
        user: UserId,
        update: MemberUpdate,
        act: Act,
    ) -> Result<MemberRecord, MemberError> {
        self.write(move |tx| {
            let before = read(tx, guild, user)?;
            let mut after = before.clone();
            after.nick = update.nick.unwrap_or(after.nick);
            if let Some(mut roles) = update.roles {
                roles.sort_unstable();
                roles.dedup();
                after.roles = roles;
            }
            save(tx, guild, &before, &after, &act)?;
            Ok(after)
        })
        .await
    }

    async fn give_role(
        &self,
        guild: GuildId,
        user: UserId,
        role: RoleId,
        given: bool,
        act: Act,
    ) -> Result<MemberRecord, MemberError> {
        self.write(move |tx| {
            let before = read(tx, guild, user)?;
            let mut after = before.clone();
            after.roles.retain(|other| *other != role);
            if given {
                after.roles.push(role);
                after.roles.sort_unstable();
            }
            save(tx, guild, &before, &after, &act)?;
            Ok(after)
        })
        .await
    }

    async fn kick_member(&self, guild: GuildId, user: UserId, act: Act) -> Result<(), MemberError> {
        self.write(move |tx| {
            read(tx, guild, user)?;
            not_the_owner(tx, guild, user)?;
            let name = user_by_id(tx, user)?.name;
            let record = AuditRecord::new(AuditAction::MemberKicked, name).user(user);
            audit::record(tx, guild, &act, &record)?;
            let reason = act.reason;
            Ok(remove_member(tx, guild, user, Removal::Kicked { reason })?)
        })
        .await
    }

    async fn ban_member(&self, guild: GuildId, ban: NewBan, act: Act) -> Result<(), MemberError> {
        self.write(move |tx| self::ban(tx, guild, &ban, act)).await
    }

    async fn unban_member(
        &self,
        guild: GuildId,
        user: UserId,
        act: Act,
    ) -> Result<(), MemberError> {
        self.write(move |tx| {
            let lifted = tx
                .prepare_cached("DELETE FROM guild_bans WHERE guild_id = ?1 AND user_id = ?2")?
                .execute((to_sql(guild.0), to_sql(user.0)))?;
            if lifted == 0 {
                return Err(MemberError::NotBanned);
            }
            let name = user_by_id(tx, user)?.name;
            let record = AuditRecord::new(AuditAction::MemberUnbanned, name).user(user);
            Ok(audit::record(tx, guild, &act, &record)?)
        })
        .await
    }

    async fn time_out_member(
        &self,
        guild: GuildId,
        user: UserId,
        until: Option<UnixMs>,
        act: Act,
    ) -> Result<MemberRecord, MemberError> {
        self.write(move |tx| {
            let before = read(tx, guild, user)?;
            not_the_owner(tx, guild, user)?;
            let mut after = before.clone();
            after.timeout_until_ms = until;
            save(tx, guild, &before, &after, &act)?;
            Ok(after)
        })
        .await
    }

    async fn moderate_voice(
        &self,
        guild: GuildId,
        user: UserId,
        muted: Option<bool>,
        deafened: Option<bool>,
        act: Act,
    ) -> Result<MemberRecord, MemberError> {
        self.write(move |tx| {
            let before = read(tx, guild, user)?;
            let mut after = before.clone();
            after.server_muted = muted.unwrap_or(after.server_muted);
            after.server_deafened = deafened.unwrap_or(after.server_deafened);
            save(tx, guild, &before, &after, &act)?;
            Ok(after)
        })
        .await
    }

    async fn guild_bans(&self, guild: GuildId) -> Result<Vec<Ban>, StoreError> {
        self.read(move |c| Ok(bans(c, guild)?)).await
    }

    async fn saw_address(
        &self,
        user: UserId,
        address: AddressHash,
        now: UnixMs,
    ) -> Result<(), StoreError> {
        let known = self
            .read(move |c| Ok::<_, StoreError>(is_fresh(c, user, address, now)?))
            .await?;
        if known {
            return Ok(());
        }
        self.write(move |c| Ok(note_address(c, user, address, now)?))
            .await
    }
}

/// Makes someone a member who is not banned. False: was one before.
pub(super) fn insert_member(
    tx: &WriteTx<'_>,
    guild: GuildId,
    user: UserId,
    now: UnixMs,
    code: Option<&str>,
) -> Result<bool, InviteError> {
    if is_member(tx, guild, user)? {
        return Ok(false);
    }
    if guilds::count_members(tx, guild)? >= MAX_GUILD_MEMBERS {
        return Err(InviteError::GuildFull);
    }
    if guilds::count_guilds_of(tx, user)? >= MAX_GUILDS_OF_USER {
        return Err(InviteError::TooManyGuilds);
    }
    let key = (to_sql(guild.0), to_sql(user.0));
    tx.prepare_cached(
        "INSERT INTO members (guild_id, user_id, joined_at_ms, invite_code, timeout_until_ms, server_muted, server_deafened)
         SELECT ?1, ?2, ?3, ?4, max(timeout_until_ms), ifnull(max(server_muted), 0), ifnull(max(server_deafened), 0)
         FROM sanctions WHERE guild_id = ?1 AND user_id = ?2",
    )?
    .execute((key.0, key.1, now, code))?;
    tx.prepare_cached("DELETE FROM sanctions WHERE guild_id = ?1 AND user_id = ?2")?
        .execute(key)?;
    member_saved(tx, guild, user)?;
    Ok(true)
}

/// Ends a membership, whoever's it is. What a moderator laid on them comes back with them.
pub(super) fn remove_member(
    tx: &WriteTx<'_>,
    guild: GuildId,
    user: UserId,
    why: Removal,
) -> Result<(), StoreError> {
    let key = (to_sql(guild.0), to_sql(user.0));
    if why != Removal::Deleted {
        tx.prepare_cached(
            "INSERT INTO sanctions (guild_id, user_id, timeout_until_ms, server_muted, server_deafened)
             SELECT guild_id, user_id, timeout_until_ms, server_muted, server_deafened FROM members
             WHERE guild_id = ?1 AND user_id = ?2 AND (timeout_until_ms IS NOT NULL OR server_muted OR server_deafened)",
        )?
        .execute(key)?;
    }
    tx.prepare_cached("DELETE FROM members WHERE guild_id = ?1 AND user_id = ?2")?
        .execute(key)?;
    tx.changed(Change::MemberRemoved { guild, user, why });
    Ok(())
}

pub(super) fn is_member(c: &Connection, guild: GuildId, user: UserId) -> rusqlite::Result<bool> {
    c.prepare_cached("SELECT EXISTS (SELECT 1 FROM members WHERE guild_id = ?1 AND user_id = ?2)")?
        .query_row((to_sql(guild.0), to_sql(user.0)), |row| row.get(0))
}

/// Whether this user, or whoever comes from there, may not join.
pub(super) fn is_banned(
    c: &Connection,
    guild: GuildId,
    user: UserId,
    from: Option<AddressHash>,
) -> rusqlite::Result<bool> {
    c.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM guild_bans WHERE guild_id = ?1 AND user_id = ?2)
             OR EXISTS (SELECT 1 FROM banned_addresses WHERE guild_id = ?1 AND address = ?3)",
    )?
    .query_row(
        (to_sql(guild.0), to_sql(user.0), from.map(|from| from.0)),
        |row| row.get(0),
    )
}

fn read(c: &Connection, guild: GuildId, user: UserId) -> Result<MemberRecord, MemberError> {
    guilds::read_member(c, guild, user)?.ok_or(MemberError::NotAMember)
}

fn not_the_owner(c: &Connection, guild: GuildId, user: UserId) -> Result<(), MemberError> {
    let owner = guilds::read_info(c, guild)?.owner_id;
    if owner == Some(user) {
        return Err(MemberError::IsOwner);
    }
    Ok(())
}

fn member_saved(tx: &WriteTx<'_>, guild: GuildId, user: UserId) -> Result<(), StoreError> {
    if let Some(member) = guilds::read_member(tx, guild, user)? {
        tx.changed(Change::MemberSaved { guild, member });
    }
    Ok(())
}

/// Stores what changed of a member, and writes it down.
fn save(
    tx: &WriteTx<'_>,
    guild: GuildId,
    before: &MemberRecord,
    after: &MemberRecord,
    act: &Act,
) -> Result<(), MemberError> {
    if before == after {
        return Ok(());
    }
    tx.prepare_cached(
        "UPDATE members SET nick = ?3, timeout_until_ms = ?4, server_muted = ?5, server_deafened = ?6 WHERE guild_id = ?1 AND user_id = ?2",
    )?
    .execute((
        to_sql(guild.0),
        to_sql(after.user.0),
        &after.nick,
        after.timeout_until_ms,
        after.server_muted,
        after.server_deafened,
    ))?;
    let until = |until: Option<UnixMs>| until.map(utc_words);
    let changes = [
        (
            AuditAction::MemberUpdated,
            "nickname",
            before.nick.clone(),
            after.nick.clone(),
        ),
        (
            AuditAction::MemberTimedOut,
            "timed out until",
            until(before.timeout_until_ms),
            until(after.timeout_until_ms),
        ),
        (
            AuditAction::VoiceMuted,
            "muted",
            yes_or_no(before.server_muted),
            yes_or_no(after.server_muted),
        ),
        (
            AuditAction::VoiceDeafened,
            "deafened",
            yes_or_no(before.server_deafened),
            yes_or_no(after.server_deafened),
        ),
    ];
    let name = user_by_id(tx, after.user)?.name;
    for (action, field, before, now) in changes {
        let record = AuditRecord::new(action, &name)
            .user(after.user)
            .change(field, before, now);
        if !record.changes.is_empty() {
            audit::record(tx, guild, act, &record)?;
        }
    }
    if before.roles != after.roles {
        save_roles(tx, guild, before, after, &name, act)?;
    }
    Ok(member_saved(tx, guild, after.user)?)
}

fn save_roles(
    tx: &WriteTx<'_>,
    guild: GuildId,
    before: &MemberRecord,
    after: &MemberRecord,
    name: &str,
    act: &Act,
) -> Result<(), MemberError> {
    let mut record = AuditRecord::new(AuditAction::MemberRolesChanged, name).user(after.user);
    let names: BTreeMap<_, _> = guilds::read_roles(tx, guild)?
        .into_iter()
        .filter(|role| role.position > 0)
        .map(|role| (role.id, role.name))
        .collect();
    let name = |role: &RoleId| names.get(role).cloned().ok_or(MemberError::NoRole);
    let key = |role: &RoleId| (to_sql(guild.0), to_sql(after.user.0), to_sql(role.0));
    for role in before
        .roles
        .iter()
        .filter(|role| !after.roles.contains(role))
    {
        tx.prepare_cached(
            "DELETE FROM member_roles WHERE guild_id = ?1 AND user_id = ?2 AND role_id = ?3",
        )?
        .execute(key(role))?;
        record = record.change("role", Some(name(role)?), None);
    }
    for role in after
        .roles
        .iter()
        .filter(|role| !before.roles.contains(role))
    {
        record = record.change("role", None, Some(name(role)?));
        tx.prepare_cached(
            "INSERT INTO member_roles (guild_id, user_id, role_id) VALUES (?1, ?2, ?3)",
        )?
        .execute(key(role))?;
    }
    Ok(audit::record(tx, guild, act, &record)?)
}

fn ban(tx: &WriteTx<'_>, guild: GuildId, ban: &NewBan, act: Act) -> Result<(), MemberError> {
    let user = ban.user;
    if !users::exists(tx, user)? {
        return Err(MemberError::NoUser);
    }
    not_the_owner(tx, guild, user)?;
    let key = (to_sql(guild.0), to_sql(user.0));
    let bans: u32 = tx
        .prepare_cached("SELECT count(*) FROM guild_bans WHERE guild_id = ?1 AND user_id <> ?2")?
        .query_row(key, |row| row.get(0))?;
    if bans >= MAX_BANS {
        return Err(MemberError::TooManyBans);
    }
    // An earlier ban goes with its addresses.
    tx.prepare_cached("DELETE FROM guild_bans WHERE guild_id = ?1 AND user_id = ?2")?
        .execute(key)?;
    tx.prepare_cached(
        "INSERT INTO guild_bans (guild_id, user_id, by_id, reason, at_ms, address) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((
        key.0,
        key.1,
        act.by.map(|by| to_sql(by.0)),
        &act.reason,
        act.now,
        ban.address,
    ))?;
    if ban.address {
        tx.prepare_cached(
            "INSERT INTO banned_addresses (guild_id, user_id, address) SELECT ?1, user_id, address FROM seen_addresses WHERE user_id = ?2",
        )?
        .execute(key)?;
    }
    let mut record =
        AuditRecord::new(AuditAction::MemberBanned, user_by_id(tx, user)?.name).user(user);
    if ban.address {
        record = record.change("addresses", None, yes_or_no(true));
    }
    if let Some(since) = ban.delete_since {
        let deleted = delete_messages(tx, guild, user, since, act.now)?;
        record = record.change("messages deleted", None, Some(deleted.to_string()));
    }
    audit::record(tx, guild, &act, &record)?;
    if is_member(tx, guild, user)? {
        let reason = act.reason;
        remove_member(tx, guild, user, Removal::Banned { reason })?;
    }
    Ok(())
}

/// Deletes what someone wrote since then; how many messages.
fn delete_messages(
    tx: &WriteTx<'_>,
    guild: GuildId,
    user: UserId,
    since: UnixMs,
    now: UnixMs,
) -> Result<usize, StoreError> {
    let mut messages = BTreeMap::<ChannelId, Vec<MessageId>>::new();
    for channel in guilds::read_channels(tx, guild)? {
        let key = (to_sql(channel.id.0), to_sql(user.0), since);
        tx.prepare_cached(
            "INSERT OR IGNORE INTO deleted_messages (author_id, nonce, channel_id, sent_at_ms, deleted_at_ms)
             SELECT author_id, nonce, channel_id, sent_at_ms, ?4 FROM messages WHERE channel_id = ?1 AND author_id = ?2 AND sent_at_ms >= ?3",
        )?
        .execute((key.0, key.1, key.2, now))?;
        let gone: Vec<_> = tx
            .prepare_cached(
                "DELETE FROM messages WHERE channel_id = ?1 AND author_id = ?2 AND sent_at_ms >= ?3 RETURNING id",
            )?
            .query_map(key, |row| id(row, 0).map(MessageId))?
            .collect::<Result<_, _>>()?;
        if !gone.is_empty() {
            messages.insert(channel.id, gone);
        }
    }
    let mut count = 0;
    for (channel, gone) in messages {
        count += gone.len();
        for messages in gone.chunks(DELETED_TOGETHER) {
            let messages = messages.to_vec();
            tx.changed(Change::MessagesDeleted { channel, messages });
        }
    }
    Ok(count)
}

fn bans(c: &Connection, guild: GuildId) -> rusqlite::Result<Vec<Ban>> {
    let mut statement = c.prepare_cached(
        "SELECT user_id, by_id, reason, at_ms, address FROM guild_bans WHERE guild_id = ?1 ORDER BY at_ms DESC, user_id DESC LIMIT ?2",
    )?;
    let mut rows = statement.query((to_sql(guild.0), LISTED_BANS))?;
    let mut bans = Vec::new();
    while let Some(row) = rows.next()? {
        let by = optional_id(row, 1)?.map(UserId);
        bans.push(Ban {
            user: user_by_id(c, UserId(id(row, 0)?))?,
            by: by.map(|by| user_by_id(c, by)).transpose()?,
            reason: row.get(2)?,
            at_ms: row.get(3)?,
            address: row.get(4)?,
        });
    }
    Ok(bans)
}

/// Whether that was noted within a day.
fn is_fresh(
    c: &Connection,
    user: UserId,
    address: AddressHash,
    now: UnixMs,
) -> rusqlite::Result<bool> {
    const DAY_MS: UnixMs = 24 * 60 * 60 * 1_000;
    c.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM seen_addresses WHERE user_id = ?1 AND address = ?2 AND last_seen_ms > ?3)",
    )?
    .query_row((to_sql(user.0), address.0, now - DAY_MS), |row| row.get(0))
}

fn note_address(
    c: &Connection,
    user: UserId,
    address: AddressHash,
    now: UnixMs,
) -> rusqlite::Result<()> {
    c.prepare_cached("DELETE FROM seen_addresses WHERE last_seen_ms < ?1")?
        .execute([now - ADDRESS_KEPT_MS])?;
    c.prepare_cached(
        "INSERT INTO seen_addresses (user_id, address, last_seen_ms) SELECT id, ?2, ?3 FROM users WHERE id = ?1
         ON CONFLICT DO UPDATE SET last_seen_ms = max(last_seen_ms, excluded.last_seen_ms)",
    )?
    .execute((to_sql(user.0), address.0, now))?;
    c.prepare_cached(
        "DELETE FROM seen_addresses WHERE user_id = ?1 AND address IN (
             SELECT address FROM seen_addresses WHERE user_id = ?1 ORDER BY last_seen_ms DESC LIMIT -1 OFFSET ?2)",
    )?
    .execute((to_sql(user.0), MAX_ADDRESSES))?;
    Ok(())
}
