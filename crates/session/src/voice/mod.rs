//! The media workers: two named threads between the audio device's rings and the voice socket.
//!
//! Neither takes a lock it could wait for, and audio callbacks never wake them (that would be a system call): each
//! worker foresees the next callback from the times of the last ones. With no device and no channel both sleep.

mod arrivals;
mod bridge;
mod choice;
mod links;
mod meters;
mod pacing;
mod quic;
mod receive;
mod send;
mod wake;
mod websocket;

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{SyncSender, sync_channel},
    },
    thread::{Builder, JoinHandle},
};

use tokio::sync::mpsc;
use voxhall_protocol::{
    control::{EpochKey, VoiceGrant, VoiceState},
    voice::Carrier,
};

use crate::{
    SpeakerTap, Voice, VoiceMeters,
    audio::{CaptureEnd, PlayoutEnd},
};
pub use bridge::{Route, carry};
use meters::Meters;
use wake::Waker;

/// Commands a worker may be behind; the session's thread waits beyond it, which a stalled worker alone can cause.
const COMMAND_QUEUE: usize = 256;

/// What the workers tell the session's thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoiceEvent {
    Opened,
    /// Nothing passes; the links go on trying.
    Lost,
    /// There is nothing to try with.
    Failed,
}

/// The handle of both workers. Cheap to clone; the workers end with [`shut_down`](Self::shut_down) or the last handle.
#[derive(Clone)]
pub struct VoiceEngine {
    send: SyncSender<send::Command>,
    receive: SyncSender<receive::Command>,
    waker: Arc<Waker>,
    meters: Arc<Meters>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl VoiceEngine {
    pub fn start(
        events: mpsc::Sender<VoiceEvent>,
        tap: Option<SpeakerTap>,
        only: Option<Carrier>,
    ) -> std::io::Result<Self> {
        let (send, send_commands) = sync_channel(COMMAND_QUEUE);
        let (receive, receive_commands) = sync_channel(COMMAND_QUEUE);
        let (waker, woken) = wake::waker()?;
        let waker = Arc::new(waker);
        let meters = Arc::new(Meters::default());
        let mut sender =
            send::Worker::new(send_commands, Arc::clone(&meters)).map_err(std::io::Error::other)?;
        let mut receiver = receive::Worker::new(
            receive_commands,
            woken,
            send.clone(),
            events,
            tap,
            Arc::clone(&meters),
            (only, Arc::clone(&waker)),
        )
        .map_err(std::io::Error::other)?;
        let threads = vec![
            Builder::new()
                .name("voice-send".to_owned())
                .spawn(move || sender.run())?,
            Builder::new()
                .name("voice-receive".to_owned())
                .spawn(move || receiver.run())?,
        ];
        Ok(Self {
            send,
            receive,
            waker,
            meters,
            threads: Arc::new(Mutex::new(threads)),
        })
    }

    pub fn attach(&self, capture: CaptureEnd, playout: PlayoutEnd) {
        self.to_send(send::Command::Attach(Some(capture)));
        self.to_receive(receive::Command::Attach(Some(playout)));
    }

    pub fn detach(&self) {
        self.to_send(send::Command::Attach(None));
        self.to_receive(receive::Command::Attach(None));
    }

    /// Opens the path of `grant`, or replaces the present one. Paths and keys reach the send worker by way of the receive
    /// worker, so that neither can overtake the other.
    pub fn join(&self, route: Route, grant: VoiceGrant, settings: Voice) {
        self.meters.reset();
        self.configure(settings);
        self.to_receive(receive::Command::Join(Box::new(receive::Join {
            route,
            grant,
        })));
    }

    pub fn leave(&self) {
        self.to_receive(receive::Command::Leave);
    }

    /// Listeners open both the new and the old key at once; the sender switches when all have the new one.
    pub fn rekey(&self, key: EpochKey) {
        self.to_receive(receive::Command::Key(key));
    }

    pub fn add_speaker(&self, state: &VoiceState) {
        self.to_receive(receive::Command::Add(state.into()));
    }

    pub fn remove_speaker(&self, state: &VoiceState) {
        self.to_receive(receive::Command::Remove(state.into()));
    }

    pub fn configure(&self, settings: Voice) {
        self.to_send(send::Command::Configure(Box::new(settings.clone())));
        self.to_receive(receive::Command::Configure(Box::new(settings)));
    }

    pub fn meters(&self) -> VoiceMeters {
        self.meters.read()
    }

    pub fn shut_down(&self) {
        self.to_send(send::Command::Stop);
        self.to_receive(receive::Command::Stop);
        let threads = std::mem::take(
            &mut *self
                .threads
                .lock()
                .expect("nothing panics while holding it"),
        );
        for thread in threads {
            let _ = thread.join();
        }
    }

    // A worker that is gone has panicked, which its own report tells.
    fn to_send(&self, command: send::Command) {
        let _ = self.send.send(command);
    }

    fn to_receive(&self, command: receive::Command) {
        let _ = self.receive.send(command);
        self.waker.wake();
    }
}
