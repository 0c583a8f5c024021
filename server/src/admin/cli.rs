//! The commands, and how their answers look.

use std::{net::IpAddr, path::Path};

use clap::Subcommand;
use serde::Serialize;
use voxhall_protocol::{
    GuildId, RoleId, SecretText, UserId,
    control::{
        AdminBackup, AdminBan, AdminCreateInvite, AdminCreateUser, AdminDeleteGuild,
        AdminDeleteUser, AdminDrain, AdminGiveRole, AdminGuild, AdminListBans, AdminListGuilds,
        AdminListInvites, AdminListUsers, AdminResetPassword, AdminRevokeInvite, AdminRotateKeys,
        AdminSetGuildOwner, AdminSignOut, AdminStats, AdminTakeRole, AdminUnban, AdminUpdateUser,
        AdminUser, Call, Done, Invite, UserKind,
    },
};

use super::{
    client::{AskError, Console},
    table::{bytes, span, table, time, time_or},
};
use crate::config::Age;

/// Commands for the server that runs
#[derive(Debug, clap::Args)]
pub struct Admin {
    /// Answers as JSON, for programs
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What the server has and does
    Stats,
    /// Accounts and guests
    #[command(subcommand)]
    Users(Users),
    /// Guilds, their owners and roles
    #[command(subcommand)]
    Guilds(Guilds),
    /// Invites of a guild
    #[command(subcommand)]
    Invites(Invites),
    /// Who may not use the server: addresses and accounts
    #[command(subcommand)]
    Bans(Bans),
    /// Makes a backup in the server's backup folder
    Backup,
    /// Keys that access tokens are signed with
    #[command(subcommand)]
    Keys(Keys),
    /// Tells everyone to come back soon, and stops the server
    #[command(visible_alias = "shutdown")]
    Drain {
        /// Why, for who is connected
        #[arg(long, default_value = "")]
        message: String,
    },
}

// A user or guild is named by its name or its number.

#[derive(Debug, Subcommand)]
enum Users {
    /// Everyone
    List,
    /// Whose name has this in it
    Find {
        part: String,
    },
    Show {
        user: String,
    },
    /// Makes an account and shows its password
    Create {
        name: String,
    },
    /// Keeps someone out, and ends their sign-ins
    Suspend {
        user: String,
    },
    Unsuspend {
        user: String,
    },
    /// Opens all of this to someone in the app
    MakeAdmin {
        user: String,
    },
    RevokeAdmin {
        user: String,
    },
    /// Makes up a new password, shows it, and ends all sign-ins
    ResetPassword {
        user: String,
    },
    /// Ends all sign-ins
    SignOut {
        user: String,
    },
    /// Deletes an account; what they wrote stays, without a name
    Delete {
        user: String,
        /// Doesn't ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Guilds {
    List,
    Show {
        guild: String,
    },
    /// Deletes a guild with all it has
    Delete {
        guild: String,
        /// Doesn't ask
        #[arg(long)]
        yes: bool,
    },
    /// Makes a member the owner
    Owner {
        guild: String,
        user: String,
    },
    Roles {
        guild: String,
    },
    GiveRole {
        guild: String,
        user: String,
        role: String,
    },
    TakeRole {
        guild: String,
        user: String,
        role: String,
    },
}

#[derive(Debug, Subcommand)]
enum Invites {
    List {
        guild: String,
    },
    Create {
        guild: String,
        /// How long it works, such as "7 days"
        #[arg(long, value_name = "TIME")]
        expires: Option<Age>,
        /// How many may come by it
        #[arg(long, value_name = "N")]
        uses: Option<u32>,
        /// Makes who uses it the owner; works once
        #[arg(long)]
        owner: bool,
    },
    Revoke {
        guild: String,
        code: String,
    },
}

#[derive(Debug, Subcommand)]
enum Bans {
    List,
    /// An address, a network such as 203.0.113.0/24, or an account
    Add {
        who: String,
        #[arg(long, default_value = "")]
        reason: String,
        /// How long, such as "7 days"; only for addresses
        #[arg(long = "for", value_name = "TIME", default_value = "forever")]
        time: Age,
    },
    Remove {
        who: String,
    },
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// New access tokens get a new key; the old one holds until its tokens have expired
    Rotate {
        /// The old key ends now: every app has to get a new token
        #[arg(long)]
        at_once: bool,
    },
}

/// Why a command did not do what it says.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("there is no {what} {name:?}; see voxhall-server admin {list}")]
    NotFound {
        what: &'static str,
        name: String,
        list: &'static str,
    },
    #[error("there are several of the name {name:?}; say which by its number: {ids}")]
    Several { name: String, ids: String },
    #[error("not done. To do it without being asked: --yes")]
    NotConfirmed,
    #[error("can't read the terminal: {0}")]
    Terminal(#[from] std::io::Error),
}

/// Does one command on the server that listens at `socket`, and gives what is to be printed.
///
/// # Errors
/// See [`CommandError`].
pub fn run(admin: Admin, socket: Option<&Path>) -> Result<String, CommandError> {
    let console = Console::open(socket.ok_or(AskError::Off)?)?;
    let mut session = Session {
        console,
        json: admin.json,
    };
    match admin.command {
        Command::Stats => session.stats(),
        Command::Users(users) => session.users(users),
        Command::Guilds(guilds) => session.guilds(guilds),
        Command::Invites(invites) => session.invites(invites),
        Command::Bans(bans) => session.bans(bans),
        Command::Backup => session.ask(&AdminBackup {}, |backup| {
            let size = bytes(backup.bytes);
            format!("{} ({size}, {} ms)\n", backup.path, backup.took_ms)
        }),
        Command::Keys(Keys::Rotate { at_once }) => session.done(
            &AdminRotateKeys { at_once },
            "New tokens are signed with a new key.",
        ),
        Command::Drain { message } => {
            session.done(&AdminDrain { reason: message }, "The server is stopping.")
        }
    }
}

/// Asks the server at `socket` whether all is well; gives a word for people.
///
/// # Errors
/// It doesn't answer, or voice has stopped.
pub fn health(socket: Option<&Path>) -> Result<String, HealthError> {
    let mut console = Console::open(socket.ok_or(AskError::Off)?)?;
    let stats = console.ask(&AdminStats {})?;
    if !stats.voice_running {
        return Err(HealthError::VoiceStopped);
    }
    Ok(format!(
        "ok, {} for {}\n",
        stats.version,
        span(stats.uptime_s)
    ))
}

#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("voice has stopped, which only a new start mends")]
    VoiceStopped,
}

