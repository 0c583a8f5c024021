//! What the server does for a request, tied to what it stores and who is to be told.

mod access;
mod accounts;
mod accounts_more;
mod admin;
mod audit;
mod budgets;
mod channels;
mod conversations;
mod files;
mod guilds;
mod invites;
mod invites_more;
mod members;
mod messages;
mod messages_more;
mod passwords;
mod people;
mod roles;
mod search;
mod tokens;
mod voice;

use std::time::{Duration, Instant};

use voxhall_protocol::{
    DeviceId, GuildId, UserId,
    control::{Event, Failure, GuildInfo, OwnPresence, Registration, User},
    link::{CertificatePin, Link},
};
use voxhall_store::{Change, DefaultGuild, Guilds, Joined, MemberRecord, Settings, SqliteStore, StoreError, UserRecord};

use crate::{
    admin::Backups,
    clock::unix_ms,
    hub::Hub,
    live::ConnectionId,
    media::MediaThread,
    metrics::Metrics,
    random,
    rates::{RateLimit, Source, SourceLimit},
    words,
};
pub use admin::Administrator;
pub use budgets::Budget;
use budgets::Budgets;
pub use passwords::HashingFailed;
use passwords::Passwords;
use tokens::AccessTokens;

/// Wrong passwords for one name: so many at once, and one in this time for long.
const FAILED_LOGINS: u32 = 20;
const FAILED_LOGIN_EVERY: Duration = Duration::from_secs(6);
/// All addresses together make this many times as many users as one address may sign in.
const SIGN_UPS_FACTOR: u32 = 10;

/// Who asks, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    pub user: UserId,
    pub device: DeviceId,
    pub connection: ConnectionId,
    pub source: Source,
}

fn not_there_yet() -> Failure {
    Failure::new(
        voxhall_protocol::control::FailureKind::UnknownMethod,
        "This server can't do that yet.",
    )
}

pub struct Services {
    pub hub: Hub,
    pub server_name: String,
    pub registration: Registration,
    pub budgets: Budgets,
    pub metrics: Metrics,
    pub backups: Backups,
    store: SqliteStore,
    default_guild: GuildId,
    links: LinkMaker,
    access_tokens: AccessTokens,
    passwords: Passwords,
    sign_ins: SourceLimit,
    invite_tries: SourceLimit,
    /// Wrong passwords for one name, from wherever they come.
    failed_logins: RateLimit<String>,
    /// New users, from wherever they come.
    sign_ups: RateLimit<()>,
    media: MediaThread,
    started: Instant,
}

/// Where this server is, as far as it knows.
#[derive(Debug, Clone)]
pub struct LinkMaker {
    pub host: String,
    pub port: u16,
    pub pin: Option<CertificatePin>,
}

/// What the services are made from.
pub struct Parts {
    pub store: SqliteStore,
    pub hub: Hub,
    pub default_guild: DefaultGuild,
    pub links: LinkMaker,
    pub server_name: String,
    pub registration: Registration,
    pub sign_ins_per_minute: u32,
    pub media: MediaThread,
    pub backups: Backups,
}

impl Services {
    /// # Errors
    /// The store failed to keep the key that access tokens are signed with.
    pub async fn new(parts: Parts) -> Result<Self, StoreError> {
        let fresh = random::bytes::<{ tokens::KEY_BYTES }>().to_vec();
        let key = parts
            .store
            .setting_or_insert(tokens::KEY_SETTING, fresh)
            .await?;
        let now = Instant::now();
        Ok(Self {
            hub: parts.hub,
            server_name: parts.server_name,
            registration: parts.registration,
            store: parts.store,
            default_guild: parts.default_guild.id,
            links: parts.links,
            access_tokens: AccessTokens::new(&key),
            budgets: Budgets::new(now),
            metrics: Metrics::default(),
            backups: parts.backups,
            passwords: Passwords::new(),
            sign_ins: SourceLimit::new(parts.sign_ins_per_minute, now),
            invite_tries: SourceLimit::new(parts.sign_ins_per_minute, now),
            failed_logins: RateLimit::new(FAILED_LOGIN_EVERY, FAILED_LOGINS, now),
            sign_ups: RateLimit::per_minute(
                parts.sign_ins_per_minute.saturating_mul(SIGN_UPS_FACTOR),
                now,
            ),
            media: parts.media,
            started: now,
        })
    }

    pub fn link(&self, code: &str) -> Link {
        self.links.link(code)
    }

    pub fn voice_is_running(&self) -> bool {
        self.media.is_running()
    }

    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Tells everyone what a committed join changed, until the store tells of it by itself. Twice is once.
    fn announce_join(&self, joined: &Joined, user: &User) {
        let guild = self.hub.read(|live| live.guild_info(joined.guild));
        let mut changes = vec![Change::MemberSaved {
            guild: joined.guild,
            member: MemberRecord {
                user: user.id,
                nick: None,
                roles: Vec::new(),
                joined_at_ms: unix_ms(),
                timeout_until_ms: None,
                server_muted: false,
                server_deafened: false,
            },
        }];
        if self.hub.read(|live| live.user(user.id).is_none()) {
            let record = UserRecord {
                user: user.clone(),
                is_admin: false,
                suspended: false,
                presence: OwnPresence::default(),
            };
            changes.insert(0, Change::UserSaved(record));
        }
        if self.hub.read(|live| live.is_member(joined.guild, user.id)) {
            changes.clear();
        }
        if let Some(info) = guild.filter(|_| joined.became_owner) {
            changes.push(Change::GuildUpdated(GuildInfo {
                owner_id: Some(user.id),
                ..info
            }));
        }
        self.hub.apply(changes);
    }

    fn tell_guild(&self, _: GuildId, event: Event) {
        if let Event::MessageCreated { message, .. } = event {
            self.hub.apply(vec![Change::MessageCreated(message)]);
        }
    }

    fn try_sign_in(&self, source: Source) -> Result<(), Failure> {
        self.sign_ins
            .take(source, Instant::now())
            .map_err(words::rate_limited)
    }

    fn try_sign_up(&self) -> Result<(), Failure> {
        self.sign_ups
            .take((), Instant::now())
            .map_err(words::rate_limited)
    }

    fn try_invite(&self, source: Source) -> Result<(), Failure> {
        self.invite_tries
            .take(source, Instant::now())
            .map_err(words::rate_limited)
    }

    /// The guild that every server has.
    ///
    /// # Errors
    /// The store failed.
    pub async fn ensure_default_guild(
        store: &SqliteStore,
        name: &str,
    ) -> Result<DefaultGuild, StoreError> {
        store.default_guild(accounts::first_guild(name)).await
    }
}

impl LinkMaker {
    pub fn link(&self, code: &str) -> Link {
        Link {
            host: self.host.clone(),
            port: self.port,
            code: Some(code.to_owned()),
            pin: self.pin,
        }
    }

    /// `host:port`.
    pub fn authority(&self) -> String {
        self.link("").authority()
    }
}
