//! What must hold of any bytes that come in as a frame; the fuzzer (`fuzz/`) asks it, too.

use protocol::{ClientMessage, ServerMessage};

/// What is read comes back as what it was: a frame has one meaning.
pub fn read(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(message) = ClientMessage::parse(&text) {
        assert_eq!(ClientMessage::parse(&message.to_text()), Ok(message), "{text}");
    }
    if let Ok(message) = ServerMessage::parse(&text) {
        assert_eq!(ServerMessage::parse(&message.to_text()), Ok(message), "{text}");
    }
}
