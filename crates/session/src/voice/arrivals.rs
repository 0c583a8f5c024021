//! When datagrams came, by the system's own clock, so that the receive worker needn't wake up for each of them.

use std::{
    io,
    net::UdpSocket,
    time::{Duration, Instant},
};

/// A datagram is no older than this, whatever the clocks say.
const MOST: Duration = Duration::from_millis(200);

/// Has the system note when each datagram comes. Where it can't, false.
pub fn stamp(socket: &UdpSocket) -> bool {
    system::stamp(socket)
}

/// Takes datagrams from sockets, with the time at which they came; without stamps that is now.
pub struct Arrivals(system::Control);

impl Arrivals {
    pub fn new() -> Self {
        Self(system::control())
    }

    /// The datagram's length, and when it came.
    ///
    /// # Errors
    /// What the system says; `WouldBlock` when there is none.
    pub fn receive(
        &mut self,
        socket: &UdpSocket,
        buffer: &mut [u8],
    ) -> io::Result<(usize, Instant)> {
        let (len, age) = system::receive(socket, buffer, &mut self.0)?;
        let now = Instant::now();
        Ok((len, now.checked_sub(age.min(MOST)).unwrap_or(now)))
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::{
        io::{self, IoSliceMut},
        net::UdpSocket,
        os::fd::AsRawFd,
        time::{Duration, SystemTime},
    };

    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt::ReceiveTimestampns,
    };

    pub type Control = Vec<u8>;

    pub fn control() -> Control {
        nix::cmsg_space!(nix::sys::time::TimeSpec)
    }

    pub fn stamp(socket: &UdpSocket) -> bool {
        setsockopt(socket, ReceiveTimestampns, &true).is_ok()
    }

    /// And how long ago it came.
    pub fn receive(
        socket: &UdpSocket,
        buffer: &mut [u8],
        control: &mut Control,
    ) -> io::Result<(usize, Duration)> {
        let mut parts = [IoSliceMut::new(buffer)];
        let message = recvmsg::<()>(
            socket.as_raw_fd(),
            &mut parts,
            Some(control),
            MsgFlags::empty(),
        )?;
        let came = message.cmsgs()?.find_map(|part| match part {
            ControlMessageOwned::ScmTimestampns(at) => {
                SystemTime::UNIX_EPOCH.checked_add(Duration::from(at))
            }
            _ => None,
        });
        // A clock that was set back meanwhile gives no age.
        let age = came.and_then(|came| SystemTime::now().duration_since(came).ok());
        Ok((message.bytes, age.unwrap_or_default()))
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::{io, net::UdpSocket, time::Duration};

    pub type Control = ();

    pub fn control() -> Control {}

    pub fn stamp(_socket: &UdpSocket) -> bool {
        false
    }

    pub fn receive(
        socket: &UdpSocket,
        buffer: &mut [u8],
        (): &mut Control,
    ) -> io::Result<(usize, Duration)> {
        Ok((socket.recv(buffer)?, Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use assert_no_alloc::assert_no_alloc;

    use super::*;

    #[test]
    fn a_datagram_that_waited_came_when_it_was_sent() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let stamped = stamp(&receiver);
        let mut arrivals = Arrivals::new();
        let mut buffer = [0; 16];
        let waited = Duration::from_millis(30);
        // Linux begins to stamp some time after it was told to.
        for last in [false, false, false, true] {
            let sent = Instant::now();
            let address = receiver.local_addr().unwrap();
            sender.send_to(b"hello", address).unwrap();
            let gone = Instant::now();
            std::thread::sleep(waited);
            let (len, came) = assert_no_alloc(|| arrivals.receive(&receiver, &mut buffer)).unwrap();
            assert_eq!(&buffer[..len], b"hello");
            let near = Duration::from_millis(5);
            if !stamped {
                assert!(came >= gone + waited);
            } else if last {
                assert!(
                    came + near > sent && came < gone + near,
                    "{:?}",
                    came - sent
                );
            }
        }
    }
}
