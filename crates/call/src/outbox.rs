//! What a device has to be told, numbered and kept until it says that it has it.

use protocol::Push;
use protocol::message::Seq;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Events kept for a device that does not acknowledge. A call makes about ten; a device that lets this many pile up is
/// gone or broken, and starts afresh.
pub const OUTBOX_LIMIT: usize = 256;

/// The events of one session that are not acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outbox {
    /// Of the newest event ever put in.
    last: Seq,
    waiting: VecDeque<(Seq, Push)>,
}

/// Too many events wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Outbox {
    /// Of the newest event ever put in; 0 before the first.
    #[must_use]
    pub fn last(&self) -> Seq {
        self.last
    }

    /// Numbers an event and keeps it.
    pub fn push(&mut self, push: Push) -> Result<Seq, Full> {
        if self.waiting.len() >= OUTBOX_LIMIT {
            return Err(Full);
        }
        self.last += 1;
        self.waiting.push_back((self.last, push));
        Ok(self.last)
    }

    /// Drops everything up to `seq` and gives it back.
    pub fn acknowledge(&mut self, seq: Seq) -> Vec<Push> {
        let arrived = self.waiting.iter().take_while(|(at, _)| *at <= seq).count();
        self.waiting.drain(..arrived).map(|(_, push)| push).collect()
    }

    /// Everything that is not acknowledged, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &(Seq, Push)> {
        self.waiting.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_waits_until_it_is_acknowledged() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push(Push::Unknown), Ok(1));
        assert_eq!(outbox.push(Push::Unknown), Ok(2));
        assert_eq!(outbox.acknowledge(1).len(), 1);
        assert_eq!(outbox.acknowledge(1).len(), 0);
        assert_eq!(outbox.waiting().map(|(seq, _)| *seq).collect::<Vec<_>>(), [2]);
        assert_eq!(outbox.last(), 2);
    }

    #[test]
    fn a_full_outbox_takes_no_more() {
        let mut outbox = Outbox::default();
        for _ in 0..OUTBOX_LIMIT {
            outbox.push(Push::Unknown).unwrap();
        }
        assert_eq!(outbox.push(Push::Unknown), Err(Full));
    }
}
