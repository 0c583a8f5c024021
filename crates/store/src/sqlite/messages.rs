use rusqlite::{Connection, OptionalExtension, Row};
use voxhall_protocol::{
    ChannelId, GuildId, MessageId, UserId,
    control::{Message, MessagePage},
};

use super::{
    SqliteStore,
    accounts::{id, read_user_at, to_sql},
    invites,
};
use crate::{Messages, NewMessage, PostError, Posted};

const COLUMNS: &str = "SELECT m.id, m.channel_id, m.text, m.sent_at_ms, m.nonce, u.id, u.name, u.kind \
                       FROM messages m JOIN users u ON u.id = m.author_id";

impl Messages for SqliteStore {
    async fn post_message(&self, new: NewMessage) -> Result<Posted, PostError> {
        self.run(move |c| {
            let guild = open_channel(c, new.channel, new.author)?;
            let inserted = c
                .prepare_cached(
                    "INSERT INTO messages (channel_id, author_id, text, nonce, sent_at_ms) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                )?
                .execute((
                    to_sql(new.channel.0),
                    to_sql(new.author.0),
                    &new.text,
                    &new.nonce,
                    new.now,
                ))?;
            let message = c
                .prepare_cached(&format!("{COLUMNS} WHERE m.author_id = ?1 AND m.nonce = ?2"))?
                .query_row((to_sql(new.author.0), &new.nonce), read_message)?;
            if message.channel_id != new.channel || message.text != new.text {
                return Err(PostError::NonceReused);
            }
            Ok(Posted {
                guild,
                message,
                is_new: inserted == 1,
            })
        })
        .await
    }

    async fn message_page(
        &self,
        reader: UserId,
        channel: ChannelId,
        before: Option<MessageId>,
        limit: u32,
    ) -> Result<MessagePage, PostError> {
        self.run(move |c| {
            open_channel(c, channel, reader)?;
            let before = before.map_or(i64::MAX, |id| to_sql(id.0));
            // One more than asked for tells whether there are older ones.
            let mut messages: Vec<Message> = c
                .prepare_cached(&format!(
                    "{COLUMNS} WHERE m.channel_id = ?1 AND m.id < ?2 ORDER BY m.id DESC LIMIT ?3"
                ))?
                .query_map(
                    (to_sql(channel.0), before, i64::from(limit) + 1),
                    read_message,
                )?
                .collect::<Result<_, _>>()?;
            let more = messages.len() > limit as usize;
            messages.truncate(limit as usize);
            messages.reverse();
            Ok(MessagePage {
                messages,
                more,
                more_after: false,
            })
        })
        .await
    }
}

/// The guild of a text channel that this user may read and write.
fn open_channel(c: &Connection, channel: ChannelId, user: UserId) -> Result<GuildId, PostError> {
    let (guild, kind): (u64, String) = c
        .prepare_cached("SELECT guild_id, kind FROM channels WHERE id = ?1")?
        .query_row([to_sql(channel.0)], |row| Ok((id(row, 0)?, row.get(1)?)))
        .optional()?
        .ok_or(PostError::NoChannel)?;
    if !invites::is_member(c, GuildId(guild), user)? {
        return Err(PostError::NoChannel);
    }
    if kind != "text" {
        return Err(PostError::NotText);
    }
    Ok(GuildId(guild))
}

fn read_message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        id: MessageId(id(row, 0)?),
        channel_id: ChannelId(id(row, 1)?),
        text: row.get(2)?,
        sent_at_ms: row.get(3)?,
        nonce: row.get(4)?,
        ..Message::new(MessageId(0), ChannelId(0), read_user_at(row, 5)?, "", 0, "")
    })
}
