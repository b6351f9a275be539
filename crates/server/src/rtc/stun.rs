//! Whom a STUN message is for, read without knowing any connection: a datagram of nobody must cost next to nothing.

/// The fixed part of a message (RFC 8489 section 5).
const HEADER: usize = 20;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// The attribute `USERNAME` (RFC 8489 section 14.3).
const USERNAME: u16 = 0x0006;

/// To whom a message is addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addressee<'a> {
    /// A connectivity check: to the connection with this user name fragment (RFC 8445 section 7.2.2).
    Named(&'a str),
    /// Anything else, an answer for instance: to whoever knows its transaction.
    Unnamed,
}

/// `None`: not STUN, or damaged.
pub(super) fn addressee(datagram: &[u8]) -> Option<Addressee<'_>> {
    let header = datagram.get(..HEADER)?;
    if header[0] & 0xc0 != 0 || header[4..8] != MAGIC_COOKIE {
        return None;
    }
    let mut rest = datagram.get(HEADER..)?;
    while let Some((head, body)) = rest.split_at_checked(4) {
        let kind = u16::from_be_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = body.get(..length)?;
        if kind == USERNAME {
            let name = std::str::from_utf8(value).ok()?;
            return Some(Addressee::Named(name.split(':').next().unwrap_or(name)));
        }
        // Values are padded to four bytes.
        rest = body.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(Addressee::Unnamed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, value) in attributes {
            body.extend(kind.to_be_bytes());
            body.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut message = vec![0, 1];
        message.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        message.extend(MAGIC_COOKIE);
        message.extend([7; 12]);
        message.extend(body);
        message
    }

    #[test]
    fn a_check_names_its_receiver_wherever_the_name_stands() {
        let check = message(&[(0x8022, b"agent"), (USERNAME, b"ours:theirs"), (0x0024, &[0; 4])]);
        assert_eq!(addressee(&check), Some(Addressee::Named("ours")));
        assert_eq!(addressee(&message(&[(0x0020, &[0; 8])])), Some(Addressee::Unnamed));
        assert_eq!(addressee(&message(&[])), Some(Addressee::Unnamed));
    }

    #[test]
    fn media_keys_and_damaged_messages_are_none() {
        assert_eq!(addressee(&[0x80; 200]), None, "RTP");
        assert_eq!(addressee(&[22; 200]), None, "DTLS");
        assert_eq!(addressee(b""), None);
        let mut cut = message(&[(USERNAME, b"ours:theirs")]);
        cut.truncate(28);
        assert_eq!(addressee(&cut), None);
    }

    proptest! {
        #[test]
        fn no_datagram_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), honest: bool) {
            if honest && bytes.len() >= 8 {
                bytes[0] = 0;
                bytes[4..8].copy_from_slice(&MAGIC_COOKIE);
            }
            let _ = addressee(&bytes);
        }
    }
}