struct Session {
    console: Console,
    json: bool,
}

type Answer = Result<String, CommandError>;

impl Session {
    fn stats(&mut self) -> Answer {
        self.ask(&AdminStats {}, |stats| {
            let rows = [
                ("version", stats.version.clone()),
                ("running for", span(stats.uptime_s)),
                (
                    "voice",
                    if stats.voice_running {
                        "running"
                    } else {
                        "STOPPED: start the server again"
                    }
                    .into(),
                ),
                ("connections", stats.connections.to_string()),
                ("users online", stats.online_users.to_string()),
                ("in voice", stats.voice_sessions.to_string()),
                ("accounts", stats.users.to_string()),
                ("guests", stats.guests.to_string()),
                ("guilds", stats.guilds.to_string()),
                ("messages", stats.messages.to_string()),
                (
                    "attachments",
                    format!("{} ({})", stats.attachments, bytes(stats.attachment_bytes)),
                ),
                ("database", bytes(stats.database_bytes)),
            ];
            let line = |(name, value): &(&str, String)| format!("{name:14}{value}\n");
            rows.iter().map(line).collect()
        })
    }

    fn users(&mut self, users: Users) -> Answer {
        match users {
            Users::List => self.list_users(""),
            Users::Find { part } => self.list_users(&part),
            Users::Show { user } => {
                let user = self.user(&user)?;
                self.print(&user, |user| users_table(std::slice::from_ref(user)))
            }
            Users::Create { name } => {
                let call = AdminCreateUser {
                    name,
                    password: new_password(),
                };
                let made = self.console.ask(&call)?;
                let password = call.password.expose();
                self.print(&made, |made| {
                    format!(
                        "{} (number {}), password: {password}\n",
                        made.user.name, made.user.id
                    )
                })
            }
            Users::Suspend { user } => self.update_user(&user, Some(true), None),
            Users::Unsuspend { user } => self.update_user(&user, Some(false), None),
            Users::MakeAdmin { user } => self.update_user(&user, None, Some(true)),
            Users::RevokeAdmin { user } => self.update_user(&user, None, Some(false)),
            Users::ResetPassword { user } => {
                let user_id = self.user(&user)?.user.id;
                self.ask(&AdminResetPassword { user_id }, |new| {
                    format!("{}\n", new.password.expose())
                })
            }
            Users::SignOut { user } => {
                let user_id = self.user(&user)?.user.id;
                self.done(&AdminSignOut { user_id }, "Signed out everywhere.")
            }
            Users::Delete { user, yes } => {
                let user = self.user(&user)?.user;
                confirm(
                    yes,
                    &format!("Delete {} (number {}) for good?", user.name, user.id),
                )?;
                self.done(&AdminDeleteUser { user_id: user.id }, "Deleted.")
            }
        }
    }

