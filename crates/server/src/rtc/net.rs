//! The one UDP socket.

use anyhow::{Context, Result};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use str0m::net::Transmit;
use tokio::net::UdpSocket;

/// Room for bursts: a keyframe to many subscribers leaves at once.
const SOCKET_BUFFER: usize = 4 << 20;

/// How many sources' local addresses are remembered; beyond it the memory starts anew.
const ROUTE_LIMIT: usize = 16_384;

/// Binds the socket with large buffers. `addr` may have port 0.
pub(super) fn bind(addr: SocketAddr) -> Result<std::net::UdpSocket> {
    let domain = if addr.is_ipv4() { socket2::Domain::IPV4 } else { socket2::Domain::IPV6 };
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    // The system may grant less; that is fine.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into()).with_context(|| format!("cannot bind UDP {addr} for media"))?;
    Ok(socket.into())
}

/// The socket and the addresses under which others reach it.
pub(super) struct Net {
    socket: UdpSocket,
    bound: SocketAddr,
    candidates: Vec<SocketAddr>,
    /// Which of our addresses a source reaches, where we are bound to all of them.
    routes: HashMap<IpAddr, SocketAddr>,
    /// Datagrams that the system did not take at once: dropped as any network may; media is sent again on request.
    pub dropped: u64,
}

impl Net {
    /// Takes over a bound socket, inside the worker's runtime.
    pub fn new(socket: std::net::UdpSocket) -> Result<Self> {
        let bound = socket.local_addr()?;
        let candidates = if bound.ip().is_unspecified() {
            let mut ips: Vec<IpAddr> =
                own_address(SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 9))).into_iter().collect();
            ips.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
            ips.dedup();
            ips.into_iter().map(|ip| SocketAddr::new(ip, bound.port())).collect()
        } else {
            vec![bound]
        };
        Ok(Self { socket: UdpSocket::from_std(socket)?, bound, candidates, routes: HashMap::new(), dropped: 0 })
    }

    /// The addresses to announce.
    pub fn candidates(&self) -> &[SocketAddr] {
        &self.candidates
    }

    /// Waits until something can be read.
    pub async fn readable(&self) -> std::io::Result<()> {
        self.socket.readable().await
    }

    /// The next datagram that is there already.
    pub fn try_recv(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        loop {
            match self.socket.try_recv_from(buffer) {
                Ok(received) => return Some(received),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                // An ICMP answer to something sent before: says nothing about this socket.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                Err(error) => {
                    tracing::debug!(%error, "media socket");
                    return None;
                }
            }
        }
    }

    /// Which of the announced addresses `source` sent to.
    pub fn destination_of(&mut self, source: SocketAddr) -> SocketAddr {
        if !self.bound.ip().is_unspecified() {
            return self.bound;
        }
        if let Some(known) = self.routes.get(&source.ip()) {
            return *known;
        }
        let ip = own_address(source);
        let fits = |candidate: &&SocketAddr| Some(candidate.ip()) == ip;
        let found = self.candidates.iter().find(fits).or(self.candidates.first()).copied().unwrap_or(self.bound);
        if self.routes.len() >= ROUTE_LIMIT {
            self.routes.clear();
        }
        self.routes.insert(source.ip(), found);
        found
    }

    /// Sends, or drops where the system's buffer is full.
    pub fn send(&mut self, transmit: &Transmit) {
        if self.socket.try_send_to(&transmit.contents, transmit.destination).is_err() {
            self.dropped += 1;
        }
    }
}

/// The address from which this machine would send to `target`; nothing is sent.
fn own_address(target: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr =
        if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
    let probe = std::net::UdpSocket::bind((any, 0)).ok()?;
    probe.connect(target).ok()?;
    probe.local_addr().ok().map(|addr| addr.ip())
}
