//! Reading and deleting the records of calls. They lie in the store; of calls that still run for others the switchboard
//! gives what is over for the reader.

use super::requests::Asker;
use super::{ConnId, Output, Switchboard};
use crate::call::{Call, Phase};
use protocol::message::Reply;
use protocol::record::{DELETE_LIMIT, RECORDS_LIMIT};
use protocol::{CallId, CallRecord, Code, RecordCursor, RecordFilter, Refusal, RequestId};

/// Bytes of records, or of cards, in one answer, roughly; it has to fit into a frame beside the profiles.
pub(super) const PAGE_LIMIT: usize = 32 * 1024;

/// Bytes of profiles in one answer.
pub(super) const PROFILES_LIMIT: usize = 16 * 1024;

/// One page of records, the newest first. `stored` are the reader's records that the filter wants, newest first: one
/// more of them than fit on the page tells that there is another.
#[must_use]
pub fn page(filter: &RecordFilter, running: Vec<CallRecord>, stored: Vec<CallRecord>) -> Reply {
    let mut all: Vec<_> = running.into_iter().chain(stored).collect();
    all.sort_by(|a, b| (b.begin_time, &b.call_id).cmp(&(a.begin_time, &a.call_id)));
    let limit = filter.limit.unwrap_or(RECORDS_LIMIT) as usize;
    let mut bytes = 0;
    let fits = |record: &CallRecord| {
        let names: usize = record.invite_list.iter().map(|user| user.as_str().len() + 3).sum();
        bytes += 600 + names + 6 * record.group_id.len();
        bytes <= PAGE_LIMIT
    };
    let many = all.iter().map(fits).take_while(|fits| *fits).count().min(limit);
    let next = all.get(many).and_then(|_| all[..many].last()).map(RecordCursor::from);
    all.truncate(many);
    Reply { records: Some(all), next, ..Reply::default() }
}

impl Switchboard {
    /// Notes for whom a call is over while it runs for others: they have a record of it already.
    pub(super) fn note_over(&mut self, call: &Call) {
        let runs = call.phase() != Phase::Over;
        for party in call.parties() {
            if runs && party.out().is_some() {
                self.over_for_user.entry(party.user.clone()).or_default().insert(call.id().clone());
            } else if let Some(calls) = self.over_for_user.get_mut(&party.user) {
                calls.remove(call.id());
                if calls.is_empty() {
                    self.over_for_user.remove(&party.user);
                }
            }
        }
    }

    /// A question that changes nothing: asked twice, it is answered twice.
    pub(super) fn read_records(&mut self, asker: &Asker, filter: RecordFilter) {
        let (conn, id, user) = (asker.conn, asker.id, asker.user.clone());
        if filter.limit.is_some_and(|limit| !(1..=RECORDS_LIMIT).contains(&limit)) {
            let message = format!("A page has 1 to {RECORDS_LIMIT} records.");
            self.refuse(conn, Some(id), Refusal::because(Code::BadParameter, message));
            return;
        }
        let left = self.over_for_user.get(&user).into_iter().flatten();
        let running = left.filter_map(|call| self.calls.get(call)?.log().read_by(&user));
        let running = running.filter(|record| filter.wants(record)).collect();
        self.outputs.push_back(Output::ReadRecords { conn, id, user, filter, running });
    }

    pub(super) fn delete_records(&mut self, asker: &Asker, calls: Vec<CallId>) {
        if calls.is_empty() || calls.len() > DELETE_LIMIT {
            let message = format!("1 to {DELETE_LIMIT} records can be deleted at once.");
            self.answer(asker, Err(Refusal::because(Code::BadParameter, message)));
            return;
        }
        for call in calls {
            if let Some(running) = self.calls.get_mut(&call) {
                running.handle_forget(&asker.user);
                self.mark_call(&call);
            }
            self.dirty.forgotten.insert((asker.user.clone(), call));
        }
        self.answer(asker, Ok(Reply::default()));
    }

    /// The body has read records: puts the names of their people along, as far as they fit.
    pub fn handle_records(&mut self, conn: ConnId, id: RequestId, mut answer: Reply) {
        let records = answer.records.iter().flatten();
        let people = records.flat_map(|record| record.invite_list.iter().chain([&record.inviter]));
        answer.profiles = self.profiles_within(&mut { PROFILES_LIMIT }, people);
        self.send_answer(conn, id, Ok(answer));
    }
}
