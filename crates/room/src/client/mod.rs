//! The brain of one membership: entering a room, being in it, losing it, getting it back, and leaving it.
//!
//! It is told what happened (`handle_*`) and says what to do ([`Client::poll_output`]) and when to be woken
//! ([`Client::poll_timeout`]). Sockets, peer connections and devices belong to the body. Time is the time since an origin
//! that the body chose; it must not run backwards.

mod outage;
mod people;
#[cfg(test)]
mod sim;
mod times;
mod told;

use outage::{Outage, Step};
use people::People;
use protocol::{Code, ExitReason, LeaveReason};
use std::collections::VecDeque;
use std::time::Duration;

pub use times::{Times, TimesError};
pub use told::Told;

/// TRTC `ERR_TRTC_CONNECT_SERVER_TIMEOUT`: the room was not entered in time.
pub const ERR_ENTER_TIMEOUT: i32 = -3308;
/// TRTC `ERR_TRTC_ROOM_ENTER_FAIL`: given up for good.
pub const ERR_GAVE_UP: i32 = -3301;

/// Whether the membership belongs to a call: then being out for longer than 90 s ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Out for longer than 90 s has left the call.
    Call,
    /// Comes back whenever it can, for 30 min.
    Room,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// `onExitRoom(reason)`.
    Exit(ExitReason),
    /// The same user entered from elsewhere: `onKickedOffline`.
    Kicked,
    /// The room was never entered; a TRTC code.
    Refused(i32),
    /// 30 min of trying: -3301.
    GaveUp,
    /// The way back in was refused; a TRTC code.
    RejoinRefused(i32),
    /// Out for longer than the server waits for a member of a call.
    OutTooLong,
}

impl Ending {
    /// Whoever was put out while away learns it by the code.
    fn of_a_refused_rejoin(code: i32) -> Self {
        match Code::from_number(code) {
            Some(Code::UserRemoved) => Self::Exit(ExitReason::Removed),
            Some(Code::RoomNotExist) => Self::Exit(ExitReason::Dismissed),
            Some(_) | None => Self::RejoinRefused(code),
        }
    }
}

/// The path of media as the window shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Not there yet.
    Connecting,
    /// Media flows.
    Up,
    /// Lost; nothing is sent.
    Reconnecting,
}

/// What happened, for the person and the scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The room is entered, so long after it was asked for.
    Entered(Duration),
    /// Nothing works for 8 s.
    ConnectionLost,
    /// Trying to come back.
    TryToReconnect,
    /// Back.
    ConnectionRecovery,
    /// Somebody is in.
    RemoteEntered(String),
    /// Somebody is out.
    RemoteLeft(String, LeaveReason),
    /// Nothing has come from somebody for 2 s, or comes again.
    RemoteReconnecting(String, bool),
    /// The path changed.
    Link(Link),
    /// Over; the last output.
    Ended(Ending),
}

/// What the body has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Enter with a fresh connection. Answer: `handle_joined` or `handle_join_failed`.
    Join,
    /// Reopen the signal socket of the same session. Answer: `handle_resumed` or `handle_resume_failed`.
    Resume,
    /// The signal is there and the path is not: restart ICE.
    RestartIce,
    /// Stop sending.
    PauseSending,
    /// Send again.
    ResumeSending,
    /// Close microphone and camera now. Answer: `handle_devices_closed`.
    CloseDevices,
    /// Tell the server that this is goodbye. Answer: `handle_leave_acknowledged`.
    SendLeave,
    /// Close socket and peer connection.
    Disconnect,
    /// Report.
    Event(Happened),
}

/// Where the membership stands.
///
/// ```text
///            joined            signal or path lost
/// Entering ----------> In <---------------------------> Out
///    |                 |            recovered            |
///    | refused, exit   | exit, removed, dismissed,       | exit, gave up,
///    |                 | kicked                          | out too long, told
///    |                 v                                 |
///    +-------------> Leaving <---------------------------+
///                      |  devices closed, and acknowledged or 2 s
///                      v
///                     Over
/// ```
#[derive(Clone, Debug, PartialEq)]
enum State {
    /// The first join is under way; `since` is when it was asked for.
    Entering { since: Duration },
    /// Signal and path work.
    In,
    /// One of them does not.
    Out(Box<Outage>),
    /// Closing devices and saying goodbye.
    Leaving { ending: Ending, since: Duration, devices_closed: bool, acknowledged: bool },
    /// Terminal: accepts nothing.
    Over,
}

