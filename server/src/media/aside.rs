//! Datagrams on the voice port that are not the relay's: handed on through a ring, without a lock or an allocation, and lost when it is full.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;

/// Datagrams that wait to be taken.
const RING: usize = 512;
/// The longest that is handed on: more than any path of the internet carries.
const LONGEST: usize = 1_472;
/// Of datagrams with a long header, which begin connections and cost much: so many a second, and at once.
const LONG_EACH: Duration = Duration::from_micros(1_000_000 / 2_000);
const LONG_AT_ONCE: u32 = 256;

pub struct Datagram {
    pub from: SocketAddr,
    len: u16,
    bytes: [u8; LONGEST],
}

impl Datagram {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The media thread's end.
pub struct Aside {
    ring: rtrb::Producer<Datagram>,
    waker: Arc<AtomicWaker>,
    /// Something was put in, and nobody was told.
    untold: bool,
    /// When so many may begin again as can at once.
    long_full_at: Instant,
}

/// The other end.
pub struct AsideEnd {
    ring: rtrb::Consumer<Datagram>,
    pub waker: Arc<AtomicWaker>,
}

pub fn aside(now: Instant) -> (Aside, AsideEnd) {
    let (put, take) = rtrb::RingBuffer::new(RING);
    let waker = Arc::new(AtomicWaker::new());
    let aside = Aside {
        ring: put,
        waker: Arc::clone(&waker),
        untold: false,
        long_full_at: now,
    };
    (aside, AsideEnd { ring: take, waker })
}

impl Aside {
    /// Hands a datagram on; says whether it found room.
    pub fn put(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> bool {
        let is_long = datagram.first().is_some_and(|first| first & 0x80 != 0);
        let long_full_at = self.long_full_at.max(now) + LONG_EACH;
        let too_many = is_long && long_full_at > now + LONG_EACH * LONG_AT_ONCE;
        if datagram.len() > LONGEST || too_many {
            return false;
        }
        let mut held = Datagram {
            from,
            len: datagram.len() as u16,
            bytes: [0; LONGEST],
        };
        held.bytes[..datagram.len()].copy_from_slice(datagram);
        if self.ring.push(held).is_err() {
            return false;
        }
        if is_long {
            self.long_full_at = long_full_at;
        }
        self.untold = true;
        true
    }

    /// Tells the other end of what was put in.
    pub fn tell(&mut self) {
        if std::mem::take(&mut self.untold) {
            self.waker.wake();
        }
    }
}

impl AsideEnd {
    pub fn take(&mut self) -> Option<Datagram> {
        self.ring.pop().ok()
    }
}

#[cfg(test)]
mod tests {
    use assert_no_alloc::assert_no_alloc;

    use super::*;

    #[test]
    fn what_is_put_in_comes_out_and_what_finds_no_room_is_lost() {
        let now = Instant::now();
        let (mut aside, mut end) = aside(now);
        let from = "192.0.2.1:7".parse().unwrap();
        assert!(!aside.put(now, from, &[0x40; LONGEST + 1]));
        let put = assert_no_alloc(|| {
            (0..2 * RING)
                .filter(|_| aside.put(now, from, &[0x40; LONGEST]))
                .count()
        });
        assert_eq!(put, RING);
        aside.tell();
        let mut taken = 0;
        while let Some(datagram) = end.take() {
            assert_eq!(
                (datagram.from, datagram.bytes()),
                (from, &[0x40; LONGEST][..])
            );
            taken += 1;
        }
        assert_eq!(taken, RING);
    }

    #[test]
    fn beginnings_are_let_in_at_a_rate_and_take_no_room_from_what_goes_on() {
        let start = Instant::now();
        let (mut aside, mut end) = aside(start);
        let from = "192.0.2.1:7".parse().unwrap();
        let mut passed = 0;
        for ms in 0..1_000 {
            let now = start + Duration::from_millis(ms);
            passed += (0..100)
                .filter(|_| aside.put(now, from, &[0xc0; 1_200]))
                .count();
            assert!(aside.put(now, from, &[0x40; 100]));
            while end.take().is_some() {}
        }
        assert!((2_000..2_400).contains(&passed), "{passed}");
    }
}
