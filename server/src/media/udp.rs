//! Sends of a batch. Voice that waits is worse than voice that is lost: what the system has no room for is dropped.

use std::{io, net::SocketAddr};

use mio::net::UdpSocket;

use super::{MediaStats, MediaTotal};

/// Sends everything, or counts what the system did not take.
pub fn send<'a>(
    socket: &UdpSocket,
    sends: impl ExactSizeIterator<Item = (SocketAddr, &'a [u8])>,
    stats: &MediaStats,
) {
    #[cfg(target_os = "linux")]
    many_a_call::send(socket, sends, stats);
    #[cfg(not(target_os = "linux"))]
    one_by_one(socket, sends, stats);
}

fn one_by_one<'a>(
    socket: &UdpSocket,
    sends: impl Iterator<Item = (SocketAddr, &'a [u8])>,
    stats: &MediaStats,
) {
    for (to, bytes) in sends {
        if let Err(error) = socket.send_to(bytes, to) {
            count(&error, stats);
        }
    }
}

fn count(error: &io::Error, stats: &MediaStats) {
    stats.count(match error.kind() {
        io::ErrorKind::WouldBlock => MediaTotal::SendsBlocked,
        _ => MediaTotal::SendErrors,
    });
}

/// `sendmmsg`, where there are enough for it to be cheaper.
#[cfg(target_os = "linux")]
mod many_a_call {
    use std::{io::IoSlice, net::SocketAddr};

    use arrayvec::ArrayVec;
    use mio::net::UdpSocket;
    use rustix::net::{
        MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, addr::SocketAddrArg as _, sendmmsg,
    };

    use super::{MediaStats, count, one_by_one};

    /// Below this a call each is cheaper (ADR 0030).
    const WORTH_IT: usize = 16;
    const AT_ONCE: usize = 64;

    pub fn send<'a>(
        socket: &UdpSocket,
        mut sends: impl ExactSizeIterator<Item = (SocketAddr, &'a [u8])>,
        stats: &MediaStats,
    ) {
        while sends.len() >= WORTH_IT {
            send_some(socket, sends.by_ref().take(AT_ONCE), stats);
        }
        one_by_one(socket, sends, stats);
    }

    fn send_some<'a>(
        socket: &UdpSocket,
        sends: impl Iterator<Item = (SocketAddr, &'a [u8])>,
        stats: &MediaStats,
    ) {
        let mut to = ArrayVec::<SocketAddrAny, AT_ONCE>::new();
        let mut slices = ArrayVec::<[IoSlice<'a>; 1], AT_ONCE>::new();
        let mut controls = ArrayVec::<SendAncillaryBuffer<'_, '_, '_>, AT_ONCE>::new();
        for (address, bytes) in sends {
            to.push(address.as_any());
            slices.push([IoSlice::new(bytes)]);
            controls.push(SendAncillaryBuffer::default());
        }
        let mut messages: ArrayVec<_, AT_ONCE> = (to.iter().zip(&slices).zip(&mut controls))
            .map(|((to, slice), control)| MMsgHdr::new_with_addr(to, slice, control))
            .collect();
        let mut rest = &mut messages[..];
        while !rest.is_empty() {
            let done = match sendmmsg(socket, rest, SendFlags::empty()) {
                Ok(sent) => sent,
                // It is of the first one; the others have their turn.
                Err(error) => {
                    count(&error.into(), stats);
                    1
                }
            };
            rest = &mut rest[done..];
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;

    type Send = fn(&UdpSocket, &[(SocketAddr, Vec<u8>)], &MediaStats);

    /// Every way that some system has, under the same tests.
    const WAYS: &[Send] = &[
        |socket, sends, stats| one_by_one(socket, each(sends), stats),
        #[cfg(target_os = "linux")]
        |socket, sends, stats| many_a_call::send(socket, each(sends), stats),
    ];

    fn each(sends: &[(SocketAddr, Vec<u8>)]) -> impl ExactSizeIterator<Item = (SocketAddr, &[u8])> {
        sends.iter().map(|(to, bytes)| (*to, &bytes[..]))
    }

    fn bind() -> std::net::UdpSocket {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let patience = std::time::Duration::from_secs(5);
        socket.set_read_timeout(Some(patience)).unwrap();
        socket
    }

    fn sender() -> UdpSocket {
        let socket = bind();
        socket.set_nonblocking(true).unwrap();
        UdpSocket::from_std(socket)
    }

    #[test]
    fn everyone_gets_what_is_theirs_in_order_whatever_the_number() {
        for way in WAYS {
            for count in [0, 1, 15, 16, 17, 64, 65, 79, 80, 200] {
                let (from, stats) = (sender(), MediaStats::new(1));
                let listeners = [bind(), bind(), bind()];
                let to = |n: usize| listeners[n % 3].local_addr().unwrap();
                let sends: Vec<_> = (0..count).map(|n| (to(n), vec![n as u8; n + 1])).collect();
                way(&from, &sends, &stats);
                let mut buffer = [0; 2_048];
                for (n, (_, bytes)) in sends.iter().enumerate() {
                    let len = listeners[n % 3].recv(&mut buffer).unwrap();
                    assert_eq!(&buffer[..len], bytes);
                }
                assert_eq!(stats.total(MediaTotal::SendErrors), 0);
                assert_eq!(stats.total(MediaTotal::SendsBlocked), 0);
            }
        }
    }

    #[test]
    fn who_can_not_be_sent_to_is_counted_and_costs_the_others_nothing() {
        for way in WAYS {
            let (from, stats) = (sender(), MediaStats::new(1));
            let listener = bind();
            let good = listener.local_addr().unwrap();
            // Nothing is sent to port 0.
            let bad = (Ipv4Addr::LOCALHOST, 0).into();
            let sends: Vec<_> = (0..100u8)
                .map(|n| (if n % 10 == 0 || n > 95 { bad } else { good }, vec![n]))
                .collect();
            way(&from, &sends, &stats);
            let mut buffer = [0; 16];
            for (_, bytes) in sends.iter().filter(|(to, _)| *to == good) {
                assert_eq!(listener.recv(&mut buffer).unwrap(), 1);
                assert_eq!(buffer[0], bytes[0]);
            }
            assert_eq!(stats.total(MediaTotal::SendErrors), 14);
        }
    }

    #[test]
    fn nothing_is_allocated() {
        let (from, stats) = (sender(), MediaStats::new(1));
        let to = bind().local_addr().unwrap();
        let sends: Vec<_> = (0..150u8).map(|n| (to, vec![n; 100])).collect();
        for way in WAYS {
            assert_no_alloc::assert_no_alloc(|| way(&from, &sends, &stats));
        }
    }
}
