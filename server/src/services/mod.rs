//! What the server does for a request, tied to what it stores and who is to be told.

mod access;
mod accounts;
mod addresses;
mod admin;
mod at_once;
mod audit;
mod authority;
mod budgets;
mod calls;
mod channels;
mod conversations;
mod devices;
pub(crate) mod files;
mod guilds;
mod invites;
mod members;
mod messages;
mod passwords;
mod people;
mod profile;
mod query;
mod refresh;
mod roles;
mod search;
mod sessions;
mod sign_in_limits;
mod stages;
mod texts;
mod tokens;
mod upkeep;
mod voice;

use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Notify, watch};
use voxhall_protocol::{
    DeviceId, GuildId, UserId,
    control::{Failure, Registration},
    link::{CertificatePin, Link},
};
use voxhall_store::{
    DefaultGuild, Guilds, ServerBans, Settings, SigningKeys, SqliteStore, StoreError,
};

use crate::{
    admin::Backups,
    bans::Bans,
    carriers::Carriers,
    clock::unix_ms,
    config::{AttachmentLimits, GuildMakers},
    files::Files,
    hub::Hub,
    live::ConnectionId,
    media::MediaThread,
    metrics::Metrics,
    random,
    rates::{RateLimit, Source, SourceLimit},
    words,
};
use access::{InChannel, InGuild};
use addresses::Addresses;
#[cfg(unix)] // the console's socket
pub use admin::Administrator;
use at_once::AtOnce;
pub use at_once::Running;
pub use budgets::Budget;
use budgets::Budgets;
pub use passwords::HashingFailed;
use passwords::Passwords;
use refresh::RefreshTokens;
use sign_in_limits::SignInLimits;
use tokens::AccessTokens;

/// All addresses together make this many times as many users as one address may sign in.
const SIGN_UPS_FACTOR: u32 = 10;
/// Of one user.
const TRANSFERS_AT_ONCE: usize = 8;

/// Who asks, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    pub user: UserId,
    pub device: DeviceId,
    pub connection: ConnectionId,
    pub source: Source,
}

pub struct Services {
    pub hub: Hub,
    pub server_name: String,
    pub registration: Registration,
    /// An invite lets in who has only a name.
    pub guests: bool,
    create_guilds: GuildMakers,
    /// Guests who are not seen for this long are forgotten; none: never.
    guest_retention: Option<Duration>,
    pub budgets: Budgets,
    searches: AtOnce,
    /// Files that are sent or fetched.
    pub transfers: AtOnce,
    pub metrics: Metrics,
    pub backups: Backups,
    pub bans: Bans,
    pub carriers: Carriers,
    /// What is said here ends the server.
    pub drain: watch::Sender<Option<String>>,
    totals: admin::CountedTotals,
    store: SqliteStore,
    default_guild: GuildId,
    links: LinkMaker,
    access_tokens: AccessTokens,
    /// Around a change of the keys, in the store and then here: two at once would leave the older ones here.
    changing_keys: Mutex<()>,
    /// The same for bans.
    changing_bans: Mutex<()>,
    refresh_tokens: RefreshTokens,
    addresses: Addresses,
    passwords: Passwords,
    sign_in_limits: SignInLimits,
    invite_tries: SourceLimit,
    /// New users, from wherever they come.
    sign_ups: RateLimit<()>,
    media: MediaThread,
    started: Instant,
    pub(crate) files: Files,
    /// Some files are no more, and their bytes are to be removed.
    files_died: Notify,
    attachments: AttachmentLimits,
    message_retention: Option<Duration>,
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
    pub guests: bool,
    pub create_guilds: GuildMakers,
    pub guest_retention: Option<Duration>,
    pub sign_ins_per_minute: u32,
    pub media: MediaThread,
    pub carriers: Carriers,
    pub backups: Backups,
    pub files: Files,
    pub attachments: AttachmentLimits,
    /// Where channels say nothing of it; None: forever.
    pub message_retention: Option<Duration>,
}

impl Services {
    /// # Errors
    /// The store failed to keep the keys of tokens.
    pub async fn new(parts: Parts) -> Result<Self, StoreError> {
        let store = &parts.store;
        let (fresh, forget_before) = (
            tokens::fresh_key(unix_ms()),
            tokens::forget_keys_before(unix_ms()),
        );
        let signing_keys = store.signing_keys(fresh, forget_before).await?;
        let key = |name, fresh: [u8; 32]| store.setting_or_insert(name, fresh.to_vec());
        let refresh_key = key(refresh::KEY_SETTING, random::bytes()).await?;
        let bans = store.server_bans().await?;
        let address_key = key(addresses::KEY_SETTING, random::bytes()).await?;
        let now = Instant::now();
        Ok(Self {
            hub: parts.hub,
            server_name: parts.server_name,
            registration: parts.registration,
            guests: parts.guests,
            create_guilds: parts.create_guilds,
            guest_retention: parts.guest_retention,
            store: parts.store,
            default_guild: parts.default_guild.id,
            links: parts.links,
            access_tokens: AccessTokens::new(&signing_keys),
            changing_keys: Mutex::default(),
            changing_bans: Mutex::default(),
            searches: AtOnce::new(1),
            transfers: AtOnce::new(TRANSFERS_AT_ONCE),
            refresh_tokens: RefreshTokens::new(&refresh_key),
            addresses: Addresses::new(&address_key),
            budgets: Budgets::new(now),
            metrics: Metrics::default(),
            backups: parts.backups,
            bans: Bans::new(&bans),
            carriers: parts.carriers,
            drain: watch::Sender::new(None),
            totals: admin::CountedTotals::default(),
            passwords: Passwords::new(),
            sign_in_limits: SignInLimits::new(parts.sign_ins_per_minute, now),
            invite_tries: SourceLimit::new(parts.sign_ins_per_minute, now),
            sign_ups: RateLimit::per_minute(
                parts.sign_ins_per_minute.saturating_mul(SIGN_UPS_FACTOR),
                now,
            ),
            media: parts.media,
            started: now,
            files: parts.files,
            files_died: Notify::new(),
            attachments: parts.attachments,
            message_retention: parts.message_retention,
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

    fn try_sign_in(&self, source: Source) -> Result<(), Failure> {
        self.sign_in_limits
            .any(source, Instant::now())
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
