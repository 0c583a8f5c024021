//! A connected session for one command, and the names that people use for things.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, anyhow, bail};
use serde::Serialize;
use voxhall_protocol::{
    ChannelId, GuildId, RoleId, UserId,
    control::{Call, ChannelKind, FindUsers, OpenConversation},
    link::Link,
};
use voxhall_session::{Connection, EventHook, Guild, Identity, Intent, Options, Session, State};

use crate::{
    device::{FileDevice, FileSound},
    profile::Profile,
};

/// How long signing in may take before the bot gives up.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Client {
    pub session: Session,
    json: bool,
}

impl Client {
    /// Signs in as `identity` at `link`, and keeps the login in `profile`.
    pub async fn sign_in(
        profile: &Profile,
        link: Link,
        identity: Identity,
        json: bool,
        on_event: Option<EventHook>,
    ) -> anyhow::Result<Self> {
        let options = options(profile, on_event);
        let session = Session::start_silent(options, &tokio::runtime::Handle::current())?;
        Self::arrive(session, link, identity, json).await
    }

    /// With the login that `profile` keeps, ready to talk.
    pub async fn speaking(
        profile: &Profile,
        json: bool,
        on_event: Option<EventHook>,
    ) -> anyhow::Result<Self> {
        let login = profile.load()?;
        let session = Session::start(options(profile, on_event)).context("can't start")?;
        let link = login.link.clone();
        Self::arrive(session, link, Identity::Stored(login), json).await
    }

    async fn arrive(
        session: Session,
        link: Link,
        identity: Identity,
        json: bool,
    ) -> anyhow::Result<Self> {
        let address = link.authority();
        session.send(Intent::Connect { link, identity });
        let arrived = session.until(|state| match &state.connection {
            Connection::Online => Some(Ok(())),
            Connection::Failed(problem)
            | Connection::NeedsIdentity {
                problem: Some(problem),
                ..
            } => Some(Err(anyhow!(problem.in_full()))),
            _ => None,
        });
        tokio::time::timeout(PATIENCE, arrived)
            .await
            .map_err(|_| anyhow!("no answer from {address} within {} s", PATIENCE.as_secs()))??;
        Ok(Self { session, json })
    }

    /// With the login that `profile` keeps.
    pub async fn come_back(
        profile: &Profile,
        json: bool,
        on_event: Option<EventHook>,
    ) -> anyhow::Result<Self> {
        let login = profile.load()?;
        Self::sign_in(
            profile,
            login.link.clone(),
            Identity::Stored(login),
            json,
            on_event,
        )
        .await
    }

    pub fn state(&self) -> Arc<State> {
        self.session.state()
    }

    /// Has `sound` stand in for a sound card.
    pub fn attach(&self, sound: &FileSound) -> anyhow::Result<FileDevice> {
        self.session.send(Intent::SetTransmit(sound.transmit()));
        // Everybody is recorded as loud as they were.
        self.session.send(Intent::SetLevelling(false));
        FileDevice::start(self.session.attach_audio(), sound)
    }

    pub async fn ask<C: Call>(&self, call: C) -> anyhow::Result<C::Reply> {
        Ok(self.session.ask(call).await?)
    }

    /// Asks, and prints what came back.
    pub async fn tell<C: Call>(&self, call: C) -> anyhow::Result<()> {
        let reply = self.ask(call).await?;
        self.show(&reply, "done")
    }

    /// One line: for programs the value, for people the words.
    pub fn show(
        &self,
        value: &impl Serialize,
        words: impl std::fmt::Display,
    ) -> anyhow::Result<()> {
        if self.json {
            println!("{}", serde_json::to_string(value)?);
        } else {
            println!("{words}");
        }
        Ok(())
    }

    /// By name or id; the only one, if none is named.
    pub fn guild(&self, name: Option<&str>) -> anyhow::Result<GuildId> {
        let state = self.state();
        let all = || {
            state
                .guilds
                .iter()
                .map(|guild| (guild.id.0, guild.name.as_str()))
        };
        let found = match name {
            Some(name) => pick(all(), name),
            None if state.guilds.len() == 1 => state.guilds.first().map(|guild| guild.id.0),
            None => bail!(
                "say which with --guild: {}",
                list(all().map(|(_, name)| name))
            ),
        };
        let found = found.with_context(|| {
            format!(
                "no server {:?}; there are: {}",
                name.unwrap_or(""),
                list(all().map(|(_, name)| name))
            )
        })?;
        Ok(GuildId(found))
    }

