//! Carries out what was asked, and words the answers.

use super::fault::Fault;
use super::request::Request;
use super::{Admin, Answer, now};
use crate::records::{CommId, Found, RoomRecord, RoomsQuery, StayRecord, UsersQuery};
use crate::rooms::RoomsError;
use protocol::RoomId;
use serde_json::{Map, Value, json};

impl Admin {
    pub(super) async fn perform(&self, request: &Request, by: &str) -> Answer {
        let by = || Some(by.to_owned());
        match request {
            Request::Remove { room, users } => self.remove(room, users, by()).await?,
            Request::Dismiss { room } => self.rooms.dismiss(&room.wire_name(), by()).await?,
            Request::Block { room, user: [user], blocked } => {
                self.rooms.block(&room.wire_name(), user, *blocked).await?;
            }
            Request::Rooms(query) => return self.rooms_found(query).await,
            Request::Users(query) => return self.users_found(query).await,
        }
        Ok(Map::new())
    }

    async fn remove(&self, room: &RoomId, users: &[String], by: Option<String>) -> Result<(), Fault> {
        let room = room.wire_name();
        // Asked once and before: the room ends with the last of those who are put out, and that is no failure.
        self.rooms.list(&room).await?;
        for user in users {
            match self.rooms.remove(&room, user, by.clone()).await {
                Ok(()) | Err(RoomsError::NotExist | RoomsError::NoMember) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn rooms_found(&self, query: &RoomsQuery) -> Answer {
        let now = now();
        let Found { total, rows } = self.records.rooms(query.clone(), now).await?;
        let state = |RoomRecord { room, created, destroyed, creator }| {
            let comm = CommId { sdk_app_id: self.sdk_app_id, room, created };
            json!({
                "CommId": comm.to_string(),
                "RoomString": comm.room,
                "CreateTime": created,
                "DestroyTime": destroyed.unwrap_or(now),
                "IsFinished": destroyed.is_some(),
                "UserId": creator,
            })
        };
        Ok(list(total, "RoomList", rows.into_iter().map(state)))
    }

    async fn users_found(&self, query: &UsersQuery) -> Answer {
        let now = now();
        let Found { total, rows } = self.records.users(query.clone(), now).await?;
        let user = |StayRecord { user, joined, left }| {
            json!({
                "RoomStr": query.room,
                "UserId": user,
                "JoinTs": joined,
                // Documented: the current time while the user is there.
                "LeaveTs": left.unwrap_or(now),
                "Finished": left.is_some(),
                // Not recorded: nobody here needs to know them two weeks later.
                "DeviceType": "",
                "SdkVersion": "",
                "ClientIp": "",
            })
        };
        Ok(list(total, "UserList", rows.into_iter().map(user)))
    }
}

fn list(total: u64, name: &str, rows: impl Iterator<Item = Value>) -> Map<String, Value> {
    Map::from_iter([("Total".to_owned(), total.into()), (name.to_owned(), rows.collect())])
}
