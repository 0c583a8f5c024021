//! Servers: making, joining, roles, members, moderation.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use voxhall_protocol::{
    GuildId,
    control::{
        BanMember, CreateGuild, CreateInvite, CreateRole, DeleteGuild, DeleteRole, ExplainFor,
        ExplainPermissions, KickMember, LeaveGuild, ListAudit, ListBans, ListInvites, RevokeInvite,
        TimeoutMember, TransferGuild, UnbanMember, UpdateGuild, UpdateMember, UpdateRole,
        UploadPurpose,
    },
    permissions::Permissions,
};
use voxhall_session::State;

use super::text;
use crate::client::Client;

/// Which server; may be left out by who is in only one.
#[derive(Args)]
pub struct Which {
    /// Name or id of the server; needed by who is in several.
    #[arg(long)]
    guild: Option<String>,
}

impl Which {
    pub fn id(&self, client: &Client) -> anyhow::Result<GuildId> {
        client.guild(self.guild.as_deref())
    }
}

#[derive(Subcommand)]
pub enum GuildCommand {
    Create {
        name: String,
    },
    List,
    Update {
        #[command(flatten)]
        which: Which,
        #[arg(long)]
        name: Option<String>,
        #[arg(long)]
        description: Option<String>,
        #[arg(long, value_name = "FILE")]
        icon: Option<PathBuf>,
    },
    Delete {
        #[command(flatten)]
        which: Which,
    },
    Leave {
        #[command(flatten)]
        which: Which,
    },
    /// Hands the server over to another member.
    Transfer {
        #[command(flatten)]
        which: Which,
        member: String,
    },
    /// Makes an invite.
    Invite {
        #[command(flatten)]
        which: Which,
        #[arg(long, value_name = "N")]
        hours: Option<u64>,
        #[arg(long, value_name = "N")]
        uses: Option<u32>,
    },
    /// Lists invites and who came by them, or revokes one.
    Invites {
        #[command(flatten)]
        which: Which,
        #[arg(long, value_name = "CODE")]
        revoke: Option<String>,
    },
    /// Lists roles, or changes them.
    Roles {
        #[command(flatten)]
        which: Which,
        #[command(subcommand)]
        what: Option<Roles>,
    },
    Members {
        #[command(flatten)]
        which: Which,
    },
    /// Another name for a member on this server; empty: none.
    Nick {
        #[command(flatten)]
        which: Which,
        member: String,
        nick: String,
    },
    Kick {
        #[command(flatten)]
        which: Which,
        member: String,
        #[arg(long, default_value = "")]
        reason: String,
    },
    Ban {
        #[command(flatten)]
        which: Which,
        member: String,
        #[arg(long, default_value = "")]
        reason: String,
        /// Deletes what they wrote in the last so many hours.
        #[arg(long, value_name = "HOURS", default_value_t = 0)]
        delete_hours: u32,
        /// Whoever comes from their addresses is refused too.
        #[arg(long)]
        address: bool,
    },
    Unban {
        #[command(flatten)]
        which: Which,
        /// Name or id, as `guild bans` lists them.
        user: String,
    },
    Bans {
        #[command(flatten)]
        which: Which,
    },
    /// Silences a member for so many minutes; 0 ends it.
    Timeout {
        #[command(flatten)]
        which: Which,
        member: String,
        minutes: u32,
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// What moderators did, newest first.
    Audit {
        #[command(flatten)]
        which: Which,
    },
    /// Why a member or a role may or may not do things.
    Explain {
        #[command(flatten)]
        which: Which,
        /// A member, or @ROLE with --role.
        who: String,
        /// WHO is a role.
        #[arg(long)]
        role: bool,
        /// In this channel instead of the server as a whole.
        #[arg(long)]
        channel: Option<String>,
    },
}

#[derive(Subcommand)]
pub enum Roles {
    Create {
        name: String,
        /// Rights by name, as in `MANAGE_MESSAGES,KICK_MEMBERS`.
        #[arg(long, value_parser = rights, default_value = "")]
        allow: Permissions,
        /// As in ff8800.
        #[arg(long, value_parser = color)]
        color: Option<u32>,
    },
    /// Sets all rights of a role.
    Rights {
        role: String,
        #[arg(value_parser = rights)]
        rights: Permissions,
    },
    Delete {
        role: String,
    },
    Give {
        role: String,
        member: String,
    },
    Take {
        role: String,
        member: String,
    },
}

impl GuildCommand {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Self::Create { name } => {
                let guild = client.ask(CreateGuild { name }).await?;
                client.show(&guild, format!("made {} (id {})", guild.name, guild.id))
            }
            Self::List => {
                for guild in &client.state().guilds {
                    let line = serde_json::json!({"id": guild.id, "name": guild.name, "members": guild.members.len()});
                    client.show(
                        &line,
                        format!(
                            "{} {} ({} members)",
                            guild.id,
                            guild.name,
                            guild.members.len()
                        ),
                    )?;
                }
                Ok(())
            }
            Self::Update {
                which,
                name,
                description,
                icon,
            } => {
                let guild_id = which.id(client)?;
                let icon = match icon {
                    Some(path) => Some(
                        text::upload(client, &path, UploadPurpose::Picture)
                            .await?
                            .id,
                    ),
                    None => None,
                };
                client
                    .tell(UpdateGuild {
                        guild_id,
                        name,
                        description,
                        icon,
                    })
                    .await
            }
            Self::Delete { which } => {
                client
                    .tell(DeleteGuild {
                        guild_id: which.id(client)?,
                    })
                    .await
            }
            Self::Leave { which } => {
                client
                    .tell(LeaveGuild {
                        guild_id: which.id(client)?,
                    })
                    .await
            }
            Self::Transfer { which, member } => {
                let (guild_id, user_id) = (which.id(client)?, client.user(&member).await?);
                client.tell(TransferGuild { guild_id, user_id }).await
            }
            Self::Invite { which, hours, uses } => {
                let create = CreateInvite {
                    guild_id: which.id(client)?,
                    expires_in_s: hours.map(|hours| hours * 3600),
                    max_uses: uses,
                };
                let invite = client.ask(create).await?;
                client.show(&invite, &invite.link)
            }
            Self::Invites {
                which,
                revoke: Some(code),
            } => {
                let guild_id = which.id(client)?;
                client.tell(RevokeInvite { guild_id, code }).await
            }
            Self::Invites {
                which,
                revoke: None,
            } => {
                let guild_id = which.id(client)?;
                for invite in client.ask(ListInvites { guild_id }).await?.invites {
                    let came: Vec<_> = invite.came.iter().map(|user| user.name.as_str()).collect();
                    let words = format!(
                        "{} used {} times: {}",
                        invite.code,
                        invite.uses,
                        came.join(", ")
                    );
                    client.show(&invite, words)?;
                }
                Ok(())
            }
            Self::Roles { which, what: None } => {
                let guild_id = which.id(client)?;
                let state = client.state();
                for role in &state.guild(guild_id).context("no longer a member")?.roles {
                    client.show(
                        role,
                        format!("{} {}: {}", role.id, role.name, names_of(role.permissions)),
                    )?;
                }
                Ok(())
            }
            Self::Roles {
                which,
                what: Some(what),
            } => what.run(client, which.id(client)?).await,
            Self::Members { which } => {
                let guild_id = which.id(client)?;
                let state = client.state();
                let guild = state.guild(guild_id).context("no longer a member")?;
                for member in guild.members.values() {
                    let roles: Vec<_> = guild
                        .roles_of(member)
                        .iter()
                        .skip(1)
                        .map(|role| role.name.as_str())
                        .collect();
                    let there = if member.presence.is_online() {
                        "*"
                    } else {
                        " "
                    };
                    let words = format!(
                        "{there} {} {} [{}]",
                        member.user.id,
                        member.shown_name(),
                        roles.join(", ")
                    );
                    client.show(member, words)?;
                }
                Ok(())
            }
            Self::Nick {
                which,
                member,
                nick,
            } => {
                let update = UpdateMember {
                    guild_id: which.id(client)?,
                    user_id: client.user(&member).await?,
                    nick: Some(nick),
                    roles: None,
                };
                client.tell(update).await
            }
            Self::Kick {
                which,
                member,
                reason,
            } => {
                let (guild_id, user_id) = (which.id(client)?, client.user(&member).await?);
                client
                    .tell(KickMember {
                        guild_id,
                        user_id,
                        reason,
                    })
                    .await
            }
            Self::Ban {
                which,
                member,
                reason,
                delete_hours,
                address,
            } => {
                let ban = BanMember {
                    guild_id: which.id(client)?,
                    user_id: client.user(&member).await?,
                    reason,
                    delete_messages_s: delete_hours * 3600,
                    address,
                };
                client.tell(ban).await
            }
            Self::Unban { which, user } => {
                let guild_id = which.id(client)?;
                let bans = client.ask(ListBans { guild_id }).await?.bans;
                let is = |ban: &&voxhall_protocol::control::Ban| {
                    ban.user.name.eq_ignore_ascii_case(&user)
                        || user.parse::<u64>() == Ok(ban.user.id.0)
                };
                let user_id = bans.iter().find(is).context("no such ban")?.user.id;
                client.tell(UnbanMember { guild_id, user_id }).await
            }
            Self::Bans { which } => {
                let guild_id = which.id(client)?;
                for ban in client.ask(ListBans { guild_id }).await?.bans {
                    client.show(
                        &ban,
                        format!("{} {}: {}", ban.user.id, ban.user.name, ban.reason),
                    )?;
                }
                Ok(())
            }
            Self::Timeout {
                which,
                member,
                minutes,
                reason,
            } => {
                let timeout = TimeoutMember {
                    guild_id: which.id(client)?,
                    user_id: client.user(&member).await?,
                    duration_s: minutes.saturating_mul(60),
                    reason,
                };
                client.tell(timeout).await
            }
            Self::Audit { which } => {
                let list = ListAudit {
                    guild_id: which.id(client)?,
                    before: None,
                    action: None,
                    by: None,
                };
                for entry in client.ask(list).await?.entries {
                    let by = entry.by.as_ref().map_or("-", |user| user.name.as_str());
                    client.show(
                        &entry,
                        format!(
                            "{} {by} {} {}",
                            entry.at_ms,
                            entry.action.as_str(),
                            entry.target
                        ),
                    )?;
                }
                Ok(())
            }
            Self::Explain {
                which,
                who,
                role,
                channel,
            } => {
                let guild_id = which.id(client)?;
                let of = if role {
                    ExplainFor::Role(client.role(guild_id, &who)?)
                } else {
                    ExplainFor::User(client.user(&who).await?)
                };
                let channel_id = match channel {
                    Some(name) => Some(client.channel(&name).await?),
                    None => None,
                };
                let explained = client
                    .ask(ExplainPermissions {
                        guild_id,
                        channel_id,
                        of,
                    })
                    .await?;
                for line in &explained.explanations {
                    let verdict = if line.allowed { "may" } else { "may not" };
                    client.show(
                        line,
                        format!(
                            "{verdict} {}: {}",
                            names_of(line.permission),
                            line.because.join("; ")
                        ),
                    )?;
                }
                Ok(())
            }
        }
    }
}

