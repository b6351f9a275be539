//! The thread that owns the rooms and the socket.

use super::connection::Role;
use super::host::Host;
use super::net::Net;
use super::stun;
use super::{Command, Happened, RoomOptions};
use crate::config::RoomRules;
use anyhow::{Context, Result};
use room::server::{Happening, MemberId};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Datagrams read in a row before time and commands get their turn.
const READ_BATCH: usize = 128;

/// Largest datagram that is read; WebRTC's stay below 1500.
const DATAGRAM_LIMIT: usize = 2_000;

/// Starts the worker's thread, with a runtime of its own: sockets and timers on one thread, no locks.
pub(super) fn start(
    socket: std::net::UdpSocket,
    rules: RoomRules,
    inbox: mpsc::Receiver<Command>,
    news: mpsc::Sender<Happened>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = move || {
        runtime.block_on(async move {
            match Net::new(socket) {
                Ok(net) => Worker::new(net, rules, inbox, news).run().await,
                Err(error) => tracing::error!(%error, "the media socket cannot be used"),
            }
        });
    };
    std::thread::Builder::new().name("rooms".into()).spawn(run).context("cannot start the rooms' thread")?;
    Ok(())
}

struct Worker {
    net: Net,
    rules: RoomRules,
    inbox: mpsc::Receiver<Command>,
    news: mpsc::Sender<Happened>,
    rooms: BTreeMap<String, Host>,
    /// Whose datagrams come from where.
    owners: HashMap<SocketAddr, (String, MemberId, Role)>,
}

impl Worker {
    fn new(net: Net, rules: RoomRules, inbox: mpsc::Receiver<Command>, news: mpsc::Sender<Happened>) -> Self {
        Self { net, rules, inbox, news, rooms: BTreeMap::new(), owners: HashMap::new() }
    }

    async fn run(mut self) {
        loop {
            let deadline = self.rooms.values().filter_map(Host::wakes_at).min();
            let deadline = deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
            tokio::select! {
                readable = self.net.readable() => match readable {
                    Ok(()) => self.read(),
                    Err(error) => tracing::warn!(%error, "media socket"),
                },
                command = self.inbox.recv() => match command {
                    Some(Command::Shutdown { reply }) => {
                        self.shut_down();
                        let _ = reply.send(());
                        return;
                    }
                    Some(command) => self.handle_command(command),
                    None => return,
                },
                () = tokio::time::sleep_until(deadline.into()) => {}
            }
            self.pass_time();
            self.tell();
        }
    }

    fn read(&mut self) {
        let mut buffer = [0u8; DATAGRAM_LIMIT];
        for _ in 0..READ_BATCH {
            let Some((length, source)) = self.net.try_recv(&mut buffer) else { return };
            let Some(datagram) = buffer.get(..length) else { continue };
            self.handle_datagram(source, datagram);
        }
    }

    fn handle_datagram(&mut self, source: SocketAddr, datagram: &[u8]) {
        let now = Instant::now();
        let destination = self.net.destination_of(source);
        let known = self.owners.get(&source).filter(|(room, member, role)| {
            let host = self.rooms.get(room);
            host.is_some_and(|host| host.accepts(now, (*member, *role), source, destination, datagram))
        });
        let owner = known.cloned().or_else(|| self.find_owner(now, source, destination, datagram));
        let Some((room, member, role)) = owner else {
            return tracing::trace!("a datagram for nobody");
        };
        if let Some(host) = self.rooms.get_mut(&room) {
            host.datagram(now, &mut self.net, (member, role), source, destination, datagram);
        }
    }

    /// A source that was not seen, or whose port now belongs to another connection: STUN tells by its user name.
    fn find_owner(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        datagram: &[u8],
    ) -> Option<(String, MemberId, Role)> {
        let addressee = stun::addressee(datagram)?;
        let found = self.rooms.iter().find_map(|(room, host)| {
            let (member, role) = host.owner_of(now, addressee, source, destination, datagram)?;
            Some((room.clone(), member, role))
        })?;
        self.owners.insert(source, found.clone());
        Some(found)
    }

