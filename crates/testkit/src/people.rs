//! Real sessions without sound, as tasks of one runtime: hundreds of people for the price of their sockets.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{runtime::Handle, time};
use voxhall_protocol::{
    ChannelId,
    control::{Call, Event, FailureKind, Message},
    link::Link,
};
use voxhall_session::{
    AskError, Connection, Happening, Identity, Intent, Options, Session, State, StoredLogin,
};

/// How long anything may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// One person with one session.
pub struct Person {
    pub session: Session,
    seen: Arc<Seen>,
}

/// What a session was told.
#[derive(Default)]
struct Seen {
    events: AtomicU64,
    syncs: AtomicU64,
    /// Messages that were told as new, in order.
    created: Mutex<Vec<Message>>,
}

impl Person {
    /// A guest by an invite link.
    pub async fn guest(link: &str, name: &str) -> io::Result<Self> {
        let name = name.to_owned();
        Self::come(link, Identity::Guest { name }).await
    }

    /// A new account.
    pub async fn register(link: &str, name: &str, password: &str) -> io::Result<Self> {
        let (name, password) = (name.to_owned(), password.into());
        Self::come(link, Identity::Register { name, password }).await
    }

    /// The same person once more, with a session that begins now. The one before can't sign in again with its own login after this.
    pub async fn again(&self) -> io::Result<Self> {
        let login: StoredLogin = self
            .state()
            .login
            .clone()
            .ok_or_else(|| io::Error::other("not signed in"))?;
        let link = login.link.to_string();
        Self::come(&link, Identity::Stored(login)).await
    }

    pub async fn come(link: &str, identity: Identity) -> io::Result<Self> {
        let link: Link = link.parse().map_err(io::Error::other)?;
        let seen = Arc::new(Seen::default());
        let eyes = Arc::clone(&seen);
        let options = Options {
            on_event: Some(Box::new(move |happening| match happening {
                Happening::Synced => {
                    eyes.syncs.fetch_add(1, Relaxed);
                }
                Happening::Event(event) => {
                    eyes.events.fetch_add(1, Relaxed);
                    if let Event::MessageCreated { message, .. } = event {
                        let mut created = eyes.created.lock().expect("no holder panics");
                        created.push(message.clone());
                    }
                }
            })),
            ..Options::new("voxhall-testkit", "test")
        };
        let session = Session::start_silent(options, &Handle::current())?;
        session.send(Intent::Connect { link, identity });
        let person = Self { session, seen };
        let arrived = person.until("to be online", |state| match &state.connection {
            Connection::Online => Some(Ok(())),
            Connection::Failed(problem)
            | Connection::NeedsIdentity {
                problem: Some(problem),
                ..
            } => Some(Err(io::Error::other(problem.to_string()))),
            _ => None,
        });
        arrived.await??;
        Ok(person)
    }

    pub fn state(&self) -> Arc<State> {
        self.session.state()
    }

    pub fn name(&self) -> String {
        self.state()
            .me
            .as_ref()
            .map(|me| me.name.clone())
            .unwrap_or_default()
    }

    /// Asks, and waits where the server wants us to.
    ///
    /// # Errors
    /// What the server refuses for another reason.
    pub async fn ask<C: Call + Clone>(&self, call: C) -> Result<C::Reply, AskError> {
        loop {
            match self.session.ask(call.clone()).await {
                Err(AskError::Refused(failure)) if failure.kind() == FailureKind::RateLimited => {
                    let wait = failure.data.retry_after_ms.unwrap_or(200);
                    time::sleep(Duration::from_millis(wait)).await;
                }
                answer => return answer,
            }
        }
    }

    /// Waits until the state has what is looked for; `what` names it should it never come.
    pub async fn until<T>(
        &self,
        what: &str,
        look: impl FnMut(&State) -> Option<T>,
    ) -> io::Result<T> {
        time::timeout(PATIENCE, self.session.until(look))
            .await
            .map_err(|_| {
                let state = self.state();
                io::Error::other(format!(
                    "{} waited in vain {what}; it is {:?}",
                    self.name(),
                    state.connection
                ))
            })
    }

    /// Events told so far.
    pub fn events(&self) -> u64 {
        self.seen.events.load(Relaxed)
    }

    /// How often everything was asked for anew, the first time included.
    pub fn syncs(&self) -> u64 {
        self.seen.syncs.load(Relaxed)
    }

