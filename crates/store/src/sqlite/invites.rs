use rusqlite::{Connection, OptionalExtension};
use voxhall_protocol::{GuildId, UserId, control::UnixMs, limits::MAX_GUILD_MEMBERS};

use super::{
    SqliteStore,
    accounts::{id, to_sql},
    guilds,
};
use crate::{
    CreateInviteError, INVITE_KEPT_MS, InviteError, InviteRecord, Invites, Joined,
    MAX_OPEN_INVITES, NewInvite,
};

impl Invites for SqliteStore {
    async fn create_invite(&self, new: NewInvite) -> Result<(), CreateInviteError> {
        self.run(move |c| {
            if !is_member(c, new.guild, new.creator)? {
                return Err(CreateInviteError::NotAMember);
            }
            remove_over(c, new.creator, new.now - INVITE_KEPT_MS)?;
            let (open, next_expires_at) = count_open(c, new.creator, new.now)?;
            if open >= MAX_OPEN_INVITES {
                return Err(CreateInviteError::TooMany { next_expires_at });
            }
            c.prepare_cached(
                "INSERT INTO invites (code, guild_id, creator_id, expires_at_ms, max_uses, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute((
                &new.code,
                to_sql(new.guild.0),
                to_sql(new.creator.0),
                new.expires_at,
                new.max_uses,
                new.now,
            ))?;
            Ok(())
        })
        .await
    }

    async fn inspect_invite(&self, code: &str, now: UnixMs) -> Result<InviteRecord, InviteError> {
        let code = code.to_owned();
        self.run(move |c| {
            let invite = read(c, &code)?;
            invite.check(now)?;
            let guild_name = c
                .prepare_cached("SELECT name FROM guilds WHERE id = ?1")?
                .query_row([to_sql(invite.guild.0)], |row| row.get(0))?;
            Ok(InviteRecord {
                guild: invite.guild,
                guild_name,
                members: guilds::count_members(c, invite.guild)?,
                makes_owner: invite.makes_owner,
            })
        })
        .await
    }

    async fn redeem_invite(
        &self,
        code: &str,
        user: UserId,
        now: UnixMs,
    ) -> Result<Joined, InviteError> {
        let code = code.to_owned();
        self.run(move |c| redeem(c, &code, user, now)).await
    }
}

pub(super) fn redeem(
    c: &Connection,
    code: &str,
    user: UserId,
    now: UnixMs,
) -> Result<Joined, InviteError> {
    let invite = read(c, code)?;
    if has_all_of(c, &invite, user)? {
        return Ok(Joined {
            guild: invite.guild,
            new_member: false,
            became_owner: false,
        });
    }
    invite.check(now)?;
    let new_member = insert_member(c, invite.guild, user, now, Some(code))?;
    if invite.makes_owner {
        c.prepare_cached("UPDATE guilds SET owner_id = ?2 WHERE id = ?1")?
            .execute((to_sql(invite.guild.0), to_sql(user.0)))?;
    }
    c.prepare_cached("UPDATE invites SET uses = uses + 1 WHERE code = ?1")?
        .execute([code])?;
    Ok(Joined {
        guild: invite.guild,
        new_member,
        became_owner: invite.makes_owner,
    })
}

/// Whether the invite would change nothing for this user.
fn has_all_of(c: &Connection, invite: &Invite, user: UserId) -> rusqlite::Result<bool> {
    if invite.makes_owner {
        c.prepare_cached("SELECT EXISTS (SELECT 1 FROM guilds WHERE id = ?1 AND owner_id = ?2)")?
            .query_row((to_sql(invite.guild.0), to_sql(user.0)), |row| row.get(0))
    } else {
        is_member(c, invite.guild, user)
    }
}

/// Joins a guild that lets anyone in.
pub(super) fn join_open(
    c: &Connection,
    guild: GuildId,
    user: UserId,
    now: UnixMs,
) -> Result<Joined, InviteError> {
    Ok(Joined {
        guild,
        new_member: insert_member(c, guild, user, now, None)?,
        became_owner: false,
    })
}

pub(super) fn is_member(c: &Connection, guild: GuildId, user: UserId) -> rusqlite::Result<bool> {
    c.prepare_cached("SELECT EXISTS (SELECT 1 FROM members WHERE guild_id = ?1 AND user_id = ?2)")?
        .query_row((to_sql(guild.0), to_sql(user.0)), |row| row.get(0))
}

/// False: was a member before. Fails where the guild is full.
fn insert_member(
    c: &Connection,
    guild: GuildId,
    user: UserId,
    now: UnixMs,
    code: Option<&str>,
) -> Result<bool, InviteError> {
    if is_member(c, guild, user)? {
        return Ok(false);
    }
    if guilds::count_members(c, guild)? >= MAX_GUILD_MEMBERS {
        return Err(InviteError::GuildFull);
    }
    c.prepare_cached(
        "INSERT INTO members (guild_id, user_id, joined_at_ms, invite_code) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute((to_sql(guild.0), to_sql(user.0), now, code))?;
    Ok(true)
}

/// Removes what was over by then.
fn remove_over(c: &Connection, creator: UserId, then: UnixMs) -> rusqlite::Result<()> {
    c.prepare_cached(
        "DELETE FROM invites WHERE creator_id = ?1
         AND (expires_at_ms <= ?2 OR (uses >= max_uses AND created_at_ms <= ?2))",
    )?
    .execute((to_sql(creator.0), then))?;
    Ok(())
}

/// How many still work, and when the first of them expires.
fn count_open(
    c: &Connection,
    creator: UserId,
    now: UnixMs,
) -> rusqlite::Result<(u32, Option<UnixMs>)> {
    c.prepare_cached(
        "SELECT count(*), min(expires_at_ms) FROM invites WHERE creator_id = ?1
         AND (expires_at_ms IS NULL OR expires_at_ms > ?2) AND (max_uses IS NULL OR uses < max_uses)",
    )?
    .query_row((to_sql(creator.0), now), |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

struct Invite {
    guild: GuildId,
    expires_at: Option<UnixMs>,
    max_uses: Option<u32>,
    uses: u32,
    makes_owner: bool,
}

impl Invite {
    fn check(&self, now: UnixMs) -> Result<(), InviteError> {
        if self.expires_at.is_some_and(|at| at <= now) {
            return Err(InviteError::Expired);
        }
        if self.max_uses.is_some_and(|max| self.uses >= max) {
            return Err(InviteError::UsedUp);
        }
        Ok(())
    }
}

fn read(c: &Connection, code: &str) -> Result<Invite, InviteError> {
    c.prepare_cached(
        "SELECT guild_id, expires_at_ms, max_uses, uses, makes_owner FROM invites WHERE code = ?1",
    )?
    .query_row([code], |row| {
        Ok(Invite {
            guild: GuildId(id(row, 0)?),
            expires_at: row.get(1)?,
            max_uses: row.get(2)?,
            uses: row.get(3)?,
            makes_owner: row.get(4)?,
        })
    })
    .optional()?
    .ok_or(InviteError::Unknown)
}
