//! Which frames of a batch go to which listener, and the bundles made of them.

use voxhall_protocol::voice::{BundleBuilder, Datagram};

use crate::{
    members::{Listener, Members},
    sends::{FrameIndex, Sends},
    slab::Slot,
};

/// Frames times listeners of one batch.
const MAX_QUEUED: usize = 1 << 20;
const RESERVED: usize = 256;

/// The frames of a batch. All listeners of a channel are sent the same, but for their own, so that what is done for each of them
/// is little more than writing down its address.
#[derive(Debug)]
pub(crate) struct Batch {
    queued: Vec<Queued>,
    /// Frames times listeners.
    sends: usize,
    /// Places of the speakers among the listeners.
    speakers: Vec<u32>,
    /// Datagrams made of all frames of a channel.
    packed: Vec<FrameIndex>,
    /// Datagrams made of what one speaker hears of the others.
    packed_for_one: Vec<FrameIndex>,
    bundle: Datagram,
}

#[derive(Clone, Copy, Debug)]
struct Queued {
    channel: Slot,
    frame: FrameIndex,
    speaker: Slot,
}

/// What [`Batch::finish`] sent.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    /// Frames times listeners.
    pub frames: usize,
    pub datagrams: usize,
    pub bytes: usize,
    pub bundles: usize,
}

impl Batch {
    pub fn new() -> Self {
        Self {
            queued: Vec::with_capacity(RESERVED),
            sends: 0,
            speakers: Vec::with_capacity(RESERVED),
            packed: Vec::with_capacity(RESERVED),
            packed_for_one: Vec::with_capacity(RESERVED),
            bundle: Datagram::new(),
        }
    }

    pub fn has_room_for(&self, listeners: usize) -> bool {
        self.sends + listeners <= MAX_QUEUED
    }

    pub fn push(&mut self, channel: Slot, speaker: Slot, frame: FrameIndex, listeners: usize) {
        self.sends += listeners;
        self.queued.push(Queued {
            channel,
            frame,
            speaker,
        });
    }

    /// Addresses everything queued, bundled where the listener can read it. All that one listener gets stands together.
    pub fn finish(&mut self, members: &Members, out: &mut Sends) -> Finished {
        let mut finished = Finished::default();
        let mut queued = std::mem::take(&mut self.queued);
        // The frames of a channel together, in their order.
        queued.sort_unstable_by_key(|queued| (queued.channel, queued.frame));
        for frames in queued.chunk_by(|left, right| left.channel == right.channel) {
            let listeners = members.listeners(frames[0].channel);
            match frames {
                [frame] => send_to_others(*frame, listeners, out, &mut finished),
                frames => self.send_several(frames, listeners, members, out, &mut finished),
            }
        }
        queued.clear();
        self.queued = queued;
        self.sends = 0;
        finished
    }

    fn send_several(
        &mut self,
        frames: &[Queued],
        listeners: &[Listener],
        members: &Members,
        out: &mut Sends,
        finished: &mut Finished,
    ) {
        let speakers = frames.iter().filter_map(|f| members.place(f.speaker));
        self.speakers.clear();
        self.speakers.extend(speakers);
        self.speakers.sort_unstable();
        self.speakers.dedup();
        let mut speakers = self.speakers.iter().peekable();
        self.packed.clear();
        for (place, listener) in (0..).zip(listeners) {
            let speaks = speakers.next_if(|speaker| **speaker == place).is_some();
            let heard = frames
                .iter()
                .filter(|frame| !speaks || frame.speaker != listener.slot)
                .map(|frame| frame.frame);
            if !listener.takes_bundles {
                for frame in heard {
                    finished.send(listener, frame, out);
                    finished.frames += 1;
                }
                continue;
            }
            let packed = if speaks {
                self.packed_for_one.clear();
                &mut self.packed_for_one
            } else {
                &mut self.packed
            };
            if packed.is_empty() {
                pack(heard.clone(), &mut self.bundle, packed, out);
            }
            for frame in &*packed {
                finished.send(listener, *frame, out);
            }
            finished.frames += if speaks { heard.count() } else { frames.len() };
        }
    }
}

impl Finished {
    fn send(&mut self, listener: &Listener, frame: FrameIndex, out: &mut Sends) {
        let bytes = out.frame(frame);
        self.datagrams += 1;
        self.bytes += bytes.len();
        self.bundles += usize::from(is_bundle(bytes));
        out.push(listener.address, frame);
    }
}

fn send_to_others(frame: Queued, listeners: &[Listener], out: &mut Sends, finished: &mut Finished) {
    let before = out.len();
    for listener in listeners {
        if listener.slot != frame.speaker {
            out.push(listener.address, frame.frame);
        }
    }
    let count = out.len() - before;
    finished.frames += count;
    finished.datagrams += count;
    finished.bytes += count * out.frame(frame.frame).len();
}

/// Fills `packed` with as few datagrams as the frames fit into.
fn pack(
    frames: impl Iterator<Item = FrameIndex> + Clone,
    bundle: &mut Datagram,
    packed: &mut Vec<FrameIndex>,
    out: &mut Sends,
) {
    let mut frames = frames.peekable();
    while let Some(head) = frames.peek().copied() {
        let start = frames.clone();
        let mut count = 0;
        let mut builder = BundleBuilder::new(bundle);
        while frames
            .next_if(|frame| builder.push(out.frame(*frame)).is_ok())
            .is_some()
        {
            count += 1;
        }
        if count == 0 {
            // Too long for any bundle.
            frames.next();
        }
        let stored = if count > 1 {
            out.store(bundle.as_slice())
        } else {
            Some(head)
        };
        match stored {
            Some(frame) => packed.push(frame),
            None => packed.extend(start.take(count)),
        }
    }
}

fn is_bundle(bytes: &[u8]) -> bool {
    bytes.first() == Some(&4)
}