impl Roles {
    async fn run(self, client: &Client, guild_id: GuildId) -> anyhow::Result<()> {
        match self {
            Self::Create { name, allow, color } => {
                let role = client
                    .ask(CreateRole {
                        guild_id,
                        name,
                        permissions: allow,
                        color,
                    })
                    .await?;
                client.show(&role, format!("made {} (id {})", role.name, role.id))
            }
            Self::Rights { role, rights } => {
                let update = UpdateRole {
                    guild_id,
                    role_id: client.role(guild_id, &role)?,
                    name: None,
                    permissions: Some(rights),
                    color: None,
                    hoist: None,
                    mentionable: None,
                };
                client.tell(update).await
            }
            Self::Delete { role } => {
                let role_id = client.role(guild_id, &role)?;
                client.tell(DeleteRole { guild_id, role_id }).await
            }
            Self::Give { role, member } => set_role(client, guild_id, &role, &member, true).await,
            Self::Take { role, member } => set_role(client, guild_id, &role, &member, false).await,
        }
    }
}

async fn set_role(
    client: &Client,
    guild_id: GuildId,
    role: &str,
    member: &str,
    has: bool,
) -> anyhow::Result<()> {
    let role_id = client.role(guild_id, role)?;
    let user_id = client.user(member).await?;
    let state: std::sync::Arc<State> = client.state();
    let guild = state.guild(guild_id).context("no longer a member")?;
    let mut roles = guild
        .members
        .get(&user_id)
        .context("not a member")?
        .roles
        .clone();
    roles.retain(|role| *role != role_id);
    if has {
        roles.push(role_id);
    }
    let update = UpdateMember {
        guild_id,
        user_id,
        nick: None,
        roles: Some(roles),
    };
    client.tell(update).await
}

