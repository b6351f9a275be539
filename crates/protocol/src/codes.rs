//! The numbers that refuse something, each with one plain sentence: TRTC's (behaviour 3.4) and TUICallKit's (4.6).
//!
//! Both ends decide by the number alone; the sentence is for people.

use serde::{Deserialize, Serialize};

/// Why something was refused: a documented number, and one plain sentence that may name what was wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} ({code})")]
pub struct Refusal {
    /// One of [`Code`]'s numbers, or one of a newer peer.
    pub code: i32,
    /// One plain sentence.
    pub message: String,
}

impl Refusal {
    /// A refusal with the code's own sentence.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self { code: code.number(), message: code.sentence().to_owned() }
    }

    /// A refusal with a sentence that says more.
    #[must_use]
    pub fn because(code: Code, message: impl Into<String>) -> Self {
        Self { code: code.number(), message: message.into() }
    }

    /// The code, where this version knows it.
    #[must_use]
    pub fn known(&self) -> Option<Code> {
        Code::from_number(self.code)
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

macro_rules! codes {
    ($($variant:ident = $number:literal, $sentence:literal;)+) => {
        /// Every code that the product uses.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(i32)]
        pub enum Code {
            $(#[doc = $sentence] $variant = $number),+
        }

        impl Code {
            /// All of them, for tests and documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The documented number.
            #[must_use]
            pub fn number(self) -> i32 {
                self as i32
            }

            /// One plain sentence for people.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self {
                    $(Self::$variant => $sentence),+
                }
            }

            /// Whether it is about a ticket: another one may cure it.
            #[must_use]
            pub fn is_of_ticket(self) -> bool {
                matches!(
                    self,
                    Self::UserSigInvalid
                        | Self::SigExpired
                        | Self::SigUndecodable
                        | Self::SigForged
                        | Self::SigOtherUser
                        | Self::SigOtherApp
                        | Self::SigIsMapKey
                )
            }

            /// The code of a number.
            #[must_use]
            pub fn from_number(number: i32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

codes! {
    // TUICallKit (behaviour 4.6)
    NotOffered = -1001, "This server does not offer that.";
    ServerOutdated = -1002, "The server is too old for this client: upgrade the server.";
    ClientOutdated = -1003, "The client is too old for this server: upgrade the client.";
    NoDevicePermission = -1101, "The system does not allow the use of this device.";
    DeviceListFailed = -1102, "The devices could not be listed.";
    NotSignedIn = -1201, "Nobody is signed in.";
    BadParameter = -1202, "A parameter is wrong.";
    WrongState = -1203, "This is not possible right now.";
    AlreadyUnderWay = -1204, "The same request is still under way.";
    WrongScene = -1205, "This kind of call does not offer that.";
    Signalling = -1401, "The request could not be delivered.";
    SessionGone = -1406, "The server no longer knows this session.";

    // Entering a room (behaviour 3.4)
    RoomEnterFailed = -3301, "The room could not be entered.";
    RoomRequestTimeout = -3307, "The server did not answer in time.";
    RoomEnterTimeout = -3308, "Entering the room took too long.";
    AppIdInvalid = -3317, "This server serves another application id.";
    RoomIdInvalid = -3318, "A room number is 1 to 4294967294.";
    UserIdInvalid = -3319, "A user id has 1 to 32 characters of A-Z a-z 0-9 _ and -.";
    UserSigInvalid = -3320, "A ticket is needed to sign in.";

    // Tickets (behaviour 2.2 and settled points)
    SigExpired = -70001, "The ticket has expired.";
    SigUndecodable = -70003, "The ticket is damaged or incomplete.";
    SigForged = -70009, "The ticket was signed with another key.";
    SigOtherUser = -70013, "The ticket belongs to another user.";
    SigOtherApp = -70014, "The ticket belongs to another application.";
    SigIsMapKey = -70052, "This is a key for a room (PrivateMapKey), not a ticket to sign in.";

    // The server
    Undecodable = -100_000, "The message could not be read.";
    TokenWrong = -100_001, "The room token is wrong.";
    TokenExpired = -100_004, "The room token has expired or is void.";
    UnknownCommand = -100_005, "The server does not know this kind of message.";
    NoPrivilege = -100_006, "The key for the room is missing, wrong, or does not allow this.";
    RoomNameInvalid = -100_014, "A room name holds a character that is not allowed.";
    RoomNotExist = -102_005, "There is no such room.";
    NoCreatePrivilege = -102_010, "You may not make this room, and it does not exist yet.";
    NoEnterPrivilege = -102_011, "You may not enter this room.";
    NoVideoPrivilege = -102_013, "You may not send a picture in this room.";
    NoScreenPrivilege = -102_015, "You may not share a screen in this room.";
    ScreenTaken = -102_016, "Somebody else shares their screen in this room.";
    UserRemoved = -102_018, "This user was removed from the room.";
    RoomNameTooLong = -102_030, "A room name has at most 64 characters.";
    RoomFull = -102_052, "The room is full.";

    // Devices
    CameraStart = -1301, "The camera could not be opened.";
    MicrophoneStart = -1302, "The microphone could not be opened.";
    VideoEncode = -1303, "The picture could not be encoded.";
    AudioEncode = -1304, "The voice could not be encoded.";
    CameraDenied = -1314, "The system does not allow the use of the camera.";
    CameraParameters = -1315, "The camera does not offer this format.";
    CameraOccupied = -1316, "Another program uses the camera.";
    MicrophoneDenied = -1317, "The system does not allow the use of the microphone.";
    MicrophoneParameters = -1318, "The microphone does not offer this format.";
    MicrophoneOccupied = -1319, "Another program uses the microphone.";
    MicrophoneStop = -1320, "The microphone could not be closed.";
    SpeakerStart = -1321, "The speaker could not be opened.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_back_from_its_number_and_speaks_a_sentence() {
        for &code in Code::ALL {
            assert_eq!(Code::from_number(code.number()), Some(code));
            assert!(code.sentence().ends_with('.'), "{code:?}");
            assert_eq!(Refusal::new(code).known(), Some(code));
        }
        assert_eq!(Code::from_number(0), None);
    }
}