    fn list_users(&mut self, query: &str) -> Answer {
        let users = self.all_users(query)?;
        self.print(&users, |users| users_table(users))
    }

    fn update_user(
        &mut self,
        user: &str,
        suspended: Option<bool>,
        is_admin: Option<bool>,
    ) -> Answer {
        let user_id = self.user(user)?.user.id;
        let call = AdminUpdateUser {
            user_id,
            suspended,
            is_admin,
        };
        self.ask(&call, |user| users_table(std::slice::from_ref(user)))
    }

    fn guilds(&mut self, guilds: Guilds) -> Answer {
        match guilds {
            Guilds::List => {
                let guilds = self.console.ask(&AdminListGuilds {})?.guilds;
                self.print(&guilds, |guilds| guilds_table(guilds))
            }
            Guilds::Show { guild } => {
                let guild = self.guild(&guild)?;
                self.print(&guild, |guild| guilds_table(std::slice::from_ref(guild)))
            }
            Guilds::Delete { guild, yes } => {
                let guild = self.guild(&guild)?;
                let question = format!(
                    "Delete {} (number {}) with {} members and {} messages for good?",
                    guild.name, guild.id, guild.members, guild.messages
                );
                confirm(yes, &question)?;
                self.done(&AdminDeleteGuild { guild_id: guild.id }, "Deleted.")
            }
            Guilds::Owner { guild, user } => {
                let call = AdminSetGuildOwner {
                    guild_id: self.guild(&guild)?.id,
                    user_id: self.user(&user)?.user.id,
                };
                self.ask(&call, |guild| format!("{} has a new owner.\n", guild.name))
            }
            Guilds::Roles { guild } => {
                let roles = self.guild(&guild)?.roles;
                self.print(&roles, |roles| {
                    let row = |role: &voxhall_protocol::control::Role| {
                        [
                            role.id.to_string(),
                            role.name.clone(),
                            role.position.to_string(),
                        ]
                    };
                    table(
                        ["NUMBER", "NAME", "POSITION"],
                        &roles.iter().map(row).collect::<Vec<_>>(),
                    )
                })
            }
            Guilds::GiveRole { guild, user, role } => {
                let (guild_id, user_id, role_id) = self.role(&guild, &user, &role)?;
                let call = AdminGiveRole {
                    guild_id,
                    user_id,
                    role_id,
                };
                self.ask(&call, |member| {
                    format!("{} has the role.\n", member.user.name)
                })
            }
            Guilds::TakeRole { guild, user, role } => {
                let (guild_id, user_id, role_id) = self.role(&guild, &user, &role)?;
                let call = AdminTakeRole {
                    guild_id,
                    user_id,
                    role_id,
                };
                self.ask(&call, |member| {
                    format!("{} no longer has the role.\n", member.user.name)
                })
            }
        }
    }

    fn invites(&mut self, invites: Invites) -> Answer {
        match invites {
            Invites::List { guild } => {
                let guild_id = self.guild(&guild)?.id;
                self.ask(&AdminListInvites { guild_id }, |list| {
                    invites_table(&list.invites)
                })
            }
            Invites::Create {
                guild,
                expires,
                uses,
                owner,
            } => {
                let call = AdminCreateInvite {
                    guild_id: self.guild(&guild)?.id,
                    expires_in_s: expires.and_then(|age| age.0).map(|age| age.as_secs()),
                    max_uses: uses,
                    makes_owner: owner,
                };
                self.ask(&call, |invite| format!("{}\n", invite.link))
            }
            Invites::Revoke { guild, code } => {
                let guild_id = self.guild(&guild)?.id;
                self.done(&AdminRevokeInvite { guild_id, code }, "Revoked.")
            }
        }
    }