/// Rights by name, separated by commas.
pub fn rights(text: &str) -> Result<Permissions, String> {
    let mut all = Permissions::NONE;
    for name in text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        let known = Permissions::EACH
            .iter()
            .find(|(_, known, _)| known.eq_ignore_ascii_case(name));
        let names = || {
            Permissions::EACH
                .iter()
                .map(|(_, name, _)| *name)
                .collect::<Vec<_>>()
                .join(", ")
        };
        all = all.with(
            known
                .ok_or_else(|| format!("no right {name:?}; there are: {}", names()))?
                .0,
        );
    }
    Ok(all)
}

pub fn names_of(rights: Permissions) -> String {
    let has = Permissions::EACH
        .iter()
        .filter(|(right, _, _)| rights.contains(*right));
    has.map(|(_, name, _)| *name).collect::<Vec<_>>().join(",")
}

fn color(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text.trim_start_matches('#'), 16)
        .ok()
        .filter(|color| *color <= 0xff_ff_ff)
        .ok_or_else(|| "a colour looks like ff8800".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_named_and_read_back() {
        let some = Permissions::KICK_MEMBERS.with(Permissions::SPEAK);
        assert_eq!(rights(&names_of(some)), Ok(some));
        assert_eq!(rights(""), Ok(Permissions::NONE));
        assert!(rights("FLY").unwrap_err().contains("KICK_MEMBERS"));
        assert_eq!(color("#ff8800"), Ok(0xff8800));
        assert!(color("orange").is_err());
    }
}
