//! Packets of one speaker, put in order. Fixed memory: a table of slots and a log of bytes.

/// Packets held at most; a power of two. 640 ms of the shortest frames.
const SLOTS: usize = 256;
/// Payload bytes held at most: 4 s at 64 kbit/s, half a second at 510 kbit/s.
const LOG_BYTES: usize = 32 * 1024;
/// Sequence numbers further away than this belong to another stream, not to a hole in this one (RFC 3550, A.1).
const MAX_JUMP: i16 = 3_000;

/// A packet as it comes from the network; its numbers may be anything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incoming<'a> {
    pub(crate) arrived: i64,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) samples: u32,
    pub(crate) payload: &'a [u8],
}

/// A packet waiting to be played. Sequence numbers and timestamps are extended to 64 bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) sequence: i64,
    pub(crate) timestamp: i64,
    pub(crate) samples: u32,
    pub(crate) marker: bool,
    pub(crate) arrived: i64,
    /// Position of the payload in the log, which counts bytes ever written.
    position: u64,
    bytes: usize,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// It waits. `begins`: it is the first after silence. `restarted`: all before it is forgotten.
    Stored {
        sequence: i64,
        timestamp: i64,
        begins: bool,
        restarted: bool,
    },
    /// Its place has been played.
    Late {
        sequence: i64,
        timestamp: i64,
    },
    Duplicate,
    /// Its numbers make no sense here.
    Stray,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Number of the packet that was here last; `i64::MIN` for none.
    sequence: i64,
    waiting: Option<Waiting>,
}

#[derive(Debug, Clone, Copy)]
struct Newest {
    sequence: i64,
    timestamp: i64,
    samples: u32,
}

pub(crate) struct PacketBuffer {
    slots: Box<[Slot; SLOTS]>,
    log: Box<[u8; LOG_BYTES]>,
    written: u64,
    newest: Option<Newest>,
    /// Sequence number that is played next.
    next: i64,
    /// Something has been played, so `next` can't go back.
    begun: bool,
    /// The number that would confirm that the stream has jumped.
    probation: Option<u16>,
    waiting: usize,
    skipped: u64,
}

impl PacketBuffer {
    pub(crate) fn new() -> Self {
        Self {
            slots: Box::new([EMPTY; SLOTS]),
            log: Box::new([0; LOG_BYTES]),
            written: 0,
            newest: None,
            next: 0,
            begun: false,
            probation: None,
            waiting: 0,
            skipped: 0,
        }
    }

    pub(crate) fn reset(&mut self) {
        self.slots.fill(EMPTY);
        self.newest = None;
        self.begun = false;
        self.probation = None;
        self.waiting = 0;
        self.skipped = 0;
    }

    pub(crate) fn insert(&mut self, packet: &Incoming<'_>) -> Inserted {
        let Some(newest) = self.newest else {
            return self.restart(packet);
        };
        let step = packet.sequence.wrapping_sub(newest.sequence as u16) as i16;
        if step > MAX_JUMP || step < -(SLOTS as i16) {
            // One such packet may be a stray; two in a row are a new stream.
            let following = packet.sequence.wrapping_add(1);
            if self.probation.replace(following) == Some(packet.sequence) {
                return self.restart(packet);
            }
            return Inserted::Stray;
        }
        self.probation = None;
        let sequence = newest.sequence + i64::from(step);
        let advance = i64::from(packet.timestamp.wrapping_sub(newest.timestamp as u32) as i32);
        let timestamp = newest.timestamp + advance;
        if step > 0 && advance <= 0 {
            // The speaker's clock was set anew.
            return self.restart(packet);
        }
        if step < 0 && advance >= 0 {
            return Inserted::Stray;
        }

        let slot = &self.slots[index(sequence)];
        if slot.sequence == sequence {
            return Inserted::Duplicate;
        }
        if sequence < self.next {
            if self.begun {
                return Inserted::Late {
                    sequence,
                    timestamp,
                };
            }
            self.next = sequence;
        }
        while sequence >= self.next + SLOTS as i64 {
            self.skip_one();
        }
        // More time passed than packets: silence that the speaker chose not to send.
        let silence = step > 0 && advance > i64::from(step) * i64::from(newest.samples);
        self.store(sequence, timestamp, packet);
        if step > 0 {
            self.newest = Some(Newest {
                sequence,
                timestamp,
                samples: packet.samples,
            });
        }
        Inserted::Stored {
            sequence,
            timestamp,
            begins: packet.marker || silence,
            restarted: false,
        }
    }

