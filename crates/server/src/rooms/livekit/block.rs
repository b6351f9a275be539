//! Blocking somebody's voice or picture by LiveKit's permissions: the sources that they may publish.
//!
//! LiveKit has no block of its own. It ends the tracks of a source that may not be published any more, and lets its owner
//! publish it again once that is allowed; a permission that was narrowed does not say what it was before.

use super::super::Blocked;
use livekit_protocol as proto;
use proto::{ParticipantInfo, ParticipantPermission, TrackSource};
use std::collections::BTreeMap;

/// Permissions remembered at the same time; more than that many people blocked at once are not to be expected, and the
/// one that is forgotten can be freed by entering again.
const CAPACITY: usize = 4096;

const VOICE: [TrackSource; 2] = [TrackSource::Microphone, TrackSource::ScreenShareAudio];
const PICTURE: [TrackSource; 2] = [TrackSource::Camera, TrackSource::ScreenShare];

/// What those who are blocked could do before, by the sid of their membership.
#[derive(Debug, Default)]
pub struct Blocks {
    before: BTreeMap<String, ParticipantPermission>,
}

impl Blocks {
    /// What somebody may do from now on.
    pub fn narrow(&mut self, who: &ParticipantInfo, blocked: Blocked) -> ParticipantPermission {
        let before = self.before.remove(&who.sid).or_else(|| who.permission.clone()).unwrap_or_default();
        if blocked != Blocked::default() {
            while self.before.len() >= CAPACITY {
                self.before.pop_first();
            }
            self.before.insert(who.sid.clone(), before.clone());
        }
        narrowed(before, blocked)
    }
}

fn narrowed(mut permission: ParticipantPermission, blocked: Blocked) -> ParticipantPermission {
    if blocked == Blocked::default() {
        return permission;
    }
    let sources = &mut permission.can_publish_sources;
    if sources.is_empty() {
        *sources = VOICE.iter().chain(&PICTURE).map(|source| i32::from(*source)).collect();
    }
    let of = |kind: &[TrackSource], source: &i32| kind.iter().any(|of_kind| i32::from(*of_kind) == *source);
    sources.retain(|source| !(blocked.voice && of(&VOICE, source) || blocked.picture && of(&PICTURE, source)));
    // An empty list would mean all of them.
    permission.can_publish &= !permission.can_publish_sources.is_empty();
    permission
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOICE_ONLY: Blocked = Blocked { voice: true, picture: false };
    const BOTH: Blocked = Blocked { voice: true, picture: true };

    fn who(permission: ParticipantPermission) -> ParticipantInfo {
        ParticipantInfo { sid: "PA_1".to_owned(), permission: Some(permission), ..Default::default() }
    }

    fn sources(list: &[TrackSource]) -> Vec<i32> {
        list.iter().map(|source| i32::from(*source)).collect()
    }

    #[test]
    fn a_block_leaves_the_rest_and_freeing_gives_back_what_was_there() {
        let mut blocks = Blocks::default();
        let free = ParticipantPermission {
            can_publish: true,
            can_publish_data: true,
            can_subscribe: true,
            ..Default::default()
        };
        let narrow = blocks.narrow(&who(free.clone()), VOICE_ONLY);
        assert_eq!(narrow.can_publish_sources, sources(&PICTURE));
        assert!(narrow.can_publish && narrow.can_publish_data && narrow.can_subscribe);
        let narrower = blocks.narrow(&who(narrow), BOTH);
        assert!(!narrower.can_publish && narrower.can_publish_data);
        assert_eq!(blocks.narrow(&who(narrower), Blocked::default()), free);
    }

    #[test]
    fn nobody_gets_more_by_being_freed_than_their_token_allowed() {
        let mut blocks = Blocks::default();
        let camera = ParticipantPermission {
            can_publish: true,
            can_publish_sources: sources(&[TrackSource::Camera]),
            ..Default::default()
        };
        let narrow = blocks.narrow(&who(camera.clone()), BOTH);
        assert!(!narrow.can_publish);
        assert_eq!(blocks.narrow(&who(narrow), VOICE_ONLY), camera);
    }
}
