//! The thread that owns the rooms and the socket.

use super::connection::Role;
use super::host::Host;
use super::net::Net;
use super::stun::{self, Addressee};
use super::{Command, Happened, RoomOptions};
use crate::config::RoomRules;
use anyhow::{Context, Result};
use livekit_protocol::DisconnectReason;
use room::server::{Happening, MemberId};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Datagrams read in a row before time and commands get their turn.
const READ_BATCH: usize = 128;

/// Largest datagram that is read; WebRTC's stay below. What is passed on grows by header extensions, and has to fit into
/// `str0m`'s buffer of 2000.
const DATAGRAM_LIMIT: usize = 1_500;

/// STUN messages of unknown sources that name nobody, a second: each is shown to every connection. Answers to our own checks
/// are such; one that is dropped is asked for again.
const NAMELESS_LIMIT: u32 = 200;

/// News that found no room are told again after this.
const TELL_AGAIN: Duration = Duration::from_millis(50);

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
    /// Since when nameless messages of strangers are counted, and how many there were.
    nameless: (Instant, u32),
    /// What happened and could not be told yet.
    untold: VecDeque<Happened>,
}

impl Worker {
    fn new(net: Net, rules: RoomRules, inbox: mpsc::Receiver<Command>, news: mpsc::Sender<Happened>) -> Self {
        let nameless = (Instant::now(), 0);
        let (rooms, owners, untold) = (BTreeMap::new(), HashMap::new(), VecDeque::new());
        Self { net, rules, inbox, news, rooms, owners, nameless, untold }
    }

    /// Lets a room work. One that panics is ended alone: its members find nobody, and enter it anew. All rooms live on this
    /// thread, and what strangers send goes through libraries that may have such faults.
    fn with_room<T>(&mut self, room: &str, work: impl FnOnce(&mut Host, &mut Net) -> T) -> Option<T> {
        let host = self.rooms.get_mut(room)?;
        let net = &mut self.net;
        let done = catch_unwind(AssertUnwindSafe(|| work(host, net)));
        if done.is_err() {
            tracing::error!("a room failed and is ended");
            self.give_up(room);
        }
        done.ok()
    }

    fn give_up(&mut self, room: &str) {
        let Some(host) = self.rooms.remove(room) else { return };
        self.owners.retain(|_, (name, ..)| name != room);
        let last_words = catch_unwind(AssertUnwindSafe(|| (host.brain().info(), host.brain().participants())));
        let Ok((info, people)) = last_words else { return };
        let left = |who| Happening::Left { who: Box::new(who), reason: DisconnectReason::MediaFailure };
        let over = Happening::Finished { room: Box::new(info) };
        let news = people.into_iter().map(left).chain(std::iter::once(over));
        self.untold.extend(news.map(|what| Happened { room: room.to_owned(), what }));
    }

    async fn run(mut self) {
        loop {
            let deadline = self.rooms.values().filter_map(Host::wakes_at).min();
            let latest = if self.untold.is_empty() { Duration::from_secs(3_600) } else { TELL_AGAIN };
            let deadline = deadline.into_iter().chain(std::iter::once(Instant::now() + latest)).min();
            let deadline = deadline.unwrap_or_else(Instant::now);
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
        let Some(owner) = self.owner_of(now, source, datagram) else { return tracing::trace!("a datagram for nobody") };
        let (room, member, role) = owner;
        let destination = self.net.destination_of(source);
        self.with_room(&room, |host, net| host.datagram(now, net, (member, role), source, destination, datagram));
    }

    fn owner_of(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) -> Option<(String, MemberId, Role)> {
        let addressee = stun::addressee(datagram);
        if let Some((room, member, role)) = self.owners.get(&source) {
            let owner = (*member, *role);
            let host = self.rooms.get(room)?;
            // A check for somebody else: the port now belongs to another connection.
            let is_meant = match addressee {
                Some(Addressee::Named(name)) => host.is_named(owner, name),
                Some(Addressee::Unnamed) | None => true,
            };
            let destination = self.net.destination_of(source);
            if is_meant && host.accepts(now, owner, source, destination, datagram) {
                return Some((room.clone(), *member, *role));
            }
        }
        self.find_owner(now, source, addressee?, datagram)
    }

    /// A source that was not seen, or whose port now belongs to another connection: STUN tells by its user name.
    fn find_owner(
        &mut self,
        now: Instant,
        source: SocketAddr,
        addressee: Addressee<'_>,
        datagram: &[u8],
    ) -> Option<(String, MemberId, Role)> {
        match addressee {
            Addressee::Named(name) => self.rooms.values().any(|host| host.has_name(name)).then_some(())?,
            Addressee::Unnamed => self.may_be_nameless(now).then_some(())?,
        }
        let destination = self.net.destination_of(source);
        let found = self.rooms.iter().find_map(|(room, host)| {
            let (member, role) = host.owner_of(now, addressee, source, destination, datagram)?;
            Some((room.clone(), member, role))
        })?;
        self.owners.insert(source, found.clone());
        Some(found)
    }

    fn may_be_nameless(&mut self, now: Instant) -> bool {
        let (since, count) = &mut self.nameless;
        if now.saturating_duration_since(*since) >= Duration::from_secs(1) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= NAMELESS_LIMIT
    }

    fn pass_time(&mut self) {
        let now = Instant::now();
        let is_due = |host: &Host| host.wakes_at().is_some_and(|at| at <= now);
        let due: Vec<String> =
            self.rooms.iter().filter(|(_, host)| is_due(host)).map(|(room, _)| room.clone()).collect();
        for room in due {
            self.with_room(&room, |host, net| host.timeout(now, net));
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
                self.untold.push_back(Happened { room: room.clone(), what });
            }
        }
        for room in finished {
            self.rooms.remove(&room);
        }
        while let Some(news) = self.untold.pop_front() {
            if let Err(full) = self.news.try_send(news) {
                // Nobody listens any more where it is closed.
                if let TrySendError::Full(news) = full {
                    self.untold.push_front(news);
                }
                return;
            }
        }
    }