    /// Sequence number that is played next.
    pub(crate) fn next(&self) -> i64 {
        self.next
    }

    /// Whether packet `sequence` is here, or was.
    pub(crate) fn came(&self, sequence: i64) -> bool {
        self.slots[index(sequence)].sequence == sequence
    }

    /// How many packets are missing just before `sequence` that haven't been played, or were made up.
    pub(crate) fn missing_before(&self, sequence: i64) -> i64 {
        let missing = (1..SLOTS as i64).take_while(|back| !self.came(sequence - back));
        missing.count() as i64
    }

    /// The earliest packet that waits.
    pub(crate) fn first(&mut self) -> Option<Waiting> {
        while self.waiting > 0 {
            let newest = self.newest?.sequence;
            let found = (self.next..=newest)
                .take(SLOTS)
                .find_map(|sequence| self.at(sequence))?;
            if self.payload(&found).is_some() {
                return Some(found);
            }
            // Its bytes have been overwritten by newer ones.
            self.remove(found.sequence);
            self.skipped += 1;
        }
        None
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    pub(crate) fn payload(&self, packet: &Waiting) -> Option<&[u8]> {
        let kept = self.written - packet.position <= LOG_BYTES as u64;
        let start = (packet.position % LOG_BYTES as u64) as usize;
        kept.then(|| &self.log[start..start + packet.bytes])
    }

    /// `sequence` is played, or given up: everything up to it is the past.
    pub(crate) fn pass(&mut self, sequence: i64) {
        self.begun = true;
        while self.next <= sequence {
            self.remove(self.next);
            self.next += 1;
        }
    }

    /// Throws away the packet that would be played next.
    pub(crate) fn skip_one(&mut self) {
        if self.at(self.next).is_some() {
            self.skipped += 1;
        }
        // After a long hole this is called for every missing number, at most MAX_JUMP times.
        self.pass(self.next);
    }

    /// Packets thrown away unplayed since the last call.
    pub(crate) fn take_skipped(&mut self) -> u64 {
        std::mem::take(&mut self.skipped)
    }

    fn restart(&mut self, packet: &Incoming<'_>) -> Inserted {
        self.skipped += self.waiting as u64;
        let skipped = self.skipped;
        self.reset();
        self.skipped = skipped;
        let (sequence, timestamp) = (i64::from(packet.sequence), i64::from(packet.timestamp));
        self.next = sequence;
        self.newest = Some(Newest {
            sequence,
            timestamp,
            samples: packet.samples,
        });
        self.store(sequence, timestamp, packet);
        Inserted::Stored {
            sequence,
            timestamp,
            begins: true,
            restarted: true,
        }
    }

    fn store(&mut self, sequence: i64, timestamp: i64, packet: &Incoming<'_>) {
        let payload = packet.payload;
        let mut start = (self.written % LOG_BYTES as u64) as usize;
        if start + payload.len() > LOG_BYTES {
            self.written += (LOG_BYTES - start) as u64;
            start = 0;
        }
        self.log[start..start + payload.len()].copy_from_slice(payload);
        let waiting = Waiting {
            sequence,
            timestamp,
            samples: packet.samples,
            marker: packet.marker,
            arrived: packet.arrived,
            position: self.written,
            bytes: payload.len(),
        };
        self.written += payload.len() as u64;
        let slot = &mut self.slots[index(sequence)];
        if slot.waiting.is_none() {
            self.waiting += 1;
        }
        *slot = Slot {
            sequence,
            waiting: Some(waiting),
        };
    }

    fn at(&self, sequence: i64) -> Option<Waiting> {
        let slot = &self.slots[index(sequence)];
        slot.waiting.filter(|packet| packet.sequence == sequence)
    }

    fn remove(&mut self, sequence: i64) {
        let slot = &mut self.slots[index(sequence)];
        if slot.sequence == sequence && slot.waiting.take().is_some() {
            self.waiting -= 1;
        }
    }
}

const EMPTY: Slot = Slot {
    sequence: i64::MIN,
    waiting: None,
};

fn index(sequence: i64) -> usize {
    sequence.rem_euclid(SLOTS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u16, timestamp: u32, payload: &[u8]) -> Incoming<'_> {
        Incoming {
            arrived: 0,
            sequence,
            timestamp,
            marker: false,
            samples: 480,
            payload,
        }
    }

