//! Writing messages, and what people do with them. [`super::reads`] reads, [`super::search`] finds.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row};
use voxhall_protocol::{
    ChannelId, FileId, GuildId, MessageId, RoleId, UserId,
    control::{
        Attachment, AuditAction, Found, Mentions, Message, MessagePage, Reaction, ReadState,
        Replied, UnixMs, User,
    },
    limits::EXCERPT_CHARS,
};

use super::{
    SqliteStore,
    accounts::{id, to_sql, user_by_id},
    audit, reads, search, uploads, users,
    writer::WriteTx,
};
use crate::{
    Act, AuditRecord, Change, DELETED_KEPT_MS, DeleteOthers, Deleted, Deletion, HistoryAt,
    MessageEdit, MessageError, Messages, NewMessage, NewReaction, Pin, PostError, Posted, Reader,
    Search, StoreError,
};

const EVERYONE: u8 = 0;
const ROLE: u8 = 1;
const USER: u8 = 2;
const DAY_MS: UnixMs = 24 * 3_600_000;

impl Messages for SqliteStore {
    async fn post_message(&self, new: NewMessage) -> Result<Posted, PostError> {
        self.write(move |tx| post(tx, &new)).await
    }

    async fn edit_message(&self, edit: MessageEdit) -> Result<Message, MessageError> {
        self.write(move |tx| self::edit(tx, edit)).await
    }

    async fn delete_message(&self, deletion: Deletion) -> Result<Deleted, MessageError> {
        self.write(move |tx| delete(tx, &deletion)).await
    }

    async fn history(
        &self,
        reader: UserId,
        channel: ChannelId,
        at: HistoryAt,
        limit: u32,
    ) -> Result<MessagePage, StoreError> {
        self.read(move |c| Ok(reads::history(c, reader, channel, at, limit)?))
            .await
    }

    async fn add_reaction(&self, reaction: NewReaction) -> Result<(), MessageError> {
        self.write(move |tx| react(tx, reaction)).await
    }

    async fn remove_reaction(
        &self,
        channel: ChannelId,
        message: MessageId,
        user: UserId,
        emoji: String,
    ) -> Result<(), MessageError> {
        self.write(move |tx| {
            author_of(tx, channel, message)?;
            let removed = tx
                .prepare_cached(
                    "DELETE FROM reactions WHERE message_id = ?1 AND emoji = ?2 AND user_id = ?3",
                )?
                .execute((to_sql(message.0), &emoji, to_sql(user.0)))?;
            if removed > 0 {
                let count = reactions(tx, message, &emoji)?;
                tx.changed(Change::ReactionRemoved {
                    channel,
                    message,
                    user,
                    emoji,
                    count,
                });
            }
            Ok(())
        })
        .await
    }

    async fn pin_message(&self, pin: Pin) -> Result<bool, MessageError> {
        self.write(move |tx| self::pin(tx, &pin)).await
    }

    async fn pins(&self, reader: UserId, channel: ChannelId) -> Result<Vec<Message>, StoreError> {
        self.read(move |c| {
            let sql = "WHERE channel_id = ?1 AND pinned_at_ms IS NOT NULL ORDER BY pinned_at_ms DESC, id DESC";
            Ok(Loader::new(c, reader).all(sql, [to_sql(channel.0)])?)
        })
        .await
    }

    async fn mark_read(
        &self,
        reader: Reader,
        channel: ChannelId,
        message: MessageId,
    ) -> Result<ReadState, StoreError> {
        let by = reader.clone();
        let moved =
            self.write(move |tx| Ok::<_, StoreError>(reads::mark(tx, &by, channel, message)?));
        if let Some(state) = moved.await? {
            return Ok(state);
        }
        // Nobody has to wait for this count but who asked.
        self.read(move |c| Ok(reads::state(c, &reader, channel)?))
            .await
    }

    async fn read_states(
        &self,
        reader: Reader,
        channels: Vec<ChannelId>,
    ) -> Result<Vec<ReadState>, StoreError> {
        self.read(move |c| Ok(reads::states(c, &reader, &channels)?))
            .await
    }

