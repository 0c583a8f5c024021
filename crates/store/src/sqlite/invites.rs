use rusqlite::{Connection, OptionalExtension};
use voxhall_protocol::{
    GuildId, UserId,
    control::{AuditAction, UnixMs, User},
};

use super::{
    SqliteStore,
    accounts::make_admin_by,
    audit, guilds, members,
    users::{self, USER, id, optional_id, read_user, to_sql, user_by_id},
    writer::WriteTx,
};
use crate::{
    Act, AddressHash, AuditRecord, CreateInviteError, INVITE_KEPT_MS, InviteError, InviteRecord,
    Invites, Joined, LISTED_NEWCOMERS, ListedInvite, MAX_GUILD_INVITES, MAX_OPEN_INVITES,
    NewInvite, StoreError, WhichInvites,
};

impl Invites for SqliteStore {
    async fn create_invite(&self, new: NewInvite) -> Result<(), CreateInviteError> {
        self.write(move |tx| create(tx, &new)).await
    }

    async fn inspect_invite(&self, code: &str, now: UnixMs) -> Result<InviteRecord, InviteError> {
        let code = code.to_owned();
        self.read(move |c| {
            let invite = read(c, &code)?;
            invite.check(now)?;
            Ok(InviteRecord {
                guild: invite.guild,
                guild_name: guilds::read_info(c, invite.guild)?.name,
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
        from: Option<AddressHash>,
        now: UnixMs,
    ) -> Result<Joined, InviteError> {
        let code = code.to_owned();
        self.write(move |tx| redeem(tx, &code, user, from, now))
            .await
    }

    async fn guild_invites(
        &self,
        guild: GuildId,
        which: WhichInvites,
        now: UnixMs,
    ) -> Result<Vec<ListedInvite>, StoreError> {
        self.read(move |c| Ok(list(c, guild, which, now)?)).await
    }

    async fn revoke_invite(
        &self,
        guild: GuildId,
        code: &str,
        which: WhichInvites,
        act: Act,
    ) -> Result<bool, StoreError> {
        let code = code.to_owned();
        self.write(move |tx| {
            let (of, owners) = which.columns();
            let revoked = tx
                .prepare_cached(
                    "DELETE FROM invites WHERE code = ?1 AND guild_id = ?2 AND (?3 IS NULL OR creator_id = ?3) AND makes_owner <= ?4",
                )?
                .execute((&code, to_sql(guild.0), of, owners))?;
            if revoked > 0 {
                let record = AuditRecord::new(AuditAction::InviteRevoked, &code);
                audit::record(tx, guild, &act, &record)?;
            }
            Ok(revoked > 0)
        })
        .await
    }
}

impl WhichInvites {
    /// Whose, and whether those that make owners are meant too.
    fn columns(self) -> (Option<i64>, bool) {
        match self {
            Self::Of(user) => (Some(to_sql(user.0)), false),
            Self::Guild => (None, false),
            Self::All => (None, true),
        }
    }
}

fn create(tx: &WriteTx<'_>, new: &NewInvite) -> Result<(), CreateInviteError> {
    if let Some(creator) = new.creator {
        if !members::is_member(tx, new.guild, creator)? {
            return Err(CreateInviteError::NotAMember);
        }
        remove_over(tx, creator, new.now - INVITE_KEPT_MS)?;
        let (open, next_expires_at) = count_open(tx, creator, new.now)?;
        if open >= MAX_OPEN_INVITES {
            return Err(CreateInviteError::TooMany { next_expires_at });
        }
    } else if guilds::read_info(tx, new.guild).optional()?.is_none() {
        return Err(CreateInviteError::NotAMember);
    }
    let in_guild: u32 = tx
        .prepare_cached(&format!(
            "SELECT count(*) FROM invites WHERE guild_id = ?1 AND {OPEN}"
        ))?
        .query_row((to_sql(new.guild.0), new.now), |row| row.get(0))?;
    if in_guild >= MAX_GUILD_INVITES {
        return Err(CreateInviteError::TooManyInGuild);
    }
    let max_uses = if new.makes_owner {
        Some(1)
    } else {
        new.max_uses
    };
    tx.prepare_cached(
        "INSERT INTO invites (code, guild_id, creator_id, expires_at_ms, max_uses, makes_owner, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((
        &new.code,
        to_sql(new.guild.0),
        new.creator.map(|creator| to_sql(creator.0)),
        new.expires_at,
        max_uses,
        new.makes_owner,
        new.now,
    ))?;
    // Who reads the log must not become the owner by it.
    let target = if new.makes_owner {
        "an owner's invite"
    } else {
        &new.code
    };
    let act = Act {
        by: new.creator,
        reason: String::new(),
        now: new.now,
    };
    let record = AuditRecord::new(AuditAction::InviteCreated, target);
    audit::record(tx, new.guild, &act, &record)?;
    Ok(())
}

/// Which still work at the time ?2.
const OPEN: &str =
    "(expires_at_ms IS NULL OR expires_at_ms > ?2) AND (max_uses IS NULL OR uses < max_uses)";

fn list(
    c: &Connection,
    guild: GuildId,
    which: WhichInvites,
    now: UnixMs,
) -> rusqlite::Result<Vec<ListedInvite>> {
    let (of, owners) = which.columns();
    let mut statement = c.prepare_cached(&format!(
        "SELECT code, creator_id, created_at_ms, expires_at_ms, max_uses, uses, makes_owner FROM invites
         WHERE guild_id = ?1 AND {OPEN} AND (?3 IS NULL OR creator_id = ?3) AND makes_owner <= ?4 ORDER BY created_at_ms DESC, code",
    ))?;
    let mut rows = statement.query((to_sql(guild.0), now, of, owners))?;
    let mut invites = Vec::new();
    while let Some(row) = rows.next()? {
        let code: String = row.get(0)?;
        let creator = optional_id(row, 1)?.map(UserId);
        invites.push(ListedInvite {
            creator: creator.map(|creator| user_by_id(c, creator)).transpose()?,
            created_at: row.get(2)?,
            expires_at: row.get(3)?,
            max_uses: row.get(4)?,
            uses: row.get(5)?,
            makes_owner: row.get(6)?,
            came: newcomers(c, guild, &code)?,
            code,
        });
    }
    Ok(invites)
}

/// Who came by a code, newest first.
fn newcomers(c: &Connection, guild: GuildId, code: &str) -> rusqlite::Result<Vec<User>> {
    c.prepare_cached(&format!(
        "SELECT {USER} FROM members m JOIN users u ON u.id = m.user_id WHERE m.guild_id = ?1 AND m.invite_code = ?2
         ORDER BY m.joined_at_ms DESC, m.user_id DESC LIMIT {LISTED_NEWCOMERS}"
    ))?
    .query_map((to_sql(guild.0), code), read_user)?
    .collect()
}

/// For who signs up too.
pub(super) fn redeem(
    tx: &WriteTx<'_>,
    code: &str,
    user: UserId,
    from: Option<AddressHash>,
    now: UnixMs,
) -> Result<Joined, InviteError> {
    let invite = read(tx, code)?;
    if has_all_of(tx, &invite, user)? {
        return Ok(Joined {
            guild: invite.guild,
            new_member: false,
            became_owner: false,
        });
    }
    invite.check(now)?;
    let new_member = join(tx, invite.guild, user, from, now, Some(code))?;
    if invite.makes_owner {
        guilds::set_owner(tx, invite.guild, user, &Act::new(user, now))?;
        make_admin_by(tx, code, user)?;
    }
    tx.prepare_cached("UPDATE invites SET uses = uses + 1 WHERE code = ?1")?
        .execute([code])?;
    Ok(Joined {
        guild: invite.guild,
        new_member,
        became_owner: invite.makes_owner,
    })
}

/// Joins a guild that lets anyone in.
pub(super) fn join_open(
    tx: &WriteTx<'_>,
    guild: GuildId,
    user: UserId,
    from: Option<AddressHash>,
    now: UnixMs,
) -> Result<Joined, InviteError> {
    Ok(Joined {
        guild,
        new_member: join(tx, guild, user, from, now, None)?,
        became_owner: false,
    })
}

fn join(
    tx: &WriteTx<'_>,
    guild: GuildId,
    user: UserId,
    from: Option<AddressHash>,
    now: UnixMs,
    code: Option<&str>,
) -> Result<bool, InviteError> {
    if !users::exists(tx, user)? {
        return Err(InviteError::NoUser);
    }
    // Who is a member already and shares a banned member's address stays one.
    if !members::is_member(tx, guild, user)? && members::is_banned(tx, guild, user, from)? {
        return Err(InviteError::Banned);
    }
    members::insert_member(tx, guild, user, now, code)
}

/// Whether the invite would change nothing for this user.
fn has_all_of(c: &Connection, invite: &Invite, user: UserId) -> rusqlite::Result<bool> {
    if invite.makes_owner {
        c.prepare_cached("SELECT EXISTS (SELECT 1 FROM guilds WHERE id = ?1 AND owner_id = ?2)")?
            .query_row((to_sql(invite.guild.0), to_sql(user.0)), |row| row.get(0))
    } else {
        members::is_member(c, invite.guild, user)
    }
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
    c.prepare_cached(&format!(
        "SELECT count(*), min(expires_at_ms) FROM invites WHERE creator_id = ?1 AND {OPEN}"
    ))?
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