/// One membership.
#[derive(Debug)]
pub struct Client {
    purpose: Purpose,
    times: Times,
    state: State,
    /// Since when there is no signal; `None` while there is.
    signal_down: Option<Duration>,
    /// Since when there is no path; `None` while there is.
    path_down: Option<Duration>,
    link: Link,
    people: People,
    outputs: VecDeque<Output>,
}

impl Client {
    /// Asks for the room.
    #[must_use]
    pub fn enter(now: Duration, purpose: Purpose, times: Times) -> Self {
        Self {
            purpose,
            times,
            state: State::Entering { since: now },
            signal_down: Some(now),
            path_down: Some(now),
            link: Link::Connecting,
            people: People::new(times.tile),
            outputs: VecDeque::from([Output::Join]),
        }
    }

    /// What to do next; call until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Client::handle_timeout`] at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let own = match &self.state {
            State::Entering { since } => Some(*since + self.times.enter),
            State::In => None,
            State::Out(outage) => Some(outage.next_deadline()),
            State::Leaving { since, .. } => Some(*since + self.times.exit),
            State::Over => return None,
        };
        let link = self.link_deadline();
        [own, link, self.people.next_deadline()].into_iter().flatten().min()
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Time has come to a deadline, or passed it.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.link_deadline().is_some_and(|at| at <= now) {
            self.set_link(Link::Reconnecting);
        }
        for happened in self.people.handle_timeout(now) {
            self.report(happened);
        }
        match &mut self.state {
            State::Entering { since } => {
                if now >= *since + self.times.enter {
                    self.leave(now, Ending::Refused(ERR_ENTER_TIMEOUT), false);
                }
            }
            State::Out(outage) => {
                let (signal, path) = (self.signal_down.is_none(), self.path_down.is_none());
                let steps = outage.advance(now, signal, path);
                self.follow(now, steps);
            }
            State::Leaving { since, .. } => {
                if now >= *since + self.times.exit {
                    self.finish();
                }
            }
            State::In | State::Over => {}
        }
    }

    /// The join was answered; `others` are in the room.
    pub fn handle_joined(&mut self, now: Duration, others: Vec<String>) {
        match &mut self.state {
            State::Entering { since } => {
                let took = now.saturating_sub(*since);
                self.signal_down = None;
                self.path_down = self.path_down.map(|_| now);
                self.state = State::Out(Box::new(Outage::of_a_first_path(self.times, now)));
                self.report(Happened::Entered(took));
            }
            State::Out(outage) => {
                outage.attempt_ended(now, true);
                self.signal_down = None;
                self.path_down.get_or_insert(now);
            }
            State::In | State::Leaving { .. } | State::Over => return,
        }
        for happened in self.people.replace(now, others) {
            self.report(happened);
        }
        self.settle(now);
    }

    /// The join failed. `refusal` is a code where the server said no; without it the network did.
    pub fn handle_join_failed(&mut self, now: Duration, refusal: Option<i32>) {
        match (&mut self.state, refusal) {
            (State::Entering { .. }, code) => {
                self.leave(now, Ending::Refused(code.unwrap_or(ERR_GAVE_UP)), false);
            }
            // The server is there and does not want this member any more.
            (State::Out(_), Some(code)) => self.leave(now, Ending::of_a_refused_rejoin(code), false),
            (State::Out(outage), None) => outage.attempt_ended(now, false),
            (State::In | State::Leaving { .. } | State::Over, _) => {}
        }
    }

    /// The signal socket is gone.
    pub fn handle_signal_lost(&mut self, now: Duration) {
        match &self.state {
            State::Entering { .. } | State::Over => return,
            // The server closes the socket after a goodbye: that is its acknowledgement.
            State::Leaving { .. } => return self.handle_leave_acknowledged(now),
            State::In | State::Out(_) => {}
        }
        self.signal_down.get_or_insert(now);
        self.break_down(now);
    }

    /// The session goes on over a new socket.
    pub fn handle_resumed(&mut self, now: Duration) {
        if let State::Out(outage) = &mut self.state {
            outage.attempt_ended(now, true);
            self.signal_down = None;
            self.settle(now);
        }
    }

    /// The socket could not be reopened; `unknown` where the server does not know the session any more.
    pub fn handle_resume_failed(&mut self, now: Duration, unknown: bool) {
        if let State::Out(outage) = &mut self.state {
            outage.attempt_ended(now, false);
            if unknown {
                self.begin_anew(now);
            }
        }
    }

    /// The path of media works, or has not since `since`.
    pub fn handle_path(&mut self, now: Duration, down_since: Option<Duration>) {
        if matches!(self.state, State::Over | State::Leaving { .. }) {
            return;
        }
        match down_since {
            None => {
                self.path_down = None;
                self.set_link(Link::Up);
                if let State::Out(outage) = &mut self.state {
                    outage.network_is_back(now);
                }
                self.settle(now);
            }
            Some(since) => {
                self.path_down.get_or_insert(since);
                if !matches!(self.state, State::Entering { .. }) {
                    self.break_down(now);
                }
            }
        }
    }

    /// The server said why it ends this session.
    pub fn handle_told(&mut self, now: Duration, told: Told) {
        match (&mut self.state, told) {
            (State::Over, _) => {}
            (State::Leaving { .. }, _) => self.handle_leave_acknowledged(now),
            (_, Told::Removed) => self.leave(now, Ending::Exit(ExitReason::Removed), false),
            (_, Told::Dismissed) => self.leave(now, Ending::Exit(ExitReason::Dismissed), false),
            (_, Told::Duplicate) => self.leave(now, Ending::Kicked, false),
            (State::Entering { .. }, Told::Resume | Told::Rejoin) => {
                self.leave(now, Ending::Refused(ERR_GAVE_UP), false);
            }
            (State::In | State::Out(_), Told::Resume) => self.handle_signal_lost(now),
            (State::In | State::Out(_), Told::Rejoin) => {
                self.signal_down.get_or_insert(now);
                if matches!(self.state, State::In) {
                    self.state = State::Out(Box::new(Outage::new(self.times, now)));
                }
                self.begin_anew(now);
            }
        }
    }

    /// The person leaves.
    pub fn handle_exit(&mut self, now: Duration) {
        match self.state {
            State::Entering { .. } | State::In | State::Out(_) => {
                self.leave(now, Ending::Exit(ExitReason::Own), true);
            }
            State::Leaving { .. } | State::Over => {}
        }
    }

    /// Microphone and camera are closed.
    pub fn handle_devices_closed(&mut self, _now: Duration) {
        if let State::Leaving { devices_closed, acknowledged, .. } = &mut self.state {
            *devices_closed = true;
            if *acknowledged {
                self.finish();
            }
        }
    }

    /// The server has read the goodbye.
    pub fn handle_leave_acknowledged(&mut self, _now: Duration) {
        if let State::Leaving { devices_closed, acknowledged, .. } = &mut self.state {
            *acknowledged = true;
            if *devices_closed {
                self.finish();
            }
        }
    }

    /// Somebody entered.
    pub fn handle_remote_entered(&mut self, now: Duration, who: String) {
        if self.is_member()
            && let Some(happened) = self.people.entered(now, who)
        {
            self.report(happened);
        }
    }

    /// Somebody left.
    pub fn handle_remote_left(&mut self, who: &str, reason: LeaveReason) {
        if self.is_member()
            && let Some(happened) = self.people.left(who, reason)
        {
            self.report(happened);
        }
    }

    /// Media came from somebody.
    pub fn handle_heard(&mut self, now: Duration, who: &str) {
        if self.is_member()
            && let Some(happened) = self.people.heard(now, who)
        {
            self.report(happened);
        }
    }

    /// Whether media is to be expected of somebody: their microphone or camera is on.
    pub fn handle_expected(&mut self, now: Duration, who: &str, expected: bool) {
        if self.is_member()
            && let Some(happened) = self.people.expect(now, who, expected)
        {
            self.report(happened);
        }
    }

    fn is_member(&self) -> bool {
        match self.state {
            State::In | State::Out(_) => true,
            State::Entering { .. } | State::Leaving { .. } | State::Over => false,
        }
    }

    fn report(&mut self, happened: Happened) {
        self.outputs.push_back(Output::Event(happened));
    }

    fn link_deadline(&self) -> Option<Duration> {
        match (&self.state, self.link, self.path_down) {
            (State::In | State::Out(_), Link::Up, Some(since)) => Some(since + self.times.link),
            _ => None,
        }
    }

    fn set_link(&mut self, link: Link) {
        if self.link == link {
            return;
        }
        match link {
            Link::Reconnecting => self.outputs.push_back(Output::PauseSending),
            Link::Up if self.link == Link::Reconnecting => self.outputs.push_back(Output::ResumeSending),
            Link::Up | Link::Connecting => {}
        }
        self.link = link;
        self.people.pause(link == Link::Reconnecting);
        self.report(Happened::Link(link));
    }

    /// Signal or path has just gone.
    fn break_down(&mut self, now: Duration) {
        let since = [self.signal_down, self.path_down].into_iter().flatten().min().unwrap_or(now);
        if matches!(self.state, State::In) {
            self.state = State::Out(Box::new(Outage::new(self.times, since)));
        }
        if let State::Out(outage) = &mut self.state {
            let steps = outage.advance(now, self.signal_down.is_none(), self.path_down.is_none());
            self.follow(now, steps);
        }
    }

    /// Back in where signal and path both work.
    fn settle(&mut self, now: Duration) {
        let State::Out(outage) = &mut self.state else { return };
        let (signal, path) = (self.signal_down.is_none(), self.path_down.is_none());
        if signal && path {
            let reported = outage.reported();
            self.state = State::In;
            if reported {
                self.report(Happened::ConnectionRecovery);
            }
        } else {
            let steps = outage.advance(now, signal, path);
            self.follow(now, steps);
        }
    }

    /// The server does not know the session: enter with a fresh connection, unless the call has gone on without us.
    fn begin_anew(&mut self, now: Duration) {
        if self.is_out_too_long(now) {
            return self.leave(now, Ending::OutTooLong, false);
        }
        if let State::Out(outage) = &mut self.state {
            let steps = outage.session_is_gone(now);
            self.follow(now, steps);
        }
    }

    fn follow(&mut self, now: Duration, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Resume => self.outputs.push_back(Output::Resume),
                Step::RestartIce => self.outputs.push_back(Output::RestartIce),
                // Entering anew would be seen by the others; asking for the old session only tells whether the
                // network is back.
                Step::Rejoin if self.is_out_too_long(now) => self.outputs.push_back(Output::Resume),
                Step::Rejoin => {
                    self.signal_down.get_or_insert(now);
                    self.path_down.get_or_insert(now);
                    self.outputs.push_back(Output::Join);
                }
                Step::Lost => self.report(Happened::ConnectionLost),
                Step::Try => self.report(Happened::TryToReconnect),
                Step::GiveUp => return self.leave(now, Ending::GaveUp, false),
            }
        }
    }

    /// The server has let go of a member of a call by then: coming back would be entering anew.
    fn is_out_too_long(&self, now: Duration) -> bool {
        match &self.state {
            State::Out(outage) => self.purpose == Purpose::Call && outage.lasts(now) > self.times.member,
            State::Entering { .. } | State::In | State::Leaving { .. } | State::Over => false,
        }
    }

    fn leave(&mut self, now: Duration, ending: Ending, say_goodbye: bool) {
        self.outputs.push_back(Output::CloseDevices);
        if say_goodbye {
            self.outputs.push_back(Output::SendLeave);
        }
        self.state = State::Leaving { ending, since: now, devices_closed: false, acknowledged: !say_goodbye };
    }

    fn finish(&mut self) {
        if let State::Leaving { ending, .. } = self.state {
            self.state = State::Over;
            self.outputs.push_back(Output::Disconnect);
            self.report(Happened::Ended(ending));
        }
    }
}
