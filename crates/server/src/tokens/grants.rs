//! What a token allows, in LiveKit's words as far as they reach.

use livekit_token::VideoGrants;
use protocol::Privileges;

/// The attribute of a token that carries what LiveKit's grants cannot say: whether its holder may make the room exist,
/// and which kinds of media they may receive. The embedded rooms obey it and show it to nobody; to a LiveKit
/// deployment it is a text like any other.
pub const PRIVILEGES_ATTRIBUTE: &str = "ahoy.privileges";

const SEND: [(Privileges, &[&str]); 3] = [
    (Privileges::SEND_AUDIO, &["microphone"]),
    (Privileges::SEND_VIDEO, &["camera"]),
    (Privileges::SEND_SCREEN, &["screen_share", "screen_share_audio"]),
];

/// What a token allows in its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grants {
    /// Make, enter, send and receive.
    pub privileges: Privileges,
    /// Remove others, change the room.
    pub admin: bool,
}

impl Grants {
    /// A member of a call.
    pub const MEMBER: Self = Self { privileges: Privileges::ALL, admin: false };

    /// The same as LiveKit has it: publish by source, receive everything or nothing. Somebody who may not receive
    /// voice or may not receive pictures receives nothing there; shared screens go with the pictures.
    pub(super) fn video(self, room: &str) -> VideoGrants {
        let may = |wanted| self.privileges.allow(wanted);
        let sources = SEND.iter().filter(|(bit, _)| may(*bit)).flat_map(|(_, sources)| *sources);
        let sources: Vec<String> = sources.map(|source| (*source).to_owned()).collect();
        let publish = !sources.is_empty();
        let all = SEND.iter().all(|(bit, _)| may(*bit));
        VideoGrants {
            room_join: true,
            room: room.to_owned(),
            room_admin: self.admin,
            can_publish: Some(publish),
            can_publish_data: Some(publish),
            // An empty list allows every source.
            can_publish_sources: if all { Vec::new() } else { sources },
            can_subscribe: Some(may(Privileges::RECEIVE_AUDIO | Privileges::RECEIVE_VIDEO)),
            ..VideoGrants::default()
        }
    }

    /// The attributes that go with it: none for one who may do everything.
    pub(super) fn attributes(self) -> Option<(&'static str, String)> {
        let limited = !self.privileges.allow(Privileges::ALL);
        limited.then(|| (PRIVILEGES_ATTRIBUTE, self.privileges.0.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(bits: u32) -> VideoGrants {
        Grants { privileges: Privileges(bits), admin: false }.video("n:1")
    }

    #[test]
    fn each_send_bit_is_its_sources_and_all_of_them_are_every_source() {
        assert_eq!(video(4).can_publish_sources, ["microphone"]);
        assert_eq!(video(16).can_publish_sources, ["camera"]);
        assert_eq!(video(64).can_publish_sources, ["screen_share", "screen_share_audio"]);
        assert_eq!(video(4 + 16).can_publish_sources, ["microphone", "camera"]);
        assert_eq!(video(255).can_publish_sources, Vec::<String>::new());
        assert_eq!(video(255).can_publish, Some(true));
        // An empty list would allow everything: who may send nothing may not publish at all.
        assert_eq!((video(42).can_publish, video(42).can_publish_data), (Some(false), Some(false)));
    }

    #[test]
    fn receiving_is_all_or_nothing_for_livekit_and_bits_for_us() {
        for (bits, receives) in
            [(255, true), (42, true), (255 - 8, false), (255 - 32, false), (255 - 128, true), (7, false)]
        {
            assert_eq!(video(bits).can_subscribe, Some(receives), "{bits}");
        }
        let attributes = |bits| Grants { privileges: Privileges(bits), admin: false }.attributes();
        assert_eq!(attributes(255), None);
        assert_eq!(attributes(42), Some((PRIVILEGES_ATTRIBUTE, "42".to_owned())));
    }
}
