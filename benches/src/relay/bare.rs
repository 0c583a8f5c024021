//! The least that a forwarder can do: receive a packet, send it to everybody else in its channel. No proof, no state, no bundles.

use std::{
    collections::HashMap,
    io::{self, Read},
    net::{Ipv6Addr, SocketAddr, UdpSocket},
};

use voxhall_protocol::voice::HOP_TAG_LEN;

use super::talk::{Addresses, BareAddress, read, say};

/// As the server asks for.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Forwards until whoever started it closes stdin.
pub fn run() -> anyhow::Result<()> {
    // Both families on one socket, as the server has it: the kernel's work for each packet is to be the same.
    let socket =
        UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).or_else(|_| UdpSocket::bind("127.0.0.1:0"))?;
    let wide = socket2::SockRef::from(&socket);
    wide.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    wide.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    let is_v6 = socket.local_addr()?.is_ipv6();

    let addresses: Addresses = read(&mut io::stdin().lock())?;
    let mut others = HashMap::new();
    for channel in &addresses {
        for from in channel {
            let to: Vec<_> = channel
                .iter()
                .filter(|to| *to != from)
                .map(|to| as_family(*to, is_v6))
                .collect();
            others.insert(as_family(*from, is_v6), to);
        }
    }
    std::thread::Builder::new()
        .name("bare-end".to_owned())
        .spawn(|| {
            let _ = io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(0);
        })?;
    say(&BareAddress(SocketAddr::from((
        [127, 0, 0, 1],
        socket.local_addr()?.port(),
    ))))?;

    let mut buffer = [0; 2_048];
    loop {
        let (len, from) = socket.recv_from(&mut buffer)?;
        // As long as what the server sends on.
        let packet = &buffer[..len.saturating_sub(HOP_TAG_LEN)];
        for to in others.get(&from).into_iter().flatten() {
            // What the kernel has no room for shows in the delivery.
            let _ = socket.send_to(packet, to);
        }
    }
}

fn as_family(address: SocketAddr, v6: bool) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v6 => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
        other => other,
    }
}
