//! The whole server, for its administrators. `voxhall-server admin` does the same on the machine itself.

use clap::Subcommand;
use voxhall_protocol::{
    UserId,
    control::{
        AdminBackup, AdminBan, AdminListBans, AdminListGuilds, AdminListUsers, AdminResetPassword,
        AdminSignOut, AdminStats, AdminUnban, AdminUpdateUser,
    },
};

use crate::client::Client;

#[derive(Subcommand)]
pub enum AdminCommand {
    Stats,
    /// Users by part of their name.
    Users {
        #[arg(default_value = "")]
        query: String,
    },
    Guilds,
    /// Suspends an account; with `false`, lets it back in.
    Suspend {
        user: u64,
        #[arg(default_value_t = true, action = clap::ArgAction::Set)]
        suspended: bool,
    },
    /// Makes someone an administrator of the whole server; with `false`, no longer.
    MakeAdmin {
        user: u64,
        #[arg(default_value_t = true, action = clap::ArgAction::Set)]
        is_admin: bool,
    },
    /// Ends all sign-ins of a user.
    SignOut {
        user: u64,
    },
    /// Prints a new password for a user.
    ResetPassword {
        user: u64,
    },
    Bans,
    /// Refuses whoever comes from an address or a network such as 203.0.113.0/24.
    Ban {
        network: String,
        #[arg(long, default_value = "")]
        reason: String,
        #[arg(long, value_name = "HOURS")]
        hours: Option<u64>,
    },
    Unban {
        network: String,
    },
    Backup,
}

impl AdminCommand {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        let change = |user: u64| AdminUpdateUser {
            user_id: UserId(user),
            suspended: None,
            is_admin: None,
        };
        match self {
            Self::Stats => {
                let stats = client.ask(AdminStats {}).await?;
                client.show(&stats, format!("{stats:#?}"))
            }
            Self::Users { query } => {
                for user in client
                    .ask(AdminListUsers { query, after: None })
                    .await?
                    .users
                {
                    client.show(&user, format!("{} {}", user.user.id, user.user.name))?;
                }
                Ok(())
            }
            Self::Guilds => {
                for guild in client.ask(AdminListGuilds {}).await?.guilds {
                    client.show(
                        &guild,
                        format!("{} {} ({} members)", guild.id, guild.name, guild.members),
                    )?;
                }
                Ok(())
            }
            Self::Suspend { user, suspended } => {
                let suspended = Some(suspended);
                client
                    .tell(AdminUpdateUser {
                        suspended,
                        ..change(user)
                    })
                    .await
            }
            Self::MakeAdmin { user, is_admin } => {
                let is_admin = Some(is_admin);
                client
                    .tell(AdminUpdateUser {
                        is_admin,
                        ..change(user)
                    })
                    .await
            }
            Self::SignOut { user } => {
                client
                    .tell(AdminSignOut {
                        user_id: UserId(user),
                    })
                    .await
            }
            Self::ResetPassword { user } => {
                let new = client
                    .ask(AdminResetPassword {
                        user_id: UserId(user),
                    })
                    .await?;
                client.show(&new, new.password.expose())
            }
            Self::Bans => {
                for ban in client.ask(AdminListBans {}).await?.bans {
                    client.show(&ban, format!("{} {}", ban.network, ban.reason))?;
                }
                Ok(())
            }
            Self::Ban {
                network,
                reason,
                hours,
            } => {
                let duration_s = hours.map(|hours| hours * 3600);
                client
                    .tell(AdminBan {
                        network,
                        reason,
                        duration_s,
                    })
                    .await
            }
            Self::Unban { network } => client.tell(AdminUnban { network }).await,
            Self::Backup => {
                let backup = client.ask(AdminBackup {}).await?;
                client.show(&backup, format!("{} ({} bytes)", backup.path, backup.bytes))
            }
        }
    }
}
