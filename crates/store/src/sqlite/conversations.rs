//! Conversations: channels without a guild, and who is in them.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row};
use voxhall_protocol::{
    ChannelId, UserId,
    control::{ChannelKind, RelationKind, UnixMs},
    limits::MAX_GROUP_MEMBERS,
};

use super::{
    SqliteStore,
    people::relation,
    users::{self, id, optional_id, to_sql},
    writer::WriteTx,
};
use crate::{
    Change, ConversationError, ConversationRecord, Conversations, MAX_CONVERSATIONS,
    MAX_UNUSED_DIRECTS, SAME_GROUP_WITHIN_MS, StoreError,
};

impl Conversations for SqliteStore {
    async fn open_direct(
        &self,
        user: UserId,
        other: UserId,
        now: UnixMs,
    ) -> Result<ConversationRecord, ConversationError> {
        self.write(move |tx| open_direct(tx, user, other, now))
            .await
    }

    async fn open_group(
        &self,
        owner: UserId,
        others: Vec<UserId>,
        name: Option<String>,
        now: UnixMs,
    ) -> Result<ConversationRecord, ConversationError> {
        self.write(move |tx| open_group(tx, owner, &others, name.as_deref(), now))
            .await
    }

    async fn rename_group(
        &self,
        channel: ChannelId,
        by: UserId,
        name: Option<String>,
    ) -> Result<ConversationRecord, ConversationError> {
        self.write(move |tx| {
            let before = group(tx, channel, by)?;
            if before.name == name {
                return Ok(before);
            }
            tx.prepare_cached("UPDATE channels SET name = ?2 WHERE id = ?1")?
                .execute((to_sql(channel.0), &name))?;
            Ok(saved(tx, channel)?)
        })
        .await
    }

    async fn add_to_group(
        &self,
        channel: ChannelId,
        by: UserId,
        added: UserId,
        now: UnixMs,
    ) -> Result<ConversationRecord, ConversationError> {
        self.write(move |tx| {
            let group = group(tx, channel, by)?;
            if group.members.contains(&added) {
                return Ok(group);
            }
            is_friend(tx, by, added)?;
            if group.members.len() >= MAX_GROUP_MEMBERS {
                return Err(ConversationError::Full);
            }
            others_have_room(tx, added)?;
            insert_member(tx, channel, added, now)?;
            Ok(saved(tx, channel)?)
        })
        .await
    }

    async fn remove_from_group(
        &self,
        channel: ChannelId,
        by: UserId,
        removed: UserId,
    ) -> Result<(), ConversationError> {
        self.write(move |tx| {
            let group = match group(tx, channel, by) {
                // Who left already, and asks again.
                Err(ConversationError::NoConversation) if by == removed => return Ok(()),
                group => group?,
            };
            if by != removed && group.owner != Some(by) {
                return Err(ConversationError::NotTheOwner);
            }
            if group.members.contains(&removed) {
                leave(tx, channel, removed)?;
            }
            Ok(())
        })
        .await
    }

    async fn conversations(&self) -> Result<Vec<ConversationRecord>, StoreError> {
        self.load(|c| {
            let mut all = c.prepare(&format!(
                "{COLUMNS} WHERE kind IN ('direct', 'group') ORDER BY id"
            ))?;
            let all: Vec<_> = all.query_map([], read_record)?.collect::<Result<_, _>>()?;
            (all.into_iter())
                .map(|record| Ok(with_members(c, record)?))
                .collect()
        })
        .await
    }
}

