//! Names of requests, as they stand in answers and in the audit log.

/// A random UUID (RFC 9562, version 4).
#[must_use]
pub fn request_id() -> String {
    let number: u128 = rand::random();
    // Version and variant have fixed bits.
    let number = number & !(0xf000_u128 << 64) & !(0b11_u128 << 62) | 0x4000_u128 << 64 | 0b10_u128 << 62;
    let digits = format!("{number:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_form_of_a_uuid_and_differ() {
        let ids: std::collections::BTreeSet<String> = (0..100).map(|_| request_id()).collect();
        assert_eq!(ids.len(), 100);
        for id in ids {
            let lengths: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12]);
            assert_eq!(&id[14..15], "4");
            assert!("89ab".contains(&id[19..20]), "{id}");
        }
    }
}
