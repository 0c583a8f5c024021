//! Starts everything, and ends it in order.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, sync::mpsc, task::AbortHandle};
use tokio_rustls::TlsAcceptor;
use voxhall_relay::{Counters, Limits, Routes};
use voxhall_store::{
    Accounts, Calls as _, Conversations, Guilds, OpenError, People, SqliteStore, Stages as _,
    StoreError,
    maintenance::{DATABASE, LOCK},
};

#[cfg(unix)]
use crate::admin::{AdminSocket, SocketFile};
use crate::{
    admin::Backups,
    announce::Announcement,
    carriers::{
        Carriers,
        quic::{self, QuicError},
    },
    clock::unix_ms,
    config::Config,
    files::Files,
    http,
    hub::Hub,
    live::World,
    logging::LogLimit,
    media::{self, MediaConfig, MediaThread, Reporter},
    metrics::{self, Scrape},
    notify, random,
    services::{LinkMaker, Parts, Services},
    sockets::{self, BindError},
    tls::{Identity, IdentityError},
};

/// Events of the media thread that may wait for the control plane.
const MEDIA_EVENTS: usize = 1_024;
/// What the live state wants stored and is not yet.
const LIVE_TO_STORE: usize = 1_024;
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// How long connections may take to hear that the server stops.
const GOODBYE_WITHIN: Duration = Duration::from_millis(1_500);
/// Where nobody said why.
const STOPPING: &str = "the server is shutting down, or starting again";
/// How long the store may take to write what it was asked to.
const CLOSE_WITHIN: Duration = Duration::from_secs(8);

/// Why the server can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "can't use the data folder {}: {source}. Make it writable for this user, or choose another with --data DIR",
        path.display()
    )]
    Data { path: PathBuf, source: io::Error },
    #[error(
        "another Voxhall server uses the data folder {}. Stop that one, or choose another folder with --data DIR",
        path.display()
    )]
    DataInUse { path: PathBuf },
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("{}: {source}", path.display())]
    Open { path: PathBuf, source: OpenError },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("can't begin with QUIC: {0}")]
    Quic(#[from] QuicError),
    #[error("can't start the voice thread: {0}")]
    Media(#[source] io::Error),
    #[error(
        "can't serve metrics on {address}: {source}. Choose another address with --metrics ADDR, or off"
    )]
    Metrics {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("the system refuses what the server needs: {0}")]
    System(#[source] io::Error),
}