fn open_direct(
    tx: &WriteTx<'_>,
    user: UserId,
    other: UserId,
    now: UnixMs,
) -> Result<ConversationRecord, ConversationError> {
    if user == other {
        return Err(ConversationError::Oneself);
    }
    let pair = (to_sql(user.min(other).0), to_sql(user.max(other).0));
    let there = tx
        .prepare_cached("SELECT channel_id FROM direct_pairs WHERE low_id = ?1 AND high_id = ?2")?
        .query_row(pair, |row| id(row, 0))
        .optional()?;
    if let Some(channel) = there {
        return read(tx, ChannelId(channel))?.ok_or(ConversationError::NoConversation);
    }
    if !users::exists(tx, other)? {
        return Err(ConversationError::NoUser);
    }
    if !may_write(tx, user, other)? {
        return Err(ConversationError::NotAllowed);
    }
    has_room(tx, user)?;
    others_have_room(tx, other)?;
    if held(tx, other)?.unused >= MAX_UNUSED_DIRECTS {
        return Err(ConversationError::TheyHaveTooMany);
    }
    let channel = insert_channel(tx, "direct", None, None)?;
    tx.prepare_cached(
        "INSERT INTO direct_pairs (channel_id, low_id, high_id, opener_id) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute((to_sql(channel.0), pair.0, pair.1, to_sql(user.0)))?;
    for member in [user, other] {
        insert_member(tx, channel, member, now)?;
    }
    Ok(saved(tx, channel)?)
}

fn open_group(
    tx: &WriteTx<'_>,
    owner: UserId,
    others: &[UserId],
    name: Option<&str>,
    now: UnixMs,
) -> Result<ConversationRecord, ConversationError> {
    let others: BTreeSet<UserId> = others
        .iter()
        .copied()
        .filter(|other| *other != owner)
        .collect();
    if others.is_empty() {
        return Err(ConversationError::Oneself);
    }
    if others.len() >= MAX_GROUP_MEMBERS {
        return Err(ConversationError::Full);
    }
    for other in &others {
        is_friend(tx, owner, *other)?;
    }
    let members: Vec<UserId> = others
        .iter()
        .copied()
        .chain([owner])
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    if let Some(same) = same_group(tx, owner, &members, name, now - SAME_GROUP_WITHIN_MS)? {
        return Ok(same);
    }
    has_room(tx, owner)?;
    for other in others {
        others_have_room(tx, other)?;
    }
    let channel = insert_channel(tx, "group", name, Some(owner))?;
    for member in members {
        insert_member(tx, channel, member, now)?;
    }
    Ok(saved(tx, channel)?)
}

fn same_group(
    c: &Connection,
    owner: UserId,
    members: &[UserId],
    name: Option<&str>,
    since: UnixMs,
) -> rusqlite::Result<Option<ConversationRecord>> {
    let recent: Vec<u64> = c
        .prepare_cached(
            "SELECT m.channel_id FROM conversation_members m JOIN channels c ON c.id = m.channel_id
             WHERE m.user_id = ?1 AND m.joined_at_ms > ?2 AND c.owner_id = ?1 AND c.name IS ?3",
        )?
        .query_map((to_sql(owner.0), since, name), |row| id(row, 0))?
        .collect::<Result<_, _>>()?;
    for channel in recent {
        if let Some(group) = read(c, ChannelId(channel))?
            && group.members == members
        {
            return Ok(Some(group));
        }
    }
    Ok(None)
}

/// Friends, or members of one guild, and neither blocks the other.
fn may_write(c: &Connection, user: UserId, other: UserId) -> rusqlite::Result<bool> {
    let theirs = relation(c, other, user)?;
    match relation(c, user, other)? {
        Some(RelationKind::Friend) => Ok(true),
        _ if theirs == Some(RelationKind::Blocked) => Ok(false),
        Some(RelationKind::Blocked) => Ok(false),
        _ => c
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM members a JOIN members b ON b.guild_id = a.guild_id AND b.user_id = ?2 WHERE a.user_id = ?1)",
            )?
            .query_row((to_sql(user.0), to_sql(other.0)), |row| row.get(0)),
    }
}

fn is_friend(c: &Connection, user: UserId, other: UserId) -> Result<(), ConversationError> {
    match relation(c, user, other)? {
        Some(RelationKind::Friend) => Ok(()),
        _ => Err(ConversationError::NotAFriend),
    }
}

fn has_room(c: &Connection, user: UserId) -> Result<(), ConversationError> {
    if held(c, user)?.own >= MAX_CONVERSATIONS {
        return Err(ConversationError::TooMany);
    }
    Ok(())
}

/// Nobody is given more conversations than they may have.
fn others_have_room(c: &Connection, other: UserId) -> Result<(), ConversationError> {
    if held(c, other)?.own >= MAX_CONVERSATIONS {
        return Err(ConversationError::TheyHaveTooMany);
    }
    Ok(())
}

/// Conversations of one user.
struct Held {
    /// Groups, and directs that they opened or in which something was said.
    own: u32,
    /// Directs that others opened and in which nothing was said: these leave them their own room.
    unused: u32,
}

fn held(c: &Connection, user: UserId) -> rusqlite::Result<Held> {
    c.prepare_cached(
        "SELECT count(*) FILTER (WHERE unused), count(*) FROM (
             SELECT p.opener_id <> ?1 AND NOT EXISTS (SELECT 1 FROM messages WHERE channel_id = m.channel_id) AS unused
             FROM conversation_members m LEFT JOIN direct_pairs p ON p.channel_id = m.channel_id WHERE m.user_id = ?1)",
    )?
    .query_row([to_sql(user.0)], |row| {
        let (unused, all): (u32, u32) = (row.get(0)?, row.get(1)?);
        Ok(Held {
            own: all - unused,
            unused,
        })
    })
}