    fn bans(&mut self, bans: Bans) -> Answer {
        match bans {
            Bans::List => {
                let networks = self.console.ask(&AdminListBans {})?.bans;
                let mut accounts = self.all_users("")?;
                accounts.retain(|user| user.suspended);
                #[derive(Serialize)]
                struct All {
                    networks: Vec<voxhall_protocol::control::ServerBan>,
                    accounts: Vec<AdminUser>,
                }
                self.print(&All { networks, accounts }, |all| {
                    let networks = all.networks.iter().map(|ban| {
                        let until = time_or(ban.until_ms, "forever");
                        [
                            ban.network.clone(),
                            time(ban.at_ms),
                            until,
                            ban.reason.clone(),
                        ]
                    });
                    let accounts = all.accounts.iter().map(|user| {
                        let name = format!("{} (number {})", user.user.name, user.user.id);
                        [name, String::new(), "forever".into(), "suspended".into()]
                    });
                    let rows: Vec<_> = networks.chain(accounts).collect();
                    table(["WHO", "SINCE", "UNTIL", "REASON"], &rows)
                })
            }
            Bans::Add { who, reason, time } if is_network(&who) => {
                let call = AdminBan {
                    network: who,
                    reason,
                    duration_s: time.0.map(|time| time.as_secs()),
                };
                self.ask(&call, |ban| format!("{} is banned.\n", ban.network))
            }
            Bans::Add { who, .. } => self.update_user(&who, Some(true), None),
            Bans::Remove { who } if is_network(&who) => {
                self.done(&AdminUnban { network: who }, "The ban is over.")
            }
            Bans::Remove { who } => self.update_user(&who, Some(false), None),
        }
    }

    fn all_users(&mut self, query: &str) -> Result<Vec<AdminUser>, CommandError> {
        let mut users: Vec<AdminUser> = Vec::new();
        loop {
            let page = self.console.ask(&AdminListUsers {
                query: query.to_owned(),
                after: users.last().map(|user| user.user.id),
            })?;
            let more = page.more && !page.users.is_empty();
            users.extend(page.users);
            if !more {
                return Ok(users);
            }
        }
    }

    /// By name, or where nobody has that name, by number.
    fn user(&mut self, name: &str) -> Result<AdminUser, CommandError> {
        let wanted = name.to_lowercase();
        let mut found = self.all_users(name)?;
        found.retain(|user| user.user.name.to_lowercase() == wanted);
        if let (true, Ok(number @ 1..)) = (found.is_empty(), name.parse::<u64>()) {
            let page = self.console.ask(&AdminListUsers {
                query: String::new(),
                after: Some(UserId(number - 1)),
            })?;
            found = page
                .users
                .into_iter()
                .filter(|user| user.user.id.0 == number)
                .collect();
        }
        only(found, |user| user.user.id.0, "user", name, "users list")
    }

    fn guild(&mut self, name: &str) -> Result<AdminGuild, CommandError> {
        let all = self.console.ask(&AdminListGuilds {})?.guilds;
        only(
            named(all, name, |guild| (guild.id.0, &guild.name)),
            |guild| guild.id.0,
            "guild",
            name,
            "guilds list",
        )
    }

    fn role(
        &mut self,
        guild: &str,
        user: &str,
        role: &str,
    ) -> Result<(GuildId, UserId, RoleId), CommandError> {
        let guild = self.guild(guild)?;
        let found = named(guild.roles, role, |role| (role.id.0, &role.name));
        let role = only(found, |role| role.id.0, "role", role, "guilds roles GUILD")?;
        Ok((guild.id, self.user(user)?.user.id, role.id))
    }

    fn ask<C: Call>(&mut self, call: &C, human: impl Fn(&C::Reply) -> String) -> Answer
    where
        C::Reply: Serialize,
    {
        let reply = self.console.ask(call)?;
        self.print(&reply, human)
    }

    fn done<C: Call<Reply = Done>>(&mut self, call: &C, words: &str) -> Answer {
        self.ask(call, |_| format!("{words}\n"))
    }

