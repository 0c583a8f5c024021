//! Users whose datagrams travel otherwise than by UDP. Each speaks to a socket of this machine, from where they are carried as a real
//! client has them carried.

use std::net::{SocketAddr, UdpSocket};

use tokio::runtime::Runtime;
use voxhall_protocol::{link::Link, voice::Carrier};
use voxhall_session::{Route, carry};

use crate::relay::talk::Plan;

pub struct Carried {
    carrier: Carrier,
    link: Link,
    runtime: Runtime,
}

impl Carried {
    /// None where datagrams travel as they are.
    pub fn new(plan: &Plan) -> anyhow::Result<Option<Self>> {
        let carrier = plan.carrier.parse()?;
        if carrier == Carrier::Udp {
            return Ok(None);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("load-carry")
            .enable_all()
            .build()?;
        Ok(Some(Self {
            carrier,
            link: plan.link.parse()?,
            runtime,
        }))
    }

    /// Where a user at `user` has to send to.
    pub fn open(&self, server: SocketAddr, user: SocketAddr) -> anyhow::Result<SocketAddr> {
        let socket = UdpSocket::bind(("127.0.0.1", 0))?;
        socket.connect(user)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let (carrier, link) = (self.carrier, self.link.clone());
        self.runtime.spawn(async move {
            let socket = tokio::net::UdpSocket::from_std(socket)?;
            // The path shows whether it goes on.
            carry(carrier, &Route { server, link }, &socket, || {}).await
        });
        Ok(address)
    }
}
