//! A member and a text channel, for tests and benches that store messages.

use std::path::Path;

use voxhall_protocol::{ChannelId, UserId, control::ChannelKind};
use voxhall_store::{
    Accounts, FirstGuild, Guilds, Messages, NewChannel, NewDevice, NewGuild, NewMessage,
    NewUserKind, SignUp, SqliteStore,
};

/// Who posts, and where.
#[derive(Clone, Copy)]
pub struct Room {
    pub author: UserId,
    pub channel: ChannelId,
}

impl Room {
    /// Makes both in a new database.
    pub async fn furnish(file: &Path) -> Self {
        let store = SqliteStore::open(file).unwrap();
        let guild = NewGuild {
            name: "guild".into(),
            channels: vec![NewChannel {
                name: "general".into(),
                kind: ChannelKind::Text,
                bitrate_bps: 0,
            }],
            invite_code: "door".into(),
            owner_code: "owner".into(),
            now: 1,
        };
        store.default_guild(guild).await.unwrap();
        let device = NewDevice {
            family: [7; 16],
            token_sha256: [7; 32],
            label: String::new(),
            now: 1,
        };
        let author = SignUp {
            name: "ann".into(),
            kind: NewUserKind::Guest,
            device,
            joins: FirstGuild::Invite("door".into()),
            from: None,
            now: 1,
        };
        store.sign_up(author).await.unwrap();
        let room = Self::enter(&store).await;
        store.close().await;
        room
    }

    /// Finds them again.
    pub async fn enter(store: &SqliteStore) -> Self {
        let guild = store.guilds().await.unwrap().remove(0);
        Self {
            author: guild.members[0].user,
            channel: guild.channels[0].id,
        }
    }

    pub async fn post(&self, store: &SqliteStore, nonce: String) {
        let text = format!("message {nonce}");
        let new = NewMessage::new(self.channel, self.author, text, nonce, 2);
        let posted = store.post_message(new);
        posted
            .await
            .expect("a message is stored, or this process is killed");
    }
}