    /// Puts in packets of consecutive timestamps and plays what is there; returns the numbers played.
    fn play(sequences: &[u16]) -> Vec<u16> {
        let mut buffer = PacketBuffer::new();
        let first = sequences[0];
        for &sequence in sequences {
            let steps = i32::from(sequence.wrapping_sub(first) as i16);
            let timestamp = 1_000_u32.wrapping_add_signed(steps * 480 - 2_000);
            buffer.insert(&packet(sequence, timestamp, &sequence.to_be_bytes()));
        }
        let mut played = Vec::new();
        while let Some(waiting) = buffer.first() {
            let payload = buffer.payload(&waiting).expect("it waits");
            played.push(u16::from_be_bytes([payload[0], payload[1]]));
            buffer.pass(waiting.sequence);
        }
        played
    }

    #[test]
    fn order_is_restored_across_the_wrap() {
        assert_eq!(
            play(&[65_534, 1, 0, 65_535, 65_533, 1, 3]),
            [65_533, 65_534, 65_535, 0, 1, 3]
        );
    }

    #[test]
    fn late_and_repeated_packets_are_told_apart() {
        let mut buffer = PacketBuffer::new();
        buffer.insert(&packet(10, 4_800, b"a"));
        buffer.insert(&packet(12, 5_760, b"c"));
        buffer.pass(10);
        buffer.pass(11);
        assert!(matches!(
            buffer.insert(&packet(11, 5_280, b"b")),
            Inserted::Late { sequence: 11, .. }
        ));
        assert_eq!(buffer.insert(&packet(10, 4_800, b"a")), Inserted::Duplicate);
        assert_eq!(buffer.insert(&packet(12, 5_760, b"c")), Inserted::Duplicate);
    }

    #[test]
    fn one_stray_is_ignored_and_two_are_a_new_stream() {
        let mut buffer = PacketBuffer::new();
        buffer.insert(&packet(10, 4_800, b"a"));
        assert_eq!(buffer.insert(&packet(40_000, 9, b"x")), Inserted::Stray);
        assert!(buffer.first().is_some_and(|first| first.sequence == 10));
        assert_eq!(buffer.insert(&packet(50_000, 9, b"x")), Inserted::Stray);
        assert!(matches!(
            buffer.insert(&packet(50_001, 489, b"y")),
            Inserted::Stored {
                restarted: true,
                ..
            }
        ));
        assert_eq!(buffer.take_skipped(), 1);
    }

    #[test]
    fn silence_is_time_without_packets() {
        let mut buffer = PacketBuffer::new();
        let begins = |inserted| matches!(inserted, Inserted::Stored { begins: true, .. });
        assert!(begins(buffer.insert(&packet(1, 0, b"a"))));
        assert!(!begins(buffer.insert(&packet(2, 480, b"a"))));
        // A loss takes as many packets as time.
        assert!(!begins(buffer.insert(&packet(4, 1_440, b"a"))));
        assert!(begins(buffer.insert(&packet(5, 48_000, b"a"))));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let mut buffer = PacketBuffer::new();
        for i in 0..1_000_u16 {
            buffer.insert(&packet(i, u32::from(i) * 480, &[i as u8; 1_275]));
        }
        let first = buffer.first().expect("the newest are there");
        // As many as fit into the log.
        assert!(first.sequence >= 1_000 - (LOG_BYTES / 1_275) as i64);
        assert!(first.sequence < 990);
        let payload = buffer.payload(&first).expect("it waits");
        assert_eq!(payload, [first.sequence as u8; 1_275]);
        assert!(buffer.take_skipped() > 900);
    }
}
