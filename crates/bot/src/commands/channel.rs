//! Channels of a server, and who may do what there.

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use voxhall_protocol::{
    ChannelId,
    control::{
        ChannelKind, ChannelPlace, CreateChannel, DeleteChannel, OverwriteTarget, ReorderChannels,
        SetOverwrite, UpdateChannel,
    },
    permissions::Permissions,
};

use super::guild::{Which, rights};
use crate::client::Client;

#[derive(Subcommand)]
pub enum ChannelCommand {
    List {
        #[command(flatten)]
        which: Which,
    },
    Create {
        #[command(flatten)]
        which: Which,
        name: String,
        #[arg(long, value_enum, default_value = "text")]
        kind: Kind,
        /// Category that it goes into.
        #[arg(long)]
        category: Option<String>,
    },
    Update {
        channel: String,
        #[arg(long)]
        name: Option<String>,
        #[arg(long)]
        topic: Option<String>,
        #[arg(long, value_name = "SECONDS")]
        slow_mode: Option<u32>,
        #[arg(long, value_name = "DAYS")]
        retention: Option<u32>,
        #[arg(long, value_name = "N")]
        user_limit: Option<u32>,
        #[arg(long, value_name = "BPS")]
        bitrate: Option<u32>,
    },
    /// Puts channels into this order; the others stay behind them.
    Order {
        #[command(flatten)]
        which: Which,
        channels: Vec<String>,
    },
    Delete {
        channel: String,
    },
    /// Allows rights to a role or a member here, such as SEND_MESSAGES,SPEAK.
    Allow(Rule),
    /// Denies rights to a role or a member here.
    Deny(Rule),
    /// Neither allows nor denies them any more.
    Reset(Rule),
}

#[derive(Args)]
pub struct Rule {
    channel: String,
    /// @everyone, a role's name, or a member with --member.
    who: String,
    #[arg(value_parser = rights)]
    rights: Permissions,
    /// WHO is a member.
    #[arg(long)]
    member: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Kind {
    Text,
    Voice,
    Stage,
    Category,
}

impl ChannelCommand {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Self::List { which } => {
                let guild_id = which.id(client)?;
                let state = client.state();
                for channel in &state
                    .guild(guild_id)
                    .context("no longer a member")?
                    .channels
                {
                    let reading = state.reading.get(&channel.id);
                    let unread = reading.map_or(0, |reading| reading.unread);
                    let kind = format!("{:?}", channel.kind).to_lowercase();
                    client.show(
                        channel,
                        format!("{} {kind} {} ({unread} unread)", channel.id, channel.name),
                    )?;
                }
                Ok(())
            }
            Self::Create {
                which,
                name,
                kind,
                category,
            } => {
                let kind = match kind {
                    Kind::Text => ChannelKind::Text,
                    Kind::Voice => ChannelKind::Voice,
                    Kind::Stage => ChannelKind::Stage,
                    Kind::Category => ChannelKind::Category,
                };
                let category_id = match category {
                    Some(name) => Some(client.channel(&name).await?),
                    None => None,
                };
                let guild_id = which.id(client)?;
                let channel = client
                    .ask(CreateChannel {
                        guild_id,
                        name,
                        kind,
                        category_id,
                    })
                    .await?;
                client.show(
                    &channel,
                    format!("made {} (id {})", channel.name, channel.id),
                )
            }
            Self::Update {
                channel,
                name,
                topic,
                slow_mode,
                retention,
                user_limit,
                bitrate,
            } => {
                let update = UpdateChannel {
                    channel_id: client.channel(&channel).await?,
                    name,
                    topic,
                    slow_mode_s: slow_mode,
                    retention_days: retention,
                    user_limit,
                    bitrate_bps: bitrate,
                };
                client.tell(update).await
            }
            Self::Order { which, channels } => {
                let mut places = Vec::new();
                for name in channels {
                    let channel_id = client.channel(&name).await?;
                    let state = client.state();
                    let known = state
                        .guild_of(channel_id)
                        .and_then(|guild| guild.channel(channel_id));
                    let category_id = known.and_then(|channel| channel.category_id);
                    places.push(ChannelPlace {
                        channel_id,
                        category_id,
                    });
                }
                client
                    .tell(ReorderChannels {
                        guild_id: which.id(client)?,
                        channels: places,
                    })
                    .await
            }
            Self::Delete { channel } => {
                let channel_id = client.channel(&channel).await?;
                client.tell(DeleteChannel { channel_id }).await
            }
            Self::Allow(rule) => rule.apply(client, Some(true)).await,
            Self::Deny(rule) => rule.apply(client, Some(false)).await,
            Self::Reset(rule) => rule.apply(client, None).await,
        }
    }
}

impl Rule {
    async fn apply(self, client: &Client, verdict: Option<bool>) -> anyhow::Result<()> {
        let channel_id: ChannelId = client.channel(&self.channel).await?;
        let state = client.state();
        let Some(guild) = state.guild_of(channel_id) else {
            bail!("only channels of a server have rules");
        };
        let target = if self.member {
            OverwriteTarget::Member(client.user(&self.who).await?)
        } else {
            OverwriteTarget::Role(client.role(guild.id, &self.who)?)
        };
        let rules = guild.channel(channel_id).map(|channel| &channel.overwrites);
        let known = rules
            .into_iter()
            .flatten()
            .find(|rule| rule.target == target);
        let (allow, deny) = known.map_or((Permissions::NONE, Permissions::NONE), |rule| {
            (rule.allow, rule.deny)
        });
        let (allow, deny) = (allow.without(self.rights), deny.without(self.rights));
        let (allow, deny) = match verdict {
            Some(true) => (allow.with(self.rights), deny),
            Some(false) => (allow, deny.with(self.rights)),
            None => (allow, deny),
        };
        client
            .tell(SetOverwrite {
                channel_id,
                target,
                allow,
                deny,
            })
            .await
    }
}