/// Runs the server until it is asked to stop.
///
/// # Errors
/// See [`StartError`]; once it has announced itself, it doesn't fail.
pub async fn run(config: Config, log: Arc<LogLimit>) -> Result<(), StartError> {
    let mut signals = Signals::new().map_err(StartError::System)?;
    let _lock = lock_data_folder(&config.data)?;
    let sockets = sockets::bind(
        config.listen,
        config.listen_is_default,
        config.media_threads,
    )?;
    let port = sockets.address.port();
    let identity = match &config.certificate {
        Some(files) => Identity::from_files(files)?,
        None => Identity::own(&config.data)?,
    };
    let store = open_store(&config.data.join(DATABASE))?;
    let default_guild = Services::ensure_default_guild(&store, &config.server_name).await?;

    let (routes, feed) = Routes::new();
    let (events, media_events) = mpsc::channel(MEDIA_EVENTS);
    let counters = Arc::new(Counters::default());
    let own_socket = sockets.udp[0].try_clone().map_err(StartError::Media)?;
    let (aside, aside_end) = media::aside(Instant::now());
    let quic = quic::endpoint(Arc::clone(&identity.quic), own_socket, aside_end)?;
    let media = MediaThread::spawn(MediaConfig {
        sockets: sockets.udp,
        routes: feed,
        counters: Arc::clone(&counters),
        events,
        nonce_secret: random::bytes(),
        limits: Limits {
            loudest: config.loudest,
            ..Limits::default()
        },
        aside,
    })
    .map_err(StartError::Media)?;
    let media_stats = Arc::clone(media.stats());
    let reporter = Reporter::new(Arc::clone(&counters), Arc::clone(&media_stats));

    let host = config
        .public_host
        .clone()
        .unwrap_or_else(|| sockets::guess_public_host(sockets.address));
    let links = LinkMaker {
        host,
        port,
        pin: identity.pin,
    };
    let announcement = Announcement {
        address: links.authority(),
        udp_address: links.authority(),
        invite: links.link(&default_guild.invite_code).to_string(),
        owner: (default_guild.owner_code.as_deref()).map(|code| links.link(code).to_string()),
        server_name: &config.server_name,
        data: &config.data,
    };
    store.end_forgotten_stages(unix_ms()).await?;
    let world = World {
        users: store.users().await?,
        guilds: store.guilds().await?,
        conversations: store.conversations().await?,
        relations: store.relations().await?,
        stages: store.stages().await?,
        last_call: store.begin_calls().await?,
    };
    let (to_store, live_work) = mpsc::channel(LIVE_TO_STORE);
    let services = Services::new(Parts {
        hub: Hub::new(world, routes, config.loudest, to_store),
        store: store.clone(),
        default_guild,
        links,
        server_name: config.server_name.clone(),
        registration: config.registration,
        guests: config.guests,
        create_guilds: config.create_guilds,
        guest_retention: config.guest_retention,
        sign_ins_per_minute: config.sign_ins_per_minute,
        media,
        carriers: Carriers::new(sockets.address, config.pending_per_address),
        backups: Backups::new(&config.data, config.backup.as_ref()),
        files: Files::open(&config.data).map_err(|source| StartError::Data {
            path: config.data.clone(),
            source,
        })?,
        attachments: config.attachments,
        message_retention: config.message_retention,
    })
    .await?;
    let services = Arc::new(services);
    let on = Arc::clone(&services);
    store.announce_to(move |changes| on.hub.apply(changes));

    let listener = TcpListener::from_std(sockets.tcp).map_err(StartError::System)?;
    let tls = TlsAcceptor::from(Arc::clone(&identity.tls));
    let accepting = spawn(http::run(
        listener,
        tls,
        config.pending_per_address,
        Arc::clone(&services),
    ));
    spawn(quic::run(quic, Arc::clone(&services)));
    let on = Arc::clone(&services);
    spawn(async move { on.hub.run_timers().await });
    let on = Arc::clone(&services);
    spawn(async move { on.hub.run_media_events(media_events).await });

    spawn(Arc::clone(&services).keep_live(live_work));
    spawn(Arc::clone(&services).upkeep());
    spawn(Arc::clone(&services).tend_accounts());
    spawn(report(reporter));
    if let Some(address) = config.metrics {
        let failed = |source| StartError::Metrics { address, source };
        let listener = metrics::bind(address).await.map_err(failed)?;
        tracing::info!(address = %listener.local_addr().map_err(failed)?, "metrics");
        let scrape = Scrape {
            services: Arc::clone(&services),
            counters,
            media: media_stats,
            log: Arc::clone(&log),
            data: config.data.clone(),
        };
        spawn(metrics::serve(listener, scrape));
    }
    spawn(async move { log.tell().await });
    #[cfg(unix)]
    let _socket_file =
        (config.admin_socket.as_deref()).and_then(|path| open_admin_socket(path, &services));
    if let Some(plan) = config.backup.clone() {
        spawn(Backups::run(plan, Arc::clone(&services)));
    }

    tracing::info!(address = %sockets.address, version = env!("CARGO_PKG_VERSION"), "ready");
    announcement.print(config.announce);
    notify::tell(notify::State::Ready);
    if let Some(every) = notify::alive_every() {
        spawn(stay_alive(Arc::clone(&services), every));
    }

    let mut drain_wanted = services.drain.subscribe();
    let why = loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Reload => reload(&identity),
                Asked::Stop => break String::new(),
            },
            Ok(why) = drain_wanted.wait_for(Option::is_some) => break why.clone().unwrap_or_default(),
        }
    };
    tracing::info!("stopping; asked once more, the server ends at once");
    notify::tell(notify::State::Stopping);
    accepting.abort();
    tokio::select! {
        () = drain(&services.hub, &store, &why) => {}
        () = signals.stop() => tracing::warn!("asked once more: ending at once"),
    }
    Ok(())
}

