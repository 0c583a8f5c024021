//! What the system takes for each datagram, one a call and many a call: in turns in one run, as CPU time of the thread.

use std::{
    io::{IoSlice, IoSliceMut},
    net::{Ipv4Addr, Ipv6Addr, SocketAddrV6, UdpSocket},
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use arrayvec::ArrayVec;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn6, recvmmsg, sendmsg};
use rustix::net::{
    MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, addr::SocketAddrArg as _, sendmmsg,
};
use socket2::{Domain, Socket, Type};

use crate::proc_fs::cpu_time;

/// As the media threads have it.
const BATCH: usize = 64;
const BUFFER: usize = 2_048;
/// A frame of 10 ms at 64 kbit/s with its headers.
const DATAGRAM: usize = 120;

#[derive(clap::Args)]
pub struct Args {
    /// Datagrams of each way and batch size.
    #[arg(long, default_value_t = 200_000)]
    datagrams: usize,
}

type Send = fn(&UdpSocket, &[SocketAddrV6]) -> anyhow::Result<()>;
type Receive = fn(&UdpSocket, &mut Receiver) -> anyhow::Result<usize>;

pub fn run(args: &Args) -> anyhow::Result<()> {
    let server = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
    server.set_nonblocking(true)?;
    let peers: Vec<_> = (0..BATCH)
        .map(|_| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })
        .collect::<std::io::Result<_>>()?;
    let port = server.local_addr()?.port();

    println!(
        "sending, ns of CPU each, {DATAGRAM} bytes on loopback (delivery to the other socket included)"
    );
    let ways: [(&str, Send); 2] = [("send_to", one_by_one), ("sendmmsg", many)];
    for batch in [1, 4, 9, 16, BATCH] {
        let to = addresses(&peers[..batch])?;
        let took = in_turns(ways, args.datagrams / batch, |send| {
            let took = measured(|| send(&server, &to))?;
            peers.iter().for_each(drain);
            Ok(took)
        })?;
        print_row(
            &format!("{batch} listeners"),
            ways.map(|(name, _)| name),
            took,
            batch,
        );
    }
    let ways: [(&str, Send); 3] = [
        ("send_to", one_by_one),
        ("sendmmsg", many),
        ("sendmsg, segments", segments),
    ];
    for each in [2, 4, 16] {
        // Several to each listener, those of one together.
        let to: Vec<_> = (addresses(&peers[..BATCH / each])?.into_iter())
            .flat_map(|to| std::iter::repeat_n(to, each))
            .collect();
        let took = in_turns(ways, args.datagrams / BATCH, |send| {
            let took = measured(|| send(&server, &to))?;
            peers.iter().for_each(drain);
            Ok(took)
        })?;
        print_row(
            &format!("{each} for one"),
            ways.map(|(name, _)| name),
            took,
            BATCH,
        );
    }

    println!("receiving, ns of CPU each, with the call that finds nothing more");
    let mut receiver = Receiver::new();
    let ways: [(&str, Receive); 2] = [
        ("recv_from", Receiver::one_by_one),
        ("recvmmsg", Receiver::many),
    ];
    for batch in [1, 4, 9, 16, BATCH - 1] {
        let took = in_turns(ways, args.datagrams / batch, |receive| {
            for peer in &peers[..batch] {
                peer.send_to(&[7; DATAGRAM], (Ipv4Addr::LOCALHOST, port))?;
            }
            let mut got = 0;
            let took = measured(|| {
                got = receive(&server, &mut receiver)?;
                Ok(())
            })?;
            ensure!(got == batch, "{got} of {batch} came");
            Ok(took)
        })?;
        print_row(
            &format!("{batch} waiting"),
            ways.map(|(name, _)| name),
            took,
            batch,
        );
    }
    println!(
        "sending with two threads at once, ns by the clock and of CPU each, to {BATCH} listeners that don't read"
    );
    for sharing in [Sharing::Alone, Sharing::OneSocket, Sharing::OnePort] {
        let (clock, cpu) = together(sharing, &addresses(&peers)?, args.datagrams)?;
        println!(
            "{sharing:>14?}   {} by the clock, {} CPU",
            clock.as_nanos(),
            cpu.as_nanos()
        );
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sharing {
    /// One thread.
    Alone,
    OneSocket,
    /// A socket each.
    OnePort,
}

/// Time for each datagram by the clock, and of all threads.
fn together(
    sharing: Sharing,
    to: &[SocketAddrV6],
    datagrams: usize,
) -> anyhow::Result<(Duration, Duration)> {
    let first = bind_shared(0)?;
    let port = first.local_addr()?.port();
    let second = match sharing {
        Sharing::Alone => None,
        Sharing::OneSocket => Some(first.try_clone()?),
        Sharing::OnePort => Some(bind_shared(port)?),
    };
    let sockets: Vec<_> = [Some(first), second].into_iter().flatten().collect();
    let rounds = datagrams / to.len() / sockets.len();
    let started = Instant::now();
    let cpu = std::thread::scope(|scope| {
        let threads: Vec<_> = (sockets.iter())
            .map(|socket| {
                scope.spawn(|| measured(|| (0..rounds).try_for_each(|_| many(socket, to))))
            })
            .collect();
        (threads.into_iter())
            .map(|thread| thread.join().expect("it doesn't panic"))
            .sum::<anyhow::Result<Duration>>()
    })?;
    let sent = (rounds * to.len() * sockets.len()) as u32;
    Ok((started.elapsed() / sent, cpu / sent))
}

fn bind_shared(port: u16) -> anyhow::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, None)?;
    socket.set_only_v6(false)?;
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0).into())?;
    Ok(socket.into())
}