    async fn search_messages(&self, search: Search) -> Result<(Vec<Found>, bool), StoreError> {
        self.search(move |c| Ok(search::find(c, &search)?)).await
    }

    async fn expire_messages(
        &self,
        keep_ms: Option<UnixMs>,
        now: UnixMs,
        limit: u32,
    ) -> Result<u32, StoreError> {
        self.write(move |tx| Ok(expire(tx, keep_ms, now, limit)?))
            .await
    }
}

fn post(tx: &WriteTx<'_>, new: &NewMessage) -> Result<Posted, PostError> {
    if !users::exists(tx, new.author)? {
        return Err(PostError::NoUser);
    }
    let key = (to_sql(new.author.0), &new.nonce);
    let known = Loader::new(tx, new.author)
        .all("WHERE author_id = ?1 AND nonce = ?2", key)?
        .pop();
    if let Some(message) = known {
        return if is_same(&message, new) {
            Ok(Posted {
                message,
                is_new: false,
            })
        } else {
            Err(PostError::NonceReused)
        };
    }
    let deleted = tx
        .prepare_cached("SELECT 1 FROM deleted_messages WHERE author_id = ?1 AND nonce = ?2")?
        .exists(key)?;
    if deleted {
        return Err(PostError::Deleted);
    }
    let wait_ms = slow_mode(tx, new)?;
    if wait_ms > 0 {
        return Err(PostError::SlowMode { wait_ms });
    }
    if let Some(replied) = new.reply_to
        && find_author(tx, new.channel, replied)?.is_none()
    {
        return Err(PostError::NoReply);
    }
    let message = tx
        .prepare_cached(
            "INSERT INTO messages (channel_id, author_id, text, nonce, sent_at_ms, reply_to) VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id",
        )?
        .query_row(
            (
                to_sql(new.channel.0),
                to_sql(new.author.0),
                &new.text,
                &new.nonce,
                new.now,
                new.reply_to.map(|replied| to_sql(replied.0)),
            ),
            |row| id(row, 0),
        )?;
    let message = MessageId(message);
    for (position, file) in (0_u32..).zip(&new.attachments) {
        if !uploads::attach(tx, *file, new.author, new.channel, message, position)? {
            return Err(PostError::NoFile(*file));
        }
    }
    write_mentions(tx, new.channel, message, &new.mentions)?;
    reads::wrote(tx, new.author, new.channel, message)?;
    let message = Loader::new(tx, new.author).one(new.channel, message)?;
    let message = message.expect("it was inserted just now");
    tx.changed(Change::MessageCreated(message.clone()));
    Ok(Posted {
        message,
        is_new: true,
    })
}

/// What a retry would send is what was stored, unless it was edited since.
fn is_same(message: &Message, new: &NewMessage) -> bool {
    let replied = message.reply_to.as_ref().map(|replied| replied.id);
    message.channel_id == new.channel
        && (message.text == new.text || message.edited_at_ms.is_some())
        && replied == new.reply_to
        && message
            .attachments
            .iter()
            .map(|file| file.id)
            .eq(new.attachments.iter().copied())
}

/// How long the author has to wait yet.
fn slow_mode(c: &Connection, new: &NewMessage) -> rusqlite::Result<u32> {
    if new.slow_mode_ms == 0 {
        return Ok(0);
    }
    let slow = UnixMs::from(new.slow_mode_ms);
    let last: Option<UnixMs> = c
        .prepare_cached(
            "SELECT max(sent_at_ms) FROM (
                 SELECT max(sent_at_ms) AS sent_at_ms FROM messages WHERE channel_id = ?1 AND author_id = ?2 AND sent_at_ms > ?3
                 UNION ALL SELECT max(sent_at_ms) FROM deleted_messages WHERE channel_id = ?1 AND author_id = ?2 AND sent_at_ms > ?3)",
        )?
        .query_row((to_sql(new.channel.0), to_sql(new.author.0), new.now - slow), |row| row.get(0))?;
    // A clock that was set back makes nobody wait for longer.
    let wait = last.map_or(0, |last| (last + slow - new.now).clamp(0, slow));
    Ok(u32::try_from(wait).unwrap_or(new.slow_mode_ms))
}