fn insert_channel(
    c: &Connection,
    kind: &str,
    name: Option<&str>,
    owner: Option<UserId>,
) -> rusqlite::Result<ChannelId> {
    c.prepare_cached(
        "INSERT INTO channels (kind, name, owner_id) VALUES (?1, ?2, ?3) RETURNING id",
    )?
    .query_row((kind, name, owner.map(|owner| to_sql(owner.0))), |row| {
        Ok(ChannelId(id(row, 0)?))
    })
}

fn insert_member(
    c: &Connection,
    channel: ChannelId,
    user: UserId,
    now: UnixMs,
) -> rusqlite::Result<()> {
    c.prepare_cached(
        "INSERT INTO conversation_members (channel_id, user_id, joined_at_ms) VALUES (?1, ?2, ?3)",
    )?
    .execute((to_sql(channel.0), to_sql(user.0), now))?;
    Ok(())
}

/// Takes a user who is no more out of all conversations.
pub(super) fn leave_all(tx: &WriteTx<'_>, user: UserId) -> rusqlite::Result<()> {
    let channels: Vec<u64> = tx
        .prepare_cached("SELECT channel_id FROM conversation_members WHERE user_id = ?1")?
        .query_map([to_sql(user.0)], |row| id(row, 0))?
        .collect::<Result<_, _>>()?;
    for channel in channels {
        leave(tx, ChannelId(channel), user)?;
    }
    Ok(())
}

fn leave(tx: &WriteTx<'_>, channel: ChannelId, user: UserId) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM conversation_members WHERE channel_id = ?1 AND user_id = ?2")?
        .execute((to_sql(channel.0), to_sql(user.0)))?;
    let next: Option<i64> = tx
        .prepare_cached("SELECT user_id FROM conversation_members WHERE channel_id = ?1 ORDER BY joined_at_ms, user_id LIMIT 1")?
        .query_row([to_sql(channel.0)], |row| row.get(0))
        .optional()?;
    let Some(next) = next else {
        tx.prepare_cached("DELETE FROM channels WHERE id = ?1")?
            .execute([to_sql(channel.0)])?;
        tx.changed(Change::ConversationDeleted(channel));
        return Ok(());
    };
    tx.prepare_cached("UPDATE channels SET owner_id = ?3 WHERE id = ?1 AND owner_id = ?2")?
        .execute((to_sql(channel.0), to_sql(user.0), next))?;
    saved(tx, channel)?;
    Ok(())
}

/// A group that this user is in.
fn group(
    c: &Connection,
    channel: ChannelId,
    user: UserId,
) -> Result<ConversationRecord, ConversationError> {
    let record = read(c, channel)?.filter(|record| record.members.contains(&user));
    let record = record.ok_or(ConversationError::NoConversation)?;
    if record.kind != ChannelKind::Group {
        return Err(ConversationError::NotAGroup);
    }
    Ok(record)
}

/// Tells of a conversation as it is now.
fn saved(tx: &WriteTx<'_>, channel: ChannelId) -> rusqlite::Result<ConversationRecord> {
    let record = read(tx, channel)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    tx.changed(Change::ConversationSaved(record.clone()));
    Ok(record)
}

const COLUMNS: &str = "SELECT id, kind, name, owner_id FROM channels";

fn read(c: &Connection, channel: ChannelId) -> rusqlite::Result<Option<ConversationRecord>> {
    c.prepare_cached(&format!(
        "{COLUMNS} WHERE id = ?1 AND kind IN ('direct', 'group')"
    ))?
    .query_row([to_sql(channel.0)], read_record)
    .optional()?
    .map(|record| with_members(c, record))
    .transpose()
}

/// Without its members.
fn read_record(row: &Row<'_>) -> rusqlite::Result<ConversationRecord> {
    Ok(ConversationRecord {
        id: ChannelId(id(row, 0)?),
        kind: match row.get_ref(1)?.as_str()? {
            "group" => ChannelKind::Group,
            _ => ChannelKind::Direct,
        },
        name: row.get(2)?,
        owner: optional_id(row, 3)?.map(UserId),
        members: Vec::new(),
    })
}