    /// `#general`, `general`, `My Server/general`, an id, or `@name` for the conversation with someone.
    pub async fn channel(&self, name: &str) -> anyhow::Result<ChannelId> {
        if let Some(person) = name.strip_prefix('@') {
            let user = self.user(person).await?;
            return self.conversation_with(user).await;
        }
        let state = self.state();
        let (guild, channel) = match name.split_once('/') {
            Some((guild, channel)) => (Some(self.guild(Some(guild))?), channel),
            None => (None, name),
        };
        let channel = channel.trim_start_matches('#');
        let guilds = || {
            state
                .guilds
                .iter()
                .filter(move |it| guild.is_none_or(|id| it.id == id))
        };
        let channels = || guilds().flat_map(|guild| &guild.channels);
        let conversations = state.conversations.values();
        let groups = conversations.map(|it| (it.id.0, it.name.as_deref().unwrap_or("")));
        let all = channels()
            .map(|it| (it.id.0, it.name.as_str()))
            .chain(groups);
        let found = pick(all, channel).with_context(|| {
            let shown = channels().filter(|it| it.kind != ChannelKind::Category);
            format!(
                "no channel {channel:?}; there are: {}",
                list(shown.map(|it| it.name.as_str()))
            )
        })?;
        Ok(ChannelId(found))
    }

    pub async fn conversation_with(&self, user: UserId) -> anyhow::Result<ChannelId> {
        if let Some(known) = self.state().direct_with(user) {
            return Ok(known.id);
        }
        let open = OpenConversation {
            user_ids: vec![user],
            name: None,
        };
        Ok(self.ask(open).await?.id)
    }

    /// By id, or by name among those one shares something with, then among all accounts.
    pub async fn user(&self, name: &str) -> anyhow::Result<UserId> {
        let name = name.trim_start_matches('@');
        let state = self.state();
        let members = state.guilds.iter().flat_map(|guild| guild.members.values());
        let members = members.map(|member| &member.user);
        let others = state.relations.values().map(|relation| &relation.user);
        let all = state.me.iter().chain(members).chain(others);
        if let Some(found) = pick(all.map(|user| (user.id.0, user.name.as_str())), name) {
            return Ok(UserId(found));
        }
        if let Ok(id) = name.parse() {
            return Ok(UserId(id));
        }
        let query = name.to_owned();
        let found = self.ask(FindUsers { query }).await?.users;
        let exact = found
            .iter()
            .find(|user| user.name.eq_ignore_ascii_case(name));
        exact
            .map(|user| user.id)
            .with_context(|| format!("nobody here is called {name:?}"))
    }

    pub fn role(&self, guild: GuildId, name: &str) -> anyhow::Result<RoleId> {
        let state = self.state();
        let guild: &Guild = state.guild(guild).context("no longer a member")?;
        let all = || {
            guild
                .roles
                .iter()
                .map(|role| (role.id.0, role.name.as_str()))
        };
        let name = if name == "@everyone" {
            "everyone"
        } else {
            name.trim_start_matches('@')
        };
        let everyone = || {
            guild
                .roles
                .iter()
                .find(|role| role.position == 0)
                .filter(|_| name == "everyone")
        };
        let found = pick(all(), name).or_else(|| everyone().map(|role| role.id.0));
        found.map(RoleId).with_context(|| {
            format!(
                "no role {name:?}; there are: {}",
                list(all().map(|(_, name)| name))
            )
        })
    }
}

fn options(profile: &Profile, on_event: Option<EventHook>) -> Options {
    let kept = profile.clone();
    Options {
        on_event,
        keep_login: Some(Box::new(move |login| {
            if let Err(error) = kept.keep(login) {
                eprintln!("voxhall-bot: can't keep the login: {error}");
            }
        })),
        ..Options::new(
            concat!("voxhall-bot/", env!("CARGO_PKG_VERSION")),
            "voxhall-bot",
        )
    }
}

/// By name, whatever its case, then by id.
fn pick<'a>(all: impl Iterator<Item = (u64, &'a str)>, wanted: &str) -> Option<u64> {
    let id = wanted.parse::<u64>().ok();
    let mut by_id = None;
    for (known, name) in all {
        if name.to_lowercase() == wanted.to_lowercase() {
            return Some(known);
        }
        by_id = by_id.or(id.filter(|id| *id == known));
    }
    by_id
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