fn edit(tx: &WriteTx<'_>, edit: MessageEdit) -> Result<Message, MessageError> {
    let MessageEdit {
        channel,
        message,
        author,
        text,
        mentions,
        now,
    } = edit;
    let mut loader = Loader::new(tx, author);
    let before = loader
        .one(channel, message)?
        .ok_or(MessageError::NoMessage)?;
    if before.author.id != author {
        return Err(MessageError::NotTheAuthor);
    }
    if text.is_empty() && before.attachments.is_empty() {
        return Err(MessageError::Empty);
    }
    if before.text == text && before.mentions == mentions {
        return Ok(before);
    }
    tx.prepare_cached("UPDATE messages SET text = ?2, edited_at_ms = ?3 WHERE id = ?1")?
        .execute((to_sql(message.0), &text, now))?;
    tx.prepare_cached("DELETE FROM mentions WHERE message_id = ?1")?
        .execute([to_sql(message.0)])?;
    write_mentions(tx, channel, message, &mentions)?;
    let after = loader
        .one(channel, message)?
        .ok_or(MessageError::NoMessage)?;
    tx.changed(Change::MessageEdited {
        channel,
        message,
        text,
        mentions: after.mentions.clone(),
        edited_at_ms: now,
    });
    Ok(after)
}

fn delete(tx: &WriteTx<'_>, deletion: &Deletion) -> Result<Deleted, MessageError> {
    let Deletion {
        channel,
        message,
        by,
        others,
        now,
    } = *deletion;
    let author = author_of(tx, channel, message)?;
    match others {
        _ if author == by => {}
        None => return Err(MessageError::NotTheAuthor),
        Some(DeleteOthers::InGuild(guild)) => {
            write_down(
                tx,
                guild,
                &Act::new(by, now),
                AuditAction::MessageDeleted,
                &Written {
                    author,
                    channel,
                    message,
                },
            )?;
        }
    }
    let files = tx
        .prepare_cached("SELECT count(*) FROM files WHERE message_id = ?1")?
        .query_row([to_sql(message.0)], |row| row.get(0))?;
    tx.prepare_cached(
        "INSERT INTO deleted_messages (author_id, nonce, channel_id, sent_at_ms, deleted_at_ms)
         SELECT author_id, nonce, channel_id, sent_at_ms, ?2 FROM messages WHERE id = ?1",
    )?
    .execute((to_sql(message.0), now))?;
    remove(tx, message)?;
    tx.changed(Change::MessagesDeleted {
        channel,
        messages: vec![message],
    });
    Ok(Deleted { author, files })
}

/// With all that belongs to it.
fn remove(c: &Connection, message: MessageId) -> rusqlite::Result<()> {
    c.prepare_cached("DELETE FROM messages WHERE id = ?1")?
        .execute([to_sql(message.0)])?;
    Ok(())
}

