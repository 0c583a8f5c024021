//! Pages of history, and how far someone has read.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension};
use voxhall_protocol::{
    ChannelId, MessageId, UserId,
    control::{Message, MessagePage, ReadState, UnixMs},
};

use super::{
    accounts::{id, to_sql},
    messages::{Loader, targets},
    writer::WriteTx,
};
use crate::{Change, HistoryAt, MAX_UNREAD, Reader, UNREAD_AMONG};

pub(super) fn history(
    c: &Connection,
    reader: UserId,
    channel: ChannelId,
    at: HistoryAt,
    limit: u32,
) -> rusqlite::Result<MessagePage> {
    let mut page = Pages {
        c,
        loader: Loader::new(c, reader),
        channel,
    };
    match at {
        HistoryAt::Newest => page.around(i64::MAX, limit, 0),
        HistoryAt::Before(message) => page.around(to_sql(message.0), limit, 0),
        HistoryAt::After(message) => page.around(to_sql(message.0).saturating_add(1), 0, limit),
        HistoryAt::Around(message) => page.around(to_sql(message.0), limit / 2, limit - limit / 2),
        HistoryAt::Time(ms) => match first_since(c, channel, ms)? {
            Some(message) => page.around(message, limit / 2, limit - limit / 2),
            None => page.around(i64::MAX, limit, 0),
        },
    }
}

fn first_since(c: &Connection, channel: ChannelId, ms: UnixMs) -> rusqlite::Result<Option<i64>> {
    c.prepare_cached("SELECT id FROM messages WHERE channel_id = ?1 AND sent_at_ms >= ?2 ORDER BY sent_at_ms, id LIMIT 1")?
        .query_row((to_sql(channel.0), ms), |row| row.get(0))
        .optional()
}

struct Pages<'c> {
    c: &'c Connection,
    loader: Loader<'c>,
    channel: ChannelId,
}

impl Pages<'_> {
    /// As many as that before `message`, and as many from it on.
    fn around(&mut self, message: i64, before: u32, from: u32) -> rusqlite::Result<MessagePage> {
        let mut messages = match before {
            0 => Vec::new(),
            _ => self.some("id < ?2", "DESC", message, before)?,
        };
        messages.reverse();
        if from > 0 {
            messages.extend(self.some("id >= ?2", "ASC", message, from)?);
        }
        let first = messages.first().map_or(message, |first| to_sql(first.id.0));
        let last = messages
            .last()
            .map_or(message.saturating_sub(1), |last| to_sql(last.id.0));
        Ok(MessagePage {
            more: self.exists("id < ?2", first)?,
            more_after: self.exists("id > ?2", last)?,
            messages,
        })
    }

    fn some(
        &mut self,
        which: &str,
        order: &str,
        message: i64,
        limit: u32,
    ) -> rusqlite::Result<Vec<Message>> {
        let sql = format!("WHERE channel_id = ?1 AND {which} ORDER BY id {order} LIMIT ?3");
        self.loader
            .all(&sql, (to_sql(self.channel.0), message, limit))
    }

    fn exists(&self, which: &str, message: i64) -> rusqlite::Result<bool> {
        self.c
            .prepare_cached(&format!(
                "SELECT 1 FROM messages WHERE channel_id = ?1 AND {which}"
            ))?
            .exists((to_sql(self.channel.0), message))
    }
}

/// None: the mark stays where it is, and nobody has to be told.
pub(super) fn mark(
    tx: &WriteTx<'_>,
    reader: &Reader,
    channel: ChannelId,
    message: MessageId,
) -> rusqlite::Result<Option<ReadState>> {
    let Some(newest) = newest(tx, channel)? else {
        return Ok(None);
    };
    if !move_mark(tx, reader.user, channel, to_sql(message.0).min(newest))? {
        return Ok(None);
    }
    let state = state(tx, reader, channel)?;
    tx.changed(Change::Read {
        user: reader.user,
        state,
    });
    Ok(Some(state))
}

/// Who had read everything has read their own message, too: so what they write doesn't pile up behind their mark.
pub(super) fn wrote(
    c: &Connection,
    author: UserId,
    channel: ChannelId,
    message: MessageId,
) -> rusqlite::Result<()> {
    let before: Option<i64> = c
        .prepare_cached("SELECT max(id) FROM messages WHERE channel_id = ?1 AND id < ?2")?
        .query_row((to_sql(channel.0), to_sql(message.0)), |row| row.get(0))?;
    if before.is_none() || last_read(c, author, channel)? >= before {
        move_mark(c, author, channel, to_sql(message.0))?;
    }
    Ok(())
}

