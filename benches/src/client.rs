//! A real session that comes in as a guest and joins the first voice channel.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use voxhall_protocol::{control::ChannelKind, link::Link, voice::Carrier};
use voxhall_session::{
    Connection, FrameLength, Identity, Intent, Options, Session, State, Transmit, VoicePath,
};

const PATIENCE: Duration = Duration::from_secs(15);

pub struct Client {
    pub session: Session,
    changed: mpsc::Receiver<()>,
}

impl Client {
    pub fn join(
        link: &str,
        name: &str,
        frame: FrameLength,
        transmit: Transmit,
        carrier: Option<Carrier>,
    ) -> anyhow::Result<Self> {
        let link: Link = link.parse()?;
        let (wake, changed) = mpsc::sync_channel(1);
        let session = Session::start(Options {
            on_change: Box::new(move || {
                let _ = wake.try_send(());
            }),
            carrier,
            ..Options::new(
                concat!("voxhall-bench/", env!("CARGO_PKG_VERSION")),
                "voxhall-bench",
            )
        })
        .context("can't start a session")?;
        let client = Self { session, changed };
        client.session.send(Intent::SetFrameLength(frame));
        client.session.send(Intent::SetTransmit(transmit));
        let name = name.to_owned();
        client.session.send(Intent::Connect {
            link,
            identity: Identity::Guest { name },
        });
        client.wait("sign in", |state| state.connection == Connection::Online)?;
        let state = client.session.state();
        let channel = state
            .guilds
            .iter()
            .find_map(|guild| guild.channels_of(ChannelKind::Voice).next())
            .context("the server has no voice channel")?;
        client.session.send(Intent::JoinVoice(channel.id));
        client.wait("open the voice path", |state| {
            matches!(state.voice.path, VoicePath::Open(_))
        })?;
        Ok(client)
    }

    fn wait(&self, what: &str, done: impl Fn(&State) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !done(&self.session.state()) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("could not {what}: {:?}", self.session.state().connection);
            }
            let _ = self.changed.recv_timeout(left);
        }
        Ok(())
    }
}