fn with_members(
    c: &Connection,
    record: ConversationRecord,
) -> rusqlite::Result<ConversationRecord> {
    let members = c
        .prepare_cached(
            "SELECT user_id FROM conversation_members WHERE channel_id = ?1 ORDER BY user_id",
        )?
        .query_map([to_sql(record.id.0)], |row| Ok(UserId(id(row, 0)?)))?
        .collect::<Result<_, _>>()?;
    Ok(ConversationRecord { members, ..record })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Accounts, Messages, NewMessage, People};

    async fn people<const N: usize>(store: &SqliteStore) -> [UserId; N] {
        let mut ids = [UserId(0); N];
        for (n, id) in ids.iter_mut().enumerate() {
            let account = store.create_account(format!("user {n}"), "$hash".into(), 1);
            *id = account.await.unwrap().id;
        }
        for (n, one) in ids.iter().enumerate() {
            for other in &ids[n + 1..] {
                store.request_friend(*one, *other, 1).await.unwrap();
                store.accept_friend(*other, *one, 1).await.unwrap();
            }
        }
        ids
    }

    /// Puts a user into so many more groups.
    async fn fill_groups(store: &SqliteStore, user: UserId, count: u32) {
        let fill = format!(
            "INSERT INTO channels (id, kind) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
                 SELECT 1000000 + i, 'group' FROM n;
             INSERT INTO conversation_members (channel_id, user_id, joined_at_ms) SELECT id, {}, 0 FROM channels
                 WHERE id BETWEEN 1000001 AND 1000000 + {count};",
            user.0
        );
        let filled = store.write(move |tx| Ok::<_, StoreError>(tx.execute_batch(&fill)?));
        filled.await.unwrap();
    }

    /// Strangers who opened a conversation and said nothing.
    async fn fill_directs(store: &SqliteStore, user: UserId, count: u32) {
        let fill = format!(
            "INSERT INTO users (id, name, name_key, kind, created_at_ms)
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
                 SELECT 2000000 + i, 'x', 'x', 'guest', 0 FROM n;
             INSERT INTO channels (id, kind) SELECT id, 'direct' FROM users WHERE id > 2000000;
             INSERT INTO direct_pairs (channel_id, low_id, high_id, opener_id) SELECT id, {user}, id, id FROM users WHERE id > 2000000;
             INSERT INTO conversation_members (channel_id, user_id, joined_at_ms) SELECT id, {user}, 0 FROM users WHERE id > 2000000;",
            user = user.0
        );
        let filled = store.write(move |tx| Ok::<_, StoreError>(tx.execute_batch(&fill)?));
        filled.await.unwrap();
    }

    #[tokio::test]
    async fn nobody_is_given_more_conversations_than_they_may_have() {
        let store = SqliteStore::in_memory().unwrap();
        let [ann, bob, eve] = people(&store).await;
        let small = store.open_group(ann, vec![eve], None, 1).await.unwrap();
        fill_groups(&store, bob, MAX_CONVERSATIONS - 1).await;
        let last = store.open_group(ann, vec![bob], None, 1).await.unwrap();
        let full = Err(ConversationError::TheyHaveTooMany);
        let group = store.open_group(ann, vec![bob, eve], None, 1).await;
        assert_eq!(group.map(drop), full);
        let added = store.add_to_group(small.id, ann, bob, 1).await;
        assert_eq!(added.map(drop), full);
        assert_eq!(store.open_direct(ann, bob, 1).await.map(drop), full);
        let own = store.open_direct(bob, ann, 1).await;
        assert_eq!(own, Err(ConversationError::TooMany));
        store.remove_from_group(last.id, bob, bob).await.unwrap();
        store.add_to_group(small.id, ann, bob, 1).await.unwrap();
    }

    #[tokio::test]
    async fn what_strangers_open_and_leave_empty_takes_no_room_and_has_an_end() {
        let store = SqliteStore::in_memory().unwrap();
        let [ann, bob, eve] = people(&store).await;
        fill_directs(&store, ann, MAX_UNUSED_DIRECTS - 1).await;
        let last = store.open_direct(bob, ann, 1).await.unwrap();
        let full = Err(ConversationError::TheyHaveTooMany);
        assert_eq!(store.open_direct(eve, ann, 1).await.map(drop), full);
        // What is there stays open, and what is said in one makes room for another.
        assert_eq!(store.open_direct(bob, ann, 1).await.as_ref(), Ok(&last));
        let message = NewMessage::new(last.id, bob, "hello", "n", 1);
        store.post_message(message).await.unwrap();
        let opened = store.open_direct(eve, ann, 1).await.unwrap();
        // All of one's own is left, but for the one that is in use.
        fill_groups(&store, ann, MAX_CONVERSATIONS - 2).await;
        store.open_group(ann, vec![bob], None, 1).await.unwrap();
        let more = store.open_group(ann, vec![eve], None, 1).await;
        assert_eq!(more, Err(ConversationError::TooMany));
        assert_eq!(store.open_direct(ann, eve, 1).await, Ok(opened));
    }
}
