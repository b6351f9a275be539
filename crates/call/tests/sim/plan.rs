//! A plan as text: who is there, what they do and when. Rows of the table and saved failures are written in it.
//!
//! ```text
//! seed 7
//! device alice laptop
//! device bob phone 60000      (a ticket that ends at that millisecond)
//! 5000 alice call bob,carol
//! 8000 bob/phone accept
//! end 200000
//! ```

use super::act::{Action, Step};
use super::{Fault, World};
use std::fmt;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub seed: u64,
    pub devices: Vec<(&'static str, &'static str, u64)>,
    pub steps: Vec<Step>,
    pub end: u64,
}

impl Plan {
    /// Plays it to its end.
    pub fn play(&self) -> World {
        self.play_with(None)
    }

    pub fn play_with(&self, fault: Option<Fault>) -> World {
        let mut world = World::new(self.seed);
        if let Some(fault) = fault {
            world = world.with_fault(fault);
        }
        for (user, name, ticket) in &self.devices {
            world.add_with_ticket(user, name, *ticket);
        }
        world.run(&self.steps, self.end);
        world
    }

    pub fn parse(text: &str) -> Self {
        let mut plan = Self { seed: 1, ..Self::default() };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let words: Vec<&'static str> = keep(line).split_whitespace().collect();
            match words[..] {
                ["seed", seed] => plan.seed = number(seed),
                ["end", end] => plan.end = number(end),
                ["device", user, name] => plan.devices.push((user, name, u64::MAX)),
                ["device", user, name, ticket] => plan.devices.push((user, name, number(ticket))),
                [at, who, ref action @ ..] => plan.steps.push((number(at), who, action_of(action))),
                _ => panic!("{line}: no line of a plan"),
            }
        }
        plan
    }
}

/// Plans live as long as the test.
fn keep(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

fn action_of(words: &[&'static str]) -> Action {
    let list = |text: &'static str| text.split(',').collect::<Vec<_>>();
    match *words {
        ["call", callees] => Action::Call(list(callees)),
        ["accept"] => Action::Accept,
        ["reject"] => Action::Reject,
        ["ignore"] => Action::Ignore,
        ["hangup"] => Action::Hangup,
        ["invite", users] => Action::Invite(list(users)),
        ["add-person", users] => Action::AddPerson(list(users)),
        ["join"] => Action::Join,
        ["to-voice"] => Action::ToVoice,
        ["nickname", name] => Action::Nickname(name),
        ["multi-device", on] => Action::MultiDevice(on == "on"),
        ["renew", ms] => Action::Renew(number(ms)),
        ["recent"] => Action::Recent,
        ["delete-record"] => Action::DeleteRecord,
        ["offline", ms] => Action::Offline(number(ms)),
        ["die", ms] => Action::Die(number(ms)),
        ["elsewhere", name] => Action::Elsewhere(name),
        ["sign-out"] => Action::SignOut,
        ["removed"] => Action::Removed,
        ["dismissed"] => Action::Dismissed,
        ["end-call"] => Action::EndCall,
        ["media-lost"] => Action::MediaLost,
        ["restart"] => Action::Restart,
        _ => panic!("{words:?}: no action"),
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(callees) => write!(f, "call {}", callees.join(",")),
            Self::Accept => f.write_str("accept"),
            Self::Reject => f.write_str("reject"),
            Self::Ignore => f.write_str("ignore"),
            Self::Hangup => f.write_str("hangup"),
            Self::Invite(users) => write!(f, "invite {}", users.join(",")),
            Self::AddPerson(users) => write!(f, "add-person {}", users.join(",")),
            Self::Join => f.write_str("join"),
            Self::ToVoice => f.write_str("to-voice"),
            Self::Nickname(name) => write!(f, "nickname {name}"),
            Self::MultiDevice(on) => write!(f, "multi-device {}", if *on { "on" } else { "off" }),
            Self::Renew(ms) => write!(f, "renew {ms}"),
            Self::Recent => f.write_str("recent"),
            Self::DeleteRecord => f.write_str("delete-record"),
            Self::Offline(ms) => write!(f, "offline {ms}"),
            Self::Die(ms) => write!(f, "die {ms}"),
            Self::Elsewhere(name) => write!(f, "elsewhere {name}"),
            Self::SignOut => f.write_str("sign-out"),
            Self::Removed => f.write_str("removed"),
            Self::Dismissed => f.write_str("dismissed"),
            Self::EndCall => f.write_str("end-call"),
            Self::MediaLost => f.write_str("media-lost"),
            Self::Restart => f.write_str("restart"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        for (user, name, ticket) in &self.devices {
            match *ticket {
                u64::MAX => writeln!(f, "device {user} {name}")?,
                ticket => writeln!(f, "device {user} {name} {ticket}")?,
            }
        }
        for (at, who, action) in &self.steps {
            writeln!(f, "{at} {who} {action}")?;
        }
        writeln!(f, "end {}", self.end)
    }
}