    fn shut_down(&mut self) {
        let now = Instant::now();
        let all: Vec<String> = self.rooms.keys().cloned().collect();
        for room in all {
            self.with_room(&room, |host, net| host.shut_down(now, net));
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
                if let Some(answer) = self.with_room(&room, |host, net| host.join(now, net, *joining, *entry, signal)) {
                    let _ = reply.send(answer);
                }
            }
            Command::Resume { room, sid, identity, entry, signal, reply } => {
                let resumed = self.with_room(&room, |host, net| {
                    let member = host.brain().find(&sid, &identity)?;
                    Some((member, host.resume(now, net, member, *entry, signal)?))
                });
                let _ = reply.send(resumed.flatten());
            }
            Command::Request { room, member, session, asked } => {
                self.with_room(&room, |host, net| host.request(now, net, member, session, *asked));
            }
            Command::SignalClosed { room, member, session } => {
                self.with_room(&room, |host, net| host.signal_closed(now, net, member, session));
            }
            Command::Act { room, act, reply } => {
                let _ = reply.send(self.with_room(&room, |host, net| host.act(now, net, act)));
            }
            Command::Delete { room, reply } => {
                let _ = reply.send(self.with_room(&room, |host, net| host.delete(now, net)).is_some());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nameless_messages_of_strangers_are_looked_at_so_often_a_second() {
        let net = Net::new(super::super::net::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap()).unwrap();
        let ((_commands, inbox), (news, _told)) = (mpsc::channel(1), mpsc::channel(1));
        let mut worker = Worker::new(net, RoomRules::default(), inbox, news);
        let now = Instant::now();
        let looked_at = (0..1_000).filter(|_| worker.may_be_nameless(now)).count();
        assert_eq!(looked_at, NAMELESS_LIMIT as usize);
        assert!(worker.may_be_nameless(now + Duration::from_secs(1)));
    }

    #[tokio::test]
    async fn a_room_that_panics_ends_alone_and_says_so() {
        let net = Net::new(super::super::net::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap()).unwrap();
        let (_commands, inbox) = mpsc::channel(1);
        let (news, mut told) = mpsc::channel(2);
        let mut worker = Worker::new(net, RoomRules::default(), inbox, news);
        for room in ["n:1", "n:2"] {
            worker.host(room, RoomOptions::default(), Instant::now());
        }
        assert_eq!(worker.with_room("n:1", |_, _| panic!("a fault, made by a test")), None::<()>);
        assert_eq!(worker.rooms.keys().collect::<Vec<_>>(), ["n:2"]);
        assert_eq!(worker.with_room("n:2", |host, _| host.brain().participants().len()), Some(0));
        // The channel takes two: the third waits, and nothing is lost.
        worker.tell();
        let mut heard = Vec::new();
        while let Ok(Happened { room, what }) = told.try_recv() {
            heard.push((room, matches!(what, Happening::Finished { .. })));
            worker.tell();
        }
        heard.sort();
        assert_eq!(heard, [("n:1".to_owned(), true), ("n:2".to_owned(), false)]);
    }
}