fn react(tx: &WriteTx<'_>, new: NewReaction) -> Result<(), MessageError> {
    let NewReaction {
        channel,
        message,
        user,
        emoji,
        max_kinds,
        now,
    } = new;
    if !users::exists(tx, user)? {
        return Err(MessageError::NoUser);
    }
    author_of(tx, channel, message)?;
    let (kinds, is_known): (u32, bool) = tx
        .prepare_cached("SELECT count(DISTINCT emoji), ifnull(max(emoji = ?2), 0) FROM reactions WHERE message_id = ?1")?
        .query_row((to_sql(message.0), &emoji), |row| Ok((row.get(0)?, row.get(1)?)))?;
    if !is_known && kinds as usize >= max_kinds {
        return Err(MessageError::TooMany(max_kinds));
    }
    let added = tx
        .prepare_cached("INSERT INTO reactions (message_id, emoji, user_id, at_ms) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?
        .execute((to_sql(message.0), &emoji, to_sql(user.0), now))?;
    if added > 0 {
        let count = reactions(tx, message, &emoji)?;
        tx.changed(Change::ReactionAdded {
            channel,
            message,
            user,
            emoji,
            count,
        });
    }
    Ok(())
}

/// How many react so.
fn reactions(c: &Connection, message: MessageId, emoji: &str) -> rusqlite::Result<u32> {
    c.prepare_cached("SELECT count(*) FROM reactions WHERE message_id = ?1 AND emoji = ?2")?
        .query_row((to_sql(message.0), emoji), |row| row.get(0))
}

fn pin(tx: &WriteTx<'_>, pin: &Pin) -> Result<bool, MessageError> {
    let Pin {
        channel,
        message,
        pinned,
        by,
        guild,
        max,
        now,
    } = *pin;
    let author = author_of(tx, channel, message)?;
    if pinned {
        let pins: u32 = tx
            .prepare_cached("SELECT count(*) FROM messages WHERE channel_id = ?1 AND pinned_at_ms IS NOT NULL AND id <> ?2")?
            .query_row((to_sql(channel.0), to_sql(message.0)), |row| row.get(0))?;
        if pins as usize >= max {
            return Err(MessageError::TooMany(max));
        }
    }
    let changed = tx
        .prepare_cached("UPDATE messages SET pinned_at_ms = ?2 WHERE id = ?1 AND (pinned_at_ms IS NULL) = (?2 IS NOT NULL)")?
        .execute((to_sql(message.0), pinned.then_some(now)))?;
    if changed == 0 {
        return Ok(false);
    }
    if let Some(guild) = guild {
        let action = if pinned {
            AuditAction::MessagePinned
        } else {
            AuditAction::MessageUnpinned
        };
        write_down(
            tx,
            guild,
            &Act::new(by, now),
            action,
            &Written {
                author,
                channel,
                message,
            },
        )?;
    }
    tx.changed(Change::MessagePinned {
        channel,
        message,
        pinned,
    });
    Ok(true)
}

/// In the guild's audit log.
fn write_down(
    c: &Connection,
    guild: GuildId,
    act: &Act,
    action: AuditAction,
    what: &Written,
) -> Result<(), StoreError> {
    let name = user_by_id(c, what.author)?.name;
    let entry = AuditRecord::new(action, name)
        .user(what.author)
        .channel(what.channel)
        .message(what.message);
    audit::record(c, guild, act, &entry)
}

/// What a moderator touched.
struct Written {
    author: UserId,
    channel: ChannelId,
    message: MessageId,
}

fn expire(
    tx: &WriteTx<'_>,
    keep_ms: Option<UnixMs>,
    now: UnixMs,
    limit: u32,
) -> rusqlite::Result<u32> {
    tx.prepare_cached("DELETE FROM deleted_messages WHERE deleted_at_ms < ?1")?
        .execute([now - DELETED_KEPT_MS])?;
    let mut left = limit;
    let mut expired = |channel: i64, before: UnixMs| -> rusqlite::Result<bool> {
        let messages: Vec<MessageId> = tx
            .prepare_cached("SELECT id FROM messages WHERE channel_id = ?1 AND sent_at_ms < ?2 ORDER BY sent_at_ms LIMIT ?3")?
            .query_map((channel, before, left), |row| id(row, 0).map(MessageId))?
            .collect::<Result<_, _>>()?;
        for message in &messages {
            remove(tx, *message)?;
        }
        left -= u32::try_from(messages.len()).unwrap_or(left);
        if !messages.is_empty() {
            let channel = ChannelId(channel.cast_unsigned());
            tx.changed(Change::MessagesDeleted { channel, messages });
        }
        Ok(left == 0)
    };
    let kept: Vec<(i64, UnixMs)> = tx
        .prepare_cached(
            "SELECT id, CASE WHEN retention_days > 0 THEN retention_days * ?2 ELSE ?1 END FROM channels
             WHERE retention_days > 0 OR ?1 IS NOT NULL",
        )?
        .query_map((keep_ms, DAY_MS), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (channel, keep) in kept {
        if expired(channel, now - keep)? {
            return Ok(limit);
        }
    }
    for channel in gone_channels(tx)? {
        if expired(channel, UnixMs::MAX)? {
            return Ok(limit);
        }
        tx.prepare_cached("DELETE FROM read_marks WHERE channel_id = ?1")?
            .execute([channel])?;
    }
    Ok(limit - left)
}

/// Channels that have messages, and are no more.
fn gone_channels(c: &Connection) -> rusqlite::Result<Vec<i64>> {
    let mut next =
        c.prepare_cached("SELECT min(channel_id) FROM messages WHERE channel_id > ?1")?;
    let mut exists = c.prepare_cached("SELECT 1 FROM channels WHERE id = ?1")?;
    let mut gone = Vec::new();
    let mut last = i64::MIN;
    while let Some(channel) = next.query_row([last], |row| row.get::<_, Option<i64>>(0))? {
        if !exists.exists([channel])? {
            gone.push(channel);
        }
        last = channel;
    }
    Ok(gone)
}

fn find_author(
    c: &Connection,
    channel: ChannelId,
    message: MessageId,
) -> rusqlite::Result<Option<UserId>> {
    c.prepare_cached("SELECT author_id FROM messages WHERE id = ?1 AND channel_id = ?2")?
        .query_row((to_sql(message.0), to_sql(channel.0)), |row| {
            id(row, 0).map(UserId)
        })
        .optional()
}

fn author_of(
    c: &Connection,
    channel: ChannelId,
    message: MessageId,
) -> Result<UserId, MessageError> {
    find_author(c, channel, message)?.ok_or(MessageError::NoMessage)
}

fn write_mentions(
    c: &Connection,
    channel: ChannelId,
    message: MessageId,
    mentions: &Mentions,
) -> rusqlite::Result<()> {
    let mut insert = c.prepare_cached(
        "INSERT INTO mentions (message_id, kind, target_id, channel_id) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
    )?;
    for (kind, target) in targets(mentions.everyone, &mentions.roles, &mentions.users) {
        insert.execute((to_sql(message.0), kind, target, to_sql(channel.0)))?;
    }
    Ok(())
}

/// As the table `mentions` names them.
pub(super) fn targets(
    everyone: bool,
    roles: &[RoleId],
    users: &[UserId],
) -> impl Iterator<Item = (u8, i64)> {
    let everyone = everyone.then_some((EVERYONE, 0));
    let roles = roles.iter().map(|role| (ROLE, to_sql(role.0)));
    let users = users.iter().map(|user| (USER, to_sql(user.0)));
    everyone.into_iter().chain(roles).chain(users)
}

/// Reads messages as one user sees them.
pub(super) struct Loader<'c> {
    c: &'c Connection,
    reader: UserId,
    users: HashMap<UserId, User>,
}

impl<'c> Loader<'c> {
    pub fn new(c: &'c Connection, reader: UserId) -> Self {
        Self {
            c,
            reader,
            users: HashMap::new(),
        }
    }

    pub fn one(
        &mut self,
        channel: ChannelId,
        message: MessageId,
    ) -> rusqlite::Result<Option<Message>> {
        let found = self.all(
            "WHERE id = ?1 AND channel_id = ?2",
            (to_sql(message.0), to_sql(channel.0)),
        )?;
        Ok(found.into_iter().next())
    }

    /// Those that `which`, a WHERE clause with all behind it, chooses.
    pub fn all(
        &mut self,
        which: &str,
        params: impl rusqlite::Params,
    ) -> rusqlite::Result<Vec<Message>> {
        let columns = "id, channel_id, author_id, text, sent_at_ms, nonce, edited_at_ms, reply_to, pinned_at_ms IS NOT NULL";
        let rows: Vec<Stored> = self
            .c
            .prepare_cached(&format!("SELECT {columns} FROM messages {which}"))?
            .query_map(params, Stored::read)?
            .collect::<Result<_, _>>()?;
        rows.into_iter().map(|row| self.complete(row)).collect()
    }

    fn complete(&mut self, row: Stored) -> rusqlite::Result<Message> {
        let Stored {
            mut message,
            author,
            reply_to,
        } = row;
        message.author = self.user(author)?;
        message.reply_to = match reply_to {
            Some(replied) => Some(self.replied(message.channel_id, replied)?),
            None => None,
        };
        message.mentions = self.mentions(message.id)?;
        message.attachments = self.attachments(message.id)?;
        message.reactions = self.reactions(message.id)?;
        Ok(message)
    }

    fn user(&mut self, user: UserId) -> rusqlite::Result<User> {
        if let Some(user) = self.users.get(&user) {
            return Ok(user.clone());
        }
        let found = user_by_id(self.c, user)?;
        self.users.insert(user, found.clone());
        Ok(found)
    }

    fn replied(&mut self, channel: ChannelId, id_of: MessageId) -> rusqlite::Result<Replied> {
        let found: Option<(u64, String)> = self
            .c
            .prepare_cached(
                "SELECT author_id, text FROM messages WHERE id = ?1 AND channel_id = ?2",
            )?
            .query_row((to_sql(id_of.0), to_sql(channel.0)), |row| {
                Ok((id(row, 0)?, row.get(1)?))
            })
            .optional()?;
        let (author, text) = match found {
            Some((author, text)) => (Some(self.user(UserId(author))?), text),
            None => (None, String::new()),
        };
        Ok(Replied {
            id: id_of,
            author,
            excerpt: text.chars().take(EXCERPT_CHARS).collect(),
        })
    }

    fn mentions(&self, message: MessageId) -> rusqlite::Result<Mentions> {
        let mut mentions = Mentions::default();
        let mut found = self.c.prepare_cached(
            "SELECT kind, target_id FROM mentions WHERE message_id = ?1 ORDER BY kind, target_id",
        )?;
        let mut rows = found.query([to_sql(message.0)])?;
        while let Some(row) = rows.next()? {
            match row.get(0)? {
                EVERYONE => mentions.everyone = true,
                ROLE => mentions.roles.push(RoleId(id(row, 1)?)),
                _ => mentions.users.push(UserId(id(row, 1)?)),
            }
        }
        Ok(mentions)
    }

    fn attachments(&self, message: MessageId) -> rusqlite::Result<Vec<Attachment>> {
        self.c
            .prepare_cached(
                "SELECT id, name, bytes, media_type, width, height, thumbnail FROM files WHERE message_id = ?1 ORDER BY position, id",
            )?
            .query_map([to_sql(message.0)], |row| {
                Ok(Attachment {
                    id: FileId(id(row, 0)?),
                    name: row.get(1)?,
                    bytes: id(row, 2)?,
                    media_type: row.get(3)?,
                    picture: uploads::read_picture(row, 4)?,
                })
            })?
            .collect()
    }

    fn reactions(&self, message: MessageId) -> rusqlite::Result<Vec<Reaction>> {
        self.c
            .prepare_cached(
                "SELECT emoji, count(*), max(user_id = ?2) FROM reactions WHERE message_id = ?1 GROUP BY emoji ORDER BY min(at_ms), emoji",
            )?
            .query_map((to_sql(message.0), to_sql(self.reader.0)), |row| {
                Ok(Reaction {
                    emoji: row.get(0)?,
                    count: row.get(1)?,
                    me: row.get(2)?,
                })
            })?
            .collect()
    }
}

/// A row of the table, to be completed.
struct Stored {
    message: Message,
    author: UserId,
    reply_to: Option<MessageId>,
}

impl Stored {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let author = UserId(id(row, 2)?);
        let nobody_yet = User::new(author, "", voxhall_protocol::control::UserKind::Guest);
        let text: String = row.get(3)?;
        let nonce: String = row.get(5)?;
        let mut message = Message::new(
            MessageId(id(row, 0)?),
            ChannelId(id(row, 1)?),
            nobody_yet,
            text,
            row.get(4)?,
            nonce,
        );
        message.edited_at_ms = row.get(6)?;
        message.pinned = row.get(8)?;
        let reply_to: Option<i64> = row.get(7)?;
        Ok(Self {
            message,
            author,
            reply_to: reply_to.map(|id| MessageId(id.cast_unsigned())),
        })
    }
}