    /// Messages of a channel that were told as new, in the order in which they came.
    pub fn told(&self, channel: ChannelId) -> Vec<Message> {
        let created = self.seen.created.lock().expect("no holder panics");
        created
            .iter()
            .filter(|message| message.channel_id == channel)
            .cloned()
            .collect()
    }

    /// Loads a whole channel, page by page.
    pub async fn load_all(&self, channel: ChannelId) -> io::Result<Vec<Message>> {
        loop {
            let history = self.state().history.get(&channel).cloned();
            let start = history.as_ref().is_none_or(|it| it.messages.is_empty());
            if let Some(history) = history.filter(|it| !it.more && !it.loading) {
                return Ok(history.messages.clone());
            }
            let before = history_len(&self.state(), channel);
            self.session.send(Intent::LoadMessages(channel));
            self.until("for a page of history", |state| {
                let history = state.history.get(&channel)?;
                let moved = history.messages.len() > before || !history.more;
                (!history.loading && moved || start && !history.more).then_some(())
            })
            .await?;
        }
    }
}

fn history_len(state: &State, channel: ChannelId) -> usize {
    let history = state.history.get(&channel);
    history.map_or(0, |history| history.messages.len())
}

/// Waits until nothing was told to anyone for `quiet`, and nobody has anything left to send.
pub async fn settle(people: &[Person], quiet: Duration) -> io::Result<()> {
    let count = || people.iter().map(Person::events).sum::<u64>();
    let deadline = time::Instant::now() + PATIENCE;
    let (mut last, mut since) = (count(), time::Instant::now());
    loop {
        time::sleep(Duration::from_millis(50)).await;
        let busy = |person: &&Person| {
            let state = person.state();
            let writes = |it: &voxhall_session::History| {
                it.loading || it.pending.iter().any(|message| message.failed.is_none())
            };
            state.connection != Connection::Online || state.history.values().any(|it| writes(it))
        };
        let now = count();
        let waiting = people.iter().find(busy);
        if now != last || waiting.is_some() {
            (last, since) = (now, time::Instant::now());
        }
        if since.elapsed() >= quiet {
            return Ok(());
        }
        if time::Instant::now() > deadline {
            let who = waiting.map(|person| (person.name(), person.state().connection.clone()));
            return Err(io::Error::other(format!("no rest: {who:?}")));
        }
    }
}

/// Everything that two sessions of one person have to agree on, in words that can be compared line by line.
pub fn picture(state: &State) -> String {
    let mut text = String::new();
    let mut line = |part: &dyn std::fmt::Debug| {
        let _ = writeln!(text, "{part:?}");
    };
    line(&(&state.me, &state.presence, state.is_admin));
    for guild in &state.guilds {
        line(&(
            &guild.id,
            &guild.name,
            &guild.description,
            guild.icon,
            guild.owner,
        ));
        guild.roles.iter().for_each(|role| line(role));
        for channel in &guild.channels {
            let mut channel = channel.clone();
            channel.overwrites.sort_by_key(|rule| rule.target);
            line(&channel);
        }
        for member in guild.members.values() {
            let mut member = member.clone();
            member.roles.sort_unstable();
            line(&(&guild.name, member));
        }
        guild.voice.values().for_each(|state| line(state));
    }
    for conversation in state.conversations.values() {
        let mut conversation = conversation.clone();
        conversation.members.sort_by_key(|member| member.user.id);
        line(&conversation);
    }
    state.relations.values().for_each(|relation| line(relation));
    let unread: BTreeMap<_, _> = state
        .reading
        .iter()
        .filter(|(_, it)| it.unread > 0)
        .map(|(channel, it)| (*channel, (it.unread, it.mentions)))
        .collect();
    unread.iter().for_each(|it| line(&("unread", it)));
    text
}

/// The first line in which two texts differ, of each.
pub fn difference(one: &str, other: &str) -> Option<(String, String)> {
    let (mut one, mut other) = (one.lines(), other.lines());
    loop {
        match (one.next(), other.next()) {
            (None, None) => return None,
            (a, b) if a == b => {}
            (a, b) => {
                return Some((
                    a.unwrap_or_default().to_owned(),
                    b.unwrap_or_default().to_owned(),
                ));
            }
        }
    }
}
