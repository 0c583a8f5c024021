//! Which frames of a batch go to which listener, and the bundles made of them.

use std::net::SocketAddr;

use voxhall_protocol::voice::{BundleBuilder, Datagram};

use crate::{
    routes::{RouteTable, Slot},
    sends::{FrameIndex, Sends},
};

/// Frames times listeners of one batch.
const MAX_QUEUED: usize = 1 << 20;
const RESERVED: usize = 4_096;
const NONE: u32 = u32::MAX;

/// A list of frames for each listener, threaded through one vector.
#[derive(Debug)]
pub(crate) struct Batch {
    /// First and last entry of each slot's list.
    lists: Vec<(u32, u32)>,
    entries: Vec<(FrameIndex, u32)>,
    touched: Vec<Slot>,
    /// Datagrams made of the list that starts at this entry; the next listener often has the same list.
    packed: Vec<FrameIndex>,
    packed_of: u32,
    bundle: Datagram,
}

/// What [`Batch::finish`] sent.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    pub datagrams: usize,
    pub bytes: usize,
    pub bundles: usize,
}

impl Batch {
    pub fn new() -> Self {
        Self {
            lists: Vec::new(),
            entries: Vec::with_capacity(RESERVED),
            touched: Vec::with_capacity(RESERVED),
            packed: Vec::with_capacity(64),
            packed_of: NONE,
            bundle: Datagram::new(),
        }
    }

    /// Forgets what was queued and makes room for this many slots.
    pub fn reset(&mut self, slots: usize) {
        self.lists.clear();
        self.lists.resize(slots, (NONE, NONE));
        self.entries.clear();
        self.touched.clear();
        self.packed_of = NONE;
    }

    pub fn has_room_for(&self, listeners: usize) -> bool {
        self.entries.len() + listeners <= MAX_QUEUED
    }

    pub fn push(&mut self, listener: Slot, frame: FrameIndex) {
        let at = self.entries.len() as u32;
        self.entries.push((frame, NONE));
        let (first, last) = &mut self.lists[listener as usize];
        if *first == NONE {
            *first = at;
            self.touched.push(listener);
        } else {
            self.entries[*last as usize].1 = at;
        }
        *last = at;
    }

    /// Addresses everything queued, bundled where the listener can read it.
    pub fn finish(
        &mut self,
        table: &RouteTable,
        paths: &[Option<SocketAddr>],
        out: &mut Sends,
    ) -> Finished {
        let mut finished = Finished::default();
        for at in 0..self.touched.len() {
            let slot = self.touched[at];
            let (first, _) = std::mem::replace(&mut self.lists[slot as usize], (NONE, NONE));
            let (Some(to), Some(route)) = (paths[slot as usize], table.route(slot)) else {
                continue;
            };
            let several = self.entries[first as usize].1 != NONE;
            if several && route.takes_bundles {
                if !self.same_list(self.packed_of, first) {
                    self.pack(first, out);
                }
                for &frame in &self.packed {
                    finished.datagrams += 1;
                    finished.bytes += out.frame(frame).len();
                    finished.bundles += usize::from(is_bundle(out.frame(frame)));
                    out.push(to, frame);
                }
            } else {
                for frame in list(&self.entries, first) {
                    finished.datagrams += 1;
                    finished.bytes += out.frame(frame).len();
                    out.push(to, frame);
                }
            }
        }
        self.entries.clear();
        self.touched.clear();
        self.packed_of = NONE;
        finished
    }

    fn same_list(&self, left: u32, right: u32) -> bool {
        left != NONE && list(&self.entries, left).eq(list(&self.entries, right))
    }

    /// Fills `packed` with as few datagrams as the list's frames fit into.
    fn pack(&mut self, first: u32, out: &mut Sends) {
        self.packed.clear();
        self.packed_of = first;
        let mut frames = list(&self.entries, first).peekable();
        while let Some(head) = frames.peek().copied() {
            let start = frames.clone();
            let mut count = 0;
            let mut builder = BundleBuilder::new(&mut self.bundle);
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
                out.store(self.bundle.as_slice())
            } else {
                Some(head)
            };
            match stored {
                Some(frame) => self.packed.push(frame),
                None => self.packed.extend(start.take(count)),
            }
        }
    }
}

fn list(entries: &[(FrameIndex, u32)], first: u32) -> impl Iterator<Item = FrameIndex> + Clone {
    std::iter::successors(entries.get(first as usize), |(_, next)| {
        entries.get(*next as usize)
    })
    .map(|(frame, _)| *frame)
}

fn is_bundle(bytes: &[u8]) -> bool {
    bytes.first() == Some(&4)
}