    fn pass_time(&mut self) {
        let now = Instant::now();
        for host in self.rooms.values_mut() {
            if host.wakes_at().is_some_and(|at| at <= now) {
                host.timeout(now, &mut self.net);
            }
        }
    }

    /// Passes on what happened, and forgets what is over.
    fn tell(&mut self) {
        let mut finished = Vec::new();
        for (room, host) in &mut self.rooms {
            let gone = host.take_gone();
            if !gone.is_empty() {
                self.owners.retain(|_, (name, member, _)| name != room || !gone.contains(member));
            }
            for what in host.take_happened() {
                if matches!(what, Happening::Finished { .. }) {
                    finished.push(room.clone());
                }
                if self.news.try_send(Happened { room: room.clone(), what }).is_err() {
                    tracing::warn!("news of a room were dropped");
                }
            }
        }
        for room in finished {
            self.rooms.remove(&room);
        }
    }

    fn shut_down(&mut self) {
        let now = Instant::now();
        for host in self.rooms.values_mut() {
            host.shut_down(now, &mut self.net);
        }
        self.tell();
    }

    /// The room of this name, made if it is not there.
    fn host(&mut self, room: &str, options: RoomOptions, now: Instant) -> &mut Host {
        let (net, rules) = (&mut self.net, &self.rules);
        self.rooms.entry(room.to_owned()).or_insert_with(|| Host::new(room.to_owned(), options, rules, now, net))
    }

    fn handle_command(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Open { room, options, reply } => {
                let _ = reply.send(self.host(&room, options, now).brain().info());
            }
            Command::MayJoin { room, joining, reply } => {
                let answer = match self.rooms.get(&room) {
                    Some(host) => host.brain().may_join(&joining),
                    None => joining.may_make(),
                };
                let _ = reply.send(answer);
            }
            Command::Join { room, options, joining, entry, signal, reply } => {
                if !self.rooms.contains_key(&room) {
                    if let Err(refused) = joining.may_make() {
                        let _ = reply.send(Err(refused));
                        return;
                    }
                    self.host(&room, options, now);
                }
                if let Some(host) = self.rooms.get_mut(&room) {
                    let _ = reply.send(host.join(now, &mut self.net, *joining, *entry, signal));
                }
            }
            Command::Resume { room, sid, identity, entry, signal, reply } => {
                let host = self.rooms.get_mut(&room);
                let resumed = host.and_then(|host| {
                    let member = host.brain().find(&sid, &identity)?;
                    Some((member, host.resume(now, &mut self.net, member, *entry, signal)?))
                });
                let _ = reply.send(resumed);
            }
            Command::Request { room, member, session, asked } => {
                if let Some(host) = self.rooms.get_mut(&room) {
                    host.request(now, &mut self.net, member, session, *asked);
                }
            }
            Command::SignalClosed { room, member, session } => {
                if let Some(host) = self.rooms.get_mut(&room) {
                    host.signal_closed(now, &mut self.net, member, session);
                }
            }
            Command::Act { room, act, reply } => {
                let host = self.rooms.get_mut(&room);
                let _ = reply.send(host.map(|host| host.act(now, &mut self.net, act)));
            }
            Command::Delete { room, reply } => {
                let host = self.rooms.get_mut(&room);
                let _ = reply.send(host.map(|host| host.delete(now, &mut self.net)).is_some());
            }
            // Ends the loop: handled there.
            Command::Shutdown { .. } => {}
            Command::List { rooms, reply } => {
                let wanted = |name: &&String| rooms.is_empty() || rooms.contains(name);
                let named = self.rooms.iter().filter(|(name, _)| wanted(name));
                let _ = reply.send(named.map(|(_, host)| (host.brain().info(), host.brain().participants())).collect());
            }
        }
    }
}
