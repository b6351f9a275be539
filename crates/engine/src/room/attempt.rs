//! Joining and resuming, off the session's loop: both may take seconds, and a person may leave meanwhile.

use super::Renewal;
use super::signal::{JoinError, ResumeError, Signal, SignalInputs};
use super::transport::{Kind, Transport, TransportEvent};
use crate::api::Secret;
use livekit_protocol::JoinResponse;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Events of a peer connection that wait for the session; see `Transport` for what happens beyond.
const TRANSPORT_EVENT_CAPACITY: usize = 256;
/// The call plane answers within this time, or the attempt has failed.
const ACCESS_TIMEOUT: Duration = Duration::from_secs(5);
/// Sections offered in the join, so that the first remote voice and picture need no second offer.
const FIRST_SECTIONS: u32 = 1;

/// A fresh connection, joined.
pub(super) struct Joined {
    pub(super) signal: Signal,
    pub(super) inputs: SignalInputs,
    pub(super) transport: Transport,
    pub(super) transport_events: mpsc::Receiver<TransportEvent>,
    pub(super) response: JoinResponse,
}

/// How an attempt ended.
pub(super) enum Attempt {
    Join(Result<Box<Joined>, JoinError>),
    Resume(Result<(), ResumeError>),
}

/// Opens a peer connection, sends its offer with the join and waits for the server's welcome.
pub(super) async fn join(url: url::Url, token: Secret, addresses: Vec<SocketAddr>) -> Attempt {
    Attempt::Join(try_join(url, token, addresses).await.map(Box::new))
}

/// The same with a fresh token, which comes by way of the call plane.
pub(super) async fn rejoin(access: oneshot::Receiver<Renewal>, addresses: Vec<SocketAddr>) -> Attempt {
    match tokio::time::timeout(ACCESS_TIMEOUT, access).await {
        Ok(Ok(Renewal::Granted { url, token })) => join(url, token, addresses).await,
        Ok(Ok(Renewal::Refused(code))) => Attempt::Join(Err(JoinError::NotAllowed(code))),
        // The call plane is out of reach as well.
        Ok(Err(_)) | Err(_) => Attempt::Join(Err(JoinError::Unreachable)),
    }
}

async fn try_join(url: url::Url, token: Secret, addresses: Vec<SocketAddr>) -> Result<Joined, JoinError> {
    let addresses = if addresses.is_empty() { vec![default_address(&url)] } else { addresses };
    let (events, transport_events) = mpsc::channel(TRANSPORT_EVENT_CAPACITY);
    let library = |error| {
        tracing::warn!(%error, "no peer connection");
        JoinError::Unreachable
    };
    let mut transport = Transport::new(addresses, events).await.map_err(library)?;
    transport.make_room(Kind::Voice, FIRST_SECTIONS).await.map_err(library)?;
    transport.make_room(Kind::Picture, FIRST_SECTIONS).await.map_err(library)?;
    let offer = transport.offer().await.map_err(library)?;
    match Signal::join(&url, &token, offer).await {
        Ok((signal, inputs, response)) => Ok(Joined { signal, inputs, transport, transport_events, response }),
        Err(error) => {
            transport.close().await;
            Err(error)
        }
    }
}

/// Reopens the socket.
pub(super) async fn resume(signal: Signal) -> Attempt {
    Attempt::Resume(signal.resume().await.map(|_| ()))
}

/// Loopback where the server is on loopback (a wildcard would skip it), else every interface.
fn default_address(url: &url::Url) -> SocketAddr {
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    let ip = if loopback { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    SocketAddr::new(IpAddr::V4(ip), 0)
}
