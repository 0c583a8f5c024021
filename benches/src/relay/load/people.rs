//! Who has joined, with which keys.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use mio::net::UdpSocket;
use tokio::sync::mpsc;
use voxhall_protocol::{
    control::{EpochKey, VoiceGrant},
    voice::{Opener, PathClient, RtcpSender, Sealer, SessionKeys},
};

use super::{
    carried::Carried,
    receive::{Ear, Listener, Listeners},
    send::{Speaker, Voice, VoxhallVoice},
    user::{self, Told},
};
use crate::relay::talk::{Addresses, Plan};

/// Keys and paths have been still for this long when measuring starts, and the server's memory has settled.
const CALM: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_PER_USER: Duration = Duration::from_millis(200);
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub struct People {
    joined: BTreeMap<usize, Joined>,
    /// None where datagrams travel as they are.
    carried: Option<Carried>,
    channels: usize,
    speakers: usize,
    joined_s: f64,
    told: mpsc::Receiver<Told>,
}

struct Joined {
    grant: VoiceGrant,
    keys: SessionKeys,
    /// The newest.
    key: EpochKey,
    socket: Arc<UdpSocket>,
    /// Where its datagrams go.
    server: SocketAddr,
}

impl People {
    /// Returns when everybody is in, hears, and has the same key as the others of the channel.
    pub fn join(plan: &Plan, listeners: &Listeners) -> anyhow::Result<Self> {
        let started = Instant::now();
        let deadline = started + PATIENCE + PATIENCE_PER_USER * plan.users as u32;
        let mut people = Self {
            joined: BTreeMap::new(),
            carried: Carried::new(plan)?,
            channels: plan.channels,
            speakers: plan.speakers,
            joined_s: 0.0,
            told: user::start_all(plan)?,
        };
        let mut last_change = started;
        loop {
            while let Ok(told) = people.told.try_recv() {
                last_change = Instant::now();
                people.take(told, listeners)?;
            }
            let all_in = people.joined.len() == plan.users
                && listeners.open_paths() == plan.users
                && people.same_keys();
            if !all_in {
                last_change = Instant::now();
            } else if last_change.elapsed() >= CALM {
                break;
            }
            if Instant::now() > deadline {
                bail!(
                    "of {} users {} joined and {} opened their path in time",
                    plan.users,
                    people.joined.len(),
                    listeners.open_paths()
                );
            }
            std::thread::sleep(LOOK_EVERY);
        }
        people.joined_s = (started.elapsed() - CALM).as_secs_f64();
        for (user, joined) in &people.joined {
            listeners.give_opener(*user, people.opener(user % people.channels, &joined.key))?;
        }
        Ok(people)
    }

    pub fn joined_s(&self) -> f64 {
        self.joined_s
    }

    pub fn addresses(&self) -> anyhow::Result<Addresses> {
        (0..self.channels)
            .map(|channel| {
                self.of_channel(channel)
                    .map(|joined| Ok(joined.socket.local_addr()?))
                    .collect()
            })
            .collect()
    }

    /// In the order in which they take turns: neighbours are in different channels.
    pub fn speakers(&self) -> Vec<Speaker> {
        let mut speakers: Vec<_> = Vec::new();
        for place in 0..self.speakers {
            for channel in 0..self.channels {
                let joined = self
                    .of_channel(channel)
                    .nth(place)
                    .expect("checked: each channel has its speakers");
                let mut sealer = Sealer::new(joined.grant.sender_index, joined.keys.hop_up.clone());
                sealer.set_key(joined.key.epoch, &joined.key.base_key);
                let listeners = self.of_channel(channel).count() - 1;
                speakers.push(Speaker::new(
                    Arc::clone(&joined.socket),
                    joined.server,
                    Voice::Voxhall(Box::new(VoxhallVoice::new(joined.grant.ssrc, sealer))),
                    listeners as u64,
                ));
            }
        }
        speakers
    }

    /// What happened to people while nobody should have come or gone.
    pub fn oddities(&mut self) -> Vec<(String, u64)> {
        let (mut rekeyed, mut lost) = (0, 0);
        while let Ok(told) = self.told.try_recv() {
            match told {
                Told::Rekeyed { .. } => rekeyed += 1,
                Told::Lost { .. } | Told::Joined { .. } => lost += 1,
            }
        }
        [
            ("keys changed while measuring", rekeyed),
            ("control connections lost while measuring", lost),
        ]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| (what.to_owned(), count))
        .collect()
    }

    fn take(&mut self, told: Told, listeners: &Listeners) -> anyhow::Result<()> {
        match told {
            Told::Joined {
                user,
                server,
                grant,
            } => {
                let keys = SessionKeys::derive(&grant.secret);
                let socket = listeners.socket(user)?;
                let server = match &self.carried {
                    Some(carried) => carried.open(server, socket.local_addr()?)?,
                    None => server,
                };
                let listener = Listener::new(
                    Arc::clone(&socket),
                    server,
                    grant.ssrc,
                    PathClient::new(grant.voice_session, keys.stun.clone(), Instant::now()),
                    RtcpSender::new(keys.hop_up.clone()),
                );
                listeners.add(user, Ear::Voxhall(Box::new(listener)))?;
                let joined = Joined {
                    key: grant.key.clone(),
                    keys,
                    grant: *grant,
                    socket,
                    server,
                };
                self.joined.insert(user, joined);
            }
            Told::Rekeyed { user, key } => {
                self.joined
                    .get_mut(&user)
                    .context("keys for somebody who has not joined")?
                    .key = key;
            }
            Told::Lost { user, why } => bail!("user {user} could not join: {why}"),
        }
        Ok(())
    }

    fn same_keys(&self) -> bool {
        (0..self.channels).all(|channel| {
            let mut epochs = self.of_channel(channel).map(|joined| joined.key.epoch);
            let first = epochs.next();
            epochs.all(|epoch| Some(epoch) == first)
        })
    }

    /// Knows the channel's speakers only: keys for five hundred who are silent would cost a second to derive.
    fn opener(&self, channel: usize, key: &EpochKey) -> Opener {
        let mut opener = Opener::new();
        opener.insert_key(key.epoch, &key.base_key);
        for speaker in self.of_channel(channel).take(self.speakers) {
            opener.allow(speaker.grant.sender_index, speaker.grant.ssrc);
        }
        opener
    }

    fn of_channel(&self, channel: usize) -> impl Iterator<Item = &Joined> {
        self.joined
            .iter()
            .filter(move |(user, _)| *user % self.channels == channel)
            .map(|(_, joined)| joined)
    }
}
