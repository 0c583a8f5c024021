//! Wakes a thread that waits for sockets.

use std::{io, net::UdpSocket};

/// The end that wakes. Any thread may.
#[derive(Debug)]
pub struct Waker(UdpSocket);

/// The end to wait for; it is readable once somebody woke.
#[derive(Debug)]
pub struct Woken(UdpSocket);

/// A socket that is connected to itself, which every system can wait for beside others.
///
/// # Errors
/// When the system has no loopback address or no socket left.
pub fn waker() -> io::Result<(Waker, Woken)> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(socket.local_addr()?)?;
    socket.set_nonblocking(true)?;
    Ok((Waker(socket.try_clone()?), Woken(socket)))
}

impl Waker {
    pub fn wake(&self) {
        // Full means that it is awake already.
        let _ = self.0.send(&[0]);
    }
}

impl Woken {
    pub fn socket(&self) -> &UdpSocket {
        &self.0
    }

    /// Until somebody wakes again.
    pub fn clear(&self) {
        while self.0.recv(&mut [0]).is_ok() {}
    }
}