#[cfg(unix)]
fn open_admin_socket(path: &Path, services: &Arc<Services>) -> Option<SocketFile> {
    match AdminSocket::bind(path) {
        Ok(socket) => Some(socket.start(Arc::clone(services))),
        // Not worth staying away from people who want to talk.
        Err(error) => {
            let path = path.display();
            tracing::error!(%path, %error, "no admin commands: can't listen there; try a short path with --admin-socket FILE");
            None
        }
    }
}

/// Lets everyone go and closes the store, within a bounded time. What was acknowledged is on disk before, and stays there.
async fn drain(hub: &Hub, store: &SqliteStore, why: &str) {
    say_goodbye(hub, if why.is_empty() { STOPPING } else { why }).await;
    if tokio::time::timeout(CLOSE_WITHIN, store.close())
        .await
        .is_err()
    {
        tracing::error!(
            "the database does not close; ending without it. Nothing acknowledged is lost"
        );
    }
}

/// Reads the certificate again, as after its renewal. Nobody's connection ends.
fn reload(identity: &Identity) {
    notify::tell(notify::State::Reloading);
    match identity.reload() {
        Ok(true) => tracing::info!("read the certificate again; new connections get it"),
        Ok(false) => {
            tracing::info!("asked to read the certificate again; the server's own never changes");
        }
        Err(error) => tracing::error!("the certificate before stays in use: {error}"),
    }
    notify::tell(notify::State::Ready);
}

/// Tells who watches over the process that it is well, while it is. Never returns.
async fn stay_alive(services: Arc<Services>, every: Duration) {
    loop {
        // Were the live state never given back, this would never be told.
        services.hub.read(|_| ());
        if services.voice_is_running() {
            notify::tell(notify::State::Alive);
        }
        tokio::time::sleep(every).await;
    }
}

/// Logs what passed, for as long as anything does. Never returns.
async fn report(mut reporter: Reporter) {
    loop {
        tokio::time::sleep(REPORT_EVERY).await;
        if let Some(line) = reporter.line() {
            tracing::info!("voice in the last minute: {line}");
        }
    }
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    tokio::spawn(task).abort_handle()
}

async fn say_goodbye(hub: &Hub, why: &str) {
    let until = Instant::now() + GOODBYE_WITHIN;
    hub.drain(why);
    while hub.open_connections() > 0 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn open_store(path: &Path) -> Result<SqliteStore, StartError> {
    // Made for this user alone; SQLite gives its other files the same rights.
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|source| StartError::Data {
        path: path.to_owned(),
        source,
    })?;
    SqliteStore::open(path).map_err(|source| StartError::Open {
        path: path.to_owned(),
        source,
    })
}

/// Makes the data folder for this user alone, and keeps other servers out of it while the file lives.
fn lock_data_folder(data: &Path) -> Result<fs::File, StartError> {
    let failed = |source| StartError::Data {
        path: data.to_owned(),
        source,
    };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(data).map_err(failed)?;
    let lock = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(data.join(LOCK))
        .map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(StartError::DataInUse {
            path: data.to_owned(),
        }),
        Err(fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// What a signal asks for.
enum Asked {
    Stop,
    #[cfg_attr(not(unix), expect(dead_code, reason = "SIGHUP asks for it"))]
    Reload,
}

/// Ctrl+C, and where there are such things, SIGTERM and SIGHUP.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    async fn next(&mut self) -> Asked {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without the signal the server runs until it is killed, which loses nothing.
            std::future::pending::<()>().await;
        }
        Asked::Stop
    }
}

impl Signals {
    async fn stop(&mut self) {
        while !matches!(self.next().await, Asked::Stop) {}
    }
}