    fn print<T: Serialize>(&self, reply: &T, human: impl Fn(&T) -> String) -> Answer {
        if !self.json {
            return Ok(human(reply));
        }
        let json = serde_json::to_string(reply).expect("replies have string keys");
        Ok(format!("{json}\n"))
    }
}

fn users_table(users: &[AdminUser]) -> String {
    let row = |user: &AdminUser| {
        let mut is = vec![match user.user.kind {
            UserKind::Guest => "guest",
            UserKind::Account => "account",
        }];
        is.extend(user.is_admin.then_some("admin"));
        is.extend(user.suspended.then_some("suspended"));
        let seen = if user.online {
            "online".to_owned()
        } else {
            time_or(user.last_seen_ms, "never")
        };
        [
            user.user.id.to_string(),
            user.user.name.clone(),
            is.join(", "),
            user.devices.to_string(),
            time(user.created_at_ms),
            seen,
        ]
    };
    let rows: Vec<_> = users.iter().map(row).collect();
    table(["NUMBER", "NAME", "IS", "DEVICES", "SINCE", "SEEN"], &rows)
}

fn guilds_table(guilds: &[AdminGuild]) -> String {
    let row = |guild: &AdminGuild| {
        [
            guild.id.to_string(),
            guild.name.clone(),
            guild
                .owner
                .as_ref()
                .map_or("nobody".into(), |owner| owner.name.clone()),
            guild.members.to_string(),
            guild.channels.to_string(),
            guild.messages.to_string(),
            time(guild.created_at_ms),
        ]
    };
    let rows: Vec<_> = guilds.iter().map(row).collect();
    table(
        [
            "NUMBER", "NAME", "OWNER", "MEMBERS", "CHANNELS", "MESSAGES", "SINCE",
        ],
        &rows,
    )
}

fn invites_table(invites: &[Invite]) -> String {
    let row = |invite: &Invite| {
        let uses = match invite.max_uses {
            Some(most) => format!("{} of {most}", invite.uses),
            None => invite.uses.to_string(),
        };
        let by = invite.created_by.as_ref().map_or("", |user| &user.name);
        let until = time_or(invite.expires_at_ms, "forever");
        [
            invite.code.clone(),
            uses,
            until,
            by.to_owned(),
            invite.link.clone(),
        ]
    };
    let rows: Vec<_> = invites.iter().map(row).collect();
    table(["CODE", "USES", "UNTIL", "BY", "LINK"], &rows)
}

/// Those of that name, or where there are none, the one of that number.
fn named<T>(all: Vec<T>, name: &str, id_and_name: impl Fn(&T) -> (u64, &str)) -> Vec<T> {
    let wanted = name.to_lowercase();
    let (found, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|item| id_and_name(item).1.to_lowercase() == wanted);
    if !found.is_empty() {
        return found;
    }
    let number = name.parse::<u64>().ok();
    others
        .into_iter()
        .filter(|item| Some(id_and_name(item).0) == number)
        .collect()
}

fn only<T>(
    mut found: Vec<T>,
    id: impl Fn(&T) -> u64,
    what: &'static str,
    name: &str,
    list: &'static str,
) -> Result<T, CommandError> {
    if found.len() > 1 {
        let ids: Vec<_> = found.iter().map(|item| id(item).to_string()).collect();
        return Err(CommandError::Several {
            name: name.to_owned(),
            ids: ids.join(", "),
        });
    }
    found.pop().ok_or_else(|| CommandError::NotFound {
        what,
        name: name.to_owned(),
        list,
    })
}

fn is_network(who: &str) -> bool {
    let address = who.split_once('/').map_or(who, |(address, _)| address);
    address.parse::<IpAddr>().is_ok()
}

/// 100 bits, as a person can type them.
fn new_password() -> SecretText {
    crate::random::owner_code().into()
}

fn confirm(yes: bool, question: &str) -> Result<(), CommandError> {
    use std::io::{BufRead, IsTerminal, Write};
    if yes {
        return Ok(());
    }
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprint!("{question} Type yes: ");
        std::io::stderr().flush()?;
        let mut line = String::new();
        stdin.lock().read_line(&mut line)?;
        if line.trim() == "yes" {
            return Ok(());
        }
    }
    Err(CommandError::NotConfirmed)
}
