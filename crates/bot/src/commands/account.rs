//! Signing up, in and out; one's own devices and profile.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use voxhall_protocol::{
    DeviceId,
    control::{
        ChangePassword, EndDevice, GetProfile, ListDevices, RedeemInvite, UpdateAccount,
        UpgradeAccount, UploadPurpose,
    },
    link::Link,
};
use voxhall_session::{Identity, Intent};

use super::{secret, text};
use crate::{client::Client, profile::Profile};

#[derive(Subcommand)]
pub enum Account {
    /// Makes an account and signs in.
    Register(WithPassword),
    /// Signs in to an account.
    Login(WithPassword),
    /// Comes in by an invite link with just a name.
    Guest {
        /// Invite link: voxhall://host:9000/CODE#PIN
        link: Link,
        name: String,
    },
    /// Joins the server that an invite leads to.
    Redeem {
        /// Invite link or code.
        invite: String,
    },
    /// Signs out and forgets the login.
    Logout,
    /// Says who is signed in.
    Whoami,
    /// Lists where this account is signed in.
    Devices {
        /// Ends the sign-in of this device.
        #[arg(long, value_name = "ID")]
        end: Option<u64>,
    },
    /// Shows a profile, or changes one's own.
    Profile {
        /// Whose; one's own if not given.
        name: Option<String>,
        #[arg(long)]
        display_name: Option<String>,
        #[arg(long)]
        about: Option<String>,
        #[arg(long, value_name = "FILE")]
        picture: Option<PathBuf>,
    },
    /// Changes the password, and signs all other devices out.
    Password {
        #[arg(long, value_name = "VARIABLE")]
        old_env: String,
        #[arg(long, value_name = "VARIABLE")]
        new_env: String,
    },
    /// Makes an account of a guest, who stays who they are.
    Upgrade {
        /// Another name than the guest's.
        #[arg(long)]
        name: Option<String>,
        #[arg(long, value_name = "VARIABLE")]
        password_env: String,
    },
}

#[derive(Args)]
pub struct WithPassword {
    /// The server, or an invite link to it.
    link: Link,
    name: String,
    /// Environment variable that holds the password.
    #[arg(long, value_name = "VARIABLE")]
    password_env: String,
}

impl Account {
    pub async fn run(self, profile: &Profile, json: bool) -> anyhow::Result<()> {
        let (link, identity) = match self {
            Self::Register(who) => {
                let password = secret(&who.password_env)?;
                let name = who.name;
                (who.link, Identity::Register { name, password })
            }
            Self::Login(who) => {
                let password = secret(&who.password_env)?;
                let name = who.name;
                (who.link, Identity::Login { name, password })
            }
            Self::Guest { link, name } => (link, Identity::Guest { name }),
            other => {
                let client = Client::come_back(profile, json, None).await?;
                let done = other.go_on(&client).await;
                client.session.end().await;
                return done;
            }
        };
        let client = Client::sign_in(profile, link, identity, json, None).await?;
        whoami(&client)?;
        client.session.end().await;
        Ok(())
    }

    async fn go_on(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Self::Register(_) | Self::Login(_) | Self::Guest { .. } => {
                unreachable!("these sign in")
            }
            Self::Redeem { invite } => {
                let code = match invite.parse::<Link>() {
                    Ok(Link {
                        code: Some(code), ..
                    }) => code,
                    _ => invite,
                };
                let redeemed = client.ask(RedeemInvite { code }).await?;
                let state = client.state();
                let name = state
                    .guild(redeemed.guild_id)
                    .map_or("", |guild| guild.name.as_str());
                client.show(&redeemed, format!("joined {name}"))
            }
            Self::Logout => {
                client.session.send(Intent::SignOut);
                client
                    .session
                    .until(|state| state.login.is_none().then_some(()))
                    .await;
                client.show(&serde_json::json!({}), "signed out")
            }
            Self::Whoami => whoami(client),
            Self::Devices { end: Some(id) } => {
                let device_id = DeviceId(id);
                client.tell(EndDevice { device_id }).await
            }
            Self::Devices { end: None } => {
                for device in client.ask(ListDevices {}).await?.devices {
                    let here = if device.this { ", this one" } else { "" };
                    let online = if device.online { ", online" } else { "" };
                    client.show(
                        &device,
                        format!("{} {}{online}{here}", device.id, device.label),
                    )?;
                }
                Ok(())
            }
            Self::Profile {
                name,
                display_name,
                about,
                picture,
            } => {
                let picture = match picture {
                    Some(path) => Some(
                        text::upload(client, &path, UploadPurpose::Picture)
                            .await?
                            .id,
                    ),
                    None => None,
                };
                let profile = if display_name.is_some() || about.is_some() || picture.is_some() {
                    let update = UpdateAccount {
                        display_name,
                        about,
                        picture,
                    };
                    client.ask(update).await?
                } else {
                    let user_id = match name {
                        Some(name) => client.user(&name).await?,
                        None => client.state().me.as_ref().context("not signed in")?.id,
                    };
                    client.ask(GetProfile { user_id }).await?
                };
                let user = &profile.user;
                let words = format!(
                    "{} ({}), {} followers, follows {}\n{}",
                    user.shown_name(),
                    user.name,
                    profile.followers,
                    profile.following,
                    profile.about
                );
                client.show(&profile, words.trim_end())
            }
            Self::Password { old_env, new_env } => {
                let (old, new) = (secret(&old_env)?, secret(&new_env)?);
                client.tell(ChangePassword { old, new }).await
            }
            Self::Upgrade { name, password_env } => {
                let password = secret(&password_env)?;
                let user = client.ask(UpgradeAccount { name, password }).await?;
                client.show(&user, format!("{} is an account now", user.name))
            }
        }
    }
}

fn whoami(client: &Client) -> anyhow::Result<()> {
    let state = client.state();
    let me = state.me.as_ref().context("not signed in")?;
    let server = state.server_name.as_deref().unwrap_or_default();
    let admin = if state.is_admin {
        ", administrator"
    } else {
        ""
    };
    client.show(me, format!("{} (id {}) on {server}{admin}", me.name, me.id))
}
