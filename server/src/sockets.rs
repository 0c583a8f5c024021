//! One port number for TCP and UDP.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
};

use socket2::{Domain, Protocol, Socket, Type};

/// How often a free port is looked for that is free for both.
const TRIES: u32 = 64;
const TCP_BACKLOG: i32 = 1_024;

pub struct Sockets {
    pub tcp: TcpListener,
    /// At least one.
    pub udp: Vec<UdpSocket>,
    /// Where both are bound.
    pub address: SocketAddr,
}

/// Why the server can't listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error(
        "port {port}/{protocol} is in use: another program, or another Voxhall server, listens there. \
         Stop that one, or choose another port with --port N (0 takes a free one)"
    )]
    InUse { port: u16, protocol: &'static str },
    #[error(
        "port {port} needs a privilege that this user does not have; choose one above 1023 with --port N"
    )]
    Privileged { port: u16 },
    #[error("{address} is no address of this machine; choose another with --listen ADDR")]
    NotHere { address: SocketAddr },
    #[error("can't listen on {address}: {source}")]
    Other {
        address: SocketAddr,
        source: io::Error,
    },
}

/// Binds TCP, and UDP so many times where the system lets sockets share a port. `may_use_ipv4` is for the default address, on a system
/// without IPv6.
///
/// # Errors
/// See [`BindError`].
pub fn bind(wanted: SocketAddr, may_use_ipv4: bool, udp: usize) -> Result<Sockets, BindError> {
    let mut sockets = match bind_both(wanted) {
        Err(BindError::NotHere { .. } | BindError::Other { .. }) if may_use_ipv4 => {
            let ipv4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), wanted.port());
            tracing::info!(%ipv4, "this system has no IPv6");
            bind_both(ipv4)?
        }
        result => result?,
    };
    let address = sockets.address;
    while sockets.udp.len() < udp && cfg!(target_os = "linux") {
        let shared = share_port(&sockets.udp[0], address);
        (sockets.udp).push(shared.map_err(|error| explain(error, address, "udp"))?);
    }
    Ok(sockets)
}

/// Another socket with the port of the first. The first was bound alone, so that a port in use is found out; and whoever starts later
/// finds it in use, as only sockets that ask for it before they are bound may share.
#[cfg(target_os = "linux")]
fn share_port(first: &UdpSocket, address: SocketAddr) -> io::Result<UdpSocket> {
    let first = socket2::SockRef::from(first);
    first.set_reuse_port(true)?;
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

#[cfg(not(target_os = "linux"))]
fn share_port(first: &UdpSocket, _: SocketAddr) -> io::Result<UdpSocket> {
    first.try_clone()
}

fn bind_both(wanted: SocketAddr) -> Result<Sockets, BindError> {
    let mut tries = 0;
    loop {
        let tcp = bind_one(wanted, Type::STREAM)?;
        tcp.listen(TCP_BACKLOG)
            .map_err(|error| explain(error, wanted, "tcp"))?;
        let tcp = TcpListener::from(tcp);
        let address = tcp
            .local_addr()
            .map_err(|error| explain(error, wanted, "tcp"))?;
        match bind_one(address, Type::DGRAM) {
            Ok(udp) => {
                return Ok(Sockets {
                    tcp,
                    udp: vec![udp.into()],
                    address,
                });
            }
            // The system chose a port whose UDP half is taken.
            Err(BindError::InUse { .. }) if wanted.port() == 0 && tries < TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

fn bind_one(address: SocketAddr, kind: Type) -> Result<Socket, BindError> {
    let (protocol, name) = if kind == Type::STREAM {
        (Protocol::TCP, "tcp")
    } else {
        (Protocol::UDP, "udp")
    };
    let open = || {
        let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        // A server that starts again must not wait for its own old connections. On Windows the option means something else.
        #[cfg(unix)]
        if kind == Type::STREAM {
            socket.set_reuse_address(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(socket)
    };
    open().map_err(|error| explain(error, address, name))
}

fn explain(source: io::Error, address: SocketAddr, protocol: &'static str) -> BindError {
    let port = address.port();
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { port, protocol },
        io::ErrorKind::PermissionDenied => BindError::Privileged { port },
        io::ErrorKind::AddrNotAvailable => BindError::NotHere { address },
        _ => BindError::Other { address, source },
    }
}

/// The address by which others in the local network most likely reach this machine.
pub fn guess_public_host(bound: SocketAddr) -> String {
    if !bound.ip().is_unspecified() {
        return bound.ip().to_string();
    }
    // Connecting a UDP socket sends nothing; it asks the system which address it would send from.
    let route = |from: &str, to: &str| -> Option<IpAddr> {
        let socket = UdpSocket::bind(from).ok()?;
        socket.connect(to).ok()?;
        let ip = socket.local_addr().ok()?.ip();
        (!ip.is_unspecified() && !ip.is_loopback()).then_some(ip)
    };
    route("0.0.0.0:0", "192.0.2.1:9")
        .or_else(|| route("[::]:0", "[2001:db8::1]:9"))
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
        .to_string()
}

/// Raises the soft limit of open files as far as that many need and the system allows; says how many may be open then.
#[cfg(unix)]
pub fn allow_open_files(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let wanted_files = wanted as u64;
    let limit = getrlimit(Resource::Nofile);
    let files = limit
        .maximum
        .map_or(wanted_files, |hard| hard.min(wanted_files));
    let soft = limit.current.unwrap_or(u64::MAX);
    if soft >= files {
        return files as usize;
    }
    let raised = Rlimit {
        current: Some(files),
        maximum: limit.maximum,
    };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => files,
        Err(error) => {
            tracing::warn!(%error, "can't raise the limit of open files");
            soft
        }
    };
    allowed as usize
}

#[cfg(not(unix))]
pub fn allow_open_files(wanted: usize) -> usize {
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_have_one_number_and_a_taken_half_is_named() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        for udp in [1, 3] {
            let Sockets { tcp, udp, address } = bind(any, false, udp).unwrap();
            assert!(udp.iter().all(|udp| udp.local_addr().unwrap() == address));
            let bind_again = || bind(address, false, 2).err().unwrap().to_string();
            let error = bind_again();
            assert!(
                error.contains(&format!("port {}/tcp", address.port())),
                "{error}"
            );
            drop(tcp);
            let error = bind_again();
            assert!(
                error.contains(&format!("port {}/udp", address.port())),
                "{error}"
            );
            assert!(error.contains("--port"), "{error}");
        }
    }

    #[test]
    fn the_guess_can_stand_in_a_link() {
        let any = "[::]:9000".parse().unwrap();
        let host = guess_public_host(any);
        assert!(host.parse::<IpAddr>().is_ok(), "{host}");
        assert_eq!(
            guess_public_host("127.0.0.1:1".parse().unwrap()),
            "127.0.0.1"
        );
    }
}
