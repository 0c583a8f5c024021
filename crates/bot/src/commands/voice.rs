//! Others in voice channels.

use clap::Subcommand;
use voxhall_protocol::control::{DisconnectVoice, ModerateVoice, MoveVoice};

use super::guild::Which;
use crate::client::Client;

#[derive(Subcommand)]
pub enum VoiceCommand {
    /// Mutes or deafens a member in the whole server; `false` ends it.
    Moderate {
        #[command(flatten)]
        which: Which,
        member: String,
        #[arg(long)]
        muted: Option<bool>,
        #[arg(long)]
        deafened: Option<bool>,
    },
    /// Moves a member to another voice channel.
    Move {
        #[command(flatten)]
        which: Which,
        member: String,
        channel: String,
    },
    /// Takes a member out of voice.
    Disconnect {
        #[command(flatten)]
        which: Which,
        member: String,
    },
}

impl VoiceCommand {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Self::Moderate {
                which,
                member,
                muted,
                deafened,
            } => {
                let (guild_id, user_id) = (which.id(client)?, client.user(&member).await?);
                client
                    .tell(ModerateVoice {
                        guild_id,
                        user_id,
                        muted,
                        deafened,
                    })
                    .await
            }
            Self::Move {
                which,
                member,
                channel,
            } => {
                let (guild_id, user_id) = (which.id(client)?, client.user(&member).await?);
                let channel_id = client.channel(&channel).await?;
                client
                    .tell(MoveVoice {
                        guild_id,
                        user_id,
                        channel_id,
                    })
                    .await
            }
            Self::Disconnect { which, member } => {
                let (guild_id, user_id) = (which.id(client)?, client.user(&member).await?);
                client.tell(DisconnectVoice { guild_id, user_id }).await
            }
        }
    }
}