/// Only forward; whether it did.
fn move_mark(
    c: &Connection,
    user: UserId,
    channel: ChannelId,
    message: i64,
) -> rusqlite::Result<bool> {
    let moved = c
        .prepare_cached(
            "INSERT INTO read_marks (user_id, channel_id, message_id) VALUES (?1, ?2, ?3)
             ON CONFLICT (user_id, channel_id) DO UPDATE SET message_id = ?3 WHERE message_id < ?3",
        )?
        .execute((to_sql(user.0), to_sql(channel.0), message))?;
    Ok(moved > 0)
}

fn last_read(c: &Connection, user: UserId, channel: ChannelId) -> rusqlite::Result<Option<i64>> {
    c.prepare_cached("SELECT message_id FROM read_marks WHERE user_id = ?1 AND channel_id = ?2")?
        .query_row((to_sql(user.0), to_sql(channel.0)), |row| row.get(0))
        .optional()
}

pub(super) fn states(
    c: &Connection,
    reader: &Reader,
    channels: &[ChannelId],
) -> rusqlite::Result<Vec<ReadState>> {
    let mut states = Vec::new();
    for channel in channels {
        let state = state(c, reader, *channel)?;
        if state.last_message.is_some() {
            states.push(state);
        }
    }
    Ok(states)
}

fn newest(c: &Connection, channel: ChannelId) -> rusqlite::Result<Option<i64>> {
    c.prepare_cached("SELECT max(id) FROM messages WHERE channel_id = ?1")?
        .query_row([to_sql(channel.0)], |row| row.get(0))
}

pub(super) fn state(
    c: &Connection,
    reader: &Reader,
    channel: ChannelId,
) -> rusqlite::Result<ReadState> {
    let last_read = last_read(c, reader.user, channel)?;
    let newest = newest(c, channel)?;
    let unread = match newest {
        Some(newest) if last_read.is_none_or(|read| read < newest) => {
            unread(c, reader, channel, last_read)?
        }
        _ => Vec::new(),
    };
    let mentions = match unread.last() {
        Some(oldest) => mentions(c, reader, channel, *oldest, &unread)?,
        None => 0,
    };
    let message = |id: i64| MessageId(id.cast_unsigned());
    Ok(ReadState {
        channel_id: channel,
        last_read: last_read.map(message),
        last_message: newest.map(message),
        unread: count(unread.len()),
        mentions,
    })
}

/// Messages by others behind what was read, the newest first; what was sent before the reader came is not new to them.
fn unread(
    c: &Connection,
    reader: &Reader,
    channel: ChannelId,
    last_read: Option<i64>,
) -> rusqlite::Result<Vec<i64>> {
    let came: Option<UnixMs> = c
        .prepare_cached(
            "SELECT m.joined_at_ms FROM channels c JOIN members m ON m.guild_id = c.guild_id AND m.user_id = ?1 WHERE c.id = ?2
             UNION ALL SELECT joined_at_ms FROM conversation_members WHERE user_id = ?1 AND channel_id = ?2",
        )?
        .query_row((to_sql(reader.user.0), to_sql(channel.0)), |row| row.get(0))
        .optional()?;
    let mut found = c.prepare_cached("SELECT id, author_id, sent_at_ms FROM messages WHERE channel_id = ?1 AND id > ?2 ORDER BY id DESC LIMIT ?3")?;
    let mut rows = found.query((to_sql(channel.0), last_read.unwrap_or(0), UNREAD_AMONG))?;
    let mut unread = Vec::new();
    while unread.len() < MAX_UNREAD as usize
        && let Some(row) = rows.next()?
    {
        if came.is_some_and(|came| row.get::<_, UnixMs>(2).is_ok_and(|sent| sent < came)) {
            break;
        }
        if id(row, 1)? != reader.user.0 {
            unread.push(row.get(0)?);
        }
    }
    Ok(unread)
}

/// How many of those unread mention the reader.
fn mentions(
    c: &Connection,
    reader: &Reader,
    channel: ChannelId,
    oldest: i64,
    unread: &[i64],
) -> rusqlite::Result<u32> {
    let unread: HashSet<i64> = unread.iter().copied().collect();
    let mut mentioned = HashSet::new();
    let mut found = c.prepare_cached("SELECT message_id FROM mentions WHERE channel_id = ?1 AND kind = ?2 AND target_id = ?3 AND message_id >= ?4")?;
    for (kind, target) in targets(true, &reader.roles, &[reader.user]) {
        let mut rows = found.query((to_sql(channel.0), kind, target, oldest))?;
        while let Some(row) = rows.next()? {
            let message = row.get(0)?;
            if unread.contains(&message) {
                mentioned.insert(message);
            }
        }
    }
    Ok(count(mentioned.len()))
}

fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