/// The median round of each way, less what measuring takes.
fn in_turns<W: Copy, const N: usize>(
    ways: [(&str, W); N],
    rounds: usize,
    mut round: impl FnMut(W) -> anyhow::Result<Duration>,
) -> anyhow::Result<[Duration; N]> {
    let mut times: [Vec<Duration>; N] = std::array::from_fn(|_| Vec::with_capacity(rounds));
    let mut nothing = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        for ((_, way), times) in ways.iter().zip(&mut times) {
            times.push(round(*way)?);
        }
        nothing.push(measured(|| Ok(()))?);
    }
    let nothing = median(nothing);
    Ok(times.map(|times| median(times).saturating_sub(nothing)))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn measured(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let before = cpu_time();
    work()?;
    Ok(cpu_time().saturating_sub(before))
}

fn print_row<const N: usize>(what: &str, names: [&str; N], took: [Duration; N], datagrams: usize) {
    print!("{what:>14}");
    for (name, each) in names.iter().zip(took) {
        let ns = each.as_nanos() as f64 / datagrams as f64;
        let ratio = each.as_secs_f64() / took[0].as_secs_f64();
        print!("   {name} {ns:.0} ({ratio:.2})");
    }
    println!();
}

/// As a socket of both families knows them.
fn addresses(peers: &[UdpSocket]) -> anyhow::Result<Vec<SocketAddrV6>> {
    let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
    let address = |peer: &UdpSocket| {
        let port = peer.local_addr()?.port();
        Ok(SocketAddrV6::new(mapped, port, 0, 0))
    };
    peers.iter().map(address).collect()
}

fn drain(socket: &UdpSocket) {
    let mut buffer = [0; BUFFER];
    while socket.recv(&mut buffer).is_ok() {}
}

fn one_by_one(socket: &UdpSocket, to: &[SocketAddrV6]) -> anyhow::Result<()> {
    for to in to {
        socket.send_to(&[7; DATAGRAM], to)?;
    }
    Ok(())
}

fn many(socket: &UdpSocket, to: &[SocketAddrV6]) -> anyhow::Result<()> {
    let bytes = [7; DATAGRAM];
    let slice = [IoSlice::new(&bytes)];
    let to: ArrayVec<SocketAddrAny, BATCH> = to.iter().map(|to| to.as_any()).collect();
    let mut controls: ArrayVec<_, BATCH> =
        to.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let mut messages: ArrayVec<_, BATCH> = to
        .iter()
        .zip(&mut controls)
        .map(|(to, control)| MMsgHdr::new_with_addr(to, &slice, control))
        .collect();
    ensure!(
        sendmmsg(socket, &mut messages, SendFlags::empty())? == to.len(),
        "not all were taken"
    );
    Ok(())
}

/// One call for all that one listener gets (`UDP_SEGMENT`).
fn segments(socket: &UdpSocket, to: &[SocketAddrV6]) -> anyhow::Result<()> {
    let bytes = [7; DATAGRAM];
    for same in to.chunk_by(|left, right| left == right) {
        let slices: ArrayVec<_, BATCH> = same.iter().map(|_| IoSlice::new(&bytes)).collect();
        sendmsg(
            socket.as_raw_fd(),
            &slices,
            &[ControlMessage::UdpGsoSegments(&(DATAGRAM as u16))],
            MsgFlags::empty(),
            Some(&SockaddrIn6::from(same[0])),
        )?;
    }
    Ok(())
}

struct Receiver {
    buffers: Box<[[u8; BUFFER]; BATCH]>,
    headers: MultiHeaders<SockaddrIn6>,
}

impl Receiver {
    fn new() -> Self {
        Self {
            buffers: Box::new([[0; BUFFER]; BATCH]),
            headers: MultiHeaders::preallocate(BATCH, None),
        }
    }

    fn one_by_one(socket: &UdpSocket, receiver: &mut Self) -> anyhow::Result<usize> {
        let mut count = 0;
        while socket.recv_from(&mut receiver.buffers[0]).is_ok() {
            count += 1;
        }
        Ok(count)
    }

    fn many(socket: &UdpSocket, receiver: &mut Self) -> anyhow::Result<usize> {
        let mut slices = receiver.buffers.each_mut().map(|b| [IoSliceMut::new(b)]);
        let messages = recvmmsg(
            socket.as_raw_fd(),
            &mut receiver.headers,
            slices.iter_mut(),
            MsgFlags::empty(),
            None,
        )?;
        let mut count = 0;
        for message in messages {
            message.address.context("a datagram has a sender")?;
            count += 1;
        }
        Ok(count)
    }
}
